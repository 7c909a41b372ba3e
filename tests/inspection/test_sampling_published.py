"""Every published number on sampling, and the properties that the formulas rest on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.inspection.sampling import audit, published, shavit
from inspectorate.mechanisms.inspection.sampling.packets import Recomputation

FLOPS = {name: flop for name, flop, *_ in published.TABLE_1}


def samples(name: str, chips: float) -> shavit.Samples:
    return shavit.samples(published.fleet_of(chips), FLOPS[name], 0.9)


def test_all_published_numbers_agree_but_for_two() -> None:
    found = published.rows()
    assert {row.what for row in found if not row.agrees} == {
        "GPT-3: H100-days",  # 3,634 days, printed as 3.64e3
        "Chinchilla-280B, 1e3 chips: samples a year",  # printed as 7, for a run that cannot finish
    }
    assert len(found) == 55


@pytest.mark.parametrize(
    ("name", "chips", "value"),
    [
        ("GPT-3", 1e3, 243.4), ("Chinchilla", 1e3, 132.7), ("PaLM", 1e3, 29.9), ("Chinchilla-280B", 1e5, 772.0),
        ("Chinchilla-1T", 1e5, 60.2), ("Chinchilla-10T", 1e7, 58.8),
    ],
)  # fmt: skip
def test_the_table_is_the_first_order_form(name: str, chips: float, value: float) -> None:
    found = samples(name, chips).annual_first_order
    assert found == pytest.approx(value, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "chips", "value"),
    [
        ("GPT-3", 1e3, 229), ("GPT-3", 1e5, 24_323), ("Chinchilla", 1e3, 118), ("Chinchilla", 1e5, 13_253), ("PaLM", 1e3, 10.0),
        ("PaLM", 1e5, 2_971), ("Chinchilla-280B", 1e5, 758), ("Chinchilla-1T", 1e5, 44.7), ("Chinchilla-1T", 1e7, 6_003),
        ("Chinchilla-10T", 1e7, 43.3),
    ],
)  # fmt: skip
def test_the_text_is_the_exact_form(name: str, chips: float, value: float) -> None:
    assert samples(name, chips).annual_exact == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "chips"),
    [("Chinchilla-280B", 1e3), ("Chinchilla-1T", 1e3), ("Chinchilla-10T", 1e3), ("Chinchilla-10T", 1e5)],
)
def test_a_run_that_cannot_finish_has_no_sample_size(name: str, chips: float) -> None:
    found = samples(name, chips)
    assert not found.feasible
    assert (found.exact, found.first_order, found.annual_exact, found.annual_first_order) == (None,) * 4
    with pytest.raises(ValueError, match="times the fleet"):
        shavit.detection(published.fleet_of(chips), FLOPS[name], 10)


def test_the_printed_cell_of_the_run_that_cannot_finish_is_the_first_order_form_all_the_same() -> None:
    x = samples("Chinchilla-280B", 1e3).seen_share
    assert x > 1
    assert published.as_printed(-math.log(0.1) / x * 365 / 30) == "7"


def test_x_of_one_has_no_exact_form() -> None:
    """The whole fleet, always logged: first order asks for some, the exact form has no value."""
    fleet = shavit.Fleet(chips=10, flop_per_day=1, run_days=30, period_days=30, logs_per_day=1e3)
    found = shavit.samples(fleet, 300, 0.9)
    assert (found.busy_share, found.seen_share, found.feasible, found.exact) == (1, 1, True, None)
    assert found.first_order == pytest.approx(math.log(10))
    assert shavit.detection(fleet, 300, 1) == 1


@settings(max_examples=60, deadline=None)
@given(
    b=st.floats(1e-6, 0.95), f=st.floats(0.01, 2.0), rounds=st.integers(1, 12), p=st.floats(0.05, 0.99),
)  # fmt: skip
def test_the_exact_form_gives_the_probability_and_the_first_order_form_more(
    b: float, f: float, rounds: int, p: float
) -> None:
    fleet = shavit.Fleet(chips=1e4, flop_per_day=1e15, run_days=30.0 * rounds, period_days=30, logs_per_day=f)
    flop = b * fleet.chips * fleet.flop_per_day * fleet.run_days
    found = shavit.samples(fleet, flop, p)
    assert found.exact is not None
    assert found.first_order is not None
    assert shavit.detection(fleet, flop, found.exact) == pytest.approx(p, rel=1e-9)
    assert shavit.detection(fleet, flop, found.first_order) >= p - 1e-12
    assert found.first_order >= found.exact


# --- stretching, spreading, sharing ------------------------------------------------------------------------------------


def test_stretching_a_run_costs_the_verifier_less_than_five_percent() -> None:
    """Appendix C.1: the least p_d(k)/0.9 over all k up to 100 and b up to 0.2, by looking at all of them."""
    least = min(
        shavit.stretched_detection(b, math.log(0.1) / math.log1p(-b), k) / 0.9
        for b in np.linspace(0.001, 0.2, 200)
        for k in range(1, 101)
    )
    assert least == pytest.approx(0.970, abs=5e-4)
    assert least > 0.95
    assert shavit.stretching_loss(0.2, 100, 0.9) == pytest.approx(least, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(b=st.floats(1e-4, 0.5), s=st.floats(0.1, 100), k=st.floats(1.0, 100.0), more=st.floats(1.0, 3.0))
def test_spreading_over_more_chips_never_helps(b: float, s: float, k: float, more: float) -> None:
    """Theorem 1: on more chips for less time a run is seen at least as often; on fewer, at most as often."""
    stretched = shavit.stretched_detection(b, s, k * more)
    assert stretched <= shavit.stretched_detection(b, s, k) + 1e-12
    if b * more <= 1:
        assert shavit.stretched_detection(b, s, 1 / more) >= shavit.stretched_detection(b, s, 1) - 1e-12


@settings(max_examples=40, deadline=None)
@given(days=st.lists(st.floats(0.01, 30.0), min_size=1, max_size=6), f=st.floats(0.01, 2.0), parts=st.integers(2, 5))
def test_the_same_work_on_more_chips_leaves_more_records(days: list[float], f: float, parts: int) -> None:
    spread = [day / parts for day in days for _ in range(parts)]
    assert shavit.seen_chips(f, spread) >= shavit.seen_chips(f, days) - 1e-12


def test_logging_is_a_poisson_process() -> None:
    rng = np.random.default_rng(1)
    share = np.mean(rng.poisson(0.1 * 30, 40_000) > 0)
    assert share == pytest.approx(shavit.logged_probability(0.1, 30), abs=0.01)


def test_provers_who_may_share_a_run_are_sampled_as_one() -> None:
    fleets = [published.fleet_of(chips) for chips in (2e4, 3e4, 5e4)]
    found = shavit.pooled(fleets, 2.56e24, 0.9)
    whole = shavit.samples(published.fleet_of(1e5), 2.56e24, 0.9)
    assert sum(found.chips_inspected) == pytest.approx(whole.exact)
    assert [n / sum(found.chips_inspected) for n in found.chips_inspected] == pytest.approx([0.2, 0.3, 0.5])
    assert found.alone < found.pooled == 0.9
    # A run that none of them could hold alone is looked for by nobody who samples alone.
    small = [published.fleet_of(1e3)] * 5
    assert shavit.pooled(small, 9.9e24, 0.9).alone == 0
    with pytest.raises(ValueError, match="all fleets together"):
        shavit.pooled(small, 1.4e25, 0.9)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_fleets_and_runs_that_make_no_sense(value: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        shavit.Fleet(chips=value, flop_per_day=1, run_days=1, period_days=1, logs_per_day=1)
    with pytest.raises(ValueError, match="positive"):
        shavit.samples(published.fleet_of(1e3), value, 0.9)
    with pytest.raises(ValueError, match="probability"):
        shavit.samples(published.fleet_of(1e3), 1e20, 1.0)


def test_what_a_year_costs() -> None:
    assert shavit.annual_cost(750, 1_000, 5e6) == 5.75e6
    with pytest.raises(ValueError, match="negative"):
        shavit.annual_cost(-1, 1)


# --- packets, audits ---------------------------------------------------------------------------------------------------


def test_recomputed_packets() -> None:
    plan = Recomputation(share=0.01, packet_h100_hours=100)
    assert plan.detection(10, 168) == pytest.approx(0.1546, abs=5e-5)
    assert plan.detection(100, 720) == pytest.approx(0.99925, abs=5e-6)
    assert plan.detection(10_000, 1) == pytest.approx(0.63212, abs=5e-6)
    assert plan.detection(1_000, 1) == pytest.approx(0.095, abs=5e-4)
    assert plan.packets_for(0.99) == pytest.approx(460, rel=2e-3)
    assert plan.work_for(0.99) == pytest.approx(46_000, rel=2e-3)
    # First order states less power than there is, and asks for more packets.
    assert plan.detection(100, 720, exact=True) > plan.detection(100, 720)
    assert plan.packets_for(0.99, exact=True) == pytest.approx(458.2, abs=0.05)
    small = plan.packets_for_hidden(1_000, 0.99)
    assert small.work_for(0.99) == pytest.approx(1_000)
    for wrong in ({"share": 0.0, "packet_h100_hours": 1}, {"share": 0.1, "packet_h100_hours": 0}):
        with pytest.raises(ValueError, match=r"share|packet"):
            Recomputation(**wrong)


def test_the_rule_of_three() -> None:
    assert audit.rule_of_three(300) == 0.01
    assert audit.rule_of_three(10_000) == 0.0003
    assert audit.rule_of_three(0) == audit.rule_of_three(2) == 1


def test_totals_go_blind_and_packets_do_not() -> None:
    """G9: not the figures of a demonstration, but the law, and a simulation of it."""
    nodes = audit.Nodes(gap=0.3, noise=0.02, shared_noise=0.005, packets=200)
    counts = (1, 4, 16, 64, 256)
    totals = [audit.total_detection(nodes, count, 0.01, trials=20_000, seed=1) for count in counts]
    assert totals == sorted(totals, reverse=True)
    assert totals[0] > 0.999
    assert totals[-1] < 0.03
    spot = audit.spot_detection(nodes, 0.05)
    assert spot == pytest.approx(1 - 0.95**60)
    for count in (1, 64):
        seen = audit.spot_detection_simulated(nodes, count, 0.05, trials=300, seed=1)
        assert seen == pytest.approx(spot, abs=0.04)


def test_without_shared_error_totals_go_blind_all_the_same() -> None:
    nodes = audit.Nodes(gap=0.3, noise=0.2, shared_noise=0.0, packets=200)
    powers = [audit.total_detection(nodes, count, 0.01, trials=20_000, seed=2) for count in (1, 16, 256)]
    assert powers[0] > powers[1] > powers[2]
    assert powers[2] < 0.05
