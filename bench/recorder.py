"""The recorder beside real work: `python -m bench recorder`.

The work is a fixed number of float32 matrix products (numpy, one thread), which takes about `JOB_S` alone. It runs alone and beside
a recorder, in turn and in changing order, `ROUNDS` times each. The recorder is `inspectorate collect telemetry` as it is used, at
1 Hz, with two meters of 8 units: CPU telemetry of 8 processes, one of them the work (5 signals), and the page of an exporter on
this machine (12 signals of 8 chips in DCGM's words). The exporter is a process of its own and counts for neither side.

Reported are

- the recorder's own processor seconds (user and system, of the whole process without its start) over the wall time: what it
  takes of one core;
- the slowdown of the work, wall time beside the recorder over wall time alone, pairs in turn, with the 95 % interval of the mean of
  the logarithms (Student's t). On a machine that does other things as well the interval is wide, and says so;
- how many polls a second one core could make of each source: polls in a row, without waiting, until signed and in the spool.

Exits 1 where the recorder takes 1 % of a core or more, or the interval of the slowdown lies wholly above 1 %.
"""

from __future__ import annotations

import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspectorate.declaration import MeasuringPoint
from inspectorate.evidence import Origin
from inspectorate.evidence.sealing import Sealer
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.workloads.record.exporter import ExporterSource
from inspectorate.mechanisms.workloads.record.linux import LinuxSource, LinuxUnit
from inspectorate.mechanisms.workloads.record.recorder import Recorded, TelemetryRecorder, payload_of
from inspectorate.mechanisms.workloads.record.source import Source

UNITS = 8
JOB_S = 6.0
ROUNDS = 5
TARGET = 0.01
POLLS = 300
T_95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}
"""Student's t for a two-sided 95 % interval, by the number of pairs."""
METRICS = (
    "POWER_USAGE", "TOTAL_ENERGY_CONSUMPTION", "GPU_UTIL", "MEM_COPY_UTIL", "FB_USED", "SM_CLOCK", "MEM_CLOCK", "GPU_TEMP",
    "ENC_UTIL", "DEC_UTIL",
)  # fmt: skip
PROFILING = ("PCIE_TX_BYTES", "PCIE_RX_BYTES")
PAGE_SIGNALS = (
    "power_w", "energy_j", "busy_share", "memory_busy_share", "memory_used_bytes", "core_clock_hz", "memory_clock_hz",
    "temperature_c", "encoder_busy_share", "decoder_busy_share", "pcie_sent_bytes_per_s", "pcie_received_bytes_per_s",
)  # fmt: skip
LINUX_SIGNALS = ("cpu_time_s", "resident_bytes", "page_faults", "network_sent_bytes", "network_received_bytes")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

EXPORTER = f"""
import http.server, random
names = [f"DCGM_FI_DEV_{{m}}" for m in {METRICS!r}] + [f"DCGM_FI_PROF_{{m}}" for m in {PROFILING!r}]
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        labels = ['{{gpu="%d",UUID="GPU-%d",Hostname="n1"}}' % (u, u) for u in range({UNITS})]
        body = "".join("%s%s %.3f\\n" % (n, at, random.random() * 100) for n in names for at in labels).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
WORK = """
import sys, time
import numpy as np
a = np.random.default_rng(0).standard_normal((384, 384), dtype=np.float32)
b = a.copy()
def run(products):
    global b
    for _ in range(products):
        b = a @ b
        b /= np.abs(b).max()
run(20)
for line in sys.stdin:
    begun = time.perf_counter()
    run(int(line))
    print(time.perf_counter() - begun, flush=True)
