"""What appraisals of several kinds of clause share: which processors stand before a pod, what is not covered, and evidence.

Rules:

- A processor speaks for the pods that the declaration puts behind it, and no others.
- A report covers its period, but no more than the agreed `attested_every_s` before its end. Gaps of up to that length are let pass;
  where a number is missing between two reports, any gap is one: what was stated there was kept back.
- What a party is accused of is only what its own authentic reports say (`log_e_of`). All else takes assurance away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from inspectorate.agreement import GuardedOperation
from inspectorate.assessment import Assessment, Case, Scope, Verdict
from inspectorate.declaration import Reporter, ReporterKind
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.observe import GuardSeen, Said, observe_guard
from inspectorate.quantities import Period, merge_periods, uncovered
from inspectorate.statistics import BetPlan, bounded_log_e, exceedance_process

NAME = "guarantee"


@dataclass(frozen=True, kw_only=True)
class PodGuards:
    """The processors that are declared before one pod, and what each stated."""

    pod: str
    reporters: tuple[Reporter, ...]
    seen: tuple[GuardSeen, ...]
    """In the order of `reporters`."""

    @property
    def reports(self) -> tuple[Said, ...]:
        return tuple(one for guard in self.seen for one in guard.reports)

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(one for guard in self.seen for one in guard.evidence_ids))

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(f"{guard.guard}: {fault}" for guard in self.seen for fault in guard.faults)


def guards_of(case: Case) -> dict[str, PodGuards]:
    """Every declared pod with its processors, whether they stated anything or not."""
    key = f"{NAME}.guards"
    found = case.shared.get(key)
    if not isinstance(found, dict):
        found = _observe(case)
        case.shared[key] = found
    return found


def _observe(case: Case) -> dict[str, PodGuards]:
    declared = [one for one in case.declaration.reporters if one.kind is ReporterKind.GUARD]
    seen = {
        one.id: observe_guard(
            one.id, case.evidence.reports, payload=case.evidence.payload, platforms=case.platforms, within=case.period
        )
        for one in declared
    }
    found = {}
    for pod in case.declaration.pods:
        before = tuple(one for one in declared if pod.id in one.pods)
        found[pod.id] = PodGuards(pod=pod.id, reporters=before, seen=tuple(seen[one.id] for one in before))
    return found


def alike(case: Case, guard: GuardSeen) -> list[str]:
    """Where one device speaks for several processors: a licence for that device would be spent once by each."""
    others = {one.guard: one for pod in guards_of(case).values() for one in pod.seen if one.guard != guard.guard}
    devices = {one.kept.device for one in guard.usable}
    return [
        f"{guard.guard}: its device speaks for {name} as well"
        for name in sorted(others)
        if devices & {one.kept.device for one in others[name].usable}
    ]


def baseline_of(case: Case) -> GuardedOperation | None:
    """The clause that names the first ruleset. Without one, no ruleset and no licence can be judged."""
    return next((c.parameters for c in case.agreement.clauses if isinstance(c.parameters, GuardedOperation)), None)


def nothing_stated(case: Case, guards: PodGuards) -> Assessment:
    """The assessment of a pod of which no processor said anything."""
    names = ", ".join(one.id for one in guards.reporters)
    why = f"{names} reported nothing" if names else "no guarantee processor is declared before it"
    return Assessment(
        clause=case.clause.id,
        mechanism=NAME,
        scope=Scope(pods=(guards.pod,), period=case.period),
        verdict=Verdict.NOT_OBSERVED,
        reasons=(f"{guards.pod}: {why}",),
        not_checked=(f"what {guards.pod} does: no guarantee processor reports of it",),
    )


def gaps_of(guards: PodGuards, period: Period, every_s: float, *, reach_s: float | None = None) -> tuple[Period, ...]:
    """What is not covered. Every processor of a pod stands on some of its path, so each must have reported all the time.

    A report reaches back `every_s` unless `reach_s` says otherwise.
    """
    reach = timedelta(seconds=min(every_s if reach_s is None else reach_s, 1e9))
    return merge_periods(tuple(gap for guard in guards.seen for gap in _gaps(guard, period, every_s, reach)))


def _gaps(guard: GuardSeen, period: Period, every_s: float, reach: timedelta) -> list[Period]:
    covered = [Period(start=max(one.period.start, one.period.end - reach), end=one.period.end) for one in guard.usable]
    open_ = uncovered(covered, period)
    kept_back = _kept_back(guard)
    return [
        gap for gap in open_ if gap.duration_s > every_s * (1 + 1e-9) or any(gap.overlaps(hole) for hole in kept_back)
    ]


def _kept_back(guard: GuardSeen) -> list[Period]:
    """The time between two reports of which one between them is missing."""
    found = []
    for first, last in guard.missing:
        before = [one.period.end for one in guard.reports if one.sequence == first - 1]
        after = [one.period.start for one in guard.reports if one.sequence == last + 1]
        if before and after and max(before) < min(after):
            found.append(Period(start=max(before), end=min(after)))
    return found


def log_e_of(wrong: Sequence[bool], period: Period, every_s: float) -> float:
    """The log e-value of so many authentic reports of which these are against the clause; 0 if there are none."""
    if not wrong:
        return 0.0
    # The plan is fixed by the terms, before any report is seen.
    expected = max(1, math.ceil(min(period.duration_s / every_s, 1e9)))
    plan = BetPlan(stakes=(reference.DECISIVE_STAKE,), start_rate=1 / max(2, expected))
    process = exceedance_process(np.array([wrong]), rate_max=reference.WRONG_REPORT_RATE, plan=plan)
    return bounded_log_e(float(process.log_e_final[0]))


def stretch_of(case: Case, against: Sequence[Said]) -> Period:
    """The stretch of the period from the first report that is against the clause to the last; all of it if there is none."""
    inside = [part for one in against if (part := one.period.intersection(case.period))]
    if not inside:
        return case.period
    return Period(start=min(part.start for part in inside), end=max(part.end for part in inside))


def spans_text(gaps: Sequence[Period]) -> str:
    """Stretches of time in words, the longest few of them."""
    longest = sorted(sorted(gaps, key=lambda gap: -gap.duration_s)[: reference.SPANS_SHOWN], key=lambda gap: gap.start)
    text = ", ".join(f"{gap.start:%H:%M:%S}–{gap.end:%H:%M:%S}" for gap in longest)
    return text + (f" and {len(gaps) - len(longest)} more" if len(gaps) > len(longest) else "")


def shortened(reasons: Sequence[str], what: str) -> tuple[str, ...]:
    """At most `REASONS_MAX` of them, and how many more there are."""
    once = tuple(dict.fromkeys(reasons))
    if len(once) <= reference.REASONS_MAX:
        return once
    return (*once[: reference.REASONS_MAX], f"and {len(once) - reference.REASONS_MAX} more {what}")


def withheld_text(guards: PodGuards) -> tuple[str, ...]:
    """Which numbers are missing, in words."""
    found = []
    for guard in guards.seen:
        for first, last in guard.missing:
            which = f"report {first}" if first == last else f"reports {first} to {last}"
            found.append(f"{guard.guard}: {which} of its chain {'is' if first == last else 'are'} not in the evidence")
    return shortened(found, "stretches of missing reports")


def assumptions_of(guards: PodGuards) -> tuple[str, ...]:
    holders = ", ".join(dict.fromkeys(one.holder.value for one in guards.reporters))
    found = [
        f"the machine below the processor is what its measurements say; held by {holders}",
        f"{guards.pod} has no other way out than through its processor (cabling and counters say that)",
        f"an intact processor misstates what it enforces in at most {reference.WRONG_REPORT_RATE:g} of its reports",
    ]
    software = [guard.guard for guard in guards.seen if any(one.custody.value == "software" for one in guard.usable)]
    if software:
        found.append(f"nobody but {', '.join(software)} speaks with the key that its machine holds in software")
    return tuple(found)
