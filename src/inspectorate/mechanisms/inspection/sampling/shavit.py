"""How many chips to inspect so that a training run does not stay unseen (Shavit 2023, arXiv 2303.11341).

A run of H FLOP on chips of a FLOP/day, within T days, keeps the share b = H/(aTC) of C chips busy. Each chip keeps a
record at random times, at rate f a day; a busy chip holds one of a period of T_m days with probability 1 - exp(-f T_m).
An inspected chip thus shows the run with probability x = b (1 - exp(-f T_m)). For detection with probability p over the
T/T_m periods of a run:

    exact          s = ln(1-p) / ln(1-x) * T_m/T     chips a period
    first order    s = -ln(1-p) / x * T_m/T

The paper states the exact form; the table that it prints follows the first order one, cut to whole samples a year. They
agree for small x and part near 1; first order never asks for fewer chips.

Flags: b > 1, the run cannot finish in T on C chips; x >= 1, the exact form has no value. Neither has a sample size.

The paper's guarantee is for runs of at least 2H.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inspectorate.statistics.numerics import checked_probability

DAYS_OF_YEAR: Final = 365


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Chips under inspection, and how they are inspected."""

    chips: float
    flop_per_day: float
    """Of one chip, as a run reaches it."""
    run_days: float
    period_days: float
    """From one inspection to the next."""
    logs_per_day: float
    """Of a chip that is busy, on average."""

    def __post_init__(self) -> None:
        for name in ("chips", "flop_per_day", "run_days", "period_days", "logs_per_day"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive and finite, not {value}")

    @property
    def logged(self) -> float:
        """Probability that a chip that was busy for a period holds a record of it."""
        return logged_probability(self.logs_per_day, self.period_days)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Chips to inspect a period; none where there is no such number."""

    busy_share: float
    """b: the share of the fleet that the run keeps busy."""
    seen_share: float
    """x: the probability that one inspected chip shows the run."""
    exact: float | None
    first_order: float | None
    annual_exact: float | None
    annual_first_order: float | None

    @property
    def feasible(self) -> bool:
        """Whether the run fits the fleet at all."""
        return self.busy_share <= 1


def logged_probability(logs_per_day: float, days: float) -> float:
    """1 - exp(-f t): a Poisson process of rate f left at least one record in t days."""
    return -math.expm1(-logs_per_day * days)


def samples(fleet: Fleet, flop: float, probability: float) -> Samples:
    """How many chips to inspect each period, so that a run of `flop` is seen with `probability`."""
    checked_probability("the probability of detection", probability)
    if not 0 < flop < math.inf:
        raise ValueError(f"the FLOP of a run must be positive and finite, not {flop}")
    busy = flop / (fleet.flop_per_day * fleet.run_days * fleet.chips)
    seen = busy * fleet.logged
    log_miss, per_run = math.log1p(-probability), fleet.period_days / fleet.run_days
    fits = busy <= 1
    exact = log_miss / math.log1p(-seen) * per_run if fits and seen < 1 else None
    first = -log_miss / seen * per_run if fits else None
    per_year = DAYS_OF_YEAR / fleet.period_days
    return Samples(
        busy_share=busy, seen_share=seen, exact=exact, first_order=first,
        annual_exact=None if exact is None else exact * per_year,
        annual_first_order=None if first is None else first * per_year,
    )  # fmt: skip


def detection(fleet: Fleet, flop: float, chips_inspected: float) -> float:
    """Probability that a run is seen, with so many chips inspected each period: 1 - (1-x)^(s ceil(T/T_m)).

    Raises `ValueError` for a run that does not fit the fleet.
    """
    found = samples(fleet, flop, 0.5)
    if not found.feasible:
        raise ValueError(f"the run needs {found.busy_share:.3g} times the fleet")
    rounds = math.ceil(fleet.run_days / fleet.period_days - 1e-9)
    return 1.0 if found.seen_share >= 1 else -math.expm1(chips_inspected * rounds * math.log1p(-found.seen_share))


def stretched_detection(busy_share: float, inspected: float, stretch: float) -> float:
    """1 - (1 - b/k)^(k s): a run on k times fewer chips for k times as long (the paper, appendix C.1).

    `inspected` is s, chips a period of the run that is not stretched. For k below 1 it is the run spread over more
    chips, which is seen sooner: b/k must not exceed 1.
    """
    share = busy_share / stretch
    if not 0 < share <= 1 or stretch <= 0:
        raise ValueError(f"a share of {share} of the chips cannot be busy")
    return 1.0 if share == 1 else -math.expm1(stretch * inspected * math.log1p(-share))


def stretching_loss(busy_share_max: float, stretch_max: int, probability: float) -> float:
    """The least p_d(k)/p over k from 1 to `stretch_max` and b in (0, `busy_share_max`]: what stretching leaves of the
    power.

    s is such that p_d(1) = p. p_d(k) falls in k, and falls the more the larger b is, so the corner is the least; tests
    look at all.
    """
    inspected = math.log1p(-probability) / math.log1p(-busy_share_max)
    return stretched_detection(busy_share_max, inspected, stretch_max) / probability


def seen_chips(logs_per_day: float, busy_days: Sequence[float]) -> float:
    """How many chips of a period hold a record, on average, where chip i was busy for `busy_days[i]`.

    1 - exp(-f t) is concave: the same chip-days on more chips leave more records (Theorem 1: to spread never helps).
    """
    return math.fsum(logged_probability(logs_per_day, days) for days in busy_days)


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Provers that may share one run, sampled as one fleet."""

    chips_inspected: tuple[float, ...]
    """Each period, by prover, in proportion to its chips."""
    alone: float
    """Probability to see a run that is shared evenly, where each prover is sampled as if it acted alone for the whole
    run."""
    pooled: float
    """The same, where all are sampled as one fleet."""


def pooled(fleets: Sequence[Fleet], flop: float, probability: float) -> Pooled:
    """Sample all provers as one fleet, against a run that they share in proportion to their chips.

    All fleets must be alike but for the number of chips. The paper: provers who might collude are sampled as one.
    """
    one = fleets[0]
    total = math.fsum(fleet.chips for fleet in fleets)
    whole = Fleet(
        chips=total, flop_per_day=one.flop_per_day, run_days=one.run_days, period_days=one.period_days,
        logs_per_day=one.logs_per_day,
    )  # fmt: skip
    together = samples(whole, flop, probability)
    if together.exact is None:
        raise ValueError("the run does not fit all fleets together")
    each = tuple(together.exact * fleet.chips / total for fleet in fleets)
    rounds = one.run_days / one.period_days
    miss = 0.0
    for fleet in fleets:
        own = samples(fleet, flop, probability).exact
        # A run that one prover alone cannot hold is not looked for there.
        miss += 0.0 if own is None else own * rounds * math.log1p(-together.seen_share)
    return Pooled(chips_inspected=each, alone=-math.expm1(miss), pooled=probability)


def chip_days(flop: float, flop_per_day: float) -> float:
    """Chip-days that a run takes."""
    return flop / flop_per_day


def annual_cost(samples_per_year: float, cost_per_sample: float, fixed: float = 0.0) -> float:
    """What a year of inspections costs, in the unit of what one costs."""
    if min(samples_per_year, cost_per_sample, fixed) < 0:
        raise ValueError("costs and samples are not negative")
    return fixed + samples_per_year * cost_per_sample
