"""The covered-cluster test at scale, and how often splitting is found: `python -m bench covered_clusters`.

1. Time to judge 200,000 chips in 25,000 hosts, by how they are wired; with the search for cuts in the worst wiring that is known.
   Times are of the processor, since other work may share it.
2. Honest and evading parties, seeded: how often the sizes raise an alarm at the agreed false-accusation rate, and how often each
   kind of finding stands there. Honest parties outside the null are printed too, and so are evaders whom nothing finds.

Exits 1 where a judgement takes longer than `SECONDS_MAX`, where honest parties within the null are accused more often than agreed,
or where the evaders that are to be found are not.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import ClauseKind
from inspectorate.agreement.chips import NoSplitting
from inspectorate.declaration import Position
from inspectorate.mechanisms.custody.clusters import (
    Ground,
    Snapshot,
    SplitKind,
    Splitting,
    find_splitting,
    judge_clusters,
)
from inspectorate.mechanisms.custody.clusters.tables import CURRENT
from inspectorate.mechanisms.custody.register import Register, Wiring, register_of, wiring_of
from inspectorate.quantities import from_ns
from inspectorate.statistics import clopper_pearson_lower

CHIPS, EACH, SITES = 200_000, 8, 20
SECONDS_MAX = 30.0
ALPHA = 0.01
PARTIES = 40
GBIT = 1_000_000_000
CLAUSE = NoSplitting(kind=ClauseKind.NO_SPLITTING, near_share_min=0.9, within_m=5_000.0, rotated_within_s=90 * 86_400.0)


# --- scale -------------------------------------------------------------------------------------------------------------


def fleet(chips: int) -> Register:
    """Servers of eight at twenty sites."""
    hosts = [n // EACH for n in range(chips)]
    per_site = chips // EACH // SITES
    return register_of(
        {
            "serial": [f"s{n:07d}" for n in range(chips)], "model": ["h100-sxm"] * chips,
            "site": [f"site-{min(SITES - 1, h // per_site):02d}" for h in hosts], "cluster": ["c"] * chips,
            "pod": [f"p{h // 16:05d}" for h in hosts], "rack": [f"r{h // 4}" for h in hosts],
            "host": [f"h{h:06d}" for h in hosts], "owner": ["o"] * chips, "state": ["working"] * chips,
        }
    )  # fmt: skip


def leaf_spine(hosts: int) -> Wiring:
    up = [(f"h{n:06d}", f"leaf{n // 32}", 400 * GBIT) for n in range(hosts)]
    return wiring_of(
        up + [(f"leaf{n}", f"spine{n // 40}-{k}", 400 * GBIT) for n in range(hosts // 32 + 1) for k in range(8)]
    )


def thin(hosts: int, switches: int, rate: int, ports: int = 3) -> Wiring:
    """Every host on several random switches, none of whose links decides anything alone."""
    rng = np.random.default_rng(1)
    return wiring_of(
        [(f"h{n:06d}", f"sw{rng.integers(switches)}-{k}", rate) for n in range(hosts) for k in range(ports)]
    )


def scale(table: Table, chips: int) -> bool:
    register, hosts = fleet(chips), chips // EACH
    slow = False
    for name, wiring in (
        ("no links", None),
        ("leaf and spine, 400G", leaf_spine(hosts)),
        ("3 x 10G to 3,000 switches", thin(hosts, 1_000, 10 * GBIT)),
        ("3 x 10G to 18,000 switches", thin(hosts, 6_000, 10 * GBIT)),
        ("5 x 6G to 15,000 switches", thin(hosts, 3_000, 6 * GBIT, 5)),
    ):  # fmt: skip
        for co_located in (True, False):
            clause = CURRENT.model_copy(update={"joined_by_co_location": co_located, "joined_by_purpose": False})
            begun = time.process_time()
            judged = judge_clusters(register, wiring, clause)
            seconds = time.process_time() - begun
            slow |= seconds > SECONDS_MAX
            table.add_row(
                name,
                "yes" if co_located else "no",
                f"{len(judged):,}",
                "yes" if judged.exact else "no",
                f"{seconds:.2f}",
            )
    return slow


# --- splitting ---------------------------------------------------------------------------------------------------------


class Office(NamedTuple):
    """Servers of one owner at one site."""

    owner: int
    site: int
    servers: int
    serials: int


Party = list[list[Office]]
"""Registers of one party, in order of time."""


def registers(party: Party) -> list[Register]:
    found = []
    for offices in party:
        columns: dict[str, list[str]] = {
            name: [] for name in ("serial", "model", "site", "cluster", "pod", "rack", "host", "owner", "state")
        }
        for one in offices:
            for chip in range(one.servers * EACH):
                row = (f"x{one.serials}-{chip}", "h100-sxm", f"s{one.site}", f"c{one.site}", "p", "r",
                       f"h{one.serials}-{chip // EACH}", f"o{one.owner}", "working")  # fmt: skip
                for name, value in zip(columns, row, strict=True):
                    columns[name].append(value)
        found.append(register_of(columns))
    return found


def _power(rng: random.Random, exponent: float) -> int:
    weights = [n**-exponent for n in range(1, 33)]
    return rng.choices(range(1, 33), weights)[0]


def honest(
    size: Callable[[random.Random], int], *, owners: int = 60, habit: bool = False
) -> Callable[[random.Random], Party]:
    """Owners with one to four offices far from each other; with a habit, all offices of an owner are alike."""

    def party(rng: random.Random) -> Party:
        offices, serial = [], 0
        for owner in range(owners):
            usual = size(rng)
            for _ in range(rng.randint(1, 4)):
                offices.append(Office(owner, serial, usual if habit else size(rng), serial))
                serial += 1
        return [offices]

    return party


def just_below(rng: random.Random) -> Party:
    """Every owner of the party keeps what it has in offices of two servers, ten to a town."""
    return [[Office(owner, 10 * owner + n, 2, 10 * owner + n) for owner in range(60) for n in range(rng.randint(2, 4))]]


def one_owner_below(rng: random.Random) -> Party:
    """One owner alone, with thirty offices of two servers that lie near each other."""
    return [[Office(0, n, 2, n) for n in range(30 + rng.randint(0, 5))]]


def small(rng: random.Random) -> Party:
    """The same, with offices of one server: far below the limb."""
    return [[Office(0, n, 1, n) for n in range(60 + rng.randint(0, 5))]]


def swapping(rng: random.Random) -> Party:
    """Two sites far apart with two servers each change them every month; nobody else is there."""
    a, b, far = rng.randint(0, 99), rng.randint(100, 199), 3_000
    even = [Office(0, 0, 2, a), Office(0, far, 2, b)]
    odd = [Office(0, far, 2, a), Office(0, 0, 2, b)]
    return [even, odd, even]


def taken_apart(rng: random.Random) -> Party:
    """A hall of 96 chips becomes offices of one and two servers in as many towns."""
    hall = [Office(0, 5_000, 2, serial) for serial in range(6)]
    return [hall, [Office(0, 1_000 * n, 2, n) for n in range(6 - rng.randint(0, 1))]]


def renewed(rng: random.Random) -> Party:
    """Honest: an office replaces two old servers by two new ones."""
    return [[Office(0, 0, 2, rng.randint(0, 99))], [Office(0, 0, 2, 100)]]


POSITIONS = {f"s{n}": Position(latitude_deg=-60 + 0.01 * n, longitude_deg=5.0) for n in range(10_000)}
"""Neighbouring numbers lie 1.1 km apart."""
FAR = {f"s{n}": Position(latitude_deg=-60 + 0.1 * n, longitude_deg=5.0) for n in range(1_000)}


def look(party: Party, *, far: bool) -> Splitting:
    chain = [
        Snapshot(at=from_ns(0) + timedelta(days=30 * place), register=register)
        for place, register in enumerate(registers(party))
    ]
    ground = Ground(utilisation=0.6, false_accusation_rate=ALPHA, positions=FAR if far else POSITIONS)
    return find_splitting(chain, CURRENT, CLAUSE, ground)


HONEST: dict[str, tuple[Callable[[random.Random], Party], bool]] = {
    "sizes like k^-2": (honest(lambda rng: _power(rng, 2)), True),
    "sizes like k^-3: the edge of the null": (honest(lambda rng: _power(rng, 3)), True),
    "k^-3, every owner with one habit": (honest(lambda rng: _power(rng, 3), habit=True), True),
    "one to six servers alike": (honest(lambda rng: rng.randint(1, 6)), True),
    "k^-5: outside the null": (honest(lambda rng: _power(rng, 5)), False),
    "two thirds buy two servers by rule: outside the null": (
        honest(lambda rng: 2 if rng.random() < 2 / 3 else _power(rng, 2), habit=True), False,
    ),
}  # fmt: skip
"""Name -> party, and whether it lies within the null."""
EVADING: dict[str, tuple[Callable[[random.Random], Party], SplitKind | None]] = {
    "60 owners, all in offices of two servers": (just_below, SplitKind.BUNCHED),
    "one owner, 30 near offices of two servers": (one_owner_below, SplitKind.PIECES),
    "one owner, 60 near offices of one server": (small, SplitKind.SCATTERED),
    "two sites that swap servers": (swapping, SplitKind.ROTATED),
    "a hall taken apart into far offices": (taken_apart, SplitKind.DISSOLVED),
    "honest renewal of an office": (renewed, SplitKind.ROTATED),
}
"""Name -> party, and what is to be found."""


def splitting(table: Table, parties: int) -> bool:
    wrong = False
    for name, (make, within) in HONEST.items():
        kinds, alarms = tally(make, parties, far=True)
        wrong |= within and clopper_pearson_lower(alarms, parties, 0.01) > ALPHA
        table.add_row(f"honest: {name}", f"{alarms} of {parties}", _said(kinds))
    for name, (make, kind) in EVADING.items():
        few = max(5, parties // 10)
        kinds, alarms = tally(make, few, far=False)
        wrong |= kind is not None and kinds[kind] < few
        table.add_row(name, f"{alarms} of {few}", _said(kinds))
    return wrong


def tally(make: Callable[[random.Random], Party], parties: int, *, far: bool) -> tuple[Counter[SplitKind], int]:
    """In how many parties each kind was found, and how many raised an alarm."""
    kinds: Counter[SplitKind] = Counter()
    alarms = 0
    for seed in range(parties):
        found = look(make(random.Random(seed)), far=far)
        kinds.update({one.kind for one in found.findings})
        alarms += found.bunched
    return kinds, alarms


def _said(kinds: Counter[SplitKind]) -> str:
    return ", ".join(f"{kind.value} {count}" for kind, count in sorted(kinds.items())) or "nothing"


def main() -> int:
    """Print both tables, and whether they may be so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=CHIPS)
    parser.add_argument("--parties", type=int, default=PARTIES)
    given = parser.parse_args()
    console = Console(width=132)
    times = Table(
        "wiring", "co-location joins", "clusters", "exact", "CPU seconds", title=f"{given.chips:,} chips", box=None
    )
    slow = given.chips > 0 and scale(times, given.chips)
    console.print(times)
    rates = Table("party", "alarm by sizes", "parties with findings", title=f"false-accusation rate {ALPHA}", box=None)
    wrong = splitting(rates, given.parties)
    console.print(rates)
    if slow or wrong:
        print("MISSED: a judgement was too slow" if slow else "MISSED: see the rates above")
    return int(slow or wrong)


if __name__ == "__main__":
    sys.exit(main())
