"""One transition of the processor in the model: the real function, called with what an action stands for."""

from __future__ import annotations

from dataclasses import dataclass, field

from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.interlock.gate import Answered, Asked, Outcome
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.machine.invariants import Happened, broken, broken_by
from inspectorate.mechanisms.guarantee.machine.serving import Looked
from inspectorate.mechanisms.guarantee.machine.state import GuardState, fresh
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, Moment, Step
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument
from inspectorate.worlds import guard_model_papers as papers
from inspectorate.worlds.guard_model_machine import Machine
from inspectorate.worlds.guard_model_papers import BUILD, DEVICE, RESPONSE_BYTES, SIZES, STRANGE, TIMES, TOKENS, nonce
from inspectorate.worlds.guard_model_scenarios import Action, Scenario
from inspectorate.worlds.guard_model_states import Pool

HAPPENED = {
    "start": Happened.START,
    "end": Happened.END,
    "install": Happened.INSTALL,
    "apply": Happened.APPLY,
    "hand": Happened.HALT,
    "recheck": Happened.RECHECKED,
    "resume": Happened.RESUME,
    "begin": Happened.BEGIN_UPLOAD,
    "finish": Happened.END_UPLOAD,
    "unloaded": Happened.UNLOADED,
    "admit": Happened.ADMIT,
    "settle": Happened.SETTLE,
    "tick": Happened.TICK,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a transition came to, with states by number."""

    after: int
    durable: bool
    admitted: bool = False
    drawn: tuple[int, ...] = ()
    """Sequences of the licences that the admitted request draws on."""
    accepted: bool = False
    """A document came into force."""
    halted: bool = False
    """The nonce of the moment was used."""
    broken: tuple[str, ...] = ()
    """Predicates that do not hold of the step, or of the state after it."""


@dataclass
class Actions:
    """Transitions of one machine in one scenario, each worked out once."""

    scenario: Scenario
    machine: Machine
    pool: Pool
    known: dict[object, Result] = field(default_factory=dict)
    calls: int = 0
    baseline: str = field(init=False)

    def __post_init__(self) -> None:
        self.baseline = self.scenario.baseline.digest

    def start(self, found: int, build: str, clock: int, number: int, *, rolled_back: bool) -> Result:
        """The processor starts on a state by number; below 0 on none."""
        key = ("start", found, build, clock, number, rolled_back)
        known = self.known.get(key)
        if known is None:
            state = self.pool.states[found] if found >= 0 else fresh(at=TIMES[clock])
            step = self.machine.start(
                state, self.me(build), moment(clock, number), rolled_back=rolled_back, counter=len(self.pool.states)
            )
            known = self.known[key] = self._result(state, step, Happened.START, self.me(build), number)
        return known

    def take(self, live: int, action: Action, build: str, clock: int, number: int) -> Result:
        """Anything else that happens to a running processor."""
        key = (live, action, build, clock, number)
        known = self.known.get(key)
        if known is None:
            state = self.pool.states[live]
            step = self._step(state, action, build, moment(clock, number))
            known = self.known[key] = self._result(state, step, HAPPENED[str(action[0])], self.me(build), number)
        return known

    def me(self, build: str) -> Identity:
        return Identity(device=DEVICE, build=build, baseline=self.baseline)

    def document(self, action: Action, live: GuardState | None) -> papers.Paper:
        """What is offered by an action."""
        if action[0] != "resume":
            return self.scenario.papers[int(action[1])]
        assert live is not None, "an order is offered to a processor that runs"
        return order(str(action[1]), int(action[2]))

    def _step(self, state: GuardState, action: Action, build: str, at: Moment) -> Step:
        machine, me, book = self.machine, self.me(build), self.pool.book(state)
        match action[0]:
            case "end":
                return machine.end(state, me, at)
            case "install":
                return machine.install(state, me, self._given(action, state), at)
            case "apply":
                return machine.apply_licence(state, me, self._given(action, state), at)
            case "resume":
                return machine.resume(state, me, self._given(action, state), at)
            case "hand":
                return machine.halt(state, EventKind.HALTED_BY_HAND, "by hand", at)
            case "recheck":
                return machine.rechecked(state, differed=True, moment=at)
            case "begin":
                content = str(action[1])
                return machine.begin_upload(state, book, content=content, size_bytes=SIZES[content], moment=at)
            case "finish":
                complete, content, size = ending(str(action[1]), state)
                return machine.end_upload(state, complete=complete, content=content, bytes_seen=size, moment=at)
            case "unloaded":
                return machine.unloaded(state, "the server is gone", at)
            case "admit":
                return machine.admit(state, book, asked(str(action[1]), at), Circumstances(), at)
            case "settle":
                ticket = state.open[int(action[1])].ticket
                return machine.settle(state, book, ticket, answered(int(action[2])), sampled=False, moment=at)
            case "tick":
                looked = Looked(readings=readings(self.scenario, int(action[1])), held_s=0.0)
                return machine.tick(state, me, book, looked, Circumstances(), at)
        raise ValueError(f"{action} is no action")

    def _given(self, action: Action, state: GuardState) -> SignedDocument:
        return self.document(action, state).document

    def _result(self, before: GuardState, step: Step, what: Happened, me: Identity, number: int) -> Result:
        self.calls += 1
        after = step.state
        new = after.licences.tickets.keys() - before.licences.tickets.keys()
        return Result(
            after=self.pool.number(after),
            durable=step.durable,
            admitted=getattr(step, "ticket", None) is not None,
            drawn=tuple(sequence for one in new for _, sequence, _ in after.licences.tickets[one].taken),
            accepted=bool(step.in_force),
            halted=after.halt is not None and after.halt.nonce == nonce(number),
            broken=(*broken(after, me), *broken_by(before, after, what)),
        )


def moment(clock: int, number: int) -> Moment:
    return Moment(at=TIMES[clock], nonce=nonce(number))


def order(kind: str, halt: int) -> papers.Paper:
    """An order to resume: by a quorum, by less than one, for another device."""
    match kind:
        case "quorum":
            return papers.order_paper(halt, "ana", "cem")
        case "one":
            return papers.order_paper(halt, "ana")
        case "twice":
            return papers.order_paper(halt, "ana", "ana")
    return papers.order_paper(halt, *papers.NAMES, device=papers.OTHER_DEVICE)


def ending(how: str, state: GuardState) -> tuple[bool, str, int]:
    """(whether all came, digest of what came, its bytes)."""
    expected = state.upload.content if state.upload else STRANGE
    size = SIZES[expected]
    return {
        "exact": (True, expected, size),
        "short": (False, expected, size - 1),
        "long": (True, expected, size + 1),
        "altered": (True, STRANGE, size),
    }[how]


def asked(path: str, at: Moment) -> Asked:
    return Asked(path=path, request_bytes=1, tokens_in_max=0, tokens_max=TOKENS, at=at.at)


def answered(units: int) -> Answered:
    return Answered(
        outcome=Outcome.COMPLETE,
        bytes_in=1,
        bytes_out=min(units, RESPONSE_BYTES),
        tokens_at_least=0,
        tokens_at_most=units,
        duration_s=0.0,
        status=200,
    )


def readings(scenario: Scenario, units: int) -> dict[MeterKind, Reading]:
    """What was used of each meter that is read afterwards."""
    if not units:
        return {}
    return {
        meter: Reading(meter=meter, used=float(units), source=Source.CLOCK)
        for meter in scenario.meters
        if meter is MeterKind.WALL_S
    }


def passes(ruleset: Ruleset | None, time: int) -> bool:
    """Whether a ruleset is good at a time: said here once more, apart from the code that is checked."""
    return ruleset is not None and ruleset.valid.start <= TIMES[time] < ruleset.valid.end


__all__ = ["BUILD", "Actions", "Result"]
