"""From attestations to assessments: covered, above, changed, contradicted, missing; and windows against their terms."""

from __future__ import annotations

import base64
import copy
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from enforce_bench import BURST, RATE, from_seed, plan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ruleset import as_given, window_of

from inspectorate.agreement import Agreement, LimitEnforced, LoadingWindows, parse_agreement
from inspectorate.assessment import Assessment, Case, Verdict
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import (
    Evidence,
    LimitAttested,
    Origin,
    VerifiedStatement,
    WindowApproved,
    WindowEnd,
    WindowUsed,
    make_statement,
    sign_statement,
    verify_envelope,
)
from inspectorate.keys import Holder, Role, TrustAnchors
from inspectorate.mechanisms.interconnect.appraise.enforced import appraise_enforced
from inspectorate.mechanisms.interconnect.appraise.windows import appraise_windows
from inspectorate.mechanisms.interconnect.enforce import shaping
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan
from inspectorate.mechanisms.interconnect.enforce.ruleset import OpenWindow
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.quantities import Period

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(minutes=10))
GATEWAY = "gateway-1"
CONTENT = "sha256:" + "3" * 64
APPROVERS = ("alice", "bob", "carol")
AGREEMENT = b"""
id: bench
version: 1
title: Bench
parties: [party]
false_accusation_rate: 0.01
assurance_confidence: 0.95
counted_formats: [fp16]
utilisation: {max: 1.0, source: {document: bench}}
clauses:
  - id: enforced
    title: The limit is enforced
    source: {document: bench}
    holds_from: "2020-01-01T00:00:00Z"
    parameters: {kind: limit-enforced, bytes_per_s_max: 500000, burst_bytes_max: 520000, attested_every_s: 30}
  - id: windows
    title: Loading windows
    source: {document: bench}
    holds_from: "2020-01-01T00:00:00Z"
    parameters: {kind: loading-windows, approvals_min: 2, window_bytes_max: 1000000, window_s_max: 60, every_s_min: 120}
"""


def anchor(name: str, seed: int, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "public_key": base64.b64encode(from_seed(seed).public.raw).decode(),
        "holder": Holder.JOINT,
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_until": "2100-01-01T00:00:00Z",
    } | more


ANCHORS = TrustAnchors.model_validate(
    {
        "anchors": [
            anchor("operator", 1, roles=[Role.SENSOR], sensors=[GATEWAY]),
            *(anchor(name, 20 + place, roles=[Role.APPROVAL]) for place, name in enumerate(APPROVERS)),
        ]
    }
)


def snapshot_of(made: LimitPlan, window: OpenWindow | None = None) -> Snapshot:
    """What a kernel would say that runs this plan."""
    queues = [
        part
        for name in made.interfaces
        for part in (
            {"kind": "htb", "dev": name, "root": True, "options": {"default": "0xff"}},
            {"kind": "bfifo", "dev": name, "parent": "1:ff", "options": {"limit": 1}},
        )
    ]
    filters = {name: ["filter parent 1: protocol arp pref 1 u32 chain 0"] for name in made.interfaces}
    links = [{"ifname": name, "flags": ["UP"]} for name in (*made.interfaces, *shaping.shapers(made).values())]
    return Snapshot(rules=as_given(made, window), queues=queues, filters=filters, links=links, forwarding={})


