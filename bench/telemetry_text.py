"""Speed of reading telemetry beside prometheus_client, in CPU seconds of one core: `python -m bench telemetry_text`.

Scrapes as dcgm-exporter shows them (8 chips, 20 metrics, labels of a scheduler: about 240 bytes a sample) of 20 hosts, one a
second. In turn, the median of several rounds: prometheus_client parses the text of some scrapes; we read payloads of all, by pages
and line by line. Both must find the same values, to the last bit. Then the same samples as our table: bytes a value and speed; and
samples onto a grid. The first call compiles, and is not measured. Exits 1 where a target is missed.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
from collections.abc import Callable

import numpy as np
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.names import meaning_of, scaled, unit_of
from inspectorate.mechanisms.workloads.telemetry.payload import encode_segment
from inspectorate.mechanisms.workloads.telemetry.prometheus import PrometheusReader
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport
from inspectorate.mechanisms.workloads.telemetry.table import read_table
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy

ROUNDS = 5
HOSTS, CHIPS, SECONDS = 20, 8, 60
PEER_SCRAPES = 30
"""The peer is slow: it gets a part, and rates are compared."""
RATIO_TEXT, RATIO_LINES = 20.0, 1.0
TIDY_VALUES_PER_S = 20e6
NS = 10**9
START_NS = 1_772_442_000 * NS
METRICS = {
    "DCGM_FI_DEV_SM_CLOCK": "%d", "DCGM_FI_DEV_MEM_CLOCK": "%d", "DCGM_FI_DEV_MEMORY_TEMP": "%d",
    "DCGM_FI_DEV_GPU_TEMP": "%d", "DCGM_FI_DEV_POWER_USAGE": "%.6f", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": "%d",
    "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": "%d", "DCGM_FI_DEV_GPU_UTIL": "%d", "DCGM_FI_DEV_MEM_COPY_UTIL": "%d",
    "DCGM_FI_DEV_ENC_UTIL": "%d", "DCGM_FI_DEV_DEC_UTIL": "%d", "DCGM_FI_DEV_XID_ERRORS": "%d",
    "DCGM_FI_DEV_FB_FREE": "%d", "DCGM_FI_DEV_FB_USED": "%d", "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL": "%d",
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": "%.6f", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": "%.6f",
    "DCGM_FI_PROF_DRAM_ACTIVE": "%.6f", "DCGM_FI_PROF_PCIE_TX_BYTES": "%d", "DCGM_FI_PROF_PCIE_RX_BYTES": "%d",
}  # fmt: skip
RANGES = {"SM_CLOCK": 1980, "MEM_CLOCK": 2619, "TEMP": 85, "UTIL": 100, "COUNTER": 1, "ERRORS": 1, "FB_": 81_559}


def scrape(source: random.Random, host: int, moment: int) -> str:
    """One page of one host."""
    lines = []
    for name, form in METRICS.items():
        lines.append(f"# HELP {name} what it is.\n# TYPE {name} gauge\n")
        most = next((most for word, most in RANGES.items() if word in name), 10**11)
        for chip in range(CHIPS):
            value = source.randrange(most) if form == "%d" else source.random()
            if name.endswith("ENERGY_CONSUMPTION"):
                value = 455_497_156 + moment * 500_000 + source.randrange(100_000)
            elif name.endswith("POWER_USAGE"):
                value = 60 + 640 * value
            lines.append(
                f'{name}{{gpu="{chip}",UUID="GPU-{host:08d}-c086-568a-9f1a-c1e1c934c{chip:03d}",'
                f'pci_bus_id="00000000:{chip:02d}:00.0",device="nvidia{chip}",modelName="NVIDIA H100 80GB HBM3",'
                f'Hostname="node-{host:04d}",container="main",namespace="default",pod="run-{host:04d}"}} {form % value}\n'
            )
    return "".join(lines)


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds, user and system, of one call."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def by_peer(pages: list[str]) -> list[dict[tuple[str, str], float]]:
    """What prometheus_client finds on each page, under our names; the lookup of names is a small part of its time."""
    found = []
    for page in pages:
        values = {}
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                meaning = meaning_of(sample.name)
                if meaning is not None:
                    values[unit_of(meaning, sample.labels, ""), meaning.signal] = scaled(sample.value, meaning.factor)
        found.append(values)
    return found


def parse_only(pages: list[str]) -> None:
    """The peer's parsing alone."""
    for page in pages:
        for family in text_string_to_metric_families(page):
            len(family.samples)


def equal(samples: Samples, expected: list[dict[tuple[str, str], float]]) -> bool:
    """Whether the first rows hold exactly what the peer found."""
    for page, values in enumerate(expected):
        rows = slice(page * CHIPS, (page + 1) * CHIPS)
        ours = {
            (samples.units[unit], signal): samples.values[rows][row, column]
            for row, unit in enumerate(samples.unit[rows])
            for column, signal in enumerate(samples.signals)
        }
        if ours != values:
            return False
    return True


