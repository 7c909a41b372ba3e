"""The draw: from a seed that neither side chose to units of a register, by hashes, so that anybody can repeat it.

1. The seed is of the register's envelope and of the promised secret or the beacon's signature (`drawing.sources.seed_of`).
2. By site: all units are ordered by rank under the seed (`drawing.ranks`); of each site the first n are drawn.
3. By chip: all chips, numbered as the rows of the register, are ordered by rank; the first n are drawn, and the units in which they
   stand are opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inspectorate.drawing.ranks import first_by_rank
from inspectorate.mechanisms.custody.counting.selection import OfSites, Selection, chips_of
from inspectorate.mechanisms.custody.register import Register, Units, units


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How a draw was made, which is what its outcome is worth."""

    units: tuple[int, ...]
    """Opened, sorted."""
    chips: tuple[int, ...] = ()
    """Rows that were drawn, of which `units` follow; none where units were drawn by site."""
    unit_of_drawn: tuple[int, ...] = ()
    """The unit of every drawn row, in the order of `chips`."""
    by_site: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Units that were drawn of each site, sorted, in the order of sites; empty where chips were drawn."""
    bounds: tuple[int, ...] = ()
    """With `by_site`: the first unit of every site, and the number of units behind the last."""


def sites_of(register: Register, of: Units) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The site of every unit, as a code, and the names of the codes."""
    column = register.column("site")
    return column.codes[of.starts[:-1]], column.names


def draw(selection: Selection, seed: bytes, register: Register) -> Sample:
    """Steps 2 and 3. Raises `KeyError` on a site that the selection does not name."""
    of = units(register, selection.unit)
    if isinstance(selection.rule, OfSites):
        return _by_site(selection.rule, seed, register, of)
    rows = first_by_rank(seed, len(register), chips_of(selection.rule, len(register)))
    hit = np.searchsorted(of.starts, np.asarray(rows, dtype=np.int64), side="right") - 1
    return Sample(units=tuple(np.unique(hit).tolist()), chips=rows, unit_of_drawn=tuple(hit.tolist()))


def _by_site(rule: OfSites, seed: bytes, register: Register, of: Units) -> Sample:
    codes, names = sites_of(register, of)
    ordered = np.asarray(first_by_rank(seed, len(of), len(of)), dtype=np.int64)
    drawn: dict[str, tuple[int, ...]] = {}
    for code, name in enumerate(names):
        mine = ordered[codes[ordered] == code][: rule.units[name]]
        drawn[name] = tuple(np.sort(mine).tolist())
    bounds = np.searchsorted(codes, np.arange(len(names) + 1))
    units_drawn = tuple(sorted(unit for mine in drawn.values() for unit in mine))
    return Sample(units=units_drawn, by_site=drawn, bounds=tuple(bounds.tolist()))
