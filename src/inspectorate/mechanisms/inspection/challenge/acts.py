"""The four acts of an exchange, each made ready to be signed: promise, commit, draw, open.

An act checks all that the other side has sent before it makes anything: whoever answers a draw that is not fair, or
draws from a list that is not that of its commitment, has no use for the result. Time and randomness come in as
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from inspectorate.canonical import digest_of
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import (
    PacketsDrawn,
    PacketsOpened,
    RandomnessPromised,
    VerifiedStatement,
    WorkCommitted,
)
from inspectorate.evidence.act import Act, Who
from inspectorate.mechanisms.inspection.challenge.draw import draw
from inspectorate.mechanisms.inspection.challenge.faults import Found
from inspectorate.mechanisms.inspection.challenge.judge import check_list
from inspectorate.mechanisms.inspection.challenge.opening import Asked, Openings, seams_of
from inspectorate.mechanisms.inspection.challenge.promise import Promise, Randomness, Revealed, Selection
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.lists import flop_of, list_of_folder
from inspectorate.quantities import Period, from_ns


def make_promise(selection: Selection, secret: bytes, who: Who, *, reporter: str) -> tuple[Promise, Act]:
    """The verifier's first act. The promise stays with the verifier until it draws."""
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"a secret has {SECRET_BYTES} bytes, not {len(secret)}")
    promise = Promise(secret=secret.hex(), selection=selection)
    predicate = RandomnessPromised(origin=who.origin, by=who.name, reporter=reporter, promised_at=who.at)
    return promise, Act(predicate=predicate, subjects={"secret": promise.digest})


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Which packets of a run are committed to next."""

    claim: str
    count: int | None = None
    """None: all that are there."""
    promise: str | None = None
    """Digest of the envelope of the verifier's promise that stands now."""


def make_commitment(reader: FolderReader, stretch: Stretch, who: Who, *, earlier: Sequence[VerifiedStatement]) -> Act:
    """The prover's first act: the next packets of the run, chained to its earlier commitments.

    Raises `InputError` where nothing new is there, or the run is committed to in full.
    """
    before = _chain(reader, earlier)
    last = before[-1][1] if before else None
    where = str(reader.path)
    if last is not None and last.final:
        raise InputError("the run is committed to in full", where=where)
    first = sum(said.packets for _, said in before)
    count = reader.count - first if stretch.count is None else stretch.count
    if count < 1 or first + count > reader.count:
        remedy = "wait for the next packet"
        raise InputError(f"{first} packets are committed to, and {reader.count} are there", where=where, remedy=remedy)
    listed = list_of_folder(reader, len(before), first, count)
    start = from_ns(listed.start_ns[0])
    predicate = WorkCommitted(
        origin=who.origin, reporter=who.name, claim=stretch.claim, run=reader.header.run, work=reader.header.work,
        period=Period(start=start, end=max(from_ns(listed.end_ns[-1]), start + timedelta(microseconds=1))),
        sequence=len(before), previous=before[-1][0].digest if before else None,
        final=reader.closed and first + count == reader.count, packets=count,
        header=digest_of(reader.header.canonical_bytes()), flop_stated=flop_of(listed), promise=stretch.promise,
    )  # fmt: skip
    data = listed.canonical_bytes()
    return Act(predicate=predicate, subjects={"packets": digest_of(data)}, payloads=(data,))


def _chain(reader: FolderReader, earlier: Sequence[VerifiedStatement]) -> list[tuple[VerifiedStatement, WorkCommitted]]:
    said = [(one, one.predicate) for one in earlier]
    mine = [(one, of) for one, of in said if isinstance(of, WorkCommitted) and of.run == reader.header.run]
    mine.sort(key=lambda pair: pair[1].sequence)
    if [of.sequence for _, of in mine] != list(range(len(mine))):
        raise EvidenceError("its earlier commitments are not a chain", where=reader.header.run)
    header = digest_of(reader.header.canonical_bytes())
    if any(of.header != header for _, of in mine):
        raise EvidenceError("an earlier commitment has another header", where=reader.header.run)
    return mine


def make_draw(
    commitment: VerifiedStatement,
    randomness: Randomness,
    who: Who,
    *,
    payload: Callable[[str], bytes],
    answer_within: timedelta,
    promise: str | None = None,
) -> Act:
    """The verifier's second act. Raises `EvidenceError` where the list is not that of the commitment, or is empty."""
    said = commitment.predicate
    assert isinstance(said, WorkCommitted)
    listed, found = check_list(commitment, payload=payload)
    if found or listed is None:
        raise refusal("the commitment cannot be drawn from", found, where=f"run {said.run}, stretch {said.sequence}")
    data = randomness.canonical_bytes()
    predicate = PacketsDrawn(
        origin=who.origin, by=who.name, reporter=said.reporter, commitment=commitment.digest, promise=promise,
        packets=draw(randomness, commitment.digest, listed), drawn_at=who.at, answer_by=who.at + answer_within,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={"randomness": digest_of(data)}, payloads=(data,))


def revealed(promise: Promise) -> Randomness:
    """The randomness of a draw by commit and reveal."""
    return Randomness(source=Revealed(kind="commit-reveal", promise=promise))


def make_opening(reader: FolderReader, asked: Asked, who: Who, *, refuse: Collection[int] = ()) -> Act:
    """The prover's second act: header and packets of what was drawn, but for those that it refuses.

    `asked` comes of a draw that was judged fair. Raises `InputError` where it is too late, or the folder is another.
    """
    said, drawn = asked.commitment, asked.drawn
    where = str(reader.path)
    if who.at > drawn.answer_by:
        raise InputError(f"the time to answer was over at {drawn.answer_by:%Y-%m-%d %H:%M:%S} UTC", where=where)
    if digest_of(reader.header.canonical_bytes()) != said.header:
        raise InputError(
            "its header is not the one that was committed to", where=where, remedy="name the folder of the run"
        )
    if stray := set(refuse) - set(drawn.packets):
        raise InputError(f"packet {min(stray)} was not drawn, so it cannot be refused", where="--refuse")
    numbers = tuple(number for number in drawn.packets if number not in set(refuse))
    packets = tuple(reader.packet(number) for number in numbers)
    for packet in packets:
        if packet.leaf != asked.listed.leaves[packet.number - asked.listed.first]:
            raise InputError(f"packet {packet.number} is not the one that was committed to", where=where)
    before = seams_of(drawn.packets, reader.header.work)
    seams = tuple(reader.packet(number) for number in before if number + 1 in numbers)
    opened = Openings(sequence=said.sequence, header=reader.header, packets=packets, seams=seams)
    data = opened.canonical_bytes()
    predicate = PacketsOpened(
        origin=who.origin, reporter=who.name, period=said.period, drawn=asked.digest, opened=numbers, opened_at=who.at
    )
    return Act(predicate=predicate, subjects={"openings": digest_of(data)}, payloads=(data,))


def refusal(what: str, found: Sequence[Found], *, where: str) -> EvidenceError:
    """The error of an act that is not done because of what the other side sent: every fault by its name."""
    return EvidenceError(f"{what}: " + "; ".join(str(one) for one in found[:8]), where=where)