def measured(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median CPU seconds of each, in turn."""
    for work in works.values():
        work()
    rounds = [{name: cpu_s(work) for name, work in works.items()} for _ in range(ROUNDS)]
    return {name: statistics.median(one[name] for one in rounds) for name in works}


def gridded(units: int, times: int) -> Samples:
    """Samples of four gauges and a counter at 1 Hz, in the order of arrival."""
    source, rows = np.random.default_rng(1), units * times
    values = source.random((rows, 5))
    values[:, 4] = np.repeat(np.arange(times) * 400.0, units)
    return Samples(
        units=tuple(f"u{n}" for n in range(units)),
        signals=("power_w", "busy_share", "memory_busy_share", "dram_busy_share", "energy_j"),
        time_ns=np.repeat(np.arange(times) * NS, units) + np.tile(source.integers(0, NS // 10, units), times),
        unit=np.tile(np.arange(units, dtype=np.int32), times),
        values=values,
    )


def main() -> int:
    source = random.Random(7)
    pages = [scrape(source, host, moment) for moment in range(SECONDS) for host in range(HOSTS)]
    text = "".join(
        f"# scraped {START_NS + n * NS // HOSTS} took 8000000\n{page}" for n, page in enumerate(pages)
    ).encode()
    lines = len(pages) * CHIPS * len(METRICS)
    part = text[: text.index(f"# scraped {START_NS + PEER_SCRAPES * NS // HOSTS} ".encode())]
    part_lines = PEER_SCRAPES * CHIPS * len(METRICS)
    samples = PrometheusReader().read(text, ReadReport())
    slow = PrometheusReader(by_pages=False).read(text, ReadReport())
    agree = equal(samples, by_peer(pages[:PEER_SCRAPES])) and samples.values.tobytes() == slow.values.tobytes()
    encoded = encode_segment(samples)
    reader = PrometheusReader()
    grids = {units: gridded(units, 3_000_000 // units // 5) for units in (1_000, 100_000)}
    took = measured(
        {
            "peer": lambda: parse_only(pages[:PEER_SCRAPES]),
            "pages": lambda: reader.read(text, ReadReport()),
            "cold": lambda: PrometheusReader().read(part, ReadReport()),
            "lines": lambda: PrometheusReader(by_pages=False).read(part, ReadReport()),
            "read": lambda: read_table(encoded),
            "write": lambda: encode_segment(samples),
            **{
                f"tidy {units}": lambda grid=grid: tidy(  # type: ignore[misc]
                    grid, start_ns=0, end_ns=(len(grid) // len(grid.units)) * NS, step_ns=NS
                )
                for units, grid in grids.items()
            },
        }
    )
    peer = part_lines / took["peer"]
    rates = {"pages": lines / took["pages"], "cold": part_lines / took["cold"], "lines": part_lines / took["lines"]}
    table = Table(
        "reading text",
        "M samples / CPU s",
        "x prometheus_client",
        "target",
        title=f"{len(text) / lines:.0f} bytes a sample",
    )
    table.add_row("prometheus_client", f"{peer / 1e6:.3f}", "1", "")
    for name, words, target in (
        ("pages", "by pages, of a target seen before", f">= {RATIO_TEXT:g}x"),
        ("cold", f"by pages, {HOSTS} of {PEER_SCRAPES} scrapes never seen before", ""),
        ("lines", "line by line", f">= {RATIO_LINES:g}x"),
    ):
        table.add_row(words, f"{rates[name] / 1e6:.3f}", f"{rates[name] / peer:.1f}", target)
    cells, shown = samples.values.size, Table("", "measured", "target")
    shown.add_row("same values, to the last bit", str(agree), "True")
    shown.add_row("text, bytes a value that is known", f"{len(text) / cells:.1f}", "")
    shown.add_row("table, bytes a value", f"{len(encoded) / cells:.2f}", "")
    shown.add_row("table, read, M values / CPU s", f"{cells / took['read'] / 1e6:.1f}", "")
    shown.add_row("table, written, M values / CPU s", f"{cells / took['write'] / 1e6:.1f}", "")
    tidied = {units: grid.values.size / took[f"tidy {units}"] for units, grid in grids.items()}
    for units, rate in tidied.items():
        goal = f">= {TIDY_VALUES_PER_S / 1e6:g}" if units == min(tidied) else ""
        shown.add_row(f"onto a grid, {units} units, M values / CPU s", f"{rate / 1e6:.1f}", goal)
    console = Console()
    console.print(table, shown)
    met = agree and rates["pages"] >= RATIO_TEXT * peer and rates["lines"] >= RATIO_LINES * peer
    return 0 if met and tidied[min(tidied)] >= TIDY_VALUES_PER_S else 1


if __name__ == "__main__":
    sys.exit(main())
