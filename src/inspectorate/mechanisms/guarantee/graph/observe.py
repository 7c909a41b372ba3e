"""Whether the bytes that moved are those that a declared graph must and may move.

Every range has two ends. Below the lower one, work that is claimed was not done there, or not by this graph; above the
upper one, something else moved. What is in between proves nothing: traffic within the range may still be other traffic.

- Into the server: the prompts, at the declared bytes per token, and what a request adds.
- Out of it: the answers, and what a response and each of its events adds.
- Between chips: with p pipeline stages, p - 1 transfers of one row of the carried value per token; with tensors split over
  t chips, one sum over all t for every residual, per token. A sum over t chips of m bytes moves t m at least (summed on the
  way) or 2 (t - 1) m (a ring), whichever is less, and t (t - 1) m at most (everybody to everybody); embedding and scores at
  most once each in addition.

Counts of tokens are bounds as well: what the path saw sent at least, and what was asked for at most.

Not here: keys and values that move between machines that split prompt and answer; batches that are padded.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Record
from inspectorate.mechanisms.guarantee.graph.blocks import Add
from inspectorate.mechanisms.guarantee.graph.reference import BYTES_OF
from inspectorate.mechanisms.guarantee.graph.types import Graph, Outcome, Repeat
from inspectorate.quantities import NonNegative, Share

Count = Annotated[int, Field(ge=0, le=2**60)]
Chips = Annotated[int, Field(ge=1, le=4096)]


class Within(Record):
    """A range of bytes, both ends included."""

    low: NonNegative
    high: NonNegative

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.high < self.low:
            raise ValueError("a range ends before it begins")
        return self


class Carriage(Record):
    """How tokens are carried, and over how many chips the graph is spread: declared with it."""

    prompt_bytes_per_token: Within
    answer_bytes_per_token: Within
    """One event or part of an answer, with its token."""
    request_bytes: Within
    """Heads and framing of a request, beside its prompt."""
    response_bytes: Within
    pipeline: Chips = 1
    tensor: Chips = 1


class Moved(Record):
    """What was observed over some time."""

    requests: Count
    prompt_tokens: tuple[Count, Count]
    answer_tokens: tuple[Count, Count]
    """At least, and at most."""
    bytes_in: Count | None = None
    bytes_out: Count | None = None
    bytes_between_chips: Count | None = None
    meter_share: Share = 0.0
    """Relative error of the meters."""

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.prompt_tokens[0] > self.prompt_tokens[1] or self.answer_tokens[0] > self.answer_tokens[1]:
            raise ValueError("at least more than at most")
        return self


class Direction(StrEnum):
    IN = "bytes-in"
    OUT = "bytes-out"
    BETWEEN_CHIPS = "bytes-between-chips"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One direction: what the graph must and may move, and what moved."""

    direction: Direction
    expected: Within
    observed: int | None
    outcome: Outcome

    @property
    def unexplained_bytes(self) -> float:
        """Above the most that the graph may move."""
        return 0.0 if self.observed is None else max(0.0, self.observed - self.expected.high)


def compare(graph: Graph, carriage: Carriage, moved: Moved) -> tuple[Compared, ...]:
    """Each direction that has a counter, against the graph. Raises `ValueError` for a graph without tokens."""
    between = between_chips_per_token(graph, carriage)
    prompt, answer = moved.prompt_tokens, moved.answer_tokens
    rows = _rows_computed(graph, moved)
    expected = {
        Direction.IN: _sum((carriage.request_bytes, (moved.requests,) * 2), (carriage.prompt_bytes_per_token, prompt)),
        Direction.OUT: _sum(
            (carriage.response_bytes, (moved.requests,) * 2), (carriage.answer_bytes_per_token, answer)
        ),
        Direction.BETWEEN_CHIPS: _sum((between, rows)),
    }
    observed = {
        Direction.IN: moved.bytes_in,
        Direction.OUT: moved.bytes_out,
        Direction.BETWEEN_CHIPS: moved.bytes_between_chips,
    }
    return tuple(_compared(which, expected[which], observed[which], moved.meter_share) for which in Direction)


def between_chips_per_token(graph: Graph, carriage: Carriage) -> Within:
    """Bytes between chips for one row of values. Raises `ValueError` for a graph without tokens."""
    if graph.serving is None:
        raise ValueError("a matrix job has no tokens")
    each, chips = BYTES_OF[graph.arithmetic], carriage.tensor
    carried, summed, widest = 0, 0, 0
    for item in graph.body:
        if isinstance(item, Repeat):
            columns = _columns(graph, item)
            carried, widest = columns, max(widest, columns)
            summed += item.times * columns * sum(isinstance(block, Add) for block in item.blocks)
    stages = (carriage.pipeline - 1) * carried * each
    low, high = stages, stages * chips
    if chips > 1:
        low += min(chips, 2 * (chips - 1)) * summed * each
        high += chips * (chips - 1) * (summed + widest + graph.serving.vocabulary) * each
    return Within(low=low, high=high)


def _columns(graph: Graph, repeat: Repeat) -> int:
    """Columns of what a repetition carries on."""
    for step in graph.steps():
        if any(step.block is block for block in repeat.blocks):
            return step.shapes[repeat.carried].columns
    raise AssertionError("a repetition has blocks")


def _rows_computed(graph: Graph, moved: Moved) -> tuple[int, int]:
    """Tokens that went through the graph: each once, or with its whole context where nothing is kept."""
    assert graph.serving is not None
    (_, prompt_max), (answer_min, answer_max) = moved.prompt_tokens, moved.answer_tokens
    if graph.serving.cached:
        # The last token of an answer need not go in again; a prompt that was seen before need not either.
        return max(0, answer_min - moved.requests), prompt_max + answer_max
    return answer_min, (answer_max + moved.requests) * graph.serving.context


def _sum(*parts: tuple[Within, tuple[int, int]]) -> Within:
    return Within(
        low=sum(each.low * counts[0] for each, counts in parts),
        high=sum(each.high * counts[1] for each, counts in parts),
    )


def _compared(direction: Direction, expected: Within, observed: int | None, meter_share: float) -> Compared:
    given = Within(low=expected.low * (1.0 - meter_share), high=expected.high * (1.0 + meter_share))
    if observed is None:
        outcome = Outcome.CANNOT_TELL
    else:
        outcome = Outcome.CONSISTENT if given.low <= observed <= given.high else Outcome.DIFFERS
    return Compared(direction=direction, expected=given, observed=observed, outcome=outcome)
