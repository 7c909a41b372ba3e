"""What a packet sample says of the traffic it was drawn from: bounds that hold for packets of any sizes.

Packet i of s_i bytes is sampled with probability 1/N_i, independently. With s_max the largest frame and N_max the largest
N, the variables X_i = N_i s_i / (N_max s_max) if sampled, else 0, lie between 0 and 1, are independent, and their sum Y has
mean mu = (all bytes) / (N_max s_max). For such a sum, with h(mu) = mu - y + y ln(y / mu),

    P(Y <= y) <= exp(-h(mu)) for mu >= y,     P(Y >= y) <= exp(-h(mu)) for mu <= y

(H. Chernoff, Ann. Math. Stat. 23, 1952; M. Mitzenmacher, E. Upfal, Probability and Computing, theorems 4.4 and 4.5, whose
proof needs of an X in [0, 1] only that E exp(t X) <= exp((e^t - 1) E X), by convexity). The values of mu at which exp(-h)
equals the miss probability are the bounds. A sample that saw nothing bounds mu by ln(1 / miss probability).

- The upper bound is wrong with at most the miss probability; so is the lower bound. Whoever relies on both adds the two.
- Newton's method starts outside the interval and stays there, so that stopping early only widens the bounds.

Assumptions, for the caller to list: the sampler draws independently at the stated rate (a sampler that skips chosen packets
bounds nothing: compare `SourceReport.pool_packets`); `frame_bytes_max` is the largest frame, segmentation offload included.

The usual rule of sFlow, an error of at most 196 sqrt(1/n) per cent at 95 % for n samples (P. Phaal, S. Panchen, "Packet Sampling
Basics", sflow.org), is a normal approximation for packets of equal size: narrower than these bounds, and not valid for small n.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.quantities import Bounds

NEWTON_STEPS = 60
"""Newton's method on a convex function converges quadratically; 8 steps are usual."""
ROUNDING = 1e-12
"""Steps relatively smaller than this are the end."""
WIDENING = 1e-8
"""Relative widening that covers rounding in h."""
NOTHING = 1e-300
"""Stands for a sum of nothing where it divides."""
SMALL = 30.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SampledBounds:
    """Bytes, each of the shape that was asked for: `lower` <= `estimate` <= `upper`."""

    lower: Floats
    estimate: Floats
    upper: Floats


def scaled_bytes_bounds(
    scaled_bytes: Any, *, rate_max: Any, frame_bytes_max: float, miss_probability: float
) -> SampledBounds:
    """Bounds on bytes from sums of sampled bytes times their sampling rate.

    `scaled_bytes` [bytes] and `rate_max` [1-in-N, at least 1] have shapes that broadcast, as `Sums.bytes_*` and `Sums.rate_max` do;
    where nothing was sampled, `rate_max` must still say at which rate it would have been. Raises `ValueError` on a miss
    probability outside (0, 1), a rate below 1, a frame that is not positive, and negative bytes.
    """
    scaled, rate = np.broadcast_arrays(np.asarray(scaled_bytes, np.float64), np.asarray(rate_max, np.float64))
    if not 0 < miss_probability < 1:
        raise ValueError("a miss probability lies between 0 and 1")
    if not frame_bytes_max > 0 or not math.isfinite(frame_bytes_max):
        raise ValueError("the largest frame must have bytes")
    if not (rate >= 1).all() or not (scaled >= 0).all():
        raise ValueError("rates are at least 1, and bytes at least 0")
    unit = rate * frame_bytes_max
    log_inverse = math.log(1 / miss_probability)
    observed = scaled / unit
    return SampledBounds(
        lower=_lower_mean(observed, log_inverse) * unit,
        estimate=scaled.copy(),
        upper=_upper_mean(observed, log_inverse) * unit,
    )


def sampled_bytes_bounds(
    sampled_bytes: float, *, rate: float, frame_bytes_max: float, miss_probability: float
) -> Bounds:
    """Bounds on the bytes of all packets from the bytes of those sampled 1 in `rate`. Raises as `scaled_bytes_bounds`."""
    found = scaled_bytes_bounds(
        sampled_bytes * rate, rate_max=rate, frame_bytes_max=frame_bytes_max, miss_probability=miss_probability
    )
    return Bounds(lower=float(found.lower), estimate=float(found.estimate), upper=float(found.upper))


def _upper_mean(observed: Floats, log_inverse: float) -> Floats:
    """The mean y + x above y = `observed` at which h = x - y ln(1 + x / y) equals L = `log_inverse`, from above.

    Start: u - ln(1 + u) >= u^2 / (2 (1 + u)), so h >= L at x = L + sqrt(L^2 + 2 L y).
    """
    seen = np.maximum(observed, NOTHING)
    x = log_inverse + np.sqrt(log_inverse**2 + 2 * log_inverse * seen)
    for _ in range(NEWTON_STEPS):
        step = (x - seen * np.log1p(x / seen) - log_inverse) * (seen + x) / x
        if not (step > ROUNDING * x).any():
            break
        x = x - np.maximum(step, 0)
    return np.asarray((observed + x) * (1 + WIDENING))


def _lower_mean(observed: Floats, log_inverse: float) -> Floats:
    """The mean y - x below y = `observed` at which h = -x - y ln(1 - x / y) equals L = `log_inverse`, from below.

    Start: -u - ln(1 - u) >= u^2 / 2, so h >= L at x = sqrt(2 L y); and so it is at y - x = y exp(-1 - L / y). The larger
    mean counts. Where even that is below y exp(-`SMALL`), the bound is 0.
    """
    usable = observed * (SMALL - 1) > log_inverse
    seen = np.where(usable, observed, log_inverse)
    x = np.minimum(np.sqrt(2 * log_inverse * seen), -seen * np.expm1(-1 - log_inverse / seen))
    for _ in range(NEWTON_STEPS):
        step = (-x - seen * np.log1p(-x / seen) - log_inverse) * (seen - x) / x
        if not (step > ROUNDING * x).any():
            break
        x = x - np.maximum(step, 0)
    return np.where(usable, np.maximum(observed - x * (1 + WIDENING), 0) * (1 - WIDENING), 0.0)
