"""The statements about seals: applied, checked, and a check repeated by somebody else.

Photographs are named by digest and stay with the verifier: what a seal looks like is what a forger wants to know. So does the
outline of the seal in the first reference. A check names the calibration by digest; whoever has the photographs gets the same
number again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from inspectorate.canonical import Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.act import Act, Who
from inspectorate.evidence.custody import SealApplied, SealChecked, SealDecision
from inspectorate.evidence.envelope import VerifiedStatement
from inspectorate.mechanisms.custody.seals.aligning import Floats
from inspectorate.mechanisms.custody.seals.calibration import Calibration
from inspectorate.mechanisms.custody.seals.comparing import reference_of
from inspectorate.mechanisms.custody.seals.photo import Named, Photo
from inspectorate.mechanisms.custody.seals.reference import NUMBER_TOLERANCE, PHOTOS_MAX
from inspectorate.mechanisms.custody.seals.report import Report, report
from inspectorate.quantities import Share

OUTLINE = "outline"
Decode = Callable[[Sequence[Named]], list[Photo]]


class Corner(Record):
    """A place in a photograph, as shares of its width and height."""

    x: Share
    y: Share


class Marked(Record):
    """How a seal lies in its first reference, and what it is made of."""

    corners: tuple[Corner, Corner, Corner, Corner] | None = Field(
        default=None, description="clockwise from the upper left; none: the square in the middle"
    )
    mirrors: bool = Field(
        description="of flakes that shine: a second photograph under other light is held against the first"
    )

    def outline(self, size: tuple[int, int]) -> Floats | None:
        """In pixels at working size. Raises `InputError` where the corners are no convex outline."""
        if self.corners is None:
            return None
        points = np.array([(one.x * size[0], one.y * size[1]) for one in self.corners])
        ahead = np.roll(points, -1, axis=0) - points
        behind = points - np.roll(points, 1, axis=0)
        turns = behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0]
        if not np.all(turns > 100):
            raise InputError(
                "the four corners are no outline", where="outline", remedy="name them clockwise from the upper left"
            )
        return points


@dataclass(frozen=True, kw_only=True)
class Applying:
    """A seal that was put on."""

    seal: str
    site: str
    places: tuple[str, ...]
    photos: Sequence[bytes]
    marked: Marked
    names: Sequence[str] = ()
    """Of the photographs, for whoever took them; `photo-1` and so on where none are given."""


def make_applied(applying: Applying, who: Who, decode: Decode) -> tuple[Act, tuple[bytes, ...]]:
    """The statement that a seal was applied, and what the verifier keeps: the photographs, then the outline.

    Raises `InputError` where the photographs could not serve as references: better now than at the first check.
    """
    if not applying.photos:
        raise InputError("a seal needs a reference photograph", where="photographs")
    names = applying.names or [f"photo-{k + 1}" for k in range(len(applying.photos))]
    photos = decode(list(zip(names, applying.photos, strict=True)))
    reference_of(photos, applying.marked.outline(photos[0].size))
    marked = applying.marked.canonical_bytes()
    subjects = {f"photo-{k + 1}": one.digest for k, one in enumerate(photos)} | {OUTLINE: digest_of(marked)}
    predicate = SealApplied(
        origin=who.origin,
        by=who.name,
        seal=applying.seal,
        site=applying.site,
        places=applying.places,
        applied_at=who.at,
    )
    return Act(predicate=predicate, subjects=subjects), (*applying.photos, marked)


def make_checked(
    applied: VerifiedStatement, photos: Sequence[bytes], found: Report | None, decision: SealDecision, who: Who
) -> Act:
    """The statement of a person's decision. Without `found` it was made by eye alone.

    Raises `InputError` where the comparison has no number: then the photographs are to be taken again, or the eye decides alone.
    """
    said = applied.predicate
    if not isinstance(said, SealApplied):
        raise InputError("is no statement that a seal was applied", where=applied.digest)
    if who.at < said.applied_at:
        raise InputError(
            "the check would come before the seal was applied", where=applied.digest, remedy="set the clock"
        )
    if found is not None and found.number is None:
        raise InputError(
            "no photograph could be compared", where="new photographs",
            remedy="take them again as the comparison says, or decide by eye alone and say so",
        )  # fmt: skip
    predicate = SealChecked(
        origin=who.origin, by=who.name, applied=applied.digest,
        calibration=None if found is None else found.calibration.digest,
        log_likelihood_ratio=None if found is None or found.number is None else round(found.number, 3),
        decision=decision, checked_at=who.at,
    )  # fmt: skip
    return Act(predicate=predicate, subjects={f"photo-{k + 1}": digest_of(one) for k, one in enumerate(photos)})


def compared(
    applied: VerifiedStatement,
    new: Sequence[tuple[str, bytes]],
    calibration: Calibration,
    payload: Callable[[str], bytes],
    decode: Decode,
) -> Report:
    """Compare new photographs, each with its name, with those of the application, which `payload` gives by digest.

    Raises `EvidenceError` where the kept ones are not there or are others, `InputError` where one cannot be used.
    """
    subjects = _photographs(applied)
    marked = Marked.parse(
        parse_canonical(payload(_outline(applied)), where=OUTLINE), where=OUTLINE, error=EvidenceError
    )
    old = [(name, payload(digest)) for name, digest in subjects]
    photos = decode([*old, *new])
    reference = reference_of(photos[: len(old)], marked.outline(photos[0].size))
    return report(reference, photos[len(old) :], calibration, mirrors=marked.mirrors)


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A check that was compared again."""

    stated: float | None
    again: float | None
    agrees: bool
    report: Report


def repeat(
    applied: VerifiedStatement,
    checked: VerifiedStatement,
    calibration: Calibration,
    payload: Callable[[str], bytes],
    decode: Decode,
) -> Repeated:
    """Compare again what a check compared. Raises `EvidenceError` where it cannot be: other calibration, photographs missing."""
    said = checked.predicate
    assert isinstance(said, SealChecked)
    if said.applied != applied.digest:
        raise EvidenceError("is of another seal", where=checked.digest)
    if said.calibration != calibration.digest:
        named = said.calibration or "none: by eye alone"
        raise EvidenceError(f"was compared by another calibration ({named[:24]})", where=checked.digest)
    new = [(f"new {name}", payload(digest)) for name, digest in _photographs(checked)]
    found = compared(applied, new, calibration, payload, decode)
    stated = said.log_likelihood_ratio
    both = stated is not None and found.number is not None
    agrees = stated == found.number if not both else abs((stated or 0) - (found.number or 0)) <= NUMBER_TOLERANCE
    return Repeated(stated=stated, again=found.number, agrees=agrees, report=found)


def _photographs(statement: VerifiedStatement) -> list[tuple[str, str]]:
    """Names and digests of the photographs, in their order. Raises `EvidenceError` where they are not 1 to `PHOTOS_MAX`."""
    named = {one.name: one.digest_text for one in statement.statement.subject if one.name != OUTLINE}
    wanted = [f"photo-{k + 1}" for k in range(len(named))]
    if sorted(named) != sorted(wanted) or not 1 <= len(named) <= PHOTOS_MAX:
        raise EvidenceError(f"names no photographs photo-1 to photo-{PHOTOS_MAX}", where=statement.digest)
    return [(name, named[name]) for name in wanted]


def _outline(statement: VerifiedStatement) -> str:
    found = [one.digest_text for one in statement.statement.subject if one.name == OUTLINE]
    if len(found) != 1:
        raise EvidenceError("names no outline of the seal", where=statement.digest)
    return found[0]
