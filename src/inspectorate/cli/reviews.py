"""Reviews that were printed before, as commands read them."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from inspectorate.canonical import first_fault, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.review import Review

REVIEW_BYTES_MAX = 256 << 20


def read_review(path: Path) -> tuple[bytes, Review]:
    """A review as `review --json` prints it. Raises `InputError`."""
    data = read_bounded(path, REVIEW_BYTES_MAX)
    try:
        return data, Review.model_validate(parse_json(data, where=str(path)))
    except ValidationError as fault:
        raise InputError(
            f"is no review: {first_fault(fault)}",
            where=str(path),
            remedy="give what `inspectorate review --json` printed",
        ) from None
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path)) from None
