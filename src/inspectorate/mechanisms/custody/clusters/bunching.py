"""Do pieces stand in a heap just below a limb? One e-value against honest reasons that are stated.

Two servers of eight H100 are sixteen H100-equivalents, and stay just below the limb; three are above. So the natural size of a
place is counted in its own servers: a piece is *just below* if one more of its largest host would bring it above the limb, and
*just above* if one less would bring it below. Only such pieces bear on the question.

Null: for an honest owner, a piece that is just below or just above is just below with probability at most

    p0(k) = (k + 1)^a / (k^a + (k + 1)^a)

where k is how many servers fit below the limb and a is the steepest fall-off of honest sizes (`reference.FALL_OFF_MAX`): small
places are commoner than large ones, and by no more than that. Whoever stays below on purpose breaks the null, also where that is
allowed: an owner with one piece of sixteen chips does nothing wrong. That is why the e-value speaks of many owners of one party,
and why a person asks first.

- A piece bets e = q/p0 if it is just below and (1 - q)/(1 - p0) if just above, with q > p0: expectation at most 1 under the null.
- Pieces of one owner follow one habit, in whatever way they depend: their e-values are averaged, and count as one.
- Owners are taken to be independent: theirs are multiplied. A mean over several q, fixed beforehand, is the e-value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from inspectorate.mechanisms.custody.clusters.reference import BETS, FALL_OFF_MAX
from inspectorate.statistics import bounded_log_e, merge_mean


@dataclass(frozen=True, kw_only=True)
class Sized:
    """One piece: its owner, its mass and the mass of its largest host, in one unit."""

    owner: str
    mass: float
    server: float


@dataclass(frozen=True, kw_only=True)
class Bunching:
    """What the sizes say."""

    owners: int
    """That have a piece just below or just above."""
    below: int
    above: int
    log_e: float
    """Against honest owners who are independent of one another."""
    fall_off: float
    null_share: float | None
    """The largest p0 over the pieces; none where no piece bears on it."""


def servers_below(limb: float, server: float) -> int:
    """How many servers of that mass stay at or below the limb."""
    return math.floor(limb / server)


def side(piece: Sized, limb: float) -> int:
    """-1 just below the limb, 1 just above, 0 neither, in units of the piece's own largest host."""
    if piece.server <= 0 or piece.server > limb:
        return 0
    if piece.mass <= limb < piece.mass + piece.server:
        return -1
    return 1 if piece.mass > limb >= piece.mass - piece.server else 0


def null_share(servers: int, fall_off: float) -> float:
    """p0: of pieces with `servers` or one more, at most this share has `servers`."""
    return float(1 / (1 + (servers / (servers + 1)) ** fall_off))


def bunching(pieces: Iterable[Sized], limb: float, fall_off: float = FALL_OFF_MAX) -> Bunching:
    """The e-value of the sizes of all pieces of a party, covered ones among them, against a limb in the same unit."""
    by_owner: dict[str, list[tuple[int, float]]] = {}
    for piece in pieces:
        where = side(piece, limb)
        if where:
            by_owner.setdefault(piece.owner, []).append(
                (where, null_share(servers_below(limb, piece.server), fall_off))
            )
    listed = list(by_owner.values())
    logs = [_bet(listed, bet) for bet in BETS]
    sides = [where for own in listed for where, _ in own]
    return Bunching(
        owners=len(listed),
        below=sides.count(-1),
        above=sides.count(1),
        log_e=bounded_log_e(merge_mean(logs)),
        fall_off=fall_off,
        null_share=max((p0 for own in listed for _, p0 in own), default=None),
    )


def _bet(owners: list[list[tuple[int, float]]], bet: float) -> float:
    """log_e with q at a share `bet` of the way from the null to 1: a product over owners of means over their pieces."""
    return math.fsum(math.log(math.fsum(_e(where, p0, bet) for where, p0 in own) / len(own)) for own in owners)


def _e(where: int, p0: float, bet: float) -> float:
    q = p0 + bet * (1 - p0)
    return q / p0 if where < 0 else (1 - q) / (1 - p0)
