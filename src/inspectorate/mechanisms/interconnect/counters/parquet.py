"""Parquet tables of increases per port and step, as clusters publish them. Needs the extra `parquet`.

Columns: `t_ms`, `switch`, `port`, `in_octets`, `out_octets`, `in_pkts`, `out_pkts`. The speed of a port follows from its name
where that begins with the words of one of the makers (`SPEED_WORDS`); it is unknown elsewhere.
Before Arrow sees anything of a table, its own word is held against the bounds (`evidence.pages`). Names are read as they are
stored, each once: repeated in every row, one long name would fill the memory.
Source of the columns: Zhejiang Lab cluster traces (CC-BY-4.0). Source of the names: H3C and Cisco, interface naming.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inspectorate.errors import InputError
from inspectorate.evidence.pages import rows_within
from inspectorate.mechanisms.interconnect.counters.increments import Whole, readings_of_increments
from inspectorate.mechanisms.interconnect.counters.readings import Port, Readings
from inspectorate.mechanisms.interconnect.counters.reference import (
    INPUT_BYTES_MAX,
    NAME_CHARS_MAX,
    PORTS_MAX,
    TABLE_BOUNDS,
)

COLUMNS = {"in_octets": "in_octets", "out_octets": "out_octets", "in_packets": "in_pkts", "out_packets": "out_pkts"}
SPEED_WORDS = {
    "M-GigabitEthernet": 10**9,
    "GigabitEthernet": 10**9,
    "TwentyFiveGigE": 25 * 10**9,
    "FortyGigE": 40 * 10**9,
    "FiftyGigE": 50 * 10**9,
    "HundredGigE": 100 * 10**9,
    "TwoHundredGigE": 200 * 10**9,
    "FourHundredGigE": 400 * 10**9,
    "EightHundredGigE": 800 * 10**9,
}
NUMBERS, NAMES = ("t_ms", *COLUMNS.values()), ("switch", "port")
TIME_MS_MAX = 7_258_118_400_000


def speed_of_name(name: str) -> int:
    """The speed [bit/s] that the name of a port states; 0 where it states none."""
    return next((speed for word, speed in SPEED_WORDS.items() if name.startswith(word)), 0)


def read_parquet(path: Path, *, age_ns: int = 0) -> Readings:
    """Readings of all ports of a table. Raises `InputError`."""
    table = _table(path)
    try:
        columns = {name: table[column].to_numpy().astype(np.int64) for name, column in COLUMNS.items()}
        time_ms = table["t_ms"].to_numpy().astype(np.int64)
        nodes, node_names = _codes(table["switch"])
        ports, port_names = _codes(table["port"])
    except (ValueError, TypeError, pa.ArrowException) as fault:
        raise InputError(f"a column is not of its type: {str(fault)[:200]}", where=str(path)) from None
    if len(time_ms) and not 0 < time_ms.min() <= time_ms.max() < TIME_MS_MAX:
        raise InputError("a time is not between the years 1970 and 2200", where=str(path))
    key = nodes * len(port_names) + ports
    order = np.lexsort((time_ms, key))
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    if len(starts) > PORTS_MAX:
        raise InputError(f"{len(starts)} ports are more than {PORTS_MAX}", where=str(path))
    parts = {}
    for rows in np.split(order, starts[1:]) if len(order) else []:
        port = Port(node_names[nodes[rows[0]]], port_names[ports[rows[0]]])
        parts[port] = (time_ms[rows] * 1_000_000, {name: values[rows] for name, values in columns.items()})
    return readings_of_increments(parts, speeds_bits_per_s={p: speed_of_name(p.name) for p in parts}, age_ns=age_ns)


def _table(path: Path) -> pa.Table:
    """The columns of a table, each of its type and without nulls. Raises `InputError`."""
    names = [*NUMBERS, *NAMES]
    try:
        with path.open("rb") as stream:
            data = stream.read(INPUT_BYTES_MAX + 1)
        if len(data) > INPUT_BYTES_MAX:
            raise InputError(f"is larger than {INPUT_BYTES_MAX} bytes", where=str(path))
        rows = rows_within(data, TABLE_BOUNDS)
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=list(NAMES))
        fields = {name: file.schema_arrow.field(name).type for name in names}
        wrong = [
            name for name in NUMBERS if not (pa.types.is_integer(fields[name]) or pa.types.is_floating(fields[name]))
        ]
        wrong += [name for name in NAMES if not pa.types.is_dictionary(fields[name])]
        if wrong:
            raise InputError(f"a column is not of its type: {', '.join(wrong)}", where=str(path))
        # Of a table without rows, no page was looked at.
        table: pa.Table = (
            file.read(columns=names, use_threads=False) if rows else pa.schema(list(fields.items())).empty_table()
        )
        table.validate(full=True)
    except (OSError, pa.ArrowException, ValueError, LookupError, OverflowError, MemoryError, RuntimeError) as fault:
        raise InputError(
            f"cannot be read as a table of increases: {str(fault)[:200]}",
            where=str(path),
            remedy=f"it needs the columns {', '.join(names)}",
        ) from None
    if table.num_rows != rows or any(table[name].null_count for name in names):
        raise InputError("a row lacks a value", where=str(path))
    return table


def _codes(column: pa.ChunkedArray) -> tuple[Whole, list[str]]:
    """Each row's number in the list of names, which holds each once."""
    chunks = column.unify_dictionaries().chunks
    names = [str(name) for name in chunks[0].dictionary.to_pylist()] if chunks else []
    if any(len(name) > NAME_CHARS_MAX for name in names):
        raise ValueError(f"a name has more than {NAME_CHARS_MAX} characters")
    index = np.concatenate(
        [np.empty(0, dtype=np.int64), *(np.asarray(chunk.indices, dtype=np.int64) for chunk in chunks)]
    )
    once = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([once[name] for name in names], dtype=np.int64)[index], list(once)
