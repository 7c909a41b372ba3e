"""Exhibits over time, read for plotting: edges, channels with their bounds, and where nothing was observed.

Rules:

- The first column is `time`, the start of each row (RFC 3339). A row lasts until the next; the last lasts as long as the
  one before it.
- Columns with `lower` and `upper` in their names are bounds of one channel: `sent_lower_bytes_per_s` and
  `sent_upper_bytes_per_s` are the channel `sent`. A column with neither is both bounds of its own channel.
- A row without a lower bound was not observed. An upper bound alone may be absent: then nothing bounds it from above.
- A series of more than `POINTS_MAX` rows is reduced by max-pooling: each point is the highest of a group of rows, so that no
  excess is ever smoothed away, and a group in which anything was not observed says so.

- Names of channels and the unit are drawn, so they are held to a few plain characters (`_NAME`, `_UNIT`).

An exhibit that does not read so is not plotted, and the report names it. Not done here: drawing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from inspectorate.assessment import Exhibit, ExhibitKind

POINTS_MAX = 360
"""About one point per pixel of a panel."""
CHANNELS_MAX = 4
_NAME = re.compile(r"[A-Za-z0-9 _-]{1,24}")
_UNIT = re.compile(r"[A-Za-z0-9 /%]{0,12}")

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Cells: TypeAlias = Sequence[str | float | None]


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One quantity over time: `lower` and `upper`, shape (points,); not a number where not known."""

    name: str
    lower: Floats
    upper: Floats


@dataclass(frozen=True, kw_only=True)
class Series:
    """An exhibit ready to be drawn."""

    edges_s: Floats
    """Shape (points + 1,): seconds since 1970."""
    channels: tuple[Channel, ...]
    unobserved: Mask
    """Shape (points,): whether any part of the point was not observed."""
    limit: float | None
    unit: str
    pooled: int
    """How many rows each point stands for."""

    @property
    def exceeds(self) -> bool:
        """Whether any lower bound lies above the limit."""
        return self.limit is not None and any(bool((channel.lower > self.limit).any()) for channel in self.channels)

    @property
    def highest(self) -> float:
        """The highest bound that is known; 0 if none is."""
        known = [bounds[np.isfinite(bounds)] for c in self.channels for bounds in (c.lower, c.upper)]
        return max((float(values.max()) for values in known if len(values)), default=0.0)


def read_series(exhibit: Exhibit) -> Series | None:
    """The exhibit as a series; none if it is not one, or does not read as the module's rules say."""
    if exhibit.kind is not ExhibitKind.SERIES or exhibit.columns[0] != "time" or not exhibit.rows:
        return None
    starts = _times([row[0] for row in exhibit.rows])
    if starts is None:
        return None
    names = _channel_columns(exhibit.columns)
    if not 0 < len(names) <= CHANNELS_MAX or not all(map(_NAME.fullmatch, names)) or not _UNIT.fullmatch(exhibit.unit):
        return None
    columns = {column: _numbers([row[column] for row in exhibit.rows]) for pair in names.values() for column in pair}
    unobserved = np.logical_or.reduce([np.isnan(columns[lower]) for lower, _ in names.values()])
    group = -(-len(starts) // POINTS_MAX)
    step = starts[-1] - starts[-2] if len(starts) > 1 else 1.0
    return Series(
        edges_s=np.append(starts[::group], starts[-1] + step),
        channels=tuple(
            Channel(name=name, lower=_pool(columns[lower], group), upper=_pool(columns[upper], group))
            for name, (lower, upper) in names.items()
        ),
        unobserved=_pool(unobserved.astype(np.float64), group) > 0,
        limit=exhibit.limit,
        unit=exhibit.unit,
        pooled=group,
    )


def _times(cells: Cells) -> Floats | None:
    """Seconds since 1970, strictly rising; none if they are not."""
    seconds = np.empty(len(cells))
    for place, cell in enumerate(cells):
        if not isinstance(cell, str):
            return None
        try:
            time = datetime.fromisoformat(cell)
        except ValueError:
            return None
        seconds[place] = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return seconds if bool((np.diff(seconds) > 0).all()) else None


def _channel_columns(columns: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Per channel, the columns of its lower and its upper bound."""
    lower: dict[str, int] = {}
    upper: dict[str, int] = {}
    for place, column in enumerate(columns[1:], start=1):
        channel, bound = _split(column)
        if bound != "upper":
            lower[channel] = place
        if bound != "lower":
            upper[channel] = place
    names = dict.fromkeys((*lower, *upper))
    return {name: (lower.get(name, upper.get(name, 0)), upper.get(name, lower.get(name, 0))) for name in names}


def _split(column: str) -> tuple[str, str]:
    """A column's name as channel and bound: `sent_lower_bytes_per_s` is (`sent`, `lower`)."""
    parts = column.split("_")
    for bound in ("lower", "upper"):
        if bound in parts[1:]:
            return "_".join(parts[: parts.index(bound, 1)]), bound
    return column, ""


def _numbers(cells: Cells) -> Floats:
    return np.array([float("nan") if cell is None or isinstance(cell, str) else float(cell) for cell in cells])


def _pool(values: Floats, group: int) -> Floats:
    """The highest known value of each group of `group`; not a number if none is known."""
    padded = np.full(-(-len(values) // group) * group, np.nan)
    padded[: len(values)] = values
    grouped = padded.reshape(-1, group)
    known = ~np.isnan(grouped)
    pooled = np.where(known, grouped, -np.inf).max(axis=1)
    return np.where(known.any(axis=1), pooled, np.nan)
