"""Speed of the windows of telemetry beside DuckDB, pandas, prometheus_client and MiniRocket: `python -m bench windows`.

In CPU seconds of one process, the median of several rounds, all in one run:

(a) rows (chip, t, watts) in order of arrival -> windows of 60 s with mean, standard deviation, min, max and exact quantiles. We
    scatter the rows and sort tiles; DuckDB and pandas group the same rows. The results must be equal.
(b) Prometheus text in the shape of dcgm-exporter (8 chips x 20 metrics per host at 1 Hz) -> nine signals -> 60 s windows with all
    features -> a linear score and a diagonal distance -> a SHA-256 of each window. The peer stack (prometheus_client, pandas,
    aeon's MiniRocket) does the same with its own features in a process of its own: `--peer-python`, or INSPECTORATE_PEER_PYTHON,
    names an interpreter that has them. Ours is measured twice: with a minute in a payload, as a recorder delivers it, through
    `tidy`; and live, a payload a second. Without the peer the two are printed, and nothing is compared.
(c) the cost per chip with 1,000, 10,000 and 100,000 chips, from steps to hashed windows; the state that a chip takes; and the
    growth of the process beside it. (It runs first.)

Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.telemetry.prometheus import PrometheusReader
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy
from inspectorate.mechanisms.workloads.windows import (
    StreamingWindows,
    Windows,
    feature_names,
    window_features,
    window_statistics,
)
from inspectorate.mechanisms.workloads.windows.scatter import scatter

ROUNDS = 5
SECOND_NS = 1_000_000_000
START_NS = 1_760_000_000 * SECOND_NS
WINDOW_S = 60
CHIPS, TIMES = 16_384, 600
"""Rows of (a): 9.8 million."""
CHIPS_PER_HOST, HOSTS, PEER_HOSTS = 8, 25, 3
RATIO_DUCKDB_MIN, RATIO_PATH_MIN, RATIO_LINEAR_MAX, STATE_BYTES_MAX = 8.0, 20.0, 1.5, 4_000
FLEETS = (1_000, 10_000, 100_000)
PEER = Path(__file__).with_name("windows_peer.py")
PEER_VARIABLE = "INSPECTORATE_PEER_PYTHON"

SIGNALS = {
    "power_w": ("DCGM_FI_DEV_POWER_USAGE", 1.0),
    "busy_share": ("DCGM_FI_DEV_GPU_UTIL", 0.01),
    "memory_busy_share": ("DCGM_FI_DEV_MEM_COPY_UTIL", 0.01),
    "tensor_busy_share": ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", 1.0),
    "core_clock_hz": ("DCGM_FI_DEV_SM_CLOCK", 1e6),
    "temperature_c": ("DCGM_FI_DEV_GPU_TEMP", 1.0),
    "memory_used_bytes": ("DCGM_FI_DEV_FB_USED", 1024.0**2),
    "pcie_sent_bytes_per_s": ("DCGM_FI_PROF_PCIE_TX_BYTES", 1.0),
    "pcie_received_bytes_per_s": ("DCGM_FI_PROF_PCIE_RX_BYTES", 1.0),
}
"""The nine, with the metric that shows each and its factor."""
OTHERS = (
    "DCGM_FI_DEV_MEM_CLOCK", "DCGM_FI_DEV_MEMORY_TEMP", "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "DCGM_FI_DEV_ENC_UTIL",
    "DCGM_FI_DEV_DEC_UTIL", "DCGM_FI_DEV_XID_ERRORS", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS",
    "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", "DCGM_FI_DEV_ROW_REMAP_FAILURE", "DCGM_FI_DEV_VGPU_LICENSE_STATUS",
)  # fmt: skip

Values = NDArray[np.float32]


def cpu_seconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median over the rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def check(what: str, met: bool) -> bool:
    print(f"{'PASS' if met else 'FAIL'}  {what}", flush=True)
    return met


# --- (a) windows from rows -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rows:
    """As they arrive: second by second, the chips of a second in any order."""

    chip: NDArray[np.int32]
    t: NDArray[np.int32]
    watts: Values


def rows_of(chips: int, times: int) -> Rows:
    rng = np.random.default_rng(1)
    chip = np.concatenate([rng.permutation(chips).astype(np.int32) for _ in range(times)])
    t = np.repeat(np.arange(times, dtype=np.int32), chips)
    watts = np.where((t + chip) % 17 < 11, 640, 180) + rng.normal(0, 20, len(t))
    return Rows(chip, t, watts.astype(np.float32))


def ours_of_rows(rows: Rows, chips: int, times: int) -> Windows:
    series = np.full((times, chips), np.nan, np.float32)
    if scatter(rows.t, rows.chip, rows.watts, series):
        raise ValueError("rows of chips or times that there are not")
    units = tuple(map(str, range(chips)))
    frame = Frame(units=units, signals=("power_w",), start_ns=START_NS, step_ns=SECOND_NS, values=series[None])
    return window_statistics(frame, window_s=WINDOW_S)


DUCKDB_QUERY = f"""
    select chip, t // {WINDOW_S} as w, avg(watts) as mean, stddev_pop(watts) as std, min(watts) as low, max(watts) as high,
           quantile_cont(watts, [0.1, 0.5, 0.9]) as q
    from rows group by chip, w
