"""The verifier's lamp: patterns that nobody knows before, and whether the picture followed them in time.

A lamp under the verifier's seal stands in the picture, and shines on the racks. Its pattern comes from a secret that was promised
before (`RandomnessPromised`; here the promise covers a `LampPlan`), and is handed over afterwards, so that anybody can repeat
the check:

    seed        = from the secret and the digest of the camera's enrolment      (`drawing.ranks.seed_from`)
    challenge n   begins n x every_s after the plan begins, and lasts slots x slot_s
    its pattern = a whole number from 1 to 2^slots - 2, most significant slot first  (`drawing.ranks.uniform_below`)

Why a promise and no question: a question has an asker who is there at that moment. The lamp holds the secret and asks by itself,
all day, and the promise proves afterwards that its pattern stood before the picture did. Who watches need not know the secret,
so a watcher that the prover holds cannot tell it to whoever makes pictures up.

An answer is good if

1. the lamp's brightness follows the pattern, at the delay at which they agree best;
2. two of four parts of the scene that the lamp lights follow it too, each by itself, at that delay; a person may hide the others;
3. the delay is the one that was enrolled, within `tolerance_s`.

What this excludes: old video, and video made elsewhere: no pattern is guessed with a probability above 2^(1 - slots) for each
delay. What it does not exclude: a forger who sees the real lamp, and lights the old picture up to match, faster than
`tolerance_s`. Lighting the lamp's blob alone fails (2). Two recordings, lamp on and lamp off, switched by a photodiode, pass (1)
and (2), and fail (3) only if the switch, with the encoder behind it, takes longer. `python -m bench rack_cameras --only lamp`
measures both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from inspectorate.canonical import Record
from inspectorate.drawing.ranks import SEED_LABEL_REVEALED, seed_from, uniform_below
from inspectorate.drawing.sources import Promise
from inspectorate.mechanisms.custody.cameras.reference import (
    ANSWER_CORRELATION,
    HEIGHT,
    LATENCY_S_MAX,
    LATENCY_STEP_S,
    LIT_BEYOND,
    LIT_CORRELATION,
    LIT_PARTS,
    LIT_PARTS_MIN,
    LIT_WITHIN,
    SLOTS_MAX,
    WIDTH,
)
from inspectorate.mechanisms.custody.cameras.regions import RegionKind, Regions
from inspectorate.mechanisms.custody.cameras.source import Grey
from inspectorate.quantities import Positive, Time

Numbers = NDArray[np.float64]
SAMPLES = 1 + LIT_PARTS
"""Of each frame: the lamp, and the parts of the scene that it lights."""


class LampPlan(Record):
    """When the lamp asks, and within what time the picture must follow. Part of what is promised."""

    begins_at: Time
    ends_at: Time
    every_s: Positive
    slots: Annotated[int, Field(ge=8, le=SLOTS_MAX)]
    slot_s: Positive
    tolerance_s: Positive = Field(description="of the delay from lamp to picture, about the enrolled one")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ends_at <= self.begins_at:
            raise ValueError("ends_at must come after begins_at")
        if self.slots * self.slot_s + LATENCY_S_MAX > self.every_s:
            raise ValueError(f"a challenge of {self.slots * self.slot_s} s does not fit into {self.every_s} s")
        return self

    @property
    def count(self) -> int:
        """Challenges that end before the plan does."""
        return max(0, math.floor(((self.ends_at - self.begins_at).total_seconds() - self.lasts_s) / self.every_s) + 1)

    @property
    def lasts_s(self) -> float:
        return self.slots * self.slot_s

    def time_of(self, number: int) -> datetime:
        return self.begins_at + timedelta(seconds=number * self.every_s)

    def number_at(self, time: datetime) -> int | None:
        """The challenge that is under way; none between them."""
        since = (time - self.begins_at).total_seconds()
        number = math.floor(since / self.every_s)
        under_way = 0 <= number < self.count and since - number * self.every_s < self.lasts_s
        return number if under_way else None


class Patterns:
    """The patterns of a revealed promise."""

    def __init__(self, promise: Promise[LampPlan], enrolment: str) -> None:
        self.plan = promise.selection
        self._seed = seed_from(SEED_LABEL_REVEALED, bytes.fromhex(promise.secret), enrolment)

    def of(self, number: int) -> NDArray[np.bool_]:
        """Lamp on or off, slot by slot."""
        slots = self.plan.slots
        value = 1 + uniform_below(self._seed, number, (1 << slots) - 2)
        return np.array([bool(value >> (slots - 1 - slot) & 1) for slot in range(slots)])

    def lit(self, time: datetime) -> bool:
        """Whether the lamp is on at a time: what drives it."""
        number = self.plan.number_at(time)
        if number is None:
            return False
        since = (time - self.plan.time_of(number)).total_seconds()
        return bool(self.of(number)[min(self.plan.slots - 1, int(since / self.plan.slot_s))])


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a picture answered to one challenge."""

    number: int
    answered: bool
    correlation: float
    """Of the lamp with the pattern."""
    parts: int
    """Of the lit scene, that followed."""
    latency_s: float
    why: str
    """What was wrong; empty if nothing."""


