"""Lamps of devices as a fingerprint of time: which of them are on, frame by frame, is what a rack never shows twice.

- A lamp's level is its brightest pixel less its surroundings, so that lights and exposure cancel. It is on above the middle
  between its high and its low of the last minute. Up to 64 lamps are one number of 64 bits a frame.
- A stretch of a few seconds holds some hundred independent bits. Encoders, noise, brightness and a shift of a pixel turn few of
  them; another stretch of the same rack agrees in about half.
- Only lamps that changed within the stretch are compared: dark and solid lamps agree with everything. Of those, only the moments
  at which they were steady: a repetition is not sampled at the same moments as the first showing was.
- How much agreement it takes depends on how many lamps are compared: with few, chance alone finds a match in a week of frames.
  So two lengths are compared: the shorter is soon full, and the longer finds repetitions that an encoder has blurred.
- A lamp that blinks by a clock repeats itself honestly, and is left out at enrolment.

A rack whose devices are off has no such lamps, and says nothing here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.cameras.reference import (
    LEVEL_DECAY_PER_S,
    LIVE_WINDOW_S,
    MATCH_AGAIN_S,
    MATCH_INDEPENDENT,
    MATCH_KEPT_S,
    MATCH_ONCE,
    MATCH_PLAIN,
    MATCH_SPANS_S,
    MATCH_TWICE,
    SPOT_PERIODIC,
    SPOTS_MAX,
    SPOTS_MIN,
)
from inspectorate.mechanisms.custody.cameras.source import Frame
from inspectorate.mechanisms.custody.opencv import opencv

Points = NDArray[np.int64]
"""Shape (n, 2): x, y in the working picture."""
Bits = NDArray[np.uint64]

AMPLITUDE_MIN = 6.0
"""In grey levels: a smaller swing is noise."""
PROBES = 3
PLACES_MAX = 4096
BITS_MIN = 24
PROBE_SLACK = 0.18
"""A place in the history is looked at in full if a few of its frames agree this much less than is asked."""


def levels(grey: NDArray[np.uint8], points: Points) -> NDArray[np.float32]:
    """The level of each lamp."""
    cv2 = opencv()
    peak = cv2.dilate(grey, np.ones((3, 3), np.uint8))
    around = cv2.blur(grey, (9, 9))
    x, y = points[:, 0], points[:, 1]
    found: NDArray[np.float32] = peak[y, x].astype(np.float32) - around[y, x]
    return found


@dataclass(frozen=True, kw_only=True)
class SpotReading:
    bits: int
    visible: int
    """Lamps that nothing hides, as bits."""
    lively: float | None
    """How far lamps swung within the last seconds, of how far they do; none: too few of them are in sight, or it is too early."""


class Spots:
    """The lamps of one camera, read frame by frame."""

    def __init__(self, points: Points, rate: float, swings: Sequence[NDArray[np.float32]]) -> None:
        """`swings`: low and high of each lamp, shape (n, 2), for each state of the lights."""
        if len(points) > SPOTS_MAX:
            raise ValueError(f"at most {SPOTS_MAX} lamps")
        self.points = points
        self._swings = swings
        self._weights = np.uint64(1) << np.arange(len(points), dtype=np.uint64)
        self._state = -1
        self._high: NDArray[np.float32] = np.zeros(len(points), np.float32)
        self._low: NDArray[np.float32] = np.zeros(len(points), np.float32)
        self._last_s = 0.0
        self._recent: deque[NDArray[np.float32]] = deque(maxlen=max(3, round(LIVE_WINDOW_S * rate)))

    def read(self, frame: Frame, in_sight: NDArray[np.bool_], state: int) -> SpotReading:
        """Read the lamps; `in_sight` says for each whether what surrounds it can be seen, `state` which lights are on."""
        if len(self.points) < SPOTS_MIN:
            return SpotReading(bits=0, visible=0, lively=None)
        value = levels(frame.grey, self.points)
        if state != self._state:
            self._state = state
            self._low, self._high = self._swings[state][:, 0].copy(), self._swings[state][:, 1].copy()
        keep = math.exp(-LEVEL_DECAY_PER_S * max(0.0, min(5.0, frame.time_s - self._last_s)))
        self._last_s = frame.time_s
        swing = self._high - self._low
        self._high = np.maximum(value, self._low + swing * keep)
        self._low = np.minimum(value, self._high - swing * keep)
        on = value > (self._high + self._low) / 2
        bits = int(self._weights[on].sum()) if on.any() else 0
        self._recent.append(value)
        lively = None
        if len(self._recent) == self._recent.maxlen and int(in_sight.sum()) >= SPOTS_MIN:
            window = np.stack(self._recent)
            usual = np.maximum(self._swings[state][:, 1] - self._swings[state][:, 0], AMPLITUDE_MIN)
            swung = (window.max(axis=0) - window.min(axis=0)) / usual
            lively = float(np.minimum(swung, 1)[in_sight].mean())
        visible = int(self._weights[in_sight].sum()) if in_sight.any() else 0
        return SpotReading(bits=bits, visible=visible, lively=lively)


@dataclass(frozen=True, kw_only=True)
class Match:
    """The best agreement of the last seconds with what was seen before."""

    agreement: float
    frames_back: int
    frames: int
    """How long the stretch was."""
    compared: int
    """Bits that were compared."""
    deviations: float
    """By how many standard deviations of chance it agrees; 0 where places were held against a few frames only."""


@dataclass(kw_only=True)
class Repeats:
    """Whether matches of one length with the past are a repetition.

    One is that agrees well or lies far beyond chance; or two at one distance.
    """

    deviations: float
    """Of chance, at least."""
    earlier: deque[tuple[float, Match]] = field(default_factory=deque)

    def judge(self, match: Match | None, now_s: float) -> bool:
        """Whether a match, or none, is a repetition; times must not fall."""
        while self.earlier and self.earlier[0][0] < now_s - MATCH_KEPT_S:
            self.earlier.popleft()
        if match is None or match.agreement < MATCH_TWICE or match.deviations < self.deviations:
            return False
        again = any(
            at_s <= now_s - MATCH_AGAIN_S and abs(match.frames_back - before.frames_back) <= 1
            for at_s, before in self.earlier
        )
        self.earlier.append((now_s, match))
        return match.agreement >= MATCH_ONCE or match.deviations >= self.deviations + MATCH_PLAIN or again


class History:
    """The bits of all frames, in a ring of fixed size, and the search for repetitions."""

    def __init__(self, rate: float, history_s: float) -> None:
        self.windows = tuple(max(6, round(span_s * rate)) for span_s in MATCH_SPANS_S)
        longest = max(self.windows)
        self._ring: Bits = np.zeros(max(4 * longest, round(history_s * rate)), np.uint64)
        self._count = 0
        self._visible: deque[int] = deque(maxlen=longest)

    def __len__(self) -> int:
        return min(self._count, len(self._ring))

    def add(self, bits: int, visible: int) -> None:
        self._ring[self._count % len(self._ring)] = bits
        self._visible.append(visible)
        self._count += 1

    def search(self, floor: float) -> tuple[Match | None, ...]:
        """For each length, the best match of the last frames among all earlier ones; none if nothing can be said.

        Agreements below `floor` are reported only roughly: they are found by a few frames.
        """
        held = self._in_order(len(self))
        return tuple(self._match(held, window, floor) for window in self.windows)

    def _match(self, held: Bits, window: int, floor: float) -> Match | None:
        if len(held) < 3 * window:
            return None
        last, earlier = held[-window:], held[:-window]
        seen = np.array(self._visible, np.uint64)[-window:]
        masks = _steady(last) & self._changing(last) & seen
        weights = np.bitwise_count(masks).astype(np.int64)
        compared = int(weights.sum())
        if int(np.bitwise_count(np.bitwise_or.reduce(masks))) < SPOTS_MIN or compared < BITS_MIN:
            return None
        places = len(earlier) - window + 1
        probes = np.argsort(-weights)[:PROBES]
        off = np.zeros(places, np.uint16)
        for probe in probes:
            off += np.bitwise_count((earlier[probe : probe + places] ^ last[probe]) & masks[probe])
        rough = 1 - off / int(weights[probes].sum())
        near = np.flatnonzero(rough >= floor - PROBE_SLACK)
        if not len(near):
            best = int(rough.argmax())
            return Match(
                agreement=float(rough[best]), frames_back=len(held) - window - best, frames=window, compared=compared,
                deviations=0.0,
            )  # fmt: skip
        near = near[np.argsort(-rough[near])[:PLACES_MAX]]
        exact = np.bitwise_count((earlier[near[:, None] + np.arange(window)] ^ last) & masks).sum(
            axis=1, dtype=np.int64
        )
        best = int(exact.argmin())
        agreement = 1 - float(exact[best]) / compared
        deviations = (agreement - 0.5) * 2 * math.sqrt(compared * MATCH_INDEPENDENT)
        return Match(
            agreement=agreement, frames_back=len(held) - window - int(near[best]), frames=window, compared=compared,
            deviations=deviations,
        )  # fmt: skip

    def _changing(self, last: Bits) -> np.uint64:
        """Lamps that changed at least twice within the window."""
        once = np.uint64(0)
        twice = np.uint64(0)
        for one in last[1:] ^ last[:-1]:
            twice |= once & one
            once |= one
        return twice

    def _in_order(self, known: int) -> Bits:
        if self._count <= len(self._ring):
            return self._ring[:known]
        at = self._count % len(self._ring)
        return np.concatenate([self._ring[at:], self._ring[:at]])


def swings_of(series: NDArray[np.float32]) -> NDArray[np.float32]:
    """Low and high of each column of levels, shape (n, 2)."""
    if not series.size:
        return np.zeros((series.shape[1], 2), np.float32)
    return np.quantile(series, [0.04, 0.96], axis=0).T.astype(np.float32)


def _steady(last: Bits) -> Bits:
    """Of each frame of a window, the lamps that are as they were one frame before and will be one frame after.

    A repetition need not be sampled at the same moments. Where a lamp was steady from one frame to the next but one, it was so
    at all moments between, and the other sampling must agree. The first and the last frame have no two neighbours.
    """
    steady = np.zeros(len(last), np.uint64)
    steady[1:-1] = ~(last[1:-1] ^ last[:-2]) & ~(last[1:-1] ^ last[2:])
    return steady


def choose_spots(
    groups: Sequence[tuple[NDArray[np.bool_], NDArray[np.float32]]], series: NDArray[np.float32], rate: float
) -> NDArray[np.int64]:
    """Of candidate places, those at which a lamp goes on and off, and not by a clock; as numbers of columns.

    `series`: levels, shape (frames, candidates). `groups`: frames of one state of the lights, with low and high of each
    candidate in it: the same lamp swings farther in the dark, where exposure is longer.
    """
    even = np.zeros_like(series)
    wide = np.zeros(series.shape[1], bool)
    for mine, swings in groups:
        low, high = swings[:, 0], swings[:, 1]
        wide |= high - low >= 2 * AMPLITUDE_MIN
        even[mine] = (series[mine] - low) / np.maximum(high - low, AMPLITUDE_MIN)
    chosen = []
    for number in np.flatnonzero(wide):
        values = even[:, number]
        on = values > 0.5
        if not 0.04 < float(on.mean()) < 0.96:
            continue
        spread = float(values[on].std() + values[~on].std())
        if float(values[on].mean() - values[~on].mean()) >= 2.5 * spread and _repeats(on, rate) < SPOT_PERIODIC:
            chosen.append(int(number))
    return np.array(chosen[:SPOTS_MAX], np.int64)


def _repeats(on: NDArray[np.bool_], rate: float) -> float:
    """The highest autocorrelation from two seconds on, within a third of the series."""
    centred = on - on.mean()
    size = 1 << (2 * len(on) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    correlation = np.fft.irfft(spectrum)[: len(on)]
    first, last = max(2, round(2 * rate)), len(on) // 3
    if last <= first or correlation[0] <= 0:
        return 0.0
    overlap = len(on) / (len(on) - np.arange(first, last))
    return float((correlation[first:last] * overlap).max() / correlation[0])
