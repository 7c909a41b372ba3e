"""What is left within a limit: published answers, and arithmetic against a slow count."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.enforce import covert


def use(**changed: float) -> covert.LinkUse:
    values = {
        "limit_bytes_per_s": 125_000,
        "honest_bytes_per_s": 17_000,
        "packets_per_s": 10,
        "timing_slots": 16,
        "sizes": 64,
        "flows": 4,
    }
    return covert.LinkUse.model_validate(values | changed)


def test_g10_a_terabyte_a_day_leaves_five_gigabytes() -> None:
    """arXiv 2511.02620: 1 TB/day x 0.5 % = 5 GB/day, 200 times slower; contested 60 to 118 times (arXiv 2608.23375)."""
    left = covert.residual_bytes_per_day(covert.SERVED_BYTES_PER_DAY)
    assert left.low == pytest.approx(5e9)
    assert left.high == pytest.approx(1e12 / 60)
    assert covert.SERVED_BYTES_PER_DAY / left.low == pytest.approx(200)
    assert covert.SLOWDOWN_CONTESTED == (60.0, 118.0)


def test_the_command_prints_both_ends_of_g10() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inspectorate", "limit", "covert", "--served", "1e12"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "5 GB a day (slow-down 200)" in done.stdout
    assert "8.47 GB a day to 16.7 GB a day (slow-down 118 to 60)" in done.stdout
    as_json = subprocess.run(
        [sys.executable, "-m", "inspectorate", "limit", "covert", "--json"], capture_output=True, check=True, timeout=60
    )
    assert json.loads(as_json.stdout)["unverified"] > 125_000 * 86_400


def test_the_example_model_takes_75_days_uncompressed() -> None:
    """arXiv 2506.15867: 810 GB through 125 KB/s takes 75 days."""
    model = covert.Model(parameters=405e9, bits=16, compressed_to=1)
    assert model.size_bytes == pytest.approx(810e9)
    assert covert.days_to_carry(model, 125_000 * covert.DAY_S) == pytest.approx(75.0, rel=0.01)


def test_order_is_what_counting_permutations_gives() -> None:
    for flows in range(1, 7):
        orders = len(list(itertools.permutations(range(flows))))
        expected = 10 * math.log2(orders) / flows / 8 * covert.DAY_S
        assert covert.capacity(use(flows=flows)).order == pytest.approx(expected)


def test_content_is_between_sampling_and_all_bits_of_a_token() -> None:
    found = covert.capacity(use())
    assert found.content.high == pytest.approx(17_000 * covert.DAY_S)
    assert found.content.low == pytest.approx(17_000 * covert.DAY_S / 17)


@given(
    limit=st.floats(1_000, 1e9),
    share=st.floats(0, 1),
    packets=st.floats(0, 1e6),
    slots=st.integers(1, 10**6),
    sizes=st.integers(1, 1500),
    flows=st.integers(1, 10_000),
)
def test_verified_is_never_more_than_unverified_and_more_room_never_carries_less(
    limit: float, share: float, packets: float, slots: int, sizes: int, flows: int
) -> None:
    given_use = use(
        limit_bytes_per_s=limit,
        honest_bytes_per_s=limit * share,
        packets_per_s=packets,
        timing_slots=slots,
        sizes=sizes,
        flows=flows,
    )
    found = covert.capacity(given_use)
    assert found.verified.low <= found.verified.high <= found.unverified * (1 + 1e-9)
    assert found.volume + found.content.high <= limit * covert.DAY_S * (1 + 1e-9)
    wider = covert.capacity(given_use.model_copy(update={"limit_bytes_per_s": 2 * limit, "timing_slots": slots + 1}))
    assert wider.unverified >= found.unverified


def test_nothing_carried_is_never_and_not_zero_days() -> None:
    model = covert.Model(parameters=1e9, bits=16, compressed_to=0.5)
    silent = use(honest_bytes_per_s=0, packets_per_s=0)
    assert covert.capacity(silent, model).days_verified is None
    assert covert.days_to_carry(model, 0) is None
