"""Whether enough was recorded: the mathematics against slow simulations, and every check both ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from enrol_making import MANIFEST, PLAN, START
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.workloads.enrol.profile import Profile, dominating_run, profile_of, spread_of
from inspectorate.mechanisms.workloads.enrol.sufficiency import Sufficiency, judge, rates
from inspectorate.mechanisms.workloads.signature.types import Condition, Contrast, ReferenceRun, Setting
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.quantities import Period

GOOD = (0.0, 0.1, 0.45, 0.55, 0.9, 1.0)


# --- the mathematics ---------------------------------------------------------------------------------------------------


def test_a_next_run_exceeds_the_strangest_of_n_as_often_as_said() -> None:
    """Simulated: runs of dependent windows, each with a level of its own; the threshold is the greatest of n runs."""
    random = np.random.default_rng(1)
    for n in (4, 9, 19):
        trials = 20_000
        levels = random.normal(0, 1, (trials, n + 1))
        greatest = levels + random.gumbel(0, 0.2, (trials, n + 1))
        exceeds = float(np.mean(greatest[:, -1] > greatest[:, :-1].max(axis=1)))
        said = rates(n, 1.0, rate_asked=0.1, confidence=0.95).on_average
        assert said == 1 / (n + 1)
        assert abs(exceeds - said) < 4 * math.sqrt(said / trials)


def test_the_assured_rate_holds_as_often_as_said() -> None:
    """Simulated: the share of runs above a threshold is p; n runs show none of it. An upper bound below p is an error."""
    random = np.random.default_rng(2)
    n, delta = 30, 0.05
    bound = rates(n, 1.0, rate_asked=0.1, confidence=1 - delta).assured
    assert bound == pytest.approx(1 - delta ** (1 / n), rel=1e-9)
    p = bound * 1.001
    misses = np.mean(random.random((40_000, n)).min(axis=1) > p)
    assert misses == pytest.approx(delta, abs=0.005)


@given(
    runs=st.integers(1, 500),
    hours=st.floats(0.01, 200),
    rate=st.floats(0.001, 10),
    confidence=st.floats(0.6, 0.999),
)
def test_the_runs_that_are_needed_are_the_fewest(runs: int, hours: float, rate: float, confidence: float) -> None:
    found = rates(runs, hours, rate_asked=rate, confidence=confidence)
    share, n = found.share_asked, found.runs_needed
    assert 0 < share <= 0.5
    assert 1 / (n + 1) <= share * (1 + 1e-8)
    assert n == 1 or 1 / n > share * (1 - 1e-8)
    m, delta = found.runs_needed_assured, 1 - confidence
    assert 1 - delta ** (1 / m) <= share * (1 + 1e-8)
    assert m == 1 or 1 - delta ** (1 / (m - 1)) > share * (1 - 1e-8)
    assert n <= m or share > 0.4 or confidence < 0.7, "being sure takes more than being right on average"
    assert found.assured >= 0
    assert (runs >= n) == (1 / (runs + 1) <= share * (1 + 1e-8))


def test_hours_count_however_they_are_cut() -> None:
    """About 1 / r hours, and 3 / r of them to be 95 % sure, until a run is so long that it would alarm every second time."""
    for hours in (0.1, 0.5, 1.0, 2.0):
        found = rates(1, hours, rate_asked=1 / 24, confidence=0.95)
        assert found.runs_needed * hours == pytest.approx(24, abs=hours + 0.01)
        assert found.runs_needed_assured * hours == pytest.approx(72, rel=0.06)
    assert rates(1, 1000.0, rate_asked=1 / 24, confidence=0.95).runs_needed == 1


# --- every check, met and not ------------------------------------------------------------------------------------------


def runs_of(
    loads: Sequence[float], *, seconds: Sequence[int] | int = 120, name: str = "load", **more: Sequence[float]
) -> list[ReferenceRun]:
    lengths = [seconds] * len(loads) if isinstance(seconds, int) else seconds
    found = []
    start = START
    for i, (load, length) in enumerate(zip(loads, lengths, strict=True)):
        settings = [Setting(name=name, value=load)] + [Setting(name=k, value=v[i]) for k, v in more.items()]
        period = Period(start=start, end=start + timedelta(seconds=length))
        found.append(ReferenceRun(id=f"run-{i}", period=period, settings=tuple(settings)))
        start = period.end + timedelta(seconds=10)
    return found


def profiles_of(runs: Sequence[ReferenceRun], *, strange: int | None = None) -> list[Profile]:
    found = []
    for i, run in enumerate(runs):
        random = np.random.default_rng(i)
        steps = int(run.period.duration_s)
        level = 100 + 500 * (run.settings[0].value if run.settings else 0.5) + (9000 if i == strange else 0)
        values = (level + random.normal(0, 5, (1, steps, 2))).astype(np.float32)
        frame = Frame(units=("a", "b"), signals=("power_w",), start_ns=0, step_ns=10**9, values=values)
        found.append(profile_of(run.id, frame, window_s=10.0))
    return found


CONTRASTS = tuple(
    Contrast(name=kind, kind=kind, runs=(ReferenceRun(id=kind, period=runs_of([0.0])[0].period),))
    for kind in ("idle", "training")
)


def judged(runs: Sequence[ReferenceRun], *, strange: int | None = None, **terms: Any) -> Sufficiency:
    plan = PLAN.model_copy(update={"terms": PLAN.terms.model_copy(update=terms)})
    return judge(MANIFEST, plan, runs, CONTRASTS, profiles_of(runs, strange=strange))


def short(found: Sufficiency) -> set[str]:
    assert found.sufficient == all(check.met for check in found.checks if check.required)
    assert len(found.reasons) == sum(check.required and not check.met for check in found.checks)
    return {check.name for check in found.checks if not check.met}


def test_what_is_enough_is_enough() -> None:
    found = judged(runs_of(GOOD))
    assert short(found) == set()
    assert found.sufficient
    assert found.hours == pytest.approx(0.2)
    assert found.device_hours == pytest.approx(0.4)
    assert found.false_alarms_per_device_hour_on_average == pytest.approx(30 / 7)
    assert found.hours_needed == 0


@pytest.mark.parametrize(
    ("runs", "terms", "expected"),
    [
        (runs_of(GOOD[:5]), {}, {"runs", "range.load", "false-alarms"} - {"false-alarms"}),
        (runs_of(GOOD), {"false_alarms_per_device_hour_max": 4.0}, {"false-alarms"}),
        (runs_of(GOOD, seconds=90), {"false_alarms_per_device_hour_max": 9.0}, {"run-length"}),
        (runs_of(GOOD, seconds=(120,) * 5 + (300,)), {}, {"like-length"}),
        (runs_of((0.0, 0.1, 0.45, 0.55, 0.7, 0.7)), {}, {"range.load"}),
        (runs_of((0.0, 0.1, 0.25, 0.3, 0.9, 1.0)), {}, {"range.load"}),
        (runs_of((0.3, 0.3, 0.45, 0.55, 0.9, 1.0)), {}, {"range.load"}),
        (runs_of((0.0, 0.3, 0.45, 0.55, 0.9, 1.0)), {}, {"range.load"}),
    ],
)
def test_what_is_short_is_named(runs: list[ReferenceRun], terms: dict[str, Any], expected: set[str]) -> None:
    found = judged(runs, **terms)
    assert short(found) == expected
    assert not found.sufficient
    assert all(check.need for check in found.checks if not check.met)


def test_a_run_that_dominates_is_named() -> None:
    found = judged(runs_of(GOOD), strange=2)
    assert short(found) == {"spread"}
    assert "run run-2 holds" in found.reasons[0]


def test_chips_are_no_runs() -> None:
    """A hundred times the chips support no lower rate: they alarm together."""
    many = PLAN.model_copy(update={"units": tuple(f"pod-a/{i}" for i in range(200))})
    runs = runs_of(GOOD)
    one, other = (judge(MANIFEST, plan, runs, CONTRASTS, profiles_of(runs)) for plan in (PLAN, many))
    assert other.device_hours == pytest.approx(100 * one.device_hours)
    assert other.false_alarms_per_device_hour_on_average == one.false_alarms_per_device_hour_on_average


def test_contrasts_are_noted_and_not_required() -> None:
    runs = runs_of(GOOD)
    found = judge(MANIFEST, PLAN, runs, (), profiles_of(runs))
    assert {check.name for check in found.checks if not check.met} == {"contrast.idle", "contrast.training"}
    assert found.sufficient


def test_nothing_recorded_is_not_enough() -> None:
    found = judge(MANIFEST, PLAN, (), (), ())
    assert not found.sufficient
    assert found.false_alarms_per_device_hour_on_average is None
    assert found.runs_needed is None


def test_conditions_that_moved_only_together_are_noted() -> None:
    both = MANIFEST.model_copy(
        update={"operating_range": (*MANIFEST.operating_range, Condition(name="batch", least=1, most=11))}
    )
    together = runs_of(GOOD, batch=[1 + 10 * load for load in GOOD])
    apart = runs_of(GOOD, batch=[1.0, 11.0, 6.0, 6.0, 1.0, 11.0])
    found = {
        name: {check.name: check.met for check in judge(both, PLAN, runs, (), profiles_of(runs)).checks}
        for name, runs in (("together", together), ("apart", apart))
    }
    assert found["together"]["apart"] is False
    assert found["apart"]["apart"] is True
    assert found["apart"]["range.batch"] is True


# --- spread ------------------------------------------------------------------------------------------------------------


def test_windows_of_runs_that_differ_are_worth_one_run_each() -> None:
    alike = spread_of(profiles_of(runs_of((0.5,) * 6)))
    apart = spread_of(profiles_of(runs_of(GOOD)))
    windows = [12] * 6
    assert alike.independent_windows(windows) > 30
    assert apart.independent_windows(windows) == pytest.approx(6, rel=0.01)
    assert apart.share.sum(axis=0) == pytest.approx(1)


def test_the_spread_is_that_of_a_slow_computation() -> None:
    """Between and within by loops over a table of windows, from the definition."""
    random = np.random.default_rng(5)
    table = random.normal(0, 3, (8, 1)) + random.normal(0, 1, (8, 50))
    profiles = [Profile(run=str(i), features=("x",), windows=row[:, None]) for i, row in enumerate(table)]
    found = spread_of(profiles)
    means = [sum(row) / len(row) for row in table]
    grand = sum(means) / len(means)
    within2 = sum(sum((x - m) ** 2 for x in row) / len(row) for row, m in zip(table, means, strict=True)) / len(means)
    between2 = sum((m - grand) ** 2 for m in means) / (len(means) - 1) - within2 / 50
    assert found.within[0] == pytest.approx(math.sqrt(within2))
    assert found.between[0] == pytest.approx(math.sqrt(between2))
    assert found.correlation[0] == pytest.approx(between2 / (between2 + within2))
    with pytest.raises(ValueError, match="one run"):
        spread_of(profiles[:1])


def test_honest_runs_seldom_seem_to_dominate() -> None:
    """Simulated: one level per run for all features of it, normal, as a temperature would give. Half of the spread is often
    one run's by chance alone; that is no finding. A run that is ten times as far away as the others is one."""
    random = np.random.default_rng(7)
    half, found, trials = 0, 0, 400
    for _ in range(trials):
        levels = random.normal(0, 1, 6)
        windows = levels[:, None, None] + random.normal(0, 0.1, (6, 12, 4))
        spread = spread_of([Profile(run=str(i), features=tuple("abcd"), windows=w) for i, w in enumerate(windows)])
        half += float(spread.share[:, 0].max()) > 0.5
        found += dominating_run(spread, share_max=0.5, chance_max=0.01) is not None
    assert half > 0.2 * trials
    assert found <= 0.03 * trials
    far = np.array([0, 1, -1, 0.5, -0.5, 20])[:, None, None] + random.normal(0, 0.1, (6, 12, 4))
    spread = spread_of([Profile(run=str(i), features=tuple("abcd"), windows=w) for i, w in enumerate(far)])
    named = dominating_run(spread, share_max=0.5, chance_max=0.01)
    assert named is not None
    assert named[0] == 5


def test_a_profile_is_that_of_a_slow_computation() -> None:
    random = np.random.default_rng(6)
    values = random.normal(100, 9, (2, 47, 3)).astype(np.float32)
    values[0, 5:8, 1] = np.nan
    frame = Frame(units=("a", "b", "c"), signals=("power_w", "busy_share"), start_ns=0, step_ns=10**9, values=values)
    found = profile_of("r", frame, window_s=10.0)
    assert found.windows.shape == (4, 6)
    for window in range(4):
        for s in range(2):
            means, deviations, changes = [], [], []
            for unit in range(3):
                cells = [float(v) for v in values[s, 10 * window : 10 * window + 10, unit]]
                known = [v for v in cells if not math.isnan(v)]
                mean = sum(known) / len(known)
                steps = [abs(b - a) for a, b in pairwise(cells) if not math.isnan(b - a)]
                means.append(mean)
                deviations.append(math.sqrt(sum((v - mean) ** 2 for v in known) / len(known)))
                changes.append(sum(steps) / len(steps))
            expected = [sum(part) / 3 for part in (means, deviations, changes)]
            assert found.windows[window, 3 * s : 3 * s + 3] == pytest.approx(expected, rel=1e-5)
