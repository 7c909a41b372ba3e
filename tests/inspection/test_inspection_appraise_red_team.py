"""Joints at which a review of an inspection could fail open, each tried."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from inspection_site_evidence import (
    ACCOUNTED,
    GUILTY,
    PODS,
    REPLAYED,
    REVIEWED,
    ROOMS,
    anchors,
    appraised,
    case,
    clause,
    declaration,
    evidence,
    evidence_under,
    told,
    without,
)

from inspectorate.agreement import ReplayedWork
from inspectorate.assessment import Verdict
from inspectorate.declaration import WorkloadKind
from inspectorate.evidence import (
    CodeReviewed,
    FlopAccounted,
    PacketsDrawn,
    PacketsReplayed,
    RandomnessPromised,
    WorkCommitted,
    WorkKind,
)
from inspectorate.evidence.predicate import Inspection
from inspectorate.keys import Holder, Role, TrustAnchors
from inspectorate.mechanisms.inspection.appraise import INSPECTION
from inspectorate.mechanisms.inspection.appraise.bound import rate_of
from inspectorate.mechanisms.inspection.appraise.common import work_of
from inspectorate.mechanisms.inspection.appraise.judged import Fate, Terms, judge
from inspectorate.mechanisms.inspection.linking import Replay
from inspectorate.mechanisms.inspection.observe import Committed, Drawn
from inspectorate.mechanisms.inspection.results import Outcome, Tolerance
from inspectorate.quantities import Period
from inspectorate.worlds.inspection_cheats import INSPECTION_CHEATS
from inspectorate.worlds.inspection_script import STACK, TOLERANCE

CLAUSES = (REPLAYED, ACCOUNTED, REVIEWED)


def with_inspectors(**changes: object) -> TrustAnchors:
    """The reviewer's anchors, with the keys of inspectors held or used otherwise."""
    return TrustAnchors(
        anchors=tuple(
            one.model_copy(update=changes) if Role.INSPECTOR in one.roles else one for one in anchors().anchors
        ),
        ledgers=anchors().ledgers,
    )


# --- whose word counts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLAUSES)
def test_an_inspector_whose_key_the_prover_holds_promises_draws_and_approves_nothing(name: str) -> None:
    found = appraised(name, evidence_under(with_inspectors(holder=Holder.PROVER)))[GUILTY]
    assert found.verdict is Verdict.NOT_OBSERVED
    assert not found.hidden
    assert any("its key is held by the prover" in text for text in told(found)), told(found)


def test_a_joint_key_that_also_speaks_for_the_transcripts_judges_none_of_them() -> None:
    both = with_inspectors(holder=Holder.JOINT, roles=(Role.INSPECTOR, Role.SENSOR), sensors=(f"transcripts-{GUILTY}",))
    found = appraised(REPLAYED, evidence_under(both))
    assert found[GUILTY].verdict is Verdict.NOT_OBSERVED
    assert any("whose work it would judge" in text for text in found[GUILTY].not_checked)
    joint = appraised(REPLAYED, evidence_under(with_inspectors(holder=Holder.JOINT)))
    assert joint[GUILTY].verdict is Verdict.CONSISTENT


def test_rooms_closed_by_a_key_of_the_prover_were_not_closed() -> None:
    (found,) = appraised(ROOMS, evidence_under(with_inspectors(holder=Holder.PROVER))).values()
    assert found.verdict is Verdict.NOT_OBSERVED


# --- what stands in for what ---------------------------------------------------------------------------------------------


def test_what_one_pod_shows_vouches_for_no_other() -> None:
    def of_guilty(one: object) -> bool:
        said = one.predicate  # type: ignore[attr-defined]
        return isinstance(said, WorkCommitted) and GUILTY in said.pods

    for name in CLAUSES:
        found = appraised(name, without(evidence(), of_guilty))
        assert found[GUILTY].verdict is Verdict.NOT_OBSERVED, name
        assert not found[GUILTY].hidden
        assert found[PODS[1]].verdict is Verdict.CONSISTENT


def test_a_run_on_several_pods_explains_nothing_of_any_one_of_them() -> None:
    about = case(REPLAYED, evidence())
    work = work_of(about)
    joint = replace(
        work,
        runs=tuple(
            replace(run, commitments=tuple(replace(one, pods=tuple(sorted(PODS))) for one in run.commitments))
            for run in work.runs
        ),
    )
    terms = about.clause.parameters
    assert isinstance(terms, ReplayedWork)
    shared: dict[str, object] = {f"inspection.work.{terms.answer_within_s}": joint}
    for one in INSPECTION.appraise(replace(about, shared=shared)):
        assert not one.hidden
        if one.scope.pods[0] in PODS:
            assert any("which of several pods did how much" in text for text in one.not_checked)


