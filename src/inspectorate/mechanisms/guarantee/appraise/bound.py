"""What can be hidden behind a processor: the FLOP that its meter counted, all of it taken for hidden training.

For a stretch of time [a, b) and one processor, with R the rate with which the account credits the pod [FLOP/s]:

    hidden(a, b) <= sum over reports i that overlap it of min(U_i, R h_i, R |i and [a, b)|) + R x (time that no report covers)

where U_i is the FLOP of report i at most, and h_i the seconds in which it did not hold the work. That is sound for any [a, b),
since a report that is only partly in it counts as if all of its work had been done there. Behind several processors the sums
add up.

1. For each of the usual lengths of an account's intervals, the bound of each interval by itself, cut from the start of the
   period as the account cuts it. It is a bound on FLOP, so it holds for any cell within.
2. For cells of any other length, one bound per stretch of reports without a gap: its busiest report sets the share. A cell of
   length L covers parts of two more reports of length p at its edges, so its share is at most max_i(U_i / R p_i) x (1 + 2 p /
   L); it is given for L of at least `STRETCH_REPORTS_MIN` reports.

Only reports count whose program, rules and key are as agreed (`guarded.vouched`). Of these a meter counts only under an agreed
configuration (`guarded.configured`), since it rests on what that says of the chips, and only if its source bounds what a chip can
have done (`reference.BOUNDING`); otherwise U_i = R h_i. No statistics are in it: the miss probability is 0, and all that can be
wrong is in the assumptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inspectorate.assessment import Case, HiddenBound, Scope
from inspectorate.declaration import Pod
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.appraise.common import PodGuards, baseline_of
from inspectorate.mechanisms.guarantee.appraise.guarded import configured, vouched
from inspectorate.mechanisms.guarantee.appraise.rules import Rules
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.observe import Said
from inspectorate.mechanisms.guarantee.outlet.precision import AMOUNT_MAX
from inspectorate.quantities import Period, merge_periods, uncovered

Bounds = tuple[tuple[HiddenBound, ...], tuple[str, ...]]
"""Bounds, and the assumptions on which they rest."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the chips did at most in the period of one report [FLOP]."""

    period: Period
    flop: float
    source: Source | None
    """None: by the time held alone."""


def bounds_of(case: Case, guards: PodGuards, rules: Rules) -> Bounds:
    """The rows of the account for one pod."""
    terms = baseline_of(case)
    if terms is None or not guards.seen:
        return (), ()
    rate = rate_of(case, guards.pod)
    spent = [
        [spent_in(one, rate, metered=configured(one, terms)) for one in guard.usable if vouched(one, terms, rules)]
        for guard in guards.seen
    ]
    if not all(spent) or rate <= 0:
        return (), ()
    found = [*_by_interval(case, guards.pod, spent, rate), *_by_stretch(case, guards.pod, spent, rate)]
    return tuple(found), _assumptions(guards, spent) if found else ()


def rate_of(case: Case, pod: str) -> float:
    """The rate with which the account credits a pod [FLOP/s]."""
    declared: Pod = next(one for one in case.declaration.pods if one.id == pod)
    return declared.peak_flop_per_s(case.agreement.counted_formats) * case.agreement.utilisation.max


def spent_in(said: Said, rate: float, *, metered: bool) -> Spent:
    """The least of what the meter allows, if it counts, and of what could be done while work was not held."""
    checkpoint = said.kept
    free_s = max(0.0, said.period.duration_s - checkpoint.held_s)
    meter = next((one for one in checkpoint.meters if one.meter is MeterKind.FLOP), None)
    if not metered or meter is None or meter.source.value not in reference.BOUNDING or meter.used >= AMOUNT_MAX:
        return Spent(period=said.period, flop=rate * free_s, source=None)
    if meter.used >= rate * free_s:
        return Spent(period=said.period, flop=rate * free_s, source=None)
    return Spent(period=said.period, flop=meter.used, source=meter.source)


