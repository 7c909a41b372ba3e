"""Sums per interval and pair of pods: conserved exactly, bounded rightly, equal to a slow obvious sum; and the prefix map."""

from __future__ import annotations

from fractions import Fraction
from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.flows import RECORD, AddressMap, Flag, PairTable, halves

PODS = {"a": ["10.1.0.0/16", "2001:db8:a::/48"], "b": ["10.2.0.0/16", "10.1.7.0/24", "2001:db8:a:7::/64"]}
NETWORKS = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.128.0/17", "10.1.2.0/24", "10.1.2.128/25", "10.1.2.3/32"]
NETWORKS += [
    "::/0",
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8:1::8/125",
    "2001:db8:1::9/128",
    "::ffff:10.9.0.0/112",
]
ADDRESSES = [
    "10.1.2.3",
    "10.1.2.4",
    "10.1.2.200",
    "10.1.3.1",
    "10.1.200.1",
    "10.2.0.1",
    "192.0.2.1",
    "10.9.1.1",
    "0.0.0.0",
]
ADDRESSES += ["2001:db8:1::9", "2001:db8:1::8", "2001:db8:1::10", "2001:db8:2::1", "fe80::1", "::", "255.255.255.255"]


def record(src: str = "10.1.0.1", dst: str = "10.2.0.1", **values: Any) -> np.ndarray[Any, np.dtype[np.void]]:
    row = np.zeros(1, RECORD)
    row["src_hi"], row["src_lo"] = halves(ip_address(src))
    row["dst_hi"], row["dst_lo"] = halves(ip_address(dst))
    row["sampling_rate"], row["packets"] = 1.0, 1
    for name, value in values.items():
        row[name] = value
    row["flags"] |= int(Flag.SAMPLED) if row["sampling_rate"][0] != 1.0 else 0
    return row


def index_of(pods: AddressMap, *addresses: str) -> list[str]:
    high, low = np.array([halves(ip_address(a)) for a in addresses], np.uint64).T
    return [pods.names[n] for n in pods.index(high, low)]


@given(st.lists(st.tuples(st.sampled_from(NETWORKS), st.sampled_from("abcd")), max_size=12))
def test_the_most_specific_network_decides(choices: list[tuple[str, str]]) -> None:
    owner = dict(choices)
    pods: dict[str, list[str]] = {}
    for network, name in owner.items():
        pods.setdefault(name, []).append(network)
    found = index_of(AddressMap.build(pods), *ADDRESSES)
    for address, name in zip(ADDRESSES, found, strict=True):
        plain = {(n.replace("::ffff:10.9.0.0/112", "10.9.0.0/16")): o for n, o in owner.items()}
        holding = [n for n in plain if ip_address(address) in ip_network(n)]
        best = max(holding, key=lambda n: ip_network(n).prefixlen, default=None)
        assert name == ("outside" if best is None else plain[best])


@pytest.mark.parametrize(
    "pods",
    [{"outside": ["10.0.0.0/8"]}, {"a": ["10.0.0.1/8"]}, {"a": ["x"]}, {"a": ["10.0.0.0/8"], "b": ["10.0.0.0/8"]}],
)
def test_unusable_networks_are_the_operators_fault(pods: dict[str, list[str]]) -> None:
    with pytest.raises(InputError):
        AddressMap.build(pods)


def test_many_networks() -> None:
    networks = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(2000)]
    pods = AddressMap.build({f"p{n}": [network] for n, network in enumerate(networks)})
    assert index_of(pods, "10.0.0.9", "10.3.7.200", "10.200.0.1") == ["p0", "p775", "outside"]


EDGES = np.array([0, 10, 20, 30, 40], np.int64)
UNEVEN = np.array([0, 3, 20, 21, 40], np.int64)

rows = st.tuples(
    st.sampled_from(["10.1.0.1", "10.1.7.1", "10.2.0.1", "192.0.2.1", "2001:db8:a:7::1", "2001:db8:a::1"]),
    st.sampled_from(["10.2.0.1", "10.1.7.9", "2001:db8:b::1"]),
    st.one_of(st.integers(0, 5000), st.integers(0, (1 << 64) - 1)),
    st.integers(-30, 70),
    st.integers(0, 60),
    st.sampled_from([1.0, 1.0, 1.5, 100.0]),
)


