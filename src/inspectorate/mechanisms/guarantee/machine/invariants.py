"""What must hold of every state, and of every step from one state to the next.

Each predicate has a name, which is how docs/guard-model.md, the explorer and a failed assertion call it. They are asked of the real
states by the explorer, by the random walks and, those of a state alone, by the daemon: a state that breaks one is not saved, and
nothing is released.

What only a whole history shows (nothing let through beyond what was issued, over all lives) is not here, but in the model
(`inspectorate worlds guard-model`), which keeps its own account beside the processor's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from inspectorate.mechanisms.guarantee.events import Mode
from inspectorate.mechanisms.guarantee.machine.state import GuardState
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, is_approved
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.update import in_force

PASSING = (Mode.READY, Mode.UPLOADING, Mode.SERVING)
"""Modes in which something is let through, or may be asked for."""


class Happened(StrEnum):
    """Which transition made a step."""

    START = "start"
    END = "end"
    INSTALL = "install"
    APPLY = "apply"
    HALT = "halt"
    RESUME = "resume"
    BEGIN_UPLOAD = "begin-upload"
    END_UPLOAD = "end-upload"
    UNLOADED = "unloaded"
    ADMIT = "admit"
    SETTLE = "settle"
    TICK = "tick"
    RECHECKED = "rechecked"
    CHALLENGE = "challenge"
    REPORTED = "reported"


def broken(state: GuardState, me: Identity) -> tuple[str, ...]:
    """Names of the predicates that do not hold of a state."""
    return tuple(name for name, holds in STATE.items() if not holds(state, me))


def broken_by(before: GuardState, after: GuardState, what: Happened) -> tuple[str, ...]:
    """Names of the predicates that do not hold of a step."""
    return tuple(name for name, holds in STEP.items() if not holds(before, after, what))


# --- of a state --------------------------------------------------------------------------------------------------------


def _ruleset_in_force(state: GuardState, me: Identity) -> bool:
    """Nothing is let through without a ruleset that is in force at the state's time and names the program that runs."""
    if state.mode not in PASSING:
        return True
    ruleset = state.ruleset
    return ruleset is not None and in_force(ruleset, state.time) is None and is_approved(ruleset, me)


def _listed_model(state: GuardState, _: Identity) -> bool:
    """What is served, or let in, is listed in the ruleset in force; nothing else has a model."""
    ruleset = state.ruleset
    if state.mode is Mode.SERVING:
        return ruleset is not None and state.model is not None and ruleset.model_of(state.model) is not None
    if state.mode is Mode.UPLOADING:
        listed = ruleset.model_of(state.upload.content) if ruleset is not None and state.upload is not None else None
        return listed is not None and state.upload is not None and listed.size_bytes == state.upload.size_bytes
    return state.model is None and state.upload is None


def _halt(state: GuardState, _: Identity) -> bool:
    """Halted, and only halted, there is a halt; distrusted stays halted."""
    return (state.mode is Mode.HALTED) == (state.halt is not None) and (
        not state.distrusted or state.mode is Mode.HALTED
    )


def _floor(state: GuardState, _: Identity) -> bool:
    """The ruleset in force is not below the highest version ever in force."""
    return state.ruleset is None or state.ruleset.version == state.version_max


def _balance(state: GuardState, _: Identity) -> bool:
    """Per meter: issued = remaining + charged - owed + lost, and none is below 0."""
    kept = state.licences
    for meter in MeterKind:
        left = [one.remaining.get(meter, 0) for one in kept.held]
        issued, charged, owed, lost = (of.get(meter, 0) for of in (kept.issued, kept.charged, kept.owed, kept.lost))
        if issued != sum(left) + charged - owed + lost or min(*left, charged, owed, lost, 0) < 0 or owed > charged:
            return False
    return True


def _tickets(state: GuardState, _: Identity) -> bool:
    """Open requests have numbers of their own, of which none is used again; so have their reservations."""
    numbers = [one.ticket for one in state.open]
    reserved = [one.reserved for one in state.open]
    return (
        len(set(numbers)) == len(numbers)
        and len(set(reserved)) == len(reserved)
        and all(number < state.ticket_next for number in numbers)
        and set(state.licences.tickets) <= set(reserved)
    )


def _reserved_within(state: GuardState, _: Identity) -> bool:
    """What open reservations hold was charged."""
    total: dict[MeterKind, int] = {}
    for ticket in state.licences.tickets.values():
        for meter, _sequence, units in ticket.taken:
            total[meter] = total.get(meter, 0) + units
    return all(units <= state.licences.charged.get(meter, 0) for meter, units in total.items())


