"""How many units a count opens: fixed by promise before the register is seen.

sites    so many units of each site, every set equally likely; of each site all, if there are no more. A site of the register
         that is not named voids the draw
chips    so many chips of the whole register, every set equally likely; the units in which they stand are opened. A unit is so
         opened with a probability that grows with its size
reach    as `chips`, with the smallest number that finds a diversion of this share with this probability: the number then
         follows the size of the register, and cannot be thinned by filling it up
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from inspectorate.canonical import Identifier, Record
from inspectorate.drawing.sources import Promise, Randomness, parse_whole
from inspectorate.evidence.custody import DRAWN_MAX, CountUnit
from inspectorate.mechanisms.custody.counting.reference import SITES_MAX
from inspectorate.statistics.sampling import sample_size


class OfSites(Record):
    """So many units of every site."""

    kind: Literal["sites"]
    units: dict[Identifier, Annotated[int, Field(ge=0, le=DRAWN_MAX)]] = Field(min_length=1, max_length=SITES_MAX)


class OfChips(Record):
    """The units in which so many drawn chips stand."""

    kind: Literal["chips"]
    chips: Annotated[int, Field(ge=1, le=DRAWN_MAX)]


class ToReach(Record):
    """The units in which as many drawn chips stand as find a diversion of this share of all chips."""

    kind: Literal["reach"]
    missing_share: Annotated[float, Field(gt=0, le=1)]
    detection_probability_min: Annotated[float, Field(gt=0, lt=1)]


class Selection(Record):
    """What is opened in one draw, and by which rule."""

    unit: CountUnit
    rule: Annotated[OfSites | OfChips | ToReach, Field(discriminator="kind")]


def chips_of(rule: OfChips | ToReach, population: int) -> int:
    """How many chips are drawn of so many. At least one, and never more than there are, or than a draw may name."""
    if isinstance(rule, OfChips):
        return min(rule.chips, population)
    marked = max(1, math.ceil(rule.missing_share * population - 1e-9))
    wanted = sample_size(population=population, marked=marked, detection_probability_min=rule.detection_probability_min)
    return min(max(1, wanted), population, DRAWN_MAX)


def parse_promise(data: bytes, *, where: str) -> Promise[Selection]:
    """The record in its one byte form. Raises `EvidenceError`."""
    return parse_whole(Promise[Selection], data, where=where)


def parse_randomness(data: bytes, *, where: str) -> Randomness[Selection]:
    """The record in its one byte form. Raises `EvidenceError`."""
    return parse_whole(Randomness[Selection], data, where=where)
