"""How far counts may be from the truth: the error of sampling, and what was never seen.

Sampling. If each packet is reported with probability 1/N, the scaled sum of sampled sizes Y = sum(size) / size_max is a sum of
independent variables in [0, 1] with mean mu = traffic / (N size_max). By Chernoff's bound

    P(Y <= y) <= exp(-(mu - y + y ln(y / mu)))   for mu >= y,   and the same for P(Y >= y) where mu <= y,

so the traffic lies between the two roots of mu - y + y ln(y / mu) = ln(1 / miss probability), each missed with at most
that probability. With nothing sampled the upper root is ln(1 / miss probability).
Source: W. Hoeffding, JASA 58, 1963, Theorem 1 and its relative-entropy form; sFlow's rule of thumb, an error of at most
196 sqrt(1 / samples) percent (P. Phaal, S. Panchen, "Packet Sampling Basics"), is the normal approximation to it.

Never seen. Lost datagrams, unreadable records and drops by the collector hide traffic that their flows may have carried
from one active timeout before the gap until its end: at most what the link carries in that time.
"""

from __future__ import annotations

import numpy as np

from inspectorate.declaration import Sensor
from inspectorate.evidence import Stream
from inspectorate.mechanisms.interconnect.flows.report import DecodeReport
from inspectorate.mechanisms.interconnect.reference import ARRIVAL_SLACK_S, FRAME_BYTES_MAX
from inspectorate.mechanisms.interconnect.traffic import Floats, Times
from inspectorate.quantities import to_ns

BISECTIONS = 80
"""Halvings of an interval; after these the root is known to the last bit that matters."""


def sampled_upper(scaled_bytes: Floats, rate: Floats, miss_probability: float) -> Floats:
    """The most that traffic can have been, given `scaled_bytes` (sampled bytes times `rate`), cell by cell [bytes]."""
    unit = rate * FRAME_BYTES_MAX
    y = scaled_bytes / unit
    excess = -np.log(miss_probability)
    low, high = y.copy(), y + excess + np.sqrt(2 * excess * y) + excess
    return _root(y, low, high, excess, rising=True) * unit


def sampled_lower(scaled_bytes: Floats, rate: Floats, miss_probability: float) -> Floats:
    """The least that traffic can have been, cell by cell [bytes]."""
    unit = rate * FRAME_BYTES_MAX
    y = scaled_bytes / unit
    excess = -np.log(miss_probability)
    root = _root(y, np.zeros_like(y), y.copy(), excess, rising=False)
    return np.where(y > 0, root, 0.0) * unit


def _root(y: Floats, low: Floats, high: Floats, excess: float, *, rising: bool) -> Floats:
    """The mu in [low, high] at which the exponent mu - y + y ln(y / mu) reaches `excess`, on the safe side."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            exponent = middle - y + np.where(y > 0, y * np.log(np.where(y > 0, y, 1.0) / middle), 0.0)
        beyond = exponent >= excess
        if rising:
            high, low = np.where(beyond, middle, high), np.where(beyond, low, middle)
        else:
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
    return high if rising else low


def unseen_bytes(
    report: DecodeReport, stream: Stream, sensor: Sensor, edges_ns: Times, link_bytes_per_s: float | None
) -> Floats:
    """Bytes per interval that gaps of the evidence may hide, shape (intervals,); infinite where no link is declared.

    Assumes that no flow is reported later than one active timeout and `ARRIVAL_SLACK_S` after its traffic.
    """
    back = round((sensor.active_timeout_s + ARRIVAL_SLACK_S) * 1e9)
    spans = [(gap.start_ns - back, gap.end_ns) for gap in report.gaps]
    spans += [
        (to_ns(segment.period.start) - back, to_ns(segment.period.end))
        for segment in stream.segments
        if segment.dropped
    ]
    durations_s = np.diff(edges_ns) / 1e9
    hidden_s = np.zeros(len(durations_s))
    for start, end in spans:
        hidden_s += np.clip(np.minimum(edges_ns[1:], end) - np.maximum(edges_ns[:-1], start), 0, None) / 1e9
    hidden_s = np.minimum(hidden_s, durations_s)
    capacity = np.inf if link_bytes_per_s is None else link_bytes_per_s
    return np.where(hidden_s > 0, hidden_s * capacity, 0.0)
