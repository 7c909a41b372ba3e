"""Tables of increases: sources that have already subtracted one reading from the next.

The readings are restored by adding up; where a port began does not matter, since only differences count. The first increase of
a port has no beginning, and is left out. An increase below zero is a counter that went round: above -2^32 it is that of a
32-bit counter, so that port is read as one; below that, the table is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.counters.increase import SIDES
from inspectorate.mechanisms.interconnect.counters.readings import READING, Port, Readings

Whole = NDArray[np.int64]


def readings_of_increments(
    parts: Mapping[Port, tuple[Whole, Mapping[str, Whole]]], *, speeds_bits_per_s: Mapping[Port, int], age_ns: int = 0
) -> Readings:
    """Readings from each port's times [ns] and increases per counter (names as in `SIDES`), all of shape (readings,).

    Raises `EvidenceError` for an increase that no counter can have made.
    """
    rows = []
    for place, (port, (time_ns, columns)) in enumerate(parts.items()):
        part = np.zeros(len(time_ns), READING)
        part["time_ns"], part["age_ns"], part["port"] = time_ns, age_ns, place
        part["speed_bits_per_s"] = speeds_bits_per_s.get(port, 0)
        part["counts_packets"] = all(name in columns for name in SIDES)
        part["bits"] = 64
        for name, increase in columns.items():
            steps = increase.copy()
            if len(steps):
                steps[0] = 0
            if (steps <= -(1 << 32)).any():
                raise EvidenceError("an increase is below -2^32", where=f"{name} of {port}")
            if (steps < 0).any():
                part["bits"] = 32
            part[name] = np.cumsum(steps).astype(np.uint64)
        narrow = part["bits"] == 32
        for name in columns:
            part[name][narrow] &= np.uint64(0xFFFF_FFFF)
        rows.append(part)
    return Readings(ports=tuple(parts), rows=np.concatenate(rows) if rows else np.empty(0, READING))
