"""The blocks of which a graph is made: what goes in, which operation, which parameters, what comes out.

Every value is a table with one row per token (or a fixed number of rows, in a matrix job) and a fixed number of columns. A block
says by itself which shape it gives and what it costs; `shape` raises `ValueError` where its inputs do not fit.

FLOP are counted as agreements count them: a multiplication and an addition are two. `matrix` holds products of matrices, attention
included, which is what counters of operators count; `other` holds the rest by the formula that stands with each block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inspectorate.canonical import Identifier, Record
from inspectorate.mechanisms.guarantee.graph.reference import DIMENSION_MAX, HEADS_MAX, Format

ParameterName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}(\{\}[A-Za-z0-9_./-]{0,199})?$")
]
"""A tensor's name in the weights file; `{}` stands for the number of the layer."""
Dimension = Annotated[int, Field(ge=1, le=DIMENSION_MAX)]
TOKENS = "tokens"
"""The value that a language model starts from: numbers of symbols."""


@dataclass(frozen=True)
class Shape:
    """Rows (none: one per token) and columns of a value."""

    rows: int | None
    columns: int


@dataclass(frozen=True)
class Flop:
    """What a block costs per row."""

    matrix: float
    other: float

    @property
    def total(self) -> float:
        return self.matrix + self.other

    def __add__(self, more: Flop) -> Flop:
        return Flop(self.matrix + more.matrix, self.other + more.other)

    def __mul__(self, times: int) -> Flop:
        return Flop(self.matrix * times, self.other * times)


class Quantisation(Record):
    """Integers that stand for numbers: every `group` of them in a row has one scale, a parameter by itself."""

    scales: ParameterName
    group: Dimension


class Parameter(Record):
    """One tensor of the weights, or one per layer where its name holds `{}`."""

    name: ParameterName
    shape: tuple[Dimension, ...] = Field(min_length=1, max_length=2)
    format: Literal[Format.FLOAT64, Format.FLOAT32, Format.FLOAT16, Format.BFLOAT16, Format.INT8, Format.INT32] = (
        Format.FLOAT32
    )
    quantisation: Quantisation | None = None


Shapes = Mapping[str, Shape]
Parameters = Mapping[str, Parameter]


class _Block(Record):
    """What all blocks have in common."""

    output: Identifier

    def reads(self) -> tuple[str, ...]:
        """Values that go in."""
        return ()

    def uses(self) -> tuple[str, ...]:
        """Parameters."""
        return ()

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        """The shape of what comes out. Raises `ValueError`."""
        raise TypeError("every block has its own")

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        """The cost of one row, where a token looks back on `context` tokens, itself included."""
        return Flop(0.0, 0.0)


