"""Speed of the ledger beside pymerkle in memory: `python bench/ledger.py [--folder DIR]`.

Ratios are of CPU seconds in one process and one run, the median of several rounds taken in turn. The durable rate is
wall time on the disk that holds DIR (by default /var/tmp, since /tmp may be memory), through the last fsync, the best of
three new logs. It is printed beside how fast that disk creates files and does nothing else: a log makes two files for
256 entries, and ext4 is ten times slower at that for some minutes after many files nearby were deleted.
Exits 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pymerkle import InmemoryTree
from rich.console import Console
from rich.table import Table

from inspectorate.keys import SigningKey
from inspectorate.ledger import Log, MemoryTree

ENTRY_BYTES = 256
APPENDED = 50_000
PROVED = 20_000
PROOFS = 1_000
BATCH = 4_096
BATCHES = 60
DURABLE_LOGS = 3
ROUNDS = 5
DURABLE_ENTRIES_PER_S_MIN = 300_000
RATIO_MIN = 3.0


def per_s(count: int, work: Callable[[], object]) -> float:
    """Items per CPU second of one call."""
    start = time.process_time()
    work()
    return count / (time.process_time() - start)


def alternating(count: int, ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    """Median rates of both, measured in turn so that a busy machine slows both."""
    rates = [(per_s(count, ours), per_s(count, peer)) for _ in range(ROUNDS)]
    return statistics.median(r[0] for r in rates), statistics.median(r[1] for r in rates)


def ours_appended(entries: list[bytes]) -> MemoryTree:
    tree = MemoryTree()
    for start in range(0, len(entries), BATCH):
        tree.append(entries[start : start + BATCH])
    tree.root()
    return tree


def peer_appended(entries: list[bytes]) -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries(entries)
    tree.get_root()
    return tree


def durable_per_s(folder: Path, batch: list[bytes]) -> float:
    """Entries per second of wall time, through the last fsync of closing the log."""
    start = time.perf_counter()
    with Log.create(folder, "bench.example/log", SigningKey(b"\x01" * 32)) as log:
        for _ in range(BATCHES):
            log.append(batch)
    return BATCHES * len(batch) / (time.perf_counter() - start)


def files_per_s(folder: Path) -> float:
    """How fast this disk creates files of a tile's size in a new folder, without durability."""
    (folder / "files").mkdir()
    count, data = 2 * BATCHES * BATCH // 256, bytes(8192)
    start = time.perf_counter()
    for number in range(count):
        (folder / "files" / str(number)).write_bytes(data)
    return count / (time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="where logs are made, and then removed")
    folder = parser.parse_args().folder
    entries = [os.urandom(ENTRY_BYTES) for _ in range(APPENDED)]
    with tempfile.TemporaryDirectory(dir=folder) as made:
        durable = max(durable_per_s(Path(made) / f"log{i}", entries[:BATCH]) for i in range(DURABLE_LOGS))
        files = files_per_s(Path(made))
    append = alternating(APPENDED, lambda: ours_appended(entries), lambda: peer_appended(entries))
    ours, peer = ours_appended(entries[:PROVED]), peer_appended(entries[:PROVED])
    places = [i * (PROVED // PROOFS) for i in range(PROOFS)]
    inclusion = alternating(
        PROOFS, lambda: [ours.inclusion(i) for i in places], lambda: [peer.prove_inclusion(i + 1) for i in places]
    )
    consistency = alternating(
        PROOFS,
        lambda: [ours.consistency(i + 1) for i in places],
        lambda: [peer.prove_consistency(i + 1, PROVED) for i in places],
    )
    rows = [
        ("append, in memory (entries/s)", *append),
        ("inclusion proof (1/s)", *inclusion),
        ("consistency proof (1/s)", *consistency),
    ]
    table = Table("name", "ours", "peer (pymerkle)", "ratio", "target")
    for name, own, other in rows:
        table.add_row(name, f"{own:,.0f}", f"{other:,.0f}", f"{own / other:.1f}x", f">= {RATIO_MIN:g}x")
    table.add_row(
        "durable batches of 4,096 (entries/s)", f"{durable:,.0f}", "", "", f">= {DURABLE_ENTRIES_PER_S_MIN:,}"
    )
    table.add_row("this disk, creating files only (files/s)", f"{files:,.0f}", "", "", "")
    Console().print(table)
    met = durable >= DURABLE_ENTRIES_PER_S_MIN and all(own >= RATIO_MIN * other for _, own, other in rows)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
