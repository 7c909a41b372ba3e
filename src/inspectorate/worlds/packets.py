"""Flows as arithmetic: packets in even steps, never listed one by one, counted exactly.

A flow is `packets` packets on one pod's link in one direction, packet i at `start_ns + i * gap_ns` from the start of the
declared period, each of `size` IP bytes and the last of `last`. So counts in any stretch of time are exact integers:

    packets before t:  n(t) = clip(ceil((t - start) / gap), 0, packets)
    bytes before t:    n(t) * size - [n(t) = packets] * (size - last)

A connection whose shape changes is several flows. What crosses two pods' links is two flows, one on each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inspectorate.worlds.model import ACK_BYTES, NS_PER_S, PACKET_BYTES_MAX

Ints = NDArray[np.int64]
TCP, UDP = 6, 17


@dataclass(frozen=True, kw_only=True)
class Flows:
    """Columns of shape (flows,), all int64. `outbound` is 1 for what the pod sends; addresses are IPv4 as numbers."""

    pod: Ints
    outbound: Ints
    pod_address: Ints
    peer_address: Ints
    pod_port: Ints
    peer_port: Ints
    protocol: Ints
    start_ns: Ints
    gap_ns: Ints
    packets: Ints
    size: Ints
    last: Ints

    def __len__(self) -> int:
        return len(self.pod)

    @classmethod
    def of(cls, **columns: ArrayLike) -> Flows:
        """Flows from columns or single values, broadcast to one length."""
        names = [field.name for field in fields(cls)]
        if set(columns) != set(names):
            raise ValueError(f"columns must be exactly {', '.join(names)}")
        values = [np.atleast_1d(np.asarray(columns[name], dtype=np.int64)) for name in names]
        full = np.broadcast_arrays(*values)
        return cls(**dict(zip(names, full, strict=True)))

    @classmethod
    def join(cls, parts: Iterable[Flows]) -> Flows:
        """All flows of the parts, in order. Raises `ValueError` if there is no part."""
        listed = list(parts)
        if not listed:
            raise ValueError("nothing to join")
        return cls(**{f.name: np.concatenate([getattr(part, f.name) for part in listed]) for f in fields(cls)})

    def take(self, which: NDArray[np.bool_] | Ints) -> Flows:
        return Flows(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    @property
    def end_ns(self) -> Ints:
        """Time of the last packet."""
        return self.start_ns + (self.packets - 1) * self.gap_ns

    @property
    def total_bytes(self) -> Ints:
        return (self.packets - 1) * self.size + self.last


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """Flows cut at times: each piece with its flow, its first and last packet, and what it carried; shape (pieces,)."""

    flow: Ints
    piece: Ints
    first_ns: Ints
    last_ns: Ints
    bytes: Ints
    packets: Ints


def _ceil_div(a: Ints, b: Ints) -> Ints:
    result: Ints = -(-a // b)
    return result


def _pieces(flows: Flows, begin_ns: Ints, step_ns: int) -> Cuts:
    """Cut each flow at `begin_ns + k * step_ns`, k = 1, 2, ...; `begin_ns` must not come after its start."""
    first_piece = (flows.start_ns - begin_ns) // step_ns
    count = (flows.end_ns - begin_ns) // step_ns - first_piece + 1
    flow = np.repeat(np.arange(len(flows)), count)
    piece = np.arange(len(flow)) - np.repeat(np.cumsum(count) - count, count) + first_piece[flow]
    start, gap, packets = flows.start_ns[flow], flows.gap_ns[flow], flows.packets[flow]
    offset = begin_ns[flow] + piece * step_ns - start
    first = np.clip(_ceil_div(offset, gap), 0, packets)
    stop = np.clip(_ceil_div(offset + step_ns, gap), 0, packets)
    held = stop > first
    flow, piece, first, stop, start, gap, packets = (
        column[held] for column in (flow, piece, first, stop, start, gap, packets)
    )
    size = flows.size[flow]
    carried: Ints = (stop - first) * size - np.where(stop == packets, size - flows.last[flow], 0)
    return Cuts(
        flow=flow,
        piece=piece,
        first_ns=start + first * gap,
        last_ns=start + (stop - 1) * gap,
        bytes=carried,
        packets=stop - first,
    )


def cut_at_timeout(flows: Flows, timeout_ns: int) -> Cuts:
    """What an exporter reports: each flow cut every `timeout_ns` after its first packet."""
    return _pieces(flows, flows.start_ns, timeout_ns)


def cut_on_grid(flows: Flows, origin_ns: int, step_ns: int) -> Cuts:
    """Each flow cut on one grid; `piece` is the number of the interval after `origin_ns`, negative before it."""
    begin = np.full(len(flows), origin_ns, dtype=np.int64)
    return _pieces(flows, begin, step_ns)


def interval_totals(flows: Flows, *, pods: int, origin_ns: int, step_ns: int, count: int) -> tuple[Ints, Ints]:
    """Bytes and packets per pod, direction (0 into the pod, 1 out of it) and interval: two arrays (pods, 2, count)."""
    cuts = cut_on_grid(flows, origin_ns, step_ns)
    inside = (cuts.piece >= 0) & (cuts.piece < count)
    flow, piece = cuts.flow[inside], cuts.piece[inside]
    cell = (flows.pod[flow] * 2 + flows.outbound[flow]) * count + piece
    shape = (pods, 2, count)
    total = np.zeros(pods * 2 * count, dtype=np.int64)
    packets = np.zeros_like(total)
    np.add.at(total, cell, cuts.bytes[inside])
    np.add.at(packets, cell, cuts.packets[inside])
    return total.reshape(shape), packets.reshape(shape)


def sample_packets(flows: Flows, rate: int, random: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Each packet drawn with probability 1/rate by itself: its flow, its time and its size, in order of time.

    Draws the gaps between chosen packets (geometric), which is the same distribution.
    """
    total = int(flows.packets.sum())
    ends: Ints = np.cumsum(flows.packets)
    expected = total / rate
    chosen: Ints = np.empty(0, dtype=np.int64)
    at = -1
    while at < total:
        gaps = random.geometric(1 / rate, size=int(expected + 6 * expected**0.5 + 16))
        more = at + np.cumsum(gaps)
        chosen = np.concatenate((chosen, more))
        at = int(more[-1])
    chosen = chosen[chosen < total]
    flow: Ints = np.searchsorted(ends, chosen, side="right").astype(np.int64)
    index: Ints = chosen - (ends[flow] - flows.packets[flow])
    time: Ints = flows.start_ns[flow] + index * flows.gap_ns[flow]
    size: Ints = np.where(index == flows.packets[flow] - 1, flows.last[flow], flows.size[flow])
    order = np.argsort(time, kind="stable")
    return flow[order], time[order], size[order]


def packetise(volume: Ints, size: int = PACKET_BYTES_MAX) -> tuple[Ints, Ints]:
    """How many packets of `size` carry `volume` bytes (at least one), and the size of the last, which is never a stub."""
    packets = np.maximum(_ceil_div(volume, np.full_like(volume, size)), 1)
    return packets, np.maximum(volume - (packets - 1) * size, ACK_BYTES)


def gap_for_rate(size: ArrayLike, bytes_per_s: ArrayLike) -> Ints:
    """Nanoseconds between packets of `size` bytes at a rate."""
    gap = np.asarray(size, dtype=np.float64) / np.asarray(bytes_per_s, dtype=np.float64) * NS_PER_S
    result: Ints = np.maximum(np.round(gap), 1).astype(np.int64)
    return result