def samples_of(grey: Grey, regions: Regions) -> tuple[float, ...] | None:
    """Brightness of the lamp; and of four parts of the scene around it, each against what lies far from it; none without a lamp.

    Exposure dims the whole picture when the lamp goes on. Against the far part of the same picture that cancels, in logarithms.
    """
    lamps = regions.of(RegionKind.LAMP)
    if not lamps:
        return None
    cut = lamps[0].pixels()
    parts, far = _parts(cut[0].start, cut[0].stop, cut[1].start, cut[1].stop)
    base = math.log(1 + float(grey[far].mean()))
    return (float(grey[cut].mean()), *(math.log(1 + float(grey[part].mean())) - base for part in parts))


@cache
def _parts(top: int, bottom: int, left: int, right: int) -> tuple[tuple[NDArray[np.bool_], ...], NDArray[np.bool_]]:
    """Four parts around a lamp, without the blob that blooms over its edge; and what lies far from it."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    dx, dy = x - (left + right) / 2, y - (top + bottom) / 2
    away = np.hypot(dx, dy)
    blob = (np.abs(dx) < (right - left)) & (np.abs(dy) < (bottom - top))
    near = (away < LIT_WITHIN * WIDTH) & ~blob
    middle = LIT_WITHIN * WIDTH / 2
    inner = away < middle
    return (near & (dx < 0) & inner, near & (dx >= 0) & inner, near & (dx < 0) & ~inner, near & (dx >= 0) & ~inner), (
        away > LIT_BEYOND * WIDTH
    )


def answer(
    pattern: NDArray[np.bool_], plan: LampPlan, number: int, times: Sequence[float], samples: Numbers, latency_s: float
) -> Answer:
    """Hold samples, shape (frames, SAMPLES), taken at `times` since the challenge began, against a pattern.

    Frames before the beginning and after the end belong to it: the lamp is dark then.
    """
    at = np.asarray(times, np.float64)
    if len(at) < plan.slots:
        return _no(number, "too few frames")
    delays = np.arange(0.0, LATENCY_S_MAX, LATENCY_STEP_S)
    found = _correlation(_expected(pattern, plan, at - delays[:, None]), samples[:, 0])
    best = float(found.max())
    # Between two frames several delays fit alike: their middle is taken. Where a pattern leaves more open than the tolerance, as a
    # few in a thousand do, only a delay that none of them explains counts against the picture.
    alike = delays[found >= best - 1e-9]
    last = alike[-1] if alike[-1] - alike[0] < 2 * plan.slot_s else alike[0]
    delay = float((alike[0] + last) / 2)
    apart = abs(delay - latency_s)
    if last - alike[0] > 2 * plan.tolerance_s - LATENCY_STEP_S:
        apart = max(float(alike[0]) - latency_s, latency_s - float(last))
    expected = _expected(pattern, plan, at - delay)
    parts = sum(float(_correlation(expected, _flat(samples[:, i]))) >= LIT_CORRELATION for i in range(1, SAMPLES))
    why = ""
    if best < ANSWER_CORRELATION:
        why = "the lamp in the picture does not follow the pattern"
    elif parts < LIT_PARTS_MIN:
        why = "the lamp follows, and what it lights does not"
    elif apart > plan.tolerance_s:
        why = f"the picture follows after {delay:.2f} s, not after {latency_s:.2f} s"
    return Answer(number=number, answered=not why, correlation=best, parts=int(parts), latency_s=delay, why=why)


def _no(number: int, why: str) -> Answer:
    return Answer(number=number, answered=False, correlation=0.0, parts=0, latency_s=0.0, why=why)


def _expected(pattern: NDArray[np.bool_], plan: LampPlan, since: Numbers) -> Numbers:
    slot = np.floor(since / plan.slot_s).astype(np.int64)
    within = (slot >= 0) & (slot < plan.slots)
    return np.where(within, pattern[np.clip(slot, 0, plan.slots - 1)], False).astype(np.float64)


def _flat(values: Numbers) -> Numbers:
    """Without slow changes of light and exposure: less a straight line."""
    n = np.arange(len(values), dtype=np.float64)
    slope, level = np.polyfit(n, values, 1)
    return np.asarray(values - slope * n - level, np.float64)


def _correlation(many: Numbers, one: Numbers) -> Numbers:
    """Of each row of `many` with `one`; 0 where either is constant."""
    a, b = many - many.mean(axis=-1, keepdims=True), one - one.mean()
    size = np.sqrt((a * a).sum(axis=-1) * float(b @ b))
    return np.asarray((a @ b) / np.maximum(size, 1e-9) * (size > 1e-9), np.float64)


def window_of(plan: LampPlan) -> tuple[float, float]:
    """Which frames belong to a challenge, in seconds from its beginning."""
    return -plan.slot_s, plan.lasts_s + LATENCY_S_MAX - plan.slot_s


def latency_of(answers: Sequence[Answer]) -> float | None:
    """The delay to enrol: the median over answers that follow, of three at least."""
    good = [one.latency_s for one in answers if one.correlation >= ANSWER_CORRELATION]
    return float(np.median(good)) if len(good) >= 3 else None
