"""Naming: the closure against all subsets, e-BH against its definition, and the rates by simulation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.statistics import (
    closure_adjusted_log_e,
    named_by_e_bh,
    named_by_e_bonferroni,
    named_by_e_closure,
)

LOGS = st.lists(st.floats(-20, 20), min_size=1, max_size=7)


def closure_by_all_subsets(logs: list[float]) -> list[float]:
    """The definition: the least mean over every set that holds i."""
    e = [math.exp(v) for v in logs]
    places = range(len(e))
    sets = [s for size in range(1, len(e) + 1) for s in combinations(places, size)]
    return [min(sum(e[j] for j in s) / len(s) for s in sets if i in s) for i in places]


@given(LOGS)
def test_closure_equals_all_subsets(logs: list[float]) -> None:
    assert np.exp(closure_adjusted_log_e(logs)).tolist() == pytest.approx(closure_by_all_subsets(logs), rel=1e-9)


@given(LOGS)
def test_closure_names_all_that_bonferroni_names(logs: list[float]) -> None:
    bonferroni = named_by_e_bonferroni(logs, false_accusation_rate=0.05)
    closure = named_by_e_closure([v + 1e-9 for v in logs], false_accusation_rate=0.05)
    assert set(bonferroni) <= set(closure)


def test_closure_names_more_where_all_are_strong() -> None:
    logs = [math.log(25)] * 4
    assert named_by_e_bonferroni(logs, false_accusation_rate=0.05) == ()
    assert named_by_e_closure(logs, false_accusation_rate=0.05) == (0, 1, 2, 3)


@given(LOGS)
def test_e_bh_equals_its_definition(logs: list[float]) -> None:
    k, rate = len(logs), 0.1
    descending = sorted(logs, reverse=True)
    best = max((j for j in range(1, k + 1) if descending[j - 1] >= math.log(k / rate) - math.log(j)), default=0)
    named = named_by_e_bh(logs, false_discovery_rate=rate)
    assert len(named) == best
    assert sorted((logs[i] for i in named), reverse=True) == descending[:best]


def test_weighted_bonferroni_asks_less_of_the_likelier() -> None:
    logs = [math.log(41), math.log(41)]
    assert named_by_e_bonferroni(logs, false_accusation_rate=0.05, weights=[0.9, 0.1]) == (0,)
    assert named_by_e_bonferroni(logs, false_accusation_rate=0.05) == (0, 1)


@pytest.mark.parametrize("rule", [named_by_e_bonferroni, named_by_e_closure])
def test_empty_family_is_refused(rule: Callable[..., tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        rule([], false_accusation_rate=0.05)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_rates_hold_by_simulation(rho: float) -> None:
    """Twelve parties of which nine comply; likelihood ratios of a Gaussian shift, with a common disturbance."""
    rng = np.random.default_rng(20260101)
    worlds, parties, innocent, shift, rate = 4000, 12, 9, 3.0, 0.1
    common = rng.standard_normal((worlds, 1))
    z = math.sqrt(rho) * common + math.sqrt(1 - rho) * rng.standard_normal((worlds, parties))
    z[:, innocent:] += shift
    logs = shift * z - shift**2 / 2
    wrong = {"bonferroni": 0, "closure": 0}
    discoveries = {"bonferroni": 0, "closure": 0, "bh": 0}
    false_share = 0.0
    for row in logs:
        for name, rule in (("bonferroni", named_by_e_bonferroni), ("closure", named_by_e_closure)):
            named = rule(row, false_accusation_rate=rate)
            wrong[name] += any(i < innocent for i in named)
            discoveries[name] += len(named)
        named = named_by_e_bh(row, false_discovery_rate=rate)
        discoveries["bh"] += len(named)
        false_share += sum(i < innocent for i in named) / max(1, len(named))
    allowed = rate + 3 * math.sqrt(rate * (1 - rate) / worlds)
    assert wrong["bonferroni"] / worlds <= allowed
    assert wrong["closure"] / worlds <= allowed
    assert false_share / worlds <= allowed
    assert 0 < discoveries["bonferroni"] <= discoveries["closure"]
    assert discoveries["bh"] >= discoveries["bonferroni"]
