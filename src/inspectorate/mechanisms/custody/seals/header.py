"""What a photograph says of its own size, read before anything decodes it: JPEG and PNG, by hand, strictly.

A small file can claim a picture of gigabytes. Whatever decodes it believes the claim, so the claim is read first and held against
bounds. The reader is stricter than decoders are: what it cannot follow to the picture's first byte is refused. That a decoder
reads another size than this one is refused after decoding (`photo`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.reference import (
    PHOTO_BYTES_MAX,
    PHOTO_PIXELS_MAX,
    PHOTO_SIDE_MAX,
    PHOTO_SIDE_MIN,
    SCANS_MAX,
    SEGMENTS_MAX,
)

PNG = b"\x89PNG\r\n\x1a\n"
_SIZES = {0xC0, 0xC1, 0xC2}
"""Baseline, extended and progressive: what cameras write. Lossless and arithmetic ones are not read."""
_OTHER_SIZES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_BARE = {0x01, *range(0xD0, 0xD9)}
_RETAKE = "save it as JPEG or PNG as the camera made it"


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a file claims to be."""

    form: str
    width: int
    height: int


def read_header(data: bytes, *, where: str) -> Header:
    """The claimed form and size, within bounds. Raises `InputError` naming what is wrong, and what to do."""
    if not data:
        raise InputError("is empty", where=where, remedy="take the photograph again")
    if len(data) > PHOTO_BYTES_MAX:
        raise InputError(
            f"has {len(data)} bytes, more than {PHOTO_BYTES_MAX}",
            where=where,
            remedy="save it as JPEG at usual quality",
        )
    if data[:8] == PNG:
        found = _png(data, where)
    elif data[:2] == b"\xff\xd8":
        found = _jpeg(data, where)
    elif data[4:8] == b"ftyp":
        raise InputError("is HEIC, AVIF or a video", where=where, remedy="set the camera to JPEG (`most compatible`)")
    else:
        raise InputError("is neither a JPEG nor a PNG", where=where, remedy=_RETAKE)
    _bounded(found, where)
    return found


def _bounded(found: Header, where: str) -> None:
    short, long = sorted((found.width, found.height))
    if long > PHOTO_SIDE_MAX or short * long > PHOTO_PIXELS_MAX:
        raise InputError(
            f"claims {found.width} x {found.height} pixels, more than {PHOTO_PIXELS_MAX}",
            where=where, remedy="save it smaller",
        )  # fmt: skip
    if short < PHOTO_SIDE_MIN:
        raise InputError(
            f"has {found.width} x {found.height} pixels, too few to compare flakes",
            where=where, remedy=f"take it with at least {PHOTO_SIDE_MIN} pixels on the shorter side",
        )  # fmt: skip


def _png(data: bytes, where: str) -> Header:
    if len(data) < 33 or data[8:16] != b"\0\0\0\rIHDR":
        raise InputError("is a PNG without a header", where=where, remedy=_RETAKE)
    width, height, depth, colour, packing, filtering, laced = struct.unpack(">IIBBBBB", data[16:29])
    if depth != 8 or colour not in {0, 2, 6} or packing or filtering or laced > 1:
        raise InputError("is a PNG of an unusual kind", where=where, remedy="save it as 8-bit grey or colour")
    at, parts = 33, 0
    while data[at + 4 : at + 8] != b"IDAT":
        parts += 1
        if len(data) < at + 12 or parts > SEGMENTS_MAX:
            raise InputError("is a PNG without a picture", where=where, remedy=_RETAKE)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return Header(form="png", width=width, height=height)


def _jpeg(data: bytes, where: str) -> Header:
    found: Header | None = None
    at = 2
    for _ in range(SEGMENTS_MAX):
        if len(data) < at + 4 or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _BARE or marker in _OTHER_SIZES or marker == 0xD9:
            break
        long = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _SIZES:
            if found is not None or long < 11 or len(data) < at + 2 + long:
                break
            found = _size(data[at + 4 : at + 10], where)
        elif marker == 0xDA:
            if found is None:
                break
            if (scans := data.count(b"\xff\xda", at)) > SCANS_MAX:
                raise InputError(f"is a JPEG of {scans} passes", where=where, remedy=_RETAKE)
            return found
        if long < 2:
            break
        at += 2 + long
    raise InputError("is a JPEG without a readable header", where=where, remedy=_RETAKE)


def _size(frame: bytes, where: str) -> Header:
    depth, height, width, colours = struct.unpack(">BHHB", frame)
    if depth != 8 or colours not in {1, 3} or not width or not height:
        raise InputError("is a JPEG of an unusual kind", where=where, remedy="save it as 8-bit grey or colour")
    return Header(form="jpeg", width=width, height=height)
