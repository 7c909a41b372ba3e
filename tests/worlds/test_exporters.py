"""What simulated sensors send, decoded by independent decoders and compared with the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from decode import Decoded, decode_ipfix, decode_sflow, decode_v9

from inspectorate.quantities import to_ns
from inspectorate.worlds import World, build_world
from inspectorate.worlds.exporter import Damage, export, heard_until_ns
from inspectorate.worlds.model import ACTIVE_TIMEOUT_S, ETHERNET_BYTES, NS_PER_S, SAMPLING_RATE, TICK_S
from inspectorate.worlds.packets import Flows
from inspectorate.worlds.site import Protocol, SimSite, pod_address

DECODERS = {Protocol.NETFLOW_V9: decode_v9, Protocol.IPFIX: decode_ipfix, Protocol.SFLOW: decode_sflow}


@pytest.fixture(scope="module")
def world() -> World:
    return build_world("honest-crowds", 3)


def exact(site: SimSite, protocol: Protocol) -> tuple[SimSite, int]:
    """The site with one exact, punctual sensor of a protocol on its first pod; and the number of that sensor."""
    sensor = replace(site.sensors[0], protocol=protocol, gain=1.0, clock_offset_ns=0, pod=0)
    return replace(site, sensors=(sensor, *site.sensors[1:]), loss=False), 0


def exported(site: SimSite, number: int, flows: Flows, damage: Damage | None = None) -> Decoded:
    received = export(site, number, flows=flows, random=np.random.default_rng(1), damage=damage or Damage())
    assert (np.diff(received.arrival_ns) >= 0).all()
    return DECODERS[site.sensors[number].protocol](in_order(site, number, received.contents()))


def in_order(site: SimSite, number: int, datagrams: list[bytes]) -> list[bytes]:
    """Undo that datagrams overtake each other, by their own sequence numbers."""
    at = {Protocol.NETFLOW_V9: 12, Protocol.IPFIX: 8, Protocol.SFLOW: 16}[site.sensors[number].protocol]
    return sorted(datagrams, key=lambda data: int.from_bytes(data[at : at + 4], "big"))


def link_of(world: World, pod: int) -> Flows:
    """The flows of a link that end early enough for all of them to be reported."""
    flows = world.flows.take(world.flows.pod == pod)
    return flows.take(flows.end_ns < heard_until_ns(world.site) - round((ACTIVE_TIMEOUT_S + 3) * NS_PER_S))


@pytest.mark.parametrize("protocol", [Protocol.NETFLOW_V9, Protocol.IPFIX])
def test_records_carry_every_byte_once(world: World, protocol: Protocol) -> None:
    site, number = exact(world.site, protocol)
    flows = link_of(world, 0)
    decoded = exported(site, number, flows)
    sums: Counter[tuple[int, int]] = Counter()
    for record in decoded.records:
        sums[record.source, record.destination] += record.bytes
    expected: Counter[tuple[int, int]] = Counter()
    for k in range(len(flows)):
        ends = (int(flows.pod_address[k]), int(flows.peer_address[k]))
        expected[ends if flows.outbound[k] else ends[::-1]] += int(flows.total_bytes[k])
    assert sums == expected
    assert sum(record.packets for record in decoded.records) == int(flows.packets.sum())
    assert decoded.gaps == decoded.undecodable_sets == 0
    assert set(decoded.sampling) == {1}


def test_ipfix_times_are_those_of_the_packets_and_no_record_is_older_than_the_active_timeout(world: World) -> None:
    site, number = exact(world.site, Protocol.IPFIX)
    flows = link_of(world, 0)
    decoded = exported(site, number, flows)
    origin_ms = to_ns(site.start) // 10**6
    firsts = np.array([record.first_ms for record in decoded.records]) - origin_ms
    lasts = np.array([record.last_ms for record in decoded.records]) - origin_ms
    assert firsts.min() == flows.start_ns.min() // 10**6
    assert lasts.max() == flows.end_ns.max() // 10**6
    assert ((lasts - firsts) <= ACTIVE_TIMEOUT_S * 1000).all()


def test_records_arrive_within_the_active_timeout_and_a_tick_of_their_first_packet(world: World) -> None:
    site, number = exact(world.site, Protocol.IPFIX)
    received = export(site, number, flows=link_of(world, 0), random=np.random.default_rng(1))
    contents = received.contents()
    late_s = [
        at / 1e9 - record.first_ms / 1e3
        # The first datagram brings the templates.
        for at, content in zip(received.arrival_ns.tolist()[1:], contents[1:], strict=True)
        for record in decode_ipfix([contents[0], content]).records[len(decode_ipfix(contents[:1]).records) :]
    ]
    assert len(late_s) > 1000
    assert max(late_s) < ACTIVE_TIMEOUT_S + TICK_S + 0.5


def test_netflow_v9_times_are_right_to_a_second(world: World) -> None:
    site, number = exact(world.site, Protocol.NETFLOW_V9)
    flows = link_of(world, 0)
    decoded = exported(site, number, flows)
    origin_ms = to_ns(site.start) // 10**6
    first_ms = min(record.first_ms for record in decoded.records) - origin_ms
    assert -1000 <= first_ms - int(flows.start_ns.min()) / 1e6 <= 1


def test_sflow_samples_are_packets_of_the_link_and_counters_are_exact(world: World) -> None:
    site, number = exact(world.site, Protocol.SFLOW)
    flows = link_of(world, 0)
    decoded = exported(site, number, flows)
    sizes = set(flows.size.tolist()) | set(flows.last.tolist())
    mine = pod_address(0)
    assert decoded.gaps == 0
    assert {sample.rate for sample in decoded.samples} == {SAMPLING_RATE}
    assert all(sample.ip_bytes in sizes and sample.frame_bytes == sample.ip_bytes + 14 for sample in decoded.samples)
    assert all(mine in (sample.source, sample.destination) for sample in decoded.samples)
    pools = [sample.pool for sample in decoded.samples]
    assert pools == sorted(pools)
    assert [sample.sequence for sample in decoded.samples] == list(range(1, len(pools) + 1))
    out = flows.outbound == 1
    in_octets, in_packets, out_octets, out_packets = decoded.counters[-1]
    assert in_packets == int(flows.packets[out].sum())
    assert in_octets == int(flows.total_bytes[out].sum()) + ETHERNET_BYTES * in_packets
    assert out_packets == int(flows.packets[~out].sum())
    assert out_octets == int(flows.total_bytes[~out].sum()) + ETHERNET_BYTES * out_packets
    # Binomial: within five standard deviations.
    total = int(flows.packets.sum())
    assert abs(len(pools) - total / SAMPLING_RATE) < 5 * (total / SAMPLING_RATE) ** 0.5


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_silenced_exporter_leaves_no_gap_in_its_numbers(world: World, protocol: Protocol) -> None:
    site, number = exact(world.site, protocol)
    flows = link_of(world, 0)
    received = export(
        site, number, flows=flows, random=np.random.default_rng(1), damage=Damage(silent_s=(100.0, 200.0))
    )
    decoded = DECODERS[protocol](in_order(site, number, received.contents()))
    since_s = (received.arrival_ns - to_ns(site.start)) / 1e9
    assert decoded.gaps == 0
    assert not ((since_s > 101) & (since_s < 200)).any()
    assert (since_s > 200).any()


@pytest.mark.parametrize("protocol", list(Protocol))
def test_lost_datagrams_show_in_the_numbers(world: World, protocol: Protocol) -> None:
    site, number = exact(world.site, protocol)
    received = export(replace(site, loss=True), number, flows=link_of(world, 0), random=np.random.default_rng(3))
    whole = export(site, number, flows=link_of(world, 0), random=np.random.default_rng(3))
    assert len(received) < len(whole)
    assert DECODERS[protocol](in_order(site, number, received.contents())).gaps > 0


@pytest.mark.parametrize("protocol", [Protocol.NETFLOW_V9, Protocol.IPFIX])
def test_without_templates_nothing_can_be_decoded(world: World, protocol: Protocol) -> None:
    site, number = exact(world.site, protocol)
    decoded = exported(site, number, link_of(world, 0), Damage(templates=False))
    assert not decoded.records
    assert decoded.undecodable_sets > 10


def test_a_wrong_announcement_changes_the_announcement_only(world: World) -> None:
    site, number = exact(world.site, Protocol.SFLOW)
    sound, lying = (exported(site, number, link_of(world, 0), d) for d in (Damage(), Damage(announced_rate=8)))
    assert {sample.rate for sample in lying.samples} == {8}
    assert [sample.pool for sample in lying.samples] == [sample.pool for sample in sound.samples]


def test_a_shifted_clock_shifts_the_times_in_records(world: World) -> None:
    site, number = exact(world.site, Protocol.IPFIX)
    sound, shifted = (exported(site, number, link_of(world, 0), d) for d in (Damage(), Damage(clock_shift_s=90.0)))
    assert {a.first_ms - b.first_ms for a, b in zip(shifted.records, sound.records, strict=True)} == {90_000}