STATE: Mapping[str, Callable[[GuardState, Identity], bool]] = {
    "ruleset-in-force": _ruleset_in_force,
    "listed-model": _listed_model,
    "halted-has-a-halt": _halt,
    "version-is-the-highest": _floor,
    "licences-balance": _balance,
    "tickets-are-their-own": _tickets,
    "reservations-were-charged": _reserved_within,
}


# --- of a step ---------------------------------------------------------------------------------------------------------


def _never_falls(before: GuardState, after: GuardState, _: Happened) -> bool:
    """Time, starts, versions, sequences and numbers of tickets never fall; what was issued or charged never shrinks by itself."""
    kept, now = before.licences, after.licences
    return (
        before.time <= after.time
        and before.starts <= after.starts
        and before.version_max <= after.version_max
        and before.sequence <= after.sequence
        and before.ticket_next <= after.ticket_next
        and kept.sequence_last <= now.sequence_last
        and kept.tickets_drawn <= now.tickets_drawn
        and all(units <= now.issued.get(meter, 0) for meter, units in kept.issued.items())
        and all(units <= now.lost.get(meter, 0) for meter, units in kept.lost.items())
    )


def _only_installed(before: GuardState, after: GuardState, what: Happened) -> bool:
    """A ruleset comes into force by being installed, and above the one before; none goes out of force into nothing."""
    if before.ruleset is after.ruleset or before.ruleset == after.ruleset:
        return before.version_max == after.version_max
    return what is Happened.INSTALL and after.ruleset is not None and after.ruleset.version > before.version_max


def _only_applied(before: GuardState, after: GuardState, what: Happened) -> bool:
    """What was issued grows by applying a licence, one at a time, and never otherwise."""
    if (
        before.licences.issued == after.licences.issued
        and before.licences.sequence_last == after.licences.sequence_last
    ):
        return True
    seen = {(one.sequence, one.id) for one in before.licences.recent}
    new = {(one.sequence, one.id) for one in after.licences.recent} - seen
    return what is Happened.APPLY and len(new) == 1


def _only_resumed(before: GuardState, after: GuardState, what: Happened) -> bool:
    """A halt ends by an order to resume and never otherwise; a distrusted state never resumes; the first halt stands."""
    if before.distrusted and not (after.distrusted and after.mode is Mode.HALTED):
        return False
    if before.halt is None or after.halt == before.halt:
        return True
    return what is Happened.RESUME and after.halt is None and after.mode in (Mode.LOCKED, Mode.READY)


def _only_uploaded(before: GuardState, after: GuardState, what: Happened) -> bool:
    """A model is served once its upload has ended, and never otherwise."""
    if after.mode is not Mode.SERVING or before.mode is Mode.SERVING:
        return after.model is None or after.model == before.model or what is Happened.END_UPLOAD
    return what is Happened.END_UPLOAD and before.upload is not None and after.model == before.upload.content


def _only_settled(before: GuardState, after: GuardState, what: Happened) -> bool:
    """What remains of a licence grows by settling a request, and never otherwise; requests open by being admitted only."""
    opened = {one.ticket for one in after.open} - {one.ticket for one in before.open}
    if opened and not (what is Happened.ADMIT and len(opened) == 1 and before.mode is Mode.SERVING):
        return False
    left = {one.licence.sequence: one.remaining for one in before.licences.held}
    grown = any(
        units > left[one.licence.sequence].get(meter, 0)
        for one in after.licences.held
        if one.licence.sequence in left
        for meter, units in one.remaining.items()
    )
    return not grown or (what is Happened.SETTLE and len(after.open) < len(before.open))


def _start_lets_nothing_pass(before: GuardState, after: GuardState, what: Happened) -> bool:
    """A start, an end and the end of a halt leave no model and no upload; the first two no open request either."""
    if what in (Happened.START, Happened.END):
        return after.model is None and after.upload is None and not after.open
    return before.halt is None or after.halt is not None or (after.model is None and after.upload is None)


STEP: Mapping[str, Callable[[GuardState, GuardState, Happened], bool]] = {
    "nothing-falls": _never_falls,
    "rulesets-are-installed": _only_installed,
    "licences-are-applied": _only_applied,
    "halts-are-resumed": _only_resumed,
    "models-are-uploaded": _only_uploaded,
    "remainders-are-settled": _only_settled,
    "starts-let-nothing-pass": _start_lets_nothing_pass,
}
