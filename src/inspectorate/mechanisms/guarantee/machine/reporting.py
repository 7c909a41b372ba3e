"""The checkpoint of a period: what the state says of it, and the state that begins the next one."""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.licences import state as licences
from inspectorate.mechanisms.guarantee.machine.state import GuardState, Sampled
from inspectorate.mechanisms.guarantee.machine.transitions import Identity
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.outlet.checkpoint import COUNT_MAX, Checkpoint, MeterSaid
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a checkpoint says beside the state."""

    reporter: str
    statement_key: str
    rollback_protected: bool
    flop_ledger: str
    """Commitment to the ledger of FLOP by source."""
    opened: str
    """The link of the chain of draws that this report opens, as hex."""


def checkpoint(state: GuardState, me: Identity, frame: Frame, period: Period) -> Checkpoint:
    """What is said of a period that ends now. Amounts are exact here; the outlet coarsens them."""
    left = licences.remaining(state.licences, at=state.time)
    return Checkpoint(
        reporter=frame.reporter,
        sequence=state.sequence,
        starts=state.starts,
        period=period,
        previous=state.previous,
        challenge=state.challenge,
        statement_key=frame.statement_key,
        device=me.device,
        rollback_protected=frame.rollback_protected,
        build=me.build,
        ruleset=state.ruleset.digest if state.ruleset else None,
        ruleset_id=state.ruleset.id if state.ruleset else None,
        ruleset_version=state.version_max,
        licence=state.licence,
        licence_sequence=state.licences.sequence_last,
        model=state.model,
        opened=frame.opened,
        mode=state.mode,
        held_s=min(state.held_s, period.duration_s),
        meters=tuple(said for meter in MeterKind if (said := _said(meter, state.readings.get(meter), left.get(meter)))),
        flop_ledger=frame.flop_ledger,
        events=state.events,
        sampled=min(state.sampled.drawn, COUNT_MAX),
        recomputed=min(state.sampled.recomputed, COUNT_MAX),
        differed=min(state.sampled.differed, COUNT_MAX),
    )


def reported(state: GuardState, digest: str) -> GuardState:
    """The state after a checkpoint of that digest was made: a new period begins."""
    return state.model_copy(
        update={
            "sequence": state.sequence + 1,
            "previous": digest,
            "events": {},
            "readings": {},
            "held_s": 0.0,
            "sampled": Sampled(),
        }
    )


def _said(meter: MeterKind, reading: Reading | None, left: float | None) -> MeterSaid | None:
    """What a meter says; none where nothing reads it, since that is no zero. The path itself counts what passes it."""
    if reading is None and meter not in (MeterKind.BYTES_IN, MeterKind.BYTES_OUT):
        return None
    if reading is None:
        return MeterSaid(meter=meter, used=0.0, at_least=0.0, source=Source.PATH, remaining=left)
    return MeterSaid(meter=meter, used=reading.used, at_least=reading.at_least, source=reading.source, remaining=left)
