"""What a Parquet file says of itself, read here before Arrow reads anything: rows, and the bytes that every page takes in memory.

The footer says how large columns are after decompression, and may say anything. Arrow allocates what the header of each page says.
And Arrow's own view of a column in the footer ends the whole process on some footers that contradict themselves (pyarrow 26:
`terminate called`). So footer and page headers are read from the bytes:

- The pages of a column fill its stretch of the file exactly, and hold as many values as it has rows. Columns within columns
  (lists) have other numbers of values, and are refused.
- Only encodings that are allowed: DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY never are, for they can say a long text anew in
  every row with a few bytes ("as the one before").
- The sum of all pages is within the bound, and so are rows, groups of rows and columns.
- Nothing that Arrow could read in another way: no field twice, no number beyond its type, each field that counts of the type that
  the format gives it, no list where the format has none, or of other items.

A dictionary can still say one text in every row. Who reads columns of texts reads them as they are stored (`read_dictionary`).

Format: Apache Parquet 2.11, `FileMetaData` and `PageHeader`; Apache Thrift, compact protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Union

from inspectorate.errors import EvidenceError

MAGIC = b"PAR1"
DEPTH_MAX = 12
"""A footer nests statistics within a column within a group of rows within itself."""
FIELD_MAX = (1 << 15) - 1
HEADERS_BYTES_MAX = 8 * 1024 * 1024
"""Headers of all pages of a file together, which take some 4 s to read: 200,000 pages of 40 bytes each."""


class Encoding(IntEnum):
    """Encodings that can be allowed, with their numbers in the format.

    None makes more of a text than stands in its page. The last two are of numbers: a few bytes can stand for many of them, but
    their size in memory follows from the number of rows.
    """

    PLAIN = 0
    PLAIN_DICTIONARY = 2
    RLE = 3
    DELTA_BINARY_PACKED = 5
    RLE_DICTIONARY = 8
    BYTE_STREAM_SPLIT = 9


PLAIN_OR_DICTIONARY = frozenset({Encoding.PLAIN, Encoding.PLAIN_DICTIONARY, Encoding.RLE, Encoding.RLE_DICTIONARY})
OF_NUMBERS = PLAIN_OR_DICTIONARY | {Encoding.DELTA_BINARY_PACKED, Encoding.BYTE_STREAM_SPLIT}


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a file may say of itself at most."""

    rows: int
    groups: int
    """Groups of rows."""
    footer_bytes: int
    header_bytes: int
    """Of one page."""
    unpacked_bytes: int
    """Of all pages together after decompression."""
    values: int | None = None
    """Rows times columns; None where rows are bound enough."""
    encodings: frozenset[Encoding] = PLAIN_OR_DICTIONARY


_I32, _I64, _TEXT, _STRUCT = 5, 6, 8, 12
_LIMIT = {4: 1 << 15, _I32: 1 << 31, _I64: 1 << 63}


@dataclass(frozen=True)
class _Shape:
    """What counts of one structure of the format: fields of numbers, lists and what they hold, structures within."""

    numbers: Mapping[int, int] = field(default_factory=dict)
    lists: Mapping[int, int] = field(default_factory=dict)
    within: Mapping[int, _Shape] = field(default_factory=dict)


_PLAIN_SHAPE = _Shape()
"""A structure without lists, of which nothing counts."""
_COLUMN = _Shape(
    numbers={5: _I64, 7: _I64, 9: _I64, 11: _I64},
    lists={2: _I32, 3: _TEXT, 8: _STRUCT, 13: _STRUCT},
    within={16: _Shape(lists={2: _I64, 3: _I64}), 17: _Shape(lists={2: _I32})},
)
_GROUP = _Shape(numbers={3: _I64}, lists={1: _STRUCT, 4: _STRUCT}, within={1: _Shape(within={3: _COLUMN})})
_FOOTER = _Shape(numbers={3: _I64}, lists=dict.fromkeys((2, 4, 5, 7), _STRUCT), within={4: _GROUP})
_DATA, _DICTIONARY, _DATA_V2 = 5, 7, 8
"""Fields of a page header: what kind of page it is."""
_TYPE_OF = {_DATA: 0, _DICTIONARY: 2, _DATA_V2: 3}
_ENCODING_OF = {_DATA: 2, _DICTIONARY: 2, _DATA_V2: 4}
_HEADER = _Shape(
    numbers={1: _I32, 2: _I32, 3: _I32},
    within={kind: _Shape(numbers={1: _I32, place: _I32}) for kind, place in _ENCODING_OF.items()},
)

