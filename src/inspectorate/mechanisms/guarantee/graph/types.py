"""A declared job: a directed graph of blocks over committed parameters, in one byte form with one digest.

- Every value is written once and read only after it was written; every block leads to the output; every parameter is used. What is
  declared is what is computed, with nothing beside it.
- Layers are written once and repeated (`Repeat`): a graph of a thousand layers is no larger than one of two.
- The graph is static: what a block does depends on no value. (Experts that are chosen by values are not expressible.)

Not here: what it costs (`flop`), what it computes (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record, digest_of, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.graph.blocks import (
    TOKENS,
    Activation,
    Add,
    Attention,
    Block,
    Dimension,
    Embedding,
    LayerNorm,
    Linear,
    MatMul,
    Multiply,
    Parameter,
    Position,
    RmsNorm,
    Shape,
    Slice,
    Softmax,
)
from inspectorate.mechanisms.guarantee.graph.reference import (
    BLOCKS_MAX,
    BYTES_OF,
    CONTEXT_MAX,
    GRAPH_BYTES_MAX,
    NUMBERS_MAX,
    PARAMETERS_MAX,
    REPEATS_MAX,
    Format,
)


class Outcome(StrEnum):
    """What a check of observed values against a graph says."""

    CONSISTENT = "consistent"
    """Within the tolerance everywhere that was looked at."""
    DIFFERS = "differs"
    """The declared graph cannot have given this."""
    CANNOT_TELL = "cannot-tell"
    """It was not, or could not be, recomputed."""

    def __bool__(self) -> bool:
        raise TypeError("an outcome is neither true nor false; compare it with an Outcome")


class Repeat(Record):
    """Blocks that are run `times` over: what comes out as `output` goes in again as `carried`.

    At first `carried` is the value `input`; afterwards the result stands under the name of `output`. `{}` in the names of
    parameters is the number of the layer, from 0.
    """

    operation: Literal["repeat"] = "repeat"
    times: Annotated[int, Field(ge=1, le=REPEATS_MAX)]
    input: Identifier
    carried: Identifier
    blocks: tuple[Block, ...] = Field(min_length=1, max_length=BLOCKS_MAX)
    output: Identifier


Item = Annotated[
    Embedding
    | Position
    | Linear
    | MatMul
    | LayerNorm
    | RmsNorm
    | Activation
    | Softmax
    | Slice
    | Add
    | Multiply
    | Attention
    | Repeat,
    Field(discriminator="operation"),
]


class MatrixInput(Record):
    """A value that a matrix job is given."""

    name: Identifier
    rows: Dimension
    columns: Dimension


class Choice(StrEnum):
    """How a token is chosen from what the graph gives."""

    GREEDY = "greedy"
    """The likeliest."""
    SEEDED = "seeded"
    """At random, from a seed that the verifier knows: it can be recomputed (DiFR)."""
    FREE = "free"
    """At random, by the server: only its statistics can be checked."""


class Sampling(Record):
    """How the server chooses tokens, as declared."""

    choice: Choice
    temperature: Annotated[float, Field(gt=0, le=100)] = 1.0
    top_k: Annotated[int, Field(ge=1, le=1 << 20)] | None = None


class Serving(Record):
    """How a language model is served."""

    vocabulary: Dimension
    context: Annotated[int, Field(ge=1, le=CONTEXT_MAX)]
    beyond: Literal["slide", "refuse"] = "refuse"
    """Past the context: go on with the last `context` tokens, placed from 0; or end."""
    cached: bool = True
    """Whether keys and values of earlier tokens are kept; if not, every token costs a pass over its whole context."""
    sampling: Sampling


@dataclass(frozen=True)
class Step:
    """One block of a walk over the graph: how often it runs, and the shapes of the values that it sees."""

    block: Block
    times: int
    shapes: Mapping[str, Shape]


class Graph(Record):
    """One declared job: a language model (`serving`), or products of matrices (`inputs`)."""

    name: Identifier
    serving: Serving | None = None
    inputs: tuple[MatrixInput, ...] = Field(default=(), max_length=64)
    arithmetic: Format = Field(description="in which values are held and added up")
    parameters: tuple[Parameter, ...] = Field(default=(), max_length=PARAMETERS_MAX)
    body: tuple[Item, ...] = Field(min_length=1, max_length=BLOCKS_MAX)
    output: Identifier

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.serving is None) == (not self.inputs):
            raise ValueError("a graph serves tokens, or has matrices as inputs, and not both")
        self._check_parameters()
        steps, shapes = self._walk()
        if len(steps) > BLOCKS_MAX:
            raise ValueError(f"more than {BLOCKS_MAX} blocks")
        self._check_used(steps)
        if self.serving is not None:
            self._check_serving(steps, shapes[self.output])
        return self

    @classmethod
    def parse_bytes(cls, data: bytes, *, where: str) -> Graph:
        """A graph from its canonical bytes. Raises `EvidenceError`."""
        if len(data) > GRAPH_BYTES_MAX:
            raise EvidenceError(f"a graph of {len(data)} bytes exceeds {GRAPH_BYTES_MAX}", where=where)
        return cls.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)

    @property
    def digest(self) -> str:
        """Digest of the canonical bytes: what a ruleset lists as `graph`."""
        return digest_of(self.canonical_bytes())

    def tensors(self) -> Iterator[tuple[str, Parameter]]:
        """Every tensor of the weights by its name, layers written out."""
        times = self._times()
        for parameter in self.parameters:
            if "{}" in parameter.name:
                for layer in range(times[parameter.name]):
                    yield parameter.name.replace("{}", str(layer)), parameter
            else:
                yield parameter.name, parameter

    def count(self) -> tuple[int, int]:
        """Numbers in all tensors, and the bytes they take."""
        times, numbers, size = self._times(), 0, 0
        for parameter in self.parameters:
            one = times.get(parameter.name, 1)
            for dimension in parameter.shape:
                one *= dimension
            numbers += one
            size += one * BYTES_OF[parameter.format]
        return numbers, size

    def steps(self) -> list[Step]:
        """The blocks in order, each with how often it runs."""
        return self._walk()[0]

    def _walk(self) -> tuple[list[Step], dict[str, Shape]]:
        """The steps, and the shapes of all values outside repetitions. Raises `ValueError` where something does not fit."""
        steps: list[Step] = []
        shapes = {given.name: Shape(given.rows, given.columns) for given in self.inputs}
        if len(shapes) != len(self.inputs):
            raise ValueError("two inputs have one name")
        if self.serving is not None:
            shapes[TOKENS] = Shape(None, 1)
        given_names = set(shapes)
        known = {parameter.name: parameter for parameter in self.parameters}
        for item in self.body:
            if isinstance(item, Repeat):
                steps += _repeated(item, shapes, known)
            else:
                _write(shapes, item, known, repeated=False)
                steps.append(Step(item, 1, shapes))
        if self.output not in shapes or self.output in given_names:
            raise ValueError(f"the output {self.output} is written by no block")
        return steps, shapes

    def _times(self) -> dict[str, int]:
        """How many layers each parameter with `{}` in its name has."""
        times: dict[str, int] = {}
        scales = {p.name: p.quantisation.scales for p in self.parameters if p.quantisation is not None}
        for item in self.body:
            if isinstance(item, Repeat):
                names = [name for block in item.blocks for name in block.uses()]
                names += [scales[name] for name in names if name in scales]
                for name in names:
                    if "{}" in name and times.setdefault(name, item.times) != item.times:
                        raise ValueError(f"{name} is used by repetitions of different length")
        return times

    def _check_parameters(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) != len(names):
            raise ValueError("a parameter is declared twice")
        known = {parameter.name: parameter for parameter in self.parameters}
        for parameter in self.parameters:
            self._check_quantised(parameter, known)

    def _check_quantised(self, parameter: Parameter, known: Mapping[str, Parameter]) -> None:
        quantised = parameter.quantisation
        if (quantised is not None) != (parameter.format is Format.INT8):
            raise ValueError(f"{parameter.name}: integers have scales, and only they do")
        if quantised is None:
            return
        scales = known.get(quantised.scales)
        if len(parameter.shape) != 2 or parameter.shape[1] % quantised.group:
            raise ValueError(f"{parameter.name}: groups of {quantised.group} do not divide its rows")
        if scales is None or scales.shape != (parameter.shape[0], parameter.shape[1] // quantised.group):
            raise ValueError(f"{parameter.name}: its scales {quantised.scales} are missing or have another shape")
        if scales.quantisation is not None or ("{}" in scales.name) != ("{}" in parameter.name):
            raise ValueError(f"{parameter.name}: its scales are quantised, or not one per layer as it is")

    def _check_used(self, steps: list[Step]) -> None:
        """All that is declared is used, and all that is computed leads to the output."""
        used = {name for step in steps for name in step.block.uses()}
        scales = {p.quantisation.scales for p in self.parameters if p.quantisation is not None}
        idle = {parameter.name for parameter in self.parameters} - used - scales
        if idle:
            raise ValueError(f"parameters that no block uses: {', '.join(sorted(idle)[:4])}")
        asked = _check_leads([*self.body], {self.output})
        if unread := {given.name for given in self.inputs} - asked:
            raise ValueError(f"inputs that no block reads: {', '.join(sorted(unread)[:4])}")
        for item in self.body:
            if isinstance(item, Repeat):
                _check_leads([*item.blocks], {item.output})
        if (numbers := self.count()[0]) > NUMBERS_MAX:
            raise ValueError(f"{numbers} numbers exceed {NUMBERS_MAX}")

    def _check_serving(self, steps: list[Step], final: Shape) -> None:
        assert self.serving is not None
        if final != Shape(None, self.serving.vocabulary):
            raise ValueError(f"the output must have one column for each of {self.serving.vocabulary} symbols")
        known = {parameter.name: parameter for parameter in self.parameters}
        for step in steps:
            block = step.block
            if isinstance(block, Embedding) and known[block.table].shape[0] != self.serving.vocabulary:
                raise ValueError(f"{block.table} must have {self.serving.vocabulary} rows")
            if isinstance(block, Position) and known[block.table].shape[0] < self.serving.context:
                raise ValueError(f"{block.table} has fewer rows than the context has places")
        if not any(isinstance(step.block, Embedding) for step in steps):
            raise ValueError("no block reads the tokens")


def _repeated(repeat: Repeat, shapes: dict[str, Shape], known: Mapping[str, Parameter]) -> list[Step]:
    """The steps of a repetition, whose result then stands in `shapes`. Raises `ValueError`."""
    if repeat.input not in shapes:
        raise ValueError(f"{repeat.input} is read before it is written")
    if repeat.output in shapes or repeat.carried == repeat.output:
        raise ValueError(f"a repetition gives the name {repeat.output} a second time")
    inner = {repeat.carried: shapes[repeat.input]}
    steps = []
    for block in repeat.blocks:
        _write(inner, block, known, repeated=True)
        steps.append(Step(block, repeat.times, inner))
    if inner.get(repeat.output) != inner[repeat.carried]:
        raise ValueError(f"{repeat.output} does not have the shape of {repeat.carried}, and cannot be carried on")
    shapes[repeat.output] = inner[repeat.output]
    return steps


def _write(shapes: dict[str, Shape], block: Block, known: Mapping[str, Parameter], *, repeated: bool) -> None:
    """Note what a block gives. Raises `ValueError`."""
    for name in block.reads():
        if name not in shapes:
            raise ValueError(f"{block.output} reads {name}, which is not written before it")
    for name in block.uses():
        if name not in known:
            raise ValueError(f"{block.output} uses {name}, which is not declared")
        if "{}" in name and not repeated:
            raise ValueError(f"{name} belongs to layers, and {block.output} is in none")
        scales = known[name].quantisation
        if scales is not None and scales.scales not in known:
            raise ValueError(f"{name}: its scales {scales.scales} are not declared")
    if block.output in shapes:
        raise ValueError(f"{block.output} is written twice")
    shapes[block.output] = block.shape(shapes, known)


def _check_leads(items: list[Block | Repeat], wanted: set[str]) -> set[str]:
    """Backwards from the output, every item must be asked for. Gives all that was."""
    for item in reversed(items):
        if item.output not in wanted:
            raise ValueError(f"{item.output} leads to no output")
        wanted |= {item.input} if isinstance(item, Repeat) else set(item.reads())
    return wanted
