"""The questions about alarms: how often without cause, and how soon with cause.

Thresholds come from enrolled runs alone (`alarms`); how many hours stand behind them is in the table. Cross-system
substitution is the answer where a system has no training of its own, and is called so: power is then scaled to the mean of
the claimed workload, so that the level says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import metrics
from inspectorate.mechanisms.workloads.evaluate.alarms import Scale, Stream, Threshold, own_streams, threshold_for
from inspectorate.mechanisms.workloads.evaluate.detectors import Detector
from inspectorate.mechanisms.workloads.evaluate.folds import Scored, Tell, held_out, scored, twice_held_out
from inspectorate.mechanisms.workloads.evaluate.metrics import Figure
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared, prepare
from inspectorate.mechanisms.workloads.evaluate.questions import Bench
from inspectorate.mechanisms.workloads.evaluate.reference import (
    CAUGHT_WITHIN_S,
    FOLDS_MAX,
    RATE_PER_DEVICE_HOUR,
    RATES_PER_DEVICE_HOUR,
)
from inspectorate.mechanisms.workloads.evaluate.results import Answer, Cell
from inspectorate.mechanisms.workloads.evaluate.splits import folds_of_jobs


@dataclass(frozen=True, kw_only=True, eq=False)
class Tried:
    """A held-out run under its true claim, with the enrolled streams that set its threshold."""

    stream: Stream
    enrolled: tuple[Stream, ...]


def tried(detector: Detector, bench: Bench, tell: Tell, *, folds_max: int) -> tuple[list[Tried], int]:
    """Every run that can be tried, and how many cannot."""
    folds = folds_of_jobs([one.run for one in bench.prepared], folds_max)
    outer = held_out(detector, bench.prepared, folds, tell)
    inner = twice_held_out(detector, bench.prepared, folds, tell)
    found: list[Tried] = []
    missing = 0
    for fold in sorted(set(folds)):
        try:
            scale = Scale.of(inner[fold])
        except ValueError:
            missing += sum(name == fold for name in folds)
            continue
        enrolled = tuple(own_streams(scale, inner[fold]))
        for one, name in zip(outer, folds, strict=True):
            if name != fold:
                continue
            stream = scale.stream(one, one.one.run.workload)
            if stream is None or not enrolled:
                missing += 1
            else:
                found.append(Tried(stream=stream, enrolled=enrolled))
    return found, missing


def false_alarms(
    benches: Sequence[Bench],
    detectors: Sequence[Detector],
    tell: Tell,
    *,
    rates: Sequence[float] = RATES_PER_DEVICE_HOUR,
    folds_max: int = FOLDS_MAX,
) -> Answer:
    """Runs never seen, under their true claim, at each rate."""
    rows: list[tuple[Cell, ...]] = []
    for bench in benches:
        for detector in detectors:
            runs, missing = tried(detector, bench, tell, folds_max=folds_max)
            rows += [(bench.name, detector.name, *_at_rate(runs, rate), missing) for rate in rates]
    return Answer(
        question="false-alarms",
        title="Alarms without cause: runs never seen, under their true claim",
        columns=("hardware", "detector", "rate set per h", "observed per h", "expected", "alarms", "runs with an alarm",
                 "worst family", "its share without", "threshold", "hours enrolled", "runs without answer"),
        rows=tuple(rows),
        notes=(
            "Observed per device-hour with the exact Poisson interval; runs with an alarm with Clopper-Pearson, both 95 %.",
            (
                "Extrapolated thresholds rest on the tail of the enrolled runs, because these are shorter than the rate asks for. "
                "Thresholds are pooled over the workloads of one hardware: none has enough runs for its own."
            ),
        ),
    )  # fmt: skip


def _at_rate(runs: Sequence[Tried], rate: float) -> tuple[Cell, ...]:
    hours = sum(one.stream.hours for one in runs)
    thresholds: dict[int, Threshold] = {}
    for one in runs:
        if id(one.enrolled) not in thresholds:
            thresholds[id(one.enrolled)] = threshold_for(one.enrolled, rate)
    counts = [len(one.stream.alarms(thresholds[id(one.enrolled)].value)) for one in runs]
    family, figure = metrics.worst([one.stream.family for one in runs], [not count for count in counts])
    extrapolated = any(found.extrapolated for found in thresholds.values())
    enrolled_h = min((found.hours for found in thresholds.values()), default=0.0)
    return (
        rate,
        metrics.poisson_interval(sum(counts), hours),
        rate * hours,
        sum(counts),
        metrics.share(sum(count > 0 for count in counts), len(runs)),
        family,
        figure,
        "extrapolated" if extrapolated else "counted",
        enrolled_h,
    )


# --- substitution ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Guard:
    """A detector enrolled on the approved runs, and what its alarm rests on."""

    fitted_on: tuple[Prepared, ...]
    detector: Detector
    scale: Scale
    enrolled: tuple[Stream, ...]

    @classmethod
    def of(cls, detector: Detector, approved: Sequence[Prepared], tell: Tell, *, folds_max: int) -> Guard:
        """Raises `InputError` where no approved run can be held out from another of its workload."""
        folds = folds_of_jobs([one.run for one in approved], folds_max)
        calibration = held_out(detector, approved, folds, tell)
        try:
            scale = Scale.of(calibration)
        except ValueError as fault:
            raise InputError(f"no threshold can be set: {fault}", remedy="enrol two runs of a workload") from None
        return cls(
            fitted_on=tuple(approved),
            detector=detector,
            scale=scale,
            enrolled=tuple(own_streams(scale, calibration)),
        )


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One substituted run under one claim: when the alarm came, if it did, and whether the run lasted long enough to judge."""

    claim: str
    family: str
    alarm_s: float | None
    lasted_s: float

    @property
    def caught(self) -> bool:
        return self.alarm_s is not None and self.alarm_s <= CAUGHT_WITHIN_S


