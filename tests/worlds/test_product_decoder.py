"""The product's own decoder reads what simulated sensors send, and its sums hold the truth between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inspectorate.mechanisms.interconnect.flows.addresses import AddressMap
from inspectorate.mechanisms.interconnect.flows.decoder import FlowDecoder
from inspectorate.mechanisms.interconnect.flows.outcomes import Irregularity
from inspectorate.mechanisms.interconnect.flows.report import DecodeReport
from inspectorate.mechanisms.interconnect.flows.sums import PairTable
from inspectorate.quantities import to_ns
from inspectorate.worlds import World, build_world
from inspectorate.worlds.exporter import Damage, export
from inspectorate.worlds.model import ETHERNET_BYTES, NS_PER_S, SAMPLING_RATE
from inspectorate.worlds.packets import interval_totals
from inspectorate.worlds.site import Protocol


@pytest.fixture(scope="module")
def world() -> World:
    return build_world("honest-crowds", 3)


def decoded(world: World, protocol: Protocol, damage: Damage | None = None) -> tuple[PairTable, DecodeReport]:
    """Sums of the first pod's link as one exact sensor reports it."""
    sensor = replace(world.site.sensors[0], protocol=protocol, gain=1.0, clock_offset_ns=0, pod=0)
    site = replace(world.site, sensors=(sensor, *world.site.sensors[1:]), loss=False)
    flows = world.flows.take(world.flows.pod == 0)
    received = export(site, 0, flows=flows, random=np.random.default_rng(1), damage=damage or Damage())
    edges = to_ns(site.start) + round(site.averaging_s * NS_PER_S) * np.arange(
        int(site.duration_s / site.averaging_s) + 1
    )
    table = PairTable(AddressMap.build({world.declaration.pods[0].id: world.declaration.pods[0].networks}), edges)
    decoder = FlowDecoder(sampling_default=1.0)
    for batch in decoder.decode_datagrams(received.contents(), received.arrival_ns):
        table.add(batch.records)
    return table, decoder.report()


def truth(world: World) -> np.ndarray:
    """Bytes (direction, interval) of the first pod: 0 into it, 1 out of it."""
    site = world.site
    step = round(site.averaging_s * NS_PER_S)
    count = int(site.duration_s / site.averaging_s)
    flows = world.flows.take(world.flows.pod == 0)
    return interval_totals(flows, pods=1, origin_ns=0, step_ns=step, count=count)[0][0]


@pytest.mark.parametrize("protocol", [Protocol.IPFIX])
def test_exact_bounds_hold_the_truth_in_every_interval(world: World, protocol: Protocol) -> None:
    table, report = decoded(world, protocol)
    own = table.pods.index("pod-1")
    outside = 1 - own
    true = truth(world)
    for direction, cell in ((0, (slice(None), outside, own)), (1, (slice(None), own, outside))):
        assert (table.exact.bytes_lower[cell] <= true[direction]).all()
        assert (true[direction] <= table.exact.bytes_upper[cell]).all()
    assert not report.rejections
    assert report.lost == 0
    assert not report.gaps


@pytest.mark.parametrize("protocol", [Protocol.NETFLOW_V9, Protocol.IPFIX])
def test_totals_are_the_truth_but_for_the_edges_of_the_period(world: World, protocol: Protocol) -> None:
    table, report = decoded(world, protocol)
    own = table.pods.index("pod-1")
    true = truth(world).sum(axis=1)
    found = (table.exact.bytes_estimate[:, 1 - own, own].sum(), table.exact.bytes_estimate[:, own, 1 - own].sum())
    assert found == pytest.approx(true, rel=0.01)
    assert not report.rejections
    assert not report.gaps


def test_sampled_totals_are_the_truth_within_the_error_of_sampling(world: World) -> None:
    table, report = decoded(world, Protocol.SFLOW)
    own = table.pods.index("pod-1")
    assert table.sampled is not None
    flows = world.flows.take(world.flows.pod == 0)
    packets = np.array([flows.packets[flows.outbound == d].sum() for d in (0, 1)])
    # Samples give lengths of frames; where the decoder passes them on, it says so.
    framing = ETHERNET_BYTES * packets if report.irregularities.get(Irregularity.LAYER2) else 0
    true = truth(world).sum(axis=1) + framing
    found = np.array(
        [table.sampled.bytes_estimate[:, 1 - own, own].sum(), table.sampled.bytes_estimate[:, own, 1 - own].sum()]
    )
    # Var = (N - 1) * sum of squared packet sizes, for independent draws with probability 1/N.
    squares = flows.packets * (flows.size + ETHERNET_BYTES) ** 2
    spread = [((SAMPLING_RATE - 1) * squares[flows.outbound == d].sum()) ** 0.5 for d in (0, 1)]
    assert (np.abs(found - true) < 5 * np.array(spread)).all()
    assert not report.rejections
    (source,) = (source for source in report.sources if not source.counters)
    assert source.pool_packets / source.samples == pytest.approx(SAMPLING_RATE, rel=0.1)


def test_lost_templates_are_reported(world: World) -> None:
    _, report = decoded(world, Protocol.IPFIX, Damage(templates=False))
    assert report.records == 0
    assert report.unknown_templates
