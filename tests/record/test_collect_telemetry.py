"""`inspectorate collect telemetry` as a process: signals, several meters, a source that dies, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from record_support import meter, payloads, read_back, send, serving, table, write_declaration

from inspectorate.declaration import MeasuringPoint, Meter
from inspectorate.evidence.stream import Segment
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log

MAIN = [sys.executable, "-c", "from inspectorate.cli import main; main()"]
WAIT_S = 60.0
CPU = meter(id="cpu", units=("me",), signals=("cpu_time_s", "resident_bytes", "page_faults"), sampled_every_s=1.0)
PAGE = meter(id="page", point=MeasuringPoint.CHIP, units=("GPU-1",), signals=("power_w",))


class Site:
    """A folder with a key, and the recorders started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out = path / "out"
        self.key = SigningKey(bytes(range(32)))
        self.key.write(path / "key.pem")
        self.running: list[subprocess.Popen[str]] = []

    def command(self, meters: tuple[Meter, ...], *more: str) -> list[str]:
        declared = write_declaration(self.path / "declaration.json", *meters)
        common = ["--declaration", str(declared), "--out", str(self.out), "--key", str(self.path / "key.pem")]
        return [*MAIN, "collect", "telemetry", *common, *more]

    def start(self, meters: tuple[Meter, ...], *more: str) -> subprocess.Popen[str]:
        """Start a recorder, and wait until every source has answered."""
        ready = self.path / f"ready-{len(self.running)}"
        command = self.command(meters, "--ready-file", str(ready), "--json", *more)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        deadline = time.monotonic() + WAIT_S
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process

    def segments(self, *meters: str) -> list[Segment]:
        return read_back([path.read_bytes() for path in (self.out / "statements").iterdir()], self.key, meters)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def test_a_recorder_that_is_asked_to_stop_ends_its_streams_and_every_statement_is_in_the_log(site: Site) -> None:
    Log.create(site.path / "log", origin="example.com/log", key=site.key).close()
    served = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        served.set()
        send(handler, b'DCGM_FI_DEV_POWER_USAGE{UUID="GPU-1"} 423.1\n')

    with serving(answer) as url:
        process = site.start(
            (CPU, PAGE), "--meter", f"cpu=linux:pids={os.getpid()}", "--meter", f"page=prometheus:{url}metrics",
            "--every", "0.1", "--segment-seconds", "1", "--ledger", str(site.path / "log"),
        )  # fmt: skip
        time.sleep(1.6)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=WAIT_S)
    assert (process.returncode, err) == (0, "")
    segments = site.segments("cpu", "page")
    kept = payloads(site.out)
    said = json.loads(out)["meters"]
    for name in ("cpu", "page"):
        own = [segment for segment in segments if segment.sensor == name]
        assert [segment.final for segment in own] == [False] * (len(own) - 1) + [True]
        assert sum(segment.entries for segment in own) == said[name]["samples"] >= 8
        assert sum(segment.dropped for segment in own) == said[name]["dropped"]
    rows = [row for segment in segments if segment.sensor == "cpu" for row in table(kept[segment.payload])]
    times = [int(str(row["time_ns"])) for row in rows]
    assert times == sorted(set(times))
    # On the grid, and never before it: polls are late by what a busy machine makes them.
    assert min(time % 100_000_000 for time in times) < 30_000_000
    assert all(row["unit"] == "me" and float(str(row["cpu_time_s"])) > 0 for row in rows)
    with Log.open(site.path / "log", site.key) as log:
        for path in (site.out / "statements").iterdir():
            assert log.find(bytes.fromhex(path.stem)) is not None


def test_a_source_that_stops_answering_counts_as_dropped_and_the_other_meter_goes_on(site: Site) -> None:
    broken = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b'DCGM_FI_DEV_POWER_USAGE{UUID="GPU-1"} 423.1\n', status=503 if broken.is_set() else 200)

    with serving(answer) as url:
        process = site.start(
            (CPU, PAGE), "--meter", f"cpu=linux:pids={os.getpid()}", "--meter", f"page=prometheus:{url}",
            "--every", "0.1", "--for", "1.2",
        )  # fmt: skip
        time.sleep(0.3)
        broken.set()
        out, _ = process.communicate(timeout=WAIT_S)
    said = json.loads(out)["meters"]
    assert process.returncode == 0
    assert said["page"]["dropped"] >= 3
    assert "answers 503" in said["page"]["last_fault"]
    assert said["cpu"]["polls"] > said["page"]["polls"]
    assert (
        sum(segment.dropped for segment in site.segments("cpu", "page") if segment.sensor == "page")
        == said["page"]["dropped"]
    )


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (("--meter", "other=nvml:"), "other is not declared"),
        (("--meter", "cpu"), "is not METER=SOURCE"),
        (("--meter", "cpu=linux:pids={me}", "--every", "5"), "slower than the 1 s declared for cpu"),
        (
            ("--meter", "cpu=linux:pids={me},interface=lo"),
            "not declared are the signals: network_received_bytes, network_sent",
        ),
        (("--meter", "cpu=linux:interface=lo"), "not there are the signals: cpu_time_s, page_faults, resident_bytes"),
        (("--meter", "cpu=linux:unit=him,pids={me}"), "not there are the units: me"),
        (("--meter", "page=linux:pids={me}"), "declared at the chip, but CPU telemetry of Linux measures at the node"),
        (("--meter", "page=prometheus:http://127.0.0.1:1/"), "cannot be fetched"),
    ],
)
def test_wrong_use_is_one_line_with_exit_code_2_and_nothing_is_recorded(
    site: Site, more: tuple[str, ...], fault: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspectorate.cli import main

    command = site.command((CPU, PAGE), *(word.format(me=os.getpid()) for word in more))
    monkeypatch.setattr(sys, "argv", ["inspectorate", *command[3:]])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr().err
    assert ended.value.code == 2
    assert fault in printed
    assert "Traceback" not in printed
    assert not site.out.exists()
