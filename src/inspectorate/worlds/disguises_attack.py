"""Every disguise against a detector: how often it is found, how soon, and what escaping costs the adversary.

Procedure (`attack`), for each disguise:

1. Each training run is disguised as each claimed workload at every strength, and shown to the detector.
2. At the standard strength: the share found with its Clopper-Pearson interval, the median time to the first alarm, and what
   the adversary pays.
3. Over the strengths: which leaves the most to training among those at which less than a half (a tenth) is found.

- The unit of counting is a pair of a training run and a claimed workload, with one draw of chance; pairs that share a run are
  not independent, so intervals are too narrow where there are few runs. The row says how many runs there were.
- Honest runs of the claimed workloads are shown to the same detector for the same time (`honest`): what is found of a
  disguise means something only beside that.
- Detection that ends at the honest share of alarms is escape.

Not done here: loading of recordings (`disguises_recorded`, `disguises_world`), and what a detector is.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper
from inspectorate.worlds.disguises import Disguise
from inspectorate.worlds.disguises_render import Known
from inspectorate.worlds.telemetry_model import draws

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
INTERVAL_MISS = 0.05
"""Two-sided intervals at 95 %."""
SLOWDOWN_TARGET = 100.0
"""A mechanism should make a prohibited run take orders of magnitude longer: more than 100 times (arXiv 2506.15867)."""
ESCAPED_HALF, ESCAPED_MOST = 0.5, 0.1


class Detector(Protocol):
    """Whatever raises an alarm on telemetry that does not fit the claimed workload."""

    def alarm(self, frame: Frame, claimed: str) -> float | None:
        """When the first alarm is raised, in seconds from the beginning; None if none is."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One training run to be shown as one claimed workload, and the detector that knows the references."""

    run: str
    claimed: str
    training: Frame
    known: Known
    detector: Detector


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One disguised run and what came of it."""

    disguise: str
    strength: float
    run: str
    claimed: str
    alarm_after_s: float | None
    throughput_kept: float
    extra_energy_share: float
    second_meter_differs: bool


@dataclass(frozen=True, kw_only=True)
class Escape:
    """The cheapest strength at which less than some share is found, and what it leaves to the adversary."""

    strength: float
    throughput_kept: float

    @property
    def slowdown(self) -> float:
        return 1 / self.throughput_kept if self.throughput_kept > 0 else float("inf")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One disguise over all cases."""

    disguise: str
    strength: float
    cases: int
    runs: int
    """Separate training runs among them."""
    found: int
    found_rate: tuple[float, float]
    alarm_after_s: float | None
    throughput_kept: float
    extra_energy_share: float
    price: float | None
    """Share of throughput given up per unit of detection escaped, against the undisguised; None if nothing was escaped."""
    below_half: Escape | None
    """None: it never escapes."""
    below_tenth: Escape | None
    by_strength: Mapping[float, float]
    """Share found at each strength."""
    seen_by: tuple[str, ...]

    @property
    def slowdown(self) -> float:
        return 1 / self.throughput_kept if self.throughput_kept > 0 else float("inf")

    @property
    def share_found(self) -> float:
        return self.found / self.cases

    @property
    def meets_target(self) -> bool:
        """Whether escaping detection in most cases costs the adversary the hundredfold, or cannot be had at all."""
        return self.below_half is None or self.below_half.slowdown >= SLOWDOWN_TARGET


@dataclass(frozen=True, kw_only=True)
class Honest:
    """Alarms on runs that are what they claim, observed for as long as the disguised ones."""

    cases: int
    alarms: int
    hours: float
    alarm_rate: tuple[float, float]

    @property
    def share(self) -> float:
        return self.alarms / self.cases


def trials(
    cases: Sequence[Case], disguises: Iterable[Disguise], *, strengths: Sequence[float] = STRENGTHS, seed: int = 1
) -> Iterator[Trial]:
    """Step 1, lazily: every disguise at its standard strength and at all of `strengths`, on every case."""
    draw = draws(seed)
    for disguise in disguises:
        for strength in sorted({*strengths, disguise.standard}) if disguise.name != "plain" else (0.0,):
            for case in cases:
                random = draw(f"disguise {disguise.name} {strength} {case.run} {case.claimed}")
                run = disguise.run(case.training, case.known, strength=strength, random=random)
                yield Trial(
                    disguise=disguise.name,
                    strength=strength,
                    run=case.run,
                    claimed=case.claimed,
                    alarm_after_s=case.detector.alarm(run.reported, case.claimed),
                    throughput_kept=run.throughput_kept,
                    extra_energy_share=run.extra_energy_share,
                    second_meter_differs=run.true is not None,
                )


