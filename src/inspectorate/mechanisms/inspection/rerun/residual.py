"""What could still pass below a tolerance: how far a prover can push the weights in each packet, and what that buys.

The threshold is a share t of the verifier's own update, tensor by tensor. Whoever stays below it

- moves each tensor by at most t times its honest update, in any direction: along a hidden gradient this is as if it had made t
  hidden packets for each honest one (in the region where a gradient stays the same; a bound on movement, not on loss);
- leaves the weights one of at most 2^bits values: the entropy of numbers on the float grid with that variance (Massey's bound for
  whole-valued variables, 1/2 log2(2 pi e (variance + 1/12))), summed over weights. These bits lie in checkpoints that the prover
  has anyway; they matter where a checkpoint is shown or leaves as approved.

Comparing bit by bit leaves neither.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, numbers, stored


@dataclass(frozen=True, kw_only=True)
class Residual:
    """Below the threshold, in one packet."""

    movement: float
    """As a share of the honest update."""
    packets_for_one: float
    """Honest packets that must be nudged to move as far as one hidden packet would."""
    bits: float
    weights: int


def residual_of(before: Tensors, after: Tensors, threshold: float) -> Residual:
    """For one honest packet and the threshold of a tolerance. Raises `ValueError` on a negative threshold."""
    if threshold < 0:
        raise ValueError("a threshold is not negative")
    bits, count = 0.0, 0
    for name, tensor in after.items():
        here = numbers(tensor)
        count += here.size
        if tensor.dtype not in {"F32", "F64", "F16"} or not here.size or threshold == 0:
            continue
        spread = threshold * float(np.linalg.norm(here - numbers(before[name]))) / math.sqrt(here.size)
        grid = np.spacing(np.abs(stored(tensor))).astype(np.float64)
        variance = (spread / grid) ** 2
        bits += float(np.maximum(0.5 * np.log2(2 * math.pi * math.e * (variance + 1 / 12)), 0.0).sum())
    return Residual(
        movement=threshold,
        packets_for_one=1 / threshold if threshold else math.inf,
        bits=bits,
        weights=count,
    )
