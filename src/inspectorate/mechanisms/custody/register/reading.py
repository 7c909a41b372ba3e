"""Statements about one register, read: every table under bounds, and what cannot be read named.

Which statements belong to a register:

- what its keeper, the reporter, states of it, and its notices of transfers;
- decisions on these notices, and certificates of destruction that name the keeper;
- that chips of one of these transfers arrived at another party, by whoever keeps the register there.

An inspector counts as independent if the key that signed, under the name that the statement gives, is not held by the prover.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from inspectorate.errors import EvidenceError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.custody import (
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    DestructionCertified,
    Passage,
    RegisterHanded,
    TransferDecided,
    TransferNotified,
)
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.keys import Holder
from inspectorate.mechanisms.custody.register.faults import Fault, Found
from inspectorate.mechanisms.custody.register.reference import (
    CHIPS_SUBJECT,
    REGISTER_SUBJECT,
    ROWS_TOGETHER_MAX,
    WIRING_SUBJECT,
)
from inspectorate.mechanisms.custody.register.serials import read_serials
from inspectorate.mechanisms.custody.register.table import Register, read_register
from inspectorate.mechanisms.custody.register.wiring import Wiring, read_wiring

Payload = Callable[[str], bytes]
Change = ChipsAcquired | ChipsReported | TransferNotified | ChipsMoved | DestructionCertified


@dataclass(frozen=True, kw_only=True, eq=False)
class Handed:
    """A register that was handed over. Without `register` it could not be read."""

    digest: str
    said: RegisterHanded
    register: Register | None
    wiring: Wiring | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Changed:
    """A change that was stated. Without `serials` its list could not be read."""

    digest: str
    said: Change
    serials: pa.Array | None
    rows: Register | None = None
    """Of an acquisition."""
    independent: bool = True
    """Of a certificate: the inspector's key is not held by the prover."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """A decision on a transfer, with whose key signed it."""

    digest: str
    said: TransferDecided
    inspector: str
    """The public key: an inspector under two names is one inspector."""
    independent: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Books:
    """All that was stated of one register, read."""

    reporter: str
    handed: tuple[Handed, ...]
    changes: tuple[Changed, ...]
    decisions: tuple[Decided, ...] = ()
    found: tuple[Found, ...] = ()
    """What could not be read, or contradicts itself by itself."""


def time_of(said: Change | RegisterHanded) -> datetime:
    """When it happened, by the statement: of a register, as of when it holds."""
    match said:
        case RegisterHanded():
            return said.period.end
        case ChipsAcquired():
            return said.acquired_at
        case ChipsReported():
            return said.reported_at
        case TransferNotified():
            return said.notified_at
        case ChipsMoved():
            return said.moved_at
        case DestructionCertified():
            return said.certified_at


@dataclass
class _Reading:
    """What reading goes on with, and what it has taken so far."""

    payload: Payload
    found: list[Found]
    rows_left: int = ROWS_TOGETHER_MAX

    def take(self, rows: int, where: str) -> None:
        """Raises `EvidenceError` where all tables together would be too many rows to hold."""
        self.rows_left -= rows
        if self.rows_left < 0:
            raise EvidenceError(f"with it, registers and changes have more than {ROWS_TOGETHER_MAX} rows", where=where)


def read_books(statements: Sequence[VerifiedStatement], reporter: str, *, payload: Payload) -> Books:
    """The books of one keeper of a register. `payload` gives the bytes of a digest, and raises `EvidenceError` or `KeyError`
    where it does not have them."""
    pairs = [(one, one.predicate) for one in statements]
    notices = {
        one.digest: said for one, said in pairs if isinstance(said, TransferNotified) and said.reporter == reporter
    }
    handed: list[Handed] = []
    changes: list[Changed] = []
    decisions: list[Decided] = []
    found: list[Found] = []
    reading = _Reading(payload, found)
    for statement, said in sorted(pairs, key=lambda pair: pair[0].digest):
        match said:
            case RegisterHanded() if said.reporter == reporter:
                handed.append(_handed(statement, said, reading))
            case TransferDecided() if said.transfer in notices:
                decisions.append(_decided(statement, said))
            case ChipsAcquired() | ChipsReported() | TransferNotified() if said.reporter == reporter:
                changes.append(_changed(statement, said, reading))
            case ChipsMoved() if said.reporter == reporter or _arrives_outside(said, notices):
                changes.append(_changed(statement, said, reading))
            case DestructionCertified() if said.reporter == reporter:
                changes.append(_changed(statement, said, reading))
    return Books(
        reporter=reporter,
        handed=tuple(handed),
        changes=tuple(changes),
        decisions=tuple(decisions),
        found=tuple(found),
    )


