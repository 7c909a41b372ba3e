"""Was enough recorded for the false-alarm rate that the agreement asks? How long, how many runs, how varied.

**Runs are the unit.** Windows of one run share its start, its placement, its temperature; chips of a pod that work on one job
move together. Neither more windows nor more chips make another run. So for n runs of length T (the shortest, in hours):

- *On average.* A threshold at the strangest of n runs is exceeded by a next run of like length, exchangeable with them, with
  probability at most 1 / (n + 1). For a share q of runs that alarm, n >= 1/q - 1 runs are needed.
- *Assured.* With none of n runs above a threshold that was set without them (each held out in turn), the share of later runs
  that exceed it is at most 1 - delta^(1/n) at confidence 1 - delta (Clopper-Pearson, no failure in n): about 3/n at 95 %.
- *Per device-hour.* When a run alarms, at worst all its U units do, once each: a deviation is followed by a review, and what
  touches is one. So U alarms fall on U T device-hours, and the rate is q / T, whatever the number of chips. For a rate r the
  share q = r T is needed, and never more than `RUN_SHARE_MAX`, however long the runs. Both needs, 1/q - 1 runs of T hours,
  come to about 1 / r hours of the workload (3 / r assured), however they are cut, beyond the least number of runs agreed.

The agreement's rate is an expectation, so *on average* decides; the assured rate stands beside it.

**Varied.** Every condition of the operating range must have `RUNS_PER_PART_MIN` runs near each of its ends (within `END_SHARE`
of the range) and in its middle third. A condition without extent needs nothing. Conditions that moved only together are noted.

**None dominates.** Runs are of like length (`LENGTH_RATIO_MAX`), each of at least `RUN_WINDOWS_MIN` windows; no run holds more than
`DOMINANCE_SHARE_MAX` of the spread between runs, and more than chance gives one (`profile.dominating_run`), or the threshold
would be that run's.

Contrasts (idling, training) are not asked for by the clause. Without them nothing says what a violation would look like on these
meters, so nothing bounds what could be hidden: that is noted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.mechanisms.workloads.enrol import reference
from inspectorate.mechanisms.workloads.enrol.profile import (
    RUNS_TO_DOMINATE_MIN,
    Profile,
    dominating_run,
    spread_of,
)
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.signature.types import Condition, Contrast, Manifest, ReferenceRun
from inspectorate.quantities import NonNegative
from inspectorate.statistics import clopper_pearson_upper, sample_size_for_share

TOGETHER = 0.95
"""Two conditions whose settings correlate more than this moved only together."""


class Check(Record):
    """One thing that was asked of the recorded runs."""

    name: Identifier
    met: bool
    required: bool = Field(description="whether a session that does not meet it is short")
    found: Text
    need: Text | None = Field(default=None, description="what would meet it")


class Sufficiency(Record):
    """Whether a session recorded enough, and what it supports."""

    sufficient: bool
    checks: tuple[Check, ...]
    runs: int
    hours: NonNegative = Field(description="of the workload, over all runs")
    device_hours: NonNegative
    shortest_run_hours: NonNegative
    false_alarms_per_device_hour_asked: NonNegative
    false_alarms_per_device_hour_on_average: NonNegative | None = Field(
        default=None, description="what these runs support; none: no run"
    )
    false_alarms_per_device_hour_assured: NonNegative | None = None
    confidence: NonNegative
    runs_needed: int | None = Field(
        default=None, description="of the shortest run's length; none: not known without a run"
    )
    runs_needed_assured: int | None = None
    hours_needed: NonNegative | None = Field(default=None, description="further hours of the workload, on average")
    independent_windows: NonNegative | None = Field(
        default=None, description="what all windows are worth, by the spread between and within runs"
    )

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is short, in words."""
        return tuple(
            f"{check.name}: {check.found}" + (f"; {check.need}" if check.need else "")
            for check in self.checks
            if check.required and not check.met
        )


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What n runs of at least T hours support, and what would be needed for the rate that is asked."""

    on_average: float
    assured: float
    share_asked: float
    runs_needed: int
    runs_needed_assured: int


def rates(runs: int, shortest_hours: float, *, rate_asked: float, confidence: float) -> Rates:
    """The mathematics of the module's docstring for `runs` >= 1 runs, the shortest of `shortest_hours` > 0."""
    if runs < 1 or shortest_hours <= 0:
        raise ValueError("needs a run of some length")
    delta = 1 - confidence
    share = min(rate_asked * shortest_hours, reference.RUN_SHARE_MAX)
    return Rates(
        on_average=1 / (runs + 1) / shortest_hours,
        assured=clopper_pearson_upper(0, runs, delta) / shortest_hours,
        share_asked=share,
        # Rounded before the ceiling: 1 / 0.1 - 1 is nine runs, whatever the last bit says.
        runs_needed=max(1, math.ceil(round(1 / share - 1, 9))),
        runs_needed_assured=sample_size_for_share(share, delta),
    )


