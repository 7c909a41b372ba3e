"""`replayed-work`: one assessment per declared pod. Commitments without a gap, and a sample of them run again.

1. *Covered*: the time of every claim of the named kinds, by usable commitments of that claim and pod no further apart than agreed.
2. *Fate* of every packet of every fair draw (`judged`); the rest of a list is known through the sample only.
3. *Dirty share*: of the committed time of the pod, an upper bound at the agreement's confidence (`sample.share_upper`). Claimed
   time between commitments that is let pass is added to it: else many short runs would leave half of the time to none.
4. *Consistent*: covered, something was drawn, the bound is within `dirty_share_max`, and what the checks let through unseen is
   within `covert_bits_per_token_max`, if that is limited.
5. *Against the party* are only packets that differed (`judged`), each weighed by the rate at which an honest one does. One
   refused or late is no evidence: no rate of honest refusals is known. Where they are so many that the bound fails, the clause is
   not established, which for whoever must establish it comes to the same.
6. *Invalid evidence*: commitments, draws or replays with a fault. Lists of one pod that at any time state more FLOP/s than its
   chips have at their best format are such a fault: runs may overlap as long as the chips could have done both.
7. Over the same packets, what can be hidden beside them (`bound`), unless evidence is invalid.

Time between packets is idle by the prover's word; that it was idle is not established here, and the account keeps its capacity.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from inspectorate.agreement import ReplayedWork
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.declaration import WorkloadClaim
from inspectorate.evidence.fair import Order
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise import exhibits
from inspectorate.mechanisms.inspection.appraise.bound import (
    Found,
    Lot,
    bounds_of,
    by_fate,
    strata_of,
    time_of,
)
from inspectorate.mechanisms.inspection.appraise.common import (
    NAME,
    claims_of,
    gaps_of,
    not_observed,
    seconds_of,
    shortened,
    spans_text,
    work_of,
)
from inspectorate.mechanisms.inspection.appraise.judged import Fate, Judged, Terms, copies_of, judge
from inspectorate.mechanisms.inspection.appraise.sample import Stratum, share_upper
from inspectorate.mechanisms.inspection.observe import Drawn, Run
from inspectorate.quantities import Period, from_ns, to_ns
from inspectorate.statistics import BetPlan, betting_process, bounded_log_e


@dataclass(frozen=True, kw_only=True)
class _Pod:
    """What is known of one pod."""

    name: str
    claims: tuple[WorkloadClaim, ...]
    runs: tuple[Run, ...]
    lots: tuple[Lot, ...]
    faults: tuple[str, ...]
    gaps: tuple[Period, ...]
    let_pass_s: float
    strata: tuple[Stratum, ...]
    dirty_upper: float

    @property
    def judged(self) -> list[tuple[Lot, Drawn, Judged]]:
        return [(lot, drawn, one) for lot in self.lots for drawn, judged in lot.drawn for one in judged]

    @property
    def packets(self) -> int:
        return sum(len(one.time) for one in self.strata)

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        found = [one.digest for run in self.runs for one in run.commitments]
        found += [
            digest
            for run in self.runs
            for one in run.commitments
            for drawn in one.draws
            for digest in drawn.evidence_ids
        ]
        return tuple(dict.fromkeys(found))


def appraise_replayed(case: Case, clause: ReplayedWork) -> tuple[Assessment, ...]:
    terms = Terms(clause=clause, false_accusation_rate=case.agreement.false_accusation_rate)
    copied = copies_of(work_of(case))
    return tuple(_appraise_pod(case, pod, terms, copied) for pod in sorted(one.id for one in case.declaration.pods))


def _appraise_pod(case: Case, name: str, terms: Terms, copied: dict[tuple[str, int], str]) -> Assessment:
    kinds = " or ".join(terms.clause.work)
    claims = claims_of(case, name, terms.clause.work)
    if not claims:
        return not_observed(case, name, f"no {kinds} is claimed of it", f"whether {name} does no {kinds}")
    runs = work_of(case).of(name)
    if not runs:
        return not_observed(case, name, "no work was committed to", f"what {name} does: no transcript was committed to")
    pod = _gather(case, name, claims, terms, copied)
    covert, covert_text = _covert(pod, terms.clause)
    reasons = [*shortened(pod.faults, "such faults"), *_gap_reasons(pod, terms.clause)]
    reasons += _dirty_reasons(pod, terms.clause)
    reasons += covert_text if covert else []
    found = bounds_of(case, name, pod.lots) if not pod.faults else Found()
    against = [(lot, one) for lot, _, one in pod.judged if one.against]
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(name,), period=_stretch(case, against)),
        verdict=_verdict(pod, terms.clause, covert),
        log_e=_log_e(pod),
        hidden=found.bounds,
        assumptions=(*_assumptions(pod), *found.assumptions),
        evidence_ids=pod.evidence_ids,
        exhibits=exhibits.of_draws(name, list(pod.runs), pod.lots, pod.strata),
        reasons=tuple(reasons) or (_kept(pod),),
        not_checked=_not_checked(case, pod, terms.clause, covert_text),
    )


def _gather(
    case: Case, name: str, claims: tuple[WorkloadClaim, ...], terms: Terms, copied: dict[tuple[str, int], str]
) -> _Pod:
    runs = work_of(case).of(name)
    ids = {one.id for one in claims}
    mine = [one for run in runs for one in run.commitments if name in one.pods and one.period.overlaps(case.period)]
    lots = [
        Lot(
            committed=one,
            drawn=tuple((drawn, judge(one, drawn, terms, copied)) for drawn in one.draws if drawn.usable),
        )
        for one in mine
        if one.usable and one.said.claim in ids
    ]
    faults = [fault for one in mine for fault in one.faults]
    for one in mine:
        for drawn in one.draws:
            faults += [f"a draw by {drawn.said.by} from {one.name}: {why}" for why in drawn.faults]
            faults += [
                f"a replay by {replay.said.by} of {one.name}: {why}"
                for replay in drawn.replays
                for why in replay.faults
            ]
    faults += _beyond_peak(case, name, lots)
    every_s = terms.clause.committed_every_s
    open_ = [gaps_of(runs, claim, name, case.period, every_s) for claim in claims]
    let_pass_s = seconds_of(one for _, let_pass in open_ for one in let_pass)
    strata = strata_of(lots, case.period, by_fate, whole=False)
    upper = share_upper(strata, time_of, level=1.0, miss_probability=1 - case.agreement.assurance_confidence)
    committed_s = math.fsum(float(one.time.sum()) for one in strata)
    return _Pod(
        name=name,
        claims=claims,
        runs=runs,
        lots=tuple(lots),
        faults=tuple(faults),
        gaps=tuple(gap for gaps, _ in open_ for gap in gaps),
        let_pass_s=let_pass_s,
        strata=tuple(strata),
        dirty_upper=(upper * committed_s + let_pass_s) / (committed_s + let_pass_s) if strata else 1.0,
    )


def _beyond_peak(case: Case, name: str, lots: Sequence[Lot]) -> list[str]:
    """Rule 6: what runs on the pod at one time, by what the lists state, against its peak in whichever format is fastest."""
    peaks = {one.id: sum(g.count * max(g.chip.flop_per_s.values()) for g in one.chips) for one in case.declaration.pods}
    times, changes = list[np.ndarray](), list[np.ndarray]()
    for lot in lots:
        listed = lot.committed.listed
        assert listed is not None
        if not listed.flop:
            continue
        part = peaks[name] / sum(peaks[pod] for pod in lot.committed.pods)
        starts, ends = (np.array(column, dtype=np.int64) for column in (listed.start_ns, listed.end_ns))
        rates = part * np.array(listed.flop) / ((ends - starts) / 1e9)
        times += [ends, starts]
        changes += [-rates, rates]
    if not times:
        return []
    at, change = np.concatenate(times), np.concatenate(changes)
    # Of one moment, what ends before what begins.
    order = np.lexsort((change, at))
    running = np.cumsum(change[order])
    most = int(np.argmax(running))
    if running[most] <= peaks[name] * (1 + reference.PEAK_SLACK_SHARE):
        return []
    moment: datetime = from_ns(int(at[order][most]))
    return [
        (
            f"{name}: {running[most]:.3g} FLOP/s are committed to at {moment:%Y-%m-%d %H:%M:%S} UTC, and its chips have"
            f" {peaks[name]:.3g} at their best"
        )
    ]


def _verdict(pod: _Pod, clause: ReplayedWork, covert: bool) -> Verdict:
    """Short of an alarm, which only `findings` can raise."""
    if pod.faults:
        return Verdict.INVALID_EVIDENCE
    if pod.gaps or not pod.judged:
        return Verdict.NOT_OBSERVED
    if pod.dirty_upper > clause.dirty_share_max or covert:
        return Verdict.INCONCLUSIVE
    return Verdict.CONSISTENT


def _log_e(pod: _Pod) -> float:
    """Rule 5, in the order of the draws."""
    told = sorted(
        (
            (drawn.said.drawn_at, drawn.digest, one.number, one.against, one.rate)
            for _, drawn, one in pod.judged
            if one.rate
        ),
        key=lambda item: item[:3],
    )
    if not told:
        return 0.0
    values = np.array([float(against) for *_, against, _ in told])
    rates = np.array([rate for *_, rate in told])
    process = betting_process(values, mean_max=rates, plan=BetPlan.from_start(reference.TOLERANCE_STAKES))
    return bounded_log_e(float(process.log_e_final[0]))


def _stretch(case: Case, against: Sequence[tuple[Lot, Judged]]) -> Period:
    """From the first packet that differed to the last; the whole period if none did."""
    spans = []
    for lot, one in against:
        listed = lot.committed.listed
        assert listed is not None
        row = one.number - listed.first
        spans.append((listed.start_ns[row], listed.end_ns[row]))
    if not spans:
        return case.period
    low = max(min(start for start, _ in spans), to_ns(case.period.start))
    high = min(max(end for _, end in spans), to_ns(case.period.end))
    return Period(start=from_ns(low), end=from_ns(high)) if from_ns(high) > from_ns(low) else case.period


def _covert(pod: _Pod, clause: ReplayedWork) -> tuple[bool, list[str]]:
    """Whether the checks let through more than agreed, and what is known of it, in words."""
    found = [(drawn, one) for _, drawn, one in pod.judged if one.fate is Fate.MATCHED]
    inference = [
        one for lot, _, one in pod.judged if one.fate is Fate.MATCHED and lot.committed.said.work.value == "inference"
    ]
    if not inference:
        return False, []
    known = [one.covert_bits_per_token for one in inference if one.covert_bits_per_token is not None]
    words = (
        [f"{pod.name}: answers within the tolerance can carry up to {max(known):.3g} bits per token unseen"]
        if known
        else []
    )
    if len(known) < len(inference):
        words.append(
            f"{pod.name}: of {len(inference) - len(known)} of {len(found)} packets nobody says how many bits per token pass unseen"
        )
    limit = clause.covert_bits_per_token_max
    if limit is None:
        return False, words
    return len(known) < len(inference) or max(known) > limit, words


def _gap_reasons(pod: _Pod, clause: ReplayedWork) -> list[str]:
    if not pod.gaps:
        return []
    return [
        (
            f"{pod.name}: no usable commitment for longer than {clause.committed_every_s:g} s, or one kept back:"
            f" {spans_text(pod.gaps)} UTC"
        )
    ]


def _dirty_reasons(pod: _Pod, clause: ReplayedWork) -> list[str]:
    if not pod.packets:
        return [f"{pod.name}: no packet was committed to, so that none could be run again"]
    if not pod.judged:
        return [f"{pod.name}: of {pod.packets} packets none was drawn and run again"]
    found = []
    counts = Counter(one.fate for _, _, one in pod.judged)
    for fate in Fate:
        if fate is not Fate.MATCHED and counts[fate]:
            lot, _, first = next(item for item in pod.judged if item[2].fate is fate)
            found.append(
                f"{pod.name}: {counts[fate]} of {len(pod.judged)} drawn packets {_WORDS[fate]}, the first"
                f" packet {first.number} of {lot.committed.name}: {first.why}"
            )
    if pod.dirty_upper > clause.dirty_share_max:
        found.append(
            f"{pod.name}: up to {100 * pod.dirty_upper:.3g} % of the committed time may not be as committed"
            + (f" ({pod.let_pass_s:.3g} s between commitments counted in)" if pod.let_pass_s else "")
            + f", and {100 * clause.dirty_share_max:.3g} % are agreed"
        )
    return found


_WORDS = {
    Fate.DIFFERED: "differed when they were run again",
    Fate.NOT_RUN: "could not be run again",
    Fate.REFUSED: "were refused",
    Fate.LATE: "came late, and count as refused",
    Fate.UNJUDGED: "were run again by nobody whose result counts",
    Fate.COPIED: "show work that was shown already, or does not follow",
}


def _kept(pod: _Pod) -> str:
    return (
        f"{pod.name}: {len(pod.lots)} commitments without a gap, {len(pod.judged)} of {pod.packets} packets drawn and matched;"
        f" at most {100 * pod.dirty_upper:.3g} % of the committed time is not as committed"
    )


def _assumptions(pod: _Pod) -> tuple[str, ...]:
    found = ["openings were made when the operator says: nothing else in the evidence says when they came"]
    if any(drawn.judged.order is Order.SIGNED for _, drawn, _ in pod.judged):
        found.append("inspectors promised their secrets when they say, before the work was committed to")
    if any(one.rate is not None for _, _, one in pod.judged):
        found.append(
            "honest packets differ no more often than the agreed tolerance says, or"
            f" {reference.EXACT_DIFFERS_RATE:g} on equal deterministic stacks; a machine that miscomputes again and again is"
            " taken out of service"
        )
    return tuple(found)


def _not_checked(case: Case, pod: _Pod, clause: ReplayedWork, covert_text: Sequence[str]) -> tuple[str, ...]:
    notes = [f"what the chips of {pod.name} did beside the work that was committed to"]
    joint = sorted({lot.committed.said.run for lot in pod.lots if len(lot.committed.pods) > 1})
    if joint:
        notes.append(f"which of several pods did how much of {', '.join(joint[:4])}")
    if pod.gaps:
        notes.append(f"what {pod.name} did {spans_text(pod.gaps)} UTC")
    undrawn = sum(not lot.drawn for lot in pod.lots if lot.committed.listed and lot.committed.listed.leaves)
    if undrawn:
        notes.append(f"{undrawn} of {len(pod.lots)} commitments, from which nobody drew")
    if clause.covert_bits_per_token_max is None:
        notes += covert_text
    notes += shortened((f"passed over: {why}" for why in work_of(case).passed_over), "such statements")
    return tuple(notes)
