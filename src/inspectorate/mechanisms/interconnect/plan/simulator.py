"""The simulator of arXiv 2605.29359, in the version whose documentation was read (pinned as `VERSION`).

    T_comp = 6 P B / (F u)        V = P b / 8 / c        T_sync = (2 V / W + latency) (1 + 0.05 log2 N)
    H      = ceil(T_sync / T_comp)
    alpha  = 0.08 / (1 + log10(P / 1e9) / 5)
    eta    = max(0.4, 1 - alpha log10 H) x quality x (1 - 0.005 min(2.4, P/1e9) / (P/1e9) log2 N)
    C      = N F u eta x time x H T_comp / max(H T_comp, T_sync)

The repository's newer documentation has another term for replicas; this one reproduces the published table. Growth is in
orders of magnitude a year; the longest sensible run is 1 / (g ln 10) years.
"""

from __future__ import annotations

import math

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.mechanisms.interconnect.plan import arithmetic as a
from inspectorate.quantities import Positive, Share

VERSION = "replica term 1 - 0.005 min(2.4, P) / P log2 N, quality 0.98 at 16 times compression"
A100_FLOP_PER_S = 312e12
YEAR_S = 365.25 * 86_400


class Node(Record):
    """One node of the network, and the run it takes part in."""

    accelerators: Positive = 48
    flop_per_s_each: Positive = A100_FLOP_PER_S
    utilisation: Share = 0.4
    parameters: Positive = 240e9
    batch_tokens: Positive = 131_072
    bits: Positive = 16
    compression: Positive = 16
    quality: Share = 0.98
    bytes_per_s: Positive = 12.5e6
    latency_s: Positive = 0.1
    years: Positive = 1.5


class Run(Record):
    """What the simulator says of N nodes."""

    nodes: int = Field(ge=1)
    compute_s: float
    synchronise_s: float
    spread: float
    inner_steps: int
    alpha: float
    efficiency: float
    flop: float
    bytes_per_s: float


def simulate(node: Node, nodes: int) -> Run:
    """One row of the published table."""
    rate = node.accelerators * node.flop_per_s_each * node.utilisation
    compute = a.step_s(node.batch_tokens, node.parameters, rate)
    size = a.gradient_bytes(node.parameters, node.bits, node.compression)
    sync = a.synchronise_s(size, node.bytes_per_s, node.bytes_per_s, node.latency_s, nodes)
    steps = a.inner_steps_min(sync, compute)
    billions = node.parameters / 1e9
    alpha = 0.08 / (1 + math.log10(billions) / 5)
    replicas = 1 - 0.005 * min(2.4, billions) / billions * math.log2(nodes)
    efficiency = max(0.4, 1 - alpha * math.log10(steps)) * node.quality * replicas
    outer = max(steps * compute, sync)
    return Run(
        nodes=nodes,
        compute_s=compute,
        synchronise_s=sync,
        spread=1 + 0.05 * math.log2(nodes),
        inner_steps=steps,
        alpha=alpha,
        efficiency=efficiency,
        flop=nodes * rate * efficiency * node.years * YEAR_S * steps * compute / outer,
        bytes_per_s=size / outer,
    )


def longest_run_years(growth_per_year: float) -> float:
    """Years after which starting later would have been quicker, at so many orders of magnitude a year."""
    return 1 / (growth_per_year * math.log(10))
