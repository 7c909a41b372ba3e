"""The small tables behind the interconnect assessments, reduced for a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from inspectorate.agreement import InterconnectLimit
from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.mechanisms.interconnect.traffic import PodTraffic
from inspectorate.quantities import from_ns

PODS_SHOWN_MAX = 24
POINTS_MAX = 1_000
PEERS_SHOWN_MAX = 50


def pods_shown(traffic: Mapping[str, PodTraffic]) -> frozenset[str]:
    """The pods whose series are worth showing: those whose highest rate is highest."""

    def highest(pod: str) -> float:
        seen = traffic[pod]
        return float(max(seen.sent.lower.max(initial=0.0), seen.received.lower.max(initial=0.0)))

    return frozenset(sorted(traffic, key=lambda pod: (-highest(pod), pod))[:PODS_SHOWN_MAX])


def pod_series(pod: str, seen: PodTraffic, terms: InterconnectLimit) -> Exhibit:
    """Bytes per second sent and received over time; no number where the link was not observed."""
    group = -(-len(seen.observed) // POINTS_MAX)
    rows: list[tuple[str | float | None, ...]] = []
    for start in range(0, len(seen.observed), group):
        stop = min(start + group, len(seen.observed))
        part = slice(start, stop)
        time = from_ns(int(seen.edges_ns[start])).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not seen.observed[part].all():
            rows.append((time, None, None, None, None))
            continue
        durations = seen.durations_s[part]
        columns = (seen.sent.lower, seen.sent.upper, seen.received.lower, seen.received.upper)
        rows.append((time, *(_finite(float((values[part] / durations).max())) for values in columns)))
    reduced = f", the highest of each {group} intervals" if group > 1 else ""
    return Exhibit(
        id=f"traffic-{pod}",
        title=f"Traffic of {pod} per {terms.averaging_s:g} s{reduced}",
        kind=ExhibitKind.SERIES,
        columns=(
            "time",
            "sent_lower_bytes_per_s",
            "sent_upper_bytes_per_s",
            "received_lower_bytes_per_s",
            "received_upper_bytes_per_s",
        ),
        rows=tuple(rows),
        limit=terms.bytes_per_s_max,
        unit="B/s",
    )


def peer_tables(
    pod: str, seen: PodTraffic, strangers: Sequence[str], exceeded: NDArray[np.bool_]
) -> tuple[Exhibit, ...]:
    """What a pod exchanged with pods it did not declare; none if nothing was out of order."""
    if not exceeded.any():
        return ()
    rows = [
        (
            peer,
            float(seen.peers[peer].sent.lower[seen.observed].sum()),
            float(seen.peers[peer].received.lower[seen.observed].sum()),
        )
        for peer in strangers
    ]
    rows = sorted((row for row in rows if row[1] + row[2] > 0), key=lambda row: -(row[1] + row[2]))[:PEERS_SHOWN_MAX]
    return (
        Exhibit(
            id=f"peers-{pod}",
            title=f"What {pod} exchanged with pods it did not declare",
            kind=ExhibitKind.TABLE,
            columns=("pod", "sent_lower_bytes", "received_lower_bytes"),
            rows=tuple(rows),
            unit="B",
        ),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
