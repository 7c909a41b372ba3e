"""The nouns of an agreement.

Every term carries its source (document, article, paragraph) and the date from which it holds. Limits stand here, in the
agreement; thresholds of detectors stand in the `reference.py` of the mechanism that uses them.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.quantities import Positive, Share, Time


class Source(Record):
    """Where a term stands."""

    document: Text
    article: Text | None = None
    paragraph: Text | None = None

    def __str__(self) -> str:
        return ", ".join(part for part in (self.document, self.article, self.paragraph) if part)


class _Term(Record):
    """What all terms have in common: a name, a source, and a time in which they hold."""

    id: Identifier
    source: Source
    holds_from: Time
    holds_until: Time | None = None
    proposed: bool = Field(default=False, description="an amendment that nobody has adopted yet")

    @model_validator(mode="after")
    def _holds_forward(self) -> Self:
        if self.holds_until is not None and self.holds_until <= self.holds_from:
            raise ValueError("holds_until must come after holds_from")
        return self

    def holds(self, at: datetime) -> bool:
        return self.holds_from <= at and (self.holds_until is None or at < self.holds_until)


_TermT = TypeVar("_TermT", bound=_Term)


class ThresholdKind(StrEnum):
    """Which kind of run a threshold speaks of."""

    TRAINING = "training"
    POST_TRAINING = "post-training"
    MONITORED = "monitored"


class Threshold(_Term):
    """The largest run of one kind that the agreement allows without more."""

    kind: ThresholdKind
    flop_max: Positive
    consequence: Text = Field(description="what follows for a run above it")


class ClauseKind(StrEnum):
    """The closed list of kinds of clause."""

    HIDDEN_TRAINING = "hidden-training"
    INTERCONNECT_LIMIT = "interconnect-limit"
    POD_ISOLATION = "pod-isolation"
    COORDINATED_EXCHANGE = "coordinated-exchange"
    LOCK_STEP = "lock-step"
    LIMIT_ENFORCED = "limit-enforced"
    LOADING_WINDOWS = "loading-windows"
    DECLARED_CABLING = "declared-cabling"
    APPROVED_WORKLOADS = "approved-workloads"
    SOUND_TELEMETRY = "sound-telemetry"
    GUARDED_OPERATION = "guarded-operation"
    LICENSED_WORK = "licensed-work"
    GUARD_OUTLET = "guard-outlet"
    COVERED_CLUSTER = "covered-cluster"
    PROCEDURE = "procedure"


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


class CoveredCluster(Record):
    """Chips above any of these limbs form a covered chip cluster and must stand in a declared facility."""

    kind: Literal[ClauseKind.COVERED_CLUSTER]
    h100_equivalents_max: Positive = Field(description="covered if strictly above")
    joined_by_co_location: bool
    joined_by_bits_per_s: Positive = Field(description="joined if hosts exchange more than this in aggregate")
    joined_by_purpose: bool = Field(description="joined if networked to work on one workload")
    memory_bytes_max: Positive | None = Field(default=None, description="covered also if memory is strictly above")


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
    | CoveredCluster
    | Procedure,
    Field(discriminator="kind"),
]


class Clause(_Term):
    """One promise that can be checked."""

    title: Text
    parameters: Parameters

    @property
    def kind(self) -> ClauseKind:
        return self.parameters.kind


class Clock(_Term):
    """A deadline: `event` starts it, and `duty` must be done within `within_s`."""

    event: Text
    duty: Text
    within_s: Positive


class Utilisation(Record):
    """The highest utilisation with which a cheater is credited, and why."""

    max: Annotated[float, Field(gt=0, le=1)]
    source: Source


class Agreement(Record):
    """What was promised, in a form that a machine can check."""

    id: Identifier
    version: Annotated[int, Field(ge=1)]
    title: Text
    parties: tuple[Identifier, ...] = Field(min_length=1)
    false_accusation_rate: Annotated[float, Field(gt=0, lt=0.5)]
    """The chance, per review of a party that complies, of any alarm at all."""
    assurance_confidence: Annotated[float, Field(gt=0.5, lt=1)]
    """The confidence with which the largest hidden run is bounded."""
    counted_formats: tuple[Identifier, ...] = Field(min_length=1)
    """Number formats whose peak rates count; the highest decides ("whichever is higher")."""
    utilisation: Utilisation
    thresholds: tuple[Threshold, ...] = ()
    clauses: tuple[Clause, ...] = Field(min_length=1)
    clocks: tuple[Clock, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, terms in (("threshold", self.thresholds), ("clause", self.clauses), ("clock", self.clocks)):
            _refuse_overlap(kind, terms)
        known = {threshold.id for threshold in self.thresholds}
        for clause in self.clauses:
            if isinstance(clause.parameters, HiddenTraining):
                unknown = set(clause.parameters.thresholds) - known
                if unknown:
                    raise ValueError(f"clause {clause.id} names unknown thresholds: {', '.join(sorted(unknown))}")
        return self

    def on(self, as_of: datetime, *, with_proposed: bool = False) -> Agreement:
        """The agreement as it stood at `as_of`: only the terms that held then.

        With `with_proposed`, an amendment that is proposed counts as adopted and replaces the term of its id.
        Raises `ValueError` if nothing held yet.
        """

        def held(terms: tuple[_TermT, ...]) -> tuple[_TermT, ...]:
            now = [term for term in terms if term.holds(as_of) and (with_proposed or not term.proposed)]
            replaced = {term.id for term in now if term.proposed}
            return tuple(term for term in now if term.proposed or term.id not in replaced)

        clauses = held(self.clauses)
        if not clauses:
            raise ValueError(f"no clause of {self.id} held on {as_of:%Y-%m-%d}")
        return self.model_copy(
            update={"thresholds": held(self.thresholds), "clauses": clauses, "clocks": held(self.clocks)}
        )

    def threshold(self, threshold_id: str) -> Threshold | None:
        return next((threshold for threshold in self.thresholds if threshold.id == threshold_id), None)


def _refuse_overlap(kind: str, terms: tuple[_Term, ...]) -> None:
    """One id may be used again for a later version or a proposal, but never for two of either that hold at one time."""
    versions: dict[tuple[str, bool], list[_Term]] = defaultdict(list)
    for term in terms:
        versions[term.id, term.proposed].append(term)
    for (name, _), alike in versions.items():
        for first, second in pairwise(sorted(alike, key=lambda t: t.holds_from)):
            if first.holds_until is None or second.holds_from < first.holds_until:
                raise ValueError(f"two versions of {kind} {name} hold at one time")
