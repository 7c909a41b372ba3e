"""A limit of one direction: in any stretch of t seconds at most `burst + rate * t` bytes pass.

The generic cell rate algorithm (ITU-T I.371, annex A) in its form as virtual scheduling: one number says when the bytes let through
so far would have passed at the agreed rate. Pure: the time is an argument, in seconds of any clock that never goes back.
"""

from __future__ import annotations


class Bucket:
    """Bytes are reserved in order, each stretch for the earliest time at which it may pass."""

    def __init__(self, *, bytes_per_s: float, burst_bytes: float) -> None:
        if not (bytes_per_s > 0 and burst_bytes >= 1):
            raise ValueError("a limit needs a rate above zero, and a burst of a byte at least")
        self._per_s = bytes_per_s
        self._burst_s = burst_bytes / bytes_per_s
        self.piece_bytes_max = int(burst_bytes)
        """The most that can be reserved at once."""
        self._passed_by = float("-inf")

    def delay_s(self, size_bytes: int, now_s: float) -> float:
        """How long `size_bytes` would have to wait; nothing is reserved. For more than one piece: until the last has passed."""
        return max(0.0, max(self._passed_by, now_s) + size_bytes / self._per_s - now_s - self._burst_s)

    def reserve(self, size_bytes: int, now_s: float) -> float:
        """Reserve one piece, and say how long it must wait. What was reserved counts, even if it never passes."""
        if not 0 <= size_bytes <= self.piece_bytes_max:
            raise ValueError(f"a piece of {size_bytes} bytes is larger than the burst")
        delay_s = self.delay_s(size_bytes, now_s)
        self._passed_by = max(self._passed_by, now_s) + size_bytes / self._per_s
        return delay_s
