"""A running intake: at every tick the same number of blocks, whether anybody reports or not.

Rules:

- A tick takes what waits, report by report in turn, fills up with dummies, seals all of it in random order, and writes it. It is
  never late for more work and never early for none; a tick that could not be made in time is left out, not made up for.
- Reports wait in memory only, as parts of one size, and few of each; who sends more waits.
- No report begins unless the next batch has its room on the disk already, so that none fails half way for want of it.
- A report is answered after the tick in which its last block became durable. Who was not answered comes again.
- There is no list of reports or sources, not even in memory: of a report that is over, nothing is left but its blocks.

Who looks into the running process from outside (the host's administrator) is not kept out: see `hardening`.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.whistleblowing.intake.boards import (
    BOARD_BYTES_MAX,
    BoardHead,
    Reply,
    read_board,
    replies_on,
)
from inspectorate.mechanisms.whistleblowing.intake.receipts import Receipt, make_receipt
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.submission import Refusal, Refused, Submission
from inspectorate.mechanisms.whistleblowing.intake.volume import BOARDS, Log, Volume
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.mechanisms.whistleblowing.sealing.stream import REPORT_ID_BYTES, Cutter, make_head

Clock = Callable[[], datetime]


DRAIN_TICKS = 10
"""After it is asked to stop, an intake makes at most so many more ticks for reports that came in whole."""


def wall_clock() -> datetime:
    """The time of day, by which batches end. Ticks go by a clock that cannot be set."""
    return datetime.now(UTC)


class Intake:
    """A running intake. Everything but `open` is for one event loop."""

    def __init__(self, volume: Volume, clock: Clock) -> None:
        """Not for callers: `open`."""
        self._volume = volume
        self._clock = clock
        self._open: deque[Submission] = deque()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="intake")
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._running = False
        self._failed = False
        self._boards: dict[str, tuple[tuple[int, int], tuple[BoardHead, bytes] | None]] = {}
        self.ticks = 0
        self.missed = 0
        """Ticks that could not be made in time."""

    @classmethod
    def open(cls, folder: Path, *, log: Log, clock: Clock = wall_clock) -> Self:
        """Use the folder of an intake, after whatever the last process left.

        Raises `InputError` (no intake, in use), `EvidenceError` (damaged), `EnvironmentError_` (no room).
        """
        return cls(Volume.open(folder, log, clock()), clock)

    @property
    def settings(self) -> Settings:
        return self._volume.settings

    @property
    def offices(self) -> Offices:
        """Who can open what comes in now."""
        return self._volume.batch.header.offices

    @property
    def fault(self) -> str:
        """What the operator must know; nothing where all is well."""
        damaged = self._volume.batch.damaged
        lost = f"{damaged} blocks of the batch are damaged" if damaged else ""
        return lost or ("the disk fails" if self._failed else "") or str(self._volume.fault or "")

    # --- for sources ---------------------------------------------------------------------------------------------------

    def refusal(self) -> Refusal | None:
        """Why no report can begin now; none where one can."""
        if not self._running or self._stop.is_set():
            return Refusal.STOPPED
        if not self._volume.ready or self._failed:
            return Refusal.FULL
        self._sweep()
        return Refusal.BUSY if len(self._open) >= self.settings.reports_at_once_max else None

    def begin(self, thread: Phrase, answers: Mapping[str, str], language: str) -> Submission:
        """Begin a report or a further one of the same source. Raises `Refused`, and `InputError` on what no report can hold."""
        refusal = self.refusal()
        if refusal is not None:
            raise Refused(refusal)
        head = make_head(thread.mailbox(self.settings.intake), answers, language)
        cutter = Cutter(os.urandom(REPORT_ID_BYTES), self._volume.batch.shape.part_bytes)
        submission = Submission(cutter, head, self.settings, self._receipt)
        self._open.append(submission)
        return submission

    def replies(self, phrase: Phrase) -> tuple[Reply, ...]:
        """What offices answered this source; nothing for a phrase that was never given out."""
        found: list[Reply] = []
        for name in sorted(self.offices.names):
            board = self._board(name)
            if board is not None:
                found += replies_on(board, phrase)
        return tuple(found)

    # --- ticks ---------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make ticks until `stop`. Ends early only by an error of ours or a cancellation; then nobody else is answered."""
        loop = asyncio.get_running_loop()
        tick_s = self.settings.tick_s
        due = loop.time()
        left = DRAIN_TICKS
        self._running = True
        try:
            while left and not (self._stop.is_set() and not any(one.finishing for one in self._unfinished())):
                await self.tick()
                left -= self._stop.is_set()
                due += tick_s
                late = loop.time() - due
                if late > 0:
                    skipped = math.ceil(late / tick_s)
                    self.missed += skipped
                    due += skipped * tick_s
                await self._sleep(due - loop.time())
        finally:
            self._running = False
            for one in self._open:
                one.drop(Refused(Refusal.STOPPED))
            self._ended.set()

    async def tick(self) -> None:
        """One tick. `run` calls it; tests may, instead of `run`."""
        self._running = True
        loop = asyncio.get_running_loop()
        taken = self._take()
        try:
            placed = await loop.run_in_executor(self._writer, self._volume.write, [part for _, part in taken])
        except EnvironmentError_:
            self._failed = True
            for one in {id(one): one for one, _ in taken}.values():
                one.give_back(part for owner, part in taken if owner is one)
            await self._settle()
            self._failed = True
            return
        for (one, _), where in zip(taken, placed, strict=True):
            one.placed(where)
        self.ticks += 1
        await self._settle()

    async def _settle(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._volume.settle, self._clock())
            self._failed = False
        except EnvironmentError_:
            self._failed = True

    async def stop(self) -> None:
        """Take no new report, answer those that came in whole, and end `run`."""
        self._stop.set()
        if self._running:
            await self._ended.wait()

    def close(self) -> None:
        """Let go of the folder, after `stop`."""
        self._writer.shutdown(wait=True)
        self._volume.close()

    def _take(self) -> list[tuple[Submission, bytes]]:
        """Parts for one tick, one of each report in turn."""
        self._sweep()
        taken: list[tuple[Submission, bytes]] = []
        idle = 0
        while len(taken) < self.settings.blocks_per_tick and idle < len(self._open):
            one = self._open[0]
            self._open.rotate(-1)
            part = one.take()
            idle = idle + 1 if part is None else 0
            if part is not None:
                taken.append((one, part))
        return taken

    def _sweep(self) -> None:
        """Forget reports that are over."""
        if any(one.over for one in self._open):
            self._open = deque(self._unfinished())

    def _unfinished(self) -> list[Submission]:
        return [one for one in self._open if not one.over]

    async def _sleep(self, seconds: float) -> None:
        """Until the next tick; a stop does not hurry a tick, since who asked for it may be anybody."""
        await asyncio.sleep(max(seconds, 0))

    def _receipt(self, placed: dict[tuple[int, str], list[bytes]]) -> Receipt:
        return make_receipt(self.settings.intake, placed, self._volume.key)

    def _board(self, office: str) -> tuple[BoardHead, bytes] | None:
        """The board of an office, read again when it changed. One that is not the office's counts as none."""
        path = self._volume.folder / BOARDS / f"{office}.board"
        try:
            status = path.stat()
        except OSError:
            return None
        stamp = (status.st_ino, status.st_mtime_ns)
        known = self._boards.get(office)
        if known is None or known[0] != stamp:
            try:
                board = read_board(
                    read_plain(path, BOARD_BYTES_MAX), self.settings.intake, self.offices, where=str(path)
                )
            except EvidenceError:
                board = None
            known = self._boards[office] = (stamp, board)
        return known[1]
