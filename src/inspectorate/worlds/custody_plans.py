"""Plans of what happens with chips of a simulated site, and of what is said of it: what a script is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from inspectorate.evidence import AccessStep, SealDecision
from inspectorate.mechanisms.custody.register import Chip
from inspectorate.quantities import Period

Chips = dict[str, Chip]
"""By serial."""


@dataclass(kw_only=True)
class RegisterPlan:
    """One register, how it departs from what stood, and the count that is drawn from it."""

    as_of: datetime
    handed_after_s: float = 2.0
    handed: bool = True
    rows: Callable[[Chips], Iterable[Chip]] | None = None
    """What the register says instead of what stood."""
    promised: bool = True
    promised_late: bool = False
    """Whether the secret was fixed only after the register was seen."""
    drawn: bool = True
    held: bool = True
    refused: int = 0
    """Units that are not opened."""
    answered_after_s: float = 8.0
    """From the draw to the first unit; the inspectors then need `COUNT_S`."""
    aimed: bool = False
    """Whether other places are opened than the randomness gives."""
    forked: bool = False
    """Whether a second register of the same number is handed over, with a chip fewer."""


@dataclass(kw_only=True)
class AcquiredPlan:
    chips: list[Chip]
    at: datetime
    seller: str = "simulated maker"
    said: bool = True


@dataclass(kw_only=True)
class TransferPlan:
    """Chips move from one pod to another."""

    id: str
    chips: list[Chip]
    """As they stand afterwards."""
    from_site: str
    to_site: str
    notified_at: datetime
    begins_at: datetime
    left_at: datetime
    arrived_at: datetime
    approved_by: tuple[str, ...]
    approved: bool = True
    notified: bool = True
    left: bool = True
    arrived: bool = True


@dataclass(kw_only=True)
class EndedPlan:
    """Chips break, and are destroyed."""

    serials: tuple[str, ...]
    broken_at: datetime
    destroyed_at: datetime
    reported: bool = True
    by: str
    certified: bool = True


@dataclass(kw_only=True)
class SealPlan:
    """One seal: from its application to its last check."""

    name: str
    site: str
    places: tuple[str, ...]
    by: str
    applied_at: datetime
    checks: list[tuple[datetime, SealDecision]]


@dataclass(kw_only=True)
class CameraPlan:
    """A camera in segments, and what its watcher tells."""

    reporter: str
    places: tuple[str, ...]
    segments: list[Period]
    covered_s: float = 0.0
    """How long it sees nothing in its middle segment."""
    replayed: bool = False
    """Whether its middle segment shows what was shown before, and challenges go unanswered."""
    dropped: bool = False
    """Whether its middle segment is never handed over."""


@dataclass(kw_only=True)
class LocatedPlan:
    """One measuring of one device."""

    reporter: str
    site: str
    by: str
    at: datetime
    away_m: float = 0.0
    """How far from its declared position the device stands."""
    forged: bool = False
    """Whether another key signs the answers."""


@dataclass(kw_only=True)
class ChallengePlan:
    request: str
    site: str
    by: str
    requested_at: datetime
    access_within_s: float
    steps: list[tuple[AccessStep, float]]
    """And how long after the request."""
    exits_refused: int = 0
    number: int = 1
