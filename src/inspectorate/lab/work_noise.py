"""Measure the noise of honest re-execution on this machine: `noise.json` and `noise.parquet` (`accelerator_noise` says what).

`--again FILE` is the second process: it runs the reference ways once more and writes digests of the weights.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from inspectorate.lab import accelerator_noise as noise
from inspectorate.lab.accelerator_models import Shape
from inspectorate.lab.work_accelerator import FAULTS, stack

AGAIN = "again.json"
FORMATS = ("float32", "tf32", "autocast", "bfloat16")


class Measuring:
    """Results so far, and the time that is left."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.tiny = args, args.scale == "tiny"
        self.ends_s = time.monotonic() + args.budget_s
        self.found: dict[str, Any] = {
            "stack": stack(args.device),
            "weights": {},
            "states": {},
            "failed": {},
            "left_out": [],
        }

    def left_s(self) -> float:
        return self.ends_s - time.monotonic()

    def keep(self) -> None:
        (self.args.out / "noise.json").write_text(json.dumps(self.found, indent=1) + "\n")

    @property
    def steps_shape(self) -> Shape:
        return Shape(width=32, layers=2, heads=2, vocabulary=64) if self.tiny else Shape(
            width=512, layers=6, heads=8, vocabulary=noise.SYMBOLS)  # fmt: skip

    @property
    def prose_shape(self) -> Shape:
        return Shape(width=128, layers=2, heads=2, vocabulary=256) if self.tiny else Shape(
            width=1024, layers=12, heads=16, vocabulary=noise.SYMBOLS)  # fmt: skip

    def trained(self, way: noise.Way) -> dict[int, list[Tensor]]:
        rows, length = (4, 16) if self.tiny else (32, 256)
        return noise.trained(way, self.steps_shape, self.args.device, rows=rows, length=length)


def digest(weights: list[Tensor]) -> str:
    """SHA-256 of the weights, in order, as bytes of 32-bit floats."""
    hasher = hashlib.sha256()
    for one in weights:
        hasher.update(one.cpu().contiguous().numpy().tobytes())
    return hasher.hexdigest()


def digests(found: dict[int, list[Tensor]]) -> dict[str, str]:
    return {str(step): digest(weights) for step, weights in found.items()}


def other_process(args: argparse.Namespace) -> subprocess.Popen[str]:
    """A second process, which waits for a line before it touches the device."""
    command = [
        sys.executable,
        "-m",
        "inspectorate.lab.work_noise",
        "--again",
        str(args.out / AGAIN),
        "--out",
        str(args.out),
    ]
    command += ["--device", args.device, "--scale", args.scale]
    return subprocess.Popen(command, stdin=subprocess.PIPE, text=True)


def ask_other_process(measuring: Measuring, other: subprocess.Popen[str]) -> None:
    """The reference ways once more, in the other process, while this one does nothing on the device."""
    try:
        other.communicate("go\n", timeout=max(measuring.left_s() / 2, 1))
        measuring.found["other_process"] = json.loads((measuring.args.out / AGAIN).read_text())
        (measuring.args.out / AGAIN).unlink()
    except (subprocess.SubprocessError, OSError, ValueError) as fault:
        other.kill()
        measuring.found["failed"]["other-process"] = str(fault)[:300]


def measure_weights(measuring: Measuring, until_s: float) -> None:
    """Every way against the reference of its format."""
    base: dict[str, dict[int, list[Tensor]]] = {}
    for way in noise.ways():
        if measuring.left_s() < until_s:
            measuring.found["left_out"].append(way.name)
            continue
        try:
            found = measuring.trained(way)
        except FAULTS as fault:
            measuring.found["failed"][way.name] = f"{type(fault).__name__}: {str(fault)[:200]}"
            continue
        if way.name == way.reference:
            base[way.name] = found
        if way.reference in base:
            distances = noise.distances(found, base[way.reference])
            told: dict[str, Any] = {"distances": distances}
            if way.name in FORMATS or way.name.endswith("/again"):
                told["digests"] = digests(found)
            measuring.found["weights"][way.name] = told
            print(way.name, {step: f"{one['max']:.1e}" for step, one in distances.items()}, flush=True)
    measuring.keep()


