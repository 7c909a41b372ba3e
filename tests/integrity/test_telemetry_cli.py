"""`inspectorate telemetry`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from series_making import START_NS, Array, behind_supply, load, measured

from inspectorate.cli.telemetry import telemetry
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import write_table


def write(path: Path, values: list[Array], *, start_s: int = 0) -> Path:
    count = len(values[0])
    at = START_NS + (start_s + np.arange(count, dtype=np.int64)) * 1_000_000_000
    made = Samples(
        units=tuple(f"n{i}" for i in range(len(values))),
        signals=("power_w",),
        time_ns=np.repeat(at, len(values)),
        unit=np.tile(np.arange(len(values), dtype=np.int32), count),
        values=np.stack(values, axis=1).reshape(-1, 1),
    )
    path.write_bytes(write_table(made))
    return path


@pytest.fixture(scope="module")
def nodes() -> list[Array]:
    rng = np.random.default_rng(1)
    return [measured(rng, load(rng, 600)) for _ in range(3)]


def run(*args: object) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(telemetry, [*(str(arg) for arg in args), "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, json.loads(result.stdout)


def test_check(tmp_path: Path, nodes: list[Array]) -> None:
    code, found = run("check", write(tmp_path / "a.parquet", nodes))
    assert (code, found["findings"], found["series"]) == (0, [], 3)
    copied = write(tmp_path / "b.parquet", [nodes[0], nodes[1], nodes[0]])
    code, found = run("check", copied)
    assert code == 30
    assert found["groups_of_copies"] == [["b/n0", "b/n2"]]
    text = CliRunner().invoke(telemetry, ["check", str(copied)]).output
    assert "one content: b/n0, b/n2" in text


def test_check_against_references(tmp_path: Path, nodes: list[Array]) -> None:
    reference = write(tmp_path / "reference.parquet", nodes)
    again = write(tmp_path / "again.parquet", [nodes[1][100:500]], start_s=10_000)
    code, found = run("check", again, "--reference", reference)
    assert code == 30
    assert "reference/n1" in json.dumps(found)


def test_a_reference_may_have_the_name_of_the_file(tmp_path: Path, nodes: list[Array]) -> None:
    (tmp_path / "earlier").mkdir()
    reference = write(tmp_path / "earlier" / "power.parquet", nodes)
    again = write(tmp_path / "power.parquet", [nodes[1][100:500]], start_s=10_000)
    assert run("check", again, "--reference", reference)[0] == 30


def smi(path: Path, values: Array, *lines: str) -> Path:
    rows = [f"2026/11/24 10:{i // 60:02d}:{i % 60:02d}, GPU-a, {value:.3f} W, [N/A]" for i, value in enumerate(values)]
    path.write_text("\n".join(["timestamp, uuid, power.draw [W], temperature.gpu", *rows, *lines]))
    return path


def test_what_was_not_read_is_told_and_no_success(tmp_path: Path, nodes: list[Array]) -> None:
    assert run("check", smi(tmp_path / "whole.csv", nodes[0]))[0] == 0
    torn = smi(tmp_path / "torn.csv", nodes[0], "2026/11/24 11:00:00, GPU-a", "yesterday, GPU-a, 1 W, 2")
    code, found = run("check", torn)
    assert (code, found["unread"]) == (10, [f"{torn}: 1 malformed", f"{torn}: 1 no-time"])
    silent = smi(tmp_path / "silent.csv", nodes[1], "2026/11/24 11:00:00, GPU-b, [N/A], 2")
    code, found = run("check", silent)
    assert (code, found["unread"]) == (10, [f"{silent}: no value of power_w of GPU-b"])
    assert "not read: " in CliRunner().invoke(telemetry, ["check", str(silent)]).output


def test_a_log_without_a_header_is_named(tmp_path: Path, nodes: list[Array]) -> None:
    (tmp_path / "odd.csv").write_text("1, 2, 3")
    fault = CliRunner().invoke(
        telemetry, ["check", str(write(tmp_path / "a.parquet", nodes)), str(tmp_path / "odd.csv")]
    )
    assert isinstance(fault.exception, EvidenceError)
    assert fault.exception.where == str(tmp_path / "odd.csv")


def test_a_weak_sensor_is_no_copy(tmp_path: Path, nodes: list[Array]) -> None:
    stuck = nodes[0].copy()
    stuck[200:260] = stuck[200]
    code, found = run("check", write(tmp_path / "a.parquet", [stuck]))
    assert code == 10
    assert "stuck" in json.dumps(found)


def test_meters(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    loads = [load(rng, 600) for _ in range(2)]
    fast = write(tmp_path / "dc.parquet", [measured(rng, one) for one in loads])
    slow = write(tmp_path / "ac.parquet", [behind_supply(rng, one) for one in loads], start_s=9)
    code, found = run("meters", slow, fast)
    assert code == 0
    assert [round(row["clock_lag_s"]) for row in found["units"]] == [-9, -9]  # type: ignore[attr-defined]
    half = write(tmp_path / "half.parquet", [0.5 * behind_supply(rng, one) for one in loads])
    assert run("meters", half, fast)[0] == 10
    one = write(tmp_path / "one.parquet", [behind_supply(rng, loads[0])], start_s=9)
    code, found = run("meters", one, fast)
    assert (code, found["alone"]) == (10, ["n1"])
    assert "with one meter only: n1" in CliRunner().invoke(telemetry, ["meters", str(one), str(fast)]).output


def test_what_cannot_be_read_is_an_error_and_no_finding(tmp_path: Path, nodes: list[Array]) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 nothing")
    assert isinstance(CliRunner().invoke(telemetry, ["check", str(bad)]).exception, EvidenceError)
    good = write(tmp_path / "a.parquet", nodes)
    fault = CliRunner().invoke(telemetry, ["check", str(good), "--signal", "busy_share"]).exception
    assert isinstance(fault, InputError)
    assert "power_w" in str(fault)
