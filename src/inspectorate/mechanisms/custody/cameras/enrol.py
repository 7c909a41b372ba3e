"""Enrolment: from honest video, with an inspector present, to reference pictures and thresholds.

What the video must show: the corridor empty, doors closed, each state of the lights for a while, devices at work. A minute at
least; ten are better.

1. Windows of five seconds are told apart by their cells: each kind that lasts is a state of the lights, with its median picture.
2. All frames are looked at once more, as they will be when watched. Thresholds lie beyond the extremes of that, by the margins of
   `reference`.
3. Lamps of devices are where pixels change most, two levels are told apart, and no clock is behind it.
4. `check` watches other honest video with these thresholds, which are then fixed, and counts alarms. Its length decides how low
   a rate of alarms can be claimed: with no alarm in a day, three a day at 95 % confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.evidence.predicate import Origin
from inspectorate.mechanisms.custody.cameras.enrolment import (
    EDGES_STEP,
    MOTION_STEP,
    Checked,
    Enrolment,
    LightState,
    cells_text,
    picture_text,
    ready,
)
from inspectorate.mechanisms.custody.cameras.eye import Eye
from inspectorate.mechanisms.custody.cameras.reference import (
    CELL_MARGIN,
    CELL_RELIABLE,
    CELL_TEXTURE,
    DARK_SHARE,
    EDGES_MARGIN,
    EDGES_MORE,
    ENROL_FRAMES_MAX,
    ENROL_S_MIN,
    LIVE_MARGIN,
    MATCH_DEVIATIONS,
    MATCH_EVERY_S,
    MATCH_MORE,
    MOTION_MARGIN,
    RING,
    SHARP_MARGIN,
    SHIFT_MARGIN,
    SHIFT_MIN_PX,
    SPOT_ACTIVITY,
    SPOT_APART_PX,
    SPOTS_MAX,
    SPOTS_MIN,
    STATE_ALIKE,
    STATE_WINDOW_S,
    STATES_MAX,
)
from inspectorate.mechanisms.custody.cameras.regions import Regions
from inspectorate.mechanisms.custody.cameras.sight import Look, Reference, Sight, fit, parts_of, per_cell
from inspectorate.mechanisms.custody.cameras.source import Frame, Grey
from inspectorate.mechanisms.custody.cameras.spots import History, Spots, choose_spots, levels, swings_of
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.statistics import clopper_pearson_upper

SECONDS_A_DAY = 86_400
MISS = 0.05
_SETTLE_S = 2.0
_MEDIAN_OF = 41
_SWING_FRAMES = 40


def enrol(frames: Iterable[Frame], regions: Regions, *, rate: float, origin: Origin) -> Enrolment:
    """Enrol a camera on honest video. Raises `EvidenceError` where the video cannot be enrolled on."""
    taken: list[Frame] = []
    for frame in frames:
        if len(taken) >= ENROL_FRAMES_MAX:
            break
        taken.append(frame)
    length = taken[-1].time_s - taken[0].time_s if taken else 0.0
    if length < ENROL_S_MIN:
        raise EvidenceError(
            f"lasts {length:.0f} s, and an enrolment takes {ENROL_S_MIN:.0f} s at least", where="enrolment",
            remedy="film the empty corridor for some minutes, with lights on and off",
        )  # fmt: skip
    references = tuple(Reference.of(one) for one in _states(taken))
    looks = _looked(taken, references, rate)
    lasting = tuple(one for number, one in enumerate(references) if len(_within(looks, number)) >= 2)
    if not lasting:
        raise EvidenceError("no state of the lights lasts", where="enrolment", remedy="film without moving the camera")
    if len(lasting) < len(references):
        looks = _looked(taken, lasting, rate)
    points, swings = _lamps(taken, looks, len(lasting), rate)
    states = tuple(
        _state(reference, _within(looks, number), swings[number]) for number, reference in enumerate(lasting)
    )
    lively, match = _fingerprints(taken, looks, Spots(points, rate, swings), rate)
    shifts = [one.shift for one in looks if one.shift is not None]
    return Enrolment(
        origin=origin, regions=regions, rate=rate, states=states,
        mean_min=DARK_SHARE * float(np.quantile([one.mean for one in looks], 0.01)),
        shift_max=max(SHIFT_MIN_PX, SHIFT_MARGIN * float(np.quantile(shifts, 0.99)) if shifts else SHIFT_MIN_PX),
        spots=tuple((int(x), int(y)) for x, y in points), lively_min=lively,
        same_s_max=max(2.0, 2.0 * _longest_same(looks)), match_deviations=max(MATCH_DEVIATIONS, match + MATCH_MORE),
        checked=Checked(seconds=0, alarms=0),
    )  # fmt: skip


def check(enrolment: Enrolment, frames: Iterable[Frame]) -> Enrolment:
    """The same enrolment, with the alarms of other honest video counted."""
    eye = Eye(ready(enrolment, RING))
    alarms = 0
    first = last = None
    for frame in frames:
        alarms += len(eye.see(frame).seen.began)
        first = frame.time_s if first is None else first
        last = frame.time_s
    seconds = 0.0 if first is None or last is None else last - first
    return enrolment.model_copy(update={"checked": checked(seconds, alarms)})


def checked(seconds: float, alarms: int) -> Checked:
    """What a count of alarms shows: alarms per second, at most one in each, by Clopper and Pearson, over a day."""
    whole = math.floor(seconds)
    if whole <= alarms:
        return Checked(seconds=seconds, alarms=alarms)
    most = clopper_pearson_upper(alarms, whole, MISS) * SECONDS_A_DAY
    return Checked(seconds=seconds, alarms=alarms, alarms_per_day_max=round(most, 3))


@dataclass(frozen=True)
class _Numbers:
    state: int
    time_s: float
    agree: NDArray[np.float16]
    edges: NDArray[np.float16]
    motion: NDArray[np.float16]
    mean: float
    sharp: float
    shift: float | None
    same: bool


def _kept(look: Look) -> _Numbers:
    return _Numbers(
        look.state, look.time_s, look.agree.astype(np.float16), look.edges.astype(np.float16),
        look.motion.astype(np.float16), look.mean, look.projected.sharp(), look.shift, look.same,
    )  # fmt: skip


def _states(taken: list[Frame]) -> list[Grey]:
    """The median picture of each state of the lights, the one that lasted longest first."""
    groups: list[tuple[Reference, list[Frame]]] = []
    for window in _windows(taken):
        picture = _median([one.grey for one in window])
        parts = parts_of(picture.astype(np.float32))
        own = per_cell(parts.gx**2 + parts.gy**2)
        alike = [fit(parts, own, float(picture.mean()), reference) for reference, _ in groups]
        if alike and max(alike) >= STATE_ALIKE:
            groups[int(np.argmax(alike))][1].extend(window)
        else:
            groups.append((Reference.of(picture), list(window)))
    groups.sort(key=lambda one: -len(one[1]))
    lasting = [members for _, members in groups if members[-1].time_s - members[0].time_s >= 1.5 * STATE_WINDOW_S]
    return [_median([one.grey for one in members]) for members in (lasting or [groups[0][1]])[:STATES_MAX]]


def _windows(taken: list[Frame]) -> Iterable[list[Frame]]:
    window: list[Frame] = []
    for frame in taken:
        if window and frame.time_s - window[0].time_s >= STATE_WINDOW_S:
            yield window
            window = []
        window.append(frame)


def _median(pictures: list[Grey]) -> Grey:
    chosen = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, _MEDIAN_OF).astype(int))]
    found: Grey = np.median(np.stack(chosen), axis=0).astype(np.uint8)
    return found


def _looked(taken: list[Frame], references: tuple[Reference, ...], rate: float) -> list[_Numbers]:
    sight = Sight(references, rate)
    return [_kept(sight.look(frame)) for frame in taken]


def _within(looks: list[_Numbers], number: int) -> list[_Numbers]:
    """Frames that are well within a state of the lights."""
    found = []
    since = None
    for before, one in zip([None, *looks[:-1]], looks, strict=True):
        if before is None or before.state != one.state:
            since = one.time_s
        if one.state == number and since is not None and one.time_s - since >= _SETTLE_S:
            found.append(one)
    return found


def _lamps(
    taken: list[Frame], looks: list[_Numbers], states: int, rate: float
) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
    """Lamps that blink, and low and high of each in every state of the lights; over all, where a state was too short to tell."""
    candidates = _candidates([frame.grey for frame in taken])
    if not len(candidates):
        return candidates, [np.zeros((0, 2), np.float32)] * states
    series = np.stack([levels(frame.grey, candidates) for frame in taken])
    groups = []
    for number in range(states):
        mine = np.array([one.state == number for one in looks])
        groups.append((mine, swings_of(series[mine] if mine.sum() >= _SWING_FRAMES else series)))
    chosen = choose_spots(groups, series, rate)
    return candidates[chosen], [swings[chosen] for _, swings in groups]


def _state(reference: Reference, mine: list[_Numbers], swings: NDArray[np.float32]) -> LightState:
    """Thresholds of one state, from frames that are well within it."""
    agree = np.quantile(np.stack([one.agree for one in mine]).astype(np.float32), 0.01, axis=0)
    motion = np.quantile(np.stack([one.motion for one in mine]).astype(np.float32), 0.99, axis=0)
    edges = np.quantile(np.stack([one.edges for one in mine]).astype(np.float32), 0.99, axis=0)
    told = (agree >= CELL_RELIABLE) & (np.sqrt(reference.energy) >= CELL_TEXTURE)
    least = np.where(told, (1 + agree - CELL_MARGIN) / 2 * 255, 0).astype(np.float32)
    return LightState(
        picture=picture_text(reference.grey), agree_min=cells_text(least),
        edges_max=cells_text(((EDGES_MARGIN * edges + EDGES_MORE) / EDGES_STEP).astype(np.float32)),
        motion_max=cells_text((motion * MOTION_MARGIN / MOTION_STEP + 1).astype(np.float32)),
        sharp_min=SHARP_MARGIN * max(0.0, float(np.quantile([one.sharp for one in mine], 0.01))),
        seen_s=mine[-1].time_s - mine[0].time_s,
        swings=tuple((round(float(low), 2), round(float(high), 2)) for low, high in swings),
    )  # fmt: skip


def _candidates(frames: list[Grey]) -> NDArray[np.int64]:
    """Where pixels change most from frame to frame, the strongest first, apart from one another."""
    cv2 = opencv()
    total = np.zeros(frames[0].shape, np.float32)
    last = None
    for grey in frames:
        peak = cv2.dilate(grey, np.ones((3, 3), np.uint8)).astype(np.float32)
        value = peak - cv2.blur(grey, (9, 9))
        if last is not None:
            total += (value - last) ** 2
        last = value
    activity = np.sqrt(total / max(1, len(frames) - 1))
    top = cv2.dilate(activity, np.ones((SPOT_APART_PX, SPOT_APART_PX), np.uint8))
    y, x = np.nonzero((activity >= top) & (activity > SPOT_ACTIVITY * max(0.3, float(np.median(activity)))))
    order = np.argsort(-activity[y, x])[: 3 * SPOTS_MAX]
    apart: list[tuple[int, int]] = []
    for i in order:
        if all(max(abs(x[i] - a), abs(y[i] - b)) >= SPOT_APART_PX for a, b in apart):
            apart.append((int(x[i]), int(y[i])))
    return np.array(apart, np.int64).reshape(-1, 2)


def _fingerprints(taken: list[Frame], looks: list[_Numbers], spots: Spots, rate: float) -> tuple[float, float]:
    """How far lamps swing at least, as a threshold; and by how many deviations any window agrees with an earlier one at best."""
    if len(spots.points) < SPOTS_MIN:
        return 0.0, 0.0
    history = History(rate, len(taken) / rate + 1)
    sight = np.ones(len(spots.points), bool)
    lively, best = [], 0.0
    every = max(1, round(MATCH_EVERY_S * rate))
    for number, frame in enumerate(taken):
        reading = spots.read(frame, sight, looks[number].state)
        history.add(reading.bits, reading.visible)
        if reading.lively is not None and frame.time_s - taken[0].time_s > 10:
            lively.append(reading.lively)
        if number % every == 0:
            best = max(best, *(match.deviations if match else 0.0 for match in history.search(0.5)))
    return LIVE_MARGIN * float(np.quantile(lively, 0.01)) if lively else 0.0, best


def _longest_same(looks: list[_Numbers]) -> float:
    longest = since = 0.0
    for before, one in pairwise(looks):
        since = since + one.time_s - before.time_s if one.same else 0.0
        longest = max(longest, since)
    return longest
