"""What chips, wall time, energy and memory allow, whatever anybody says was done.

Rules:

- By time: no more than the chips' peak under the agreement's rule, times the utilisation with which it credits a cheater. Least: 0.
- By energy, most: what is left after the least idle power, at the least energy per FLOP that is credited. Losses of supplies, fans
  and hosts are not taken off: they only make less. Least: 0, unless one assumes that the energy went into training.
- Memory bounds parameters and not FLOP: a small model can be trained for as long as one likes.

That time is explained by declared work does not make it exclusive: work beside it can use what the declared work leaves idle.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from inspectorate.canonical import Identifier, Record
from inspectorate.declaration import ChipGroup, MeasuringPoint
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.reference import (
    ENERGY_MARGIN,
    IDLE_SHARE_MIN,
    TRAINED_BYTES_MIN,
    UTILISATION_OF_TRAINING_MIN,
)
from inspectorate.mechanisms.inspection.flop.rule import Rule
from inspectorate.quantities import NonNegative, Positive


class Energy(Record):
    """What one meter measured in the period, over all chips of the account."""

    meter: Identifier
    holder: Holder
    point: MeasuringPoint
    joules_min: NonNegative
    joules_max: NonNegative = Field(description="not below joules_min; gaps count at full power")


class Memory(Record):
    """The most memory that was in use on all chips together."""

    holder: Holder
    bytes_max: Positive


def by_time(chips: Sequence[ChipGroup], seconds: float, rule: Rule, utilisation: float) -> float:
    """The most that the chips can have done [counted FLOP]."""
    return sum(group.count * rule.peak_per_s(group.chip) for group in chips) * utilisation * seconds


def by_energy(chips: Sequence[ChipGroup], seconds: float, rule: Rule, energy: Energy) -> float | None:
    """The most that the measured energy allows; none where a chip's design power is not known."""
    idle_w, per_flop = 0.0, []
    for group in chips:
        if group.chip.tdp_w is None:
            return None
        idle_w += group.count * group.chip.tdp_w * IDLE_SHARE_MIN
        per_flop.append(ENERGY_MARGIN * group.chip.tdp_w / rule.peak_per_s(group.chip))
    return max(0.0, energy.joules_max - idle_w * seconds) / min(per_flop)


def by_energy_if_training(chips: Sequence[ChipGroup], rule: Rule, energy: Energy) -> float:
    """The least that was done, if all energy that chips drew went into training at a utilisation that is usual at least.

    0 for a meter that measures more than chips, and where a chip's design power is not known.
    """
    if energy.point is not MeasuringPoint.CHIP:
        return 0.0
    least = []
    for group in chips:
        if group.chip.tdp_w is None:
            return 0.0
        rates = [rate for name, rate in group.chip.flop_per_s.items() if name in {"fp16", "bf16"}]
        rate = max(rates) if rates else rule.peak_per_s(group.chip)
        least.append(rate * UTILISATION_OF_TRAINING_MIN / group.chip.tdp_w)
    return energy.joules_min * min(least)


def trainable_at_most(memory: Memory, weights_bytes: float) -> float:
    """How many parameters could have been trained in the memory that declared weights leave."""
    return max(0.0, memory.bytes_max - weights_bytes) / TRAINED_BYTES_MIN
