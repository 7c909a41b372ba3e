"""An encoder of sFlow v5: flow samples with raw packet headers, and generic interface counters.

- Every packet of the link is drawn with probability 1/rate by itself. A sample carries the Ethernet, IPv4 and TCP or UDP
  headers of its packet, the length of the frame, and the pool: how many packets had passed.
- Counters every `COUNTERS_EVERY_S` count frames: `ETHERNET_BYTES` more per packet than the IP bytes of the limit.
- Datagrams leave when they are full, or at the next tick.

Source: sFlow.org, "sFlow Version 5" (July 2004), with its data structures for flow samples and counters.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.worlds import model
from inspectorate.worlds.netflow import POD_INTERFACE, UPLINK_INTERFACE, Clock, Messages, group_by_tick
from inspectorate.worlds.packets import TCP, Flows, Ints, interval_totals, sample_packets

_HEADER_BYTES = 54
_FCS_BYTES = 4
_SAMPLE = np.dtype(
    [
        ("format", ">u4"), ("length", ">u4"), ("sequence", ">u4"), ("source", ">u4"), ("rate", ">u4"), ("pool", ">u4"),
        ("drops", ">u4"), ("input", ">u4"), ("output", ">u4"), ("records", ">u4"),
        ("record_format", ">u4"), ("record_length", ">u4"),
        ("protocol", ">u4"), ("frame_length", ">u4"), ("stripped", ">u4"), ("header_length", ">u4"),
        ("ethernet_destination", "u1", 6), ("ethernet_source", "u1", 6), ("ethernet_type", ">u2"),
        ("version_ihl", "u1"), ("tos", "u1"), ("total_length", ">u2"), ("identification", ">u2"), ("fragment", ">u2"),
        ("ttl", "u1"), ("ip_protocol", "u1"), ("checksum", ">u2"), ("source_ip", ">u4"), ("destination_ip", ">u4"),
        ("sport", ">u2"), ("dport", ">u2"), ("transport", "u1", 16), ("padding", "u1", 2),
    ]
)  # fmt: skip
_COUNTERS = np.dtype(
    [
        ("format", ">u4"), ("length", ">u4"), ("sequence", ">u4"), ("source", ">u4"), ("records", ">u4"),
        ("record_format", ">u4"), ("record_length", ">u4"),
        ("index", ">u4"), ("type", ">u4"), ("speed", ">u8"), ("direction", ">u4"), ("status", ">u4"),
        ("in_octets", ">u8"), ("in_unicast", ">u4"), ("in_multicast", ">u4"), ("in_broadcast", ">u4"),
        ("in_discards", ">u4"), ("in_errors", ">u4"), ("in_unknown", ">u4"),
        ("out_octets", ">u8"), ("out_unicast", ">u4"), ("out_multicast", ">u4"), ("out_broadcast", ">u4"),
        ("out_discards", ">u4"), ("out_errors", ">u4"), ("promiscuous", ">u4"),
    ]
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One sFlow agent: one packet in `rate` is drawn, and the datagrams say `announced_rate`."""

    clock: Clock
    address: int
    rate: int
    announced_rate: int


