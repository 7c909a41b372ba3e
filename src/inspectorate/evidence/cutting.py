"""Where a stream is cut into segments, whatever is in them. Pure: times come as arguments.

1. A stream begins with segment 0 at the start of its collector. A segment ends at the next multiple of the segment length
   since 1970, or earlier when its maker says so; the next begins at that very time.
2. A segment in which nothing came is closed like any other: "I listened and nothing came".
3. A stretch in which the process did not come to turn (it was suspended, or the clock was set forward) is one segment,
   whatever its length: it shows as silence, and earns nothing.
4. At the end every stream gets a last segment, at least a microsecond long and beyond the last that came in it.

All times are cut to whole microseconds, which is what a statement can say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from inspectorate.errors import InputError

PAYLOAD_BYTES_TARGET = 48 * 1024 * 1024
"""A segment ends before it grows beyond this; one batch (17 MB at most) always fits below the limit of a payload."""
SEGMENT_S_MIN, SEGMENT_S_MAX = 0.1, 3600.0
US = 1_000
"""Nanoseconds in a microsecond."""

Content = TypeVar("Content")


@dataclass(kw_only=True)
class Open(Generic[Content]):
    """The segment of a stream that is being written."""

    sequence: int
    start_ns: int
    end_ns: int
    latest_ns: int
    """The time of the last that came in it, its start if nothing came."""
    content: Content


class Cutter(Generic[Content]):
    """Cuts one stream of each source (rules in the module's docstring).

    `begin(source, former)` gives the content of a new segment, from that of the one before; `closed(source, segment, end_ns,
    final)` takes one that will not change any more. Raises `InputError` on a length that is out of bounds.
    """

    def __init__(
        self,
        sources: Iterable[str],
        begin: Callable[[str, Content | None], Content],
        closed: Callable[[str, Open[Content], int, bool], None],
        *,
        start_ns: int,
        segment_s: float,
    ) -> None:
        if not SEGMENT_S_MIN <= segment_s <= SEGMENT_S_MAX:
            raise InputError(
                f"{segment_s} s is not between {SEGMENT_S_MIN} and {SEGMENT_S_MAX:.0f} s", where="segment length"
            )
        self._segment_ns = round(segment_s * 1e6) * US
        self._begin = begin
        self._closed = closed
        self._ended = False
        start_ns = start_ns // US * US
        # (1)
        self._open = {source: self._make(0, start_ns, begin(source, None)) for source in sources}

    def __getitem__(self, source: str) -> Open[Content]:
        return self._open[source]

    def next_end_ns(self) -> int:
        """When the next segment is due to end."""
        return min(segment.end_ns for segment in self._open.values())

    def advance(self, source: str, now_ns: int) -> Open[Content]:
        """The open segment of a source, once all that are over at `now_ns` are closed."""
        segment = self._open[source]
        if now_ns >= segment.end_ns:
            # (2)
            segment = self.end(source, segment.end_ns)
        if now_ns >= segment.end_ns:
            # (3)
            segment = self.end(source, now_ns // self._segment_ns * self._segment_ns)
        return segment

    def end(self, source: str, end_ns: int, *, final: bool = False) -> Open[Content]:
        """Close the open segment at `end_ns` and begin the next there."""
        segment = self._open[source]
        following = self._make(segment.sequence + 1, end_ns, self._begin(source, segment.content))
        self._open[source] = following
        self._closed(source, segment, end_ns, final)
        return following

    def end_early(self, source: str) -> Open[Content]:
        """Close the open segment just after the last that came in it, because it is full."""
        return self.end(source, (self._open[source].latest_ns // US + 1) * US)

    def close(self, now_ns: int) -> None:
        """End every stream (4). Idempotent."""
        if self._ended:
            return
        self._ended = True
        for source in self._open:
            segment = self.advance(source, now_ns)
            self.end(source, max(now_ns // US * US, (segment.latest_ns // US + 1) * US), final=True)

    def _make(self, sequence: int, start_ns: int, content: Content) -> Open[Content]:
        end_ns = (start_ns // self._segment_ns + 1) * self._segment_ns
        return Open(sequence=sequence, start_ns=start_ns, end_ns=end_ns, latest_ns=start_ns, content=content)
