"""Inventories that an operator has, as registers: CSV or Parquet, with columns and values as the operator calls them.

Every row is a chip. A column that the inventory lacks can be given one value for all; names of models can be put in those of the
catalogue, and words for states in ours (an export of NetBox has `Active`, `Offline`, `Failed`). Nothing else is guessed: a cell
that is empty, a column that is not there, or a model that is not known refuses the inventory.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.pages import check_file
from inspectorate.mechanisms.custody.register.parquet import column_of
from inspectorate.mechanisms.custody.register.reference import BITS_PER_S_MAX, BOUNDS, COLUMNS, ROWS_MAX
from inspectorate.mechanisms.custody.register.table import Register, register_of
from inspectorate.mechanisms.custody.register.wiring import HOST, OTHER, RATE, Wiring, wiring_of

INVENTORY_BYTES_MAX = 256 * 1024 * 1024
PARQUET_MAGIC = b"PAR1"
BLOCK_BYTES = 16 * 1024 * 1024
"""Of a CSV file, read at a time; no row is longer."""


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """How an inventory calls things."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Ours -> theirs; ours where nothing is said."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Ours -> one value for all rows."""
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Ours -> their value -> ours."""


def read_inventory(data: bytes, mapped: Mapped | None = None, *, where: str) -> Register:
    """The register of an inventory. Raises `InputError`."""
    by = mapped or Mapped()
    unknown = sorted({*by.columns, *by.fixed, *by.values} - set(COLUMNS))
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is no column of a register", where=where, remedy=f"they are {', '.join(COLUMNS)}"
        )
    table = _table(data, where)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in COLUMNS:
        if name in by.fixed:
            columns[name] = pa.array([by.fixed[name]] * table.num_rows, type=pa.string())
            continue
        theirs = by.columns.get(name, name)
        if theirs not in table.column_names:
            raise InputError(
                f"has no column {theirs!r}", where=where,
                remedy=f"it has {', '.join(table.column_names[:20])}; map one, or give one value for all",
            )  # fmt: skip
        columns[name] = _mapped(table[theirs], by.values.get(name, {}))
    return register_of(columns, where=where)


def read_wiring_csv(data: bytes, *, where: str) -> Wiring:
    """Wiring of a CSV file with the columns host, other and bits_per_s. Raises `InputError`."""
    table = _table(data, where)
    missing = [name for name in (HOST, OTHER, RATE) if name not in table.column_names]
    if missing:
        raise InputError(f"has no column {missing[0]!r}", where=where, remedy=f"it needs {HOST}, {OTHER}, {RATE}")
    rates = []
    for number, text in enumerate(table[RATE].to_pylist(), start=1):
        try:
            rate = float(text or "")
        except ValueError:
            rate = -1.0
        if not 0 < rate <= BITS_PER_S_MAX or rate != int(rate):
            raise InputError(f"row {number} has no rate in bit/s: {str(text)[:40]!r}", where=where)
        rates.append(int(rate))
    links = list(zip(table[HOST].to_pylist(), table[OTHER].to_pylist(), rates, strict=True))
    if any(host is None or other is None for host, other, _ in links):
        raise InputError("a row has no host, or no other end", where=where)
    return wiring_of(links, where=where)


def read_serial_lines(data: bytes, *, where: str) -> list[str]:
    """Serials of a plain list: one a line, white space around them and empty lines left out. Raises `InputError`."""
    if len(data) > INVENTORY_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {INVENTORY_BYTES_MAX}", where=where)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("is not text (UTF-8)", where=where) from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _table(data: bytes, where: str) -> pa.Table:
    """All columns of an inventory, as texts."""
    if len(data) > INVENTORY_BYTES_MAX:
        raise InputError(f"{len(data)} bytes exceed {INVENTORY_BYTES_MAX}", where=where)
    try:
        table = _parquet(data, where) if data[:4] == PARQUET_MAGIC else _csv(data)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=where, remedy=fault.remedy) from None
    except (OSError, pa.ArrowException, ValueError, OverflowError, MemoryError, RuntimeError) as fault:
        raise InputError(f"cannot be read as a table: {str(fault)[:200]}", where=where) from None
    if table.num_rows > ROWS_MAX or not table.num_rows:
        raise InputError(f"has {table.num_rows} rows, not 1 to {ROWS_MAX}", where=where)
    if len(set(table.column_names)) != len(table.column_names):
        raise InputError("names a column twice", where=where)
    return table


def _csv(data: bytes) -> pa.Table:
    """CSV with a header, every cell a text."""
    text = data.removeprefix(b"\xef\xbb\xbf")
    with pa.csv.open_csv(
        io.BytesIO(text[:BLOCK_BYTES]), read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    ) as first:
        names = first.schema.names
    return pa.csv.read_csv(
        io.BytesIO(text),
        read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )


def _parquet(data: bytes, where: str) -> pa.Table:
    check_file(data, where, BOUNDS)
    table = pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)
    table.validate(full=True)
    for place, name in enumerate(table.column_names):
        table = table.set_column(place, name, pc.cast(table[name], pa.string()))
    return table


def _mapped(column: pa.ChunkedArray, values: Mapping[str, str]) -> pa.Array:
    if column.null_count or not values:
        return column
    given = column_of(column)
    names = pa.array([values.get(name, name) for name in given.names], type=pa.string())
    return names.take(pa.array(given.codes.astype(np.int64)))
