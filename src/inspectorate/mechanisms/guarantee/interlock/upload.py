"""Letting exactly the bytes of one listed model in, and nothing out but one answer of a fixed size.

`PUT /guard/model` with `Content-Length` and `Content-Digest: sha-256=:BASE64:` (RFC 9530). In order:

1. the gate is asked with the declared digest and size, before a byte of content is taken;
2. the server that runs is stopped;
3. room for exactly the listed size is taken on the disk, and the bytes go into a quarantine file with a running SHA-256;
4. a byte after the last one, at once or within `UPLOAD_AFTER_S`, is one too many;
5. the file is made durable and gets its name in one step; the gate is told; the server is started on it.

On any other way out the quarantine file is removed and the gate is told what had arrived.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.desk import Denied, Desk
from inspectorate.mechanisms.guarantee.interlock.gate import Fault, Loader
from inspectorate.mechanisms.guarantee.interlock.reference import (
    UPLOAD_AFTER_S,
    UPLOAD_ANSWER_BYTES,
    UPLOAD_PIECE_BYTES,
    UPLOAD_QUIET_S_MAX,
)
from inspectorate.mechanisms.guarantee.interlock.wire import Connection, Head
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel

MODEL = "/guard/model"
EMPTY = digest_of(b"")
_DIGEST = re.compile(rb"sha-256=:([A-Za-z0-9+/]{43}=):\Z")


class Quarantine:
    """Where a model lies until it is known to be a listed one; and the one that is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder / "incoming.part"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._part.unlink(missing_ok=True)
        except OSError as fault:
            raise EnvironmentError_(f"cannot keep models: {fault.strerror}", where=str(folder)) from None

    def place(self, model: ListedModel) -> Path:
        return self._folder / f"{model.content.removeprefix('sha256:')}.model"

    def find(self, model: ListedModel) -> Path | None:
        """A model that was committed earlier, hashed again; None if it is not there as listed."""
        place = self.place(model)
        running = hashlib.sha256()
        try:
            with place.open("rb") as file:
                if os.fstat(file.fileno()).st_size != model.size_bytes:
                    return None
                while piece := file.read(UPLOAD_PIECE_BYTES):
                    running.update(piece)
        except OSError:
            return None
        return place if f"sha256:{running.hexdigest()}" == model.content else None

    def incoming(self, size_bytes: int) -> Incoming:
        return Incoming(self._part, size_bytes)

    def commit(self, model: ListedModel) -> Path:
        """Give the quarantine file its name, durably, in the place of any other model."""
        place = self.place(model)
        for other in self._folder.glob("*.model"):
            other.unlink()
        self._part.replace(place)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return place


class Incoming:
    """The quarantine file, while it is written."""

    def __init__(self, place: Path, size_bytes: int) -> None:
        self._place = place
        self._descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._running = hashlib.sha256()
        self._lock = threading.Lock()
        self.bytes_seen = 0
        try:
            os.posix_fallocate(self._descriptor, 0, size_bytes)
        except BaseException:
            self.remove()
            raise

    @property
    def content_seen(self) -> str:
        return f"sha256:{self._running.hexdigest()}"

    def write(self, data: bytes) -> None:
        """Append bytes; nothing, once the file was closed. A thread that still writes then finds no descriptor of anything else."""
        with self._lock:
            if self._descriptor < 0:
                return
            self._running.update(data)
            self.bytes_seen += len(data)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self) -> None:
        """Make it durable."""
        with self._lock:
            descriptor = os.dup(self._descriptor)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Close the file, and remove it unless it was committed."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1
        self._place.unlink(missing_ok=True)


