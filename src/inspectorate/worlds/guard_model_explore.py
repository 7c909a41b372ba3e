"""Breadth first through all worlds of a scenario: the first violation found is one of the shortest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.machine import ahead
from inspectorate.worlds.guard_model_account import World
from inspectorate.worlds.guard_model_actions import Actions
from inspectorate.worlds.guard_model_machine import REAL, Machine, replaced, running
from inspectorate.worlds.guard_model_scenarios import Scenario
from inspectorate.worlds.guard_model_states import Pool, Unreadable
from inspectorate.worlds.guard_model_world import Surroundings

READS_BACK = "a-save-reads-back"
"""The property that what is saved can be read, and is the same."""
SHARE = 0.5
"""Of a budget, in the model: budgets are of a few units, and a hundredth of them would be none."""


@dataclass(frozen=True, kw_only=True)
class Explored:
    """What a search came to."""

    scenario: str
    worlds: int
    moves: int
    """From one world to another, repeats included."""
    depth: int
    """Of the deepest level that was looked at in full."""
    exhausted: bool
    """Whether there was nothing left to look at."""
    states: int
    """Of the processor itself."""
    calls: int
    """Of its transitions, each for other arguments."""
    seconds: float
    violated: tuple[str, ...] = ()
    trace: tuple[str, ...] = ()
    """The shortest way to it."""


Progress = Callable[[int, int, int], None]
"""Told the depth, the worlds so far, and those of this level."""


@dataclass(kw_only=True)
class _Search:
    surroundings: Surroundings
    parents: dict[World, tuple[World, str] | None] = field(default_factory=dict)
    moves: int = 0
    violated: tuple[str, ...] = ()
    end: tuple[World, str] | None = None

    def level(self, frontier: list[World], worlds_max: int) -> Iterator[World]:
        """The worlds that are one move further, each once. Ends at the first violation, or when there are too many."""
        for world in frontier:
            try:
                for move in self.surroundings.moves(world):
                    self.moves += 1
                    if move.violated:
                        self.violated, self.end = move.violated, (world, move.label)
                        return
                    if move.world not in self.parents:
                        self.parents[move.world] = world, move.label
                        yield move.world
            except Unreadable as fault:
                self.violated, self.end = (READS_BACK,), (world, f"a save: {fault}")
                return
            if len(self.parents) >= worlds_max:
                return

    def trace(self) -> tuple[str, ...]:
        steps: list[str] = []
        at = self.end
        while at is not None:
            steps.append(at[1])
            at = self.parents[at[0]]
        return tuple(reversed(steps))


def explore(
    scenario: Scenario,
    machine: Machine = REAL,
    *,
    depth_max: int = 1000,
    worlds_max: int = 10_000_000,
    progress: Progress | None = None,
) -> Explored:
    """Look at every world that can be reached, nearest first, until one violates something."""
    began = time.monotonic()
    actions = Actions(scenario=scenario, machine=machine, pool=Pool())
    search = _Search(surroundings=Surroundings(actions=actions))
    first = search.surroundings.first()
    search.parents[first] = None
    frontier, depth = [first], 0
    with running(machine), replaced(ahead, "SHARE", SHARE):
        while frontier and depth < depth_max and not search.violated and len(search.parents) < worlds_max:
            frontier = list(search.level(frontier, worlds_max))
            if not search.violated and len(search.parents) < worlds_max:
                depth += 1
            if progress is not None:
                progress(depth, len(search.parents), len(frontier))
    return Explored(
        scenario=scenario.name,
        worlds=len(search.parents),
        moves=search.moves,
        depth=depth,
        exhausted=not frontier and not search.violated,
        states=len(actions.pool.states),
        calls=actions.calls,
        seconds=time.monotonic() - began,
        violated=search.violated,
        trace=search.trace(),
    )
