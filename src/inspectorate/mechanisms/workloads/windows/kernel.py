"""How the kernels of windows are compiled, and the tile on which all of them work.

A tile is `LANES` columns, each one unit in one window, and one row per step: what is done to a row is done to all lanes at once
by the vector units of the processor. Every lane is computed by the same instructions in the same order wherever it stands, in
strict IEEE arithmetic without contraction: so a window has the same features, to the last bit, in a frame and in a stream.

Numba keeps compiled kernels by the file of the outermost one. After a change to a module that kernels only call, remove the
`*.nbi` and `*.nbc` files beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.windows.reference import LAGS, LANES, PAIRS_MIN

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

Function = TypeVar("Function", bound=Callable[..., Any])
_compile: Any = njit


def kernel(function: Function) -> Function:
    """Compile at the first call; division by zero gives what IEEE says."""
    return cast(Function, _compile(cache=True, nogil=True, error_model="numpy")(function))


def part(function: Function) -> Function:
    """Compile for other kernels only: without the ways in for Python, which take as long to compile as the loops."""
    bare = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, _compile(cache=True, error_model="numpy", **bare)(function))


class Tile(NamedTuple):
    """Working space for `LANES` lanes of `n` steps."""

    raw: F32
    """(n, LANES): what was measured, NaN for gaps."""
    sorted: F32
    """(n, LANES): sorted down each lane, gaps last as infinity."""
    filled: F64
    """(n, LANES): gaps bridged by straight lines, and then without its mean."""
    sums: F64
    """(n + 1, LANES): sums over time, and whatever else takes a row per step."""
    rows: F64
    """(ROWS, LANES): sums."""
    lags: F64
    """(lags_of(n) + 1, LANES): autocorrelations."""
    measured: I64
    """(LANES,): measured steps of each lane."""
    out: F64
    """(features, LANES)."""


ROWS = 8


@part
def longest_lag(n: int) -> int:
    """The longest lag at which a period is looked for."""
    return min(n // 2, n - PAIRS_MIN)


@part
def lags_of(n: int) -> int:
    """The longest lag that is computed."""
    return max(longest_lag(n), min(LAGS[-1], n - PAIRS_MIN))


@part
def new_tile(n: int, features: int) -> Tile:
    return Tile(
        np.empty((n, LANES), np.float32),
        np.empty((n, LANES), np.float32),
        np.empty((n, LANES)),
        np.empty((n + 1, LANES)),
        np.empty((ROWS, LANES)),
        np.empty((lags_of(n) + 1, LANES)),
        np.empty(LANES, np.int64),
        np.empty((features, LANES)),
    )