def keepers(statements: Sequence[VerifiedStatement]) -> tuple[str, ...]:
    """The reporters that handed over registers."""
    return tuple(sorted({said.reporter for one in statements if isinstance(said := one.predicate, RegisterHanded)}))


def _arrives_outside(said: ChipsMoved, notices: dict[str, TransferNotified]) -> bool:
    notice = notices.get(said.transfer)
    return notice is not None and notice.to_party is not None and said.passage is Passage.ARRIVED


def _handed(statement: VerifiedStatement, said: RegisterHanded, reading: _Reading) -> Handed:
    where = f"register {said.chain} {said.sequence}"
    register = wiring = None
    try:
        table = read_register(subject_bytes(statement, REGISTER_SUBJECT, reading.payload), where=where)
        reading.take(len(table), where)
        register = table
    except EvidenceError as fault:
        reading.found.append(_unread(Fault.REGISTER_UNREAD, statement, fault))
    try:
        wiring = read_wiring(subject_bytes(statement, WIRING_SUBJECT, reading.payload), where=f"wiring of {where}")
    except EvidenceError as fault:
        reading.found.append(_unread(Fault.WIRING_UNREAD, statement, fault))
    if register is not None and len(register) != said.chips:
        reading.found.append(_count(statement, said.chips, len(register)))
    if said.handed_at < said.period.end:
        reading.found.append(_outside(statement, said.handed_at, "handed over before the end of its period"))
    return Handed(digest=statement.digest, said=said, register=register, wiring=wiring)


def _changed(statement: VerifiedStatement, said: Change, reading: _Reading) -> Changed:
    where = f"chips of statement {statement.digest[:19]}…"
    rows = serials = None
    try:
        data = subject_bytes(statement, CHIPS_SUBJECT, reading.payload)
        if isinstance(said, ChipsAcquired):
            rows = read_register(data, where=where)
            serials = rows.serials
        else:
            serials = read_serials(data, where=where)
        reading.take(len(serials), where)
    except EvidenceError as fault:
        rows = serials = None
        reading.found.append(_unread(Fault.CHANGE_UNREAD, statement, fault))
    if serials is not None and len(serials) != said.chips:
        reading.found.append(_count(statement, said.chips, len(serials)))
    at = time_of(said)
    if not isinstance(said, DestructionCertified) and not said.period.start <= at <= said.period.end:
        reading.found.append(_outside(statement, at, f"it speaks of {said.period}"))
    independent = _signer(statement, said.by)[1] if isinstance(said, DestructionCertified) else True
    return Changed(digest=statement.digest, said=said, serials=serials, rows=rows, independent=independent)


def _decided(statement: VerifiedStatement, said: TransferDecided) -> Decided:
    inspector, independent = _signer(statement, said.by)
    return Decided(digest=statement.digest, said=said, inspector=inspector, independent=independent)


def _signer(statement: VerifiedStatement, name: str) -> tuple[str, bool]:
    """The key that signed under a name, and whether somebody else than the prover holds it."""
    own = [anchor for anchor in statement.anchors if anchor.name == name]
    return (own[0].public_key if own else "", bool(own) and all(one.holder is not Holder.PROVER for one in own))


def _unread(fault: Fault, statement: VerifiedStatement, error: EvidenceError) -> Found:
    return Found(fault=fault, detail=str(error), statements=(statement.digest,))


def _count(statement: VerifiedStatement, said: int, there: int) -> Found:
    return Found(
        fault=Fault.COUNT_OTHER, detail=f"{said} chips are stated, {there} listed", statements=(statement.digest,)
    )


def _outside(statement: VerifiedStatement, at: datetime, detail: str) -> Found:
    return Found(fault=Fault.TIME_OUTSIDE, detail=detail, statements=(statement.digest,), at=at)
