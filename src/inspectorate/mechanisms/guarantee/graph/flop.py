"""What a declared graph costs, by formula: a multiplication and an addition are two FLOP, as agreements count.

The cost of a token grows with its context, by attention. What a ruleset lists is an upper bound for every token, so it is held
against a token at the end of a full context.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.graph.blocks import Flop
from inspectorate.mechanisms.guarantee.graph.types import Graph


def flop_of_token(graph: Graph, context: int | None = None) -> Flop:
    """The forward pass of one token that looks back on `context` tokens, itself included; none: on all there can be.

    A server that keeps no keys computes every token of the context anew for each token that it writes, and attention over the
    square of the context with it: `Serving.cached` says whether it does. Raises `ValueError` for a graph without tokens.
    """
    if graph.serving is None:
        raise ValueError("a matrix job has no tokens")
    context = graph.serving.context if context is None else min(context, graph.serving.context)
    if context < 1:
        raise ValueError("a token looks back on itself at least")
    one = _of_row(graph, context)
    return one if graph.serving.cached else one * context


def flop_per_token(graph: Graph, context: int | None = None) -> float:
    """As `flop_of_token`, products of matrices and all else together: what `ListedModel.flop_per_token` must not be below."""
    return flop_of_token(graph, context).total


def flop_of_job(graph: Graph) -> Flop:
    """One run of a matrix job. Raises `ValueError` for a graph of tokens."""
    if graph.serving is not None:
        raise ValueError("what a language model costs depends on its tokens")
    total = Flop(0.0, 0.0)
    parameters = {parameter.name: parameter for parameter in graph.parameters}
    for step in graph.steps():
        rows = step.block.shape(step.shapes, parameters).rows
        assert rows is not None, "all inputs of a matrix job have rows"
        total += step.block.flop(step.shapes, parameters, 0) * (rows * step.times)
    return total


def _of_row(graph: Graph, context: int) -> Flop:
    total = Flop(0.0, 0.0)
    parameters = {parameter.name: parameter for parameter in graph.parameters}
    for step in graph.steps():
        total += step.block.flop(step.shapes, parameters, context) * step.times
    return total


@dataclass(frozen=True)
class Listed:
    """What a ruleset lists for a model, beside what its graph says."""

    flop_per_token_listed: float
    flop_per_token: float
    size_bytes_listed: int
    parameter_bytes: int

    @property
    def problems(self) -> tuple[str, ...]:
        """In words; none: what is listed covers what is declared."""
        found = []
        if self.flop_per_token_listed < self.flop_per_token:
            found.append(
                f"{self.flop_per_token_listed:.4g} FLOP per token are listed, and the graph takes {self.flop_per_token:.4g}"
            )
        if self.size_bytes_listed < self.parameter_bytes:
            found.append(
                f"{self.size_bytes_listed} bytes are listed, and the parameters alone take {self.parameter_bytes}"
            )
        return tuple(found)


def beside_listed(graph: Graph, *, flop_per_token_listed: float, size_bytes_listed: int) -> Listed:
    """Hold a model's entry in a ruleset against its graph. Raises `ValueError` for a graph without tokens."""
    return Listed(flop_per_token_listed, flop_per_token(graph), size_bytes_listed, graph.count()[1])
