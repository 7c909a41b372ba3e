"""Where an adversary puts work that is not as committed to, and how often a plan finds it.

Each adversary answers the plan with a set of packets that holds at least the dirty share of the committed time:

    random       packets at random
    clustered    one run of packets, anywhere
    even         one packet in every so many: as far apart as can be
    longest      the longest packets: the fewest packets for the time, the best answer to a draw by packets
    shortest     the shortest packets
    stretched    the same hidden work, but each packet holds only 1/k of it: k times as many packets are dirty, since a
    replay finds a packet that is dirty in part

`power` is exact for each: hypergeometric by packets, a product over strata by time. `found` draws with the hashes of
`challenge`, to see that the draw has that power.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Sequence
from enum import StrEnum

import numpy as np

from inspectorate.mechanisms.inspection.challenge.draw import draw_order
from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.sampling import detection_probability

STRETCH = 4


class Adversary(StrEnum):
    RANDOM = "random"
    CLUSTERED = "clustered"
    EVEN = "even"
    LONGEST = "longest"
    SHORTEST = "shortest"
    STRETCHED = "stretched"


def dirty_rows(adversary: Adversary, lengths_ns: Sequence[int], share: float, *, seed: int) -> frozenset[int]:
    """The packets that are dirty: the first in the adversary's order that hold the share of the time."""
    if not 0 < share <= 1:
        raise ValueError(f"a dirty share lies above 0 and up to 1, not {share}")
    rng = np.random.default_rng(seed)
    count = len(lengths_ns)
    rows = list(range(count))
    match adversary:
        case Adversary.RANDOM:
            rng.shuffle(rows)
        case Adversary.CLUSTERED:
            start = int(rng.integers(count))
            rows = rows[start:] + rows[:start]
        case Adversary.EVEN:
            step = max(1, math.floor(1 / share))
            start = int(rng.integers(step))
            rows = [(start + i) % count for offset in range(step) for i in range(offset, count, step)]
        case Adversary.LONGEST:
            rows.sort(key=lambda row: -lengths_ns[row])
        case Adversary.SHORTEST:
            rows.sort(key=lambda row: lengths_ns[row])
        case Adversary.STRETCHED:
            rng.shuffle(rows)
            share = min(1.0, share * STRETCH)
    total, held, found = sum(lengths_ns), 0, []
    for row in rows:
        if held >= share * total:
            break
        found.append(row)
        held += lengths_ns[row]
    return frozenset(found)


def power(selection: Selection, lengths_ns: Sequence[int], dirty: Collection[int]) -> float:
    """Probability that a draw holds a dirty packet, exactly."""
    if selection.method is Method.PACKETS:
        sample = min(selection.count, len(lengths_ns))
        return detection_probability(population=len(lengths_ns), marked=len(dirty), sample=sample)
    shares = dirty_by_stratum(selection.strata, lengths_ns, dirty)
    if any(share >= 1 for share in shares):
        return 1.0
    each = selection.count // selection.strata
    return -math.expm1(each * math.fsum(math.log1p(-share) for share in shares))


def dirty_by_stratum(strata: int, lengths_ns: Sequence[int], dirty: Collection[int]) -> tuple[float, ...]:
    """The dirty share of each of the equal stretches into which the committed time is cut."""
    ends = np.cumsum(np.asarray(lengths_ns, dtype=np.float64))
    starts = ends - np.asarray(lengths_ns, dtype=np.float64)
    mask = np.zeros(len(lengths_ns))
    mask[list(dirty)] = 1.0
    edges = np.linspace(0.0, float(ends[-1]), strata + 1)
    shares = []
    for low, high in itertools.pairwise(edges):
        inside = np.clip(np.minimum(ends, high) - np.maximum(starts, low), 0.0, None)
        shares.append(min(1.0, float(np.sum(inside * mask)) / float(high - low)))
    return tuple(shares)


def found(selection: Selection, listed: PacketList, dirty: Collection[int], *, trials: int, seed: int) -> float:
    """How often draws by hashes hold a dirty packet, of `trials` seeds."""
    hits = 0
    for trial in range(trials):
        source = hashlib.sha256(f"power {seed} {trial}".encode()).digest()
        hits += any(number - listed.first in dirty for number in draw_order(source, listed, selection))
    return hits / trials
