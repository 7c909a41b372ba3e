"""How a draw from a roster selects: fixed before the roster is seen.

- A number of people, or a rule: the smallest draw that reaches somebody who knows with the wanted chance. With a rule the
  number follows the size of the stratum, so that a roster cannot be filled up to thin a fixed number out.
- `replacements_max` says how many of those who were not heard may be replaced, by the next in the same order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from inspectorate.canonical import Identifier, Record
from inspectorate.drawing.sources import Promise, Randomness, parse_whole
from inspectorate.evidence.heard import PEOPLE_MAX, STRATA_MAX
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.sizes import Wanted, smallest_draw
from inspectorate.quantities import Share

Count = Annotated[int, Field(ge=0, le=PEOPLE_MAX)]


class Number(Record):
    """So many of the stratum; all of it if there are no more."""

    kind: Literal["number"]
    count: Count
    replacements_max: Count = 0


class Reach(Record):
    """As many as reach somebody who knows, with the wanted chance; all of the stratum where no draw does."""

    kind: Literal["reach"]
    knowing_min: Annotated[int, Field(ge=1, le=PEOPLE_MAX)]
    reach_min: Annotated[float, Field(gt=0, lt=1)]
    unheard_share_max: Share = Field(
        default=0.0, description="of those drawn, who may not be heard, and be exactly those who know"
    )
    replacements_max: Count = 0


class Selection(Record):
    """Of every stratum, how many. A stratum of the roster that is not named here voids the draw."""

    strata: dict[Identifier, Annotated[Number | Reach, Field(discriminator="kind")]] = Field(
        min_length=1, max_length=STRATA_MAX
    )


def sizes_of(selection: Selection, listed: RosterList) -> Mapping[str, int]:
    """How many are drawn of each stratum of the roster. Raises `KeyError` on one that the selection does not name."""
    return {name: _size(selection.strata[name], people) for name, people in listed.people.items()}


def _size(rule: Number | Reach, people: int) -> int:
    if isinstance(rule, Number):
        return min(rule.count, people)
    if people <= 0:
        return 0
    if people < rule.knowing_min:
        return people
    wanted = Wanted(people=people, knowing=rule.knowing_min, reach=rule.reach_min)
    found = smallest_draw(wanted, unheard_share=rule.unheard_share_max)
    return people if found is None else found


def parse_promise(data: bytes, *, where: str) -> Promise[Selection]:
    """The record in its one byte form. Raises `EvidenceError`."""
    return parse_whole(Promise[Selection], data, where=where)


def parse_randomness(data: bytes, *, where: str) -> Randomness[Selection]:
    """The record in its one byte form. Raises `EvidenceError`."""
    return parse_whole(Randomness[Selection], data, where=where)
