"""Predicates of custody: which chips there are, where they stand, who looked, and who was let in.

By the keeper of the prover's register, a reporter of the declaration:

1. `RegisterHanded`: the whole register, chip by chip, and how hosts are wired. Numbered and chained.
2. `ChipsAcquired`, `ChipsReported`, `TransferNotified`, `ChipsMoved`: every change between two registers.

By inspectors:

3. `TransferDecided`, `DestructionCertified`: a chip moves or ends only with their word.
4. `CountDrawn`, `CountHeld`: places that nobody could choose (after a `RandomnessPromised`) are opened, and serials read.
5. `SealApplied`, `SealChecked`; `RoundTripsMeasured`; `AccessLogged`.

By cameras: `CameraWatched`, segment by segment.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Text
from inspectorate.evidence.predicate import Inspection, Report
from inspectorate.quantities import NonNegative, Period, Time

CHIPS_MAX = 10_000_000
"""Chips of one register."""
UNITS_MAX = 1_000_000
"""Racks, hosts or chips of one register that a count may draw from."""
DRAWN_MAX = 100_000
PLACES_MAX = 10_000

ChipCount = Annotated[int, Field(ge=0, le=CHIPS_MAX)]
UnitNumber = Annotated[int, Field(ge=0, lt=UNITS_MAX)]
Places = Annotated[tuple[Text, ...], Field(max_length=PLACES_MAX)]
"""Racks, doors or cables, as the register calls them."""


class RegisterHanded(Report):
    """The prover hands over its register as it stood at the end of the period.

    The subject `register` is a Parquet table, one row per chip; the subject `wiring` one row per link between hosts.
    """

    chain: Identifier = Field(description="a fresh name for each chain of registers")
    sequence: int = Field(ge=0, le=10**6)
    previous: Digest | None = Field(
        default=None, description="digest of the envelope of the register before; none for the first"
    )
    chips: ChipCount
    promise: Digest | None = Field(
        default=None,
        description="digest of the envelope of the `RandomnessPromised` that stood by then: it came before, and a count must use "
        "no other; none: a public beacon draws",
    )
    handed_at: Time

    @model_validator(mode="after")
    def _chained(self) -> Self:
        if (self.sequence == 0) != (self.previous is None):
            raise ValueError("the first register, and only the first, has no previous one")
        return self


class ChipsAcquired(Report):
    """Chips come under the agreement. The subject `chips` has one row per chip, as in a register."""

    chips: ChipCount
    seller: Text
    acquired_at: Time


class ChipState(StrEnum):
    WORKING = "working"
    BROKEN = "broken"
    """Counts as working until its destruction is certified."""
    DESTROYED = "destroyed"


class ChipsReported(Report):
    """Chips broke, or were repaired. The subject `chips` lists their serials."""

    chips: ChipCount
    state: ChipState
    reported_at: Time


class TransferNotified(Report):
    """Chips are to move. The subject `chips` lists their serials."""

    transfer: Identifier = Field(description="a fresh name for each transfer")
    chips: ChipCount
    from_site: Identifier
    to_site: Identifier | None = Field(default=None, description="none: to another party")
    to_party: Identifier | None = Field(default=None, description="none: within this party")
    notified_at: Time
    begins_at: Time

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if (self.to_site is None) == (self.to_party is None):
            raise ValueError("a transfer goes to a site of this party or to another party")
        if self.begins_at < self.notified_at:
            raise ValueError("a transfer begins after it was notified")
        return self


class TransferDecided(Inspection):
    """An inspector approves or refuses a transfer. The subject `decision` gives the grounds, sealed."""

    sealed_subjects: ClassVar[bool] = True
    transfer: Digest = Field(description="digest of the envelope of the `TransferNotified`")
    approved: bool
    decided_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.decided_at,)


class Passage(StrEnum):
    LEFT = "left"
    ARRIVED = "arrived"


class ChipsMoved(Report):
    """Chips of a transfer left, or arrived. The subject `chips` lists their serials."""

    transfer: Digest = Field(description="digest of the envelope of the `TransferNotified`")
    passage: Passage
    chips: ChipCount
    seals: tuple[Identifier, ...] = Field(default=(), max_length=PLACES_MAX, description="on what they travel in")
    moved_at: Time


class DestructionCertified(Inspection):
    """An inspector saw chips destroyed. The subject `chips` lists their serials."""

    reporter: Identifier = Field(description="of whose register they are")
    chips: ChipCount
    means: Text
    certified_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.certified_at,)


class CountUnit(StrEnum):
    """What one draw of a count opens: all chips of it are read."""

    RACK = "rack"
    HOST = "host"
    CHIP = "chip"


class CountDrawn(Inspection):
    """The verifier draws which places to open. The subject `randomness` says by what, and everybody can draw again."""

    reporter: Identifier = Field(description="whose register it is")
    handed: Digest = Field(description="digest of the envelope of the `RegisterHanded`")
    promise: Digest | None = None
    unit: CountUnit
    drawn: Annotated[tuple[UnitNumber, ...], Field(min_length=1, max_length=DRAWN_MAX)] = Field(
        description="numbers of units in the order of the register: by site, cluster, pod, rack, host, serial"
    )
    drawn_at: Time
    answer_by: Time = Field(description="when the inspectors must have stood before all of them")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if list(self.drawn) != sorted(set(self.drawn)):
            raise ValueError("drawn units must be sorted and distinct")
        if self.answer_by <= self.drawn_at:
            raise ValueError("answer_by must come after drawn_at")
        return self

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.drawn_at,)


class CountHeld(Inspection):
    """What was read where the draw led. The subject `checklist` has every drawn unit with the serials that were seen in it."""

    drawn: Digest = Field(description="digest of the envelope of the `CountDrawn`")
    units_opened: ChipCount
    units_refused: ChipCount = Field(description="not opened, for whatever reason")
    chips_due: ChipCount = Field(description="that the register has in the drawn units")
    chips_seen: ChipCount = Field(description="of those, whose serials were read there")
    chips_other: ChipCount = Field(description="read there, and registered elsewhere or nowhere")
    period: Period

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end


class SealApplied(Inspection):
    """A seal was put on. The subjects `photo-1`, `photo-2`, ... are its reference photographs, kept by the verifier."""

    sealed_subjects: ClassVar[bool] = True
    seal: Identifier = Field(description="a fresh name for each seal")
    site: Identifier
    places: Places = Field(min_length=1, description="what cannot be opened without breaking it")
    applied_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.applied_at,)


class SealDecision(StrEnum):
    INTACT = "intact"
    BROKEN = "broken"
    """Broken, gone, or another one."""
    UNCLEAR = "unclear"


class SealChecked(Inspection):
    """A person compared a seal with its reference. The subjects `photo-1`, ... are the new photographs, kept by the verifier."""

    sealed_subjects: ClassVar[bool] = True
    applied: Digest = Field(description="digest of the envelope of the `SealApplied`")
    calibration: Digest | None = Field(default=None, description="of the comparison; none: by eye alone")
    log_likelihood_ratio: float | None = Field(
        default=None, allow_inf_nan=False, description="same seal against another, natural logarithm, as calibrated"
    )
    decision: SealDecision = Field(description="of the person, whatever the comparison says")
    checked_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.checked_at,)


class CameraEvent(StrEnum):
    """What a camera's watcher tells: a closed list."""

    COVERED = "covered"
    DEFOCUSED = "defocused"
    MOVED = "moved"
    FROZEN = "frozen"
    REPLAYED = "replayed"
    """Frames that were shown before, or a challenge that was not answered."""
    DOOR = "door-opened"
    CABLING = "cabling-changed"
    DARK = "dark"
    GAP = "gap"
    """Frames are missing."""