def measure_states(measuring: Measuring, until_s: float) -> None:
    """Every reading against the first, and the stretch that is kept of each."""
    shape, device = measuring.prose_shape, measuring.args.device
    steps = 3 if measuring.tiny else 150
    weights = noise.prose_model(shape, device, steps=steps, rows=2 if measuring.tiny else 32)
    symbols = torch.from_numpy(noise.text_symbols() % shape.vocabulary)
    given = torch.stack(
        [symbols[at : at + noise.LENGTH] for at in range(1000, 1000 + noise.SEQUENCES * 5000, 5000)]
    ).to(device)
    base: noise.States | None = None
    columns: dict[str, list[Any]] = {}
    for reading in noise.readings():
        if measuring.left_s() < until_s:
            measuring.found["left_out"].append(reading.name)
            continue
        try:
            found = noise.read_with(reading, shape, weights[steps - 1 if reading.older else steps], given)
        except FAULTS as fault:
            measuring.found["failed"][reading.name] = f"{type(fault).__name__}: {str(fault)[:200]}"
            continue
        base = base or found
        measuring.found["states"][reading.name] = noise.compared(found, base)
        print(reading.name, f"{measuring.found['states'][reading.name]['hidden_max']:.1e}", flush=True)
        add_rows(columns, reading.name, found, given.cpu())
    if columns:
        write_states(measuring.args.out / "noise.parquet", columns)
    measuring.keep()


def add_rows(columns: dict[str, list[Any]], name: str, found: noise.States, given: Tensor) -> None:
    """The stretch that is kept of one reading."""
    hidden, logits = (one[:, noise.KEPT].flatten(0, 1).cpu() for one in found)
    large = hidden.abs().topk(min(noise.HIDDEN_KEPT, hidden.shape[-1]))
    likely = logits.topk(noise.LOGITS_KEPT)
    count = noise.KEPT.stop - noise.KEPT.start
    rows: dict[str, list[Any]] = {
        "setting": [name] * len(hidden),
        "sequence": [at for at in range(len(given)) for _ in range(count)],
        "position": list(range(noise.KEPT.start, noise.KEPT.stop)) * len(given),
        "symbol": given[:, noise.KEPT].flatten().tolist(),
        "hidden_place": large.indices.tolist(),
        "hidden": hidden.gather(-1, large.indices).tolist(),
        "logit_place": likely.indices.tolist(),
        "logit": likely.values.tolist(),
    }
    for key, values in rows.items():
        columns.setdefault(key, []).extend(values)


def write_states(path: Path, columns: dict[str, list[Any]]) -> None:
    kinds = {"setting": pa.dictionary(pa.int16(), pa.string()), "sequence": pa.int8(), "position": pa.int16(),
             "symbol": pa.int16(), "hidden_place": pa.list_(pa.int16()), "hidden": pa.list_(pa.float32()),
             "logit_place": pa.list_(pa.int16()), "logit": pa.list_(pa.float32())}  # fmt: skip
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in kinds.items()})
    pq.write_table(table, path, compression="zstd", compression_level=9)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget-s", type=float, default=70.0)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--scale", choices=("full", "tiny"), default="full")
    parser.add_argument("--again", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if args.again is not None:
        sys.stdin.readline()
        measuring, ways = Measuring(args), {way.name: way for way in noise.ways()}
        args.again.write_text(json.dumps({name: digests(measuring.trained(ways[name])) for name in FORMATS}))
        return
    other = other_process(args)
    measuring = Measuring(args)
    measuring.found["cublas_workspace"] = os.environ["CUBLAS_WORKSPACE_CONFIG"]
    if args.device == "cuda":
        measuring.found["products"] = noise.product_rates((1024, 2048, 4096, 8192, 16384), seconds=0.3)
        measuring.keep()
    ask_other_process(measuring, other)
    measure_weights(measuring, until_s=args.budget_s * 0.45)
    measure_states(measuring, until_s=4.0)


if __name__ == "__main__":
    main()
