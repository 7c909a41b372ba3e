"""The one place where the state of a running processor changes.

    1. a transition says what the state becomes (`machine`)
    2. where it must, the new state is saved under a raised counter (`machine.store`)
    3. only then does it become the state, and its effects are released: documents to the outlet, modes to listeners

A save that fails ends the processor, whoever asked for what was to be saved, at the next tick at the latest: nothing was released,
and the next start finds one of the two states.

What is saved of licences is always a block ahead of what was used (`machine.ahead`): `covered` says whether the saved state
still has no more left than the live one. So a crash loses at most a block, and gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Record, parse_canonical
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.guarantee.events import PROVOKED_BY_CLIENTS, EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Listener
from inspectorate.mechanisms.guarantee.machine import invariants, transitions
from inspectorate.mechanisms.guarantee.machine.ahead import Amounts, ahead, covered
from inspectorate.mechanisms.guarantee.machine.serving import closed, starved
from inspectorate.mechanisms.guarantee.machine.state import GuardState, fresh
from inspectorate.mechanisms.guarantee.machine.store import Loaded, Store
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, Moment, Step
from inspectorate.mechanisms.guarantee.outlet.budget import plan_of
from inspectorate.mechanisms.guarantee.outlet.opening import OutputKind
from inspectorate.mechanisms.guarantee.outlet.outlet import Outlet, OutletState
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND
from inspectorate.mechanisms.guarantee.signing import SignedDocument
from inspectorate.quantities import Time

Clock = Callable[[], datetime]
Entropy = Callable[[int], bytes]


class Tally(Record):
    """What rules count beyond a period. It is saved with the state: a restart begins no new day."""

    day: Annotated[int, Field(ge=0)] = Field(description="in days since the year 1, by the time of the state")
    requests: Annotated[int, Field(ge=0)] = Field(default=0, description="admitted on that day")
    recomputed_at: Time = Field(description="when a sample was last recomputed, or when the processor first started")


class Saved(Record):
    """What is on disk: the machine's state, and the outlet's and the tally beside it."""

    machine: GuardState
    outlet: OutletState
    tally: Tally


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the processor takes from outside: who it is, its disk, the clock and randomness."""

    me: Identity
    store: Store
    clock: Clock
    entropy: Entropy
    log: Callable[[str, Sequence[Refusal]], None]
    """Called with what was asked, and what was refused: the processor's own log, which stays here."""


