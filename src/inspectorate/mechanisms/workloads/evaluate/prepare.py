"""The windows of a run, once as features and once as series: what every detector gets, and nothing else.

- Windows with less than `OBSERVED_SHARE_MIN` measured in any signal are left out for all detectors alike, and counted:
  whoever scores fewer windows must not look better for it.
- Series have no gaps, because the libraries of others do not take them: a gap is bridged by a straight line between its
  neighbours. Features see the gaps.
- Long runs are thinned evenly for fitting only (`thinned`); all windows are scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.reference import OBSERVED_SHARE_MIN, STRIDE_S, WINDOW_S
from inspectorate.mechanisms.workloads.evaluate.runs import Run
from inspectorate.mechanisms.workloads.telemetry.frame import Dense
from inspectorate.mechanisms.workloads.windows import window_features


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """The scored windows of one run.

    Shapes: `start_s` (windows,) since the start of the run; `features` (windows, features) float64, NaN where a feature
    cannot be had; `series` (windows, signals, steps) float32 without NaN. `offered` counts the windows before any was left out.
    """

    run: Run
    names: tuple[str, ...]
    start_s: NDArray[np.float64]
    features: NDArray[np.float64]
    series: NDArray[np.float32]
    offered: int
    window_s: float

    def __len__(self) -> int:
        return len(self.start_s)

    def take(self, places: NDArray[np.int64]) -> Prepared:
        """Some of the windows."""
        return Prepared(
            run=self.run,
            names=self.names,
            start_s=self.start_s[places],
            features=self.features[places],
            series=self.series[places],
            offered=self.offered,
            window_s=self.window_s,
        )


def prepare(run: Run, *, window_s: float = WINDOW_S, stride_s: float = STRIDE_S) -> Prepared:
    """The windows of a run. Raises `InputError` where a window has too few steps."""
    frame = run.frame
    steps, stride = round(window_s / frame.step_s), round(stride_s / frame.step_s)
    if steps < 8 or stride < 1:
        raise InputError(
            f"{window_s:g} s every {stride_s:g} s are {steps} and {stride} steps of {frame.step_s:g} s",
            where=run.id,
            remedy="a window needs eight steps, and the next must begin at least one later",
        )
    if frame.times < steps:
        nothing = np.empty((0, len(frame.signals), steps), dtype=np.float32)
        return Prepared(run=run, names=(), start_s=np.empty(0), features=np.empty((0, 0)), series=nothing, offered=0,
                        window_s=window_s)  # fmt: skip
    windows = window_features(frame, window_s=window_s, stride_s=stride_s)
    first = (windows.start_ns - frame.start_ns) // frame.step_ns
    raw = np.stack([frame.values[:, place : place + steps, 0] for place in first.tolist()])
    usable = np.isfinite(raw).mean(axis=2).min(axis=1) >= OBSERVED_SHARE_MIN
    return Prepared(
        run=run,
        names=windows.names,
        start_s=(windows.start_ns[usable] - frame.start_ns) / 1e9,
        features=windows.values[usable, 0].astype(np.float64),
        series=bridged(raw[usable]),
        offered=len(windows),
        window_s=window_s,
    )


def bridged(series: Dense) -> Dense:
    """Gaps filled by straight lines along the last axis. No row may be all gaps."""
    filled = series.copy()
    places = np.arange(series.shape[-1])
    for at in np.argwhere(np.isnan(series).any(axis=-1)).tolist():
        row = filled[tuple(at)]
        good = np.isfinite(row)
        row[~good] = np.interp(places[~good], places[good], row[good])
    return filled


def thinned(one: Prepared, most: int) -> Prepared:
    """At most so many windows of a run, evenly spaced."""
    if len(one) <= most:
        return one
    return one.take(np.unique(np.linspace(0, len(one) - 1, most).round().astype(np.int64)))


def prepare_all(
    runs: Sequence[Run], *, window_s: float = WINDOW_S, stride_s: float = STRIDE_S
) -> tuple[tuple[Prepared, ...], int]:
    """The windows of all runs that have any, and how many runs have none. Raises `InputError` if signals or steps differ."""
    shapes = {(run.frame.signals, run.frame.step_ns) for run in runs}
    if len(shapes) > 1:
        first, second = sorted(shapes)[:2]
        raise InputError(
            f"runs differ in signals or steps: {', '.join(first[0])} every {first[1] / 1e9:g} s, and "
            f"{', '.join(second[0])} every {second[1] / 1e9:g} s",
            remedy="choose the signals that all have (--signals)",
        )
    found = tuple(prepare(run, window_s=window_s, stride_s=stride_s) for run in runs)
    kept = tuple(one for one in found if len(one))
    if not kept:
        raise InputError("no run has a window that is measured well enough", remedy="choose shorter windows")
    return kept, len(found) - len(kept)
