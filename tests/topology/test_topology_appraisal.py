"""`declared-cabling` over signed statements: verdicts, evidence, coverage in time and space."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topology_making import Ends, lldp_text, mac_of, neighbour, truthful

from inspectorate.agreement import Agreement, ClauseKind, DeclaredCabling
from inspectorate.assessment import Assessment, Case, Verdict
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import (
    CablingFormat,
    CablingSeen,
    Evidence,
    Origin,
    VerifiedStatement,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.mechanisms.interconnect.appraise.cabling import appraise_cabling
from inspectorate.mechanisms.interconnect.topology import reference
from inspectorate.quantities import Period

START = datetime(2026, 5, 1, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(hours=4))
EVERY_S = 3600.0
ALLOWED = 1000.0
GIGABIT = 125_000_000
KEY = SigningKey(b"\x11" * 32)
SOURCE = {"document": "a document"}

WIRES: tuple[Ends, ...] = (("pod-a", "eth0", "gateway", "p1"), ("pod-b", "eth0", "gateway", "p2"))
HIDDEN: Ends = ("pod-a", "eth9", "pod-b", "eth9")

Told = Mapping[str, list[tuple[str, dict[str, Any]]]]


def declaration(wires: Iterable[Ends] = WIRES, *, gateway: bool = True) -> Declaration:
    pods = [
        {"id": f"pod-{name}", "chips": [{"model": "h100-sxm", "count": 8}], "networks": [f"10.{n}.0.0/16"]}
        for n, name in enumerate("ab", start=1)
    ]
    reporters = [{"id": "rounds", "kind": "cabling", "holder": "verifier", "pods": ["pod-a", "pod-b"]}]
    if gateway:
        reporters.append({"id": "gateway", "kind": "gateway", "holder": "joint", "pods": ["pod-a", "pod-b"]})
    return Declaration.model_validate(
        {
            "id": "d", "party": "p", "period": PERIOD,
            "sites": [
                {
                    "id": "s", "location": "somewhere", "clusters": [{"id": "c", "pods": pods}], "reporters": reporters,
                    "cabling": [
                        {"node": a, "port": p, "other_node": b, "other_port": q, "bytes_per_s_max": GIGABIT}
                        for a, p, b, q in wires
                    ],
                }
            ],
        }
    )  # fmt: skip


def agreement() -> Agreement:
    cabling = {"kind": "declared-cabling", "between_pods_bytes_per_s_max": ALLOWED, "surveyed_every_s": EVERY_S}
    clause = {
        "id": "cabling", "title": "Cabling", "source": SOURCE, "holds_from": START - timedelta(days=1),
        "parameters": cabling,
    }  # fmt: skip
    return Agreement.model_validate(
        {
            "id": "g", "version": 1, "title": "t", "parties": ["p"], "false_accusation_rate": 0.01,
            "assurance_confidence": 0.99, "counted_formats": ["fp16"], "utilisation": {"max": 0.5, "source": SOURCE},
            "clauses": [clause],
        }
    )  # fmt: skip


class Filing:
    """Signed surveys and their payloads."""

    def __init__(self) -> None:
        self.payloads: dict[str, bytes] = {}
        self.statements: list[VerifiedStatement] = []
        anchor = {
            "name": "rounds", "public_key": base64.b64encode(KEY.public.raw).decode(), "holder": Holder.VERIFIER,
            "roles": (Role.SENSOR,), "sensors": ("rounds", "gateway", "other"),
            "valid_from": START - timedelta(days=9), "valid_until": START + timedelta(days=9),
        }  # fmt: skip
        self._anchors = TrustAnchors(anchors=(TrustAnchor.model_validate(anchor),))

    def file(self, data: bytes, node: str, at_s: float, *, lasts_s: float = 10.0, reporter: str = "rounds") -> None:
        """A survey of `node`, `at_s` after the start of the period."""
        period = Period(start=START + timedelta(seconds=at_s), end=START + timedelta(seconds=at_s + lasts_s))
        said = CablingSeen(
            origin=Origin.RECORDED, reporter=reporter, period=period, format=CablingFormat.LLDP_JSON, node=node
        )
        digest = digest_of(data)
        self.payloads[digest] = data
        envelope = sign_statement(make_statement(said, {f"{node}.json": digest}), KEY)
        self.statements.append(verify_envelope(envelope, anchors=self._anchors, where="test"))

    def round(self, told: Told, at_s: float) -> None:
        for node, neighbours in told.items():
            self.file(lldp_text(neighbours), node, at_s)

    def case(self, declared: Declaration | None = None) -> Case:
        terms = agreement()
        evidence = Evidence(
            streams={}, custody=(), reports=tuple(self.statements), problems=(),
            payload=lambda digest: self.payloads[digest], simulated=False,
        )  # fmt: skip
        return Case(
            agreement=terms,
            clause=terms.clauses[0],
            declaration=declared or declaration(),
            evidence=evidence,
            period=PERIOD,
            miss_probability=0.001,
            shared={},
        )


def hourly(told: Told, *, hours: Iterable[float] = (0.4, 1.2, 2.0, 2.8, 3.6)) -> Filing:
    filing = Filing()
    for hour in hours:
        filing.round(told, hour * 3600)
    return filing


def appraise(filing: Filing, declared: Declaration | None = None) -> dict[str, Assessment]:
    case = filing.case(declared)
    assert isinstance(case.clause.parameters, DeclaredCabling)
    found = appraise_cabling(case, case.clause.parameters)
    assert [a.scope.pods for a in found] == [("pod-a",), ("pod-b",)]
    ids = {statement.digest for statement in filing.statements}
    for a in found:
        assert set(a.evidence_ids) <= ids
        assert (a.hidden, a.joining, a.scope.period) == ((), (), PERIOD)
        assert a.verdict is not Verdict.INCONSISTENT, "that is for findings to say"
    return {a.scope.pods[0]: a for a in found}


def verdicts(filing: Filing, declared: Declaration | None = None) -> list[Verdict]:
    return [a.verdict for a in appraise(filing, declared).values()]


def test_as_declared_and_surveyed_from_both_ends_is_consistent() -> None:
    for a in appraise(hourly(truthful(WIRES))).values():
        assert a.verdict is Verdict.CONSISTENT
        assert a.log_e == pytest.approx(math.log(1 - reference.DECISIVE_STAKE))
        assert a.evidence_ids
        assert any("no other pod around the gateway" in reason for reason in a.reasons)
        assert any("held by the verifier" in text for text in a.assumptions)
        assert a.exhibits == ()


def test_without_statements_nothing_is_observed() -> None:
    for a in appraise(Filing()).values():
        assert (a.verdict, a.log_e, a.evidence_ids) == (Verdict.NOT_OBSERVED, None, ())
        assert a.not_checked


def test_an_undeclared_wire_is_evidence_and_stands_in_a_table() -> None:
    found = appraise(hourly(truthful([*WIRES, HIDDEN])))
    for a in found.values():
        assert a.verdict is Verdict.INCONCLUSIVE
        assert a.log_e is not None
        assert a.log_e > math.log(0.2 / reference.MISREAD_BOTH_ENDS_RATE)
        assert any("up to 125,000,000 B/s" in reason for reason in a.reasons)
        (table,) = a.exhibits
        assert table.rows == (
            ("undeclared-wire", None, "pod-a:eth9 -- pod-b:eth9 at 125,000,000 B/s", "2026-05-01T00:24:00Z"),
        )


def test_a_wire_that_was_there_once_is_evidence_as_much_as_one_that_stays() -> None:
    """A misreading lasts: surveys that repeat it are no further evidence."""
    once = hourly(truthful(WIRES), hours=(0.4, 1.2, 2.8, 3.6))
    once.round(truthful([*WIRES, HIDDEN]), 2.0 * 3600)
    always = hourly(truthful([*WIRES, HIDDEN]))
    assert [a.log_e for a in appraise(once).values()] == [a.log_e for a in appraise(always).values()]


def test_a_wire_that_one_end_reports_is_less_evidence() -> None:
    told = {**truthful([*WIRES, HIDDEN])}
    told["pod-b"] = told["pod-b"][:1]
    one = appraise(hourly(told))["pod-a"].log_e
    assert one == pytest.approx(math.log(0.5 + 0.25 / reference.MISREAD_ONE_END_RATE))
    both = appraise(hourly(truthful([*WIRES, HIDDEN])))["pod-a"].log_e
    assert both is not None
    assert one < both


def test_the_bet_is_fair() -> None:
    """The expectation is at most 1 at the stated misreading rates, whatever the two have to do with each other."""
    half = reference.DECISIVE_STAKE / 2
    for both in (0.0, reference.MISREAD_BOTH_ENDS_RATE):
        expected = 1 - reference.DECISIVE_STAKE
        expected += half * (both / reference.MISREAD_BOTH_ENDS_RATE)
        expected += half * (reference.MISREAD_ONE_END_RATE / reference.MISREAD_ONE_END_RATE)
        assert expected <= 1


def test_a_way_over_an_undeclared_switch_counts() -> None:
    wires = (*WIRES, ("pod-a", "eth8", "switch", "1"), ("pod-b", "eth8", "switch", "2"))
    for a in appraise(hourly(truthful(wires))).values():
        assert a.log_e is not None
        assert a.log_e > math.log(1e4)
        assert any("undeclared-node: switch" in reason for reason in a.reasons)
        assert any("pod-a:eth8 -- switch:1" in reason for reason in a.reasons)


def test_a_plan_that_allows_more_than_the_agreement_is_not_consistent() -> None:
    wires = (*WIRES, HIDDEN)
    for a in appraise(hourly(truthful(wires)), declaration(wires)).values():
        assert a.verdict is Verdict.INCONCLUSIVE
        assert a.log_e is not None
        assert a.log_e > 5, "the declared wire was seen from both ends"
    unlaid = appraise(hourly(truthful(WIRES)), declaration(wires))
    for a in unlaid.values():
        assert a.verdict is Verdict.INCONCLUSIVE
        assert a.log_e is not None
        assert a.log_e < 0, "a plan is no evidence"


def test_a_gateway_that_is_not_declared_as_one_is_a_way_around() -> None:
    for a in appraise(hourly(truthful(WIRES)), declaration(gateway=False)).values():
        assert a.verdict is Verdict.INCONCLUSIVE
        assert any("can exchange up to 125,000,000 B/s" in reason for reason in a.reasons)


@pytest.mark.parametrize(
    ("hours", "observed"),
    [
        ((0.4, 1.2, 2.0, 2.8, 3.6), True),
        ((0.4, 1.2, 2.0, 2.8), False),
        ((1.2, 2.0, 2.8, 3.6), False),
        ((0.4, 1.2, 2.8, 3.6), False),
        ((0.9, 1.8, 2.7, 3.6), True),
        ((0.9, 1.9, 2.9, 3.9), False),
    ],
)
def test_surveys_must_be_close_enough_over_the_whole_period(hours: tuple[float, ...], observed: bool) -> None:
    """The last case is an hour apart from start to start; between the asking lie up to ten seconds more."""
    expected = Verdict.CONSISTENT if observed else Verdict.NOT_OBSERVED
    assert verdicts(hourly(truthful(WIRES), hours=hours)) == [expected] * 2


def test_a_survey_that_claims_a_long_time_is_worth_less_not_more() -> None:
    filing = Filing()
    for node, told in truthful(WIRES).items():
        filing.file(lldp_text(told), node, 0, lasts_s=4 * 3600)
    assert verdicts(filing) == [Verdict.NOT_OBSERVED] * 2


@pytest.mark.parametrize("silent", ["pod-a", "pod-b", "gateway"])
def test_each_end_must_be_asked(silent: str) -> None:
    told = {node: shown for node, shown in truthful(WIRES).items() if node != silent}
    found = appraise(hourly(told))
    for pod, a in found.items():
        concerned = silent in (pod, "gateway")
        assert a.verdict is (Verdict.NOT_OBSERVED if concerned else Verdict.CONSISTENT), (silent, pod)
        assert not concerned or any(silent in note for note in a.not_checked)


def test_ends_may_be_asked_at_different_times() -> None:
    filing = Filing()
    for node, offset in (("pod-a", 0.0), ("pod-b", 0.3), ("gateway", 0.6)):
        for turn in range(5):
            filing.file(lldp_text(truthful(WIRES)[node]), node, (offset + 0.8 * turn) * 3600)
    assert verdicts(filing) == [Verdict.CONSISTENT] * 2


@pytest.mark.parametrize("change", ["cloned", "impostor"])
def test_identities_that_contradict_each_other_invalidate(change: str) -> None:
    told = {**truthful(WIRES)}
    if change == "cloned":
        told["gateway"] = [told["gateway"][0], ("p2", neighbour("pod-b", "eth0", mac=mac_of("pod-a")))]
    else:
        told["pod-a"] = [("eth0", neighbour("pod-b", "eth5"))]
    assert Verdict.INVALID_EVIDENCE in verdicts(hourly(told))


def test_what_cannot_be_read_is_named_and_is_not_consistent() -> None:
    filing = hourly(truthful(WIRES))
    filing.file(b"\x00 not what lldpcli prints", "pod-a", 3000)
    for a in appraise(filing).values():
        assert a.verdict is Verdict.INCONCLUSIVE
        assert any("cannot be read" in reason for reason in a.reasons)
    alone = Filing()
    alone.file(b"{}", "pod-a", 3000)
    assert verdicts(alone) == [Verdict.NOT_OBSERVED] * 2


def test_strangers_other_times_and_gateways_do_not_report_on_cabling() -> None:
    for reporter, at_s in (("other", 600.0), ("gateway", 600.0), ("rounds", 6 * 3600.0)):
        filing = Filing()
        filing.file(lldp_text(truthful([*WIRES, HIDDEN])["pod-a"]), "pod-a", at_s, reporter=reporter)
        for a in appraise(filing).values():
            assert (a.verdict, a.log_e) == (Verdict.NOT_OBSERVED, None)
            assert any("the survey of pod-a" in note for note in a.not_checked)


def test_a_reporter_speaks_of_its_own_pods() -> None:
    declared = declaration()
    site = declared.sites[0]
    narrow = replace_reporter(declared, pods=("pod-b",))
    assert site.reporters
    found = appraise(hourly(truthful(WIRES)), narrow)
    assert [a.verdict for a in found.values()] == [Verdict.NOT_OBSERVED, Verdict.CONSISTENT]


def replace_reporter(declared: Declaration, **changes: Any) -> Declaration:
    site = declared.sites[0]
    reporters = (site.reporters[0].model_copy(update=changes), *site.reporters[1:])
    return declared.model_copy(update={"sites": (site.model_copy(update={"reporters": reporters}),)})


def test_a_pod_without_declared_cables_is_never_consistent() -> None:
    told = {**truthful(WIRES[1:]), "pod-a": []}
    found = appraise(hourly(told), declaration(WIRES[1:]))
    assert found["pod-a"].verdict is Verdict.INCONCLUSIVE
    assert found["pod-b"].verdict is Verdict.CONSISTENT
    none = appraise(hourly(truthful(WIRES)), declaration(()))
    assert all(a.verdict is Verdict.INCONCLUSIVE for a in none.values())


def test_a_difference_that_is_at_no_pod_concerns_all() -> None:
    """A second way out of the gateway is in no pod's neighbourhood."""
    wires = (*WIRES, ("gateway", "p9", "elsewhere", "1"))
    assert verdicts(hourly(truthful(wires))) == [Verdict.INCONCLUSIVE] * 2