def encode_sflow(
    flows: Flows, random: np.random.Generator, agent: Agent, *, end_ns: int, silent_ns: tuple[int, int] | None
) -> Messages:
    """sFlow datagrams about one link from `LEAD_S` before the period to `end_ns`.

    What falls in `silent_ns` is never sent, nor counted in a sequence number.
    """
    begin_ns = -round(model.LEAD_S * model.NS_PER_S)
    tick = round(model.TICK_S * model.NS_PER_S)
    counted, passed = _running_totals(flows, begin_ns, end_ns, tick)
    flow, at_ns, size = sample_packets(flows, agent.rate, random)
    heard = (at_ns >= begin_ns) & (at_ns < end_ns)
    flow, at_ns, size = flow[heard], at_ns[heard], size[heard]
    samples = _samples(flows.take(flow), size, agent.announced_rate)
    grid = begin_ns + tick * np.arange(passed.shape[1])
    samples["pool"] = np.interp(at_ns, grid, passed.sum(axis=0)).astype(np.int64) & 0xFFFFFFFF
    polls = grid[:: max(1, round(model.COUNTERS_EVERY_S / model.TICK_S))][1:]
    counters = _counters(counted, passed, (polls - begin_ns) // tick)
    keep_samples, keep_polls = _speaks(_sent_at(at_ns, tick), silent_ns), _speaks(polls, silent_ns)
    samples, at_ns = samples[keep_samples], at_ns[keep_samples]
    counters, polls = counters[keep_polls], polls[keep_polls]
    samples["sequence"] = np.arange(1, len(samples) + 1)
    counters["sequence"] = np.arange(1, len(counters) + 1)
    return _datagrams(samples, _sent_at(at_ns, tick), counters, polls, agent)


def _sent_at(at_ns: Ints, tick: int) -> Ints:
    """The tick after each time, at which what happened is sent."""
    result: Ints = (at_ns // tick + 1) * tick
    return result


def _speaks(sent_ns: Ints, silent_ns: tuple[int, int] | None) -> NDArray[np.bool_]:
    if silent_ns is None:
        return np.ones(len(sent_ns), dtype=np.bool_)
    result: NDArray[np.bool_] = (sent_ns < silent_ns[0]) | (sent_ns >= silent_ns[1])
    return result


def _running_totals(flows: Flows, begin_ns: int, end_ns: int, tick: int) -> tuple[Ints, Ints]:
    """Bytes and packets that had passed at each tick, arrays (2, ticks + 1): row 0 into the pod, row 1 out of it."""
    count = -(-(end_ns - begin_ns) // tick)
    here = replace(flows, pod=np.zeros_like(flows.pod))
    volume, packets = interval_totals(here, pods=1, origin_ns=begin_ns, step_ns=tick, count=count)
    pad = ((0, 0), (1, 0))
    return np.pad(np.cumsum(volume[0], axis=1), pad), np.pad(np.cumsum(packets[0], axis=1), pad)


def _samples(flows: Flows, size: Ints, announced_rate: int) -> NDArray[Any]:
    samples = np.zeros(len(flows), dtype=_SAMPLE)
    out = flows.outbound == 1
    samples["format"] = 1
    samples["length"] = _SAMPLE.itemsize - 8
    samples["source"] = POD_INTERFACE
    samples["rate"] = announced_rate
    samples["input"] = np.where(out, POD_INTERFACE, UPLINK_INTERFACE)
    samples["output"] = np.where(out, UPLINK_INTERFACE, POD_INTERFACE)
    samples["records"] = 1
    samples["record_format"] = 1
    samples["record_length"] = 16 + _HEADER_BYTES + 2
    samples["protocol"] = 1
    samples["frame_length"] = size + model.ETHERNET_BYTES + _FCS_BYTES
    samples["stripped"] = _FCS_BYTES
    samples["header_length"] = _HEADER_BYTES
    samples["ethernet_destination"][:, 0] = samples["ethernet_source"][:, 0] = 2
    samples["ethernet_type"] = 0x0800
    samples["version_ihl"] = 0x45
    samples["total_length"] = size
    samples["fragment"] = 0x4000
    samples["ttl"] = 63
    samples["ip_protocol"] = flows.protocol
    samples["source_ip"] = np.where(out, flows.pod_address, flows.peer_address)
    samples["destination_ip"] = np.where(out, flows.peer_address, flows.pod_address)
    samples["sport"] = np.where(out, flows.pod_port, flows.peer_port)
    samples["dport"] = np.where(out, flows.peer_port, flows.pod_port)
    tcp = flows.protocol == TCP
    samples["transport"][:, 8] = np.where(tcp, 0x50, 0)
    samples["transport"][:, 9] = np.where(tcp, 0x18, 0)
    samples["transport"][:, 0] = np.where(tcp, 0, (size - 20) >> 8)
    samples["transport"][:, 1] = np.where(tcp, 0, (size - 20) & 0xFF)
    return samples


def _counters(counted: Ints, passed: Ints, ticks: Ints) -> NDArray[Any]:
    """Generic interface counters of the port towards the pod: what it takes in is what the pod sends."""
    counters = np.zeros(len(ticks), dtype=_COUNTERS)
    octets = counted[:, ticks] + model.ETHERNET_BYTES * passed[:, ticks]
    counters["format"] = 2
    counters["length"] = _COUNTERS.itemsize - 8
    counters["source"] = counters["index"] = POD_INTERFACE
    counters["records"] = counters["record_format"] = 1
    counters["record_length"] = 88
    counters["type"] = 6
    counters["speed"] = round(model.LINK_BYTES_PER_S * 8)
    counters["direction"] = 1
    counters["status"] = 3
    counters["in_octets"], counters["out_octets"] = octets[1], octets[0]
    counters["in_unicast"], counters["out_unicast"] = passed[1][ticks] & 0xFFFFFFFF, passed[0][ticks] & 0xFFFFFFFF
    return counters


def _datagrams(samples: NDArray[Any], sent_ns: Ints, counters: NDArray[Any], polls: Ints, agent: Agent) -> Messages:
    begins, times = group_by_tick(sent_ns, model.SAMPLES_PER_DATAGRAM)
    stops = np.append(begins[1:], len(samples))
    data, width = samples.tobytes(), _SAMPLE.itemsize
    bodies = [
        (at, stop - begin, data[begin * width : stop * width])
        for at, begin, stop in zip(times.tolist(), begins.tolist(), stops.tolist(), strict=True)
    ]
    bodies += [(at, 1, record.tobytes()) for at, record in zip(polls.tolist(), counters, strict=True)]
    bodies.sort(key=lambda body: body[0])
    times = np.array([body[0] for body in bodies], dtype=np.int64)
    uptime = agent.clock.uptime_ms(times).tolist()
    content = [
        struct.pack(">IIIIIII", 5, 1, agent.address, 0, number + 1, uptime[number] & 0xFFFFFFFF, count) + body
        for number, (_, count, body) in enumerate(bodies)
    ]
    return Messages(sent_ns=times, content=content)
