"""Random walks: long sequences of operations, with nothing left out of the state.

A walk goes on where the explorer stops: longer, with all counts and numbers in the state, with as many halts and files as come up.
What happens is drawn first by its kind, so that what can be done in many ways is not done most of the time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.machine import ahead
from inspectorate.mechanisms.guarantee.machine.invariants import STATE, STEP
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.worlds.guard_model_account import NAMES, NONE, World
from inspectorate.worlds.guard_model_actions import Actions
from inspectorate.worlds.guard_model_explore import SHARE
from inspectorate.worlds.guard_model_machine import REAL, Machine, replaced, running
from inspectorate.worlds.guard_model_scenarios import SCENARIOS, Action, Scenario
from inspectorate.worlds.guard_model_states import Pool
from inspectorate.worlds.guard_model_world import Move, Surroundings, dead

PROPERTIES = len(STATE) + len(STEP) + len(NAMES)
_MANY = 1_000_000
_CLOCK = (0.85, 0.1, 0.05)
"""How often the clock shows which day: time never goes back, and on the last day most is over."""
_WHOLE = 0.93
"""How often a step runs to its end."""
_FIRST, _BASELINE = 0.3, 0.8
"""How often the first of several ways is taken: the baseline, the exact end of an upload, the order of a quorum;
and the baseline where nothing is in force."""
_OFTEN = {"kill": 0.3, "end": 0.15, "install": 0.5, "begin": 0.3, "hand": 0.2, "recheck": 0.2, "unloaded": 0.2}
_SERVES = {"finish": 6.0, "admit": 2.0, "settle": 3.0, "work": 3.0, "tick": 1.5, "sign": 2.0, "resume": 2.0}
_FORGET_AFTER = 5_000
"""States after which a pool begins anew, so that memory stays bounded."""


@dataclass(frozen=True, kw_only=True)
class Walked:
    """What walks came to."""

    machine: str
    seed: int
    sequences: int
    steps: int
    properties: int
    """Predicates that were asked at every release."""
    checks: int
    violated: tuple[str, ...]
    trace: tuple[str, ...]
    seconds: float
    kinds: tuple[tuple[str, int], ...]
    """How often each kind of move was made: a walk that never did a thing shows nothing of it."""


def walk(
    name: str,
    *,
    sequences: int,
    steps: int,
    seed: int,
    machine: Machine = REAL,
    progress: Callable[[int], None] | None = None,
) -> Walked:
    """Walk at random, each sequence from a new processor. Ends at the first violation."""
    began = time.monotonic()
    scenario = _wide(SCENARIOS[name]())
    draw = random.Random(f"{name} {seed}")
    taken, checks = 0, 0
    kinds: dict[str, int] = {}
    violated: tuple[str, ...] = ()
    trace: list[str] = []
    done = 0
    with running(machine), replaced(ahead, "SHARE", SHARE):
        surroundings = _surroundings(scenario, machine)
        while done < sequences and not violated:
            if len(surroundings.actions.pool.states) > _FORGET_AFTER:
                surroundings = _surroundings(scenario, machine)
            world, trace = surroundings.first(), []
            for _ in range(steps):
                kind, move = _drawn(surroundings, world, draw)
                taken += 1
                trace.append(f"{kind}: {move.label}")
                kinds[kind] = kinds.get(kind, 0) + 1
                checks += PROPERTIES if move.world.live != NONE else 0
                world = move.world
                if move.violated:
                    violated = move.violated
                    break
            done += 1
            if progress is not None:
                progress(done)
    return Walked(
        machine=name,
        seed=seed,
        sequences=done,
        steps=taken,
        properties=PROPERTIES,
        checks=checks,
        violated=violated,
        trace=tuple(trace) if violated else (),
        seconds=time.monotonic() - began,
        kinds=tuple(sorted(kinds.items(), key=lambda one: -one[1])),
    )


def _wide(scenario: Scenario) -> Scenario:
    """Without the bounds that keep a search finite."""
    return replace(scenario, files_max=_MANY, halts_max=_MANY)


def _surroundings(scenario: Scenario, machine: Machine) -> Surroundings:
    return Surroundings(actions=Actions(scenario=scenario, machine=machine, pool=Pool(whole=True)))


def _drawn(surroundings: Surroundings, world: World, draw: random.Random) -> tuple[str, Move]:
    """One move: first which kind of thing happens, then which, then how it turns out."""
    scenario = surroundings.actions.scenario
    clock = draw.choices(range(scenario.clocks), weights=_CLOCK[: scenario.clocks])[0]
    at = world._replace(clock=clock)
    if world.live == NONE:
        return "start", _turned_out(list(surroundings.starts(at)), draw)
    by_kind: dict[str, list[Action]] = {"kill": []}
    for action in surroundings.possible(at):
        by_kind.setdefault(str(action[0]), []).append(action)
    kinds = sorted(by_kind)
    state = surroundings.actions.pool.states[at.live]
    kind = draw.choices(kinds, weights=[_weight(kind, state) for kind in kinds])[0]
    if kind == "kill":
        return "kill", Move(label="the process is killed", world=dead(world))
    first = _FIRST if state.ruleset is not None else _BASELINE
    action = by_kind[kind][0] if draw.random() < first else draw.choice(by_kind[kind])
    if kind == "work":
        return kind, Move(label="chips work, unread", world=surroundings.worked(at))
    if kind == "sign":
        orders = (*at.orders, at.halts - 1)
        return kind, Move(label="a quorum signs an order", world=at._replace(orders=orders))
    result = surroundings.actions.take(at.live, action, at.build, clock, at.halts)
    moves = list(surroundings.taken(at, action, result))
    return kind, _turned_out(moves, draw) if moves else Move(label="nothing comes of it", world=at)


def _weight(kind: str, state: GuardState) -> float:
    """Walks mostly do what leads on: install where nothing is in force, upload where nothing is served."""
    if (kind == "install" and state.ruleset is None) or (kind == "begin" and state.mode is Mode.READY):
        return 4.0
    return _OFTEN.get(kind, _SERVES.get(kind, 1.0))


def _turned_out(moves: list[Move], draw: random.Random) -> Move:
    """What is violated if anything is, else mostly what is not cut off."""
    wrong = [move for move in moves if move.violated]
    if wrong:
        return wrong[0]
    whole = [move for move in moves if "killed" not in move.label]
    return draw.choice(whole if whole and draw.random() < _WHOLE else moves)
