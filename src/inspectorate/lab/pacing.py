"""A token bucket: how a sender keeps its average below a limit. Pure: the clock comes in as an argument.

In any stretch of t seconds the bucket lets through at most `burst_bytes + bytes_per_s * t` bytes (the (sigma, rho)
bound of Cruz 1991). It is the rational cheat's tool: a run that must cross a monitored link below its limit.
"""

from __future__ import annotations

_SEGMENT_PAYLOAD_BYTES = 1448
_FRAME_OVERHEAD_BYTES = 66
"""Ethernet, IPv4 and TCP headers (with the time stamp option) around a segment, and the size of an acknowledgement."""
WIRE_BYTES_PER_PAYLOAD_BYTE = 1 + 2 * _FRAME_OVERHEAD_BYTES / _SEGMENT_PAYLOAD_BYTES
"""Bytes at the interface, each way, for each byte of payload when two peers send alike: 1.091.

A paced sender leaves so much time between segments that each is acknowledged by itself, and the peer's
acknowledgements come back on top of the peer's own data.
"""


class TokenBucket:
    """Tells a sender how long to wait before it may send. Times are seconds of any clock that does not go back."""

    def __init__(self, *, bytes_per_s: float, burst_bytes: int, now_s: float) -> None:
        if not bytes_per_s > 0 or burst_bytes < 1:
            raise ValueError("a bucket needs a rate and a burst above zero")
        self._bytes_per_s = bytes_per_s
        self._burst_bytes = burst_bytes
        self._level_bytes = float(burst_bytes)
        self._at_s = now_s

    def take(self, size_bytes: int, now_s: float) -> float:
        """Take `size_bytes` and return the seconds to wait before sending them.

        Raises `ValueError` on more than the burst, which could never be sent as one, and on a clock that went back.
        """
        if not 0 < size_bytes <= self._burst_bytes:
            raise ValueError(f"{size_bytes} bytes do not fit a burst of {self._burst_bytes}")
        if now_s < self._at_s:
            raise ValueError("the clock went back")
        self._level_bytes = min(self._burst_bytes, self._level_bytes + (now_s - self._at_s) * self._bytes_per_s)
        self._at_s = now_s
        # A negative level is a debt: the next caller waits for it as well.
        self._level_bytes -= size_bytes
        return max(0.0, -self._level_bytes / self._bytes_per_s)
