"""An independent evaluation of a declared language model, in float64: what it gives for stated tokens.

Teacher forcing: prompt and answer are read as one sequence, and the scores of every answered place come from one pass. Past the
context of a model that slides, each place has a window of its own, as the server had.

The evaluation is the reference against which tolerances are measured: its own rounding (some 1e-13) is far below that of any
server's arithmetic, and it uses nothing of the server's program.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.guarantee.graph.blocks import TOKENS, Attention, Block, Position
from inspectorate.mechanisms.guarantee.graph.flop import flop_of_token
from inspectorate.mechanisms.guarantee.graph.operations import compute
from inspectorate.mechanisms.guarantee.graph.reference import CELLS_MAX
from inspectorate.mechanisms.guarantee.graph.types import Graph, Repeat
from inspectorate.mechanisms.guarantee.graph.weights import Numbers, Weights

Tokens = NDArray[np.int64]

_KEPT_NUMBERS_MAX = 1 << 24
"""Models up to this size are converted to float64 once; larger ones layer by layer, at every pass."""
_BATCH_NUMBERS = 1 << 22


class Evaluator:
    """A graph on its weights."""

    def __init__(self, graph: Graph, weights: Weights) -> None:
        """Raises `ValueError` for a matrix job."""
        if graph.serving is None:
            raise ValueError("a matrix job answers no prompts")
        self.graph = graph
        self.serving = graph.serving
        self._weights = weights
        self._parameters = {parameter.name: parameter for parameter in graph.parameters}
        self._keeps = graph.count()[0] <= _KEPT_NUMBERS_MAX
        self._kept: dict[str, Numbers] = {}

    def scores(self, tokens: Tokens, rows: Sequence[int]) -> Numbers:
        """What the graph gives at `rows` for a batch of sequences, shape (batch, length): (batch, len(rows), vocabulary).

        Raises `ValueError` on tokens that are not of the vocabulary, on more than the context, and on too much at once.
        """
        batch, length = tokens.shape
        if not 1 <= length <= self.serving.context:
            raise ValueError(f"{length} tokens do not fit into a context of {self.serving.context}")
        if tokens.min() < 0 or tokens.max() >= self.serving.vocabulary:
            raise ValueError("a token is not in the vocabulary")
        if batch * length * self._widest() > CELLS_MAX or batch * len(rows) * self.serving.vocabulary > CELLS_MAX:
            raise ValueError("more at once than the evaluation holds in memory")
        values: dict[str, Numbers] = {TOKENS: tokens[:, :, None].astype(np.float64)}
        kept = list(rows)
        cut = self._row_wise_from()
        for index, item in enumerate(self.graph.body):
            if index == cut:
                values = {name: value[:, kept] for name, value in values.items()}
            if isinstance(item, Repeat):
                values[item.output] = self._repeat(item, values[item.input])
            else:
                values[item.output] = compute(item, values, self._get)
        result = values[self.graph.output]
        return result if cut < len(self.graph.body) else result[:, kept]

    def answer_scores(
        self, prompt: Sequence[int], answer: Sequence[int], places: Sequence[int] | None = None
    ) -> Numbers:
        """The scores from which each answered token was chosen; (places, vocabulary). `places` are indices of the answer.

        Raises `ValueError` as `scores` does, and where a model that refuses beyond its context would have ended.
        """
        if not prompt:
            raise ValueError("without a prompt the first token has no context")
        sequence = np.asarray([*prompt, *answer], dtype=np.int64)
        asked = np.arange(len(answer)) if places is None else np.asarray(places, dtype=np.int64)
        at = asked + len(prompt)
        context = self.serving.context
        if self.serving.beyond == "refuse" and len(at) and at.max() > context:
            raise ValueError(f"the answer goes on past a context of {context}")
        result = np.empty((len(at), self.serving.vocabulary))
        within = np.flatnonzero(at <= context)
        if len(within):
            rows = at[within] - 1
            result[within] = self.scores(sequence[None, : int(rows.max()) + 1], rows.tolist())[0]
        beyond = np.flatnonzero(at > context)
        step = max(1, _BATCH_NUMBERS // (context * self._widest()))
        for start in range(0, len(beyond), step):
            piece = beyond[start : start + step]
            windows = np.stack([sequence[end - context : end] for end in at[piece]])
            result[piece] = self.scores(windows, [context - 1])[:, 0]
        return result

    def flop_of_answer(self, prompt: int, answer: int) -> float:
        """What `answer_scores` costs over all places, from above."""
        context = self.serving.context
        one = flop_of_token(self.graph).total / (1 if self.serving.cached else context)
        return one * (min(prompt + answer, context) + context * max(0, prompt + answer - context))

    def _repeat(self, repeat: Repeat, value: Numbers) -> Numbers:
        for layer in range(repeat.times):
            inner = {repeat.carried: value}
            for block in repeat.blocks:
                inner[block.output] = compute(block, inner, lambda name, layer=layer: self._get(name, layer))  # type: ignore[misc]
            value = inner[repeat.output]
        return value

    def _get(self, name: str, layer: int | None = None) -> Numbers:
        full = name if layer is None else name.replace("{}", str(layer))
        if full not in self._kept:
            numbers = self._weights.numbers(full, self._parameters[name])
            if not self._keeps:
                return numbers
            self._kept[full] = numbers
        return self._kept[full]

    def _row_wise_from(self) -> int:
        """From which item of the body on rows no longer see one another: only those asked for are computed then."""
        last = -1
        for index, item in enumerate(self.graph.body):
            blocks: Sequence[Block] = item.blocks if isinstance(item, Repeat) else (item,)
            if any(isinstance(block, Attention | Position) for block in blocks):
                last = index
        return last + 1

    def _widest(self) -> int:
        """Columns of the widest value before rows are dropped."""
        widest = 1
        for step in self.graph.steps():
            if step.times > 1 or step.block.output != self.graph.output:
                shape = step.block.shape(step.shapes, self._parameters)
                widest = max(widest, shape.columns)
        return widest


def evaluate_job(graph: Graph, weights: Weights | None, inputs: dict[str, Numbers]) -> dict[str, Numbers]:
    """All values of a matrix job from its inputs, each of shape (rows, columns): the slow way to check one.

    Raises `ValueError` where the inputs are not those declared.
    """
    declared = {given.name: (given.rows, given.columns) for given in graph.inputs}
    if {name: value.shape for name, value in inputs.items()} != declared:
        raise ValueError("the inputs are not those that the graph declares")
    parameters = {parameter.name: parameter for parameter in graph.parameters}
    values = {name: np.asarray(value, dtype=np.float64)[None] for name, value in inputs.items()}

    def get(name: str) -> Numbers:
        if weights is None:
            raise ValueError(f"{name} is a parameter, and there are no weights")
        return weights.numbers(name, parameters[name])

    for item in graph.body:
        if isinstance(item, Repeat):
            raise ValueError("a matrix job with repetitions is evaluated layer by layer, not here")
        values[item.output] = compute(item, values, get)
    return {name: value[0] for name, value in values.items()}
