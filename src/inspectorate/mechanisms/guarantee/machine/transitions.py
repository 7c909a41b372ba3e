"""One function per thing that can happen to a guarantee processor.

    start  ->  install  ->  begin_upload, end_upload  ->  admit, settle, tick  ->  report
                 apply_licence        halt, resume            challenge             end

Each takes the state and what happened, and gives a `Step`: the state after, what was refused, and the signed documents that came
into force and are to be made known. Rules:

- `Step.durable` says that the state must be on disk, under a raised counter, before anything of the step takes effect.
- A refusal changes nothing but the counts of events, and whatever a rule says that its failure leads to.
- Time is the later of the clock and the state's own time.
- Where several things have to hold and one does not, the first that fails is named, in the order of the code.

What happens while models are served is in `serving`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.errors import InputError
from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import forget_tickets, hold_against
from inspectorate.mechanisms.guarantee.machine.state import GuardState, Halt
from inspectorate.mechanisms.guarantee.outlet.budget import plan_of
from inspectorate.mechanisms.guarantee.rulesets.orders import judge_resume
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.mechanisms.guarantee.rulesets.update import in_force, judge_first, judge_update
from inspectorate.mechanisms.guarantee.signing import SignedDocument

TICKETS_SKIPPED = 1_000_000
"""At each start, since tickets are saved with every report only, and none may be given twice."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What does not change while a processor runs."""

    device: str
    build: str
    """Digest of the program that runs, as it was measured."""
    baseline: str
    """Digest of the first ruleset: compiled in, or under the seal."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The reading of the clock, and 64 fresh hexadecimal digits that name the halt, should this become one."""

    at: datetime
    nonce: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """What became of one thing that happened."""

    state: GuardState
    refusals: tuple[Refusal, ...] = ()
    in_force: tuple[SignedDocument, ...] = ()
    """Rulesets and licences that were accepted, to be made known."""
    durable: bool = False


def start(state: GuardState, me: Identity, moment: Moment, *, rolled_back: bool, counter: int) -> Step:
    """The processor starts on the state that it found. Nothing is served before a listed model was seen anew."""
    now = later(state, moment.at)
    refusals: list[Refusal] = []
    after = state.model_copy(
        update={
            "time": now,
            "starts": state.starts + 1,
            "running": True,
            "licences": forget_tickets(state.licences),
            "flop_credit": min(0, state.flop_credit),
            "open": (),
            "ticket_next": state.ticket_next + TICKETS_SKIPPED,
            "upload": None,
            "model": None,
            "mode": state.mode if state.halt else _resting(state.ruleset, me, now),
        }
    )
    if state.running:
        refusals.append(Refusal(kind=EventKind.GUARD_LOST, why="it ended without being told to"))
        after = after.noted(EventKind.GUARD_LOST, *(EventKind.REQUEST_DROPPED for _ in state.open))
    if rolled_back:
        why = "the state on disk is older than the device's counter"
        refusals.append(Refusal(kind=EventKind.STATE_ROLLED_BACK, why=why))
        after = halted(after, EventKind.STATE_ROLLED_BACK, why, moment)
        # Reports of the life that was lost may have used any number up to the counter.
        after = after.model_copy(update={"distrusted": True, "sequence": max(after.sequence, counter)})
    elif after.ruleset is not None and not is_approved(after.ruleset, me):
        refusals.append(Refusal(kind=EventKind.TAMPERED, why=f"the program {me.build[:19]}… is not one that may run"))
        after = after.noted(EventKind.TAMPERED)
    return Step(state=after, refusals=tuple(refusals), durable=True)


def end(state: GuardState, me: Identity, moment: Moment) -> Step:
    """The processor is told to end: what is open is dropped, and counted."""
    now = later(state, moment.at)
    after = state.noted(*(EventKind.REQUEST_DROPPED for _ in state.open))
    mode = state.mode if state.halt else _resting(state.ruleset, me, now)
    update = {"time": now, "running": False, "open": (), "upload": None, "model": None, "mode": mode}
    update |= {"licences": forget_tickets(state.licences)}
    return Step(state=after.model_copy(update=update), durable=True)


def install(state: GuardState, me: Identity, document: SignedDocument, moment: Moment) -> Step:
    """Put a ruleset in force: the baseline on a processor without one, else an update under the quorums of the one in force."""
    state = passed(state, moment.at)
    now = state.time
    if state.distrusted:
        return refused(state, now, _DISTRUSTED)
    if state.ruleset is None:
        judged = judge_first(document, baseline=me.baseline, at=now)
    else:
        judged = judge_update(state.ruleset, document, version_floor=state.version_max, at=now)
    after = state.model_copy(update={"time": now}).noted(*(one.kind for one in judged.refusals))
    ruleset = judged.ruleset
    if ruleset is None:
        return Step(state=after, refusals=judged.refusals)
    try:
        plan_of(ruleset)
    except InputError as fault:
        return refused(after, now, Refusal(kind=EventKind.RULESET_REFUSED, why=str(fault)))
    held = hold_against(state.licences, ruleset, at=now)
    after = after.noted(*(one.kind for one in held.refusals))
    update: dict[str, object] = {
        "ruleset": ruleset,
        "version_max": max(state.version_max, ruleset.version),
        "licences": held.state,
    }
    still = state.model is not None and ruleset.model_of(state.model) is not None
    if not state.halt and not (state.mode is Mode.SERVING and still and is_approved(ruleset, me)):
        # An upload that is under way was asked for under other rules, and starts again.
        update |= {"mode": _resting(ruleset, me, now), "model": None, "upload": None}
    return Step(
        state=after.model_copy(update=update),
        refusals=(*judged.refusals, *held.refusals),
        in_force=(document,),
        durable=True,
    )


