"""What the prover shows of the packets that were drawn: the subject `openings` of a `PacketsOpened`.

Rules:

- An opening holds the header of the run and whole packets with their salts: digests of content, never content.
- A packet counts if it was drawn, came in time, and gives the leaf that stands in the list; its times and FLOP must be
  those of the list.
- When an opening came: what the verifier or the ledger says is believed, where there is such a word. `opened_at` is the
  prover's own, and taken only where nothing else is known; the judgement says which.
- Several openings may answer one draw; each packet counts once. What none of them opens in time is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import JSON_BYTES_MAX, Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence import PacketsDrawn, PacketsOpened, VerifiedStatement, WorkCommitted
from inspectorate.evidence.inspected import DRAWN_MAX, WorkKind
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Found
from inspectorate.mechanisms.inspection.transcripts.types import Packet, PacketList, RunHeader

OPENINGS_BYTES_MAX = JSON_BYTES_MAX


class Openings(Record):
    """Packets that were drawn, opened, with the header of their run. Packets are in order of their numbers.

    A training packet starts where the one before it ended, and only both records together show that: so the record
    before each drawn training packet is shown, too, as a seam, where it was not drawn itself.
    """

    version: Literal[1] = 1
    sequence: Annotated[int, Field(ge=0)]
    header: Annotated[RunHeader, Field(discriminator="work")]
    packets: tuple[Packet, ...] = Field(max_length=DRAWN_MAX)
    seams: tuple[Packet, ...] = Field(
        default=(), max_length=DRAWN_MAX, description="packets that were not drawn, each before a drawn one of training"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for packets in (self.packets, self.seams):
            numbers = [packet.number for packet in packets]
            if numbers != sorted(set(numbers)):
                raise ValueError("packets must be sorted and distinct")
        if any(packet.content.work is not self.header.work for packet in (*self.packets, *self.seams)):
            raise ValueError("a packet is not of the kind of work that the header states")
        return self


def parse_openings(data: bytes, *, where: str) -> Openings:
    """The record in its one byte form. Raises `EvidenceError`."""
    if len(data) > OPENINGS_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {OPENINGS_BYTES_MAX}", where=where)
    return Openings.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What became of the packets of one draw."""

    packets: Mapping[int, Packet]
    """Opened in time, and as committed to, by number."""
    seams: Mapping[int, Packet]
    """The records before drawn packets of training that were not drawn themselves, as committed to."""
    header: RunHeader | None
    """As committed to; none if nothing was opened."""
    refused: tuple[int, ...]
    """Drawn, and not opened in time as committed to. They count as dirty."""
    pending: tuple[int, ...]
    """Drawn, not yet opened, and still in time at `as_of`."""
    faults: tuple[Found, ...]
    times_believed: bool
    """Whether the times of all openings are the verifier's or the ledger's, and not only the prover's."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The draw that an opening answers. Build it only of a draw without a fault (`judge.check_draw`)."""

    drawn: PacketsDrawn
    digest: str
    """Of the envelope of the draw."""
    commitment: WorkCommitted
    listed: PacketList


def check_opening(
    asked: Asked,
    openings: Sequence[VerifiedStatement],
    *,
    payload: Callable[[str], bytes],
    as_of: datetime,
    received: Mapping[str, datetime] | None = None,
) -> Opened:
    """Judge what was opened of a draw. Nothing in a payload raises.

    `received` says when the verifier or the ledger had a statement, by its digest. `as_of` is when the question is
    asked: until `answer_by`, what is not opened is pending.
    """
    known = received or {}
    found: list[Found] = []
    packets: dict[int, Packet] = {}
    seams: dict[int, Packet] = {}
    header: RunHeader | None = None
    believed = True
    for statement in openings:
        predicate = statement.predicate
        if not isinstance(predicate, PacketsOpened) or predicate.drawn != asked.digest:
            found.append(_fault(Fault.OPENING_OTHER, "does not answer this draw", statement))
            continue
        believed = believed and statement.digest in known
        shown, faults = _open(asked, statement, payload)
        found += faults
        if (late := _late(asked.drawn, predicate, known.get(statement.digest))) is not None:
            found.append(_fault(Fault.OPENED_LATE, late, statement))
        elif shown is not None:
            header = shown.header
            for packet in shown.packets:
                packets.setdefault(packet.number, packet)
            for packet in shown.seams:
                seams.setdefault(packet.number, packet)
    unseen = seamless(packets, seams)
    found += [
        Found(fault=Fault.NOT_OPENED, detail=f"packet {number} was opened without the one before it", packet=number)
        for number in unseen
    ]
    for number in unseen:
        del packets[number]
    left = tuple(number for number in asked.drawn.packets if number not in packets)
    due = as_of > asked.drawn.answer_by
    if due:
        found += [
            Found(fault=Fault.NOT_OPENED, detail=f"packet {number} was not opened in time", packet=number)
            for number in left
            if number not in unseen
        ]
    return Opened(
        packets=packets, seams=seams, header=header, refused=left if due else (), pending=() if due else left, faults=tuple(found),
        times_believed=believed,
    )  # fmt: skip


