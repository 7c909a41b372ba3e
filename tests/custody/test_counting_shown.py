"""What a count shows: every sample of small registers, so that bounds and e-values are checked exactly, and not on average."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from inspectorate.mechanisms.custody.counting.draw import Sample
from inspectorate.mechanisms.custody.counting.shown import Counted, log_e_missing, missing_upper
from inspectorate.statistics.evalues import LOG_E_MAX
from inspectorate.statistics.sampling import dirty_count_upper, dirty_share_upper_simple

SITES = {"north": (2, 1, 2), "south": (2, 1)}
SIZES = np.asarray([size for sizes in SITES.values() for size in sizes])
BOUNDS = (0, 3, 5)


def by_site(opened: tuple[int, ...], bounds: tuple[int, ...] = BOUNDS) -> Iterator[Sample]:
    """Every sample of so many units of each site; all are equally likely."""
    ways = [itertools.combinations(range(a, b), k) for a, b, k in zip(bounds, bounds[1:], opened, strict=False)]
    for drawn in itertools.product(*ways):
        units = tuple(sorted(itertools.chain.from_iterable(drawn)))
        yield Sample(units=units, by_site={str(n): one for n, one in enumerate(drawn)}, bounds=bounds)


def by_chip(chips: int) -> Iterator[Sample]:
    unit_of = np.repeat(np.arange(len(SIZES)), SIZES)
    for rows in itertools.combinations(range(len(unit_of)), chips):
        hit = tuple(unit_of[list(rows)].tolist())
        yield Sample(units=tuple(sorted(set(hit))), chips=rows, unit_of_drawn=hit)


def arrangements() -> Iterator[tuple[int, ...]]:
    """Missing chips of every unit. Which chips of a unit are gone does not matter to a prover: here the first."""
    return itertools.product(*(range(size + 1) for size in SIZES))


def counted(sample: Sample, missing: tuple[int, ...], refused: tuple[int, ...] = ()) -> Counted:
    starts = np.concatenate(([0], np.cumsum(SIZES)))
    shown = {unit: int(SIZES[unit]) if unit in refused else missing[unit] for unit in sample.units}
    gone = sum(
        unit in refused or row - starts[unit] < missing[unit]
        for row, unit in zip(sample.chips, sample.unit_of_drawn, strict=True)
    )
    return Counted(
        sizes=SIZES, sample=sample, missing=shown, unopened=frozenset(set(refused) & set(sample.units)), missing_drawn=int(gone)
    )  # fmt: skip


DESIGNS = {"by site": lambda: by_site((2, 1)), "one site": lambda: by_site((3,), (0, 5)), "by chip": lambda: by_chip(3)}


@pytest.mark.parametrize("beta", [0.05, 0.3])
@pytest.mark.parametrize("design", DESIGNS)
def test_the_bound_is_too_small_no_more_often_than_said(design: str, beta: float) -> None:
    samples = list(DESIGNS[design]())
    bounds: dict[object, int] = {}
    worst = 0.0
    for missing in arrangements():
        wrong = 0
        for sample in samples:
            one = counted(sample, missing)
            key = (sample.units, tuple(one.missing.items()), one.missing_drawn)
            if key not in bounds:
                bounds[key] = missing_upper(one, beta)
            wrong += bounds[key] < sum(missing)
        worst = max(worst, wrong / len(samples))
    assert worst <= beta + 1e-12
    assert worst > 0 or len(samples) < 1 / beta, "a bound that is never wrong is no bound"


@pytest.mark.parametrize("design", DESIGNS)
def test_refusing_never_lowers_the_bound(design: str) -> None:
    """Whatever a prover refuses after it saw the draw, it gains nothing."""
    for missing in itertools.islice(arrangements(), 0, None, 7):
        for sample in itertools.islice(DESIGNS[design](), 0, None, 3):
            plain = missing_upper(counted(sample, missing), 0.05)
            for unit in sample.units:
                assert missing_upper(counted(sample, missing, (unit,)), 0.05) >= plain


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3])
@pytest.mark.parametrize("design", DESIGNS)
def test_the_mean_of_the_e_value_is_at_most_one_however_honest_errors_cluster(design: str, share: float) -> None:
    samples = list(DESIGNS[design]())
    limit = share * int(SIZES.sum())
    means = []
    for missing in arrangements():
        if sum(missing) <= limit:
            values = [math.exp(log_e_missing(counted(sample, missing), share)) for sample in samples]
            means.append(sum(values) / len(values))
    assert max(means) <= 1 + 1e-9
    assert len(means) > 1 or share == 0


def test_the_e_value_grows_with_what_is_missing_and_a_locked_door_accuses_nobody() -> None:
    sample = next(by_site((2, 1)))
    clean, some, more = (counted(sample, missing) for missing in ((0,) * 5, (0, 1, 0, 0, 0), (2, 1, 0, 2, 0)))
    assert log_e_missing(clean, 0.2) < log_e_missing(some, 0.2) < log_e_missing(more, 0.2)
    assert log_e_missing(more, 0.2) == LOG_E_MAX, "more than 20 % are seen to be missing"
    assert log_e_missing(counted(sample, (0,) * 5, sample.units), 0.2) == log_e_missing(clean, 0.2)


def test_nothing_drawn_bounds_nothing_and_is_no_evidence() -> None:
    empty = Counted(sizes=SIZES, sample=Sample(units=()), missing={}, unopened=frozenset())
    assert missing_upper(empty, 0.05) == int(SIZES.sum())
    assert log_e_missing(empty, 0.0) == 0.0


def test_by_chip_is_the_bound_for_chips_whatever_the_units() -> None:
    sample = next(by_chip(4))
    one = counted(sample, (0,) * 5)
    seen = int(SIZES[list(sample.units)].sum())
    assert missing_upper(one, 0.05) == min(8 - seen, dirty_count_upper(population=8, sampled=4, miss_probability=0.05))


@pytest.mark.parametrize(("drawn", "share"), [(300, 0.010), (10_000, 0.0003)])
def test_three_by_n(drawn: int, share: float) -> None:
    """G9: nothing missing among n drawn chips leaves less than 3/n, at 95 %."""
    chips = 1_000_000
    upper = dirty_count_upper(population=chips, sampled=drawn, miss_probability=0.05) / chips
    assert upper <= dirty_share_upper_simple(drawn, 0.05) == pytest.approx(share, abs=share / 100 + 1e-6)
    assert upper == pytest.approx(share, rel=0.02)


def test_the_bound_with_some_missing_is_that_of_a_sum_in_whole_numbers() -> None:
    for population, sampled, beta in itertools.product((1, 7, 20), (0, 1, 6, 7, 20), (0.03, 0.21)):
        for dirty in range(min(sampled, 5) + 1 if sampled <= population else 0):
            ways = math.comb(population, sampled)
            tails = [
                sum(math.comb(k, x) * math.comb(population - k, sampled - x) for x in range(dirty + 1) if x <= k) / ways
                for k in range(population + 1)
            ]
            expected = max(
                (k for k in range(dirty, population - sampled + dirty + 1) if tails[k] > beta), default=dirty
            )
            found = dirty_count_upper(population=population, sampled=sampled, dirty=dirty, miss_probability=beta)
            assert found == expected, (population, sampled, dirty)
