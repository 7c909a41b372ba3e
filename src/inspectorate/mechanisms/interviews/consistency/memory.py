"""A model of honest memory: how far off people are who say what they remember, and draws from it.

Rules:

- Times: the error grows in proportion to how long ago it was (plus a few days), and is unbiased: the logarithm of the age is
  normal around the truth. Counts: the same, in proportion to the count. So the error of an answer in standard errors, g, has one
  distribution whatever the truth is: the one that is drawn here.
- Each person has a share of the error that is the same in all of their answers of one kind, and is better or worse than others.
- Now and then somebody takes one thing for another (a confusion): the error is then several times larger.
- What people were told is wider than what they saw, and partly wrong in the same way for all who were told: a rumour.
- Yes or no: people forget what was (more, the longer ago), and rarely invent what was not. Rumours can be false as a whole.
- Figures are rounded to round numbers: a round figure is as wide as the coarsest step that people round by, within a limit.
- The model is of the agreed calibration, with a digest. A group that remembers worse than it says is accused more often than
  agreed.

Sources. Dating: Rubin and Baddeley, Memory & Cognition 17(6) 1989: errors unbiased, growing by 0.4 days per day for colloquia
that people had heard; better for events of their own, so the share here is on the wide side. Counts: Whalen, Gallistel and
Gelman, Psychological Science 10(2) 1999: spread in proportion to the number; stable biases of one person are most of it. The rest
(confusion, rumour, forgetting, invention) has no figure that carries over from the laboratory: it is set wide, by judgement, and
has to be agreed. `bench/interview_consistency.py` prints what follows where all of it is wrong by a factor of two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.mechanisms.interviews.consistency.types import Known
from inspectorate.quantities import Positive, Share

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]
"""Draws: seven digits are more than the model has."""
Ints = npt.NDArray[np.int64]

DAYS_PER_YEAR: Final = 365.25
STEPS: Final = tuple(sorted(digit * 10.0**power for power in range(-3, 15) for digit in (1.0, 5.0)))
"""What people round to."""
WRONG_SHARE_MAX: Final = 0.9

Factor = Annotated[float, Field(ge=1, le=100)]


class MemoryModel(Record):
    """How far off honest people are. The defaults are the reference model; another one is agreed by its digest."""

    id: Identifier = "reference-1"
    source: Text = "see the module mechanisms/interviews/consistency/memory"
    time_share: Annotated[float, Field(gt=0, le=2)] = Field(
        default=0.4, description="standard error of an age, of the age"
    )
    time_base_days: Positive = Field(default=3.0, description="added to the age: yesterday is not exact either")
    count_share: Annotated[float, Field(gt=0, le=2)] = Field(default=0.25, description="standard error, of the amount")
    count_base: Positive = Field(default=1.0, description="added to the amount, in its unit")
    inferred_factor: Factor = 1.5
    told_factor: Factor = 2.0
    order_share: Share = Field(
        default=0.5, description="of the error of a date: which came first is better kept than when"
    )
    person_share: Share = Field(
        default=0.3, description="of the variance: the same in all answers of a person of one kind"
    )
    person_spread: Share = Field(default=0.25, description="spread of the logarithm of how wide a person's errors are")
    confused_share: Share = Field(default=0.04, description="of answers: one thing is taken for another")
    confused_factor: Factor = 3.0
    rumour_share: Share = Field(default=0.5, description="of the variance of hearsay: the same for all who were told")
    missed: dict[Known, Share] = Field(
        default={Known.SAW: 0.08, Known.INFERRED: 0.2, Known.TOLD: 0.3}, description="says no, though it was so"
    )
    missed_per_year: Share = Field(default=0.12, description="added for each year since")
    invented: dict[Known, Share] = Field(
        default={Known.SAW: 0.02, Known.INFERRED: 0.08, Known.TOLD: 0.12}, description="says yes, though it was not so"
    )
    false_rumour_share: Share = Field(
        default=0.05, description="of topics: what is told of it is wrong for half of the told"
    )
    rounded_share_max: Share = Field(default=0.25, description="a figure is never taken as rounded by more than this")
    blank_share: Share = Field(default=0.35, description="of those whose role would know: cannot say all the same")
    exact_share: Share = Field(default=0.1, description="of answers: it is known exactly, from a note or a landmark")
    shared_exact_share: Share = Field(
        default=0.1, description="of topics: everybody knows it exactly, for the same reason"
    )

    def widened(self, factor: float, *, name: str) -> MemoryModel:
        """The same model with errors of times and counts `factor` times as large."""
        return self.model_copy(
            update={
                "id": name,
                "time_share": min(2.0, self.time_share * factor),
                "count_share": min(2.0, self.count_share * factor),
            }
        )

    def factor(self, known: Known) -> float:
        return {Known.INFERRED: self.inferred_factor, Known.TOLD: self.told_factor}.get(known, 1.0)

    def wrong_share(self, *, said_yes: bool, known: Known, age_days: float) -> float:
        """How likely it is that an honest person says yes of what was not, or no of what was."""
        if said_yes:
            return max(1e-4, self.invented.get(known, 0.1))
        forgotten = self.missed.get(known, 0.3) + self.missed_per_year * max(0.0, age_days) / DAYS_PER_YEAR
        return min(0.7, max(1e-4, forgotten))


def rounded_by(value: float, *, share_max: float) -> float:
    """Half of the coarsest step by which `value` may have been rounded [unit of value]: 0 if it is on no step at all."""
    if value <= 0:
        return 0.0
    for step in reversed(STEPS):
        if step / 2 <= share_max * value and math.isclose(value / step, round(value / step), rel_tol=0, abs_tol=1e-9):
            return step / 2
    return 0.0


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What the model needs to know of statements, one element each; persons, topics and kinds are numbered from 0."""

    share: Floats
    """Relative standard error, by kind and by how it is known; 0 for a yes or no."""
    person: Ints
    topic: Ints
    told: npt.NDArray[np.bool_]
    timed: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        return int(self.share.size)

    def only(self, chosen: npt.NDArray[np.bool_]) -> Remembered:
        """Some of the statements, with persons and topics numbered as before."""
        return Remembered(
            share=self.share[chosen],
            person=self.person[chosen],
            topic=self.topic[chosen],
            told=self.told[chosen],
            timed=self.timed[chosen],
        )


