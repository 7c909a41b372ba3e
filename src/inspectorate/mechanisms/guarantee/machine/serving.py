"""What happens while models are loaded and served, and what is said of it once per period.

- Nothing is served before exactly the bytes of a listed model came in, and nothing while they come.
- A request is admitted only if all that it could use is set aside in every licensed meter; what it did not use is given back. So no
  accepted request can overdraw a licence, whatever the server does.
- Time, energy, and work that nobody asked for cannot be set aside: they are spent as they are metered, and what is then used up
  closes the path.
- An admitted request is settled once, in any mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Answered, Asked, Outcome
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.licences.amounts import used as units_used
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances, anywhere, ask, tick_inputs
from inspectorate.mechanisms.guarantee.machine.state import OPEN_REQUESTS_MAX, GuardState, Open, Upload
from inspectorate.mechanisms.guarantee.machine.transitions import (
    Identity,
    Moment,
    Step,
    halted,
    is_approved,
    passed,
    refused,
)
from inspectorate.mechanisms.guarantee.metering.meters import added, path_bytes
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import Scalar
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel, Point
from inspectorate.mechanisms.guarantee.rulesets.update import in_force


@dataclass(frozen=True, kw_only=True)
class AdmittedStep(Step):
    """A step that may have admitted a request."""

    ticket: int | None = None


def begin_upload(state: GuardState, book: RuleBook | None, *, content: str, size_bytes: int, moment: Moment) -> Step:
    """Bytes of a model are offered. While they are let in, nothing is served."""
    state = passed(state, moment.at)
    now = state.time
    shut = closed(state, now)
    if shut is not None:
        return refused(state, now, shut)
    if state.mode is Mode.UPLOADING:
        return refused(state, now, Refusal(kind=EventKind.MODEL_REFUSED, why="another upload is under way"))
    assert state.ruleset is not None, "a processor that is not shut has a ruleset"
    assert book is not None, "and its rules"
    listed = state.ruleset.model_of(content)
    if listed is None:
        return refused(state, now, Refusal(kind=EventKind.MODEL_REFUSED, why=f"{content[:19]}… is no listed model"))
    if size_bytes != listed.size_bytes:
        kind = EventKind.UPLOAD_EXCEEDED if size_bytes > listed.size_bytes else EventKind.MODEL_REFUSED
        why = f"{size_bytes} bytes are offered, and {listed.name} has {listed.size_bytes}"
        return refused(state, now, Refusal(kind=kind, why=why))
    inputs = {
        **anywhere(state, now),
        "size_bytes": size_bytes,
        "listed": True,
        "model": listed.name,
        "flop_per_token": listed.flop_per_token,
    }
    step = ask(state, book, Point.UPLOAD, inputs, moment)
    if step is not None:
        return step
    update = {
        "time": now,
        "mode": Mode.UPLOADING,
        "model": None,
        "upload": Upload(content=content, size_bytes=size_bytes),
    }
    return Step(state=state.model_copy(update=update))


def end_upload(state: GuardState, *, complete: bool, content: str, bytes_seen: int, moment: Moment) -> Step:
    """The upload ended. It serves only if these were exactly the bytes of the listed model."""
    state = passed(state, moment.at)
    now = state.time
    upload = state.upload
    after = state.model_copy(update={"time": now, "upload": None})
    if upload is None:
        why = "the upload was ended by what came in between"
        return refused(state, now, Refusal(kind=EventKind.MODEL_REFUSED, why=why))
    idle = after.model_copy(update={"mode": Mode.READY})
    if bytes_seen > upload.size_bytes:
        why = f"{bytes_seen} bytes came, and the model has {upload.size_bytes}"
        return refused(idle, now, Refusal(kind=EventKind.UPLOAD_EXCEEDED, why=why))
    if not complete or bytes_seen != upload.size_bytes or content != upload.content:
        why = f"{bytes_seen} of {upload.size_bytes} bytes came, with the digest {content[:19]}…"
        return refused(idle, now, Refusal(kind=EventKind.MODEL_REFUSED, why=why))
    serving = after.model_copy(update={"mode": Mode.SERVING, "model": upload.content})
    return Step(state=serving)


def unloaded(state: GuardState, why: str, moment: Moment) -> Step:
    """The server is not there: nothing is served until the next upload."""
    after = passed(state, moment.at)
    if after.mode is not Mode.SERVING:
        return Step(state=after)
    return Step(state=after.model_copy(update={"mode": Mode.READY, "model": None}))


def admit(
    state: GuardState, book: RuleBook | None, asked: Asked, circumstances: Circumstances, moment: Moment
) -> AdmittedStep:
    """A request asks for the server. All that it could use is set aside."""
    state = passed(state, moment.at)
    now = state.time
    shut = closed(state, now)
    if shut is None and state.mode is not Mode.SERVING:
        shut = Refusal(kind=EventKind.MODEL_REFUSED, why="no model is loaded")
    if shut is not None:
        return _not_admitted(refused(state, now, shut))
    assert state.ruleset is not None, "it serves"
    assert book is not None, "it serves"
    assert state.model is not None, "it serves"
    listed = state.ruleset.model_of(state.model)
    if listed is None or len(state.open) >= min(OPEN_REQUESTS_MAX, state.ruleset.limits.concurrent_max):
        kind = EventKind.MODEL_REFUSED if listed is None else EventKind.LIMIT_REACHED
        return _not_admitted(refused(state, now, Refusal(kind=kind, why=f"{len(state.open)} requests are open")))
    missing = unlicensed(state, now)
    if missing is not None:
        return _not_admitted(refused(state, now, missing))
    inputs = {
        **anywhere(state, now),
        "path": asked.path,
        "model": listed.name,
        "request_bytes": asked.request_bytes,
        "tokens_in_max": asked.tokens_in_max,
        "tokens_max": asked.tokens_max,
        "requests_today": circumstances.requests_today,
    }
    step = ask(state, book, Point.REQUEST, inputs, moment)
    if step is not None:
        return _not_admitted(step)
    amounts = most(asked, listed, state)
    taken = licences.reserve(state.licences, amounts, at=now)
    after = state.model_copy(update={"time": now, "licences": taken.state}).noted(*(one.kind for one in taken.refusals))
    if taken.ticket is None:
        return AdmittedStep(state=after, refusals=taken.refusals)
    opened = Open(ticket=state.ticket_next, reserved=taken.ticket.number, flop_per_token=listed.flop_per_token)
    update = {
        "open": (*state.open, opened),
        "ticket_next": state.ticket_next + 1,
        "flop_credit": state.flop_credit + units_used(MeterKind.FLOP, amounts.get(MeterKind.FLOP, 0.0)),
    }
    return AdmittedStep(state=after.model_copy(update=update), refusals=taken.refusals, ticket=opened.ticket)


def settle(
    state: GuardState, book: RuleBook | None, ticket: int, answered: Answered, sampled: bool, moment: Moment
) -> Step:
    """An admitted request is done: what it did not use is given back."""
    opened = next((one for one in state.open if one.ticket == ticket), None)
    if opened is None:
        return Step(state=state)
    state = passed(state, moment.at)
    now = state.time
    used = {
        MeterKind.FLOP: answered.tokens_at_most * opened.flop_per_token,
        MeterKind.BYTES_IN: float(answered.bytes_in),
        MeterKind.BYTES_OUT: float(answered.bytes_out),
    }
    kept, credit, refusals = _given_back(state, opened, used, now)
    kinds = [one.kind for one in refusals]
    if answered.outcome is Outcome.CUT:
        kinds.append(EventKind.REQUEST_DROPPED)
    through = {meter: path_bytes(meter, int(used[meter])) for meter in (MeterKind.BYTES_IN, MeterKind.BYTES_OUT)}
    after = state.model_copy(
        update={
            "time": now,
            "licences": kept,
            "flop_credit": credit,
            "open": tuple(one for one in state.open if one.ticket != ticket),
            "readings": _added(state.readings, through),
            "sampled": state.sampled.model_copy(update={"drawn": state.sampled.drawn + int(sampled)}),
        }
    ).noted(*kinds)
    if book is None or state.ruleset is None:
        return Step(state=after, refusals=refusals)
    inputs = {**anywhere(after, now), **_answer_inputs(state, answered, sampled)}
    return ask(after, book, Point.RESPONSE, inputs, moment) or Step(state=after, refusals=refusals)


def _given_back(
    state: GuardState, opened: Open, used: Mapping[MeterKind, float], now: datetime
) -> tuple[licences.LicenceState, int, tuple[Refusal, ...]]:
    """Licences, credit and refusals after a reservation was settled."""
    reservation = state.licences.tickets.get(opened.reserved)
    if reservation is None:
        return state.licences, state.flop_credit, ()
    set_aside = _reserved(reservation)
    actual = {meter: amount for meter, amount in used.items() if meter in set_aside}
    taken = licences.settle(state.licences, reservation, actual, at=now)
    credit = state.flop_credit
    if MeterKind.FLOP in set_aside:
        credit += units_used(MeterKind.FLOP, used[MeterKind.FLOP]) - set_aside[MeterKind.FLOP]
    return taken.state, credit, taken.refusals


def _answer_inputs(state: GuardState, answered: Answered, sampled: bool) -> dict[str, Scalar]:
    """What rules may read of an answer."""
    listed = state.ruleset.model_of(state.model) if state.ruleset and state.model else None
    return {
        "model": listed.name if listed else "",
        "complete": answered.outcome is Outcome.COMPLETE,
        "sampled": sampled,
        "bytes_in": answered.bytes_in,
        "bytes_out": answered.bytes_out,
        "tokens_at_least": answered.tokens_at_least,
        "tokens_at_most": answered.tokens_at_most,
        "duration_s": float(answered.duration_s),
    }


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the daemon saw since the last tick."""

    readings: Mapping[MeterKind, Reading]
    """By meter, over the time since the last tick; what passed the path is not among them."""
    held_s: float
    """Seconds of it in which work was held."""
    unseen: Mapping[MeterKind, Reading] = field(default_factory=dict)
    """The most that can have been used in time that a report will cover and that nobody looked at. Reported, and not charged."""


