"""Replays: a stretch of a unit's own past, or of an enrolment's references, that stands in its telemetry again.

- `ReplayIndex` reads series in pieces and remembers the hashes of `clones` (winnowed, of stretches that hold information),
  each with its unit and time, in a ring of fixed size: the oldest go first. A remembered hash takes 24 bytes and stands for
  about (WINNOW + 1) / 2 samples, so that one megabyte remembers about 36 hours of one unit at 1 Hz (`hours_per_megabyte`).
- A meeting of hashes is a candidate; consecutive candidates at one shift are a replay once they span `COPY_SAMPLES_MIN`
  samples and `COPY_BITS_MIN` of information.
- Exact values only: a hash of values with noise added is another hash. `near_replays` compares the innovations of two series
  that are held in full, as `clones` does, and finds those with noise, scale and offset, and slightly warped ones as
  several stretches at neighbouring shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.clones import Copy, exact_matches, find_copies, shelve, winnowed
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.series import Series

BYTES_PER_HASH = 24
"""Hash, time and bits; the table of a Python dictionary takes about four times as much on top."""


def hours_per_megabyte(step_s: float) -> float:
    """How long the past of one unit is that a megabyte of index remembers."""
    return 1e6 / BYTES_PER_HASH * (reference.WINNOW + 1) / 2 * step_s / 3600


@dataclass(frozen=True, kw_only=True)
class _Kept:
    unit: str
    time_ns: int
    bits: float


class ReplayIndex:
    """Remembers what units showed, within bounded memory, and says what comes again."""

    def __init__(self, *, hashes_max: int = reference.REPLAY_MEMORY_SAMPLES) -> None:
        if hashes_max < 1:
            raise ValueError("an index that remembers nothing finds nothing")
        self._max = hashes_max
        self._kept: dict[int, _Kept] = {}
        self.forgotten = 0
        """Hashes that had to give way."""

    def __len__(self) -> int:
        return len(self._kept)

    def read(self, series: Series, *, remember: bool = True) -> tuple[SeriesFinding, ...]:
        """What of a stretch of one series was seen before, of any unit; then remember it. Stretches come in order of time."""
        shelf = shelve([series])
        hashes, places = winnowed(shelf)
        met: list[tuple[int, _Kept]] = []
        for value, place in zip(hashes.tolist(), places.tolist(), strict=True):
            kept = self._kept.get(value)
            if kept is not None and (kept.unit != series.name or kept.time_ns < int(series.time_ns[0])):
                met.append((place, kept))
        found = self._runs(series, met, shelf.bits)
        if remember:
            self._remember(series, hashes.tolist(), places.tolist(), shelf.bits)
        return found

    def _remember(
        self, series: Series, hashes: list[int], places: list[int], bits: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> None:
        for value, place in zip(hashes, places, strict=True):
            if value not in self._kept:
                held = float(bits[place + reference.GRAM - 1] - bits[place])
                self._kept[value] = _Kept(unit=series.name, time_ns=int(series.time_ns[place]), bits=held)
        while len(self._kept) > self._max:
            self._kept.pop(next(iter(self._kept)))
            self.forgotten += 1

    def _runs(
        self, series: Series, met: list[tuple[int, _Kept]], bits: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> tuple[SeriesFinding, ...]:
        """Meetings of one unit whose times advance alike, joined; those that are long and rich enough."""
        step = float(np.median(np.diff(series.time_ns))) if len(series) > 1 else 1e9
        runs: list[tuple[int, int, _Kept, int]] = []
        for place, kept in met:
            shift = int(series.time_ns[place]) - kept.time_ns
            last = runs[-1] if runs else None
            joins = (
                last is not None
                and last[2].unit == kept.unit
                and abs(shift - last[3]) <= 2 * step
                and place - last[1] <= 4 * reference.GRAM
            )
            if joins and last is not None:
                runs[-1] = (last[0], place, last[2], shift)
            else:
                runs.append((place, place, kept, shift))
        found = []
        for first, last_place, kept, shift in runs:
            stop = last_place + reference.GRAM
            held = float(bits[stop - 1] - bits[first])
            if stop - first >= reference.COPY_SAMPLES_MIN and held >= reference.COPY_BITS_MIN:
                found.append(_finding(series, first, stop - 1, kept.unit, shift / 1e9))
        return tuple(found)


def replays(series: Series) -> tuple[Copy, ...]:
    """Stretches of a series that stand in it twice, exactly, without overlapping themselves."""
    shelf = shelve([series])
    every = exact_matches(shelf, samples_min=reference.COPY_SAMPLES_MIN, bits_min=reference.COPY_BITS_MIN)
    return tuple(copy for copy in every if copy.other_index - copy.one_index >= copy.samples)


def near_replays(series: Series, references: Sequence[Series]) -> tuple[Copy, ...]:
    """Stretches of `references` that stand in a series, exactly or nearly. Names must differ."""
    names = {one.name for one in references}
    copies = find_copies([*references, series])
    return tuple(copy for copy in copies if (copy.one in names) != (copy.other in names))


def replay_findings(series: Series) -> tuple[SeriesFinding, ...]:
    """The replays within one series, as findings: told at the later place."""
    return tuple(
        _finding(series, copy.other_index, copy.other_index + copy.samples - 1, series.name, copy.shift_s)
        for copy in replays(series)
    )


def _finding(series: Series, first: int, last: int, source: str, shift_s: float) -> SeriesFinding:
    of = "its own past" if source == series.name else source
    text = f"{last - first + 1} samples are those of {of}, {shift_s:.0f} s before"
    return SeriesFinding(
        kind=FindingKind.REPLAY,
        one=series.name,
        other="" if source == series.name else source,
        start_ns=int(series.time_ns[first]),
        end_ns=int(series.time_ns[last]),
        size=float(last - first + 1),
        text=text,
    )