def judge(
    manifest: Manifest,
    plan: SessionPlan,
    runs: Sequence[ReferenceRun],
    contrasts: Sequence[Contrast],
    profiles: Sequence[Profile],
) -> Sufficiency:
    """Whether what was recorded is enough (rules in the module's docstring). `profiles` are those of `runs`, in order."""
    terms = plan.terms
    hours = [run.period.duration_s / 3600 for run in runs]
    shortest = min(hours, default=0.0)
    found = (
        rates(len(runs), shortest, rate_asked=terms.false_alarms_per_device_hour_max, confidence=plan.confidence)
        if runs
        else None
    )
    checks = [_count(len(runs), terms.enrolled_runs_min), *_lengths(runs, terms.window_s)]
    if found is not None:
        checks.append(_false_alarms(len(runs), shortest, found, plan))
    checks += [_variety(condition, runs) for condition in manifest.operating_range]
    checks += _together(manifest.operating_range, runs)
    checks += _dominance(runs, profiles)
    checks += [_contrast(kind, contrasts) for kind in ("idle", "training") if kind != manifest.kind]
    more = max(0, found.runs_needed - len(runs)) if found else None
    return Sufficiency(
        sufficient=all(check.met for check in checks if check.required),
        checks=tuple(checks),
        runs=len(runs),
        hours=sum(hours),
        device_hours=sum(hours) * len(plan.units),
        shortest_run_hours=shortest,
        false_alarms_per_device_hour_asked=terms.false_alarms_per_device_hour_max,
        false_alarms_per_device_hour_on_average=found.on_average if found else None,
        false_alarms_per_device_hour_assured=found.assured if found else None,
        confidence=plan.confidence,
        runs_needed=found.runs_needed if found else None,
        runs_needed_assured=found.runs_needed_assured if found else None,
        hours_needed=more * shortest if more is not None else None,
        independent_windows=_worth(profiles),
    )


def _count(runs: int, least: int) -> Check:
    return Check(
        name="runs", met=runs >= least, required=True, found=f"{runs} separate runs, and the clause asks for {least}",
        need=None if runs >= least else f"record {least - runs} more",
    )  # fmt: skip


def _lengths(runs: Sequence[ReferenceRun], window_s: float) -> list[Check]:
    if not runs:
        return []
    lengths = sorted((run.period.duration_s, run.id) for run in runs)
    (short_s, short), (long_s, long) = lengths[0], lengths[-1]
    least_s = reference.RUN_WINDOWS_MIN * window_s
    enough, alike = short_s >= least_s, long_s <= reference.LENGTH_RATIO_MAX * short_s
    return [
        Check(
            name="run-length", met=enough, required=True, found=f"the shortest run, {short}, lasts {_span(short_s)}",
            need=None if enough else f"a run needs {reference.RUN_WINDOWS_MIN} windows, {_span(least_s)}",
        ),
        Check(
            name="like-length", met=alike, required=True,
            found=f"runs last {_span(short_s)} ({short}) to {_span(long_s)} ({long})",
            need=None if alike else f"no run may last {reference.LENGTH_RATIO_MAX:g} times as long as another",
        ),
    ]  # fmt: skip


def _false_alarms(runs: int, hours: float, found: Rates, plan: SessionPlan) -> Check:
    asked = plan.terms.false_alarms_per_device_hour_max
    met = runs >= found.runs_needed
    more = found.runs_needed - runs
    return Check(
        name="false-alarms",
        met=met,
        required=True,
        found=f"{runs} runs of {_span(hours * 3600)} support {found.on_average:.3g} false alarms per device-hour on average, "
        f"at most {found.assured:.3g} at {plan.confidence:.0%} confidence; the clause asks for {asked:.3g}",
        need=None
        if met
        else f"record {more} more runs of that length ({more * hours:.3g} h); longer runs count for more",
    )