def tick(
    state: GuardState, me: Identity, book: RuleBook | None, looked: Looked, circumstances: Circumstances, moment: Moment
) -> Step:
    """Time passed: spend it, and see whether the rules still hold."""
    after = passed(state, moment.at)
    now = after.time
    after = after.model_copy(update={"held_s": state.held_s + looked.held_s})
    refusals: list[Refusal] = []
    shut = after.ruleset is not None and in_force(after.ruleset, now)
    if shut and after.mode is not state.mode:
        refusals.append(shut)
    after, spent = _spend(after, looked.readings, now)
    after = after.model_copy(update={"readings": _added(after.readings, looked.unseen)})
    refusals += spent
    if book is None or after.ruleset is None or after.mode in (Mode.LOCKED, Mode.HALTED):
        return Step(state=after, refusals=tuple(refusals))
    failed = ask(after, book, Point.TICK, tick_inputs(after, circumstances, now), moment)
    if failed is None:
        return Step(state=after, refusals=tuple(refusals))
    return Step(state=failed.state, refusals=(*refusals, *failed.refusals), durable=failed.durable)


def rechecked(state: GuardState, *, differed: bool, moment: Moment) -> Step:
    """A sampled request was computed again. One that differs halts the processor."""
    sampled = state.sampled.model_copy(
        update={"recomputed": state.sampled.recomputed + 1, "differed": state.sampled.differed + int(differed)}
    )
    after = passed(state, moment.at).model_copy(update={"sampled": sampled})
    if not differed:
        return Step(state=after)
    why = "a sampled request, computed again, gives something else"
    refusal = Refusal(kind=EventKind.RECOMPUTATION_DIFFERED, why=why)
    return Step(
        state=halted(after, EventKind.RECOMPUTATION_DIFFERED, why, moment), refusals=(refusal,), durable=not state.halt
    )


