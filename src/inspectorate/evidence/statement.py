"""Statements: in-toto Statement v1, with one predicate type per kind of evidence.

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": ..., "digest": {"sha256": ...}}],      the payloads, by digest
     "predicateType": "https://inspectorate.example/flow-export/v1",
     "predicate": {...}}

The JSON Schema of every predicate is published under `docs/schemas/` and generated from the records below. A predicate
type that is not in the list is refused: nothing is skipped because it is new.
Format: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from inspectorate.canonical import Digest, Hex, Identifier, Record, Text, first_fault
from inspectorate.evidence.enrolled import EnrolmentOpened, WorkloadEnrolled
from inspectorate.evidence.guarded import ChallengeIssued, GuardReported, LicenceApplied, RulesetInForce
from inspectorate.evidence.heard import (
    AnswersChecked,
    InspectionRequested,
    IntakeCollected,
    IntervieweesDrawn,
    InterviewsHeld,
    LeadClosed,
    LeadRaised,
    RosterCommitted,
    RosterOpened,
    VisitsHeld,
)
from inspectorate.evidence.inspected import (
    CodeReviewed,
    FlopAccounted,
    PacketsDrawn,
    PacketsOpened,
    PacketsReplayed,
    RandomnessPromised,
    RoomClosed,
    WorkCommitted,
)
from inspectorate.evidence.predicate import PredicateBase, Report
from inspectorate.quantities import Period, Positive, Time

PAYLOAD_BYTES_MAX = 64 * 1024 * 1024
"""One payload may not be larger: a reader holds one at a time in memory."""

FilePath = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9._-]{1,200}$")]


class PredicateType(StrEnum):
    DECLARATION = "https://inspectorate.example/declaration/v1"
    FLOW_EXPORT = "https://inspectorate.example/flow-export/v1"
    CUSTODY = "https://inspectorate.example/custody-event/v1"
    LIMIT_ATTESTED = "https://inspectorate.example/limit-attested/v1"
    WINDOW_APPROVED = "https://inspectorate.example/window-approved/v1"
    WINDOW_USED = "https://inspectorate.example/window-used/v1"
    CABLING_SEEN = "https://inspectorate.example/cabling-seen/v1"
    TELEMETRY = "https://inspectorate.example/telemetry/v1"
    GUARD_REPORTED = "https://inspectorate.example/guard-reported/v1"
    RULESET_IN_FORCE = "https://inspectorate.example/ruleset-in-force/v1"
    LICENCE_APPLIED = "https://inspectorate.example/licence-applied/v1"
    CHALLENGE_ISSUED = "https://inspectorate.example/challenge-issued/v1"
    ENROLMENT_OPENED = "https://inspectorate.example/enrolment-opened/v1"
    WORKLOAD_ENROLLED = "https://inspectorate.example/workload-enrolled/v1"
    WORK_COMMITTED = "https://inspectorate.example/work-committed/v1"
    RANDOMNESS_PROMISED = "https://inspectorate.example/randomness-promised/v1"
    PACKETS_DRAWN = "https://inspectorate.example/packets-drawn/v1"
    PACKETS_OPENED = "https://inspectorate.example/packets-opened/v1"
    PACKETS_REPLAYED = "https://inspectorate.example/packets-replayed/v1"
    FLOP_ACCOUNTED = "https://inspectorate.example/flop-accounted/v1"
    CODE_REVIEWED = "https://inspectorate.example/code-reviewed/v1"
    ROOM_CLOSED = "https://inspectorate.example/room-closed/v1"
    INTAKE_COLLECTED = "https://inspectorate.example/intake-collected/v1"
    VISITS_HELD = "https://inspectorate.example/visits-held/v1"
    LEAD_RAISED = "https://inspectorate.example/lead-raised/v1"
    LEAD_CLOSED = "https://inspectorate.example/lead-closed/v1"
    INSPECTION_REQUESTED = "https://inspectorate.example/inspection-requested/v1"
    ROSTER_COMMITTED = "https://inspectorate.example/roster-committed/v1"
    INTERVIEWEES_DRAWN = "https://inspectorate.example/interviewees-drawn/v1"
    ROSTER_OPENED = "https://inspectorate.example/roster-opened/v1"
    INTERVIEWS_HELD = "https://inspectorate.example/interviews-held/v1"
    ANSWERS_CHECKED = "https://inspectorate.example/answers-checked/v1"
    BUNDLE = "https://inspectorate.example/bundle/v1"


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


Predicate = (
    DeclarationMade
    | FlowExportSegment
    | CustodyEvent
    | LimitAttested
    | WindowApproved
    | WindowUsed
    | CablingSeen
    | TelemetrySegment
    | GuardReported
    | RulesetInForce
    | LicenceApplied
    | ChallengeIssued
    | EnrolmentOpened
    | WorkloadEnrolled
    | WorkCommitted
    | RandomnessPromised
    | PacketsDrawn
    | PacketsOpened
    | PacketsReplayed
    | FlopAccounted
    | CodeReviewed
    | RoomClosed
    | IntakeCollected
    | VisitsHeld
    | LeadRaised
    | LeadClosed
    | InspectionRequested
    | RosterCommitted
    | IntervieweesDrawn
    | RosterOpened
    | InterviewsHeld
    | AnswersChecked
    | BundleManifest
)

PREDICATES: dict[PredicateType, type[Predicate]] = {
    PredicateType.DECLARATION: DeclarationMade,
    PredicateType.FLOW_EXPORT: FlowExportSegment,
    PredicateType.CUSTODY: CustodyEvent,
    PredicateType.LIMIT_ATTESTED: LimitAttested,
    PredicateType.WINDOW_APPROVED: WindowApproved,
    PredicateType.WINDOW_USED: WindowUsed,
    PredicateType.CABLING_SEEN: CablingSeen,
    PredicateType.TELEMETRY: TelemetrySegment,
    PredicateType.GUARD_REPORTED: GuardReported,
    PredicateType.RULESET_IN_FORCE: RulesetInForce,
    PredicateType.LICENCE_APPLIED: LicenceApplied,
    PredicateType.CHALLENGE_ISSUED: ChallengeIssued,
    PredicateType.ENROLMENT_OPENED: EnrolmentOpened,
    PredicateType.WORKLOAD_ENROLLED: WorkloadEnrolled,
    PredicateType.WORK_COMMITTED: WorkCommitted,
    PredicateType.RANDOMNESS_PROMISED: RandomnessPromised,
    PredicateType.PACKETS_DRAWN: PacketsDrawn,
    PredicateType.PACKETS_OPENED: PacketsOpened,
    PredicateType.PACKETS_REPLAYED: PacketsReplayed,
    PredicateType.FLOP_ACCOUNTED: FlopAccounted,
    PredicateType.CODE_REVIEWED: CodeReviewed,
    PredicateType.ROOM_CLOSED: RoomClosed,
    PredicateType.INTAKE_COLLECTED: IntakeCollected,
    PredicateType.VISITS_HELD: VisitsHeld,
    PredicateType.LEAD_RAISED: LeadRaised,
    PredicateType.LEAD_CLOSED: LeadClosed,
    PredicateType.INSPECTION_REQUESTED: InspectionRequested,
    PredicateType.ROSTER_COMMITTED: RosterCommitted,
    PredicateType.INTERVIEWEES_DRAWN: IntervieweesDrawn,
    PredicateType.ROSTER_OPENED: RosterOpened,
    PredicateType.INTERVIEWS_HELD: InterviewsHeld,
    PredicateType.ANSWERS_CHECKED: AnswersChecked,
    PredicateType.BUNDLE: BundleManifest,
}


class Sha256(Record):
    sha256: Hex


class Subject(Record):
    """What a statement speaks of: a name and a digest."""

    name: Text
    digest: Sha256

    @property
    def digest_text(self) -> str:
        return f"sha256:{self.digest.sha256}"


class Statement(Record):
    """An in-toto Statement v1 whose predicate is one of ours."""

    model_config = ConfigDict(populate_by_name=True)

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1, max_length=1000)
    predicate_type: PredicateType = Field(alias="predicateType")
    predicate: Predicate

    @model_validator(mode="before")
    @classmethod
    def _predicate_of_its_type(cls, value: object) -> object:
        """Parse the predicate as what its type says; a union would accept whatever happens to fit."""
        if not isinstance(value, dict) or not isinstance(value.get("predicate"), dict):
            return value
        if set(value) != {"_type", "subject", "predicateType", "predicate"}:
            raise ValueError("needs exactly _type, subject, predicateType and predicate")
        known = {kind.value: record for kind, record in PREDICATES.items()}
        record = known.get(str(value["predicateType"]))
        if record is None:
            raise ValueError(f"predicate type {value['predicateType']!r} is not known")
        try:
            return {**value, "predicate": record.model_validate(value["predicate"])}
        except ValidationError as fault:
            raise ValueError(f"predicate.{first_fault(fault)}") from None

    @model_validator(mode="after")
    def _matches(self) -> Self:
        if type(self.predicate) is not PREDICATES[self.predicate_type]:
            raise ValueError("the predicate is not of its predicate type")
        return self


def make_statement(predicate: Predicate, subjects: dict[str, str]) -> Statement:
    """A statement about payloads, given as name -> digest (`sha256:<hex>`)."""
    kind = next(kind for kind, record in PREDICATES.items() if type(predicate) is record)
    named = tuple(
        Subject(name=name, digest=Sha256(sha256=digest.removeprefix("sha256:"))) for name, digest in subjects.items()
    )
    return Statement(subject=named, predicate_type=kind, predicate=predicate)
