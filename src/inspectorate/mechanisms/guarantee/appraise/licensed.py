"""`licensed-work`: one assessment per declared pod. What was metered against what was licensed, added up anew.

1. The licences that the pod's processors applied are judged from their documents (`rules.licences_of`). One that does not hold,
   or that is valid for longer than agreed, speaks against the party: an intact processor would not have applied it.
2. Per processor and meter of the clause, the use of each report is paid out of the licences that were there at that time, what
   expires first before the rest, as the processor itself does (`pay`). What no licence covers is owed, and the next one pays it
   first.
3. *Against the party* is a report after which more is owed, by the sum of its lower bounds, than can pass while work is being
   stopped.
4. *Consistent* is what is covered even by the upper bounds, over a period without a gap, with every meter of the clause in
   every report, by processors whose word counts (`guarded.vouched`). Between the two nothing is established.
5. Over the same reports, the FLOP meter bounds what can be hidden (`bound`).

A licence that a report names and that is not in the evidence, or more left by the processor's own word than the licences here give,
means that licences are missing: then nobody is accused, and nothing established.

Not known here: what was used of a licence before the first report of the evidence. It can only be more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from inspectorate.agreement import LicensedWork
from inspectorate.assessment import Assessment, Case, Exhibit, Scope, Verdict
from inspectorate.evidence import LicenceApplied
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.appraise import exhibits
from inspectorate.mechanisms.guarantee.appraise.bound import bounds_of
from inspectorate.mechanisms.guarantee.appraise.common import (
    NAME,
    PodGuards,
    alike,
    assumptions_of,
    baseline_of,
    gaps_of,
    guards_of,
    log_e_of,
    nothing_stated,
    shortened,
    spans_text,
    stretch_of,
    withheld_text,
)
from inspectorate.mechanisms.guarantee.appraise.guarded import vouched
from inspectorate.mechanisms.guarantee.appraise.rules import Licences, Rules, licences_of, rules_of
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.observe import GuardSeen
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset
from inspectorate.quantities import Period


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What one licence gives of one meter, and when it can be used."""

    amount: float
    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class _Metered:
    """One meter of one processor."""

    kind: MeterKind
    owed_at_least: tuple[float, ...]
    """After each usable report, by lower bounds."""
    owed_at_most: tuple[float, ...]
    slack: float
    budgets: tuple[float, ...]
    """Licensed by the end of each report, in all."""
    used: tuple[float, float]
    """(at least, at most) over all reports; infinite where it was not metered."""
    absent: int
    """Reports without this meter."""

    @property
    def overdrawn(self) -> tuple[bool, ...]:
        return tuple(owed > self.slack for owed in self.owed_at_least)

    @property
    def covered(self) -> bool:
        rounding = reference.ROUNDING_SHARE * (self.budgets[-1] if self.budgets else 0.0)
        return not self.absent and all(owed <= self.slack + rounding for owed in self.owed_at_most)


@dataclass(frozen=True, kw_only=True)
class _Processor:
    """What is found of one processor."""

    guard: GuardSeen
    licences: Licences
    meters: tuple[_Metered, ...]
    wrong: tuple[tuple[str, ...], ...]
    """For each usable report, what it says against the party."""
    against: tuple[str, ...]
    doubts: tuple[str, ...]


def appraise_licensed(case: Case, terms: LicensedWork) -> tuple[Assessment, ...]:
    found = guards_of(case)
    rules = rules_of(case, baseline_of(case))
    return tuple(_appraise_pod(case, found[pod], terms, rules) for pod in sorted(found))


def _appraise_pod(case: Case, guards: PodGuards, terms: LicensedWork, rules: Rules) -> Assessment:
    if not guards.reports:
        return nothing_stated(case, guards)
    processors = [_processor(case, guard, terms, rules) for guard in guards.seen]
    gaps = gaps_of(guards, case.period, terms.attested_every_s)
    doubts = [doubt for one in processors for doubt in one.doubts]
    if baseline_of(case) is None:
        doubts.insert(0, "the agreement names no first ruleset, so nobody can say who may license")
    speaking = [said for one in processors for said, why in zip(one.guard.usable, one.wrong, strict=True) if why]
    reasons = [
        *shortened(guards.faults, "such reports"),
        *shortened([text for one in processors for text in one.against], "such reasons"),
        *shortened(doubts, "such doubts"),
        *withheld_text(guards),
    ]
    if gaps:
        reasons.append(
            f"{guards.pod}: no usable report for longer than {terms.attested_every_s:g} s: {spans_text(gaps)} UTC"
        )
    bounds = bounds_of(case, guards, rules) if not guards.faults else ((), ())
    verdict = Verdict.CONSISTENT
    if guards.faults:
        verdict = Verdict.INVALID_EVIDENCE
    elif gaps or not all(guard.usable for guard in guards.seen):
        verdict = Verdict.NOT_OBSERVED
    elif speaking or doubts:
        verdict = Verdict.INCONCLUSIVE
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(guards.pod,), period=stretch_of(case, speaking)),
        verdict=verdict,
        log_e=log_e_of([bool(why) for one in processors for why in one.wrong], case.period, terms.attested_every_s),
        hidden=bounds[0],
        assumptions=(*assumptions_of(guards), *bounds[1]),
        evidence_ids=guards.evidence_ids,
        exhibits=tuple(exhibit for one in processors for exhibit in _exhibits(guards, one)),
        reasons=tuple(reasons) or (_covered(guards, processors),),
        not_checked=_not_checked(guards, processors, gaps),
    )


