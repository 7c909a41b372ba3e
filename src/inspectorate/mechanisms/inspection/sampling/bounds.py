"""After a replay: how much of the committed time may still be dirty, at a miss probability.

By time     n points of time, of which x fell into dirty packets: the upper bound of Clopper and Pearson on the dirty
share of time. It holds for points in strata, too: given the mean, the number of dirty points varies less than a
binomial (Hoeffding 1956, Annals of Mathematical Statistics 27, 713-721: the lower tail below the mean less one), which
needs a miss probability below 1/4. By packets  m of N packets without replacement, x of them dirty: the largest number
K of dirty packets under which so few would be found with more than the miss probability (hypergeometric, exact). In
time, the K - x that were not found may be the longest of those not drawn.

Dirty is what differed, what was refused or opened late, and what could not be run. Nothing drawn bounds nothing: the
share is 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.numerics import checked_probability
from inspectorate.statistics.sampling import clopper_pearson_upper, dirty_count_upper

MISS_PROBABILITY_MAX: Final = 0.25


def dirty_time_share_upper(
    listed: PacketList,
    selection: Selection,
    points: Sequence[int],
    dirty: Collection[int],
    *,
    miss_probability: float,
) -> float:
    """Upper bound on the dirty share of the committed time. `points` are those of the draw, `dirty` numbers of packets.

    Raises `ValueError` on a miss probability of 1/4 or more, and on dirty packets that were not drawn.
    """
    beta = checked_probability("the miss probability", miss_probability)
    if beta >= MISS_PROBABILITY_MAX:
        raise ValueError(f"the miss probability must lie below {MISS_PROBABILITY_MAX}")
    if not points or not listed.leaves:
        return 1.0
    if stray := set(dirty) - set(points):
        raise ValueError(f"packet {min(stray)} was not drawn")
    if selection.method is Method.TIME:
        return clopper_pearson_upper(sum(number in dirty for number in points), len(points), beta)
    drawn = set(points)
    count = dirty_count_upper(
        population=len(listed.leaves), sampled=len(drawn), dirty=len(set(dirty)), miss_probability=beta
    )
    lengths = [end - start for start, end in zip(listed.start_ns, listed.end_ns, strict=True)]
    unseen = sorted((length for row, length in enumerate(lengths) if listed.first + row not in drawn), reverse=True)
    held = sum(lengths[number - listed.first] for number in dirty) + sum(unseen[: count - len(set(dirty))])
    return held / sum(lengths)
