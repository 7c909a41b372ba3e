"""In proportion: one limit, under which inference is as before and the best low-communication training crawls.

A limit by itself says nothing. What counts is the bytes of a synchronisation against the tokens between two of them.
The published example (arXiv 2506.15867, A3) has 131,072 tokens a step and pod, H = 100 steps, 405e9 parameters:
131,072 x 100 / 405e9 = 3.2e-5 tokens per parameter and synchronisation, compressed a hundredfold. The job here has
9.9e6 parameters and 320 tokens between synchronisations, which is the same, packed 141-fold (32 to 0.227 bits).

0. Computing is calibrated, and the planner chooses the limit from it: the largest under which it has that job a hundred
   times slower. It sees bytes by formula and seconds of computing, and no time of a step (`trial_planned`).
1. Training of that job, sparse, overlapped and paced, which is the best that a cheater has here: rounds without the
   limit, rounds under it, rounds without it again.
2. Data-parallel training of the same model: steps without the limit. Under it a step takes hours, so what crosses in
   half a minute is measured, and the step is projected from it.
3. Inference of the same model in frugal frames: requests at random times, under the limit and without it in turns.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.lab.trial import Compression, Method, Trial, wire
from inspectorate.lab.trial_planned import choose_limit
from inspectorate.lab.trial_result import Result, Spread, computing_s, spread
from inspectorate.lab.trial_run import Job, Segment, Trials
from inspectorate.lab.trial_shape import MEDIUM
from inspectorate.quantities import NonNegative, Positive

SLOWER = 100.0
"""What the limit is to achieve (arXiv 2506.15867, design target)."""
CALIBRATING_ROUNDS = 3
FREE_ROUNDS = 10
LIMITED_ROUNDS = 2
"""Two exchanges: one while the second round is computed, one after it."""
FREE_STEPS = 8
CARRY_S = 30.0
TURNS = 6
REQUESTS_PER_TURN = 10
GAP_S = 2.0
"""Mean time between requests; each answer takes about half of it to compute."""

SPARSE = Trial(
    name="proportion-sparse",
    method=Method.LOW_COMMUNICATION,
    shape=MEDIUM,
    inner_steps=5,
    compression=Compression.SPARSE,
    overlapped=True,
    steps=LIMITED_ROUNDS,
)
DATA_PARALLEL = Trial(name="proportion-dp", method=Method.DATA_PARALLEL, shape=MEDIUM, batch=5, steps=FREE_STEPS)
"""As many tokens a step as the other between two synchronisations."""
INFERENCE = Trial(
    name="proportion-inference",
    method=Method.INFERENCE,
    shape=MEDIUM,
    prompt_tokens=64,
    answer_tokens=24,
    tokens_per_frame=8,
    steps=REQUESTS_PER_TURN,
)


class Slowed(Record):
    """Training without the limit and under it."""

    trial: Trial
    tokens_per_parameter: Positive
    free_s: Spread
    limited_s: Spread
    projected: bool = Field(description="under the limit no step ended: projected from the bytes that crossed")
    slower: Positive = Field(description="against the same training without the limit")


class Latencies(Record):
    """Requests without the limit and under it, in turns."""

    trial: Trial
    free_p50_s: Positive
    free_p95_s: Positive
    limited_p50_s: Positive
    limited_p95_s: Positive
    free_network_p50_s: NonNegative = Field(description="of a request, what was neither waiting nor computing")
    limited_network_p50_s: NonNegative
    free_network_p95_s: NonNegative
    limited_network_p95_s: NonNegative
    requests_each: int
    from_pod_bytes_per_token: Positive
    to_pod_bytes_per_token: Positive
    busiest_bytes_per_s: Positive = Field(description="mean of the busier direction, over the busiest turn")
    added_p50: float
    added_p95: float


class Chosen(Record):
    """How the planner came to the limit."""

    slower: Positive
    compute_s: Positive = Field(description="of one round, by calibration")
    update_bytes: Positive = Field(description="on the wire, of one synchronisation")
    serving_bytes_per_s: Positive = Field(
        description="what the inference of step 3 asks for, by formula, at its mean rate"
    )


class Proportion(Record):
    """The whole measurement."""

    limit_bytes_per_s: Positive
    chosen: Chosen | None = Field(default=None, description="none: the limit was given")
    training: tuple[Slowed, ...]
    slower: Positive = Field(description="the fastest training under the limit against the fastest without, by token")
    inference: Latencies
    segments: tuple[Result, ...]


def measure(bench: Trials, *, limit_bytes_per_s: float | None = None) -> Proportion:
    """Measure all three parts on one bench; without a limit given, the planner chooses it."""
    chosen = None
    if limit_bytes_per_s is None:
        limit_bytes_per_s, chosen = _choose(bench)
    sparse = _sparse(bench, limit_bytes_per_s)
    parallel = _data_parallel(bench, limit_bytes_per_s)
    inference = _inference(bench, limit_bytes_per_s)
    training = (slowed(sparse), parallel)
    return Proportion(
        limit_bytes_per_s=limit_bytes_per_s,
        chosen=chosen,
        training=training,
        slower=slower_at_best(training),
        inference=latencies(inference),
        segments=(*sparse, *inference),
    )


def _choose(bench: Trials) -> tuple[float, Chosen]:
    """Step 0. The limit is a whole number of bytes per second."""
    found = bench.run(Job(trial=SPARSE, segments=(Segment(steps=CALIBRATING_ROUNDS, limit_bytes_per_s=None),)))[0]
    limit = float(math.floor(choose_limit(_paced(1.0), found.calibration, slower=SLOWER)))
    asked = wire(INFERENCE)
    return limit, Chosen(
        slower=SLOWER,
        compute_s=computing_s(SPARSE, found.calibration.first_s, found.calibration.second_s),
        update_bytes=wire(SPARSE).from_pod,
        serving_bytes_per_s=max(asked.from_pod, asked.to_pod) / GAP_S,
    )


def _paced(limit_bytes_per_s: float) -> Trial:
    return SPARSE.model_copy(update={"paced": True, "limit_bytes_per_s": limit_bytes_per_s})


def _sparse(bench: Trials, limit_bytes_per_s: float) -> tuple[Result, ...]:
    trial = _paced(limit_bytes_per_s)
    free = Segment(steps=FREE_ROUNDS, limit_bytes_per_s=None)
    limited = Segment(steps=LIMITED_ROUNDS, limit_bytes_per_s=limit_bytes_per_s)
    return bench.run(Job(trial=trial, segments=(free, limited, free)))


def slowed(segments: Sequence[Result]) -> Slowed:
    """Rounds with and without a limit. Raises `ValueError` if one of them was not measured."""
    free = _steps(segments, limited=False)
    limited = _steps(segments, limited=True)
    free_s, limited_s = spread(free), spread(limited)
    return Slowed(
        trial=next(s.trial for s in segments if s.trial.limit_bytes_per_s is not None),
        tokens_per_parameter=segments[0].tokens_per_parameter,
        free_s=free_s,
        limited_s=limited_s,
        projected=False,
        slower=limited_s.median / free_s.median,
    )


def slower_at_best(training: Sequence[Slowed]) -> float:
    """What the limit costs a cheater who takes the fastest method with it and without. Raises `ValueError` on none."""
    if not training:
        raise ValueError("no training was measured")
    free = max(one.trial.tokens_per_step / one.free_s.median for one in training)
    limited = max(one.trial.tokens_per_step / one.limited_s.median for one in training)
    return free / limited


def _steps(segments: Sequence[Result], *, limited: bool) -> list[float]:
    return [s for one in segments if (one.trial.limit_bytes_per_s is not None) == limited for s in one.measured.steps_s]


def _data_parallel(bench: Trials, limit_bytes_per_s: float) -> Slowed:
    free = bench.run(Job.of(DATA_PARALLEL))[0]
    limited = DATA_PARALLEL.model_copy(update={"limit_bytes_per_s": limit_bytes_per_s})
    carried_bytes_per_s = bench.carry(Job.of(limited, calibrations=1), seconds=CARRY_S)
    projected_s = wire(limited).from_pod / carried_bytes_per_s
    return Slowed(
        trial=limited,
        tokens_per_parameter=limited.tokens_per_parameter,
        free_s=free.measured.step_s,
        limited_s=spread([projected_s]),
        projected=True,
        slower=projected_s / free.measured.step_s.median,
    )


def _inference(bench: Trials, limit_bytes_per_s: float) -> tuple[Result, ...]:
    drawn = random.Random(1)  # noqa: S311 - times of requests, not a secret
    gaps_s = tuple(min(drawn.expovariate(1 / GAP_S), 4 * GAP_S) for _ in range(REQUESTS_PER_TURN))
    turns = tuple(
        Segment(steps=REQUESTS_PER_TURN, limit_bytes_per_s=limit_bytes_per_s if turn % 2 else None)
        for turn in range(2 * TURNS)
    )
    return bench.run(Job(trial=INFERENCE, segments=turns, calibrations=1, gaps_s=gaps_s))


def latencies(turns: Sequence[Result]) -> Latencies:
    """Requests of all turns together. Raises `ValueError` if either kind of turn is missing."""
    free, limited = _steps(turns, limited=False), _steps(turns, limited=True)
    network = {
        kind: [s for t in turns if (t.trial.limit_bytes_per_s is not None) == kind for s in t.measured.network_s]
        for kind in (False, True)
    }
    tokens = turns[0].trial.answer_tokens
    delivered = [t.measured.delivered for t in turns]
    return Latencies(
        trial=turns[0].trial,
        free_p50_s=share(free, 0.5),
        free_p95_s=share(free, 0.95),
        limited_p50_s=share(limited, 0.5),
        limited_p95_s=share(limited, 0.95),
        free_network_p50_s=share(network[False], 0.5),
        limited_network_p50_s=share(network[True], 0.5),
        free_network_p95_s=share(network[False], 0.95),
        limited_network_p95_s=share(network[True], 0.95),
        requests_each=min(len(free), len(limited)),
        from_pod_bytes_per_token=statistics.median(d.from_pod for d in delivered) / tokens,
        to_pod_bytes_per_token=statistics.median(d.to_pod for d in delivered) / tokens,
        busiest_bytes_per_s=max(
            max(t.measured.delivered.from_pod, t.measured.delivered.to_pod) * t.trial.steps / t.measured.whole_s
            for t in turns
        ),
        added_p50=share(limited, 0.5) / share(free, 0.5) - 1,
        added_p95=share(limited, 0.95) / share(free, 0.95) - 1,
    )


def share(values: Sequence[float], below: float) -> float:
    """The value that a share of all lies at or below. Raises `ValueError` on no values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-round(below * 1e9) * len(ordered) // 10**9) - 1))]
