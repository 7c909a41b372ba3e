"""Upper bounds on the bytes that a decoder did not see, from the gaps that it found.

What is missing in a gap is bounded by what the link could carry in the time that the missing reports could describe:

- NetFlow and IPFIX report a flow after the fact. A report that was to arrive between `start_ns` and `end_ns` of a gap
  describes traffic from `start_ns - active_timeout - delay` to `end_ns`.
- An sFlow sample describes a packet that passed just before: from `start_ns - delay` to `end_ns`.
- Overlapping gaps share the link's capacity: bytes per interval come from the union of their spans.

It is an upper bound if, and only if:

1. the link carries at most `link_bytes_per_s` in the direction that is asked for (a physical limit, or one enforced by the
   verifier);
2. the exporter reports each flow within `active_timeout_ns` of its first packet not yet reported, and what it sends arrives
   within `delay_ns`;
3. sequence numbers are honest. An exporter that leaves flows out and numbers the rest without a hole shows no gap: only a
   second sensor or the interface counters can tell;
4. arrival times are the verifier's;
5. nothing is asked of the time before the first or after the last arrival, or of silence: the segments and the sensor's silence
   limit bound those, not this module;
6. the rest of the report is heeded: rejections without a time (a file that is no capture) are in no gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.columns import VERSION_SFLOW
from inspectorate.mechanisms.interconnect.flows.report import Gap

NS_PER_S = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class UnseenSpan:
    """Up to `bytes_max` bytes per direction, between `start_ns` and `end_ns`, may be missing because of `gap`."""

    start_ns: int
    end_ns: int
    bytes_max: int
    gap: Gap


def unseen_spans(
    gaps: Iterable[Gap], *, link_bytes_per_s: float, active_timeout_ns: int, delay_ns: int
) -> tuple[UnseenSpan, ...]:
    """What each gap may hide, on its own. Gaps overlap: do not add these up, use `unseen_bytes_upper`.

    Raises `ValueError` on a capacity that is not positive and finite, and on negative times.
    """
    if not 0 < link_bytes_per_s < math.inf:
        raise ValueError("the capacity of a link must be positive and finite")
    if active_timeout_ns < 0 or delay_ns < 0:
        raise ValueError("times cannot be negative")
    spans = []
    for gap in gaps:
        sampled_packets = gap.exporter is not None and gap.exporter.protocol == VERSION_SFLOW
        start = gap.start_ns - delay_ns - (0 if sampled_packets else active_timeout_ns)
        carried = math.ceil((gap.end_ns - start) * link_bytes_per_s / NS_PER_S)
        spans.append(UnseenSpan(start_ns=start, end_ns=gap.end_ns, bytes_max=carried, gap=gap))
    return tuple(spans)


def unseen_bytes_upper(
    spans: Iterable[UnseenSpan], edges_ns: NDArray[np.int64], *, link_bytes_per_s: float
) -> NDArray[np.int64]:
    """Bytes per direction that may be missing in each interval: capacity times the part of it that spans cover.

    `edges_ns`: increasing, shape (intervals + 1,); the result has shape (intervals,).
    """
    edges = np.asarray(edges_ns, np.int64)
    covered = np.zeros(len(edges) - 1, np.int64)
    for start, end in _union(spans):
        first = max(int(np.searchsorted(edges, start, side="right")) - 1, 0)
        last = min(int(np.searchsorted(edges, end, side="left")), len(covered))
        if first < last:
            low = np.maximum(edges[first:last], start)
            high = np.minimum(edges[first + 1 : last + 1], end)
            covered[first:last] += np.maximum(high - low, 0)
    carried: NDArray[np.int64] = np.ceil(covered * (link_bytes_per_s / NS_PER_S)).astype(np.int64)
    return carried


def _union(spans: Iterable[UnseenSpan]) -> list[tuple[int, int]]:
    """The same time as the spans, in order, without overlap."""
    joined: list[tuple[int, int]] = []
    for span in sorted(spans, key=lambda s: (s.start_ns, s.end_ns)):
        if joined and span.start_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end_ns))
        else:
            joined.append((span.start_ns, span.end_ns))
    return joined
