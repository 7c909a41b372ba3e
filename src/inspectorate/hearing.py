"""What both mechanisms of human sources need alike: whose word counts, and what became of each lead.

Rules:

- An inspector (an office, an interviewer) counts if no anchor that signs is held by the prover, and its key does not also
  speak for the roster or for another reporter of the prover: nobody hears people about itself. What does not count is named.
- A *lead* stands as far as enough different offices agree: the same source, clause, activity, pods, time and size. Each
  office's last word counts, and where its own words of one time differ, none does. Fewer offices: the lead is named, without
  what it says, and stays open until they close it, since the word of the others may have been left out.
- Its step is the furthest one for which enough offices ask that step or a further one.
- It is closed once enough offices close it for the same reason, each after it last raised it. Whoever raises it again opens it
  again.
- Overdue is what was raised by enough offices, and not closed within the agreed time, by the end of the reviewed period or by
  the day it was closed.
- A lead that is closed, or named by another statement, and was raised by nobody here, was kept back: it counts as open.

Not done here: what machines show of a lead (`corroboration`); what its case says, which no statement holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from inspectorate.agreement import Agreement, ReportingChannels
from inspectorate.assessment import Case, Lead
from inspectorate.declaration import Declaration, ReporterKind
from inspectorate.evidence import Closing, HumanSource, LeadClosed, LeadRaised, Step, VerifiedStatement
from inspectorate.evidence.predicate import Inspection
from inspectorate.keys import Holder
from inspectorate.quantities import Period

REASONS_MAX: Final = 6
"""Sentences of one sort in an assessment; how many more there are is said."""
SPANS_SHOWN: Final = 4
_LADDER: Final = tuple(Step)
_DIFFERING: Final = ("source", "clause", "activity", "pods", "period", "flop_min")

Said = TypeVar("Said", bound=Inspection)


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What a lead needs of offices."""

    offices: int
    """Different ones that must say the same."""
    answered_within_s: float | None
    """From raising to closing; none: not agreed."""


@dataclass(frozen=True, kw_only=True)
class Leads:
    """The leads of one kind of source, and what is to be said of them."""

    leads: tuple[Lead, ...] = ()
    open: tuple[str, ...] = ()
    """Why not all of them are settled: open, overdue, late, confirmed, differing, kept back."""
    few: tuple[str, ...] = ()
    """Of those that fewer offices raised than it takes, and closed, and of offices that say otherwise than the rest."""
    alone: tuple[str, ...] = ()
    """The names of those that fewer offices raised than it takes, and closed."""
    passed_over: tuple[str, ...] = ()
    evidence_ids: tuple[str, ...] = ()


def needed(agreement: Agreement) -> Needed:
    """What the agreement asks for, by its clause on reporting channels; without one, one office and no time."""
    found = next((one.parameters for one in agreement.clauses if isinstance(one.parameters, ReportingChannels)), None)
    if found is None:
        return Needed(offices=1, answered_within_s=None)
    return Needed(offices=found.offices_min, answered_within_s=found.answered_within_s)


def unfit(statement: VerifiedStatement, declaration: Declaration) -> str | None:
    """Why the word of an inspector counts for nothing; none if it counts."""
    said = statement.predicate
    assert isinstance(said, Inspection)
    if any(anchor.holder is Holder.PROVER for anchor in statement.anchors):
        return f"{said.by}: its key is held by the prover"
    own = {one.id for one in declaration.reporters if one.kind is ReporterKind.ROSTER or one.holder is Holder.PROVER}
    spoken = sorted({name for anchor in statement.anchors for name in anchor.sensors} & own)
    return f"{said.by}: its key also speaks for {', '.join(spoken)}" if spoken else None


def heard(case: Case, kind: type[Said]) -> tuple[list[tuple[VerifiedStatement, Said]], tuple[str, ...]]:
    """What inspectors whose word counts stated of one kind, each once, in order of time; and why others do not count."""
    found: dict[str, tuple[VerifiedStatement, Said]] = {}
    passed_over: list[str] = []
    for one in case.evidence.reports:
        if isinstance(one.predicate, kind):
            why = unfit(one, case.declaration)
            if why is None:
                found[one.digest] = (one, one.predicate)
            else:
                passed_over.append(why)
    ordered = sorted(found.values(), key=lambda pair: (pair[1].times, pair[0].digest))
    return ordered, tuple(dict.fromkeys(passed_over))


