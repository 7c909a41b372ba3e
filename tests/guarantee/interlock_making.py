"""What the tests of the interlock share: a plain gate, servers of every kind on loopback, and clients that speak bytes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.desk import Edges
from inspectorate.mechanisms.guarantee.interlock.gate import Admitted, Answered, Asked, Listener, Upstream
from inspectorate.mechanisms.guarantee.interlock.path import DataPath
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.interlock.upload import Quarantine
from inspectorate.mechanisms.guarantee.rulesets.types import Limits, ListedModel

MODEL = bytes(range(256)) * 512
LISTED = ListedModel(
    name="small", content=f"sha256:{hashlib.sha256(MODEL).hexdigest()}", size_bytes=len(MODEL), flop_per_token=1e6
)
WIDE = Limits(
    in_bytes_per_s_max=1e9,
    out_bytes_per_s_max=1e9,
    burst_bytes_max=1e9,
    request_bytes_max=1 << 20,
    response_bytes_max=1 << 20,
    concurrent_max=512,
)


@dataclass
class PlainGate:
    """A gate that admits what `judge` admits, and remembers everything."""

    mode: Mode = Mode.SERVING
    limits: Limits | None = WIDE
    halted_by: Refusal | None = None
    sampled: bool = False
    judge: Callable[[Asked], Refusal | None] = lambda asked: None
    asked: list[Asked] = field(default_factory=list)
    answered: dict[int, Answered] = field(default_factory=dict)
    noted: list[Refusal] = field(default_factory=list)
    uploads: list[tuple[bool, str, int]] = field(default_factory=list)
    why_unloaded: str = ""
    listeners: list[Listener] = field(default_factory=list)
    _declared: int = 0

    def turn(self, mode: Mode, why: Refusal | None = None) -> None:
        self.mode, self.halted_by = mode, why
        for listener in self.listeners:
            listener(mode, why)

    def begin_upload(self, content: str, size_bytes: int) -> ListedModel | Refusal:
        if self.mode in (Mode.HALTED, Mode.LOCKED):
            return self.halted_by or Refusal(kind=EventKind.GUARD_LOST, why="")
        if content != LISTED.content or size_bytes < LISTED.size_bytes:
            return Refusal(kind=EventKind.MODEL_REFUSED, why="not listed")
        if size_bytes > LISTED.size_bytes:
            return Refusal(kind=EventKind.UPLOAD_EXCEEDED, why="too large")
        self.turn(Mode.UPLOADING)
        return LISTED

    def end_upload(self, complete: bool, content_seen: str, bytes_seen: int) -> Refusal | None:
        self.uploads.append((complete, content_seen, bytes_seen))
        if self.mode is not Mode.UPLOADING:
            return Refusal(kind=EventKind.MODEL_REFUSED, why="no upload")
        if complete and content_seen == LISTED.content and bytes_seen == LISTED.size_bytes:
            self.turn(Mode.SERVING)
            return None
        self.turn(Mode.READY)
        kind = EventKind.UPLOAD_EXCEEDED if bytes_seen > LISTED.size_bytes else EventKind.MODEL_REFUSED
        return Refusal(kind=kind, why="not the listed bytes")

    def admit(self, asked: Asked) -> Admitted | Refusal:
        refusal = self.judge(asked)
        if refusal is not None:
            return refusal
        self.asked.append(asked)
        return Admitted(ticket=len(self.asked), sampled=self.sampled)

    def settle(self, ticket: int, answered: Answered) -> None:
        assert ticket not in self.answered, "settled twice"
        self.answered[ticket] = answered

    def note(self, refusal: Refusal) -> None:
        self.noted.append(refusal)

    def unloaded(self, why: str) -> None:
        self.why_unloaded = why
        self.turn(Mode.READY)

    def watch(self, listener: Listener) -> None:
        self.listeners.append(listener)

    @property
    def kinds(self) -> list[EventKind]:
        return [refusal.kind for refusal in self.noted]


@dataclass
class PlainLoader:
    """Names a server that runs already."""

    upstream: Upstream = field(default_factory=Upstream)
    fails: bool = False
    loaded: list[Path] = field(default_factory=list)
    unloads: int = 0

    async def load(self, model: ListedModel, file: Path) -> Upstream:
        if self.fails:
            raise EnvironmentError_("the server does not start")
        assert hashlib.sha256(file.read_bytes()).hexdigest() == model.content.removeprefix("sha256:")
        self.loaded.append(file)
        return self.upstream

    async def unload(self) -> None:
        self.unloads += 1


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and content of a request, at the server."""
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    return head, await reader.readexactly(size)


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"text": text}]}).encode() + b"\n\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


async def streaming(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A proper server: as many events as tokens were asked for."""
    _, content = await read_request(reader)
    writer.write(STREAM_HEAD)
    for number in range(json.loads(content)["max_tokens"]):
        writer.write(chunk(event(str(number))))
        await writer.drain()
    writer.write(chunk(DONE) + b"0\r\n\r\n")
    await writer.drain()


def saying(*pieces: bytes, pause_s: float = 0.0) -> Serve:
    """A server that says exactly these bytes, whatever it is asked, and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.sleep(pause_s)

    return serve


@dataclass
class Rig:
    """One path between a client and a server."""

    path: DataPath
    gate: PlainGate
    loader: PlainLoader
    samples: SampleStore
    quarantine: Path
    port: int
    server_port: int

    async def talk(self, data: bytes, *, wait_s: float = 5.0, ends: bool = False) -> bytes:
        """Send bytes; all that comes back until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            if ends:
                writer.write_eof()
            async with asyncio.timeout(wait_s):
                return await reader.read(-1)
        except ConnectionError:
            return b""
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def rig(folder: Path, serve: Serve = streaming, gate: PlainGate | None = None) -> AsyncIterator[Rig]:
    """A server that does as `serve` says, and a path before it."""
    gate = gate or PlainGate()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    server_port = server.sockets[0].getsockname()[1]
    upstream = Upstream(port=server_port)
    samples = SampleStore(folder / "samples", b"k" * 32)
    loader = PlainLoader(upstream=upstream)
    path = DataPath(
        gate,
        Edges(now=lambda: datetime.now(UTC), random=os.urandom, samples=samples),
        quarantine=Quarantine(folder / "models"),
        loader=loader,
    )
    _, port = await path.start("127.0.0.1", 0)
    path.serve(upstream, LISTED.content)
    try:
        yield Rig(path, gate, loader, samples, folder / "models", port, server_port)
    finally:
        await path.close()
        server.close()
        assert path.ended is not None
        assert path.ended.done()


def post(body: object, *, path: str = "/v1/completions", extra: str = "Connection: close\r\n") -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: guard\r\nContent-Type: application/json\r\n{extra}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def kind_of(answer: bytes) -> str:
    """The kind of an error that is the whole content of an answer."""
    return str(json.loads(answer.split(b"\r\n\r\n", 1)[1])["error"]["kind"])


def unchunked(answer: bytes) -> tuple[bytes, bool]:
    """The content of a chunked answer, and whether it was properly ended."""
    rest = answer.split(b"\r\n\r\n", 1)[1]
    content = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return content, rest == b"\r\n"
        content += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
    return content, False