# --- what is allowed now -------------------------------------------------------------------------------------------------


def closed(state: GuardState, now: datetime) -> Refusal | None:
    """Why nothing at all is let through."""
    if state.halt is not None:
        return Refusal(kind=state.halt.kind, why=f"halted since {state.halt.at:%H:%M:%S}: {state.halt.why}")
    if state.ruleset is None:
        return Refusal(kind=EventKind.RULESET_REFUSED, why="no ruleset is in force")
    expired = in_force(state.ruleset, now)
    if expired is not None:
        return expired
    if state.mode is Mode.LOCKED:
        return Refusal(kind=EventKind.TAMPERED, why="the program that runs is not one that may")
    return None


def unlicensed(state: GuardState, now: datetime) -> Refusal | None:
    """Why the chips may not work for want of a licence."""
    assert state.ruleset is not None, "it is not closed"
    short = licences.shortfalls(state.licences, state.ruleset, at=now)
    return short[0] if short else None


def may_work(state: GuardState, me: Identity, now: datetime) -> bool:
    """Whether the chips may work at all: what holding local work goes by."""
    if state.mode is not Mode.SERVING or closed(state, now) is not None or state.ruleset is None:
        return False
    return is_approved(state.ruleset, me) and starved(state, now) is None


def starved(state: GuardState, now: datetime) -> Refusal | None:
    """Why work that was admitted has to be held: a meter of which nothing is left, neither free nor set aside for what is open."""
    short = unlicensed(state, now)
    if short is None or not state.open or state.ruleset is None:
        return short
    set_aside = {meter for ticket in state.licences.tickets.values() for meter, _, units in ticket.taken if units}
    if state.flop_credit <= 0:
        # All that requests paid for was metered: what comes now is nobody's.
        set_aside.discard(MeterKind.FLOP)
    charged = licences.charged_meters(state.licences, state.ruleset) - set_aside
    return None if all(licences.available(state.licences, meter, at=now) for meter in charged) else short


