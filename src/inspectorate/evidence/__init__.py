"""What was received: signed statements, the payloads they name, who held them, and bundles of all that.

- `statement`: in-toto Statement v1 and the closed list of predicates, one per kind of evidence.
- `envelope`: DSSE signing and verification; a `VerifiedStatement` can be built by `verify_envelope` only.
- `problems`: the closed list of what can be wrong with evidence. A problem is named, never skipped.
- `stream`: sequences of statements of one sensor or meter: missing, repeated, forked, cloned, cut off.
- `bundle`: a folder or a tar archive that carries statements, payloads and ledger proofs.
- `cutting`, `sealing`, `spool`: how collectors cut streams into segments, sign and chain them, and keep them on disk.
- `receive`: a bundle and the reviewer's trust anchors in, `Evidence` out.

Trust anchors come from the reviewer's side only. Ledger proofs are opaque bytes here; `review.py` verifies them.
"""

from inspectorate.evidence.bundle import Bundle, Memory, bundle_contents, write_bundle
from inspectorate.evidence.envelope import VerifiedStatement, sign_statement, verify_envelope
from inspectorate.evidence.problems import INVALIDATING, Problem, ProblemKind, RejectedEvidence
from inspectorate.evidence.receive import Evidence, read_statements, receive
from inspectorate.evidence.statement import (
    BundleManifest,
    CablingFormat,
    CablingSeen,
    ChallengeIssued,
    CustodyEvent,
    DeclarationMade,
    Enrolment,
    EnrolmentOpened,
    FlowExportSegment,
    GuardReported,
    KeyCustody,
    LicenceApplied,
    LimitAttested,
    Origin,
    PodLimit,
    PredicateType,
    RulesetInForce,
    Statement,
    StreamSegment,
    TelemetrySegment,
    WindowApproved,
    WindowEnd,
    WindowUsed,
    WorkloadEnrolled,
    make_statement,
)
from inspectorate.evidence.stream import Segment, Stream, order_segments

__all__ = [
    "INVALIDATING",
    "Bundle",
    "BundleManifest",
    "CablingFormat",
    "CablingSeen",
    "ChallengeIssued",
    "CustodyEvent",
    "DeclarationMade",
    "Enrolment",
    "EnrolmentOpened",
    "Evidence",
    "FlowExportSegment",
    "GuardReported",
    "KeyCustody",
    "LicenceApplied",
    "LimitAttested",
    "Memory",
    "Origin",
    "PodLimit",
    "PredicateType",
    "Problem",
    "ProblemKind",
    "RejectedEvidence",
    "RulesetInForce",
    "Segment",
    "Statement",
    "Stream",
    "StreamSegment",
    "TelemetrySegment",
    "VerifiedStatement",
    "WindowApproved",
    "WindowEnd",
    "WindowUsed",
    "WorkloadEnrolled",
    "bundle_contents",
    "make_statement",
    "order_segments",
    "read_statements",
    "receive",
    "sign_statement",
    "verify_envelope",
    "write_bundle",
]
