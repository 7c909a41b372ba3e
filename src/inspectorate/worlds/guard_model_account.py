"""The account that the model keeps beside the processor: what was really released, over all of its lives.

It is written from what was asked and released, never from what the processor says of itself, and it is asked after each release:

| name | what must hold |
|---|---|
| no-rollback | the ruleset in force is the newest that ever was, and one version has one content |
| ended-stays-ended | nothing is let through under a ruleset, or out of a licence, that was held when it ended, in any life |
| nothing-gained | what licences have left is at most what was issued, each licence once, less what was used, whether read or not |
| only-what-was-uploaded | what is served is what came in, whole, in this life |
| no-resume-without-quorum | a halt that took effect ends by an order that a quorum signed for it, in any life |
| a-quorum-signed | what comes into force was signed by enough; counted here, not by the processor |
| admitted-in-force | a request is admitted under a ruleset that is good now and names the program, to a model that came in |
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.machine.invariants import PASSING
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.worlds.guard_model_actions import Actions, Result, order, passes
from inspectorate.worlds.guard_model_papers import RESPONSE_BYTES, SIZES, TOKENS
from inspectorate.worlds.guard_model_scenarios import Action, Scenario
from inspectorate.worlds.guard_model_states import Pool

NAMES = (
    "no-rollback",
    "ended-stays-ended",
    "nothing-gained",
    "only-what-was-uploaded",
    "no-resume-without-quorum",
    "a-quorum-signed",
    "admitted-in-force",
)
MOST = {MeterKind.BYTES_OUT: RESPONSE_BYTES, MeterKind.FLOP: TOKENS, MeterKind.BYTES_IN: 1}
"""Units that one request can use."""
_SECOND = 1_000_000


class Ghost(NamedTuple):
    """What the processor does not know of, or could have forgotten."""

    left: tuple[int, ...] = ()
    """Per meter, in units: what was issued, less what was used; an open request counts with all that it could use."""
    accepted: tuple[int, ...] = ()
    """Sequences of the licences that count above, each once."""
    chain: tuple[int, ...] = ()
    """Numbers of the rulesets that were in force, by version."""
    over: tuple[str, ...] = ()
    """Rulesets and licences that were held when they ended, by any life."""
    arriving: str = ""
    uploaded: str = ""
    """What came in whole in this life."""
    halt: int = -1
    """The halt that took effect and has not ended."""
    resumable: bool = False
    """Whether an order that ends it has been handed in."""

    def ended(self) -> Ghost:
        """The process is gone, and with it the server and the model in it."""
        return self._replace(arriving="", uploaded="")

    def worked(self, scenario: Scenario) -> Ghost:
        """Chips used one second, which nobody has read yet."""
        left = tuple(
            units - _SECOND if meter is MeterKind.WALL_S else units
            for meter, units in zip(scenario.meters, self.left, strict=True)
        )
        return self._replace(left=left)

    def offered(self, action: Action, scenario: Scenario) -> Ghost:
        """What is so whether or not the processor lives to take it in: an order was handed in, a request came to so much."""
        if action[0] == "settle":
            return self._counting(scenario, 1, int(action[2]))
        if action[0] != "resume" or action[2] != self.halt:
            return self
        good = order(str(action[1]), int(action[2])).enough and action[1] != "elsewhere"
        return self._replace(resumable=self.resumable or good)

    def admitted(self, scenario: Scenario) -> Ghost:
        """A request may use all that it could, until it comes to less."""
        return self._counting(scenario, -1, 0)

    def _counting(self, scenario: Scenario, sign: int, actual: int) -> Ghost:
        most = [MOST.get(meter, 0) for meter in scenario.meters]
        left = (units + sign * (of - min(of, actual)) for units, of in zip(self.left, most, strict=True))
        return self._replace(left=tuple(left))


EMPTY = -2
"""A file that says that nothing was ever saved."""
NONE = -1


class World(NamedTuple):
    """All of it at one time. States stand as their numbers in the pool."""

    live: int = NONE
    saved: int = NONE
    """What the running processor knows to be on the disk."""
    build: str = ""
    current: tuple[int, ...] = ()
    following: tuple[int, ...] = ()
    used: bool = False
    """Whether the counter has moved since the processor was set up."""
    clock: int = 0
    orders: tuple[int, ...] = ()
    """Halts for which a quorum has signed an order."""
    halts: int = 0
    """How many halts have names."""
    unread: int = 0
    """What chips used since the last look."""
    ghost: Ghost = Ghost()


def begin(scenario: Scenario) -> Ghost:
    return Ghost(left=(0,) * len(scenario.meters))


def after_release(
    ghost: Ghost, world: World, action: Action, result: Result, actions: Actions
) -> tuple[Ghost, tuple[str, ...]]:
    """The account after a release, and what it shows to be violated."""
    pool, scenario = actions.pool, actions.scenario
    state = pool.states[result.after]
    violated = list(_unsigned(action, result, actions))
    ghost = _over(ghost, pool.states[world.live] if world.live >= 0 else state, state.time, pool)
    ghost = _issued(_arrived(ghost, action, state), state, scenario)
    if result.admitted:
        ghost = ghost.admitted(scenario)
    ghost, rolled_back = _chained(ghost, state, actions)
    if rolled_back:
        violated.append("no-rollback")
    ended = state.ruleset is not None and f"ruleset {pool.ruleset(state.ruleset)}" in ghost.over
    if (state.mode in PASSING and ended) or (any(f"licence {one}" in ghost.over for one in result.drawn)):
        violated.append("ended-stays-ended")
    unread = world.unread if action[0] not in ("tick", "start") else 0
    if not state.distrusted and _gains(ghost, state, unread, scenario):
        violated.append("nothing-gained")
    if state.mode is Mode.SERVING and state.model != ghost.uploaded:
        violated.append("only-what-was-uploaded")
    if ghost.halt >= 0 and state.halt is None and not ghost.resumable:
        violated.append("no-resume-without-quorum")
    if result.admitted and not _may_admit(state, ghost, world, actions):
        violated.append("admitted-in-force")
    halted = int(state.halt.nonce, 16) if state.halt is not None else -1
    if halted != ghost.halt:
        ghost = ghost._replace(halt=halted, resumable=False)
    return ghost, tuple(violated)


def _arrived(ghost: Ghost, action: Action, state: GuardState) -> Ghost:
    """What is in the server: nothing, once anything else is asked for or the mode says so."""
    if action[0] == "begin" and state.upload is not None and state.upload.content == action[1]:
        return ghost._replace(arriving=str(action[1]), uploaded="")
    if action[0] == "finish":
        return ghost._replace(uploaded=ghost.arriving if action[1] == "exact" else "", arriving="")
    if state.mode not in (Mode.SERVING, Mode.UPLOADING):
        return ghost.ended()
    return ghost


def _issued(ghost: Ghost, state: GuardState, scenario: Scenario) -> Ghost:
    """Licences count once each, from when the processor has them."""
    new = {seen.sequence for seen in state.licences.recent} - set(ghost.accepted)
    if not new:
        return ghost
    left = tuple(
        units + sum(scenario.budgets.get(sequence, {}).get(meter, 0) for sequence in new)
        for meter, units in zip(scenario.meters, ghost.left, strict=True)
    )
    return ghost._replace(left=left, accepted=tuple(sorted((*ghost.accepted, *new))))


def _chained(ghost: Ghost, state: GuardState, actions: Actions) -> tuple[Ghost, bool]:
    if state.distrusted:
        return ghost, False
    number = actions.pool.ruleset(state.ruleset)
    if number < 0:
        return ghost, bool(ghost.chain)
    if ghost.chain and ghost.chain[-1] == number:
        return ghost, False
    assert state.ruleset is not None, "it has a number"
    newest = actions.pool.rulesets[ghost.chain[-1]].version if ghost.chain else 0
    if state.ruleset.version <= newest:
        return ghost, True
    return ghost._replace(chain=(*ghost.chain, number)), False


def _gains(ghost: Ghost, state: GuardState, unread: int, scenario: Scenario) -> bool:
    """Whether more is left than there can be. What is not read yet is not charged yet."""
    for meter, units in zip(scenario.meters, ghost.left, strict=True):
        there = sum(one.remaining.get(meter, 0) for one in state.licences.held) - state.licences.owed.get(meter, 0)
        late = unread * _SECOND if meter is MeterKind.WALL_S else 0
        if there - late > units:
            return True
    return False


def _over(ghost: Ghost, held: GuardState, time: datetime, pool: Pool) -> Ghost:
    """What was held before, and had ended by the time of the release."""
    over = {f"licence {one.licence.sequence}" for one in held.licences.held if one.licence.valid.end <= time}
    if held.ruleset is not None and held.ruleset.valid.end <= time:
        over.add(f"ruleset {pool.ruleset(held.ruleset)}")
    return ghost._replace(over=tuple(sorted({*ghost.over, *over}))) if over - set(ghost.over) else ghost


def _may_admit(state: GuardState, ghost: Ghost, world: World, actions: Actions) -> bool:
    ruleset = state.ruleset
    if ruleset is None or not passes(ruleset, world.clock):
        return False
    listed = {model.content: model.size_bytes for model in ruleset.models}
    return world.build in ruleset.builds and listed.get(ghost.uploaded) == SIZES.get(ghost.uploaded, -1)


def _unsigned(action: Action, result: Result, actions: Actions) -> tuple[str, ...]:
    """A document that came into force with too few signatures. The baseline is trusted by its digest."""
    if not result.accepted:
        return ()
    paper = actions.document(action, actions.pool.states[result.after])
    is_baseline = paper.document.digest == actions.baseline
    return () if paper.enough or is_baseline else ("a-quorum-signed",)