def leads_of(case: Case, source: HumanSource, terms: Needed, *, named: Iterable[str] = ()) -> Leads:
    """All leads of one kind of source. `named` are those that other statements of the same clause name."""
    raised, unheard = heard(case, LeadRaised)
    closed, unheard_too = heard(case, LeadClosed)
    by_lead: dict[str, list[tuple[VerifiedStatement, LeadRaised]]] = defaultdict(list)
    for one, said in raised:
        by_lead[said.lead].append((one, said))
    closings: dict[str, list[tuple[VerifiedStatement, LeadClosed]]] = defaultdict(list)
    for shut, ended in closed:
        closings[ended.lead].append((shut, ended))
    mine = sorted(name for name, words in by_lead.items() if any(said.source is source for _, said in words))
    judged = [_judge(name, by_lead[name], closings.get(name, []), terms, case.period.end) for name in mine]
    gone = sorted({*closings, *named} - set(by_lead))
    return Leads(
        leads=tuple(one.lead for one in judged if one.lead is not None and one.lead.source is source),
        open=(
            *(text for one in judged for text in one.open),
            *(f"lead {name}: was kept back: nobody raised it here" for name in gone),
        ),
        few=tuple(text for one in judged for text in one.few),
        alone=tuple(name for name, one in zip(mine, judged, strict=True) if one.lead is None and not one.open),
        passed_over=tuple(dict.fromkeys((*unheard, *unheard_too))),
        evidence_ids=tuple(dict.fromkeys(digest for one in judged for digest in one.evidence_ids)),
    )


@dataclass(frozen=True, kw_only=True)
class _Judged:
    lead: Lead | None = None
    open: tuple[str, ...] = ()
    few: tuple[str, ...] = ()
    evidence_ids: tuple[str, ...] = ()


_Raised = Sequence[tuple[VerifiedStatement, LeadRaised]]
_Closed = Sequence[tuple[VerifiedStatement, LeadClosed]]


def _judge(name: str, raised: _Raised, closed: _Closed, terms: Needed, by: datetime) -> _Judged:
    """One lead, by the last words of all offices."""
    last, doubled = _last_words(raised)
    ids = (*(one.digest for one, _ in raised), *(one.digest for one, _ in closed))
    offices = sorted({said.by for _, said in raised})
    if len(offices) < terms.offices:
        text = f"lead {name}: raised by {len(offices)} of the {terms.offices} offices that it takes, and so not shown"
        latest = {office: max(said.raised_at for _, said in raised if said.by == office) for office in offices}
        given_up = {said.by for _, said in closed if said.by in latest and said.closed_at > latest[said.by]}
        # Until those who raised it close it: the word of the others may have been left out.
        settled = given_up == set(offices)
        return _Judged(open=() if settled else (text,), few=(text,) if settled else (), evidence_ids=ids)
    agreeing = _agreeing(last, terms.offices)
    if agreeing is None:
        text = f"lead {name}: {len(offices)} offices raised it, and differ in {_differences(last, doubled)}"
        return _Judged(open=(text,), evidence_ids=ids)
    few = tuple(f"lead {name}: {office} says otherwise" for office in offices if office not in agreeing)
    first = {office: min(said.raised_at for _, said in raised if said.by == office) for office in agreeing}
    raised_at = sorted(first.values())[terms.offices - 1]
    since = {office: max(said.raised_at for _, said in raised if said.by == office) for office in offices}
    closing, closed_at, others = _closing(closed, since, terms.offices)
    notes = [f"lead {name}: {text}" for text in others]
    notes += _pending(name, (raised_at, closing, closed_at), terms, by)
    words = next(iter(agreeing.values()))
    lead = Lead(
        id=name,
        source=words.source,
        bears_on=words.clause,
        activity=words.activity,
        pods=tuple(sorted(set(words.pods))),
        period=words.period,
        flop_min=words.flop_min,
        offices=tuple(sorted(agreeing)),
        step=_step([said.step for said in agreeing.values()], terms.offices),
        closing=closing,
        evidence_ids=ids,
    )
    return _Judged(lead=lead, open=tuple(notes), few=few, evidence_ids=ids)


def _last_words(raised: _Raised) -> tuple[dict[str, LeadRaised], tuple[str, ...]]:
    """By office, what it said last; and offices that said two things at one time."""
    last: dict[str, LeadRaised] = {}
    doubled: set[str] = set()
    for _, said in sorted(raised, key=lambda pair: pair[1].raised_at):
        before = last.get(said.by)
        if before is not None and before.raised_at == said.raised_at and _differ(before, said):
            doubled.add(said.by)
        elif before is None or before.raised_at < said.raised_at:
            doubled.discard(said.by)
            last[said.by] = said
    return {office: said for office, said in last.items() if office not in doubled}, tuple(sorted(doubled))


