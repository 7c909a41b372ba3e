"""Flows as arithmetic against a list of every packet."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.worlds.packets import (
    Flows,
    cut_at_timeout,
    cut_on_grid,
    gap_for_rate,
    interval_totals,
    packetise,
    sample_packets,
)

FLOW = st.tuples(
    st.integers(0, 2),
    st.integers(0, 1),
    st.integers(-50, 200),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(52, 1500),
    st.integers(52, 1500),
)


def flows_of(rows: list[tuple[int, ...]]) -> Flows:
    pod, outbound, start, gap, packets, size, last = (np.array(column) for column in zip(*rows, strict=True))
    return Flows.of(
        pod=pod, outbound=outbound, pod_address=1, peer_address=2, pod_port=3, peer_port=4, protocol=6,
        start_ns=start, gap_ns=gap, packets=packets, size=size, last=last,
    )  # fmt: skip


def listed(flows: Flows) -> list[tuple[int, int, int]]:
    """(flow, time, size) of every packet."""
    found = []
    for k in range(len(flows)):
        for i in range(flows.packets[k]):
            size = flows.last[k] if i == flows.packets[k] - 1 else flows.size[k]
            found.append((k, int(flows.start_ns[k] + i * flows.gap_ns[k]), int(size)))
    return found


@given(st.lists(FLOW, min_size=1, max_size=8), st.integers(1, 60))
def test_cutting_at_a_timeout_groups_the_packets_of_a_flow_by_age(rows: list[tuple[int, ...]], timeout: int) -> None:
    flows = flows_of(rows)
    expected: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for k, time, size in listed(flows):
        expected.setdefault((k, (time - int(flows.start_ns[k])) // timeout), []).append((time, size))
    cuts = cut_at_timeout(flows, timeout)
    found = {
        (int(f), int(p)): (int(a), int(b), int(v), int(n))
        for f, p, a, b, v, n in zip(
            cuts.flow, cuts.piece, cuts.first_ns, cuts.last_ns, cuts.bytes, cuts.packets, strict=True
        )
    }
    assert found == {
        key: (packets[0][0], packets[-1][0], sum(size for _, size in packets), len(packets))
        for key, packets in expected.items()
    }


@given(st.lists(FLOW, min_size=1, max_size=8), st.integers(-60, 60), st.integers(1, 70))
def test_interval_totals_count_every_packet_once(rows: list[tuple[int, ...]], origin: int, step: int) -> None:
    flows = flows_of(rows)
    expected = np.zeros((3, 2, 5), dtype=np.int64)
    packets = np.zeros_like(expected)
    for k, time, size in listed(flows):
        interval = (time - origin) // step
        if 0 <= interval < 5:
            expected[flows.pod[k], flows.outbound[k], interval] += size
            packets[flows.pod[k], flows.outbound[k], interval] += 1
    found = interval_totals(flows, pods=3, origin_ns=origin, step_ns=step, count=5)
    assert np.array_equal(found[0], expected)
    assert np.array_equal(found[1], packets)
    assert cut_on_grid(flows, origin, step).bytes.sum() == flows.total_bytes.sum()


@given(st.lists(FLOW, min_size=1, max_size=8))
def test_sampling_every_packet_yields_every_packet(rows: list[tuple[int, ...]]) -> None:
    flows = flows_of(rows)
    flow, time, size = sample_packets(flows, 1, np.random.default_rng(0))
    assert sorted(zip(flow.tolist(), time.tolist(), size.tolist(), strict=True)) == sorted(listed(flows))
    assert (np.diff(time) >= 0).all()


def test_sampling_draws_each_packet_with_the_stated_probability() -> None:
    flows = flows_of([(0, 0, 0, 10, 60_000, 100, 100), (1, 1, 5, 10, 40_000, 1500, 52)])
    counts = np.array([len(sample_packets(flows, 50, np.random.default_rng(seed))[0]) for seed in range(200)])
    # Binomial(100,000, 1/50): mean 2,000, standard deviation 44.3; the mean of 200 within 4 of its standard errors.
    assert abs(counts.mean() - 2000) < 4 * 44.3 / 200**0.5
    assert 36 < counts.std() < 53


def test_packetising_keeps_the_volume_but_for_stubs() -> None:
    packets, last = packetise(np.array([1, 1500, 1501, 4500, 4600]))
    assert packets.tolist() == [1, 1, 2, 3, 4]
    assert last.tolist() == [52, 1500, 52, 1500, 100]


def test_gap_for_rate() -> None:
    assert gap_for_rate(1500, 30_000.0).tolist() == 50_000_000
