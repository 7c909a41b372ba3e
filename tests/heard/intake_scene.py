"""An intake, its offices and its sources, for tests: ticks are made by hand, and time is what the test says."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyrage

from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.closing import entries_of
from inspectorate.mechanisms.whistleblowing.intake.collecting import Expected, collect, collected_batch
from inspectorate.mechanisms.whistleblowing.intake.opening import (
    Opening,
    make_release,
    open_reports,
    own_shares,
    read_release,
)
from inspectorate.mechanisms.whistleblowing.intake.receipts import Receipt
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.volume import CLOSED, create_volume
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase

Result = TypeVar("Result")
START = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)
SMALL = Settings(intake="house", block_bytes=4096, blocks_per_tick=3, tick_s=1, batch_s=4, window_blocks=2)


@dataclass(frozen=True)
class Held:
    """What one office has."""

    name: str
    identity: Any
    key: SigningKey


def offices_of(count: int = 3, quorum: int = 2) -> tuple[Offices, tuple[Held, ...]]:
    held = tuple(
        Held(f"office-{number}", pyrage.x25519.Identity.generate(), SigningKey(bytes([number + 1]) * 32))
        for number in range(count)
    )
    listed = [
        Office(
            name=one.name, party=f"party-{number}", recipient=str(one.identity.to_public()),
            key=base64.b64encode(one.key.public.raw).decode(),
        )
        for number, one in enumerate(held)
    ]  # fmt: skip
    return Offices(quorum=quorum, offices=tuple(listed)), held


@dataclass
class Scene:
    """A folder with an intake in it, and everybody around it."""

    folder: Path
    settings: Settings = SMALL
    offices: Offices = field(init=False)
    held: tuple[Held, ...] = field(init=False)
    key: SigningKey = field(default_factory=lambda: SigningKey(b"\x07" * 32))
    log: list[bytes] = field(default_factory=list)
    now: datetime = START

    def __post_init__(self) -> None:
        self.offices, self.held = offices_of()
        create_volume(self.folder / "store", self.settings, self.offices, self.key)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def closed(self) -> Path:
        return self.store / CLOSED

    def open(self) -> Intake:
        return Intake.open(self.store, log=self.log.append, clock=lambda: self.now)

    async def tick(self, intake: Intake, count: int = 1) -> None:
        for _ in range(count):
            self.now += timedelta(seconds=self.settings.tick_s)
            await intake.tick()
            await asyncio.sleep(0)

    async def report(
        self,
        intake: Intake,
        answers: dict[str, str],
        files: Iterable[tuple[str, bytes]] = (),
        phrase: Phrase | None = None,
    ) -> Receipt:
        """Send a report, and make ticks until it is answered."""
        if not intake.ticks:
            await self.tick(intake)
        submission = intake.begin(phrase or Phrase.make(), answers, "en")

        async def send() -> Receipt:
            for name, data in files:
                await submission.file(name, "application/octet-stream")
                for start in range(0, len(data), 1000):
                    await submission.write(data[start : start + 1000])
            return await submission.finish()

        sending = asyncio.create_task(send())
        while not sending.done():
            await asyncio.sleep(0)
            await self.tick(intake)
        return await sending

    async def finish_batch(self, intake: Intake) -> None:
        await self.tick(intake, self.settings.ticks + 1)

    def run(self, acts: Callable[[Intake], Coroutine[Any, Any, Result]]) -> Result:
        """Open the intake, let something happen, close it."""

        async def running() -> Result:
            intake = self.open()
            try:
                return await acts(intake)
            finally:
                intake.close()

        return asyncio.run(running())

    @property
    def expected(self) -> Expected:
        return Expected(
            intake=self.settings.intake, key=self.key.public, offices=self.offices,
            log=entries_of(self.settings.intake, self.log),
        )  # fmt: skip

    def collected(self) -> Path:
        """All logged batches, as an office has them."""
        into = self.folder / "got"
        for batch in sorted(self.expected.log):
            assert collect(self.closed, batch, into, self.expected).missing == ()
        return into

    def opened(self, into: str = "opened", who: Sequence[int] = (0, 1)) -> Opening:
        """All logged batches, opened by the first of these offices with the releases of the others."""
        folder, me = self.collected(), self.held[who[0]]
        given = []
        for batch in sorted(self.expected.log):
            sealed = collected_batch(folder, batch, self.expected)
            releases = [own_shares(sealed, me.identity)]
            for other in who[1:]:
                theirs = self.held[other]
                data = make_release(sealed, own_shares(sealed, theirs.identity), theirs.key, [me.name])
                releases.append(read_release(data, sealed, me.identity, where="a release"))
            given.append((sealed, releases))
        return open_reports(given, self.folder / into)


def pairs(count: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(count), 2))
