"""Samples onto the grid, copies, labels, and logs as published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from evaluation_making import made_run
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import prepare as preparing
from inspectorate.mechanisms.workloads.evaluate.load import Form, load_runs
from inspectorate.mechanisms.workloads.evaluate.prepare import bridged, prepare, prepare_all, thinned
from inspectorate.mechanisms.workloads.evaluate.runs import checked, merged_name, on_grid, without_duplicates

pytest.importorskip("pyarrow", reason="loaders need the extra parquet")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)), min_size=1, max_size=30, unique_by=lambda p: p[0]))
def test_a_step_is_the_mean_of_what_fell_into_it(samples: list[tuple[int, int]]) -> None:
    seconds = np.array([moment for moment, _ in samples], dtype=np.float64)
    values = np.array([[value] for _, value in samples], dtype=np.float64)
    found = on_grid(seconds, values, step_s=5.0)[0, :, 0]
    start = min(moment for moment, _ in samples)
    for step, mean in enumerate(found.tolist()):
        inside = [value for moment, value in samples if 5 * step <= moment - start < 5 * step + 5]
        if inside:
            assert mean == pytest.approx(np.mean(inside), rel=1e-6)


def test_a_slow_meter_is_held_and_a_gap_stays_a_gap() -> None:
    seconds = np.concatenate([np.arange(0, 40, 1.05), np.arange(60, 80, 1.05)])
    found = on_grid(seconds, np.ones((len(seconds), 1)), step_s=1.0)[0, :, 0]
    assert np.isfinite(found[:39]).all()
    assert np.isnan(found[42:59]).all()


def test_copies_are_dropped_whatever_they_are_called() -> None:
    one = made_run("flat/offline", 1)
    other = made_run("flat/offline", 1, session="elsewhere")
    kept, copies = without_duplicates([one, other, made_run("flat/offline", 2)])
    assert (len(kept), copies) == (2, 1)


def test_nothing_and_twice_are_refused() -> None:
    with pytest.raises(InputError, match="no run"):
        checked([], where="here")
    with pytest.raises(InputError, match="two runs"):
        checked([made_run("flat/offline", 1), made_run("flat/offline", 1)], where="here")


@pytest.mark.parametrize(
    ("name", "merged"),
    [
        ("bert-99/server", "bert/server"),
        ("bert-99.9/server", "bert/server"),
        ("llama2-70b-99.9/offline", "llama2-70b/offline"),
        ("llama3.1-405b/offline", "llama3.1-405b/offline"),
        ("resnet-990/offline", "resnet-990/offline"),
    ],
)
def test_only_the_accuracy_target_is_merged(name: str, merged: str) -> None:
    assert merged_name(name) == merged


def test_windows_of_series_and_features_are_the_same() -> None:
    found = prepare(made_run("waves/server", 1), window_s=60.0, stride_s=30.0)
    assert found.series.shape[1:] == (1, 30)
    means = found.features[:, found.names.index("power_w:mean")]
    assert np.allclose(means, found.series[:, 0].mean(axis=1), rtol=1e-5)
    assert len(thinned(found, 4)) == 4


def test_windows_that_are_too_little_measured_are_counted() -> None:
    run = made_run("waves/server", 1)
    run.frame.values[0, 40:70] = np.nan
    found = prepare(run)
    assert found.offered > len(found) > 0
    assert np.isfinite(found.series).all()


def test_gaps_are_bridged_by_straight_lines() -> None:
    row = np.array([[np.nan, 1, np.nan, 3, np.nan]], dtype=np.float32)
    assert bridged(row).tolist() == [[1, 1, 2, 3, 3]]


def test_runs_that_differ_in_signals_are_refused() -> None:
    one, other = made_run("flat/offline", 1), made_run("flat/offline", 2)
    object.__setattr__(other.frame, "signals", ("busy_share",))
    with pytest.raises(InputError, match="differ"):
        prepare_all([one, other])
    with pytest.raises(InputError, match="eight steps"):
        prepare(one, window_s=4.0)
    assert preparing.WINDOW_S == 60.0


# --- logs as published -----------------------------------------------------------------------------------------------------


def published(root: Path) -> Path:
    """Two runs of inference by PTDaemon and one of training by MLLOG, where the results of MLPerf keep them."""
    folder = root / "results_v9"
    random = np.random.default_rng(5)
    for part in ("ranging", "run_1"):
        place = folder / "closed/Us/results/sys/bert-99/Offline/performance" / part
        place.mkdir(parents=True)
        lines = [
            f"Time,01-12-2026 11:{k // 60:02d}:{k % 60:02d}.482,Watts,{500 + random.normal():.6f},Volts,228.57,Amps,0.2,Mark,x"
            for k in range(180)
        ]
        lines[7] = lines[7].replace("Watts,", "Watts,-1.0,was,")
        (place / "spl.txt").write_text("\n".join(["garbage", *lines]))
    place = folder / "Us-ac-power/results/8xsys/bert/power/result_1"
    place.mkdir(parents=True)
    entries = [
        {"namespace": "", "time_ms": 1_000_000 + 2006 * k, "key": "power_reading", "value": 600 + k % 9, "metadata": ""}
        for k in range(120)
    ]
    first = {"namespace": "", "time_ms": 999_999, "key": "power_measurement_start", "value": "null"}
    (place / "node_0.txt").write_text("".join(f":::MLLOG {json.dumps(entry)}\n" for entry in [first, *entries]))
    return folder


def test_published_logs_become_runs(tmp_path: Path) -> None:
    runs, dropped = load_runs(published(tmp_path), Form.MLPERF_LOGS)
    assert sorted((run.workload, run.kind, run.hardware, run.submitter) for run in runs) == [
        ("bert-99/offline", "inference", "sys", "Us"),
        ("bert-99/offline", "inference", "sys", "Us"),
        ("bert/train", "training", "8xsys", "Us"),
    ]
    assert {run.family for run in runs} == {"bert"}
    assert len({run.job for run in runs}) == 3
    assert dropped.duplicates == 0
    assert all(np.nanmean(run.frame.values) > 490 for run in runs)


def test_what_is_no_log_is_refused_by_line(tmp_path: Path) -> None:
    folder = published(tmp_path)
    path = next(folder.rglob("node_0.txt"))
    path.write_text(':::MLLOG {"key": "power_reading", "time_ms": "soon", "value": 1}\n')
    with pytest.raises(InputError, match="line 1"):
        load_runs(folder, Form.MLPERF_LOGS)
    path.write_text("nothing\n")
    with pytest.raises(InputError, match="no reading"):
        load_runs(folder, Form.MLPERF_LOGS)
    spl = next(folder.rglob("spl.txt"))
    path.unlink()
    spl.write_text("Time,13-45-2026 11:00:00.000,Watts,5.0\n")
    with pytest.raises(InputError, match="PTDaemon"):
        load_runs(folder, Form.MLPERF_LOGS)


def test_an_empty_folder_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no"):
        load_runs(tmp_path, Form.MLPERF_LOGS)
    (tmp_path / "runs.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="cannot be read"):
        load_runs(tmp_path, Form.MLPERF)


def smi_log(path: Path, *, level: float) -> None:
    random = np.random.default_rng(round(level))
    lines = ["timestamp, index, power.draw [W], utilization.gpu [%], utilization.memory [%]"]
    lines += [
        f"2026/03/02 09:{k // 60:02d}:{k % 60:02d}.000, {unit}, {level + random.normal():.2f} W, {80 + k % 9} %, {40 + k % 5} %"
        for k in range(180)
        for unit in (0, 1)
    ]
    path.write_text("\n".join(lines))


def test_labelled_logs_become_one_run_per_unit(tmp_path: Path) -> None:
    smi_log(tmp_path / "a.csv", level=300)
    smi_log(tmp_path / "b.csv", level=400)
    labels = tmp_path / "labels.yaml"
    labels.write_text(
        "runs:\n"
        "  - {file: a.csv, workload: serve, kind: inference, hardware: h}\n"
        "  - {file: b.csv, workload: lora, kind: training, hardware: h, disguise: throttled}\n"
    )
    runs, _ = load_runs(labels, Form.LABELLED)
    assert [run.disguise for run in runs] == ["", "", "throttled", "throttled"]
    assert len({run.job for run in runs}) == 2
    assert runs[0].frame.signals == ("power_w", "busy_share", "memory_busy_share")
    one, _ = load_runs(labels, Form.LABELLED, signals=("power_w",))
    assert one[0].frame.signals == ("power_w",)
    with pytest.raises(InputError, match="has no nvlink_bytes_per_s"):
        load_runs(labels, Form.LABELLED, signals=("nvlink_bytes_per_s",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runs: []", "no file of labels"),
        ("runs:\n  - {file: ../x.csv, workload: a, kind: other, hardware: h}", "outside"),
        ("runs:\n  - {file: gone.csv, workload: a, kind: other, hardware: h}", "no file and no folder"),
        ("runs:\n  - {file: gone.csv, workload: a, kind: sleeping, hardware: h}", "no file of labels"),
        ("{", "not YAML"),
        ("runs: [&a {file: x.csv}, *a]", "uses YAML aliases"),
        ("runs:\n  - {file: x.csv, workload: a, kind: other, hardware: h}", r"x\.csv: no header names the columns"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    labels = tmp_path / "labels.yaml"
    labels.write_text(text)
    (tmp_path / "x.csv").write_text("1,2,3")
    with pytest.raises(InputError, match=said):
        load_runs(labels, Form.LABELLED)
