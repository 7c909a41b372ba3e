"""How kernels are compiled: to machine code, kept on disk, without counting references.

Kernels only read and write arrays that Python holds for the length of the call, and allocate nothing. Numba's reference
counts would then count for nothing, and cost more than the decoding: two atomic operations for each array that crosses
a function. `_nrt=False` leaves them out; a kernel that did allocate would fail to compile.
"""

from __future__ import annotations

from numba import njit

kernel = njit(cache=True, _nrt=False)
inlined = njit(cache=True, _nrt=False, forceinline=True)
"""For functions of a few lines that are called once per field or record."""