def test_a_rate_that_nobody_saw_is_not_consistent() -> None:
    assert verdicts(hourly(truthful(WIRES, speed=None))) == [Verdict.INCONCLUSIVE] * 2


def test_two_sites_that_use_one_name_differently_are_named() -> None:
    declared = declaration([*WIRES, ("pod-a", "eth1", "pod-a", "eth2")])
    assert set(verdicts(hourly(truthful(WIRES)), declared)) == {Verdict.INCONCLUSIVE, Verdict.CONSISTENT}


def test_the_same_case_gives_the_same_and_shared_work_is_not_needed() -> None:
    filing = hourly(truthful([*WIRES, HIDDEN]))
    first = [a.canonical_bytes() for a in appraise(filing).values()]
    filing.statements.reverse()
    assert first == [a.canonical_bytes() for a in appraise(filing).values()]


EXTRA: tuple[Ends, ...] = (
    HIDDEN,
    ("pod-a", "eth8", "x", "1"),
    ("gateway", "p7", "x", "2"),
    ("pod-b", "eth7", "pod-b", "eth6"),
)


@given(
    st.sets(st.sampled_from(WIRES)) | st.just(set(WIRES)),
    st.just(set()) | st.sets(st.sampled_from(EXTRA), max_size=2),
    st.lists(st.integers(0, 26), max_size=8, unique=True).map(sorted),
)
def test_consistent_only_as_declared_and_only_throughout(laid: set[Ends], extra: set[Ends], moments: list[int]) -> None:
    """Moments are in steps of nine minutes; the least that a period of four hours takes is one survey in each hour."""
    told = {node: truthful(sorted(laid | extra)).get(node, []) for node in ("pod-a", "pod-b", "gateway")}
    found = verdicts(hourly(told, hours=[moment * 0.15 for moment in moments]))
    edges = [0.0, *(moment * 540.0 for moment in moments)]
    latest = [*(moment * 540.0 + 10.0 for moment in moments), 4 * 3600.0]
    throughout = bool(moments) and all(b - a <= EVERY_S for a, b in zip(edges, latest, strict=True))
    as_declared = laid == set(WIRES) and not extra
    assert (found == [Verdict.CONSISTENT] * 2) == (throughout and as_declared)
    if not throughout:
        assert Verdict.CONSISTENT not in found


@given(st.integers(0, 14))
def test_a_statement_less_never_makes_it_consistent(left_out: int) -> None:
    full = hourly(truthful(WIRES))
    less = hourly(truthful(WIRES))
    del less.statements[left_out % len(less.statements)]
    assert verdicts(full) == [Verdict.CONSISTENT] * 2
    assert Verdict.NOT_OBSERVED in verdicts(less)


def test_inputs_are_left_alone() -> None:
    filing = hourly(truthful([*WIRES, HIDDEN]))
    case = filing.case()
    before = (case.declaration.canonical_bytes(), [s.digest for s in case.evidence.reports])
    terms = case.clause.parameters
    assert isinstance(terms, DeclaredCabling)
    assert terms.kind is ClauseKind.DECLARED_CABLING
    appraise_cabling(replace(case, shared={}), terms)
    assert before == (case.declaration.canonical_bytes(), [s.digest for s in case.evidence.reports])
