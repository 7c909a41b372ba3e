"""Why input was not decoded, and what was decoded only after a correction: closed lists, counted, never silent.

- A `Rejection` names a stretch of input of which nothing was decoded. Each one is counted with its bytes, and where it
  could have carried traffic it also opens a gap (`report.Gap`).
- An `Irregularity` names records that were decoded, but whose meaning needed a stated rule.
- Order matters: kernels know both by number. New names go to the end of a list.

Not done here: counting (`report`), deciding (`walk`, `sflow`, `templates`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Rejection(StrEnum):
    """Why a stretch of input was not decoded."""

    NOT_A_CAPTURE = "not_a_capture"
    """The file starts with none of the magic numbers of pcap and pcapng."""
    UNSUPPORTED_LINK_TYPE = "unsupported_link_type"
    TRUNCATED_CAPTURE = "truncated_capture"
    """The file ends within a packet, or states a packet that is longer than any may be; the rest cannot be read."""
    CUT_PACKET = "cut_packet"
    """A captured packet was cut by the snap length before its payload ended."""
    NOT_IP = "not_ip"
    NOT_UDP = "not_udp"
    IP_FRAGMENT = "ip_fragment"
    BAD_UDP_LENGTH = "bad_udp_length"
    TRUNCATED_HEADER = "truncated_header"
    UNKNOWN_VERSION = "unknown_version"
    BAD_LENGTH = "bad_length"
    """A message, set, sample or record states a length that is impossible, or runs past what contains it."""
    TRUNCATED_RECORD = "truncated_record"
    """A record runs past the end of what contains it; the records before it were decoded."""
    TRAILING_BYTES = "trailing_bytes"
    """Bytes after the end of a message that are not padding."""
    RESERVED_SET = "reserved_set"
    UNKNOWN_TEMPLATE = "unknown_template"
    BAD_TEMPLATE = "bad_template"
    EMPTY_TEMPLATE = "empty_template"
    """A template whose records would have no bytes."""
    TEMPLATE_TOO_LARGE = "template_too_large"
    TOO_MANY_TEMPLATES = "too_many_templates"
    TOO_MANY_EXPORTERS = "too_many_exporters"
    TOO_MANY_SOURCES = "too_many_sources"
    """sFlow data sources beyond the limit: their samples are decoded, their sequence numbers are not followed."""
    DUPLICATE_DATAGRAM = "duplicate_datagram"
    """Byte for byte a recent datagram of the same exporter, sequence number included: counting it again would add traffic."""
    BAD_ADDRESS_TYPE = "bad_address_type"
    UNKNOWN_SAMPLE_FORMAT = "unknown_sample_format"
    BAD_SAMPLE = "bad_sample"
    SAMPLE_WITHOUT_PACKET = "sample_without_packet"
    """An sFlow flow sample that has no record telling the length of the packet."""
    BAD_SAMPLING_RATE = "bad_sampling_rate"
    """An announced rate that is no rate (zero, not finite, above the limit); the one before it stays in force."""
    BAD_LINE = "bad_line"
    """A line of GoFlow2 JSON that is not a flow record."""
    WRONG_COUNT = "wrong_count"
    """A NetFlow v9 header states another number of records than the datagram holds: the statement is refused, the records
    are decoded."""


class Irregularity(StrEnum):
    """What was decoded under a rule that the reader should know of."""

    TIME_OUT_OF_WINDOW = "time_out_of_window"
    """Times far from arrival, moved to the edge of the window around it."""
    TIME_REVERSED = "time_reversed"
    """The end was before the start; the two were exchanged, so that the record covers both."""
    TIME_ABSENT = "time_absent"
    """No time in the record: the export time stands in."""
    UNADDRESSED = "unaddressed"
    """Bytes without source and destination address; they count between `outside` and `outside`."""
    WITHOUT_BYTES = "without_bytes"
    """Data records whose template counts no bytes (events, names): counted, not listed."""
    TOTAL_COUNTER = "total_counter"
    """Bytes come from a total, not a delta: an exporter that reports a flow twice counts its beginning twice."""
    LAYER2 = "layer2"
    """Bytes include layer-2 headers, because the exporter counts no others."""
    REVERSE = "reverse"
    """The returning half of a biflow record, listed as a record of its own with ends exchanged."""
    UNKNOWN_SELECTOR = "unknown_selector"
    """A record names a sampler that no options announced; the exporter's general rate, or else the highest known, counts."""
    OPTIONS_RECORD = "options_record"
    TEMPLATE_REPEATED = "template_repeated"
    TEMPLATE_INSTALLED = "template_installed"
    TEMPLATE_CHANGED = "template_changed"
    TEMPLATE_WITHDRAWN = "template_withdrawn"
    UNUSABLE_FIELD = "unusable_field"
    """A field that would count has a width that its type cannot have; the template is used without it."""
    PADDING_BYTES = "padding_bytes"
    """Zero bytes after the last set of a NetFlow v9 datagram."""


SAMPLING_INTERVAL_V5_MAX = (1 << 14) - 1
"""The interval of a NetFlow v5 header has 14 bits."""
REJECTIONS = tuple(Rejection)
IRREGULARITIES = tuple(Irregularity)
REJECTION_CODE = {reason: code for code, reason in enumerate(REJECTIONS)}
IRREGULARITY_CODE = {kind: code for code, kind in enumerate(IRREGULARITIES)}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What hostile input may make the decoder hold or believe. Memory is bounded by these alone."""

    segment_bytes_max: int = 1 << 30
    exporters_max: int = 1024
    """Sequences followed: pairs of exporter and observation domain, engine or sub-agent."""
    templates_max: int = 4096
    template_fields_max: int = 512
    samplers_max: int = 256
    sources_max: int = 16_384
    """sFlow data sources."""
    gaps_max: int = 65_536
    """Gaps kept apart; beyond it, gaps are merged into the last one of their exporter, which only widens them."""
    sampling_rate_max: float = float(1 << 30)
    past_ns: int = 3_600 * 1_000_000_000
    """A record may say that its traffic was this much earlier than its arrival: above any usual active timeout
    (1,800 s is the default of RFC 5470's successors in routers), below what would make one record costly to spread."""
    future_ns: int = 5 * 1_000_000_000
    """... and this much later: clocks that are read in whole seconds."""

    def __post_init__(self) -> None:
        positive = (
            self.segment_bytes_max,
            self.exporters_max,
            self.templates_max,
            self.template_fields_max,
            self.samplers_max,
            self.sources_max,
            self.gaps_max,
            self.sampling_rate_max,
        )
        if min(positive) < 1 or min(self.past_ns, self.future_ns) < 0:
            raise ValueError("every limit must be positive")
        if self.sampling_rate_max < SAMPLING_INTERVAL_V5_MAX:
            raise ValueError(f"sampling rates up to {SAMPLING_INTERVAL_V5_MAX} must be allowed: NetFlow v5 states them")
