"""One factor for the account: how much each further pod adds to one run, under a verified limit.

Let f(k) be the most that k equal pods reach together under the limit, in well-connected FLOP/s of one pod, over all methods
and sizes of model. Contributions c_1 = 1 >= c_2 >= ... with c_1 + ... + c_k >= f(k) for every k are what the account needs
(decision 0003). They are the increments of the least concave function above f.

- The agreement says which case of the adversary counts; unless it does, `cautious`: ten times rarer and half as large
  synchronisations as anybody has shown. The factor is a bound within the catalogue of methods, and an assumption beyond it.
- f is the most over runs of several sizes (`run_flops`). Neither larger nor smaller runs join better in general: larger ones
  need fewer bytes per FLOP, and smaller ones fit into pods with little memory.
- Pods of a group may differ; the slowest stands for all, because a slow pod needs the least bandwidth per FLOP.
- Beyond `EXACT_PODS_MAX` pods the contributions are constant, at the largest mean of any number up to there: no method
  does more per pod when there are more pods.
- Two tables: pre-training (updates are exchanged), and post-training (rollouts or data are made in other pods as well). A run
  whose parts never exchange anything is not one run but several, each counted by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.plan.inverse import Kind, Sizes
from inspectorate.mechanisms.interconnect.plan.types import Case, LinkLimit, Pods

EXACT_PODS_MAX = 64
ROUND_TRIP_S = 1e-3
"""Pods of one site are near each other; a longer way only slows the adversary."""
MEMORY_BYTES_MAX = 1e18
"""Stands for a memory that is not known."""
SIGNIFICANT = 6
"""Rates are rounded, in the adversary's favour, to so many digits, so that near-equal groups share their tables."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Pods that stayed below one verified limit over the same stretch."""

    pods: int
    bytes_per_s: float
    pod_flop_per_s: float
    """What the slowest of them reaches."""
    memory_bytes: float
    """Of the largest of them."""
    run_flops: tuple[float, ...]
    """Sizes of the runs that the pods might join for."""
    case: Case


def contributions(group: Group, *, post_training: bool) -> tuple[float, ...]:
    """The contributions of the first, second, ... pod, at least two of them (rules in the module's docstring).

    Raises `ValueError` on no pods or no sizes.
    """
    if group.pods < 1:
        raise ValueError("a joining needs at least one pod")
    if not group.run_flops:
        raise ValueError("a joining is for runs of some size")
    alike = replace(
        group,
        pods=min(max(2, group.pods), EXACT_PODS_MAX),
        bytes_per_s=_up(group.bytes_per_s),
        pod_flop_per_s=_down(group.pod_flop_per_s),
        memory_bytes=_up(min(group.memory_bytes, MEMORY_BYTES_MAX)),
    )
    table = _table(alike, Kind.POST_TRAINING if post_training else Kind.PRE_TRAINING)
    if group.pods <= EXACT_PODS_MAX:
        return table
    reached = np.cumsum(table)
    share = min(1.0, float(max((reached[1:] - 1) / np.arange(1, len(reached)))))
    return (1.0,) + (share,) * (group.pods - 1)


@lru_cache(maxsize=512)
def _table(group: Group, kind: Kind) -> tuple[float, ...]:
    limit = LinkLimit.same(group.bytes_per_s, round_trip_s=ROUND_TRIP_S)
    reached = [1.0]
    for count in range(2, group.pods + 1):
        fleet = Pods(count=count, flop_per_s=group.pod_flop_per_s, memory_bytes=group.memory_bytes)
        best = max(Sizes.of_run(fleet, group.case, flop).best(limit, kind).flop_per_s for flop in group.run_flops)
        best /= group.pod_flop_per_s
        reached.append(min(float(count), max(best, reached[-1])))
    return increments(np.array(reached))


def increments(reached: Floats) -> tuple[float, ...]:
    """The increments of the least concave function above f(1) = 1, f(2), ..., with f(0) = 0 and none above 1."""
    heights = np.concatenate([[0.0], reached])
    corners = [0]
    for k in range(1, len(heights)):
        while len(corners) > 1 and _below(heights, corners[-2], corners[-1], k):
            corners.pop()
        corners.append(k)
    above = np.interp(np.arange(len(heights)), corners, heights[corners])
    steps = np.minimum(1.0, np.diff(above))
    steps[0] = 1.0
    return tuple(float(step) for step in np.minimum.accumulate(np.maximum(steps, 0.0)))


def _below(heights: Floats, first: int, middle: int, last: int) -> bool:
    """Whether the middle corner lies on or below the line between the others."""
    rise = (heights[middle] - heights[first]) * (last - first)
    return bool(rise <= (heights[last] - heights[first]) * (middle - first))


def _up(value: float) -> float:
    return float(f"{value * (1 + 10.0**-SIGNIFICANT):.{SIGNIFICANT}g}")


def _down(value: float) -> float:
    return float(f"{value * (1 - 10.0**-SIGNIFICANT):.{SIGNIFICANT}g}")