def honest(cases: Sequence[Case]) -> Honest:
    """Alarms on the covers of the cases, each once. Raises `ValueError` if there are none."""
    covers = {id(case.known.cover): case for case in cases}
    if not covers:
        raise ValueError("there is no honest run to compare with")
    alarms, hours = 0, 0.0
    for case in covers.values():
        shown = first(case.known.cover, case.known.times)
        alarms += case.detector.alarm(shown, case.claimed) is not None
        hours += shown.times * shown.step_s * len(shown.units) / 3600
    return Honest(cases=len(covers), alarms=alarms, hours=hours, alarm_rate=_interval(alarms, len(covers)))


def tabulate(found: Iterable[Trial], disguises: Mapping[str, Disguise]) -> tuple[Row, ...]:
    """Steps 2 and 3: one row per disguise, in order of first appearance. Raises `ValueError` without any trial."""
    grouped: dict[str, dict[float, list[Trial]]] = {}
    for trial in found:
        grouped.setdefault(trial.disguise, {}).setdefault(trial.strength, []).append(trial)
    if not grouped:
        raise ValueError("there is nothing to count")
    rows = [_row(disguises[name], by_strength) for name, by_strength in grouped.items()]
    undisguised = next((row.share_found for row in rows if row.disguise == "plain"), 1.0)
    return tuple(replace(row, price=_price(row, undisguised)) for row in rows)


def first(frame: Frame, times: int) -> Frame:
    """The first steps of a frame."""
    return Frame(
        units=frame.units,
        signals=frame.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[:, :times]),
    )


def _row(disguise: Disguise, by_strength: Mapping[float, list[Trial]]) -> Row:
    standard = by_strength[disguise.standard]
    alarms = [trial.alarm_after_s for trial in standard if trial.alarm_after_s is not None]
    return Row(
        disguise=disguise.name,
        strength=disguise.standard,
        cases=len(standard),
        runs=len({trial.run for trial in standard}),
        found=len(alarms),
        found_rate=_interval(len(alarms), len(standard)),
        alarm_after_s=statistics.median(alarms) if alarms else None,
        throughput_kept=statistics.fmean(trial.throughput_kept for trial in standard),
        extra_energy_share=_extra_energy(standard),
        price=None,
        below_half=_escape(by_strength, ESCAPED_HALF),
        below_tenth=_escape(by_strength, ESCAPED_MOST),
        by_strength={strength: _share_found(found) for strength, found in sorted(by_strength.items())},
        seen_by=disguise.seen_by,
    )


def _extra_energy(found: Sequence[Trial]) -> float:
    """Energy of all training that was done beyond what it costs undisguised: each trial counts by what it got done."""
    done = sum(trial.throughput_kept for trial in found)
    return sum(trial.extra_energy_share * trial.throughput_kept for trial in found) / done if done > 0 else 0.0


def _share_found(found: Sequence[Trial]) -> float:
    return sum(trial.alarm_after_s is not None for trial in found) / len(found)


def _escape(by_strength: Mapping[float, list[Trial]], below: float) -> Escape | None:
    """The strength that leaves the most throughput among those at which less than `below` is found."""
    escaped = [
        Escape(strength=strength, throughput_kept=statistics.fmean(trial.throughput_kept for trial in found))
        for strength, found in by_strength.items()
        if _share_found(found) < below
    ]
    return max(escaped, key=lambda one: (one.throughput_kept, -one.strength), default=None)


def _price(row: Row, undisguised: float) -> float | None:
    escaped = undisguised - row.share_found
    return (1 - row.throughput_kept) / escaped if escaped > 0 else None


def _interval(count: int, total: int) -> tuple[float, float]:
    half = INTERVAL_MISS / 2
    return clopper_pearson_lower(count, total, half), clopper_pearson_upper(count, total, half)
