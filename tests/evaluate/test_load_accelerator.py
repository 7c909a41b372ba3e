"""Our own recordings of accelerators: a run is its steps, without preparation, settling or what failed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.load import Form, load_runs
from inspectorate.mechanisms.workloads.evaluate.load_accelerator import counted
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import write_table

START_NS = 1_800_000_000 * 10**9
STEP_NS = 50_000_000


def run(name: str, first_s: float, last_s: float, **more: object) -> dict[str, object]:
    moments = {"begun_ns": START_NS, "start_ns": START_NS + int(first_s * 1e9), "end_ns": START_NS + int(last_s * 1e9)}
    return {"id": name, "workload": "prefill", "kind": "inference", "family": "reading", "seed": 1, "event": "done",
            "seconds_asked": 5.0, **moments, **more}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 s of a chip: it draws as many watts as tenths of a second have passed."""
    steps = 600
    time_ns = START_NS + STEP_NS * np.arange(steps, dtype=np.int64)
    values = np.stack([np.arange(steps) / 2.0, np.full(steps, 0.5), np.full(steps, 0.25)], axis=1)
    samples = Samples(units=("chip-0",), signals=("power_w", "busy_share", "memory_busy_share"), time_ns=time_ns,
                      unit=np.zeros(steps, dtype=np.int32), values=values)  # fmt: skip
    (tmp_path / "chip.parquet").write_bytes(write_table(samples))
    (tmp_path / "manifest.json").write_text(json.dumps({"session": {"chip": {"name": "A chip"}}}))
    write_runs(tmp_path, run("a", 2.0, 10.0), run("b", 12.0, 20.0, workload="padding", kind="training", disguise="padding"),
               run("c", 21.0, 22.5), {**run("d", 0, 0), "event": "failed", "fault": "out of memory"})  # fmt: skip
    return tmp_path


def write_runs(folder: Path, *runs: dict[str, object]) -> None:
    (folder / "runs.jsonl").write_text("".join(json.dumps(one) + "\n" for one in runs))


def test_a_run_is_the_stretch_of_its_steps_after_settling(folder: Path) -> None:
    runs, dropped = load_runs(folder, Form.ACCELERATOR, step_s=0.1, least_s=2.0)
    assert [(one.id, one.workload, one.kind, one.disguise, one.hardware) for one in runs] == [
        (f"{folder.name}/a/chip-0", "prefill", "inference", "", "A chip"),
        (f"{folder.name}/b/chip-0", "padding", "training", "padding", "A chip"),
    ]
    assert dropped.short == 1
    power = runs[0].frame.values[0, :, 0]
    assert runs[0].frame.start_ns == START_NS + 3 * 10**9
    assert (power[0], power[-1]) == pytest.approx((30.25, 99.25))


def test_every_session_of_a_folder_is_read_and_keeps_its_name(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "all" / name).mkdir(parents=True)
        for path in folder.iterdir():
            if path.is_file():
                (tmp_path / "all" / name / path.name).write_bytes(path.read_bytes())
    write_runs(tmp_path / "all" / "two", run("a", 3.0, 10.0))
    runs, _ = load_runs(tmp_path / "all", Form.ACCELERATOR, step_s=0.1, least_s=2.0)
    assert [(one.id, one.session, one.job) for one in runs] == [
        ("one/a/chip-0", "one", "one/a"), ("one/b/chip-0", "one", "one/b"), ("two/a/chip-0", "two", "two/a"),
    ]  # fmt: skip


def test_a_folder_without_a_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no manifest"):
        load_runs(tmp_path, Form.ACCELERATOR)


def test_a_counter_covers_the_polls_before_it_and_no_gap(folder: Path) -> None:
    times = START_NS + STEP_NS * np.array([0, 1, 2, 3, 4, 40, 41])
    values = np.array([[np.nan], [np.nan], [0.5], [np.nan], [0.25], [np.nan], [np.nan]])
    found = counted(
        Samples(units=("u",), signals=("sm_busy_share",), time_ns=times, unit=np.zeros(7, np.int32), values=values)
    )
    assert found.values[:, 0] == pytest.approx([0.5, 0.5, 0.5, 0.25, 0.25, np.nan, np.nan], nan_ok=True)
    late = replace(found, values=np.array([[0.5], [np.nan], [np.nan], [np.nan], [np.nan], [np.nan], [0.25]]))
    assert np.isnan(counted(late).values[1:5, 0]).all()


def test_columns_that_are_not_wanted_are_not_read(folder: Path) -> None:
    wanted = {"step_s": 0.1, "least_s": 2.0, "without": ("busy_share",)}
    with pytest.raises(InputError, match="has no busy_share"):
        load_runs(folder, Form.ACCELERATOR, signals=("busy_share",), **wanted)
    with pytest.raises(InputError, match="has no energy_j"):
        load_runs(folder, Form.ACCELERATOR, step_s=0.1, least_s=2.0, without=("energy_j",))


def test_another_chip_is_not_wanted(folder: Path) -> None:
    with pytest.raises(InputError, match="no run is left"):
        load_runs(folder, Form.ACCELERATOR, step_s=0.1, least_s=2.0, systems=("another",))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("runs.jsonl", "{", "is no JSON"),
        ("runs.jsonl", json.dumps(run("a", 1, 2, kind="unknown")), "kind"),
        ("runs.jsonl", json.dumps(run("a", 1, 2, more="x")), "more"),
        ("manifest.json", "{}", "which chip"),
        ("manifest.json", '{"session": {"chip": {"name": 3}}}', "no name"),
        ("chip.parquet", "PAR1", "cannot be read as a table"),
    ],
)
def test_what_is_no_recording_is_named(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_runs(folder, Form.ACCELERATOR, step_s=0.1, least_s=2.0)


def test_a_signal_that_was_not_recorded_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match="has no tensor_busy_share"):
        load_runs(folder, Form.ACCELERATOR, signals=("tensor_busy_share",), step_s=0.1, least_s=2.0)
