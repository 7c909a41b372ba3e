"""What would help most: how far the largest hidden run falls if one group of cells were fully explained (rule 6)."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from inspectorate.account.ground import Ground, Statement
from inspectorate.account.largest import Bounded
from inspectorate.account.types import AccountPoint, Help
from inspectorate.quantities import Period

SERIES_POINTS_MAX: Final = 1_000
HELP_MAX: Final = 20
NO_EVIDENCE: Final = "nothing"


def what_helps(ground: Ground, chosen: list[Statement], bounded: Bounded) -> tuple[Help, ...]:
    """For each pod and each basis of its cells, and for what may be elsewhere; the most helpful first.

    Only the `HELP_MAX` groups that hold most are tried: explaining a group never lowers the run by more than it holds.
    """
    largest, hidden, basis = bounded.run_flop, bounded.hidden, bounded.basis
    held = [
        (float(hidden[row, basis[row] == number].sum()), row, int(number))
        for row in range(len(ground.pods))
        for number in np.unique(basis[row])
    ]
    groups = sorted(held, key=lambda group: (-group[0], group[1], group[2]))
    durations_h = np.array([interval.duration_s for interval in ground.intervals]) / 3600
    found: list[Help] = []
    for _, row, number in (group for group in groups[:HELP_MAX] if group[0] > 0):
        cells = basis[row] == number
        without = hidden.copy()
        without[row, cells] = 0.0
        run = bounded.run_with(hidden=without)
        found.append(
            Help(
                pod=ground.pods[row],
                basis=chosen[number].id if number >= 0 else NO_EVIDENCE,
                hours=float(durations_h[cells].sum()),
                hidden_flop_max=run,
                falls_by_flop=max(0.0, largest - run),
            )
        )
    if bounded.elsewhere.any():
        found.append(_chips_found(chosen, bounded, durations_h))
    found.sort(key=lambda h: (-h.falls_by_flop, h.pod or "", h.basis))
    return tuple(found)


def _chips_found(
    chosen: list[Statement], bounded: Bounded, durations_h: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Help:
    """How far it falls if every chip were shown to be where it is declared."""
    run = bounded.run_with(elsewhere=np.zeros_like(bounded.elsewhere))
    counts = sorted(s.id for s in chosen if any(one.share_max < 1 for _, _, one in s.outside))
    return Help(
        pod=None,
        basis=", ".join(counts) or NO_EVIDENCE,
        hours=float(durations_h[bounded.elsewhere > 0].sum()),
        hidden_flop_max=run,
        falls_by_flop=max(0.0, bounded.run_flop - run),
    )


def series(ground: Ground, bounded: Bounded) -> tuple[AccountPoint, ...]:
    """Capacity and hidden bound over time, of all pods together, in at most `SERIES_POINTS_MAX` points."""
    count = len(ground.intervals)
    edges = np.unique(np.linspace(0, count, min(count, SERIES_POINTS_MAX) + 1).astype(int))
    capacity = ground.capacity.sum(axis=0)
    held = np.minimum(bounded.hidden.sum(axis=0) + bounded.elsewhere, capacity)
    return tuple(
        AccountPoint(
            period=Period(start=ground.intervals[a].start, end=ground.intervals[b - 1].end),
            capacity_flop=float(capacity[a:b].sum()),
            hidden_flop_max=float(held[a:b].sum()),
        )
        for a, b in pairwise(edges.tolist())
    )
