"""What of a camera's picture is which place: racks, their doors and cabling, and the verifier's lamp.

An inspector who stands there draws the regions once, as shares of the picture, so that they hold at any size:

    {"camera": "cam-7", "regions": [
      {"place": "rack-12", "kind": "door", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.4}, ...]}
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, Text, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.custody.cameras.reference import (
    CELL,
    COLUMNS,
    HEIGHT,
    REGIONS_BYTES_MAX,
    REGIONS_MAX,
    ROWS,
    WIDTH,
)
from inspectorate.quantities import Share

Cells = NDArray[np.bool_]
"""Shape (ROWS, COLUMNS)."""


class RegionKind(StrEnum):
    RACK = "rack"
    """The whole of a place: is it in sight?"""
    DOOR = "door"
    CABLING = "cabling"
    LAMP = "lamp"
    """The verifier's lamp."""


class Region(Record):
    """A part of the picture, as shares of its width and height."""

    place: Text = Field(description="as the register calls it; for the lamp, any name")
    kind: RegionKind
    left: Share
    top: Share
    width: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    height: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.left + self.width > 1 + 1e-9 or self.top + self.height > 1 + 1e-9:
            raise ValueError("a region lies within the picture")
        return self

    def cells(self) -> Cells:
        """The cells whose middle lies in the region."""
        middle_x = (np.arange(COLUMNS) + 0.5) * CELL / WIDTH
        middle_y = (np.arange(ROWS) + 0.5) * CELL / HEIGHT
        across = (middle_x >= self.left) & (middle_x < self.left + self.width)
        down = (middle_y >= self.top) & (middle_y < self.top + self.height)
        found: Cells = down[:, None] & across[None, :]
        return found

    def pixels(self) -> tuple[slice, slice]:
        """The part of the working picture, at least one pixel."""
        top, left = round(self.top * HEIGHT), round(self.left * WIDTH)
        bottom, right = round((self.top + self.height) * HEIGHT), round((self.left + self.width) * WIDTH)
        top, left = min(top, HEIGHT - 1), min(left, WIDTH - 1)
        return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


class Regions(Record):
    """What one camera sees."""

    camera: Identifier = Field(description="the camera as a reporter of the declaration")
    regions: Annotated[tuple[Region, ...], Field(min_length=1, max_length=REGIONS_MAX)]

    @model_validator(mode="after")
    def _sound(self) -> Self:
        seen = [(one.place, one.kind) for one in self.regions]
        if len(set(seen)) != len(seen):
            raise ValueError("a place has one region of each kind")
        if not self.places:
            raise ValueError("there must be a region of kind 'rack', 'door' or 'cabling'")
        if len(self.of(RegionKind.LAMP)) > 1:
            raise ValueError("there is at most one lamp")
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """What it sees, without the lamp, sorted."""
        return tuple(sorted({one.place for one in self.regions if one.kind is not RegionKind.LAMP}))

    def of(self, kind: RegionKind) -> tuple[Region, ...]:
        return tuple(one for one in self.regions if one.kind is kind)


def read_regions(path: Path) -> Regions:
    """Read the regions of a camera. Raises `InputError`."""
    data = read_bounded(path, REGIONS_BYTES_MAX)
    try:
        value = parse_json(data, where=str(path))
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path), remedy="give regions as JSON") from None
    return Regions.parse(value, where=str(path), error=InputError)
