"""The register as a table: one row per chip, sorted by site, cluster, pod, rack, host and serial.

- `Register` is columnar: codes (int32) and sorted names for every column but the serials, which are one Arrow array.
- Reading checks the bounds, every name, the model against the catalogue, the state, and the order of rows. It does not refuse a
  serial that stands there twice: that is what double entry is to find, and the party has signed it.
- `units` numbers racks, hosts or chips in the order of the rows: a draw counts in these numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inspectorate.declaration import chip_catalogue
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.custody import CountUnit
from inspectorate.mechanisms.custody.register.parquet import (
    Codes,
    Column,
    column_of,
    open_table,
    strings_of,
    write_parquet,
)
from inspectorate.mechanisms.custody.register.reference import (
    COLUMNS,
    IDENTIFIER,
    NAME_CHARS_MAX,
    PLACE,
    SERIAL,
    SERIAL_PATTERN,
    STATES,
    TABLE_BYTES_MAX,
)

_FAULT = type[EvidenceError] | type[InputError]
_OF_UNIT = {CountUnit.RACK: PLACE[:4], CountUnit.HOST: PLACE, CountUnit.CHIP: None}


@dataclass(frozen=True)
class Chip:
    """One row."""

    serial: str
    model: str
    site: str
    cluster: str
    pod: str
    rack: str
    host: str
    owner: str
    state: str


@dataclass(frozen=True, eq=False)
class Register:
    """A register in memory, in its order. Build it by `read_register` or `register_of`."""

    serials: pa.Array
    """Of every row, as one Arrow array of strings."""
    columns: Mapping[str, Column]
    """All other columns, by name."""

    def __len__(self) -> int:
        return len(self.serials)

    def column(self, name: str) -> Column:
        """Codes and names of one column other than the serials."""
        return self.columns[name]

    def chip(self, row: int) -> Chip:
        return self.chips([row])[0]

    def chips(self, rows: Sequence[int] | NDArray[np.integer]) -> list[Chip]:
        """Some rows, for people to read."""
        index = np.asarray(rows, dtype=np.int64)
        serials = self.serials.take(pa.array(index)).to_pylist()
        columns = [
            [self.columns[name].names[code] for code in self.columns[name].codes[index].tolist()]
            for name in COLUMNS[1:]
        ]
        return [Chip(*values) for values in zip(serials, *columns, strict=True)]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Register:
        """Some rows, in the order of the register: a mask, or sorted numbers of rows."""
        index = np.flatnonzero(rows) if rows.dtype == bool else np.asarray(rows, dtype=np.int64)
        columns = {name: _present(column.codes[index], column.names) for name, column in self.columns.items()}
        return Register(serials=self.serials.take(pa.array(index)), columns=columns)

    def counts(self, *names: str) -> dict[tuple[str, ...], int]:
        """Chips by the values of these columns, those that occur, in sorted order."""
        groups, first = group_rows([self.columns[name].codes for name in names], len(self))
        chips = np.bincount(groups, minlength=len(first))
        keys = [[self.columns[name].names[code] for code in self.columns[name].codes[first].tolist()] for name in names]
        return {tuple(key): int(count) for *key, count in zip(*keys, chips.tolist(), strict=True)}


@dataclass(frozen=True, eq=False)
class Units:
    """Racks, hosts or chips of a register, numbered in the order of its rows."""

    unit: CountUnit
    starts: NDArray[np.int64]
    """First row of every unit, and the number of rows behind the last: unit u is rows starts[u] to starts[u + 1] - 1."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Chips in every unit."""
        sizes: NDArray[np.int64] = np.diff(self.starts)
        return sizes

    @property
    def of_row(self) -> Codes:
        """The unit of every row."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.sizes)

    def rows(self, number: int) -> range:
        return range(int(self.starts[number]), int(self.starts[number + 1]))


def read_register(data: bytes, where: str = "register") -> Register:
    """A register as a party handed it over. Raises `EvidenceError`."""
    table = open_table(data, texts=COLUMNS, where=where)
    register = _checked({name: table[name] for name in COLUMNS}, where, EvidenceError)
    row = _out_of_order(register)
    if row is not None:
        remedy = "rows are sorted by site, cluster, pod, rack, host and serial"
        raise EvidenceError(f"row {row + 1} is out of order", where=where, remedy=remedy)
    return register


def write_register(register: Register) -> bytes:
    """The payload of a register. Raises `InputError` where it is larger than a payload may be."""
    columns = {name: register.serials if name == SERIAL else register.columns[name].array() for name in COLUMNS}
    data = write_parquet(columns)
    if len(data) > TABLE_BYTES_MAX:
        raise InputError(f"{len(register)} chips take {len(data)} bytes; a payload has {TABLE_BYTES_MAX} at most",
                         where="register", remedy="hand over one register for each part of the fleet")  # fmt: skip
    return data


def register_of(columns: Mapping[str, Sequence[str] | pa.Array | pa.ChunkedArray], where: str = "register") -> Register:
    """A register of columns in any order of rows: checked as one that is read, and sorted. Raises `InputError`."""
    missing = [name for name in COLUMNS if name not in columns]
    if missing or len(columns) != len(COLUMNS):
        raise InputError(f"needs exactly the columns {', '.join(COLUMNS)}", where=where)
    try:
        arrays = {
            name: given if isinstance(given, pa.Array | pa.ChunkedArray) else pa.array(given, type=pa.string())
            for name, given in columns.items()
        }
    except (pa.ArrowException, TypeError) as fault:
        raise InputError(f"cells are not texts: {str(fault)[:200]}", where=where) from None
    if len({len(array) for array in arrays.values()}) != 1 or any(array.null_count for array in arrays.values()):
        raise InputError("columns are of different lengths, or a cell is empty", where=where)
    register = _checked(arrays, where, InputError)
    return sorted_register(register)


def sorted_register(register: Register) -> Register:
    """The same rows in the order of a register."""
    serial_rank = np.empty(len(register), dtype=np.int64)
    serial_rank[np.asarray(pc.sort_indices(register.serials)).astype(np.int64)] = np.arange(len(register))
    keys: list[NDArray[np.integer]] = [serial_rank, *(register.columns[name].codes for name in reversed(PLACE))]
    order = np.lexsort(keys)
    columns = {name: Column(column.codes[order], column.names) for name, column in register.columns.items()}
    return Register(serials=register.serials.take(pa.array(order)), columns=columns)


def units(register: Register, unit: CountUnit) -> Units:
    """The units that a draw counts in, in the order of the register."""
    names = _OF_UNIT[unit]
    if names is None:
        return Units(unit=unit, starts=np.arange(len(register) + 1, dtype=np.int64))
    new = np.zeros(len(register), dtype=bool)
    new[:1] = True
    for name in names:
        codes = register.columns[name].codes
        new[1:] |= codes[1:] != codes[:-1]
    starts = np.append(np.flatnonzero(new), len(register)).astype(np.int64)
    return Units(unit=unit, starts=starts)


def group_rows(codes: Sequence[Codes], rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The group of every row by several columns, numbered in their order, and the first row of each group."""
    groups = np.zeros(rows, dtype=np.int64)
    for column in codes:
        most = int(column.max()) + 1 if rows else 1
        _, groups = np.unique(groups * most + column, return_inverse=True)
    _, first = np.unique(groups, return_index=True)
    return groups.astype(np.int64), first.astype(np.int64)


