"""The server on its model, in a control group, beside its latch: started held, let go when the machine says so, and ended.

A model is handed to the server as a file that it can read and not write. The server is reached at the configured address, by the
path alone; that nobody else can reach it is arranged outside (a socket in a closed folder, or a namespace of its own).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Upstream
from inspectorate.mechanisms.guarantee.interlock.holding import ControlGroup, HeldWork, Work, start
from inspectorate.mechanisms.guarantee.processor.config import Address, Server
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel

_TRY_AGAIN_S = 0.05
_READABLE, _PASSABLE = 0o444, 0o711


class ServerWork:
    """The work of one processor. One event loop."""

    def __init__(
        self,
        server: Server,
        *,
        group: str,
        run: Path,
        lost_after_s: Callable[[], float],
        on_loaded: Callable[[ListedModel], None],
    ) -> None:
        self._server = server
        self._name = group
        self._run = run
        self._lost_after_s = lost_after_s
        self._on_loaded = on_loaded
        self._work: HeldWork | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._allowed = False
        self._lost: Refusal | None = None

    @property
    def group(self) -> Path | None:
        return self._work.group.folder if self._work is not None else None

    @property
    def held(self) -> bool:
        """As the kernel says; without work there is nothing to hold."""
        return self._work is None or self._work.group.is_frozen

    @property
    def lost(self) -> Refusal | None:
        found, self._lost = self._lost, None
        return found

    async def load(self, model: ListedModel, file: Path) -> Upstream:
        """Start the server on the model, and wait until it listens. Raises `EnvironmentError_`."""
        await self.unload()
        file.chmod(_READABLE)
        file.parent.chmod(_PASSABLE)
        command = tuple(part.replace("{model}", str(file.resolve())) for part in self._server.command)
        work = Work(
            command=command,
            uid=self._server.user,
            gid=self._server.user,
            environment=self._server.environment,
            log=(self._run / "server.log").resolve(),
        )
        group = ControlGroup.make(self._name)
        if not group.is_empty:
            # Work whose processor was lost: frozen by its latch, and not to be trusted with another life.
            group.remove()
            group = ControlGroup.make(self._name)
        held = await start(group, work, place=(self._run / "latch").resolve(), lost_after_s=self._lost_after_s())
        self._work = held
        self._keeping = asyncio.create_task(self._keep(held))
        # It is let go at the next tick, if the machine says so, and metered from then on.
        upstream = _upstream(self._server.at)
        try:
            async with asyncio.timeout(self._server.ready_s):
                while not await _listens(upstream):
                    await asyncio.sleep(_TRY_AGAIN_S)
                    self._check_is(held)
        except TimeoutError:
            self._check_is(held)
            await self.unload()
            raise EnvironmentError_(
                f"the server did not answer within {self._server.ready_s:g} s",
                where=self._server.command[0],
                remedy=f"see {self._run / 'server.log'}",
            ) from None
        self._check_is(held)
        self._on_loaded(model)
        return upstream

    def _check_is(self, work: HeldWork) -> None:
        """Raises `EnvironmentError_` if something else took the place of this work meanwhile."""
        if self._work is not work:
            raise EnvironmentError_("was ended while it started", where=self._server.command[0])

    async def unload(self) -> None:
        """End the server, if one runs."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        if self._work is not None:
            work, self._work = self._work, None
            await asyncio.to_thread(work.end)
        self._allowed = False

    async def allow(self) -> None:
        if self._work is not None and not self._allowed:
            self._allowed = True
            await self._work.allow()

    async def hold(self) -> None:
        if self._work is not None and self._allowed:
            self._allowed = False
            await self._work.hold()

    async def _keep(self, work: HeldWork) -> None:
        self._lost = await work.keep()


def _upstream(at: Address) -> Upstream:
    if at.socket is not None:
        return Upstream(socket=Path(at.socket))
    return Upstream(host=at.host or "127.0.0.1", port=at.port or 0)


async def _listens(upstream: Upstream) -> bool:
    try:
        if upstream.socket is not None:
            _, writer = await asyncio.open_unix_connection(str(upstream.socket))
        else:
            _, writer = await asyncio.open_connection(upstream.host, upstream.port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
