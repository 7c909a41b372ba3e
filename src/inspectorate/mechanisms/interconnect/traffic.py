"""Traffic of a pod on a grid of intervals: lower bound, estimate and upper bound, and where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Times = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Bytes per interval in one direction, shape (intervals,): at least `lower`, at most `upper`."""

    lower: Floats
    estimate: Floats
    upper: Floats


@dataclass(frozen=True, kw_only=True)
class PeerTraffic:
    """What a pod exchanged with one other."""

    sent: Flow
    received: Flow


@dataclass(frozen=True, kw_only=True)
class PodTraffic:
    """What crossed one pod's link, on a grid of intervals."""

    pod: str
    edges_ns: Times
    """Shape (intervals + 1,)."""
    sent: Flow
    received: Flow
    peers: Mapping[str, PeerTraffic]
    observed: Mask
    """Where the numbers mean something."""
    complete: Mask
    """Where nothing is known to be missing."""
    sampled: bool
    holders: tuple[str, ...]
    evidence_ids: tuple[str, ...]
    contradictions: tuple[str, ...]
    notes: tuple[str, ...]
    """Why intervals were not observed, and what was unreadable."""

    @property
    def durations_s(self) -> Floats:
        return np.diff(self.edges_ns) / 1e9

    def zeros(self) -> Floats:
        return np.zeros(len(self.observed))

    def why_not_observed(self) -> str:
        return "; ".join(self.notes) or "no sensor reported on it"

    def not_observed_notes(self) -> tuple[str, ...]:
        if self.observed.all():
            return ()
        missing = int((~self.observed).sum())
        return (f"{self.pod}: {missing} of {len(self.observed)} intervals were not observed",)
