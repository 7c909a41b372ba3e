"""A second look that runs no training again: whether a stretch of training shows in the losses of the data it is said to be of.

A model overfits for a while to what it has just seen (arXiv 2307.00682). Of each data item the gain is its loss at the checkpoint
before less its loss at the checkpoint after. Two questions, each with a test of its own:

- **Were the claimed items trained on at all?** If not, gains of claimed items and of items held back (drawn from the same data,
  due later) are exchangeable: a permutation test. A small p is evidence *for* the claim; any other is no evidence against it.
- **Is the effect as large as in honest training?** The effect (difference of mean gains, in pooled standard deviations) is held
  against effects of honest stretches of the same length: a conformal p-value of being too low, and its e-value. Data that was left
  out, and data that was added within the same steps, make it smaller; steps that were added on other data do not (docs/replay.md).

Held-back items must be from the same source as the claimed ones, and the prover must not know which they are when it trains: take
items that are due later in the committed order.

The authors' own statistics and thresholds were not at hand when this was written; these tests are ours, and nothing is claimed of
how they compare. It costs two passes over some items instead of a stretch of training, and its power is much smaller than that of
running packets again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inspectorate.apart import Enclosure
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.rerun.jobs import (
    LOSSES_OF,
    FileOfTensors,
    Losses,
    LossItem,
    LossJob,
    each_apart,
)
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import TrainingContent
from inspectorate.statistics.conformal import conformal_p_values, resampling_p_value
from inspectorate.statistics.evalues import p_to_log_e

ITEMS_MIN = 4
RESAMPLES = 999


@dataclass(frozen=True, kw_only=True)
class Gains:
    """Loss before less loss after, of claimed items and of items held back."""

    claimed: tuple[float, ...]
    held: tuple[float, ...]

    @property
    def effect(self) -> float:
        """Difference of means in pooled standard deviations. Raises `ValueError` on too few items."""
        claimed, held = _vector("claimed", self.claimed), _vector("held-back", self.held)
        squares = np.sum((claimed - claimed.mean()) ** 2) + np.sum((held - held.mean()) ** 2)
        spread = math.sqrt(float(squares) / (claimed.size + held.size - 2))
        return float(claimed.mean() - held.mean()) / max(spread, 1e-12)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A packet to look at, and batches of items that are held back, by digest: due later in the same run."""

    folder: FolderReader
    content: TrainingContent
    held: tuple[str, ...]


def gains_apart(stretches: Sequence[Stretch], program: DecoderProgram, enclosure: Enclosure) -> list[Gains]:
    """Gains of each stretch, computed in a process apart. Raises `EvidenceError` where content cannot be used."""
    items = []
    for place, one in enumerate(stretches):
        content = one.folder.path.resolve() / "content"

        def there(digest: str, content: Path = content) -> FileOfTensors:
            return FileOfTensors(path=str(content / f"{digest.removeprefix('sha256:')}.tensors"), digest=digest)

        batches = tuple(there(digest) for digest in (*one.content.batches, *one.held))
        for side, checkpoint in enumerate((one.content.before, one.content.after)):
            items.append(LossItem(number=2 * place + side, weights=there(checkpoint.weights), batches=batches))

    def given(left: Sequence[LossItem]) -> bytes:
        return LossJob(program=program, items=tuple(left)).model_dump_json().encode()

    folders = tuple(dict.fromkeys(str(one.folder.path.resolve() / "content") for one in stretches))
    closed = enclosure.model_copy(update={"readable": folders, "writable": ()})
    answers = each_apart(LOSSES_OF, items, given, Losses, closed, {})[0]
    found = []
    for place, one in enumerate(stretches):
        before, after = answers[2 * place], answers[2 * place + 1]
        if isinstance(before, str) or isinstance(after, str) or before.problem or after.problem:
            raise EvidenceError(
                f"losses cannot be computed: {before if isinstance(before, str) else before.problem}"[:500]
            )
        share = len(one.content.batches) / (len(one.content.batches) + len(one.held))
        found.append(gains_of(before.losses, after.losses, round(share * len(before.losses))))
    return found


def gains_of(before: Sequence[float], after: Sequence[float], claimed: int) -> Gains:
    """From losses of items, the first `claimed` of which are the claimed ones. Raises `ValueError`."""
    found = [a - b for a, b in zip(before, after, strict=True)]
    return Gains(claimed=tuple(found[:claimed]), held=tuple(found[claimed:]))


def trained_on(gains: Gains, rng: np.random.Generator, *, resamples: int = RESAMPLES) -> float:
    """The permutation p-value of "the claimed items were not trained on": small where they were."""
    claimed, held = _vector("claimed", gains.claimed), _vector("held-back", gains.held)
    together = np.concatenate([claimed, held])
    mixed = np.asarray([rng.permutation(together)[: claimed.size].mean() for _ in range(resamples)])
    return resampling_p_value(float(claimed.mean()), mixed)


def too_little(gains: Gains, honest: Sequence[float]) -> tuple[float, float]:
    """Whether the effect is lower than in honest stretches: the conformal p-value, and the log of its e-value.

    `honest`: effects of honest stretches, one of each run. With n of them p is never below 1/(n + 1).
    """
    p = conformal_p_values([-gains.effect], [-one for one in honest])
    return float(p[0]), float(p_to_log_e(p)[0])


def _vector(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if found.size < ITEMS_MIN or not np.isfinite(found).all():
        raise ValueError(f"the {name} gains must be {ITEMS_MIN} finite numbers or more")
    return found
