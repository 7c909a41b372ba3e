"""How far a committed result is from the one that came of running the work again: pure numpy, no torch.

- `distance`: the largest over all weight tensors of ||claimed - again|| / ||again - before||. The size of the update is that of the
  verifier's own run: a prover that writes large or tiny updates moves its own numbers, never the measure. Where the verifier's
  update is zero, any difference at all is infinitely far.
- `largest`: the largest change of one weight, in root mean squares of the update of its tensor.
- `optimiser`: as `distance`, over the states of the optimiser; and `losses`: the largest difference of a stated loss.

The relative measure is what the spoof by infinitesimal updates (arXiv 2208.03567) breaks on: with an absolute threshold every step
passes whose update is small enough; with a relative one, small steps are held to proportionally small differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, numbers

SCALARS = "scalars"
"""Rates and options of the optimiser stand in a tensor of this name (`transcripts.torch_state`): equal, or not."""
FARTHEST = 1e9
"""Stands for infinitely far: a finite number, as records carry it."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """What was compared; all in units of the verifier's own update, but losses in nats."""

    distance: float
    largest: float
    optimiser: float
    losses: float
    tensor: str
    """In which the distance is largest."""
    update: float
    """The size of the verifier's update over all weights, relative to the weights before."""


def compare_weights(before: Tensors, claimed: Tensors, again: Tensors) -> tuple[float, float, str, float]:
    """`distance`, `largest`, the tensor in which it is largest, and the relative size of the update. Raises `EvidenceError`."""
    if not (before.keys() == claimed.keys() == again.keys()):
        raise EvidenceError("the tensors before and after are not the same ones")
    worst, largest, where, moved, all_of_it = -1.0, 0.0, "", 0.0, 0.0
    for name in sorted(again):
        start, said, found = (numbers(one[name]) for one in (before, claimed, again))
        if not start.shape == said.shape == found.shape:
            raise EvidenceError(f"{name[:100]!a} changes its shape")
        size = float(np.linalg.norm(found - start))
        off = found - said
        relative = _ratio(float(np.linalg.norm(off)), size)
        if relative > worst:
            worst, where = relative, name
        if off.size:
            largest = max(largest, _ratio(float(np.abs(off).max()), size / math.sqrt(off.size)))
        moved += size**2
        all_of_it += float(np.linalg.norm(start)) ** 2
    return worst, largest, where, _ratio(math.sqrt(moved), math.sqrt(all_of_it))


def compare_states(before: Tensors, claimed: Tensors, again: Tensors) -> float:
    """The largest relative difference of a state of the optimiser. Raises `EvidenceError`."""
    if claimed.keys() != again.keys():
        raise EvidenceError("the states of the optimiser are not the same ones")
    worst = 0.0
    for name in sorted(again):
        if name == SCALARS:
            if claimed[name] != again[name]:
                return FARTHEST
            continue
        said, found = numbers(claimed[name]), numbers(again[name])
        if said.shape != found.shape:
            raise EvidenceError(f"{name[:100]!a} changes its shape")
        start = numbers(before[name]) if name in before else np.zeros_like(found)
        if start.shape != found.shape:
            raise EvidenceError(f"{name[:100]!a} changes its shape")
        size = float(np.linalg.norm(found - start)) if found.size else 0.0
        worst = max(worst, _ratio(float(np.linalg.norm(found - said)), size))
    return worst


def compare_losses(claimed: tuple[float, ...], again: tuple[float, ...]) -> float:
    """The largest difference; none are stated: 0. Raises `EvidenceError` where their number is not that of the steps."""
    if not claimed:
        return 0.0
    if len(claimed) != len(again):
        raise EvidenceError(f"{len(claimed)} losses are stated for {len(again)} steps")
    return min(max(abs(a - b) for a, b in zip(claimed, again, strict=True)), FARTHEST)


def _ratio(off: float, size: float) -> float:
    if off == 0:
        return 0.0
    return min(off / size, FARTHEST) if size > 0 and math.isfinite(off) else FARTHEST
