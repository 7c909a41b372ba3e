"""What a clean sample bounds, and why totals go blind as a fleet grows.

The law. One node of N does or states a share g less than it should. A check of the total sees g/N of the whole, and the
noise of a total shrinks like 1/sqrt(N) at best, and not at all where meters share an error: the signal is gone long
before N is large. A check that recomputes a share r of every node's packets finds that node with probability 1 -
(1-r)^n, where n is how many of its packets are false, whatever N is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspectorate.statistics.numerics import checked_probability
from inspectorate.statistics.sampling import detection_over_rounds

RULE_OF_THREE = 3.0
"""ln 20 = 2.996, rounded up: zero of n dirty leaves a share of at most 3/n at 95 % (Hanley & Lippman-Hand 1983)."""


def rule_of_three(sampled: int) -> float:
    """Upper bound on the dirty share at 95 %, after a clean sample."""
    if sampled < 1:
        return 1.0
    return min(1.0, RULE_OF_THREE / sampled)


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """Nodes that report, one of which reports too little."""

    gap: float
    """What the one node leaves out, as a share of its work."""
    noise: float
    """Standard deviation of a meter of one node, relative, independent of the others."""
    shared_noise: float
    """Of an error that all meters have in common, relative."""
    packets: int
    """Packets of one node in an epoch, of which the share `gap` is false."""

    @property
    def false_packets(self) -> int:
        return math.ceil(self.gap * self.packets - 1e-9)


def total_detection(nodes: Nodes, count: int, false_alarm: float, *, trials: int, seed: int) -> float:
    """How often a check of the total sees the gap, at this rate of false alarms, by simulation.

    The check knows the noise exactly, which favours it: it alarms where the total falls short by more than the quantile
    of honest totals.
    """
    checked_probability("the rate of false alarms", false_alarm)
    rng = np.random.default_rng(seed)
    deviation = math.hypot(nodes.noise / math.sqrt(count), nodes.shared_noise)
    honest = rng.normal(0.0, deviation, trials)
    cheating = rng.normal(0.0, deviation, trials) - nodes.gap / count
    return float(np.mean(cheating < np.quantile(honest, false_alarm)))


def spot_detection(nodes: Nodes, share: float) -> float:
    """How often a share of packets, recomputed at random, shows one that is false: 1 - (1-r)^n. N does not occur."""
    return detection_over_rounds(share, nodes.false_packets)


def spot_detection_simulated(nodes: Nodes, count: int, share: float, *, trials: int, seed: int) -> float:
    """The same with all N nodes and every packet in it, to see that N does not matter."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(trials):
        recomputed = rng.random((count, nodes.packets)) < share
        found += bool(np.any(recomputed[0, : nodes.false_packets]))
    return found / trials
