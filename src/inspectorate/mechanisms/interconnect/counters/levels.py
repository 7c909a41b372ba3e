"""Bytes in any interval, at least and at most, from a port's increases.

The values of reading i are those of a moment between `early_ns[i]` and `time_ns[i]`. So in an interval [a, b)

- at least: all steps from the first reading that is surely not of before a to the last that is surely not of after b;
- at most: all steps from the last reading that is surely not of after a to the first that is surely not of before b;
- an interval that readings do not enclose on both sides has no upper bound.

A gap needs no rule of its own: an interval within it has 0 at least and the increase over the gap at most, and the gap as a
whole has its increase exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.interconnect.counters.increase import PortSteps, Whole
from inspectorate.mechanisms.interconnect.traffic import Floats, Mask, Times


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """Bytes (or packets) per interval: at least `lower`, at most `upper` (infinite where there is no bound)."""

    lower: Floats
    estimate: Floats
    upper: Floats


class Levels:
    """One counter of a port, ready to be asked for intervals."""

    def __init__(self, steps: PortSteps, side: str) -> None:
        one = steps.sides[side]
        self._time_ns = steps.time_ns
        # The first reading whose running maximum reaches a time is the first that reaches it.
        self._early_ns = np.maximum.accumulate(steps.early_ns)
        self._middle_ns = np.maximum.accumulate((steps.time_ns + steps.early_ns) / 2)
        self._lower = _prefix(one.lower)
        self._upper = _prefix(one.upper)
        self._unbounded = _prefix(one.unbounded.astype(np.int64))
        self._estimate = self._lower + np.where(self._unbounded > 0, 0, (self._upper - self._lower) // 2)

    def between(self, start_ns: Times, end_ns: Times) -> Amounts:
        """Bounds for the intervals [start, end), all of shape (intervals,)."""
        last = len(self._time_ns) - 1
        inner_first = np.searchsorted(self._early_ns, start_ns, "left")
        inner_last = np.searchsorted(self._time_ns, end_ns, "right") - 1
        within = inner_last > inner_first
        lower = np.where(within, self._lower[np.maximum(inner_last, 0)] - self._lower[np.minimum(inner_first, last)], 0)

        outer_first = np.searchsorted(self._time_ns, start_ns, "right") - 1
        outer_last = np.searchsorted(self._early_ns, end_ns, "left")
        enclosed = (outer_first >= 0) & (outer_last <= last)
        first, stop = np.maximum(outer_first, 0), np.minimum(outer_last, last)
        bounded = enclosed & (self._unbounded[stop] == self._unbounded[first])
        upper = np.where(bounded, (self._upper[stop] - self._upper[first]).astype(np.float64), np.inf)
        guess = self._level(end_ns) - self._level(start_ns)
        return Amounts(lower=lower.astype(np.float64), estimate=np.clip(guess, lower, upper), upper=upper)

    def _level(self, at_ns: Times) -> Floats:
        """The level at some times, as if every step were even."""
        found: Floats = np.interp(at_ns, self._middle_ns, self._estimate.astype(np.float64))
        return found


def amounts(steps: PortSteps, side: str, edges_ns: Times) -> Amounts:
    """Bounds for the intervals between edges; without steps, nothing is known."""
    if not steps.steps:
        nothing = np.zeros(len(edges_ns) - 1)
        return Amounts(lower=nothing, estimate=nothing, upper=np.full(len(nothing), np.inf))
    return Levels(steps, side).between(edges_ns[:-1], edges_ns[1:])


def observed(steps: PortSteps, edges_ns: Times) -> Mask:
    """Intervals that readings enclose, and that touch no gap, no frozen stretch and no reading in doubt."""
    if not steps.steps:
        return np.zeros(len(edges_ns) - 1, np.bool_)
    start, end = edges_ns[:-1], edges_ns[1:]
    first = np.searchsorted(steps.time_ns, start, "right") - 1
    last = np.searchsorted(np.maximum.accumulate(steps.early_ns), end, "left")
    enclosed = (first >= 0) & (last < len(steps.time_ns))
    bad = _prefix((steps.gap | steps.frozen | steps.doubtful).astype(np.int64))
    stop = np.minimum(last, len(steps.time_ns) - 1)
    seen: Mask = enclosed & (bad[stop] == bad[np.maximum(first, 0)])
    return seen


@dataclass(frozen=True, kw_only=True)
class GapTotal:
    """What passed a port over one gap: when is not known, how much is, at least and at most."""

    port: str
    start_ns: int
    end_ns: int
    in_lower: int
    in_upper: float
    out_lower: int
    out_upper: float


def gap_totals(steps: PortSteps) -> tuple[GapTotal, ...]:
    """The sums over every gap of a port: exact where lower and upper are equal."""
    if not steps.steps:
        return ()
    into, out = steps.sides["in_octets"], steps.sides["out_octets"]
    return tuple(
        GapTotal(
            port=str(steps.port),
            start_ns=int(steps.time_ns[at]),
            end_ns=int(steps.time_ns[at + 1]),
            in_lower=int(into.lower[at]),
            in_upper=float("inf") if into.unbounded[at] else int(into.upper[at]),
            out_lower=int(out.lower[at]),
            out_upper=float("inf") if out.unbounded[at] else int(out.upper[at]),
        )
        for at in np.flatnonzero(steps.gap)
    )


def _prefix(values: Whole) -> Whole:
    """Running sums with a zero in front."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)))
