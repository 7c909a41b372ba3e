"""One round of interviews of a simulated site: promise, roster, draw, opening, interviews, check.

The roster and the draw are made by the real code of `interviews.roster`. Nobody was asked: forms, answers and their check are
digests of nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from inspectorate.canonical import digest_of
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.evidence import (
    AnswersChecked,
    IntervieweesDrawn,
    InterviewsHeld,
    Origin,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
)
from inspectorate.evidence.kinds import Predicate
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interviews.forms.shipped import shipped_form
from inspectorate.mechanisms.interviews.roster.draw import draw, order_of
from inspectorate.mechanisms.interviews.roster.listed import OpenedPerson, Openings, Person, RosterList
from inspectorate.mechanisms.interviews.roster.selection import Selection, sizes_of
from inspectorate.quantities import Period

ROSTER = "roster"
"""The operator's reporter."""
FORM = shipped_form("operations").digest
"""One of those that the shipped agreement names."""
CALIBRATION = digest_of(b"simulated: the model of honest memory")
FALSE_ACCUSATION_RATE = 0.05
PROMISED_BEFORE_S, COMMITTED_BEFORE_S, DRAWN_AFTER_S = 60.0, 30.0, 5.0
"""Before and after the start of a round."""
ANSWER_WITHIN_S, OPENED_AFTER_S = 30.0, 15.0
"""From a draw; the first is what the shipped agreement gives."""
HELD_AFTER_S, HELD_FOR_S, CHECKED_AFTER_S = 40.0, 20.0, 70.0
"""From the start of a round."""


@dataclass(kw_only=True)
class Round:
    """One round of interviews, and how it departs from what is agreed."""

    period: Period
    people: list[Person]
    secret: bytes
    selection: Selection
    by: str
    committed: bool = True
    promised: bool = True
    promised_late: bool = False
    """Whether the secret was fixed only after the roster was seen."""
    drawn: bool = True
    other_draw: bool = False
    """Whether somebody is heard whom the randomness does not give, in place of somebody whom it does."""
    changed: bool = False
    """Whether another person than was committed to is opened for the first drawn entry."""
    dropped: bool = False
    """Whether the statement counts one person more than the list holds."""
    second_roster: bool = False
    """Whether the same time gets another roster, with one person fewer."""
    opened: bool = True
    opened_after_s: float = OPENED_AFTER_S
    held: bool = True
    held_by: str | None = None
    """None: who drew."""
    form: str = FORM
    refused: int = 0
    """How many of those drawn refuse: the first of them."""
    absent: int = 0
    deviations: int = 0
    checked: bool = True
    contradictions: int = 0
    leads: tuple[str, ...] = ()


class Signs(Protocol):
    """What a round needs of the script that it belongs to."""

    seed: int
    roster_key: SigningKey
    inspectors: dict[str, SigningKey]

    def say(self, predicate: Predicate, key: SigningKey, **subjects: bytes) -> str: ...

    def sign(self, predicate: Predicate, key: SigningKey, **subjects: str) -> str: ...


@dataclass(frozen=True, kw_only=True)
class _Committed:
    listed: RosterList
    people: Mapping[str, Person]
    """By person leaf."""
    envelope: str


def tell_round(script: Signs, number: int, one: Round) -> str:
    """Sign all that is said of one round; the digest of the roster's envelope."""
    promise = Promise[Selection](secret=one.secret.hex(), selection=one.selection)
    at = one.period.start + timedelta(seconds=DRAWN_AFTER_S - 1 if one.promised_late else -PROMISED_BEFORE_S)
    promised = digest_of(b"simulated: a promise that nobody made")
    if one.promised:
        promised = script.sign(
            RandomnessPromised(origin=Origin.SIMULATED, by=one.by, reporter=ROSTER, promised_at=at),
            script.inspectors[one.by],
            secret=promise.digest,
        )
    committed = _commit(script, number, one, None if one.promised_late else promised)
    if one.drawn:
        drawn, entries = _draw(script, one, committed, (promise, promised))
        _answer(script, one, committed, (drawn, entries))
    return committed.envelope


def _listed(name: str, people: list[Person]) -> tuple[RosterList, dict[str, Person]]:
    by_leaf = {person.person_leaf: person for person in people}
    ordered = [by_leaf[leaf] for leaf in sorted(by_leaf)]
    strata = tuple(sorted({person.stratum for person in people}))
    listed = RosterList(
        roster=name,
        strata=strata,
        stratum_of=tuple(strata.index(person.stratum) for person in ordered),
        persons=tuple(sorted(by_leaf)),
        roles=tuple(person.role_leaf for person in ordered),
    )
    return listed, by_leaf


