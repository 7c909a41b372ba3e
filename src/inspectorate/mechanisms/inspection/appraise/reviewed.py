"""`reviewed-code`: one assessment per declared pod, but for those that are claimed, all the time, for work of other kinds than the
clause names. The code that ran is code that inspectors approved.

1. *Decisions* are those of inspectors whose word counts, of the claim in hand, as their documents say. An approval counts from
   when it was given until it expires, but no longer than the agreed `valid_s_max`; only if every technique that was found is
   agreed; and for work in which no parameter may change, only if the entry point was run and none did.
2. At any time, of one inspector the latest decision stands, and of two at one time the worse. One that refuses outweighs all who
   approve; a question does not approve.
3. *Which code ran*: the digest in the header of each run, as the prover committed to it and opened it. The digest in the claim is a
   word about it; both must have been approved, at all times of the claim and of the run, by as many inspectors as agreed.
4. *Against the party* is only a run of code that an inspector had refused before the run began, and nobody approved since, by the
   header that the prover itself opened.
5. *Consistent*: claimed and run code approved throughout, headers of all runs opened, and no stretch without a run for longer than
   commitments may be apart.

What a person decides about code is no number. That code was approved does not say what it does when nobody looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from inspectorate.agreement import ReviewedCode
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.declaration import WorkloadClaim
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import CodeReviewed, Decision, VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise import exhibits
from inspectorate.mechanisms.inspection.appraise.common import (
    NAME,
    claims_of,
    contrary_log_e,
    gaps_of,
    inspections,
    not_observed,
    replay_terms,
    shortened,
    spans_text,
    time_of,
    work_of,
)
from inspectorate.mechanisms.inspection.code.decision import ReviewDocument, reviewed_statement
from inspectorate.mechanisms.inspection.observe import Run
from inspectorate.quantities import Period, merge_periods, uncovered


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """One decision, and from when until when it stands."""

    digest: str
    said: CodeReviewed
    until: datetime
    lacks: tuple[str, ...]
    """Why an approval is none."""
    document: ReviewDocument | None = None

    @property
    def approves(self) -> bool:
        return self.said.decision is Decision.APPROVED and not self.lacks


@dataclass(frozen=True, kw_only=True)
class _Use:
    """Code that is said to be, or was, in use for a while."""

    code: str
    period: Period
    what: str
    run: Run | None = None


def appraise_reviewed(case: Case, clause: ReviewedCode) -> tuple[Assessment, ...]:
    stated, passed_over = inspections(case, CodeReviewed)
    kinds = {claim.id: claim.kind.value for claim in case.declaration.claims}
    decisions = []
    for one in stated:
        said = one.predicate
        assert isinstance(said, CodeReviewed)
        decisions.append(_reviewed(case, clause, one, kinds.get(said.claim, "")))
    pods = sorted(pod.id for pod in case.declaration.pods)
    names = [name for name in pods if not _other_work(case, name, clause)] or pods
    return tuple(_appraise_pod(case, name, clause, decisions, passed_over) for name in names)


def _other_work(case: Case, name: str, clause: ReviewedCode) -> bool:
    """Whether a pod is claimed, all the time, for work whose code the agreement does not ask to be reviewed."""
    if claims_of(case, name, clause.work):
        return False
    others = [one for one in case.declaration.claims if name in one.pods]
    return not uncovered(time_of(others, case.period), case.period)


def _reviewed(case: Case, clause: ReviewedCode, statement: VerifiedStatement, kind: str) -> Reviewed:
    """Rule 1."""
    said = statement.predicate
    assert isinstance(said, CodeReviewed)
    document, lacks = _document(case, statement, said)
    beyond = sorted(set(said.techniques) - set(clause.techniques))
    if beyond:
        lacks.append(f"techniques that were not agreed: {', '.join(beyond)}")
    if kind in clause.fixed_parameters and said.parameters_changed is None:
        lacks.append("the entry point was not run, so whether parameters change was not observed")
    if kind in clause.fixed_parameters and said.parameters_changed:
        lacks.append("parameters changed when the entry point was run")
    elif kind in clause.fixed_parameters and document is not None and document.parameters_may_change():
        lacks.append("the inspector says of a place that parameters change there")
    until = min(said.valid_until, said.reviewed_at + timedelta(seconds=min(clause.valid_s_max, 1e9)))
    return Reviewed(digest=statement.digest, said=said, until=until, lacks=tuple(lacks), document=document)


def _document(case: Case, statement: VerifiedStatement, said: CodeReviewed) -> tuple[ReviewDocument | None, list[str]]:
    """What the inspector wrote, and whether the statement says the same."""
    try:
        data = subject_bytes(statement, "review", case.evidence.payload)
        document = ReviewDocument.parse_bytes(data, where=f"review by {said.by}")
        again = reviewed_statement(document, origin=said.origin, valid_until=said.valid_until)
    except EvidenceError as fault:
        return None, [f"its document cannot be read: {fault.problem}"]
    except InputError as fault:
        return None, [f"its document cannot be used: {fault.problem}"]
    return document, [] if again.predicate == said else ["its document says otherwise"]


def _appraise_pod(
    case: Case, name: str, clause: ReviewedCode, decisions: Sequence[Reviewed], passed_over: Sequence[str]
) -> Assessment:
    kinds = " or ".join(clause.work)
    claims = claims_of(case, name, clause.work)
    if not claims:
        return not_observed(case, name, f"no {kinds} is claimed of it", f"which code {name} runs")
    about = [one for one in decisions if one.said.claim in {claim.id for claim in claims}]
    if not about:
        return not_observed(case, name, "no inspector decided about its code", f"which code {name} runs", *passed_over)
    runs = [run for run in work_of(case).of(name) if run.claim in {claim.id for claim in claims}]
    missing, doubts = _unknown(case, name, claims, runs)
    contrary: list[str] = []
    uses = [use for claim in claims for use in _uses(case, name, claim, runs)]
    for use in uses:
        gaps, why, refused = _judge(use, about, clause)
        doubts += why
        contrary += refused
        if gaps:
            missing.append(
                f"{name}: {use.what} was not approved by {clause.approvals_min} inspectors {spans_text(gaps)} UTC"
            )
    verdict = Verdict.CONSISTENT
    if missing:
        verdict = Verdict.NOT_OBSERVED
    if doubts or contrary:
        verdict = Verdict.INCONCLUSIVE if not missing else Verdict.NOT_OBSERVED
    faults = [fault for run in runs for fault in run.faults]
    if faults:
        verdict = Verdict.INVALID_EVIDENCE
    reasons = [*shortened(faults, "such faults"), *contrary, *shortened(doubts, "such doubts")]
    reasons += shortened(missing, "such stretches")
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(name,), period=case.period),
        verdict=verdict,
        log_e=contrary_log_e(len(contrary), max(0, len(runs) - len(contrary))) if contrary else 0.0,
        assumptions=_assumptions(bool(contrary)),
        evidence_ids=tuple(
            dict.fromkeys([*(one.digest for one in about), *(c.digest for run in runs for c in run.commitments)])
        ),
        exhibits=exhibits.of_reviews(name, [_row(one) for one in about]),
        reasons=tuple(reasons) or (_kept(name, about, uses),),
        not_checked=_not_checked(name, about, passed_over),
    )


def _unknown(
    case: Case, name: str, claims: Sequence[WorkloadClaim], runs: Sequence[Run]
) -> tuple[list[str], list[str]]:
    """Rules 3 and 5: runs whose code is not known, time without a run, and claims that name no code."""
    terms = replay_terms(case)
    every_s = terms.committed_every_s if terms is not None else reference.RUN_GAP_S
    missing, doubts = [], []
    for claim in claims:
        if claim.code is None:
            doubts.append(f"{name}: {claim.id} names no code")
        mine = [run for run in runs if run.claim == claim.id]
        gaps, _ = gaps_of(mine, claim, name, case.period, every_s)
        if gaps:
            missing.append(f"{name}: no transcript says which code ran {spans_text(gaps)} UTC")
        for run in mine:
            if run.header is None and any(one.period.overlaps(case.period) for one in run.commitments):
                missing.append(f"{name}: the header of {run.id} was not opened, so its code is not known")
            elif run.header is not None and claim.code is not None and run.header.code != claim.code:
                doubts.append(f"{name}: {run.id} ran {run.header.code[:19]}…, and {claim.id} names {claim.code[:19]}…")
    return missing, doubts


def _uses(case: Case, name: str, claim: WorkloadClaim, runs: Sequence[Run]) -> list[_Use]:
    claimed = claim.period.intersection(case.period)
    found = []
    if claim.code is not None and claimed is not None:
        found.append(_Use(code=claim.code, period=claimed, what=f"the code of {claim.id}"))
    for run in runs:
        if run.claim != claim.id or run.header is None:
            continue
        parts = [
            part
            for one in run.commitments
            if name in one.pods and (part := one.period.intersection(case.period)) is not None
        ]
        found += [
            _Use(code=run.header.code, period=part, what=f"the code of {run.id}", run=run)
            for part in merge_periods(tuple(parts))
        ]
    return found


def _judge(use: _Use, decisions: Sequence[Reviewed], clause: ReviewedCode) -> tuple[list[Period], list[str], list[str]]:
    """Rules 2 to 4: when it was not approved, doubts, and what is against the party."""
    about = [one for one in decisions if one.said.code == use.code]
    doubts = [
        f"the approval of {one.said.code[:19]}… by {one.said.by} counts for nothing: {why}"
        for one in about
        if one.said.decision is Decision.APPROVED
        for why in one.lacks
    ]
    edges = {use.period.start, use.period.end}
    edges |= {at for one in about for at in (one.said.reviewed_at, one.until) if use.period.contains(at)}
    ordered = sorted(edges)
    open_: list[Period] = []
    for start, end in pairwise(ordered):
        standing = _standing(about, start)
        refusing = [one for one in standing if one.said.decision is Decision.REFUSED]
        doubts += [f"{one.said.by} refused {one.said.code[:19]}… ({use.what})" for one in refusing]
        if refusing or sum(one.approves for one in standing) < clause.approvals_min:
            open_.append(Period(start=start, end=end))
    against = []
    if use.run is not None:
        began = min(one.period.start for one in use.run.commitments)
        standing = _standing(about, began)
        refused = [one for one in standing if one.said.decision is Decision.REFUSED and one.said.reviewed_at < began]
        if refused and not any(one.approves for one in standing):
            against.append(
                f"{use.run.id} ran {use.code[:19]}… from {began:%Y-%m-%d %H:%M:%S} UTC, which {refused[0].said.by} had refused"
            )
    return list(merge_periods(tuple(open_))), list(dict.fromkeys(doubts)), against


def _standing(about: Sequence[Reviewed], at: datetime) -> list[Reviewed]:
    """Of each inspector the latest decision by `at`, unless it is an approval that has expired. A refusal does not expire."""
    latest: dict[str, Reviewed] = {}
    worse = (Decision.APPROVED, Decision.QUESTIONS, Decision.REFUSED)
    for one in about:
        if one.said.reviewed_at > at:
            continue
        before = latest.get(one.said.by)
        mine = (one.said.reviewed_at, worse.index(one.said.decision), not one.approves, one.digest)
        if before is None or mine > (
            before.said.reviewed_at,
            worse.index(before.said.decision),
            not before.approves,
            before.digest,
        ):
            latest[one.said.by] = one
    return [one for one in latest.values() if one.said.decision is Decision.REFUSED or one.until > at]


def _row(one: Reviewed) -> exhibits.Row:
    changed = {None: "not run", True: "yes", False: "no"}[one.said.parameters_changed]
    return (
        f"{one.said.reviewed_at:%Y-%m-%dT%H:%M:%SZ}",
        one.said.by,
        one.said.code[:19],
        one.said.decision.value,
        ", ".join(one.said.techniques)[:400],
        changed,
        None if one.document is None else float(len(one.document.must_answer)),
        None if one.document is None else float(sum(p.answer is not None for p in one.document.must_answer)),
    )


def _kept(name: str, about: Sequence[Reviewed], uses: Sequence[_Use]) -> str:
    codes = {use.code for use in uses}
    who = sorted({one.said.by for one in about if one.approves and one.said.code in codes})
    return (
        f"{name}: {len(codes)} snapshot{'s' if len(codes) > 1 else ''} of code in use, approved by {', '.join(who[:8])}"
    )


def _assumptions(contrary: bool) -> tuple[str, ...]:
    found = ["inspectors read what the digest names, and different names of inspectors are different people"]
    if contrary:
        found.append(
            "a party that keeps the clause runs code after its refusal with a chance of"
            f" {reference.CONTRARY_RATE:g} at most"
        )
    return tuple(found)


def _not_checked(name: str, about: Sequence[Reviewed], passed_over: Sequence[str]) -> tuple[str, ...]:
    notes = [
        f"whether the code that {name} ran is the one that its transcripts name, but for what replay shows",
        "what approved code does that never ran while an inspector looked",
    ]
    parties = sorted({one.said.party for one in about if one.approves})
    if len(parties) == 1:
        notes.append(f"whether inspectors of any party but {parties[0]} would approve")
    notes += [f"passed over: {why}" for why in passed_over]
    return tuple(notes)