Value = Union[int, "Fields", "list[Fields]"]
Fields = dict[int, Value]


@dataclass
class _Cursor:
    """A place in the bytes of one structure."""

    data: memoryview
    at: int

    def byte(self) -> int:
        try:
            value = self.data[self.at]
        except IndexError:
            raise ValueError("a header is cut short") from None
        self.at += 1
        return value

    def varint(self) -> int:
        value = self.byte()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in range(7, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise ValueError("a number in a header is too long")

    def number(self, kind: int) -> int:
        """A signed number (zigzag) of 16, 32 or 64 bits."""
        value = self.varint()
        value = (value >> 1) ^ -(value & 1)
        if not -_LIMIT[kind] <= value < _LIMIT[kind]:
            raise ValueError("a number in a header is too long")
        return value

    def skip(self, count: int) -> None:
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError("a page is cut short")
        self.at += count

    def struct(self, shape: _Shape, depth: int = 0) -> Fields:
        """What counts of a structure, by field; all else is passed over. Raises `ValueError`."""
        if depth > DEPTH_MAX:
            raise ValueError("a header nests too deep")
        found: Fields = {}
        seen: set[int] = set()
        place = 0
        while (head := self.byte()) != 0:
            kind = head & 0x0F
            place = place + (head >> 4) if head >> 4 else self.number(4)
            if place in seen or not -FIELD_MAX <= place <= FIELD_MAX:
                raise ValueError("a header says the same thing twice")
            seen.add(place)
            if place in shape.numbers and kind != shape.numbers[place]:
                raise ValueError("a number in a header is not of its type")
            value = None if kind in (1, 2) else self.value(kind, shape, place, depth)
            if value is not None and (place in shape.numbers or place in shape.within):
                found[place] = value
        return found

    def value(self, kind: int, shape: _Shape, place: int, depth: int) -> Value | None:
        match kind:
            case 3:  # a byte
                self.skip(1)
            case 4 | 5 | 6:  # whole numbers of 16, 32 and 64 bits
                return self.number(kind)
            case 7:  # a double
                self.skip(8)
            case 8:  # bytes
                self.skip(self.varint())
            case 9:
                return self.items(shape, place, depth)
            case 12:
                return self.struct(shape.within.get(place, _PLAIN_SHAPE), depth + 1)
            case _:  # sets, maps
                raise ValueError("a header holds what no header has")
        return None

    def items(self, shape: _Shape, place: int, depth: int) -> list[Fields]:
        """The structures of a list; a list of other things is passed over."""
        head = self.byte()
        count, kind = head >> 4 if head >> 4 < 15 else self.varint(), head & 0x0F
        if count > len(self.data) - self.at:  # each takes a byte at least
            raise ValueError("a list in a header is cut short")
        if kind != shape.lists.get(place):
            raise ValueError("a list in a header is none of the format")
        if kind != _STRUCT:
            for _ in range(count):
                self.value(kind, _PLAIN_SHAPE, 0, depth)
            return []
        inner = shape.within.get(place)
        every = (self.struct(inner or _PLAIN_SHAPE, depth + 1) for _ in range(count))
        return list(every) if inner is not None else [one for one in every if one]


def check_file(data: bytes, where: str, bounds: Bounds) -> int:
    """The rows of a file, if all that it says of itself is within the bounds. Raises `EvidenceError`."""
    try:
        return rows_within(data, bounds)
    except ValueError as fault:
        raise EvidenceError(f"cannot be read as a table: {fault}", where=where) from None


def rows_within(data: bytes, bounds: Bounds) -> int:
    """As `check_file`, for files that are no evidence. Raises `ValueError`."""
    footer = _footer(data, bounds)
    groups = _list(footer.get(4))
    rows = sum(_number(group.get(3)) for group in groups)
    if rows != _number(footer.get(3)):
        raise ValueError("what it says of its rows contradicts itself")
    if rows > bounds.rows or len(groups) > bounds.groups:
        raise ValueError(f"{rows} rows in {len(groups)} groups are beyond {bounds.rows} in {bounds.groups}")
    widths = {len(_list(group.get(1))) for group in groups}
    if len(widths) > 1:
        raise ValueError("its groups of rows have different columns")
    if bounds.values is not None and rows * sum(widths) > bounds.values:
        raise ValueError(f"{rows} rows of {sum(widths)} columns are beyond the bounds: {bounds.values} values")
    total = headers = 0
    for group in groups if rows else []:
        for column in _list(group.get(1)):
            size, read = _size(memoryview(data), _struct(column.get(3)), _number(group.get(3)), bounds)
            total, headers = total + size, headers + read
            if total > bounds.unpacked_bytes:
                raise ValueError(f"unpacks to more than {bounds.unpacked_bytes} bytes")
            if headers > HEADERS_BYTES_MAX:
                raise ValueError("it has too many pages")
    return rows


def _footer(data: bytes, bounds: Bounds) -> Fields:
    length = int.from_bytes(data[-8:-4], "little")
    if data[:4] != MAGIC or data[-4:] != MAGIC or not 0 < length <= min(len(data) - 12, bounds.footer_bytes):
        raise ValueError("it is no Parquet file, or is cut short")
    return _Cursor(memoryview(data)[-8 - length : -8], 0).struct(_FOOTER)


def _number(value: Value | None) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("it does not say how many rows it has, or where they are")
    return value


def _struct(value: Value | None) -> Fields:
    if not isinstance(value, dict):
        raise ValueError("its footer is not one")
    return value


def _list(value: Value | None) -> list[Fields]:
    if not isinstance(value, list):
        raise ValueError("its footer is not one")
    return value


def _size(view: memoryview, column: Fields, rows: int, bounds: Bounds) -> tuple[int, int]:
    """Bytes of all pages of a column after decompression, and of their headers. Raises `ValueError`."""
    if not rows:
        raise ValueError("a group of rows has none")
    if _number(column.get(5)) != rows:
        raise ValueError(f"a column has {column.get(5)} values for {rows} rows")
    start, dictionary = _number(column.get(9)), column.get(11)
    if isinstance(dictionary, int) and 0 < dictionary < start:
        start = dictionary
    length = _number(column.get(7))
    if not 0 <= length <= len(view) - start:
        raise ValueError("its pages lie outside of the file")
    cursor = _Cursor(view[start : start + length], 0)
    size = values = headers = 0
    while cursor.at < length:
        before = cursor.at
        header = cursor.struct(_HEADER)
        if cursor.at - before > bounds.header_bytes:
            raise ValueError("a page header is too long")
        headers += cursor.at - before
        if headers > HEADERS_BYTES_MAX:
            raise ValueError("it has too many pages")
        size += _number(header.get(2))
        values += _values(header, bounds)
        cursor.skip(_number(header.get(3)))
    if values != rows:
        raise ValueError(f"its pages hold {values} values for {rows} rows")
    return size, headers


def _values(header: Fields, bounds: Bounds) -> int:
    """Rows of a page, none for its dictionary. Raises `ValueError`."""
    kinds = [kind for kind in (_DATA, _DICTIONARY, _DATA_V2) if kind in header]
    said = _struct(header[kinds[0]]) if len(kinds) == 1 else {}
    count = _number(said.get(1))
    if header.get(1) != _TYPE_OF[kinds[0]]:
        raise ValueError("a page is of another kind than its header says")
    if count > bounds.rows or (kinds[0] == _DICTIONARY and count > _number(header.get(2))):
        raise ValueError("a page has too many values")
    encoding = said.get(_ENCODING_OF[kinds[0]])
    if not isinstance(encoding, int) or encoding not in bounds.encodings:
        names = ", ".join(one.name for one in sorted(bounds.encodings))
        raise ValueError(f"a page is encoded in a way that is not read: write one of {names}")
    return 0 if kinds[0] == _DICTIONARY else count