def apply_licence(state: GuardState, me: Identity, document: SignedDocument, moment: Moment) -> Step:
    """Add a licence's budgets."""
    state = passed(state, moment.at)
    now = state.time
    if state.distrusted:
        return refused(state, now, _DISTRUSTED)
    if state.ruleset is None:
        return refused(state, now, Refusal(kind=EventKind.LICENCE_REFUSED, why="no ruleset says who may license"))
    judged = judge_licence(state.licences, document, device=me.device, ruleset=state.ruleset, at=now)
    after = state.model_copy(update={"time": now}).noted(*(one.kind for one in judged.refusals))
    if judged.state is None or judged.licence is None:
        return Step(state=after, refusals=judged.refusals)
    update = {"licences": judged.state, "licence": judged.licence.id}
    return Step(state=after.model_copy(update=update), refusals=judged.refusals, in_force=(document,), durable=True)


def halt(state: GuardState, kind: EventKind, why: str, moment: Moment) -> Step:
    """Let nothing pass any more. A halt within a halt is counted, and the first one stands."""
    return Step(
        state=halted(state, kind, why, moment), refusals=(Refusal(kind=kind, why=why),), durable=state.halt is None
    )


def resume(state: GuardState, me: Identity, document: SignedDocument, moment: Moment) -> Step:
    """End a halt by an order that a quorum signed for it."""
    state = passed(state, moment.at)
    now = state.time
    if state.distrusted:
        return refused(state, now, _DISTRUSTED)
    if state.halt is None:
        return refused(state, now, Refusal(kind=EventKind.RESUME_REFUSED, why="it is not halted"))
    if state.ruleset is None:
        return refused(state, now, Refusal(kind=EventKind.RESUME_REFUSED, why="no ruleset says who may resume"))
    judged = judge_resume(state.ruleset, document, device=me.device, halt=state.halt.nonce, at=now)
    after = state.model_copy(update={"time": now}).noted(*(one.kind for one in judged.refusals))
    if judged.order is None:
        return Step(state=after, refusals=judged.refusals)
    update = {"halt": None, "model": None, "upload": None, "mode": _resting(state.ruleset, me, now)}
    return Step(state=after.model_copy(update=update).noted(EventKind.RESUMED), refusals=judged.refusals, durable=True)


def challenge(state: GuardState, nonce: str, moment: Moment) -> Step:
    """An inspector's nonce arrives, to be answered by the next report."""
    return Step(state=passed(state, moment.at).model_copy(update={"challenge": nonce}))


def note(state: GuardState, refusals: Sequence[Refusal], moment: Moment) -> Step:
    """Something that the path refused or could not do is counted."""
    after = passed(state, moment.at).noted(*(one.kind for one in refusals))
    return Step(state=after, refusals=tuple(refusals))


# --- what transitions share ----------------------------------------------------------------------------------------------


def later(state: GuardState, at: datetime) -> datetime:
    """The time that counts: a clock that goes back is not believed."""
    return max(state.time, at)


def passed(state: GuardState, at: datetime) -> GuardState:
    """The state at a later time. Once its ruleset has ended nothing is let through: at once, and not from the next tick on."""
    now = later(state, at)
    after = state.model_copy(update={"time": now})
    if state.ruleset is None or state.mode not in (Mode.READY, Mode.UPLOADING, Mode.SERVING):
        return after
    ended = in_force(state.ruleset, now)
    if ended is None:
        return after
    return after.model_copy(update={"mode": Mode.LOCKED, "model": None, "upload": None}).noted(ended.kind)


def refused(state: GuardState, now: datetime, refusal: Refusal) -> Step:
    return Step(state=state.model_copy(update={"time": now}).noted(refusal.kind), refusals=(refusal,))


def halted(state: GuardState, kind: EventKind, why: str, moment: Moment) -> GuardState:
    now = later(state, moment.at)
    after = state.noted(kind).model_copy(update={"time": now})
    if state.halt is not None:
        return after
    halt = Halt(kind=kind, at=now, nonce=moment.nonce, why=why[:4000])
    return after.model_copy(update={"mode": Mode.HALTED, "halt": halt, "upload": None, "model": None})


def is_approved(ruleset: Ruleset, me: Identity) -> bool:
    """Whether the program that runs is one that the ruleset names; a ruleset that names none leaves it to the reviewer."""
    return not ruleset.builds or me.build in ruleset.builds


def _resting(ruleset: Ruleset | None, me: Identity, now: datetime) -> Mode:
    if ruleset is None or in_force(ruleset, now) is not None or not is_approved(ruleset, me):
        return Mode.LOCKED
    return Mode.READY


_DISTRUSTED = Refusal(
    kind=EventKind.STATE_ROLLED_BACK,
    why="the state was rolled back, and nothing that is signed mends that: provision anew",
)
