"""Bits are counted from the values that can leave, and no more values can leave."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import ruleset_making
from hypothesis import given, settings
from hypothesis import strategies as st
from outlet_making import amounts, checkpoint, checkpoints, plan, said

from inspectorate.errors import InputError
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.budget import (
    PUBLIC,
    Plan,
    bits_per_day,
    bits_per_report,
    fields,
    plan_for,
    plan_of,
)
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.codec import encode, quantise
from inspectorate.mechanisms.guarantee.outlet.precision import Precision, levels
from inspectorate.mechanisms.guarantee.rulesets.types import Outlet

LEVELS = levels((MeterKind.FLOP, MeterKind.BYTES_OUT))
SMALL = Precision(
    level=0, digits=1, at_least=False, remaining=False, meters=(MeterKind.FLOP,), held_steps=2, counts=(0, 1)
)


# --- the count itself ------------------------------------------------------------------------------------------------------


def test_every_field_of_a_checkpoint_is_public_or_counted() -> None:
    named = {field.name for field in fields(LEVELS[0])}
    counted = {"meters" if name.startswith("meter ") else name for name in named}
    assert counted | set(PUBLIC) == set(Checkpoint.model_fields), "a new field has to be counted, or to be public"
    assert not counted & set(PUBLIC)


def test_the_finest_level_by_hand() -> None:
    amount = 2 + 30 * 900
    meters = 6 * math.log2(1 + amount * amount * 6 * (amount + 1))
    by_hand = math.log2(5) + math.log2(65) + meters + len(EventKind) * 8 + 3 * 8 + 3 + math.log2(10_001)
    assert Plan(every_s=3600, precision=LEVELS[0], bits_per_day_max=1).bits_per_report == pytest.approx(by_hand)


def test_each_level_costs_less_than_the_one_before() -> None:
    for licensed in ((), (MeterKind.FLOP,), tuple(MeterKind)[:3]):
        costs = [
            Plan(every_s=60, precision=precision, bits_per_day_max=1).bits_per_report for precision in levels(licensed)
        ]
        assert costs == sorted(costs, reverse=True)
        assert len(set(costs)) == len(costs)


def small_space(precision: Precision) -> list[Checkpoint]:
    """Inputs over everything that is secret, finer than what is left of them; two kinds of events."""
    kinds = (EventKind.LIMIT_REACHED, EventKind.TAMPERED)
    counts = (0, 1, 200)
    made = []
    for mode, held, meter in itertools.product(Mode, (0.0, 1799.0, 1801.0, 3600.0), (None, 3.0, 3.1, 4.0)):
        meters = () if meter is None else (said(used=meter, at_least=1.0, remaining=7.7),)
        made += [
            checkpoint(
                mode=mode,
                held_s=held,
                meters=meters,
                events=dict(zip(kinds, pattern[:2], strict=True)),
                sampled=pattern[2],
                recomputed=pattern[2],
            )
            for pattern in itertools.product(counts, repeat=3)
        ]
    return [quantise(one, precision) for one in made]


@pytest.fixture(scope="module")
def seen() -> set[bytes]:
    return {encode(one, SMALL) for one in small_space(SMALL)}


def test_no_more_different_reports_can_leave_than_are_counted(seen: set[bytes]) -> None:
    """Exhaustive over a small space: modes x time held x a meter x two kinds of events x requests drawn."""
    # Of the meter two amounts and its absence occur; `recomputed` follows `sampled` here.
    assert len(seen) == 5 * 3 * 3 * 2**2 * 2
    assert math.log2(len(seen)) <= Plan(every_s=1, precision=SMALL, bits_per_day_max=1).bits_per_report


def test_a_count_that_leaves_a_field_out_is_caught_by_the_exhaustive_test(seen: set[bytes]) -> None:
    """The test above can fail: without events and meters, more different reports leave than are counted."""
    counted = math.prod(f.values for f in fields(SMALL) if f.name in ("mode", "held_s", "sampled"))
    assert len(seen) > counted


@pytest.mark.parametrize("precision", LEVELS[1:], ids=lambda precision: f"level {precision.level}")
def test_each_field_takes_no_more_values_than_are_counted(precision: Precision) -> None:
    """One field at a time, over inputs much finer than its grid; where the grid is small, every value occurs."""
    counted = {field.name: field.values for field in fields(precision)}
    held = {quantise(checkpoint(held_s=3.5 * k), precision).held_s for k in range(1100)}
    assert len(held) == counted["held_s"]
    drawn = {quantise(checkpoint(sampled=k), precision).sampled for k in range(256)}
    assert len(drawn) == counted["sampled"]
    one_kind = {
        quantise(checkpoint(events={EventKind.TAMPERED: k}), precision).events.get(EventKind.TAMPERED, 0)
        for k in range(256)
    }
    assert len(one_kind) ** len(EventKind) == counted["events"]
    fine = [
        0.0,
        *(10 ** (k / 150) for k in range(-150, 4700)),
        *(float(f"{m}e{e}") for m in range(1, 100) for e in range(31)),
    ]
    used = {precision.up(amount) for amount in fine}
    left = {precision.down(amount) for amount in fine}
    assert len(used) <= precision.amounts
    assert len(left) <= precision.amounts
    if precision.digits == 1:
        assert len(used) == precision.amounts
    per_meter = 1 + precision.amounts * len(Source)
    if precision.at_least:
        per_meter = 1 + (per_meter - 1) * precision.amounts
    if precision.remaining:
        per_meter = 1 + (per_meter - 1) * (precision.amounts + 1)
    for meter in precision.meters:
        assert counted[f"meter {meter.value}"] == per_meter


@settings(max_examples=40)
@given(checkpoints(), st.sampled_from(LEVELS))
def test_every_report_is_one_of_those_counted(given_: Checkpoint, precision: Precision) -> None:
    """Each secret part of what leaves is a value of its grid, and what is not affordable is not there."""
    out = quantise(given_, precision)
    for meter in out.meters:
        assert meter.meter in precision.meters
        assert precision.up(meter.used) == meter.used
        assert meter.at_least == (precision.down(meter.at_least) if precision.at_least else 0.0)
        assert meter.remaining is None or precision.remaining
    assert set(out.events.values()) <= set(precision.counts) - {0}
    assert {out.sampled, out.recomputed, out.differed} <= set(precision.counts)
    assert float(out.held_s / out.period.duration_s * precision.held_steps) == pytest.approx(
        round(out.held_s / out.period.duration_s * precision.held_steps)
    )


def test_what_is_measured_to_leak_is_at_most_what_is_counted() -> None:
    """Mutual information of a random workload and its report, by the plug-in estimate, which overstates it."""
    random = np.random.default_rng(5)
    seen: Counter[bytes] = Counter()
    for _ in range(600):
        amount = float(10 ** random.uniform(0, 30))
        one = checkpoint(
            meters=(said(used=amount),),
            held_s=float(random.uniform(0, 3600)),
            sampled=int(random.integers(0, 256)),
            mode=list(Mode)[int(random.integers(0, 5))],
        )
        seen[encode(quantise(one, SMALL), SMALL)] += 1
    shares = np.array(list(seen.values())) / 600
    measured = float(-(shares * np.log2(shares)).sum())
    reachable = math.log2(5 * 3 * SMALL.amounts * 2)
    assert 5.0 < measured <= math.log2(600)
    assert measured <= reachable <= Plan(every_s=1, precision=SMALL, bits_per_day_max=1).bits_per_report


# --- choosing a level ---------------------------------------------------------------------------------------------------------


@given(bits=st.floats(1, 1e7), every_s=st.sampled_from([60.0, 3600.0, 7.0, 86_400.0, 1_000_000.0]))
def test_the_finest_level_that_the_budget_pays_for_is_taken(bits: float, every_s: float) -> None:
    rule = Outlet(report_every_s=every_s, bits_per_day_max=bits)
    priced = [Plan(every_s=every_s, precision=precision, bits_per_day_max=bits) for precision in levels(())]
    affordable = [one for one in priced if one.bits_per_day <= bits]
    if affordable:
        assert plan_for(rule) == affordable[0]
        assert plan_for(rule).bits_per_day <= bits
    else:
        with pytest.raises(InputError, match="do not suffice"):
            plan_for(rule)


def test_the_remedy_of_a_budget_that_is_too_small_is_enough() -> None:
    with pytest.raises(InputError) as fault:
        plan_for(Outlet(report_every_s=3600, bits_per_day_max=10))
    remedy = fault.value.remedy
    allowed = float(remedy.split("allow ")[1].split(" bits")[0])
    assert plan_for(Outlet(report_every_s=3600, bits_per_day_max=allowed)).precision.level == 7
    with pytest.raises(InputError):
        plan_for(Outlet(report_every_s=3600, bits_per_day_max=allowed - 1))


@pytest.mark.parametrize("every_s", [0.5, 1e-9, 1e9])
def test_periods_outside_of_what_an_outlet_can_keep_are_refused(every_s: float) -> None:
    with pytest.raises(InputError, match="report every"):
        plan_for(Outlet(report_every_s=every_s, bits_per_day_max=1e300))


def test_a_day_has_at_most_as_many_slots_as_are_counted() -> None:
    for every_s in (7.0, 3600.0, 5000.0, 90_000.0, 1_000_000.0):
        ends = [k * every_s for k in range(1, int(30 * 86_400 / every_s) + 1)]
        most = max(Counter(int(end // 86_400) for end in ends).values())
        assert most <= plan(every_s, 1e9).reports_per_day


def test_a_ruleset_says_what_may_leave() -> None:
    ruleset = ruleset_making.first()
    chosen = plan_of(ruleset)
    assert bits_per_report(ruleset) == chosen.bits_per_report
    assert bits_per_day(ruleset) == chosen.bits_per_day <= ruleset.outlet.bits_per_day_max
    assert bits_per_day(None) <= plan_of(None).bits_per_day_max


def test_licensed_meters_are_those_that_stay() -> None:
    meters = (MeterKind.ENERGY_J, MeterKind.BYTES_OUT)
    least = levels(meters)[-1]
    assert set(least.meters) == set(meters)
    assert levels(())[-1].meters == (MeterKind.FLOP,)


@settings(max_examples=30)
@given(amount=amounts)
def test_absence_of_a_meter_is_one_of_its_values(amount: float) -> None:
    one = replace(SMALL, meters=(MeterKind.FLOP,))
    with_, without = checkpoint(meters=(said(used=amount),)), checkpoint(meters=())
    assert encode(quantise(with_, one), one) != encode(quantise(without, one), one)
