"""A log of access, made ready to be signed. Beyond step and exits, what is in it stays with the inspectors, by its digest.

A request is made by whoever holds the case on which it rests (`whistleblowing.cases.leads`).
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.canonical import Hex, Record, Text, digest_of
from inspectorate.errors import InputError
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import AccessLogged, AccessStep

SUBJECT = "log"


class Details(Record):
    """What an inspector writes down: names, times, vehicles. Salted, so that its digest says nothing."""

    salt: Hex
    text: Text

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())


@dataclass(frozen=True, kw_only=True)
class Exits:
    """People and vehicles that left since the last entry."""

    inspected: int = 0
    refused: int = 0


def make_log(request: str, step: AccessStep, details: Details, exits: Exits, who: Who) -> Act:
    """The statement of one step. `request`: digest of the envelope of the `InspectionRequested`. Raises `InputError`."""
    predicate = AccessLogged.parse(
        {
            "origin": who.origin, "by": who.name, "request": request, "step": step, "exits_inspected": exits.inspected,
            "exits_refused": exits.refused, "logged_at": who.at,
        },
        where="access log", error=InputError,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={SUBJECT: details.digest})
