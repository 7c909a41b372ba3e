"""`interviewed-staff`: one assessment for all pods. Whether people were heard whom nobody could choose, and whether answers fit.

1. Every pod needs a declared roster of who works on it, and every roster rounds of interviews (`observe`): each a fair draw,
   opened by the prover, and heard by whoever drew. A stretch without any for longer than `held_every_s` is not observed.
2. A draw that somebody could have chosen, two rosters for one time, a person who is not the one who was committed to: invalid
   evidence.
3. Of each stratum: the chance that at least one was heard of the `knowing_min` who would know, from the draw and from who was heard
   (hypergeometric, exactly). Whoever refused, stayed away or was not opened is taken to be one who knows, as far as there are
   so many. And no more of those drawn may be unheard than `unheard_share_max`.
4. Answers of all interviews must have been checked. Contradictions are leads (`hearing`), and no evidence; those that nobody
   follows leave the clause open, as an open lead does.
5. *Consistent*: every stratum reached in every round, by agreed forms, everything checked, no lead open. It says that somebody
   who would know was probably asked, and not what is so: there is no e-value and no bound.

Never *inconsistent*: who refuses to speak has a right to, and nobody here can tell a lie.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inspectorate.agreement import InterviewedStaff, RosterStratum
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.declaration import Reporter, ReporterKind
from inspectorate.evidence import (
    AnswersChecked,
    HumanSource,
    IntervieweesDrawn,
    InterviewsHeld,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
)
from inspectorate.hearing import heard, leads_of, needed, shortened, spans_text
from inspectorate.mechanisms.interviews import reference
from inspectorate.mechanisms.interviews.observe import InterviewsSeen, Round, Spoken, Terms, observe_interviews
from inspectorate.mechanisms.interviews.roster.held import Tally
from inspectorate.quantities import uncovered

NAME = "interviews"
_NOT_CHECKED = (
    "whether anybody told the truth: nothing here can tell",
    "whether the roster names everybody who works there",
    "what was said to people before they were heard",
)
_ASSUMPTIONS = (
    "of each stratum at least as many would know of a violation as the agreement says",
    "openings came when the prover says they came",
)


_OfInspectors = RandomnessPromised | IntervieweesDrawn | InterviewsHeld | AnswersChecked


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What is said of the clause, by how grave it is."""

    invalid: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.invalid:
            return Verdict.INVALID_EVIDENCE
        if self.unseen:
            return Verdict.NOT_OBSERVED
        return Verdict.INCONCLUSIVE if self.doubts else Verdict.CONSISTENT


def appraise_staff(case: Case, clause: InterviewedStaff) -> tuple[Assessment, ...]:
    keepers = [one for one in case.declaration.reporters if one.kind is ReporterKind.ROSTER]
    spoken, passed_over = _spoken(case, {one.id for one in keepers})
    seen = observe_interviews(
        spoken,
        payload=case.evidence.payload,
        terms=Terms(
            strata=[one.id for one in clause.strata],
            forms=clause.forms,
            answer_within_s=clause.answer_within_s,
            as_of=case.period.end,
        ),
    )
    named = {name for one in seen.rounds for name in one.leads}
    leads = leads_of(case, HumanSource.INTERVIEW, needed(case.agreement), named=named)
    said = _Said(
        invalid=(*seen.faults, *(f"{one.name}: {text}" for one in seen.rounds for text in one.faults)),
        unseen=tuple(_unseen(case, clause, keepers, seen)),
        doubts=(
            *(text for one in seen.rounds for text in _doubts(clause, one)),
            *leads.open,
            *seen.stray,
            *(
                f"lead {name}: contradictions led to it, and too few offices raised it"
                for name in leads.alone
                if name in named
            ),
        ),
    )
    ids = tuple(dict.fromkeys((*seen.evidence_ids, *leads.evidence_ids)))
    return (
        Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=Scope(pods=tuple(sorted(pod.id for pod in case.declaration.pods)), period=case.period),
            verdict=said.verdict,
            assumptions=_ASSUMPTIONS if seen.rounds else (),
            evidence_ids=ids,
            exhibits=(_exhibit(clause, seen.rounds),) if seen.rounds else (),
            leads=leads.leads,
            reasons=_reasons(said, clause, seen),
            not_checked=(
                *_NOT_CHECKED,
                *shortened(_departures(seen), "such rounds"),
                *shortened(leads.few, "such leads"),
                *shortened(
                    (f"passed over: {why}" for why in (*passed_over, *leads.passed_over)),
                    "such statements",
                ),
            ),
        ),
    )


