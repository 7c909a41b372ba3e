"""From closed segments to signed, numbered and chained statements in a spool.

A closed segment is sealed in order: payload hashed and written, statement signed with the digest of the one before and
written, then reported (`on_statement`). Each file is durable before the next step. So a crash at any moment leaves whole
statements whose payloads are there, and no other. `Sealer` needs no clock.

Not done here: repair of a ledger that missed a statement because the process died between writing and `on_statement`.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from inspectorate.canonical import digest_of
from inspectorate.evidence.envelope import sign_statement
from inspectorate.evidence.observed import FlowExportSegment, TelemetrySegment
from inspectorate.evidence.predicate import Origin
from inspectorate.evidence.spool import Spool
from inspectorate.evidence.statement import make_statement
from inspectorate.keys import SigningKey
from inspectorate.quantities import Period, from_ns

PENDING_BYTES_MAX = 256 * 1024 * 1024
"""Closed segments that wait for the disk. Beyond this, whoever hands over more waits."""


@dataclass(frozen=True, kw_only=True)
class Closed(ABC):
    """A segment that will not change any more: payload in chunks, period [start_ns, end_ns) in whole microseconds."""

    sensor: str
    sequence: int
    final: bool
    start_ns: int
    end_ns: int
    chunks: tuple[bytes | memoryview, ...]
    size_bytes: int

    @abstractmethod
    def predicate(self, **common: Any) -> FlowExportSegment | TelemetrySegment:
        """What the statement says: the fields that all segments have, given, and those of this kind."""


class Sealer:
    """Signs closed segments, chains them and writes them."""

    def __init__(
        self,
        spool: Spool,
        key: SigningKey,
        *,
        stream: str,
        origin: Origin,
        recorder: str,
        on_statement: Callable[[bytes], None] | None = None,
    ) -> None:
        self._spool = spool
        self._key = key
        self._stream = stream
        self._origin = origin
        self._recorder = recorder
        self._on_statement = on_statement
        self._previous: dict[str, str] = {}
        self._sound = True

    def seal(self, closed: Closed) -> None:
        """Write payload and statement, then report the raw SHA-256 of the statement's envelope.

        After a fault it seals no more (`ValueError`): what came next would be chained over a hole.
        """
        if not self._sound:
            raise ValueError("sealing failed before; a stream ends there")
        self._sound = False
        hasher = hashlib.sha256()
        for chunk in closed.chunks:
            hasher.update(chunk)
        payload = hasher.hexdigest()
        self._spool.put(f"payloads/{payload}", closed.chunks)
        predicate = closed.predicate(
            origin=self._origin,
            sensor=closed.sensor,
            stream=self._stream,
            sequence=closed.sequence,
            previous=self._previous.get(closed.sensor),
            final=closed.final,
            period=Period(start=from_ns(closed.start_ns), end=from_ns(closed.end_ns)),
            payload_bytes=closed.size_bytes,
            recorder=self._recorder,
        )
        envelope = sign_statement(make_statement(predicate, {"payload": f"sha256:{payload}"}), self._key)
        digest = digest_of(envelope)
        hexadecimal = digest.removeprefix("sha256:")
        self._spool.put(f"statements/{hexadecimal}.json", [envelope])
        self._previous[closed.sensor] = digest
        if self._on_statement is not None:
            self._on_statement(bytes.fromhex(hexadecimal))
        self._sound = True


class Sized(Protocol):
    """Something that waits for the disk, and how much memory it takes."""

    @property
    def size_bytes(self) -> int: ...


Waiting = TypeVar("Waiting", bound=Sized)


class SealingThread(Generic[Waiting]):
    """Seals in the background, in order, so that receiving goes on while a disk takes its time.

    Any fault of sealing is raised by the next `put`, or at the end of the context.
    """

    def __init__(self, seal: Callable[[Waiting], None]) -> None:
        self._seal = seal
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sealing")
        self._pending: deque[tuple[Future[None], int]] = deque()
        self._pending_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=True)
        if kind is None:
            while self._pending:
                self._settle()

    def put(self, closed: Waiting) -> None:
        """Hand over a closed segment; waits while too much is pending. Raises what sealing failed with."""
        while self._pending and (self._pending[0][0].done() or self._pending_bytes > PENDING_BYTES_MAX):
            self._settle()
        self._pending.append((self._executor.submit(self._seal, closed), closed.size_bytes))
        self._pending_bytes += closed.size_bytes

    def _settle(self) -> None:
        future, size_bytes = self._pending.popleft()
        self._pending_bytes -= size_bytes
        future.result()
