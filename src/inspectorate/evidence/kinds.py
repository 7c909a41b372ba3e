"""The closed list of predicates, one type per kind of evidence.

A predicate type that is not in the list is refused: nothing is skipped because it is new. The JSON Schema of every predicate is
published under `docs/schemas/` and generated from its record.
"""

from __future__ import annotations

from enum import StrEnum

from inspectorate.evidence.custody import (
    AccessLogged,
    CameraWatched,
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    CountDrawn,
    CountHeld,
    DestructionCertified,
    RegisterHanded,
    RoundTripsMeasured,
    SealApplied,
    SealChecked,
    TransferDecided,
    TransferNotified,
)
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
from inspectorate.evidence.observed import (
    BundleManifest,
    CablingSeen,
    CustodyEvent,
    DeclarationMade,
    FlowExportSegment,
    LimitAttested,
    TelemetrySegment,
    WindowApproved,
    WindowUsed,
)


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
    REGISTER_HANDED = "https://inspectorate.example/register-handed/v1"
    CHIPS_ACQUIRED = "https://inspectorate.example/chips-acquired/v1"
    CHIPS_REPORTED = "https://inspectorate.example/chips-reported/v1"
    TRANSFER_NOTIFIED = "https://inspectorate.example/transfer-notified/v1"
    TRANSFER_DECIDED = "https://inspectorate.example/transfer-decided/v1"
    CHIPS_MOVED = "https://inspectorate.example/chips-moved/v1"
    DESTRUCTION_CERTIFIED = "https://inspectorate.example/destruction-certified/v1"
    COUNT_DRAWN = "https://inspectorate.example/count-drawn/v1"
    COUNT_HELD = "https://inspectorate.example/count-held/v1"
    SEAL_APPLIED = "https://inspectorate.example/seal-applied/v1"
    SEAL_CHECKED = "https://inspectorate.example/seal-checked/v1"
    CAMERA_WATCHED = "https://inspectorate.example/camera-watched/v1"
    ROUND_TRIPS_MEASURED = "https://inspectorate.example/round-trips-measured/v1"
    ACCESS_LOGGED = "https://inspectorate.example/access-logged/v1"
    BUNDLE = "https://inspectorate.example/bundle/v1"


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
    | RegisterHanded
    | ChipsAcquired
    | ChipsReported
    | TransferNotified
    | TransferDecided
    | ChipsMoved
    | DestructionCertified
    | CountDrawn
    | CountHeld
    | SealApplied
    | SealChecked
    | CameraWatched
    | RoundTripsMeasured
    | AccessLogged
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
    PredicateType.REGISTER_HANDED: RegisterHanded,
    PredicateType.CHIPS_ACQUIRED: ChipsAcquired,
    PredicateType.CHIPS_REPORTED: ChipsReported,
    PredicateType.TRANSFER_NOTIFIED: TransferNotified,
    PredicateType.TRANSFER_DECIDED: TransferDecided,
    PredicateType.CHIPS_MOVED: ChipsMoved,
    PredicateType.DESTRUCTION_CERTIFIED: DestructionCertified,
    PredicateType.COUNT_DRAWN: CountDrawn,
    PredicateType.COUNT_HELD: CountHeld,
    PredicateType.SEAL_APPLIED: SealApplied,
    PredicateType.SEAL_CHECKED: SealChecked,
    PredicateType.CAMERA_WATCHED: CameraWatched,
    PredicateType.ROUND_TRIPS_MEASURED: RoundTripsMeasured,
    PredicateType.ACCESS_LOGGED: AccessLogged,
    PredicateType.BUNDLE: BundleManifest,
}
