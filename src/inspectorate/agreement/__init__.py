"""What was promised: agreements as data, and which of their terms hold on a given day.

- `types`: Agreement, Clause, Threshold, Clock.
- `kinds`, `clauses`, `chips`: the kinds of clause and the parameters of each; those about chips and places.
- `load`: YAML to those types; the agreements that are shipped (`shipped/*.yaml`).

A term holds from a date, and perhaps until one. `Agreement.on(as_of)` is the agreement as it stood then: a review as of
an old date uses the old thresholds. A proposed amendment is data too, but holds only where it is asked for by name.
"""

from inspectorate.agreement.chips import (
    ChallengeAccess,
    ChipRegister,
    CountedChips,
    CoveredCluster,
    LocatedChips,
    NoSplitting,
    SealedPlaces,
    WatchedPlaces,
)
from inspectorate.agreement.clauses import (
    AccountedFlop,
    ApprovedWorkloads,
    CoordinatedExchange,
    DeclaredCabling,
    GuardedOperation,
    GuardOutlet,
    HiddenTraining,
    InspectionRooms,
    InterconnectLimit,
    InterviewedStaff,
    LicensedWork,
    LimitEnforced,
    LoadingWindows,
    LockStep,
    PodIsolation,
    Procedure,
    ReplayedWork,
    ReportingChannels,
    ReviewedCode,
    RosterStratum,
    SoundTelemetry,
)
from inspectorate.agreement.kinds import ClauseKind
from inspectorate.agreement.load import load_agreement, parse_agreement, shipped_agreements
from inspectorate.agreement.types import Agreement, Clause, Clock, Source, Threshold, ThresholdKind

__all__ = [
    "AccountedFlop",
    "Agreement",
    "ApprovedWorkloads",
    "ChallengeAccess",
    "ChipRegister",
    "Clause",
    "ClauseKind",
    "Clock",
    "CoordinatedExchange",
    "CountedChips",
    "CoveredCluster",
    "DeclaredCabling",
    "GuardOutlet",
    "GuardedOperation",
    "HiddenTraining",
    "InspectionRooms",
    "InterconnectLimit",
    "InterviewedStaff",
    "LicensedWork",
    "LimitEnforced",
    "LoadingWindows",
    "LocatedChips",
    "LockStep",
    "NoSplitting",
    "PodIsolation",
    "Procedure",
    "ReplayedWork",
    "ReportingChannels",
    "ReviewedCode",
    "RosterStratum",
    "SealedPlaces",
    "SoundTelemetry",
    "Source",
    "Threshold",
    "ThresholdKind",
    "WatchedPlaces",
    "load_agreement",
    "parse_agreement",
    "shipped_agreements",
]
