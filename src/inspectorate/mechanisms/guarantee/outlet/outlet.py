"""The only way out: one slot a period, for one report of fixed size, within the budget of the day.

Rules:

- Slots end on a grid that begins with 1970, whatever the processor does. A slot is open from its end for a quarter of the period,
  at most `budget.WINDOW_S_MAX`. One report leaves in a slot, or none.
- A slot that was missed stays empty. The next report's period begins where the last one ended, so that nothing used is left out;
  the first begins with the first whole slot of the processor's life.
- With a report leaves at most one ruleset and one licence that came into force, oldest first; others wait for the next slots.
- What leaves is opened again and compared first (`opening`): one of three kinds, known sizes, nothing besides.
- A slot costs its bits before anything leaves, and they are saved, together with what leaves, before it does. After a crash the
  very same bytes are given to the sink again, which a sink takes for the same: a report is never made twice.
- What could not be delivered while its slot was open goes with the next report, not between slots.
- A slot that the budget of its day (UTC) does not allow stays empty. With an unchanged ruleset that cannot happen.

The clock comes in as an argument. Refusals are values; what only a fault of the program can cause raises `ValueError`, and the
processor ends, and what depends on it closes.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import Field

from inspectorate.canonical import Record, digest_of
from inspectorate.evidence.spool import Spool
from inspectorate.mechanisms.guarantee.outlet.budget import DAY_S, Plan
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.codec import encode
from inspectorate.mechanisms.guarantee.outlet.opening import OutputKind, Sealed, check_document, check_report
from inspectorate.quantities import NonNegative, Period, from_ns, to_ns

WAITING_MAX = 16
WAITING_BYTES_MAX = 2 * 1024 * 1024
"""Documents that wait for a slot are part of the state, and bounded with it."""
PENDING_MAX = 9
"""Statements that the sink did not take; a processor whose sink takes none for three slots ends."""

Base64 = Annotated[str, Field(max_length=WAITING_BYTES_MAX)]
Microseconds = Annotated[int, Field(ge=0, lt=2**53)]


class Waiting(Record):
    """A signed document that has yet to be made known."""

    kind: OutputKind
    document: Base64


class Pending(Record):
    """A sealed statement of which it is not known whether it reached the sink."""

    kind: OutputKind
    envelope: Base64
    payloads: tuple[tuple[str, Base64], ...] = Field(max_length=2)


class OutletState(Record):
    """What the outlet has to remember over restarts. Part of the processor's state, and saved with it."""

    until_us: Microseconds | None = Field(default=None, description="end of the last slot used; none: never started")
    day: Annotated[int, Field(ge=0)] = 0
    spent_bits: NonNegative = Field(default=0.0, description="in slots that end on that day")
    pending: tuple[Pending, ...] = Field(default=(), max_length=PENDING_MAX)
    waiting: tuple[Waiting, ...] = Field(default=(), max_length=WAITING_MAX)


class Sink(Protocol):
    """Where statements go. The same bytes given twice are the same statement."""

    def put(self, sealed: Sealed) -> None: ...


class Sealer(Protocol):
    """Who signs. Called within the slot, once for each output."""

    def report(self, checkpoint: Checkpoint, data: bytes) -> Sealed: ...

    def document(self, kind: OutputKind, document: bytes, period: Period) -> Sealed: ...


class Result(StrEnum):
    RELEASED = "released"
    NOT_DUE = "not-due"
    """No slot is open, or this one was used."""
    OVER_BUDGET = "over-budget"


@dataclass(frozen=True, kw_only=True)
class SpoolSink:
    """Payloads and statement into a collector's folder, in that order."""

    spool: Spool

    def put(self, sealed: Sealed) -> None:
        for _, payload in sealed.payloads:
            self.spool.put(f"payloads/{_hex(payload)}", [payload])
        self.spool.put(f"statements/{_hex(sealed.envelope)}.json", [sealed.envelope])


