"""From observations to upper bounds: what is missing or contradicts itself never makes a bound smaller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.metering.counters import (
    CpuSample,
    EnergySample,
    cpu_rise_s,
    energy_rise_j,
    nvml_energy,
)
from inspectorate.mechanisms.guarantee.metering.meters import (
    Ceilings,
    EnergyMeter,
    accumulate,
    added,
    clock_energy,
    clock_flop,
    clock_wall,
    combine,
    energy,
    energy_flop,
    kernel_flop,
    operators,
    path_bytes,
    request_flop,
)
from inspectorate.mechanisms.guarantee.metering.types import TRUST, AtLeast, MeterKind, Reading, Source

CEILINGS = Ceilings(flop_per_s=1e12, power_w=700, j_per_flop=7e-13, flop_per_core_s=1e11, cores=4)
NVML = EnergyMeter(source=Source.CHIP)
FLOP = MeterKind.FLOP


def cpu(usage_us: int, at_s: float = 0, group: int = 1) -> CpuSample:
    return CpuSample(group=group, usage_us=usage_us, at_s=at_s)


def joules(amount: float, at_s: float, meter: str = "GPU-1") -> EnergySample:
    return EnergySample(meter=meter, microjoules=round(amount * 1e6), at_s=at_s)


def flop(used: float, source: Source, at_least: float = 0) -> Reading:
    return Reading(meter=FLOP, used=used, at_least=at_least, source=source)


# --- one source each -----------------------------------------------------------------------------------------------------


def test_the_path_and_the_clock_say_what_they_saw() -> None:
    assert path_bytes(MeterKind.BYTES_OUT, 1234) == Reading(
        meter=MeterKind.BYTES_OUT, used=1234, at_least=1234, source=Source.PATH
    )
    assert clock_wall(2.5).used == clock_wall(2.5).at_least == 2.5
    assert clock_flop(2.0, CEILINGS).used == 2e12
    assert clock_energy(2.0, CEILINGS, held_s=1.0).used == 2100


def test_cpu_time_bounds_the_flop_of_the_hosts_own_cores() -> None:
    reading = kernel_flop(cpu(1_000_000), cpu(1_500_000, 1), CEILINGS, not_held_s=1)
    assert (reading.used, reading.source) == (0.5e11, Source.KERNEL)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, cpu(1)),
        (cpu(1), None),
        (None, None),
        (cpu(5), cpu(4, 1)),
        (cpu(5), cpu(6, 1, group=2)),
        (cpu(5, 2), cpu(6, 1)),
    ],
    ids=["not there before", "gone", "never there", "set back", "another group", "time went back"],
)
def test_cpu_time_that_is_not_known_falls_to_the_clock_and_never_to_zero(
    before: CpuSample | None, after: CpuSample | None
) -> None:
    assert cpu_rise_s(before, after) is None
    assert kernel_flop(before, after, CEILINGS, not_held_s=3) == clock_flop(3, CEILINGS)


def test_where_chips_are_no_cores_cpu_time_bounds_nothing() -> None:
    chips = Ceilings(flop_per_s=1e15, power_w=700, j_per_flop=7e-13)
    assert kernel_flop(cpu(0), cpu(10, 1), chips, not_held_s=1) == clock_flop(1, chips)


def test_energy_is_what_the_counter_rose_by_and_what_it_may_not_yet_show() -> None:
    reading = energy(joules(100, 0), joules(600, 1), NVML, CEILINGS, passed_s=1)
    assert (reading.used, reading.at_least, reading.source) == (570, 430, Source.CHIP)
    assert energy_flop(reading, CEILINGS) == flop(570 / 7e-13, Source.CHIP)
    assert nvml_energy("GPU-1", 5, at_s=0).microjoules == 5000


RANGE_UJ = 262_143_328_850
"""`max_energy_range_uj` of a server's package domain."""