def hidden_in(stretch: Period, spent: Sequence[Spent], rate: float) -> float | None:
    """The most that one processor leaves open in a stretch [FLOP]; none where no report of it overlaps."""
    inside = [(one, part) for one in spent if (part := one.period.intersection(stretch))]
    if not inside:
        return None
    open_s = sum(gap.duration_s for gap in uncovered((part for _, part in inside), stretch))
    return sum(min(one.flop, rate * part.duration_s) for one, part in inside) + rate * open_s


def _by_interval(case: Case, pod: str, spent: Sequence[Sequence[Spent]], rate: float) -> list[HiddenBound]:
    """Rule 1."""
    found = []
    for length_s in reference.CELL_LENGTHS_S:
        if case.period.duration_s / length_s > reference.SCOPES_MAX:
            continue
        for interval in case.period.intervals(length_s):
            parts = [hidden_in(interval, near(one, interval), rate) for one in spent]
            whole = rate * interval.duration_s
            total = sum(whole if part is None else part for part in parts)
            if total < whole and any(part is not None for part in parts):
                found.append(_bound(pod, interval, flop_max=total))
        if case.period.duration_s <= length_s:
            break
    return found


def near(spent: Sequence[Spent], stretch: Period) -> Sequence[Spent]:
    """Those that may overlap a stretch. They are in order, so that a search finds the first."""
    low, high = 0, len(spent)
    while low < high:
        middle = (low + high) // 2
        if spent[middle].period.end <= stretch.start:
            low = middle + 1
        else:
            high = middle
    end = low
    while end < len(spent) and spent[end].period.start < stretch.end:
        end += 1
    return spent[low:end]


def _by_stretch(case: Case, pod: str, spent: Sequence[Sequence[Spent]], rate: float) -> list[HiddenBound]:
    """Rule 2. Behind several processors, where all of them reported without a gap."""
    stretches = [merge_periods(tuple(one.period for one in reports)) for reports in spent]
    whole = [part for one in stretches[0] if (part := one.intersection(case.period))]
    for others in stretches[1:]:
        whole = [part for one in whole for other in others if (part := one.intersection(other))]
    found = []
    for stretch in whole:
        longest = max(one.period.duration_s for reports in spent for one in near(reports, stretch))
        cell_s = reference.STRETCH_REPORTS_MIN * longest
        share = sum(
            max(one.flop / (rate * one.period.duration_s) for one in near(reports, stretch)) for reports in spent
        )
        share *= 1 + 2 * longest / cell_s
        if share < 1 and stretch.duration_s >= cell_s:
            found.append(_bound(pod, stretch, share_max=share, cell_s_min=cell_s))
    return found


def _bound(
    pod: str, period: Period, *, flop_max: float | None = None, share_max: float | None = None, cell_s_min: float = 0.0
) -> HiddenBound:
    return HiddenBound(
        statement=f"guarantee-meters-{pod}"[:128],
        miss_probability=0.0,
        scope=Scope(pods=(pod,), period=period),
        flop_max=flop_max,
        share_max=share_max,
        cell_s_min=cell_s_min,
    )


def _assumptions(guards: PodGuards, spent: Sequence[Sequence[Spent]]) -> tuple[str, ...]:
    sources = {one.source for reports in spent for one in reports}
    found = [
        "chips do no work while their processor holds them",
        "declared peak rates of chips are true",
        "reports were made when they say, as challenges that they answered show",
    ]
    if Source.KERNEL in sources:
        found.append("the host's kernel, which is among what was measured, accounts for all time of its chips")
    if Source.OUTSIDE in sources:
        found.append("the meter of energy beside the machine is true, and no chip does more per joule than was assumed")
    if any(one.custody is KeyCustody.SOFTWARE for guard in guards.seen for one in guard.usable):
        found.append(f"what bounds {guards.pod} was said with a key that its machine holds in software")
    return tuple(found)
