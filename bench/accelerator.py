"""What the recordings of an accelerator say of the meter and of the work: `python -m bench accelerator [FOLDER]`.

1. The meter, session by session: polls, gaps, how often each column moves, energy beside the integral of power, over how long
   `power_w` is a mean (the window of `power_instant_w` that fits it best), wraps of the PCIe counters, and the recorder's cost.
2. The work, over all its runs: power, clock, hardware counters, FLOP a second by rule, as a share of the dense bfloat16 peak, and
   energy per FLOP, all in; and FLOP as torch counts them beside the rule.

Exits 1 where the energy counter and the integral of power differ by more than 1 %, or a file is not as `manifest.json` says.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.workloads.evaluate.load_accelerator import (
    MANIFEST,
    TABLE,
    Recorded,
    between,
    counted,
    read_recorded,
    sessions,
)
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.table import read_table

F64 = NDArray[np.float64]
OUT = Console(width=170)
DATA = Path(__file__).parents[1] / "examples" / "accelerator-h200"
PEAK_FLOP_PER_S = 989.4e12
"""H100 and H200 SXM, dense bfloat16 (data sheet)."""
ENERGY_APART_MAX = 0.01
FITTED_S = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
MOVING = ("power_w", "power_instant_w", "energy_j", "busy_share", "core_clock_hz", "temperature_c", "tensor_busy_share")
PCIE = ("pcie_sent_bytes", "pcie_received_bytes")
SHARES = ("tensor_busy_share", "sm_busy_share", "dram_busy_share")


def column(samples: Samples, name: str) -> F64:
    found: F64 = samples.values[:, samples.signals.index(name)].astype(np.float64)
    return found


def seconds(samples: Samples) -> F64:
    found: F64 = (samples.time_ns - samples.time_ns[0]) / 1e9
    return found


def moves_every(samples: Samples, name: str) -> F64:
    """Quartiles of the time between two changes [s]."""
    at, values = seconds(samples), column(samples, name)
    good = np.isfinite(values)
    at, values = at[good], values[good]
    return np.quantile(np.diff(at[1:][np.diff(values) != 0]), [0.25, 0.5, 0.75])


def mean_over(samples: Samples) -> dict[float, float]:
    """Window [s] -> root mean square between `power_w` and the mean of `power_instant_w` over that window [W]."""
    at, step_s = seconds(samples), 0.05
    grid = np.arange(at[0], at[-1], step_s)
    instant = np.interp(grid, at, column(samples, "power_instant_w"))
    shown = np.interp(grid, at, column(samples, "power_w"))
    total = np.concatenate([[0.0], np.cumsum(instant)])
    found = {}
    for window_s in FITTED_S:
        width = round(window_s / step_s)
        mean = (total[width:] - total[:-width]) / width
        found[window_s] = float(np.sqrt(np.mean((mean - shown[width - 1 :]) ** 2)))
    return found


def meter(folder: Path) -> bool:
    """Print what is known of one session's meter; whether it agrees with itself."""
    manifest = json.loads((folder / MANIFEST).read_text())
    whole = all(
        hashlib.sha256((folder / name).read_bytes()).hexdigest() == told["sha256"]
        for name, told in manifest["files"].items()
    )
    samples, host = read_table(folder / TABLE), read_table(folder / "host.parquet")
    at = seconds(samples)
    every = np.diff(at)
    energy = column(samples, "energy_j")
    joules = float(energy[-1] - energy[0])
    integrals = {name: float(np.trapezoid(column(samples, name), at)) for name in ("power_w", "power_instant_w")}
    OUT.print(f"[bold]{folder.name}[/]: {len(at)} polls in {at[-1]:.1f} s, median {np.median(every) * 1e3:.1f} ms, "
              f"99 % below {np.quantile(every, 0.99) * 1e3:.1f} ms, {(every > 0.1).sum()} gaps over 100 ms (longest "
              f"{every.max() * 1e3:.0f} ms), {manifest['verified']['polls_dropped']} dropped")  # fmt: skip
    OUT.print("moves every (quartiles, s): " + "; ".join(
        f"{name} {', '.join(f'{value:.3f}' for value in moves_every(samples, name))}" for name in MOVING))  # fmt: skip
    OUT.print(f"energy_j {joules:,.0f} J; integrals " + ", ".join(
        f"{name} {value:,.0f} J ({value / joules - 1:+.2%})" for name, value in integrals.items()))  # fmt: skip
    OUT.print("power_w against means of power_instant_w over s, rms W: "
              + ", ".join(f"{window:g}: {value:.1f}" for window, value in mean_over(samples).items()))  # fmt: skip
    for name in PCIE:
        rises = np.diff(column(samples, name))
        rates = np.where(rises < 0, rises + 2.0**32, rises) / every
        OUT.print(
            f"{name}: wraps {(rises < 0).sum()} times at 2^32; at most {rates.max() / 1e9:.1f} GB/s between two polls"
        )
    for unit, name in enumerate(host.units):
        rows = host.unit == unit
        spent, spans = column(host, "cpu_time_s")[rows], host.time_ns[rows] / 1e9
        OUT.print(f"{name}: {(spent[-1] - spent[0]) / (spans[-1] - spans[0]):.1%} of one core, at most "
                  f"{column(host, 'resident_bytes')[rows].max() / 2**20:,.0f} MiB")  # fmt: skip
    took = manifest["session"]["probed"]
    slowest = sorted(took["query_ms"].items(), key=lambda one: -one[1][0])[:5]
    OUT.print(f"one poll of all columns {took['poll_s'][0] * 1e3:.1f} ms; slowest queries: " + ", ".join(
        f"{name} {value[0]:.2f} ms" for name, value in slowest))  # fmt: skip
    return whole and max(abs(value / joules - 1) for value in integrals.values()) <= ENERGY_APART_MAX


