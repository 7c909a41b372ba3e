"""`accounted-flop`: one assessment per declared pod. What each of its runs took, from sources that agree, against what may be.

1. Every account of a claim of the pod is made again from its facts (`flop.judge.check_account`): sources, their number, how they
   join under the agreement's rule on formats. One that does not come out the same is invalid evidence.
2. *Covered*: every run that was committed to, and of the time of each claim all but `UNACCOUNTED_SHARE_MAX`. Where the agreement
   wants work to be committed to, an account of a run that was not covers nothing.
3. *Doubts*: sources that contradict each other, too few of them, transcripts that state another amount than the account, runs that
   together took more than the chips can do, runs that together may exceed a threshold in force.
4. *Against the party* is a training run above a threshold in force by its own word: the FLOP that its own commitments state, or the
   least that the verified sources leave of it. Of several accounts of a run, the one that says least counts.
5. *Consistent*: covered, no doubt.

A contradiction between sources accuses nobody: meters fail, counters have blind spots, and no rate of either is known.
Not known here: whether two runs are one that was started twice. So the runs of a claim are added up for rule 3, and not for rule 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.agreement import AccountedFlop, ThresholdKind
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.declaration import WorkloadClaim, WorkloadKind
from inspectorate.errors import EvidenceError
from inspectorate.evidence import FlopAccounted, VerifiedStatement
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise import exhibits
from inspectorate.mechanisms.inspection.appraise.bound import rate_of
from inspectorate.mechanisms.inspection.appraise.common import (
    NAME,
    claims_of,
    contrary_log_e,
    inspections,
    not_observed,
    replay_terms,
    seconds_of,
    shortened,
    spans_text,
    time_of,
    work_of,
)
from inspectorate.mechanisms.inspection.flop.account import REPLAYED, FlopAccount
from inspectorate.mechanisms.inspection.flop.judge import SUBJECT, check_account, parse_account
from inspectorate.mechanisms.inspection.observe import Run
from inspectorate.mechanisms.inspection.transcripts.types import TrainingHeader
from inspectorate.quantities import Period, uncovered

_ACCOUNTED = ("training", "inference")


@dataclass(frozen=True, kw_only=True)
class Account:
    """One account, made again."""

    digest: str
    said: FlopAccounted
    account: FlopAccount | None
    faults: tuple[str, ...]
    against: tuple[str, ...]
    """What its sources say against each other."""
    lacking: tuple[str, ...]
    """Why too little is known."""

    @property
    def pods(self) -> tuple[str, ...]:
        return self.account.facts.pods if self.account is not None else ()


def appraise_accounted(case: Case, clause: AccountedFlop) -> tuple[Assessment, ...]:
    stated, passed_over = inspections(case, FlopAccounted)
    accounts = [_account(case, clause, one) for one in stated]
    names = sorted(pod.id for pod in case.declaration.pods)
    return tuple(_appraise_pod(case, name, clause, accounts, passed_over) for name in names)


def _account(case: Case, clause: AccountedFlop, statement: VerifiedStatement) -> Account:
    said = statement.predicate
    assert isinstance(said, FlopAccounted)
    name = f"the account of {said.run} by {said.by}"
    account: FlopAccount | None = None
    faults: list[str] = []
    against: list[str] = []
    lacking: list[str] = []
    try:
        data = subject_bytes(statement, SUBJECT, case.evidence.payload)
        found = check_account(said, data, agreement=case.agreement, clause=clause, declaration=case.declaration)
        account = parse_account(data, where=name)
    except EvidenceError as fault:
        faults.append(f"{name}: {fault.problem}")
        found = ()
    for one in found:
        kind = faults if one.invalid else against if one.against else lacking
        kind.append(f"{name}: {one.text}")
    return Account(
        digest=statement.digest,
        said=said,
        account=account,
        faults=tuple(faults),
        against=tuple(against),
        lacking=tuple(lacking),
    )


def _appraise_pod(
    case: Case, name: str, clause: AccountedFlop, accounts: Sequence[Account], passed_over: Sequence[str]
) -> Assessment:
    claims = claims_of(case, name, _ACCOUNTED)
    if not claims:
        return not_observed(case, name, "no training or inference is claimed of it", f"what {name} does")
    ids = {one.id for one in claims}
    # An account that cannot be read speaks for every pod of its claim: it is a fault of each.
    about = [one for one in accounts if one.said.claim in ids and (not one.pods or name in one.pods)]
    if not about:
        return not_observed(case, name, "no run of it was accounted for", f"how many FLOP {name} took", *passed_over)
    runs = [run for run in work_of(case).of(name) if run.claim in ids]
    faults = [fault for one in about for fault in one.faults]
    committed = {run.id for run in runs}
    free = not runs and replay_terms(case) is None
    usable = [one for one in about if not one.faults and (free or one.said.run in committed)]
    strangers = [one for one in about if not one.faults and one not in usable]
    doubts = [text for one in usable for text in one.against]
    doubts += [text for one in usable for text in one.lacking if "independent sources" in text]
    doubts += [f"the account of {one.said.run} is of a run that was never committed to" for one in strangers]
    doubts += [] if free else _not_shown(usable, runs)
    doubts += _differing(clause, usable, runs)
    doubts += _beyond_capacity(case, name, clause, usable)
    over, may = _over_thresholds(case, claims, usable, runs)
    gaps = [gap for claim in claims for gap in _gaps(case, name, claim, usable, runs)]
    reasons = [*shortened(faults, "such accounts"), *over, *shortened([*doubts, *may], "such doubts")]
    if gaps:
        reasons.append(f"{name}: no account of {spans_text(gaps)} UTC")
    verdict = Verdict.CONSISTENT
    if faults:
        verdict = Verdict.INVALID_EVIDENCE
    elif gaps or not usable:
        verdict = Verdict.NOT_OBSERVED
    elif over or doubts or may:
        verdict = Verdict.INCONCLUSIVE
    known = len({one.said.run for one in usable} | {run.id for run in runs})
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(name,), period=case.period),
        verdict=verdict,
        log_e=contrary_log_e(len(over), max(0, known - len(over))) if over else 0.0,
        assumptions=_assumptions(bool(over)),
        evidence_ids=tuple(
            dict.fromkeys([*(one.digest for one in about), *(c.digest for run in runs for c in run.commitments)])
        ),
        exhibits=exhibits.of_sources(name, _rows(usable)),
        reasons=tuple(reasons) or (_kept(name, usable),),
        not_checked=_not_checked(name, usable, passed_over),
    )


def _not_shown(accounts: Sequence[Account], runs: Sequence[Run]) -> list[str]:
    """Accounts that count a replay of which the evidence holds none."""
    shown = {
        run.id
        for run in runs
        for commitment in run.commitments
        for drawn in commitment.draws
        if drawn.usable and any(replay.report is not None for replay in drawn.replays)
    }
    return [
        f"the account of {one.said.run} counts what was run again, and no replay of it is in the evidence"
        for one in accounts
        if REPLAYED in one.said.sources and one.said.run not in shown
    ]


def _differing(clause: AccountedFlop, accounts: Sequence[Account], runs: Sequence[Run]) -> list[str]:
    """Accounts of which the run's own transcripts state another amount."""
    found = []
    slack = 1 + clause.disagreement_share_max
    for one in accounts:
        stated = [
            commitment.said.flop_stated
            for run in runs
            if run.id == one.said.run
            for commitment in run.commitments
            if commitment.usable and one.said.period.covers(commitment.period)
        ]
        total = math.fsum(stated)
        if stated and not one.said.flop_min / slack <= total <= one.said.flop_max * slack:
            found.append(
                f"the transcripts of {one.said.run} state {total:.3g} FLOP, and its account {one.said.flop_min:.3g} to"
                f" {one.said.flop_max:.3g}"
            )
    return found


