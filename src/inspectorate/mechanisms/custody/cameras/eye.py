"""One camera, frame by frame: what is in sight, what the lamps do, what that comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.cameras.decide import Decider, Event, Seen, moving_cells, told_cells
from inspectorate.mechanisms.custody.cameras.enrolment import Known
from inspectorate.mechanisms.custody.cameras.reference import CELL, COLUMNS, HISTORY_S, MATCH_EVERY_S, MATCH_TWICE, ROWS
from inspectorate.mechanisms.custody.cameras.sight import Look, Sight
from inspectorate.mechanisms.custody.cameras.source import Frame
from inspectorate.mechanisms.custody.cameras.spots import History, Match, SpotReading, Spots


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """All that one frame gave."""

    look: Look
    reading: SpotReading
    matches: tuple[Match | None, ...]
    """By the lengths that are compared; empty: this frame was not searched for."""
    seen: Seen


class Eye:
    """Watches one camera. Memory is constant: the history of lamps is a ring."""

    def __init__(self, known: Known, *, history_s: float = HISTORY_S) -> None:
        rate = known.enrolment.rate
        self.known = known
        self.history = History(rate, history_s)
        self._sight = Sight(known.references, rate)
        self._spots = Spots(known.points, rate, known.swings)
        self._decider = Decider(known)
        self._every = max(1, round(MATCH_EVERY_S * rate))
        self._frames = 0
        self._at = (
            np.minimum(known.points[:, 1] // CELL, ROWS - 1), np.minimum(known.points[:, 0] // CELL, COLUMNS - 1)
        )  # fmt: skip

    def see(self, frame: Frame) -> Sighting:
        """The next frame, in order of time."""
        look = self._sight.look(frame)
        reading = self._spots.read(frame, self._in_sight(look), look.state)
        self.history.add(reading.bits, reading.visible)
        self._frames += 1
        matches = self.history.search(MATCH_TWICE) if self._frames % self._every == 0 else ()
        seen = self._decider.decide(look, reading, matches)
        return Sighting(look=look, reading=reading, matches=matches, seen=seen)

    @property
    def open(self) -> list[Event]:
        return self._decider.open

    def _in_sight(self, look: Look) -> NDArray[np.bool_]:
        """Lamps around which nothing else is seen, and nothing moves."""
        changed, _ = told_cells(self.known, look)
        moving = moving_cells(self.known, look)
        hidden = changed | moving
        found: NDArray[np.bool_] = ~hidden[self._at]
        return found
