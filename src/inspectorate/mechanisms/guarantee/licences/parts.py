"""A signed licence as text in parts, each short enough for one QR code: carried by paper, telephone, any channel at all.

A signature is 3,373 bytes, and the largest QR code holds 2,953; so a licence with a quorum takes several. A part is

    ILQ1/<id>/<number>/<of>/<check>/<data>

`id` is the first 16 hexadecimal digits of SHA-256 over the compressed document, so parts of two licences are never mixed;
`check` is CRC-32 over the decoded data, so the part that was misread is named; `data` is a piece of the document, compressed
(zlib) and then in base32 (RFC 4648) without padding.

Base32 costs a tenth more than base45 (RFC 9285) in a QR code's alphanumeric mode, and keeps to letters and digits: no blanks for a
channel to eat, and no difference between large and small letters. The alphabet of a part is that of the alphanumeric mode.

Nothing here vouches for a licence: whoever reads one verifies its signatures. The order of parts means nothing, a part that was
read twice does no harm, and what is missing is named.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Iterable

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX, SignedDocument, parse_document

PARTS_MAX = 512
PART_CHARACTERS = 1_400
"""By default: a QR code of version 25 with error correction M holds 1,451 (ISO/IEC 18004, table 7)."""
PART_CHARACTERS_MIN, PART_CHARACTERS_MAX = 100, 4_296
"""The largest QR code, version 40 with error correction L, holds 4,296."""
_HEAD_CHARACTERS = len("ILQ1/0123456789ABCDEF/512/512/01234567/")
_PART = re.compile(r"ILQ1/([0-9A-F]{16})/([1-9][0-9]{0,2})/([1-9][0-9]{0,2})/([0-9A-F]{8})/([A-Z2-7]{1,4296})")
_REMEDY = "read the parts again"


def to_parts(document: SignedDocument, *, characters: int = PART_CHARACTERS) -> tuple[str, ...]:
    """The document as parts of at most so many characters. Raises `InputError`."""
    if not PART_CHARACTERS_MIN <= characters <= PART_CHARACTERS_MAX:
        raise InputError(f"a part has {PART_CHARACTERS_MIN} to {PART_CHARACTERS_MAX} characters")
    packed = zlib.compress(document.to_bytes(), 9)
    size = (characters - _HEAD_CHARACTERS) * 5 // 8
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    if len(pieces) > PARTS_MAX:
        raise InputError(f"takes {len(pieces)} parts, more than {PARTS_MAX}", remedy="use longer parts")
    name = hashlib.sha256(packed).hexdigest()[:16].upper()
    return tuple(
        f"ILQ1/{name}/{number}/{len(pieces)}/{zlib.crc32(piece):08X}/{base64.b32encode(piece).decode().rstrip('=')}"
        for number, piece in enumerate(pieces, start=1)
    )


def from_parts(texts: Iterable[str], *, where: str) -> SignedDocument:
    """The document of which `texts` are the parts, in any order. Raises `EvidenceError` that names what is wrong or missing."""
    found: dict[int, bytes] = {}
    name, of = "", 0
    for place, text in enumerate(texts, start=1):
        if place > 2 * PARTS_MAX:
            raise EvidenceError(f"more than {2 * PARTS_MAX} parts", where=where)
        part_name, number, part_of, data = _parse(text, f"{where}, part read as number {place}")
        if name and (part_name, part_of) != (name, of):
            raise EvidenceError("parts of several licences", where=where, remedy="read one licence at a time")
        name, of = part_name, part_of
        if found.setdefault(number, data) != data:
            raise EvidenceError(f"part {number} was read in two ways", where=where, remedy=_REMEDY)
    missing = [str(number) for number in range(1, of + 1) if number not in found]
    if not found:
        raise EvidenceError("no parts", where=where)
    if missing:
        shown = ", ".join(missing[:20]) + (" and more" if len(missing) > 20 else "")
        raise EvidenceError(f"of {of} parts, missing: {shown}", where=where, remedy="read these as well")
    packed = b"".join(found[number] for number in range(1, of + 1))
    if hashlib.sha256(packed).hexdigest()[:16].upper() != name:
        raise EvidenceError("the parts do not make up one licence", where=where, remedy=_REMEDY)
    return parse_document(_unpacked(packed, where), kind=LICENCE_KIND, where=where)


def _parse(text: str, where: str) -> tuple[str, int, int, bytes]:
    matched = _PART.fullmatch(text[: 2 * PART_CHARACTERS_MAX].strip().upper())
    if matched is None:
        raise EvidenceError("is not a part of a licence", where=where, remedy=_REMEDY)
    name, number, of, check, letters = matched.groups()
    if not int(number) <= int(of) <= PARTS_MAX:
        raise EvidenceError(f"part {number} of {of} cannot be", where=where, remedy=_REMEDY)
    try:
        data = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        data = b""
    if not data or base64.b32encode(data).decode().rstrip("=") != letters or f"{zlib.crc32(data):08X}" != check:
        raise EvidenceError(f"part {number} of {of} was misread", where=where, remedy=_REMEDY)
    return name, int(number), int(of), data


def _unpacked(packed: bytes, where: str) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(packed, DOCUMENT_BYTES_MAX + 1)
    except zlib.error as fault:
        raise EvidenceError(f"cannot be unpacked: {fault}", where=where) from None
    if len(data) > DOCUMENT_BYTES_MAX:
        raise EvidenceError(f"unpacks to more than {DOCUMENT_BYTES_MAX} bytes", where=where)
    if not unpacking.eof or unpacking.unused_data:
        raise EvidenceError("is cut short, or has something behind it", where=where)
    return data
