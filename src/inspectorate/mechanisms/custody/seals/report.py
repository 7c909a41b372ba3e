"""What is said of all new photographs of one check together: a number, alarms, what to take again. The decision is a person's.

Several photographs of one seal are not independent of each other: numbers are averaged, never added. One photograph that was clear
is enough for a number; alarms of any count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.calibration import Alarm, Calibration
from inspectorate.mechanisms.custody.seals.challenge import Challenged, challenged
from inspectorate.mechanisms.custody.seals.comparing import Compared, Reference, Unclear, compare
from inspectorate.mechanisms.custody.seals.photo import Photo
from inspectorate.mechanisms.custody.seals.reference import CHALLENGE_ANGLE_MIN, PHOTOS_MAX


class Points(StrEnum):
    """Which way the comparison points: never a decision."""

    SAME = "same seal"
    LOOK = "look closely"
    """The number, one photograph's own number, or an alarm speaks against it."""
    UNCLEAR = "unclear"

    @property
    def exit_code(self) -> int:
        return {Points.SAME: 0, Points.UNCLEAR: 10, Points.LOOK: 20}[self]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A comparison of a check."""

    reference: Reference
    calibration: Calibration
    photos: tuple[Photo, ...]
    found: tuple[Compared | Unclear, ...]
    number: float | None
    alarms: tuple[Alarm, ...]
    challenge: Challenged | None
    """Between the first two clear photographs, for a seal with mirrors."""

    @property
    def points(self) -> Points:
        if self.number is None:
            return Points.UNCLEAR
        return Points.LOOK if self.number < 0 or self.alarms or self.apart else Points.SAME

    @property
    def apart(self) -> tuple[str, ...]:
        """Photographs whose own number is below 0, though the mean is not: a good one beside them does not make up for that."""
        if self.number is None or self.number < 0:
            return ()
        return tuple(
            photo.where
            for photo, one in zip(self.photos, self.found, strict=True)
            if isinstance(one, Compared) and self.calibration.number(one.measures) < 0
        )

    @property
    def changed(self) -> float | None:
        """What the challenge shows; none where there was none, or from nearly one angle."""
        return _changed(self.challenge)

    @property
    def clear(self) -> tuple[Compared, ...]:
        return tuple(one for one in self.found if isinstance(one, Compared))


def _changed(challenge: Challenged | None) -> float | None:
    return challenge.changed if challenge is not None and challenge.angle >= CHALLENGE_ANGLE_MIN else None


def report(reference: Reference, photos: Sequence[Photo], calibration: Calibration, *, mirrors: bool) -> Report:
    """Compare every new photograph. With `mirrors`, two clear ones under different light are held against each other, too.

    Raises `InputError` where there are none, or too many, or where one of them is a reference again.
    """
    if not 1 <= len(photos) <= PHOTOS_MAX:
        raise InputError(f"{len(photos)} new photographs, not 1 to {PHOTOS_MAX}", where="new photographs")
    known = {one.digest for one in reference.photos}
    seen: set[str] = set()
    for photo in photos:
        if photo.digest in known or photo.digest in seen:
            raise InputError("was given before: it is the same file", where=photo.where, remedy="take a new photograph")
        seen.add(photo.digest)
    found = tuple(compare(reference, photo) for photo in photos)
    clear = [one for one in found if isinstance(one, Compared)]
    pair = challenged(clear[0], clear[1]) if mirrors and len(clear) > 1 else None
    changed = _changed(pair)
    raised = {alarm for one in clear for alarm in calibration.alarms(one.measures, changed)}
    numbers = [calibration.number(one.measures) for one in clear]
    return Report(
        reference=reference, calibration=calibration, photos=tuple(photos), found=found,
        number=float(np.mean(numbers)) if numbers else None, alarms=tuple(one for one in Alarm if one in raised), challenge=pair,
    )  # fmt: skip
