"""Where every chip is, as the statements leave it: double entry, as arrays over all chips.

A chip is in exactly one place: at a site, under way, destroyed, with another party, vanished, or not there yet. What is done to a
chip that is not where it would have to be is handed back to the judge, and done all the same where the chips then are known to be:
one fault is named once, and not again at every later register.

Stays at a site, and times in which the register answers for a chip (at a site or under way), are kept as they end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.register.universe import Chips

NOT_YET, UNDER_WAY, DESTROYED, AWAY, VANISHED = -1, -2, -3, -4, -5
"""Places that are no site."""
FOREVER_NS = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Stays:
    """Stretches of time [since, until) of chips, one each row; `place` is a site, or 0 where it does not matter."""

    chip: Chips
    place: NDArray[np.int32]
    since_ns: NDArray[np.int64]
    until_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.chip)


@dataclass(eq=False)
class _Open:
    """Stretches that go on, and those that ended."""

    since_ns: NDArray[np.int64]
    ended: list[Stays] = field(default_factory=list)

    def end(self, chips: Chips, place: NDArray[np.int32], at_ns: int) -> None:
        if len(chips):
            until = np.full(len(chips), at_ns, dtype=np.int64)
            self.ended.append(Stays(chips, place, self.since_ns[chips].copy(), until))

    def all(self, going_on: Chips, place: NDArray[np.int32]) -> Stays:
        open_ = Stays(going_on, place, self.since_ns[going_on], np.full(len(going_on), FOREVER_NS, dtype=np.int64))
        parts = [*self.ended, open_]
        return Stays(
            *(
                np.concatenate([getattr(part, name) for part in parts])
                for name in ("chip", "place", "since_ns", "until_ns")
            )
        )


class Holdings:
    """The state of all chips at one time."""

    def __init__(self, chips: int) -> None:
        self.place = np.full(chips, NOT_YET, dtype=np.int32)
        self.model = np.full(chips, -1, dtype=np.int32)
        self.owner = np.full(chips, -1, dtype=np.int32)
        self.broken = np.zeros(chips, dtype=bool)
        self.transfer = np.full(chips, -1, dtype=np.int32)
        """Under which transfer a chip is under way, or went to another party."""
        self.left_ns = np.zeros(chips, dtype=np.int64)
        self._at_site = _Open(np.zeros(chips, dtype=np.int64))
        self._held = _Open(np.zeros(chips, dtype=np.int64))

    def held(self, chips: Chips | None = None) -> NDArray[np.bool_]:
        """Whether the register answers for a chip: it is at a site, or under way."""
        place = self.place if chips is None else self.place[chips]
        held: NDArray[np.bool_] = (place >= 0) | (place == UNDER_WAY)
        return held

    def move(self, chips: Chips, place: int | NDArray[np.int32], at_ns: int) -> None:
        """Put chips into a place. All that ends or begins by it is kept."""
        new = np.broadcast_to(np.asarray(place, dtype=np.int32), len(chips))
        old = self.place[chips]
        moved = old != new
        chips, new, old = chips[moved], new[moved], old[moved]
        left = old >= 0
        self._at_site.end(chips[left], old[left], at_ns)
        self._at_site.since_ns[chips[new >= 0]] = at_ns
        was, stays = (old >= 0) | (old == UNDER_WAY), (new >= 0) | (new == UNDER_WAY)
        ending = was & ~stays
        self._held.end(chips[ending], np.zeros(int(ending.sum()), dtype=np.int32), at_ns)
        self._held.since_ns[chips[~was & stays]] = at_ns
        self.place[chips] = new
        self.transfer[chips[(new != UNDER_WAY) & (new != AWAY)]] = -1

    def stays(self) -> Stays:
        """All stays at sites."""
        chips = np.flatnonzero(self.place >= 0)
        return self._at_site.all(chips, self.place[chips])

    def answered_for(self) -> Stays:
        """All stretches of time in which the register answers for a chip."""
        chips = np.flatnonzero(self.held())
        return self._held.all(chips, np.zeros(len(chips), dtype=np.int32))
