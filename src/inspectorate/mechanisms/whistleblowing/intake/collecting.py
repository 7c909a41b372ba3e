"""What each office does alone, without opening anything: fetch a batch, and hold it against the log.

    1. the log says what it says of this intake: one closing of each batch, and no batch left out
    2. the closing is the one that the log names, signed by the intake, of this intake and batch, to the agreed offices
    3. it continues the one before it, and its time does not run into that one's
    4. the list is the one that the closing names
    5. every block that the list names is there, whole, and bound to this batch

A host that drops, changes or exchanges a block fails 5, for a list 4, for a batch 1 to 3. What is collected is sorted by
commitment: all offices hold the same bytes, and their order says nothing of when anything came.

It cannot be seen here that a block was left out before the batch was closed: a receipt of its source shows that (`check_receipt`),
and an office that sends reports of its own now and then, as everybody does, makes it dangerous to try.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.evidence.exchange import read_plain
from inspectorate.files import replace_file
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.whistleblowing.intake.batch import name_of
from inspectorate.mechanisms.whistleblowing.intake.closing import CLOSING_BYTES_MAX, Closing, context_of, read_closing
from inspectorate.mechanisms.whistleblowing.intake.receipts import NAMED_BYTES, Given
from inspectorate.mechanisms.whistleblowing.intake.volume import Paths
from inspectorate.mechanisms.whistleblowing.sealing.blocks import COMMITMENT_BYTES, Shape
from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices, check_offices

LIST_BYTES_MAX = 32 * 10**8


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What an office knows of an intake, from others than its host."""

    intake: str
    key: PublicKey
    offices: Offices
    log: Mapping[int, str]
    """Batch -> digest of its closing, as the log says (`entries_of`)."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """One batch as an office has it."""

    closing: Closing
    commitments: bytes
    missing: tuple[bytes, ...]
    """Commitments of the log whose blocks were not there, or not whole."""

    @property
    def batch(self) -> int:
        return self.closing.header.batch


def check_log(log: Mapping[int, str]) -> None:
    """Raises `EvidenceError` where the log leaves out a batch."""
    gaps = [number for number in range(1, max(log, default=0) + 1) if number not in log]
    if gaps:
        raise EvidenceError(f"names no closing of batch {gaps[0]}, but of later ones", where="the log")


def check_closing(folder: Path, batch: int, expected: Expected) -> Closing:
    """A closing in a folder, held against the log and the one before it. Raises `EvidenceError`."""
    path = Paths(folder, batch).closing
    where = str(path)
    logged = expected.log.get(batch)
    if logged is None:
        raise EvidenceError(f"batch {batch} is not in the log", where=where, remedy="has it ended yet?")
    data = read_plain(path, CLOSING_BYTES_MAX)
    if digest_of(data) != logged:
        raise EvidenceError(f"is not the closing that the log names for batch {batch}", where=where)
    closing = read_closing(data, expected.key, where=where)
    header = closing.header
    if (header.intake, header.batch) != (expected.intake, batch):
        raise EvidenceError(f"is of batch {header.batch} of {header.intake}", where=where)
    check_offices(header.offices, expected.offices, where=where)
    if closing.previous != expected.log.get(batch - 1):
        raise EvidenceError(f"does not continue the closing of batch {batch - 1} that the log names", where=where)
    before = Paths(folder, batch - 1).closing
    if before.exists():
        data = read_plain(before, CLOSING_BYTES_MAX)
        if digest_of(data) == closing.previous:
            last = read_closing(data, expected.key, where=str(before))
            if closing.period.start < last.period.end:
                raise EvidenceError("its time runs into that of the batch before it", where=where)
    return closing


def collect(source: Path, batch: int, into: Path, expected: Expected) -> Collected:
    """Fetch one batch from a copy of the intake's folder `closed`. Raises `EvidenceError`, `EnvironmentError_`.

    Blocks that are not there are named in the result, and the others are kept, with those that the office has of it: what came,
    from the host or from the folder of another office, is not lost for what did not.
    """
    check_log(expected.log)
    closing = check_closing(source, batch, expected)
    theirs, ours = Paths(source, batch), Paths(into, batch)
    listed = read_plain(theirs.commitments, LIST_BYTES_MAX)
    commitments = closing.check_list(listed, where=str(theirs.commitments))
    try:
        into.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            found = [_blocks_in(path, closing, stack) for path in (ours.blocks, theirs.blocks)]
            missing = _copy([one for one in found if one is not None], ours.blocks, commitments)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be copied: {fault.strerror}", where=str(theirs.blocks)) from None
    replace_file(ours.commitments, listed)
    replace_file(ours.closing, read_plain(theirs.closing, CLOSING_BYTES_MAX))
    return Collected(closing=closing, commitments=listed, missing=missing)


@dataclass(frozen=True)
class _Blocks:
    """A file of blocks of one batch, as its host or an office has it: in any order, with any holes."""

    descriptor: int
    shape: Shape
    places: Mapping[bytes, int]
    """Where each commitment is said to stand: the last bytes of each place."""

    def block(self, commitment: bytes) -> bytes | None:
        """The block of this commitment; none where it is not there, or not whole."""
        place, size = self.places.get(commitment), self.shape.block_bytes
        block = b"" if place is None else os.pread(self.descriptor, size, place * size)
        return block if self.shape.is_whole(block) and block[-COMMITMENT_BYTES:] == commitment else None


def _blocks_in(path: Path, closing: Closing, stack: contextlib.ExitStack) -> _Blocks | None:
    """A file of blocks, never through a link; none where there is none. Raises `EvidenceError`, `OSError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    stack.callback(os.close, descriptor)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise EvidenceError("is no plain file", where=str(path))
    size, places = closing.header.block_bytes, {}
    for place in range(closing.header.slots):
        found = os.pread(descriptor, COMMITMENT_BYTES, (place + 1) * size - COMMITMENT_BYTES)
        if found.strip(b"\0"):
            places[found] = place
    return _Blocks(descriptor, closing.header.shape, places)


def _copy(sources: Sequence[_Blocks], target: Path, wanted: Sequence[bytes]) -> tuple[bytes, ...]:
    """Write the blocks that any of these files has whole, in the order of their commitments; what is missing."""
    missing = []
    partial = target.with_name(target.name + ".new")
    with partial.open("wb") as out:
        for commitment in wanted:
            block = next((found for one in sources if (found := one.block(commitment)) is not None), None)
            if block is None:
                missing.append(commitment)
            else:
                out.write(block)
        out.flush()
        os.fsync(out.fileno())
    partial.rename(target)
    return tuple(missing)


def blocks_there(folder: Path, batch: int, expected: Expected) -> tuple[Closing, int]:
    """A closing in a folder, of the host or of an office, and how many of its blocks are there, whole. Raises `EvidenceError`."""
    closing, paths = check_closing(folder, batch, expected), Paths(folder, batch)
    listed = closing.check_list(read_plain(paths.commitments, LIST_BYTES_MAX), where=str(paths.commitments))
    with contextlib.ExitStack() as stack:
        try:
            blocks = _blocks_in(paths.blocks, closing, stack)
            there = 0 if blocks is None else sum(blocks.block(commitment) is not None for commitment in listed)
        except OSError as fault:
            raise EvidenceError(f"cannot be read: {fault.strerror}", where=str(paths.blocks)) from None
    return closing, there


def collected_batch(folder: Path, batch: int, expected: Expected) -> Sealed:
    """A batch that this office collected, ready to be released or opened. Raises `EvidenceError`."""
    closing = check_closing(folder, batch, expected)
    sealed = Sealed.of_blocks(Paths(folder, batch).blocks, closing.header.shape, expected.intake, closing.period)
    listed = read_plain(Paths(folder, batch).commitments, LIST_BYTES_MAX)
    commitments = set(closing.check_list(listed, where=name_of(batch)))
    found = [block[-COMMITMENT_BYTES:] for block in sealed]
    if not commitments.issuperset(found) or len(set(found)) != len(found):
        raise EvidenceError("holds blocks that the log does not name", where=str(Paths(folder, batch).blocks))
    return sealed


@dataclass(frozen=True, kw_only=True)
class ReceiptChecked:
    """What became of a report whose receipt is shown."""

    blocks: int
    absent: tuple[str, ...]
    """What is proof against the host, in words."""
    waiting: tuple[int, ...]
    """Batches that are not logged yet, and need not be."""


def check_receipt(given: Given, folder: Path, expected: Expected, *, now: datetime, grace: timedelta) -> ReceiptChecked:
    """Hold a receipt against closings and lists in a folder. Raises `EvidenceError` where these are not the log's.

    A batch that is not in the log is waited for only until the batch after it should have been closed, by what the newest closing
    in the folder says of their length.
    """
    if given.intake != expected.intake:
        raise EvidenceError(f"is a receipt of {given.intake}, not of {expected.intake}", where="the receipt")
    absent: list[str] = []
    waiting: list[int] = []
    for one in given.batches:
        if one.batch not in expected.log:
            late = one.batch < max(expected.log, default=0) or _late(one.batch, folder, expected, now - grace)
            if late:
                absent.append(f"batch {one.batch} was never logged")
            else:
                waiting.append(one.batch)
            continue
        closing = check_closing(folder, one.batch, expected)
        path = Paths(folder, one.batch).commitments
        listed = closing.check_list(read_plain(path, LIST_BYTES_MAX), where=str(path))
        if context_of(closing.header) != one.header:
            absent.append(f"batch {one.batch} that was logged is not the one in which the report was placed")
            continue
        named = {commitment[:NAMED_BYTES] for commitment in listed}
        lost = sum(commitment not in named for commitment in one.named)
        if lost:
            absent.append(f"{lost} of {len(one.named)} blocks are not in the log of batch {one.batch}")
    blocks = sum(len(one.named) for one in given.batches)
    return ReceiptChecked(blocks=blocks, absent=tuple(absent), waiting=tuple(waiting))


def _late(batch: int, folder: Path, expected: Expected, now: datetime) -> bool:
    """Whether a batch should have been logged by now. Where no batch ever was, that cannot be said."""
    last = max(expected.log, default=0)
    if last == 0:
        return False
    period = check_closing(folder, last, expected).period
    return now > period.end + (period.end - period.start) * (batch - last)


def own_log(folder: Path) -> dict[int, str]:
    """What an office's own folder says: the closings that it held against the log when it collected them."""
    found = {}
    for path in sorted(folder.glob("??????????.closing.json")):
        if path.name[:10].isdecimal():
            found[int(path.name[:10])] = digest_of(read_plain(path, CLOSING_BYTES_MAX))
    return found
