"""Small runs of power with a shape of their own for each workload, made from a seed."""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared
from inspectorate.mechanisms.workloads.evaluate.runs import Kind, Run, frame_of

SHAPES: dict[str, tuple[float, float, float, Kind]] = {
    "flat/offline": (500.0, 3.0, 0.0, "inference"),
    "waves/server": (420.0, 5.0, 60.0, "inference"),
    "steps/train": (600.0, 4.0, 150.0, "training"),
}
"""Workload -> level, noise, height of its rhythm, kind."""


def made_run(workload: str, number: int, *, seconds: int = 400, hardware: str = "rack", **names: str) -> Run:
    """A run at 1 Hz; runs of one workload differ in level by a per mille and in noise."""
    level, noise, height, kind = SHAPES[workload]
    random = np.random.default_rng(1000 * sorted(SHAPES).index(workload) + number)
    moments = np.arange(seconds, dtype=np.float64)
    rhythm = height * (np.sin(2 * np.pi * moments / (9 if kind == "training" else 23)) > 0)
    watts = level * (1 + 0.001 * random.normal()) + rhythm + noise * random.normal(size=seconds)
    own = {"family": workload.split("/")[0], "submitter": "us", "session": "s1", "job": f"{workload}#{number}"} | names
    return Run(
        id=f"{hardware}/{workload}#{number}",
        frame=frame_of(moments, watts[:, None], signals=("power_w",), step_s=2.0),
        workload=workload,
        kind=kind,
        hardware=hardware,
        **own,
    )


def plain(run: Run, *, windows: int = 6, value: float = 0.0) -> Prepared:
    """Windows without content, for tests of what surrounds detectors."""
    return Prepared(
        run=run,
        names=("power_w:mean",),
        start_s=30.0 * np.arange(windows),
        features=np.full((windows, 1), value),
        series=np.full((windows, 1, 30), value, dtype=np.float32),
        offered=windows,
        window_s=60.0,
    )
