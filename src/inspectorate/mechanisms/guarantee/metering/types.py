"""What is metered, who told it, and how far that can be trusted.

A meter never says less than was used, as far as its source can be trusted: `used` is an upper bound. Where a lower bound is known
too, the two say how much is uncertain.
"""

from __future__ import annotations

from enum import StrEnum

from inspectorate.canonical import Record
from inspectorate.quantities import NonNegative


class MeterKind(StrEnum):
    """What can be budgeted. The order is that of the report, and entries are only ever added at its end."""

    FLOP = "flop"
    BYTES_OUT = "bytes-out"
    """Bytes of answers that left towards clients."""
    BYTES_IN = "bytes-in"
    """Bytes of requests and uploads that came in."""
    BYTES_BETWEEN_CHIPS = "bytes-between-chips"
    ENERGY_J = "energy-j"
    WALL_S = "wall-s"
    """Time in which the chips were not held."""


class Source(StrEnum):
    """Who told a meter's value, most trusted first (arXiv 2506.03409: traffic, memory, counters)."""

    PATH = "path"
    """The processor saw it pass."""
    CLOCK = "clock"
    """Time in which work was possible, times the most that the chips can do."""
    OUTSIDE = "outside"
    """A meter beside the machine, such as a power distribution unit."""
    KERNEL = "kernel"
    """The host's kernel: accounting of a control group."""
    CHIP = "chip"
    """Counters of the accelerator or its driver."""
    WORKLOAD = "workload"
    """The workload itself, such as counted operators."""


class Reading(Record):
    """How much of one meter was used over some time."""

    meter: MeterKind
    used: NonNegative
    """At most so much, in the unit of the meter."""
    at_least: NonNegative = 0.0
    source: Source


class AtLeast(Record):
    """How much of one meter was used at least. It bounds nothing from above: such a source may not see all."""

    meter: MeterKind
    at_least: NonNegative
    source: Source


TRUST: tuple[Source, ...] = tuple(Source)
"""Most trusted first."""


def least_trusted(*sources: Source) -> Source:
    return max(sources, key=TRUST.index)