def _variety(condition: Condition, runs: Sequence[ReferenceRun]) -> Check:
    """Runs near both ends and in the middle of one condition's range."""
    name = f"range.{condition.name}"[:128]
    extent = condition.most - condition.least
    values = [s.value for run in runs for s in run.settings if s.name == condition.name]
    if extent == 0:
        return Check(name=name, met=True, required=True, found=f"{condition.name} is {condition.least:g} throughout")
    end, half = reference.END_SHARE * extent, reference.MIDDLE_SHARE * extent / 2
    middle = (condition.least + condition.most) / 2
    slack = 1e-9 * extent
    parts = {
        f"{condition.least:g} to {condition.least + end:g}": (condition.least, condition.least + end),
        f"{middle - half:g} to {middle + half:g}": (middle - half, middle + half),
        f"{condition.most - end:g} to {condition.most:g}": (condition.most - end, condition.most),
    }
    counts = {part: sum(low - slack <= v <= high + slack for v in values) for part, (low, high) in parts.items()}
    short = {part: reference.RUNS_PER_PART_MIN - n for part, n in counts.items() if n < reference.RUNS_PER_PART_MIN}
    return Check(
        name=name,
        met=not short,
        required=True,
        found=f"runs with {condition.name} " + ", ".join(f"from {part}: {n}" for part, n in counts.items()),
        need="record " + ", ".join(f"{n} more with {condition.name} from {part}" for part, n in short.items())
        if short
        else None,
    )


def _together(conditions: Sequence[Condition], runs: Sequence[ReferenceRun]) -> list[Check]:
    """Conditions that moved only together: their effects cannot be told apart."""
    wide = [condition.name for condition in conditions if condition.most > condition.least]
    if len(wide) < 2 or len(runs) < 3:
        return []
    table = np.array([[{s.name: s.value for s in run.settings}.get(name, np.nan) for name in wide] for run in runs])
    found = []
    for i, one in enumerate(wide):
        for j in range(i + 1, len(wide)):
            if table[:, i].std() > 0 and table[:, j].std() > 0:
                rho = float(np.corrcoef(table[:, i], table[:, j])[0, 1])
                if abs(rho) > TOGETHER:
                    found.append(f"{one} and {wide[j]} (correlation {rho:.2f})")
    return [
        Check(
            name="apart", met=not found, required=False,
            found=f"moved only together: {', '.join(found)}"[:4000] if found else "conditions were varied apart",
            need="vary each while another stays" if found else None,
        )
    ]  # fmt: skip


def _dominance(runs: Sequence[ReferenceRun], profiles: Sequence[Profile]) -> list[Check]:
    if len(runs) < RUNS_TO_DOMINATE_MIN:
        return []
    spread = spread_of(profiles)
    found = dominating_run(spread, share_max=reference.DOMINANCE_SHARE_MAX, chance_max=reference.DOMINANCE_CHANCE_MAX)
    if found is None:
        return [Check(name="spread", met=True, required=True, found="no run holds most of the spread between runs")]
    run, feature = found
    return [
        Check(
            name="spread",
            met=False,
            required=True,
            found=f"run {runs[run].id} holds {spread.share[run, feature]:.0%} of the spread of {spread.features[feature]}",
            need="find out what was different; record more runs like it, or open a session without it",
        )
    ]


def _contrast(kind: str, contrasts: Sequence[Contrast]) -> Check:
    count = sum(len(one.runs) for one in contrasts if one.kind == kind)
    return Check(
        name=f"contrast.{kind}", met=count > 0, required=False, found=f"{count} runs of a contrast of kind {kind}",
        need=None if count else f"record one (--contrast NAME --kind {kind}), or nothing bounds what could be hidden",
    )  # fmt: skip


def _worth(profiles: Sequence[Profile]) -> float | None:
    if len(profiles) < 2:
        return None
    return spread_of(profiles).independent_windows([len(profile.windows) for profile in profiles])


def _span(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
