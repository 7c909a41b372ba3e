"""Chips in the course of a chain of registers: covered clusters that were taken apart, and chips moved through one place in turn.

Chips are known by their serials. A site is a place here, since a transfer names sites. Chips that stand in a covered cluster are
not counted while they do: they are declared, and looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from inspectorate.agreement.chips import NoSplitting
from inspectorate.mechanisms.custody.clusters.hosts import weights
from inspectorate.mechanisms.custody.clusters.judge import Judged, Outcome
from inspectorate.mechanisms.custody.clusters.network import BoolArray, IntArray
from inspectorate.mechanisms.custody.clusters.pieces import above
from inspectorate.mechanisms.custody.clusters.presence import Observed, Peak, Seen, Stays, peaks, stays_of, within
from inspectorate.mechanisms.custody.clusters.reference import ROTATIONS_MAX
from inspectorate.mechanisms.custody.register import Register, Wiring
from inspectorate.quantities import to_ns


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One register of a chain, at its time."""

    at: datetime
    register: Register
    wiring: Wiring | None = None


@dataclass(frozen=True, kw_only=True)
class Move:
    """Chips that left a site, or arrived at one: a `ChipsMoved` with the site of its transfer."""

    at: datetime
    serials: Sequence[str]
    site: str
    seen: Seen


@dataclass(frozen=True, eq=False)
class Dissolved:
    """A covered cluster of which uncovered pieces were made."""

    cluster: int
    """In the earlier register."""
    pieces: IntArray
    """In the later one, largest first."""
    chips: int
    micro_tpp: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Chips that passed through one site within the clause's time."""

    site: str
    chips: int
    micro_tpp: int
    memory_bytes: int
    start_ns: int
    end_ns: int
    returned: int
    elsewhere: int
    other_sites: tuple[str, ...]
    owners: tuple[str, ...]


def covered_rows(judged: Judged) -> BoolArray:
    """Which chips stand in a covered cluster."""
    covered = np.array([one is Outcome.COVERED for one in judged.outcomes], dtype=np.bool_)
    found: BoolArray = covered[judged.of_rows()]
    return found


