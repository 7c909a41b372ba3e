"""Our own form of samples: a Parquet table. Columns `time_ns` (int64), `unit` (string), then one float column per signal.

- Signals have the names of the catalogue; another column, or one of another type, refuses the table: nothing is skipped because
  it is new. A null is a value that is not there.
- Rows stand in the order in which the samples came.
- What a table says of itself (rows, columns, sizes of all pages after decompression, encodings) is held against the bounds before
  Arrow sees anything of it (`evidence.pages`), and rows again against what was read.
- A file is read whole, once: under a mapping it could change between the check and the reading, or be cut short.

Read by Apache Arrow, whose Parquet reader is fuzzed by its makers (OSS-Fuzz); what it refuses is `EvidenceError` here.
Format: Apache Parquet, format 2.6; Zstandard; floats dictionary-encoded, since sensors resolve few values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.evidence.pages import check_file
from inspectorate.mechanisms.workloads.telemetry.frame import SAMPLES_MAX, SIGNALS_MAX, UNITS_MAX, Samples
from inspectorate.mechanisms.workloads.telemetry.lines import TIME_NS_MAX
from inspectorate.mechanisms.workloads.telemetry.reference import (
    NAME_CHARS_MAX,
    TABLE_BOUNDS,
    TABLE_BYTES_MAX,
    TABLE_CONTAINER_ITEMS_MAX,
    TABLE_STRING_BYTES_MAX,
)
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS

TIME, UNIT = "time_ns", "unit"
ROW_GROUP_ROWS = 1 << 20
FAULTS = (OSError, pa.ArrowException, ValueError, LookupError, OverflowError, MemoryError, RuntimeError)
"""What Arrow raises on a table that cannot be read; a fault of C++ for which it has no class comes as `RuntimeError`."""
_REMEDY = f"it needs the columns {TIME} (int64), {UNIT} (string) and signals of the catalogue (float), and nothing else"


def write_table(samples: Samples) -> bytes:
    """The table of samples; NaN becomes null."""
    units = pa.DictionaryArray.from_arrays(pa.array(samples.unit), pa.array(samples.units, type=pa.string()))
    values = [pa.array(column, from_pandas=True) for column in np.ascontiguousarray(samples.values.T)]
    table = pa.table([pa.array(samples.time_ns), units, *values], names=[TIME, UNIT, *samples.signals])
    out = pa.BufferOutputStream()
    pq.write_table(
        table,
        out,
        compression="zstd",
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=[UNIT, *samples.signals],
        column_encoding={TIME: "DELTA_BINARY_PACKED"},
        version="2.6",
        store_schema=False,
    )
    written: bytes = out.getvalue().to_pybytes()
    return written


def read_table(data: bytes | Path, *, where: str = "telemetry table", values_max: int = SAMPLES_MAX) -> Samples:
    """The samples of a table. Raises `EvidenceError` on what is no such table, or is beyond the bounds.

    `values_max` bounds rows times columns: a few bytes can say the same thing of very many rows.
    """
    where = str(data) if isinstance(data, Path) else where
    try:
        opened = open_table(data, where=where, values_max=values_max)
        signals = _columns(opened.schema, where)
        table = opened.read()
    except FAULTS as fault:
        raise EvidenceError(f"cannot be read as a table: {str(fault)[:200]}", where=where, remedy=_REMEDY) from None
    if table[TIME].null_count or table[UNIT].null_count:
        raise EvidenceError("a row has no time or no unit", where=where, remedy=_REMEDY)
    time_ns = table[TIME].to_numpy().astype(np.int64)
    if len(time_ns) and not 0 < time_ns.min() <= time_ns.max() < TIME_NS_MAX:
        raise EvidenceError("a time is not between the years 1970 and 2200", where=where)
    unit, units = codes(table[UNIT], where)
    values = np.empty((len(time_ns), len(signals)), dtype=np.float64)
    for place, name in enumerate(signals):
        values[:, place] = floats(table[name])
    return Samples(units=units, signals=signals, time_ns=time_ns, unit=unit, values=values)


@dataclass(frozen=True, eq=False)
class Opened:
    """A Parquet file that says nothing beyond the bounds."""

    schema: pa.Schema
    rows: int
    where: str
    _file: pq.ParquetFile

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of all columns, or of these. Raises `EvidenceError`, and what is in `FAULTS`."""
        names = list(self.schema.names if columns is None else columns)
        if not self.rows:  # pages that nobody asked for were not looked at
            return pa.schema([self.schema.field(name) for name in names]).empty_table()
        table = self._file.read(columns=names, use_threads=False)
        # Arrow does not look on reading whether a row's text is in the list of texts.
        table.validate(full=True)
        if table.num_rows != self.rows:
            raise EvidenceError(f"it has {table.num_rows} rows, and says {self.rows}", where=self.where)
        return table