def draw_worse(model: MemoryModel, rng: np.random.Generator, *, draws: int, persons: int) -> Singles:
    """How much wider or narrower the errors of each person are than usual, shape (draws, persons)."""
    result: Singles = np.exp(np.float32(model.person_spread) * _normal(rng, draws, persons))
    return result


def draw_g(model: MemoryModel, about: Remembered, worse: Singles, rng: np.random.Generator) -> Singles:
    """Standard errors g of each statement of honest groups, shape (draws, statements)."""
    draws, persons = worse.shape
    own = _normal(rng, draws, 2 * persons) * np.float32(math.sqrt(model.person_share))
    g = _normal(rng, draws, about.size)
    if about.told.any():
        names, place = np.unique(about.topic[about.told], return_inverse=True)
        rumour = _normal(rng, draws, names.size)[:, place]
        share = model.rumour_share
        g[:, about.told] = np.float32(math.sqrt(share)) * rumour + np.float32(math.sqrt(1 - share)) * g[:, about.told]
    g *= np.float32(math.sqrt(1 - model.person_share))
    g += np.take(own, 2 * about.person + about.timed, axis=1)
    g *= np.take(worse, about.person, axis=1)
    g[rng.random(g.shape, dtype=np.float32) < model.confused_share] *= np.float32(model.confused_factor)
    return g


def draw_wrong(
    model: MemoryModel, about: Remembered, wrong_share: Floats, worse: Singles, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Whether each yes-or-no statement is wrong, shape (draws, statements), at `wrong_share`, shape (statements,)."""
    draws = worse.shape[0]
    chance = np.take(worse, about.person, axis=1)
    chance *= wrong_share.astype(np.float32)
    np.minimum(chance, np.float32(WRONG_SHARE_MAX), out=chance)
    if about.told.any():
        names, place = np.unique(about.topic[about.told], return_inverse=True)
        false = (rng.random((draws, names.size), dtype=np.float32) < model.false_rumour_share)[:, place]
        told = chance[:, about.told]
        chance[:, about.told] = np.where(false, np.maximum(told, np.float32(0.5)), told)
    return rng.random(chance.shape, dtype=np.float32) < chance


def _normal(rng: np.random.Generator, draws: int, count: int) -> Singles:
    return rng.standard_normal((draws, count), dtype=np.float32)
