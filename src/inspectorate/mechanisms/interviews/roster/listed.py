"""What a roster commits to, and what is shown of it.

    person leaf   SHA-256(label ‖ {pseudonym, salt})           the same in every roster as long as the person stays
    role leaf     SHA-256(label ‖ {pseudonym, role, salt, stratum})

with the record in braces in its canonical form (RFC 8785). Rules:

- A leaf hides a person because the salt has 32 random bytes; it binds because SHA-256 has no known collisions.
- Rows are sorted by person leaf, so that order says nothing. Which stratum a row is in is open: a draw needs it.
- A person keeps the salt from roster to roster. So all parties see how many stayed, left, joined or moved, and not who.
- No name is here. A pseudonym is the operator's, and opened only for who was drawn; the name goes on paper, to the
  interviewers.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import JSON_BYTES_MAX, Hex, Identifier, Record, canonical_bytes, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.heard import PEOPLE_MAX, STRATA_MAX, EntryNumber
from inspectorate.mechanisms.interviews.roster.reference import PSEUDONYM_CHARACTERS_MAX, ROLE_CHARACTERS_MAX

PERSON_LABEL: Final = b"inspectorate/roster/person/v1\0"
ROLE_LABEL: Final = b"inspectorate/roster/role/v1\0"

Pseudonym = Annotated[
    str, StringConstraints(pattern=rf"^[A-Za-z0-9][A-Za-z0-9._-]{{0,{PSEUDONYM_CHARACTERS_MAX - 1}}}$")
]
Role = Annotated[str, StringConstraints(pattern=rf"^[^\x00-\x1f\x7f]{{1,{ROLE_CHARACTERS_MAX}}}$")]


class Person(Record):
    """One entry in the open. Only the operator has it, and whoever it was opened to."""

    pseudonym: Pseudonym
    role: Role
    stratum: Identifier
    salt: Hex = Field(description="kept from roster to roster, as long as the person is on it")

    @property
    def person_leaf(self) -> str:
        return _leaf(PERSON_LABEL, {"pseudonym": self.pseudonym, "salt": self.salt})

    @property
    def role_leaf(self) -> str:
        return _leaf(ROLE_LABEL, self.model_dump(mode="json"))


def _leaf(label: bytes, value: Mapping[str, str]) -> str:
    return hashlib.sha256(label + canonical_bytes(value)).hexdigest()


class RosterList(Record):
    """The subject `roster` of a `RosterCommitted`: one row for each person. The row is the number of the entry."""

    version: Literal[1] = 1
    roster: Identifier
    strata: tuple[Identifier, ...] = Field(min_length=1, max_length=STRATA_MAX, description="sorted")
    stratum_of: tuple[Annotated[int, Field(ge=0, lt=STRATA_MAX)], ...] = Field(
        max_length=PEOPLE_MAX, description="of each row, the place of its stratum in `strata`"
    )
    persons: tuple[Hex, ...] = Field(max_length=PEOPLE_MAX, description="person leaves, sorted and distinct")
    roles: tuple[Hex, ...] = Field(max_length=PEOPLE_MAX)

    @model_validator(mode="after")
    def _rows(self) -> Self:
        if not len(self.stratum_of) == len(self.persons) == len(self.roles):
            raise ValueError("every row needs a stratum, a person leaf and a role leaf")
        if list(self.strata) != sorted(set(self.strata)):
            raise ValueError("strata must be sorted and distinct")
        if any(place >= len(self.strata) for place in self.stratum_of):
            raise ValueError("a row is in a stratum that is not there")
        if list(self.persons) != sorted(set(self.persons)):
            raise ValueError("person leaves must be sorted and distinct")
        return self

    @cached_property
    def people(self) -> Mapping[str, int]:
        """How many there are in each stratum, 0 included."""
        counted = Counter(self.stratum_of)
        return {name: counted[place] for place, name in enumerate(self.strata)}

    def stratum(self, entry: int) -> str:
        return self.strata[self.stratum_of[entry]]

    def holds(self, entry: int, person: Person) -> bool:
        """Whether a row is this person, in this role and stratum."""
        return (
            0 <= entry < len(self.persons)
            and person.person_leaf == self.persons[entry]
            and person.role_leaf == self.roles[entry]
            and person.stratum == self.stratum(entry)
        )


class OpenedPerson(Record):
    """A drawn entry, in the open."""

    entry: EntryNumber
    person: Person


class Openings(Record):
    """The subject `openings` of a `RosterOpened`, in order of entries."""

    version: Literal[1] = 1
    roster: Identifier
    people: tuple[OpenedPerson, ...] = Field(max_length=PEOPLE_MAX)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        entries = [one.entry for one in self.people]
        if entries != sorted(set(entries)):
            raise ValueError("entries must be sorted and distinct")
        return self


def parse_roster_list(data: bytes, *, where: str) -> RosterList:
    """The list of a roster in its one byte form. Raises `EvidenceError`."""
    return RosterList.parse(_canonical(data, where), where=where, error=EvidenceError)


def parse_openings(data: bytes, *, where: str) -> Openings:
    """The record in its one byte form. Raises `EvidenceError`."""
    return Openings.parse(_canonical(data, where), where=where, error=EvidenceError)


def _canonical(data: bytes, where: str) -> object:
    if len(data) > JSON_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {JSON_BYTES_MAX}", where=where)
    return parse_canonical(data, where=where)