class Uploading:
    """One upload, from its head to the server that runs on it."""

    def __init__(self, desk: Desk, quarantine: Quarantine, loader: Loader) -> None:
        self._desk = desk
        self._quarantine = quarantine
        self._loader = loader
        self._scope: asyncio.Timeout | None = None

    def shut(self) -> None:
        """Stop waiting for anything: the mode has changed."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def run(self, connection: Connection, head: Head) -> ListedModel:
        """Take the model in and start the server on it. Raises `Denied` and `Gone`."""
        content = _content_of(head)
        if any(isinstance(one, Uploading) for one in self._desk.open):
            raise Denied(Fault.NOT_SERVING, "another upload is under way", status=409)
        asked = self._desk.gate.begin_upload(content, head.size_bytes)
        if isinstance(asked, Refusal):
            raise Denied(asked.kind, asked.why)
        arrived = _Arrived()
        self._desk.open.add(self)
        try:
            place = await self._take(connection, head, asked, arrived)
        finally:
            self._desk.open.discard(self)
            refusal = self._desk.gate.end_upload(arrived.complete, arrived.content, arrived.bytes_seen)
        if refusal is not None:
            raise Denied(refusal.kind, refusal.why)
        assert place is not None, "the gate took a model that is not the listed one"
        await self._load(asked, place)
        return asked

    async def _take(self, connection: Connection, head: Head, model: ListedModel, arrived: _Arrived) -> Path | None:
        """The committed model; None if what arrived is not it."""
        self._desk.upstream, self._desk.model = None, ""
        incoming: Incoming | None = None
        try:
            async with asyncio.timeout(None) as self._scope:
                async with self._desk.loading:
                    await self._loader.unload()
                incoming = self._quarantine.incoming(model.size_bytes)
                complete = await self._receive(connection, head, incoming)
                arrived.bytes_seen, arrived.content = incoming.bytes_seen, incoming.content_seen
                if not complete:
                    arrived.bytes_seen += 1
                elif arrived.content == model.content:
                    await asyncio.to_thread(incoming.finish)
                    place = self._quarantine.commit(model)
                    arrived.complete = True
                    return place
                return None
        except TimeoutError:
            refusal = self._desk.gate.halted_by
            raise Denied(EventKind.GUARD_LOST if refusal is None else refusal.kind, "halted meanwhile") from None
        except EnvironmentError_ as fault:
            raise Denied(Fault.NOT_SERVING, str(fault)) from None
        except OSError as fault:
            raise Denied(Fault.NO_ROOM, f"the model cannot be kept: {fault.strerror}") from None
        finally:
            self._scope = None
            if incoming is not None:
                arrived.bytes_seen = max(arrived.bytes_seen, incoming.bytes_seen)
                arrived.content = incoming.content_seen
                incoming.remove()

    async def _receive(self, connection: Connection, head: Head, incoming: Incoming) -> bool:
        """Write all content; whether nothing follows it. Raises `Denied` and `Gone`."""
        if head.waits:
            connection.go_on()
        gathered: list[bytes] = []
        ended = False
        try:
            while not ended:
                async with asyncio.timeout(UPLOAD_QUIET_S_MAX):
                    piece = await connection.piece()
                ended = not piece
                gathered.append(piece)
                if sum(map(len, gathered)) >= UPLOAD_PIECE_BYTES:
                    data, gathered = b"".join(gathered), []
                    await asyncio.to_thread(incoming.write, data)
        except TimeoutError:
            raise Denied(Fault.TOO_SLOW, f"nothing came for {UPLOAD_QUIET_S_MAX:g} s") from None
        finally:
            incoming.write(b"".join(gathered))
        return not await connection.has_more(UPLOAD_AFTER_S)

    async def _load(self, model: ListedModel, place: Path) -> None:
        desk = self._desk
        async with desk.loading:
            try:
                upstream = await self._loader.load(model, place)
            except EnvironmentError_ as fault:
                desk.gate.unloaded(str(fault))
                raise Denied(Fault.NOT_SERVING, str(fault)) from None
            if desk.gate.mode is not Mode.SERVING:
                await self._loader.unload()
                raise Denied(Fault.NOT_SERVING, "the mode changed while the server started")
            desk.upstream, desk.model = upstream, model.content


@dataclass(kw_only=True)
class _Arrived:
    complete: bool = False
    content: str = EMPTY
    bytes_seen: int = 0


def answer_of(model_content: str) -> bytes:
    """The content of the answer to an upload that was taken: of the same size as any other answer."""
    return json.dumps({"loaded": model_content}).encode().ljust(UPLOAD_ANSWER_BYTES)


def digest_header(content: str) -> str:
    """`sha256:<hex>` as the value of `Content-Digest`."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(content.removeprefix('sha256:'))).decode()}:"


def _content_of(head: Head) -> str:
    """The declared digest. Raises `Denied`."""
    if head.method != b"PUT":
        raise Denied(Fault.BAD_REQUEST, "is no PUT", status=405)
    matched = _DIGEST.match(head.content_digest)
    if matched is None:
        raise Denied(Fault.BAD_REQUEST, "needs one Content-Digest, of sha-256")
    raw = base64.b64decode(matched.group(1))
    if base64.b64encode(raw) != matched.group(1):
        raise Denied(Fault.BAD_REQUEST, "its digest is not base64 as it is written")
    return f"sha256:{raw.hex()}"
