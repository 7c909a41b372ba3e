"""What a trial measured, as plain records: calibration, times, bytes, and how disturbed the machine was.

A record holds all that a planner needs to predict the time of a step without having seen the step under its limit:
seconds of computing from the calibration, payload and wire bytes by formula, the rate and the round trip of the link
without a limit.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.lab.trial import Bytes, Method, Trial, payload, wire
from inspectorate.quantities import NonNegative, Positive

DISTURBED_SHARE = 0.1
"""A trial is repeated when computing became slower or faster around it by more than this share of its step."""
DISTURBED_CORES = 0.5
"""And, without a limit, when other programs took more than this many cores: there the link is computing as well."""

Parts = Mapping[str, float]


class Spread(Record):
    """A median with the tenth and the ninetieth percentile of so many values."""

    median: NonNegative
    low: NonNegative
    high: NonNegative
    count: int = Field(ge=1)


def spread(values: Sequence[float]) -> Spread:
    """Raises `ValueError` on no values: nothing measured is not zero."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(
        median=statistics.median(ordered),
        low=ordered[round(0.1 * last)],
        high=ordered[round(0.9 * last)],
        count=len(ordered),
    )


class LinkSpeed(Record):
    """The link between two pods without a limit."""

    bytes_per_s: Positive = Field(description="each way, both ways at once, as interfaces count")
    round_trip_s: Positive


class Calibration(Record):
    """Seconds of the parts of a step without network, medians of before and after. Parts are named by the workers.

    `compute` a step (low communication: all inner steps), `synchronise` packing, unpacking and the outer step;
    pipeline: `forward` and `backward` of the first half and `both` of the second per micro-batch, `optimise` per step.
    """

    first_by_itself_s: dict[str, NonNegative]
    first_s: dict[str, NonNegative] = Field(description="both pods computing at once; inference: the pod")
    second_s: dict[str, NonNegative] = Field(description="empty for inference")
    before_s: NonNegative = Field(description="computing of one step by the calibration before it")
    after_s: NonNegative
    link: LinkSpeed


class Measured(Record):
    """What was measured under the limit."""

    step_s: Spread
    steps_s: tuple[NonNegative, ...]
    waiting_s: Spread | None = Field(description="of a step, waiting for the peer, as far as the worker can know")
    first_tokens_s: Spread | None = Field(default=None, description="inference: until the first frame of the answer")
    network_s: tuple[NonNegative, ...] = Field(
        default=(), description="inference: of each request, its way to the pod and that of its last frame back"
    )
    whole_s: Positive = Field(description="the whole segment")
    tokens_per_s: NonNegative
    sent: Bytes = Field(description="per step, at the interface of who sent it, with what the gateway dropped")
    delivered: Bytes = Field(description="per step, as the gateway handed it on")
    loss_first: NonNegative | None = None
    loss_last: NonNegative | None = None
    load_average: NonNegative = Field(description="of one minute, at the end")
    other_cores: NonNegative = Field(description="cores that everything else on the machine took meanwhile")


class Result(Record):
    """A trial with its arithmetic, its calibration and its measurement."""

    trial: Trial
    parameters: int
    tokens_per_step: int
    tokens_per_parameter: Positive
    payload: Bytes
    wire: Bytes
    calibration: Calibration
    measured: Measured
    disturbed: bool
    attempts: int = Field(ge=1)


def result(trial: Trial, calibration: Calibration, measured: Measured, *, attempts: int) -> Result:
    return Result(
        trial=trial,
        parameters=trial.shape.parameters,
        tokens_per_step=trial.tokens_per_step,
        tokens_per_parameter=trial.tokens_per_parameter,
        payload=payload(trial),
        wire=wire(trial),
        calibration=calibration,
        measured=measured,
        disturbed=is_disturbed(trial, calibration, measured),
        attempts=attempts,
    )


def is_disturbed(trial: Trial, calibration: Calibration, measured: Measured) -> bool:
    """Whether other programs changed the speed of the machine by so much that the step says little."""
    drift_s = abs(calibration.after_s - calibration.before_s)
    slowed = drift_s > DISTURBED_SHARE * measured.step_s.median
    return slowed or (trial.limit_bytes_per_s is None and measured.other_cores > DISTURBED_CORES)


def computing_s(trial: Trial, first_s: Parts, second_s: Parts) -> float:
    """Seconds of computing in one step, of the slower pod; pipeline: of both, one after the other."""
    if trial.method is Method.PIPELINE:
        each = first_s["forward"] + first_s["backward"] + second_s["both"]
        return trial.micro_batches * each + max(first_s["optimise"], second_s["optimise"])
    return max(sum(first_s.values()), sum(second_s.values()))


def medians(rows: Sequence[Parts]) -> dict[str, float]:
    """The median of each part. Raises `ValueError` on no rows."""
    if not rows:
        raise ValueError("nothing was calibrated")
    return {part: statistics.median(row[part] for row in rows) for part in rows[0]}