class CameraWatched(Report):
    """A camera's watcher reports a stretch of video. Segments are numbered and chained. The reporter is the camera.

    The subject `watch` lists frames and events with their times, and the brightness of the lamp; `enrolment` is what the camera
    was enrolled as. The video stays where it was recorded, by digest.
    """

    places: Places = Field(min_length=1, description="racks that it sees")
    sequence: int = Field(ge=0, le=10**9)
    previous: Digest | None = None
    final: bool
    video: Digest
    frames: int = Field(ge=0, le=10**9)
    unseen_s: NonNegative = Field(description="time of the period in which the places could not be seen")
    events: dict[CameraEvent, Annotated[int, Field(ge=1, le=10**6)]] = Field(default={}, max_length=len(CameraEvent))
    challenges: int = Field(ge=0, le=10**9)
    answered: int = Field(ge=0, le=10**9)
    promise: Digest | None = Field(
        default=None,
        description="digest of the envelope of the `RandomnessPromised` by which the verifier's lamp goes; none: no lamp",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.sequence == 0) != (self.previous is None):
            raise ValueError("the first segment, and only the first, has no previous one")
        if self.answered > self.challenges:
            raise ValueError("more challenges were answered than asked")
        return self


class RoundTripsMeasured(Inspection):
    """Landmarks of the verifier timed signed answers of a device. The subject `round-trips` holds every one, with nonces."""

    reporter: Identifier = Field(description="the device, a reporter of the declaration")
    landmarks: Annotated[int, Field(ge=1, le=1000)]
    period: Period

    @property
    def times(self) -> tuple[datetime, ...]:
        return self.period.start, self.period.end


class AccessStep(StrEnum):
    ARRIVED = "arrived"
    ADMITTED = "admitted"
    REFUSED = "refused"
    LEFT = "left"


class AccessLogged(Inspection):
    """How a challenge inspection went on. The subject `log` has the details, sealed."""

    sealed_subjects: ClassVar[bool] = True
    request: Digest = Field(description="digest of the envelope of the `InspectionRequested`")
    step: AccessStep
    exits_inspected: int = Field(
        default=0, ge=0, le=10**6, description="people and vehicles that left meanwhile, looked at"
    )
    exits_refused: int = Field(default=0, ge=0, le=10**6, description="that left unlooked at")
    logged_at: Time

    @property
    def times(self) -> tuple[datetime, ...]:
        return (self.logged_at,)
