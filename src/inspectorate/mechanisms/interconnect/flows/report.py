"""What decoding a stream found besides records: counts, refusals, gaps, clocks, and who sent it all.

Empty is failure: a report of zero datagrams says nothing about traffic. `gaps` are where traffic may have gone unseen;
`unseen` turns them into bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from inspectorate.mechanisms.interconnect.flows.outcomes import Irregularity, Rejection


class GapCause(StrEnum):
    """Why something may be missing."""

    LOST = "lost"
    """The sequence number jumped."""
    RESTARTED = "restarted"
    """The sequence number went back without filling a gap; how much was lost before is not known."""
    UNKNOWN_TEMPLATE = "unknown_template"
    """Data came whose template has not been seen."""
    REJECTED = "rejected"
    """Data of a known exporter could not be decoded."""
    UNREADABLE = "unreadable"
    """Something came of which not even the exporter could be read."""
    DROPPED_SAMPLES = "dropped_samples"
    """The sFlow agent says that it dropped samples."""


class Unit(StrEnum):
    """What a sequence number counts."""

    DATAGRAMS = "datagrams"
    RECORDS = "records"
    SAMPLES = "samples"


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """Whose sequence it is. `protocol`: 5, 9, 10 (IPFIX) or 105 (sFlow); `domain`: engine, source id, domain or sub-agent."""

    address: IPv4Address | IPv6Address
    protocol: int
    domain: int

    def __str__(self) -> str:
        return f"{self.address} domain {self.domain}"


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A stretch of arrival times [start_ns, end_ns] in which something of `exporter` is missing.

    Between the arrival before and the arrival after; a rejection's own arrival where that is known. `lost` counts `unit`s
    and is None where the number is not known. `refused_bytes` is what stood there and was not decoded.
    """

    exporter: Exporter | None
    cause: GapCause
    start_ns: int
    end_ns: int
    unit: Unit
    lost: int | None
    refused_bytes: int = 0


@dataclass(frozen=True, kw_only=True)
class ExporterReport:
    """One sequence of one exporter."""

    exporter: Exporter
    datagrams: int
    records: int
    unit: Unit
    lost: int
    """Units missing by sequence number, late ones taken off."""
    late: int
    duplicates: int
    restarts: int
    sampling_rates: tuple[float, ...]
    """Rates announced, in order of first appearance, 1-in-N."""
    first_ns: int
    last_ns: int
    clock_offset_ns: tuple[int, int]
    """Smallest and largest arrival - export time."""


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """One sFlow data source. `pool_packets` / `samples` is the rate that it really sampled at, over the whole stream."""

    exporter: Exporter
    source_class: int
    source_index: int
    counters: bool
    samples: int
    lost: int
    dropped: int
    pool_packets: int


@dataclass(frozen=True, kw_only=True)
class UnknownTemplate:
    """Data sets of one template that was not there."""

    exporter: Exporter
    template_id: int
    sets: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class DecodeReport:
    """Everything that one decoder has seen so far."""

    segments: int
    datagrams: int
    records: int
    """Rows listed."""
    counters: int
    rejections: Mapping[Rejection, int]
    rejected_bytes: Mapping[Rejection, int]
    irregularities: Mapping[Irregularity, int]
    unaddressed_bytes: int
    exporters: tuple[ExporterReport, ...]
    sources: tuple[SourceReport, ...]
    unknown_templates: tuple[UnknownTemplate, ...]
    gaps: tuple[Gap, ...]
    first_arrival_ns: int | None
    last_arrival_ns: int | None
    arrival_reversals: int
    """How often a datagram arrived before the one that stands before it: zero in what a collector wrote."""

    @property
    def lost(self) -> int:
        """Units missing by sequence number, over all exporters."""
        return sum(e.lost for e in self.exporters)
