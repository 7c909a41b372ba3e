"""Exchanges in step: does what leaves one pod enter another, whoever stands between them?

In a joint training run, directly or through a relay, the bytes that leave pod p in an interval enter pod q in that
interval, and the other way round. Load that is common to both (a flash crowd) makes both busy at one time, but does not
make the amounts equal. So amounts are compared, not activity:

    a(t) matches if |log out_p(t) - log in_q(t)| is smaller than |log out_p(t) - log in_q(t - k)| for every k = 1 .. K

that is, if the present fits better than each of the K intervals before it. The observation of the pair is whether both
directions match. Under no exchange this happens at most with a rate that `reference.MATCH_RATE_MAX` bounds.

Not found: a relay that pads or delays beyond the interval; an exchange that is small beside the pod's other traffic.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def matches(sent: Floats, received: Floats, observed: Mask, *, lags: int, bytes_min: float) -> tuple[Mask, Mask]:
    """Whether `received` fits `sent` best at lag zero, per interval; and where that could be asked at all.

    `sent`, `received`: bytes per interval, shape (intervals,). It can be asked where this interval and the `lags` before
    it were observed and both amounts reach `bytes_min`. Returns two masks of shape (intervals,).
    """
    count = len(sent)
    matched, asked = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    if count <= lags:
        return matched, asked
    log_sent = np.log(np.maximum(sent, 1.0))
    log_received = np.log(np.maximum(received, 1.0))
    now = np.abs(log_sent - log_received)[lags:]
    enough = ((sent >= bytes_min) & (received >= bytes_min) & observed)[lags:]
    best_before = np.full(count - lags, np.inf)
    for lag in range(1, lags + 1):
        earlier = slice(lags - lag, count - lag)
        best_before = np.minimum(best_before, np.abs(log_sent[lags:] - log_received[earlier]))
        enough &= observed[earlier]
    asked[lags:] = enough
    matched[lags:] = enough & (now < best_before)
    return matched, asked


def exchange_indicator(
    first: tuple[Floats, Floats], second: tuple[Floats, Floats], observed: Mask, *, lags: int, bytes_min: float
) -> tuple[Mask, Mask]:
    """Whether two pods match in both directions, per interval, and where that could be asked.

    `first` and `second` are (sent, received) bytes per interval of the two pods.
    """
    there, asked_there = matches(first[0], second[1], observed, lags=lags, bytes_min=bytes_min)
    back, asked_back = matches(second[0], first[1], observed, lags=lags, bytes_min=bytes_min)
    return there & back, asked_there & asked_back
