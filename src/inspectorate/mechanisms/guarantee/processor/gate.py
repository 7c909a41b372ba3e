"""The machine as the path sees it: every question becomes a transition, and takes effect before it is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.gate import Admitted, Answered, Asked, Listener
from inspectorate.mechanisms.guarantee.machine import serving, transitions
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.processor.keeper import Keeper
from inspectorate.mechanisms.guarantee.rulesets.types import Limits, ListedModel


@dataclass(kw_only=True)
class MachineGate:
    """A `Gate` (see `interlock.gate`) over the keeper's state."""

    keeper: Keeper
    draws: Callable[[], bool]
    """Whether the request that is admitted next is drawn for re-execution; called once for each."""
    drawn: set[int] = field(default_factory=set)
    period_s: float = 0.0

    @property
    def mode(self) -> Mode:
        return self.keeper.state.mode

    @property
    def halted_by(self) -> Refusal | None:
        return self.keeper.halted_by

    @property
    def limits(self) -> Limits | None:
        ruleset = self.keeper.state.ruleset
        return ruleset.limits if ruleset else None

    def watch(self, listener: Listener) -> None:
        self.keeper.listeners.append(listener)

    def begin_upload(self, content: str, size_bytes: int) -> ListedModel | Refusal:
        keeper = self.keeper
        step = serving.begin_upload(
            keeper.state, keeper.book, content=content, size_bytes=size_bytes, moment=keeper.moment()
        )
        keeper.take("upload", step)
        if step.refusals:
            return step.refusals[0]
        assert keeper.state.ruleset is not None, "it lets a model in"
        listed = keeper.state.ruleset.model_of(content)
        assert listed is not None, "it lets a listed model in"
        return listed

    def end_upload(self, complete: bool, content_seen: str, bytes_seen: int) -> Refusal | None:
        keeper = self.keeper
        step = serving.end_upload(
            keeper.state, complete=complete, content=content_seen, bytes_seen=bytes_seen, moment=keeper.moment()
        )
        keeper.take("end of upload", step)
        return step.refusals[0] if step.refusals else None

    def admit(self, asked: Asked) -> Admitted | Refusal:
        keeper = self.keeper
        step = serving.admit(keeper.state, keeper.book, asked, self.circumstances(), keeper.moment())
        keeper.take("request", step)
        if step.ticket is None:
            return step.refusals[0] if step.refusals else Refusal(kind=EventKind.RULE_FAILED, why="not admitted")
        keeper.admitted()
        sampled = self.draws()
        if sampled:
            self.drawn.add(step.ticket)
        return Admitted(ticket=step.ticket, sampled=sampled)

    def settle(self, ticket: int, answered: Answered) -> None:
        keeper = self.keeper
        sampled = ticket in self.drawn
        self.drawn.discard(ticket)
        step = serving.settle(keeper.state, keeper.book, ticket, answered, sampled, keeper.moment())
        keeper.take("answer", step)

    def note(self, refusal: Refusal) -> None:
        keeper = self.keeper
        keeper.take("path", transitions.note(keeper.state, (refusal,), keeper.moment()))

    def unloaded(self, why: str) -> None:
        keeper = self.keeper
        keeper.take("server", serving.unloaded(keeper.state, why, keeper.moment()))

    def circumstances(self) -> Circumstances:
        keeper = self.keeper
        tally = keeper.today
        since = keeper.state.time - tally.recomputed_at
        return Circumstances(
            requests_today=tally.requests,
            since_recomputed_s=max(0.0, since.total_seconds()),
            period_s=self.period_s,
        )