def test_a_second_copy_of_a_statement_changes_nothing() -> None:
    seen = evidence()
    doubled = replace(seen, reports=(*seen.reports, *seen.reports))
    for name in (*CLAUSES, ROOMS):
        assert appraised(name, doubled) == appraised(name, seen)


def test_the_order_of_statements_changes_nothing() -> None:
    seen = evidence()
    for name in (*CLAUSES, ROOMS):
        assert appraised(name, replace(seen, reports=tuple(reversed(seen.reports)))) == appraised(name, seen)


def test_work_committed_to_for_a_claim_that_is_not_declared_is_invalid() -> None:
    about = case(REPLAYED, evidence())
    renamed = tuple(claim.model_copy(update={"id": "something-else"}) for claim in declaration().claims)
    other = replace(about, declaration=about.declaration.model_copy(update={"claims": renamed}), shared={})
    found = next(one for one in INSPECTION.appraise(other) if one.scope.pods == (GUILTY,))
    assert found.verdict is Verdict.INVALID_EVIDENCE
    assert any("which is not declared" in reason for reason in found.reasons)


def test_a_reporter_that_is_not_declared_speaks_for_no_pod() -> None:
    about = case(REPLAYED, evidence())
    bare = about.declaration.sites[0].model_copy(update={"reporters": ()})
    other = replace(about, declaration=about.declaration.model_copy(update={"sites": (bare,)}), shared={})
    for one in INSPECTION.appraise(other):
        assert one.verdict is Verdict.NOT_OBSERVED


# --- what is let pass ----------------------------------------------------------------------------------------------------


def test_many_short_holes_are_not_let_pass() -> None:
    """Gaps no longer than agreed were let pass each, and nobody added them up."""

    def every_second(one: object) -> bool:
        said = one.predicate  # type: ignore[attr-defined]
        return isinstance(said, WorkCommitted) and said.sequence % 2 == 1

    seen = without(evidence(), every_second)
    found = appraised(REPLAYED, seen, committed_every_s=600.0)[GUILTY]
    assert found.verdict is Verdict.NOT_OBSERVED, (
        "a number between two is missing: what was committed there was kept back"
    )
    about = case(REPLAYED, seen, committed_every_s=600.0)
    work = work_of(about)
    healed = replace(work, runs=tuple(replace(run, holes=(), cut=False) for run in work.runs))
    terms = about.clause.parameters
    assert isinstance(terms, ReplayedWork)
    shared: dict[str, object] = {f"inspection.work.{terms.answer_within_s}": healed}
    apart = next(one for one in INSPECTION.appraise(replace(about, shared=shared)) if one.scope.pods == (GUILTY,))
    assert apart.verdict is Verdict.INCONCLUSIVE
    assert any("between commitments counted in" in reason for reason in apart.reasons)


def test_time_after_the_last_commitment_of_a_run_that_goes_on_is_not_observed() -> None:
    def last(one: object) -> bool:
        said = one.predicate  # type: ignore[attr-defined]
        return isinstance(said, WorkCommitted) and said.final

    found = appraised(REPLAYED, without(evidence(), last), committed_every_s=600.0)[GUILTY]
    assert found.verdict is Verdict.NOT_OBSERVED


def test_a_claim_longer_than_the_transcripts_is_not_covered() -> None:
    about = case(REPLAYED, evidence())
    period = declaration().period
    later = Period(start=period.start, end=period.end + timedelta(hours=1))
    claims = tuple(claim.model_copy(update={"period": later}) for claim in declaration().claims)
    other = replace(
        about,
        declaration=about.declaration.model_copy(update={"claims": claims, "period": later}),
        period=later,
        shared={},
    )
    found = next(one for one in INSPECTION.appraise(other) if one.scope.pods == (GUILTY,))
    assert found.verdict is Verdict.NOT_OBSERVED
    whole = rate_of(other, GUILTY) * 3600.0
    for bound in found.hidden:
        # The hour after the transcripts keeps its capacity.
        assert bound.flop_max is not None
        assert bound.flop_max > 0.5 * whole * bound.scope.period.duration_s / 3600.0


