"""All serials of the books as numbers, once, so that every change is an array of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.register.parquet import column_of
from inspectorate.mechanisms.custody.register.table import Register

Chips = NDArray[np.int64]
"""Numbers of chips, as the universe has them."""


class Universe:
    """Serials, sorted and distinct: a chip's number is its place among them."""

    def __init__(self, lists: Sequence[pa.Array]) -> None:
        # As one array: unifying a dictionary for every short list would go through all serials each time.
        whole = column_of(pa.concat_arrays([*lists, pa.array([], type=pa.string())]))
        self.names = whole.names
        self._ends = np.cumsum([0, *(len(one) for one in lists)])
        self._codes = whole.codes.astype(np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def of(self, place: int) -> Chips:
        """The chips of one of the lists, in its order."""
        return self._codes[self._ends[place] : self._ends[place + 1]]


class Names:
    """Names of sites, models, owners as numbers, across all registers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]

    def of(self, register: Register, column: str) -> NDArray[np.int32]:
        """The number of every row's name."""
        given = register.column(column)
        numbers = np.array([self.number(name) for name in given.names] or [0], dtype=np.int32)
        return numbers[given.codes]
