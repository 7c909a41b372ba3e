"""The processor, from its start until it is told to end, or until something is wrong that it cannot go on with.

The start, in this order:

    1. the program, the configuration and the baseline were measured into the device (`opening`)
    2. the state is loaded under the device's counter; what was restored or deleted is named, and halts it
    3. without a ruleset, the baseline is put in force
    4. outlet, path and control socket open, and the clock begins to tick
    5. a listed model that is on the disk already is hashed, and served if it is still what is listed

From 4 on, `TICK_S` apart: time is spent, rules are asked, work is held or let go, the latch is told that all is well, a report goes
out when its slot is open. Whatever fails on the way ends the process, and with it the path; the latch holds the work.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_
from inspectorate.evidence import Origin
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.guarantee.attestation.device import Device
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.desk import Edges
from inspectorate.mechanisms.guarantee.interlock.gate import Loader
from inspectorate.mechanisms.guarantee.interlock.path import DataPath
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.interlock.upload import Quarantine
from inspectorate.mechanisms.guarantee.licences.state import charged_meters
from inspectorate.mechanisms.guarantee.machine import serving, transitions
from inspectorate.mechanisms.guarantee.machine.reporting import Frame, checkpoint, reported
from inspectorate.mechanisms.guarantee.metering.flop_commitment import commit
from inspectorate.mechanisms.guarantee.outlet.budget import plan_of
from inspectorate.mechanisms.guarantee.outlet.codec import encode, quantise
from inspectorate.mechanisms.guarantee.outlet.outlet import Outlet, OutletState, Result, Sink
from inspectorate.mechanisms.guarantee.processor.causes import Causes
from inspectorate.mechanisms.guarantee.processor.draws import Draws
from inspectorate.mechanisms.guarantee.processor.gate import MachineGate
from inspectorate.mechanisms.guarantee.processor.keeper import Keeper
from inspectorate.mechanisms.guarantee.processor.metered import Meters
from inspectorate.mechanisms.guarantee.processor.reports import StatementSealer
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel

TICK_S = 0.25
MEASURED_EVERY_S = 10.0
"""How often the program's own files are looked at again."""
_SALT = b"inspectorate guard ledger salt v1\0"


