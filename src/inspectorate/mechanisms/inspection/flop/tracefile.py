"""The record that a `FlopTrace` writes: operations by operator, format and phase, packet by packet. Read without torch.

Rules:

- What was seen and could not be counted stands in the record by name (`uncounted`): then there is no upper bound.
- A trace is the word of whoever ran the loop. It becomes the verifier's own by running drawn packets again with a trace of its own.
- A reader takes a bounded number of bytes in canonical form, or refuses them.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from inspectorate.canonical import Identifier, Record, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.inspection.flop.reference import (
    FORMAT_BITS,
    OPERATORS_MAX,
    PACKETS_MAX,
    TRACE_BYTES_MAX,
    UNCOUNTED_MAX,
)
from inspectorate.mechanisms.inspection.flop.rule import Counted, Operations, Rule
from inspectorate.quantities import NonNegative

OperatorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:]{1,120}$")]
Calls = Annotated[int, Field(ge=1, lt=2**53)]


class Phase(StrEnum):
    """Where in a step an operation was done."""

    FORWARD = "forward"
    BACKWARD = "backward"
    RECOMPUTE = "recompute"
    """A forward operation inside the backward pass, with gradients on: activations that were not kept."""
    OPTIMISER = "optimiser"


class OperatorCount(Record):
    """What one operator did in one format and phase."""

    operator: OperatorName
    format: Identifier
    phase: Phase
    product: bool = Field(description="a product of matrices, a convolution or attention; otherwise element-wise")
    operations: NonNegative = Field(description="a multiply-add is two; a 2:4 sparse product at its dense shape")
    sparse: bool = False
    calls: Calls

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.format not in FORMAT_BITS and self.format != "bf16":
            raise ValueError(f"{self.format} is no number format that is known here; write `other`")
        return self


class Uncounted(Record):
    """An operator that may multiply, and for which there is no formula."""

    operator: OperatorName
    calls: Calls


class PacketTrace(Record):
    """One packet of work."""

    number: Annotated[int, Field(ge=0, lt=2**53)]
    counts: tuple[OperatorCount, ...] = Field(max_length=OPERATORS_MAX)
    uncounted: tuple[Uncounted, ...] = Field(default=(), max_length=UNCOUNTED_MAX)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [(one.operator, one.format, one.phase, one.sparse) for one in self.counts]
        if keys != sorted(set(keys)):
            raise ValueError("counts must be sorted by operator, format and phase, and distinct")
        return self


class Trace(Record):
    """A trace of one run."""

    run: Identifier
    library: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="what counted, with its version"
    )
    packets: tuple[PacketTrace, ...] = Field(min_length=1, max_length=PACKETS_MAX)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        numbers = [packet.number for packet in self.packets]
        if numbers != sorted(set(numbers)):
            raise ValueError("packets must be in order, each once")
        return self


class TraceTotals(Record):
    """A trace, summed over its packets: what an account keeps of it."""

    run: Identifier
    packets: Annotated[int, Field(ge=1, le=PACKETS_MAX)]
    counts: tuple[OperatorCount, ...] = Field(max_length=OPERATORS_MAX)
    uncounted: tuple[Uncounted, ...] = Field(default=(), max_length=UNCOUNTED_MAX)

    def counted(self, rule: Rule, *phases: Phase) -> Counted:
        """What the agreement counts of it; of the named phases only, if any are named."""
        return rule.count(
            Operations(
                format=one.format,
                dense=0.0 if one.sparse else one.operations,
                sparse=one.operations if one.sparse else 0.0,
            )
            for one in self.counts
            if not phases or one.phase in phases
        )

    def products(self, *phases: Phase) -> float:
        """Operations of products, uncounted by any rule: what is held against a formula."""
        return sum(one.operations for one in self.counts if one.product and (not phases or one.phase in phases))

    @property
    def phases(self) -> frozenset[Phase]:
        return frozenset(one.phase for one in self.counts if one.operations > 0)


def parse_trace(data: bytes, *, where: str) -> Trace:
    """Read a trace. Raises `EvidenceError`."""
    if len(data) > TRACE_BYTES_MAX:
        raise EvidenceError(f"a trace of {len(data)} bytes exceeds {TRACE_BYTES_MAX}", where=where)
    return Trace.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)


def totals(trace: Trace) -> TraceTotals:
    """All packets of a trace together. Raises `EvidenceError` where there are too many different operators."""
    return _summed(trace.run, trace.packets)


def totals_of(traces: Iterable[Trace], *, run: str) -> TraceTotals:
    """Several traces of one run together. Raises `EvidenceError` on a trace of another run, on a packet twice, and on none."""
    packets: list[PacketTrace] = []
    for trace in traces:
        if trace.run != run:
            raise EvidenceError(f"is of run {trace.run}, not of {run}", where=f"trace of {trace.run}")
        packets += trace.packets
    numbers = [packet.number for packet in packets]
    if not packets or len(set(numbers)) != len(numbers):
        raise EvidenceError("no packets, or a packet twice", where=f"traces of {run}")
    return _summed(run, packets)


def _summed(run: str, packets: Iterable[PacketTrace]) -> TraceTotals:
    summed: dict[tuple[str, str, Phase, bool], OperatorCount] = {}
    missing: dict[str, int] = {}
    number = 0
    for packet in packets:
        number += 1
        for one in packet.counts:
            key = (one.operator, one.format, one.phase, one.sparse)
            before = summed.get(key)
            summed[key] = one if before is None else _plus(before, one)
        for other in packet.uncounted:
            missing[other.operator] = missing.get(other.operator, 0) + other.calls
    if len(summed) > OPERATORS_MAX or len(missing) > UNCOUNTED_MAX:
        raise EvidenceError("holds more different operators than a trace may", where=f"trace of {run}")
    return TraceTotals.parse(
        {
            "run": run,
            "packets": number,
            "counts": [summed[key].model_dump() for key in sorted(summed)],
            "uncounted": [{"operator": name, "calls": missing[name]} for name in sorted(missing)],
        },
        where=f"trace of {run}",
        error=EvidenceError,
    )


def _plus(one: OperatorCount, other: OperatorCount) -> OperatorCount:
    return one.model_copy(update={"operations": one.operations + other.operations, "calls": one.calls + other.calls})