def _beyond_capacity(case: Case, name: str, clause: AccountedFlop, accounts: Sequence[Account]) -> list[str]:
    """Runs of one pod that together took more than it is credited with."""
    least: dict[str, float] = {}
    for one in accounts:
        part = rate_of(case, name) / sum(rate_of(case, pod) for pod in one.pods)
        least[one.said.run] = min(least.get(one.said.run, math.inf), one.said.flop_min * part)
    covered = seconds_of(gap for gap in _merged([one.said.period for one in accounts]))
    allowed = rate_of(case, name) * covered * (1 + clause.disagreement_share_max)
    total = math.fsum(least.values())
    if total <= allowed:
        return []
    return [f"{name}: its runs took at least {total:.3g} FLOP together, and it is credited with {allowed:.3g} at most"]


def _merged(periods: Sequence[Period]) -> list[Period]:
    whole = Period(start=min(one.start for one in periods), end=max(one.end for one in periods)) if periods else None
    if whole is None:
        return []
    open_ = uncovered(periods, whole)
    return uncovered(open_, whole)


def _over_thresholds(
    case: Case, claims: Sequence[WorkloadClaim], accounts: Sequence[Account], runs: Sequence[Run]
) -> tuple[list[str], list[str]]:
    """Runs above a threshold by the party's own word or the least that is verified; and claims whose runs together may be."""
    over, may = [], []
    for claim in claims:
        if claim.kind is not WorkloadKind.TRAINING:
            continue
        names = {one.said.run for one in accounts if one.said.claim == claim.id}
        names |= {run.id for run in runs if run.claim == claim.id}
        most = 0.0
        for name in sorted(names):
            of_run = [one.said for one in accounts if one.said.run == name]
            transcript = next((run for run in runs if run.id == name), None)
            own = _own_word(transcript)
            least = max(own, min((one.flop_min for one in of_run), default=0.0))
            most += max([own, *(one.flop_max for one in of_run)])
            kinds = _kinds(transcript)
            over += [
                f"the declared run {name} took at least {least:.3g} FLOP, above {one.id} ({one.flop_max:.3g})"
                for one in case.agreement.thresholds
                if one.kind in kinds and least > one.flop_max
            ]
        may += [
            f"the runs of {claim.id} took up to {most:.3g} FLOP together, above {one.id} ({one.flop_max:.3g}): whether they"
            " are one is not known"
            for one in case.agreement.thresholds
            if one.kind is ThresholdKind.TRAINING and most > one.flop_max and not over
        ]
    return over, may


