"""What was received: signed statements, the payloads they name, who held them, and bundles of all that.

- `statement`, `kinds`: in-toto Statement v1, and the closed list of predicates, one per kind of evidence.
- `predicate`, `observed`: what predicates have in common; those of the declaration, of sensors and of bundles.
- `custody`, `enrolled`, `guarded`, `inspected`, `heard`: those of single mechanisms.
- `envelope`: DSSE signing and verification; a `VerifiedStatement` can be built by `verify_envelope` only.
- `subjects`, `act`: payloads by the name of their subject; a statement that is about to be made, and in whose name.
- `problems`: the closed list of what can be wrong with evidence. A problem is named, never skipped.
- `stream`: sequences of statements of one sensor or meter: missing, repeated, forked, cloned, cut off.
- `bundle`: a folder or a tar archive that carries statements, payloads and ledger proofs.
- `cutting`, `sealing`, `spool`: how collectors cut streams into segments, sign and chain them, and keep them on disk.
- `pages`: what a Parquet file says of itself, held against bounds before Arrow reads it.
- `fair`: whether what drew was fixed before what it drew from.
- `exchange`: a folder of statements as one side hands it to the other, before there is a bundle.
- `receive`: a bundle and the reviewer's trust anchors in, `Evidence` out.

Trust anchors come from the reviewer's side only. Ledger proofs are opaque bytes here; `review.py` verifies them.
"""

from inspectorate.evidence.bundle import Bundle, Memory, bundle_contents, check_new, write_bundle
from inspectorate.evidence.custody import (
    AccessLogged,
    AccessStep,
    CameraEvent,
    CameraWatched,
    ChipsAcquired,
    ChipsMoved,
    ChipsReported,
    ChipState,
    CountDrawn,
    CountHeld,
    CountUnit,
    DestructionCertified,
    Passage,
    RegisterHanded,
    RoundTripsMeasured,
    SealApplied,
    SealChecked,
    SealDecision,
    TransferDecided,
    TransferNotified,
)
from inspectorate.evidence.enrolled import Enrolment, EnrolmentOpened, WorkloadEnrolled
from inspectorate.evidence.envelope import VerifiedStatement, sign_statement, verify_envelope
from inspectorate.evidence.guarded import ChallengeIssued, GuardReported, KeyCustody, LicenceApplied, RulesetInForce
from inspectorate.evidence.heard import (
    Activity,
    AnswersChecked,
    Closing,
    HumanSource,
    InspectionRequested,
    IntakeCollected,
    IntervieweesDrawn,
    InterviewsHeld,
    LeadClosed,
    LeadRaised,
    RosterCommitted,
    RosterOpened,
    Step,
    VisitsHeld,
)
from inspectorate.evidence.inspected import (
    CodeReviewed,
    Decision,
    FlopAccounted,
    PacketsDrawn,
    PacketsOpened,
    PacketsReplayed,
    RandomnessPromised,
    ReplayMethod,
    RoomClosed,
    WorkCommitted,
    WorkKind,
)
from inspectorate.evidence.kinds import PredicateType
from inspectorate.evidence.observed import (
    BundleManifest,
    CablingFormat,
    CablingSeen,
    CustodyEvent,
    DeclarationMade,
    FlowExportSegment,
    LimitAttested,
    PodLimit,
    StreamSegment,
    TelemetrySegment,
    WindowApproved,
    WindowEnd,
    WindowUsed,
)
from inspectorate.evidence.predicate import Inspection, Origin, Report
from inspectorate.evidence.problems import INCOMPLETE, INVALIDATING, Problem, ProblemKind, RejectedEvidence
from inspectorate.evidence.receive import Evidence, read_statements, receive
from inspectorate.evidence.statement import Statement, make_statement
from inspectorate.evidence.stream import Segment, Stream, order_segments

__all__ = [
    "INCOMPLETE",
    "INVALIDATING",
    "AccessLogged",
    "AccessStep",
    "Activity",
    "AnswersChecked",
    "Bundle",
    "BundleManifest",
    "CablingFormat",
    "CablingSeen",
    "CameraEvent",
    "CameraWatched",
    "ChallengeIssued",
    "ChipState",
    "ChipsAcquired",
    "ChipsMoved",
    "ChipsReported",
    "Closing",
    "CodeReviewed",
    "CountDrawn",
    "CountHeld",
    "CountUnit",
    "CustodyEvent",
    "Decision",
    "DeclarationMade",
    "DestructionCertified",
    "Enrolment",
    "EnrolmentOpened",
    "Evidence",
    "FlopAccounted",
    "FlowExportSegment",
    "GuardReported",
    "HumanSource",
    "Inspection",
    "InspectionRequested",
    "IntakeCollected",
    "IntervieweesDrawn",
    "InterviewsHeld",
    "KeyCustody",
    "LeadClosed",
    "LeadRaised",
    "LicenceApplied",
    "LimitAttested",
    "Memory",
    "Origin",
    "PacketsDrawn",
    "PacketsOpened",
    "PacketsReplayed",
    "Passage",
    "PodLimit",
    "PredicateType",
    "Problem",
    "ProblemKind",
    "RandomnessPromised",
    "RegisterHanded",
    "RejectedEvidence",
    "ReplayMethod",
    "Report",
    "RoomClosed",
    "RosterCommitted",
    "RosterOpened",
    "RoundTripsMeasured",
    "RulesetInForce",
    "SealApplied",
    "SealChecked",
    "SealDecision",
    "Segment",
    "Statement",
    "Step",
    "Stream",
    "StreamSegment",
    "TelemetrySegment",
    "TransferDecided",
    "TransferNotified",
    "VerifiedStatement",
    "VisitsHeld",
    "WindowApproved",
    "WindowEnd",
    "WindowUsed",
    "WorkCommitted",
    "WorkKind",
    "WorkloadEnrolled",
    "bundle_contents",
    "check_new",
    "make_statement",
    "order_segments",
    "read_statements",
    "receive",
    "sign_statement",
    "verify_envelope",
    "write_bundle",
]
