"""`guard-outlet`: one assessment per declared pod. Whether anything left its processors but what the ruleset provides for.

Against the party, since an intact processor says nothing of the kind:

1. reports whose end is not on the grid of the ruleset in force, or two in one slot;
2. payloads of another size than all of them have;
3. amounts and counts finer than the ruleset's budget of bits pays for;
4. more than one ruleset or licence made known in one slot; statements of any other kind;
5. a ruleset under which more bits a day may leave than the agreement allows.

What is not seen here: bits in the moment at which a statement is made, in random parts of signatures, and by any other way than the
outlet. docs/guarantee.md says how many that are, and what would prevent them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from inspectorate.agreement import GuardOutlet
from inspectorate.assessment import Assessment, Case, Exhibit, ExhibitKind, Scope, Verdict
from inspectorate.errors import InputError
from inspectorate.evidence import LicenceApplied, RulesetInForce
from inspectorate.mechanisms.guarantee.appraise.common import (
    NAME,
    PodGuards,
    assumptions_of,
    baseline_of,
    gaps_of,
    guards_of,
    log_e_of,
    nothing_stated,
    shortened,
    spans_text,
    stretch_of,
)
from inspectorate.mechanisms.guarantee.appraise.rules import Rules, rules_of
from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
from inspectorate.mechanisms.guarantee.observe import GuardSeen, Said
from inspectorate.mechanisms.guarantee.outlet.budget import Plan, plan_of
from inspectorate.mechanisms.guarantee.outlet.codec import CHECKPOINT_BYTES, is_quantised
from inspectorate.quantities import to_ns

SIZES = ((CHECKPOINT_BYTES,), (CHECKPOINT_BYTES, QUOTE_BYTES))
"""Sizes of the payloads of a report, without and with a quote."""


def appraise_outlet(case: Case, terms: GuardOutlet) -> tuple[Assessment, ...]:
    found = guards_of(case)
    rules = rules_of(case, baseline_of(case))
    return tuple(_appraise_pod(case, found[pod], terms, rules) for pod in sorted(found))


def _appraise_pod(case: Case, guards: PodGuards, terms: GuardOutlet, rules: Rules) -> Assessment:
    if not guards.reports:
        return nothing_stated(case, guards)
    plans = _plans(guards, rules)
    every_s = max((plan.every_s for plan in plans.values() if isinstance(plan, Plan)), default=0.0)
    wrong: list[bool] = []
    speaking: list[Said] = []
    against: list[str] = []
    doubts: list[str] = []
    for guard in guards.seen:
        told = _of_reports(guard, plans, terms)
        wrong += [bool(why) for why in told]
        speaking += [said for said, why in zip(guard.usable, told, strict=True) if why]
        against += _counted(guard, told)
        extra = _extra(guard)
        wrong += [True] * len(extra)
        against += extra
        doubts += _doubts(guard, plans)
    # A slot that was missed stays empty, and the next report covers its time: that is no hole.
    gaps = gaps_of(guards, case.period, 2 * every_s, reach_s=math.inf) if every_s else ()
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(guards.pod,), period=stretch_of(case, speaking)),
        verdict=_verdict(guards, bool(gaps), bool(against or doubts)),
        log_e=log_e_of(wrong, case.period, every_s or case.period.duration_s),
        assumptions=assumptions_of(guards),
        evidence_ids=guards.evidence_ids,
        exhibits=_exhibits(guards, plans, terms),
        reasons=(
            *shortened(guards.faults, "such reports"),
            *shortened(against, "such reasons"),
            *shortened(doubts, "such doubts"),
            *([f"{guards.pod}: slots without a report: {spans_text(gaps)} UTC"] if gaps else []),
        )
        or (_kept(guards, plans),),
        not_checked=(
            f"bits in the randomness of signatures of {guards.pod}'s processor, and in when exactly within a slot it spoke",
            f"whether anything leaves {guards.pod} by another way",
        ),
    )


def _plans(guards: PodGuards, rules: Rules) -> dict[str | None, Plan | str]:
    """What may leave, by the digest of the ruleset in force; in words where there is no plan."""
    found: dict[str | None, Plan | str] = {}
    for guard in guards.seen:
        for one in guard.usable:
            digest = one.kept.ruleset
            if digest in found:
                continue
            if digest is not None and digest not in rules.known:
                found[digest] = "the ruleset in force is not one that was reached from the baseline"
                continue
            try:
                found[digest] = plan_of(rules.known[digest] if digest else None)
            except InputError as fault:
                found[digest] = f"the ruleset in force has no plan: {fault.problem}"
    return found


def _of_reports(guard: GuardSeen, plans: dict[str | None, Plan | str], terms: GuardOutlet) -> list[list[str]]:
    """Rules 1, 2, 3 and 5, for each usable report."""
    found: list[list[str]] = []
    slots: Counter[int] = Counter()
    for one in guard.usable:
        told: list[str] = []
        plan = plans[one.kept.ruleset]
        if one.sizes not in SIZES:
            told.append(f"payloads of {', '.join(map(str, one.sizes))} bytes left")
        if isinstance(plan, Plan):
            end_ns = to_ns(one.period.end)
            if end_ns % plan.every_ns:
                told.append(f"a report does not end on the grid of {plan.every_s:g} s")
            slots[end_ns // plan.every_ns] += 1
            if slots[end_ns // plan.every_ns] > 1:
                told.append("two reports left in one slot")
            if not is_quantised(one.kept, plan.precision):
                told.append(f"a report says more than level {plan.precision.level} of precision allows")
            if plan.bits_per_day > terms.bits_per_day_max * (1 + 1e-9):
                told.append(
                    f"up to {plan.bits_per_day:,.0f} bits a day may leave, and {terms.bits_per_day_max:,.0f} are agreed"
                )
        found.append(told)
    return found


def _extra(guard: GuardSeen) -> list[str]:
    """Rule 4."""
    found = [f"{guard.guard}: a statement left that no outlet has: {text}" for text in guard.others]
    for what, kind, filed in (
        ("ruleset", RulesetInForce, guard.rulesets),
        ("licence", LicenceApplied, guard.licences),
    ):
        slots = Counter(one.said.period.end for one in filed if isinstance(one.said, kind))
        for at, count in sorted(slots.items()):
            if count > 1:
                found.append(f"{guard.guard}: {count} {what}s were made known in the slot that ends {at:%H:%M:%S} UTC")
    return found


def _doubts(guard: GuardSeen, plans: dict[str | None, Plan | str]) -> list[str]:
    told: Counter[str] = Counter()
    for one in guard.usable:
        plan = plans[one.kept.ruleset]
        if not isinstance(plan, Plan):
            told[plan] += 1
    return [f"{guard.guard}: {why} ({count} of {len(guard.usable)} reports)" for why, count in told.items()]


def _counted(guard: GuardSeen, told: Sequence[Sequence[str]]) -> list[str]:
    counts = Counter(why for whys in told for why in whys)
    return [f"{guard.guard}: {why} ({count} of {len(told)} reports)" for why, count in counts.items()]


def _verdict(guards: PodGuards, gaps: bool, open_: bool) -> Verdict:
    if guards.faults:
        return Verdict.INVALID_EVIDENCE
    if gaps or not all(guard.usable for guard in guards.seen):
        return Verdict.NOT_OBSERVED
    return Verdict.INCONCLUSIVE if open_ else Verdict.CONSISTENT


def _kept(guards: PodGuards, plans: dict[str | None, Plan | str]) -> str:
    bits = max((plan.bits_per_day for plan in plans.values() if isinstance(plan, Plan)), default=0.0)
    count = sum(len(guard.usable) for guard in guards.seen)
    return f"{guards.pod}: {count} reports on the grid and of one size each; at most {bits:,.0f} bits a day leave"


def _exhibits(guards: PodGuards, plans: dict[str | None, Plan | str], terms: GuardOutlet) -> tuple[Exhibit, ...]:
    plan = next((one for one in plans.values() if isinstance(one, Plan)), None)
    if plan is None:
        return ()
    rows = tuple((one.name, round(one.bits, 2), one.how) for one in plan.fields)
    return (
        Exhibit(
            id=f"guard-outlet-{guards.pod}"[:128],
            title=f"What a report of {guards.pod}'s processor can say, in bits; {plan.reports_per_day} reports a day",
            kind=ExhibitKind.TABLE,
            columns=("field", "bits_per_report", "how"),
            rows=rows,
            limit=terms.bits_per_day_max,
            unit="bits a day",
        ),
    )
