"""The kinds of clause, and what each kind promises in numbers.

One record per kind; the field `kind` tells which. A mechanism says in `clause_kinds` which of them it appraises.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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
from inspectorate.agreement.kinds import ClauseKind
from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.quantities import NonNegative, Positive, Share


class HiddenTraining(Record):
    """No run above the named thresholds is hidden. Answered by the account, from all mechanisms together."""

    kind: Literal[ClauseKind.HIDDEN_TRAINING]
    thresholds: tuple[Identifier, ...] = Field(min_length=1)


class InterconnectLimit(Record):
    """What may leave, and what may enter, each pod: an average over every interval of `averaging_s`."""

    kind: Literal[ClauseKind.INTERCONNECT_LIMIT]
    bytes_per_s_max: Positive = Field(description="per pod and per direction, counted at the network layer (IP bytes)")
    averaging_s: Positive
    tolerance: Share = Field(description="relative excess that is put down to the meters, not to the pod")
    adversary: Literal["published", "central", "cautious"] = Field(
        default="cautious", description="how able an adversary is assumed to be at training over links below the limit"
    )


class PodIsolation(Record):
    """Pods exchange traffic with the outside and with declared peers only."""

    kind: Literal[ClauseKind.POD_ISOLATION]
    allowance_bytes_per_s: Positive = Field(description="traffic between two undeclared peers below this is let pass")
    averaging_s: Positive


class CoordinatedExchange(Record):
    """No two pods take part in one computation through anybody: their bursts in both directions do not coincide."""

    kind: Literal[ClauseKind.COORDINATED_EXCHANGE]
    averaging_s: Positive = Field(description="the time scale on which bursts are compared")


class LockStep(Record):
    """No two pods work in step: their traffic has no common period that honest load does not give them."""

    kind: Literal[ClauseKind.LOCK_STEP]
    averaging_s: Positive = Field(description="the time scale on which traffic is compared")


class LimitEnforced(Record):
    """A gateway between the pods enforces the limit, and says so in attested statements without a gap."""

    kind: Literal[ClauseKind.LIMIT_ENFORCED]
    bytes_per_s_max: Positive = Field(description="per pod and per direction")
    burst_bytes_max: Positive = Field(description="what may pass at once above the rate, per pod and per direction")
    attested_every_s: Positive = Field(description="a stretch without an attestation for longer is not observed")


class LoadingWindows(Record):
    """The limit is lifted only in windows that people approved, for content that was declared, within a budget."""

    kind: Literal[ClauseKind.LOADING_WINDOWS]
    approvals_min: Annotated[int, Field(ge=2, le=16)] = Field(description="distinct approvers of each window")
    window_bytes_max: Positive = Field(description="per pod and window, in the loading direction")
    window_s_max: Positive
    every_s_min: Positive = Field(description="from the start of one window of a pod to the start of its next")


class DeclaredCabling(Record):
    """Pods are wired as declared, and no path between two pods carries more than this."""

    kind: Literal[ClauseKind.DECLARED_CABLING]
    between_pods_bytes_per_s_max: Positive = Field(description="around the gateway, over everything that is wired")
    surveyed_every_s: Positive = Field(description="a stretch without a survey for longer is not observed")


class ApprovedWorkloads(Record):
    """Pods run only workloads that were approved: their telemetry stays close to what was enrolled before an inspector."""

    kind: Literal[ClauseKind.APPROVED_WORKLOADS]
    kinds: tuple[Literal["inference", "training", "idle", "other"], ...] = Field(
        min_length=1, description="the kinds of workload that may be approved at all"
    )
    window_s: Positive = Field(description="the stretch that is compared at a time")
    false_alarms_per_device_hour_max: Positive = Field(
        description="deviations that an approved workload may show per hour and measured unit; each calls for a review"
    )
    enrolled_runs_min: Annotated[int, Field(ge=2, le=10_000)] = Field(description="separate runs behind a signature")
    valid_s_max: Positive = Field(description="a workload signature older than this must be enrolled again")


class SoundTelemetry(Record):
    """Telemetry is what the meters measured: no copies, no replays, and meters of one load agree."""

    kind: Literal[ClauseKind.SOUND_TELEMETRY]
    averaging_s: Positive = Field(description="the time scale on which meters of one load are compared")
    disagreement_share_max: Share = Field(description="relative difference that is put down to the meters")


class GuardedOperation(Record):
    """A guarantee processor stands on the path of the chips, runs an agreed program and an agreed ruleset, and says so."""

    kind: Literal[ClauseKind.GUARDED_OPERATION]
    baseline: Digest = Field(description="of the first ruleset: every later one is reached from it by signed updates")
    ruleset_version_min: Annotated[int, Field(ge=1)]
    measurements: tuple[Digest, ...] = Field(
        default=(),
        max_length=64,
        description="programs of the processor that may run; none: only its ruleset is checked",
    )
    configurations: tuple[Digest, ...] = Field(
        default=(),
        max_length=64,
        description="configurations of the processor that both parties have read; none: its meters bound nothing",
    )
    boots: tuple[Digest, ...] = Field(
        default=(),
        max_length=64,
        description="what firmware, boot loader and kernel may measure before the processor; none: not checked",
    )
    hardware_key: bool = Field(description="whether a TPM must speak for the processor")
    attested_every_s: Positive = Field(description="a stretch without a report for longer is not observed")
    challenged_every_s: Positive | None = Field(
        default=None, description="a report must answer an inspector's challenge at least so often; none: not asked"
    )


class LicensedWork(Record):
    """Chips work within budgets that a quorum licensed, and no longer than the licence holds."""

    kind: Literal[ClauseKind.LICENSED_WORK]
    meters: tuple[Identifier, ...] = Field(min_length=1, max_length=16, description="meters that a licence must budget")
    valid_s_max: Positive = Field(description="a licence may not be valid for longer")
    attested_every_s: Positive = Field(description="a stretch without a report for longer is not observed")


class GuardOutlet(Record):
    """The guarantee processor leaks nothing else: what leaves it has fixed times, fixed sizes, and a bit budget."""

    kind: Literal[ClauseKind.GUARD_OUTLET]
    bits_per_day_max: Positive = Field(description="that its reports may carry about what the chips do")


class ReplayedWork(Record):
    """Work is committed to as it is done, and a sample that the prover could not choose is run again."""

    kind: Literal[ClauseKind.REPLAYED_WORK]
    work: tuple[Literal["training", "inference"], ...] = Field(
        min_length=1, description="the kinds of claimed work that must be committed to"
    )
    dirty_share_max: Share = Field(
        description="of the committed time, what may remain that is not as committed, at the agreement's confidence"
    )
    methods: tuple[Literal["exact", "weights", "toploc", "difr"], ...] = Field(
        min_length=1, description="how a packet may be checked"
    )
    tolerances: tuple[Digest, ...] = Field(
        default=(), max_length=256, description="calibrations that both parties have read; none: only `exact` bounds"
    )
    committed_every_s: Positive = Field(description="a stretch that no commitment covers for longer is not observed")
    answer_within_s: Positive = Field(description="from a draw to its opening; what comes later counts as refused")
    covert_bits_per_token_max: NonNegative | None = Field(
        default=None, description="that the check of inference may let through unseen; none: not limited"
    )


class AccountedFlop(Record):
    """What each run took is known from several sources that agree, and counts under the agreement's rule."""

    kind: Literal[ClauseKind.ACCOUNTED_FLOP]
    sources_min: Annotated[int, Field(ge=1, le=8)] = Field(description="independent sources behind each account")
    disagreement_share_max: Share = Field(description="relative difference that is put down to the sources")