def _own_word(run: Run | None) -> float:
    if run is None:
        return 0.0
    return math.fsum(one.said.flop_stated for one in run.commitments if one.usable)


def _kinds(run: Run | None) -> frozenset[ThresholdKind]:
    """Which thresholds a training run can break. Where its start is not known, only that of training from the beginning."""
    header = run.header if run is not None else None
    if isinstance(header, TrainingHeader) and header.parent is not None:
        return frozenset({ThresholdKind.TRAINING, ThresholdKind.POST_TRAINING})
    return frozenset({ThresholdKind.TRAINING})


def _gaps(
    case: Case, name: str, claim: WorkloadClaim, accounts: Sequence[Account], runs: Sequence[Run]
) -> list[Period]:
    """Time of a claim, or of a run that was committed to, of which there is no account."""
    found: list[Period] = []
    for run in runs:
        if run.claim != claim.id:
            continue
        mine = [one.said.period for one in accounts if one.said.run == run.id]
        for commitment in run.commitments:
            part = commitment.period.intersection(case.period) if name in commitment.pods else None
            if part is not None:
                found += uncovered(mine, part)
    claimed = time_of([claim], case.period)
    open_ = [
        gap
        for part in claimed
        for gap in uncovered([a.said.period for a in accounts if a.said.claim == claim.id], part)
    ]
    if seconds_of(open_) > reference.UNACCOUNTED_SHARE_MAX * seconds_of(claimed):
        found += open_
    return _merged(found)


def _rows(accounts: Sequence[Account]) -> list[exhibits.Row]:
    return [
        (one.said.run, source.id, source.low, source.high)
        for one in accounts
        if one.account is not None
        for source in one.account.sources
    ]


def _kept(name: str, accounts: Sequence[Account]) -> str:
    parts = ", ".join(
        f"{one.said.run} took {one.said.flop_min:.3g} to {one.said.flop_max:.3g} FLOP" for one in accounts[:4]
    )
    return f"{name}: {parts}" + (f", and {len(accounts) - 4} more runs" if len(accounts) > 4 else "")


def _assumptions(over: bool) -> tuple[str, ...]:
    found = ["the facts behind an account are so: who stands for each is in the account"]
    if over:
        found.append(
            f"a party that keeps a threshold states the contrary with a chance of {reference.CONTRARY_RATE:g} at most"
        )
    return tuple(found)


def _not_checked(name: str, accounts: Sequence[Account], passed_over: Sequence[str]) -> tuple[str, ...]:
    notes = [f"what the chips of {name} did beside the runs that were accounted for"]
    notes += shortened([text for one in accounts for text in one.lacking], "such questions")
    notes += [f"passed over: {why}" for why in passed_over]
    return tuple(notes)
