"""What a model is, as far as its FLOP go.

    Transformer    dense or with experts, grouped or full attention, gated or plain feed-forward
    Layers         a list of convolutions and linear layers: vision models, heads, anything without attention

A description is a claim of the prover. It becomes a fact by weights of the same shapes that were run again, or by code that was
read.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inspectorate.canonical import Identifier, Record
from inspectorate.mechanisms.inspection.flop.reference import LAYERS_MAX

Size = Annotated[int, Field(ge=1, le=1 << 24)]
Many = Annotated[int, Field(ge=1, le=1 << 20)]


class Experts(Record):
    """A mixture of experts in place of the feed-forward layer; `feed_forward` of the model is the width of one expert."""

    count: Many
    active: Many = Field(description="that each token is sent to")
    shared: Annotated[int, Field(ge=0, le=1024)] = Field(default=0, description="that every token passes besides")
    dense_layers: Annotated[int, Field(ge=0, le=LAYERS_MAX)] = Field(
        default=0, description="first layers that have a plain feed-forward layer instead"
    )
    dense_feed_forward: Size | None = Field(default=None, description="its width; none: as one expert")

    @model_validator(mode="after")
    def _active(self) -> Self:
        if self.active > self.count:
            raise ValueError("more experts are active than there are")
        return self


class Transformer(Record):
    """A transformer, decoder or encoder."""

    kind: Literal["transformer"] = "transformer"
    name: Identifier
    layers: Annotated[int, Field(ge=1, le=LAYERS_MAX)]
    width: Size
    heads: Many
    key_heads: Many | None = Field(default=None, description="of grouped attention; none: as many as heads")
    head_width: Size | None = Field(default=None, description="none: width / heads")
    feed_forward: Size
    gated: bool = Field(description="whether the feed-forward layer has a gate: three matrices, not two")
    vocabulary: Annotated[int, Field(ge=0, le=1 << 24)] = Field(description="0: without a head, an encoder")
    embedding_rows: Annotated[int, Field(ge=0, le=1 << 24)] | None = Field(
        default=None, description="none: as the vocabulary"
    )
    tied: bool = Field(default=False, description="whether head and embedding share their weights")
    causal: bool = Field(default=True, description="whether a token looks at earlier ones only")
    experts: Experts | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.head_width is None and self.width % self.heads:
            raise ValueError("width is no multiple of heads: state head_width")
        if self.heads % self.keys:
            raise ValueError("heads is no multiple of key_heads")
        if self.experts is not None and self.experts.dense_layers > self.layers:
            raise ValueError("more layers are dense than there are")
        return self

    @property
    def keys(self) -> int:
        return self.key_heads if self.key_heads is not None else self.heads

    @property
    def of_head(self) -> int:
        return self.head_width if self.head_width is not None else self.width // self.heads


class Convolution(Record):
    """A convolution of one sample, `times` layers of it."""

    kind: Literal["convolution"] = "convolution"
    inputs: Size
    outputs: Size
    kernel: tuple[Many, ...] = Field(min_length=1, max_length=3)
    positions: Annotated[int, Field(ge=1, le=1 << 32)] = Field(description="of the output, all dimensions multiplied")
    groups: Many = 1
    times: Many = 1
    first: bool = Field(default=False, description="whether it stands at the input: no gradient goes further")

    @model_validator(mode="after")
    def _groups(self) -> Self:
        if self.inputs % self.groups or self.outputs % self.groups:
            raise ValueError("inputs and outputs must be multiples of groups")
        return self


class Linear(Record):
    """A linear layer of one sample, at `positions` places, `times` layers of it."""

    kind: Literal["linear"] = "linear"
    inputs: Size
    outputs: Size
    positions: Annotated[int, Field(ge=1, le=1 << 32)] = 1
    times: Many = 1
    first: bool = False


Layer = Annotated[Convolution | Linear, Field(discriminator="kind")]


class Layers(Record):
    """Layers one after the other; what is between them counts as element-wise."""

    kind: Literal["layers"] = "layers"
    name: Identifier
    layers: tuple[Layer, ...] = Field(min_length=1, max_length=LAYERS_MAX)


Architecture = Annotated[Transformer | Layers, Field(discriminator="kind")]
