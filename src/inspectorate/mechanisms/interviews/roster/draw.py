"""The draw: from a seed that neither side chose to entries, by hashes, so that anybody can repeat it.

1. The seed is of the roster's envelope and of the promised secret or the beacon's signature (`drawing.sources.seed_of`).
2. All entries of the roster are ordered by rank under that seed (`drawing.ranks`).
3. Of each stratum the first n are drawn, with n by the selection. Within a stratum every set of n is equally likely, and
   strata are independent.
4. Who replaces somebody comes next in the same order in the same stratum. Nobody ever chooses.
5. The order of visits is the same, under a seed of its own: SHA-256(label ‖ seed), so that it tells nothing of step 3.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from inspectorate.drawing.ranks import first_by_rank
from inspectorate.mechanisms.interviews.roster.listed import RosterList

VISITS_LABEL: Final = b"inspectorate/draw/visits/v1\0"


def order_of(seed: bytes, listed: RosterList) -> Mapping[str, tuple[int, ...]]:
    """Steps 2 and 3: of each stratum all entries, in the order in which they are drawn."""
    ordered: dict[str, list[int]] = {name: [] for name in listed.strata}
    for entry in first_by_rank(seed, len(listed.persons), len(listed.persons)):
        ordered[listed.stratum(entry)].append(entry)
    return {name: tuple(entries) for name, entries in ordered.items()}


def draw(order: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Step 3: the entries of an `IntervieweesDrawn`, sorted."""
    return tuple(sorted(entry for name, entries in order.items() for entry in entries[: sizes[name]]))


def replace(order: Mapping[str, tuple[int, ...]], taken: Mapping[str, int], more: Mapping[str, int]) -> tuple[int, ...]:
    """Step 4: of each stratum the next `more`, after the `taken` that were drawn before; sorted."""
    return tuple(sorted(_next(order, taken, more)))


def _next(order: Mapping[str, tuple[int, ...]], taken: Mapping[str, int], more: Mapping[str, int]) -> Iterator[int]:
    for name, entries in order.items():
        start = taken.get(name, 0)
        yield from entries[start : start + more.get(name, 0)]


def visiting_order(seed: bytes, people: int) -> tuple[int, ...]:
    """Step 5: all entries, in the order in which they visit."""
    return first_by_rank(hashlib.sha256(VISITS_LABEL + seed).digest(), people, people)
