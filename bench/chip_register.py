"""Double entry over a large fleet: `python -m bench chip_register`.

200,000 chips at 20 sites, with a year of changes: a register every 30 days, and in between acquisitions, failures, repairs,
transfers and destruction. All of it is read from the bytes that were handed over, and judged. Beside it, on the same books, the
slow way of the tests (a dictionary entry per chip) as oracle and peer; then 1,000 small honest histories, of which none may show
a fault. Printed: seconds of one core, the ratio, and the memory at its highest before the slow way begins.

Exits 1 where a fault is found in the honest fleet, a planted one is not, the two ways differ, or the fleet takes more than 10 s of
one core or 1 GB.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "custody"))

from register_histories import DAY, START, Fleet, Writer, terms
from register_slow import slow

from inspectorate.evidence.custody import ChipState, CountUnit, Passage
from inspectorate.mechanisms.custody.register import Register, read_register, register_of, units, write_register
from inspectorate.mechanisms.custody.register.faults import Fault
from inspectorate.mechanisms.custody.register.judge import Judged, judge
from inspectorate.mechanisms.custody.register.reading import Books

CHIPS, SITES, EVERY, DAYS = 200_000, 20, 30, 361
SECONDS_MAX, BYTES_MAX = 10.0, 10**9
HISTORIES = 1_000
END = START + DAYS * DAY


class Large:
    """A fleet as arrays, and what its keeper states of it."""

    def __init__(self, chips: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.site = (np.arange(chips) * SITES // chips).astype(np.int32)
        self.broken = np.zeros(chips, dtype=bool)
        self.here = np.ones(chips, dtype=bool)
        self.writer = Writer()
        self.tables: list[bytes] = []
        """Of every register, as handed over."""
        self.chips_changed = 0

    def table(self, chips: np.ndarray) -> Register:
        """Rows of some chips, where they stand."""
        number, site = np.arange(len(chips)), self.site[chips]
        same = {name: texts(f"{name}-", site) for name in ("site", "cluster")}
        return register_of({
            **same, "serial": texts("SN", chips), "model": texts("h100-sxm", np.full(len(chips), -1)),
            "pod": texts("pod-", number // 1024), "rack": texts("rack ", number // 64),
            "host": texts("host ", number // 8), "owner": texts("owner", np.full(len(chips), -1)),
            "state": pa.array(np.where(self.broken[chips], "broken", "working")),
        })  # fmt: skip

    def run(self) -> None:
        """A year: transfers are told of on the third day after a register, and have arrived before the next."""
        for day in range(1, DAYS):
            at = START + day * DAY
            if day % EVERY == 1:
                register = self.table(np.flatnonzero(self.here))
                self.tables.append(write_register(register))
                self.writer.hand([], at, chips=len(register))
            self.failures(at + timedelta(hours=1))
            match day % EVERY:
                case 3:
                    moving = self.transfers(at + timedelta(hours=2))
                case 9:
                    self.acquisition(at + timedelta(hours=2))
                case 7:
                    gone = np.sort(self.random.choice(np.flatnonzero(self.here & ~moving), 200, replace=False))
                    self.writer.destroy(names(gone), at + timedelta(hours=2))
                    self.here[gone] = False
                    self.chips_changed += len(gone)

    def failures(self, at: datetime) -> None:
        for state, later in ((ChipState.BROKEN, 0), (ChipState.WORKING, 10)):
            some = self.random.choice(np.flatnonzero(self.here), 40, replace=False)
            self.writer.report(names(some), state, at + timedelta(minutes=later))
            self.broken[some] = state is ChipState.BROKEN
            self.chips_changed += len(some)

    def transfers(self, at: datetime) -> np.ndarray:
        """From every site to the next. Which chips move."""
        moving = np.zeros(len(self.here), dtype=bool)
        for site in range(SITES):
            there = np.flatnonzero(self.here & (self.site == site) & ~moving)
            some = np.sort(self.random.choice(there, min(500, len(there) // 2), replace=False))
            begins, to = at + 14 * DAY, (site + 1) % SITES
            notice = self.writer.notify(names(some), at, begins, from_site=f"site-{site}", to_site=f"site-{to}")
            for by in ("one", "two"):
                self.writer.decide(notice, by, at + DAY)
            for passage, days in ((Passage.LEFT, 1), (Passage.ARRIVED, 3)):
                self.writer.move(notice, names(some), passage, begins + days * DAY, [f"seal-{site}"])
            self.site[some], moving[some] = to, True
            self.chips_changed += 3 * len(some)
        return moving

    def acquisition(self, at: datetime) -> None:
        new = np.arange(len(self.here), len(self.here) + 400)
        self.site = np.append(self.site, np.full(400, 3, dtype=np.int32))
        self.broken, self.here = (
            np.append(one, np.full(400, value)) for one, value in ((self.broken, False), (self.here, True))
        )
        self.writer.bought(self.table(new), at)
        self.chips_changed += 400


def texts(prefix: str, numbers: np.ndarray) -> pa.Array:
    """A column of names with numbers; of names alone where the number is -1."""
    codes, of_row = np.unique(numbers, return_inverse=True)
    return pa.array([prefix if code < 0 else f"{prefix}{code}" for code in codes.tolist()]).take(pa.array(of_row))


def names(chips: np.ndarray) -> list[str]:
    return [f"SN{number}" for number in chips.tolist()]


def read(large: Large) -> Books:
    """The books, every register read from its bytes."""
    books = large.writer.books()
    handed = [replace(one, register=read_register(data)) for one, data in zip(books.handed, large.tables, strict=True)]
    return replace(books, handed=tuple(handed))


def planted(books: Books) -> Books:
    """The same, with three chips of the last register at another site, and 40 that nothing says where they went."""
    last = books.handed[-1]
    assert last.register is not None
    register = last.register.take(np.arange(40, len(last.register)))
    site = register.columns["site"]
    codes = site.codes.copy()
    codes[:3] = len(site.names) - 1
    moved = Register(serials=register.serials, columns={**register.columns, "site": replace(site, codes=codes)})
    return replace(books, handed=(*books.handed[:-1], replace(last, register=moved)))


def kinds(judged: Judged) -> dict[Fault, int]:
    return {one.fault: one.chips for one in judged.found}


def main() -> int:
    """Print the figures, and whether they are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=CHIPS)
    parser.add_argument("--histories", type=int, default=HISTORIES)
    parser.add_argument("--seed", type=int, default=8)
    given = parser.parse_args()
    large = Large(given.chips, given.seed)
    large.run()
    statements = len(large.tables) + len(large.writer.changes) + len(large.writer.decisions)
    began = time.process_time()
    books = read(large)
    reading = time.process_time() - began
    judged = judge(books, terms(END))
    took = time.process_time() - began
    counted = units(books.handed[-1].register, CountUnit.HOST)  # type: ignore[arg-type]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(
        f"{given.chips} chips, {SITES} sites, {statements} statements, {large.chips_changed} chips changed in {DAYS} days"
    )
    print(f"read {len(large.tables)} registers ({sum(map(len, large.tables)) / 1e6:.1f} MB) in {reading:.2f} s,"
          f" judged in {took - reading:.2f} s; {len(counted)} hosts; at most {peak / 1e6:.0f} MB")  # fmt: skip
    began = time.process_time()
    by_dictionary = slow(books, terms(END))
    slowly = time.process_time() - began
    times = slowly / (took - reading)
    print(
        f"the slow way judges the same books in {slowly:.1f} s, {times:.0f} times as long: {len(by_dictionary)} faults"
    )
    found = kinds(judge(planted(books), terms(END)))
    wrong = bool(judged.found or by_dictionary or (found[Fault.ELSEWHERE], found[Fault.VANISHED]) != (3, 40))
    in_words = ", ".join(f"{one.value} {count}" for one, count in found.items())
    print(f"honest: {len(judged.found)} faults; planted 3 elsewhere and 40 gone: {in_words}")
    began = time.process_time()
    shown = sum(
        bool(judge(Fleet(seed, days=120).run(), terms(START + 120 * DAY)).found) for seed in range(given.histories)
    )
    print(f"{given.histories} small honest histories: {shown} with a fault, in {time.process_time() - began:.0f} s")
    return int(wrong or shown > 0 or took > SECONDS_MAX or peak > BYTES_MAX)


if __name__ == "__main__":
    sys.exit(main())
