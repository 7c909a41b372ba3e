"""Whether a licence is accepted: pure, and the only way in which a budget ever grows.

The procedure, in the order of RAND WR-A3056-1, ch. 6 (replay before signatures, and nothing is remembered of what is refused):

1. it is a licence, in the one form that it has;
2. it was not accepted before: its sequence is not below `sequence_last - WINDOW`, is not among the recent ones, and its id is not
   either; and its sequence is not below the ruleset's minimum, which stands in the place of a fuse;
3. a quorum of the ruleset in force signed it. A signer who signed twice is named, and counts once;
4. it is for this device;
5. it is for this ruleset, and the ruleset's version is not below the minimum that it names;
6. it has not expired. One that begins later is held, and used from then on;
7. it budgets every meter that the ruleset licenses;
8. there is room for it.

Then the highest sequence rises, what is owed is paid out of it, and the rest may be used. The caller makes the state durable
*before* anything is let through because of it; otherwise a restart would take the licence again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inspectorate.canonical import parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.licences import state as states
from inspectorate.mechanisms.guarantee.licences.amounts import budgeted, plus
from inspectorate.mechanisms.guarantee.licences.state import HELD_MAX, WINDOW, Held, LicenceState, Seen
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument

LICENCE_BYTES_MAX = 4_096
"""Of the payload, without signatures."""


@dataclass(frozen=True, kw_only=True)
class JudgedLicence:
    """What became of a licence. `refusals` may name a repeated signer of one that was accepted."""

    state: LicenceState | None
    """The state with the licence in it; none: it was refused, and the state stays as it was."""
    licence: Licence | None
    """What was accepted."""
    refusals: tuple[Refusal, ...]


def licence_of(document: SignedDocument) -> Licence:
    """The licence in a document, whoever signed it. Raises `EvidenceError`."""
    where = "licence"
    if document.kind != LICENCE_KIND:
        raise EvidenceError(f"is a {document.kind[:80]!r}, not a licence", where=where)
    if len(document.payload) > LICENCE_BYTES_MAX:
        raise EvidenceError(f"{len(document.payload)} bytes exceed {LICENCE_BYTES_MAX}", where=where)
    licence = Licence.parse(parse_canonical(document.payload, where=where), where=where, error=EvidenceError)
    if licence.canonical_bytes() != document.payload:
        raise EvidenceError(
            "is not in the one form of this licence", where=where, remedy="make it with `licence issue`"
        )
    return licence


def judge_licence(
    state: LicenceState, document: SignedDocument, *, device: str, ruleset: Ruleset, at: datetime
) -> JudgedLicence:
    """Judge a licence for `device` under the ruleset in force."""
    # 1
    try:
        licence = licence_of(document)
    except EvidenceError as fault:
        return _refused(Refusal(kind=EventKind.LICENCE_REFUSED, why=str(fault)))
    # 2
    refusal = _replayed(state, licence) or _too_old(licence, ruleset)
    if refusal:
        return _refused(refusal)
    # 3
    counted = judge_quorum(ruleset, Act.LICENSE, document)
    if not counted.reached:
        return _refused(*counted.refusals)
    # 4 to 8
    state = states.expire(state, at=at).state
    refusal = _unfit(licence, device, ruleset) or _expired(licence, at) or _full(state)
    if refusal:
        return _refused(*counted.refusals, refusal)
    return JudgedLicence(state=_accept(state, licence, document.digest, at), licence=licence, refusals=counted.refusals)


def _refused(*refusals: Refusal) -> JudgedLicence:
    return JudgedLicence(state=None, licence=None, refusals=refusals)


def _replayed(state: LicenceState, licence: Licence) -> Refusal | None:
    if licence.sequence < state.sequence_last - WINDOW:
        why = f"sequence {licence.sequence} is more than {WINDOW} below {state.sequence_last}, and may have been used"
    elif any(seen.sequence == licence.sequence for seen in state.recent):
        why = f"sequence {licence.sequence} was used already"
    elif any(seen.id == licence.id for seen in state.recent):
        why = f"licence {licence.id} was used already"
    else:
        return None
    return Refusal(kind=EventKind.LICENCE_REPLAYED, why=why)


def _too_old(licence: Licence, ruleset: Ruleset) -> Refusal | None:
    if licence.sequence >= ruleset.licence_sequence_min:
        return None
    why = f"sequence {licence.sequence} is below the ruleset's minimum, {ruleset.licence_sequence_min}"
    return Refusal(kind=EventKind.LICENCE_REFUSED, why=why)


def unfit(licence: Licence, ruleset: Ruleset) -> str | None:
    """Why a licence does not count under a ruleset, whoever signed it and whatever device it is for; or None."""
    missing = [meter.value for meter in ruleset.licensed_meters if meter not in licence.budgets]
    if licence.ruleset != ruleset.id:
        return f"it is for ruleset {licence.ruleset}, and {ruleset.id} is in force"
    if ruleset.version < licence.ruleset_version_min:
        return f"it asks for version {licence.ruleset_version_min} of {ruleset.id}, and {ruleset.version} is in force"
    return f"it has no budget of {', '.join(missing)}" if missing else None


def _unfit(licence: Licence, device: str, ruleset: Ruleset) -> Refusal | None:
    other = licence.device != device
    why = f"it is for device {licence.device}, and this is {device}" if other else unfit(licence, ruleset)
    return Refusal(kind=EventKind.LICENCE_REFUSED, why=f"licence {licence.id}: {why}") if why else None


def _expired(licence: Licence, at: datetime) -> Refusal | None:
    if at < licence.valid.end:
        return None
    return Refusal(
        kind=EventKind.LICENCE_EXPIRED, why=f"licence {licence.id} expired at {licence.valid.end:%Y-%m-%dT%H:%M:%SZ}"
    )


def _full(state: LicenceState) -> Refusal | None:
    if len(_room(state).held) < HELD_MAX:
        return None
    return Refusal(kind=EventKind.LICENCE_REFUSED, why=f"{HELD_MAX} licences are held that are not used up")


def _room(state: LicenceState) -> LicenceState:
    """Without those that are used up, if there is no room. One with an open reservation may still get something back."""
    if len(state.held) < HELD_MAX:
        return state
    open_ = {sequence for ticket in state.tickets.values() for _, sequence, _ in ticket.taken}
    held = tuple(one for one in state.held if any(one.remaining.values()) or one.licence.sequence in open_)
    return state.model_copy(update={"held": held})


def _accept(state: LicenceState, licence: Licence, digest: str, at: datetime) -> LicenceState:
    budgets = {meter: budgeted(meter, amount) for meter, amount in licence.budgets.items()}
    last = max(state.sequence_last, licence.sequence)
    seen = (*state.recent, Seen(sequence=licence.sequence, id=licence.id))
    recent = tuple(sorted((one for one in seen if one.sequence >= last - WINDOW), key=lambda one: one.sequence))
    after = states.hold(_room(state), Held(licence=licence, digest=digest, remaining=budgets)).model_copy(
        update={"sequence_last": last, "recent": recent, "issued": plus(state.issued, budgets)}
    )
    return states.pay(after, at=at)
