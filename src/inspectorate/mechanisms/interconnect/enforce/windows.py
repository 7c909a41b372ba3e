"""The two positions of a gateway, restricted and loading, and every way between them. Pure: the clock is an argument.

    restricted --open--> loading --complete | budget | time | content | by hand | lost--> restricted

Rules:

- Only an `Order` opens, and only `approvals.agreed_order` makes one of approvals that were verified. Here it is held against
  the agreement: enough approvers, bytes, seconds, the time of validity, the spacing of windows, and that no window of this
  name was ever open.
- One window at a time. Whatever happens in it, it ends, and it is accounted for in exactly one `Ended`.
- A clock that goes backwards ends a window, and opens none.
- The machine says when to stop; that nothing passes after it rests on the kernel (budget and time there, too).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.agreement import LoadingWindows
from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.errors import InputError
from inspectorate.evidence import WindowEnd
from inspectorate.quantities import Period, Positive, Time

WINDOWS_MAX = 100_000
"""Names of windows that a gateway remembers; beyond this it opens none until it is given a new folder."""

SECONDS_MIN = 1.0


class Position(StrEnum):
    RESTRICTED = "restricted"
    LOADING = "loading"


class Refused(InputError):
    """A window that may not be opened, and why. Nothing changed."""


class Order(Record):
    """A window as its approvers agreed on it, in equal terms."""

    window: Identifier
    pod: Identifier
    content: Digest
    bytes_max: Annotated[int, Field(ge=1)]
    seconds_max: Positive
    valid: Period
    approvers: tuple[Identifier, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.approvers)) != len(self.approvers):
            raise ValueError("an approver counts once")
        return self


class State(Record):
    """Where the gateway is. Kept on disk, so that a restart knows what a crash cut off."""

    position: Position = Position.RESTRICTED
    order: Order | None = None
    opened_at: Time | None = None
    used: tuple[Identifier, ...] = ()
    last_opened: dict[Identifier, Time] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        loading = self.position is Position.LOADING
        if loading != (self.order is not None) or loading != (self.opened_at is not None):
            raise ValueError("a gateway is loading exactly while there is an order that was opened")
        return self


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A window that is over."""

    order: Order
    period: Period
    end: WindowEnd


@dataclass(frozen=True, kw_only=True)
class Open:
    """The staged content of an order is there, with this digest."""

    order: Order
    staged: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the kernel has counted in the open window; it counts no further than the budget, from which on it drops."""

    asked_bytes: int


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The relay has handed over all it will: the digest of that; none if the connection ended before the content."""

    content: str | None


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Somebody closes the window."""


@dataclass(frozen=True, kw_only=True)
class Restart:
    """The gateway's program has just started."""


Event = Open | Look | Sent | Stop | Restart


def step(state: State, event: Event, now: datetime, terms: LoadingWindows) -> tuple[State, Ended | None]:
    """The state after an event, and the window that it ended, if it did. Raises `Refused` for an order that may not open."""
    if isinstance(event, Open):
        refuse(state, event.order, now, terms)
        if event.staged != event.order.content:
            raise Refused("the content is not what was approved", where=f"window {event.order.window}")
        return _opened(state, event.order, now), None
    if state.order is None or state.opened_at is None:
        return state, None
    end = _end(state.order, state.opened_at, event, now)
    if end is None:
        return state, None
    # The kernel closes a window in time whatever becomes of us, so it was never open for longer; and a period is not empty.
    closed = state.opened_at + timedelta(seconds=state.order.seconds_max)
    until = max(min(now, closed), state.opened_at + timedelta(microseconds=1))
    ended = Ended(order=state.order, period=Period(start=state.opened_at, end=until), end=end)
    return state.model_copy(update={"position": Position.RESTRICTED, "order": None, "opened_at": None}), ended


def refuse(state: State, order: Order, now: datetime, terms: LoadingWindows) -> None:
    """Raise `Refused` if an order may not be opened now."""
    where = f"window {order.window}"
    if state.position is not Position.RESTRICTED:
        raise Refused("another window is open", where=where)
    if order.window in state.used:
        raise Refused("a window of this name was open before", where=where, remedy="order another")
    if len(state.used) >= WINDOWS_MAX:
        raise Refused("this gateway remembers as many windows as it can", where=where)
    if len(order.approvers) < terms.approvals_min:
        raise Refused(f"{len(order.approvers)} approvers are fewer than {terms.approvals_min}", where=where)
    if order.bytes_max > terms.window_bytes_max:
        raise Refused(f"{order.bytes_max:,} bytes are more than {terms.window_bytes_max:,.0f}", where=where)
    if order.seconds_max > terms.window_s_max:
        raise Refused(f"{order.seconds_max:g} s are more than {terms.window_s_max:g} s", where=where)
    if order.seconds_max < SECONDS_MIN:
        raise Refused("the kernel counts windows in whole seconds, at least one", where=where)
    if not order.valid.contains(now):
        raise Refused(f"may be opened from {order.valid} only", where=where)
    last = state.last_opened.get(order.pod)
    if last is not None and (now - last).total_seconds() < terms.every_s_min:
        raise Refused(f"{order.pod} had its last window at {last:%Y-%m-%d %H:%M:%S} UTC", where=where)


def _opened(state: State, order: Order, now: datetime) -> State:
    return State(
        position=Position.LOADING,
        order=order,
        opened_at=now,
        used=(*state.used, order.window),
        last_opened={**state.last_opened, order.pod: now},
    )


def _end(order: Order, opened_at: datetime, event: Event, now: datetime) -> WindowEnd | None:
    """Why an open window ends with this event; none if it goes on."""
    open_s = (now - opened_at).total_seconds()
    match event:
        case Restart():
            return WindowEnd.LOST
        case Stop():
            return WindowEnd.CLOSED
        case Look() if event.asked_bytes >= order.bytes_max:
            return WindowEnd.BUDGET
        case _ if open_s < 0 or open_s >= order.seconds_max:
            return WindowEnd.TIME
        case Sent():
            return WindowEnd.COMPLETE if event.content == order.content else WindowEnd.CONTENT
        case _:
            return None
