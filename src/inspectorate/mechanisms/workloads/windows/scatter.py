"""Rows in any order to a dense series: for values that come with their step and unit beside them.

`tidy` of the telemetry is what makes frames of evidence: it counts what contradicts itself. This is for values that are in order
already, or that come from a table: the last of several values for one place stays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.windows.kernel import F32, kernel


@kernel
def scatter(step: NDArray[np.int32], unit: NDArray[np.int32], values: F32, into: F32) -> int:
    """Put values (rows,) into a series (times, units); how many lie outside of it."""
    outside = 0
    times, units = into.shape
    for row in range(len(values)):
        t, u = step[row], unit[row]
        if 0 <= t < times and 0 <= u < units:
            into[t, u] = values[row]
        else:
            outside += 1
    return outside