"""


def pandas_of_rows(table: pd.DataFrame) -> pd.DataFrame:
    groups = table.groupby([table["chip"], table["t"] // WINDOW_S])["watts"]
    return groups.agg(["mean", "std", "min", "max"]).join(groups.quantile([0.1, 0.5, 0.9]).unstack())


def equal_to_duckdb(windows: Windows, found: pd.DataFrame) -> bool:
    """Whether every window's numbers are those of DuckDB."""
    found = found.sort_values(["w", "chip"])
    shape = (len(windows), len(windows.units))
    names = ("mean", "std", "min", "max", "q10", "q50", "q90")
    quantiles = np.stack(found["q"].to_numpy())
    columns = [*(found[name].to_numpy() for name in ("mean", "std", "low", "high")), *quantiles.T]
    return all(
        np.allclose(windows.of(f"power_w:{name}"), np.asarray(column).reshape(shape), rtol=1e-5)
        for name, column in zip(names, columns, strict=True)
    )


def measure_rows() -> bool:
    rows = rows_of(CHIPS, TIMES)
    n = len(rows.t)
    windows = ours_of_rows(rows, CHIPS, TIMES)
    ours = cpu_seconds(lambda: ours_of_rows(rows, CHIPS, TIMES))
    table = pd.DataFrame({"chip": rows.chip, "t": rows.t, "watts": rows.watts})
    database = duckdb.connect(config={"threads": 1})
    database.register("arrived", table)
    database.execute("create table rows as select * from arrived")
    duck = cpu_seconds(lambda: database.execute(DUCKDB_QUERY).fetchnumpy(), rounds=3)
    equal = equal_to_duckdb(windows, database.execute(DUCKDB_QUERY).df())
    panda = cpu_seconds(lambda: pandas_of_rows(table), rounds=3)
    print(f"(a) {n / 1e6:.1f} M rows, {len(windows) * CHIPS} windows; M rows per CPU second:")
    print(f"    ours {n / ours / 1e6:.1f}, DuckDB {duckdb.__version__} {n / duck / 1e6:.1f}", end="")
    print(f", pandas {pd.__version__} {n / panda / 1e6:.1f} ({panda / ours:.1f} times slower than ours)")
    met = check("windows equal those of DuckDB", equal)
    faster = f"windows {duck / ours:.1f} times as fast as DuckDB (at least {RATIO_DUCKDB_MIN})"
    return check(faster, duck >= RATIO_DUCKDB_MIN * ours) and met


# --- (b) from text to scored, hashed windows -----------------------------------------------------------------------------


def scrape(host: int, second: int, rng: np.random.Generator) -> str:
    """What dcgm-exporter shows of eight chips."""
    lines = [f"# scraped {START_NS + second * SECOND_NS} took 8000000"]
    phase = (second + host) % 17 < 11
    busy = rng.integers(85, 100, CHIPS_PER_HOST) if phase else rng.integers(0, 20, CHIPS_PER_HOST)
    values = {
        "DCGM_FI_DEV_POWER_USAGE": np.round(80 + 6 * busy + rng.normal(0, 9, CHIPS_PER_HOST), 3),
        "DCGM_FI_DEV_GPU_UTIL": busy,
        "DCGM_FI_DEV_MEM_COPY_UTIL": busy // 2,
        "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": np.round(busy / 210, 6),
        "DCGM_FI_DEV_SM_CLOCK": 1200 + 15 * rng.integers(0, 50, CHIPS_PER_HOST),
        "DCGM_FI_DEV_GPU_TEMP": rng.integers(50, 70, CHIPS_PER_HOST),
        "DCGM_FI_DEV_FB_USED": 60_000 + rng.integers(0, 500, CHIPS_PER_HOST),
        "DCGM_FI_PROF_PCIE_TX_BYTES": rng.integers(10**8, 10**10, CHIPS_PER_HOST),
        "DCGM_FI_PROF_PCIE_RX_BYTES": rng.integers(10**8, 10**10, CHIPS_PER_HOST),
    } | {name: rng.integers(0, 3000, CHIPS_PER_HOST) for name in OTHERS}
    for name, column in values.items():
        lines += [f"# HELP {name} As the exporter describes it.", f"# TYPE {name} gauge"]
        for chip, value in enumerate(column):
            labels = (
                f'gpu="{chip}",UUID="GPU-{host:08x}-7a1c-4a52-9f0e-{chip:012x}",pci_bus_id="00000000:{chip:02X}:00.0",'
                f'device="nvidia{chip}",modelName="NVIDIA H100 80GB HBM3",Hostname="node-{host:05d}",'
                'DCGM_FI_DRIVER_VERSION="550.90.07"'
            )
            lines.append(f"{name}{{{labels}}} {value}")
    return "\n".join(lines) + "\n"


