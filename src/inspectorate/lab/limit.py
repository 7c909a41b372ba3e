"""The byte limit of the bench, and how it follows from what honest inference needs.

The limit stands to honest inference as the published one does: arXiv 2506.15867, A3, allows 125 KB/s where serving
needs at most 85 KB/s, a head-room of 125/85 = 1.47. Ours is that head-room times the busiest ten seconds of honest
inference on any pod's link, in its busier direction, rounded up to 500 bytes/s.

A byte limit says nothing by itself: it has to be seen against model size and the interval between synchronisations.
Against 125 KB/s stands a gradient of 810 GB (the same source); the model of the bench has a gradient of 1.1 MB.
"""

from __future__ import annotations

import math

HEAD_ROOM = 125 / 85
"""arXiv 2506.15867, A3: 125 KB/s allowed, 85 KB/s needed."""
PEAK_INTERVAL_S = 10.0
"""Honest inference is measured over intervals of this length."""
_ROUNDED_TO_BYTES_PER_S = 500
HONEST_PEAK_BYTES_PER_S = 28_892.0
"""Busiest ten seconds of `inspectorate lab run --scenario calibrate` (seed 1): see docs/lab.md."""
PACED_SHARE = 0.7
"""The share of the limit that the low-communication run allows itself on the wire."""


def derive(peak_bytes_per_s: float) -> float:
    """The limit in bytes/s each way for an honest peak. Raises `ValueError` when nothing was measured."""
    if not peak_bytes_per_s > 0:
        raise ValueError("no honest traffic was measured, so no limit follows")
    # A multiple that is exact but for floating point must not be rounded up to the next.
    multiples = math.ceil(HEAD_ROOM * peak_bytes_per_s / _ROUNDED_TO_BYTES_PER_S - 1e-9)
    return float(multiples * _ROUNDED_TO_BYTES_PER_S)


LINK_LIMIT_BYTES_PER_S = derive(HONEST_PEAK_BYTES_PER_S)
"""The limit in each direction of every pod link, in bytes/s as the interface counts them."""
