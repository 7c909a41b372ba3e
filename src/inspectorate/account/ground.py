"""What an account stands on: cells with their capacities, and the statements that bound them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.assessment import Assessment, HiddenBound, Joining, Outside
from inspectorate.errors import InputError
from inspectorate.quantities import Period, to_ns

Floats = NDArray[np.float64]
CELLS_MAX = 50_000_000


@dataclass
class Statement:
    """One statement with the cells that it bounds, as (pod rows, interval slice, cap per interval [FLOP])."""

    id: str
    miss_probability: float
    bounds: list[tuple[list[int], slice, HiddenBound]] = field(default_factory=list)
    joinings: list[tuple[list[int], slice, Joining]] = field(default_factory=list)
    outside: list[tuple[list[int], slice, Outside]] = field(default_factory=list)
    assumptions: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What does not depend on the choice of statements."""

    pods: tuple[str, ...]
    intervals: tuple[Period, ...]
    capacity: Floats
    """[FLOP], shape (pods, intervals)."""
    asked: NDArray[np.bool_]
    """Whether anything speaks of where the chips of a cell are, same shape; filled as statements are collected."""
    rows: Mapping[str, int]
    starts_ns: NDArray[np.int64]
    ends_ns: NDArray[np.int64]

    def cells(self, pods: Sequence[str], period: Period, *, cell_s_min: float = 0.0) -> tuple[list[int], slice]:
        """The rows of `pods`; the intervals wholly within `period` and `cell_s_min` long: the last may be shorter."""
        first = int(np.searchsorted(self.starts_ns, to_ns(period.start), side="left"))
        last = int(np.searchsorted(self.ends_ns, to_ns(period.end), side="right"))
        lengths_ns = self.ends_ns[first:last] - self.starts_ns[first:last]
        last = first + int(np.count_nonzero(lengths_ns >= cell_s_min * 1e9 * (1 - 1e-12)))
        return [self.rows[pod] for pod in pods if pod in self.rows], slice(first, max(first, last))


def lay_ground(capacities: Mapping[str, float], period: Period, interval_s: float) -> Ground:
    try:
        intervals = period.intervals(interval_s)
    except ValueError as fault:
        raise InputError(str(fault), remedy="choose another interval") from None
    pods = tuple(sorted(capacities))
    if len(pods) * len(intervals) > CELLS_MAX:
        raise InputError(
            f"{len(pods)} pods x {len(intervals)} intervals are more than {CELLS_MAX} cells",
            remedy="choose a longer interval",
        )
    rates = np.array([capacities[pod] for pod in pods])
    durations = np.array([interval.duration_s for interval in intervals])
    return Ground(
        pods=pods,
        intervals=intervals,
        capacity=np.outer(rates, durations),
        asked=np.zeros((len(pods), len(intervals)), dtype=np.bool_),
        rows={pod: row for row, pod in enumerate(pods)},
        starts_ns=np.array([to_ns(interval.start) for interval in intervals], dtype=np.int64),
        ends_ns=np.array([to_ns(interval.end) for interval in intervals], dtype=np.int64),
    )


def collect(assessments: Iterable[Assessment], ground: Ground) -> list[Statement]:
    """Gather what is bounded under the statement on which it rests; the largest miss probability counts."""
    found: dict[str, Statement] = {}

    def statement(part: HiddenBound | Joining | Outside, assumptions: tuple[str, ...]) -> Statement:
        entry = found.setdefault(part.statement, Statement(part.statement, 0.0))
        entry.miss_probability = max(entry.miss_probability, part.miss_probability)
        entry.assumptions.update(assumptions)
        return entry

    for assessment in assessments:
        for bound in assessment.hidden:
            rows, span = ground.cells(bound.scope.pods, bound.scope.period, cell_s_min=bound.cell_s_min)
            statement(bound, assessment.assumptions).bounds.append((rows, span, bound))
        for joining in assessment.joining:
            rows, span = ground.cells(joining.scope.pods, joining.scope.period)
            statement(joining, assessment.assumptions).joinings.append((rows, span, joining))
        for elsewhere in assessment.outside:
            rows, span = ground.cells(elsewhere.scope.pods, elsewhere.scope.period)
            ground.asked[np.ix_(rows, range(ground.asked.shape[1]))] = True
            statement(elsewhere, assessment.assumptions).outside.append((rows, span, elsewhere))
    return [found[name] for name in sorted(found)]