def payloads_of(hosts: int) -> list[list[bytes]]:
    """Sixty scrapes of each host."""
    rng = np.random.default_rng(2)
    return [[scrape(host, second, rng).encode() for second in range(WINDOW_S)] for host in range(hosts)]


@dataclass(frozen=True)
class Scorer:
    """A linear score and a diagonal distance, with weights drawn at random: this measures cost alone."""

    weights: NDArray[np.float32]
    center: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(cls, windows: Windows) -> Scorer:
        values = windows.values.reshape(-1, len(windows.names))
        weights = np.random.default_rng(3).normal(size=len(windows.names)).astype(np.float32)
        center = np.nan_to_num(np.nanmean(values, axis=0))
        return cls(weights, center, np.nan_to_num(np.nanstd(values, axis=0)) + np.float32(1e-3))

    def hashes(self, windows: Windows) -> list[bytes]:
        """A digest of each window's record: unit, time, features, score and distance. By 4,096 units, to stay in the cache."""
        digests = []
        head = f"{windows.start_ns[0]} {windows.window_ns}".encode()
        for first in range(0, len(windows.units), 4096):
            values = windows.values[0, first : first + 4096]
            off = (values - self.center) / self.spread
            off[np.isnan(off)] = 0.0
            judged = np.stack([off @ self.weights, np.einsum("uf,uf->u", off, off)], axis=1)
            for unit, features, scores in zip(windows.units[first : first + 4096], values, judged, strict=True):
                digests.append(hashlib.sha256(head + unit.encode() + features.tobytes() + scores.tobytes()).digest())
        return digests


