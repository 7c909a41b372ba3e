"""The statements of both sides: promise, commit, draw, open, hold.

An act checks all that the other side has sent before it makes anything: whoever answers a draw that is not fair, or draws
from a roster that is not the one that was committed to, has no use for the result. Time and randomness come in as arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    IntervieweesDrawn,
    InterviewsHeld,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
)
from inspectorate.evidence.act import Act, Who
from inspectorate.mechanisms.interviews.roster import draw as drawing
from inspectorate.mechanisms.interviews.roster.faults import Found
from inspectorate.mechanisms.interviews.roster.judge import check_roster
from inspectorate.mechanisms.interviews.roster.listed import OpenedPerson, Openings, RosterList
from inspectorate.mechanisms.interviews.roster.opening import Asked, Opened
from inspectorate.mechanisms.interviews.roster.people import KeptRoster
from inspectorate.mechanisms.interviews.roster.replacing import Link, chained
from inspectorate.mechanisms.interviews.roster.selection import Selection, sizes_of
from inspectorate.quantities import Period


def make_promise(selection: Selection, secret: bytes, who: Who, *, reporter: str) -> tuple[Promise[Selection], Act]:
    """The verifier's first act. The promise stays with the verifier until it draws."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    promise = Promise[Selection](secret=secret.hex(), selection=selection)
    predicate = RandomnessPromised(origin=who.origin, by=who.name, reporter=reporter, promised_at=who.at)
    return promise, Act(predicate=predicate, subjects={"secret": promise.digest})


def make_roster(kept: KeptRoster, who: Who, *, period: Period, promise: str | None = None) -> Act:
    """The prover's first act: who works there in `period`. `promise` is the verifier's that stands now, by its envelope's
    digest."""
    listed = kept.listed()
    data = listed.canonical_bytes()
    predicate = RosterCommitted(
        origin=who.origin, reporter=who.name, period=period, roster=kept.roster, strata=dict(listed.people),
        promise=promise, committed_at=who.at,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"roster": digest_of(data)}, payloads=(data,))


def revealed(promise: Promise[Selection]) -> Randomness[Selection]:
    """The randomness of a draw by commit and reveal."""
    return Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promise))


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """By what to draw, and how long there is to answer."""

    randomness: Randomness[Selection]
    answer_within: timedelta
    promise: str | None = None
    replaces: str | None = None
    """Digest of the `InterviewsHeld` whose unheard are replaced; none: a first draw."""
    before: Sequence[VerifiedStatement] = ()
    """With `replaces`: earlier draws from this roster, and the interviews that followed them."""


def make_draw(
    roster: VerifiedStatement,
    drawing_by: Drawing,
    who: Who,
    *,
    payload: Callable[[str], bytes],
    strata: Collection[str] | None = None,
) -> Act:
    """The verifier's second act. Raises `EvidenceError` where the roster cannot be drawn from, or nobody is to be replaced."""
    said = roster.predicate
    assert isinstance(said, RosterCommitted)
    where = f"roster {said.roster}"
    listed, found = check_roster(roster, payload=payload, strata=strata)
    if found or listed is None:
        raise refusal("the roster cannot be drawn from", found, where=where)
    selection = drawing_by.randomness.selection
    if odd := set(selection.strata) ^ set(listed.strata):
        raise EvidenceError(f"selection and roster differ in the strata {', '.join(sorted(odd))}", where=where)
    data = drawing_by.randomness.canonical_bytes()
    link = Link(
        by=who.name, roster=roster.digest, promise=drawing_by.promise, replaces=drawing_by.replaces, at=who.at,
        randomness=digest_of(data),
    )  # fmt: skip
    drawn = _drawn(link, drawing_by, listed, selection)
    if not drawn:
        raise EvidenceError("nobody is to be drawn: no more were promised, or nobody is left", where=where)
    predicate = IntervieweesDrawn(
        origin=who.origin, by=who.name, reporter=said.reporter, roster=roster.digest, promise=drawing_by.promise,
        replaces=drawing_by.replaces, drawn=drawn, drawn_at=who.at, answer_by=who.at + drawing_by.answer_within,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"randomness": digest_of(data)}, payloads=(data,))


