"""Runs of made-up workloads: a level, a rhythm, and noise that remembers."""

from __future__ import annotations

import numpy as np

from inspectorate.mechanisms.workloads.signature.library import Reference
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows import window_features

WINDOW_S = 60.0
SHAPES = {"serve": (400.0, 20.0, 17.0), "batch": (520.0, 15.0, 5.0), "train": (640.0, 60.0, 9.0)}
"""Level [W], depth of the rhythm [W], period [s]."""


def frame(workload: str, seed: int, *, minutes: int = 12, units: int = 1, gain: float = 1.0) -> Frame:
    """One run at 1 Hz; its level is its own by a per mille or so."""
    random = np.random.default_rng(seed)
    level, depth, period = SHAPES[workload]
    times = np.arange(60 * minutes)
    own = level * (1 + 0.001 * random.standard_normal())
    noise = np.zeros((len(times), units))
    shocks = random.normal(0, 4.0, noise.shape)
    for k in range(1, len(times)):
        noise[k] = 0.7 * noise[k - 1] + shocks[k]
    wave = depth * np.sign(np.sin(2 * np.pi * (times / period + random.random())))
    values = gain * (own + wave[:, None] + noise)
    return Frame(
        units=tuple(f"chip-{k}" for k in range(units)),
        signals=("power_w",),
        start_ns=0,
        step_ns=1_000_000_000,
        values=np.ascontiguousarray(values[None].astype(np.float32)),
    )


def features(made: Frame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return window_features(made, window_s=WINDOW_S).values.astype(np.float64)


def names() -> tuple[str, ...]:
    return window_features(frame("serve", 0, minutes=1), window_s=WINDOW_S).names


def references(workloads: tuple[str, ...] = ("serve", "batch"), runs: int = 6, units: int = 1) -> list[Reference]:
    found = []
    for workload in workloads:
        for run in range(runs):
            values = features(frame(workload, 100 + run, units=units))
            found += [
                Reference(run=f"{workload}-{run}", workload=workload, values=values[:, unit]) for unit in range(units)
            ]
    return found
