"""One byte form per object, and one rule for digests.

- The byte form of a record is its JSON under RFC 8785 (JCS): sorted keys, shortest numbers, no white space.
- A digest is written `sha256:<64 hex digits>`, everywhere.
- `parse_canonical` refuses any other byte form of the same value, so that one flipped or added byte, even of white
  space, never passes unnoticed.

`Record` is the base of all our nouns: frozen, closed against unknown fields, validated when it is built.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Self

import rfc8785
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import ErrorDetails

from inspectorate.errors import EvidenceError, InputError

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Hex = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]

JSON_BYTES_MAX = 64 * 1024 * 1024
JSON_DEPTH_MAX = 64
FIELD_NAME_MAX = 100
"""An unknown field is named in the error with at most this many of its characters."""


class Record(BaseModel):
    """Base of every noun: frozen, no unknown fields, no NaN or infinity, keyword-only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def canonical_bytes(self) -> bytes:
        """The one byte form of this record (RFC 8785)."""
        return canonical_bytes(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def parse(cls, value: object, *, where: str, error: type[InputError | EvidenceError]) -> Self:
        """Build the record from plain data; every fault is named with its place.

        Raises `error`, which says whose fault a malformed value is here.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as fault:
            raise error(_first_faults(fault), where=where, remedy="correct the named fields") from None


def _first_faults(fault: ValidationError) -> str:
    """The first few faults of a validation in words; the rest as a count."""
    faults = fault.errors(include_url=False, include_input=False)
    shown = [_in_words(f) for f in faults[:4]]
    if len(faults) > len(shown):
        shown.append(f"and {len(faults) - len(shown)} more")
    return "; ".join(shown)


def first_fault(fault: ValidationError) -> str:
    """The first fault of a validation in words: its place and what is wrong there."""
    return _in_words(fault.errors(include_url=False, include_input=False)[0])


def _in_words(fault: ErrorDetails) -> str:
    place = ".".join(str(part)[:FIELD_NAME_MAX] for part in fault["loc"])
    return f"{place or 'value'}: {fault['msg'].removeprefix('Value error, ')}"


def canonical_bytes(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises `ValueError` on a value that JSON cannot carry (NaN, huge integers)."""
    return rfc8785.dumps(value)


def digest_of(data: bytes | memoryview) -> str:
    """The digest of bytes, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def parse_json(data: bytes, *, where: str) -> Any:
    """Parse JSON from outside under limits of size and depth, refusing duplicate keys and non-finite numbers.

    Raises `EvidenceError`.
    """
    if len(data) > JSON_BYTES_MAX:
        raise EvidenceError(f"JSON of {len(data)} bytes exceeds {JSON_BYTES_MAX}", where=where)
    try:
        value = json.loads(
            data,
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_float=_finite_float,
            parse_int=_whole_number,
        )
    except (ValueError, RecursionError) as fault:
        raise EvidenceError(f"not JSON: {fault}", where=where) from None
    _check_depth(value, where)
    return value


def parse_canonical(data: bytes, *, where: str) -> Any:
    """Parse JSON that must be in its canonical byte form. Raises `EvidenceError`."""
    value = parse_json(data, where=where)
    try:
        same = canonical_bytes(value) == data
    except (ValueError, RecursionError) as fault:
        raise EvidenceError(f"has no canonical form: {fault}", where=where) from None
    if not same:
        raise EvidenceError("is not in canonical form (RFC 8785)", where=where, remedy="it was altered or re-encoded")
    return value


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object repeats a key")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    """1e400 is JSON, and infinity to a parser that rounds."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is out of range")
    return value


def _whole_number(text: str) -> int | float:
    """A JSON number is a double: beyond 2^53 it is read as one, as RFC 8785 writes it (1e20 without an exponent)."""
    if len(text) <= 16 and abs(value := int(text)) < 2**53:
        return value
    return _finite_float(text)


def _check_depth(value: Any, where: str) -> None:
    level: list[Any] = [value]
    for _ in range(JSON_DEPTH_MAX):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        if not below:
            return
        level = below
    raise EvidenceError(f"JSON nests deeper than {JSON_DEPTH_MAX}", where=where)
