"""Speed and size of the causal ledger of FLOP beside a plain dictionary: `python bench/flop_ledger.py`.

Two ledgers of n sources each, half of them shared, are merged; and one of 1,000 sources, as a prefix that arrives, is merged into
one of n. The dictionary is Python's, from 24 bytes to a whole number, which is what one would write first. Rates are of CPU seconds
in one process and one run, the median of several rounds taken in turn. Bytes per entry are what the memory tracer counts for one
ledger or dictionary. Exits 1 where a target is missed.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.guarantee.metering.flop_commitment import commit
from inspectorate.mechanisms.guarantee.metering.flop_ledger import (
    ENTRY_BYTES,
    FLOP_PER_UNIT,
    MAGIC,
    SOURCE_BYTES,
    FlopLedger,
    parse,
)

SIZES = (1_000, 100_000)
LARGEST = 1_000_000
PREFIX = 1_000
ROUNDS = 7
BYTES_PER_ENTRY_MAX = 40.0
RATIO_MIN = {1_000: 0.5, 100_000: 2.5}
"""Of merges of two ledgers of one size, over the dictionary."""

Plain = dict[bytes, int]


def plain_merge(one: Plain, other: Plain) -> Plain:
    merged = dict(one)
    for source, units in other.items():
        if units > merged.get(source, -1):
            merged[source] = units
    return merged


def random_plain(count: int, shared: list[bytes]) -> Plain:
    sources = [*shared, *(os.urandom(SOURCE_BYTES) for _ in range(count - len(shared)))]
    return {source: int.from_bytes(os.urandom(6), "big") for source in sources}


def ledger_of(plain: Plain) -> FlopLedger:
    rows = b"".join(source + plain[source].to_bytes(8, "big") for source in sorted(plain))
    return parse(MAGIC + len(plain).to_bytes(4, "big") + rows, where="bench")


def per_s(work: Callable[[], object], at_least_s: float = 0.05) -> float:
    """Calls per CPU second."""
    done, start = 0, time.process_time()
    while (spent := time.process_time() - start) < at_least_s:
        work()
        done += 1
    return done / spent


def alternating(ours: Callable[[], object], peer: Callable[[], object]) -> tuple[float, float]:
    rates = [(per_s(ours), per_s(peer)) for _ in range(ROUNDS)]
    return statistics.median(r[0] for r in rates), statistics.median(r[1] for r in rates)


def bytes_of(make: Callable[[], object]) -> int:
    """Memory that what `make` returns keeps."""
    gc.collect()
    tracemalloc.start()
    kept = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return held


def copied(plain: Plain) -> Plain:
    """A dictionary with keys and values of its own, as one that arrived would have."""
    return {bytes(bytearray(source)): int(str(units)) for source, units in plain.items()}


def main() -> int:
    table = Table("name", "ours", "dictionary", "ratio", "target")
    met = True
    for size in SIZES:
        shared = [os.urandom(SOURCE_BYTES) for _ in range(size // 2)]
        one, other = random_plain(size, shared), random_plain(size, shared)
        a, b = ledger_of(one), ledger_of(other)
        assert a.merge(b).total_units == sum(plain_merge(one, other).values()), "both give one sum"
        own, peer = alternating(lambda a=a, b=b: a.merge(b), lambda x=one, y=other: plain_merge(x, y))
        target = RATIO_MIN[size]
        met &= own >= target * peer
        table.add_row(
            f"merge {size:,} with {size:,} (1/s)",
            f"{own:,.0f}",
            f"{peer:,.0f}",
            f"{own / peer:.1f}x",
            f">= {target:g}x",
        )
    prefix = random_plain(PREFIX, list(one)[: PREFIX // 2])
    sent, wire = ledger_of(prefix), ledger_of(prefix).to_bytes()
    own, peer = alternating(lambda: a.merge(sent), lambda: plain_merge(one, prefix))
    table.add_row(f"merge {PREFIX:,} into {SIZES[-1]:,} (1/s)", f"{own:,.0f}", f"{peer:,.0f}", f"{own / peer:.1f}x", "")
    table.add_row(
        f"parse a prefix of {PREFIX:,} (1/s)", f"{per_s(lambda: parse(wire, where='bench')):,.0f}", "", "", ""
    )
    salt = os.urandom(32)
    start = time.process_time()
    commit(a, salt)
    table.add_row(f"commit to {SIZES[-1]:,} (s)", f"{time.process_time() - start:.2f}", "", "", "")
    largest = random_plain(LARGEST, [])
    wire = ledger_of(largest).to_bytes()
    size_own = bytes_of(lambda: parse(wire, where="bench")) / LARGEST
    size_peer = bytes_of(lambda: copied(largest)) / LARGEST
    met &= size_own <= BYTES_PER_ENTRY_MAX
    table.add_row(
        f"bytes per entry in memory, of {LARGEST:,}",
        f"{size_own:.1f}",
        f"{size_peer:.1f}",
        f"{size_peer / size_own:.1f}x",
        f"<= {BYTES_PER_ENTRY_MAX:g}",
    )
    table.add_row("bytes per entry on the wire", f"{ENTRY_BYTES}", "", "", "")
    table.add_row(f"total of {LARGEST:,}, exact (FLOP)", f"{sum(largest.values()) * FLOP_PER_UNIT:.3e}", "", "", "")
    Console().print(table)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
