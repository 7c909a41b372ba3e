"""The facts behind an account, each with who stands for it; and what the agreement says of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from inspectorate.agreement import Agreement
from inspectorate.canonical import Digest, Identifier, Record
from inspectorate.declaration import ChipGroup
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.implied import Energy, Memory
from inspectorate.mechanisms.inspection.flop.reference import ENERGY_MAX, PARTS_MAX
from inspectorate.mechanisms.inspection.flop.rule import Rule
from inspectorate.mechanisms.inspection.flop.tracefile import TraceTotals
from inspectorate.mechanisms.inspection.flop.work import Work
from inspectorate.quantities import NonNegative, Period, Share


class Described(Record):
    """What the run is said to have done, and who stands for it."""

    work: Work
    models_by: Holder = Field(description="prover, unless weights of these shapes were run again or code was read")
    amount_by: Holder = Field(description="prover, unless a sample of the committed work confirmed it")


class Traced(Record):
    """A trace of the loop that did the work."""

    by: Holder
    totals: TraceTotals


class Replayed(Record):
    """What the verifier counted while it ran drawn packets again."""

    stated_flop: NonNegative = Field(description="of all committed packets, as the prover counts")
    stated_of_drawn: NonNegative
    counted_of_drawn: NonNegative = Field(description="by the agreement's rule")
    dirty_share_max: Share = Field(description="of the stated FLOP, what may not be as committed at the confidence")


class Metered(Record):
    """FLOP that were counted on the chips, whatever ran there, by the agreement's rule."""

    meter: Identifier
    holder: Holder
    low: NonNegative
    high: NonNegative | None = None


class Facts(Record):
    """All that an account is made of."""

    period: Period
    pods: tuple[Identifier, ...] = Field(min_length=1, max_length=20_000)
    chips: tuple[ChipGroup, ...] = Field(min_length=1, max_length=PARTS_MAX)
    declared_flop: NonNegative | None = None
    described: Described | None = None
    traces: tuple[Traced, ...] = Field(default=(), max_length=2)
    replayed: Replayed | None = None
    metered: tuple[Metered, ...] = Field(default=(), max_length=4)
    energy: tuple[Energy, ...] = Field(default=(), max_length=ENERGY_MAX)
    memory: Memory | None = None
    rests_on: tuple[Digest, ...] = Field(
        default=(), max_length=1000, description="envelopes and files behind the facts"
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for what, names in (
            ("meter", [*(one.meter for one in self.metered), *(one.meter for one in self.energy)]),
            ("trace", [one.by.value for one in self.traces]),
            ("pod", list(self.pods)),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"a {what} stands twice")
        if any(one.joules_max < one.joules_min for one in self.energy):
            raise ValueError("joules_max is below joules_min")
        if any(one.high is not None and one.high < one.low for one in self.metered):
            raise ValueError("the high of a meter is below its low")
        return self


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the agreement says of accounts."""

    counted_formats: tuple[str, ...]
    utilisation_max: float
    disagreement_share_max: float
    sources_min: int = 1

    @classmethod
    def of(cls, agreement: Agreement, *, disagreement_share_max: float, sources_min: int) -> Terms:
        return cls(
            counted_formats=agreement.counted_formats,
            utilisation_max=agreement.utilisation.max,
            disagreement_share_max=disagreement_share_max,
            sources_min=sources_min,
        )

    @property
    def rule(self) -> Rule:
        return Rule(self.counted_formats)