class Work(Loader, Protocol):
    """The work on the chips: the server on its model, in a control group that can be held."""

    @property
    def group(self) -> Path | None:
        """The control group in which it runs; none while nothing runs."""
        ...

    @property
    def held(self) -> bool:
        """Whether nothing of it can run now."""
        ...

    @property
    def lost(self) -> Refusal | None:
        """Why the work or its latch is gone, if it is: said once."""
        ...

    async def hold(self) -> None: ...

    async def allow(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a processor is put together from."""

    reporter: str
    key: SigningKey
    device: Device
    origin: Origin
    keeper: Keeper
    sink: Sink
    work: Work
    meters: Meters
    draws: Draws
    causes: Causes
    anchored: bool
    """Whether it is known where the device's counter stood at first: otherwise a wiped disk looks like a new processor."""
    models: Path
    samples: SampleStore
    state_key: bytes
    monotonic: Callable[[], float]
    measure: Callable[[], str]
    """Measure the program again; its digest."""
    recheck: Callable[[SampleStore, int], bool | None]
    """Recompute a sample: whether it differs, or none if that cannot be told. Called in a thread."""


@dataclass(kw_only=True)
class Processor:
    """One running processor. One event loop."""

    parts: Parts
    gate: MachineGate = field(init=False)
    outlet: Outlet = field(init=False)
    path: DataPath = field(init=False)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    address: tuple[str, int] | None = None
    reports: int = 0
    reported_at_s: float = 0.0

    def __post_init__(self) -> None:
        parts, keeper = self.parts, self.parts.keeper
        self.gate = MachineGate(keeper=keeper, draws=parts.draws.next)
        self.outlet = Outlet(
            plan=plan_of(keeper.state.ruleset),
            sink=parts.sink,
            sealer=StatementSealer(reporter=parts.reporter, key=parts.key, device=parts.device, origin=parts.origin),
            state=keeper.outlet,
            now=keeper.around.clock(),
        )
        keeper.door = self.outlet
        self.reported_at_s = parts.monotonic()

    async def run(self, host: str, port: int, *, ready: Callable[[tuple[str, int]], None]) -> None:
        """Serve until `stopping` is set. Raises what ended it otherwise."""
        parts, keeper = self.parts, self.parts.keeper
        self.outlet.deliver_again(keeper.around.clock())
        edges = Edges(now=keeper.around.clock, random=keeper.around.entropy, samples=parts.samples)
        quarantine = Quarantine(parts.models)
        self.path = DataPath(self.gate, edges, quarantine=quarantine, loader=parts.work)
        self.address = await self.path.start(host, port)
        assert self.path.ended is not None, "a path that listens can end"
        address = self.address
        try:
            await self._until_something_ends(self._open(quarantine, lambda: ready(address)), _outcome(self.path.ended))
            # Told to end: nothing is used any more, and what was used up to now counts.
            await self.path.close()
            await parts.work.hold()
            self.tick()
        finally:
            await self.path.close()
            await parts.work.unload()
        keeper.take("end", transitions.end(keeper.state, keeper.me, keeper.moment()))

    async def _until_something_ends(self, *others: Coroutine[None, None, None]) -> None:
        running = (self._ticks(), self._rechecks(), self._look_for_tampering(), self._stopped(), *others)
        tasks = [asyncio.ensure_future(one) for one in running]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for one in done:
            one.result()

    async def _stopped(self) -> None:
        await self.stopping.wait()

    async def _open(self, quarantine: Quarantine, ready: Callable[[], None]) -> None:
        """Step 5, and say that this is done. The clock ticks meanwhile: a server that starts is metered, and held if it must be.

        Where no licence lets a server start yet, there is nothing to wait for.
        """
        found = await self._find_what_is_there(quarantine)
        if found is not None and self._may_work:
            await self._serve(*found)
            found = None
        # What there is now stays: the collector of garbage need not look at it again in the middle of an answer.
        gc.freeze()
        ready()
        while found is not None and self._still(found[0]):
            if self._may_work:
                await self._serve(*found)
                break
            await asyncio.sleep(TICK_S)
        await asyncio.Event().wait()

    @property
    def _may_work(self) -> bool:
        """Whether the machine says so, and every meter that is licensed is read here."""
        keeper, ruleset = self.parts.keeper, self.parts.keeper.state.ruleset
        if ruleset is None or charged_meters(keeper.state.licences, ruleset) - self.parts.meters.kinds:
            return False
        return serving.may_work(keeper.state, keeper.me, keeper.state.time)

    def _still(self, model: ListedModel) -> bool:
        """Whether it is this model that is to be served: neither an upload nor a halt came in between."""
        return self.gate.mode is Mode.SERVING and self.parts.keeper.state.model == model.content

    async def _find_what_is_there(self, quarantine: Quarantine) -> tuple[ListedModel, Path] | None:
        """A listed model on the disk: the same questions as at an upload, asked of bytes that are there already."""
        ruleset = self.parts.keeper.state.ruleset
        if ruleset is None or self.gate.mode is not Mode.READY:
            return None
        for model in ruleset.models:
            file = await asyncio.to_thread(quarantine.find, model)
            if file is None or isinstance(self.gate.begin_upload(model.content, model.size_bytes), Refusal):
                continue
            if self.gate.end_upload(True, model.content, model.size_bytes) is None:
                return model, file
        return None

    async def _serve(self, model: ListedModel, file: Path) -> None:
        try:
            upstream = await self.parts.work.load(model, file)
        except EnvironmentError_ as fault:
            if self._still(model):
                self.gate.unloaded(str(fault))
            return
        if self._still(model):
            self.path.serve(upstream, model.content)

    # --- the clock -------------------------------------------------------------------------------------------------------

    async def _ticks(self) -> None:
        parts = self.parts
        while True:
            self.tick()
            if self._may_work:
                await parts.work.allow()
            else:
                await parts.work.hold()
            await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """One look at everything. Synchronous: nothing comes in between."""
        parts, keeper = self.parts, self.parts.keeper
        at_s = parts.monotonic()
        self.gate.period_s = at_s - self.reported_at_s
        gone = parts.work.lost
        if gone is not None:
            keeper.take("work", transitions.note(keeper.state, (gone,), keeper.moment()))
            self.gate.unloaded(gone.why)
        looked = parts.meters.look(held=parts.work.held)
        parts.causes.add(looked)
        step = serving.tick(keeper.state, keeper.me, keeper.book, looked, self.gate.circumstances(), keeper.moment())
        keeper.take("tick", step)
        if parts.meters.contradictions:
            found = parts.meters.contradictions.pop()
            parts.meters.contradictions.clear()
            self.halt(EventKind.TAMPERED, found.why)
        self._report(at_s)

    def halt(self, kind: EventKind, why: str) -> None:
        keeper = self.parts.keeper
        keeper.take("halt", transitions.halt(keeper.state, kind, why, keeper.moment()))

    async def _look_for_tampering(self) -> None:
        """Measure the program's files again, now and then: what was changed on the disk would run at the next start."""
        while True:
            await asyncio.sleep(MEASURED_EVERY_S)
            if self.parts.keeper.state.halt is None and (
                await asyncio.to_thread(self.parts.measure) != self.parts.keeper.me.build
            ):
                self.halt(EventKind.TAMPERED, "the program's files are not those that were measured at the start")

    def _report(self, at_s: float) -> None:
        parts, keeper = self.parts, self.parts.keeper
        period = self.outlet.due(keeper.around.clock())
        if period is None:
            return
        state = keeper.state
        # After a loss of state numbers may come again, and starts do not.
        place = state.starts.to_bytes(8, "big") + state.sequence.to_bytes(8, "big")
        salt = hmac.digest(parts.state_key, _SALT + place, "sha256")
        frame = Frame(
            reporter=parts.reporter,
            statement_key=parts.key.key_id,
            rollback_protected=parts.device.protects_counter and parts.anchored,
            flop_ledger=commit(parts.causes.ledger, salt).digest,
            opened=parts.draws.opened().hex(),
        )
        said = quantise(checkpoint(state, keeper.me, frame, period), self.outlet.plan.precision)
        after = reported(state, digest_of(encode(said, self.outlet.plan.precision)))

        def persist(outlet: OutletState) -> None:
            keeper.report(after, outlet)

        if self.outlet.release(said, now=keeper.around.clock(), persist=persist) is Result.RELEASED:
            self.reports += 1
            self.reported_at_s = at_s
            if parts.draws.is_last:
                # Told to end, as by its operator: nothing was lost, and the next run draws along a chain of its own.
                self.stopping.set()
            else:
                parts.draws.turn()

    # --- recomputation -----------------------------------------------------------------------------------------------------

    async def _rechecks(self) -> None:
        """Recompute what was drawn, one after the other."""
        parts, keeper = self.parts, self.parts.keeper
        while True:
            waiting = parts.samples.waiting
            if not waiting:
                await asyncio.sleep(TICK_S)
                continue
            differs = await asyncio.to_thread(parts.recheck, parts.samples, waiting[0])
            parts.samples.done(waiting[0])
            if differs is not None:
                keeper.recomputed()
                keeper.take("recomputation", serving.rechecked(keeper.state, differed=differs, moment=keeper.moment()))


async def _outcome(path: asyncio.Future[None]) -> None:
    await asyncio.shield(path)
