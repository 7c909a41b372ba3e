"""The list of a stretch of packets that is committed to; and a folder held against the lists of its run.

`list_of_folder` is the prover's. `check_folder` is for whoever has the folder: the prover before it commits, an inspector at the
site. It finds, each told apart:

1. Lists that leave out a stretch, or of which one repeats packets of another: a run with a hole.
2. A folder that holds fewer packets than were committed to: a transcript that was shortened. More are not yet committed to.
3. Packets with another leaf, other times or FLOP than their row.
4. Packets that do not follow one another: steps left out or done twice, another checkpoint than before, overlapping times.
5. Content that is missing, also of what the header names. With `deep` it is hashed.
6. A run that was not closed: it goes on, or was cut off.

An empty folder shows nothing, and that is a fault too. A single opening is judged in `challenge`, a packet's result in `rerun`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.inspected import PACKETS_MAX
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader, content_of, content_of_header
from inspectorate.mechanisms.inspection.transcripts.types import (
    Packet,
    PacketList,
    TrainingContent,
    TrainingHeader,
)

FAULTS_MAX = 1_000
"""After so many nothing more is looked at."""


def list_of(
    run: str, sequence: int, packets: Iterable[Packet], *, first: int = 0, before: str | None = None
) -> PacketList:
    """The list of these packets, numbered on from `first`; `before` is the leaf of the one before. Raises `InputError`."""
    rows: list[tuple[int, int, float, str]] = []
    for packet in packets:
        due = first + len(rows)
        if packet.number != due:
            raise InputError(f"packet {packet.number} stands where {due} is due", where=run)
        if len(rows) >= PACKETS_MAX:
            raise InputError(f"more than {PACKETS_MAX} packets", where=run, remedy="commit to them in several")
        rows.append((packet.start_ns, packet.end_ns, packet.flop, packet.leaf))
    fields = {
        "run": run,
        "sequence": sequence,
        "first": first,
        "before": before,
        "start_ns": [row[0] for row in rows],
        "end_ns": [row[1] for row in rows],
        "flop": [row[2] for row in rows],
        "leaves": [row[3] for row in rows],
    }
    return PacketList.parse(fields, where=run, error=InputError)


def list_of_folder(reader: FolderReader, sequence: int, first: int, count: int) -> PacketList:
    """The list of a stretch of a folder. Raises `InputError`, `EvidenceError`."""
    if first < 0 or count < 0 or first + count > reader.count:
        raise InputError(f"packets {first} to {first + count} are not all there", where=str(reader.path))
    before = reader.packet(first - 1).leaf if first else None
    packets = (reader.packet(first + i) for i in range(count))
    return list_of(reader.header.run, sequence, packets, first=first, before=before)


def flop_of(listed: PacketList) -> float:
    """The FLOP of a list, added exactly and rounded once."""
    return math.fsum(listed.flop)


@dataclass(frozen=True)
class FolderFault:
    """What is wrong with a folder, and at which packet; none: with the run."""

    detail: str
    packet: int | None = None


@dataclass(frozen=True, kw_only=True)
class FolderCheck:
    """What a look through a folder found."""

    packets: int
    committed: int
    """Packets that the lists hold. The others are not committed to yet."""
    tokens: int
    flop: float
    steps: int
    """Of training; 0 for inference."""
    closed: bool
    faults: tuple[FolderFault, ...]


def check_folder(reader: FolderReader, lists: Sequence[PacketList] = (), *, deep: bool = False) -> FolderCheck:
    """Look through a whole folder. What it holds never raises; only a disk that cannot be read does."""
    faults = [FolderFault(text) for text in _list_faults(reader, lists)]
    rows = {one.first + i: (one, i) for one in lists for i in range(len(one.leaves))}
    before: Packet | None = None
    tokens, steps, flop = 0, 0, []
    seen: set[str] = set()
    faults += [FolderFault(text) for text in _content_faults(content_of_header(reader.header), reader, seen, deep)]
    for number in range(reader.count):
        if len(faults) >= FAULTS_MAX:
            break
        try:
            packet = reader.packet(number)
        except EvidenceError as fault:
            faults.append(FolderFault(str(fault), number))
            before = None
            continue
        faults += [FolderFault(text, number) for text in _packet_faults(packet, before, number, reader)]
        if number in rows:
            faults += [FolderFault(text, number) for text in _row_faults(packet, *rows[number])]
        faults += [FolderFault(text, number) for text in _content_faults(content_of(packet), reader, seen, deep)]
        tokens += tokens_of(packet)
        steps += packet.content.steps if isinstance(packet.content, TrainingContent) else 0
        flop.append(packet.flop)
        before = packet
    if not reader.closed:
        faults.append(FolderFault("the run was not closed: it goes on, or was cut off"))
    return FolderCheck(
        packets=reader.count, committed=len(rows), tokens=tokens, flop=math.fsum(flop), steps=steps, closed=reader.closed,
        faults=tuple(faults[:FAULTS_MAX]),
    )  # fmt: skip


def tokens_of(packet: Packet) -> int:
    """Tokens of training, or of prompts and answers."""
    content = packet.content
    if isinstance(content, TrainingContent):
        return content.tokens
    return sum(request.prompt_tokens + request.answer_tokens for request in content.requests)


def _list_faults(reader: FolderReader, lists: Sequence[PacketList]) -> Iterator[str]:
    if reader.count == 0:
        yield "holds no packet"
    due = 0
    end_ns = 0
    last: str | None = None
    for sequence, one in enumerate(sorted(lists, key=lambda one: one.sequence)):
        if one.run != reader.header.run:
            yield f"list {one.sequence} is of the run {one.run}"
        if one.sequence != sequence:
            yield f"the lists are not numbered without gaps: {one.sequence} stands where {sequence} is due"
        if one.first != due:
            yield f"list {one.sequence} begins with packet {one.first}, and {due} is due"
        if one.before != last:
            yield f"list {one.sequence} names another packet before it than the one before ended with"
        if one.start_ns and one.start_ns[0] < end_ns:
            yield f"list {one.sequence} begins before the one before it ended"
        due = one.first + len(one.leaves)
        end_ns = one.end_ns[-1] if one.end_ns else end_ns
        last = one.leaves[-1] if one.leaves else last
    if due > reader.count:
        yield f"{due} packets were committed to, and {reader.count} are there: the transcript was shortened"


def _row_faults(packet: Packet, listed: PacketList, row: int) -> Iterator[str]:
    if packet.leaf != listed.leaves[row]:
        yield "does not give the leaf that was committed to"
    if (packet.start_ns, packet.end_ns, packet.flop) != (listed.start_ns[row], listed.end_ns[row], listed.flop[row]):
        yield "has other times or FLOP than its row"


def _packet_faults(packet: Packet, before: Packet | None, number: int, reader: FolderReader) -> Iterator[str]:
    if packet.end_ns <= packet.start_ns:
        yield "ends before it starts"
    if before is not None and packet.start_ns < before.end_ns:
        yield "starts before the packet before it ended"
    content, header = packet.content, reader.header
    if not isinstance(content, TrainingContent) or not isinstance(header, TrainingHeader):
        return
    if len(content.batches) != content.steps or len(content.losses) not in (0, content.steps):
        yield f"states {content.steps} steps, {len(content.batches)} batches and {len(content.losses)} losses"
    if number == 0:
        if content.first_step != 0 or content.before.weights != header.weights_first:
            yield "the first packet does not start from the first weights, at step 0"
    elif before is not None and isinstance(before.content, TrainingContent):
        if content.first_step != before.content.first_step + before.content.steps:
            yield f"starts at step {content.first_step}, and the packet before it ended elsewhere"
        if content.before != before.content.after:
            yield "does not start from the checkpoint with which the packet before it ended"


def _content_faults(named: Iterable[str], reader: FolderReader, seen: set[str], deep: bool) -> Iterator[str]:
    for digest in named:
        if digest in seen:
            continue
        seen.add(digest)
        try:
            path = reader.content_path(digest)
            if deep and path.suffix == ".tensors":
                with reader.open_tensors(digest):
                    pass
            elif deep:
                reader.read_bytes(digest)
        except (EvidenceError, InputError) as fault:
            yield str(fault)
