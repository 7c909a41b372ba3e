"""Closed forms of detection against every spread of small cases, and against simulated diversions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bench.chip_counting import DESIGNS, measured
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.custody.counting import allocation
from inspectorate.mechanisms.custody.counting.sizes import (
    Stratum,
    chips_to_draw,
    detection_by_chip,
    detection_by_site,
    detection_by_unit,
    detection_of_fakes,
    fewest_touched,
    opened_by_chip,
    units_to_open,
)
from inspectorate.mechanisms.custody.counting.spreads import Spread, taken
from inspectorate.statistics.sampling import clopper_pearson_lower, clopper_pearson_upper

SMALL = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def spreads(sizes: list[int], missing: int) -> list[tuple[int, ...]]:
    return [one for one in itertools.product(*(range(size + 1) for size in sizes)) if sum(one) == missing]


def missed(sizes: list[int], opened: int, kept: list[float]) -> float:
    """The slow oracle: the mean over all samples of the product of `kept` of opened units."""
    every = list(itertools.combinations(range(len(sizes)), opened))
    return sum(math.prod(kept[unit] for unit in one) for one in every) / len(every)


@given(SMALL, st.data())
@settings(max_examples=40)
def test_by_unit_the_closed_form_is_the_worst_of_all_spreads(sizes: list[int], data: st.DataObject) -> None:
    missing = data.draw(st.integers(1, sum(sizes)))
    opened = data.draw(st.integers(0, len(sizes)))
    worst = max(missed(sizes, opened, [float(d == 0) for d in one]) for one in spreads(sizes, missing))
    assert 1 - detection_by_unit(sizes, missing, opened) == pytest.approx(worst)


@given(SMALL, st.data())
@settings(max_examples=40)
def test_fakes_are_worst_in_full_units(sizes: list[int], data: st.DataObject) -> None:
    fakes = data.draw(st.integers(1, sum(sizes)))
    opened = data.draw(st.integers(0, len(sizes)))
    recognised = data.draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    worst = max(missed(sizes, opened, [(1 - recognised) ** d for d in one]) for one in spreads(sizes, fakes))
    found = detection_of_fakes(sizes, fakes, opened, recognised)
    assert found <= 1 - worst + 1e-9, "never more than the worst spread gives"
    held = np.cumsum(sorted(sizes, reverse=True))
    if fakes in held and len(set(sizes)) == 1:
        assert found == pytest.approx(1 - worst), "exact where full units are of one size"


@given(SMALL, SMALL, st.data())
@settings(max_examples=30)
def test_by_site_the_bound_holds_for_all_spreads(north: list[int], south: list[int], data: st.DataObject) -> None:
    missing = data.draw(st.integers(1, sum(north) + sum(south)))
    opened = data.draw(st.integers(0, len(north))), data.draw(st.integers(0, len(south)))
    worst = 0.0
    for split in range(missing + 1):
        if split <= sum(north) and missing - split <= sum(south):
            worst = max(
                worst,
                (1 - detection_by_unit(north, split, opened[0]))
                * (1 - detection_by_unit(south, missing - split, opened[1])),
            )
    strata = [Stratum(sizes=np.asarray(sizes), opened=k) for sizes, k in ((north, opened[0]), (south, opened[1]))]
    assert detection_by_site(strata, missing) <= 1 - worst + 1e-9


@given(SMALL, st.data())
@settings(max_examples=30)
def test_by_chip_no_spread_is_worse_than_the_closed_form(sizes: list[int], data: st.DataObject) -> None:
    missing = data.draw(st.integers(1, sum(sizes)))
    drawn = data.draw(st.integers(1, min(3, sum(sizes))))
    unit_of = np.repeat(np.arange(len(sizes)), sizes)
    every = list(itertools.combinations(unit_of.tolist(), drawn))
    worst = max(sum(all(d[u] == 0 for u in one) for one in every) / len(every) for d in spreads(sizes, missing))
    found = detection_by_chip(sum(sizes), missing, drawn)
    assert found <= 1 - worst + 1e-9
    if any(sum(size for size, d in zip(sizes, one, strict=True) if d) == missing for one in spreads(sizes, missing)):
        assert found == pytest.approx(1 - worst), "whole units hold exactly so many: the prover reaches it"
    mean = sum(len(set(one)) for one in every) / len(every)
    assert opened_by_chip(sizes, drawn) == pytest.approx(mean)


def test_sizes_are_the_smallest_that_suffice() -> None:
    sizes = np.asarray([72] * 200 + [32] * 150)
    for missing in (1, 72, 1000):
        k = units_to_open(sizes, missing, 0.95)
        assert detection_by_unit(sizes, missing, k) >= 0.95 > detection_by_unit(sizes, missing, k - 1)
        chips = int(sizes.sum())
        n = chips_to_draw(chips, missing, 0.95)
        assert detection_by_chip(chips, missing, n) >= 0.95 > detection_by_chip(chips, missing, n - 1)


def test_what_cannot_be_is_refused() -> None:
    for call in (
        lambda: fewest_touched([4, 4], 9), lambda: fewest_touched([], 1), lambda: fewest_touched([0, 4], 1),
        lambda: detection_of_fakes([4], 1, 1, 1.5), lambda: Stratum(sizes=np.asarray([1]), opened=2),
        lambda: detection_by_site([Stratum(sizes=np.asarray([1]), opened=1)], 2),
    ):  # fmt: skip
        with pytest.raises(ValueError):  # noqa: PT011 - the words differ
            call()


@given(st.lists(st.integers(1, 9), min_size=2, max_size=30), st.data())
@settings(max_examples=20)
def test_every_spread_takes_as_many_as_it_should(sizes: list[int], data: st.DataObject) -> None:
    missing = data.draw(st.integers(0, sum(sizes)))
    for spread in Spread:
        found = taken(spread, np.asarray(sizes), missing, np.random.default_rng(1))
        assert int(found.sum()) == missing
        assert np.all((found >= 0) & (found <= sizes))
    largest = taken(Spread.LARGEST, np.asarray(sizes), missing, np.random.default_rng(1))
    assert np.count_nonzero(largest) == fewest_touched(sizes, missing)


@pytest.mark.parametrize("design", DESIGNS)
def test_measured_detection_is_that_of_the_closed_form(design: str) -> None:
    """A small version of `python -m bench chip_counting`."""
    for spread in Spread:
        row = measured(design, spread, diversions=60, seed=7)
        assert row.closed_form - 1e-9 <= row.exact
        low, high = (
            bound(row.found, row.diversions, 0.0005) for bound in (clopper_pearson_lower, clopper_pearson_upper)
        )
        assert low <= row.exact <= high


# --- allocation --------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(0, 4)), min_size=2, max_size=3), st.data()
)  # fmt: skip
@settings(max_examples=25)
def test_an_allocation_suffices_and_is_close_to_the_cheapest_of_all(
    given_sites: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    places = [
        allocation.Place(name=str(n), sizes=np.full(units, size), travel_days=float(travel), days_per_unit=0.5)
        for n, (size, units, travel) in enumerate(given_sites)
    ]
    chips = sum(one.chips for one in places)
    missing = data.draw(st.integers(1, chips))
    found = allocation.allocate(places, missing, 0.8)
    assert found.detection >= 0.8
    best = math.inf
    for opened in itertools.product(*(range(len(one.sizes) + 1) for one in places)):
        strata = [Stratum(sizes=one.sizes, opened=k) for one, k in zip(places, opened, strict=True)]
        if detection_by_site(strata, missing) >= 0.8:
            best = min(best, sum(one.days(k) for one, k in zip(places, opened, strict=True)))
    assert best <= found.days <= best + 1.01, "within two units of the cheapest"


def test_a_site_may_be_left_out_only_while_it_holds_less_than_the_diversion() -> None:
    far = allocation.Place(name="far", sizes=np.full(5, 8), travel_days=50.0, days_per_unit=0.1)
    near = allocation.Place(name="near", sizes=np.full(100, 8), travel_days=1.0, days_per_unit=0.1)
    assert allocation.allocate([far, near], 80, 0.9).opened["far"] == 0
    assert allocation.allocate([far, near], 40, 0.9).opened["far"] > 0
    with pytest.raises(ValueError, match="cannot be missing"):
        allocation.allocate([far, near], 10_000, 0.9)
