"""Statements about chips, places and access, put in order: whose word counts, and for what.

    1. the keeper of a register speaks for a register: a reporter that is declared as one, and no other
    2. a camera speaks for what it sees: a reporter that is declared as one and that the prover does not hold
    3. an inspector speaks of what was looked at: no anchor that signs is held by the prover, and its key does not also speak for
       a reporter of the prover (`hearing`)
    4. of promises, draws, counts and round trips those that name a declared reporter of the kind; of requests those to this party
    5. each statement once, in order of time, then of digest

What counts for nothing is named, and never silently left out. Pure; no payload is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from inspectorate.declaration import Declaration, Reporter, ReporterKind
from inspectorate.evidence import (
    AccessLogged,
    CameraWatched,
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    CountDrawn,
    CountHeld,
    DestructionCertified,
    InspectionRequested,
    RandomnessPromised,
    RegisterHanded,
    RoundTripsMeasured,
    SealApplied,
    SealChecked,
    TransferDecided,
    TransferNotified,
    VerifiedStatement,
)
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.hearing import unfit
from inspectorate.keys import Holder

Payload = Callable[[str], bytes]

OF_REGISTERS = (RegisterHanded, ChipsAcquired, ChipsReported, TransferNotified, ChipsMoved)
OF_INSPECTORS = (
    TransferDecided, DestructionCertified, CountDrawn, CountHeld, SealApplied, SealChecked, RoundTripsMeasured, AccessLogged,
    InspectionRequested, RandomnessPromised,
)  # fmt: skip
CHANGES = (*OF_REGISTERS, TransferDecided, DestructionCertified)
"""What a register and its changes are made of."""
COUNTS = (RandomnessPromised, CountDrawn, CountHeld)
SEALS = (SealApplied, SealChecked)
ACCESS = (InspectionRequested, AccessLogged)


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """All statements whose word counts, in order."""

    statements: tuple[VerifiedStatement, ...]
    passed_over: tuple[tuple[type, str], ...]
    """What counts for nothing: its kind, and why."""
    keepers: tuple[Reporter, ...]
    cameras: tuple[Reporter, ...]
    devices: tuple[Reporter, ...]

    def of(self, *kinds: type) -> tuple[VerifiedStatement, ...]:
        return tuple(one for one in self.statements if isinstance(one.predicate, kinds))

    def promised_to(self, reporters: Iterable[Reporter]) -> tuple[VerifiedStatement, ...]:
        """Promises of randomness for these."""
        names = {one.id for one in reporters}
        found = self.of(RandomnessPromised)
        return tuple(
            one for one in found if isinstance(one.predicate, RandomnessPromised) and one.predicate.reporter in names
        )

    def unheard(self, *kinds: type) -> tuple[str, ...]:
        """Why some of these kinds count for nothing."""
        return tuple(dict.fromkeys(why for kind, why in self.passed_over if issubclass(kind, kinds)))


def observe_custody(statements: Iterable[VerifiedStatement], declaration: Declaration) -> Spoken:
    """Put in order what is said of chips, places and access in one declared period."""
    by_kind = {
        kind: tuple(one for one in declaration.reporters if one.kind is kind)
        for kind in (ReporterKind.REGISTER, ReporterKind.CAMERA, ReporterKind.LOCATED)
    }
    names = {kind: frozenset(one.id for one in found) for kind, found in by_kind.items()}
    held = frozenset(one.id for one in by_kind[ReporterKind.CAMERA] if one.holder is Holder.PROVER)
    believed: list[VerifiedStatement] = []
    passed_over: list[tuple[type, str]] = []
    for one in {one.digest: one for one in statements}.values():
        if not isinstance(one.predicate, (*OF_REGISTERS, *OF_INSPECTORS, CameraWatched)):
            continue
        why = _unheard(one, declaration, names, held)
        if why is None:
            believed.append(one)
        elif why:
            passed_over.append((type(one.predicate), why))
    return Spoken(
        statements=tuple(sorted(believed, key=lambda one: (said_at(one), one.digest))),
        passed_over=tuple(dict.fromkeys(passed_over)),
        keepers=by_kind[ReporterKind.REGISTER],
        cameras=by_kind[ReporterKind.CAMERA],
        devices=by_kind[ReporterKind.LOCATED],
    )


def _unheard(
    statement: VerifiedStatement,
    declaration: Declaration,
    names: dict[ReporterKind, frozenset[str]],
    held: Collection[str],
) -> str | None:
    """Why a word counts for nothing; none if it counts; nothing to say ("") where it is about somebody else's business."""
    said = statement.predicate
    if isinstance(said, OF_REGISTERS):
        known = said.reporter in names[ReporterKind.REGISTER]
        return None if known else f"{said.reporter}: is not declared to keep a register"
    if isinstance(said, CameraWatched):
        if said.reporter not in names[ReporterKind.CAMERA]:
            return f"{said.reporter}: is not declared as a camera"
        return f"{said.reporter}: is held by the prover" if said.reporter in held else None
    promised_to = names[ReporterKind.REGISTER] | names[ReporterKind.CAMERA]
    if isinstance(said, RandomnessPromised) and said.reporter not in promised_to:
        return ""
    if isinstance(said, InspectionRequested) and said.party != declaration.party:
        return ""
    why = unfit(statement, declaration)
    if why is not None:
        return why
    if isinstance(said, DestructionCertified | CountDrawn) and said.reporter not in names[ReporterKind.REGISTER]:
        return f"{said.by}: speaks of {said.reporter}, which is not declared to keep a register"
    if isinstance(said, RoundTripsMeasured) and said.reporter not in names[ReporterKind.LOCATED]:
        return f"{said.by}: timed {said.reporter}, which is not declared to be located"
    return None


def said_at(statement: VerifiedStatement) -> datetime:
    """When something was said, by its own signed word."""
    match statement.predicate:
        case RegisterHanded(handed_at=at) | ChipsAcquired(acquired_at=at) | ChipsReported(reported_at=at):
            return at
        case TransferNotified(notified_at=at) | ChipsMoved(moved_at=at):
            return at
        case Report(period=period):
            return period.start
        case Inspection() as said:
            return said.times[0]
        case other:
            raise AssertionError(f"{type(other).__name__} is nothing of custody")