class Told:
    """Statements as they would come out of a bundle, with their payloads."""

    def __init__(self) -> None:
        self.reports: list[VerifiedStatement] = []
        self.payloads: dict[str, bytes] = {}

    def _add(self, predicate: Any, name: str, payload: bytes | None, digest: str, seed: int) -> None:
        if payload is not None:
            self.payloads[digest] = payload
        envelope = sign_statement(make_statement(predicate, {name: digest}), from_seed(seed))
        self.reports.append(verify_envelope(envelope, anchors=ANCHORS, where="test"))

    def attest(self, start_s: float, end_s: float, made: LimitPlan | None = None, **said: Any) -> None:
        window = said.pop("window", None)
        snapshot = snapshot_of(made or plan(), window)
        running = judge(snapshot)
        predicate = LimitAttested.model_validate(
            {
                "origin": Origin.RECORDED,
                "reporter": GATEWAY,
                "period": Period(start=START + timedelta(seconds=start_s), end=START + timedelta(seconds=end_s)),
                "limits": running.limits,
                "others_dropped": not running.faults,
                "unchanged": True,
                "lifted": running.lifted,
            }
            | said
        )
        payload = snapshot.payload()
        self._add(predicate, "ruleset", payload, digest_of(payload), 1)

    def all_the_time(self, made: LimitPlan | None = None, *, every_s: float = 30, **said: Any) -> Told:
        for start in range(0, 600, round(every_s)):
            self.attest(start, start + every_s, made, **said)
        return self

    def approve(self, window: str = "w1", by: tuple[str, ...] = APPROVERS[:2], **said: Any) -> Told:
        for name in by:
            values = {
                "origin": Origin.RECORDED,
                "window": window,
                "reporter": GATEWAY,
                "pod": "pod-a",
                "by": name,
                "content": CONTENT,
                "bytes_max": 900_000,
                "seconds_max": 50.0,
                "valid": PERIOD,
            } | said
            predicate = WindowApproved.model_validate(values)
            self._add(predicate, "content", None, predicate.content, 20 + APPROVERS.index(name))
        return self

    def use(self, window: str = "w1", start_s: float = 100, seconds: float = 40, **said: Any) -> Told:
        start = START + timedelta(seconds=start_s)
        predicate = WindowUsed.model_validate(
            {
                "origin": Origin.RECORDED,
                "reporter": GATEWAY,
                "period": Period(start=start, end=start + timedelta(seconds=seconds)),
                "window": window,
                "pod": "pod-a",
                "bytes_moved": 800_000,
                "bytes_back": 10_000,
                "content": CONTENT,
                "end": WindowEnd.COMPLETE,
            }
            | said
        )
        payload = b'{"window":"%s"}' % window.encode()
        self._add(predicate, "window", payload, digest_of(payload), 1)
        return self


def agreement() -> Agreement:
    return parse_agreement(AGREEMENT, where="test")


def declaration() -> Declaration:
    pods = [
        {"id": f"pod-{name}", "chips": [{"model": "h100-sxm", "count": 8}], "networks": [f"10.77.{n}.0/24"]}
        for name, n in (("a", 1), ("b", 2))
    ]
    site = {
        "id": "site",
        "location": "here",
        "clusters": [{"id": "cluster", "pods": pods}],
        "reporters": [{"id": GATEWAY, "kind": "gateway", "holder": "joint", "pods": ["pod-a", "pod-b"]}],
    }
    return Declaration.model_validate({"id": "d", "party": "party", "period": PERIOD, "sites": [site]})


def case(told: Told, clause: str = "enforced", **changed: Any) -> Case:
    evidence = Evidence(
        streams={},
        custody=(),
        reports=tuple(told.reports),
        problems=(),
        payload=told.payloads.__getitem__,
        simulated=False,
    )
    terms = agreement()
    made = Case(
        agreement=terms,
        clause=next(one for one in terms.clauses if one.id == clause),
        declaration=declaration(),
        evidence=evidence,
        period=PERIOD,
        miss_probability=0.001,
        shared={},
    )
    return replace(made, **changed)


def enforced(told: Told, **changed: Any) -> tuple[Assessment, ...]:
    asked = case(told, **changed)
    assert isinstance(asked.clause.parameters, LimitEnforced)
    return appraise_enforced(asked, asked.clause.parameters)


def windows(told: Told, **changed: Any) -> tuple[Assessment, ...]:
    asked = case(told, "windows", **changed)
    assert isinstance(asked.clause.parameters, LoadingWindows)
    return appraise_windows(asked, asked.clause.parameters)


# --- the limit ---------------------------------------------------------------------------------------------------------


def test_attested_throughout_and_within_is_consistent() -> None:
    found = enforced(Told().all_the_time())
    assert [one.scope.pods for one in found] == [("pod-a",), ("pod-b",)]
    for one in found:
        assert one.verdict is Verdict.CONSISTENT, one.reasons
        assert len(one.evidence_ids) == 20
        assert one.log_e is not None
        assert one.log_e <= 0.01


def test_nothing_attested_is_not_observed_and_has_no_number() -> None:
    for one in (*enforced(Told()), *windows(Told())):
        assert one.verdict is Verdict.NOT_OBSERVED
        assert one.log_e in (None, 0.0)
        assert (one.evidence_ids, one.hidden, one.joining, one.assumptions) == ((), (), (), ())


