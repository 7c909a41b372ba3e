"""`nvidia-smi` logs and the public data sets, in the forms in which they are published."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.public import read_spar, read_supercloud
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.mechanisms.workloads.telemetry.smi import read_smi
from inspectorate.mechanisms.workloads.telemetry.tidy import Oddity, tidy
from inspectorate.quantities import to_ns

WITH_UNITS = """timestamp, index, utilization.gpu [%], memory.used [MiB], power.draw [W], clocks.current.sm [MHz], temperature.gpu
2026/03/02 09:00:00.123, 0, 45 %, 1024 MiB, 423.10 W, 1980 MHz, 61
2026/03/02 09:00:00.125, 1, [N/A], [Not Supported], [Unknown Error], N/A, 30
timestamp, index, utilization.gpu [%], memory.used [MiB], power.draw [W], clocks.current.sm [MHz], temperature.gpu
2026/03/02 09:00:01.125, 1, 5 %, 10 MiB, 60.00 W, 345 MHz, 31
"""


def read(text: str, **more: object) -> tuple[Samples, ReadReport]:
    report = ReadReport()
    return read_smi(text.encode(), zone=more.pop("zone", UTC), report=report, **more), report  # type: ignore[arg-type]


def test_a_log_with_units_and_values_that_are_not_there() -> None:
    found, report = read(WITH_UNITS, node="n1")
    assert found.units == ("n1/gpu0", "n1/gpu1")
    assert found.unit.tolist() == [0, 1, 1]
    first = datetime(2026, 3, 2, 9, 0, 0, 123_000, tzinfo=UTC)
    assert found.time_ns[0] == to_ns(first)
    row = dict(zip(found.signals, found.values[0], strict=True))
    assert row == {
        "busy_share": 0.45,
        "memory_used_bytes": 2.0**30,
        "power_w": 423.1,
        "core_clock_hz": 1.98e9,
        "temperature_c": 61,
    }
    assert np.isfinite(found.values[1]).sum() == 1
    assert (report.entries, report.unread) == (3, {Unread.NOT_A_NUMBER: 4})


def test_a_log_without_units_names_or_a_header() -> None:
    text = "2026/03/02 09:00:00, GPU-1f, 423.10, 410\n"
    columns = ("timestamp", "uuid", "power.draw", "power.draw.instant")
    found, _ = read(text, columns=columns, zone=timezone(timedelta(hours=1)))
    assert found.units == ("GPU-1f",)
    assert found.signals == ("power_w",)
    assert found.values.tolist() == [[410]], "the more direct of two columns"
    assert found.time_ns[0] == to_ns(datetime(2026, 3, 2, 8, tzinfo=UTC))


def test_local_time_needs_its_zone() -> None:
    text = "timestamp, uuid, power.draw [W]\n2026/07/01 12:00:00.000, a, 1 W\n2026/10/25 02:30:00.000, a, 1 W\n"
    found, _ = read(text, zone=ZoneInfo("Europe/Berlin"))
    assert found.time_ns[0] == to_ns(datetime(2026, 7, 1, 10, tzinfo=UTC))
    assert found.time_ns[1] == to_ns(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)), "the hour that comes twice: the first"


def test_what_a_windows_shell_writes() -> None:
    report = ReadReport()
    found = read_smi(WITH_UNITS.replace("\n", "\r\n").encode("utf-16"), zone=UTC, report=report)
    assert len(found) == 3
    assert not report.unread.keys() - {Unread.NOT_A_NUMBER}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026/03/02 09:00:02.000, 0, 45 %", Unread.MALFORMED),
        ("2026/03/02 09:00:02.000, 0, forty, 1 MiB, 1 W, 1 MHz, 1", Unread.MALFORMED),
        ("02.03.2026 09:00, 0, 45 %, 1 MiB, 1 W, 1 MHz, 1", Unread.NO_TIME),
        ("2426/03/02 09:00:02.000, 0, 45 %, 1 MiB, 1 W, 1 MHz, 1", Unread.NO_TIME),
        ("1926/03/02 09:00:02.000, 0, 45 %, 1 MiB, 1 W, 1 MHz, 1", Unread.NO_TIME),
        ("2026/03/02 09:00:02.000, , 45 %, 1 MiB, 1 W, 1 MHz, 1", Unread.NO_UNIT),
        ("x" * 70_000, Unread.TOO_LONG),
    ],
)
def test_lines_that_are_refused_are_counted(line: str, reason: Unread) -> None:
    _, before = read(WITH_UNITS)
    _, report = read(WITH_UNITS + line + "\n")
    assert report.unread - before.unread == {reason: 1}


@pytest.mark.parametrize("text", ["1, 2, 3\n", "timestamp, power.draw [W]\n", "timestamp, index, pstate\n"])
def test_what_is_no_log(text: str) -> None:
    with pytest.raises(EvidenceError):
        read(text)


@given(st.binary(max_size=200))
def test_whatever_bytes_come(data: bytes) -> None:
    report = ReadReport()
    try:
        found = read_smi(b"timestamp, index, power.draw [W]\n" + data, zone=UTC, report=report)
    except EvidenceError:
        return
    assert len(found) <= report.entries


def spar(path: Path, **changes: object) -> Path:
    """A table as SPAR's collector writes it, with the blanks that occur in theirs."""
    n = 5
    columns: dict[str, object] = {
        "timestamp_utc": ["2026-03-09T18:25:28+00:00"] * n,
        "timestamp_epoch": [1_773_080_728.25 + k for k in range(n)],
        "gpu_utilization_pct": [100.0, 50.0, 0.0, 100.0, None],
        "mem_used_mb": [1024] * n,
        "power_draw_w": [400.5, 399.5, 60.0, 61.0, 62.0],
        "pcie_tx_mbps": [-1.0] * n,
        "encoder_util_pct": [-1] * n,
        "dcgm_nvlink_tx_bytes": [float(2**63 - 1)] * n,
        "dcgm_tensor_active": [0.5] * n,
        "fan_speed_pct": [-1] * n,
        "workload_label": ["bert_sst2_amp"] * n,
        "run_id": ["d4f7226f"] * n,
        "gpu_uuid": ["GPU-1"] * n,
        **changes,
    }
    pq.write_table(pa.table(columns), path)
    return path


