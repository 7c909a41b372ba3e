"""Readings of counters: the one shape into which every source is brought.

- A reading says how much a port has received (`in`) and sent (`out`) so far, in octets and, where known, packets; how wide
  its counters are; the speed of the port, 0 where unknown; and since when it counts (`epoch_ns`), 0 where unknown. Only
  readings of one epoch can be subtracted without doubt.
- `time_ns` is when the answer was there. The values are those of some moment between `time_ns - age_ns` and `time_ns`: the
  time of a request and its answer, and of caches in the agent that was asked.
- Readings stand in the order in which they came. Nothing is put right here.

Sources: RFC 2863 (IF-MIB) for what is counted: octets of frames, with layer-2 headers; RFC 2578, section 7.1.6 for counters:
only differences mean something, and there is no defined initial value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.interconnect.counters.reference import (
    NAME_CHARS_MAX,
    PORTS_MAX,
    READINGS_MAX,
    SPEED_BITS_PER_S_MAX,
)

READING = np.dtype(
    [
        ("time_ns", "<i8"),
        ("age_ns", "<i8"),
        ("epoch_ns", "<i8"),
        ("in_octets", "<u8"),
        ("out_octets", "<u8"),
        ("in_packets", "<u8"),
        ("out_packets", "<u8"),
        ("speed_bits_per_s", "<u8"),
        ("port", "<i4"),
        ("bits", "u1"),
        ("counts_packets", "?"),
    ],
    align=True,
)
"""One reading of one port. `port` is an index into the list of ports."""

Rows = NDArray[np.void]
TIME_NS_MAX = 7_258_118_400 * 1_000_000_000
"""The year 2200."""
AGE_NS_MAX = 86_400 * 1_000_000_000


@dataclass(frozen=True, order=True)
class Port:
    """One port of one node."""

    node: str
    name: str

    def __str__(self) -> str:
        return f"{self.node}/{self.name}"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One reading, by itself: what readers yield."""

    port: Port
    time_ns: int
    in_octets: int
    out_octets: int
    in_packets: int | None = None
    out_packets: int | None = None
    bits: int = 64
    speed_bits_per_s: int = 0
    epoch_ns: int = 0
    age_ns: int = 0

    def __post_init__(self) -> None:
        _refuse_names(self.port)
        if self.bits not in (32, 64):
            raise ValueError("counters have 32 or 64 bits")
        highest = (1 << self.bits) - 1
        counts = (self.in_octets, self.out_octets, self.in_packets or 0, self.out_packets or 0)
        if min(counts) < 0 or max(counts) > highest:
            raise ValueError(f"a count is not between 0 and {highest}")
        if not 0 < self.time_ns < TIME_NS_MAX or not 0 <= self.epoch_ns < TIME_NS_MAX:
            raise ValueError("a time is not between the years 1970 and 2200")
        if not 0 <= self.age_ns <= AGE_NS_MAX:
            raise ValueError("an age is not between 0 and a day")
        if not 0 <= self.speed_bits_per_s <= SPEED_BITS_PER_S_MAX:
            raise ValueError(f"a speed is not between 0 and {SPEED_BITS_PER_S_MAX} bit/s")
        if (self.in_packets is None) != (self.out_packets is None):
            raise ValueError("packets are counted both ways or not at all")


def _refuse_names(port: Port) -> None:
    for text in (port.node, port.name):
        if not text or len(text) > NAME_CHARS_MAX or not text.isprintable():
            raise ValueError(f"a name has 1 to {NAME_CHARS_MAX} printable characters")


@dataclass(frozen=True, kw_only=True)
class Readings:
    """Readings of several ports in the order in which they came; `rows` is of dtype `READING`."""

    ports: tuple[Port, ...]
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def __post_init__(self) -> None:
        if len(self.ports) > PORTS_MAX or len(self.rows) > READINGS_MAX:
            raise InputError(
                f"{len(self.rows)} readings of {len(self.ports)} ports are more than {READINGS_MAX} of {PORTS_MAX}"
            )

    def by_port(self) -> dict[Port, Rows]:
        """The rows of each port, in the order in which they came."""
        order = np.argsort(self.rows["port"], kind="stable")
        ends = np.searchsorted(self.rows["port"][order], np.arange(len(self.ports) + 1))
        return {port: self.rows[order[ends[i] : ends[i + 1]]] for i, port in enumerate(self.ports)}

    def only(self, keep: Iterable[Port]) -> Readings:
        """The readings of some ports."""
        wanted = set(keep)
        places = [i for i, port in enumerate(self.ports) if port in wanted]
        renumbered = np.full(len(self.ports), -1, np.int32)
        renumbered[places] = np.arange(len(places))
        rows = self.rows[renumbered[self.rows["port"]] >= 0].copy()
        rows["port"] = renumbered[rows["port"]]
        return Readings(ports=tuple(self.ports[i] for i in places), rows=rows)


class ReadingsBuilder:
    """Gathers readings one by one."""

    def __init__(self) -> None:
        self._ports: dict[Port, int] = {}
        self._rows: list[tuple[Any, ...]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, reading: Reading) -> None:
        """Raises `ValueError` beyond the bounds on ports and readings."""
        place = self._ports.setdefault(reading.port, len(self._ports))
        if len(self._ports) > PORTS_MAX or len(self._rows) >= READINGS_MAX:
            raise ValueError(f"more than {PORTS_MAX} ports or {READINGS_MAX} readings")
        self._rows.append(
            (
                reading.time_ns,
                reading.age_ns,
                reading.epoch_ns,
                reading.in_octets,
                reading.out_octets,
                reading.in_packets or 0,
                reading.out_packets or 0,
                reading.speed_bits_per_s,
                place,
                reading.bits,
                reading.in_packets is not None,
            )
        )

    def build(self) -> Readings:
        return Readings(ports=tuple(self._ports), rows=np.array(self._rows, READING))


def readings_of(found: Iterable[Reading]) -> Readings:
    builder = ReadingsBuilder()
    for reading in found:
        builder.add(reading)
    return builder.build()


def join_readings(parts: Sequence[Readings]) -> Readings:
    """All readings of several sources, one source after the other."""
    ports: dict[Port, int] = {}
    rows: list[Rows] = [np.empty(0, READING)]
    for part in parts:
        places = np.array([ports.setdefault(port, len(ports)) for port in part.ports], np.int32)
        renumbered = part.rows.copy()
        if len(renumbered):
            renumbered["port"] = places[part.rows["port"]]
        rows.append(renumbered)
    return Readings(ports=tuple(ports), rows=np.concatenate(rows))
