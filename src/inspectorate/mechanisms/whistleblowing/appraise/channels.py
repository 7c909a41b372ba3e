"""`reporting-channels`: one assessment for all pods. Whether somebody who knows could say so, and was heard.

1. Every intake of which an office collected anything is held against the period (`observe`). A batch counts if it lasts no
   longer than `collected_every_s`, and `offices_min` different offices have it within as much of its end. Longer stretches
   that no batch of an intake covers are not observed.
2. Missing blocks, a batch kept back, offices that were shown different things: invalid evidence, with the reason.
3. Visits, where they are agreed: everybody on the rosters of the party was due, in the time of each roster, and nobody stayed
   away without a reason that was agreed. A stretch without any for longer than `visited_every_s`, by any keeper of rosters that
   the declaration names, is not observed; a roster beside a larger one of the same time is a doubt.
4. Leads (`hearing`): whoever reads this learns what enough offices say together. Open ones leave the clause open; overdue ones are
   named. A single office's lead is named, not shown, and open until that office closes it.
5. *Consistent*: all that is agreed was collected and held, and no lead is open. It says that people could speak, and not that
   nothing is wrong: neither silence nor speech is evidence, so there is no e-value and no bound.

Never *inconsistent*: what broke here is mostly the offices' own doing, or the intake's, and an alarm accuses the party.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.agreement import ReportingChannels
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.declaration import ReporterKind
from inspectorate.evidence import (
    HumanSource,
    InspectionRequested,
    IntakeCollected,
    RosterCommitted,
    VisitsHeld,
)
from inspectorate.hearing import Leads, heard, leads_of, needed, shortened, spans_text
from inspectorate.mechanisms.whistleblowing import reference
from inspectorate.mechanisms.whistleblowing.observe import Batch, IntakeSeen, observe_intakes
from inspectorate.quantities import Period, uncovered

NAME = "whistleblowing"
_NOT_CHECKED = (
    "whether what sources say is so: leads are for people to follow, and move no number here",
    "whether anybody was kept from reporting, or found no way to the intake",
)
_ASSUMPTIONS = (
    "offices are of different parties: anchors tell their keys apart, not whom they serve",
    "pages and program of the intake were those that the parties agreed on",
)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one part of the clause comes to."""

    invalid: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """What can be said where nothing is wrong."""
    evidence_ids: tuple[str, ...] = ()


def appraise_channels(case: Case, clause: ReportingChannels) -> tuple[Assessment, ...]:
    collected, not_heard = heard(case, IntakeCollected)
    asked, not_heard_too = heard(case, InspectionRequested)
    intakes = observe_intakes(collected)
    leads = leads_of(
        case,
        HumanSource.WHISTLEBLOWER,
        needed(case.agreement),
        named={name for _, said in asked for name in said.leads},
    )
    visits, passed_over = _visits(case, clause)
    parts = (_intakes(case, clause, intakes), visits, _followed(leads))
    return (
        Assessment(
            clause=case.clause.id,
            mechanism=NAME,
            scope=Scope(pods=tuple(sorted(pod.id for pod in case.declaration.pods)), period=case.period),
            verdict=_verdict(parts),
            assumptions=_ASSUMPTIONS if collected else (),
            evidence_ids=tuple(dict.fromkeys(digest for part in parts for digest in part.evidence_ids)),
            exhibits=(_exhibit(intakes),) if intakes else (),
            leads=leads.leads,
            reasons=_reasons(parts),
            not_checked=(
                *_NOT_CHECKED,
                *shortened(leads.few, "such leads"),
                *shortened(
                    (f"passed over: {why}" for why in (*not_heard, *not_heard_too, *passed_over, *leads.passed_over)),
                    "such statements",
                ),
            ),
        ),
    )


def _verdict(parts: Sequence[_Part]) -> Verdict:
    for name, verdict in (
        ("invalid", Verdict.INVALID_EVIDENCE),
        ("unseen", Verdict.NOT_OBSERVED),
        ("doubts", Verdict.INCONCLUSIVE),
    ):
        if any(getattr(part, name) for part in parts):
            return verdict
    return Verdict.CONSISTENT


def _reasons(parts: Sequence[_Part]) -> tuple[str, ...]:
    found = (
        *shortened((text for part in parts for text in part.invalid), "such faults"),
        *shortened((text for part in parts for text in part.unseen), "such gaps"),
        *shortened((text for part in parts for text in part.doubts), "such doubts"),
    )
    return found or tuple(text for part in parts for text in part.kept)


# --- intakes ----------------------------------------------------------------------------------------------------------


def _intakes(case: Case, clause: ReportingChannels, intakes: Sequence[IntakeSeen]) -> _Part:
    if not intakes:
        return _Part(unseen=("no office collected anything of any intake",))
    unseen = [text for one in intakes for text in _gaps(case, clause, one)]
    names = ", ".join(one.id for one in intakes)
    batches = sum(len(one.batches) for one in intakes)
    return _Part(
        invalid=tuple(fault for one in intakes for fault in one.faults),
        unseen=tuple(unseen),
        doubts=tuple(text for one in intakes for text in one.slow),
        kept=(f"{batches} batches of {names} were collected in full, each by at least {clause.offices_min} offices",),
        evidence_ids=tuple(digest for one in intakes for digest in one.evidence_ids),
    )