class ReviewedCode(Record):
    """Inspectors have read the code that runs, and it holds no technique that was not agreed."""

    kind: Literal[ClauseKind.REVIEWED_CODE]
    work: tuple[Literal["training", "inference"], ...] = Field(
        min_length=1, description="the kinds of claimed work whose code must have been reviewed"
    )
    approvals_min: Annotated[int, Field(ge=1, le=16)] = Field(
        description="different inspectors who approve each snapshot"
    )
    techniques: tuple[Identifier, ...] = Field(max_length=1000, description="those that may be used: the whitelist")
    fixed_parameters: tuple[Literal["training", "inference"], ...] = Field(
        default=("inference",), description="kinds of work in which no parameter may change"
    )
    valid_s_max: Positive = Field(description="an approval older than this must be given again")


class InspectionRooms(Record):
    """Code and data that an inspector sees at the site do not leave: outputs are verdicts within a budget of bits."""

    kind: Literal[ClauseKind.INSPECTION_ROOMS]
    bits_per_session_max: Positive = Field(description="that may leave one session")
    bits_per_day_max: Positive = Field(description="that may leave all sessions of a party together")


class ReportingChannels(Record):
    """Whoever knows of a violation can say so to several parties at once, safely, and what they say is followed."""

    kind: Literal[ClauseKind.REPORTING_CHANNELS]
    offices_min: Annotated[int, Field(ge=2, le=16)] = Field(
        description="offices of different parties that must have collected each batch, and that open it together"
    )
    collected_every_s: Positive = Field(
        description="a stretch of which no batch was collected for longer is not observed"
    )
    visited_every_s: Positive | None = Field(
        default=None, description="everybody on the roster is due at the verifier's house so often; none: not agreed"
    )
    answered_within_s: Positive = Field(description="from raising a lead to closing it")


