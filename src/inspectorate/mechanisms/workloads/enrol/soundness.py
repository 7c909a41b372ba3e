"""Whether the samples of a run are what a meter measured: nothing silent, strange, standing still or seen before.

These are the plain checks, exact and without a model; finer ones (copies with noise, shifted clocks, second meters) are those of
`integrity`, and are made again over every period under review.

- *silence*: between two samples of a unit, and at both ends of the run, no more than `silence_s_max` and one step; of each
  signal at most `UNOBSERVED_SHARE_MAX` of a unit's rows may lack a value.
- *stuck*: a unit whose every signal keeps one value throughout the run, while its kin move or not. Idle chips still differ by
  noise in power, energy or time counted; a series without any change is a sensor that stands still.
- *copied*: two units with the very same values of a signal at all moments, where these values vary as measurements do.
- *replayed*: a stretch of changes of one unit and signal that stands in an earlier run in the same order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.reference_telemetry import in_frames
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.quantities import Period, to_ns

NAMES_SHOWN = 3
STRETCH = 16
"""Samples of a stretch that is looked for in earlier runs."""
DISTINCT_MIN = 12
"""Distinct values that a stretch must have for its repetition to mean anything: quantised and idle series repeat by chance."""
_MULTIPLIERS = np.array([pow(0x9E3779B97F4A7C15, i + 1, 2**64) | 1 for i in range(STRETCH)], dtype=np.uint64)
"""A multiplicative hash of a stretch: odd multipliers from the golden ratio. A chance hit in 10^7 stretches has odds of 10^-5."""


def undeclared_units(samples: Samples, declared: Collection[str]) -> list[str]:
    """Units that the meter shows and nobody declared."""
    known = set(declared)
    strangers = [samples.units[int(i)] for i in np.unique(samples.unit) if samples.units[int(i)] not in known]
    return [f"the meter shows units that nobody declared: {_some(strangers)}"] if strangers else []


def silences(samples: Samples, plan: SessionPlan, period: Period) -> list[str]:
    """What of the plan's units and signals was not measured throughout the period."""
    reasons = []
    absent = [signal for signal in plan.signals if signal not in {in_frames(name) for name in samples.signals}]
    if absent:
        reasons.append(f"it has no {_some(absent)}")
    allowed_ns = round((plan.silence_s_max + plan.step_s) * 1e9)
    start, end = to_ns(period.start), to_ns(period.end)
    gaps: list[tuple[int, str]] = []
    seen: set[int] = set()
    for i, rows in _by_unit(samples):
        seen.add(i)
        longest = int(np.diff(np.concatenate(([start], samples.time_ns[rows], [end]))).max())
        if longest > allowed_ns:
            gaps.append((longest, plan.units[i]))
    silent = [unit for i, unit in enumerate(plan.units) if i not in seen]
    if silent:
        reasons.append(f"it has nothing of {_some(silent)}")
    if gaps:
        longest, unit = max(gaps)
        reasons.append(
            f"{len(gaps)} units were silent for longer than {plan.silence_s_max:g} s: {unit} for {longest / 1e9:.1f} s"
        )
    return reasons + ([] if reasons else _lacking(samples, plan))


def sensor_faults(samples: Samples, units: Sequence[str]) -> list[str]:
    """Units that stand still, and units that are copies of one another."""
    stuck: list[str] = []
    seen: dict[tuple[int, bytes], str] = {}
    copies: list[str] = []
    for i, rows in _by_unit(samples):
        values = samples.values[rows]
        finite = np.isfinite(values)
        counted = finite.any(axis=0)
        if len(values) > 2 and not any(np.unique(values[finite[:, j], j]).size > 1 for j in np.flatnonzero(counted)):
            stuck.append(units[i])
            continue
        for j in np.flatnonzero(counted):
            series = np.ascontiguousarray(values[:, j])
            if np.unique(series[np.isfinite(series)]).size < DISTINCT_MIN:
                continue
            other = seen.setdefault((int(j), series.tobytes()), units[i])
            if other != units[i]:
                copies.append(f"{units[i]} shows the very {samples.signals[int(j)]} of {other}")
    reasons = [f"{_some(stuck)} did not change in any signal: the sensor stands still"] if stuck else []
    return reasons + copies[:NAMES_SHOWN]


class SeenStretches:
    """Stretches of the runs so far, to tell when a later run repeats one: of whichever unit, in the same signal and order.

    Differences are compared, so that a counter that was moved to go on from another level is found as well. Of earlier runs every
    `STRETCH`-th stretch is kept, of a new one all are looked up: a repetition of 2 * STRETCH samples is always found.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, NDArray[np.uint64]]]] = {}

    def faults(self, samples: Samples) -> list[str]:
        """What of a run stands in an earlier one."""
        reasons: list[str] = []
        for signal in samples.signals:
            for name, known in self._known.get(signal, ()):
                repeated = [
                    samples.units[i]
                    for i, hashes in _stretches(samples, signal, every=1)
                    if np.isin(hashes, known).any()
                ]
                if repeated:
                    reasons.append(f"{_some(repeated)} repeat {STRETCH} samples and more of {signal} of run {name}")
        return reasons[:NAMES_SHOWN]

    def add(self, run: str, samples: Samples) -> None:
        """Take a run in."""
        for signal in samples.signals:
            found = [hashes for _, hashes in _stretches(samples, signal, every=STRETCH)]
            if found:
                self._known.setdefault(signal, []).append((run, np.unique(np.concatenate(found))))


def _stretches(samples: Samples, signal: str, *, every: int) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Hashes of the stretches of differences of one signal that have enough distinct values, unit by unit."""
    column = samples.values[:, samples.signals.index(signal)]
    for i, rows in _by_unit(samples):
        series = column[rows]
        series = np.diff(series[np.isfinite(series)])
        if len(series) < STRETCH:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(series, STRETCH)[::every]
        distinct = 1 + np.count_nonzero(np.diff(np.sort(windows, axis=1), axis=1), axis=1)
        kept = windows[distinct >= DISTINCT_MIN]
        if len(kept):
            # Shortened to float32: a difference of large counters carries their rounding. Zero is written in one way only.
            words = (kept.astype(np.float32) + np.float32(0)).view(np.uint32).astype(np.uint64)
            yield i, (words * _MULTIPLIERS).sum(axis=1, dtype=np.uint64)


def _lacking(samples: Samples, plan: SessionPlan) -> list[str]:
    """Signals of which a unit lacks more values than polls may fail."""
    reasons = []
    rows = np.bincount(samples.unit, minlength=len(plan.units))
    for signal in plan.signals:
        columns = [i for i, name in enumerate(samples.signals) if in_frames(name) == signal]
        measured = np.isfinite(samples.values[:, columns]).any(axis=1)
        have = np.bincount(samples.unit[measured], minlength=len(plan.units))
        lacking = np.flatnonzero(have < (1 - reference.UNOBSERVED_SHARE_MAX) * rows)
        if lacking.size:
            worst = int(lacking[np.argmin(have[lacking] / rows[lacking])])
            reasons.append(
                f"{lacking.size} units lack values of {signal}: {plan.units[worst]} has {int(have[worst])} in "
                f"{int(rows[worst])} samples"
            )
    return reasons


def _by_unit(samples: Samples) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Rows of each unit in order of time."""
    order = np.lexsort((samples.time_ns, samples.unit))
    edges = np.flatnonzero(np.diff(samples.unit[order], prepend=-1, append=-1))
    for a, b in pairwise(edges):
        yield int(samples.unit[order[a]]), order[a:b]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