def test_a_counter_that_wraps_has_not_gone_back() -> None:
    before = EnergySample(meter="intel-rapl:0", microjoules=RANGE_UJ - 1_000_000, at_s=0)
    after = EnergySample(meter="intel-rapl:0", microjoules=999_999, at_s=1)
    rise = energy_rise_j(before, after, power_w_max=700, wraps_after_uj=RANGE_UJ)
    assert rise == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("before", "after", "wraps"),
    [
        (None, joules(1, 1), None),
        (joules(1, 0), None, None),
        (joules(5, 0), joules(4, 1), None),
        (joules(5, 0), joules(6, 1, "GPU-2"), None),
        (joules(5, 2), joules(6, 1), None),
        (joules(5, 0), joules(6, 1000), 10**9),
        (joules(2000, 0), joules(1, 1), 10**9),
    ],
    ids=["none before", "gone", "set back", "another chip", "time went back", "may have wrapped twice", "above range"],
)
def test_energy_that_is_not_known_falls_to_the_clock(
    before: EnergySample | None, after: EnergySample | None, wraps: int | None
) -> None:
    meter = EnergyMeter(source=Source.KERNEL, wraps_after_uj=wraps)
    assert energy(before, after, meter, CEILINGS, passed_s=7) == clock_energy(7, CEILINGS)


@given(st.lists(st.integers(0, 600), min_size=1, max_size=50), st.integers(0, 10**9 - 1))
def test_a_wrapping_counter_against_one_that_never_ends(powers_w: list[int], start_uj: int) -> None:
    """Read often enough, the sum of rises is what was used."""
    true_uj, total, before = start_uj, 0.0, EnergySample(meter="m", microjoules=start_uj, at_s=0)
    for second, power in enumerate(powers_w, start=1):
        true_uj += power * 10**6
        after = EnergySample(meter="m", microjoules=true_uj % 10**9, at_s=second)
        rise = energy_rise_j(before, after, power_w_max=700, wraps_after_uj=10**9 - 1)
        assert rise is not None
        total, before = total + rise, after
    assert total == pytest.approx((true_uj - start_uj) / 1e6)


def test_ceilings_are_numbers() -> None:
    for wrong in ({"flop_per_s": 0.0}, {"power_w": float("inf")}, {"j_per_flop": float("nan")}, {"cores": 0}):
        with pytest.raises(ValueError, match=r"finite|cores"):
            Ceilings(
                **({"flop_per_s": 1.0, "power_w": 1.0, "j_per_flop": 1.0, "flop_per_core_s": 1.0, "cores": 1} | wrong)
            )  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not energy"):
        energy_flop(flop(1, Source.CLOCK), CEILINGS)
    assert request_flop(100, 2e9) == 2e11
    clock_only = Ceilings(flop_per_s=1.0)
    with pytest.raises(ValueError, match="most power"):
        clock_energy(1, clock_only)
    with pytest.raises(ValueError, match="most power"):
        energy(None, None, NVML, clock_only, passed_s=1)
    with pytest.raises(ValueError, match="takes at least"):
        energy_flop(clock_energy(1, CEILINGS), clock_only)


# --- together ------------------------------------------------------------------------------------------------------------


def test_the_smallest_upper_bound_counts_and_its_source_is_named() -> None:
    combined = combine([flop(100, Source.CLOCK), flop(70, Source.CHIP), flop(80, Source.KERNEL)], [operators(5)])
    assert combined.reading == flop(70, Source.CHIP, at_least=5)
    assert combined.contradiction is None


def test_of_equal_bounds_the_more_trusted_source_is_named() -> None:
    assert combine([flop(70, Source.CHIP), flop(70, Source.CLOCK)]).reading.source is Source.CLOCK


def test_who_trusts_no_chip_asks_none() -> None:
    readings = [flop(100, Source.CLOCK), flop(0, Source.CHIP), flop(80, Source.KERNEL)]
    assert combine(readings, trusted=Source.KERNEL).reading == flop(80, Source.KERNEL)
    assert combine(readings, trusted=Source.CLOCK).reading == flop(100, Source.CLOCK)
    with pytest.raises(ValueError, match="bounds the meter from above"):
        combine([flop(1, Source.CHIP)], trusted=Source.CLOCK)


def test_what_a_workload_counts_is_no_upper_bound() -> None:
    with pytest.raises(ValueError, match="bounds the meter from above"):
        combine([], [operators(33.6e6)])