def attempts(guard: Guard, results: Iterable[Scored], claims: Sequence[str], rate: float) -> list[Attempt]:
    """Each run under each claim."""
    threshold = threshold_for(guard.enrolled, rate).value
    found = []
    for one in results:
        for claim in claims:
            stream = guard.scale.stream(one, claim)
            alarms = stream.alarms(threshold) if stream is not None else ()
            found.append(
                Attempt(
                    claim=claim,
                    family=one.one.run.disguise or one.one.run.family,
                    alarm_s=alarms[0] if alarms else None,
                    lasted_s=float(one.one.start_s[-1]) + one.one.window_s,
                )
            )
    return found


def substitution(
    benches: Sequence[Bench],
    detectors: Sequence[Detector],
    tell: Tell,
    *,
    rates: Sequence[float] = (RATE_PER_DEVICE_HOUR,),
    folds_max: int = FOLDS_MAX,
    abroad: Sequence[Prepared] = (),
) -> Answer:
    """Training under the claim of each approved inference. `abroad`: training of other systems, for those that have none."""
    rows: list[tuple[Cell, ...]] = []
    for bench in benches:
        approved = [one for one in bench.prepared if one.run.kind == "inference" and not one.run.disguise]
        own = [one for one in bench.prepared if one.run.kind == "training"]
        claims = sorted({one.run.workload for one in approved})
        if not approved or not (own or abroad):
            continue
        for detector in detectors:
            guard = Guard.of(detector, approved, tell, folds_max=folds_max)
            tell(f"{detector.name} on {bench.name}: substitution")
            for rate in rates:
                if own:
                    found = attempts(guard, scored(detector, approved, own), claims, rate)
                    rows.append((bench.name, "same hardware", detector.name, *_caught(guard, found, rate)))
                else:
                    found = [one for claim in claims for one in _from_abroad(guard, abroad, claim, rate)]
                    rows.append(
                        (bench.name, "other hardware, level matched", detector.name, *_caught(guard, found, rate))
                    )
    if not rows:
        raise InputError(
            "there is no training to substitute for an approved inference", remedy="give runs of both kinds"
        )
    return Answer(
        question="substitution",
        title="Training in the place of claimed inference: caught within ten minutes",
        columns=("hardware", "training of", "detector", "rate set per h", "caught", "ever", "median s to alarm", "worst claim",
                 "its share", "worst training", "its share", "threshold", "hours enrolled"),
        rows=tuple(rows),
        notes=(
            (
                "Only inference is enrolled. Every training run is tried under the claim of every enrolled inference; a run that "
                "ends before ten minutes without an alarm counts as missed. Intervals: 95 %, Clopper-Pearson over attempts, which "
                "are not independent: workloads of training are few."
            ),
            (
                "Level matched: power of another system's training, scaled to the mean of the claimed workload. It stands for no "
                "real attack; it shows what is left when the level is given away."
            ),
        ),
    )  # fmt: skip


def _from_abroad(guard: Guard, abroad: Sequence[Prepared], claim: str, rate: float) -> list[Attempt]:
    """Training of other systems with its power scaled to the mean of the claimed workload."""
    level = float(np.mean([np.nanmean(one.run.frame.values) for one in guard.fitted_on if one.run.workload == claim]))
    asked = [scaled_to(one, level) for one in abroad]
    return attempts(guard, scored(guard.detector, guard.fitted_on, asked), [claim], rate)


def scaled_to(one: Prepared, level: float) -> Prepared:
    """A run whose values have this mean, with its windows computed anew. For frames of one signal only: raises `InputError`."""
    frame = one.run.frame
    if len(frame.signals) != 1:
        raise InputError("levels are matched for power alone", where=one.run.id, remedy="choose --signals power_w")
    factor = level / float(np.nanmean(frame.values))
    values = np.ascontiguousarray(frame.values * np.float32(factor))
    stride_s = float(np.diff(one.start_s).min()) if len(one) > 1 else one.window_s
    return prepare(replace(one.run, frame=replace(frame, values=values)), window_s=one.window_s, stride_s=stride_s)


def _caught(guard: Guard, found: Sequence[Attempt], rate: float) -> tuple[Cell, ...]:
    threshold = threshold_for(guard.enrolled, rate)
    good = [one.caught for one in found]
    claim, of_claim = metrics.worst([one.claim for one in found], good)
    family, of_family = metrics.worst([one.family for one in found], good)
    times = [one.alarm_s for one in found if one.alarm_s is not None]
    ever: Figure = metrics.share(len(times), len(found))
    return (
        rate,
        metrics.share(sum(good), len(found)),
        ever,
        float(np.median(times)) if times else None,
        claim,
        of_claim,
        family,
        of_family,
        "extrapolated" if threshold.extrapolated else "counted",
        threshold.hours,
    )