class _One(_Block):
    """A block with one input."""

    input: Identifier

    def reads(self) -> tuple[str, ...]:
        return (self.input,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        return shapes[self.input]


def _vector(parameters: Parameters, name: str, size: int) -> None:
    if parameters[name].shape != (size,):
        raise ValueError(f"{name} must have {size} numbers, not shape {list(parameters[name].shape)}")


class Embedding(_One):
    """A row of a table for every token. No arithmetic."""

    operation: Literal["embedding"] = "embedding"
    table: ParameterName

    def uses(self) -> tuple[str, ...]:
        return (self.table,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        if self.input != TOKENS:
            raise ValueError("only tokens are embedded")
        if len(parameters[self.table].shape) != 2:
            raise ValueError(f"{self.table} is no table")
        return Shape(None, parameters[self.table].shape[1])


class Position(_Block):
    """A row of a table for every place in the context, counted from its start. No arithmetic."""

    operation: Literal["position"] = "position"
    table: ParameterName

    def uses(self) -> tuple[str, ...]:
        return (self.table,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        if len(parameters[self.table].shape) != 2:
            raise ValueError(f"{self.table} is no table")
        return Shape(None, parameters[self.table].shape[1])


class Linear(_One):
    """`input @ weight.T + bias`; the weight has one row per output. 2 x in x out, and out for the bias."""

    operation: Literal["linear"] = "linear"
    weight: ParameterName
    bias: ParameterName | None = None

    def uses(self) -> tuple[str, ...]:
        return (self.weight, self.bias) if self.bias else (self.weight,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        given, weight = shapes[self.input], parameters[self.weight].shape
        if len(weight) != 2 or weight[1] != given.columns:
            raise ValueError(f"{self.weight} of shape {list(weight)} does not fit {given.columns} columns")
        if self.bias:
            _vector(parameters, self.bias, weight[0])
        return Shape(given.rows, weight[0])

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        rows, columns = parameters[self.weight].shape
        return Flop(2.0 * rows * columns, float(rows) if self.bias else 0.0)


class MatMul(_Block):
    """`left @ right`, both values: a matrix job. 2 x inner x columns per row."""

    operation: Literal["matmul"] = "matmul"
    left: Identifier
    right: Identifier

    def reads(self) -> tuple[str, ...]:
        return (self.left, self.right)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        left, right = shapes[self.left], shapes[self.right]
        if right.rows is None:
            raise ValueError("the right factor must have a fixed number of rows")
        if left.columns != right.rows:
            raise ValueError(f"{left.columns} columns do not meet {right.rows} rows")
        return Shape(left.rows, right.columns)

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(2.0 * shapes[self.left].columns * shapes[self.right].columns, 0.0)


class LayerNorm(_One):
    """Mean and variance to 0 and 1, then scale and shift. 8 per number."""

    operation: Literal["layer-norm"] = "layer-norm"
    weight: ParameterName
    bias: ParameterName | None = None
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-5

    def uses(self) -> tuple[str, ...]:
        return (self.weight, self.bias) if self.bias else (self.weight,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        for name in self.uses():
            _vector(parameters, name, shapes[self.input].columns)
        return shapes[self.input]

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(0.0, 8.0 * shapes[self.input].columns)


class RmsNorm(_One):
    """Mean square to 1, then scale. 4 per number."""

    operation: Literal["rms-norm"] = "rms-norm"
    weight: ParameterName
    epsilon: Annotated[float, Field(gt=0, lt=1)] = 1e-6

    def uses(self) -> tuple[str, ...]:
        return (self.weight,)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        _vector(parameters, self.weight, shapes[self.input].columns)
        return shapes[self.input]

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(0.0, 4.0 * shapes[self.input].columns)


class Curve(StrEnum):
    RELU = "relu"
    GELU = "gelu"
    """By the error function."""
    GELU_TANH = "gelu-tanh"
    """Its approximation by the hyperbolic tangent."""
    SILU = "silu"


class Activation(_One):
    """A curve applied to every number. 8 per number, 1 for relu."""

    operation: Literal["activation"] = "activation"
    curve: Curve

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(0.0, (1.0 if self.curve is Curve.RELU else 8.0) * shapes[self.input].columns)


class Softmax(_One):
    """Along each row. 5 per number."""

    operation: Literal["softmax"] = "softmax"

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(0.0, 5.0 * shapes[self.input].columns)


class Slice(_One):
    """Columns `start` to `stop`. No arithmetic."""

    operation: Literal["slice"] = "slice"
    start: Annotated[int, Field(ge=0, le=DIMENSION_MAX)]
    stop: Dimension

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        given = shapes[self.input]
        if not self.start < self.stop <= given.columns:
            raise ValueError(f"columns {self.start} to {self.stop} are not among {given.columns}")
        return Shape(given.rows, self.stop - self.start)


class _Two(_Block):
    """A block of two inputs of one shape. 1 per number."""

    left: Identifier
    right: Identifier

    def reads(self) -> tuple[str, ...]:
        return (self.left, self.right)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        if shapes[self.left] != shapes[self.right]:
            raise ValueError(f"{self.left} and {self.right} have different shapes")
        return shapes[self.left]

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        return Flop(0.0, float(shapes[self.left].columns))


class Add(_Two):
    """The residual."""

    operation: Literal["add"] = "add"


class Multiply(_Two):
    """The gate of a gated feed-forward part."""

    operation: Literal["multiply"] = "multiply"


class Attention(_Block):
    """Causal attention of several heads: 4 x heads x head width x context in products, 5 x heads x context for the softmax.

    Keys and values may have fewer heads than queries, each shared by as many. With `rotary_base`, queries and keys are turned by
    their place first, halves of a head against each other (6 per number).
    """

    operation: Literal["attention"] = "attention"
    query: Identifier
    key: Identifier
    value: Identifier
    heads: Annotated[int, Field(ge=1, le=HEADS_MAX)]
    key_heads: Annotated[int, Field(ge=1, le=HEADS_MAX)]
    rotary_base: Annotated[float, Field(gt=1, le=1e12)] | None = None

    def reads(self) -> tuple[str, ...]:
        return (self.query, self.key, self.value)

    def shape(self, shapes: Shapes, parameters: Parameters) -> Shape:
        query, key, value = (shapes[name] for name in self.reads())
        if any(given.rows is not None for given in (query, key, value)):
            raise ValueError("attention is over tokens")
        if query.columns % self.heads or self.heads % self.key_heads:
            raise ValueError(f"{query.columns} columns and {self.key_heads} key heads do not divide {self.heads} heads")
        width = query.columns // self.heads
        if key.columns != width * self.key_heads or value.columns != key.columns:
            raise ValueError(f"keys and values must have {width * self.key_heads} columns")
        if self.rotary_base is not None and width % 2:
            raise ValueError("a head of odd width cannot be turned")
        return query

    def flop(self, shapes: Shapes, parameters: Parameters, context: int) -> Flop:
        columns = shapes[self.query].columns
        turned = 6.0 * (columns + shapes[self.key].columns) if self.rotary_base is not None else 0.0
        return Flop(4.0 * columns * context, 5.0 * self.heads * context + turned)


Block = Annotated[
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
    | Attention,
    Field(discriminator="operation"),
]
