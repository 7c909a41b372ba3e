"""Statements: in-toto Statement v1, with one predicate type per kind of evidence (`kinds`).

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": ..., "digest": {"sha256": ...}}],      the payloads, by digest
     "predicateType": "https://inspectorate.example/flow-export/v1",
     "predicate": {...}}

Format: in-toto Attestation Framework, Statement v1.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from inspectorate.canonical import Hex, Record, Text, first_fault
from inspectorate.evidence.kinds import PREDICATES, Predicate, PredicateType


class Sha256(Record):
    sha256: Hex


class Subject(Record):
    """What a statement speaks of: a name and a digest."""

    name: Text
    digest: Sha256

    @property
    def digest_text(self) -> str:
        return f"sha256:{self.digest.sha256}"


class Statement(Record):
    """An in-toto Statement v1 whose predicate is one of ours."""

    model_config = ConfigDict(populate_by_name=True)

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(default="https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Subject, ...] = Field(min_length=1, max_length=1000)
    predicate_type: PredicateType = Field(alias="predicateType")
    predicate: Predicate

    @model_validator(mode="before")
    @classmethod
    def _predicate_of_its_type(cls, value: object) -> object:
        """Parse the predicate as what its type says; a union would accept whatever happens to fit."""
        if not isinstance(value, dict) or not isinstance(value.get("predicate"), dict):
            return value
        if set(value) != {"_type", "subject", "predicateType", "predicate"}:
            raise ValueError("needs exactly _type, subject, predicateType and predicate")
        known = {kind.value: record for kind, record in PREDICATES.items()}
        record = known.get(str(value["predicateType"]))
        if record is None:
            raise ValueError(f"predicate type {value['predicateType']!r} is not known")
        try:
            return {**value, "predicate": record.model_validate(value["predicate"])}
        except ValidationError as fault:
            raise ValueError(f"predicate.{first_fault(fault)}") from None

    @model_validator(mode="after")
    def _matches(self) -> Self:
        if type(self.predicate) is not PREDICATES[self.predicate_type]:
            raise ValueError("the predicate is not of its predicate type")
        return self


def make_statement(predicate: Predicate, subjects: dict[str, str]) -> Statement:
    """A statement about payloads, given as name -> digest (`sha256:<hex>`)."""
    kind = next(kind for kind, record in PREDICATES.items() if type(predicate) is record)
    named = tuple(
        Subject(name=name, digest=Sha256(sha256=digest.removeprefix("sha256:"))) for name, digest in subjects.items()
    )
    return Statement(subject=named, predicate_type=kind, predicate=predicate)