def _processor(case: Case, guard: GuardSeen, terms: LicensedWork, rules: Rules) -> _Processor:
    licences = licences_of(guard, rules)
    reports = guard.usable
    kinds = [kind for kind in MeterKind if kind.value in terms.meters]
    doubts = [f"{name} is no meter of a processor" for name in terms.meters if name not in set(MeterKind)]
    doubts += alike(case, guard)
    agreed = baseline_of(case)
    loose = [one for one in reports if agreed is not None and not vouched(one, agreed, rules)]
    if loose:
        doubts.append(
            f"{guard.guard}: program, rules or key are not as agreed in {len(loose)} of {len(reports)} reports,"
            f" the first from {loose[0].period.start:%H:%M:%S} UTC"
        )
    meters = tuple(_metered(case, guard, licences, kind, rules) for kind in kinds)
    told: list[list[str]] = [[] for _ in reports]
    against = _of_licences(guard, licences, terms, told)
    missing = _missing(guard, licences)
    doubts += missing
    for one in meters:
        first = next((k for k, over in enumerate(one.overdrawn) if over), None) if not missing else None
        for k, over in enumerate(one.overdrawn):
            if over and first is not None:
                told[k].append(one.kind.value)
        if first is not None:
            against.append(
                f"{guard.guard}: at least {max(one.owed_at_least):.3g} of {one.kind.value} were used beyond what was licensed,"
                f" from {reports[first].period.start:%H:%M:%S} UTC on"
            )
        elif one.absent:
            doubts.append(f"{guard.guard}: {one.absent} of {len(reports)} reports do not meter {one.kind.value}")
        elif not one.covered:
            doubts.append(
                f"{guard.guard}: up to {max(one.owed_at_most):.3g} of {one.kind.value} may have been used beyond what was licensed"
            )
    return _Processor(
        guard=guard,
        licences=licences,
        meters=meters,
        wrong=tuple(map(tuple, told)),
        against=tuple(against),
        doubts=tuple(doubts),
    )


def _missing(guard: GuardSeen, licences: Licences) -> list[str]:
    """Licences that were in force and are not in the evidence, so that nobody can say what was licensed."""
    here = {one.licence.id for one in licences.good} | {
        one.said.licence for one, _ in licences.refused if isinstance(one.said, LicenceApplied)
    }
    named = {one.kept.licence: one for one in reversed(guard.usable) if one.kept.licence is not None}
    found = [
        f"{guard.guard}: licence {name}, in force from {said.name} on, is not in the evidence, or cannot be judged"
        for name, said in sorted(named.items())
        if name not in here
    ]
    for kind in MeterKind:
        used, more = 0.0, False
        for said in guard.usable:
            used += exhibits.amounts(said, kind)[1]
            known = sum(one.licence.budgets.get(kind, 0.0) for one in licences.good)
            left = next((one.remaining for one in said.kept.meters if one.meter is kind), None) or 0.0
            more = more or (left > 0 and left + used > known * (1 + 1e-9))
        if more:
            found.append(
                f"{guard.guard}: by its own word more of {kind.value} is left than the licences in the evidence give"
            )
    return found


def _of_licences(guard: GuardSeen, licences: Licences, terms: LicensedWork, told: list[list[str]]) -> list[str]:
    """Step 1: what the licences themselves say, marked in the reports of the time in which they were applied."""
    found: list[tuple[Period, str]] = []
    for filed, why in licences.refused:
        found.append((filed.said.period, f"a licence was applied that does not hold: {why}"))
    for one in licences.good:
        name = f"licence {one.licence.id}"
        if one.licence.valid.duration_s > terms.valid_s_max * (1 + 1e-9):
            found.append((one.stated, f"{name} is valid for {one.licence.valid.duration_s:g} s, longer than agreed"))
        missing = sorted(set(terms.meters) - {kind.value for kind in one.licence.budgets})
        if missing:
            found.append((one.stated, f"{name} has no budget of {', '.join(missing)}"))
    for period, why in found:
        for k, said in enumerate(guard.usable):
            # From then on the processor works under it.
            if said.period.end > period.start:
                told[k].append(why)
    return [f"{guard.guard}: {why} (applied by {period.end:%Y-%m-%d %H:%M:%S} UTC)" for period, why in found]


