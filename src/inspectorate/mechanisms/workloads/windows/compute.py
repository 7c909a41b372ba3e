"""Features of all windows of a frame.

Lengths of windows and strides are rounded to whole steps of the frame, and `Windows.window_ns` says what came of it. Windows begin
at the frame's start and every stride after it; what does not fill a window at the end has no features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows.drive import Plan, features_into, statistics_into
from inspectorate.mechanisms.workloads.windows.network import comparators
from inspectorate.mechanisms.workloads.windows.reference import (
    OBSERVED_MIN,
    PAIRS_MIN,
    QUANTILES,
    SHIFT_PART,
    SHIFT_STEPS_MIN,
    STEPS_MAX,
    STEPS_MIN,
    VALUES_MAX,
)
from inspectorate.mechanisms.workloads.windows.rhythm import band_of, waves
from inspectorate.mechanisms.workloads.windows.types import Windows, feature_names, main_pairs, statistic_names

Pods = NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Windows in steps. Raises `ValueError` where they are too short, too long, or leave steps out of sight by mistake."""

    step_ns: int
    steps: int
    stride: int
    needed: int

    @property
    def window_ns(self) -> int:
        return self.steps * self.step_ns


def layout_of(step_ns: int, *, window_s: float, stride_s: float | None, observed_min: float) -> Layout:
    """Windows of `window_s` every `stride_s` (without one: end to end), each measured to a share of at least `observed_min`."""
    if not 0.0 < observed_min <= 1.0:
        raise ValueError(f"a window cannot be measured to a share of {observed_min}")
    steps = round(window_s * 1e9 / step_ns) if math.isfinite(window_s) else 0
    stride = steps if stride_s is None else round(stride_s * 1e9 / step_ns) if math.isfinite(stride_s) else 0
    if not STEPS_MIN <= steps <= STEPS_MAX:
        raise ValueError(f"windows of {window_s} s have {steps} steps, not {STEPS_MIN} to {STEPS_MAX}")
    if stride < 1:
        raise ValueError(f"a stride of {stride_s} s is less than a step")
    needed = max(PAIRS_MIN, math.ceil(observed_min * steps - 1e-9))
    return Layout(step_ns=step_ns, steps=steps, stride=stride, needed=needed)


def plan_of(layout: Layout, signals: tuple[str, ...], units: int, pods: Pods | None) -> Plan:
    """The tables of the kernels. Raises `ValueError` if the pods do not fit the units."""
    pod = np.zeros(units, np.int64) if pods is None else np.array(pods, np.int64)
    if pod.shape != (units,) or (units and not 0 <= int(pod.min()) <= int(pod.max()) < units):
        raise ValueError(f"there must be one pod, counted from 0, for each of {units} units")
    pairs = [(signals.index(one), signals.index(other)) for one, other in main_pairs(signals)]
    cosine, sine = waves(layout.steps)
    return Plan(
        steps=layout.steps,
        network=comparators(layout.steps),
        places=np.array([place for _, place in QUANTILES]),
        cosine=cosine,
        sine=sine,
        band=band_of(layout.steps),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        pod=pod,
        pods=int(pod.max(initial=0)) + 1,
        needed=layout.needed,
        shift=max(SHIFT_STEPS_MIN, layout.steps // SHIFT_PART),
        step_s=layout.step_ns / 1e9,
    )


def starts_of(times: int, layout: Layout) -> NDArray[np.int64]:
    """Steps at which whole windows begin."""
    return np.arange(0, times - layout.steps + 1, layout.stride, dtype=np.int64)


def window_features(
    frame: Frame,
    *,
    window_s: float,
    stride_s: float | None = None,
    observed_min: float = OBSERVED_MIN,
    pods: Pods | None = None,
) -> Windows:
    """All features of a frame's windows; see docs/windows.md.

    `pods`: the pod of each unit, counted from 0, within which synchrony is computed; without it the frame is one pod. A signal
    of which less than `observed_min` of a window was measured has NaN for all its features there. Raises `ValueError`
    where windows do not fit steps, or there are more than `VALUES_MAX` features.
    """
    layout = layout_of(frame.step_ns, window_s=window_s, stride_s=stride_s, observed_min=observed_min)
    plan = plan_of(layout, frame.signals, len(frame.units), pods)
    windows = empty_windows(frame, layout, feature_names(frame.signals))
    if windows.values.size:
        out, observed = flat(windows)
        features_into(dense(frame), starts_of(frame.times, layout), plan, out, observed)
    return windows


def window_statistics(
    frame: Frame, *, window_s: float, stride_s: float | None = None, observed_min: float = OBSERVED_MIN
) -> Windows:
    """Order statistics, mean and standard deviation alone, with the names and values that `window_features` gives them."""
    layout = layout_of(frame.step_ns, window_s=window_s, stride_s=stride_s, observed_min=observed_min)
    plan = plan_of(layout, frame.signals, len(frame.units), None)
    windows = empty_windows(frame, layout, statistic_names(frame.signals))
    if windows.values.size:
        out, observed = flat(windows)
        statistics_into(dense(frame), starts_of(frame.times, layout), plan, out, observed)
    return windows


def empty_windows(frame: Frame, layout: Layout, names: tuple[str, ...]) -> Windows:
    """The table for a frame's windows, before it is filled."""
    starts = starts_of(frame.times, layout)
    shape = (len(starts), len(frame.units), len(names))
    if math.prod(shape) > VALUES_MAX:
        raise ValueError(f"{shape[0]} windows of {shape[1]} units have more than {VALUES_MAX} features: cut the frame")
    return Windows(
        names=names,
        units=frame.units,
        start_ns=frame.start_ns + starts * frame.step_ns,
        window_ns=layout.window_ns,
        values=np.empty(shape, np.float32),
        observed=np.empty(shape[:2], np.float32),
    )


def dense(frame: Frame) -> NDArray[np.float32]:
    """The frame's values as the kernels were compiled for, copied only if they are read-only or lie otherwise."""
    return np.require(frame.values, np.float32, ["C", "W"])


def flat(windows: Windows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Values and shares observed with one row for each window and unit, as the kernels write them."""
    return windows.values.reshape(-1, len(windows.names)), windows.observed.reshape(-1)