def dissolved(before: Judged, before_register: Register, after: Judged, after_register: Register) -> list[Dissolved]:
    """Covered clusters whose chips, those that then stand in uncovered pieces, would be covered together."""
    rows = np.flatnonzero(covered_rows(before))
    where = pc.index_in(before_register.serials.take(pa.array(rows)), value_set=after_register.serials)
    later = pc.fill_null(where, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    kept = later >= 0
    kept[kept] = ~covered_rows(after)[later[kept]]
    rows, later = rows[kept], later[kept]
    tpp, memory, _ = weights(before.hosts.models, before.manner.models)
    models = before.hosts.model_of_row[rows]
    from_cluster, to_piece = before.of_rows()[rows], after.of_rows()[later]
    micro, size = (np.zeros(len(before), dtype=np.int64) for _ in range(2))
    np.add.at(micro, from_cluster, tpp[models])
    np.add.at(size, from_cluster, memory[models])
    order = np.argsort(from_cluster, kind="stable")
    starts = np.searchsorted(from_cluster[order], np.arange(len(before) + 1))
    return [
        Dissolved(
            cluster=number,
            pieces=np.unique(to_piece[order[starts[number] : starts[number + 1]]]),
            chips=int(starts[number + 1] - starts[number]),
            micro_tpp=int(micro[number]),
            memory_bytes=int(size[number]),
        )
        for number in np.flatnonzero(above(before.clause, micro, size)).tolist()
    ]


def rotated(
    chain: Sequence[Snapshot], judged: Sequence[Judged], moves: Sequence[Move], clause: NoSplitting
) -> tuple[list[Rotation], int]:
    """Sites through which more passed in turn than a limb, though no register shows so many there: those with most, and how many
    there are in all."""
    known = _Chips(chain, judged, moves)
    stays = stays_of(known.observed)
    window_ns = round(clause.rotated_within_s * 1e9)
    limits = judged[-1].clause
    tops: dict[int, Peak] = {}
    for mass, is_tpp in ((known.memory_bytes, False), (known.micro_tpp, True)):
        if not is_tpp and limits.memory_bytes_max is None:
            continue
        for peak in peaks(stays, mass, window_ns):
            value, none = np.array([peak.mass]), np.zeros(1, dtype=np.int64)
            if above(limits, *((value, none) if is_tpp else (none, value)))[0]:
                tops[peak.place] = peak
    largest = sorted(tops.values(), key=lambda peak: (-peak.mass, peak.place))
    return [known.rotation(stays, peak, window_ns) for peak in largest[:ROTATIONS_MAX]], len(largest)


class _Chips:
    """Chips of a whole chain by number, with what they weigh and where they were seen."""

    def __init__(self, chain: Sequence[Snapshot], judged: Sequence[Judged], moves: Sequence[Move]) -> None:
        lists = [one.register.serials.cast(pa.string()) for one in chain]
        lists += [pa.array(list(move.serials), type=pa.string()) for move in moves]
        encoded = pa.chunked_array(lists).combine_chunks().dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        parts = np.split(codes, np.cumsum([len(one) for one in lists])[:-1])
        self.micro_tpp, self.memory_bytes, self.owner = (
            np.zeros(len(encoded.dictionary), dtype=np.int64) for _ in range(3)
        )
        self.sites: dict[str, int] = {}
        self.owners: dict[str, int] = {}
        seen = []
        for snapshot, one, numbers in zip(chain, judged, parts, strict=False):
            seen.append(self._registered(snapshot, one, numbers))
        for move, numbers in zip(moves, parts[len(chain) :], strict=True):
            place = self.sites.setdefault(move.site, len(self.sites))
            seen.append(_observed(numbers, np.full(numbers.size, place), move.at, move.seen))
        self.observed = Observed.joined(seen)

    def _registered(self, snapshot: Snapshot, judged: Judged, numbers: IntArray) -> Observed:
        hosts = judged.hosts
        tpp, memory, _ = weights(hosts.models, judged.manner.models)
        self.micro_tpp[numbers] = tpp[hosts.model_of_row]
        self.memory_bytes[numbers] = memory[hosts.model_of_row]
        owners = np.array([self.owners.setdefault(name, len(self.owners)) for name in hosts.owners], dtype=np.int64)
        self.owner[numbers] = owners[hosts.owner_of_row]
        sites = np.array([self.sites.setdefault(name, len(self.sites)) for name in hosts.site_names], dtype=np.int64)
        free = ~covered_rows(judged)
        return _observed(numbers[free], sites[hosts.sites[hosts.of_row]][free], snapshot.at, Seen.REGISTERED)

    def rotation(self, stays: Stays, peak: Peak, window_ns: int) -> Rotation:
        chosen = within(stays, peak, window_ns)
        chips = np.unique(stays.chip[chosen])
        here = stays.chip[(stays.place == peak.place) & np.isin(stays.chip, chips)]
        _, times = np.unique(here, return_counts=True)
        meets = (stays.start_ns <= peak.start_ns + window_ns) & (stays.end_ns >= peak.start_ns)
        others = meets & (stays.place != peak.place) & np.isin(stays.chip, chips)
        sites, owners = list(self.sites), list(self.owners)
        return Rotation(
            site=sites[peak.place],
            chips=int(chips.size),
            micro_tpp=int(self.micro_tpp[chips].sum()),
            memory_bytes=int(self.memory_bytes[chips].sum()),
            start_ns=int(max(peak.start_ns, stays.start_ns[chosen].min())),
            end_ns=int(min(peak.start_ns + window_ns, stays.end_ns[chosen].max())),
            returned=int(np.count_nonzero(times > 1)),
            elsewhere=int(np.unique(stays.chip[others]).size),
            other_sites=tuple(sorted(sites[place] for place in np.unique(stays.place[others]).tolist())),
            owners=tuple(sorted(owners[code] for code in np.unique(self.owner[chips]).tolist())),
        )


def _observed(chips: IntArray, places: IntArray, at: datetime, seen: Seen) -> Observed:
    return Observed(
        chip=chips,
        place=places,
        at_ns=np.full(chips.size, to_ns(at), dtype=np.int64),
        seen=np.full(chips.size, int(seen), dtype=np.int64),
    )
