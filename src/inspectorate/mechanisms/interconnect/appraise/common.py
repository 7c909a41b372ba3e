"""What appraisals of several kinds of clause share: evidence over streams, verdicts, scopes, and words for stretches of time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from inspectorate.assessment import Case, Scope, Verdict
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.quantities import Period, from_ns
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process

NAME = "interconnect"
SPANS_SHOWN = 4

Mask = NDArray[np.bool_]


def log_e_of(exceeded: list[Mask], observed: list[Mask], rate_max: float, plan: BetPlan) -> list[float]:
    """The log e-value of each exceedance stream at the end of the period; 0 where nothing was observed.

    All streams in one call, each of shape (intervals,): many short streams cost little more than one.
    """
    asked = np.vstack(observed)
    process = exceedance_process(np.vstack(exceeded) & asked, rate_max=rate_max, observed=asked, plan=plan)
    return [bounded_log_e(float(value)) for value in process.log_e_final]


def verdict_of(seen: PodTraffic, kept: bool, exceeded: bool) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if seen.contradictions:
        return Verdict.INVALID_EVIDENCE
    if not seen.observed.all():
        return Verdict.NOT_OBSERVED
    if exceeded or not kept:
        return Verdict.INCONCLUSIVE
    return Verdict.CONSISTENT


def rates_of(seen: PodTraffic, byte_counts: NDArray[np.float64]) -> NDArray[np.float64]:
    rates: NDArray[np.float64] = byte_counts / seen.durations_s
    return rates


def scope_of(pods: tuple[str, ...], case: Case, seen: PodTraffic, marked: Mask) -> Scope:
    """The pods, over the stretch from the first marked interval to the last; over the whole period if there is none."""
    where = np.flatnonzero(marked)
    if not len(where):
        return Scope(pods=pods, period=case.period)
    start, end = int(seen.edges_ns[where[0]]), int(seen.edges_ns[where[-1] + 1])
    return Scope(pods=pods, period=Period(start=from_ns(start), end=from_ns(end)))


def stretches(mask: Mask) -> list[tuple[int, int]]:
    """Maximal stretches (start, stop) in which the mask holds."""
    padded = np.concatenate(([False], mask, [False])).astype(np.int8)
    steps = np.flatnonzero(np.diff(padded))
    return [(int(a), int(b)) for a, b in zip(steps[::2], steps[1::2], strict=True)]


def spans_text(seen: PodTraffic, marked: Mask) -> str:
    """The marked stretches in words, the longest few of them."""
    runs = sorted(stretches(marked), key=lambda run: run[0] - run[1])
    shown = sorted(runs[:SPANS_SHOWN])
    text = ", ".join(
        f"{from_ns(int(seen.edges_ns[a])):%H:%M:%S}–{from_ns(int(seen.edges_ns[b])):%H:%M:%S}" for a, b in shown
    )
    return text + (f" and {len(runs) - len(shown)} more" if len(runs) > len(shown) else "")


def assumptions_of(seen: PodTraffic) -> tuple[str, ...]:
    if not seen.evidence_ids:
        return ()
    return (
        f"sensors held by {', '.join(seen.holders)} report every flow, or count every byte, of the link they watch",
        "no pod has a link that is not declared",
        "declared link capacities and active timeouts are true",
    )


def bytes_text(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{math.floor(count)} B"
