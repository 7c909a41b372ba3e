"""The server: one socket, so many connections, each for one request. It knows of nobody where a connection comes from.

Rules:

- The address of the other side is never asked for. There is no log of requests. What this program does wrong is counted by kind and
  place in its code (`faults`), without a word of the request, a time, or a number of requests.
- It listens on a unix socket or on loopback. Any other address is the operator's explicit choice, and stands in front of nothing.
- When all places are taken, the connection on which least moves in the time that the server waits for it is ended for the next one.
  Reports that wait to be stored are never ended for others.
- A fault of ours is answered with a page that says so; a report in it was not taken, and is not said to be.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.whistleblowing.web.answers import answer_bytes
from inspectorate.mechanisms.whistleblowing.web.limits import Limits, Visit
from inspectorate.mechanisms.whistleblowing.web.site import Site
from inspectorate.mechanisms.whistleblowing.web.wire import PIECE_BYTES, Client, Gone, Head, Refused

_BACKLOG = 128
_SOCKET_UMASK = 0o117
"""Its owner and one group, which tor is in."""
_UNIX_PATH_BYTES_MAX = 107
"""Linux, unix(7)."""
_FAULTS_KEPT = 64


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where to listen: at a path, or at an address."""

    path: Path | None = None
    host: str = "127.0.0.1"
    port: int = 8480
    beyond_loopback: bool = False


def listen(where: Where) -> socket.socket:
    """Raises `InputError` for an address that reaches beyond this machine unasked, and `EnvironmentError_`."""
    return _listen_at_path(where.path) if where.path is not None else _listen_at_address(where)


def _listen_at_path(path: Path) -> socket.socket:
    if len(os.fsencode(path)) > _UNIX_PATH_BYTES_MAX:
        raise InputError(f"a socket's path has at most {_UNIX_PATH_BYTES_MAX} bytes", where=str(path))
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_SOCKET_UMASK)
    try:
        if path.is_socket() and not _answers(path):
            path.unlink()
        made.bind(str(path))
        made.listen(_BACKLOG)
    except OSError as fault:
        made.close()
        raise EnvironmentError_(f"cannot listen: {fault.strerror}", where=str(path)) from None
    finally:
        os.umask(before)
    return made


def _answers(path: Path) -> bool:
    """Whether another process still listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as tried:
        return tried.connect_ex(str(path)) == 0


def _listen_at_address(where: Where) -> socket.socket:
    try:
        address = ipaddress.ip_address(where.host)
    except ValueError:
        raise InputError(
            "is no address", where=where.host, remedy="give an IPv4 or IPv6 address, such as 127.0.0.1"
        ) from None
    if not address.is_loopback and not where.beyond_loopback:
        raise InputError(
            "reaches beyond this machine, so that the addresses of sources come to it",
            where=where.host,
            remedy="listen at a unix socket or on loopback behind an onion service, or say --beyond-loopback",
        )
    made = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((where.host, where.port))
        made.listen(_BACKLOG)
    except OSError as fault:
        made.close()
        raise EnvironmentError_(f"cannot listen: {fault.strerror}", where=f"{where.host}:{where.port}") from None
    return made


class Server:
    """Serves one site at one socket, in the event loop in which it was started."""

    def __init__(self, site: Site, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.faults: Counter[str] = Counter()
        """Kind and place in the code -> how often."""
        self._site = site
        self._limits = limits
        self._clock = clock
        self._visits: dict[asyncio.Task[None], Visit] = {}
        self._server: asyncio.Server | None = None

    async def start(self, sock: socket.socket) -> None:
        if sock.family == socket.AF_UNIX:
            self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=PIECE_BYTES)
        else:
            self._server = await asyncio.start_server(self._connected, sock=sock, limit=PIECE_BYTES)

    async def stop(self, *, within_s: float) -> None:
        """Take nothing new, let reports that wait for the disk have their answer, end everything else."""
        if self._server is not None:
            self._server.close()
        for task, visit in list(self._visits.items()):
            if not visit.keeps:
                task.cancel()
        if self._visits:
            await asyncio.wait(list(self._visits), timeout=within_s)
        for task in list(self._visits):
            task.cancel()
        if self._visits:
            await asyncio.wait(list(self._visits))

    @property
    def open(self) -> int:
        return len(self._visits)

    # --- connections ------------------------------------------------------------------------------------------------------

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._visits) >= self._limits.connections:
            self._end_idlest()
        visit = Visit()
        client = Client((reader, writer), self._limits, visit, self._clock)
        task = asyncio.get_running_loop().create_task(self._serve(client, visit))
        self._visits[task] = visit
        task.add_done_callback(self._ended)

    def _end_idlest(self) -> None:
        now = self._clock()
        task = min(self._visits, key=lambda one: self._visits[one].rate(now))
        del self._visits[task]
        task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._visits.pop(task, None)
        fault = None if task.cancelled() else task.exception()
        if isinstance(fault, Exception):
            self.count(fault)

    async def _serve(self, client: Client, visit: Visit) -> None:
        try:
            head, refused = await self._head(client)
            answered = self._site.trouble(refused) if refused else None
            if head is not None:
                # Exceptions come back as values, so that a fault of ours is answered too. Being ended is none.
                [result] = await asyncio.gather(self._site.answer(head, client, visit), return_exceptions=True)
                if isinstance(result, Gone):
                    return
                if isinstance(result, Refused):
                    answered = self._site.trouble(result, at=head)
                elif isinstance(result, BaseException):
                    self.count(result)
                    answered = self._site.failed(head)
                else:
                    answered = result
            visit.keeps = False
            if answered is not None:
                await client.send(answer_bytes(answered, head_only=head is not None and head.method == "HEAD"))
                await client.run_out()
        except Gone:
            return
        finally:
            client.close()

    async def _head(self, client: Client) -> tuple[Head | None, Refused | None]:
        try:
            return await client.head(), None
        except Refused as refused:
            return None, refused

    def count(self, fault: BaseException | None) -> None:
        """A fault of this program, by its kind and the place in the code where it came up."""
        frames = traceback.extract_tb(fault.__traceback__) if fault is not None else []
        place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
        if len(self.faults) < _FAULTS_KEPT:
            self.faults[f"{type(fault).__name__} at {place}"] += 1
