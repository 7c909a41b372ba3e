"""Windows of measured node power (MLPerf submissions) against the slow forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from test_against_slow import agree, expected, frame_of

from inspectorate.mechanisms.workloads.windows import window_features

pytestmark = pytest.mark.data
STEP_S, STEPS = 2.0, 30
SERIES = 10


def test_features_of_measured_power_are_those_of_the_slow_forms(data: Path) -> None:
    table = pq.read_table(data / "mlperf_power" / "samples.parquet", columns=["run_id", "t_s", "power_w"])
    runs = pc.unique(table["run_id"]).to_pylist()
    compared = 0
    for run in runs[:: max(1, len(runs) // SERIES)]:
        rows = table.filter(pc.equal(table["run_id"], run))
        t = rows["t_s"].to_numpy()
        step = ((t - t.min()) // STEP_S).astype(int)
        series = np.full((step.max() + 1, 1), np.nan, np.float32)
        series[step, 0] = rows["power_w"].to_numpy()
        windows = window_features(frame_of(series[None], int(STEP_S * 1e9)), window_s=STEP_S * STEPS)
        for index in sorted({0, len(windows) // 2, len(windows) - 1} & set(range(len(windows)))):
            window = series[None, index * STEPS : (index + 1) * STEPS]
            agree(windows, index, expected(window, STEP_S, math.ceil(0.8 * STEPS)))
            compared += not np.isnan(windows.values[index]).all()
    assert compared > SERIES
