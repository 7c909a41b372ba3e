"""Sensors that do not measure: stuck, coarse, too quiet, dropping to zero, saturated.

Rules:

- These weaken evidence. None of them says by itself that anybody made it so: management controllers do all of this.
- Each check looks at a unit while it is on, and at noise only while it is busy: an idle unit may well be quiet.
- Thresholds are for power (`reference`); a share of time at 100 % utilisation is no frozen sensor.
"""

from __future__ import annotations

import math

import numpy as np

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.series import Mask, Series, grid_step
from inspectorate.mechanisms.workloads.telemetry.frame import Values


def sensor_findings(series: Series) -> tuple[SeriesFinding, ...]:
    """All that is wrong with one power series as a measurement. Nothing is said of a series of less than `STUCK_SAMPLES_MIN`."""
    if len(series) < reference.STUCK_SAMPLES_MIN:
        return ()
    return (*stuck(series), *zero_while_on(series), *coarse(series), *too_quiet(series), *saturated(series))


def stuck(series: Series) -> tuple[SeriesFinding, ...]:
    """Stretches of one value, other than 0, that last longer than polling explains."""
    found = []
    same = np.diff(series.values) == 0
    for start, stop in _stretches(same & (series.values[1:] > 0)):
        lasted = float(series.time_ns[stop] - series.time_ns[start]) / 1e9
        if lasted >= reference.STUCK_S_MIN and stop - start + 1 >= reference.STUCK_SAMPLES_MIN:
            text = f"shows {series.values[start]:g} W {stop - start + 1} times in a row, for {lasted:.0f} s"
            found.append(_finding(series, FindingKind.STUCK, start, stop, lasted, text))
    return tuple(found)


def zero_while_on(series: Series) -> tuple[SeriesFinding, ...]:
    """Samples at or below 0 W with samples of a running unit before and after them; one finding for all of them."""
    off = series.values <= 0
    on = np.flatnonzero(~off)
    if not off.any() or len(on) < 2:
        return ()
    within = np.flatnonzero(off[on[0] : on[-1]]) + on[0]
    if not len(within):
        return ()
    text = f"{len(within)} samples at 0 W or less between samples of a running unit"
    return (_finding(series, FindingKind.ZERO_WHILE_ON, int(within[0]), int(within[-1]), float(len(within)), text),)


def coarse(series: Series) -> tuple[SeriesFinding, ...]:
    """A grid wider than `STEP_SHARE_MAX` of the median level."""
    on = series.values[series.values > 0]
    step = grid_step(on)
    if not len(on) or step <= reference.STEP_SHARE_MAX * float(np.median(on)):
        return ()
    text = f"its values lie on a grid of {step:g} W"
    return (_finding(series, FindingKind.COARSE, 0, len(series) - 1, step, text),)


def too_quiet(series: Series) -> tuple[SeriesFinding, ...]:
    """Innovations, while busy, below what the grid and any power sensor show."""
    there = busy(series)
    if int(there.sum()) < 4 * reference.STUCK_SAMPLES_MIN:
        return ()
    # Repeats of a sensor that is polled too often say nothing of its noise; `stuck` looks for them.
    fresh = np.concatenate(([True], np.diff(series.values) != 0)) & there
    if int(fresh.sum()) < 4 * reference.STUCK_SAMPLES_MIN:
        return ()
    level, noise = float(np.median(series.values[there])), _noise(series.values[fresh])
    step = grid_step(series.values)
    if step > 0 and noise >= reference.NOISE_STEPS_MIN * step:
        return ()
    if noise >= reference.NOISE_SHARE_MIN * level:
        return ()
    text = f"innovations of {noise:.3g} W at {level:.0f} W: less than power sensors of busy units show"
    return (_finding(series, FindingKind.TOO_QUIET, 0, len(series) - 1, noise / level, text),)


def saturated(series: Series) -> tuple[SeriesFinding, ...]:
    """The highest value occurs much more often than the values right below it."""
    values = series.values
    top, step = float(values.max()), grid_step(values)
    at = values >= top
    share = float(at.mean())
    if share < reference.SATURATED_SHARE_MIN or share > 0.95:
        return ()
    near = (values < top) & (values >= top - max(3 * step, 0.005 * abs(top)))
    if int(at.sum()) < reference.SATURATED_FACTOR * max(1, int(near.sum())):
        return ()
    where = np.flatnonzero(at)
    text = f"shows its highest value, {top:g} W, in {share:.0%} of samples and hardly anything right below it"
    return (_finding(series, FindingKind.SATURATED, int(where[0]), int(where[-1]), share, text),)


def _noise(values: Values) -> float:
    """The noise of one sample, by second differences: a slope is no noise."""
    return float(np.median(np.abs(np.diff(values, 2)))) / (0.6745 * math.sqrt(6.0))


def busy(series: Series) -> Mask:
    """Where a unit takes more than its lowest level plus `IDLE_SHARE` of its range."""
    on = series.values[series.values > 0]
    if not len(on):
        return np.zeros(len(series), dtype=np.bool_)
    low, high = np.quantile(on, [0.02, 0.98])
    found: Mask = series.values > low + reference.IDLE_SHARE * (high - low)
    return found


def _stretches(mask: Mask) -> list[tuple[int, int]]:
    """(first sample, last sample) of stretches in which each step of the mask holds."""
    padded = np.concatenate(([False], mask, [False])).astype(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def _finding(series: Series, kind: FindingKind, start: int, stop: int, size: float, text: str) -> SeriesFinding:
    return SeriesFinding(
        kind=kind,
        one=series.name,
        start_ns=int(series.time_ns[start]),
        end_ns=int(series.time_ns[stop]),
        size=size,
        text=text,
    )
