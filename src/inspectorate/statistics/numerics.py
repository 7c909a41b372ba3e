"""Arithmetic on logarithms, and the checks that every kernel of this room makes of its arguments.

- An amount that may be huge or tiny is held as its natural logarithm; zero is `-inf`. Sums are taken without leaving
  the logarithm.
- A number that cannot be what its name says (a probability above one, NaN where something was observed) is a
  `ValueError`: the caller is at fault, and no result is better than a wrong one.

Not done here: statistics. Nothing in this module knows what its numbers mean.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

WEIGHT_TOLERANCE = 1e-9
"""Weights may miss a sum of one by this much, which decimal fractions do; they are then scaled to sum to one."""


def log_sum_exp(log_values: FloatArray, *, axis: int = -1) -> FloatArray:
    """log(sum(exp(log_values))) along `axis`, which must not be empty, for finite and infinite values."""
    largest = np.max(log_values, axis=axis, keepdims=True)
    # Where the largest is infinite, subtracting it would give inf - inf; the result is that infinity itself.
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        total: FloatArray = np.log(np.sum(np.exp(log_values - shift), axis=axis)) + np.squeeze(shift, axis=axis)
    return total


def normalised_log_weights(weights: npt.ArrayLike | None, count: int) -> FloatArray:
    """Natural logarithms of `count` weights that sum to one, shape (count,); equal weights where none are given.

    Raises `ValueError` if there are none, if one is negative, or if they do not sum to one.
    """
    if count < 1:
        raise ValueError("there is nothing to weigh; an empty set carries no evidence")
    if weights is None:
        return np.full(count, -math.log(count))
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (count,):
        raise ValueError(f"{count} values need as many weights, not shape {given.shape}")
    if not np.all(given >= 0):
        raise ValueError("a weight must be a number of at least zero")
    total = math.fsum(given.tolist())
    if abs(total - 1) > WEIGHT_TOLERANCE:
        raise ValueError(f"weights must sum to 1, not {total}")
    with np.errstate(divide="ignore"):
        logs: FloatArray = np.log(given / total)
    return logs


def weighted_logs(log_values: FloatArray, log_weights: FloatArray) -> FloatArray:
    """log(weight * value), shape (k,); a weight of zero gives log(0) even for an infinite value."""
    ignored = np.isneginf(log_weights)
    result: FloatArray = np.where(ignored, -np.inf, log_values + np.where(ignored, 0.0, log_weights))
    return result


def checked_probability(name: str, value: float) -> float:
    """`value`, strictly between zero and one. Raises `ValueError` that names it otherwise."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value}")
    return float(value)


def checked_count(name: str, value: int, *, least: int = 0) -> int:
    """`value`, a whole number of at least `least`. Raises `ValueError` that names it otherwise."""
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value}")
    return int(value)


def float_vector(name: str, values: npt.ArrayLike) -> FloatArray:
    """`values` as a non-empty vector without NaN, shape (n,). Raises `ValueError` that names it otherwise."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or vector.size == 0:
        raise ValueError(f"{name} must be a vector with at least one entry, not shape {vector.shape}")
    if np.any(np.isnan(vector)):
        raise ValueError(f"{name} holds NaN")
    return vector


def observed_rows(shape: tuple[int, ...], observed: Any) -> BoolArray:
    """The mask of what was observed, in `shape`; everything where `observed` is None. Raises `ValueError` on a misfit."""
    if observed is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.asarray(observed)
    if mask.dtype != np.bool_:
        raise ValueError("`observed` must be an array of truth values")
    try:
        return np.array(np.broadcast_to(mask, shape))
    except ValueError:
        raise ValueError(f"`observed` of shape {mask.shape} does not fit values of shape {shape}") from None
