"""From features of windows to coordinates in which distances mean something.

Rules:

- A level (mean) keeps its unit. What lies around the level (order statistics, heights of dips) is taken relative to it and
  drawn together by asinh(x / c), which is linear below c and logarithmic above, so that neither watts nor kilowatts rule.
  c is a tenth of the median spread of the signal in the reference windows.
- Sizes that are never negative (spreads, steps) become log(x + c); shares of the spectrum log(x + 0.001).
- Correlations and shares stay as they are.
- Features that mostly describe chance within a window are not compared (`_LEFT_OUT`).
- A feature that cannot be had in some windows (a correlation with something that stands still) says so in a coordinate of its own;
  its value then is the median of the reference. A window without any level was not observed: all its coordinates are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

KNEE_SHARE = 0.1
BAND_FLOOR = 1e-3
LEVEL_FLOOR_SHARE, SHAPE_FLOOR = 1e-3, 0.02
"""A level is not told apart more finely than a thousandth of itself, other coordinates not more finely than 0.02."""
PRESENT_MIN, PRESENT_MAX = 0.02, 0.98
"""A feature that is there in a share of the reference windows outside of these needs no coordinate for being there."""
_AROUND_LEVEL = ("min", "q05", "q10", "q25", "q50", "q75", "q90", "q95", "max")
_SPREADS = ("std", "difference_mean", "difference_std", "second_difference_mean")
_LEFT_OUT = (
    "bimodality", "low_share", "high_share", "dip_depth", "rise_height", "level_changes_per_min", "longest_dwell_share",
    "change_points", "period_s", "period_strength",
)  # fmt: skip
"""Told to people, and not compared: in windows of a minute they vary more within a run than between workloads."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Representation:
    """Fitted to reference windows. `coordinates` names the columns that `apply` gives."""

    names: tuple[str, ...]
    knees: dict[str, float]
    """Per signal [its unit]: where asinh and log bend."""
    medians: Values
    """Of each transformed feature, shape (features,)."""
    optional: NDArray[np.bool_]
    """Features whose presence is a coordinate, shape (features,)."""
    usable: NDArray[np.bool_]

    @classmethod
    def fit(cls, values: Values, names: tuple[str, ...]) -> Representation:
        """From reference windows of shape (windows, features). Raises `ValueError` if none was observed."""
        seen = values[_observed(values, names)]
        if not len(seen):
            raise ValueError("no reference window was observed")
        knees = {signal: _knee(seen, names, signal) for signal in dict.fromkeys(map(_signal, names))}
        shaped = _shape(seen, names, knees)
        there = np.isfinite(shaped).mean(axis=0)
        usable = (there > PRESENT_MIN) & np.array([_feature(name) not in _LEFT_OUT for name in names])
        medians = np.zeros(len(names))
        medians[usable] = np.nanmedian(shaped[:, usable], axis=0)
        return cls(
            names=names,
            knees=knees,
            medians=medians,
            optional=usable & (there < PRESENT_MAX),
            usable=usable,
        )

    def apply(self, values: Values) -> Values:
        """Coordinates of windows, shape (windows, coordinates); NaN rows where a window was not observed."""
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise ValueError(
                f"windows of shape {values.shape} do not have the {len(self.names)} features of the reference"
            )
        shaped = _shape(values, self.names, self.knees)
        there = np.isfinite(shaped)
        filled = np.where(there, shaped, self.medians)[:, self.usable]
        result = np.concatenate([filled, there[:, self.optional].astype(np.float64)], axis=1)
        result[~_observed(values, self.names)] = np.nan
        return result

    @property
    def floors(self) -> Values:
        """The least scale of each coordinate: what no meter or feature tells apart, shape (coordinates,)."""
        level = np.array([LEVEL_FLOOR_SHARE * abs(m) if _feature(n) == "mean" else SHAPE_FLOOR
                          for n, m in zip(self.names, self.medians, strict=True)])  # fmt: skip
        floors: Values = np.maximum(
            np.concatenate([level[self.usable], np.full(int(self.optional.sum()), SHAPE_FLOOR)]), 1e-12
        )
        return floors

    @property
    def coordinates(self) -> tuple[str, ...]:
        kept = [name for name, use in zip(self.names, self.usable, strict=True) if use]
        return (*kept, *(f"{name} is there" for name, some in zip(self.names, self.optional, strict=True) if some))


def _signal(name: str) -> str:
    return name.split(":", 1)[0]


def _feature(name: str) -> str:
    return name.split(":", 1)[1]


def _observed(values: Values, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Windows in which any signal has a level."""
    levels = [place for place, name in enumerate(names) if _feature(name) == "mean"]
    if not levels:
        raise ValueError("features without the mean of any signal cannot be compared")
    found: NDArray[np.bool_] = np.asarray(np.isfinite(values[:, levels]).any(axis=1))
    return found


def _knee(seen: Values, names: tuple[str, ...], signal: str) -> float:
    """A tenth of the median spread; where nothing spreads, a millionth of the level, or 1."""
    if f"{signal}:std" not in names:
        return 1.0
    spread = seen[:, names.index(f"{signal}:std")]
    spread = spread[np.isfinite(spread)]
    typical = float(np.median(spread)) if len(spread) else 0.0
    if typical > 0:
        return KNEE_SHARE * typical
    level = np.abs(seen[:, names.index(f"{signal}:mean")])
    level = level[np.isfinite(level)]
    return max(1e-6 * float(np.median(level)) if len(level) else 0.0, 1e-12)


def _shape(values: Values, names: tuple[str, ...], knees: dict[str, float]) -> Values:
    result = np.empty(values.shape)
    for place, name in enumerate(names):
        column = values[:, place].astype(np.float64)
        knee, feature = knees[_signal(name)], _feature(name)
        if feature in _AROUND_LEVEL:
            column = np.arcsinh((column - values[:, names.index(f"{_signal(name)}:mean")]) / knee)
        elif feature in _SPREADS:
            column = np.log(np.maximum(column, 0.0) + knee)
        elif feature.startswith("band_"):
            column = np.log(np.maximum(column, 0.0) + BAND_FLOOR)
        result[:, place] = column
    return result
