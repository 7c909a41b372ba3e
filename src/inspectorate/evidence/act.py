"""A statement that one party is about to make in an exchange, and in whose name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from inspectorate.evidence.kinds import Predicate
from inspectorate.evidence.predicate import Origin


@dataclass(frozen=True, kw_only=True)
class Act:
    """A statement to be signed, and what belongs to it."""

    predicate: Predicate
    subjects: Mapping[str, str]
    payloads: tuple[bytes, ...] = field(default=())
    """What is handed over with the statement. The secret of a promise is not."""


@dataclass(frozen=True, kw_only=True)
class Who:
    """In whose name, when, and where the evidence comes from."""

    name: str
    """The inspector's name as an anchor, or the reporter's."""
    at: datetime
    origin: Origin
