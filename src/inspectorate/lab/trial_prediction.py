"""A simple prediction of the time of a step, and the comparison of any prediction with what was measured.

`predict_simply` is a reference for tests and tables. It knows the trial and the calibration, never the measurement:

- data-parallel: computing, then wire bytes over the limit. Torch sends gradients while it computes the rest, so this
  is too long by at most the backward pass.
- low-communication, blocking: inner steps, packing, then wire bytes over the limit. Overlapped: the larger of the two.
- pipeline: the schedule of `work_trial_pipeline`, with one micro-batch at a time on each half and each direction.
- inference, one request at a time: the larger of computing and wire bytes over the limit, in the busier direction.

Where no limit holds, the rate is that of the link as calibrated. `compare` takes predictions of anybody as data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inspectorate.canonical import Record
from inspectorate.lab.pacing import WIRE_BYTES_PER_PAYLOAD_BYTE
from inspectorate.lab.trial import PACED_SHARE, Method, Trial, payload, wire
from inspectorate.lab.trial_result import Calibration, Parts, Result, computing_s
from inspectorate.quantities import NonNegative, Positive

WITHIN = 0.25
"""The planner is held to this share of the measured time."""


def predict_simply(trial: Trial, calibration: Calibration) -> float:
    """Seconds of one step, by the rules of the module."""
    rate = trial.limit_bytes_per_s or calibration.link.bytes_per_s
    rate = min(rate, calibration.link.bytes_per_s)
    busier = max(wire(trial).from_pod, wire(trial).to_pod)
    crossing_s = busier / rate
    if trial.paced:
        crossing_s = (
            max(payload(trial).from_pod, payload(trial).to_pod) * WIRE_BYTES_PER_PAYLOAD_BYTE / rate / PACED_SHARE
        )
    computed_s = computing_s(trial, calibration.first_s, calibration.second_s)
    latency_s = calibration.link.round_trip_s
    match trial.method:
        case Method.DATA_PARALLEL:
            return computed_s + crossing_s + 2 * latency_s
        case Method.LOW_COMMUNICATION:
            return max(computed_s, crossing_s) if trial.overlapped else computed_s + crossing_s + latency_s
        case Method.PIPELINE:
            one_s = busier / trial.micro_batches / rate + latency_s / 2
            return pipeline_s(trial, calibration.first_s, calibration.second_s, crossing_s=one_s)
        case Method.INFERENCE:
            return max(computed_s, crossing_s) + latency_s


def pipeline_s(trial: Trial, first_s: Parts, second_s: Parts, *, crossing_s: float) -> float:
    """A step of the pipeline: follow each micro-batch through first half, link, second half, link and first half."""
    count = trial.micro_batches
    sent = computed = returned = 0.0
    back = count * first_s["forward"]
    for index in range(count):
        sent = max((index + 1) * first_s["forward"], sent) + crossing_s
        computed = max(sent, computed) + second_s["both"]
        returned = max(computed, returned) + crossing_s
        back = max(returned, back) + first_s["backward"]
    return max(back + first_s["optimise"], computed + second_s["optimise"])


class Compared(Record):
    """One trial beside a prediction."""

    name: str
    measured_s: Positive
    predicted_s: NonNegative
    off: float
    """Predicted over measured, less one."""
    within: bool


def compare(results: Sequence[Result], predicted_s: Mapping[str, float]) -> tuple[Compared, ...]:
    """Hold predictions, by name of the trial, against what was measured.

    Raises `ValueError` if there is nothing to compare or a trial has no prediction.
    """
    if not results:
        raise ValueError("there are no results to compare with")
    missing = [one.trial.name for one in results if one.trial.name not in predicted_s]
    if missing:
        raise ValueError(f"no prediction for {', '.join(missing)}")
    rows = []
    for one in results:
        measured, predicted = one.measured.step_s.median, predicted_s[one.trial.name]
        off = predicted / measured - 1
        rows.append(
            Compared(
                name=one.trial.name,
                measured_s=measured,
                predicted_s=predicted,
                off=off,
                within=abs(off) <= WITHIN,
            )
        )
    return tuple(rows)
