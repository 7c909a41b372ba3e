"""Telemetry to test with: scrapes as dcgm-exporter shows them, samples, and a slow obvious `tidy`."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from itertools import pairwise

import numpy as np

from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.signals import SENTINEL_MIN, SIGNALS, SignalKind

S = 10**9
START_NS = 1_772_442_000 * S

# Metric -> how its values look.
DCGM = {
    "DCGM_FI_DEV_SM_CLOCK": "%d",
    "DCGM_FI_DEV_MEM_CLOCK": "%d",
    "DCGM_FI_DEV_MEMORY_TEMP": "%d",
    "DCGM_FI_DEV_GPU_TEMP": "%d",
    "DCGM_FI_DEV_POWER_USAGE": "%.6f",
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "%d",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": "%d",
    "DCGM_FI_DEV_GPU_UTIL": "%d",
    "DCGM_FI_DEV_MEM_COPY_UTIL": "%d",
    "DCGM_FI_DEV_ENC_UTIL": "%d",
    "DCGM_FI_DEV_DEC_UTIL": "%d",
    "DCGM_FI_DEV_XID_ERRORS": "%d",
    "DCGM_FI_DEV_FB_FREE": "%d",
    "DCGM_FI_DEV_FB_USED": "%d",
    "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": "%d",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "%.6f",
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": "%.6f",
    "DCGM_FI_PROF_DRAM_ACTIVE": "%.6f",
    "DCGM_FI_PROF_PCIE_TX_BYTES": "%d",
    "DCGM_FI_PROF_PCIE_RX_BYTES": "%d",
}


def header(time_ns: int, took_ns: int = 8_000_000) -> str:
    return f"# scraped {time_ns} took {took_ns}\n"


def dcgm(random_: random.Random, *, host: int = 0, chips: int = 8, metrics: int = 20) -> str:
    """One scrape of dcgm-exporter, without its header."""
    lines = []
    for name, form in list(DCGM.items())[:metrics]:
        lines.append(f"# HELP {name} what it is.\n# TYPE {name} gauge\n")
        for chip in range(chips):
            labels = (
                f'gpu="{chip}",UUID="GPU-{host:08d}-c086-568a-9f1a-c1e1c934c{chip:03d}",pci_bus_id="00000000:{chip:02d}:02.0",'
                f'device="nvidia{chip}",modelName="NVIDIA H100 80GB HBM3",Hostname="node-{host}",container="",namespace="",pod=""'
            )
            value = random_.random() if form == "%.6f" else random_.randrange(10 ** random_.randrange(1, 12))
            lines.append(f"{name}{{{labels}}} {form % value}\n")
    return "".join(lines)


def scrapes(seed: int, *, hosts: int, rounds: int, **shape: int) -> bytes:
    """Scrapes of several hosts in turn, one round a second."""
    source = random.Random(seed)
    parts = [
        header(START_NS + moment * S + host * 1_000_000) + dcgm(source, host=host, **shape)
        for moment in range(rounds)
        for host in range(hosts)
    ]
    return "".join(parts).encode()


def samples(
    rows: list[tuple[int, str, dict[str, float]]], units: tuple[str, ...] = (), signals: tuple[str, ...] = ()
) -> Samples:
    """Samples of rows of time [ns], unit and values."""
    units = tuple(dict.fromkeys((*units, *(unit for _, unit, _ in rows))))
    signals = tuple(dict.fromkeys((*signals, *(signal for _, _, values in rows for signal in values))))
    values = np.full((len(rows), len(signals)), np.nan)
    for at, (_, _, cells) in enumerate(rows):
        for signal, value in cells.items():
            values[at, signals.index(signal)] = value
    return Samples(
        units=units,
        signals=signals,
        time_ns=np.array([time_ns for time_ns, _, _ in rows], dtype=np.int64),
        unit=np.array([units.index(unit) for _, unit, _ in rows], dtype=np.int32),
        values=values,
    )


def same(one: Samples, other: Samples) -> bool:
    """Whether samples are equal to the last bit, rows in one order, whatever the order of signals and units."""
    if set(one.signals) != set(other.signals) or len(one) != len(other):
        return False
    names = [[s.units[u] for u in s.unit] for s in (one, other)]
    columns = [
        np.stack([s.values[:, s.signals.index(name)] for name in sorted(s.signals)], axis=1) if s.signals else s.values
        for s in (one, other)
    ]
    return (
        names[0] == names[1]
        and np.array_equal(one.time_ns, other.time_ns)
        and columns[0].tobytes() == columns[1].tobytes()
    )


def slow_tidy(
    given: Samples, *, start_ns: int, end_ns: int, step_ns: int, gap_ns: int
) -> tuple[dict[tuple[str, int, str], float], dict[str, int]]:
    """Values of a frame by (signal, step, unit), and what was left out: the rules of `tidy`, one after the other."""
    counts: dict[str, int] = defaultdict(int)
    readings: dict[tuple[str, str], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in range(len(given)):
        for column, name in enumerate(given.signals):
            value, signal = float(given.values[row, column]), SIGNALS[name]
            time_ns = int(given.time_ns[row])
            if math.isnan(value):
                continue
            inside = start_ns <= time_ns < end_ns
            if value >= SENTINEL_MIN:
                counts["blank"] += 1
            elif value > signal.largest:
                counts["too-large"] += 1
            elif value < signal.smallest:
                counts["too-small"] += 1
            elif inside or signal.kind is SignalKind.COUNTER:
                counts["outside"] += not inside
                readings[given.units[given.unit[row]], name][time_ns].append(value)
            else:
                counts["outside"] += 1
    gauges: dict[tuple[str, int, str], float] = {}
    counters: dict[tuple[str, int, str], float] = {}
    for (unit, name), by_time in readings.items():
        clean = []
        for time_ns in sorted(by_time):
            values = by_time[time_ns]
            others = sum(value != values[0] for value in values)
            counts["repeated"] += len(values) - 1 - others
            if others:
                counts["contradicted"] += 1 + others
            else:
                clean.append((time_ns, values[0]))
        if SIGNALS[name].kind is SignalKind.GAUGE:
            steps: dict[int, list[float]] = defaultdict(list)
            for time_ns, value in clean:
                steps[(time_ns - start_ns) // step_ns].append(value)
            gauges |= {(name, step, unit): sum(values) / len(values) for step, values in steps.items()}
            for (t0, v0), (t1, v1) in pairwise(clean):
                first, second = ((t - start_ns) // step_ns for t in (t0, t1))
                if second - first == 2 and t1 - t0 <= 1.5 * step_ns:
                    gauges[name, first + 1, unit] = (v0 + v1) / 2
        else:
            for step, value in _rates(clean, name, counts, (start_ns, end_ns, step_ns, gap_ns)).items():
                counters[SIGNALS[name].gauge, step, unit] = value
    return gauges | counters, {reason: count for reason, count in counts.items() if count}


def _rates(
    clean: list[tuple[int, float]], name: str, counts: dict[str, int], grid: tuple[int, int, int, int]
) -> dict[int, float]:
    start_ns, end_ns, step_ns, gap_ns = grid
    signal = SIGNALS[name]
    steps = -(-(end_ns - start_ns) // step_ns)
    kept: list[tuple[int, float]] = []
    for time_ns, value in clean:
        if kept and value == kept[-1][1] and time_ns - kept[-1][0] < signal.refreshed_s * 1e9:
            continue
        kept.append((time_ns, value))
    rose, covered = defaultdict(float), defaultdict(float)
    for (t0, v0), (t1, v1) in pairwise(kept):
        if t1 <= start_ns or t0 >= end_ns:
            continue
        if v1 < v0:
            counts["counter-fell"] += 1
        elif t1 - t0 > max(gap_ns, signal.refreshed_s * 1e9):
            counts["counter-silent"] += 1
        elif (v1 - v0) / ((t1 - t0) / 1e9) > SIGNALS[signal.gauge].largest:
            counts["counter-too-fast"] += 1
        else:
            for step in range(steps):
                within = min(t1, start_ns + (step + 1) * step_ns) - max(t0, start_ns + step * step_ns)
                if within > 0:
                    covered[step] += within
                    rose[step] += (v1 - v0) / ((t1 - t0) / 1e9) * within
    return {step: rose[step] / covered[step] for step in rose if covered[step] >= step_ns / 2}
