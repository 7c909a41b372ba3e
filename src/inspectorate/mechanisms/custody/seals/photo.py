"""A photograph, from bytes to pixels.

1. The header is read and held against bounds (`header`), before anything is decoded.
2. The picture is decoded, turned as its EXIF orientation says, and brought down to `WORK_SIDE`.
3. What came out must be the size that was claimed, be whole, and show something.

`decode_apart` does 2 in a process that is closed in: decoders of pictures are large programs in C, and the picture may come from
the other party. `decode` does it in this one, for pictures that we made.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.apart import Enclosure, run_apart
from inspectorate.canonical import digest_of
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.mechanisms.custody.seals.header import Header, read_header
from inspectorate.mechanisms.custody.seals.reference import DECODE_MEMORY_BYTES, DECODE_S, WORK_SIDE

Bytes = NDArray[np.uint8]

MODULE_APART = "inspectorate.mechanisms.custody.seals.photo_apart"
OUTPUT_BYTES_MAX = 64 << 20
"""Of `PHOTOS_MAX` photographs at working size, in base 64, twice over."""
_BROKEN = "cannot be decoded as what it claims to be"
_AGAIN = "copy it from the camera again"


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photograph at working size."""

    digest: str
    """Of the file."""
    where: str
    colour: Bytes
    """(height, width, 3), as blue, green, red."""
    grey: Bytes

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.grey.shape
        return width, height


def decode(data: bytes, *, where: str) -> Photo:
    """Decode within this process. Raises `InputError`."""
    found = read_header(data, where=where)
    return _made(data, _pixels(data, found, where), where)


Named = tuple[str, bytes]
"""Where a photograph comes from, and its bytes."""


def decode_apart(given: Sequence[Named]) -> list[Photo]:
    """Decode in one process that is closed in. Raises `InputError` naming the photograph, `EnvironmentError_`."""
    found = [read_header(data, where=where) for where, data in given]
    opencv()  # its absence is named here, not by a process that fails
    head = b" ".join(b"%d" % len(data) for _, data in given) + b"\n"
    said = run_apart(
        MODULE_APART,
        head + b"".join(data for _, data in given),
        Enclosure(
            seconds=DECODE_S * max(len(given), 1), memory_bytes=DECODE_MEMORY_BYTES, output_bytes=OUTPUT_BYTES_MAX
        ),
        environment={"OPENBLAS_NUM_THREADS": "1"},
    )
    photos = []
    for k, (where, data) in enumerate(given):
        try:
            height, width = (int(part) for part in said.lines[2 * k].split())
            picture = np.frombuffer(base64.b64decode(said.lines[2 * k + 1], validate=True), np.uint8)
            picture = picture.reshape(height, width, 3)
        except (IndexError, ValueError, binascii.Error):
            raise InputError(f"{_BROKEN}: {said.ended}", where=where, remedy=_AGAIN) from None
        if sorted(_sized(found[k])) != sorted((height, width)):
            raise InputError(f"{_BROKEN}: another size came out", where=where, remedy=_AGAIN)
        photos.append(_made(data, picture, where))
    return photos


def _sized(found: Header) -> tuple[int, int]:
    """What a picture of this size is brought down to."""
    share = min(1.0, WORK_SIDE / max(found.width, found.height))
    return round(found.width * share), round(found.height * share)


def decode_here(given: Sequence[Named]) -> list[Photo]:
    """Decode in this process. Raises `InputError`."""
    return [decode(data, where=where) for where, data in given]


def _pixels(data: bytes, found: Header, where: str) -> Bytes:
    cv = opencv()
    try:
        picture = cv.imdecode(np.frombuffer(data, np.uint8), cv.IMREAD_COLOR)
    except cv.error:
        picture = None
    if picture is None or sorted(picture.shape[:2]) != sorted((found.height, found.width)):
        raise InputError(_BROKEN, where=where, remedy=_AGAIN)
    return brought_down(picture)


def brought_down(picture: Bytes) -> Bytes:
    """The picture at working size; never enlarged."""
    height, width = picture.shape[:2]
    share = WORK_SIDE / max(height, width)
    if share >= 1:
        return picture
    cv = opencv()
    small: Bytes = cv.resize(picture, (round(width * share), round(height * share)), interpolation=cv.INTER_AREA)
    return small


def _made(data: bytes, picture: Bytes, where: str) -> Photo:
    cv = opencv()
    return Photo(digest=digest_of(data), where=where, colour=picture, grey=cv.cvtColor(picture, cv.COLOR_BGR2GRAY))