def work(folders: tuple[Path, ...]) -> Table:
    """One line for each workload."""
    found: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for folder in folders:
        samples = counted(read_table(folder / TABLE))
        for one in read_recorded(folder):
            if one.event == "done":
                found[one.kind, one.disguise and "disguised", one.workload].append(measured(samples, one))
    table = Table("kind", "workload", "runs", "W", "W, sd", "MHz", "tensor", "SM", "DRAM", "TFLOP/s", "of peak", "pJ/FLOP",
                  "torch / rule")  # fmt: skip
    for (kind, disguised, name), runs in sorted(found.items()):
        mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        rate = mean["flop_per_s"]
        per = (
            [f"{rate / 1e12:.1f}", f"{rate / PEAK_FLOP_PER_S:.1%}", f"{mean['watts'] / rate * 1e12:.2f}"]
            if rate
            else [""] * 3
        )
        table.add_row(
            f"{kind} {disguised}".strip(),
            name,
            str(len(runs)),
            *[f"{mean[key]:.0f}" for key in ("watts", "spread", "mhz")],
            *[f"{mean[key]:.2f}" for key in SHARES],
            *per,
            f"{mean['ratio']:.3f}" if np.isfinite(mean["ratio"]) else "",
        )
    return table


def measured(samples: Samples, one: Recorded) -> dict[str, float]:
    """One run: means over its repeated steps; power from the energy counter."""
    part = between(samples, one.start_ns, one.end_ns)
    energy, at = column(part, "energy_j"), seconds(part)
    rule, torch = one.probe_flop_by_rule, one.probe_flop_counted
    return {
        "watts": float((energy[-1] - energy[0]) / at[-1]),
        "spread": float(column(part, "power_instant_w").std()),
        "mhz": float(column(part, "core_clock_hz").mean() / 1e6),
        "flop_per_s": (one.flop_training + one.flop_other) / ((one.end_ns - one.start_ns) / 1e9),
        "ratio": torch / rule if torch and rule else float("nan"),
    } | {name: float(np.nanmean(column(part, name))) for name in SHARES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DATA)
    args = parser.parse_args()
    folders = sessions(args.folder)
    good = [meter(folder) for folder in folders]
    OUT.print(work(folders))
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
