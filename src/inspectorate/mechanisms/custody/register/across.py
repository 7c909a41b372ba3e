"""Registers of several keepers held against one another: no chip stands in two at a time, and what left arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from inspectorate.mechanisms.custody.register.faults import FEW, Fault, Found
from inspectorate.mechanisms.custody.register.holdings import AWAY
from inspectorate.mechanisms.custody.register.judge import Judged
from inspectorate.mechanisms.custody.register.parquet import column_of
from inspectorate.mechanisms.custody.register.universe import Chips
from inspectorate.quantities import from_ns


def check_across(registers: Sequence[Judged], parties: Mapping[str, str]) -> tuple[Found, ...]:
    """What is wrong between registers. `parties`: the party of each keeper (reporter).

    A chip that is handed over stands in one register until, and in the other from, the time of its arrival; so a stretch of time
    may begin when another ends.
    """
    return (*_twice(registers), *_lost(registers, parties))


def _twice(registers: Sequence[Judged]) -> list[Found]:
    if len(registers) < 2:
        return []
    stretches = [one.holdings.answered_for() for one in registers]
    serials = [one.serials.take(pa.array(own.chip)) for one, own in zip(registers, stretches, strict=True)]
    whole = column_of(pa.chunked_array(serials, type=pa.string()))
    keeper = np.repeat(np.arange(len(registers)), [len(one) for one in stretches])
    since, until = (np.concatenate([getattr(one, end) for one in stretches]) for end in ("since_ns", "until_ns"))
    order = np.lexsort((since, whole.codes))
    chip, keeper, since, until = whole.codes[order], keeper[order], since[order], until[order]
    # If any two stretches of a chip overlap, then two that follow one another do; within one register none do.
    second = np.flatnonzero((chip[1:] == chip[:-1]) & (since[1:] < until[:-1])) + 1
    found = []
    for number in np.unique(keeper[second]).tolist():
        rows = second[keeper[second] == number]
        chips = np.unique(chip[rows])
        few = tuple(whole.names[one] for one in chips[:FEW].tolist())
        detail = f"in the register of {registers[number].reporter}, while in another"
        at = from_ns(int(since[rows].min()))
        found.append(Found(fault=Fault.HELD_TWICE, detail=detail, serials=few, chips=len(chips), at=at))
    return found


def _lost(registers: Sequence[Judged], parties: Mapping[str, str]) -> list[Found]:
    """Chips that arrived at another party whose register is known, and never stood in it afterwards."""
    found = []
    for one in registers:
        away = np.flatnonzero(one.holdings.place == AWAY)
        to = [transfer.said.to_party or "" for transfer in one.transfers]
        for party in sorted(set(to) & set(parties.values())):
            others = [other for other in registers if other is not one and parties.get(other.reporter) == party]
            ways = [number for number, name in enumerate(to) if name == party]
            gone = away[np.isin(one.holdings.transfer[away], ways)]
            if not others or not len(gone):
                continue
            left = _last_until(one, gone)
            serials = one.serials.take(pa.array(gone))
            there = np.zeros(len(gone), dtype=bool)
            for other in others:
                place = pc.index_in(serials, value_set=other.serials)
                known = place.is_valid().to_numpy(zero_copy_only=False)
                chips = place.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
                there |= known & (_last_until(other, chips) > left)
            lost = serials.filter(pa.array(~there)).to_pylist()
            if lost:
                detail = f"from {one.reporter} to {party}"
                few = tuple(sorted(lost)[:FEW])
                found.append(Found(fault=Fault.LOST_BETWEEN, detail=detail, serials=few, chips=len(lost)))
    return found


def _last_until(judged: Judged, chips: Chips) -> NDArray[np.int64]:
    """Until when the register answered for chips, the last time; zero where it never did."""
    own = judged.holdings.answered_for()
    last = np.zeros(len(judged.universe), dtype=np.int64)
    np.maximum.at(last, own.chip, own.until_ns)
    ends: NDArray[np.int64] = last[chips] if len(last) else np.zeros(len(chips), dtype=np.int64)
    return ends
