"""Speed of digests of weights beside the fastest maintained hash libraries: `python bench/weights_hash.py [--bytes N]`.

The limit is the fastest library on one buffer of as many bytes, in the same run: `blake3` of the authors of the function, beside
SHA-256 with processor instructions (`hashlib`) and BLAKE2b. Ours is the digest of a model's tensors as they lie in memory, and of
the same tensors in a safetensors file that is mapped, once as it is and once with the search for NaN and infinity. Rounds are taken
in turn; the ratio is the median of the rounds' ratios. Rates with one thread are by processor time, with all cores by wall time.

Exits 1 where a digest of tensors runs at less than 70 % of the limit with one thread.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from blake3 import blake3
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.tensor_files import digest_of_files, pieces_of

BYTES = 1 << 29
ROUNDS = 9
RATIO_MIN = 0.7
WIDTH = 768


def model(size: int) -> dict[str, RawTensor]:
    """Tensors of the shapes of a transformer of width 768, in float32, up to about `size` bytes."""
    generator = np.random.default_rng(1)
    tensors: dict[str, RawTensor] = {}
    shapes = {"norm.weight": (WIDTH,), "qkv.weight": (3 * WIDTH, WIDTH), "qkv.bias": (3 * WIDTH,),
              "out.weight": (WIDTH, WIDTH), "up.weight": (4 * WIDTH, WIDTH), "down.weight": (WIDTH, 4 * WIDTH)}  # fmt: skip
    taken, layer = 0, 0
    while taken < size:
        for name, shape in shapes.items():
            data = generator.random(shape, dtype=np.float32)
            tensors[f"layers.{layer}.{name}"] = RawTensor("F32", shape, memoryview(data).cast("B"))
            taken += data.nbytes
        layer += 1
    return tensors


def gigabytes_per_s(size: int, work: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    work()
    return size / (clock() - start) / 1e9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=BYTES)
    tensors = model(parser.parse_args().bytes)
    size = sum(tensor.data.nbytes for tensor in tensors.values())
    flat = b"".join(tensor.data for tensor in tensors.values())
    rows: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "model.safetensors"
        with path.open("wb") as file:
            for piece in pieces_of(tensors):
                file.write(piece)
        works = {
            "hashlib sha256": lambda: hashlib.sha256(flat),
            "hashlib blake2b": lambda: hashlib.blake2b(flat),
            "blake3, 1 thread": lambda: blake3(flat, max_threads=1),
            "tensors in memory, 1 thread": lambda: digest_of_tensors(tensors),
            "mapped file, 1 thread": lambda: digest_of_files([path], finite=False),
            "mapped file, finite, 1 thread": lambda: digest_of_files([path]),
            "blake3, all cores": lambda: blake3(flat, max_threads=blake3.AUTO),
            "tensors in memory, all cores": lambda: digest_of_tensors(tensors, threads=0),
            "mapped file, all cores": lambda: digest_of_files([path], finite=False, threads=0),
        }
        for work in works.values():
            work()
        for _ in range(ROUNDS):
            for name, work in works.items():
                clock = time.perf_counter if "all cores" in name else time.process_time
                rows.setdefault(name, []).append(gigabytes_per_s(size, work, clock))
    table = Table("what", "GB/s", "of the limit", "target")
    met = True
    for name, rates in rows.items():
        limit = rows["blake3, all cores" if "all cores" in name else "blake3, 1 thread"]
        ratio = statistics.median(own / most for own, most in zip(rates, limit, strict=True))
        bound = name in ("tensors in memory, 1 thread", "mapped file, 1 thread")
        met &= not bound or ratio >= RATIO_MIN
        target = f">= {RATIO_MIN:.0%}" if bound else ""
        table.add_row(name, f"{statistics.median(rates):.2f}", f"{ratio:.0%}", target)
    Console().print(f"{len(tensors)} tensors, {size:,} bytes, {os.cpu_count()} cores")
    Console().print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