# --- results against their own numbers -----------------------------------------------------------------------------------


def drawn_of(exact: bool) -> tuple[object, Drawn]:
    work = work_of(case(REPLAYED, evidence()))
    return next(
        (one, drawn)
        for run in work.of(GUILTY)
        for one in run.commitments
        for drawn in one.draws
        if (drawn.replays[0].tolerance is None) is exact
    )


def fates(exact: bool, *, changes: dict[str, object], tolerance: Tolerance | None = None) -> list[tuple[Fate, bool]]:
    """Of the packets of one draw, whose results all have these changes."""
    committed, drawn = drawn_of(exact)
    first: Replay = drawn.replays[0]
    assert first.report is not None
    results = tuple(one.model_copy(update=changes) for one in first.report.results)
    replay = replace(first, report=first.report.model_copy(update={"results": results}))
    if tolerance is not None:
        replay = replace(replay, tolerance=tolerance)
    parameters = clause(REPLAYED).parameters
    assert isinstance(parameters, ReplayedWork)
    terms = Terms(clause=parameters, false_accusation_rate=0.001)
    told_of = judge(committed, replace(drawn, replays=(replay,)), terms, {})  # type: ignore[arg-type]
    return [(one.fate, one.against) for one in told_of]


@pytest.mark.parametrize(
    ("exact", "changes", "fate"),
    [
        (True, {}, Fate.MATCHED),
        (True, {"distance": 0.1}, Fate.NOT_RUN),
        (False, {"distance": 11.0}, Fate.NOT_RUN),
        (False, {"distance": None}, Fate.NOT_RUN),
        (True, {"outcome": Outcome.NOT_RUN}, Fate.NOT_RUN),
        (True, {"outcome": Outcome.DIFFERED}, Fate.DIFFERED),
    ],
)
def test_a_result_is_held_against_its_own_numbers(exact: bool, changes: dict[str, object], fate: Fate) -> None:
    assert {found for found, _ in fates(exact, changes=changes)} == {fate}


def test_a_packet_that_differs_accuses_only_on_stacks_that_were_calibrated() -> None:
    differed = {"outcome": Outcome.DIFFERED}
    assert all(against for _, against in fates(False, changes=differed))
    other = TOLERANCE.model_copy(update={"stacks": (STACK.model_copy(update={"threads": 7}),)})
    assert not any(against for _, against in fates(False, changes=differed, tolerance=other))


def test_few_honest_runs_make_no_small_rate_of_false_alarms() -> None:
    """A calibration of three runs that claims a rate of 1e-9 accused at the first packet."""
    committed, drawn = drawn_of(False)
    parameters = clause(REPLAYED).parameters
    assert isinstance(parameters, ReplayedWork)
    rates = []
    for runs in (3, 20_000):
        tolerance = TOLERANCE.model_copy(update={"honest_runs": runs, "false_alarm_rate": 1e-9})
        replay = replace(drawn.replays[0], tolerance=tolerance)
        told_of = judge(
            committed,  # type: ignore[arg-type]
            replace(drawn, replays=(replay,)),
            Terms(clause=parameters, false_accusation_rate=0.001),
            {},
        )
        rates.append(told_of[0].rate)
    assert rates[0] is not None
    assert rates[1] is not None
    assert rates[0] > 0.5
    assert 1e-4 < rates[1] < 1e-3


def test_two_inspectors_who_disagree_accuse_nobody_and_assure_of_nothing() -> None:
    committed, drawn = drawn_of(True)
    first: Replay = drawn.replays[0]
    assert first.report is not None
    other = first.report.model_copy(
        update={"results": tuple(one.model_copy(update={"outcome": Outcome.DIFFERED}) for one in first.report.results)}
    )
    parameters = clause(REPLAYED).parameters
    assert isinstance(parameters, ReplayedWork)
    told_of = judge(
        committed,  # type: ignore[arg-type]
        replace(drawn, replays=(first, replace(first, digest="another", report=other))),
        Terms(clause=parameters, false_accusation_rate=0.001),
        {},
    )
    assert {(one.fate, one.against, one.rate) for one in told_of} == {(Fate.DIFFERED, False, None)}


# --- code and accounts ---------------------------------------------------------------------------------------------------