def test_a_doubled_limit_is_found() -> None:
    told = Told().all_the_time(plan(rate=2 * RATE, burst=2 * BURST))
    for one in enforced(told):
        assert one.verdict is Verdict.INCONCLUSIVE
        assert one.log_e is not None
        assert one.log_e > math.log(2 / 0.01), "both clauses share the false-accusation rate"
        assert "1,000,000 B/s against 500,000" in " ".join(one.reasons)


@pytest.mark.parametrize("which", [0, 10, 19])
def test_one_attestation_above_is_enough_whenever_it_comes(which: int) -> None:
    told = Told()
    for place in range(20):
        told.attest(30 * place, 30 * place + 30, plan(rate=2 * RATE, burst=2 * BURST) if place == which else plan())
    for one in enforced(told):
        assert one.log_e is not None
        assert one.log_e > math.log(2 / 0.01)
        assert one.scope.period.start == START + timedelta(seconds=30 * which)


@pytest.mark.parametrize(
    ("said", "verdict", "why"),
    [
        ({"unchanged": False}, Verdict.INCONCLUSIVE, "changed the rules"),
        ({"others_dropped": False}, Verdict.INVALID_EVIDENCE, "says otherwise than its ruleset"),
        ({"limits": ()}, Verdict.INVALID_EVIDENCE, "does not have"),
        ({"lifted": ("pod-a",)}, Verdict.INVALID_EVIDENCE, "what is lifted"),
    ],
)
def test_a_statement_that_says_otherwise_than_its_payload_or_that_rules_changed(
    said: dict[str, Any], verdict: Verdict, why: str
) -> None:
    told = Told()
    for place in range(20):
        told.attest(30 * place, 30 * place + 30, **(copy.copy(said) if place == 7 else {}))
    one = enforced(told)[0]
    assert one.verdict is verdict
    assert why in " ".join(one.reasons)


def test_a_pod_that_is_not_in_the_ruleset_is_not_held_by_it() -> None:
    alone = LimitPlan(gateway="g", outside=("to-out",), pods=plan().pods[:1])
    one, other = enforced(Told().all_the_time(alone))
    assert one.verdict is Verdict.CONSISTENT
    assert other.verdict is Verdict.INCONCLUSIVE
    assert "no limit for it" in other.reasons[0]


