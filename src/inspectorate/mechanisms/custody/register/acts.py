"""Every statement about a register, made ready to be signed, of tables that an operator has.

Times come in with `who.at`: what is stated happened then, unless it says otherwise. Tables are checked when they are built
(`register_of`, `serials_of`); what an act adds is that the statement fits what was stated before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from inspectorate.canonical import Hex, Record, Text, digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    ChipState,
    DestructionCertified,
    Passage,
    RegisterHanded,
    TransferDecided,
    TransferNotified,
)
from inspectorate.mechanisms.custody.register.reference import (
    CHIPS_SUBJECT,
    DECISION_SUBJECT,
    REGISTER_SUBJECT,
    WIRING_SUBJECT,
)
from inspectorate.mechanisms.custody.register.serials import write_serials
from inspectorate.mechanisms.custody.register.table import Register, write_register
from inspectorate.mechanisms.custody.register.wiring import Wiring, write_wiring
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where in its chain a register stands."""

    chain: str
    sequence: int = 0
    previous: str | None = None
    since: datetime | None = None
    """End of the period of the one before."""


def next_place(earlier: Sequence[VerifiedStatement], reporter: str, chain: str | None = None) -> Place:
    """The place after a keeper's last register; `chain` names a first one. Raises `InputError`, `EvidenceError`."""
    own = [(one, said) for one in earlier if isinstance(said := one.predicate, RegisterHanded)]
    own = sorted(((one, said) for one, said in own if said.reporter == reporter), key=lambda pair: pair[1].sequence)
    if not own:
        if chain is None:
            raise InputError("names no chain", where="register", remedy="give the first register a fresh name")
        return Place(chain=chain)
    names = {said.chain for _, said in own}
    if len(names) > 1 or [said.sequence for _, said in own] != list(range(len(own))):
        raise EvidenceError(f"the registers of {reporter} so far are not one chain", where=", ".join(sorted(names)))
    if chain is not None and chain not in names:
        raise InputError(f"the chain {names.pop()} goes on", where="register", remedy="give no new name")
    last, said = own[-1]
    return Place(chain=said.chain, sequence=said.sequence + 1, previous=last.digest, since=said.period.end)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What is handed over, and of which time."""

    register: Register
    wiring: Wiring
    period: Period
    """The register stands as at its end."""
    promise: str | None = None
    """Digest of the envelope of the promise that stands now."""


def hand_register(snapshot: Snapshot, place: Place, who: Who) -> Act:
    """The keeper hands over the register. Raises `InputError` where it does not follow the one before."""
    if place.since is not None and snapshot.period.end <= place.since:
        raise InputError(
            f"the register before stands as at {place.since:%Y-%m-%d %H:%M:%S} UTC", where="register",
            remedy="hand over one of a later time",
        )  # fmt: skip
    if who.at < snapshot.period.end:
        raise InputError("a register is handed over after the time at which it stands", where="register")
    twice = twice_in(snapshot.register.serials)
    if twice:
        remedy = "a chip stands in one place; correct the inventory"
        raise InputError(f"the serial {twice[0]!r} stands there twice", where="register", remedy=remedy)
    predicate = RegisterHanded.parse(
        {
            "origin": who.origin, "reporter": who.name, "period": snapshot.period, "chain": place.chain,
            "sequence": place.sequence, "previous": place.previous, "chips": len(snapshot.register),
            "promise": snapshot.promise, "handed_at": who.at,
        },
        where="register", error=InputError,
    )  # fmt: skip
    tables = (write_register(snapshot.register), write_wiring(snapshot.wiring))
    names = (REGISTER_SUBJECT, WIRING_SUBJECT)
    subjects = {name: digest_of(data) for name, data in zip(names, tables, strict=True)}
    return Act(predicate=predicate, subjects=subjects, payloads=tables)


def acquire(rows: Register, who: Who, *, seller: str) -> Act:
    """Chips come under the agreement at `who.at`."""
    predicate = ChipsAcquired.parse(
        {**_of_report(who), "chips": len(rows), "seller": seller, "acquired_at": who.at}, where="--seller",
        error=InputError,
    )  # fmt: skip
    return _act(predicate, write_register(rows))


def report(serials: pa.Array, state: ChipState, who: Who) -> Act:
    """Chips broke, or were repaired, at `who.at`. Raises `InputError`: destruction is for an inspector to certify."""
    if state is ChipState.DESTROYED:
        raise InputError("a keeper does not report destruction", where="state", remedy="an inspector certifies it")
    predicate = ChipsReported.parse(
        {**_of_report(who), "chips": len(serials), "state": state, "reported_at": who.at},
        where="report",
        error=InputError,
    )
    return _act(predicate, write_serials(serials))


@dataclass(frozen=True, kw_only=True)
class Route:
    """From where to where, and from when on."""

    transfer: str
    from_site: str
    begins_at: datetime
    to_site: str | None = None
    to_party: str | None = None


def notify(serials: pa.Array, route: Route, who: Who) -> Act:
    """Chips are to move, as is notified at `who.at`."""
    predicate = TransferNotified.parse(
        {
            **_of_report(who), "transfer": route.transfer, "chips": len(serials), "from_site": route.from_site,
            "to_site": route.to_site, "to_party": route.to_party, "notified_at": who.at, "begins_at": route.begins_at,
        },
        where="transfer", error=InputError,
    )  # fmt: skip
    return _act(predicate, write_serials(serials))


class Grounds(Record):
    """Why an inspector decided so. Salted, so that its digest says nothing."""

    salt: Hex
    text: Text

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


def decide(notice: str, grounds: Grounds, who: Who, *, approved: bool) -> Act:
    """An inspector approves or refuses. `notice`: digest of the envelope of the notice. Grounds stay with the inspector."""
    predicate = TransferDecided.parse(
        {"origin": who.origin, "by": who.name, "transfer": notice, "approved": approved, "decided_at": who.at},
        where="decision", error=InputError,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={DECISION_SUBJECT: grounds.digest})


def move(notice: str, serials: pa.Array, passage: Passage, who: Who, *, seals: Sequence[str] = ()) -> Act:
    """Chips of a transfer left, or arrived, at `who.at`."""
    predicate = ChipsMoved.parse(
        {
            **_of_report(who), "transfer": notice, "passage": passage, "chips": len(serials),
            "seals": sorted(set(seals)), "moved_at": who.at,
        },
        where="transfer", error=InputError,
    )  # fmt: skip
    return _act(predicate, write_serials(serials))


def certify(serials: pa.Array, who: Who, *, reporter: str, means: str) -> Act:
    """An inspector saw chips destroyed at `who.at`. `reporter`: the keeper of their register."""
    predicate = DestructionCertified.parse(
        {
            "origin": who.origin, "by": who.name, "reporter": reporter, "chips": len(serials), "means": means,
            "certified_at": who.at,
        },
        where="destruction", error=InputError,
    )  # fmt: skip
    return _act(predicate, write_serials(serials))


def twice_in(serials: pa.Array) -> list[str]:
    """Serials that a list holds more than once, sorted."""
    counts = pc.value_counts(serials)
    again = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    return sorted(again.to_pylist())


def _of_report(who: Who) -> dict[str, object]:
    period = Period(start=who.at, end=who.at + timedelta(microseconds=1))
    return {"origin": who.origin, "reporter": who.name, "period": period}


def _act(
    predicate: ChipsAcquired | ChipsReported | TransferNotified | ChipsMoved | DestructionCertified, data: bytes
) -> Act:
    return Act(predicate=predicate, subjects={CHIPS_SUBJECT: digest_of(data)}, payloads=(data,))