@dataclass(kw_only=True)
class Keeper:
    """The state of one processor. One thread."""

    around: Surroundings
    state: GuardState
    outlet: OutletState
    """As it was found, until `door` is there."""
    saved: GuardState
    tally: Tally
    watched_from: datetime
    """Since when what is used is told by looks: the time of the state that was found. What came after it was not seen."""
    margin: Amounts = field(default_factory=dict)
    """What chips can use at most between two looks at them."""
    door: Outlet | None = None
    book: RuleBook | None = None
    held_by: Refusal | None = None
    """Why work is held although a model is served: no licence covers it."""
    listeners: list[Listener] = field(default_factory=list)
    broken: bool = False
    """Whether a save failed: what is on the disk is not known, and nothing takes effect any more."""

    @property
    def me(self) -> Identity:
        return self.around.me

    def moment(self) -> Moment:
        return Moment(at=self.around.clock(), nonce=self.around.entropy(32).hex())

    def take(self, what: str, step: Step) -> Step:
        """Let a step take effect. Raises `EnvironmentError_` if it could not be saved; then nothing took effect."""
        if self.broken:
            raise EnvironmentError_("an earlier save failed", where="state", remedy="mend the disk, and start again")
        for document in step.in_force:
            self._offer(document)
        if step.durable or self._is_news(step.state) or not covered(step.state, self.saved, self.margin):
            self._save(step.state, self.door.state if self.door else self.outlet)
        before, self.state = self.state, step.state
        if before.ruleset is not step.state.ruleset:
            self.book = RuleBook(step.state.ruleset) if step.state.ruleset else None
            if self.door is not None:
                self.door.replan(plan_of(step.state.ruleset), step.state.time)
        if step.refusals:
            self.around.log(what, step.refusals)
        self._notice(before)
        return step

    def admitted(self) -> None:
        """One more request was let through today."""
        tally = self.today
        self.tally = tally.model_copy(update={"requests": tally.requests + 1})

    def recomputed(self) -> None:
        self.tally = self.today.model_copy(update={"recomputed_at": self.state.time})

    @property
    def today(self) -> Tally:
        """The tally of the day of the state. A clock that goes back begins no day anew, since the state's time does not."""
        day = self.state.time.toordinal()
        return self.tally if day == self.tally.day else self.tally.model_copy(update={"day": day, "requests": 0})

    def report(self, state: GuardState, outlet: OutletState) -> None:
        """Save the state after a report, with what the outlet is about to let out."""
        self._save(state, outlet)
        self.state = state

    @property
    def halted_by(self) -> Refusal | None:
        """Why nothing is let through, if so: halted, locked, or held for want of a licence."""
        halt = self.state.halt
        if halt is not None:
            return Refusal(kind=halt.kind, why=halt.why)
        return closed(self.state, self.around.clock()) if self.state.mode is Mode.LOCKED else self.held_by

    def _is_news(self, state: GuardState) -> bool:
        """Whether something happened that is not on the disk yet in this period, and that no client can bring about at will."""
        saved = self.saved.events if self.saved.previous == state.previous else {}
        return any(kind not in saved and kind not in PROVOKED_BY_CLIENTS for kind in state.events)

    def _notice(self, before: GuardState) -> None:
        """Tell the path what has changed: the mode, or that work is held for want of a licence."""
        state = self.state
        held, was_held = self.held_by, self.held_by is not None
        held = starved(state, state.time) if state.mode is Mode.SERVING else None
        self.held_by = held
        if before.mode is not state.mode or (held is not None) != was_held:
            self._tell()

    def _offer(self, document: SignedDocument) -> None:
        """Let what comes into force be made known; it is saved with the state in which it holds."""
        assert self.door is not None, "documents come into force once there is an outlet"
        kind = OutputKind.RULESET if document.kind == RULESET_KIND else OutputKind.LICENCE
        if not self.door.offer(kind, document.to_bytes()):
            self.around.log("outlet", (Refusal(kind=EventKind.LIMIT_REACHED, why=f"a {kind.value} is not made known"),))

    def _tell(self) -> None:
        for listener in self.listeners:
            listener(self.state.mode, self.halted_by)

    def _save(self, state: GuardState, outlet: OutletState) -> None:
        faults = invariants.broken(state, self.me)
        self.broken = True
        if faults:
            raise EnvironmentError_(
                f"a state that cannot be: {'; '.join(faults)}", where="state", remedy="report this fault"
            )
        on_disk = ahead(state, self.margin)
        self.around.store.save(Saved(machine=on_disk, outlet=outlet, tally=self.tally).canonical_bytes())
        self.saved = on_disk
        self.broken = False


def begin(around: Surroundings, loaded: Loaded) -> tuple[Keeper, Step]:
    """Start on what the store found. Raises `InputError` if the state cannot be read; nothing is then let through."""
    now = around.clock()
    data = loaded.state if loaded.usable else loaded.stale
    kept = _read(data) if data is not None else _nothing(now)
    if not loaded.usable:
        # What the life that was lost has reported, and until when, is not known: the next whole slot is the first.
        lost = {"until_us": None, "pending": (), "waiting": ()}
        kept = kept.model_copy(update={"outlet": kept.outlet.model_copy(update=lost)})
    keeper = Keeper(
        around=around,
        state=kept.machine,
        outlet=kept.outlet,
        saved=kept.machine,
        tally=kept.tally,
        watched_from=kept.machine.time,
    )
    step = transitions.start(
        kept.machine,
        around.me,
        keeper.moment(),
        rolled_back=not loaded.usable,
        counter=around.store.counter,
    )
    # The store counts starts also of lives whose state was lost.
    step = Step(
        state=step.state.model_copy(update={"starts": max(step.state.starts, loaded.starts)}),
        refusals=step.refusals,
        durable=True,
    )
    keeper.take("start", step)
    if keeper.book is None and keeper.state.ruleset is not None:
        keeper.book = RuleBook(keeper.state.ruleset)
    return keeper, step


def _nothing(now: datetime) -> Saved:
    tally = Tally(day=now.toordinal(), recomputed_at=now)
    return Saved(machine=fresh(at=now), outlet=OutletState(), tally=tally)


def _read(data: bytes) -> Saved:
    try:
        return Saved.parse(parse_canonical(data, where="state"), where="state", error=InputError)
    except EvidenceError as fault:
        raise InputError(str(fault), where="state", remedy="start the program that wrote it") from None