def open_table(
    data: bytes | Path, texts: Sequence[str] = (UNIT,), *, where: str, values_max: int = SAMPLES_MAX
) -> Opened:
    """A Parquet file, after its own word was held against the bounds. Raises `EvidenceError`, and what is in `FAULTS`.

    Columns in `texts` are read as they are stored, each text once: repeated in every row, one long text would fill the memory.
    """
    if isinstance(data, Path):
        with data.open("rb") as stream:
            data = stream.read(TABLE_BYTES_MAX + 1)
    if len(data) > TABLE_BYTES_MAX:
        raise EvidenceError(f"is larger than {TABLE_BYTES_MAX} bytes", where=where)
    rows = check_file(data, where, replace(TABLE_BOUNDS, values=values_max))
    there = set(_open(data, ()).schema_arrow.names)
    file = _open(data, [name for name in texts if name in there])
    return Opened(schema=file.schema_arrow, rows=rows, where=where, _file=file)


def _open(data: bytes, texts: Sequence[str]) -> pq.ParquetFile:
    return pq.ParquetFile(
        pa.BufferReader(data),
        read_dictionary=list(texts),
        thrift_string_size_limit=TABLE_STRING_BYTES_MAX,
        thrift_container_size_limit=TABLE_CONTAINER_ITEMS_MAX,
    )


def _columns(schema: pa.Schema, where: str) -> tuple[str, ...]:
    names = list(schema.names)
    signals = tuple(name for name in names if name not in (TIME, UNIT))
    wrong = [name[:NAME_CHARS_MAX] for name in signals if name not in SIGNALS]
    if wrong or len(set(names)) != len(names) or len(signals) > SIGNALS_MAX or len(signals) + 2 != len(names):
        raise EvidenceError(f"columns are not as they should be: {', '.join(wrong[:5])}", where=where, remedy=_REMEDY)
    text = schema.field(UNIT).type
    text = text.value_type if pa.types.is_dictionary(text) else text
    fit = schema.field(TIME).type == pa.int64() and (pa.types.is_string(text) or pa.types.is_large_string(text))
    if not fit or not all(schema.field(name).type in (pa.float64(), pa.float32()) for name in signals):
        raise EvidenceError("a column is not of its type", where=where, remedy=_REMEDY)
    return signals


def codes(column: pa.ChunkedArray, where: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Each row's place in the list of units, which holds those that occur, in the order of their first row.

    A column of texts without nulls. Raises `EvidenceError` on names that are empty, too long or too many.
    """
    try:
        encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
        chunks = encoded.unify_dictionaries().chunks
        listed = chunks[0].dictionary.to_pylist() if chunks else []
        index = np.concatenate([np.empty(0, dtype=np.int64), *(np.asarray(chunk.indices) for chunk in chunks)])
    except (pa.ArrowException, ValueError, TypeError) as fault:
        raise EvidenceError(f"its units cannot be read: {str(fault)[:200]}", where=where) from None
    present, first, inverse = np.unique(index.astype(np.int64), return_index=True, return_inverse=True)
    order = np.argsort(first)
    names = tuple(listed[present[place]] for place in order)
    if len(names) > UNITS_MAX or not all(isinstance(n, str) and 0 < len(n) <= NAME_CHARS_MAX for n in names):
        raise EvidenceError("a unit has no name, or one that is too long, or there are too many", where=where)
    if len(set(names)) != len(names):
        raise EvidenceError("a unit is listed twice", where=where)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[inverse].astype(np.int32), names


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """A numeric column as float64, NaN for null."""
    found: NDArray[np.float64] = column.to_numpy().astype(np.float64)
    return found