def test_spar(tmp_path: Path) -> None:
    report = ReadReport()
    run = read_spar(spar(tmp_path / "run.parquet"), report=report)
    assert run.labels == {"workload_label": "bert_sst2_amp", "run_id": "d4f7226f"}
    assert run.samples.units == ("GPU-1",)
    assert report.entries == 5
    start = 1_773_080_728 * 10**9
    assert run.samples.time_ns[0] == start + 250_000_000
    found = tidy(run.samples, start_ns=start, end_ns=start + 5 * 10**9, step_ns=10**9)
    assert found.counts == {Oddity.BLANK: 5, Oddity.TOO_SMALL: 10}
    assert found.frame.of("busy_share")[:, 0].tolist()[:4] == [1, 0.5, 0, 1]
    assert np.isnan(found.frame.of("pcie_sent_bytes_per_s")).all()


def test_what_is_no_spar_table(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 nothing PAR1")
    for path in (tmp_path / "x.parquet", tmp_path / "none.parquet", spar(tmp_path / "y.parquet", gpu_uuid=[None] * 5)):
        if path.name == "y.parquet":
            report = ReadReport()
            assert len(read_spar(path, report=report).samples) == 0
            assert report.unread == {Unread.NO_TIME: 5}
        else:
            with pytest.raises(EvidenceError):
                read_spar(path, report=ReadReport())
    pq.write_table(pa.table({"gpu_uuid": ["a"], "power_draw_w": [1.0]}), tmp_path / "z.parquet")
    with pytest.raises(EvidenceError, match="timestamp_epoch"):
        read_spar(tmp_path / "z.parquet", report=ReadReport())


def test_supercloud(tmp_path: Path) -> None:
    path = tmp_path / "1-r9-n5.csv"
    path.write_text(
        "timestamp,gpu_index,utilization_gpu_pct,utilization_memory_pct,memory_free_MiB,memory_used_MiB,"
        "temperature_gpu,temperature_memory,power_draw_W\n"
        "1611857346.5,0,98,40,1000,31000,60,55,250.25\n"
        "1611857346.6,1,N/A,40,1000,31000,60,55,60.5\n"
        ",1,1,1,1,1,1,1,1\n"
    )
    report = ReadReport()
    found = read_supercloud(path, node="r9-n5", report=report)
    assert found.units == ("r9-n5/gpu0", "r9-n5/gpu1")
    assert found.time_ns.tolist() == [1_611_857_346_500_000_000, 1_611_857_346_600_000_000]
    assert found.values[:, found.signals.index("power_w")].tolist() == [250.25, 60.5]
    assert np.isnan(found.values[1, found.signals.index("busy_share")])
    assert report.unread == {Unread.NO_TIME: 1, Unread.NOT_A_NUMBER: 1}
    with pytest.raises(EvidenceError):
        read_supercloud(tmp_path, node="a", report=report)
