"""The one byte form of a checkpoint: `CHECKPOINT_BYTES` long, whatever is in it.

    {"checkpoint": {...}, "padding": "000..."}      canonical JSON (RFC 8785)

Rules:

- What is encoded is rounded first (`quantise`): upper bounds up, lower bounds and what remains down, time held down, counts of
  events and of differences up, counts of requests drawn and recomputed down, meters in the order of `MeterKind`. What is not
  rounded is refused, so that no digit leaves that the budget did not count.
- For each checkpoint there is one byte form, and for each byte form that is read, one checkpoint: the order of keys and of meters,
  the form of numbers and times, events with a count of zero, and the padding have no freedom in them. `decode` encodes what it read
  and compares: there is no other check of the form.
- The length holds the largest checkpoint there can be; a test builds it.
"""

from __future__ import annotations

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint, MeterSaid
from inspectorate.mechanisms.guarantee.outlet.precision import FINEST, Precision

CHECKPOINT_BYTES = 4096
_BEFORE, _BETWEEN, _PAD, _AFTER = b'{"checkpoint":', b',"padding":"', b"0", b'"}'


def quantise(checkpoint: Checkpoint, precision: Precision = FINEST) -> Checkpoint:
    """The checkpoint as it may be said at a precision. Doing it twice changes nothing."""
    said = {one.meter: one for one in checkpoint.meters}
    recomputed = precision.count_down(checkpoint.recomputed)
    events = {kind: precision.count_up(count) for kind, count in checkpoint.events.items()}
    return checkpoint.model_copy(
        update={
            "held_s": precision.held_down(checkpoint.held_s, checkpoint.period.duration_s),
            "meters": tuple(
                _meter(said[meter], precision) for meter in MeterKind if meter in said and meter in precision.meters
            ),
            "events": {kind: count for kind, count in events.items() if count},
            "sampled": precision.count_down(checkpoint.sampled),
            "recomputed": recomputed,
            # Never more than were recomputed, and never nothing for something: the grid has a one.
            "differed": min(precision.count_up(checkpoint.differed), recomputed),
        }
    )


def is_quantised(checkpoint: Checkpoint, precision: Precision = FINEST) -> bool:
    """Whether the checkpoint says nothing finer than the precision."""
    return quantise(checkpoint, precision) == checkpoint


def encode(checkpoint: Checkpoint, precision: Precision = FINEST) -> bytes:
    """The byte form of a rounded checkpoint. Raises `ValueError` for one that is not."""
    if not is_quantised(checkpoint, precision):
        raise ValueError(f"the checkpoint says more than level {precision.level} of precision allows: round it first")
    return _packed(checkpoint)


def decode(data: bytes, *, where: str) -> Checkpoint:
    """Read a checkpoint in exactly the form that `encode` makes. Raises `EvidenceError`."""
    if len(data) != CHECKPOINT_BYTES:
        raise EvidenceError(f"a checkpoint has {CHECKPOINT_BYTES} bytes, not {len(data)}", where=where)
    value = parse_json(data, where=where)
    if not isinstance(value, dict) or set(value) != {"checkpoint", "padding"}:
        raise EvidenceError("is not a padded checkpoint", where=where)
    checkpoint = Checkpoint.parse(value["checkpoint"], where=where, error=EvidenceError)
    try:
        same = encode(checkpoint) == data
    except ValueError as fault:
        raise EvidenceError(str(fault), where=where) from None
    if not same:
        raise EvidenceError(
            "is not in the form that a processor writes", where=where, remedy="it was altered or re-encoded"
        )
    return checkpoint


def _meter(said: MeterSaid, precision: Precision) -> MeterSaid:
    remaining = said.remaining if precision.remaining else None
    return said.model_copy(
        update={
            "used": precision.up(said.used),
            "at_least": precision.down(said.at_least) if precision.at_least else 0.0,
            "remaining": None if remaining is None else precision.down(remaining),
        }
    )


def _packed(checkpoint: Checkpoint) -> bytes:
    content = checkpoint.canonical_bytes()
    room = CHECKPOINT_BYTES - len(_BEFORE) - len(content) - len(_BETWEEN) - len(_AFTER)
    if room < 0:
        raise ValueError(f"a checkpoint that needs {-room} bytes more than {CHECKPOINT_BYTES}")
    return b"".join((_BEFORE, content, _BETWEEN, _PAD * room, _AFTER))