def begin(state: OutletState, plan: Plan, now: datetime) -> OutletState:
    """The state of a processor that starts now: one that never ran waits for its first whole slot."""
    if state.until_us is not None:
        return state
    every = _every_us(plan)
    return state.model_copy(update={"until_us": (_us(now) // every + 1) * every})


def due(state: OutletState, plan: Plan, now: datetime) -> Period | None:
    """The period to report of, if its slot is open and unused."""
    every = _every_us(plan)
    at = _us(now)
    end = at // every * every
    if state.until_us is None or end <= state.until_us or at - end > plan.window_us:
        return None
    return Period(start=from_ns(state.until_us * 1000), end=from_ns(end * 1000))


def next_slot(plan: Plan, now: datetime) -> datetime:
    """When the next slot opens."""
    every = _every_us(plan)
    return from_ns((_us(now) // every + 1) * every * 1000)


def charged(state: OutletState, plan: Plan, period: Period) -> OutletState | None:
    """The state after a slot was paid for; none if its day has no bits left."""
    day = _us(period.end) // (DAY_S * 1_000_000)
    spent = (state.spent_bits if day == state.day else 0.0) + plan.bits_per_report
    # The sum of many slots may exceed its product by rounding.
    if day < state.day or spent > plan.bits_per_day_max * (1 + 1e-9):
        return None
    return state.model_copy(update={"until_us": _us(period.end), "day": day, "spent_bits": spent})


def offered(state: OutletState, kind: OutputKind, document: bytes) -> OutletState | None:
    """The state with a document that waits to be made known; none if too many wait."""
    if kind is OutputKind.REPORT:
        raise ValueError("a report is released, not offered")
    text = base64.b64encode(document).decode()
    if (
        len(state.waiting) >= WAITING_MAX
        or sum(len(one.document) for one in state.waiting) + len(text) > WAITING_BYTES_MAX
    ):
        return None
    return state.model_copy(update={"waiting": (*state.waiting, Waiting(kind=kind, document=text))})


class Outlet:
    """The outlet of one processor. One thread."""

    def __init__(self, *, plan: Plan, sink: Sink, sealer: Sealer, state: OutletState, now: datetime) -> None:
        self._plan = plan
        self._sink = sink
        self._sealer = sealer
        self._state = begin(state, plan, now)

    @property
    def plan(self) -> Plan:
        return self._plan

    @property
    def state(self) -> OutletState:
        """To be saved with the processor's."""
        return self._state

    def replan(self, plan: Plan, now: datetime) -> None:
        """Another ruleset is in force: from the next slot on, its own grid and budget hold. What the day has cost stays spent.

        A processor that has not reported yet waits for the first whole slot of the new grid, not of the old one.
        """
        every = _every_us(plan)
        first = (_us(now) // every + 1) * every
        until = self._state.until_us
        if until is not None and until > first:
            self._state = self._state.model_copy(update={"until_us": first})
        self._plan = plan

    def due(self, now: datetime) -> Period | None:
        """The period to report of now, if there is a slot for it."""
        return due(self._state, self._plan, now)

    def offer(self, kind: OutputKind, document: bytes) -> bool:
        """Let a document be made known in a slot to come. False if too many wait: then it never is."""
        state = offered(self._state, kind, document)
        self._state = state or self._state
        return state is not None

    def release(self, checkpoint: Checkpoint, *, now: datetime, persist: Callable[[OutletState], None]) -> Result:
        """Let the report of the open slot out, with what waits.

        `persist` makes the outlet's state durable together with the processor's own, in which this checkpoint counts as said.
        Raises `ValueError` if the checkpoint is not of this slot, says more than the plan allows, or comes with anything besides.
        """
        period = due(self._state, self._plan, now)
        if period is None:
            return Result.NOT_DUE
        state = charged(self._state, self._plan, period)
        if state is None:
            return Result.OVER_BUDGET
        if checkpoint.period != period:
            raise ValueError(f"the slot is for {period}, and the checkpoint of {checkpoint.period}")
        data = encode(checkpoint, self._plan.precision)
        report = self._sealer.report(checkpoint, data)
        check_report(report, checkpoint, data)
        documents, waiting = self._take(state.waiting, period)
        pending = (*state.pending, *(_pending(one) for one in (report, *documents)))
        if len(pending) > PENDING_MAX:
            raise ValueError(f"{len(pending)} statements were not delivered")
        state = state.model_copy(update={"waiting": waiting, "pending": pending})
        persist(state)
        self._state = state
        self._deliver()
        return Result.RELEASED

    def deliver_again(self, now: datetime) -> bool:
        """After a restart: give the sink once more what it may not have got, if that slot is still open. Whether it was."""
        end = self._state.until_us or 0
        if not self._state.pending or not 0 <= _us(now) - end <= self._plan.window_us:
            return False
        self._deliver()
        return True

    def _deliver(self) -> None:
        for one in self._state.pending:
            self._sink.put(_sealed(one))
        # Not saved by itself: until the next save the same bytes may be given again, and are the same statement.
        self._state = self._state.model_copy(update={"pending": ()})

    def _take(self, waiting: tuple[Waiting, ...], period: Period) -> tuple[list[Sealed], tuple[Waiting, ...]]:
        """The oldest waiting document of each kind, sealed, and the rest."""
        left = list(waiting)
        taken: list[Sealed] = []
        for kind in (OutputKind.RULESET, OutputKind.LICENCE):
            first = next((one for one in left if one.kind is kind), None)
            if first is None:
                continue
            left.remove(first)
            document = base64.b64decode(first.document)
            sealed = self._sealer.document(kind, document, period)
            check_document(sealed, kind, document, period)
            taken.append(sealed)
        return taken, tuple(left)


def _pending(sealed: Sealed) -> Pending:
    payloads = tuple((name, base64.b64encode(payload).decode()) for name, payload in sealed.payloads)
    return Pending(kind=sealed.kind, envelope=base64.b64encode(sealed.envelope).decode(), payloads=payloads)


def _sealed(pending: Pending) -> Sealed:
    payloads = tuple((name, base64.b64decode(payload)) for name, payload in pending.payloads)
    return Sealed(kind=pending.kind, envelope=base64.b64decode(pending.envelope), payloads=payloads)


def _every_us(plan: Plan) -> int:
    return plan.every_ns // 1000


def _us(at: datetime) -> int:
    return to_ns(at) // 1000


def _hex(data: bytes) -> str:
    return digest_of(data).removeprefix("sha256:")
