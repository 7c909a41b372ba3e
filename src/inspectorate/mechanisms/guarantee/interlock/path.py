"""The path itself: the one address that clients know, in front of a server that only it can reach.

It establishes: whatever reached the server was admitted by the gate, parsed here, and written anew; whatever came back was let
through piece by piece under the limits in force; what was admitted was settled; nothing passed in any mode but `serving`, and in
`uploading` only a model.

It does not establish that there is no other route to the server. That is arranged around it: a socket in a folder of its own, or a
network namespace of its own.

A connection whose handling fails by a fault of ours, or of the gate, ends the whole path (`ended`): a path that is not understood
lets nothing through.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.desk import Denied, Desk, Edges
from inspectorate.mechanisms.guarantee.interlock.gate import Fault, Gate, Loader, Upstream, error_body
from inspectorate.mechanisms.guarantee.interlock.reference import (
    CONNECTIONS_MAX,
    CUT_S_MAX,
    PIECE_BYTES_MAX,
    STALL_S_MAX,
    UPLOAD_ANSWER_BYTES,
)
from inspectorate.mechanisms.guarantee.interlock.serving import Exchange
from inspectorate.mechanisms.guarantee.interlock.upload import MODEL, Quarantine, Uploading, answer_of
from inspectorate.mechanisms.guarantee.interlock.wire import Connection, Gone


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What the path counted by itself."""

    connections: int
    connections_refused: int
    open: int
    faults: dict[Fault, int]


class DataPath:
    """Serves one address, in the event loop in which it was started."""

    def __init__(self, gate: Gate, edges: Edges, *, quarantine: Quarantine, loader: Loader) -> None:
        self._desk = Desk(gate, edges)
        self._quarantine = quarantine
        self._loader = loader
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._unloading: asyncio.Task[None] | None = None
        self._connections = 0
        self._refused = 0
        self.ended: asyncio.Future[None] | None = None
        """Set once the path has ended: with the fault that ended it, if one did."""

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and say where. Raises `EnvironmentError_`."""
        self.ended = asyncio.get_running_loop().create_future()
        self._desk.gate.watch(self._changed)
        try:
            self._server = await asyncio.start_server(
                self._connected, host, port, limit=PIECE_BYTES_MAX, backlog=CONNECTIONS_MAX
            )
        except OSError as fault:
            raise EnvironmentError_(f"cannot listen: {fault.strerror}", where=f"{host}:{port}") from None
        address = self._server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def serve(self, upstream: Upstream, content: str) -> None:
        """Name the server of a model that was uploaded before this path started: `Quarantine.find` found it as listed."""
        self._desk.upstream, self._desk.model = upstream, content

    @property
    def counts(self) -> Counts:
        return Counts(
            connections=self._connections,
            connections_refused=self._refused,
            open=len(self._desk.open),
            faults=dict(self._desk.faults),
        )

    async def close(self) -> None:
        """Stop listening and end every connection: open answers with a word, and what was admitted is settled as cut."""
        self._desk.is_closing = True
        if self._server is not None:
            self._server.close()
        self._desk.shut()
        if self._desk.open:
            await asyncio.sleep(0)
            await asyncio.wait(self._tasks, timeout=2 * CUT_S_MAX)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._unloading is not None:
            await asyncio.gather(self._unloading, return_exceptions=True)
        if self.ended is not None and not self.ended.done():
            self.ended.set_result(None)

    def _changed(self, mode: Mode, why: Refusal | None) -> None:
        """The machine is in another mode. Open streams end with a word; a halted server stops."""
        if mode is Mode.SERVING:
            if why is not None:
                # The server stays, held, until a licence covers its work again.
                self._desk.shut()
            return
        if mode is not Mode.UPLOADING:
            self._desk.upstream, self._desk.model = None, ""
        self._desk.shut()
        if mode in (Mode.HALTED, Mode.LOCKED) and (self._unloading is None or self._unloading.done()):
            self._unloading = asyncio.get_running_loop().create_task(self._unload())
            self._unloading.add_done_callback(self._fault_of)

    async def _unload(self) -> None:
        async with self._desk.loading:
            await self._loader.unload()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._tasks) >= CONNECTIONS_MAX:
            self._refused += 1
            writer.transport.abort()
            return
        self._connections += 1
        task = asyncio.get_running_loop().create_task(self._requests(Connection(reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._fault_of)

    def _fault_of(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        fault = task.exception()
        if fault is None or self.ended is None or self.ended.done():
            return
        self.ended.set_exception(fault)
        self._desk.is_closing = True
        self._desk.shut()
        if self._server is not None:
            self._server.close()

    async def _requests(self, connection: Connection) -> None:
        """The requests of one connection, one after the other."""
        try:
            while await self._request(connection):
                pass
            await connection.close_gently(STALL_S_MAX)
        except Gone:
            return
        finally:
            connection.abort()

    async def _request(self, connection: Connection) -> bool:
        """One request. Whether another may follow. Raises `Gone`."""
        padded_to = 0
        try:
            head = await connection.head()
            if head is None:
                return False
            if head.target.decode("ascii", "replace") != MODEL:
                return await Exchange(self._desk, connection, head).run()
            padded_to = UPLOAD_ANSWER_BYTES
            model = await Uploading(self._desk, self._quarantine, self._loader).run(connection, head)
            connection.say(200, answer_of(model.content))
        except Denied as denied:
            if isinstance(denied.kind, Fault):
                self._desk.faults[denied.kind] += 1
            connection.say(denied.status, error_body(denied.kind).ljust(padded_to))
            await connection.close_gently(CUT_S_MAX)
        return False