@given(st.lists(rows, max_size=12), st.sampled_from([EDGES, UNEVEN]), st.sampled_from([0, 2]))
@settings(max_examples=300)
def test_sums_are_those_of_a_slow_obvious_sum(items: list[tuple[Any, ...]], edges: Any, slack: int) -> None:
    pods = AddressMap.build(PODS)
    table = PairTable(pods, edges, slack_ns=slack)
    expected: dict[tuple[str, int, int, int, bool], int] = {}
    total, outside = 0, 0
    for src, dst, octets, start, lasts, rate in items:
        row = record(src, dst, bytes=octets, start_ns=start, end_ns=start + lasts, sampling_rate=rate)
        table.add(row)
        amount = min(octets, (1 << 62) - 1)
        amount = amount if rate == 1.0 else min(round(amount * rate), 1 << 61)
        total += amount
        s, d = (pods.names.index(n) for n in index_of(pods, src, dst))
        early, late = start - slack, start + lasts + slack
        touched = [i for i in range(4) if early < edges[i + 1] and late >= edges[i]]
        outside += not touched
        inside = len(touched) == 1 and early >= edges[touched[0]] and late < edges[touched[0] + 1]
        for i in touched:
            for name in ("upper", "lower") if inside else ("upper",):
                key = (name, i, s, d, rate != 1.0)
                expected[key] = min(expected.get(key, 0) + amount, (1 << 62) - 1)
    if total < 1 << 60:
        assert table.bytes_total() == total
        assert not table.saturated
    assert (table.records, table.records_outside) == (len(items), outside)
    for sampled, sums in ((False, table.exact), (True, table.sampled)):
        for name in ("upper", "lower"):
            found = {} if sums is None else dict(np.ndenumerate(getattr(sums, f"bytes_{name}")))
            wanted = {
                key[1:4]: value for key, value in expected.items() if key[0] == name and key[4] == sampled and value
            }
            assert {place: int(v) for place, v in found.items() if v} == wanted
        if sums is not None:
            assert (sums.bytes_lower <= sums.bytes_estimate).all()
            assert (sums.bytes_estimate <= sums.bytes_upper).all()
            assert (sums.packets_lower <= sums.packets_upper).all()


@given(st.integers(0, 1 << 50), st.integers(-20, 50), st.integers(1, 60))
def test_shares_are_even_to_a_byte_and_add_up(octets: int, start: int, lasts: int) -> None:
    table = PairTable(AddressMap.build(PODS), EDGES)
    table.add(record(bytes=octets, start_ns=start, end_ns=start + lasts))
    shares = table.exact.bytes_estimate[:, 1, 2]
    for i, share in enumerate(shares.tolist()):
        overlap = max(0, min(start + lasts, int(EDGES[i + 1])) - max(start, int(EDGES[i])))
        wholly = start >= EDGES[i] and start + lasts < EDGES[i + 1]
        even = Fraction(octets) if wholly else Fraction(octets * overlap, lasts)
        assert abs(share - even) <= 1 + octets / 2**50
    assert int(shares.sum()) + table.bytes_before + table.bytes_after == octets


def test_a_point_on_an_edge_belongs_to_the_interval_that_starts_there() -> None:
    table = PairTable(AddressMap.build(PODS), EDGES)
    for time in (-1, 0, 10, 39, 40):
        table.add(record(bytes=1, start_ns=time, end_ns=time))
    assert table.exact.bytes_lower[:, 1, 2].tolist() == [1, 1, 0, 1]
    assert (table.bytes_before, table.bytes_after, table.records_outside) == (1, 1, 2)


def test_the_largest_rate_of_a_cell_is_kept() -> None:
    table = PairTable(AddressMap.build(PODS), EDGES)
    for rate in (100.0, 1000.0, 1.5):
        table.add(record(bytes=10, start_ns=5, end_ns=5, sampling_rate=rate))
    assert table.sampled is not None
    assert table.sampled.rate_max[0, 1, 2] == 1000
    assert table.sampled.bytes_estimate[0, 1, 2] == 11_015
    assert table.exact.bytes_estimate.sum() == 0


def test_sums_stop_instead_of_wrapping() -> None:
    table = PairTable(AddressMap.build(PODS), EDGES)
    for _ in range(3):
        table.add(record(bytes=1 << 63, start_ns=5, end_ns=5))
    assert table.saturated
    assert table.exact.bytes_upper[0, 1, 2] == (1 << 62) - 1


def test_unusable_tables() -> None:
    pods = AddressMap.build(PODS)
    with pytest.raises(ValueError, match="increase"):
        PairTable(pods, np.array([0, 0]))
    with pytest.raises(ValueError, match="negative"):
        PairTable(pods, EDGES, slack_ns=-1)
    with pytest.raises(InputError, match="cells"):
        PairTable(AddressMap.build({f"p{n}": [] for n in range(3000)}), EDGES)
    with pytest.raises(TypeError, match="RECORD"):
        PairTable(pods, EDGES).add(np.zeros(3))
