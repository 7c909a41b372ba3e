"""A server of pages over a real intake, in a thread of its own; and what two of three offices find in it."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.batch import BatchHeader
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.intake.volume import BATCHES, create_volume
from inspectorate.mechanisms.whistleblowing.sealing.blocks import Opener, open_body, share_of
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.mechanisms.whistleblowing.sealing.stream import Data, FileHead, Head, Part, Reader, read_part
from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import Notice
from inspectorate.mechanisms.whistleblowing.web.server import Server, Where, listen
from inspectorate.mechanisms.whistleblowing.web.site import Site

ADDRESSES = ("/", "/en/", "/zh/keys", "/fr/report", "/ru/return", "/ar/follow", "/es/report")
TICK_S = 0.08


@dataclass
class Opened:
    """A report as offices find it."""

    language: str
    answers: dict[str, str]
    files: list[tuple[str, bytes]] = field(default_factory=list)
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class OfficeKeys:
    """Three offices of three parties, of which two open."""

    offices: Offices
    identities: tuple[pyrage.x25519.Identity, ...]


def make_offices() -> OfficeKeys:
    identities = tuple(pyrage.x25519.Identity.generate() for _ in range(3))
    listed = [
        Office(
            name=f"office-{n}", party=f"party-{n}", recipient=str(one.to_public()),
            key=base64.b64encode(SigningKey(bytes([n + 1]) * 32).public.raw).decode(),
        )
        for n, one in enumerate(identities)
    ]  # fmt: skip
    return OfficeKeys(offices=Offices(quorum=2, offices=tuple(listed)), identities=identities)


NOTICE = Notice.model_validate(
    {
        "agreement": {"en": "The Agreement"},
        "offices": [{"names": {"en": f"Office {n}"}} for n in range(3)],
        "quorum": 2,
    }
)
SETTINGS = Settings(
    intake="test-intake", block_bytes=65_536, blocks_per_tick=4, tick_s=TICK_S, batch_s=60.0, report_bytes_max=2 << 20
)


@dataclass(kw_only=True)
class Running:
    """A running server."""

    path: Path
    server: Server
    intake: Intake
    folder: Path
    keys: OfficeKeys
    unknown: str = ""
    """A code phrase that was never given out."""

    @property
    def ticks(self) -> int:
        return self.intake.ticks

    def opened(self) -> list[Opened]:
        return [report for report in open_all(self.folder, self.keys) if report.ended]


@contextmanager
def running(
    folder: Path, limits: Limits, hosts: frozenset[str] = frozenset({"localhost"}), settings: Settings = SETTINGS
) -> Iterator[Running]:
    keys = make_offices()
    create_volume(folder / "intake", settings, keys.offices, SigningKey(os.urandom(32)))
    loop = asyncio.new_event_loop()
    started: list[Running] = []
    ready = threading.Event()

    async def main() -> None:
        intake = Intake.open(folder / "intake", log=lambda _: None)
        ticks = asyncio.create_task(intake.run())
        site = Site(intake, NOTICE, limits, hosts=hosts, clock=time.monotonic)
        server = Server(site, limits)
        await server.start(listen(Where(path=folder / "socket")))
        started.append(
            Running(
                path=folder / "socket", server=server, intake=intake, folder=folder / "intake", keys=keys,
                unknown=Phrase.make().digits().replace(" ", "+"),
            )
        )  # fmt: skip
        ready.set()
        await ticks
        await server.stop(within_s=1.0)
        intake.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    ready.wait(10)
    try:
        yield started[0]
    finally:
        if started:
            asyncio.run_coroutine_threadsafe(started[0].intake.stop(), loop).result(10)
        thread.join(10)
        loop.close()


def open_all(folder: Path, keys: OfficeKeys, places: tuple[int, int] = (0, 2)) -> list[Opened]:
    """Every report in the open batch, by two of three offices, block by block: slow, and nothing left out."""
    parts: list[Part] = []
    for header_path in sorted((folder / BATCHES).glob("*.json")):
        header = BatchHeader.of(header_path.read_bytes(), where=str(header_path))
        opener = Opener(header.shape, places)
        data = header_path.with_suffix(".blocks").read_bytes()
        for start in range(0, len(data), header.block_bytes):
            block = data[start : start + header.block_bytes]
            if not any(block[:32]):
                continue
            shares = [share_of(header.shape, block, place, keys.identities[place]) or b"" for place in places]
            part = read_part(open_body(header.shape, block, opener.secret(block, shares)), where="block")
            parts += [part] if part is not None else []
    return [_read([p for p in parts if p.report == report]) for report in {p.report for p in parts}]


def _read(parts: list[Part]) -> Opened:
    reader = Reader(where="report")
    found = Opened("", {})
    for number, part in enumerate(sorted(parts, key=lambda one: one.number)):
        if part.number != number:
            return found
        for event in reader.feed(part.data):
            if isinstance(event, Head):
                found.language, found.answers = event.language, event.answers
            elif isinstance(event, FileHead):
                found.files.append((event.name, b""))
            elif isinstance(event, Data):
                name, data = found.files[-1]
                found.files[-1] = (name, data + event.data)
    found.ended = reader.ended
    return found
