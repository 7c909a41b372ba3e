"""One report on its way in: cut into parts as it comes, each waiting in memory until a tick has made it durable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.whistleblowing.intake.receipts import Receipt
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.sealing.stream import Cutter, FileHead, Head


class Refusal(StrEnum):
    """Why an intake takes no report now. A page says so before anybody has written one."""

    FULL = "full"
    """There is no room on the disk for another batch."""
    BUSY = "busy"
    """As many reports are on their way in as its memory has room for."""
    STOPPED = "stopped"
    """It is not running."""


class Refused(EnvironmentError_):
    """The intake takes no report now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"the intake takes no report now: it is {refusal}", remedy="come back later")
        self.refusal = refusal


class TooLarge(InputError):
    """A report is larger than the intake takes."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a part came to be."""

    batch: int
    header: str
    commitment: bytes


Seal = Callable[["dict[tuple[int, str], list[bytes]]"], Receipt]


class Submission:
    """A report on its way in. Made by `Intake.begin`; every method is for the event loop that runs the intake."""

    def __init__(self, cutter: Cutter, head: Head, settings: Settings, receipt: Seal) -> None:
        """Not for callers."""
        self._cutter = cutter
        self._settings = settings
        self._receipt = receipt
        self._waiting: deque[bytes] = deque()
        self._in_tick = 0
        self._placed: dict[tuple[int, str], list[bytes]] = {}
        self._changed = asyncio.Event()
        self._bytes = 0
        self._files = 0
        self._fault: EnvironmentError_ | None = None
        self.over = False
        """Finished, abandoned or failed."""
        self.finishing = False
        self._put(cutter.head(head))

    async def file(self, name: str, media_type: str) -> None:
        """Begin a file. Its name is kept sealed, and never used. Raises `InputError`, `EnvironmentError_`."""
        self._check()
        if self._files >= self._settings.files_max:
            raise TooLarge(f"more than {self._settings.files_max} files", remedy="send the others in another report")
        head = FileHead.parse({"name": name, "media_type": media_type}, where="the file", error=InputError)
        self._files += 1
        self._put(self._cutter.file(head))
        await self._room()

    async def write(self, data: bytes) -> None:
        """Bytes of the file; waits while the intake is behind. Raises `TooLarge`, `EnvironmentError_`."""
        self._check()
        if not self._files:
            raise ValueError("bytes belong to a file: begin one")
        self._bytes += len(data)
        if self._bytes > self._settings.report_bytes_max:
            raise TooLarge(
                f"files of more than {self._settings.report_bytes_max} bytes", remedy="send them in several reports"
            )
        step = self._settings.block_bytes
        for start in range(0, len(data), step):
            self._put(self._cutter.data(memoryview(data)[start : start + step]))
            await self._room()

    async def finish(self) -> Receipt:
        """Returns after the tick that made the last block durable. Raises `EnvironmentError_` where that cannot be."""
        self._check()
        self.finishing = True
        self._put(self._cutter.finish())
        while self._waiting or self._in_tick:
            await self._change()
        self.over = True
        return self._receipt(self._placed)

    async def abandon(self) -> None:
        """Take nothing more, and drop what waits. What is durable stays; offices see that the report was cut short."""
        self.drop()

    def drop(self, fault: EnvironmentError_ | None = None) -> None:
        """End it where it is not over; whoever waits is told why."""
        if self.over:
            return
        self.over = True
        self._fault = fault or EnvironmentError_("the report was abandoned")
        self._waiting.clear()
        self._cutter.wipe()
        self._changed.set()

    # --- for the intake ------------------------------------------------------------------------------------------------

    def take(self) -> bytes | None:
        """The next part for the tick that is being made; none where none waits."""
        if not self._waiting:
            return None
        self._in_tick += 1
        return self._waiting.popleft()

    def placed(self, one: Placed) -> None:
        """A part that was taken is durable."""
        self._in_tick -= 1
        self._placed.setdefault((one.batch, one.header), []).append(one.commitment)
        self._changed.set()

    def give_back(self, parts: Iterable[bytes]) -> None:
        """Parts that were taken are not durable: they wait again, in their order."""
        back = list(parts)
        self._in_tick -= len(back)
        if not self.over:
            self._waiting.extendleft(reversed(back))

    # --- inside ----------------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault
        if self.over or self.finishing:
            raise ValueError("the report is finished")

    def _put(self, parts: Iterable[bytes]) -> None:
        self._waiting.extend(parts)

    async def _room(self) -> None:
        while len(self._waiting) >= self._settings.window_blocks:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
        if self._fault is not None:
            raise self._fault
