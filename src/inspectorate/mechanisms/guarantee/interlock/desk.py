"""What all requests share: the gate, the server behind the path, the limits in force, and which requests are open."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from inspectorate.mechanisms.guarantee.events import EventKind, Mode, Refusal
from inspectorate.mechanisms.guarantee.interlock.bucket import Bucket
from inspectorate.mechanisms.guarantee.interlock.gate import STATUS, Fault, Gate, Upstream
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.rulesets.types import Limits


class Denied(Exception):
    """The request is answered with an error, and with nothing else."""

    def __init__(self, kind: EventKind | Fault, why: str, *, status: int | None = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.status = status or STATUS[kind]


@dataclass(frozen=True, kw_only=True)
class Edges:
    """What the path needs from outside."""

    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    """So many bytes that nobody can predict: `os.urandom`."""
    samples: SampleStore


class Open(Protocol):
    """Something under way that ends when nothing may pass any more."""

    def shut(self) -> None: ...


class Desk:
    """Shared by all connections of one path."""

    def __init__(self, gate: Gate, edges: Edges) -> None:
        self.gate = gate
        self.edges = edges
        self.upstream: Upstream | None = None
        self.model = ""
        """Digest of the model that the server has loaded."""
        self.is_closing = False
        """Whether the path itself is ending."""
        self.loading = asyncio.Lock()
        """Held while the server is started or stopped."""
        self.open: set[Open] = set()
        self.pending_bytes = 0
        self.faults: Counter[Fault] = Counter()
        """Requests that never came before the gate, by why: the path's own count."""
        self._limits: Limits | None = None
        self.inward = self.outward = Bucket(bytes_per_s=1, burst_bytes=1)

    @property
    def limits(self) -> Limits:
        """Of the ruleset in force; changed limits start with a full burst. Raises `Denied` without a ruleset."""
        limits = self.gate.limits
        if limits is None:
            raise Denied(EventKind.RULESET_EXPIRED, "no ruleset is in force")
        if limits is not self._limits and limits != self._limits:
            self._limits = limits
            burst = max(1.0, limits.burst_bytes_max)
            self.inward = Bucket(bytes_per_s=limits.in_bytes_per_s_max, burst_bytes=burst)
            self.outward = Bucket(bytes_per_s=limits.out_bytes_per_s_max, burst_bytes=burst)
        return limits

    def check_open(self) -> None:
        """Raises `Denied` if nothing may pass now."""
        if self.is_closing:
            raise Denied(EventKind.GUARD_LOST, "the path is ending")
        mode = self.gate.mode
        refusal = self.gate.halted_by
        if mode is Mode.SERVING and self.upstream is not None and refusal is None:
            return
        if refusal is not None or mode in (Mode.HALTED, Mode.LOCKED):
            raise Denied(EventKind.GUARD_LOST if refusal is None else refusal.kind, "nothing passes")
        raise Denied(Fault.NOT_SERVING, "no model is loaded")

    def limited(self, why: str, *, status: int = 429) -> Denied:
        """What to raise where a limit holds a request back. It is counted."""
        self.gate.note(Refusal(kind=EventKind.LIMIT_REACHED, why=why))
        return Denied(EventKind.LIMIT_REACHED, why, status=status)

    def shut(self) -> None:
        """End all that is open, since the mode has changed."""
        for one in tuple(self.open):
            one.shut()
