"""What a report says, in the order in which it says it: the text and the HTML form are two settings of one outline.

    1. the answer: the largest hidden run, against each threshold, and the verdict
    2. the findings, the gravest first; last the clauses at which nobody looked
    3. (plots, in the HTML form only: `plots`)
    4. for every finding: reasons, what people said, evidence, dissent, what is missing, assumptions
    5. what would help most
    6. problems with evidence
    7. what was not checked, what the review rests on, and how to compute it again

Rules:

- An outline is made of a `Review` and nothing else: no clock, no disk, no evidence. Equal reviews give equal outlines.
- Every text from outside went through `words.visible` before it stands here.
- What is left out is counted: no list is cut short without saying so. The JSON form of a review leaves out nothing.

Not done here: layout, escaping, colours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

from inspectorate.account import NO_EVIDENCE, Account, Help
from inspectorate.assessment import Assessment, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.evidence import Problem
from inspectorate.findings import Finding, Strength, ThresholdAnswer
from inspectorate.quantities import Period
from inspectorate.report import words
from inspectorate.report.leads import lead_row
from inspectorate.report.parts import (
    Answer,
    AssessmentRow,
    FindingRow,
    HelpRow,
    Outline,
    ProblemRow,
    StrengthRow,
    TableRow,
    Texts,
    ThresholdRow,
)
from inspectorate.report.words import VERDICTS, visible
from inspectorate.review import EXIT_CODES, Review

_Item = TypeVar("_Item")

NAMED_MAX = 8
ELSEWHERE = "chips that may be elsewhere"
PODS_MAX = 6
EVIDENCE_MAX = 12
ASSESSMENTS_MAX = 60
TEXTS_MAX = 40
DISSENT_MAX = 4
TABLE_ROWS_MAX = 20
TABLE_COLUMNS_MAX = 12
TABLES_MAX = 12
LEADS_MAX = 40
PROBLEMS_MAX = 200
TEXT_LENGTH_MAX = 1_200


def outline(review: Review) -> Outline:
    """The outline of a report on this review."""
    by_gravity = sorted(review.findings, key=lambda f: (not (f.assessments or f.thresholds), words.GRAVITY[f.verdict]))
    answers = _once(answer for finding in review.findings for answer in finding.thresholds)
    return Outline(
        agreement=words.clipped(visible(review.agreement_title), 400),
        agreement_id=f"{review.agreement}, version {review.agreement_version}",
        party=review.party,
        pods=len(review.pods),
        period=review.period,
        as_of=words.utc(review.as_of),
        simulated=review.simulated,
        answer=_answer(review, answers),
        thresholds=tuple(_threshold(answer) for answer in answers),
        findings=tuple(_finding(finding, number, review) for number, finding in enumerate(by_gravity, start=1)),
        help=_helps(review.account),
        help_note=_help_note(review.account),
        problems=tuple(_problem(problem, review.period) for problem in review.problems[:PROBLEMS_MAX]),
        problems_left_out=max(0, len(review.problems) - PROBLEMS_MAX),
        not_checked=tuple(visible(text) for text in review.not_checked),
        account_assumptions=_texts(review.account.assumptions),
        rests_on=_rests_on(review),
        command=_command(review),
    )


def _answer(review: Review, answers: Sequence[ThresholdAnswer]) -> Answer:
    account = review.account
    return Answer(
        run_flop=account.hidden_flop_max,
        chip_time=words.chip_time(account.hidden_flop_max),
        confidence=f"{100 * account.confidence:.4g} %",
        share_of_capacity=words.share(account.hidden_flop_max, account.capacity_flop),
        capacity_flop=account.capacity_flop,
        against=_against(answers) + _post_training(account) + _elsewhere(account),
        exact=account.exact,
        verdict=VERDICTS[review.verdict],
        exit_code=EXIT_CODES[review.verdict],
    )


def _against(answers: Sequence[ThresholdAnswer]) -> str:
    open_ = tuple(visible(answer.threshold) for answer in answers if not answer.excluded)
    if not answers:
        return "the agreement has no threshold in force to compare this with"
    if not open_:
        return "this is below every threshold in force" if len(answers) > 1 else "this is below the threshold in force"
    if len(open_) == len(answers):
        return "this is above every threshold in force" if len(answers) > 1 else "this is above the threshold in force"
    return f"this is above {len(open_)} of {len(answers)} thresholds in force ({words.listing(open_, PODS_MAX)})"


def _elsewhere(account: Account) -> str:
    """What of the run may be done by chips that are not where they are declared."""
    if not account.elsewhere_flop_max:
        return ""
    return f"; chips that may not be where they are declared could do {words.flop(account.elsewhere_flop_max)} of it"


def _post_training(account: Account) -> str:
    """What post-training adds to the sentence on the largest run, where pods can add more to it."""
    if account.post_training_flop_max <= account.hidden_flop_max:
        return ""
    return f"; post-training could reach {words.flop(account.post_training_flop_max)}"


def _threshold(answer: ThresholdAnswer) -> ThresholdRow:
    return ThresholdRow(
        threshold=answer.threshold,
        kind=visible(answer.kind),
        flop_max=answer.flop_max,
        excluded=answer.excluded,
        ratio=words.against_threshold(answer.hidden_flop_max, answer.flop_max),
        source=_text(str(answer.source)),
        consequence=_text(answer.consequence),
    )


def _finding(finding: Finding, number: int, review: Review) -> FindingRow:
    period = review.period
    evidence = _once(id_ for assessment in finding.assessments for id_ in assessment.evidence_ids)
    tables = [e for a in finding.assessments for e in a.exhibits if e.kind is ExhibitKind.TABLE]
    by_gravity = sorted(finding.assessments, key=lambda a: (words.GRAVITY[a.verdict], -(a.log_e or 0.0)))
    named = _named(finding.named, period)
    return FindingRow(
        number=number,
        clause=finding.clause,
        title=_text(finding.title),
        source=_text(str(finding.source)),
        verdict=VERDICTS[finding.verdict],
        named=named[:NAMED_MAX],
        named_left_out=max(0, len(named) - NAMED_MAX),
        concerns=_concerns(finding, len(review.pods)),
        otherwise=_otherwise(finding),
        answered=bool(finding.thresholds),
        strength=_strength(finding.strength) if finding.strength else None,
        reasons=_texts(finding.reasons),
        evidence=tuple((visible(words.short_digest(id_)), _text(id_)) for id_ in evidence[:EVIDENCE_MAX]),
        evidence_left_out=max(0, len(evidence) - EVIDENCE_MAX),
        assessments=tuple(_assessment(a, period) for a in by_gravity[:ASSESSMENTS_MAX]),
        assessments_left_out=max(0, len(by_gravity) - ASSESSMENTS_MAX),
        tables=tuple(_table(exhibit) for exhibit in tables[:TABLES_MAX]),
        leads=tuple(lead_row(heard, period) for heard in finding.leads[:LEADS_MAX]),
        leads_left_out=max(0, len(finding.leads) - LEADS_MAX),
        dissent=_texts(finding.dissent, DISSENT_MAX),
        missing=_texts(finding.missing),
        assumptions=_texts(_once(text for a in finding.assessments for text in a.assumptions)),
    )


def _named(scopes: Sequence[Scope], period: Period) -> tuple[tuple[str, str], ...]:
    """Pods and times that are named: single pods of one time together, groups of pods each for itself."""
    singles: dict[Period, list[str]] = {}
    for scope in scopes:
        if len(scope.pods) == 1:
            singles.setdefault(scope.period, []).append(scope.pods[0])
    found = [(words.listing(tuple(sorted(pods)), NAMED_MAX), when) for when, pods in singles.items()]
    found += [(_pods(scope), scope.period) for scope in scopes if len(scope.pods) > 1]
    return tuple((pods, words.clock_span(when, period)) for pods, when in found)


def _otherwise(finding: Finding) -> str:
    others: dict[Verdict, list[Assessment]] = {}
    for assessment in finding.assessments:
        if assessment.verdict is not finding.verdict and assessment.scope not in finding.named:
            others.setdefault(assessment.verdict, []).append(assessment)
    told = []
    for verdict in sorted(others, key=lambda verdict: words.GRAVITY[verdict]):
        scopes = _once(assessment.scope.pods for assessment in others[verdict])
        single = all(len(pods) == 1 for pods in scopes)
        group = "pair" if all(len(pods) == 2 for pods in scopes) else "group of pods"
        who = words.listing(tuple(pods[0] for pods in scopes), PODS_MAX) if single else words.plural(len(scopes), group)
        told.append(f"{VERDICTS[verdict].word}: {who}")
    return "; ".join(told)


def _concerns(finding: Finding, pods: int) -> str:
    if finding.named or finding.verdict is Verdict.CONSISTENT:
        return ""
    about = _once(pod for a in finding.assessments if a.verdict is finding.verdict for pod in a.scope.pods)
    return "all pods" if len(about) == pods > 1 else words.listing(tuple(sorted(about)), PODS_MAX)


def _strength(strength: Strength) -> StrengthRow:
    return StrengthRow(
        words=words.strength_words(strength),
        log10_e=words.log10_e(strength.log_e),
        log10_alarm=words.log10_e(strength.log_e_alarm),
        alarm=strength.log_e >= strength.log_e_alarm,
    )


def _assessment(assessment: Assessment, period: Period) -> AssessmentRow:
    whole = assessment.scope.period == period
    return AssessmentRow(
        mechanism=assessment.mechanism,
        pods=_pods(assessment.scope),
        when="the whole period" if whole else words.clock_span(assessment.scope.period, period),
        verdict=VERDICTS[assessment.verdict],
        log10_e=None if assessment.log_e is None else words.log10_e(assessment.log_e),
        reason=_text(assessment.reasons[0]),
    )


def _table(exhibit: Exhibit) -> TableRow:
    return TableRow(
        title=_text(exhibit.title),
        columns=tuple(
            words.clipped(visible(column), 60).replace("_", " ") for column in exhibit.columns[:TABLE_COLUMNS_MAX]
        ),
        rows=tuple(
            tuple(_value(value, exhibit.unit) for value in row[:TABLE_COLUMNS_MAX])
            for row in exhibit.rows[:TABLE_ROWS_MAX]
        ),
        left_out=max(0, len(exhibit.rows) - TABLE_ROWS_MAX),
        columns_left_out=max(0, len(exhibit.columns) - TABLE_COLUMNS_MAX),
    )


def _value(value: str | float | None, unit: str) -> str:
    if value is None:
        return "not known"
    if isinstance(value, str):
        return _text(value)
    if not unit and value.is_integer() and abs(value) < 1e9:
        return f"{value:,.0f}"
    return words.rate(value, words.clipped(visible(unit), 20)) if math.isfinite(value) else "not known"


def _helps(account: Account) -> tuple[HelpRow, ...]:
    """What would help, pods with the same effect together, the most helpful first."""
    groups: dict[tuple[str, str, str], list[Help]] = {}
    for help_ in account.help:
        if help_.falls_by_flop > 0:
            hours = words.duration(help_.hours * 3600)
            groups.setdefault((help_.basis, hours, words.flop(help_.hidden_flop_max)), []).append(help_)
    return tuple(
        _help(tuple(help_.pod or ELSEWHERE for help_ in group), group[0], account) for group in groups.values()
    )


def _help(pods: tuple[str, ...], help_: Help, account: Account) -> HelpRow:
    whole = account.hidden_flop_max
    falls_by = words.share(help_.falls_by_flop, whole)
    nothing = help_.basis == NO_EVIDENCE
    basis = "nothing" if nothing else visible(help_.basis)
    time = words.duration(help_.hours * 3600)
    who = words.listing(pods, PODS_MAX)
    bound = "in which nothing bounds it" if nothing else f"in which only {basis} bounds it"
    return HelpRow(
        sentence=f"Explaining {f'any one of {who}' if len(pods) > 1 else who} for the {time} {bound} would lower the "
        f"largest hidden run to {words.flop(help_.hidden_flop_max)} (by {falls_by}).",
        pods=who,
        basis=basis,
        time=time,
        run_flop=help_.hidden_flop_max,
        falls_by=falls_by,
    )


def _help_note(account: Account) -> str:
    if account.hidden_flop_max == 0:
        return "Nothing could be hidden, so there is nothing left to explain."
    if any(help_.falls_by_flop > 0 for help_ in account.help):
        return ""
    return "Explaining any one pod would not lower it: several would have to be explained together."


def _problem(problem: Problem, period: Period) -> ProblemRow:
    where = [f"sensor {problem.sensor}"] if problem.sensor else []
    where += [words.clock_span(problem.period, period)] if problem.period else []
    return ProblemRow(
        kind=problem.kind.value.replace("-", " "),
        meaning=words.PROBLEMS[problem.kind],
        subject=_text(words.short_digest(problem.subject)),
        detail=_text(problem.detail),
        where=", ".join(where),
    )


def _rests_on(review: Review) -> tuple[tuple[str, str], ...]:
    """Step 7: what was read and under which terms."""
    account = review.account
    used = tuple(f"{s.statement} ({100 * s.miss_probability:.3g} %)" for s in account.statements)
    choice = (
        "" if account.exact else "; the choice among them was not searched to the end, so the bound may be too high"
    )
    return (
        (
            "agreement",
            f"{review.agreement}, version {review.agreement_version}, as it stood on {words.utc(review.as_of)}",
        ),
        ("declaration", f"{review.declaration} of {review.party}, {review.declaration_digest}"),
        ("period", f"{words.span(review.period)} ({words.duration(review.period.duration_s)})"),
        (
            "evidence",
            f"{words.plural(review.statements, 'statement')} verified, {words.plural(len(review.problems), 'problem')}",
        ),
        ("ledger", _ledger(review)),
        (
            "statistical statements",
            (words.listing(used, TEXTS_MAX) if used else "none: no bound could be used") + choice,
        ),
        ("account", f"intervals of {words.duration(account.interval_s)}, capacity {words.flop(account.capacity_flop)}"),
    )


def _ledger(review: Review) -> str:
    ledger = review.ledger
    if ledger is None:
        return "none was verified"
    witnesses = words.listing(tuple(visible(name) for name in ledger.witnesses), PODS_MAX)
    cosigned = f"cosigned by {witnesses}" if witnesses else "cosigned by no witness"
    before = f", of which {ledger.elsewhere:,} lie in earlier bundles" if ledger.elsewhere else ""
    return f"{visible(ledger.origin)}, {ledger.tree_size:,} entries{before}, root {visible(ledger.root)}, {cosigned}"


def _command(review: Review) -> str:
    """Placeholders for what only the reviewer has. An agreement's name may be that of a shipped one with other terms."""
    interval = f"{review.account.interval_s!r}".removesuffix(".0")
    as_of = review.as_of.isoformat().replace("+00:00", "Z")
    proposed = " --with-proposed" if review.with_proposed else ""
    after = " --after EARLIER" if review.ledger is not None and review.ledger.elsewhere else ""
    return (
        f"inspectorate review BUNDLE --agreement AGREEMENT --anchors ANCHORS --as-of {as_of} "
        f"--interval {interval}{proposed}{after}"
    )


def _pods(scope: Scope) -> str:
    """The pods of one scope: they are spoken of together."""
    return " with ".join(scope.pods) if len(scope.pods) == 2 else words.listing(scope.pods, PODS_MAX)


def _texts(texts: Sequence[str], shown_max: int = TEXTS_MAX) -> Texts:
    return Texts(shown=tuple(_text(text) for text in texts[:shown_max]), left_out=max(0, len(texts) - shown_max))


def _text(text: str) -> str:
    return words.clipped(visible(text), TEXT_LENGTH_MAX)


def _once(items: Iterable[_Item]) -> tuple[_Item, ...]:
    """Each item once, in order of first appearance."""
    return tuple(dict.fromkeys(items))
