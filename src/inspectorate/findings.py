"""From assessments to findings: one per clause, with verdict, strength, and what is missing.

Rules:

- Evidence against a clause is the mean of the e-values of its assessments: valid whatever the dependence between them
  (Vovk and Wang, "E-values: calibration, combination and applications", Ann. Statist. 2021, section 3). An assessment
  without an e-value counts as e = 1. A mechanism therefore gives one assessment per pod (or pair) that the declaration
  names, whether it saw anything or not; the number of them may not depend on the evidence.
- Each of the m clauses in force that can raise an alarm has the share 1/m of the agreed false-accusation rate alpha: the
  alarm is at e >= m / alpha. The chance of any alarm in a review of a party that complies is then at most alpha.
- Which scopes are named is decided by closed testing with the mean (Vovk and Wang 2021): the chance of naming any scope that
  complies is at most alpha/m, too.
- Bad news is never outvoted: an alarm makes a finding inconsistent; short of that invalid evidence, then what was not
  observed, then what was inconclusive. Consistent is what is left, and it needs at least one assessment.
- What people said (`leads`) stands beside what machines show of it, and changes neither verdict nor strength.
- A mechanism's own word "inconsistent" counts for nothing without an e-value that reaches the alarm.

Findings know no mechanism and read no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from pydantic import Field

from inspectorate.account import Account
from inspectorate.agreement import Agreement, Clause, ClauseKind, HiddenTraining, Source, ThresholdKind
from inspectorate.assessment import Assessment, Scope, Verdict
from inspectorate.canonical import Identifier, Record, Text
from inspectorate.corroboration import HeardLead, corroborate
from inspectorate.quantities import NonNegative, Positive, Time
from inspectorate.statistics import bounded_log_e, merge_mean, named_by_e_closure

ALARMING_KINDS = frozenset(
    {
        ClauseKind.INTERCONNECT_LIMIT,
        ClauseKind.POD_ISOLATION,
        ClauseKind.COORDINATED_EXCHANGE,
        ClauseKind.LOCK_STEP,
        ClauseKind.LIMIT_ENFORCED,
        ClauseKind.LOADING_WINDOWS,
        ClauseKind.DECLARED_CABLING,
        ClauseKind.APPROVED_WORKLOADS,
        ClauseKind.SOUND_TELEMETRY,
        ClauseKind.GUARDED_OPERATION,
        ClauseKind.LICENSED_WORK,
        ClauseKind.GUARD_OUTLET,
        ClauseKind.REPLAYED_WORK,
        ClauseKind.ACCOUNTED_FLOP,
        ClauseKind.REVIEWED_CODE,
        ClauseKind.COVERED_CLUSTER,
        ClauseKind.NO_SPLITTING,
        ClauseKind.CHIP_REGISTER,
        ClauseKind.COUNTED_CHIPS,
    }
)
"""Kinds of clause against which evidence can reach an alarm."""

_SEVERITY = (Verdict.INVALID_EVIDENCE, Verdict.NOT_OBSERVED, Verdict.INCONCLUSIVE, Verdict.INCONSISTENT)


class Strength(Record):
    """How strong the evidence against a clause is."""

    log_e: float = Field(description="natural logarithm of the merged e-value")
    log_e_alarm: float = Field(description="at or above this, the agreed false-accusation rate allows an alarm")


class ThresholdAnswer(Record):
    """The largest hidden run against one threshold."""

    threshold: Identifier
    kind: Text
    flop_max: Positive
    hidden_flop_max: NonNegative
    excluded: bool = Field(description="whether a hidden run above the threshold is excluded")
    source: Source
    consequence: Text


class Finding(Record):
    """What is found of one clause."""

    clause: Identifier
    title: Text
    source: Source
    verdict: Verdict
    strength: Strength | None = None
    named: tuple[Scope, ...] = Field(default=(), description="scopes whose own evidence reaches the alarm")
    thresholds: tuple[ThresholdAnswer, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    leads: tuple[HeardLead, ...] = Field(default=(), description="what people said, beside what machines show of it")
    dissent: tuple[Text, ...] = Field(default=(), description="assessments that say otherwise")
    missing: tuple[Text, ...] = Field(default=(), description="what would have to be there for a better answer")
    reasons: tuple[Text, ...] = Field(min_length=1)
    as_of: Time


def fuse(
    agreement: Agreement, assessments: Sequence[Assessment], account: Account, *, as_of: datetime
) -> tuple[Finding, ...]:
    """One finding per clause of the agreement as it stood at `as_of`."""
    alarming = sum(clause.kind in ALARMING_KINDS for clause in agreement.clauses)
    log_alarm = math.log(max(alarming, 1) / agreement.false_accusation_rate)
    findings: list[Finding] = []
    for clause in agreement.clauses:
        about = tuple(assessment for assessment in assessments if assessment.clause == clause.id)
        if isinstance(clause.parameters, HiddenTraining):
            findings.append(_answer_thresholds(agreement, clause, clause.parameters, account, as_of))
        elif not about:
            findings.append(_nobody_looked(clause, as_of))
        else:
            findings.append(_fuse_clause(clause, about, log_alarm, as_of))
    kinds = {clause.id: clause.kind for clause in agreement.clauses}
    return tuple(_with_leads(finding, assessments, account, kinds) for finding in findings)


def _with_leads(
    finding: Finding, assessments: Sequence[Assessment], account: Account, kinds: Mapping[str, ClauseKind]
) -> Finding:
    """The leads of a finding's own assessments, each held against those of all clauses."""
    leads = tuple(
        corroborate(lead, assessments, account, kinds=kinds) for one in finding.assessments for lead in one.leads
    )
    return finding.model_copy(update={"leads": leads}) if leads else finding


