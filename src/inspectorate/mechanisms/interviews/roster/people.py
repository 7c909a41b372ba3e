"""The operator's own list of people: a table of pseudonyms, roles and strata in; a list of persons with salts, kept.

In: CSV with the columns `pseudonym`, `role`, `stratum`, or JSON as a list of objects with these fields; UTF-8. Names do not
belong here, and no other column is taken, so that none slips in.

    kept file   {"version": 1, "roster": ..., "people": [{pseudonym, role, salt, stratum}, ...]}

holds the salts: it stays with the operator, opens drawn entries, and gives the salts of those who stay to the next roster.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.heard import PEOPLE_MAX
from inspectorate.mechanisms.interviews.roster.listed import Person, Pseudonym, Role, RosterList
from inspectorate.mechanisms.interviews.roster.reference import TABLE_BYTES_MAX

COLUMNS: Final = ("pseudonym", "role", "stratum")


class Row(Record):
    """One person, as the operator lists them."""

    pseudonym: Pseudonym
    role: Role
    stratum: Identifier


class KeptRoster(Record):
    """What the operator keeps of a roster: every entry in the open."""

    version: Literal[1] = 1
    roster: Identifier
    strata: tuple[Identifier, ...] = Field(min_length=1)
    people: Annotated[tuple[Person, ...], Field(max_length=PEOPLE_MAX)]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if twice := [name for name, count in Counter(one.pseudonym for one in self.people).items() if count > 1]:
            raise ValueError(f"the pseudonym {twice[0]!r} stands in it more than once")
        if stray := {one.stratum for one in self.people} - set(self.strata):
            raise ValueError(f"the stratum {min(stray)!r} is not one of {', '.join(self.strata)}")
        return self

    def listed(self) -> RosterList:
        """What is committed to."""
        names = tuple(sorted(set(self.strata)))
        place = {name: number for number, name in enumerate(names)}
        rows = self.in_order()
        return RosterList(
            roster=self.roster, strata=names, stratum_of=tuple(place[one.stratum] for one in rows),
            persons=tuple(one.person_leaf for one in rows), roles=tuple(one.role_leaf for one in rows),
        )  # fmt: skip

    def in_order(self) -> Sequence[Person]:
        """The person of each entry."""
        return sorted(self.people, key=lambda one: one.person_leaf)


def read_rows(data: bytes, *, where: str) -> tuple[Row, ...]:
    """The table, from CSV or JSON. Raises `InputError` naming the row."""
    if len(data) > TABLE_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {TABLE_BYTES_MAX}", where=where)
    found = _from_json(data, where) if data.lstrip()[:1] == b"[" else _from_csv(data, where)
    if not found:
        raise InputError("lists nobody", where=where, remedy="give one row for each person")
    if len(found) > PEOPLE_MAX:
        raise InputError(f"lists more than {PEOPLE_MAX} people", where=where)
    seen: dict[str, str] = {}
    for place, row in found:
        if row.pseudonym in seen:
            raise InputError(f"{row.pseudonym!r} stands in {seen[row.pseudonym]} already", where=place)
        seen[row.pseudonym] = place
    return tuple(row for _, row in found)


def _from_json(data: bytes, where: str) -> list[tuple[str, Row]]:
    try:
        value = parse_json(data, where=where)
    except EvidenceError as fault:
        raise InputError(str(fault), remedy="give a JSON list of objects, or CSV") from None
    if not isinstance(value, list) or len(value) > PEOPLE_MAX:
        raise InputError(f"is no list of at most {PEOPLE_MAX} objects", where=where)
    return [
        (f"{where}, entry {number}", Row.parse(item, where=f"{where}, entry {number}", error=InputError))
        for number, item in enumerate(value)
    ]


def _from_csv(data: bytes, where: str) -> list[tuple[str, Row]]:
    found: list[tuple[str, Row]] = []
    try:
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            remedy = f"its first line must name the columns {', '.join(COLUMNS)}, and no other: no names"
            raise InputError(f"has the columns {', '.join(header)[:200]!r}", where=where, remedy=remedy)
        for cells in reader:
            place = f"{where}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise InputError(f"has {len(cells)} cells, not {len(header)}", where=place)
            if len(found) > PEOPLE_MAX:
                break
            value = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            found.append((place, Row.parse(value, where=place, error=InputError)))
    except (UnicodeDecodeError, csv.Error) as fault:
        raise InputError(f"is no CSV in UTF-8: {fault}", where=where) from None
    return found


def parse_kept(data: bytes, *, where: str) -> KeptRoster:
    """The operator's own kept file. Raises `InputError`."""
    try:
        value = parse_json(data, where=where)
    except EvidenceError as fault:
        raise InputError(str(fault), remedy="name the file that `interview commit --keep` wrote") from None
    return KeptRoster.parse(value, where=where, error=InputError)


def keep(
    name: str,
    rows: Sequence[Row],
    *,
    salt: Callable[[], str],
    before: KeptRoster | None = None,
    strata: Collection[str] = (),
) -> KeptRoster:
    """A roster of these rows: those who were on the one before keep their salt. `strata` may name empty ones."""
    salts: Mapping[str, str] = {one.pseudonym: one.salt for one in before.people} if before else {}
    people = tuple(
        Person(pseudonym=row.pseudonym, role=row.role, stratum=row.stratum, salt=salts.get(row.pseudonym) or salt())
        for row in rows
    )
    names = tuple(sorted({row.stratum for row in rows} | set(strata)))
    return KeptRoster.parse(
        {"roster": name, "strata": names, "people": people}, where=f"roster {name}", error=InputError
    )