def _gaps(case: Case, clause: ReportingChannels, intake: IntakeSeen) -> list[str]:
    """What of the period no batch of an intake covers that enough offices collected in time."""
    every = timedelta(seconds=min(clause.collected_every_s, 1e9))
    found = []
    covered = []
    for one in intake.batches:
        why = _does_not_count(one, clause, every)
        if why is not None:
            found.append(f"{intake.id}: batch {one.number} {why}")
        else:
            covered.append(one.period)
    gaps = [one for one in uncovered(covered, case.period) if one.duration_s > clause.collected_every_s * (1 + 1e-9)]
    if not gaps:
        return found
    long = f"{intake.id}: no batch that counts for longer than {clause.collected_every_s:g} s: {spans_text(gaps)} UTC"
    return [long, *found]


def _does_not_count(batch: Batch, clause: ReportingChannels, every: timedelta) -> str | None:
    if batch.period.duration_s > clause.collected_every_s * (1 + 1e-9):
        return f"lasts {batch.period.duration_s:g} s, where {clause.collected_every_s:g} s are agreed"
    had = batch.collected_by(clause.offices_min)
    if had is None:
        return f"was collected by {len(batch.collected)} of the {clause.offices_min} offices that it takes"
    if had > batch.period.end + every:
        late_s = (had - batch.period.end).total_seconds()
        return f"was collected {late_s:g} s after it ended, where {clause.collected_every_s:g} s are agreed"
    return None


# --- visits -----------------------------------------------------------------------------------------------------------


def _visits(case: Case, clause: ReportingChannels) -> tuple[_Part, tuple[str, ...]]:
    """Whether everybody went, so that to go says nothing. Statements that do not count come second."""
    every_s = clause.visited_every_s
    if every_s is None:
        return _Part(), ()
    held, passed_over = heard(case, VisitsHeld)
    if not held:
        return _Part(unseen=("no visits were held, where they are agreed",)), passed_over
    rosters = _rosters(case)
    invalid, doubts = [], []
    covered: dict[str, list[Period]] = {reporter: [] for reporter in _keepers(case)}
    for _, said in held:
        when = f"visits of {said.period}"
        roster = rosters.get(said.roster)
        if roster is None:
            invalid.append(f"{when}: by a roster that is not in the evidence")
            continue
        if roster.people != said.due:
            invalid.append(
                f"{when}: {said.due} were due, and {roster.people} are on the roster: who goes then says something"
            )
        elif larger := _larger(roster, rosters.values()):
            doubts.append(
                f"{when}: {said.due} were due by roster {roster.roster}, and {larger.people} are on {larger.roster} of that time"
            )
        elif both := said.period.intersection(roster.period):
            covered[roster.reporter].append(both)
        away = said.due - said.came - said.excused
        if away:
            doubts.append(f"{when}: {away} of {said.due} stayed away without an agreed reason")
    part = _Part(
        invalid=tuple(invalid),
        unseen=tuple(_without(covered, case.period, every_s)),
        doubts=tuple(doubts),
        kept=(f"visits for which everybody on the roster was due: {len(held)}",),
        evidence_ids=tuple(one.digest for one, _ in held),
    )
    return part, passed_over


def _without(covered: Mapping[str, Sequence[Period]], period: Period, every_s: float) -> Iterator[str]:
    """Stretches of the period that are too long, and in which nobody of a keeper's rosters was due."""
    for reporter, times in covered.items():
        gaps = [one for one in uncovered(times, period) if one.duration_s > every_s * (1 + 1e-9)]
        if gaps:
            whom = f" of whom {reporter} lists" if len(covered) > 1 else ""
            yield f"no visits{whom} for longer than {every_s:g} s: {spans_text(gaps)} UTC"


def _keepers(case: Case) -> tuple[str, ...]:
    """Who keeps rosters by the declaration: all that any of them lists are to be visited."""
    return tuple(one.id for one in case.declaration.reporters if one.kind is ReporterKind.ROSTER)


def _rosters(case: Case) -> dict[str, RosterCommitted]:
    """What keepers of rosters committed to, by the digest of its envelope."""
    keepers = _keepers(case)
    return {
        one.digest: said
        for one in case.evidence.reports
        if isinstance(said := one.predicate, RosterCommitted) and said.reporter in keepers
    }


def _larger(roster: RosterCommitted, every: Iterable[RosterCommitted]) -> RosterCommitted | None:
    """Another roster of the same keeper and time that lists more people: a small one, made for the visits, excuses nobody."""
    return next(
        (
            one
            for one in every
            if one.reporter == roster.reporter and one.period.overlaps(roster.period) and one.people > roster.people
        ),
        None,
    )


# --- leads ------------------------------------------------------------------------------------------------------------


def _followed(leads: Leads) -> _Part:
    closed = sum(one.closing is not None for one in leads.leads)
    kept = (f"leads that enough offices raised, and closed: {closed}",) if closed else ()
    return _Part(doubts=leads.open, kept=kept, evidence_ids=leads.evidence_ids)


def _exhibit(intakes: Iterable[IntakeSeen]) -> Exhibit:
    rows: list[tuple[str | float | None, ...]] = [
        (
            one.id,
            float(batch.number),
            f"{batch.period.start:%Y-%m-%d %H:%M:%S}",
            batch.period.duration_s,
            float(batch.blocks),
            float(len(batch.collected)),
        )
        for one in intakes
        for batch in one.batches
    ]
    return Exhibit(
        id="intake-batches",
        title="Batches that offices collected",
        kind=ExhibitKind.TABLE,
        columns=("intake", "batch", "from", "lasts_s", "blocks", "offices"),
        rows=tuple(rows[: reference.ROWS_MAX]),
    )
