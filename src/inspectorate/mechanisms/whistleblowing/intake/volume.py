"""The folder of an intake: what is written at a tick, and what happens when a batch is over.

    settings.json, offices.json, intake.key     what `inspectorate intake init` made
    batches/    the batch that is being written, room for the next one, and batches whose closing is not logged yet
    closed/     what offices collect: blocks, commitments, closings
    boards/     replies, as offices publish them
    lock        held by the one process that runs the intake

Rules:

- Nothing about a report is written but sealed blocks, and nothing at all at another time than that of a tick.
- The room of the next batch is taken before the current one needs it.
- A batch closes when its time is over or its places are filled, whichever is first: a clock that is set back cannot keep it open,
  and one that is set forward makes it short. Numbers only go up, and each header has a nonce, so no context comes twice.
- Closing a batch is a row of steps, each durable before the next and each made again after a crash: list, closing, log, move. A
  closing is signed once; where the log cannot be reached it waits, and the next batch begins all the same.
- A list of offices that changed counts from the next batch on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from inspectorate.canonical import digest_of, parse_canonical
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError, InspectorateError
from inspectorate.evidence.exchange import read_plain
from inspectorate.files import cannot_write, make_durable, replace_file
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.batch import NEXT, NONCE_BYTES, Batch, BatchHeader, name_of, prepare
from inspectorate.mechanisms.whistleblowing.intake.closing import (
    CLOSING_BYTES_MAX,
    Closing,
    context_of,
    entry_of,
    list_of,
    read_closing,
    sign_closing,
)
from inspectorate.mechanisms.whistleblowing.intake.disk import lock, move
from inspectorate.mechanisms.whistleblowing.intake.settings import SETTINGS_BYTES_MAX, Settings
from inspectorate.mechanisms.whistleblowing.intake.submission import Placed
from inspectorate.mechanisms.whistleblowing.sealing.blocks import COMMITMENT_BYTES, Sealer
from inspectorate.mechanisms.whistleblowing.sealing.offices import OFFICES_BYTES_MAX, Offices
from inspectorate.quantities import Period

SETTINGS, OFFICES, KEY, LOCK = "settings.json", "offices.json", "intake.key", "lock"
BATCHES, CLOSED, BOARDS = "batches", "closed", "boards"

Log = Callable[[bytes], None]
"""One durable append to the log. Raises an error of ours where that cannot be; called again later with the same entry."""

_RANDOM = random.SystemRandom()


@dataclass(frozen=True)
class Paths:
    """The files of one batch."""

    folder: Path
    batch: int

    @property
    def header(self) -> Path:
        return self.folder / f"{name_of(self.batch)}.json"

    @property
    def blocks(self) -> Path:
        return self.folder / f"{name_of(self.batch)}.blocks"

    @property
    def commitments(self) -> Path:
        return self.folder / f"{name_of(self.batch)}.commitments"

    @property
    def closing(self) -> Path:
        return self.folder / f"{name_of(self.batch)}.closing.json"


def create_volume(folder: Path, settings: Settings, offices: Offices, key: SigningKey) -> None:
    """Make the folder of a new intake. Raises `InputError` where there is something already, `EnvironmentError_`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(folder.iterdir()):
            raise InputError("is not empty", where=str(folder), remedy="name a new folder")
        for name in (BATCHES, CLOSED, BOARDS):
            (folder / name).mkdir()
    except OSError as fault:
        raise cannot_write(folder, fault) from None
    replace_file(folder / SETTINGS, settings.canonical_bytes())
    replace_file(folder / OFFICES, offices.canonical_bytes())
    key.write(folder / KEY)
    make_durable(folder)


def read_settings(folder: Path) -> Settings:
    """The settings of an intake. Raises `InputError`."""
    return Settings.parse(_read(folder / SETTINGS, SETTINGS_BYTES_MAX), where=str(folder / SETTINGS), error=InputError)


