"""Clocks: by how much those of two meters of one load differ, whether one runs fast, and whether one was set in between.

Procedure (`compare_clocks`):

1. Both series are put on one grid, of the coarser of their steps, and differenced; differences are clipped at four of their
   own spreads, so that one edge does not decide.
2. The lag of the whole is where the correlation of differences is largest, up to `CLOCK_LAG_S_MAX`, with a parabola between steps.
3. Windows are compared by themselves; windows whose best correlation is not clear say nothing. Where one lag does not fit
   the whole, because clocks drift, the median over windows stands for it.
4. A line through the lags of windows (Theil and Sen) is the drift; the largest jump of the median of lags before and after a
   moment, if it is more than `CLOCK_OFF_S_MAX` and explains the lags better than the line does, is a step.

A shift of the clocks of both meters together is not seen. A periodic load fits at many lags: then the lag is that of the largest
correlation nearest to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.series import Series
from inspectorate.mechanisms.workloads.telemetry.frame import Values

WINDOW_STEPS = 120
WINDOWS_MIN = 4
CLEAR_CORRELATION = 0.4
"""Two series whose best correlation of differences is less say nothing of each other's clocks."""
CLEAR_WINDOW = 0.5
"""The same for one window, which has more lags to choose from than samples."""
STEPS_MAX = 2_000_000
NEARER = 0.02
"""Of lags whose correlations differ by less than this, the one nearest to zero counts."""


@dataclass(frozen=True, kw_only=True)
class Clocks:
    """How the second meter's clock stands to the first's: positive lags mean that the second tells of things later."""

    lag_s: float
    correlation: float
    drift: float
    """Seconds per second; 0 where too few windows are clear."""
    stepped_at_ns: int | None
    step_s: float
    windows: int
    """How many windows were clear."""