def test_a_lower_bound_above_an_upper_bound_is_a_contradiction_and_the_larger_is_believed() -> None:
    combined = combine([flop(100, Source.CLOCK), flop(0, Source.CHIP)], [operators(60)])
    assert combined.contradiction is not None
    assert combined.contradiction.kind is EventKind.TAMPERED
    assert combined.reading == flop(100, Source.CLOCK, at_least=60)
    beyond = combine([flop(100, Source.CLOCK)], [operators(300)])
    assert beyond.contradiction is not None
    assert beyond.reading.used == beyond.reading.at_least == 300


def test_a_chip_that_reports_no_energy_is_contradicted_by_its_own_workload() -> None:
    stuck = energy_flop(
        energy(joules(5, 0), joules(5, 1), EnergyMeter(source=Source.CHIP, lag_s=0), CEILINGS, passed_s=1), CEILINGS
    )
    assert stuck.used == 0
    assert combine([clock_flop(1, CEILINGS), stuck], [operators(1e9)]).contradiction is not None


def test_readings_of_several_meters_are_not_mixed() -> None:
    with pytest.raises(ValueError, match="several meters"):
        combine([flop(1, Source.CLOCK), clock_wall(1)])
    with pytest.raises(ValueError, match="several meters"):
        added(flop(1, Source.CLOCK), clock_wall(1))


READINGS = st.builds(flop, st.floats(0, 1e25), st.sampled_from(Source))
LOWER = st.builds(lambda amount: AtLeast(meter=FLOP, at_least=amount, source=Source.WORKLOAD), st.floats(0, 1e25))


@given(st.lists(READINGS, min_size=1, max_size=6), st.lists(LOWER, max_size=3), st.sampled_from(Source))
def test_combining_against_the_definition(readings: list[Reading], lowers: list[AtLeast], trusted: Source) -> None:
    uppers = [one for one in readings if TRUST.index(one.source) <= TRUST.index(trusted)]
    if not uppers:
        return
    combined = combine(readings, lowers, trusted=trusted)
    low = max((one.at_least for one in lowers), default=0.0)
    high = min(one.used for one in uppers)
    assert combined.reading.used >= high
    assert combined.reading.at_least <= combined.reading.used
    assert (combined.contradiction is not None) == (low > high * (1 + 1e-9))
    if combined.contradiction is None:
        assert combined.reading.used == high
        assert combined.reading.source in {one.source for one in uppers if one.used == high}
    else:
        assert combined.reading.used >= low
    assert combine(list(reversed(readings)), lowers, trusted=trusted) == combined


# --- over a period -------------------------------------------------------------------------------------------------------


def test_a_period_is_the_sum_of_its_ticks_by_the_least_trusted_source_in_it() -> None:
    so_far: dict[MeterKind, Reading] = {}
    for used, source in ((10, Source.KERNEL), (20, Source.CLOCK), (30, Source.CHIP), (5, Source.CLOCK)):
        so_far = accumulate(so_far, [flop(100, Source.CLOCK), flop(used, source)], [operators(1)]).readings
    assert so_far == {FLOP: flop(65, Source.CHIP, at_least=4)}


def test_a_source_that_is_missing_in_one_tick_does_not_make_the_period_smaller() -> None:
    so_far = accumulate({}, [flop(100, Source.CLOCK), flop(10, Source.CHIP)]).readings
    so_far = accumulate(so_far, [flop(100, Source.CLOCK)]).readings
    assert so_far[FLOP].used == 110


def test_a_gap_is_no_zero() -> None:
    so_far = accumulate({}, [flop(100, Source.CLOCK), clock_wall(1)]).readings
    with pytest.raises(ValueError, match="no reading of wall-s"):
        accumulate(so_far, [flop(100, Source.CLOCK)])
    with pytest.raises(ValueError, match="bounds the meter from above"):
        accumulate({}, [], [operators(1)])


def test_contradictions_of_a_tick_are_returned() -> None:
    told = accumulate({}, [flop(1, Source.CLOCK), clock_wall(1)], [operators(5)])
    assert [one.kind for one in told.refusals] == [EventKind.TAMPERED]