def _present(codes: Codes, names: tuple[str, ...]) -> Column:
    used, moved = np.unique(codes, return_inverse=True)
    return Column(codes=moved.astype(np.int32), names=tuple(names[code] for code in used.tolist()))


def _checked(arrays: Mapping[str, pa.Array | pa.ChunkedArray], where: str, error: _FAULT) -> Register:
    serials = check_serials(arrays[SERIAL], where, error)
    columns = {name: column_of(arrays[name]) for name in COLUMNS[1:]}
    models = chip_catalogue()
    for name, column in columns.items():
        match name:
            case "site" | "cluster" | "pod":
                wrong = [text for text in column.names if not IDENTIFIER.fullmatch(text)]
            case "model":
                wrong = [text for text in column.names if text not in models]
            case "state":
                wrong = [text for text in column.names if text not in STATES]
            case _:
                wrong = [text for text in column.names if not is_name(text)]
        if wrong:
            raise error(f"{wrong[0][:60]!r} is no {name}", where=where, remedy=_REMEDIES.get(name, _REMEDY))
    return Register(serials=serials, columns=columns)


_REMEDY = f"write 1 to {NAME_CHARS_MAX} printable characters, without white space at the ends"
_REMEDIES = {
    "model": "`inspectorate agreement chips` lists the catalogue",
    "state": f"write {' or '.join(STATES)}: destroyed chips leave the register by a certificate",
    "site": "write letters, digits, dot, hyphen and underscore",
    "cluster": "write letters, digits, dot, hyphen and underscore",
    "pod": "write letters, digits, dot, hyphen and underscore",
}


def is_name(text: str) -> bool:
    """Whether a rack, a host or an owner may be called so."""
    return 0 < len(text) <= NAME_CHARS_MAX and text.isprintable() and text == text.strip()


def check_serials(given: pa.Array | pa.ChunkedArray, where: str, error: _FAULT) -> pa.Array:
    """Serials as one array, every one of the form of serials. Raises `error`."""
    distinct = given.dictionary_encode() if not pa.types.is_dictionary(given.type) else given
    for chunk in distinct.chunks if isinstance(distinct, pa.ChunkedArray) else [distinct]:
        fit = pc.match_substring_regex(chunk.dictionary, pattern=SERIAL_PATTERN)
        if not pc.all(fit).as_py() and len(fit):
            wrong = chunk.dictionary.filter(pc.invert(fit))[0].as_py()
            raise error(
                f"{str(wrong)[:60]!r} is no serial", where=where,
                remedy="write 1 to 64 letters, digits and . _ : / + -, beginning with a letter or digit",
            )  # fmt: skip
    return strings_of(distinct)


def _out_of_order(register: Register) -> int | None:
    """The first row that should stand before the one above it."""
    if len(register) < 2:
        return None
    same = np.ones(len(register) - 1, dtype=bool)
    wrong = np.zeros(len(register) - 1, dtype=bool)
    for name in PLACE:
        step = np.diff(register.columns[name].codes)
        wrong |= same & (step < 0)
        same &= step == 0
    falls = pc.less(register.serials.slice(1), register.serials.slice(0, len(register) - 1))
    wrong |= same & falls.to_numpy(zero_copy_only=False)
    return int(np.argmax(wrong)) + 1 if wrong.any() else None