def most(asked: Asked, listed: ListedModel, state: GuardState) -> dict[MeterKind, float]:
    """The most that a request can use of every meter that is charged and can be set aside."""
    assert state.ruleset is not None, "it serves"
    amounts = {
        MeterKind.FLOP: (asked.tokens_in_max + asked.tokens_max) * listed.flop_per_token,
        MeterKind.BYTES_IN: float(asked.request_bytes),
        MeterKind.BYTES_OUT: float(state.ruleset.limits.response_bytes_max),
    }
    charged = licences.charged_meters(state.licences, state.ruleset)
    return {meter: amount for meter, amount in amounts.items() if meter in charged}


def _not_admitted(step: Step) -> AdmittedStep:
    return AdmittedStep(state=step.state, refusals=step.refusals, durable=step.durable)


def _reserved(ticket: licences.Ticket) -> dict[MeterKind, int]:
    found: dict[MeterKind, int] = {}
    for meter, _, units in ticket.taken:
        found[meter] = found.get(meter, 0) + units
    return found


def _spend(
    state: GuardState, readings: Mapping[MeterKind, Reading], now: datetime
) -> tuple[GuardState, tuple[Refusal, ...]]:
    """Charge what was metered. Work that requests paid for in advance is charged only as far as it went beyond that."""
    charged = licences.charged_meters(state.licences, state.ruleset) if state.ruleset is not None else frozenset()
    amounts = {meter: reading.used for meter, reading in readings.items() if meter in charged and reading.used > 0}
    credit = state.flop_credit
    if MeterKind.FLOP in amounts:
        due = units_used(MeterKind.FLOP, amounts.pop(MeterKind.FLOP)) - credit
        credit = max(0, -due)
        if due > 0:
            amounts[MeterKind.FLOP] = due
    taken = licences.spend(state.licences, amounts, at=now)
    update = {"licences": taken.state, "flop_credit": credit, "readings": _added(state.readings, readings)}
    return state.model_copy(update=update).noted(*(one.kind for one in taken.refusals)), taken.refusals


def _added(total: Mapping[MeterKind, Reading], more: Mapping[MeterKind, Reading]) -> dict[MeterKind, Reading]:
    return {**total, **{meter: added(total.get(meter), reading) for meter, reading in more.items()}}
