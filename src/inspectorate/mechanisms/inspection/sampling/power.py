"""The power of plans against each adversary, in one table: how often a draw holds a packet that is dirty.

A plan is made for a dirty share of time and a miss probability; each adversary then hides just that share. The least
power over all adversaries is what a plan can promise. A draw by packets promises it only if it was made for the fewest
packets that hold the share (`allocation.packets_for`); a draw by time promises it whatever the packets are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.sampling.adversaries import Adversary, dirty_rows, found, power
from inspectorate.mechanisms.inspection.sampling.allocation import packets_for, points_for
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.sampling import sample_size_for_share

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A plan by name, and how it selects."""

    name: str
    selection: Selection


@dataclass(frozen=True, kw_only=True)
class Power:
    """One plan against one adversary."""

    plan: str
    count: int
    adversary: Adversary
    dirty_packets: int
    power: float
    found: float | None
    """How often draws by hashes held a dirty packet; none: not tried."""


def plans_for(
    lengths_s: Sequence[float], dirty_share: float, miss_probability: float, *, strata: int
) -> tuple[Plan, ...]:
    """Four plans for one promise: by packets as if all were alike, by packets for the longest, by time, by time in
    strata."""
    alike = min(len(lengths_s), sample_size_for_share(dirty_share, miss_probability))
    longest = packets_for(lengths_s, dirty_share, miss_probability)
    points = points_for(dirty_share, miss_probability)
    even = math.ceil(points / strata) * strata
    return (
        Plan(name="packets, taken as alike", selection=Selection(method=Method.PACKETS, count=alike)),
        Plan(name="packets, for the longest", selection=Selection(method=Method.PACKETS, count=longest)),
        Plan(name="time", selection=Selection(method=Method.TIME, count=points)),
        Plan(name=f"time, {strata} strata", selection=Selection(method=Method.TIME, count=even, strata=strata)),
    )


def power_table(
    plans: Sequence[Plan], lengths_s: Sequence[float], dirty_share: float, *, trials: int, seed: int
) -> tuple[Power, ...]:
    """Every plan against every adversary. `trials` draws by hashes are made for each, if any."""
    lengths_ns = [round(length * SECOND_NS) for length in lengths_s]
    listed = list_of_lengths(lengths_ns)
    rows: list[Power] = []
    for plan in plans:
        for adversary in Adversary:
            dirty = dirty_rows(adversary, lengths_ns, dirty_share, seed=seed)
            tried = found(plan.selection, listed, dirty, trials=trials, seed=seed) if trials else None
            rows.append(
                Power(
                    plan=plan.name, count=plan.selection.count, adversary=adversary, dirty_packets=len(dirty),
                    power=power(plan.selection, lengths_ns, dirty), found=tried,
                )
            )  # fmt: skip
    return tuple(rows)


def list_of_lengths(lengths_ns: Sequence[int]) -> PacketList:
    """A list of packets of these lengths, one after another, to draw from."""
    ends = np.cumsum(np.asarray(lengths_ns, dtype=np.int64)).tolist()
    return PacketList(
        run="plan", sequence=0, start_ns=(0, *ends[:-1]), end_ns=tuple(ends), flop=(0.0,) * len(lengths_ns),
        leaves=tuple(hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(lengths_ns))),
    )  # fmt: skip


def lengths_of(kind: str, packets: int, *, mean_s: float, seed: int) -> list[float]:
    """Lengths of packets: `equal`; `mixed`, between half and twice the mean; `skewed`, of which a few hold most of the
    time."""
    rng = np.random.default_rng(seed)
    match kind:
        case "equal":
            raw = np.ones(packets)
        case "mixed":
            raw = rng.uniform(0.5, 2.0, packets)
        case "skewed":
            raw = np.exp(rng.normal(0.0, 1.5, packets))
        case _:
            raise ValueError(f"{kind!r} is no kind of lengths: equal, mixed or skewed")
    return [float(value) for value in raw * (mean_s / raw.mean())]
