"""The planner's prediction of a trial: the job as the planner knows it, and the time from one synchronisation to the next.

What the planner is told is what an adversary would know beforehand: bytes by formula, computing by calibration, the limit,
and whether the method waits while it synchronises, as its catalogue says. It never sees the measurement.

    data-parallel       the catalogue's `data-parallel`: gradients leave while the rest is computed
    low-communication   overlapped or not, as the trial is
    pipeline            two parts, so many micro-batches; it fills and drains once a step
    inference           answers leave while they are made
"""

from __future__ import annotations

from inspectorate.lab.pacing import WIRE_BYTES_PER_PAYLOAD_BYTE
from inspectorate.lab.trial import PACED_SHARE, Bytes, Method, Trial, payload, wire
from inspectorate.lab.trial_result import Calibration, computing_s
from inspectorate.mechanisms.interconnect.plan.kernel import fill
from inspectorate.mechanisms.interconnect.plan.methods import catalogue
from inspectorate.mechanisms.interconnect.plan.step import GivenJob, cycle_s
from inspectorate.mechanisms.interconnect.plan.types import LinkLimit

PARTS = 2
LIMIT_PRECISION = 1e-3


def predict_planned(trial: Trial, calibration: Calibration) -> float:
    """Seconds of one step, as the planner gives them."""
    rate = min(trial.limit_bytes_per_s or calibration.link.bytes_per_s, calibration.link.bytes_per_s)
    return cycle_s(_job(trial, calibration), LinkLimit.same(rate, round_trip_s=calibration.link.round_trip_s))


def choose_limit(trial: Trial, calibration: Calibration, *, slower: float) -> float:
    """The largest limit [bytes/s each way] under which the planner has this trial at least `slower` times slower.

    Without a limit and under it the trial is predicted, never measured. Raises `ValueError` if no limit does it.
    """
    free_s = predict_planned(trial.model_copy(update={"limit_bytes_per_s": None, "paced": False}), calibration)

    def holds(limit: float) -> bool:
        return predict_planned(trial.model_copy(update={"limit_bytes_per_s": limit}), calibration) >= slower * free_s

    low, high = 1.0, calibration.link.bytes_per_s
    if not holds(low):
        raise ValueError(f"no limit above 1 byte/s makes {trial.name} {slower:g} times slower")
    while high / low > 1 + LIMIT_PRECISION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _job(trial: Trial, calibration: Calibration) -> GivenJob:
    compute = computing_s(trial, calibration.first_s, calibration.second_s)
    moved = _moved(trial)
    if trial.method is Method.PIPELINE:
        filling = fill(PARTS, trial.micro_batches)
        crossing = max(moved.from_pod, moved.to_pod) * filling
        return GivenJob(compute_s=compute / PARTS * filling, crossing_bytes=crossing, overlap=True)
    overlap = {
        Method.DATA_PARALLEL: catalogue()["data-parallel"].overlap,
        Method.LOW_COMMUNICATION: trial.overlapped,
        Method.INFERENCE: True,
    }
    return GivenJob(
        compute_s=compute, sent_bytes=moved.from_pod, received_bytes=moved.to_pod, overlap=overlap[trial.method]
    )


def _moved(trial: Trial) -> Bytes:
    """Bytes that count against the limit in one step."""
    if not trial.paced:
        return wire(trial)
    each, content = WIRE_BYTES_PER_PAYLOAD_BYTE / PACED_SHARE, payload(trial)
    return Bytes(from_pod=content.from_pod * each, to_pod=content.to_pod * each)
