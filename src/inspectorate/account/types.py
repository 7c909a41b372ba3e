"""The records of an account."""

from __future__ import annotations

from pydantic import Field

from inspectorate.canonical import Identifier, Record, Text
from inspectorate.quantities import NonNegative, Period, Share


class PodShare(Record):
    """One pod's part in the account [FLOP over the period]."""

    pod: Identifier
    capacity_flop: NonNegative
    hidden_flop_max: NonNegative
    joined_flop_max: NonNegative = Field(description="its part in the largest run")


class Help(Record):
    """How far the largest hidden run falls if one group of cells were fully explained."""

    pod: Identifier | None = Field(description="none: chips that may be elsewhere")
    basis: Text = Field(description="what bounds these cells now")
    hours: NonNegative
    hidden_flop_max: NonNegative = Field(description="the largest hidden run then")
    falls_by_flop: NonNegative


class StatementUsed(Record):
    statement: Identifier
    miss_probability: Share


class AccountPoint(Record):
    """All pods together over one stretch of time [FLOP]."""

    period: Period
    capacity_flop: NonNegative
    hidden_flop_max: NonNegative


class Account(Record):
    """The largest training run that could have been hidden, and what that rests on."""

    period: Period
    interval_s: float
    confidence: Share
    capacity_flop: NonNegative = Field(description="all that the declared chips could have done")
    hidden_flop_max: NonNegative = Field(description="the largest single hidden run")
    elsewhere_flop_max: NonNegative | None = Field(
        description="of that, by chips that may not be where they are declared; none: no clause asks where chips are"
    )
    post_training_flop_max: NonNegative = Field(
        description="the same for a run whose tokens may be made in other pods: reinforcement learning, distillation"
    )
    exact: bool = Field(description="whether the choice of statements was searched to the end")
    statements: tuple[StatementUsed, ...]
    pods: tuple[PodShare, ...]
    series: tuple[AccountPoint, ...]
    help: tuple[Help, ...]
    assumptions: tuple[Text, ...]
