"""Signatures side by side: how far a stretch of telemetry is from each enrolled workload.

The distance of a *block* (some windows in a row) to a workload is the sum of two parts, each about 1 for a run of that very
workload which was not enrolled:

1. texture: the mean over the block's windows of the distance to the nearest reference window of the workload;
2. level: the distance of the block's mean window to the nearest mean of a reference block of the workload. What differs
   little between runs of one workload counts much: a mean power that repeats to a thousandth tells more than its shape.

Scales:

- Texture is Euclidean over coordinates scaled by the spread of windows within workloads; level is the mean absolute
  difference over coordinates scaled by the spread *between runs* within workloads, each capped.
- Both are divided by what is usual between one run of the workload and its other runs, leaving that run out. A workload
  with few runs borrows from the others (`_usual`).

Runs are the unit throughout: nothing is compared with its own run. Distances are calibrated elsewhere (`calibrate`).
Measured on real node power: docs/evaluation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from inspectorate.mechanisms.workloads.signature.nearest import capped, nearest_mean, nearest_root
from inspectorate.mechanisms.workloads.signature.represent import Representation, Values

BLOCK_DEFAULT = 10
"""Windows of a block: ten of a minute each."""
REFERENCE_WINDOWS_MAX, REFERENCE_BLOCKS_MAX = 2_000, 500
"""Per workload; more are thinned evenly."""
CLIP_QUANTILE = 0.95
LEVEL_SHARE_MIN = 0.15
"""Block means are not told apart more finely than this share of the spread of windows."""
BORROWED = 4
"""How many runs of its own outweigh what a workload borrows from the others."""
BLOCK_STARTS = 4
"""Reference blocks that begin within the length of one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """The windows of one unit in one enrolled run: `values` of shape (windows, features), NaN rows where not observed.

    Several units of one run are several references with one name of the run: they count as one run.
    """

    run: str
    workload: str
    values: Values


