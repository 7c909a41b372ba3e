"""sFlow data sources: their own sample numbers, the agent's count of drops, and the pool that was sampled from.

Source: sFlow Version 5, section 5: `sequence_number`, `sample_pool` and `drops` of flow samples, each modulo 2^32.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.flows.outcomes import Limits
from inspectorate.mechanisms.interconnect.flows.report import GapCause, SourceReport
from inspectorate.mechanisms.interconnect.flows.sequences import HALF, MODULUS, GapList, Sequence
from inspectorate.mechanisms.interconnect.flows.sflow import CLASS_MAX, KEY_CLASS_SHIFT, KEY_KIND_SHIFT
from inspectorate.mechanisms.interconnect.flows.state import Slot, Tables, hashed


class SourceBook:
    """The data sources of all agents of a stream."""

    def __init__(self, tables: Tables, limits: Limits) -> None:
        self._tables = tables
        self._limit = limits.sources_max
        self._lost: list[int] = []
        self._dropped: list[int] = []

    def add(self, state: NDArray[np.int64]) -> bool:
        """Begin to follow the source of the current sample; False where the limit is reached."""
        row, key = len(self._lost), int(state[Slot.SOURCE_KEY])
        if row >= self._limit:
            return False
        self._lost.append(0)
        self._dropped.append(0)
        source = self._tables.sources[row]
        source["key"] = key
        source["session"] = state[Slot.SESSION]
        source["counters"] = key >> KEY_KIND_SHIFT & 1
        source["source_class"] = key >> KEY_CLASS_SHIFT & CLASS_MAX
        source["source_index"] = key & (MODULUS - 1)
        source["samples"] = 1
        source["last_ns"] = state[Slot.ARRIVAL_NS]
        self._follow(row, state)
        slots = self._tables.source_slots
        place = int(hashed(key, len(slots)))
        while slots[place] != 0:
            place = (place + 1) & (len(slots) - 1)
        slots[place] = row + 1
        return True

    def settle(self, state: NDArray[np.int64], sequence: Sequence, gaps: GapList, *, late: bool) -> None:
        """A sample whose number or count of drops is not the expected one."""
        row = int(state[Slot.SOURCE])
        source = self._tables.sources[row]
        source["samples"] += 1
        if late:
            return
        span = (int(source["last_ns"]), int(state[Slot.ARRIVAL_NS]))
        ahead = (int(state[Slot.SOURCE_SEQUENCE]) - int(source["expected"])) % MODULUS
        drops = (int(state[Slot.SOURCE_DROPS]) - int(source["drops"])) % MODULUS
        flow = not source["counters"]
        if ahead < HALF:
            source["pool_total"] += (int(state[Slot.SOURCE_POOL]) - int(source["pool"])) % MODULUS
            self._lost[row] += ahead
            if ahead and flow:
                sequence.drop_samples(gaps, GapCause.LOST, ahead, span)
            if 0 < drops < HALF:
                self._dropped[row] += drops
                sequence.drop_samples(gaps, GapCause.DROPPED_SAMPLES, drops, span)
        elif flow:
            sequence.drop_samples(gaps, GapCause.RESTARTED, 0, span)
        source["last_ns"] = state[Slot.ARRIVAL_NS]
        self._follow(row, state)

    def _follow(self, row: int, state: NDArray[np.int64]) -> None:
        source = self._tables.sources[row]
        source["expected"] = (int(state[Slot.SOURCE_SEQUENCE]) + 1) % MODULUS
        source["drops"] = state[Slot.SOURCE_DROPS]
        source["pool"] = state[Slot.SOURCE_POOL]

    def reports(self, sequences: list[Sequence]) -> tuple[SourceReport, ...]:
        """What each source sent."""
        return tuple(
            SourceReport(
                exporter=sequences[int(source["session"])].exporter,
                source_class=int(source["source_class"]),
                source_index=int(source["source_index"]),
                counters=bool(source["counters"]),
                samples=int(source["samples"]),
                lost=lost,
                dropped=dropped,
                pool_packets=int(source["pool_total"]),
            )
            for source, lost, dropped in zip(
                self._tables.sources[: len(self._lost)], self._lost, self._dropped, strict=True
            )
        )
