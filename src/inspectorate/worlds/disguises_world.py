"""Cases from simulated machines: training shown as serving, at the meter of a node or at the meters of chips.

Serving is enrolled as on simulated sites (`telemetry_enrolment`): the inspector's runs over the whole range of load. Covers are
runs of other requests, and training runs have rhythms of their own. Everything is drawn from the seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inspectorate.declaration import MeasuringPoint
from inspectorate.mechanisms.workloads.evaluate.runs import Run
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.worlds import model, telemetry_enrolment, telemetry_model
from inspectorate.worlds.disguises_attack import Case
from inspectorate.worlds.disguises_curve import PowerCurve
from inspectorate.worlds.disguises_detector import Enrolled
from inspectorate.worlds.disguises_recorded import Tell, Terms
from inspectorate.worlds.disguises_render import Known
from inspectorate.worlds.telemetry_model import CHIP_SIGNALS, POWER_SIGNALS, Draw, Floats, Machine, draws

POINTS = (MeasuringPoint.NODE, MeasuringPoint.CHIP)
LIMIT_BYTES_PER_S, AVERAGING_S = 42_500.0, 60.0
"""Of the shipped agreements: what a pod at its limit serves keeps its chips busy."""
COVERS = (0.3, 0.6, 0.9)
"""Mean demand of the covers."""
COVER_S = 1800
TRAINING_S = 900


def world_cases(seed: int, point: MeasuringPoint, terms: Terms, tell: Tell) -> tuple[Case, ...]:
    """Training of one simulated pod shown as serving under several loads."""
    draw = draws(seed)
    machine = Machine.draw(model.CORES_PER_POD, draw("disguises machine"))
    make = _maker(point, machine)
    approved = [
        _run(f"enrolled-{number + 1}", make(load, np.zeros(len(load)), draw(f"disguises enrolled {number}")), "serving")
        for number, load in enumerate(telemetry_enrolment.requests(LIMIT_BYTES_PER_S, AVERAGING_S))
    ]
    idle = make(np.zeros(TRAINING_S), np.zeros(TRAINING_S), draw("disguises idle"))
    training = [_training(make, draw, number) for number in range(terms.runs_max)]
    curve = PowerCurve.of([*(run.frame for run in approved), *training, idle], exponent=terms.exponent)
    tell(f"enrols serving at the meter of {'a node' if point is MeasuringPoint.NODE else 'chips'}")
    detector = Enrolled.on(approved, rate=terms.rate)
    found = []
    for number, share in enumerate(COVERS):
        load = telemetry_enrolment.cover_load(
            LIMIT_BYTES_PER_S, AVERAGING_S, share=share, seconds=COVER_S, random=draw(f"disguises cover {number}")
        )
        cover = make(load, np.zeros(COVER_S), draw(f"disguises cover noise {number}"))
        for place, frame in enumerate(training):
            known = Known(
                references=tuple(run.frame for run in approved),
                cover=cover,
                curve=curve,
                times=round(terms.observed_s / telemetry_model.STEP_S),
            )
            found.append(
                Case(run=f"training-{place + 1}", claimed="serving", training=frame, known=known, detector=detector)
            )
    return tuple(found)


Make = Callable[[Floats, Floats, np.random.Generator], Frame]


def _maker(point: MeasuringPoint, machine: Machine) -> Make:
    def make(serving: Floats, training: Floats, random: np.random.Generator) -> Frame:
        chips = telemetry_model.chips_of(serving, training, machine, random)
        values = chips
        if point is MeasuringPoint.NODE:
            values = telemetry_model.node_of(chips, machine, random)[None, :, None]
        units = values.shape[2]
        # Evaluation takes runs of one unit: of chips, the first stands for all.
        return Frame(
            units=tuple(f"unit-{unit}" for unit in range(units))[:1],
            signals=POWER_SIGNALS if point is MeasuringPoint.NODE else CHIP_SIGNALS,
            start_ns=0,
            step_ns=round(telemetry_model.STEP_S * 1e9),
            values=np.ascontiguousarray(values[:, :, :1].astype(np.float32)),
        )

    return make


def _training(make: Make, draw: Draw, number: int) -> Frame:
    rhythm = telemetry_model.training_of(TRAINING_S, draw(f"disguises training {number}"))
    return make(np.zeros(TRAINING_S), rhythm, draw(f"disguises training noise {number}"))


def _run(name: str, frame: Frame, workload: str) -> Run:
    return Run(
        id=name, frame=frame, workload=workload, kind="inference", family=workload, hardware="simulated",
        submitter="simulated", session="enrolment", job=name,
    )  # fmt: skip
