"""How kernels of telemetry are compiled: kept on disk, and without counting references to arrays.

A kernel works on arrays that its caller holds, and allocates none (it would not compile): numba's reference counts would count for
nothing, and cost ten times what these kernels do. A slice of an array is no allocation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Int64 = Any
"""A 64-bit integer in a kernel: for Python it may be an int or a number of numpy's."""
Function = TypeVar("Function", bound=Callable[..., Any])
_compile: Any = njit


def kernel(function: Function) -> Function:
    """Compile at the first call. Other threads run meanwhile."""
    return cast(Function, _compile(cache=True, nogil=True, _nrt=False)(function))


def inlined(function: Function) -> Function:
    """Compile into every caller."""
    return cast(Function, _compile(cache=True, _nrt=False, forceinline=True)(function))
