"""The e-process of every pair: from bytes per interval to evidence that two pods work in step. Steps in the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from inspectorate.mechanisms.interconnect.synchrony import kernels, reference
from inspectorate.mechanisms.interconnect.synchrony.kernels import Flags, Floats, Ints
from inspectorate.statistics import BetPlan
from inspectorate.statistics.mixture import MixtureState
from inspectorate.statistics.numerics import log_sum_exp

Pairs = Sequence[tuple[int, int]]


class Signal(NamedTuple):
    """Which surprises of the first pod are held against which of the second, and by how many intervals the first leads."""

    first: str
    second: str
    lag: int
    weight: float
    name: str


SIGNALS = (
    Signal("both", "both", 0, 0.35, "both are busy at one time"),
    Signal("sent", "sent", 0, 0.2, "both send at one time"),
    Signal("received", "received", 0, 0.15, "both receive at one time"),
    Signal("sent", "received", 0, 0.075, "the second receives when the first sends"),
    Signal("received", "sent", 0, 0.075, "the first receives when the second sends"),
    Signal("sent", "received", 1, 0.075, "the second receives an interval after the first sends"),
    Signal("received", "sent", -1, 0.075, "the first receives an interval after the second sends"),
)
"""A negative lag: the second pod leads. The weights are shares of the capital, and sum to 1."""

PRODUCT_LIMITS = np.array([reference.TOLERANCE])
PEAK_LIMITS = np.array([1 - 2 * reference.PEAK_SHARE, reference.PEAK_TOLERANCE * reference.PEAK_SHARE**2])


@dataclass(frozen=True, kw_only=True, eq=False)
class PairEvidence:
    """What was found of each pair, columns of shape (pairs,).

    `log_e`: the e-process at the end of the record; 0 where nothing could be compared. `compared`: intervals that could
    be compared on the finest grid. `correlation`: rank correlation of the surprises of the activity there, NaN where
    nothing was compared. `lead`: which bets gained most, as scale number x len(SIGNALS) + signal number.
    """

    log_e: Floats
    compared: Ints
    correlation: Floats
    lead: Ints


@dataclass(frozen=True, kw_only=True, eq=False)
class Traffic:
    """Bytes per interval of all pods: `sent`, `received` and `observed`, each of shape (pods, intervals)."""

    sent: Floats
    received: Floats
    observed: Flags
    interval_s: float

    def coarser(self, scale: int) -> Traffic:
        """`scale` intervals as one, observed if all of them are; what is left over at the end is left out."""
        if scale == 1:
            return self
        count = self.sent.shape[1] // scale
        cut = [
            values[:, : count * scale].reshape(len(self.sent), count, scale) for values in (self.sent, self.received)
        ]
        seen: Flags = self.observed[:, : count * scale].reshape(len(self.sent), count, scale).min(axis=2)
        return Traffic(
            sent=cut[0].sum(axis=2), received=cut[1].sum(axis=2), observed=seen, interval_s=self.interval_s * scale
        )


def pair_evidence(traffic: Traffic, pairs: Pairs, *, peers: Pairs = ()) -> PairEvidence:
    """The evidence that the pods of each pair, given by their numbers, work in step; `peers` are declared pairs.

    Raises `ValueError` on shapes that do not fit, on negative or infinite traffic, or on more than `ROWS_MAX` cells.
    """
    _check(traffic, pairs)
    logs: list[Floats] = []
    tally, asked = np.zeros((len(pairs), 2)), np.zeros(len(pairs), dtype=np.bool_)
    for scale in reference.SCALES:
        part = traffic.coarser(scale)
        found = np.zeros((len(SIGNALS), len(pairs)))
        if part.sent.shape[1]:
            sides = ranked_sides(part, pairs, peers)
            for first in range(0, len(pairs), reference.PAIRS_AT_ONCE):
                some = slice(first, first + reference.PAIRS_AT_ONCE)
                found[:, some], tallies = _evidence(sides, some)
                asked[some] |= tallies[:, :, 0].any(axis=0)
                tally[some] = tallies[0] if scale == 1 else tally[some]
        logs.append(found)
    every = np.concatenate(logs)
    weights = np.outer(reference.SCALE_WEIGHTS, [signal.weight for signal in SIGNALS]).reshape(-1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # The variance of a uniform rank on -1 .. 1 is 1/3; the mean of two of them has at most that.
        correlation = np.clip(3 * tally[:, 1] / tally[:, 0], -1.0, 1.0)
    return PairEvidence(
        # Exactly 0 where nothing was asked: weights that sum to 1 but for rounding are not evidence.
        log_e=np.where(asked, log_sum_exp(every + np.log(weights), axis=0), 0.0),
        compared=tally[:, 0].astype(np.int64),
        correlation=correlation,
        lead=np.argmax(every, axis=0).astype(np.int64),
    )


def _check(traffic: Traffic, pairs: Pairs) -> None:
    shape = traffic.sent.shape
    if len(shape) != 2 or not shape == traffic.received.shape == traffic.observed.shape:
        raise ValueError("sent, received and observed must be of one shape (pods, intervals)")
    if traffic.sent.size > reference.ROWS_MAX:
        raise ValueError(f"{traffic.sent.size} pods x intervals are more than {reference.ROWS_MAX}; cut the period")
    if not pairs or any(not (0 <= p < shape[0] and 0 <= q < shape[0] and p != q) for p, q in pairs):
        raise ValueError("there must be pairs, each of two different pods by number")
    for values in (traffic.sent, traffic.received):
        known = values[traffic.observed]
        if not np.all((known >= 0) & np.isfinite(known)):
            raise ValueError("observed traffic must be finite and at least zero")


def controls(pods: int, pairs: Pairs, peers: Pairs) -> tuple[Floats, Floats]:
    """Two disjoint groups of other pods for each pair, as masks of shape (pairs, pods); step 2 of the package.

    No declared peer of either pod is in them, and pods that are declared peers of each other, at first or further hand,
    are in one group: what peers exchange must not stand on both sides of a comparison. From `PODS_SPLIT` pods on, the site
    is split into four once, and a pair takes the first two quarters that will do, which many pairs then share. A group
    may be empty.
    """
    cluster = list(range(pods))
    near = {pod: {pod} for pod in range(pods)}
    for one, other in peers:
        old, new = cluster[one], cluster[other]
        cluster = [new if c == old else c for c in cluster]
        near[one].add(other)
        near[other].add(one)
    quarters = _deal(range(pods), cluster, 4) if pods >= reference.PODS_SPLIT else []
    groups = np.zeros((2, len(pairs), pods))
    for row, (one, other) in enumerate(pairs):
        barred = near[one] | near[other]
        fit = [quarter for quarter in quarters if quarter and not barred & set(quarter)][:2]
        if len(fit) < 2:
            fit = _deal([pod for pod in range(pods) if pod not in barred], cluster, 2)
        for side in (0, 1):
            groups[side, row, fit[side]] = 1.0
    return groups[0], groups[1]


def _deal(pods: Sequence[int], cluster: Sequence[int], hands: int) -> list[list[int]]:
    """The pods in so many groups of about one size, pods of a cluster together."""
    dealt: list[list[int]] = [[] for _ in range(hands)]
    of_cluster: dict[int, int] = {}
    for pod in pods:
        smallest = min(range(hands), key=lambda hand: len(dealt[hand]))
        dealt[of_cluster.setdefault(cluster[pod], smallest)].append(pod)
    return dealt


def refit_marks(count: int) -> Flags:
    """The intervals before which predictions are fitted: at the end of the warm-up, and as the record grows."""
    marks = np.zeros(count, dtype=np.bool_)
    at = reference.WARM_UP
    while at < count:
        marks[at] = True
        at = min(max(at + 8, int(at * reference.REFIT_GROWTH)), at + reference.REFIT_MAX)
    return marks


def timetable(interval_s: float, count: int) -> Ints:
    """The periods of timers that are whole numbers of intervals and come often enough in the record, in intervals."""
    whole = [round(s / interval_s) for s in reference.TIMETABLE_S if abs(s / interval_s - round(s / interval_s)) < 1e-9]
    return np.array([n for n in whole if 2 <= n <= count / reference.TIMETABLE_REPEATS_MIN], dtype=np.int64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sides:
    """Ranked surprises by direction, each (sides, intervals), NaN where there is none, and which two make each pair.

    A side is a pod beside two groups of others; pairs that have one in common share it.
    """

    ranked: dict[str, Floats]
    first: Ints
    second: Ints


def ranked_sides(traffic: Traffic, pairs: Pairs, peers: Pairs) -> Sides:
    """Steps 1 to 6 of the package for all pods of all pairs."""
    groups = controls(len(traffic.sent), pairs, peers)
    numbers: dict[tuple[int, bytes, bytes], int] = {}
    chosen: list[tuple[int, int, int]] = []
    of_pair = np.zeros((len(pairs), 2), dtype=np.int64)
    for row, pair in enumerate(pairs):
        for side, pod in enumerate(pair):
            key = (pod, groups[side][row].tobytes(), groups[1 - side][row].tobytes())
            if key not in numbers:
                numbers[key] = len(chosen)
                chosen.append((pod, row, side))
            of_pair[row, side] = numbers[key]
    pods = np.array([pod for pod, _, _ in chosen])
    beside = [np.stack([groups[side ^ other][row] for _, row, side in chosen]) for other in (0, 1)]
    known = [group @ traffic.observed.astype(np.float64) for group in beside]
    seen = np.ascontiguousarray(traffic.observed[pods] & (known[0] > 0) & (known[1] > 0))
    ranked: dict[str, Floats] = {}
    for name, volume in (("sent", traffic.sent), ("received", traffic.received)):
        floor = reference.BYTES_PER_S_FLOOR * traffic.interval_s
        log = np.where(traffic.observed, np.log1p(np.where(traffic.observed, volume, 0.0) / floor), 0.0)
        means = [group @ log / np.maximum(count, 1.0) for group, count in zip(beside, known, strict=True)]
        ranked[name] = _ranked(np.stack([log[pods], *means]), seen, traffic.interval_s)
    ranked["both"] = (ranked["sent"] + ranked["received"]) / 2
    return Sides(ranked=ranked, first=of_pair[:, 0], second=of_pair[:, 1])


def _ranked(series: Floats, seen: Flags, interval_s: float) -> Floats:
    count = series.shape[2]
    terms = np.array(
        [
            reference.ORDER_MAX,
            reference.INTERVALS_PER_TERM,
            reference.RIDGE,
            reference.COMMON_SHARE_MIN,
            reference.COMMON_WEIGHT_MAX,
            reference.TIMETABLE_REPEATS_MIN,
            reference.TIMETABLE_SIGNIFICANT,
            reference.COMMON_PRIOR,
        ]
    )
    surprise, ranked = np.empty(series.shape[1:]), np.empty(series.shape[1:])
    kernels.surprises(
        np.ascontiguousarray(series), seen, refit_marks(count), timetable(interval_s, count), terms, surprise
    )
    among = (reference.WARM_UP, reference.RANKED_AMONG, reference.RANKED_MIN)
    kernels.ranks(surprise, seen, np.array(among, dtype=np.int64), ranked)
    return ranked


def _evidence(sides: Sides, some: slice) -> tuple[Floats, Floats]:
    """Step 7 for some pairs on one grid: log e, (signals, pairs), and tallies of the products, (signals, pairs, 2)."""
    first, second = sides.first[some], sides.second[some]
    product, peaks = [], []
    for signal in SIGNALS:
        one, other = sides.ranked[signal.first][first], sides.ranked[signal.second][second]
        if signal.lag < 0:
            one, other = other, one
        product.append(_factors(one, other, abs(signal.lag), reference.STAKES, PRODUCT_LIMITS))
        peaks.append(_factors(one, other, abs(signal.lag), reference.PEAK_STAKES, PEAK_LIMITS))
    logs = _bet(np.concatenate(product), np.concatenate(peaks)).reshape(len(SIGNALS), len(first))
    return logs, np.stack([one[:, :, -2:].sum(axis=1) for one in product])


def _factors(one: Floats, other: Floats, lag: int, stakes: tuple[float, ...], limits: Floats) -> Floats:
    """Per pair, round and stake the logarithm of a bet's factor, with two tallies: (pairs, rounds, stakes + 2)."""
    rounds = -(-one.shape[1] // reference.ROUND)
    found = np.empty((len(one), rounds, len(stakes) + 2))
    kernels.factors(one, other, np.array([lag, reference.ROUND]), np.array(stakes), limits, found)
    return found


def _bet(product: Floats, peaks: Floats) -> Floats:
    """The logarithm of the capital at the end, per row: bet throughout, in bursts, and on peaks in bursts."""
    throughout = log_sum_exp(product[:, :, :-2].sum(axis=1)) - np.log(len(reference.STAKES))
    logs = (throughout, _bursts(product, reference.STAKES), _bursts(peaks, reference.PEAK_STAKES))
    return log_sum_exp(np.stack(logs, axis=1) + np.log(reference.BETS_WEIGHTS))


def _bursts(factors: Floats, stakes: tuple[float, ...]) -> Floats:
    """The same of bettors that start and stop between rounds (`statistics.mixture`)."""
    rounds = factors.shape[1]
    plan = BetPlan(stakes=stakes, start_rate=1 / rounds, stop_per_stake=reference.STOP_PER_STAKE)
    state = MixtureState(len(factors), plan)
    for r in range(rounds):
        state.advance(factors[:, r, :-2], factors[:, r, -2] > 0)
    return state.log_e