def _differ(one: LeadRaised, other: LeadRaised) -> bool:
    return _content(one) != _content(other) or one.step is not other.step


def _content(said: LeadRaised) -> tuple[object, ...]:
    return tuple(tuple(sorted(set(said.pods))) if name == "pods" else getattr(said, name) for name in _DIFFERING)


def _agreeing(last: Mapping[str, LeadRaised], offices: int) -> dict[str, LeadRaised] | None:
    """The only group of enough offices that say the same; none if there is none, or more than one."""
    groups: list[dict[str, LeadRaised]] = []
    for office, said in sorted(last.items()):
        group = next((one for one in groups if _content(next(iter(one.values()))) == _content(said)), None)
        if group is None:
            groups.append({office: said})
        else:
            group[office] = said
    enough = [group for group in groups if len(group) >= offices]
    return enough[0] if len(enough) == 1 else None


def _differences(last: Mapping[str, LeadRaised], doubled: Collection[str]) -> str:
    contents = [_content(said) for said in last.values()]
    found = [name for place, name in enumerate(_DIFFERING) if any(one[place] != contents[0][place] for one in contents)]
    found += [f"what {office} says at one time" for office in doubled]
    return ", ".join(found) or "nothing that is shown here"


def _step(steps: Iterable[Step], offices: int) -> Step:
    """The furthest step for which so many ask, who ask for it or a further one."""
    ranks = sorted((_LADDER.index(step) for step in steps), reverse=True)
    return _LADDER[ranks[offices - 1]]


def _closing(
    closed: _Closed, since: Mapping[str, datetime], offices: int
) -> tuple[Closing | None, datetime | None, list[str]]:
    """For which reason enough offices closed a lead, when, and what else is to be said."""
    last: dict[str, LeadClosed] = {}
    for _, said in sorted(closed, key=lambda pair: (pair[1].closed_at, pair[0].digest)):
        if said.by not in since or said.closed_at > since[said.by]:
            last[said.by] = said
    groups: dict[Closing, list[datetime]] = defaultdict(list)
    for said in last.values():
        groups[said.closing].append(said.closed_at)
    enough = [closing for closing, times in groups.items() if len(times) >= offices]
    if len(enough) == 1 and len(groups) == 1:
        return enough[0], sorted(groups[enough[0]])[offices - 1], []
    if len(groups) > 1:
        given = ", ".join(sorted(f"{closing.value} by {len(times)}" for closing, times in groups.items()))
        return None, None, [f"offices close it for different reasons: {given}"]
    return None, None, [f"closed by {len(last)} of the {offices} offices that it takes"] if last else []


def _pending(
    name: str, course: tuple[datetime, Closing | None, datetime | None], terms: Needed, by: datetime
) -> list[str]:
    """What is left to do about a lead that enough offices raised."""
    raised_at, closing, closed_at = course
    within = terms.answered_within_s
    due = None if within is None else raised_at + timedelta(seconds=min(within, 1e9))
    if closing is None or closed_at is None:
        if due is not None and due < by:
            return [f"lead {name}: overdue: raised {raised_at:%Y-%m-%d %H:%M:%S}, to be closed within {within:g} s"]
        return [f"lead {name}: open since {raised_at:%Y-%m-%d %H:%M:%S}"]
    found = []
    if due is not None and closed_at > due:
        late_s = (closed_at - raised_at).total_seconds()
        found.append(f"lead {name}: closed late: after {late_s:g} s, where {within:g} s are agreed")
    if closing is Closing.CONFIRMED:
        found.append(f"lead {name}: closed as confirmed: what follows is for the parties")
    return found


def spans_text(gaps: Sequence[Period]) -> str:
    """Stretches of time in words, the longest few of them."""
    longest = sorted(sorted(gaps, key=lambda gap: -gap.duration_s)[:SPANS_SHOWN], key=lambda gap: gap.start)
    text = ", ".join(f"{gap.start:%Y-%m-%d %H:%M:%S}–{gap.end:%H:%M:%S}" for gap in longest)
    return text + (f" and {len(gaps) - len(longest)} more" if len(gaps) > len(longest) else "")


def shortened(reasons: Iterable[str], what: str) -> tuple[str, ...]:
    """At most `REASONS_MAX` of them, each once, and how many more there are."""
    once = tuple(dict.fromkeys(text[:4000] for text in reasons))
    if len(once) <= REASONS_MAX:
        return once
    return (*once[:REASONS_MAX], f"and {len(once) - REASONS_MAX} more {what}")