def test_two_different_attestations_for_one_time_are_a_contradiction() -> None:
    told = Told().all_the_time()
    told.attest(60, 90, plan(rate=RATE // 2))
    assert {one.verdict for one in enforced(told)} == {Verdict.INVALID_EVIDENCE}


@pytest.mark.parametrize(
    ("start_s", "end_s", "covered"), [(90, 119, True), (90, 121, False), (0, 31, False), (560, 600, False)]
)
def test_a_gap_longer_than_agreed_is_not_observed(start_s: int, end_s: int, covered: bool) -> None:
    told = Told()
    told.attest(0, 0.5) if start_s > 0 else None
    for first, last in ((0, start_s), (end_s, 600)):
        at = first
        while at < last:
            told.attest(at, min(at + 30, last))
            at += 30
    expected = Verdict.CONSISTENT if covered else Verdict.NOT_OBSERVED
    assert {one.verdict for one in enforced(told)} == {expected}


def test_one_statement_for_a_long_time_covers_only_its_end() -> None:
    told = Told()
    told.attest(0, 600)
    one = enforced(told)[0]
    assert one.verdict is Verdict.NOT_OBSERVED
    assert "12:00:00–12:09:30" in " ".join(one.reasons)


def test_a_reporter_speaks_for_its_own_pods_only() -> None:
    told = Told().all_the_time()
    less = declaration().model_dump(mode="json")
    less["sites"][0]["reporters"][0]["pods"] = ["pod-a"]
    one, other = enforced(told, declaration=Declaration.model_validate(less))
    assert (one.verdict, other.verdict) == (Verdict.CONSISTENT, Verdict.NOT_OBSERVED)
    assert "no gateway is declared" in other.reasons[0]


# --- windows -----------------------------------------------------------------------------------------------------------


def test_no_window_at_all_is_consistent_where_the_limit_was_attested() -> None:
    for one in windows(Told().all_the_time()):
        assert one.verdict is Verdict.CONSISTENT
        assert one.log_e == 0.0


def test_an_approved_window_is_consistent() -> None:
    told = Told().all_the_time().approve().use()
    one, other = windows(told)
    assert (one.verdict, other.verdict) == (Verdict.CONSISTENT, Verdict.CONSISTENT), one.reasons
    assert "1 windows" in one.reasons[0]
    assert one.exhibits[0].rows[0][0] == "w1"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (lambda: Told().use(), "0 approvers"),
        (lambda: Told().approve(by=("alice",)).use(), "1 approvers"),
        (lambda: Told().approve(by=("alice",)).approve(by=("alice",)).use(), "1 approvers"),
        (lambda: Told().approve(by=("alice",)).approve(by=("bob",), bytes_max=900_001).use(), "1 approvers"),
        (lambda: Told().approve(reporter="gateway-2").use(), "0 approvers"),
        (lambda: Told().approve(pod="pod-b").use(), "0 approvers"),
        (lambda: Told().approve().use(bytes_moved=900_001), "900 kB approved"),
        (lambda: Told().approve(bytes_max=2_000_000).use(bytes_moved=1_000_001), "are more than 1 MB"),
        (lambda: Told().approve().use(seconds=52), "longer than the 50 s approved"),
        (lambda: Told().approve(seconds_max=99).use(seconds=62), "longer than 60 s"),
        (lambda: Told().approve().use(content="sha256:" + "4" * 64), "not what was approved"),
        (lambda: Told().approve().use(content=None), "without the digest"),
        (lambda: Told().approve(valid=Period(start=START, end=START + timedelta(seconds=99))).use(), "approved for"),
        (lambda: Told().approve().use().use(start_s=300, seconds=39), "used more than once"),
        (lambda: Told().approve().use().approve("w2").use("w2", start_s=210), "less than 120 s"),
    ],
)
def test_a_window_that_broke_a_term_is_evidence(told: Any, why: str) -> None:
    one, other = windows(told().all_the_time())
    assert one.verdict is Verdict.INCONCLUSIVE
    assert why in " ".join(one.reasons)
    assert one.log_e is not None
    assert one.log_e > math.log(2 / 0.01)
    assert (other.verdict, other.log_e) == (Verdict.CONSISTENT, 0.0)


def test_lifted_without_a_report_is_a_contradiction() -> None:
    lifted = window_of(plan())
    told = Told()
    for place in range(20):
        told.attest(30 * place, 30 * place + 30, window=lifted if place == 5 else None)
    assert windows(told)[0].verdict is Verdict.INVALID_EVIDENCE
    assert enforced(told)[0].verdict is Verdict.INCONCLUSIVE
    reported = told.approve().use(start_s=155, seconds=20)
    assert windows(reported)[0].verdict is Verdict.CONSISTENT
    assert enforced(reported)[0].verdict is Verdict.CONSISTENT


def test_a_window_without_attestations_is_not_consistent() -> None:
    one = windows(Told().approve().use())[0]
    assert one.verdict is Verdict.NOT_OBSERVED


def test_a_window_that_never_opened_breaks_nothing() -> None:
    told = Told().all_the_time().use(bytes_moved=0, content=None, end=WindowEnd.CONTENT)
    assert windows(told)[0].verdict is Verdict.CONSISTENT


@given(keep=st.lists(st.booleans(), min_size=24, max_size=24))
@settings(max_examples=40)
def test_less_evidence_never_makes_a_pod_consistent_and_never_changes_who_is_named(keep: list[bool]) -> None:
    """An oracle by seconds: consistent exactly if no uncovered stretch is longer than 30 s."""
    told = Told()
    covered = [False] * 600
    for place, kept in enumerate(keep):
        if kept:
            told.attest(25 * place, 25 * place + 25)
            for second in range(25 * place, 25 * place + 25):
                covered[second] = True
    longest = max((len(run) for run in "".join("x" if c else "." for c in covered).split("x")), default=0)
    found = enforced(told)
    assert [one.scope.pods for one in found] == [("pod-a",), ("pod-b",)]
    expected = Verdict.CONSISTENT if longest <= 30 and any(keep) else Verdict.NOT_OBSERVED
    assert {one.verdict for one in found} == {expected}
