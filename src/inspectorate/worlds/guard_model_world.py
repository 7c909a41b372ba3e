"""The processor among its surroundings: its disk, its counter, its clock, its chips and whoever wants it to let through too much.

At any time the adversary may

- end the process, between any two steps of a save and between a save and what it is for;
- put back any file that was ever on the disk, or delete all of them, before a start;
- set the clock to any time, before anything that happens;
- offer any document in the scenario, any number of times, and any order to resume that was ever signed;
- start another program than the ruleset names, offer other bytes than a listed model, and ask for anything.

The disk is that of `machine.store`, whose rules are written down here a second time and compared with the real one in the tests:
files are of the counter (`current`), one ahead of it (`next`), or older. Older ones all end in a distrusted state, which does
nothing for good; so it is enough that there is one. Counters are told apart only by their distance to the device's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.machine.serving import may_work
from inspectorate.worlds.guard_model_account import EMPTY, NONE, World, after_release, begin
from inspectorate.worlds.guard_model_actions import Actions, Result, order
from inspectorate.worlds.guard_model_scenarios import Action


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One thing that can happen next."""

    label: str
    world: World
    violated: tuple[str, ...] = ()


@dataclass
class Surroundings:
    """All moves of a scenario."""

    actions: Actions
    _covered: dict[tuple[int, int], bool] = field(default_factory=dict)
    _ahead: dict[int, int] = field(default_factory=dict)

    def first(self) -> World:
        return World(ghost=begin(self.actions.scenario))

    def moves(self, world: World) -> Iterator[Move]:
        """All that can happen next, with the clock at any time."""
        if world.live != NONE:
            yield Move(label="the process is killed", world=dead(world))
        for clock in range(self.actions.scenario.clocks):
            for move in self._at(world._replace(clock=clock)):
                if max(len(move.world.current), len(move.world.following)) > self.actions.scenario.files_max:
                    continue
                yield Move(
                    label=f"day {clock}: {move.label}", world=move.world._replace(clock=0), violated=move.violated
                )

    def _at(self, world: World) -> Iterator[Move]:
        if world.live == NONE:
            yield from self.starts(world)
            return
        scenario = self.actions.scenario
        for action in self.possible(world):
            if action[0] == "work":
                yield Move(label="chips work, unread", world=self.worked(world))
            elif action[0] == "sign":
                halt = world.halts - 1
                yield Move(
                    label=f"a quorum signs an order to resume after halt {halt}",
                    world=world._replace(orders=(*world.orders, halt)),
                )
            else:
                result = self.actions.take(world.live, action, world.build, world.clock, world.halts)
                if result.halted and world.halts >= scenario.halts_max:
                    continue
                yield from self.taken(world, action, result)

    # --- what can happen -------------------------------------------------------------------------------------------------

    def possible(self, world: World) -> Iterator[Action]:
        scenario, pool = self.actions.scenario, self.actions.pool
        state = pool.states[world.live]
        for number, paper in enumerate(scenario.papers):
            yield ("apply" if paper.name.startswith("licence") else "install", number)
        yield from ((how,) for how in scenario.halts)
        if state.halt is not None and not state.distrusted and world.halts - 1 not in world.orders:
            yield ("sign",)
        yield from (("resume", "quorum", halt) for halt in world.orders)
        if scenario.halts and state.halt is not None:
            yield from (("resume", kind, world.halts - 1) for kind in ("one", "twice", "elsewhere"))
        yield from (("begin", content) for content in scenario.uploads)
        if state.mode is Mode.UPLOADING:
            yield from (("finish", how) for how in scenario.endings)
        yield from (("admit", path) for path in scenario.paths)
        for place in range(len(state.open)):
            yield from (("settle", place, units) for units in scenario.answers)
        if (
            scenario.works
            and world.unread < scenario.unread_max
            and may_work(state, self.actions.me(world.build), state.time)
        ):
            yield ("work",)
        for word in scenario.also:
            if word == "end" and world.unread:
                continue  # work is held, and meters are read, before a processor ends
            yield ("tick", world.unread) if word == "tick" else (word,)

    def worked(self, world: World) -> World:
        return world._replace(unread=world.unread + 1, ghost=world.ghost.worked(self.actions.scenario))

    # --- what becomes of it ----------------------------------------------------------------------------------------------

    def taken(self, world: World, action: Action, result: Result) -> Iterator[Move]:
        """A transition of a running processor, its save, and its release."""
        label = said(action, self.actions)
        scenario, machine = self.actions.scenario, self.actions.machine
        if result.after == world.live and not (result.durable or result.admitted or result.broken):
            if action[0] == "tick" and world.unread:
                yield Move(label=label, world=world._replace(unread=0))
            return
        offered = world._replace(ghost=world.ghost.offered(action, scenario))
        ghost, violated = after_release(offered.ghost, offered, action, result, self.actions)
        released = offered._replace(
            live=result.after,
            ghost=ghost,
            halts=world.halts + int(result.halted),
            unread=0 if action[0] == "tick" else world.unread,
        )
        violated = (*result.broken, *violated)
        if not (result.durable or not self._is_covered(result.after, world.saved)):
            yield Move(label=label, world=gone(released, action), violated=violated)
            return
        file = self._file_of(result.after)
        named = offered._replace(halts=released.halts)
        for where, cut in cuts(named, file, raises=machine.raises_counter):
            yield Move(label=f"{label}; killed {where}", world=cut, violated=result.broken)
        if not machine.saves_first:
            yield Move(label=f"{label}; released, and killed before the save", world=dead(released), violated=violated)
        done = put(released, file, raises=machine.raises_counter)
        yield Move(label=label, world=gone(done._replace(saved=file), action), violated=violated)

    def starts(self, world: World) -> Iterator[Move]:
        """A start on any file that there ever was."""
        scenario, machine = self.actions.scenario, self.actions.machine
        if world.halts > scenario.halts_max:
            return
        files = [("a file of the counter", file, world, False) for file in world.current]
        if world.following:
            # The counter is raised first, and then the state is saved once more.
            raised = world._replace(current=world.following, following=())
            yield Move(label="the processor starts; killed when it has raised the counter", world=raised)
            files += [("the file one ahead of the counter", file, raised, False) for file in world.following]
        if not world.used or not machine.born_known:
            files.append(("no file", EMPTY, world, False))
        if world.used and machine.raises_counter:
            # Of older files the first one there was and a recent one stand for all.
            older = dict.fromkeys((EMPTY, min((*world.current, *world.following), default=EMPTY)))
            files += [("an older file, or none", file, world, True) for file in older]
        for build in scenario.builds:
            for what, file, ready, rolled_back in files:
                label = f"the processor starts as {build[7:9]} on {what}"
                yield from self._started(ready._replace(build=build), file, label, rolled_back=rolled_back)

    def _started(self, world: World, file: int, label: str, *, rolled_back: bool) -> Iterator[Move]:
        machine = self.actions.machine
        if not rolled_back and machine.saves_at_start:
            for where, cut in cuts(world, file, raises=machine.raises_counter):
                yield Move(label=f"{label}; killed {where} of loading", world=cut)
            world = put(world, file, raises=machine.raises_counter)
        result = self.actions.start(file, world.build, world.clock, world.halts, rolled_back=rolled_back)
        kept = self._file_of(result.after)
        named = world._replace(halts=min(world.halts + int(result.halted), self.actions.scenario.halts_max + 1))
        ghost, violated = after_release(world.ghost, world, ("start",), result, self.actions)
        after = named._replace(live=result.after, saved=kept, unread=0, ghost=ghost)
        if machine.saves_at_start:
            for _ in range(2 if rolled_back else 1):
                for where, cut in cuts(named, kept, raises=machine.raises_counter):
                    yield Move(label=f"{label}; killed {where}", world=cut, violated=result.broken)
                named = put(named, kept, raises=machine.raises_counter)
                after = put(after, kept, raises=machine.raises_counter)
        yield Move(label=label, world=after, violated=(*result.broken, *violated))

    def _is_covered(self, live: int, saved: int) -> bool:
        key = (live, saved)
        if key not in self._covered:
            states = self.actions.pool.states
            self._covered[key] = self.actions.machine.covered(states[live], states[saved], self.actions.scenario.margin)
        return self._covered[key]

    def _file_of(self, live: int) -> int:
        if live not in self._ahead:
            pool = self.actions.pool
            self._ahead[live] = pool.saved(self.actions.machine.ahead(pool.states[live], self.actions.scenario.margin))
        return self._ahead[live]


