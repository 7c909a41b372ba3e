"""What features of mere noise look like: run with -s for the figures of docs/windows.md."""

from __future__ import annotations

import numpy as np
import pytest

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.windows import window_features

UNITS = 100_000


@pytest.mark.parametrize(("steps", "false_max"), [(30, 0.005), (60, 0.002), (120, 0.0005)])
def test_noise_hardly_ever_changes_level_for_good(steps: int, false_max: float) -> None:
    noise = np.random.default_rng(11).normal(size=(1, steps, UNITS)).astype(np.float32)
    units = tuple(map(str, range(UNITS)))
    frame = Frame(units=units, signals=("power_w",), start_ns=0, step_ns=1_000_000_000, values=noise)
    windows = window_features(frame, window_s=steps)
    false = float((windows.of("power_w:change_points") > 0).mean())
    half, most = np.quantile(windows.of("power_w:period_strength"), [0.5, 0.95])
    print(
        f"\n{steps} steps: a change point in {false:.2%}; period_strength {half:.2f} in half, {most:.2f} in one of twenty"
    )
    assert 0 < false < false_max
    assert half < 0.4