def _open(
    asked: Asked, statement: VerifiedStatement, payload: Callable[[str], bytes]
) -> tuple[Openings | None, list[Found]]:
    """What an opening shows of this draw, as committed to; none if the whole of it is not usable."""
    predicate = statement.predicate
    assert isinstance(predicate, PacketsOpened)
    if predicate.reporter != asked.commitment.reporter:
        return None, [_fault(Fault.OPENING_OTHER, f"comes from {predicate.reporter}", statement)]
    try:
        shown = parse_openings(subject_bytes(statement, "openings", payload), where="openings")
    except EvidenceError as fault:
        return None, [_fault(Fault.OPENING_UNREADABLE, str(fault), statement)]
    if tuple(packet.number for packet in shown.packets) != predicate.opened:
        return None, [_fault(Fault.OPENING_UNREADABLE, "holds other packets than its statement names", statement)]
    if (shown.header.run, shown.sequence) != (asked.commitment.run, asked.commitment.sequence):
        return None, [_fault(Fault.OPENING_OTHER, "is of another run or stretch", statement)]
    if shown.header.work is not asked.commitment.work or (
        digest_of(shown.header.canonical_bytes()) != asked.commitment.header
    ):
        return None, [_fault(Fault.HEADER_DIFFERS, "the header is not the one that was committed to", statement)]
    drawn = set(asked.drawn.packets)
    faults: list[Found] = []
    good: dict[str, list[Packet]] = {"packets": [], "seams": []}
    for what, packets in (("packets", shown.packets), ("seams", shown.seams)):
        for packet in packets:
            judge = _packet_fault if what == "packets" else _seam_fault
            wrong = judge(asked.listed, packet, drawn)
            if wrong is None:
                good[what].append(packet)
            else:
                kind, detail = wrong
                faults.append(Found(fault=kind, detail=detail, packet=packet.number, statement=statement.digest))
    return shown.model_copy(update={what: tuple(packets) for what, packets in good.items()}), faults


def seams_of(numbers: Collection[int], work: WorkKind) -> tuple[int, ...]:
    """The packets before drawn ones of training, where they were not drawn themselves."""
    if work is not WorkKind.TRAINING:
        return ()
    return tuple(sorted({number - 1 for number in numbers if number > 0} - set(numbers)))


def seamless(packets: Mapping[int, Packet], seams: Mapping[int, Packet]) -> tuple[int, ...]:
    """Packets of training that are there without the one before them: where they start, nobody can see."""
    return tuple(
        number
        for number, packet in packets.items()
        if packet.content.work is WorkKind.TRAINING and number and number - 1 not in packets and number - 1 not in seams
    )


def _seam_fault(listed: PacketList, packet: Packet, drawn: Collection[int]) -> tuple[Fault, str] | None:
    number, row = packet.number, packet.number - listed.first
    if number in drawn or number + 1 not in drawn:
        return Fault.NOT_DRAWN, f"packet {number} does not stand before one that was drawn"
    if packet.leaf != (listed.before if row == -1 else listed.leaves[row]):
        return Fault.LEAF_DIFFERS, f"packet {number} does not give the leaf that was committed to"
    return None


def _packet_fault(listed: PacketList, packet: Packet, drawn: Collection[int]) -> tuple[Fault, str] | None:
    number, row = packet.number, packet.number - listed.first
    if number not in drawn:
        return Fault.NOT_DRAWN, f"packet {number} was not drawn"
    if packet.leaf != listed.leaves[row]:
        return Fault.LEAF_DIFFERS, f"packet {number} does not give the leaf that was committed to"
    stated = (listed.start_ns[row], listed.end_ns[row], listed.flop[row])
    if (packet.start_ns, packet.end_ns, packet.flop) != stated:
        return Fault.LEAF_DIFFERS, f"packet {number} has other times or FLOP than the list states"
    return None


def _late(drawn: PacketsDrawn, opened: PacketsOpened, received: datetime | None) -> str | None:
    if received is not None and received > drawn.answer_by:
        return f"received at {received:%Y-%m-%d %H:%M:%S} UTC, after {drawn.answer_by:%Y-%m-%d %H:%M:%S} UTC"
    if opened.opened_at > drawn.answer_by:
        return f"opened at {opened.opened_at:%Y-%m-%d %H:%M:%S} UTC, after {drawn.answer_by:%Y-%m-%d %H:%M:%S} UTC"
    return None


def _fault(fault: Fault, detail: str, statement: VerifiedStatement) -> Found:
    return Found(fault=fault, detail=detail, statement=statement.digest)
