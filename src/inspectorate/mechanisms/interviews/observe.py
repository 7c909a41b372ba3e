"""Rosters, draws, openings, interviews and their checks, put in order, and all that is wrong with them.

    1. who speaks: declared reporters of rosters; inspectors whose key no prover holds (`hearing`)
    2. rosters: of those that collide none stands (`roster.uses`)
    3. rounds: a first draw from a roster, and the draws that replace people of it; each is judged anew (`roster.judge`)
    4. openings and interviews of each draw: what became of everybody who was drawn (`roster.opening`, `roster.held`)
    5. checks: which of the interviews were held against one another, and what came of it

Rules:

- A fault that lets anybody choose who is heard, or shows that something was changed, makes the round invalid evidence. What
  was merely late, refused or left out leaves people unheard, and they count as the worst case.
- Nothing of one reporter or round stands in for another. A draw from a roster that is not here is no round, and named.
- Pure; nothing in a payload raises.

Not done here: whether enough were heard, often enough, by agreed forms' share (`appraise`); what anybody said: no statement
holds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.evidence import AnswersChecked, IntervieweesDrawn, InterviewsHeld, RosterCommitted, VerifiedStatement
from inspectorate.mechanisms.interviews import reference
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.held import Heard, Tally, check_held, together
from inspectorate.mechanisms.interviews.roster.judge import Believed, Statements, check_draw
from inspectorate.mechanisms.interviews.roster.opening import check_opening
from inspectorate.mechanisms.interviews.roster.uses import check_rosters, check_uses
from inspectorate.quantities import Period

Payload = Callable[[str], bytes]

LEFT_UNHEARD = frozenset(
    {
        Fault.NOT_OPENED, Fault.OPENED_LATE, Fault.HELD_OTHER, Fault.HEARD_NOT_OPENED, Fault.UNACCOUNTED, Fault.FORM_OTHER,
    }
)  # fmt: skip
"""Faults after which people count as not heard. Any other makes the round invalid evidence."""


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """All statements of which the word counts, by kind."""

    rosters: Sequence[VerifiedStatement]
    promises: Sequence[VerifiedStatement]
    draws: Sequence[VerifiedStatement]
    openings: Mapping[str, Sequence[VerifiedStatement]]
    """By the draw that they answer."""
    held: Mapping[str, Sequence[VerifiedStatement]]
    """By the draw whose people were heard."""
    checked: Mapping[str, Sequence[VerifiedStatement]]
    """By the interviews that were checked."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the agreement asks, as far as it decides whether a round counts at all."""

    strata: Collection[str]
    forms: Collection[str]
    answer_within_s: float
    as_of: datetime
    """The end of the reviewed period: until then, what is not opened may still come."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """A first draw from a roster, with what followed it."""

    name: str
    reporter: str
    drawn_at: datetime
    strata: Mapping[str, Tally]
    """What became of everybody who was drawn; none where the draw is invalid."""
    faults: tuple[str, ...]
    left: tuple[str, ...]
    """Why people count as not heard."""
    held: tuple[Period, ...]
    """When somebody was heard by an agreed form."""
    deviations: int
    unchecked: int
    """Interviews of which nobody checked the answers."""
    contradictions: int
    leads: tuple[str, ...]
    """Named by the checks."""
    evidence_ids: tuple[str, ...]

    @property
    def usable(self) -> bool:
        return not self.faults


@dataclass(frozen=True, kw_only=True)
class InterviewsSeen:
    """All rounds of a review, in order of time."""

    rounds: tuple[Round, ...]
    faults: tuple[str, ...]
    """Of rosters from which nobody was drawn."""
    stray: tuple[str, ...]
    """Statements that belong to nothing that is here: what they belong to was left out."""

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(digest for one in self.rounds for digest in one.evidence_ids))


def observe_interviews(spoken: Spoken, *, payload: Payload, terms: Terms) -> InterviewsSeen:
    """Steps 2 to 5."""
    rosters = {one.digest: one for one in spoken.rosters}
    voided, too_many = _voided_rosters(spoken.rosters)
    uses: dict[str, list[str]] = defaultdict(list)
    naming = {digest: promise for digest, one in rosters.items() if (promise := _roster(one).promise) is not None}
    for found in check_uses(spoken.draws, spoken.promises, naming=naming, payload=payload):
        uses[found.statement or ""].append(str(found))
    rounds: list[Round] = []
    stray: list[str] = []
    for first in spoken.draws:
        said = _drawn(first)
        if said.replaces is not None:
            continue
        roster = rosters.get(said.roster)
        if roster is None:
            stray.append(f"a draw of {said.drawn_at:%Y-%m-%d %H:%M:%S}: its roster is not in the evidence")
            continue
        about = _Round(spoken=spoken, roster=roster, payload=payload, terms=terms)
        rounds.append(about.judge(first, (*voided.get(roster.digest, ()), *uses.get(first.digest, ())), uses))
    drawn_from = {_drawn(one).roster for one in spoken.draws}
    told = {text for one in rounds for text in one.faults}
    idle = [text for digest, texts in voided.items() if digest not in drawn_from for text in texts if text not in told]
    held = {digest for draws in (spoken.held, spoken.openings) for digest in draws} - {
        one.digest for one in spoken.draws
    }
    stray += [
        f"interviews or openings of a draw that is not in the evidence ({digest[:19]}…)" for digest in sorted(held)
    ]
    there = {one.digest for statements in spoken.held.values() for one in statements}
    stray += [
        f"answers were checked of interviews that are not in the evidence ({digest[:19]}…)"
        for digest in sorted(set(spoken.checked) - there)
    ]
    return InterviewsSeen(
        rounds=tuple(sorted(rounds, key=lambda one: (one.drawn_at, one.name))),
        faults=(*too_many, *idle),
        stray=tuple(stray),
    )


def _voided_rosters(rosters: Sequence[VerifiedStatement]) -> tuple[dict[str, list[str]], list[str]]:
    """By roster, why it does not stand; and what is refused altogether."""
    by_reporter: dict[str, int] = defaultdict(int)
    for one in rosters:
        by_reporter[_roster(one).reporter] += 1
    many = [name for name, count in by_reporter.items() if count > reference.ROSTERS_MAX]
    if many:
        text = f"more than {reference.ROSTERS_MAX} rosters of {', '.join(sorted(many))}"
        return {one.digest: [text] for one in rosters}, [text]
    voided: dict[str, list[str]] = defaultdict(list)
    for found in check_rosters(rosters):
        voided[found.statement or ""].append(str(found))
    return voided, []


@dataclass(frozen=True, kw_only=True)
class _Round:
    """One roster, and what is needed to judge a round of draws from it."""

    spoken: Spoken
    roster: VerifiedStatement
    payload: Payload
    terms: Terms

    def judge(self, first: VerifiedStatement, why: Sequence[str], uses: Mapping[str, Sequence[str]]) -> Round:
        """Steps 3 to 5 of one round. `why` says what voids it beside its own faults; `uses` what voids later draws."""
        faults, left = list(why), []
        results: list[Heard] = []
        ids = [self.roster.digest]
        draws = self._chain(first)
        held = [one for draw in draws for one in self.spoken.held.get(draw.digest, ())]
        for draw in draws:
            ids += [draw.digest, *(one.digest for one in self.spoken.openings.get(draw.digest, ()))]
            faults += uses.get(draw.digest, ()) if draw is not first else ()
            found, result = self._draw(draw, (*draws, *held))
            faults += [str(one) for one in found if one.fault not in LEFT_UNHEARD]
            left += _by_kind([one for one in found if one.fault in LEFT_UNHEARD])
            results += [result] if result is not None else []
        said = _drawn(first)
        if not _roster(self.roster).period.contains(said.drawn_at):
            left.append("people were drawn at another time than their roster is for")
        ids += [one.digest for one in self.spoken.promises if one.digest == said.promise]
        checks = [one for about in held for one in self.spoken.checked.get(about.digest, ())]
        ids += [one.digest for one in (*held, *checks)]
        words = [one.predicate for one in checks if isinstance(one.predicate, AnswersChecked)]
        return Round(
            name=_roster(self.roster).roster,
            reporter=said.reporter,
            drawn_at=said.drawn_at,
            strata=together(results),
            faults=tuple(dict.fromkeys(faults)),
            left=tuple(dict.fromkeys(left)),
            held=() if faults else tuple(self._periods(held, results)),
            deviations=sum(one.deviations for one in results),
            unchecked=sum(not self.spoken.checked.get(one.digest) for one in held),
            contradictions=_contradictions(words),
            leads=tuple(sorted({name for one in words for name in one.leads})),
            evidence_ids=tuple(dict.fromkeys(ids)),
        )

    def _chain(self, first: VerifiedStatement) -> list[VerifiedStatement]:
        """A first draw and all that replace people of it, in order of time."""
        chain = [first]
        known = {one.digest for one in self.spoken.held.get(first.digest, ())}
        for draw in sorted(self.spoken.draws, key=lambda one: (_drawn(one).drawn_at, one.digest)):
            if _drawn(draw).replaces in known:
                chain.append(draw)
                known |= {one.digest for one in self.spoken.held.get(draw.digest, ())}
        return chain

    def _draw(self, draw: VerifiedStatement, before: Sequence[VerifiedStatement]) -> tuple[list[Found], Heard | None]:
        """One draw judged, with its openings and interviews; nobody was heard by a draw that was not fair."""
        promise = next((one for one in self.spoken.promises if one.digest == _drawn(draw).promise), None)
        judged = check_draw(
            Statements(roster=self.roster, drawn=draw, promise=promise, before=before),
            payload=self.payload,
            believed=Believed(answer_within_s=self.terms.answer_within_s, strata=self.terms.strata),
        )
        if judged.asked is None:
            return list(judged.faults), None
        opened = check_opening(
            judged.asked,
            self.spoken.openings.get(draw.digest, ()),
            payload=self.payload,
            as_of=self.terms.as_of,
        )
        heard = check_held(judged.asked, opened, self.spoken.held.get(draw.digest, ()), forms=self.terms.forms)
        return [*judged.faults, *opened.faults, *heard.faults], heard

    def _periods(self, held: Sequence[VerifiedStatement], results: Sequence[Heard]) -> list[Period]:
        """When somebody was heard, by an agreed form, in interviews that count."""
        if not any(tally.heard for one in results for tally in one.strata.values()):
            return []
        said = [one.predicate for one in held if isinstance(one.predicate, InterviewsHeld)]
        return [one.period for one in said if one.form in self.terms.forms and one.heard]


def _by_kind(found: Sequence[Found]) -> list[str]:
    """Faults in words, those of single entries counted together."""
    texts = [str(one) for one in found if one.entry is None]
    of_entries: dict[Fault, list[int]] = defaultdict(list)
    for one in found:
        if one.entry is not None:
            of_entries[one.fault].append(one.entry)
    for fault, entries in of_entries.items():
        shown = [str(entry) for entry in sorted(entries)[: reference.ENTRIES_SHOWN]]
        shown += ["…"] if len(entries) > len(shown) else []
        texts.append(f"{fault.value}: {len(entries)} of those drawn (entries {', '.join(shown)})")
    return texts


def _contradictions(words: Sequence[AnswersChecked]) -> int:
    """Over all interviews; of several checks of the same ones, the one that found most counts."""
    most: dict[str, int] = {}
    for one in words:
        most[one.held] = max(one.contradictions, most.get(one.held, 0))
    return sum(most.values())


def _roster(statement: VerifiedStatement) -> RosterCommitted:
    assert isinstance(statement.predicate, RosterCommitted)
    return statement.predicate


def _drawn(statement: VerifiedStatement) -> IntervieweesDrawn:
    assert isinstance(statement.predicate, IntervieweesDrawn)
    return statement.predicate
