"""From measures to a number and alarms: a calibration, as data that both parties read and name by its digest.

- The number is the natural logarithm of a likelihood ratio: this seal against another one of the same make. It comes from a
  logistic regression over two measures (`alike`, `flakes`) on the part of the pairs that is named as learnt.
- It is held within ln(n + 1), where n seals were held out: no more pairs were seen to be right than that (our rule, of the kind of
  Vergeer et al. 2016, who bound ratios by what the data support).
- Each alarm has a threshold that genuine pairs of the learnt part pass at the agreed rate. An alarm is no number: it marks what a
  person should look at.
- Error rates are those of the held-out part. Seals in it are in no learnt pair; whether cameras and conditions are, too, is said.

A calibration from rendered photographs says so. What it is worth on photographs, only photographs can show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from inspectorate.canonical import JSON_BYTES_MAX, Record, Text, digest_of, parse_json
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.comparing import Measures
from inspectorate.mechanisms.custody.seals.reference import METHOD
from inspectorate.quantities import Share

RIDGE = 0.3
"""Keeps weights finite where the learnt pairs part without error."""
STEPS = 60
ALIKE_MAX = 0.995


class Alarm(StrEnum):
    """What a person should look at: a closed list."""

    WEAKEST = "part-unlike"
    TORN = "torn"
    AROUND = "other-surroundings"
    MOVED = "moved"
    MOIRE = "screen"
    FLAT = "flat-copy"

    @property
    def meaning(self) -> str:
        return _MEANINGS[self]


_MEANINGS = {
    Alarm.WEAKEST: "one part of the seal is much less alike than the rest",
    Alarm.TORN: "parts of the seal lie otherwise to one another than they did",
    Alarm.AROUND: "what lies around the seal is not what lay around it",
    Alarm.MOVED: "the seal does not lie where it lay",
    Alarm.MOIRE: "a pattern as a screen makes it",
    Alarm.FLAT: "what shone did not change with the light and the angle, as on a flat copy",
}
HIGH = frozenset({Alarm.WEAKEST, Alarm.TORN, Alarm.MOVED, Alarm.MOIRE})
"""Alarms of measures that are too high; of the others they are too low."""


class Rate(Record):
    """One measured rate, with its interval and what it is of."""

    name: Text
    value: float
    lower: float
    upper: float
    of: int = Field(ge=0)


class Split(Record):
    """Which pairs were learnt from, and which error rates are measured on."""

    learnt: Text
    held_out: Text
    learnt_seals: int = Field(ge=2)
    held_out_seals: int = Field(ge=2)
    cameras_apart: bool
    conditions_apart: bool


class Calibration(Record):
    """What a comparison is worth."""

    kind: Literal["seal-calibration"] = "seal-calibration"
    method: Text
    library: Text = Field(description="OpenCV, by version")
    photographs: Literal["rendered", "photographed"]
    made_by: Text = Field(description="the command that makes it again")
    split: Split
    centres: tuple[float, float]
    scales: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    weights: tuple[float, float]
    bias: float
    number_max: Annotated[float, Field(gt=0, le=50)]
    alarm_rate: Share
    thresholds: dict[Alarm, float]
    rates: tuple[Rate, ...] = Field(min_length=1, max_length=200)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if min(self.weights) < 0:
            raise ValueError("a seal that is more alike must not speak for another one")
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())

    def number(self, measures: Measures) -> float:
        """The logarithm of the likelihood ratio, within what the data support."""
        scaled = [
            (value - centre) / scale
            for value, centre, scale in zip(features(measures), self.centres, self.scales, strict=True)
        ]
        raw = self.bias + sum(weight * value for weight, value in zip(self.weights, scaled, strict=True))
        return float(np.clip(raw, -self.number_max, self.number_max))

    def alarms(self, measures: Measures, changed: float | None = None) -> tuple[Alarm, ...]:
        """What passes a threshold, in the order of the list."""
        values = alarm_values(measures, changed)
        return tuple(
            alarm
            for alarm in Alarm
            if alarm in self.thresholds
            and (value := values.get(alarm)) is not None
            and _over(alarm, value, self.thresholds)
        )


def _over(alarm: Alarm, value: float, thresholds: Mapping[Alarm, float]) -> bool:
    return value > thresholds[alarm] if alarm in HIGH else value < thresholds[alarm]


def features(measures: Measures) -> tuple[float, float]:
    """What the number rests on: both stretched near 1, where differences are small."""
    return tuple(float(np.arctanh(np.clip(one, -ALIKE_MAX, ALIKE_MAX))) for one in (measures.alike, measures.flakes))  # type: ignore[return-value]


def alarm_values(measures: Measures, changed: float | None = None) -> dict[Alarm, float | None]:
    """The measure behind each alarm; none where it could not be measured, which raises no alarm and is shown as missing."""
    return {
        Alarm.WEAKEST: measures.weakest, Alarm.TORN: measures.torn, Alarm.AROUND: measures.around,
        Alarm.MOVED: measures.moved, Alarm.MOIRE: measures.moire, Alarm.FLAT: changed,
    }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What a logistic regression over learnt pairs gives."""

    centres: tuple[float, float]
    scales: tuple[float, float]
    weights: tuple[float, float]
    bias: float


def fit(measures: Sequence[Measures], same: Sequence[bool]) -> Fit:
    """Fit the number: same and other weigh alike, however many there are. Raises `ValueError` where one is missing."""
    truth = np.array(same, bool)
    if truth.all() or not truth.any():
        raise ValueError("needs pairs of the same seal and of different ones")
    values = np.array([features(one) for one in measures])
    centres, scales = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-6)
    design = np.column_stack([(values - centres) / scales, np.ones(len(values))])
    mass = np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum()) * len(truth)
    found = np.zeros(3)
    ridge = np.diag([RIDGE, RIDGE, 1e-6])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-design @ found))
        slope = design.T @ (mass * (truth - chance)) - ridge @ found
        curve = (design * (mass * chance * (1 - chance))[:, None]).T @ design + ridge
        found = found + np.linalg.solve(curve, slope)
    # A measure that would speak the wrong way, beside one that says the same better, is left out.
    weights = np.maximum(found[:2], 0)
    return Fit(
        centres=(float(centres[0]), float(centres[1])), scales=(float(scales[0]), float(scales[1])),
        weights=(float(weights[0]), float(weights[1])), bias=float(found[2]),
    )  # fmt: skip


def threshold(alarm: Alarm, genuine: Sequence[float], rate: float) -> float:
    """What at most `rate` of the genuine pass."""
    values = np.sort(np.array(genuine))
    beyond = int(np.floor(rate * len(values)))
    return float(values[-1 - beyond] if alarm in HIGH else values[beyond])


def parse_calibration(data: bytes, *, where: str) -> Calibration:
    """Read a calibration. Raises `InputError` where it is not one, or is of another method."""
    found = Calibration.parse(parse_json(data, where=where), where=where, error=InputError)
    if found.method != METHOD:
        raise InputError(
            f"is for the comparison {found.method!r}, not {METHOD!r}", where=where, remedy="calibrate again"
        )
    return found


@cache
def shipped() -> Calibration:
    """The calibration that comes with the program: from rendered photographs."""
    data = (files(__package__) / "shipped.json").read_bytes()
    assert len(data) < JSON_BYTES_MAX
    return parse_calibration(data, where="shipped.json")
