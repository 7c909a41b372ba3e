"""Trials on the bench, as root: one small trial of each method, and that limits are what makes them slow."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.lab.network import NAMESPACES, Network, prefix_of
from inspectorate.lab.shaping import Limits, PodLimit, burst_bytes, shape
from inspectorate.lab.trial import Compression, Method, Trial
from inspectorate.lab.trial_prediction import predict_simply
from inspectorate.lab.trial_result import Result
from inspectorate.lab.trial_run import PODS, WORKERS, Job, Segment, Trials
from inspectorate.lab.trial_shape import BENCH

NEEDS = ("ip", "tc", "ethtool", "pmacctd", "timeout")
pytestmark = [
    pytest.mark.root,
    pytest.mark.tools,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root and network namespaces"),
    pytest.mark.skipif(any(shutil.which(t) is None for t in NEEDS), reason=f"needs {', '.join(NEEDS)}"),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch==2.13.0"),
]
WIRE_TOLERANCE = 0.1
"""Delivered bytes against the formula. Short trials carry retransmissions and acknowledgements of their start."""
more = pytest.mark.skipif("INSPECTORATE_RECORD" not in os.environ, reason="runs more trials: set INSPECTORATE_RECORD=1")
"""Half a minute each; data-parallel and low-communication training, with limit and without, always run."""
TIME_TOLERANCE = 0.4
"""A few steps, on a machine that may be busy; docs/trials.md has what longer trials give."""


class Switch:
    """An enforcing gateway that writes down what is asked of it, and enforces or not."""

    def __init__(self) -> None:
        self.asked: list[Limits] = []
        self.on = True

    def __call__(self, network: Network, limits: Limits) -> None:
        self.asked.append(dict(limits))
        if self.on:
            shape(network, limits)


@pytest.fixture(scope="module")
def switch() -> Switch:
    return Switch()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, switch: Switch) -> Iterator[Trials]:
    with Trials(tmp_path_factory.mktemp("trials"), lambda text: None, enforce=switch) as trials:
        yield trials
    assert not [path for path in NAMESPACES.iterdir() if path.name.startswith(prefix_of(os.getpid()) + "-")]


def run(bench: Trials, trial: Trial) -> Result:
    return bench.run(Job.of(trial, calibrations=2))[0]


def assert_limited(found: Result) -> None:
    """No more was delivered than the limit and one burst allow, and hardly less than the formula says."""
    limit, steps = found.trial.limit_bytes_per_s, found.trial.steps
    assert limit is not None
    for direction in ("from_pod", "to_pod"):
        delivered = getattr(found.measured.delivered, direction)
        # Two buckets stand in the way from pod to pod, and each lets one burst through.
        assert delivered * steps <= limit * found.measured.whole_s + 2 * burst_bytes(limit) + 3000
        assert delivered == pytest.approx(getattr(found.wire, direction), rel=WIRE_TOLERANCE)


def test_data_parallel_training(bench: Trials, switch: Switch) -> None:
    trial = Trial(name="dp", method=Method.DATA_PARALLEL, shape=BENCH, batch=4, limit_bytes_per_s=1.5e6, steps=4)
    switch.asked.clear()
    found = run(bench, trial)
    assert_limited(found)
    assert found.measured.step_s.median == pytest.approx(predict_simply(trial, found.calibration), rel=TIME_TOLERANCE)
    assert switch.asked == [dict.fromkeys(PODS, PodLimit.both(1.5e6)), dict.fromkeys(PODS)]


def test_low_communication_training_with_and_without_a_limit(bench: Trials) -> None:
    trial = Trial(
        name="lc",
        method=Method.LOW_COMMUNICATION,
        shape=BENCH,
        batch=2,
        inner_steps=4,
        compression=Compression.SPARSE,
        overlapped=True,
        paced=True,
        limit_bytes_per_s=5e3,
        steps=3,
    )
    free, limited = bench.run(
        Job(
            trial=trial,
            segments=(Segment(steps=6, limit_bytes_per_s=None), Segment(steps=3, limit_bytes_per_s=5e3)),
            calibrations=1,
        )
    )
    assert free.trial.limit_bytes_per_s is None
    assert not free.trial.paced
    assert free.measured.step_s.count == 5
    assert limited.measured.step_s.median == pytest.approx(
        predict_simply(limited.trial, limited.calibration), rel=TIME_TOLERANCE
    )
    assert limited.measured.step_s.median > 4 * free.measured.step_s.median
    assert_limited(limited)


@more
def test_pipeline_training(bench: Trials) -> None:
    trial = Trial(
        name="pp",
        method=Method.PIPELINE,
        shape=BENCH,
        batch=2,
        micro_batches=4,
        compression=Compression.INT8,
        limit_bytes_per_s=1e5,
        steps=4,
    )
    found = run(bench, trial)
    assert_limited(found)
    assert found.measured.waiting_s is not None
    assert found.measured.step_s.median == pytest.approx(predict_simply(trial, found.calibration), rel=TIME_TOLERANCE)


@more
def test_inference_in_frugal_frames(bench: Trials) -> None:
    trial = Trial(name="inf", method=Method.INFERENCE, shape=BENCH, answer_tokens=32, limit_bytes_per_s=8e3, steps=10)
    found = run(bench, trial)
    tokens = found.trial.answer_tokens
    assert found.measured.delivered.from_pod / tokens < 10
    assert found.measured.delivered.from_pod <= found.wire.from_pod * 1.05
    assert len(found.measured.network_s) == found.measured.step_s.count == 10
    assert found.measured.first_tokens_s is not None
    assert found.measured.first_tokens_s.median < found.measured.step_s.median


@more
def test_without_enforcement_the_same_step_is_fast(bench: Trials, switch: Switch) -> None:
    """The check of the others can fail: it is the limit that makes them slow."""
    trial = Trial(name="none", method=Method.DATA_PARALLEL, shape=BENCH, batch=1, limit_bytes_per_s=1e4, steps=2)
    switch.on = False
    try:
        found = run(bench, trial)
    finally:
        switch.on = True
    assert found.measured.step_s.median < predict_simply(trial, found.calibration) / 20
    with pytest.raises(AssertionError):
        assert_limited(found)


def test_a_worker_that_fails_is_named(bench: Trials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WORKERS, Method.INFERENCE, ("work_nobody", "work_nobody"))
    with pytest.raises(EnvironmentError_, match=r"worker-0 failed.*work_nobody"):
        run(bench, Trial(name="x", method=Method.INFERENCE, shape=BENCH, steps=2))