def _fuse_clause(clause: Clause, about: tuple[Assessment, ...], log_alarm: float, as_of: datetime) -> Finding:
    values = [0.0 if a.log_e is None else a.log_e for a in about]
    log_e = bounded_log_e(merge_mean(values))
    named = tuple(about[i].scope for i in named_by_e_closure(values, false_accusation_rate=math.exp(-log_alarm)))
    alarm = clause.kind in ALARMING_KINDS and log_e >= log_alarm
    verdict = Verdict.INCONSISTENT if alarm else _worst(about)
    pointed = frozenset((scope.pods, scope.period.start, scope.period.end) for scope in named)
    supports = [_supports(a, verdict, pointed) for a in about]
    agreeing = [a for a, agrees in zip(about, supports, strict=True) if agrees]
    return Finding(
        clause=clause.id,
        title=clause.title,
        source=clause.source,
        verdict=verdict,
        strength=Strength(log_e=log_e, log_e_alarm=log_alarm),
        named=named if alarm else (),
        assessments=about,
        dissent=tuple(
            _one_line(a) for a, agrees in zip(about, supports, strict=True) if not agrees and a.verdict is not verdict
        ),
        missing=_once(text for a in about for text in a.not_checked),
        reasons=_once(reason for a in agreeing for reason in a.reasons) or _once(r for a in about for r in a.reasons),
        as_of=as_of,
    )


def _worst(about: tuple[Assessment, ...]) -> Verdict:
    """The worst verdict short of an alarm. "Inconsistent" without a sufficient e-value is inconclusive."""
    found = {a.verdict for a in about}
    for verdict in _SEVERITY:
        if verdict in found:
            return Verdict.INCONCLUSIVE if verdict is Verdict.INCONSISTENT else verdict
    return Verdict.CONSISTENT


def _supports(assessment: Assessment, verdict: Verdict, named: Collection[tuple[object, ...]]) -> bool:
    if verdict is Verdict.INCONSISTENT:
        scope = assessment.scope
        if named:
            return (scope.pods, scope.period.start, scope.period.end) in named
        return assessment.log_e is not None and assessment.log_e > 0
    return assessment.verdict is verdict


def _answer_thresholds(
    agreement: Agreement, clause: Clause, terms: HiddenTraining, account: Account, as_of: datetime
) -> Finding:
    """The account's number against every threshold of the clause that holds."""
    answers: list[ThresholdAnswer] = []
    missing: list[str] = []
    for name in terms.thresholds:
        threshold = agreement.threshold(name)
        if threshold is None:
            missing.append(f"threshold {name} does not hold on {as_of:%Y-%m-%d}")
            continue
        # What is monitored is any run, and post-training can be no smaller than the rest.
        training = threshold.kind is ThresholdKind.TRAINING
        hidden = account.hidden_flop_max if training else account.post_training_flop_max
        answers.append(
            ThresholdAnswer(
                threshold=threshold.id,
                kind=threshold.kind.value,
                flop_max=threshold.flop_max,
                hidden_flop_max=hidden,
                excluded=hidden <= threshold.flop_max,
                source=threshold.source,
                consequence=threshold.consequence,
            )
        )
    if not answers:
        verdict = Verdict.NOT_OBSERVED
        reasons = ["no threshold of this clause holds, so there is nothing to compare with"]
    else:
        verdict = Verdict.CONSISTENT if all(a.excluded for a in answers) else Verdict.INCONCLUSIVE
        reasons = [
            f"a hidden run above {a.flop_max:.3g} FLOP ({a.threshold}) is "
            + ("excluded" if a.excluded else f"not excluded: up to {a.hidden_flop_max:.3g} FLOP could be hidden")
            for a in answers
        ]
    return Finding(
        clause=clause.id,
        title=clause.title,
        source=clause.source,
        verdict=verdict,
        thresholds=tuple(answers),
        missing=tuple(missing),
        reasons=tuple(reasons),
        as_of=as_of,
    )


def _nobody_looked(clause: Clause, as_of: datetime) -> Finding:
    return Finding(
        clause=clause.id,
        title=clause.title,
        source=clause.source,
        verdict=Verdict.NOT_OBSERVED,
        missing=(f"a mechanism that appraises clauses of kind {clause.kind.value}",),
        reasons=("no mechanism of this program appraises this kind of clause",),
        as_of=as_of,
    )


def _one_line(assessment: Assessment) -> str:
    return f"{assessment.mechanism}, {', '.join(assessment.scope.pods)}: {assessment.verdict.value}: {assessment.reasons[0]}"


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    """Each text once, in order of first appearance."""
    return tuple(dict.fromkeys(texts))
