"""What facts say by themselves, before any range is joined: phases that should not be there, kernels that were not counted.

A job that only answers does no backward pass and no optimiser step at all: one that shows in its trace needs no sum to be found.
And a forward pass below what the described model takes shows that the counter missed kernels, whatever the total is.
"""

from __future__ import annotations

from enum import StrEnum

from inspectorate.canonical import Record, Text
from inspectorate.mechanisms.inspection.flop.analytic import parameters
from inspectorate.mechanisms.inspection.flop.facts import Facts
from inspectorate.mechanisms.inspection.flop.reference import TRAINED_BYTES_MIN
from inspectorate.mechanisms.inspection.flop.tracefile import Phase, TraceTotals
from inspectorate.mechanisms.inspection.flop.work import Does, Recompute, Work, flop_of_part

FORWARD_SLACK = 1e-6
"""Relative: rounding of counts that are sums of floats."""


class SignKind(StrEnum):
    """What facts say by themselves, without any sum."""

    BACKWARD_WITHOUT_TRAINING = "backward-without-training"
    OPTIMISER_WITHOUT_TRAINING = "optimiser-without-training"
    TRAINING_WITHOUT_BACKWARD = "training-without-backward"
    RECOMPUTED = "recomputed-though-declared-not"
    FORWARD_BELOW_FORMULA = "forward-below-formula"
    FORWARD_ABOVE_FORMULA = "forward-above-formula"
    UNCOUNTED = "uncounted-operators"
    MEMORY_TOO_SMALL = "memory-too-small"


CONTRADICTING = frozenset(
    {
        SignKind.BACKWARD_WITHOUT_TRAINING,
        SignKind.OPTIMISER_WITHOUT_TRAINING,
        SignKind.TRAINING_WITHOUT_BACKWARD,
        SignKind.FORWARD_ABOVE_FORMULA,
    }
)
"""Signs that contradict the description; the others ask a question."""


class Sign(Record):
    """One sign, in words."""

    kind: SignKind
    text: Text


def signs_of(facts: Facts) -> tuple[Sign, ...]:
    """What the facts say by themselves."""
    found: list[Sign] = []
    for one in facts.traces:
        where = f"trace of the {one.by.value}"
        if one.totals.uncounted:
            names = ", ".join(other.operator for other in one.totals.uncounted[:4])
            found.append(
                Sign(kind=SignKind.UNCOUNTED, text=f"{where}: no formula for {names}; the upper bound is open")
            )
        if facts.described is not None:
            found += _against_description(where, one.totals, facts.described.work)
    if facts.memory is not None and facts.described is not None:
        needed = TRAINED_BYTES_MIN * _trained_parameters(facts.described.work)
        if needed > facts.memory.bytes_max:
            found.append(
                Sign(kind=SignKind.MEMORY_TOO_SMALL,
                     text=f"training takes {needed:.3g} bytes at least, and {facts.memory.bytes_max:.3g} were in use")
            )  # fmt: skip
    return tuple(found)


def _against_description(where: str, traced: TraceTotals, work: Work) -> list[Sign]:
    """A trace held against what is described: phases first, then forward products against the formula."""
    found = []
    phases = traced.phases
    if not work.trains:
        for phase, kind in (
            (Phase.BACKWARD, SignKind.BACKWARD_WITHOUT_TRAINING),
            (Phase.OPTIMISER, SignKind.OPTIMISER_WITHOUT_TRAINING),
        ):
            if phase in phases:
                done = sum(one.operations for one in traced.counts if one.phase is phase)
                found.append(
                    Sign(kind=kind, text=f"{where}: {done:.4g} {phase.value} operations in work that trains nothing")
                )
    elif Phase.BACKWARD not in phases:
        found.append(
            Sign(kind=SignKind.TRAINING_WITHOUT_BACKWARD, text=f"{where}: no backward pass in work that trains")
        )
    if Phase.RECOMPUTE in phases and all(
        part.recompute is Recompute.NONE for part in work.parts if part.does is Does.TRAIN
    ):
        found.append(
            Sign(kind=SignKind.RECOMPUTED, text=f"{where}: activations were computed again, and none is declared")
        )
    low, high = forward_products(work)
    forward = traced.products(Phase.FORWARD)
    if forward < low and not traced.uncounted:
        found.append(
            Sign(kind=SignKind.FORWARD_BELOW_FORMULA,
                 text=f"{where}: {forward:.4g} operations in forward products, and the described work takes {low:.4g}: "
                 "the counter missed kernels, or less was done")
        )  # fmt: skip
    if forward > high:
        found.append(
            Sign(kind=SignKind.FORWARD_ABOVE_FORMULA,
                 text=f"{where}: {forward:.4g} operations in forward products, and the described work takes {high:.4g} at most")
        )  # fmt: skip
    return found


def forward_products(work: Work) -> tuple[float, float]:
    """Operations in forward products of the whole work, least and most: what a counter must see of it, at least."""
    low = high = 0.0
    for part in work.parts:
        passed = part.model_copy(update={"does": Does.FORWARD}) if part.does is Does.TRAIN else part
        flop = flop_of_part(work, passed)
        low += flop.products_min
        high += flop.products_max
    return low, high * (1 + FORWARD_SLACK)


def _trained_parameters(work: Work) -> float:
    most = 0.0
    for part in work.parts:
        if part.does is Does.TRAIN and part.trained.last_layers is None:
            adapters = part.trained.adapter_parameters
            most = max(most, float(parameters(work.model(part.model)).total if adapters is None else adapters))
    return most