"""


@contextmanager
def _process(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def _ask(work: subprocess.Popen[str], products: int) -> float:
    assert work.stdin is not None
    assert work.stdout is not None
    work.stdin.write(f"{products}\n")
    work.stdin.flush()
    return float(work.stdout.readline())


def _cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, to the nanosecond where the kernel says (all threads)."""
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def _declare(folder: Path) -> Path:
    def meter(name: str, point: str, units: list[str], signals: tuple[str, ...]) -> dict[str, object]:
        return {
            "id": name, "holder": "prover", "point": point, "pods": ["pod"], "units": units, "signals": list(signals),
            "sampled_every_s": 1, "silence_s_max": 10,
        }  # fmt: skip

    pod = {"id": "pod", "chips": [{"model": "h100-sxm", "count": UNITS}], "networks": ["10.0.0.0/24"]}
    meters = [
        meter("cpu", "node", [f"u{n}" for n in range(UNITS)], LINUX_SIGNALS),
        meter("page", "chip", [f"GPU-{n}" for n in range(UNITS)], PAGE_SIGNALS),
    ]
    site = {"id": "s", "location": "x", "clusters": [{"id": "c", "pods": [pod]}], "meters": meters}
    path = folder / "declaration.json"
    period = {"start": "2020-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
    path.write_text(json.dumps({"id": "d", "party": "prover", "period": period, "sites": [site]}))
    return path


@contextmanager
def _recording(folder: Path, pids: list[int], url: str, number: int) -> Iterator[int]:
    """A recorder that has begun; its process id."""
    ready = folder / f"ready-{number}"
    meters = [f"cpu=linux:unit=u{n},pids={pid},interface=lo" for n, pid in enumerate(pids)] + [f"page=prometheus:{url}"]
    argv = [
        sys.executable, "-c", "from inspectorate.cli import main; main()", "collect", "telemetry",
        "--declaration", str(folder / "declaration.json"), "--key", str(folder / "key.pem"),
        "--out", str(folder / f"out-{number}"), "--every", "1", "--segment-seconds", "5", "--ready-file", str(ready), "--json",
    ]  # fmt: skip
    with _process(argv + [word for one in meters for word in ("--meter", one)]) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        time.sleep(1.0)
        yield process.pid


def _overhead(folder: Path, pids: list[int], url: str, work: subprocess.Popen[str]) -> tuple[list[float], list[float]]:
    """Share of a core that the recorder took, and wall time beside it over wall time alone, for each round."""
    products = 200
    products = max(1, round(products * JOB_S / min(_ask(work, products) for _ in range(3))))
    shares, ratios = [], []
    for number in range(ROUNDS):

        def beside(number: int = number) -> float:
            with _recording(folder, pids, url, number) as pid:
                cpu, begun = _cpu_s(pid), time.perf_counter()
                took = _ask(work, products)
                shares.append((_cpu_s(pid) - cpu) / (time.perf_counter() - begun))
            return took

        def alone() -> float:
            return _ask(work, products)

        order: list[Callable[[], float]] = [alone, beside] if number % 2 == 0 else [beside, alone]
        took = {one: one() for one in order}
        ratios.append(took[beside] / took[alone])
        print(f"  round {number + 1}: {shares[-1]:.3%} of a core, work {ratios[-1] - 1:+.2%}", flush=True)
    return shares, ratios


def _polls_per_s(folder: Path, name: str, source: Source, recorded: Recorded) -> float:
    """Polls per processor second of this process: asked, cut, encoded, hashed, signed and made durable."""
    with DiskSpool(folder / f"spool-{name}") as spool:
        sealer = Sealer(
            spool, SigningKey.read(folder / "key.pem"), stream="s", origin=Origin.RECORDED, recorder="bench"
        )
        recorder = TelemetryRecorder(
            [recorded], lambda cut: sealer.seal(payload_of(cut)), start_ns=time.time_ns(), segment_s=1.0
        )
        begun = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(POLLS):
            recorder.tick(recorded.meter, time.time_ns())
            recorder.feed(recorded.meter, source.poll())
        recorder.close(time.time_ns())
        ended = resource.getrusage(resource.RUSAGE_SELF)
    source.close()
    return POLLS / (ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime)


def main() -> int:
    """Measure and print. 1 if a target is missed."""
    with tempfile.TemporaryDirectory() as text, _process([sys.executable, "-c", EXPORTER]) as exporter:
        folder = Path(text)
        SigningKey(os.urandom(32)).write(folder / "key.pem")
        _declare(folder)
        assert exporter.stdout is not None
        url = f"http://127.0.0.1:{int(exporter.stdout.readline())}/metrics"
        with _process([sys.executable, "-c", WORK]) as work:
            pids = [work.pid, exporter.pid, os.getpid(), *[os.getppid()] * 5][:UNITS]
            print(
                f"{UNITS} units, {len(LINUX_SIGNALS)} signals from /proc and {len(PAGE_SIGNALS)} from an exporter, at 1 Hz"
            )
            shares, ratios = _overhead(folder, pids, url, work)
            units = [LinuxUnit(name=f"u{n}", pids=(pid,), interface="lo") for n, pid in enumerate(pids)]
            names = tuple(unit.name for unit in units)
            linux = _polls_per_s(
                folder, "linux", LinuxSource(units, clock_ns=time.time_ns),
                Recorded(meter="cpu", units=names, signals=LINUX_SIGNALS),
            )  # fmt: skip
        page = _polls_per_s(
            folder, "page", ExporterSource(url, point=MeasuringPoint.CHIP, clock_ns=time.time_ns),
            Recorded(meter="page", units=names, signals=PAGE_SIGNALS, pages=True),
        )  # fmt: skip
    logs = [math.log(ratio) for ratio in ratios]
    half = T_95[len(logs)] * statistics.stdev(logs) / math.sqrt(len(logs))
    mean, low, high = (math.exp(statistics.mean(logs) + shift) - 1 for shift in (0.0, -half, half))
    print(
        f"recorder: {statistics.mean(shares):.3%} of one core (most in a round {max(shares):.3%}; target < {TARGET:.0%})"
    )
    print(f"work beside it: {mean:+.2%} wall time, 95 % interval {low:+.2%} to {high:+.2%} ({len(ratios)} pairs)")
    print(
        f"one core could make {linux:,.0f} polls a second of /proc and {page:,.0f} of an exporter ({UNITS} units each)"
    )
    if low <= TARGET < high:
        print(
            "the interval does not say whether the work loses 1 %: the machine does other things as well, or too few pairs"
        )
    missed = statistics.mean(shares) >= TARGET or low > TARGET
    print("target missed" if missed else "target met")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
