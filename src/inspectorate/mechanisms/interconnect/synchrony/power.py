"""How often lock-step is found: sites with honest load and one pair that trains, by Monte Carlo, with padding and jitter.

A planning aid: nothing here is evidence, and no review reads it. The model, each pod's traffic in intervals:

- *honest load*: requests arrive as a Poisson process under a common load (a slow swing, Ornstein-Uhlenbeck noise, flash
  crowds) and are dealt to the pods in turn; answers have log-normal lengths with a Pareto tail, cut, and take their time.
  A pod that trains serves half as much.
- *training*: every `every_s` both pods send and receive for a share `busy` of the period at `rate` times the mean rate of an
  honest pod. Each exchange begins up to half of `jitter` x the period early or late, for both pods alike; amounts vary
  by 10 %. Each of the four transfers of an exchange, two sent and two received, is held back for up to `delay_s` by itself.
- *padding*, `padding` times the volume of the run, in each direction of each pod: `BURSTS` like the run's own, at times of
  their own; or `LEVEL`, filling up whatever is below a constant rate, chosen so that the filling comes to that volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from inspectorate.mechanisms.interconnect.synchrony.kernels import Floats
from inspectorate.mechanisms.interconnect.synchrony.process import Traffic, pair_evidence
from inspectorate.statistics import alarm_log_e

SERVED_WHILE_TRAINING = 0.5
AMOUNT_SPREAD = 0.1
LEVEL_STEPS = 40
FINE = 10
"""Parts of an interval in which transfers begin and end."""
TOKENS_MEDIAN, TOKENS_SIGMA, TOKENS_MIN, TOKENS_MAX = 110.0, 0.9, 4.0, 4096.0
TAIL_SHARE, TAIL_ALPHA, TAIL_MIN = 0.03, 1.3, 600.0
TOKENS_PER_S = (20.0, 60.0)
BYTES_OUT_PER_TOKEN, BYTES_IN_PER_TOKEN, BYTES_IN = 94.0, 52.0, 4_000.0
"""As measured on a real service behind a gateway (docs/lab.md)."""
SWING, SWING_PERIOD_S, NOISE_SIGMA, NOISE_TIME_S = 0.4, (400.0, 3_600.0), 0.25, 45.0
CROWDS_PER_HOUR, CROWD_HEIGHT, CROWD_RISE_S, CROWD_FALL_S = 3.0, (1.5, 6.0), 10.0, (20.0, 180.0)


class Padding(StrEnum):
    BURSTS = "bursts"
    LEVEL = "level"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One site and one way of training in step on its first and last pod."""

    pods: int = 6
    interval_s: float = 5.0
    requests_per_s: float = 1.0
    every_s: float = 60.0
    busy: float = 0.25
    rate: float = 2.0
    jitter: float = 0.1
    delay_s: float = 0.0
    padding: float = 0.0
    kind: Padding = Padding.BURSTS

    def __post_init__(self) -> None:
        if self.pods < 4:
            raise ValueError("at least four pods: two that train, and two groups of others")
        if not (self.interval_s > 0 and self.every_s > 0 and self.requests_per_s > 0 and 0 < self.busy <= 1):
            raise ValueError("times and rates must be above zero, and `busy` a share")
        if min(self.rate, self.jitter, self.delay_s, self.padding) < 0:
            raise ValueError("rate, jitter, delay and padding must not be negative")


@dataclass(frozen=True, kw_only=True)
class Power:
    """Of `trials`, how many were found within each observation time, and what the padding costs."""

    plan: Plan
    trials: int
    found: tuple[int, ...]
    padding_bytes_per_day: float
    """Per pod and direction, the mean over trials."""


