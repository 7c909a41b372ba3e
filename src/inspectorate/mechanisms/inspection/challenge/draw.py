"""The draw: from a seed that neither side chose to packets, by hashes, so that anybody can repeat it.

1. The seed is of the commitment's envelope and of the promised secret (32 bytes) or the beacon's signature (48 bytes);
   each has a label of its own (`drawing.ranks`).
2. By packets: they are drawn in order of rank; the first `count` are the draw.
3. By time: point j is a nanosecond of the committed time, equally likely in stratum j mod `strata`, by rejection. The
   packet in which it falls is drawn, unless it was before.

In 2 and 3, i is the row of the list; a draw names packets by their number in the run, which is the row and the list's
`first`.

The order depends on the seed only: who asks for more gets the same packets first. So a plan may look after every packet
(`sampling.sequential`), and a larger count buys no choice of which packet comes early.
"""

from __future__ import annotations

import bisect
import itertools

from inspectorate.drawing.ranks import first_by_rank, uniform_below
from inspectorate.drawing.sources import seed_of
from inspectorate.mechanisms.inspection.challenge.promise import (
    Method,
    Randomness,
    Selection,
)
from inspectorate.mechanisms.inspection.transcripts.types import PacketList


def draw_order(seed: bytes, listed: PacketList, selection: Selection) -> tuple[int, ...]:
    """Steps 2 and 3: the packets that are drawn, in the order in which they are. Raises `ValueError` on an empty
    list."""
    return tuple(dict.fromkeys(draw_points(seed, listed, selection)))


def draw_points(seed: bytes, listed: PacketList, selection: Selection) -> tuple[int, ...]:
    """The packet of every single pick, in order. By time a packet occurs as often as points fall into it."""
    if not listed.leaves:
        raise ValueError("nothing can be drawn from a list without packets")
    if selection.method is Method.PACKETS:
        rows = first_by_rank(seed, len(listed.leaves), selection.count)
    else:
        rows = _by_time(seed, listed, selection)
    return tuple(listed.first + row for row in rows)


def draw(randomness: Randomness, commitment: str, listed: PacketList) -> tuple[int, ...]:
    """The packets of a `PacketsDrawn`: sorted and distinct."""
    return tuple(sorted(draw_order(seed_of(randomness, commitment), listed, randomness.selection)))


def _by_time(seed: bytes, listed: PacketList, selection: Selection) -> tuple[int, ...]:
    ends = list(itertools.accumulate(end - start for start, end in zip(listed.start_ns, listed.end_ns, strict=True)))
    total, strata = ends[-1], selection.strata
    # The stratum k holds the moments [k/strata, (k + 1)/strata) of the whole; over all strata each is equally likely.
    moments = ((j % strata * total + uniform_below(seed, j, total)) // strata for j in range(selection.count))
    return tuple(bisect.bisect_right(ends, moment) for moment in moments)
