"""What one pod showed against the workloads that it is said to have run: distances, deviations, evidence, bounds.

1. The claims of a pod are laid over the windows of its meter. A window is *claimed* if exactly one claim that names a workload
   covers it, and *enrolled* if that workload has a signature that counts.
2. Within each claim the distance of every block to the claimed workload is that of the unit that is farthest. Windows before the
   first whole block have its distance: they are in it. A window in which any unit was not observed was not observed.
3. A block above the threshold deviates; windows that touch are one deviation.
4. Evidence: each claim is cut into stretches as long as an enrolled run; the largest distance of each is ranked among the held-out
   runs of the workload and all earlier stretches (`online_p_values`), which is exact if runs and stretches are exchangeable.
   The same with mean distances; the evidence is the mean of both e-processes, one bet per stretch, over workloads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.declaration import WorkloadClaim
from inspectorate.mechanisms.workloads.appraise.enrolled import Bench, Enrolled, features_of
from inspectorate.mechanisms.workloads.observe import MeterSeen
from inspectorate.mechanisms.workloads.signature.calibrate import Threshold
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.quantities import to_ns
from inspectorate.statistics import BetPlan, bounded_log_e, conformal_process, merge_mean, online_p_values

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
PLAN = BetPlan.from_start((0.3, 0.5, 0.7, 0.9))
"""A violation in a claim mostly lasts; stretches are few."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Compared:
    """Windows of one pod. Shapes (windows,)."""

    start_ns: NDArray[np.int64]
    window_ns: int
    observed: Mask
    claimed: Mask
    enrolled: Mask
    distance: Values
    """To the claimed workload; NaN where not observed, not claimed or not enrolled."""
    threshold: Values
    power_w: Values
    """Mean over the window, of all units together; NaN where not measured."""
    thresholds: dict[str, Threshold]
    log_e: float
    departures: tuple[tuple[str, float], ...]
    """Of the largest deviation: which features depart, in usual spreads."""

    @property
    def deviates(self) -> Mask:
        with np.errstate(invalid="ignore"):
            found: Mask = np.greater(self.distance, self.threshold)
        return found

    @property
    def deviations(self) -> int:
        return int(np.count_nonzero(np.diff(np.concatenate(([False], self.deviates)).astype(np.int8)) == 1))


def compare(
    seen: MeterSeen, having: Enrolled, claims: tuple[WorkloadClaim, ...], *, rate_max: float, window_s: float
) -> Compared | None:
    """Compare one pod (steps in the module's docstring). None where the meter showed no whole window."""
    if seen.frame is None or having.bench is None:
        return None
    frame = _shaped(seen, having)
    if frame is None:
        return None
    names, values, start_ns = _windows(frame, window_s)
    if not len(values) or names != having.bench.library.names:
        return None
    window_ns = round(window_s * 1e9)
    label = _labels(start_ns, window_ns, claims)
    level = names.index(f"{frame.signals[0]}:mean")
    observed: Mask = np.logical_and(
        np.isfinite(values[:, :, level]).all(axis=1), _seen_through(seen, start_ns, window_ns)
    )
    distance, threshold = np.full(len(values), np.nan), np.full(len(values), np.nan)
    thresholds: dict[str, Threshold] = {}
    evidence: list[float] = []
    for number, claim in enumerate(claims):
        workload = claim.workload
        if workload is None or workload not in having.bench.library.workloads:
            continue
        limit = having.bench.calibration.threshold(workload, per_device_hour_max=rate_max)
        if limit is None:
            continue
        thresholds[workload] = limit
        rows = np.flatnonzero((label == number) & observed)
        if len(rows):
            distance[rows] = _farthest(having.bench, values[rows], workload)
            threshold[rows] = limit.distance
        evidence.append(_evidence(having.bench, values[rows], workload, window_s))
    worst = int(np.nanargmax(distance - threshold)) if np.isfinite(distance).any() else -1
    return Compared(
        start_ns=start_ns,
        window_ns=window_ns,
        observed=observed,
        claimed=label >= 0,
        enrolled=np.isin(label, [k for k, claim in enumerate(claims) if claim.workload in thresholds]),
        distance=distance,
        threshold=threshold,
        power_w=_power(names, values),
        thresholds=thresholds,
        log_e=bounded_log_e(merge_mean(evidence)) if evidence else 0.0,
        departures=_departures(having.bench, values, claims, label, worst),
    )


def _shaped(seen: MeterSeen, having: Enrolled) -> Frame | None:
    """The frame with the enrolled signals in their order; None where one was not measured or a unit was silent."""
    record = next(iter(having.signatures.values())).record
    frame = seen.frame
    if frame is None or seen.silent_units or not set(record.signals) <= set(frame.signals):
        return None
    if abs(frame.step_s - record.step_s) > 1e-9:
        return None
    places = [frame.signals.index(signal) for signal in record.signals]
    return Frame(
        units=frame.units,
        signals=record.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[places]),
    )