def honest(plan: Plan, seconds: float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Bytes (sent, received) per interval of all pods, each (pods, intervals)."""
    load = _load(int(seconds), random)
    counts = random.poisson(load * plan.requests_per_s * plan.pods)
    at = np.sort(np.repeat(np.arange(len(load)), counts) + random.random(int(counts.sum())))
    pod = np.arange(len(at)) % plan.pods
    body = TOKENS_MEDIAN * np.exp(TOKENS_SIGMA * random.standard_normal(len(at)))
    tail = TAIL_MIN * (1 + random.pareto(TAIL_ALPHA, len(at)))
    tokens = np.clip(np.where(random.random(len(at)) < TAIL_SHARE, tail, body), TOKENS_MIN, TOKENS_MAX)
    lasting = tokens / random.uniform(*TOKENS_PER_S, len(at))
    shape = (plan.pods, int(seconds / plan.interval_s))
    asked = BYTES_IN * np.exp(random.standard_normal(len(at)) - 0.5)
    spread = [_spread(at, lasting, tokens, pod, plan.interval_s, shape)]
    arrived = _spread(at, np.full(len(at), 0.1), asked, pod, plan.interval_s, shape)
    return BYTES_OUT_PER_TOKEN * spread[0], BYTES_IN_PER_TOKEN * spread[0] + arrived


def _load(seconds: int, random: np.random.Generator) -> Floats:
    time = np.arange(seconds, dtype=np.float64)
    keep = np.exp(-1 / NOISE_TIME_S)
    steps = random.standard_normal(seconds) * NOISE_SIGMA * np.sqrt(1 - keep**2)
    load = 1 + SWING * np.sin(2 * np.pi * (time / random.uniform(*SWING_PERIOD_S) + random.random()))
    load = load * np.exp(np.convolve(steps, keep ** np.arange(int(8 * NOISE_TIME_S)))[:seconds])
    for _ in range(random.poisson(CROWDS_PER_HOUR * seconds / 3600)):
        since, height = time - random.uniform(0, seconds), random.uniform(*CROWD_HEIGHT)
        fall = np.exp(-np.maximum(since - CROWD_RISE_S, 0) / random.uniform(*CROWD_FALL_S))
        load *= 1 + (height - 1) * np.clip(since / CROWD_RISE_S, 0, 1) * fall
    return np.asarray(load, dtype=np.float64)


def _spread(
    at: Floats,
    lasting: Floats,
    volume: Floats,
    pod: npt.NDArray[np.int64],
    interval_s: float,
    shape: tuple[int, int],
) -> Floats:
    """Volumes that pass evenly from `at` for as long as they last, summed per pod and interval."""
    begin, end = at / interval_s, (at + lasting) / interval_s
    pieces = (np.floor(end) - np.floor(begin) + 1).astype(np.int64)
    which = np.repeat(np.arange(len(at)), pieces)
    cell = (
        np.floor(begin[which]).astype(np.int64) + np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    )
    part = np.minimum(end[which], cell + 1) - np.maximum(begin[which], cell)
    share = np.clip(part, 0, None) / np.maximum((end - begin)[which], 1e-12)
    inside = cell < shape[1]
    total = np.zeros(shape)
    np.add.at(total, (pod[which[inside]], cell[inside]), (volume[which] * share)[inside])
    return total


def exchanges(plan: Plan, count: int, random: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Busy shares of `count` intervals: what the first sends, the last receives, the last sends, the first receives."""
    starts = np.arange(int(count * plan.interval_s / plan.every_s) + 2) * plan.every_s
    starts = (
        starts - random.uniform(0, plan.every_s) + random.uniform(-0.5, 0.5, len(starts)) * plan.jitter * plan.every_s
    )
    length = plan.busy * plan.every_s * random.uniform(1 - AMOUNT_SPREAD, 1 + AMOUNT_SPREAD, len(starts))
    late = [random.uniform(0, 1, len(starts)) * plan.delay_s for _ in range(4)]
    legs = [_busy(starts + held_back, length, plan, count) for held_back in late]
    return legs[0], legs[1], legs[2], legs[3]


def _busy(starts: Floats, length: Floats, plan: Plan, count: int) -> Floats:
    step = plan.interval_s / FINE
    first = np.clip(np.round(starts / step), 0, count * FINE).astype(np.int64)
    last = np.clip(np.round((starts + length) / step), 0, count * FINE).astype(np.int64)
    change = np.zeros(count * FINE + 1)
    np.add.at(change, first, 1.0)
    np.add.at(change, last, -1.0)
    share: Floats = np.cumsum(change)[:-1].reshape(count, FINE).mean(axis=1)
    return share


def site(plan: Plan, seconds: float, random: np.random.Generator) -> tuple[Traffic, float]:
    """The traffic of a site on which the first and the last pod train, and what the padding costs [bytes per second]."""
    sent, received = honest(plan, seconds, random)
    unit = plan.rate * float(sent.mean())
    guilty = (0, plan.pods - 1)
    for pod in guilty:
        sent[pod] *= SERVED_WHILE_TRAINING
        received[pod] *= SERVED_WHILE_TRAINING
    runs = exchanges(plan, sent.shape[1], random)
    legs = ((sent, 0, runs[0]), (received, guilty[1], runs[1]), (sent, guilty[1], runs[2]), (received, 0, runs[3]))
    cost = []
    for into, pod, run in legs:
        into[pod] += unit * run
        cover = _cover(plan, into[pod], unit * run, random)
        into[pod] += cover
        cost.append(float(cover.mean()) / plan.interval_s)
    seen = np.ones(sent.shape, dtype=np.bool_)
    traffic = Traffic(sent=sent, received=received, observed=seen, interval_s=plan.interval_s)
    return traffic, float(np.mean(cost))


def _cover(plan: Plan, total: Floats, run: Floats, random: np.random.Generator) -> Floats:
    """The padding of one direction of one pod per interval."""
    wanted = plan.padding * float(run.mean())
    if wanted == 0:
        return np.zeros_like(total)
    if plan.kind is Padding.BURSTS:
        alone = replace(plan, jitter=1.0, delay_s=0.0)
        share = exchanges(alone, len(total), random)[0]
        burst: Floats = share * (wanted / max(float(share.mean()), 1e-12))
        return burst
    low, high = 0.0, float(total.max()) + wanted
    for _ in range(LEVEL_STEPS):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(level - total, 0).mean() < wanted else (low, level)
    filled: Floats = np.maximum(high - total, 0)
    return filled


def power(
    plans: Sequence[Plan], times_s: Sequence[float], *, trials: int, seed: int, false_accusation_rate: float
) -> Iterator[Power]:
    """How often the pair is found, per plan and observation time; trial i of every plan has the same honest load.

    Found: the mean of the e-values of all pairs of the site reaches 1 / `false_accusation_rate` if all others are 1.
    """
    for plan in plans:
        pairs = plan.pods * (plan.pods - 1) / 2
        alarm = alarm_log_e(false_accusation_rate) + np.log(pairs)
        found, cost = np.zeros(len(times_s), dtype=np.int64), []
        for trial in range(trials):
            traffic, bytes_per_s = site(plan, max(times_s), np.random.default_rng([seed, trial]))
            cost.append(bytes_per_s)
            for place, time_s in enumerate(times_s):
                count = int(time_s / plan.interval_s)
                seen = Traffic(
                    sent=traffic.sent[:, :count],
                    received=traffic.received[:, :count],
                    observed=traffic.observed[:, :count],
                    interval_s=plan.interval_s,
                )
                found[place] += pair_evidence(seen, [(0, plan.pods - 1)]).log_e[0] >= alarm
        yield Power(
            plan=plan,
            trials=trials,
            found=tuple(int(n) for n in found),
            padding_bytes_per_day=86_400 * float(np.mean(cost)),
        )
