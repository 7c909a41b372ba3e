"""How hosts are wired: one row per link, with its rate. A node that is no host of the register is a switch.

Several rows may join the same two nodes: links in parallel. A link of a node with itself says nothing, and is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.custody.register.parquet import Column, column_of, open_table, write_parquet
from inspectorate.mechanisms.custody.register.reference import BITS_PER_S_MAX, ROWS_MAX
from inspectorate.mechanisms.custody.register.table import is_name

HOST, OTHER, RATE = "host", "other", "bits_per_s"


@dataclass(frozen=True, eq=False)
class Wiring:
    """Links in memory."""

    host: Column
    other: Column
    bits_per_s: NDArray[np.int64]
    """In each direction."""

    def __len__(self) -> int:
        return len(self.bits_per_s)

    def links(self) -> list[tuple[str, str, int]]:
        """For people to read."""
        return list(zip(self.host.texts(), self.other.texts(), self.bits_per_s.tolist(), strict=True))


def read_wiring(data: bytes, where: str = "wiring") -> Wiring:
    """The wiring as a party handed it over. Raises `EvidenceError`."""
    table = open_table(data, texts=(HOST, OTHER), numbers=(RATE,), where=where)
    rates = np.concatenate([np.empty(0, dtype=np.int64), *(chunk.to_numpy() for chunk in table[RATE].chunks)])
    wiring = Wiring(host=column_of(table[HOST]), other=column_of(table[OTHER]), bits_per_s=rates)
    return _checked(wiring, where, EvidenceError)


def wiring_of(links: Sequence[tuple[str, str, int]], where: str = "wiring") -> Wiring:
    """The wiring of these links. Raises `InputError`."""
    if len(links) > ROWS_MAX:
        raise InputError(f"{len(links)} links are more than {ROWS_MAX}", where=where)
    hosts, others = ([link[end] for link in links] for end in (0, 1))
    try:
        rates = np.array([link[2] for link in links], dtype=np.int64)
    except OverflowError:
        raise InputError(f"a rate is above {BITS_PER_S_MAX:g} bit/s", where=where) from None
    host, other = (column_of(pa.array(names, type=pa.string())) for names in (hosts, others))
    return _checked(Wiring(host=host, other=other, bits_per_s=rates), where, InputError)


def write_wiring(wiring: Wiring) -> bytes:
    """The payload of a wiring."""
    return write_parquet(
        {HOST: wiring.host.array(), OTHER: wiring.other.array(), RATE: pa.array(wiring.bits_per_s, type=pa.int64())}
    )


def _checked(wiring: Wiring, where: str, error: type[EvidenceError] | type[InputError]) -> Wiring:
    wrong = [text for column in (wiring.host, wiring.other) for text in column.names if not is_name(text)]
    if wrong:
        raise error(f"{wrong[0][:60]!r} is no node", where=where)
    if len(wiring) and not 0 < wiring.bits_per_s.min() <= wiring.bits_per_s.max() <= BITS_PER_S_MAX:
        raise error(f"a link has no rate between 1 and {BITS_PER_S_MAX:g} bit/s", where=where)
    number = {name: place for place, name in enumerate(wiring.host.names)}
    of_other = np.array([number.get(name, -1) for name in wiring.other.names] or [0], dtype=np.int64)
    itself = np.flatnonzero(of_other[wiring.other.codes] == wiring.host.codes) if len(wiring) else np.empty(0)
    if len(itself):
        raise error(f"row {int(itself[0]) + 1} joins a node with itself", where=where)
    return wiring
