"""The contract of a mechanism, run over every one in the registry.

The evidence is that of simulated sites: what matters here is not what it shows but what a mechanism may do with it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import pytest

from inspectorate.account import take_account
from inspectorate.agreement import Clause, ClauseKind, Procedure, load_agreement
from inspectorate.assessment import Assessment, Case, Mechanism, Verdict
from inspectorate.declaration import Declaration
from inspectorate.evidence import Bundle, Evidence, Memory, read_statements, receive
from inspectorate.findings import ALARMING_KINDS
from inspectorate.review import MECHANISMS
from inspectorate.statistics import LOG_E_MAX, LOG_E_MIN
from inspectorate.worlds import World, build_world

WORLDS = ("honest", "ddp", "silenced-exporter")
AGREEMENTS = {
    "interconnect": "inference-only-enforced",
    "workloads": "inference-only-approved",
    "guarantee": "inference-only-guarded",
    "inspection": "inference-only-inspected",
    "whistleblowing": "inference-only-heard",
    "interviews": "inference-only-heard",
    "custody": "inference-only-kept",
}
"""By mechanism: the shipped agreement with a clause of every kind that it appraises."""
OBSERVED_S = 240
"""Enough for every kind of assessment; the contract does not depend on what was seen."""


@cache
def world(mechanism: Mechanism, name: str) -> World:
    return build_world(name, 1, observed_s=OBSERVED_S, agreement=load_agreement(AGREEMENTS[mechanism.name]))


@cache
def evidence_of(mechanism: Mechanism, name: str) -> Evidence:
    made = world(mechanism, name)
    bundle = Bundle.check(Memory(made.contents), anchors=made.anchors)
    statements, _ = read_statements(bundle, anchors=made.anchors)
    declaration = made.declaration
    return receive(bundle, statements, not_logged={}, sensors=declaration.observers, period=declaration.period)


def no_evidence(declaration: Declaration) -> Evidence:
    def nothing(digest: str) -> bytes:
        raise AssertionError(f"asked for the payload {digest} of no evidence")

    assert declaration.pods
    return Evidence(streams={}, custody=(), problems=(), payload=nothing, simulated=False)


def case_of(mechanism: Mechanism, name: str, clause: Clause, evidence: Evidence) -> Case:
    made = world(mechanism, name)
    return Case(
        agreement=made.agreement,
        clause=clause,
        declaration=made.declaration,
        evidence=evidence,
        period=made.declaration.period,
        miss_probability=0.001,
        shared={},
        platforms=made.anchors.platforms,
        landmarks=made.anchors.landmarks,
    )


def clauses_of(mechanism: Mechanism, name: str = "honest") -> list[Clause]:
    return [clause for clause in world(mechanism, name).agreement.clauses if clause.kind in mechanism.clause_kinds]


def appraise_all(mechanism: Mechanism, name: str, evidence: Evidence) -> tuple[Assessment, ...]:
    return tuple(
        a
        for clause in clauses_of(mechanism, name)
        for a in mechanism.appraise(case_of(mechanism, name, clause, evidence))
    )


def largest_run(mechanism: Mechanism, name: str, assessments: tuple[Assessment, ...]) -> float:
    made = world(mechanism, name)
    terms = made.agreement
    rates = {p.id: p.peak_flop_per_s(terms.counted_formats) * terms.utilisation.max for p in made.declaration.pods}
    return take_account(
        assessments,
        capacities=rates,
        period=made.declaration.period,
        interval_s=60.0,
        confidence=terms.assurance_confidence,
    ).hidden_flop_max


mechanisms = pytest.mark.parametrize("mechanism", MECHANISMS, ids=lambda m: m.name)
worlds = pytest.mark.parametrize("name", WORLDS)


def test_mechanisms_have_distinct_names() -> None:
    assert len({m.name for m in MECHANISMS}) == len(MECHANISMS) > 0


@mechanisms
def test_it_says_what_it_can_and_cannot_establish(mechanism: Mechanism) -> None:
    assert mechanism.clause_kinds <= set(ClauseKind)
    assert mechanism.clause_kinds
    assert min(len(mechanism.establishes), len(mechanism.cannot_establish)) > 20


@mechanisms
def test_the_worlds_here_have_a_clause_of_each_of_its_kinds(mechanism: Mechanism) -> None:
    assert {clause.kind for clause in clauses_of(mechanism)} == mechanism.clause_kinds


@mechanisms
@worlds
def test_the_same_case_gives_the_same_assessments(mechanism: Mechanism, name: str) -> None:
    first = appraise_all(mechanism, name, evidence_of(mechanism, name))
    second = appraise_all(mechanism, name, evidence_of(mechanism, name))
    assert [a.canonical_bytes() for a in first] == [a.canonical_bytes() for a in second]


@mechanisms
@worlds
def test_shared_work_changes_nothing(mechanism: Mechanism, name: str) -> None:
    """Clauses of one review share decoded streams; in whichever order they are asked, the answers are the same."""
    shared: dict[str, object] = {}
    together: dict[str, tuple[Assessment, ...]] = {}
    for clause in reversed(clauses_of(mechanism, name)):
        case = replace(case_of(mechanism, name, clause, evidence_of(mechanism, name)), shared=shared)
        together[clause.id] = mechanism.appraise(case)
    for clause in clauses_of(mechanism, name):
        assert mechanism.appraise(case_of(mechanism, name, clause, evidence_of(mechanism, name))) == together[clause.id]


@mechanisms
@worlds
def test_it_does_not_change_its_inputs(mechanism: Mechanism, name: str) -> None:
    evidence = evidence_of(mechanism, name)
    before = copy.deepcopy(
        (dict(evidence.streams), evidence.problems, evidence.custody, world(mechanism, name).declaration)
    )
    appraise_all(mechanism, name, evidence)
    assert before == (dict(evidence.streams), evidence.problems, evidence.custody, world(mechanism, name).declaration)


@mechanisms
def test_without_evidence_nothing_is_observed_and_nothing_has_a_number(mechanism: Mechanism) -> None:
    for clause in clauses_of(mechanism):
        found = mechanism.appraise(
            case_of(mechanism, "honest", clause, no_evidence(world(mechanism, "honest").declaration))
        )
        assert found
        for assessment in found:
            assert assessment.verdict is Verdict.NOT_OBSERVED
            assert assessment.log_e in (None, 0.0), "no evidence is no evidence against anybody"
            assert (assessment.hidden, assessment.joining, assessment.evidence_ids) == ((), (), ())
            assert all((part.share_max, part.miss_probability) == (1, 0) for part in assessment.outside)
            assert assessment.reasons


@mechanisms
@worlds
def test_the_number_of_assessments_and_their_pods_do_not_depend_on_the_evidence(
    mechanism: Mechanism, name: str
) -> None:
    """Evidence is averaged over what was declared; a choice of what to average would be evidence counted twice."""
    for clause in clauses_of(mechanism, name):
        seen = mechanism.appraise(case_of(mechanism, name, clause, evidence_of(mechanism, name)))
        unseen = mechanism.appraise(case_of(mechanism, name, clause, no_evidence(world(mechanism, name).declaration)))
        assert [a.scope.pods for a in seen] == [a.scope.pods for a in unseen]


@mechanisms
def test_a_clause_of_another_kind_is_refused(mechanism: Mechanism) -> None:
    duty = Procedure(kind=ClauseKind.PROCEDURE, duty="keep a register")
    others = [
        clause for clause in world(mechanism, "honest").agreement.clauses if clause.kind not in mechanism.clause_kinds
    ]
    if ClauseKind.PROCEDURE not in mechanism.clause_kinds:
        others.append(clauses_of(mechanism)[0].model_copy(update={"parameters": duty}))
    assert others
    for clause in others:
        with pytest.raises(ValueError, match="does not appraise"):
            mechanism.appraise(case_of(mechanism, "honest", clause, evidence_of(mechanism, "honest")))


@mechanisms
@worlds
def test_assessments_keep_within_clause_declaration_and_period(mechanism: Mechanism, name: str) -> None:
    made = world(mechanism, name)
    pods = {pod.id for pod in made.declaration.pods}
    for clause in clauses_of(mechanism, name):
        for assessment in mechanism.appraise(case_of(mechanism, name, clause, evidence_of(mechanism, name))):
            assert (assessment.clause, assessment.mechanism) == (clause.id, mechanism.name)
            parts = (assessment, *assessment.hidden, *assessment.joining, *assessment.outside)
            assert all(set(part.scope.pods) <= pods for part in parts)
            assert all(made.declaration.period.covers(part.scope.period) for part in parts)
            assert assessment.log_e is None or LOG_E_MIN <= assessment.log_e <= LOG_E_MAX


@mechanisms
@worlds
def test_what_it_rests_on_is_in_the_evidence(mechanism: Mechanism, name: str) -> None:
    evidence = evidence_of(mechanism, name)
    ids = {digest for stream in evidence.streams.values() for digest in stream.evidence_ids}
    ids |= {statement.digest for statement in (*evidence.custody, *evidence.reports)}
    for assessment in appraise_all(mechanism, name, evidence):
        assert set(assessment.evidence_ids) <= ids


@mechanisms
@worlds
def test_inconsistent_is_for_findings_to_say(mechanism: Mechanism, name: str) -> None:
    """Unless the clause is of a kind against which evidence cannot reach an alarm, where a mechanism speaks for itself."""
    for clause in clauses_of(mechanism, name):
        if clause.kind in ALARMING_KINDS:
            found = mechanism.appraise(case_of(mechanism, name, clause, evidence_of(mechanism, name)))
            assert all(a.verdict is not Verdict.INCONSISTENT for a in found)


@mechanisms
@worlds
def test_its_statements_use_no_more_miss_probability_than_they_were_given(mechanism: Mechanism, name: str) -> None:
    for clause in clauses_of(mechanism, name):
        case = case_of(mechanism, name, clause, evidence_of(mechanism, name))
        spent = {
            part.statement: part.miss_probability
            for assessment in mechanism.appraise(case)
            for part in (*assessment.hidden, *assessment.joining, *assessment.outside)
        }
        assert sum(spent.values()) <= case.miss_probability * (1 + 1e-9)


def fewer(evidence: Evidence) -> Iterator[Evidence]:
    """The evidence with less of it: without its first sensor, without segments of it, with its last sensor alone."""
    first, *_, last = evidence.streams
    stream = evidence.streams[first]
    for at in {len(stream.segments) // 2, len(stream.segments) - 1}:
        kept = stream.segments[:at] + stream.segments[at + 1 :]
        yield replace(evidence, streams={**evidence.streams, first: replace(stream, segments=kept)})
    yield replace(evidence, streams={s: stream for s, stream in evidence.streams.items() if s != first})
    yield replace(evidence, streams={last: evidence.streams[last]})
    yield replace(evidence, streams={})
    yield replace(evidence, reports=())
    yield replace(evidence, reports=evidence.reports[::2])


@mechanisms
@pytest.mark.parametrize("name", ["honest", "ddp"])
def test_less_evidence_never_lowers_the_largest_hidden_run(mechanism: Mechanism, name: str) -> None:
    evidence = evidence_of(mechanism, name)
    full = largest_run(mechanism, name, appraise_all(mechanism, name, evidence))
    assert full <= largest_run(mechanism, name, ()) * (1 + 1e-9)
    for less in fewer(evidence):
        assert largest_run(mechanism, name, appraise_all(mechanism, name, less)) >= full * (1 - 1e-9)


@mechanisms
def test_a_clause_is_not_kept_where_a_pod_was_not_seen(mechanism: Mechanism) -> None:
    made, evidence = world(mechanism, "honest"), evidence_of(mechanism, "honest")
    pod = made.declaration.pods[0].id
    blind = {sensor.id for sensor in made.declaration.sensors if sensor.pod == pod}
    blind |= {meter.id for meter in made.declaration.meters if pod in meter.pods}
    less = replace(
        evidence, streams={s: stream for s, stream in evidence.streams.items() if s not in blind}, reports=()
    )
    for clause in clauses_of(mechanism):
        about = [a for a in mechanism.appraise(case_of(mechanism, "honest", clause, less)) if pod in a.scope.pods]
        assert about
        assert all(a.verdict is Verdict.NOT_OBSERVED for a in about)