def test_the_entry_point_must_have_been_run_where_no_parameter_may_change() -> None:
    seen = evidence()
    for changed, words in ((None, "was not run"), (True, "parameters changed")):
        reports = []
        for one in seen.reports:
            said = one.predicate
            if isinstance(said, CodeReviewed):
                statement = one.statement.model_copy(
                    update={"predicate": said.model_copy(update={"parameters_changed": changed})}
                )
                one = replace(one, statement=statement)
            reports.append(one)
        found = appraised(REVIEWED, replace(seen, reports=tuple(reports)))[GUILTY]
        assert found.verdict is not Verdict.CONSISTENT
        assert any(words in reason for reason in found.reasons), found.reasons
        assert any("its document says otherwise" in reason for reason in found.reasons)


def test_one_inspector_who_approves_twice_is_one() -> None:
    def second(one: object) -> bool:
        said = one.predicate  # type: ignore[attr-defined]
        return isinstance(said, CodeReviewed) and said.by == "simulated-code-inspector"

    found = appraised(REVIEWED, without(evidence(), second))[GUILTY]
    assert found.verdict is Verdict.NOT_OBSERVED
    assert any("not approved by 2 inspectors" in reason for reason in found.reasons)


def test_without_accounts_or_reviews_nothing_is_observed() -> None:
    for name, kind in ((ACCOUNTED, FlopAccounted), (REVIEWED, CodeReviewed)):
        found = appraised(name, without(evidence(), lambda one, kind=kind: isinstance(one.predicate, kind)))[GUILTY]  # type: ignore[misc]
        assert found.verdict is Verdict.NOT_OBSERVED


def test_a_refusal_accuses_nobody() -> None:
    found = appraised(REPLAYED, evidence(INSPECTION_CHEATS["replay-refused"]))[GUILTY]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.log_e <= 0.0


@pytest.mark.parametrize(("factor", "above"), [(1.0, False), (1e4, True)])
def test_a_declared_training_run_above_a_threshold_is_against_the_party_by_its_own_word(
    factor: float, above: bool
) -> None:
    about = case(ACCOUNTED, evidence())
    training = tuple(claim.model_copy(update={"kind": WorkloadKind.TRAINING}) for claim in declaration().claims)

    def grown(one: Committed) -> Committed:
        update = {"work": WorkKind.TRAINING, "flop_stated": factor * one.said.flop_stated}
        return replace(one, said=one.said.model_copy(update=update))

    work = work_of(about)
    larger = replace(
        work, runs=tuple(replace(run, commitments=tuple(map(grown, run.commitments))) for run in work.runs)
    )
    key = next(name for name in about.shared if name.startswith("inspection.work."))
    other = replace(about, declaration=about.declaration.model_copy(update={"claims": training}), shared={key: larger})
    found = next(one for one in INSPECTION.appraise(other) if one.scope.pods == (GUILTY,))
    assert any("above small-training" in reason for reason in found.reasons) is above, found.reasons
    assert (found.log_e > 11.0) is above
    assert found.verdict is not Verdict.INCONSISTENT


# --- nothing honest accuses ----------------------------------------------------------------------------------------------


@settings(max_examples=4, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(st.randoms(use_true_random=False), st.floats(0.0, 1.0))
def test_no_part_of_honest_evidence_accuses_anybody(chance: random.Random, share: float) -> None:
    """Statements may be lost, repeated, and come in any order: that takes assurance away, and proves nothing."""
    seen = evidence()
    kept = [one for one in seen.reports if chance.random() < share]
    kept += [one for one in kept if chance.random() < 0.05]
    chance.shuffle(kept)
    less = replace(seen, reports=tuple(kept))
    for name in (*CLAUSES, ROOMS):
        whole = appraised(name, seen)
        for pod, one in appraised(name, less).items():
            assert (one.log_e or 0.0) <= 0.0, one.reasons
            assert one.verdict is not Verdict.INCONSISTENT
            before = {bound.scope: bound.flop_max for bound in whole[pod].hidden}
            for bound in one.hidden:
                assert bound.flop_max is not None
                least = before[bound.scope]
                assert least is not None
                assert bound.flop_max >= least * (1 - 1e-9), "less evidence hides no less"


@pytest.mark.parametrize("kind", [RandomnessPromised, PacketsDrawn, PacketsReplayed])
def test_a_bound_falls_with_the_evidence_under_it(kind: type[Inspection]) -> None:
    less = without(evidence(), lambda one: isinstance(one.predicate, kind))
    assert appraised(REPLAYED, evidence())[GUILTY].hidden
    assert not appraised(REPLAYED, less)[GUILTY].hidden
