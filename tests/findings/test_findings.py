"""From assessments to findings: merging, alarms, naming, severity, dissent, and thresholds that change over time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.account import Account, take_account
from inspectorate.agreement import Agreement
from inspectorate.assessment import Assessment, HiddenBound, Joining, Scope, Verdict
from inspectorate.findings import Finding, fuse
from inspectorate.quantities import Period

START = datetime(2026, 3, 1, tzinfo=UTC)
PERIOD = Period(start=START, end=START + timedelta(hours=1))
SOURCE = {"document": "a document", "article": "1"}
LIMIT = {"kind": "interconnect-limit", "bytes_per_s_max": 1e3, "averaging_s": 10.0, "tolerance": 0.0}
ISOLATION = {"kind": "pod-isolation", "allowance_bytes_per_s": 1.0, "averaging_s": 10.0}
EXCHANGE = {"kind": "coordinated-exchange", "averaging_s": 10.0}
PROCEDURE = {"kind": "procedure", "duty": "keep a register"}
HIDDEN = {"kind": "hidden-training", "thresholds": ["big", "small"]}
RATE = 0.001
"""False-accusation rate of all agreements below."""


def clause(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    since = START - timedelta(days=900)
    return {"id": name, "title": f"Clause {name}", "source": SOURCE, "holds_from": since, "parameters": parameters}


def threshold(name: str, flop: float, since: datetime, until: datetime | None = None) -> dict[str, Any]:
    return {
        "id": name, "kind": "training", "flop_max": flop, "consequence": "banned", "source": SOURCE,
        "holds_from": since, "holds_until": until,
    }  # fmt: skip


def agreement(*clauses: dict[str, Any], thresholds: tuple[dict[str, Any], ...] = ()) -> Agreement:
    always = (threshold("big", 1e9, START - timedelta(days=900)), threshold("small", 1e3, START - timedelta(days=900)))
    return Agreement.model_validate(
        {
            "id": "test", "version": 1, "title": "A test", "parties": ["p"],
            "false_accusation_rate": RATE, "assurance_confidence": 0.99, "counted_formats": ["fp16"],
            "utilisation": {"max": 0.5, "source": SOURCE}, "clauses": clauses, "thresholds": thresholds or always,
        }
    )  # fmt: skip


def assess(
    pod: str, verdict: Verdict = Verdict.CONSISTENT, log_e: float | None = 0.0, *, about: str = "limit", **more: Any
) -> Assessment:
    fields = {
        "clause": about, "mechanism": "m", "scope": Scope(pods=(pod,), period=PERIOD), "verdict": verdict,
        "log_e": log_e, "evidence_ids": ("e",), "reasons": (f"reason of {pod}",),
    }  # fmt: skip
    return Assessment.model_validate({**fields, **more})


def account(rate: float = 0.0) -> Account:
    return take_account((), capacities={"a": rate}, period=PERIOD, interval_s=3600.0, confidence=0.99)


def finding(*assessments: Assessment, terms: Agreement | None = None) -> Finding:
    terms = terms or agreement(clause("limit", LIMIT))
    return fuse(terms, assessments, account(), as_of=START)[0]


# --- verdicts ----------------------------------------------------------------------------------------------------------

SEVERITY = {
    "all consistent": ([Verdict.CONSISTENT, Verdict.CONSISTENT], Verdict.CONSISTENT),
    "one inconclusive": ([Verdict.CONSISTENT, Verdict.INCONCLUSIVE], Verdict.INCONCLUSIVE),
    "not observed is worse than inconclusive": ([Verdict.INCONCLUSIVE, Verdict.NOT_OBSERVED], Verdict.NOT_OBSERVED),
    "invalid evidence is worse than not observed": (
        [Verdict.NOT_OBSERVED, Verdict.INVALID_EVIDENCE, Verdict.CONSISTENT], Verdict.INVALID_EVIDENCE,
    ),
    "inconsistent without an e-value is inconclusive": ([Verdict.CONSISTENT, Verdict.INCONSISTENT], Verdict.INCONCLUSIVE),
    "inconsistent without an e-value hides nothing worse": (
        [Verdict.INCONSISTENT, Verdict.NOT_OBSERVED], Verdict.NOT_OBSERVED,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("verdicts", "expected"), SEVERITY.values(), ids=SEVERITY)
def test_bad_news_is_never_outvoted(verdicts: list[Verdict], expected: Verdict) -> None:
    many = [assess(f"pod-{i}", verdict, None) for i, verdict in enumerate(verdicts)]
    for order in (many, many[::-1]):
        assert finding(*order).verdict is expected


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=8))
def test_consistent_means_that_all_are_consistent(verdicts: list[Verdict]) -> None:
    found = finding(*(assess(f"pod-{i}", verdict) for i, verdict in enumerate(verdicts)))
    assert (found.verdict is Verdict.CONSISTENT) == all(v is Verdict.CONSISTENT for v in verdicts)
    assert found.verdict is not Verdict.INCONSISTENT


def test_zero_assessments_are_not_observed() -> None:
    found = finding()
    assert found.verdict is Verdict.NOT_OBSERVED
    assert found.strength is None
    assert found.missing == ("a mechanism that appraises clauses of kind interconnect-limit",)


def test_assessments_of_other_clauses_do_not_count() -> None:
    assert finding(assess("pod-a", about="another")).verdict is Verdict.NOT_OBSERVED


def test_a_verdict_has_no_truth_value() -> None:
    for verdict in Verdict:
        with pytest.raises(TypeError, match="neither true nor false"):
            bool(verdict)


# --- alarms ------------------------------------------------------------------------------------------------------------


def alarm_at(clauses: int) -> float:
    return math.log(clauses / RATE)


@pytest.mark.parametrize(
    ("clauses", "alarming"),
    [
        ([clause("limit", LIMIT)], 1),
        ([clause("limit", LIMIT), clause("iso", ISOLATION)], 2),
        ([clause("limit", LIMIT), clause("iso", ISOLATION), clause("ex", EXCHANGE)], 3),
        ([clause("limit", LIMIT), clause("duty", PROCEDURE), clause("hidden", HIDDEN)], 1),
    ],
    ids=["one", "two", "three", "those that cannot alarm do not share"],
)
def test_each_clause_that_can_alarm_has_its_share_of_the_rate(clauses: list[dict[str, Any]], alarming: int) -> None:
    found = finding(assess("pod-a"), terms=agreement(*clauses))
    assert found.strength is not None
    assert found.strength.log_e_alarm == pytest.approx(alarm_at(alarming))


@pytest.mark.parametrize(("above", "verdict"), [(-1e-6, Verdict.CONSISTENT), (1e-6, Verdict.INCONSISTENT)])
def test_an_alarm_is_at_the_agreed_rate(above: float, verdict: Verdict) -> None:
    assert finding(assess("pod-a", log_e=alarm_at(1) + above)).verdict is verdict


def test_evidence_is_the_mean_of_e_values() -> None:
    found = finding(assess("pod-a", log_e=math.log(40.0)), assess("pod-b", log_e=0.0), assess("pod-c", log_e=None))
    assert found.strength is not None
    assert found.strength.log_e == pytest.approx(math.log((40 + 1 + 1) / 3))


def test_innocent_pods_dilute_an_alarm_and_an_assessment_without_evidence_counts_as_one() -> None:
    guilty = assess("pod-a", log_e=alarm_at(1) + 0.1)
    assert finding(guilty).verdict is Verdict.INCONSISTENT
    assert finding(guilty, assess("pod-b", Verdict.NOT_OBSERVED, None)).verdict is not Verdict.INCONSISTENT


def test_an_alarm_outranks_invalid_evidence() -> None:
    found = finding(assess("pod-a", log_e=50.0), assess("pod-b", Verdict.INVALID_EVIDENCE, None))
    assert found.verdict is Verdict.INCONSISTENT


def test_a_clause_that_cannot_alarm_does_not() -> None:
    found = finding(assess("pod-a", about="duty", log_e=500.0), terms=agreement(clause("duty", PROCEDURE)))
    assert found.verdict is Verdict.CONSISTENT


def test_only_scopes_whose_own_evidence_reaches_the_alarm_are_named() -> None:
    many = [assess(f"pod-{i}") for i in range(8)] + [assess("guilty-1", log_e=30.0), assess("guilty-2", log_e=25.0)]
    found = finding(*many)
    assert found.verdict is Verdict.INCONSISTENT
    assert [scope.pods for scope in found.named] == [("guilty-1",), ("guilty-2",)]
    assert found.reasons == ("reason of guilty-1", "reason of guilty-2")


def test_nobody_is_named_without_an_alarm() -> None:
    """Evidence that would name a pod by itself, but not among so many."""
    found = finding(assess("pod-x", log_e=alarm_at(1) + 0.1), *(assess(f"pod-{i}") for i in range(20)))
    assert found.verdict is not Verdict.INCONSISTENT
    assert found.named == ()


def test_an_alarm_of_many_together_may_name_nobody() -> None:
    each = alarm_at(1) + 0.01
    found = finding(*(assess(f"pod-{i}", log_e=each) for i in range(3)))
    assert found.verdict is Verdict.INCONSISTENT
    assert found.reasons


@given(st.lists(st.floats(-20, 60), min_size=1, max_size=8))
def test_an_alarm_is_exactly_what_the_mean_reaches(log_es: list[float]) -> None:
    found = finding(*(assess(f"pod-{i}", log_e=value) for i, value in enumerate(log_es)))
    mean = sum(math.exp(value) for value in log_es) / len(log_es)
    if not math.isclose(mean, 1 / RATE, rel_tol=1e-9):
        assert (found.verdict is Verdict.INCONSISTENT) == (mean > 1 / RATE)


# --- what goes with a verdict ------------------------------------------------------------------------------------------


def test_dissent_is_what_says_otherwise() -> None:
    found = finding(assess("pod-a"), assess("pod-b", Verdict.NOT_OBSERVED), assess("pod-c"))
    assert found.verdict is Verdict.NOT_OBSERVED
    assert found.reasons == ("reason of pod-b",)
    assert found.dissent == (
        "m, pod-a: consistent: reason of pod-a",
        "m, pod-c: consistent: reason of pod-c",
    )


def test_what_was_not_checked_is_listed_once() -> None:
    gap = {"not_checked": ("hour 3",)}
    assert finding(assess("pod-a", **gap), assess("pod-b", **gap)).missing == ("hour 3",)


def test_thousands_of_assessments_take_no_time_to_speak_of() -> None:
    many = [assess(f"pod-{i:05d}", Verdict.CONSISTENT if i % 2 else Verdict.INCONCLUSIVE) for i in range(4000)]
    found = finding(*many)
    assert len(found.dissent) == 2000
    assert len(found.reasons) == 2000


def test_there_is_one_finding_per_clause_in_their_order() -> None:
    terms = agreement(clause("limit", LIMIT), clause("duty", PROCEDURE), clause("hidden", HIDDEN))
    found = fuse(terms, (assess("pod-a"),), account(), as_of=START)
    assert [f.clause for f in found] == ["limit", "duty", "hidden"]
    assert all(f.as_of == START and f.source == c.source for f, c in zip(found, terms.clauses, strict=True))


# --- thresholds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flop", "excluded", "verdict"),
    [
        (0.0, [True, True], Verdict.CONSISTENT),
        (1e3, [True, True], Verdict.CONSISTENT),
        (1e6, [True, False], Verdict.INCONCLUSIVE),
        (1e12, [False, False], Verdict.INCONCLUSIVE),
    ],
    ids=["nothing hidden", "exactly the threshold", "between", "above"],
)
def test_thresholds_are_compared_with_the_largest_hidden_run(
    flop: float, excluded: list[bool], verdict: Verdict
) -> None:
    terms = agreement(clause("hidden", HIDDEN))
    found = fuse(terms, (), account(flop / 3600), as_of=START)[0]
    assert [answer.excluded for answer in found.thresholds] == excluded
    assert found.verdict is verdict
    assert len(found.reasons) == 2


def test_an_old_date_uses_the_old_threshold() -> None:
    change = START + timedelta(days=10)
    terms = agreement(
        clause("hidden", {"kind": "hidden-training", "thresholds": ["big"]}),
        thresholds=(
            threshold("big", 1e9, START - timedelta(days=900), change),
            threshold("big", 1e6, change),
        ),
    )
    run = account(1e8 / 3600)
    for day, flop, verdict in ((9, 1e9, Verdict.CONSISTENT), (10, 1e6, Verdict.INCONCLUSIVE)):
        as_of = START + timedelta(days=day)
        found = fuse(terms.on(as_of), (), run, as_of=as_of)[0]
        assert [answer.flop_max for answer in found.thresholds] == [flop]
        assert found.verdict is verdict


def test_no_threshold_in_force_is_not_observed() -> None:
    later = START + timedelta(days=10)
    terms = agreement(
        clause("hidden", HIDDEN), thresholds=(threshold("big", 1e9, later), threshold("small", 1e3, later))
    )
    found = fuse(terms.on(START), (), account(), as_of=START)[0]
    assert found.verdict is Verdict.NOT_OBSERVED
    assert found.missing == (
        "threshold big does not hold on 2026-03-01",
        "threshold small does not hold on 2026-03-01",
    )


def test_a_threshold_that_does_not_hold_yet_is_named_beside_one_that_does() -> None:
    terms = agreement(
        clause("hidden", HIDDEN),
        thresholds=(threshold("big", 1e9, START), threshold("small", 1e3, START + timedelta(days=1))),
    )
    found = fuse(terms.on(START), (), account(), as_of=START)[0]
    assert [answer.threshold for answer in found.thresholds] == ["big"]
    assert found.missing == ("threshold small does not hold on 2026-03-01",)


# --- the records that carry it -----------------------------------------------------------------------------------------

SCOPE = Scope(pods=("a", "b"), period=PERIOD)
UNSOUND = {
    "consistent without evidence": lambda: assess("a", evidence_ids=()),
    "no reason": lambda: assess("a", reasons=()),
    "an e-value that is no number": lambda: assess("a", log_e=math.nan),
    "pods out of order": lambda: Scope(pods=("b", "a"), period=PERIOD),
    "a pod twice": lambda: Scope(pods=("a", "a"), period=PERIOD),
    "no pod": lambda: Scope(pods=(), period=PERIOD),
    "no bound": lambda: HiddenBound(statement="s", miss_probability=0.0, scope=SCOPE),
    "two bounds": lambda: HiddenBound(statement="s", miss_probability=0.0, scope=SCOPE, share_max=0.5, flop_max=1.0),
    "a share above one": lambda: HiddenBound(statement="s", miss_probability=0.0, scope=SCOPE, share_max=1.5),
    "a certain miss": lambda: HiddenBound(statement="s", miss_probability=1.0, scope=SCOPE, share_max=0.5),
    "a first pod that gives less than all": lambda: join((0.9, 0.1)),
    "contributions that rise": lambda: join((1.0, 0.1, 0.2)),
    "a pod without a contribution": lambda: join((1.0,)),
}


def join(contributions: tuple[float, ...]) -> Joining:
    return Joining(
        statement="s", miss_probability=0.0, scope=SCOPE, bytes_per_s_max=1.0, contributions=contributions, rule="r"
    )


@pytest.mark.parametrize("build", UNSOUND.values(), ids=UNSOUND)
def test_what_makes_no_sense_cannot_be_built(build: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's ValidationError, whatever its words
        build()