class RosterStratum(Record):
    """People whose roles would let them know of the same kind of violation."""

    id: Identifier
    knowing_min: Annotated[int, Field(ge=1, le=100_000)] = Field(
        description="how many of them at least would know of a violation that matters"
    )
    reach_min: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="the chance with which a draw must reach at least one of those"
    )


class InterviewedStaff(Record):
    """People whom nobody could choose are heard, in private and within an agreed scope, and their answers fit together."""

    kind: Literal[ClauseKind.INTERVIEWED_STAFF]
    strata: tuple[RosterStratum, ...] = Field(min_length=1, max_length=64)
    held_every_s: Positive = Field(description="a stretch without interviews for longer is not observed")
    answer_within_s: Positive = Field(description="from a draw to the opening of its entries")
    forms: tuple[Digest, ...] = Field(
        min_length=1, max_length=64, description="the forms that both parties have agreed: nothing else is asked"
    )
    unheard_share_max: Share = Field(description="of those drawn in a stratum, who may refuse or stay away")


class Procedure(Record):
    """A duty that machines record and people perform; checked by dates, counts and signatures."""

    kind: Literal[ClauseKind.PROCEDURE]
    duty: Text
    per_party_per_year_max: int | None = Field(default=None, ge=0)
    approvals: tuple[Text, ...] = Field(default=(), description="all of these must approve")
    h100_equivalents_min: Positive | None = Field(default=None, description="applies above this size")


Parameters = Annotated[
    HiddenTraining
    | InterconnectLimit
    | PodIsolation
    | CoordinatedExchange
    | LockStep
    | LimitEnforced
    | LoadingWindows
    | DeclaredCabling
    | ApprovedWorkloads
    | SoundTelemetry
    | GuardedOperation
    | LicensedWork
    | GuardOutlet
    | ReplayedWork
    | AccountedFlop
    | ReviewedCode
    | InspectionRooms
    | ReportingChannels
    | InterviewedStaff
    | CoveredCluster
    | NoSplitting
    | ChipRegister
    | CountedChips
    | SealedPlaces
    | WatchedPlaces
    | LocatedChips
    | ChallengeAccess
    | Procedure,
    Field(discriminator="kind"),
]