def _commit(script: Signs, number: int, one: Round, promised: str | None) -> _Committed:
    listed, by_leaf = _listed(f"roster-{number}", one.people)
    strata = dict(listed.people)
    if one.dropped:
        strata[listed.strata[0]] += 1
    said = RosterCommitted(
        origin=Origin.SIMULATED,
        reporter=ROSTER,
        period=one.period,
        roster=listed.roster,
        strata=strata,
        promise=promised,
        committed_at=one.period.start - timedelta(seconds=COMMITTED_BEFORE_S),
    )
    envelope = ""
    if one.committed:
        envelope = script.say(said, script.roster_key, roster=listed.canonical_bytes())
    if one.second_roster:
        other, _ = _listed(f"roster-{number}-b", one.people[1:])
        twin = said.model_copy(update={"roster": other.roster, "strata": dict(other.people)})
        script.say(twin, script.roster_key, roster=other.canonical_bytes())
    return _Committed(listed=listed, people=by_leaf, envelope=envelope or digest_of(said.canonical_bytes()))


def _draw(
    script: Signs, one: Round, committed: _Committed, promised: tuple[Promise[Selection], str]
) -> tuple[str, tuple[int, ...]]:
    randomness = Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promised[0]))
    order = order_of(seed_of(randomness, committed.envelope), committed.listed)
    entries = draw(order, sizes_of(one.selection, committed.listed))
    if one.other_draw:
        spared = next(n for n in range(len(committed.listed.persons)) if n not in entries)
        entries = tuple(sorted({*entries[1:], spared}))
    at = one.period.start + timedelta(seconds=DRAWN_AFTER_S)
    digest = script.say(
        IntervieweesDrawn(
            origin=Origin.SIMULATED,
            by=one.by,
            reporter=ROSTER,
            roster=committed.envelope,
            promise=promised[1],
            drawn=entries,
            drawn_at=at,
            answer_by=at + timedelta(seconds=ANSWER_WITHIN_S),
        ),
        script.inspectors[one.by],
        randomness=randomness.canonical_bytes(),
    )
    return digest, entries


def _answer(script: Signs, one: Round, committed: _Committed, drawn: tuple[str, tuple[int, ...]]) -> None:
    digest, entries = drawn
    shown = [OpenedPerson(entry=n, person=committed.people[committed.listed.persons[n]]) for n in entries]
    if one.changed:
        other = shown[0].person.model_copy(update={"pseudonym": "p-stand-in"})
        shown[0] = OpenedPerson(entry=shown[0].entry, person=other)
    if one.opened:
        script.say(
            RosterOpened(
                origin=Origin.SIMULATED,
                reporter=ROSTER,
                period=one.period,
                drawn=digest,
                opened=entries,
                opened_at=one.period.start + timedelta(seconds=DRAWN_AFTER_S + one.opened_after_s),
            ),
            script.roster_key,
            openings=Openings(roster=committed.listed.roster, people=tuple(shown)).canonical_bytes(),
        )
    if one.held:
        _hear(script, one, digest, entries)


def _hear(script: Signs, one: Round, drawn: str, entries: tuple[int, ...]) -> None:
    start = one.period.start + timedelta(seconds=HELD_AFTER_S)
    unheard = one.refused + one.absent
    by = one.held_by or one.by
    held = script.sign(
        InterviewsHeld(
            origin=Origin.SIMULATED,
            by=by,
            drawn=drawn,
            form=one.form,
            heard=entries[unheard:],
            refused=entries[: one.refused],
            absent=entries[one.refused : unheard],
            deviations=one.deviations,
            period=Period(start=start, end=start + timedelta(seconds=HELD_FOR_S)),
        ),
        script.inspectors[by],
        records=digest_of(f"simulated records {script.seed} {one.period}".encode()),
    )
    if one.checked:
        script.sign(
            AnswersChecked(
                origin=Origin.SIMULATED,
                by=by,
                held=held,
                calibration=CALIBRATION,
                false_accusation_rate=FALSE_ACCUSATION_RATE,
                contradictions=one.contradictions,
                leads=one.leads,
                checked_at=one.period.start + timedelta(seconds=CHECKED_AFTER_S),
            ),
            script.inspectors[by],
            checked=digest_of(f"simulated check {script.seed} {one.period}".encode()),
        )


def people_of(seed: int, strata: Mapping[str, int]) -> list[Person]:
    """As many people as are wanted of each stratum; the same ones in every round."""
    return [
        Person(
            pseudonym=f"p-{stratum}-{number}",
            role=f"simulated {stratum}",
            stratum=stratum,
            salt=hashlib.sha256(f"simulated salt {seed} {stratum} {number}".encode()).hexdigest(),
        )
        for stratum, count in strata.items()
        for number in range(count)
    ]


def secret_of(seed: int, at: datetime) -> bytes:
    return hashlib.sha256(f"simulated secret of interviews {seed} {at}".encode()).digest()
