"""Interface counters: what sFlow counter samples say of a link, without sampling error.

A counter sample carries the octets that an interface has received and sent so far. Between two readings the increase is
exact, layer-2 headers included, so it bounds the traffic of the link from above:

- an interval's bytes are at most the increases of all stretches between readings that overlap it;
- an interval that readings do not enclose on both sides has no such bound;
- an increase that the link cannot carry is a reset, not traffic, and leaves its stretch without a bound;
- several sources (sub-agents that count one direction each, say) are added up, which can only raise the bound.

The sensor watches the gateway's port that faces the pod: what the port received the pod has sent.
Source: sFlow version 5, "Counter Data", generic interface counters (if_counters, format 0:1); RFC 2863 for ifInOctets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.counters.readings import READING, Port, Readings
from inspectorate.mechanisms.interconnect.flows.columns import Counters, address_of, counter_increase
from inspectorate.mechanisms.interconnect.traffic import Floats, Times

SOURCE_FIELDS = ("agent_hi", "agent_lo", "sub_agent", "if_index")


def counted_upper(
    counters: Counters, edges_ns: Times, *, link_bytes_per_s: float | None
) -> tuple[Floats, Floats] | None:
    """The most that the pod sent and received per interval [bytes], each of shape (intervals,); None without readings.

    Infinite where readings do not enclose the interval.
    """
    if not len(counters):
        return None
    keys = np.stack([counters[name].astype(np.uint64) for name in SOURCE_FIELDS], axis=1)
    sent, received = np.zeros(len(edges_ns) - 1), np.zeros(len(edges_ns) - 1)
    for key in np.unique(keys, axis=0):
        rows = counters[(keys == key).all(axis=1)]
        rows = rows[np.argsort(rows["arrival_ns"], kind="stable")]
        sent += _upper(rows["arrival_ns"], rows["in_octets"], edges_ns, link_bytes_per_s)
        received += _upper(rows["arrival_ns"], rows["out_octets"], edges_ns, link_bytes_per_s)
    return sent, received


def readings_of_samples(counters: Counters) -> Readings:
    """sFlow counter samples as readings: 64-bit octets, 32-bit packets (which go round too soon to be used), no epoch.

    Discontinuity is not told by sFlow; the agent's address and sub-agent are the node, the interface's index is the port.
    """
    keys = np.stack([counters[name].astype(np.uint64) for name in SOURCE_FIELDS], axis=1)
    distinct, place = np.unique(keys, axis=0, return_inverse=True)
    ports = tuple(Port(f"{address_of(int(a), int(b))}.{int(sub)}", str(int(index))) for a, b, sub, index in distinct)
    rows = np.zeros(len(counters), READING)
    rows["port"] = place.reshape(-1)
    rows["time_ns"] = counters["arrival_ns"]
    rows["bits"] = 64
    for name in ("in_octets", "out_octets", "speed_bits_per_s"):
        rows[name] = counters[name]
    return Readings(ports=ports, rows=rows)


def _upper(times: NDArray[np.int64], octets: NDArray[Any], edges_ns: Times, link_bytes_per_s: float | None) -> Floats:
    """The bound from one counter of one source."""
    bound = np.full(len(edges_ns) - 1, np.inf)
    if len(times) < 2:
        return bound
    increase = counter_increase(octets[:-1], octets[1:], bits=64).astype(np.float64)
    if link_bytes_per_s is not None:
        spans_s = np.maximum(np.diff(times) / 1e9, 1e-3)
        increase = np.where(increase > 1.05 * link_bytes_per_s * spans_s, np.inf, increase)
    first = np.searchsorted(times, edges_ns[:-1], side="right") - 1
    last = np.searchsorted(times, edges_ns[1:], side="left")
    for interval in np.flatnonzero((first >= 0) & (last < len(times))):
        bound[interval] = increase[first[interval] : last[interval]].sum()
    return bound
