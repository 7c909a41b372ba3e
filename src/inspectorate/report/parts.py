"""The nouns of an outline: what stands in each part of a report, already in words.

Texts in these records went through `words.visible`. Counts of FLOP stay numbers, because the forms set them differently.

Not done here: making them (`outline`), laying them out (`text`, `html`).
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.quantities import Period
from inspectorate.report.words import VerdictWords


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Step 1: the largest hidden run and the verdict."""

    run_flop: float
    chip_time: str
    confidence: str
    share_of_capacity: str
    capacity_flop: float
    against: str
    """How the run compares with all thresholds, as the end of a sentence."""
    exact: bool
    verdict: VerdictWords
    exit_code: int

    @property
    def chip_time_words(self) -> str:
        return f"about {self.chip_time} at FP16 peak" if self.run_flop > 0 else "no chip time at all"


@dataclass(frozen=True, kw_only=True)
class ThresholdRow:
    """The largest hidden run against one threshold."""

    threshold: str
    kind: str
    flop_max: float
    excluded: bool
    ratio: str
    source: str
    consequence: str

    @property
    def words(self) -> str:
        return "excluded" if self.excluded else "not excluded"

    @property
    def symbol(self) -> str:
        return "✓" if self.excluded else "✗"


@dataclass(frozen=True, kw_only=True)
class StrengthRow:
    """Evidence against a clause, in words and as decimal logarithms of e-values."""

    words: str
    log10_e: float
    log10_alarm: float
    alarm: bool

    @property
    def share_of_scale(self) -> float:
        """Where the evidence stands on a scale from e = 1 to the square of the alarm, which is at 0.5."""
        return min(max(self.log10_e / (2 * self.log10_alarm), 0.0), 1.0) if self.log10_alarm > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class AssessmentRow:
    """What one mechanism says."""

    mechanism: str
    pods: str
    when: str
    verdict: VerdictWords
    log10_e: float | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A small table behind an assessment."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int
    columns_left_out: int


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Some texts, and how many more there are."""

    shown: tuple[str, ...]
    left_out: int = 0

    def __bool__(self) -> bool:
        return bool(self.shown)


@dataclass(frozen=True, kw_only=True)
class LeadRow:
    """What people said of one thing, beside what machines show of it."""

    subject: str
    standing: str
    by: tuple[str, ...]
    gaps: tuple[str, ...]
    assumptions: tuple[str, ...]
    follows: str


@dataclass(frozen=True, kw_only=True)
class FindingRow:
    """Steps 2 and 4 for one clause."""

    number: int
    """Place in the report, from 1."""
    clause: str
    title: str
    source: str
    verdict: VerdictWords
    named: tuple[tuple[str, str], ...]
    """Pods and times whose own evidence reaches the alarm; empty without an alarm."""
    named_left_out: int
    concerns: str
    """Short of an alarm: the pods that the verdict is about; empty if it is about none."""
    otherwise: str
    """Which pods, or how many groups of pods, were appraised otherwise than the finding says."""
    answered: bool
    """Whether the thresholds of step 1 are what this clause is about."""
    strength: StrengthRow | None
    reasons: Texts
    evidence: tuple[tuple[str, str], ...]
    """Evidence ids, short and whole."""
    evidence_left_out: int
    assessments: tuple[AssessmentRow, ...]
    assessments_left_out: int
    tables: tuple[TableRow, ...]
    leads: tuple[LeadRow, ...]
    leads_left_out: int
    dissent: Texts
    missing: Texts
    assumptions: Texts

    @property
    def nobody_looked(self) -> bool:
        """Whether no mechanism said anything of the clause."""
        return not self.assessments and not self.answered


@dataclass(frozen=True, kw_only=True)
class HelpRow:
    """What explaining one pod's cells of one basis would bring; pods with the same effect stand together."""

    sentence: str
    pods: str
    basis: str
    time: str
    run_flop: float
    falls_by: str


@dataclass(frozen=True, kw_only=True)
class ProblemRow:
    kind: str
    meaning: str
    subject: str
    detail: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Outline:
    """All that a report says, in order."""

    agreement: str
    agreement_id: str
    party: str
    pods: int
    period: Period
    as_of: str
    simulated: bool
    answer: Answer
    thresholds: tuple[ThresholdRow, ...]
    findings: tuple[FindingRow, ...]
    help: tuple[HelpRow, ...]
    help_note: str
    problems: tuple[ProblemRow, ...]
    problems_left_out: int
    not_checked: tuple[str, ...]
    account_assumptions: Texts
    rests_on: tuple[tuple[str, str], ...]
    command: str
