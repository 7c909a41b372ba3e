"""Parquet tables of increases per port and step, as clusters publish them. Needs the extra `parquet`.

Columns: `t_ms`, `switch`, `port`, `in_octets`, `out_octets`, `in_pkts`, `out_pkts`. The speed of a port follows from its name
where that begins with the words of one of the makers (`SPEED_WORDS`); it is unknown elsewhere.
Source of the columns: Zhejiang Lab cluster traces (CC-BY-4.0). Source of the names: H3C and Cisco, interface naming.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.counters.increments import Whole, readings_of_increments
from inspectorate.mechanisms.interconnect.counters.readings import Port, Readings
from inspectorate.mechanisms.interconnect.counters.reference import PORTS_MAX, READINGS_MAX

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
TIME_MS_MAX = 7_258_118_400_000


def speed_of_name(name: str) -> int:
    """The speed [bit/s] that the name of a port states; 0 where it states none."""
    return next((speed for word, speed in SPEED_WORDS.items() if name.startswith(word)), 0)


def read_parquet(path: Path, *, age_ns: int = 0) -> Readings:
    """Readings of all ports of a table. Raises `InputError`."""
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows > READINGS_MAX:
            raise InputError(f"{file.metadata.num_rows} rows are more than {READINGS_MAX}", where=str(path))
        table = file.read(columns=["t_ms", "switch", "port", *COLUMNS.values()])
    except (OSError, pa.ArrowException, KeyError) as fault:
        raise InputError(
            f"cannot be read as a table of increases: {str(fault)[:200]}",
            where=str(path),
            remedy=f"it needs the columns t_ms, switch, port, {', '.join(COLUMNS.values())}",
        ) from None
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


def _codes(column: pa.ChunkedArray) -> tuple[Whole, list[str]]:
    """Each row's number in the list of names."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), [str(name) for name in encoded.dictionary]