def read_offices(folder: Path) -> Offices:
    """The offices of an intake, from its next batch on. Raises `InputError`."""
    return Offices.parse(_read(folder / OFFICES, OFFICES_BYTES_MAX), where=str(folder / OFFICES), error=InputError)


def _read(path: Path, limit: int) -> object:
    try:
        return parse_canonical(read_plain(path, limit), where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=fault.where, remedy="is this the folder of an intake?") from None


class Volume:
    """The folder, in use by this process. Not for two threads at once."""

    def __init__(self, folder: Path, log: Log) -> None:
        """Not for callers: `open`."""
        self.folder = folder
        self.settings = read_settings(folder)
        self.offices = read_offices(folder)
        self._key = SigningKey.read(folder / KEY)
        self._log = log
        self._batches = folder / BATCHES
        self._closed = folder / CLOSED
        self._previous: str | None = None
        self._last = 0
        self._last_end: datetime | None = None
        self._unlogged: list[int] = []
        self._fixed = 0
        self._over = 0
        """The batch that is being closed. It takes nothing more, even where a step of closing fails and is made again."""
        self._lock = lock(folder / LOCK)
        self.ready = False
        """Whether the next batch has its room."""
        self.fault: InspectorateError | None = None
        """Why the last closing could not be logged, or the list of offices not be read."""
        self._unread: InputError | None = None
        """Why the list of offices could not be read when the batch began: the one before still counts."""

    @classmethod
    def open(cls, folder: Path, log: Log, now: datetime) -> Self:
        """Use a folder, after whatever the last process left. Raises `InputError`, `EvidenceError`, `EnvironmentError_`."""
        volume = cls(folder, log)
        try:
            volume._recover(now)
        except BaseException:
            volume.close()
            raise
        return volume

    def close(self) -> None:
        os.close(self._lock)

    @property
    def key(self) -> SigningKey:
        return self._key

    def write(self, parts: Sequence[bytes]) -> list[Placed]:
        """Seal these parts and as many dummies as make a tick, in random order; where the parts came to be.

        Raises `EnvironmentError_`, after which nothing of it counts.
        """
        count = self.settings.blocks_per_tick
        if len(parts) > count:
            raise ValueError(f"a tick has room for {count} parts, not {len(parts)}")
        batch = self.batch
        if batch.room < count or self._over == batch.number:
            raise EnvironmentError_(
                "a batch is over, and the next cannot begin", where=str(self.folder), remedy="free room on the disk"
            )
        sealer = Sealer(batch.shape)
        order = list(range(count))
        _RANDOM.shuffle(order)
        blocks = [sealer.seal(parts[place] if place < len(parts) else b"") for place in order]
        batch.add(blocks)
        header = context_of(batch.header)
        commitments = dict(zip(order, (block[-COMMITMENT_BYTES:] for block in blocks), strict=True))
        return [Placed(batch=batch.number, header=header, commitment=commitments[place]) for place in range(len(parts))]

    def settle(self, now: datetime) -> None:
        """What follows a tick: close a batch that is over, begin the next, log what is not logged, take room.

        Raises `EnvironmentError_` where the disk fails.
        """
        batch = self.batch
        started = batch.header.started_at
        over = self._over == batch.number or now >= started + timedelta(seconds=self.settings.batch_s)
        if (over or batch.room < self.settings.blocks_per_tick) and self._prepare():
            if self._fixed != batch.number:
                self._fix(batch, now)
            self._begin(now)
        self._publish_all()
        self._prepare()

    # --- after a crash -------------------------------------------------------------------------------------------------

    def _recover(self, now: datetime) -> None:
        for name in (BATCHES, CLOSED, BOARDS):
            if not (self.folder / name).is_dir():
                raise InputError(f"has no folder `{name}`", where=str(self.folder), remedy="make it by `intake init`")
        for path in self._batches.glob("*.new"):
            path.unlink()
        self._follow(sorted(self._closed.glob("*.closing.json")))
        numbers = sorted(int(path.stem) for path in self._batches.glob("??????????.json"))
        self._take_back(numbers)
        found: list[Batch] = []
        for number in numbers:
            if Paths(self._closed, number).closing.exists():
                Paths(self._batches, number).header.unlink()
            elif Paths(self._batches, number).closing.exists():
                self._follow([Paths(self._batches, number).closing])
                self._unlogged.append(number)
            else:
                found.append(Batch.recover(self._batches, number))
        for batch in found[:-1]:
            self._fix(batch, now)
        if found:
            self.batch = found[-1]
            self.offices = self.batch.header.offices
            self._last = max(self._last, self.batch.number)
        elif self._prepare():
            self._begin(now)
        else:
            raise EnvironmentError_(
                f"has no room for a batch of {self.settings.batch_bytes} bytes", where=str(self.folder),
                remedy="free room for three batches, or make batches shorter",
            )  # fmt: skip
        self.settle(now)

    def _follow(self, closings: Sequence[Path]) -> None:
        """Go on from the last of these closings."""
        for path in closings[-1:]:
            data = read_plain(path, CLOSING_BYTES_MAX)
            closing = read_closing(data, self._key.public, where=str(path))
            self._previous, self._last = digest_of(data), closing.header.batch
            self._last_end = closing.period.end

    def _take_back(self, numbers: Sequence[int]) -> None:
        """Room that was renamed for a batch whose header did not become durable is room again."""
        for path in self._batches.glob("??????????.blocks"):
            if int(path.stem) not in numbers:
                path.rename(self._batches / NEXT)

    # --- from batch to batch -------------------------------------------------------------------------------------------

    def _prepare(self) -> bool:
        self.ready = prepare(self._batches, self.settings.batch_bytes)
        return self.ready

    def _begin(self, now: datetime) -> None:
        try:
            self.offices, self._unread = read_offices(self.folder), None
        except InputError as fault:
            self._unread = fault
        settings = self.settings
        header = BatchHeader(
            intake=settings.intake, batch=self._last + 1, nonce=os.urandom(NONCE_BYTES).hex(),
            started_at=max(now, self._last_end or now), block_bytes=settings.block_bytes,
            blocks_per_tick=settings.blocks_per_tick, slots=settings.slots, offices=self.offices,
        )  # fmt: skip
        header.check(where=str(self.folder / SETTINGS))
        self.batch = Batch.begin(self._batches, header)
        self._last = header.batch

    def _fix(self, batch: Batch, now: datetime) -> None:
        """Sign what a batch holds: it takes nothing more."""
        self._over = batch.number
        paths = Paths(self._batches, batch.number)
        data = list_of(batch.commitments)
        start = batch.header.started_at
        end = max(now, start + timedelta(microseconds=1))
        closing = Closing(
            header=batch.header, period=Period(start=start, end=end), blocks=len(batch.commitments),
            damaged=batch.damaged, commitments=digest_of(data), previous=self._previous,
        )  # fmt: skip
        replace_file(paths.commitments, data)
        signed = sign_closing(closing, self._key)
        replace_file(paths.closing, signed)
        self._previous, self._last_end = digest_of(signed), end
        self._unlogged.append(batch.number)
        self._fixed = batch.number

    def _publish_all(self) -> None:
        """Log what is signed, in order, and move it to where offices collect it. What cannot be logged now waits."""
        self.fault = self._unread
        while self._unlogged:
            paths, closed = Paths(self._batches, self._unlogged[0]), Paths(self._closed, self._unlogged[0])
            data = read_plain(paths.closing, CLOSING_BYTES_MAX)
            entry = entry_of(read_closing(data, self._key.public, where=str(paths.closing)), data)
            try:
                self._log(entry)
            except InspectorateError as fault:
                self.fault = fault
                return
            move(paths.commitments, closed.commitments)
            move(paths.blocks, closed.blocks)
            move(paths.closing, closed.closing)
            paths.header.unlink(missing_ok=True)
            del self._unlogged[0]
