"""What was read, unit by unit: the subject `checklist` of a `CountHeld`.

- A unit is opened, with every serial that was read in it, or refused, with a reason. Nothing stands between the two.
- In a blind count nobody who reads knows what should be there: the page holds places and no serials.
- On paper, one line for each unit and one for each serial; `read_paper` reads it back.

Sizes are bounded before anything is built. A serial that is none in form is refused, never mended.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Digest, Record, Text, parse_canonical, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.custody import DRAWN_MAX, UnitNumber
from inspectorate.mechanisms.custody.counting.reference import (
    CHECKLIST_BYTES_MAX,
    PAPER_BYTES_MAX,
    READS_MAX,
    READS_OF_PLACE_MAX,
)
from inspectorate.quantities import Time

CHECKLIST_FORMAT = "inspectorate/count-checklist/v1"
Serial = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+-]{0,63}$")]


class Reading(StrEnum):
    """How serials were read. What each is worth stands in the package."""

    LABEL = "label"
    DEVICE = "device"
    SIGNED = "signed"


class Read(Record):
    """What became of one drawn unit."""

    unit: UnitNumber
    outcome: Literal["opened", "refused"]
    reason: Text | None = None
    at: Time = Field(description="when it was opened, or refused")
    serials: Annotated[tuple[Serial, ...], Field(max_length=READS_OF_PLACE_MAX)] = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Self:
        if self.outcome == "refused" and (self.serials or self.reason is None):
            raise ValueError("a refused unit has a reason, and no serials")
        if len(set(self.serials)) != len(self.serials):
            raise ValueError("a serial is listed twice in one unit")
        return self


class Checklist(Record):
    """All that was read for one draw."""

    format: Literal["inspectorate/count-checklist/v1"] = "inspectorate/count-checklist/v1"
    drawn: Digest = Field(description="digest of the envelope of the `CountDrawn`")
    blind: bool = Field(description="whether those who read knew no serial beforehand")
    reading: Reading
    units: Annotated[tuple[Read, ...], Field(min_length=1, max_length=DRAWN_MAX)]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        numbers = [one.unit for one in self.units]
        if numbers != sorted(set(numbers)):
            raise ValueError("units must be sorted and distinct")
        if sum(len(one.serials) for one in self.units) > READS_MAX:
            raise ValueError(f"more than {READS_MAX} serials")
        return self


def parse_checklist(data: bytes, *, where: str) -> Checklist:
    """A checklist as it was signed for, in its one byte form. Raises `EvidenceError`."""
    if len(data) > CHECKLIST_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {CHECKLIST_BYTES_MAX}", where=where)
    return Checklist.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def read_page(data: bytes, *, where: str) -> Checklist:
    """A checklist as the page writes it, in any form of JSON. Raises `EvidenceError`."""
    if len(data) > CHECKLIST_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {CHECKLIST_BYTES_MAX}", where=where)
    return Checklist.parse(parse_json(data, where=where), where=where, error=EvidenceError)


def together(lists: Sequence[Checklist]) -> Checklist:
    """The lists of several teams as one. Raises `InputError` where they are of different draws, or one unit stands in two."""
    first = lists[0]
    if len({(one.drawn, one.blind, one.reading) for one in lists}) != 1:
        raise InputError("the checklists are of different draws, or were read in different ways", where="checklist")
    units = sorted((read for one in lists for read in one.units), key=lambda read: read.unit)
    twice = [one.unit for one, after in itertools.pairwise(units) if one.unit == after.unit]
    if twice:
        raise InputError(
            f"unit {twice[0]} stands in two checklists", where="checklist", remedy="keep the first reading"
        )
    value = first.model_dump() | {"units": units}
    return Checklist.parse(value, where="checklist", error=InputError)


# --- on paper ----------------------------------------------------------------------------------------------------------

_UNIT = re.compile(r"unit ([0-9]{1,7}) (opened|refused) (\S{1,40})(?: (.{1,4000}))?")


def read_paper(data: bytes, *, drawn: str, blind: bool, reading: Reading, where: str) -> Checklist:
    """A paper form that was typed in. Raises `InputError` naming the line.

    `unit 17 opened 2026-11-24T10:00:00Z` comes before the serials of unit 17, one on each line; `unit 18 refused
    2026-11-24T10:05:00Z no key to the cage` stands alone. Empty lines and lines that begin with `#` say nothing.
    """
    if len(data) > PAPER_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {PAPER_BYTES_MAX}", where=where)
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=where) from None
    units: list[dict[str, object]] = []
    serials: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        found = _UNIT.fullmatch(text)
        if found is None:
            if not units or units[-1]["outcome"] == "refused" or " " in text:
                raise InputError(f"{text[:60]!r} is no unit, and no serial of one", where=f"{where}:{number}")
            serials.append(text)
            continue
        serials = []
        units.append(_unit(found, serials, f"{where}:{number}"))
    value = {
        "drawn": drawn,
        "blind": blind,
        "reading": reading,
        "units": sorted(units, key=lambda one: str(one["unit"]).zfill(8)),
    }
    return Checklist.parse(value, where=where, error=InputError)


def _unit(found: re.Match[str], serials: list[str], where: str) -> dict[str, object]:
    try:
        at = datetime.fromisoformat(found[3])
    except ValueError:
        raise InputError(f"{found[3]!r} is not a time", where=where, remedy="write 2026-11-24T10:00:00Z") from None
    value: dict[str, object] = {"unit": int(found[1]), "outcome": found[2], "at": at, "serials": serials}
    if found[4]:
        value["reason"] = found[4]
    return value


def paper_form(places: Sequence[tuple[int, str]], *, title: str) -> str:
    """The form to be printed: one block for each place, without a serial."""
    lines = [f"# {title}", "# For each unit: strike `refused` or `opened`, write the time (UTC), then every serial, one a line.",
             "# Write what you read. Write nothing that you expect.", ""]  # fmt: skip
    for number, place in places:
        lines += [f"# {place}", f"unit {number} opened/refused ____-__-__T__:__:00Z", "", "", ""]
    return "\n".join(lines)