def _spoken(case: Case, keepers: set[str]) -> tuple[Spoken, tuple[str, ...]]:
    """All statements that count, and why others do not."""
    passed_over: list[str] = []

    def by_inspectors(kind: type[_OfInspectors]) -> Iterator[VerifiedStatement]:
        found, why = heard(case, kind)
        passed_over.extend(why)
        return (one for one, _ in found)

    promises = [one for one in by_inspectors(RandomnessPromised) if _for(one, keepers)]
    draws = [one for one in by_inspectors(IntervieweesDrawn) if _for(one, keepers)]
    held: dict[str, list[VerifiedStatement]] = defaultdict(list)
    for one in by_inspectors(InterviewsHeld):
        assert isinstance(one.predicate, InterviewsHeld)
        held[one.predicate.drawn].append(one)
    checked: dict[str, list[VerifiedStatement]] = defaultdict(list)
    for one in by_inspectors(AnswersChecked):
        assert isinstance(one.predicate, AnswersChecked)
        checked[one.predicate.held].append(one)
    rosters: dict[str, VerifiedStatement] = {}
    openings: dict[str, list[VerifiedStatement]] = defaultdict(list)
    for one in {one.digest: one for one in case.evidence.reports}.values():
        if isinstance(one.predicate, RosterCommitted | RosterOpened) and one.predicate.reporter not in keepers:
            passed_over.append(f"{one.predicate.reporter}: is not declared to keep a roster")
        elif isinstance(one.predicate, RosterCommitted):
            rosters[one.digest] = one
        elif isinstance(one.predicate, RosterOpened):
            openings[one.predicate.drawn].append(one)
    spoken = Spoken(
        rosters=tuple(rosters.values()), promises=promises, draws=draws, openings=openings, held=held, checked=checked
    )
    return spoken, tuple(dict.fromkeys(passed_over))


def _for(statement: VerifiedStatement, keepers: set[str]) -> bool:
    said = statement.predicate
    return isinstance(said, RandomnessPromised | IntervieweesDrawn) and said.reporter in keepers


def _unseen(case: Case, clause: InterviewedStaff, keepers: Sequence[Reporter], seen: InterviewsSeen) -> Iterator[str]:
    """Pods without a roster, and stretches without interviews."""
    kept = {pod for one in keepers for pod in one.pods}
    bare = sorted(pod.id for pod in case.declaration.pods if pod.id not in kept)
    if bare:
        yield f"nobody keeps a roster of who works on {', '.join(bare)}"
    for keeper in keepers:
        held = [period for one in seen.rounds if one.reporter == keeper.id for period in one.held]
        if not held:
            yield f"nobody was heard of the people on {keeper.id}"
            continue
        gaps = [one for one in uncovered(held, case.period) if one.duration_s > clause.held_every_s * (1 + 1e-9)]
        if gaps:
            yield f"{keeper.id}: no interviews that count for longer than {clause.held_every_s:g} s: {spans_text(gaps)} UTC"


def _doubts(clause: InterviewedStaff, one: Round) -> Iterator[str]:
    """What is missing of a round that is no fault of its draw."""
    if not one.usable:
        return
    yield from (f"{one.name}: {text}" for text in one.left)
    if not one.held:
        yield f"{one.name}: people were drawn, and nobody was heard"
        return
    for stratum in clause.strata:
        tally = one.strata.get(stratum.id)
        if tally is not None:
            yield from (f"{one.name}: {stratum.id}: {text}" for text in _reach(clause, stratum, tally))
    if one.unchecked:
        yield f"{one.name}: answers were not checked"
    if one.contradictions and not one.leads:
        yield f"{one.name}: {one.contradictions} contradictions and no lead"


def _reach(clause: InterviewedStaff, stratum: RosterStratum, tally: Tally) -> Iterator[str]:
    """What is missing of one stratum, refusals counted as the worst case."""
    if tally.unheard_share > clause.unheard_share_max:
        yield (
            f"{tally.unheard} of {tally.drawn} drawn were not heard ({tally.refused} refused, {tally.absent} stayed away,"
            f" {tally.unopened + tally.unaccounted} otherwise), where a share of {clause.unheard_share_max:g} is agreed"
        )
    reached = tally.reached(stratum.knowing_min)
    if reached.worst < stratum.reach_min:
        yield (
            f"somebody who would know was reached with a chance of {reached.worst:.3g}, if those who were not heard are those"
            f" who know, and of {reached.at_random:.3g}, if they are as any others; {stratum.reach_min:g} is agreed"
        )


def _departures(seen: InterviewsSeen) -> Iterator[str]:
    for one in seen.rounds:
        if one.deviations:
            yield f"what was asked or said when interviewers departed from the form: {one.deviations} times in {one.name}"


def _reasons(said: _Said, clause: InterviewedStaff, seen: InterviewsSeen) -> tuple[str, ...]:
    found = (
        *shortened(said.invalid, "such faults"),
        *shortened(said.unseen, "such gaps"),
        *shortened(said.doubts, "such doubts"),
    )
    if found:
        return found
    worst = min(
        one.strata[stratum.id].reached(stratum.knowing_min).worst
        for one in seen.rounds
        for stratum in clause.strata
        if stratum.id in one.strata
    )
    people = sum(tally.heard for one in seen.rounds for tally in one.strata.values())
    text = (
        f"rounds of interviews: {len(seen.rounds)}, in which {people} were heard; in each and of each stratum somebody who would"
        f" know was reached with a chance of at least {worst:.3g}, whoever refused"
    )
    return (text,)


def _exhibit(clause: InterviewedStaff, rounds: Sequence[Round]) -> Exhibit:
    wanted = {one.id: one for one in clause.strata}
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.name,
            name,
            f"{one.drawn_at:%Y-%m-%d %H:%M:%S}",
            *(float(count) for count in (tally.people, tally.drawn, tally.heard, tally.refused, tally.absent)),
            tally.reached(wanted[name].knowing_min).worst if name in wanted else None,
        )
        for one in rounds
        for name, tally in sorted(one.strata.items())
    ]
    return Exhibit(
        id="interview-rounds",
        title="Who was drawn and heard, and with which chance somebody who would know",
        kind=ExhibitKind.TABLE,
        columns=("roster", "stratum", "drawn at", "people", "drawn", "heard", "refused", "absent", "reached"),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