def by_the_minute(readers: list[PrometheusReader], payloads: list[bytes]) -> Windows:
    """The windows of one minute, a payload for each host, through `tidy`."""
    frames = []
    for reader, payload in zip(readers, payloads, strict=True):
        samples = reader.read(payload, ReadReport())
        end_ns = START_NS + WINDOW_S * SECOND_NS
        frames.append(tidy(samples, start_ns=START_NS, end_ns=end_ns, step_ns=SECOND_NS, signals=tuple(SIGNALS)).frame)
    frame = Frame(
        units=tuple(unit for one in frames for unit in one.units),
        signals=tuple(SIGNALS),
        start_ns=START_NS,
        step_ns=SECOND_NS,
        values=np.concatenate([one.values for one in frames], axis=2),
    )
    return window_features(frame, window_s=WINDOW_S, pods=np.arange(len(frame.units)) // CHIPS_PER_HOST)


def live(readers: list[PrometheusReader], scrapes: list[list[bytes]]) -> Windows:
    """The windows of one minute, second by second: a payload for each host and second goes into the ring."""
    units = tuple(f"{host}/gpu{chip}" for host in range(len(readers)) for chip in range(CHIPS_PER_HOST))
    stream = StreamingWindows(
        units=units,
        signals=tuple(SIGNALS),
        start_ns=START_NS,
        step_ns=SECOND_NS,
        window_s=WINDOW_S,
        pods=np.arange(len(units)) // CHIPS_PER_HOST,
    )
    step, windows = np.empty((len(SIGNALS), len(units)), np.float32), None
    for second in range(WINDOW_S):
        for host, reader in enumerate(readers):
            samples = reader.read(scrapes[host][second], ReadReport())
            columns = [samples.signals.index(signal) for signal in SIGNALS]
            step[:, host * CHIPS_PER_HOST + samples.unit] = samples.values[:, columns].T
        windows = stream.push(step)
    if windows is None:
        raise AssertionError("a minute is a window")
    return windows


def peer_seconds(payloads: list[list[bytes]], python: str) -> dict[str, list[float]]:
    """CPU seconds of the peer stack, for the hosts it is given."""
    with tempfile.TemporaryDirectory() as folder:
        for host, scrapes in enumerate(payloads):
            Path(folder, f"host-{host}.prom").write_bytes(b"".join(scrapes))
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        command = [python, str(PEER), folder, "3"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def peer_python() -> str | None:
    """An interpreter with the peer stack, if there is one."""
    named = os.environ.get(PEER_VARIABLE)
    here = all(importlib.util.find_spec(name) for name in ("aeon", "prometheus_client", "pandas"))
    return named or (sys.executable if here else None)


def measure_path(python: str | None) -> bool:
    payloads = payloads_of(HOSTS)
    chips, joined = HOSTS * CHIPS_PER_HOST, [b"".join(scrapes) for scrapes in payloads]
    readers = [PrometheusReader() for _ in payloads]
    by_minute, by_second = by_the_minute(readers, joined), live(readers, payloads)
    scorer = Scorer.of(by_minute)
    same = by_minute.values.tobytes() == by_second.values.tobytes()
    minute = cpu_seconds(lambda: scorer.hashes(by_the_minute(readers, joined))) / chips
    second = cpu_seconds(lambda: scorer.hashes(live(readers, payloads))) / chips
    reading = cpu_seconds(lambda: [r.read(text, ReadReport()) for r, text in zip(readers, joined, strict=True)]) / chips
    size = len(joined[0]) / WINDOW_S / CHIPS_PER_HOST
    print(f"(b) {chips} chips, {size:.0f} bytes of text per chip and second; chips followed per core at 1 Hz:")
    print(f"    ours, a minute in a payload {WINDOW_S / minute:,.0f} (parsing {reading / minute:.0%})", end="")
    print(f"; ours live, a payload a second {WINDOW_S / second:,.0f}")
    met = check("by the minute and live give the same features, to the last bit", same)
    if python is None:
        print(f"    the peer stack is not installed (extra `evaluate`, or {PEER_VARIABLE}): nothing is compared")
        return met
    found = peer_seconds(payloads[:PEER_HOSTS], python)
    peer = statistics.median(found["seconds"]) / (PEER_HOSTS * CHIPS_PER_HOST)
    share = statistics.median(found["parsing"]) / statistics.median(found["seconds"])
    print(f"    prometheus_client + pandas + MiniRocket {WINDOW_S / peer:,.0f} (parsing {share:.0%})")
    for name, cost in (("by the minute", minute), ("live", second)):
        met &= check(
            f"text to hashed windows, {name}, {peer / cost:.0f} times the peer stack (at least {RATIO_PATH_MIN})",
            peer >= RATIO_PATH_MIN * cost,
        )
    return met


# --- (c) linear in chips -------------------------------------------------------------------------------------------------


def fleet_minute(chips: int, step: Values, scorer: Scorer) -> StreamingWindows:
    """Sixty steps of a fleet into the ring, and its windows scored and hashed."""
    units = tuple(map(str, range(chips)))
    stream = StreamingWindows(
        units=units,
        signals=tuple(SIGNALS),
        start_ns=START_NS,
        step_ns=SECOND_NS,
        window_s=WINDOW_S,
        pods=np.arange(chips) // CHIPS_PER_HOST,
    )
    for second in range(WINDOW_S):
        windows = stream.push(np.roll(step, 7 * second, axis=1)[:, :chips])
        if windows is not None:
            scorer.hashes(windows)
    return stream


def measure_fleets() -> bool:
    rng = np.random.default_rng(4)
    names = feature_names(tuple(SIGNALS))
    steps = {chips: rng.normal(300, 60, (len(SIGNALS), chips)).astype(np.float32) for chips in FLEETS}
    scorer = Scorer(*(np.ones(len(names), np.float32) for _ in range(3)))
    fleet_minute(64, steps[FLEETS[0]], scorer)
    costs = {}
    for chips, step in steps.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work = functools.partial(fleet_minute, chips, step, scorer)
        costs[chips] = cpu_seconds(work, rounds=ROUNDS if chips < FLEETS[-1] else 3) / chips
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        print(f"(c) {chips:>7,} chips: {1e6 * costs[chips]:.1f} us per chip and minute", end="")
        print(f"; peak memory grew by {grown / chips:,.0f} bytes per chip")
    stream = fleet_minute(1000, steps[1000], scorer)
    ring, last = stream.state_bytes // 1000, 4 * len(names)
    print(f"    state per chip: {ring} bytes of ring; its last window has {len(names)} features, {last} bytes")
    least, most = min(costs.values()), max(costs.values())
    met = check(
        f"cost per chip within {most / least:.2f} (at most {RATIO_LINEAR_MAX})", most <= RATIO_LINEAR_MAX * least
    )
    return check(f"{ring + last} bytes per chip (at most {STATE_BYTES_MAX})", ring + last <= STATE_BYTES_MAX) and met


def main() -> int:
    """Measure, print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python", default=None, help="an interpreter with aeon, pandas and prometheus_client")
    python = parser.parse_known_args()[0].peer_python or peer_python()
    # Fleets first: peak memory shows what they take only as long as nothing has taken more.
    met = [measure_fleets(), measure_rows(), measure_path(python)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
