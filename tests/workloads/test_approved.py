"""`approved-workloads` on simulated sites: what is said of honest pods, of pods that train, and where something is missing."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from inspectorate.agreement import ApprovedWorkloads, Clause, ClauseKind, load_agreement
from inspectorate.assessment import Assessment, Case, Verdict
from inspectorate.declaration import ChipGroup, Declaration
from inspectorate.evidence import Bundle, Evidence, Memory, WorkloadEnrolled, read_statements, receive
from inspectorate.mechanisms.workloads.appraise import WORKLOADS
from inspectorate.worlds import World, build_world

AGREEMENT = "inference-only-approved"


@cache
def world(name: str) -> World:
    return build_world(name, 1, agreement=load_agreement(AGREEMENT))


@cache
def evidence_of(name: str) -> Evidence:
    made = world(name)
    bundle = Bundle.check(Memory(made.contents), anchors=made.anchors)
    statements, _ = read_statements(bundle, anchors=made.anchors)
    declaration = made.declaration
    return receive(bundle, statements, not_logged={}, sensors=declaration.observers, period=declaration.period)


def clause_of(name: str, **changes: Any) -> Clause:
    clause = next(c for c in world(name).agreement.clauses if c.kind is ClauseKind.APPROVED_WORKLOADS)
    assert isinstance(clause.parameters, ApprovedWorkloads)
    return clause.model_copy(update={"parameters": clause.parameters.model_copy(update=changes)})


def appraise(
    name: str = "honest",
    *,
    evidence: Evidence | None = None,
    declaration: Declaration | None = None,
    **changes: Any,
) -> dict[str, Assessment]:
    made = world(name)
    declared = declaration or made.declaration
    case = Case(
        agreement=made.agreement,
        clause=clause_of(name, **changes),
        declaration=declared,
        evidence=evidence or evidence_of(name),
        period=declared.period,
        miss_probability=0.001,
        shared={},
    )
    return {a.scope.pods[0]: a for a in WORKLOADS.appraise(case)}


def verdicts(found: dict[str, Assessment]) -> set[Verdict]:
    return {one.verdict for one in found.values()}


def said(found: dict[str, Assessment]) -> str:
    return " | ".join(reason for one in found.values() for reason in one.reasons)


def with_claims(**changes: Any) -> Declaration:
    declaration = world("honest").declaration
    claims = tuple(claim.model_copy(update=changes) for claim in declaration.claims)
    return declaration.model_copy(update={"claims": claims})


def test_honest_pods_stay_close_to_what_was_enrolled() -> None:
    found = appraise()
    assert set(found) == {pod.id for pod in world("honest").declaration.pods}
    assert verdicts(found) == {Verdict.CONSISTENT}
    assert all(one.log_e is not None and one.log_e < 1 for one in found.values())


def test_pods_that_train_deviate_and_the_others_do_not() -> None:
    made = world("ddp")
    found = appraise("ddp")
    deviate = {pod for pod, one in found.items() if any("deviate" in reason for reason in one.reasons)}
    assert deviate == set(made.truth.guilty)
    assert set(found) - deviate
    for pod, one in found.items():
        expected = Verdict.INCONCLUSIVE if pod in deviate else Verdict.CONSISTENT
        assert one.verdict is expected, "a deviation calls for a review and accuses nobody"
        assert one.hidden == () or pod not in deviate


def test_the_distance_over_time_is_shown_against_the_threshold() -> None:
    found = appraise("ddp")
    for pod, one in found.items():
        series = next(exhibit for exhibit in one.exhibits if exhibit.id == f"approved-{pod}")
        assert series.limit is not None
        above = [row for row in series.rows if isinstance(row[1], float) and row[1] > series.limit]
        assert bool(above) == (pod in world("ddp").truth.guilty)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"valid_s_max": 1.0}, "expired"),
        ({"kinds": ("training",)}, "no kind of workload"),
        ({"enrolled_runs_min": 1000}, "the agreement asks for 1000"),
        ({"window_s": 30.0}, "windows are of 60 s"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_signature_that_does_not_count_is_as_good_as_none(changes: dict[str, Any], why: str) -> None:
    found = appraise(**changes)
    assert verdicts(found) == {Verdict.NOT_OBSERVED}
    assert why in said(found)


def test_an_enrolment_that_is_too_short_for_the_rate_is_inconclusive() -> None:
    found = appraise(false_alarms_per_device_hour_max=1e-4)
    assert verdicts(found) == {Verdict.INCONCLUSIVE}
    assert "false alarms per" in said(found)


def test_claims_that_name_no_workload_or_another_are_not_observed() -> None:
    assert verdicts(appraise(declaration=with_claims(workload=None))) == {Verdict.NOT_OBSERVED}
    other = appraise(declaration=with_claims(workload="something-else"))
    assert verdicts(other) == {Verdict.NOT_OBSERVED}
    assert "something-else" in said(other)


def test_two_claims_on_one_pod_at_one_time_are_none() -> None:
    declaration = world("honest").declaration
    first = declaration.claims[0]
    twice = declaration.model_copy(update={"claims": (*declaration.claims, first.model_copy(update={"id": "again"}))})
    found = appraise(declaration=twice)
    assert all(found[pod].verdict is Verdict.NOT_OBSERVED for pod in first.pods)
    assert "by several" in said(found)


def test_other_code_than_was_enrolled_calls_for_another_enrolment() -> None:
    found = appraise(declaration=with_claims(code="sha256:" + "0" * 64))
    assert verdicts(found) == {Verdict.INCONCLUSIVE}
    assert "enrol again" in said(found)
    assert all(one.hidden == () for one in found.values())


def test_a_claim_without_code_leaves_it_unchecked() -> None:
    found = appraise(declaration=with_claims(code=None))
    assert all(any("which code ran" in text for text in one.not_checked) for one in found.values())


def test_reference_telemetry_that_was_changed_is_invalid_evidence() -> None:
    evidence = evidence_of("honest")
    closing = next(s for s in evidence.reports if isinstance(s.predicate, WorkloadEnrolled))
    reference = next(s.digest_text for s in closing.statement.subject if s.name == "reference")

    def changed(digest: str) -> bytes:
        data = evidence.payload(digest)
        return data[:-1] + b"\0" if digest == reference else data

    found = appraise(evidence=replace(evidence, payload=changed))
    assert Verdict.INVALID_EVIDENCE in verdicts(found)
    assert all(not one.hidden for one in found.values())


def test_without_telemetry_or_without_signatures_nothing_is_observed() -> None:
    evidence = evidence_of("honest")
    for less in (replace(evidence, streams={}), replace(evidence, reports=())):
        found = appraise(evidence=less)
        assert verdicts(found) == {Verdict.NOT_OBSERVED}
        assert all((one.hidden, one.evidence_ids) == ((), ()) or not one.hidden for one in found.values())


def test_a_gap_in_the_telemetry_of_a_pod_is_not_observed() -> None:
    evidence = evidence_of("honest")
    pod = world("honest").declaration.pods[0].id
    holed = {
        name: replace(stream, segments=stream.segments[:5] + stream.segments[9:]) if pod in name else stream
        for name, stream in evidence.streams.items()
    }
    found = appraise(evidence=replace(evidence, streams=holed))
    assert found[pod].verdict is Verdict.NOT_OBSERVED
    assert any("were not observed" in reason for reason in found[pod].reasons)
    assert {one.verdict for name, one in found.items() if name != pod} == {Verdict.CONSISTENT}


def test_other_chips_than_were_enrolled_need_another_enrolment() -> None:
    declaration = world("honest").declaration
    site = declaration.sites[0]
    pods = tuple(
        pod.model_copy(update={"chips": (ChipGroup(model="h100-sxm", count=8),)}) for pod in site.clusters[0].pods
    )
    changed = site.model_copy(update={"clusters": (site.clusters[0].model_copy(update={"pods": pods}),)})
    found = appraise(declaration=declaration.model_copy(update={"sites": (changed,)}))
    assert verdicts(found) == {Verdict.NOT_OBSERVED}
    assert "it was enrolled on" in said(found)
