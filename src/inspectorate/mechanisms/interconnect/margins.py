"""What a sensor's gaps may hide: lost datagrams, unreadable records, and datagrams that the collector dropped.

The bound is `flows.unseen`'s, whose assumptions hold here too, with one span more for every segment in which the
collector's kernel dropped datagrams: which of them is not known, so all of the segment's time counts. Where no link
capacity is declared, nothing bounds what a gap hides.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from inspectorate.declaration import Sensor
from inspectorate.evidence import Stream
from inspectorate.mechanisms.interconnect.flows import Gap, GapCause, Unit, unseen_bytes_upper, unseen_spans
from inspectorate.mechanisms.interconnect.reference import ARRIVAL_SLACK_S
from inspectorate.mechanisms.interconnect.traffic import Floats, Mask, Times
from inspectorate.quantities import to_ns

UNREADABLE_CAUSES = frozenset({GapCause.UNKNOWN_TEMPLATE, GapCause.REJECTED, GapCause.UNREADABLE})
CAPACITY_UNKNOWN_BYTES_PER_S = 1.0
"""Stands in to find which intervals gaps touch, where their bound is infinite."""


def unseen_bytes(
    gaps: Iterable[Gap], stream: Stream, sensor: Sensor, edges_ns: Times, link_bytes_per_s: float | None
) -> Floats:
    """Bytes per interval and direction that may be missing, shape (intervals,); infinite where no link is declared."""
    capacity = link_bytes_per_s or CAPACITY_UNKNOWN_BYTES_PER_S
    spans = unseen_spans(
        (*gaps, *_dropped(stream)),
        link_bytes_per_s=capacity,
        active_timeout_ns=round(sensor.active_timeout_s * 1e9),
        delay_ns=round(ARRIVAL_SLACK_S * 1e9),
    )
    missing = unseen_bytes_upper(spans, edges_ns, link_bytes_per_s=capacity).astype(np.float64)
    return missing if link_bytes_per_s is not None else np.where(missing > 0, np.inf, 0.0)


def unreadable(gaps: Iterable[Gap], edges_ns: Times) -> Mask:
    """Intervals throughout which what came could not be read, shape (intervals,): there the sensor saw nothing.

    A datagram that was lost leaves the others of its interval; a template that never came leaves nothing.
    """
    blind = np.zeros(len(edges_ns) - 1, dtype=np.bool_)
    for gap in gaps:
        if gap.cause in UNREADABLE_CAUSES:
            blind |= (edges_ns[:-1] >= gap.start_ns) & (edges_ns[1:] <= gap.end_ns)
    return blind


def _dropped(stream: Stream) -> tuple[Gap, ...]:
    """A gap for every segment that lost datagrams before they were read."""
    return tuple(
        Gap(
            exporter=None,
            cause=GapCause.LOST,
            start_ns=to_ns(segment.period.start),
            end_ns=to_ns(segment.period.end),
            unit=Unit.DATAGRAMS,
            lost=segment.dropped,
        )
        for segment in stream.segments
        if segment.dropped
    )