# --- the disk ----------------------------------------------------------------------------------------------------------


def dead(world: World) -> World:
    """Without a process: what was in memory is gone."""
    return world._replace(live=NONE, saved=NONE, build="", unread=0, ghost=world.ghost.ended())


def gone(world: World, action: Action) -> World:
    """A processor that was told to end does."""
    return dead(world) if action[0] == "end" else world


def put(world: World, file: int, *, raises: bool) -> World:
    """A whole save: the file one ahead, then the counter."""
    if not raises:
        return world._replace(current=_with(world.current, file), used=True)
    return world._replace(current=_with(world.following, file), following=(), used=True)


def cuts(world: World, file: int, *, raises: bool) -> Iterator[tuple[str, World]]:
    """A save that was cut off: the adversary has the file, and the counter was raised or not; nothing was released."""
    if raises:
        yield "before the counter", dead(world._replace(following=_with(world.following, file)))
    yield "after its save", dead(put(world, file, raises=raises))


def _with(files: tuple[int, ...], file: int) -> tuple[int, ...]:
    return tuple(sorted({*files, file}))


def said(action: Action, actions: Actions) -> str:
    """An action in words."""
    rest = action[1:]
    match action[0]:
        case "install" | "apply":
            return f"{action[0]} {actions.scenario.papers[int(rest[0])].name}"
        case "resume":
            return f"resume with {order(str(rest[0]), int(rest[1])).name}"
        case "begin":
            return f"an upload of model {str(rest[0])[7:9]} begins"
        case "finish":
            return f"the upload ends: {rest[0]}"
        case "admit":
            return f"a request for {rest[0]} is admitted or not"
        case "settle":
            return f"request {rest[0]} is settled with {rest[1]}"
        case "tick":
            return f"a tick reads {rest[0]}"
        case "hand":
            return "halt by hand"
        case "recheck":
            return "a recomputation differs"
    return str(action[0])
