"""Predicates of the declaration, of sensors and gateways, and of bundles: what most agreements need.

Streams of sensors and meters come in segments; gateways and surveys make reports; approvers order loading windows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.evidence.predicate import PredicateBase, Report
from inspectorate.quantities import Period, Positive, Time

PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
"""One payload may not be larger: a reader holds one at a time in memory."""

FilePath = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9._-]{1,200}$")]


class DeclarationMade(PredicateBase):
    """The prover hands over its declaration (the subject) for a period."""

    party: Identifier
    period: Period
    made_at: Time


class StreamSegment(PredicateBase):
    """A stretch of what one sensor or meter reported (the subject).

    Segments of a stream are numbered from 0 and chained by digest, and the last says so: a hole in the middle, a cut
    at the end and a second history are all visible.
    """

    sensor: Identifier
    stream: Identifier = Field(description="a fresh name each time the collector starts")
    sequence: int = Field(ge=0)
    previous: Digest | None = Field(
        default=None, description="digest of the envelope of the segment before; none for the first"
    )
    final: bool
    period: Period = Field(description="when the collector listened, whether anything came or not")
    payload_bytes: int = Field(ge=0, le=PAYLOAD_BYTES_MAX)
    recorder: Text

    @model_validator(mode="after")
    def _chained(self) -> Self:
        if (self.sequence == 0) != (self.previous is None):
            raise ValueError("the first segment, and only the first, has no previous one")
        return self


class FlowExportSegment(StreamSegment):
    """A stretch of one sensor's flow export, as its datagrams arrived (the subject)."""

    media_type: Literal["application/vnd.tcpdump.pcap", "application/x-ndjson"]
    datagrams: int = Field(ge=0)
    dropped: int = Field(ge=0, description="datagrams that the kernel received and this collector never saw")

    @property
    def entries(self) -> int:
        """How many entries the payload holds, by the word of its recorder."""
        return self.datagrams


class TelemetrySegment(StreamSegment):
    """A stretch of one meter's telemetry: a Parquet table of samples, or scrapes as an exporter showed them."""

    media_type: Literal["application/vnd.apache.parquet", "text/plain; version=0.0.4"]
    samples: int = Field(ge=0, description="rows of the table, or lines that are samples")
    dropped: int = Field(ge=0, description="polls that failed, so that no sample stands for them")

    @property
    def entries(self) -> int:
        """How many entries the payload holds, by the word of its recorder."""
        return self.samples


class CustodyAction(StrEnum):
    INSTALLED = "installed"
    SEALED = "sealed"
    OPENED = "opened"
    HANDED_OVER = "handed-over"
    REMOVED = "removed"


class CustodyEvent(PredicateBase):
    """Something happened to a sensor or a piece of evidence (the subject, or `sensor`)."""

    action: CustodyAction
    sensor: Identifier | None = None
    by: Identifier
    to: Identifier | None = None
    at: Time
    note: Text | None = None


class PodLimit(Record):
    """The rate and burst to which a gateway holds one pod, in each direction, at the network layer (IP bytes)."""

    pod: Identifier
    sent_bytes_per_s_max: Positive
    received_bytes_per_s_max: Positive
    burst_bytes_max: Positive


class LimitAttested(Report):
    """A gateway attests the limits that held throughout the period. The subject is the running ruleset, as read back."""

    limits: tuple[PodLimit, ...] = Field(max_length=20_000)
    others_dropped: bool = Field(description="whether all that no rule names is dropped, in every protocol")
    unchanged: bool = Field(
        description="whether nobody but the gateway's own program changed the ruleset in the period"
    )
    lifted: tuple[Identifier, ...] = Field(default=(), description="pods whose limit was lifted for a loading window")


class WindowApproved(PredicateBase):
    """One approver orders a loading window. The subject is the content that may be loaded, by digest."""

    window: Identifier
    reporter: Identifier
    pod: Identifier
    by: Identifier
    content: Digest
    bytes_max: int = Field(ge=1)
    seconds_max: Positive
    valid: Period = Field(description="when the window may be opened")


class WindowEnd(StrEnum):
    COMPLETE = "complete"
    BUDGET = "budget-used-up"
    TIME = "time-used-up"
    CONTENT = "content-not-as-declared"
    CLOSED = "closed-by-hand"
    LOST = "gateway-restarted"


class WindowUsed(Report):
    """A gateway reports one loading window after it returned to the limit; the period is the time it was open."""

    window: Identifier
    pod: Identifier
    bytes_moved: int = Field(ge=0)
    bytes_back: int = Field(ge=0, description="what went the other way meanwhile")
    content: Digest | None = Field(
        default=None, description="digest of what was loaded; none if it did not come in full"
    )
    end: WindowEnd


class CablingFormat(StrEnum):
    LLDP_JSON = "lldp-json"
    IBNETDISCOVER = "ibnetdiscover"


class CablingSeen(Report):
    """What was wired to what, as `lldpcli -f json` or `ibnetdiscover` printed it (the subject)."""

    format: CablingFormat
    node: Identifier = Field(description="where it was asked")


class FileEntry(Record):
    digest: Digest
    size: int = Field(ge=0)


class BundleManifest(PredicateBase):
    """Every file of a bundle but the manifest itself."""

    created_at: Time
    files: dict[FilePath, FileEntry] = Field(min_length=1, max_length=500_000)
