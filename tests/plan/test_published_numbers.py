"""Numbers that others published, recomputed: the report's example, the simulator's table, runs over slow links."""

from __future__ import annotations

import math

import pytest

from inspectorate.mechanisms.interconnect.plan import arithmetic, published, simulator, worked_example
from inspectorate.mechanisms.interconnect.plan.simulator import Node, longest_run_years, simulate
from inspectorate.mechanisms.interconnect.plan.types import batch_tokens_for


@pytest.mark.parametrize("row", worked_example.rows(), ids=lambda row: row.name)
def test_every_number_of_the_reports_example_within_a_per_cent(row: worked_example.Row) -> None:
    assert row.value == pytest.approx(row.printed, rel=0.01)


def test_the_example_is_the_whole_example() -> None:
    assert len(worked_example.rows()) == 17


def test_the_simulators_rows() -> None:
    four, many = simulate(Node(), 4), simulate(Node(), 72)
    assert four.compute_s == pytest.approx(31.51, abs=0.005)
    assert arithmetic.synchronise_s(30e9, 12.5e6, 12.5e6, 0.1, 1) == pytest.approx(4_800.1)
    assert (four.spread, four.inner_steps) == (pytest.approx(1.1), 168)
    assert four.synchronise_s == pytest.approx(5_280.1, abs=0.05)
    assert four.alpha == pytest.approx(0.05420, abs=5e-6)
    assert four.efficiency == pytest.approx(0.8617, abs=5e-5)
    assert four.flop == pytest.approx(9.77e23, rel=0.0005)
    assert (many.spread, many.inner_steps) == (pytest.approx(1.308, abs=0.0006), 200)
    assert many.synchronise_s == pytest.approx(6_280.9, abs=0.05)
    assert many.efficiency == pytest.approx(0.8575, abs=5e-5)
    assert many.flop == pytest.approx(1.751e25, rel=0.0005)
    larger = simulate(Node(accelerators=50, parameters=250e9), 72)
    assert (larger.inner_steps, round(larger.efficiency, 3)) == (208, 0.857)
    assert larger.flop == pytest.approx(1.82e25, rel=0.003)
    assert simulator.VERSION


def test_the_simulators_traffic_signature() -> None:
    """250B at 16 times compression: about 31 GB a synchronisation each way, 39 to 42 Mbit/s, every 100 minutes or so."""
    run = simulate(Node(accelerators=50, parameters=250e9), 72)
    assert arithmetic.gradient_bytes(250e9, 16, 16) == pytest.approx(31.25e9)
    assert 38e6 < run.bytes_per_s * 8 < 42e6
    assert 100 < max(run.inner_steps * run.compute_s, run.synchronise_s) / 60 < 115


def test_the_longest_sensible_run() -> None:
    assert longest_run_years(0.29) == pytest.approx(1.497, abs=0.001)
    assert longest_run_years(1.16) == pytest.approx(0.374, abs=0.001)


ERRORS_MAX = {
    ("Covenant-72B", "synchronisation"): 0.03,
    ("Covenant-72B", "utilisation"): 0.01,
    ("Covenant-72B at 100 Mbit/s", "synchronisation"): 0.01,
    ("INTELLECT-1", "less traffic than data parallelism"): 0.001,
    ("INTELLECT-1, across continents", "synchronisation"): 0.45,
    ("INTELLECT-1, across continents", "utilisation"): 0.08,
    ("OpenDiLoCo", "synchronisation"): 0.35,
    ("OpenDiLoCo", "utilisation"): 0.04,
    ("Llama 3.1 405B", "compute"): 0.001,
    ("TOPLOC", "proof of 32 tokens"): 0.0,
    ("TOPLOC", "smaller than the activations"): 0.001,
}
"""How far each may be off. Synchronisation over the open internet takes longer than its bytes: 30 and 40 % here."""


def test_published_runs_within_what_the_document_says() -> None:
    compared = {(c.run, c.quantity): c for c in published.comparisons()}
    assert set(compared) == set(ERRORS_MAX) | {("DiLoCoX", "throughput against all-reduce")}
    for key, most in ERRORS_MAX.items():
        error = compared[key].error
        assert error is not None
        assert abs(error) <= most + 1e-12, key
    bound = compared["DiLoCoX", "throughput against all-reduce"]
    assert bound.error is None
    assert bound.reported <= bound.computed


def test_what_the_proposed_caps_permit() -> None:
    slowed = {(p.example[:4], p.cap_bytes_per_s): p.slowed for p in published.permitted()}
    assert slowed["405B", 1e9] == 1
    assert slowed["405B", 1e6] == pytest.approx(13, rel=0.02)
    assert slowed["405B", 125e3] == pytest.approx(105, rel=0.01)
    assert slowed["250B", 1e6] == pytest.approx(5, rel=0.01)
    assert 900e9 / 1e9 == 900


def test_the_batch_rule_gives_what_gpt3_took() -> None:
    assert batch_tokens_for(3.14e23) == pytest.approx(3.2e6, rel=0.02)


def test_arithmetic_at_its_edges() -> None:
    assert arithmetic.bits_per_token(128_000) == 17
    assert arithmetic.ring_bytes(100, 1) == 0
    assert arithmetic.slowed(1, 10) == 1
    assert math.isclose(arithmetic.ring_bytes(100, 2), 100)
    with pytest.raises(ValueError, match="at least one pod"):
        arithmetic.ring_bytes(1, 0)
    with pytest.raises(ValueError, match="two tokens"):
        arithmetic.bits_per_token(1)