def _metered(case: Case, guard: GuardSeen, licences: Licences, kind: MeterKind, rules: Rules) -> _Metered:
    """Steps 2 and 3 for one meter."""
    reports = guard.usable
    budgets = [
        Budget(
            amount=one.licence.budgets[kind],
            # When it was applied is known no better than by a slot or more: it waits for one in which it is made known.
            start=one.licence.valid.start,
            end=one.licence.valid.end,
        )
        for one in licences.good
        if kind in one.licence.budgets
    ]
    periods = [one.period for one in reports]
    amounts = [exhibits.amounts(one, kind) for one in reports]
    lower = [at_least for _, at_least in amounts]
    upper = [used if used < float("inf") else at_least for used, at_least in amounts]
    total = sum(budget.amount for budget in budgets)
    return _Metered(
        kind=kind,
        owed_at_least=tuple(pay(periods, lower, budgets)),
        owed_at_most=tuple(pay(periods, upper, budgets)),
        slack=_slack(case, guard, kind, rules, total),
        budgets=tuple(sum(b.amount for b in budgets if b.start < period.end) for period in periods),
        used=(sum(lower), sum(used for used, _ in amounts)),
        absent=sum(used == float("inf") for used, _ in amounts),
    )


def pay(periods: Sequence[Period], amounts: Sequence[float], budgets: Sequence[Budget]) -> list[float]:
    """What is owed after each report, if each pays out of the budgets of its time, the earliest to expire first.

    `periods` are in order and do not overlap. A budget can be used in a report that overlaps its time. That nothing pays better
    than the earliest to expire is checked against all ways of paying in the tests.
    """
    left = [budget.amount for budget in budgets]
    order = sorted(range(len(budgets)), key=lambda k: (budgets[k].end, budgets[k].start))
    owed = 0.0
    found = []
    for period, amount in zip(periods, amounts, strict=True):
        owed += amount
        for k in order:
            if budgets[k].start < period.end and period.start < budgets[k].end and left[k] and owed:
                part = min(left[k], owed)
                left[k] -= part
                owed -= part
        found.append(owed)
    return found


def _slack(case: Case, guard: GuardSeen, kind: MeterKind, rules: Rules, budgets: float) -> float:
    """What may be owed although the processor stopped as soon as it could."""
    known = [rule for one in guard.usable if (rule := rules.known.get(one.kept.ruleset or "")) is not None]
    match kind:
        case MeterKind.FLOP:
            peak = sum(
                pod.peak_flop_per_s(case.agreement.counted_formats)
                for pod in case.declaration.pods
                if any(guard.guard == one.id and pod.id in one.pods for one in case.declaration.reporters)
            )
            return peak * reference.STOP_S
        case MeterKind.WALL_S:
            return reference.STOP_S
        case MeterKind.BYTES_IN | MeterKind.BYTES_OUT:
            return max((_passing(ruleset, kind) for ruleset in known), default=0.0)
        case _:
            return reference.UNBOUNDED_STOP_SHARE * budgets


def _passing(ruleset: Ruleset, kind: MeterKind) -> float:
    limits = ruleset.limits
    inward = kind is MeterKind.BYTES_IN
    rate = limits.in_bytes_per_s_max if inward else limits.out_bytes_per_s_max
    one = limits.request_bytes_max if inward else limits.response_bytes_max
    return rate * reference.STOP_S + limits.burst_bytes_max + one


def _covered(guards: PodGuards, processors: Sequence[_Processor]) -> str:
    parts = [
        f"at most {one.used[1]:.3g} of {one.budgets[-1]:.3g} {one.kind.value}"
        for processor in processors
        for one in processor.meters
        if one.budgets
    ]
    count = sum(len(one.licences.good) for one in processors)
    return f"{guards.pod}: under {count} licence{'s' if count != 1 else ''}, {'; '.join(parts)}"


def _exhibits(guards: PodGuards, processor: _Processor) -> tuple[Exhibit, ...]:
    reports = processor.guard.usable
    if not reports:
        return ()
    return tuple(
        exhibits.meter(guards, one.kind, reports, budgets=one.budgets) for one in processor.meters if not one.absent
    )


def _not_checked(guards: PodGuards, processors: Sequence[_Processor], gaps: Sequence[Period]) -> tuple[str, ...]:
    notes = []
    for one in processors:
        reports = one.guard.reports
        if reports and reports[0].sequence > 0:
            notes.append(
                f"what {one.guard.guard} used of its licences before report {reports[0].sequence}, the first here"
            )
        notes += one.licences.notes
    if gaps:
        notes.append(f"what {guards.pod} used {spans_text(gaps)} UTC")
    return tuple(dict.fromkeys(notes))
