"""What can be odd about counters: a closed list, counted, each with the place where it was found. None is a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """What was odd about the readings of a port."""

    DUPLICATE = "duplicate"
    """The same reading twice; one of them counts."""
    CONFLICT = "conflict"
    """Two readings of one time that differ; neither counts."""
    OUT_OF_ORDER = "out-of-order"
    """A reading that came after a later one; it counts in its place."""
    WRAP = "wrap"
    """A counter went past its highest value. The increase is known, since the counter says that it was not reset."""
    WRAPS_UNKNOWN = "wraps-unknown"
    """A 32-bit counter on a link so fast that it may have wrapped several times: at least and at most, no more."""
    WRAP_OR_RESET = "wrap-or-reset"
    """A decrease of a counter that does not say since when it counts: only the speed of the link bounds the increase."""
    RESET = "reset"
    """The counter says that it began to count anew: what passed since the reading before is bounded by the link's speed."""
    WENT_BACK = "went-back"
    """A decrease that is no wrap, of a counter that says it was not reset. It contradicts itself."""
    FASTER_THAN_LINK = "faster-than-link"
    """An increase that the link cannot carry: the count or the stated speed is wrong."""
    WIDTH_CHANGED = "width-changed"
    """The counter was read with 32 bits and then with 64, or the other way round."""
    GAP = "gap"
    """No reading for longer than usual. What passed in it is known in sum, not when."""
    FROZEN = "frozen"
    """All counters of a port stood still for long while others of its node moved, though it moved before or after."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finding at one port: how often, and over which stretch of time [ns] it first was."""

    port: str
    finding: Finding
    count: int
    start_ns: int
    end_ns: int
