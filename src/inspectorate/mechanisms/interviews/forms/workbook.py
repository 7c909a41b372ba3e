"""What an XLSX file must be before anything reads it: a zip of plain parts, within limits, with nothing that acts.

Refused by name: macros, links to other files, embedded objects, signatures of unknown use, formulas, document types and entities,
parts that unpack to more than they should, more cells than a form has.

An XLSX is a zip of XML parts (ECMA-376, part 2). The parts are looked at as bytes, in UTF-8 only: what is not UTF-8 could hide a
document type from this look.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import IO

from inspectorate.errors import InputError

WORKBOOK_BYTES_MAX = 4 << 20
UNPACKED_BYTES_MAX = 24 << 20
RATIO_MAX = 200
"""Deflate packs at most about 1,030 times; sheets of text pack 5 to 30 times."""
PARTS_MAX = 64
CELLS_MAX = 40_000
CHUNK = 1 << 16

_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError,
)  # fmt: skip
"""What the library of zips raises on broken ones; the third last, among others, for a compression that it does not have."""

_ALLOWED = re.compile(
    r"^(\[Content_Types\]\.xml|_rels/\.rels|docProps/(app|core|custom)\.xml|docProps/thumbnail\.(jpeg|png|wmf)"
    r"|xl/(workbook|styles|sharedStrings|metadata)\.xml|xl/_rels/workbook\.xml\.rels|xl/theme/theme\d{1,2}\.xml"
    r"|xl/worksheets/sheet\d{1,3}\.xml|xl/worksheets/_rels/sheet\d{1,3}\.xml\.rels|xl/printerSettings/printerSettings\d{1,3}\.bin"
    r"|xl/comments\d{0,3}\.xml|xl/comments/comment\d{1,3}\.xml|xl/drawings/vmlDrawing\d{1,3}\.vml|xl/calcChain\.xml)$"
)
_NAMED = (
    ("vbaproject", "holds macros"),
    ("vbadata", "holds macros"),
    ("macrosheets", "holds macros"),
    ("externallinks", "links to other files"),
    ("embeddings", "holds embedded objects"),
    ("activex", "holds controls that act"),
    ("customxml", "holds data that is not shown"),
    ("connections", "connects to data elsewhere"),
    ("querytables", "connects to data elsewhere"),
    ("calcchain", "holds formulas"),
)
_DOCTYPE = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_EXTERNAL = re.compile(rb"TargetMode\s*=\s*[\"']External", re.IGNORECASE)


def check_workbook(data: bytes, *, where: str) -> None:
    """Refuse an XLSX that is not a plain one. Raises `InputError`."""
    if len(data) > WORKBOOK_BYTES_MAX:
        raise InputError(f"a workbook of {len(data)} bytes exceeds {WORKBOOK_BYTES_MAX}", where=where)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_parts(archive, where)
    except _UNREADABLE as fault:
        raise InputError(f"is no XLSX: {fault}", where=where) from None


def _check_parts(archive: zipfile.ZipFile, where: str) -> None:
    parts = archive.infolist()
    if len(parts) > PARTS_MAX:
        raise InputError(f"{len(parts)} parts exceed {PARTS_MAX}", where=where)
    if len({one.filename.lower() for one in parts}) != len(parts):
        raise InputError("a part stands twice", where=where)
    unpacked = cells = 0
    for part in parts:
        place = f"{where}: {part.filename[:100]}"
        _check_name(part, place)
        if part.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or part.flag_bits & 1:
            raise InputError("is packed in a way that a workbook is not", where=place)
        if part.file_size > RATIO_MAX * max(part.compress_size, 1024):
            raise InputError("unpacks to far more than it is", where=place)
        with archive.open(part) as opened:
            content = _read(opened, UNPACKED_BYTES_MAX - unpacked, place)
        unpacked += len(content)
        cells += _check_content(part.filename, content, place)
        if cells > CELLS_MAX:
            raise InputError(f"more than {CELLS_MAX} cells", where=place)


def _check_name(part: zipfile.ZipInfo, place: str) -> None:
    lowered = part.filename.lower()
    for word, problem in _NAMED:
        if word in lowered:
            raise InputError(problem, where=place, remedy="save it as a plain XLSX, without them")
    if not _ALLOWED.match(part.filename):
        raise InputError("is no part that a form needs", where=place, remedy="save it as a plain XLSX")


def _read(opened: IO[bytes], most: int, place: str) -> bytes:
    """Count what comes out: a size in a header is only said."""
    found = bytearray()
    while chunk := opened.read(CHUNK):
        found += chunk
        if len(found) > most:
            raise InputError(f"unpacks to more than {UNPACKED_BYTES_MAX} bytes in all", where=place)
    return bytes(found)


def _check_content(name: str, content: bytes, place: str) -> int:
    """Refuse what acts; count cells."""
    if not name.endswith((".xml", ".rels", ".vml")):
        return 0
    content.decode("utf-8")
    if b"\0" in content or re.match(
        rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]*encoding\s*=\s*[\"'](?!utf-8[\"'])", content, re.IGNORECASE
    ):
        raise InputError("is not in UTF-8", where=place)
    if _DOCTYPE.search(content):
        raise InputError("declares a document type or an entity", where=place)
    if name.endswith(".rels") and _EXTERNAL.search(content):
        raise InputError("links to something outside of it", where=place)
    if not name.startswith("xl/worksheets/sheet"):
        return 0
    if _FORMULA.search(content):
        raise InputError("holds formulas", where=place, remedy="paste values only")
    return len(_CELL.findall(content))
