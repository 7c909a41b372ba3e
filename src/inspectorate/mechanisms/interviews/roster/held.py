"""What became of everybody who was drawn: heard, refused, absent, not opened, or not accounted for.

Rules:

- Everybody who was drawn is accounted for, one by one; who is not heard is never left out of a sum.
- Somebody counts as heard only if the entry was drawn, was opened as committed to, and was heard by an agreed form.
- Several statements may cover one draw, in order of their periods. Who was absent may still come; who refused is not asked
  again, and a later statement to the contrary is a fault.
- What this says of a stratum is a chance under each reading of the refusals (`sizes`), the worst one included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inspectorate.evidence import InterviewsHeld, VerifiedStatement
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.opening import Asked, Opened
from inspectorate.mechanisms.interviews.roster.sizes import Reached, reached


class Outcome(StrEnum):
    """What became of one entry."""

    HEARD = "heard"
    REFUSED = "refused"
    ABSENT = "absent"
    UNOPENED = "unopened"
    """The prover did not say in time who it is."""
    UNACCOUNTED = "unaccounted"
    """Nothing usable is said of it."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Of one stratum, over one draw or several."""

    people: int
    drawn: int
    heard: int
    refused: int
    absent: int
    unopened: int
    unaccounted: int

    @property
    def unheard(self) -> int:
        return self.drawn - self.heard

    @property
    def unheard_share(self) -> float:
        return self.unheard / self.drawn if self.drawn else 0.0

    def reached(self, knowing: int) -> Reached:
        """With which chance somebody who knows was heard, if `knowing` of the stratum do (all of it, if it is smaller)."""
        known = min(knowing, self.people)
        return reached(people=self.people, knowing=known, drawn=self.drawn, unheard=self.unheard)


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What became of one draw."""

    outcomes: Mapping[int, Outcome]
    """Of everybody who was drawn."""
    strata: Mapping[str, Tally]
    deviations: int
    """Times that something else was asked or said than the form has, as the interviewers say."""
    faults: tuple[Found, ...]

    def entries(self, outcome: Outcome) -> tuple[int, ...]:
        return tuple(entry for entry, what in self.outcomes.items() if what is outcome)


def check_held(
    asked: Asked, opened: Opened, held: Sequence[VerifiedStatement], *, forms: Collection[str] | None = None
) -> Heard:
    """Account for everybody who was drawn. `forms` are the agreed ones, by digest; none: not checked."""
    found: list[Found] = []
    outcomes: dict[int, Outcome] = {}
    deviations = 0
    drawn = set(asked.drawn.drawn)
    for statement in sorted(held, key=_key):
        said = statement.predicate
        assert isinstance(said, InterviewsHeld)
        if said.drawn != asked.digest or said.by != asked.drawn.by:
            found.append(_fault(Fault.HELD_OTHER, "is not of this draw, or not by who drew", statement))
            continue
        deviations += said.deviations
        agreed = forms is None or said.form in forms
        if not agreed:
            found.append(_fault(Fault.FORM_OTHER, f"the form {said.form[:19]}… is not agreed", statement))
        for entry, outcome in _said(said):
            if entry not in drawn:
                detail = f"entry {entry} was not drawn"
                found.append(_fault(Fault.HEARD_NOT_DRAWN, detail, statement, entry))
            elif outcomes.get(entry, Outcome.ABSENT) not in (Outcome.ABSENT, outcome):
                detail = f"entry {entry} was {outcomes[entry].value} before, and is now {outcome.value}"
                found.append(_fault(Fault.COUNTED_TWICE, detail, statement, entry))
            elif outcome is Outcome.HEARD and entry not in opened.people:
                detail = f"entry {entry} was heard, and is not opened"
                found.append(_fault(Fault.HEARD_NOT_OPENED, detail, statement, entry))
            elif agreed or outcome is not Outcome.HEARD:
                outcomes[entry] = outcome
    everybody: dict[int, Outcome] = {}
    for entry in asked.drawn.drawn:
        missing = Outcome.UNACCOUNTED if entry in opened.people else Outcome.UNOPENED
        everybody[entry] = outcomes.get(entry, missing)
        if held and everybody[entry] is Outcome.UNACCOUNTED:
            detail = f"nothing is said of entry {entry}"
            found.append(Found(fault=Fault.UNACCOUNTED, detail=detail, entry=entry))
    strata = dict(_tallies(asked, everybody))
    return Heard(outcomes=everybody, strata=strata, deviations=deviations, faults=tuple(found))


def together(draws: Sequence[Heard]) -> Mapping[str, Tally]:
    """Strata over a draw and those that replaced people of it: who was replaced stays unheard."""
    joined: dict[str, Tally] = {}
    for heard in draws:
        for name, tally in heard.strata.items():
            joined[name] = _sum(joined[name], tally) if name in joined else tally
    return joined


def _sum(one: Tally, other: Tally) -> Tally:
    return Tally(
        people=one.people, drawn=one.drawn + other.drawn, heard=one.heard + other.heard,
        refused=one.refused + other.refused, absent=one.absent + other.absent,
        unopened=one.unopened + other.unopened, unaccounted=one.unaccounted + other.unaccounted,
    )  # fmt: skip


def _tallies(asked: Asked, outcomes: Mapping[int, Outcome]) -> Iterator[tuple[str, Tally]]:
    for name, people in asked.listed.people.items():
        of = [what for entry, what in outcomes.items() if asked.listed.stratum(entry) == name]
        yield name, Tally(people=people, drawn=len(of), **{outcome.value: of.count(outcome) for outcome in Outcome})


def _said(said: InterviewsHeld) -> Iterator[tuple[int, Outcome]]:
    for outcome, entries in (
        (Outcome.HEARD, said.heard), (Outcome.REFUSED, said.refused), (Outcome.ABSENT, said.absent),
    ):  # fmt: skip
        for entry in entries:
            yield entry, outcome


def _key(statement: VerifiedStatement) -> tuple[object, ...]:
    said = statement.predicate
    assert isinstance(said, InterviewsHeld)
    return said.period.end, statement.digest


def _fault(fault: Fault, detail: str, statement: VerifiedStatement, entry: int | None = None) -> Found:
    return Found(fault=fault, detail=detail, entry=entry, statement=statement.digest)
