"""Asking the rules of the ruleset in force: what they may read of the state, and what follows if one fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.transitions import Moment, Step, halted, later
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.cel_parse import Scalar
from inspectorate.mechanisms.guarantee.rulesets.inputs import name_of
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import Consequence, Point


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What rules may read beside the state: what the daemon counts and knows."""

    requests_today: int = 0
    since_recomputed_s: float = 0.0
    period_s: float = 0.0


def ask(state: GuardState, book: RuleBook, point: Point, inputs: Mapping[str, Scalar], moment: Moment) -> Step | None:
    """Ask the rules at a point; a step if any failed."""
    now = later(state, moment.at)
    failed = book.decide(point, inputs, at=now)
    if not failed:
        return None
    refusals = tuple(Refusal(kind=EventKind.RULE_FAILED, why=f"rule {one.rule_id}: {one.why}"[:4000]) for one in failed)
    after = state.model_copy(update={"time": now})
    halting = next((one for one in failed if one.consequence is Consequence.HALT), None)
    if halting is None:
        return Step(state=after.noted(EventKind.RULE_FAILED), refusals=refusals)
    why = f"rule {halting.rule_id}: {halting.why}"
    return Step(state=halted(after, EventKind.RULE_FAILED, why, moment), refusals=refusals, durable=not state.halt)


def anywhere(state: GuardState, now: datetime) -> dict[str, Scalar]:
    assert state.ruleset is not None, "rules are asked under a ruleset"
    left = licences.remaining(state.licences, at=now)
    ends = [one.licence.valid.end for one in state.licences.held if one.licence.valid.contains(now)]
    return {
        "hour_utc": now.hour,
        "weekday_utc": now.weekday(),
        "ruleset_expires_in_s": (state.ruleset.valid.end - now).total_seconds(),
        "licence_expires_in_s": (max(ends) - now).total_seconds() if ends else 0.0,
        "in_flight": len(state.open),
        **{name_of("remaining", meter): float(left.get(meter, 0.0)) for meter in MeterKind},
    }


def tick_inputs(state: GuardState, circumstances: Circumstances, now: datetime) -> dict[str, Scalar]:
    return {
        **anywhere(state, now),
        "serving": state.mode is Mode.SERVING,
        "period_s": circumstances.period_s,
        "held_s": state.held_s,
        "requests_today": circumstances.requests_today,
        "sampled": state.sampled.drawn,
        "recomputed": state.sampled.recomputed,
        "differed": state.sampled.differed,
        "since_recomputed_s": circumstances.since_recomputed_s,
        **{name_of("used", meter): reading.used for meter, reading in state.readings.items()},
        **{name_of("events", kind): state.events.get(kind, 0) for kind in EventKind},
    }
