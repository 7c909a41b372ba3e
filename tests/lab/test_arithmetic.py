"""The pure arithmetic of the bench: pacing, packing, outer steps, demand, the limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from inspectorate.errors import InputError
from inspectorate.lab.demand import Demand, requests
from inspectorate.lab.limit import HEAD_ROOM, derive
from inspectorate.lab.low_communication import (
    HEADER_BYTES,
    OUTER_LEARNING_RATE,
    OUTER_MOMENTUM,
    FrameHeader,
    fingerprint,
    outer_step,
)
from inspectorate.lab.pacing import TokenBucket
from inspectorate.lab.quantise import BLOCK, pack, packed_bytes, unpack

finite = st.floats(-1e6, 1e6, width=32)


@given(
    sizes=st.lists(st.integers(1, 1000), min_size=1, max_size=60),
    pauses_s=st.lists(st.floats(0, 2), min_size=60, max_size=60),
    rate=st.floats(100, 10_000),
)
def test_a_bucket_keeps_every_stretch_below_burst_plus_rate(
    sizes: list[int], pauses_s: list[float], rate: float
) -> None:
    bucket = TokenBucket(bytes_per_s=rate, burst_bytes=1000, now_s=0.0)
    now_s, sent = 0.0, []
    for size, pause_s in zip(sizes, pauses_s, strict=False):
        now_s += pause_s
        now_s += bucket.take(size, now_s)
        sent.append((now_s, size))
    for i, (start_s, _) in enumerate(sent):
        total = 0
        for at_s, size in sent[i:]:
            total += size
            assert total <= 1000 + rate * (at_s - start_s) + 1e-3


def test_a_bucket_that_is_kept_full_reaches_its_rate() -> None:
    bucket = TokenBucket(bytes_per_s=1000, burst_bytes=100, now_s=0.0)
    now_s = 0.0
    for _ in range(1000):
        now_s += bucket.take(100, now_s)
    assert now_s == pytest.approx(99.9)


@pytest.mark.parametrize("size", [0, 101], ids=["nothing", "more-than-the-burst"])
def test_a_bucket_refuses_what_it_could_never_send(size: int) -> None:
    with pytest.raises(ValueError, match="burst"):
        TokenBucket(bytes_per_s=1, burst_bytes=100, now_s=0.0).take(size, 0.0)


def test_a_bucket_refuses_a_clock_that_goes_back() -> None:
    bucket = TokenBucket(bytes_per_s=1, burst_bytes=100, now_s=5.0)
    with pytest.raises(ValueError, match="back"):
        bucket.take(1, 4.0)


@given(hnp.arrays(np.float32, st.integers(1, 3 * BLOCK), elements=finite))
def test_packing_returns_every_number_within_half_a_step(values: np.ndarray) -> None:
    packed = pack(values)
    assert len(packed) == packed_bytes(values.size)
    back = unpack(packed, values.size)
    for start in range(0, values.size, BLOCK):
        block, returned = values[start : start + BLOCK], back[start : start + BLOCK]
        half_step = np.abs(block).max() / 254
        assert np.abs(block - returned).max() <= half_step * 1.0001 + 1e-37


def test_packing_keeps_zeros_and_extremes() -> None:
    values = np.array([0.0, 3.0, -3.0, 1.5], dtype=np.float32)
    assert unpack(pack(values), 4) == pytest.approx([0.0, 3.0, -3.0, 64 * 3 / 127])


@pytest.mark.parametrize(
    "values",
    [np.array([], dtype=np.float32), np.array([1, np.nan], dtype=np.float32), np.array([np.inf], dtype=np.float32)],
    ids=["empty", "nan", "infinite"],
)
def test_packing_refuses_what_would_poison_a_replica(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"finite|at least one"):
        pack(values)


@pytest.mark.parametrize("damage", ["short", "long", "scale"])
def test_unpacking_refuses_damage(damage: str) -> None:
    packed = pack(np.ones(10, dtype=np.float32))
    damaged = {
        "short": packed[:-1],
        "long": packed + b"x",
        "scale": np.float32("nan").tobytes() + packed[4:],
    }[damage]
    with pytest.raises(ValueError, match=r"cannot hold|scale"):
        unpack(damaged, 10)


def test_the_outer_step_is_nesterov_momentum_written_out() -> None:
    start, momentum = np.array([1.0], dtype=np.float32), np.zeros(1, dtype=np.float32)
    position, velocity = 1.0, 0.0
    for gradient in (0.5, -0.25, 0.125):
        start, momentum = outer_step(start, np.array([gradient], dtype=np.float32), momentum)
        velocity = OUTER_MOMENTUM * velocity + gradient
        position -= OUTER_LEARNING_RATE * (gradient + OUTER_MOMENTUM * velocity)
        assert float(start[0]) == pytest.approx(position, rel=1e-6)


def test_a_header_survives_its_bytes_and_refuses_others() -> None:
    header = FrameHeader(round_number=3, payload_bytes=100, last=True, started_from=fingerprint(np.ones(2, np.float32)))
    data = header.to_bytes()
    assert FrameHeader.from_bytes(data) == header
    for wrong in (b"", data[:-1], b"X" + data[1:], data[:8] + b"\xff\xff\xff\xff" + data[12:], bytes(HEADER_BYTES)):
        with pytest.raises(ValueError, match="header"):
            FrameHeader.from_bytes(wrong)


def test_demand_follows_its_rate_and_its_seed() -> None:
    demand = Demand(mean_per_s=2.0, swing=0.8, period_s=100.0)
    asked = requests(demand, start_s=0, end_s=1000, seed=7)
    assert asked == requests(demand, start_s=0, end_s=1000, seed=7)
    assert asked != requests(demand, start_s=0, end_s=1000, seed=8)
    # 2000 expected; five standard deviations of a Poisson count either way.
    assert abs(len(asked) - 2000) < 5 * 2000**0.5
    rising = sum(1 for r in asked if r.at_s % 100 < 50)
    expected_share = 0.5 + 0.8 / np.pi
    assert rising / len(asked) == pytest.approx(expected_share, abs=0.05)
    assert all(64 <= r.prompt_bytes <= 8000 and 8 <= r.tokens <= 160 for r in asked)


def test_demand_refuses_absurd_numbers() -> None:
    with pytest.raises(InputError, match="rate"):
        Demand(mean_per_s=0)
    with pytest.raises(InputError, match="more than"):
        requests(Demand(mean_per_s=100), start_s=0, end_s=1e6, seed=1)


def test_the_limit_is_the_published_head_room_over_the_honest_peak() -> None:
    assert pytest.approx(125 / 85) == HEAD_ROOM
    assert derive(85_000) == 125_000
    assert derive(85_001) == 125_500
    with pytest.raises(ValueError, match="measured"):
        derive(0.0)
