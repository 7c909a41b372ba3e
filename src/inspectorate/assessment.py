"""The joint between mechanisms and findings: what one mechanism says of one clause.

Rules:

- An assessment carries up to two numbers that point in two directions. `log_e` is evidence *against* the party: the
  natural logarithm of an e-value, whose expectation is at most 1 if the party complies. `hidden` is assurance *for* it:
  upper bounds on the training FLOP that could be hidden in stated cells.
- Absent is a type: a mechanism without evidence says NOT_OBSERVED and carries neither number.
- A `Verdict` has no truth value. Whoever asks `if verdict:` is told so.
- What the account needs of a mechanism travels as data (`Joining`, `HiddenBound`); what the report plots travels as an
  `Exhibit`, already reduced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol, Self

from pydantic import Field, model_validator

from inspectorate.agreement import Agreement, Clause, ClauseKind
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.declaration import Declaration
from inspectorate.evidence import Activity, Closing, Evidence, HumanSource, Step
from inspectorate.keys import LandmarkAnchor, PlatformAnchor
from inspectorate.quantities import NonNegative, Period, Positive, Share
from inspectorate.statistics import LOG_E_MAX, LOG_E_MIN

EXHIBIT_ROWS_MAX = 20_000


class Verdict(StrEnum):
    """The closed list of what can be said of a clause."""

    CONSISTENT = "consistent"
    """Observed throughout, and nothing speaks against the clause."""
    INCONSISTENT = "inconsistent"
    """The evidence against the clause reaches the agreed false-accusation rate."""
    INCONCLUSIVE = "inconclusive"
    """Observed, but neither established nor refuted."""
    NOT_OBSERVED = "not-observed"
    """Nothing looked, or not all the time."""
    INVALID_EVIDENCE = "invalid-evidence"
    """Evidence was there and cannot be trusted."""

    def __bool__(self) -> bool:
        raise TypeError("a verdict is neither true nor false; compare it with a Verdict")


class Scope(Record):
    """The pods and the time of which something is said."""

    pods: tuple[Identifier, ...] = Field(min_length=1)
    period: Period

    @model_validator(mode="after")
    def _sorted(self) -> Self:
        if list(self.pods) != sorted(set(self.pods)):
            raise ValueError("pods must be sorted and distinct")
        return self


class HiddenBound(Record):
    """At most this much of each cell's capacity could be hidden training: one row of the account.

    Exactly one of `share_max` (of capacity) and `flop_max` (per interval of the account) is given. Bounds that rest on
    one statistical statement name it alike, and its miss probability counts once.
    """

    statement: Identifier
    miss_probability: Annotated[float, Field(ge=0, lt=1)]
    scope: Scope
    share_max: Share | None = None
    flop_max: NonNegative | None = None
    cell_s_min: NonNegative = Field(
        default=0.0, description="holds for cells of at least this length: a shorter one could hold all that is hidden"
    )

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.share_max is None) == (self.flop_max is None):
            raise ValueError("give exactly one of share_max and flop_max")
        return self


class Joining(Record):
    """How pods under one verified limit can add up to a single run.

    `contributions[j]` is the most that the (j+1)-th largest pod adds, as a share of its own throughput: 1 for the
    first, never rising after. The largest run over pods with hidden sums U_1 >= U_2 >= ... is then at most
    sum_j contributions[j] * U_j. `post_training` is the same for runs whose tokens may be made in other pods than those
    that train (reinforcement learning, distillation): never less, and none where nothing is known of them.
    """

    statement: Identifier
    miss_probability: Annotated[float, Field(ge=0, lt=1)]
    scope: Scope
    bytes_per_s_max: Positive
    contributions: tuple[Share, ...] = Field(min_length=1)
    post_training: tuple[Share, ...] | None = None
    rule: Text

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        for shares in (self.contributions, self.post_training):
            if shares is None:
                continue
            if len(shares) < len(self.scope.pods) or not shares:
                raise ValueError("a contribution is needed for every pod in scope")
            if shares[0] != 1:
                raise ValueError("the first pod contributes all of itself")
            if list(shares) != sorted(shares, reverse=True):
                raise ValueError("contributions must not rise")
        if self.post_training is not None and sum(self.post_training) < sum(self.contributions) * (1 - 1e-9):
            raise ValueError("pods contribute no less to post-training than to pre-training")
        return self


class Outside(Record):
    """Of the capacity of these pods, at most this share is not where it is declared, and so escapes all that looks there.

    Chips that are elsewhere are bounded by nothing that is said of the pods, and joined by no limit of theirs. A mechanism that
    appraises a clause about where chips are always says one with a share of 1, a miss probability of 0 and the whole scope:
    with no evidence, any chip may be elsewhere.
    """

    statement: Identifier
    miss_probability: Annotated[float, Field(ge=0, lt=1)]
    scope: Scope
    share_max: Share


class ExhibitKind(StrEnum):
    SERIES = "series"
    """Columns over time; the first column is `time` (RFC 3339)."""
    TABLE = "table"
    CURVES = "curves"
    """Columns over an abscissa: the first column, which rises."""


class Exhibit(Record):
    """A small table behind an assessment, already reduced, that a report may print or plot."""

    id: Identifier
    title: Text
    kind: ExhibitKind
    columns: tuple[Text, ...] = Field(
        min_length=1, max_length=64, description="names with their unit last, such as out_bytes_per_s"
    )
    rows: tuple[tuple[str | float | None, ...], ...] = Field(max_length=EXHIBIT_ROWS_MAX)
    limit: NonNegative | None = Field(default=None, description="a horizontal line, in the unit of the columns")
    unit: Annotated[str, Field(max_length=200)] = ""

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("every row needs one value per column")
        return self


class Lead(Record):
    """What people said that calls for a step: no evidence against the party, and no word of theirs. It has no figure for how far
    anybody is to be believed, and moves no number of the account."""

    id: Identifier
    source: HumanSource
    bears_on: Identifier = Field(description="the clause that would be broken")
    activity: Activity
    pods: tuple[Identifier, ...] = Field(default=(), description="none: not known which")
    period: Period | None = Field(default=None, description="none: not known when")
    flop_min: Positive | None = Field(default=None, description="at least so much training is spoken of")
    offices: tuple[Identifier, ...] = Field(min_length=1, description="that raised it")
    step: Step = Field(description="the furthest one for which enough offices ask")
    closing: Closing | None = Field(default=None, description="why it is followed no further; none: it is open")
    evidence_ids: tuple[Text, ...] = Field(min_length=1)


class Assessment(Record):
    """What one mechanism says of one clause, for some pods and some time."""

    clause: Identifier
    mechanism: Identifier
    scope: Scope
    verdict: Verdict
    log_e: Annotated[float, Field(ge=LOG_E_MIN, le=LOG_E_MAX)] | None = None
    hidden: tuple[HiddenBound, ...] = ()
    joining: tuple[Joining, ...] = ()
    outside: tuple[Outside, ...] = ()
    assumptions: tuple[Text, ...] = ()
    evidence_ids: tuple[Text, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    leads: tuple[Lead, ...] = ()
    reasons: tuple[Text, ...] = Field(min_length=1)
    not_checked: tuple[Text, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not self.evidence_ids and (self.hidden or self.joining or self.verdict is Verdict.CONSISTENT):
            raise ValueError("nothing is consistent or bounded without evidence")
        return self


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a mechanism may look at: terms, declaration, evidence that was verified, and the roots of platforms that the
    reviewer trusts. No clock, no disk."""

    agreement: Agreement
    clause: Clause
    declaration: Declaration
    evidence: Evidence
    period: Period
    miss_probability: float
    """What one statistical statement of this assessment may use of (1 - assurance confidence)."""
    shared: dict[str, object]
    """Work that clauses of one mechanism share within one review, such as decoded streams, under the mechanism's name."""
    platforms: tuple[PlatformAnchor, ...] = ()
    """Out of the reviewer's anchors, never out of evidence: without one, no quote of a TPM can be believed."""
    landmarks: tuple[LandmarkAnchor, ...] = ()
    """Out of the reviewer's anchors, too: what another landmark timed says nothing."""


class Mechanism(Protocol):
    """One way of knowing."""

    @property
    def name(self) -> str: ...

    @property
    def clause_kinds(self) -> frozenset[ClauseKind]: ...

    @property
    def establishes(self) -> str:
        """What it can establish, in a sentence."""
        ...

    @property
    def cannot_establish(self) -> str: ...

    def appraise(self, case: Case) -> tuple[Assessment, ...]:
        """What the evidence says of the clause: at least one assessment, also where there is no evidence."""
        ...


MechanismTable = Mapping[ClauseKind, tuple[Mechanism, ...]]
