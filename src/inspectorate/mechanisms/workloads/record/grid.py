"""When polls are due: at multiples of the step since 1970, so that all meters of all recorders poll at the same moments.

- The next poll is due at the next multiple after the last one, however long that took: there is no drift.
- Multiples that passed while a poll took too long, or while the process did not come to turn, are missed. They are counted, and
  never made up for.
- A clock that was set back makes the next multiple of the new time due: nothing waits for the old time to come again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Due:
    """A poll is due now; `missed` earlier ones were not made, the first of them at `first_ns`."""

    missed: int
    first_ns: int


class Grid:
    """The polls of one meter. Pure: times come as arguments."""

    def __init__(self, every_ns: int, *, start_ns: int) -> None:
        if every_ns <= 0:
            raise ValueError("a step must be longer than nothing")
        self.every_ns = every_ns
        self.next_ns = -(-start_ns // every_ns) * every_ns

    def due(self, now_ns: int) -> Due | None:
        """Whether a poll is due; it is then taken to be made, and the next is set."""
        if self.next_ns - now_ns > self.every_ns:
            self.next_ns = -(-now_ns // self.every_ns) * self.every_ns
        if now_ns < self.next_ns:
            return None
        first_ns, missed = self.next_ns, (now_ns - self.next_ns) // self.every_ns
        self.next_ns += (missed + 1) * self.every_ns
        return Due(missed=missed, first_ns=first_ns)
