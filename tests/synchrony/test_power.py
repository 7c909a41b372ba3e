"""What is found, and what defeats it. Small numbers of trials: the tables are in docs/synchrony.md, with their commands."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from cases import simulated
from click.testing import CliRunner

from inspectorate.cli import cli
from inspectorate.mechanisms.interconnect.synchrony.power import Padding, Plan, exchanges, honest, power, site
from inspectorate.mechanisms.interconnect.synchrony.process import Traffic, pair_evidence
from inspectorate.statistics import alarm_log_e

ALPHA = 0.001
PLAN = Plan(interval_s=5.0)


def found(plan: Plan, hours: float = 1.0, trials: int = 6) -> int:
    (one,) = power([plan], [3600 * hours], trials=trials, seed=3, false_accusation_rate=ALPHA)
    return one.found[0]


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        replace(PLAN, every_s=20.0),
        replace(PLAN, every_s=200.0, jitter=0.5),
        replace(PLAN, jitter=1.0),
        replace(PLAN, every_s=120.0, jitter=0.3, delay_s=10.0),
    ],
    ids=["every 60 s", "every 20 s", "every 200 s", "jitter 100 %", "relayed, up to 10 s late"],
)
def test_an_hour_of_training_in_step_is_found(plan: Plan) -> None:
    assert found(plan) >= 5


def test_ten_minutes_are_too_short_at_this_grain() -> None:
    assert found(PLAN, 1 / 6) <= 2


def test_cover_in_bursts_defeats_it_within_an_hour_and_costs_more_than_the_run() -> None:
    plain = found(PLAN)
    covered = replace(PLAN, padding=8.0)
    (one,) = power([covered], [3600.0], trials=6, seed=3, false_accusation_rate=ALPHA)
    assert one.found[0] == 0 < plain
    (base,) = power([replace(PLAN, padding=1.0)], [3600.0], trials=6, seed=3, false_accusation_rate=ALPHA)
    assert one.padding_bytes_per_day == pytest.approx(8 * base.padding_bytes_per_day, rel=0.01)


def test_padding_to_a_constant_rate_defeats_any_test_of_traffic() -> None:
    """All four directions at one rate, whatever the pods do: nothing is left to compare."""
    seen, _ = site(PLAN, 3600, np.random.default_rng(4))
    assert pair_evidence(seen, [(0, 5)]).log_e[0] > 9
    sent, received = seen.sent.copy(), seen.received.copy()
    for pod in (0, 5):
        sent[pod] = sent[pod].max()
        received[pod] = received[pod].max()
    flat = Traffic(sent=sent, received=received, observed=seen.observed, interval_s=seen.interval_s)
    assert pair_evidence(flat, [(0, 5)]).log_e[0] < 1


def test_an_exact_timetable_with_constant_amounts_is_not_found() -> None:
    """At a period that timers have it is expected after a few repeats: the limit of the test, stated in its docs."""
    sent, received = honest(PLAN, 3600, np.random.default_rng(5))
    for pod in (0, 5):
        for into in (sent, received):
            into[pod, ::12] += 3e5
    seen = Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=5.0)
    assert pair_evidence(seen, [(0, 5)]).log_e[0] < alarm_log_e(ALPHA)


def test_a_rare_synchronisation_is_found_though_the_average_hides_it() -> None:
    """In step for half an hour of six: betting throughout loses, betting in bursts keeps what it won."""
    sent, received = honest(PLAN, 6 * 3600, np.random.default_rng(6))
    run = exchanges(PLAN, 360, np.random.default_rng(6))
    unit = 2 * sent.mean()
    for pod, (out, into) in ((0, (run[0], run[3])), (5, (run[2], run[1]))):
        sent[pod, 2000:2360] += unit * out
        received[pod, 2000:2360] += unit * into
    seen = Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=5.0)
    log_e = pair_evidence(seen, [(0, 5)]).log_e[0]
    assert log_e > 9


def test_most_of_a_site_in_step_is_taken_for_common_load() -> None:
    """Stated in the package: the other pods are what tells common load from lock-step."""
    sent, received = honest(PLAN, 3600, np.random.default_rng(7))
    run = exchanges(PLAN, sent.shape[1], np.random.default_rng(7))
    sent += 2 * sent.mean() * run[0]
    received += 2 * received.mean() * run[1]
    seen = Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=5.0)
    assert pair_evidence(seen, [(0, 5)]).log_e[0] < 3


def test_three_of_eight_pods_in_step_are_found_by_pairs() -> None:
    plan = replace(PLAN, pods=8)
    sent, received = honest(plan, 3600, np.random.default_rng(8))
    run = exchanges(plan, sent.shape[1], np.random.default_rng(8))
    unit = 2 * sent.mean()
    for pod in (0, 3, 6):
        sent[pod] += unit * run[0]
        received[pod] += unit * run[1]
    seen = Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=5.0)
    evidence = pair_evidence(seen, [(0, 3), (0, 6), (3, 6), (1, 2), (1, 3), (4, 7)])
    assert evidence.log_e[:3].max() > 9
    assert evidence.log_e[3:].max() < 7


def test_the_same_seed_gives_the_same_power() -> None:
    twice = [list(power([PLAN], [600.0], trials=2, seed=9, false_accusation_rate=0.05)) for _ in range(2)]
    assert twice[0] == twice[1]


@pytest.mark.parametrize("change", [{"pods": 3}, {"busy": 0.0}, {"jitter": -1.0}, {"interval_s": 0.0}])
def test_plans_that_make_no_sense_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"pods|times|negative"):
        replace(PLAN, **change)  # type: ignore[arg-type]


def test_cover_up_to_a_level_comes_to_the_volume_that_was_asked_for() -> None:
    for kind in Padding:
        plan = replace(PLAN, padding=2.0, kind=kind)
        plain, none = site(replace(plan, padding=0.0), 3600, np.random.default_rng(10))
        covered, cost = site(plan, 3600, np.random.default_rng(10))
        assert none == 0
        assert cost > 0
        assert (covered.sent[[1, 2, 3, 4]] == plain.sent[[1, 2, 3, 4]]).all()


def test_the_command_prints_the_table_and_json() -> None:
    options = ["synchrony", "power", "--trials", "2", "--hours", "0.2", "--padding", "0", "--padding", "8"]
    shown = CliRunner().invoke(cli, [*options, "--interval-s", "5"])
    assert shown.exit_code == 0, shown.output
    assert "12 min" in shown.output
    assert "8 x" in shown.output
    result = CliRunner().invoke(cli, [*options, "--interval-s", "5", "--json"])
    rows = json.loads(result.stdout)["rows"]
    assert [row["padding"] for row in rows] == [0, 8]
    assert all(len(row["found"]) == 1 for row in rows)


def test_too_many_combinations_are_refused() -> None:
    many = [word for n in range(70) for word in ("--padding", str(n))]
    result = CliRunner().invoke(cli, ["synchrony", "power", *many])
    assert result.exit_code == 2
    assert "combinations" in result.output


@pytest.mark.slow
def test_simulated_cheats_of_ten_to_twenty_minutes() -> None:
    """Prints how many of 20 worlds of each cheat raise the alarm of their site (`pytest -s`); quoted in docs/synchrony.md.

    Alarm: the mean of e over the undeclared pairs of the site reaches 1/alpha.
    """
    rates: dict[str, int] = {}
    for name in (
        "ddp",
        "ddp-throttled",
        "low-communication",
        "relayed",
        "relayed-padded",
        "relayed-paced",
        "slow-drip",
    ):
        log_site: list[float] = []
        for seed in range(20):
            seen, peers, _ = simulated(name, seed, 2.0)
            pairs = [pair for pair in combinations(range(len(seen.sent)), 2) if pair not in peers]
            log_e = pair_evidence(seen, pairs, peers=peers).log_e
            log_site.append(float(np.logaddexp.reduce(log_e) - np.log(len(pairs))))
        rates[name] = sum(e >= alarm_log_e(ALPHA) for e in log_site)
        print(f"\n{name}: {rates[name]} of 20, median log e of the site {np.median(log_site):.1f}", end="")
    assert rates["ddp"] > 0
    assert rates["slow-drip"] == 0
