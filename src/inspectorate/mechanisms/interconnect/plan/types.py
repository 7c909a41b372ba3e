"""The nouns of the planner: pods, the limit on their links, the job, and the three cases of the adversary.

- Rates are FLOP/s that are really reached (peak times utilisation), and bytes per second in one direction.
- *Well-connected* FLOP: what a run without any limit would have needed for the same result. An adversary who synchronises
  rarely does more FLOP than that; the planner counts what they are worth (`docs/decisions/0010`).
- A case is a set of assumptions about the adversary, never a point in time: `published` (what was shown, with the quality
  loss that was shown), `central`, and `cautious` (for the verifier: the strongest adversary).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Record, Text
from inspectorate.quantities import NonNegative, Positive, Share

PODS_MAX = 4_096
TRAINING_BYTES_PER_PARAMETER = 16.0
"""Weights, gradients and optimiser state in mixed BF16 (arXiv 2605.29359, simulator: 16 bytes a parameter)."""
ANCHOR_FLOP, ANCHOR_BATCH_TOKENS = 3.79e25, 16e6
"""Llama 3.1 405B: 6 x 405e9 x 15.6e12 FLOP, 16 million tokens a step (arXiv 2506.15867, A3)."""
SEQUENCE_TOKENS = 8_192.0


class Case(StrEnum):
    """How able the adversary is."""

    PUBLISHED = "published"
    CENTRAL = "central"
    CAUTIOUS = "cautious"


class Pods(Record):
    """Equal pods, and what each reaches."""

    count: Annotated[int, Field(ge=1, le=PODS_MAX)]
    flop_per_s: Positive = Field(description="reached by one pod: peak x utilisation")
    memory_bytes: Positive = Field(description="accelerator memory of one pod")


class LinkLimit(Record):
    """What one pod may send and receive."""

    sent_bytes_per_s: Positive
    received_bytes_per_s: Positive
    round_trip_s: NonNegative = 0.1
    duty: Annotated[float, Field(gt=0, le=1)] = Field(default=1.0, description="share of the time the link may be used")
    window_bytes: NonNegative = Field(default=0.0, description="what a loading window lets through each way, per pod")
    window_every_s: Positive = Field(default=172_800.0, description="from one loading window to the next")

    @classmethod
    def same(cls, bytes_per_s: float, *, round_trip_s: float = 0.1) -> Self:
        """The same rate both ways."""
        return cls(sent_bytes_per_s=bytes_per_s, received_bytes_per_s=bytes_per_s, round_trip_s=round_trip_s)

    def scaled(self, bytes_per_s: float) -> LinkLimit:
        """The same terms at another sending rate; the receiving rate keeps its proportion to it."""
        share = self.received_bytes_per_s / self.sent_bytes_per_s
        return self.model_copy(update={"sent_bytes_per_s": bytes_per_s, "received_bytes_per_s": bytes_per_s * share})


class Job(Record):
    """What is to be trained."""

    parameters: Positive
    tokens: Positive = Field(description="of the whole run")
    batch_tokens: Positive = Field(description="tokens per step over all pods, as a well-connected run would take them")
    sequence_tokens: Positive = SEQUENCE_TOKENS
    width: Positive = Field(description="of the residual stream, in values")
    layers: Positive
    value_share: Share = Field(
        default=1.0, description="worth of a FLOP at this size, against the compute-optimal size of the same compute"
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.batch_tokens > self.tokens:
            raise ValueError("one step takes more tokens than the run has")
        return self

    @property
    def flop(self) -> float:
        """6 x parameters x tokens (arXiv 2001.08361)."""
        return 6 * self.parameters * self.tokens


def batch_tokens_for(flop: float) -> float:
    """Tokens per step of a well-connected run of this size.

    Modelling choice: the cube root of compute through Llama 3.1 405B. It gives 3.2 million tokens for GPT-3 (3.14e23 FLOP),
    which is what GPT-3 took (arXiv 2005.14165, table 2.1).
    """
    return float(ANCHOR_BATCH_TOKENS * (flop / ANCHOR_FLOP) ** (1 / 3))


def job_of(parameters: float, tokens: float, *, batch_tokens: float | None = None, value_share: float = 1.0) -> Job:
    """A dense transformer of this size. Width 0.03 sqrt(P) (arXiv 2605.29359, simulator), 12 width^2 parameters a layer."""
    width = max(1.0, 0.03 * parameters**0.5)
    flop = 6 * parameters * tokens
    return Job(
        parameters=parameters,
        tokens=tokens,
        batch_tokens=min(tokens, batch_tokens if batch_tokens is not None else batch_tokens_for(flop)),
        width=width,
        layers=max(1.0, parameters / (12 * width**2)),
        value_share=value_share,
    )


class Layout(Record):
    """How one method used the pods."""

    groups: int = Field(ge=1, description="replicas that exchange updates")
    parts: int = Field(ge=1, description="pods that share one replica")
    inner_steps: float = Field(ge=1, description="optimiser steps between two synchronisations")


class MethodReach(Record):
    """What one method reaches under one limit."""

    method: Text
    counts_as: Text
    level: Text
    flop_per_s: NonNegative = Field(description="worth in well-connected FLOP/s of all pods together; 0: does not work")
    slowdown: float | None = Field(description="against all pods well connected; none where it does not work")
    layout: Layout | None
    bound_by: Text = Field(description="what holds it back: compute, link, memory")


class Reach(Record):
    """What an adversary of one case reaches under one limit, method by method, the best first."""

    case: Case
    methods: tuple[MethodReach, ...]
    unlimited_flop_per_s: Positive

    def best(self, counts_as: str = "pre-training", *, joint: bool = False) -> MethodReach:
        """The best method of a kind; post-training counts pre-training methods as well. `joint` leaves out one pod alone."""
        fitting = [
            m
            for m in self.methods
            if (counts_as == "post-training" or m.counts_as == "pre-training") and not (joint and m.method == "alone")
        ]
        return max(fitting, key=lambda m: m.flop_per_s)
