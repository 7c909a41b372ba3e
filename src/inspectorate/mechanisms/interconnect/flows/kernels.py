"""How kernels are compiled: to machine code, kept on disk, without counting references.

Kernels only read and write arrays that Python holds for the length of the call, and allocate nothing. Numba's reference
counts would then count for nothing, and cost more than the decoding: two atomic operations for each array that crosses
a function. `_nrt=False` leaves them out; a kernel that did allocate would fail to compile.

Numba keeps compiled kernels by the file of the outermost one. After a change to a module that kernels only call, remove the
`*.nbi` and `*.nbc` files beside it.
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
    """Compile at the first call."""
    return cast(Function, _compile(cache=True, _nrt=False)(function))


def inlined(function: Function) -> Function:
    """Compile into every caller: for what is called once per field or record, and for what has one caller."""
    return cast(Function, _compile(cache=True, _nrt=False, forceinline=True)(function))