def _drawn(link: Link, by: Drawing, listed: RosterList, selection: Selection) -> tuple[int, ...]:
    order = drawing.order_of(seed_of(by.randomness, link.roster), listed)
    if by.replaces is None:
        return drawing.draw(order, sizes_of(selection, listed))
    chain = chained(link, by.before, selection, listed)
    if isinstance(chain, Found):
        raise refusal("nobody can be replaced", [chain], where="--replaces")
    return drawing.replace(order, chain.taken, chain.more)


def make_opening(kept: KeptRoster, asked: Asked, who: Who, *, refuse: Collection[int] = ()) -> Act:
    """The prover's second act: pseudonyms, roles and salts of who was drawn, but for those that it refuses.

    `asked` comes of a draw that was judged fair. Raises `InputError` where it is too late, or the kept roster is another.
    """
    said, drawn = asked.roster, asked.drawn
    if who.at > drawn.answer_by:
        raise InputError(f"the time to answer was over at {drawn.answer_by:%Y-%m-%d %H:%M:%S} UTC", where=said.roster)
    if kept.listed() != asked.listed:
        raise InputError("the kept roster is not the one that was committed to", where=kept.roster)
    if stray := set(refuse) - set(drawn.drawn):
        raise InputError(f"entry {min(stray)} was not drawn, so it cannot be refused", where="--refuse")
    rows = kept.in_order()
    entries = tuple(entry for entry in drawn.drawn if entry not in set(refuse))
    opened = Openings(
        roster=said.roster, people=tuple(OpenedPerson(entry=entry, person=rows[entry]) for entry in entries)
    )
    data = opened.canonical_bytes()
    predicate = RosterOpened(
        origin=who.origin, reporter=who.name, period=said.period, drawn=asked.digest, opened=entries, opened_at=who.at
    )
    return Act(predicate=predicate, subjects={"openings": digest_of(data)}, payloads=(data,))


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """What an interviewer says of a draw: who did not speak, by which form the others did, when."""

    form: str
    """Digest of the agreed form."""
    records: str
    """Digest of the sealed records of the answers. They stay with the interviewers."""
    period: Period
    refused: Collection[int] = ()
    absent: Collection[int] = ()
    deviations: int = 0


def make_held(asked: Asked, opened: Opened, sitting: Sitting, who: Who) -> Act:
    """Who was heard: everybody who was opened and neither refused nor was absent. Entries that were not opened are absent.

    Raises `InputError` where somebody is named who was not drawn, or in two lists.
    """
    refused, absent = set(sitting.refused), set(sitting.absent)
    if stray := (refused | absent) - set(asked.drawn.drawn):
        raise InputError(f"entry {min(stray)} was not drawn", where="--refused, --absent")
    if both := refused & absent:
        raise InputError(f"entry {min(both)} cannot have refused and been absent", where="--refused, --absent")
    if opened.pending:
        raise EvidenceError(f"{len(opened.pending)} entries may still be opened", where=asked.digest)
    absent |= set(asked.drawn.drawn) - set(opened.people) - refused
    heard = tuple(entry for entry in asked.drawn.drawn if entry not in refused | absent)
    predicate = InterviewsHeld(
        origin=who.origin, by=who.name, drawn=asked.digest, form=sitting.form, heard=heard,
        refused=tuple(sorted(refused)), absent=tuple(sorted(absent)), deviations=sitting.deviations,
        period=sitting.period,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"records": sitting.records})


def refusal(what: str, found: Sequence[Found], *, where: str) -> EvidenceError:
    """The error of an act that is not done because of what the other side sent: every fault by its name."""
    return EvidenceError(f"{what}: " + "; ".join(str(one) for one in found[:8]), where=where)
