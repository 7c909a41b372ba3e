"""Parquet tables from a party that may be hostile: opened under bounds, and read into codes and names.

- What a table says of itself is held against the bounds before anything of it is read: rows, row groups, columns and their types,
  and, page by page, the bytes after decompression (`evidence.pages`). A few bytes can say the same thing of very many rows, or
  unpack to gigabytes of zeros.
- Columns are exactly those that are asked for, each once and of its type. A null is no value, and refuses the table.
- Text columns are read as they are stored, each text once: repeated in every row, one long text would fill the memory.

Read by Apache Arrow, whose Parquet reader is fuzzed by its makers (OSS-Fuzz); what it refuses is `EvidenceError` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.evidence.pages import check_file
from inspectorate.mechanisms.custody.register.reference import (
    BOUNDS,
    CONTAINER_ITEMS_MAX,
    STRING_BYTES_MAX,
    TABLE_BYTES_MAX,
)

Codes = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Column:
    """A column of texts: each row's place in the list of names, which holds those that occur, sorted."""

    codes: Codes
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> list[str]:
        """The text of every row."""
        names = self.names
        return [names[code] for code in self.codes.tolist()]

    def array(self) -> pa.DictionaryArray:
        """As Arrow has it."""
        return pa.DictionaryArray.from_arrays(pa.array(self.codes), pa.array(self.names, type=pa.string()))


def open_table(data: bytes, *, texts: Sequence[str], numbers: Sequence[str] = (), where: str) -> pa.Table:
    """The table, with exactly these columns of texts and of whole numbers (int64). Raises `EvidenceError`."""
    if len(data) > TABLE_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {TABLE_BYTES_MAX}", where=where)
    remedy = f"a Parquet table has the columns {', '.join((*texts, *numbers))}, and nothing else"
    rows = check_file(data, where, BOUNDS)
    try:
        schema = _open(data, ()).schema_arrow
        _check_columns(schema, texts, numbers, where, remedy)
        if not rows:
            return schema.empty_table()
        table = _open(data, texts).read(use_threads=False)
        # Arrow does not look on reading whether a row's text is in the list of texts.
        table.validate(full=True)
    except (OSError, pa.ArrowException, ValueError, KeyError, OverflowError, MemoryError, RuntimeError) as fault:
        raise EvidenceError(f"cannot be read as a table: {str(fault)[:200]}", where=where, remedy=remedy) from None
    if table.num_rows != rows:
        raise EvidenceError(f"it has {table.num_rows} rows, and says {rows}", where=where)
    empty = [name for name in table.column_names if table[name].null_count]
    if empty:
        raise EvidenceError(f"a row has no {empty[0]}", where=where, remedy=remedy)
    return table


def _open(data: bytes, texts: Sequence[str]) -> pq.ParquetFile:
    return pq.ParquetFile(
        pa.BufferReader(data),
        read_dictionary=list(texts),
        thrift_string_size_limit=STRING_BYTES_MAX,
        thrift_container_size_limit=CONTAINER_ITEMS_MAX,
    )


def _check_columns(schema: pa.Schema, texts: Sequence[str], numbers: Sequence[str], where: str, remedy: str) -> None:
    names = list(schema.names)
    if sorted(names) != sorted((*texts, *numbers)):
        shown = ", ".join(name[:40] for name in names[:12])
        raise EvidenceError(f"its columns are not as they should be: {shown}", where=where, remedy=remedy)
    for name in texts:
        kind = schema.field(name).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise EvidenceError(f"the column {name} is not of texts", where=where, remedy=remedy)
    for name in numbers:
        if schema.field(name).type != pa.int64():
            raise EvidenceError(f"the column {name} is not of whole numbers (int64)", where=where, remedy=remedy)


def column_of(given: pa.ChunkedArray | pa.Array) -> Column:
    """Codes and sorted names of a column of texts without nulls."""
    chunked = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array([given])
    encoded = chunked if pa.types.is_dictionary(chunked.type) else pc.dictionary_encode(chunked)
    chunks = encoded.unify_dictionaries().chunks
    listed = chunks[0].dictionary.to_pylist() if chunks else []
    index = np.concatenate([np.empty(0, dtype=np.int64), *(np.asarray(chunk.indices) for chunk in chunks)])
    used = np.zeros(len(listed), dtype=bool)
    used[index] = True
    names = tuple(sorted({listed[place] for place in np.flatnonzero(used).tolist()}))
    rank = {name: place for place, name in enumerate(names)}
    moved = np.array([rank.get(name, -1) for name in listed] or [0], dtype=np.int32)
    return Column(codes=moved[index], names=names)


def strings_of(given: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column of texts as one plain array."""
    chunked = given if isinstance(given, pa.ChunkedArray) else pa.chunked_array([given])
    return pc.cast(chunked, pa.string()).combine_chunks() if chunked.num_chunks else pa.array([], type=pa.string())


def write_parquet(columns: Mapping[str, pa.Array]) -> bytes:
    """The bytes of a table."""
    out = pa.BufferOutputStream()
    table = pa.table(list(columns.values()), names=list(columns))
    pq.write_table(table, out, compression="zstd", version="2.6", store_schema=False, row_group_size=1 << 20)
    written: bytes = out.getvalue().to_pybytes()
    return written
