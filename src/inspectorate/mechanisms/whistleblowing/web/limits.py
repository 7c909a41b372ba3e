"""What a source, or anybody else, may take of an intake: bytes, fields, files, time and places. Nobody is told apart from others.

Rules:

- Every bound is on one request or on all of them together. None is kept for an address, a circuit or a name: the intake knows none.
- Time counts only while the server waits for the other side. A slow line that moves is served; one that drips is not.
- What grows with the number of requests is bounded by the number of places; what grows with a request is bounded by its fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from inspectorate.canonical import Record

FRESH_S = 2.0
FRESH_BYTES = 4096.0
"""A new connection is rated as though it had brought this much in this time already: one that says nothing soon falls below a
line of 2 KB/s that moves, and one that has just come is not put out at once."""


class Limits(Record):
    """Settings of one server. The defaults are for an onion service on a small machine."""

    connections: int = Field(default=256, ge=8, le=4096, description="open at a time; each takes at most some 300 KiB")
    submissions: int = Field(
        default=64, ge=2, le=1024, description="reports being received at a time; a quarter only without large files"
    )
    reports_per_minute: float = Field(
        default=240.0, gt=0, le=100_000, description="new reports and follow-ups, of all together"
    )
    reports_at_once: int = Field(
        default=60, ge=1, le=100_000, description="of these, how many may come together after a quiet time"
    )
    lookups_per_minute: float = Field(default=120.0, gt=0, le=100_000)
    lookups_at_once: int = Field(default=30, ge=1, le=100_000)
    head_bytes: int = Field(default=16_384, ge=1024, le=65_536, description="of a request without its content")
    headers: int = Field(default=64, ge=8, le=256)
    target_bytes: int = Field(default=256, ge=32, le=8192, description="no address of ours is longer than some 20")
    head_s: float = Field(
        default=30.0, gt=0, le=600, description="by when the head must be whole: at 2 KB/s the longest takes 8 s"
    )
    upload_bytes: int = Field(default=25 << 20, ge=1 << 10, le=1 << 32, description="all files of a report together")
    files: int = Field(default=10, ge=1, le=100)
    framing_bytes: int = Field(
        default=1 << 18, ge=1 << 12, le=1 << 22, description="of a form beside its files: text and framing"
    )
    window_s: float = Field(default=60.0, gt=0, le=3600, description="over which the least rate is held")
    window_bytes: int = Field(default=15_360, ge=1, le=1 << 24, description="in each full window: 256 bytes a second")
    pace_bytes_per_s: float = Field(
        default=1024.0, gt=0, le=1e9, description="over a whole request; 25 MiB may so take 7 hours"
    )
    linger_s: float = Field(
        default=20.0, ge=0, le=600, description="how long the rest of a refused request is let run into nothing"
    )
    linger_bytes: int = Field(default=64 << 20, ge=0, le=1 << 34)

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.submissions >= self.connections:
            raise ValueError("submissions: there must be more connections than reports being received at a time")
        return self

    @property
    def body_bytes(self) -> int:
        return self.upload_bytes + self.framing_bytes

    @property
    def large_submissions(self) -> int:
        """Of the places for reports, those that may go to files which take long."""
        return max(1, self.submissions * 3 // 4)


class TooSlow(Exception):
    """The other side keeps the server waiting longer than it may."""


class Pace:
    """How long one side of one request may keep the server waiting, for `expected` bytes."""

    def __init__(self, limits: Limits, expected: int) -> None:
        self._limits = limits
        self._left_s = 2 * limits.window_s + expected / limits.pace_bytes_per_s
        self._seconds = 0.0
        self._bytes = 0

    @property
    def patience_s(self) -> float:
        """How long the next wait may be, before `waited` must be told of it."""
        return max(min(self._limits.window_s - self._seconds, self._left_s), 0.0)

    def waited(self, seconds: float, came: int) -> None:
        """Raises `TooSlow` where a window is full and too little came in it, or where all time is spent."""
        self._left_s -= seconds
        self._seconds += seconds
        self._bytes += came
        if self._left_s <= 0:
            raise TooSlow
        if self._seconds >= self._limits.window_s:
            if self._bytes < self._limits.window_bytes:
                raise TooSlow
            self._seconds, self._bytes = 0.0, 0


class Bucket:
    """So many a minute of all together, and so many at once after a quiet time."""

    def __init__(self, per_minute: float, at_once: int, clock: Callable[[], float]) -> None:
        self._per_s = per_minute / 60.0
        self._most = float(at_once)
        self._clock = clock
        self._held = self._most
        self._at = clock()

    @property
    def has(self) -> bool:
        """Whether `take` would give one now."""
        now = self._clock()
        self._held = min(self._most, self._held + max(now - self._at, 0.0) * self._per_s)
        self._at = now
        return self._held >= 1.0

    def take(self) -> bool:
        if not self.has:
            return False
        self._held -= 1.0
        return True


class Places:
    """So many at a time."""

    def __init__(self, most: int) -> None:
        self._free = most

    def take(self) -> bool:
        if self._free < 1:
            return False
        self._free -= 1
        return True

    def leave(self) -> None:
        self._free += 1


@dataclass(kw_only=True)
class Visit:
    """One connection, as far as the server must know it to choose which to end: what moved on it, in which time of waiting."""

    moved: int = 0
    """Bytes, both ways."""
    waited_s: float = 0.0
    """For the other side, until `waiting_since`."""
    waiting_since: float | None = None
    keeps: bool = False
    """Its report waits to be stored: it is never ended for another."""
    refused: bool = False
    """It has its answer; only the rest of its request still runs."""

    def rate(self, now_s: float) -> float:
        """Bytes a second of waiting. The lowest is ended first."""
        if self.keeps:
            return math.inf
        if self.refused:
            return -1.0
        waiting = 0.0 if self.waiting_since is None else max(now_s - self.waiting_since, 0.0)
        return (self.moved + FRESH_BYTES) / (self.waited_s + waiting + FRESH_S)
