"""What held a place shut, and for how long, as seals say it.

- A `Held` is positive: from its start to its end the place was held, on the named evidence. Whoever wants to know about another
  stretch asks `not_held`.
- An `Unheld` says why a stretch is not held, and on what evidence. It is not a word against the party: a seal that nobody looked at
  again is unheld, too.
- Neither is a verdict. What was behind the seal, or in the rack, the counts say.

Places are named as the register names them, within one site: two sites may use one name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Digest, Identifier, Record, Text
from inspectorate.quantities import Period, uncovered

EVIDENCE_MAX = 10_000
"""Statements behind one stretch."""

EvidenceIds = Annotated[tuple[Digest, ...], Field(max_length=EVIDENCE_MAX)]


class Held(Record):
    """A place was held throughout a period."""

    site: Identifier
    place: Text
    period: Period
    name: Identifier = Field(description="of the seal")
    evidence: EvidenceIds = Field(min_length=1, description="digests of the envelopes it rests on, oldest first")


class Unheld(Record):
    """A place was not held for a period, though something was there to hold it."""

    site: Identifier
    place: Text
    period: Period
    name: Identifier
    why: Text
    evidence: EvidenceIds = ()


def not_held(held: Iterable[Held], *, site: str, place: str, period: Period) -> list[Period]:
    """The parts of a period in which nothing of `held` held the place, in order. All of it, where nothing did."""
    return uncovered((one.period for one in held if (one.site, one.place) == (site, place)), period)