def _labels(start_ns: NDArray[np.int64], window_ns: int, claims: tuple[WorkloadClaim, ...]) -> NDArray[np.int64]:
    """The one claim with a workload that covers each window: its number; -1 for none, -2 for several."""
    label = np.full(len(start_ns), -1, dtype=np.int64)
    for number, claim in enumerate(claims):
        if claim.workload is None:
            continue
        touches = (start_ns < to_ns(claim.period.end)) & (start_ns + window_ns > to_ns(claim.period.start))
        covered = (start_ns >= to_ns(claim.period.start)) & (start_ns + window_ns <= to_ns(claim.period.end))
        label = np.where(touches & (label != -1), -2, np.where(covered, number, label))
    return label


def _windows(frame: Frame, window_s: float) -> tuple[tuple[str, ...], Values, NDArray[np.int64]]:
    """Names, features and beginnings of all windows. What is left at the end, shorter than a window, is in a last window
    that overlaps the one before."""
    steps = max(1, round(window_s / frame.step_s))
    names, values = features_of(frame, window_s)
    start_ns = frame.start_ns + steps * frame.step_ns * np.arange(len(values), dtype=np.int64)
    if frame.times > steps and frame.times % steps:
        first = frame.times - steps
        rest = Frame(
            units=frame.units,
            signals=frame.signals,
            start_ns=frame.start_ns + first * frame.step_ns,
            step_ns=frame.step_ns,
            values=np.ascontiguousarray(frame.values[:, first:]),
        )
        values = np.concatenate([values, features_of(rest, window_s)[1]])
        start_ns = np.append(start_ns, rest.start_ns)
    return names, values, start_ns


def _seen_through(seen: MeterSeen, start_ns: NDArray[np.int64], window_ns: int) -> Mask:
    """Windows in which every unit was observed at every step."""
    assert seen.frame is not None
    steps = max(1, round(window_ns / seen.frame.step_ns))
    holes = np.concatenate(([0], np.cumsum(~seen.observed.all(axis=1))))
    first = (start_ns - seen.frame.start_ns) // seen.frame.step_ns
    through: Mask = np.equal(holes[np.minimum(first + steps, len(holes) - 1)], holes[first])
    return through


def _farthest(bench: Bench, values: Values, workload: str) -> Values:
    """Step 2 for the windows of one claim, shape (windows, units, features): distances of the farthest unit."""
    place = bench.library.workloads.index(workload)
    every = [bench.library.distances(values[:, unit], whole=True)[:, place] for unit in range(values.shape[1])]
    farthest: Values = np.max(np.stack(every), axis=0)
    told = np.flatnonzero(np.isfinite(farthest))
    if len(told):
        farthest[: told[0]] = farthest[told[0]]
    return farthest


def _evidence(bench: Bench, values: Values, workload: str, window_s: float) -> float:
    """Step 4 for the windows of one claim: the log e-value.

    A rest that is shorter than a run is left out, unless it is all there is: its maximum can only be smaller.
    """
    known = bench.calibration.of(workload)
    if not known or not len(values):
        return 0.0
    length = max(1, round(float(np.mean([one.hours for one in known])) * 3600 / window_s))
    count = max(1, len(values) // length)
    parts = [_farthest(bench, values[k * length : (k + 1) * length], workload) for k in range(count)]
    largest = [float(np.nanmax(part)) for part in parts]
    mean = [float(np.nanmean(part)) for part in parts]
    found = []
    for scores, calibration in (
        (largest, [one.largest for one in known]),
        (mean, [one.mean for one in known]),
    ):
        p_values = online_p_values(scores, calibration=calibration)
        found.append(float(conformal_process(p_values, plan=PLAN).log_e_final[0]))
    return merge_mean(found)


def _power(names: tuple[str, ...], values: Values) -> Values:
    if "power_w:mean" not in names:
        return np.full(len(values), np.nan)
    total: Values = values[:, :, names.index("power_w:mean")].sum(axis=1)
    return total


def _departures(
    bench: Bench, values: Values, claims: tuple[WorkloadClaim, ...], label: NDArray[np.int64], worst: int
) -> tuple[tuple[str, float], ...]:
    if worst < 0 or label[worst] < 0:
        return ()
    workload = claims[int(label[worst])].workload
    assert workload is not None
    first = max(0, worst - bench.library.block + 1)
    block = values[first : worst + 1][label[first : worst + 1] == label[worst]]
    unit = int(np.argmax([np.nanmax(bench.library.distances(block[:, u])) for u in range(block.shape[1])]))
    return bench.library.departures(block[:, unit], workload)
