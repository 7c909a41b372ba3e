"""The agreed calibration: the model of honest memory, the rates, and what real or simulated honest groups showed under them.

Two guards of the rate of false accusations, which a check takes together (the larger p-value counts):

- the model: the p-value of `null`, drawn for just these people and questions. It holds if people are no worse than the model.
- groups: honest groups that were asked the same kind of questions (of matters that are not in dispute, or simulated by somebody
  else's model) were checked, and the strength of their strongest contradiction kept. The conformal p-value of a new group among n
  of them is (1 + number at least as strong) / (1 + n). It holds if the new group is exchangeable with them, whatever the model.
  It takes at least 1/rate - 1 groups to say anything: fewer are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, digest_of
from inspectorate.errors import InputError
from inspectorate.evidence import Origin
from inspectorate.mechanisms.interviews.consistency.alike import longest_run
from inspectorate.mechanisms.interviews.consistency.memory import MemoryModel
from inspectorate.mechanisms.interviews.consistency.null import Cells, Null, cells_of, draw_null, excesses
from inspectorate.mechanisms.interviews.consistency.rows import System, build
from inspectorate.mechanisms.interviews.consistency.types import AnswerSheet

GROUPS_MAX = 100_000
DRAWS_DEFAULT = 5_000
RATE_DEFAULT = 0.01
POINTERS = 3
"""Kinds of pointers that share their rate: figures, words, silence."""

Rate = Annotated[float, Field(gt=0, lt=0.5)]


class Calibration(Record):
    """Under what answers are checked: agreed beforehand, and named by its digest in `AnswersChecked`."""

    id: Identifier
    origin: Origin = Field(description="simulated, if any of its groups is")
    model: MemoryModel = MemoryModel()
    false_accusation_rate: Rate = RATE_DEFAULT
    pointer_rate: Rate = RATE_DEFAULT
    draws: Annotated[int, Field(ge=100, le=1_000_000)] = DRAWS_DEFAULT
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    strengths: tuple[float, ...] = Field(default=(), max_length=GROUPS_MAX, description="of honest groups, sorted")
    runs: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), max_length=GROUPS_MAX, description="longest runs of words that honest people shared, sorted"
    )

    @model_validator(mode="after")
    def _enough(self) -> Self:
        for count, rate, what in (
            (len(self.strengths), self.false_accusation_rate, "strengths"),
            (len(self.runs), self.pointer_rate / POINTERS, "runs"),
        ):
            if count and 1 / (1 + count) > rate:
                raise ValueError(
                    f"{what} of {count} honest groups cannot show a rate of {rate:g}: it takes {groups_for(rate)}"
                )
        if 1 / (1 + self.draws) > self.false_accusation_rate:
            raise ValueError("too few draws for the false-accusation rate")
        return self

    @property
    def digest(self) -> Digest:
        return digest_of(self.canonical_bytes())


def groups_for(rate: float) -> int:
    """How many honest groups it takes before a rate can be shown."""
    return max(1, math.ceil(1 / rate - 1e-9) - 1)


class Judged:
    """The excesses of one sheet with their p-values under the model."""

    def __init__(self, sheet: AnswerSheet, calibration: Calibration) -> None:
        self.system: System = build(sheet, calibration.model)
        self.cells: Cells = cells_of(self.system)
        self.excess = excesses(self.system, self.cells)
        # The draws depend on who was asked what and how they know it, so that the same sheet gives the same p-values.
        self.rng = np.random.default_rng(calibration.seed)
        self.null: Null = draw_null(self.system, self.cells, calibration.model, rng=self.rng, draws=calibration.draws)
        self.u = self.null.u(self.excess)
        self.strongest = float(self.u.max()) if self.u.size else 0.0
        self.strength = self.null.strength(self.strongest)


def conformal_p(value: float, honest: Sequence[float]) -> float:
    """The share of honest groups, the new one counted among them, that are at least as strong; 1 group: 1."""
    return (1 + sum(one >= value for one in honest)) / (1 + len(honest))


def calibrated(base: Calibration, groups: Sequence[AnswerSheet]) -> Calibration:
    """The calibration with the strengths of honest groups. Raises `InputError` where there are too few."""
    wanted = groups_for(base.false_accusation_rate)
    if len(groups) < wanted:
        raise InputError(
            f"{len(groups)} honest groups cannot show a rate of {base.false_accusation_rate:g}",
            remedy=f"it takes {wanted}; or calibrate by the model alone",
        )
    strengths = sorted(Judged(sheet, base).strength for sheet in groups)
    spoken = [sheet for sheet in groups if any(one.own_words for one in sheet.statements)]
    runs = sorted(longest_run(sheet)[0] for sheet in spoken)
    simulated = any(sheet.origin is Origin.SIMULATED for sheet in groups)
    return Calibration.parse(
        {
            **base.model_dump(),
            "origin": Origin.SIMULATED if simulated else base.origin,
            "strengths": tuple(round(one, 6) for one in strengths),
            "runs": tuple(runs) if len(runs) >= groups_for(base.pointer_rate / POINTERS) else (),
        },
        where="calibration",
        error=InputError,
    )