@dataclass(frozen=True, kw_only=True, eq=False)
class _Enrolled:
    """One workload in scaled coordinates, by run."""

    windows_of: Mapping[str, Values]
    blocks_of: Mapping[str, Values]
    texture_usual: float
    level_usual: float

    @cached_property
    def windows(self) -> Values:
        return _thinned(np.concatenate(list(self.windows_of.values())))

    @cached_property
    def blocks(self) -> Values:
        return _thinned(np.concatenate(list(self.blocks_of.values())), REFERENCE_BLOCKS_MAX)

    def without(self, run: str) -> _Enrolled:
        return replace(
            self,
            windows_of={name: v for name, v in self.windows_of.items() if name != run},
            blocks_of={name: v for name, v in self.blocks_of.items() if name != run},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """Enrolled workloads and what is needed to measure distances to them."""

    workloads: tuple[str, ...]
    names: tuple[str, ...]
    block: int
    representation: Representation
    texture_scale: Values
    level_scale: Values
    enrolled: Mapping[str, _Enrolled]

    @classmethod
    def fit(cls, references: Sequence[Reference], *, names: tuple[str, ...], block: int = BLOCK_DEFAULT) -> Library:
        """From reference runs; `names` are those of the features. Raises `ValueError` without an observed window."""
        values = [np.asarray(one.values, dtype=np.float64) for one in references]
        representation = Representation.fit(np.concatenate(values) if values else np.empty((0, len(names))), names)
        runs: dict[str, dict[str, list[Values]]] = {}
        for one, part in zip(references, values, strict=True):
            coordinates = representation.apply(part)
            if np.isfinite(coordinates[:, 0]).any():
                runs.setdefault(one.workload, {}).setdefault(one.run, []).append(coordinates)
        windows = {w: {r: _stacked(parts) for r, parts in named.items()} for w, named in runs.items()}
        blocks = {w: {r: _block_means(parts, block) for r, parts in named.items()} for w, named in runs.items()}
        texture_scale = np.maximum(_spread_within(windows), representation.floors)
        level_scale = np.maximum(_spread_between(blocks, texture_scale), representation.floors)
        level_scale = np.maximum(level_scale, LEVEL_SHARE_MIN * texture_scale)
        enrolled = _enrol(
            {w: {r: v / texture_scale for r, v in named.items()} for w, named in windows.items()},
            {w: {r: v / level_scale for r, v in named.items()} for w, named in blocks.items()},
        )
        return cls(
            workloads=tuple(sorted(enrolled)),
            names=names,
            block=block,
            representation=representation,
            texture_scale=texture_scale,
            level_scale=level_scale,
            enrolled=enrolled,
        )

    def without(self, run: str) -> Library | None:
        """The same coordinates and scales without the references of one run; None if its workload has no other.

        Scales stay: a workload that was recorded at one load a run would otherwise look more varied without one of them, and all
        distances to it smaller.
        """
        owner = next((name for name, one in self.enrolled.items() if run in one.windows_of), None)
        if owner is None or len(self.enrolled[owner].windows_of) < 2:
            return None
        return replace(self, enrolled={**self.enrolled, owner: self.enrolled[owner].without(run)})

    def distances(self, values: Values, *, block: int | None = None, whole: bool = False) -> Values:
        """How far each window, with those before it that make up its block, is from each workload.

        `values`: windows of one unit in order of time, shape (windows, features). Gives shape (windows, workloads): row i
        is the distance of the last `block` windows up to i that were observed, fewer at the beginning; NaN where window i was
        not observed. Smaller is closer. With `whole`, a window has no distance before its block is whole: the mean of a few
        windows strays farther than that of many. If there never were enough for one, the last window has that of all.
        """
        length = self.block if block is None else block
        coordinates = self.representation.apply(np.asarray(values, dtype=np.float64))
        rows = np.flatnonzero(np.isfinite(coordinates[:, 0]))
        seen = coordinates[rows]
        count = np.minimum(np.arange(1, len(rows) + 1), length)[:, None]
        means = _trailing(seen, length) / count / self.level_scale
        result = np.full((len(coordinates), len(self.workloads)), np.nan)
        for place, workload in enumerate(self.workloads):
            known = self.enrolled[workload]
            texture = nearest_root(seen / self.texture_scale, known.windows) / known.texture_usual
            level = _level(means, known.blocks) / known.level_usual
            result[rows, place] = _trailing(texture[:, None], length)[:, 0] / count[:, 0] + level
        if whole:
            result[rows[: min(length, len(rows)) - 1]] = np.nan
        return result

    def departures(self, values: Values, workload: str, *, most: int = 5) -> tuple[tuple[str, float], ...]:
        """The coordinates in which the mean of these windows departs most from a workload's nearest block, in usual spreads."""
        coordinates = self.representation.apply(np.asarray(values, dtype=np.float64))
        seen = coordinates[np.isfinite(coordinates[:, 0])]
        if not len(seen):
            return ()
        mean = seen.mean(axis=0) / self.level_scale
        blocks = self.enrolled[workload].blocks
        nearest = blocks[int(np.argmin(capped(mean - blocks).mean(axis=1)))]
        away = mean - nearest
        order = np.argsort(-np.abs(away), kind="stable")[:most]
        return tuple((self.representation.coordinates[i], float(away[i])) for i in order)


def _stacked(parts: list[Values]) -> Values:
    """All observed windows of one run."""
    joined = np.concatenate(parts)
    return joined[np.isfinite(joined[:, 0])]


def _block_means(parts: list[Values], block: int) -> Values:
    """Means of the blocks of each unit of one run, shape (blocks, coordinates): every quarter of a block one begins.

    A unit with fewer windows than a block has one block of what there is.
    """
    found = []
    for part in parts:
        seen = part[np.isfinite(part[:, 0])]
        if not len(seen):
            continue
        length = min(block, len(seen))
        starts = range(0, len(seen) - length + 1, max(1, length // BLOCK_STARTS))
        found += [seen[at : at + length].mean(axis=0) for at in starts]
    return np.array(found)


def _spread_within(windows: Mapping[str, Mapping[str, Values]]) -> Values:
    """Root mean square deviation of windows from the mean of their workload."""
    away = [v - _stacked(list(named.values())).mean(axis=0) for named in windows.values() for v in named.values()]
    spread: Values = np.sqrt((np.concatenate(away) ** 2).mean(axis=0))
    return spread


def _spread_between(blocks: Mapping[str, Mapping[str, Values]], first: Values) -> Values:
    """Spread of block means around the nearest block of the other runs of their workload, nearest in the scale `first`.

    Zero where no workload has two runs: the floors are then all there is to go by.
    """
    away = []
    for named in blocks.values():
        for run, own in named.items():
            others = [v for other, v in named.items() if other != run]
            if others:
                joined = np.concatenate(others)
                away.append((own - joined[nearest_mean(own / first, joined / first)[1]]) / np.sqrt(2.0))
    if not away:
        return np.zeros(len(first))
    size = np.abs(np.concatenate(away))
    spread: Values = np.sqrt((np.minimum(size, np.quantile(size, CLIP_QUANTILE, axis=0)) ** 2).mean(axis=0))
    return spread


def _enrol(
    windows: Mapping[str, Mapping[str, Values]], blocks: Mapping[str, Mapping[str, Values]]
) -> dict[str, _Enrolled]:
    """Workloads with what is usual between their own runs."""
    texture = {w: _between_runs(named, nearest_root) for w, named in windows.items()}
    level = {w: _between_runs(named, _level) for w, named in blocks.items()}
    return {
        w: _Enrolled(
            windows_of=named,
            blocks_of=blocks[w],
            texture_usual=_usual(texture[w], texture),
            level_usual=_usual(level[w], level),
        )
        for w, named in windows.items()
    }


def _between_runs(named: Mapping[str, Values], nearest: Callable[[Values, Values], Values]) -> list[float]:
    """Mean distance of each run to the nearest of the other runs; empty for a single run."""
    found = []
    for run, own in named.items():
        others = [v for other, v in named.items() if other != run]
        if others:
            found.append(float(nearest(own, _thinned(np.concatenate(others))).mean()))
    return found


def _usual(own: list[float], of_all: Mapping[str, list[float]]) -> float:
    """The geometric mean of a workload's own distances and `BORROWED` times the median of all; 1 where none is known.

    A workload of few and short runs must not be let vary more than others on the word of those few.
    """
    every = [value for values in of_all.values() for value in values]
    if not every:
        return 1.0
    logs = np.log(np.maximum([*own, *[float(np.median(every))] * BORROWED], 1e-9))
    return float(np.exp(logs.mean()))


def _thinned(rows: Values, most: int = REFERENCE_WINDOWS_MAX) -> Values:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _level(rows: Values, references: Values) -> Values:
    return nearest_mean(rows, references)[0]


def _trailing(rows: Values, length: int) -> Values:
    """Sums of the last `length` rows up to each, shape of `rows`."""
    sums = np.cumsum(rows, axis=0)
    sums[length:] = sums[length:] - sums[:-length]
    return sums