def compare_clocks(one: Series, other: Series) -> Clocks | None:
    """The clocks of two series of one load; None where they do not overlap enough, or nothing happens in them."""
    start, end = max(int(one.time_ns[0]), int(other.time_ns[0])), min(int(one.time_ns[-1]), int(other.time_ns[-1]))
    if len(one) < 4 or len(other) < 4 or end <= start:
        return None
    step = max(float(np.median(np.diff(one.time_ns))), float(np.median(np.diff(other.time_ns))))
    count = int((end - start) / step) + 1
    if not WINDOW_STEPS // 4 <= count <= STEPS_MAX:
        return None
    # (1)
    grid = start + step * np.arange(count)
    x = _innovations(np.interp(grid, one.time_ns, one.values))
    y = _innovations(np.interp(grid, other.time_ns, other.values))
    most = min(int(reference.CLOCK_LAG_S_MAX * 1e9 / step), count // 2)
    # (2)
    lag, correlation = _best_lag(x, y, 0, most)
    if correlation <= 0:
        return None
    # (3)
    at, lags, clear = _window_lags(x, y, round(lag), most)
    if correlation < CLEAR_CORRELATION <= clear:
        lag, correlation = float(np.median(lags)), clear
    seconds = step / 1e9
    # (4)
    drift, step_s, stepped = _drift_and_step(at * seconds, lags * seconds)
    return Clocks(
        lag_s=lag * seconds,
        correlation=correlation,
        drift=drift,
        stepped_at_ns=None if stepped is None else int(start + stepped * 1e9),
        step_s=step_s,
        windows=len(at),
    )


def clock_findings(one: Series, other: Series) -> tuple[SeriesFinding, ...]:
    """Shifts, drifts and steps beyond `reference`, of two series that are said to measure one load."""
    clocks = compare_clocks(one, other)
    if clocks is None or clocks.correlation < CLEAR_CORRELATION:
        return ()
    found: list[tuple[FindingKind, float, str, int | None]] = []
    if clocks.stepped_at_ns is not None:
        text = f"the clock of one was set by {clocks.step_s:+.1f} s against the other"
        found.append((FindingKind.CLOCK_STEPPED, clocks.step_s, text, clocks.stepped_at_ns))
    elif abs(clocks.drift) > reference.CLOCK_DRIFT_MAX and clocks.windows >= 2 * WINDOWS_MIN:
        text = f"their clocks drift apart by {clocks.drift * 1e6:+.0f} millionths"
        found.append((FindingKind.CLOCK_DRIFTS, clocks.drift, text, None))
    if clocks.stepped_at_ns is None and abs(clocks.lag_s) > reference.CLOCK_OFF_S_MAX:
        text = (
            f"they agree only if the second clock is {clocks.lag_s:+.1f} s off (correlation {clocks.correlation:.2f})"
        )
        found.append((FindingKind.CLOCK_SHIFTED, clocks.lag_s, text, None))
    start, end = int(max(one.time_ns[0], other.time_ns[0])), int(min(one.time_ns[-1], other.time_ns[-1]))
    return tuple(
        SeriesFinding(
            kind=kind, one=one.name, other=other.name, start_ns=at or start, end_ns=at or end, size=size, text=text
        )
        for kind, size, text, at in found
    )


def _innovations(values: Values) -> Values:
    change = np.diff(values)
    scale = 1.4826 * float(np.median(np.abs(change - np.median(change))))
    if scale <= 0:
        scale = float(change.std()) or 1.0
    clipped: Values = np.clip(change - change.mean(), -4 * scale, 4 * scale)
    return clipped


def _best_lag(x: Values, y: Values, around: int, most: int) -> tuple[float, float]:
    """The lag [steps] of y against x within `most` of `around` with the largest correlation, and that correlation."""
    size = 1 << (2 * len(x) - 1).bit_length()
    cross = np.fft.irfft(np.conj(np.fft.rfft(x, size)) * np.fft.rfft(y, size), size)
    lags = np.arange(around - most, around + most + 1)
    lags = lags[np.abs(lags) < len(x) - 3]
    norm = float(np.sqrt((x @ x) * (y @ y)))
    if not len(lags) or norm == 0:
        return float(around), 0.0
    # What a lag leaves out of the overlap counts as no agreement, so that far lags are not favoured.
    r = cross[lags % size] / norm
    near = lags[r >= r.max() - NEARER * abs(r.max())]
    best = int(near[np.argmin(np.abs(near))])
    at = int(np.flatnonzero(lags == best)[0])
    fine = 0.0
    if 0 < at < len(lags) - 1:
        a, b, c = r[at - 1], r[at], r[at + 1]
        bend = a - 2 * b + c
        fine = float(np.clip((a - c) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    return best + fine, float(r[at])


def _window_lags(x: Values, y: Values, around: int, most: int) -> tuple[Values, Values, float]:
    """The middle and the lag of each window that is clear [steps], and the median correlation of windows at their lags."""
    reach = min(most, max(len(y) - WINDOW_STEPS, 0))
    at, found, best_of = [], [], []
    for start in range(0, len(x) - WINDOW_STEPS + 1, WINDOW_STEPS // 2):
        low, high = max(0, start - reach), min(len(y), start + WINDOW_STEPS + reach)
        part = x[start : start + WINDOW_STEPS]
        beside = np.lib.stride_tricks.sliding_window_view(y[low:high], WINDOW_STEPS)
        r = beside @ part / (np.sqrt((beside * beside).sum(axis=1) * float(part @ part)) + 1e-12)
        lags = np.arange(len(r)) + low - start
        near = np.flatnonzero(r >= r.max() - NEARER * abs(r.max()))
        best = int(near[np.argmin(np.abs(lags[near] - around))])
        best_of.append(float(r[best]))
        if r[best] >= CLEAR_WINDOW:
            at.append(start + WINDOW_STEPS / 2)
            found.append(float(lags[best]))
    return np.array(at), np.array(found), float(np.median(best_of)) if best_of else 0.0


def _drift_and_step(at: Values, lags: Values) -> tuple[float, float, float | None]:
    """Drift [s/s], step [s] and when it was [s from the beginning]; no step if a line explains the lags as well."""
    if len(at) < WINDOWS_MIN:
        return 0.0, 0.0, None
    rows, columns = np.triu_indices(len(at), 1)
    drift = float(np.median((lags[columns] - lags[rows]) / (at[columns] - at[rows])))
    line = np.abs(lags - drift * at - np.median(lags - drift * at)).sum()
    best, jump, when = np.inf, 0.0, None
    for cut in range(2, len(at) - 1):
        before, after = np.median(lags[:cut]), np.median(lags[cut:])
        rest = np.abs(lags[:cut] - before).sum() + np.abs(lags[cut:] - after).sum()
        if rest < best:
            best, jump, when = rest, float(after - before), float(at[cut - 1] + at[cut]) / 2
    if abs(jump) > reference.CLOCK_OFF_S_MAX and best < 0.5 * line:
        return 0.0, jump, when
    return drift, 0.0, None
