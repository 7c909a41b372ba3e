"""A tolerance from honest re-runs: the unit is the run, and the stated false-alarm rate is a bound, not a guess.

1. Honest runs are run again, packet by packet, on every stack (or manner: threads, split of a batch, vector units) for which the
   tolerance shall hold. A calibration run that is not clean itself is refused.
2. Of each run the worst packet counts, on the worst stack: packets of one run share weights and noise, and are not independent.
3. The first quarter of the runs gives the scale of each of the four measures (median); the score of a run is the largest of its
   measures, each in its scale. So four thresholds cost one quantile.
4. Threshold: `margin` times the largest score of the other runs. With n of them and none beyond, the share of honest runs with a
   packet beyond the largest is below 1 - (1 - confidence)^(1/n) (Clopper-Pearson), and the margin only lowers it.

The bound holds for runs like those of the calibration, looked at in as many packets: the same program, one of its stacks, packets
of at most as many steps. How the distance changes with the steps of a packet depends on the optimiser: differences add up, and so
does the update that they are held against. `fit_growth` measures it, and is checked on step counts that were held out; it never
stretches a tolerance beyond the steps that were run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import ReplayMethod, WorkKind
from inspectorate.mechanisms.inspection.rerun.measure import Again, Measured, Work, measure
from inspectorate.mechanisms.inspection.rerun.program import Program
from inspectorate.mechanisms.inspection.rerun.reference import CONFIDENCE, HONEST_RUNS_MIN, MARGIN
from inspectorate.mechanisms.inspection.rerun.replay import LARGEST, LOSSES, OPTIMISER, STEPS, TrainingReplayer
from inspectorate.mechanisms.inspection.results import Tolerance
from inspectorate.mechanisms.inspection.transcripts.types import Stack
from inspectorate.statistics.sampling import clopper_pearson_upper

SCALE_MIN = 1e-9
"""Of a measure: below it a difference is zero for every purpose."""
SCALE_SHARE = 4
"""One run in so many gives scales."""
UNIT = "largest L2 distance of a weight tensor from the verifier's own result, relative to the verifier's update of it"


@dataclass(frozen=True, kw_only=True)
class HonestScore:
    """One packet of an honest run, run again on one stack."""

    run: str
    stack: Stack
    steps: int
    distance: float
    largest: float
    optimiser: float
    losses: float

    @property
    def measures(self) -> tuple[float, float, float, float]:
        return self.distance, self.largest, self.optimiser, self.losses


def honest_scores(
    replayers: Mapping[str, TrainingReplayer], numbers: Sequence[int], agains: Sequence[Again]
) -> list[HonestScore]:
    """Run packets of honest runs again, on each stack. All are of one program.

    Raises `EvidenceError` where one is not clean.
    """
    works: dict[int, Work] = {}
    names: list[str] = []
    for name, replayer in replayers.items():
        own, faults = replayer.works(numbers)
        if faults:
            number, fault = next(iter(faults.items()))
            raise EvidenceError(f"packet {number}: {fault.reason}", where=name, remedy="calibrate with honest runs")
        for work in own.values():
            works[len(works)] = work
            names.append(name)
    if not works:
        raise InputError("no honest run was given", where="calibration")
    one = next(iter(replayers.values()))
    found = []
    for again in agains:
        for number, result in measure(works, one.program, again, code=one.code).items():
            found.append(_score(names[number], again.stack, works[number], result))
    return found


def _score(name: str, stack: Stack, work: Work, result: Measured | str) -> HonestScore:
    if isinstance(result, str) or result.judged.contradicts is not None:
        why = result if isinstance(result, str) else result.judged.contradicts
        raise EvidenceError(str(why), where=name, remedy="calibrate with honest runs")
    judged = result.judged
    return HonestScore(
        run=name,
        stack=stack,
        steps=work.content.steps,
        distance=judged.distance,
        largest=judged.largest,
        optimiser=judged.optimiser,
        losses=judged.losses,
    )


def tolerance_of(
    scores: Sequence[HonestScore],
    program: Program,
    *,
    name: str = "weights",
    prover: Sequence[Stack] = (),
    margin: float = MARGIN,
    confidence: float = CONFIDENCE,
) -> Tolerance:
    """The tolerance that honest runs give; `prover`: stacks on which those runs were made. Raises `InputError` on too few."""
    of_run: dict[str, list[float]] = {}
    for score in scores:
        worst = of_run.setdefault(score.run, [0.0] * 4)
        of_run[score.run] = [max(a, b) for a, b in zip(worst, score.measures, strict=True)]
    runs = np.asarray(list(of_run.values()))
    if len(runs) < HONEST_RUNS_MIN:
        raise InputError(f"{len(runs)} honest runs are fewer than {HONEST_RUNS_MIN}", where="calibration")
    if not margin >= 1:
        raise InputError(f"a margin of {margin} lies below 1", where="calibration")
    first = len(runs) // SCALE_SHARE
    scales = np.maximum(np.median(runs[:first], axis=0), SCALE_MIN)
    rest = (runs[first:] / scales).max(axis=1)
    limits = (scales * margin * float(rest.max())).tolist()
    stacks = tuple({one.canonical_bytes(): one for one in (*prover, *(score.stack for score in scores))}.values())
    return Tolerance(
        id=name,
        subject=program.digest,
        method=ReplayMethod.WEIGHTS,
        work=WorkKind.TRAINING,
        stacks=stacks,
        unit=UNIT,
        threshold=limits[0],
        honest_runs=len(rest),
        false_alarm_rate=clopper_pearson_upper(0, len(rest), 1 - confidence),
        confidence=confidence,
        parameters={
            STEPS: float(min(_steps_of(scores))),
            LARGEST: limits[1],
            OPTIMISER: limits[2],
            LOSSES: limits[3],
            "margin": margin,
        },
    )


def _steps_of(scores: Sequence[HonestScore]) -> list[int]:
    """The most steps of a packet, for every run: the tolerance holds for what every run has."""
    most: dict[str, int] = {}
    for score in scores:
        most[score.run] = max(most.get(score.run, 0), score.steps)
    return list(most.values())


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Distance against steps of a packet: coefficient * steps ** exponent, by least squares on logarithms of medians."""

    coefficient: float
    exponent: float

    def at(self, steps: int) -> float:
        return float(self.coefficient * steps**self.exponent)


def fit_growth(distances: Mapping[int, Sequence[float]]) -> Growth:
    """Fit to distances by step count. Raises `InputError` on fewer than two counts, or where a median is zero."""
    points = [(steps, float(np.median(found))) for steps, found in distances.items() if len(found)]
    if len(points) < 2 or any(steps < 1 or not value > 0 for steps, value in points):
        raise InputError("growth needs positive distances at two step counts or more", where="calibration")
    exponent, constant = np.polyfit(np.log([p[0] for p in points]), np.log([p[1] for p in points]), 1)
    return Growth(coefficient=math.exp(float(constant)), exponent=float(exponent))
