"""Declarations of common jobs from plain hyper-parameters.

`language_model` writes decoder-only transformers in the two usual layouts: the one of `torch.nn.TransformerEncoder` with masks
(layer norm first, packed projections with biases, learned places), and the gated one of recent open weights (root mean square norm,
rotary places, grouped keys, no biases). Names of tensors are those that such files have.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.graph.blocks import (
    TOKENS,
    Activation,
    Add,
    Attention,
    Block,
    Curve,
    Embedding,
    LayerNorm,
    Linear,
    MatMul,
    Multiply,
    Parameter,
    Position,
    Quantisation,
    RmsNorm,
    Slice,
)
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.types import Graph, Item, MatrixInput, Repeat, Serving

_LAYER = "layers.layers.{}."
_GATED = "model.layers.{}."


@dataclass(frozen=True, kw_only=True)
class Size:
    """Hyper-parameters of a decoder-only transformer."""

    width: int
    layers: int
    heads: int
    feed_forward: int
    key_heads: int | None = None
    """Of grouped attention; none: as many as heads."""


def encoder_model(name: str, size: Size, serving: Serving, *, arithmetic: Format = Format.FLOAT32) -> Graph:
    """The model that `torch.nn` builds of an embedding, learned places, `TransformerEncoder` with norms first, and a head.

    Tensors: `symbol.weight`, `place.weight`, `layers.layers.N.*` as torch names them, `head.weight`, `head.bias`.
    Raises `pydantic.ValidationError` where sizes do not fit.
    """
    width, inner = size.width, size.feed_forward
    weights = {
        "self_attn.in_proj_weight": (3 * width, width),
        "self_attn.in_proj_bias": (3 * width,),
        "self_attn.out_proj.weight": (width, width),
        "self_attn.out_proj.bias": (width,),
        "linear1.weight": (inner, width),
        "linear1.bias": (inner,),
        "linear2.weight": (width, inner),
        "linear2.bias": (width,),
        "norm1.weight": (width,),
        "norm1.bias": (width,),
        "norm2.weight": (width,),
        "norm2.bias": (width,),
    }
    outer = {
        "symbol.weight": (serving.vocabulary, width),
        "place.weight": (serving.context, width),
        "head.weight": (serving.vocabulary, width),
        "head.bias": (serving.vocabulary,),
    }
    layer: tuple[Block, ...] = (
        LayerNorm(input="x", output="a", weight=_LAYER + "norm1.weight", bias=_LAYER + "norm1.bias"),
        Linear(
            input="a",
            output="packed",
            weight=_LAYER + "self_attn.in_proj_weight",
            bias=_LAYER + "self_attn.in_proj_bias",
        ),
        Slice(input="packed", output="q", start=0, stop=width),
        Slice(input="packed", output="k", start=width, stop=2 * width),
        Slice(input="packed", output="v", start=2 * width, stop=3 * width),
        Attention(query="q", key="k", value="v", output="mixed", heads=size.heads, key_heads=size.heads),
        Linear(
            input="mixed",
            output="projected",
            weight=_LAYER + "self_attn.out_proj.weight",
            bias=_LAYER + "self_attn.out_proj.bias",
        ),
        Add(left="x", right="projected", output="y"),
        LayerNorm(input="y", output="b", weight=_LAYER + "norm2.weight", bias=_LAYER + "norm2.bias"),
        Linear(input="b", output="wide", weight=_LAYER + "linear1.weight", bias=_LAYER + "linear1.bias"),
        Activation(input="wide", output="active", curve=Curve.RELU),
        Linear(input="active", output="narrow", weight=_LAYER + "linear2.weight", bias=_LAYER + "linear2.bias"),
        Add(left="y", right="narrow", output="layer"),
    )
    body: tuple[Item, ...] = (
        Embedding(input=TOKENS, output="symbols", table="symbol.weight"),
        Position(output="places", table="place.weight"),
        Add(left="symbols", right="places", output="start"),
        Repeat(times=size.layers, input="start", carried="x", blocks=layer, output="layer"),
        Linear(input="layer", output="logits", weight="head.weight", bias="head.bias"),
    )
    declared = [Parameter(name=_LAYER + key, shape=shape) for key, shape in weights.items()]
    declared += [Parameter(name=key, shape=shape) for key, shape in outer.items()]
    return Graph(
        name=name, serving=serving, arithmetic=arithmetic, parameters=tuple(declared), body=body, output="logits"
    )


def gated_model(
    name: str,
    size: Size,
    serving: Serving,
    *,
    stored: Format = Format.BFLOAT16,
    arithmetic: Format = Format.BFLOAT16,
    quantised_group: int | None = None,
) -> Graph:
    """A decoder with gated feed-forward parts, rotary places (base 10,000) and grouped keys, as recent open weights have.

    With `quantised_group`, the matrices of the layers are 8-bit integers with one scale for so many of them.
    Raises `pydantic.ValidationError` where sizes do not fit.
    """
    width, inner = size.width, size.feed_forward
    key_heads = size.key_heads or size.heads
    keys = width // size.heads * key_heads
    matrices = {
        "self_attn.q_proj.weight": (width, width),
        "self_attn.k_proj.weight": (keys, width),
        "self_attn.v_proj.weight": (keys, width),
        "self_attn.o_proj.weight": (width, width),
        "mlp.gate_proj.weight": (inner, width),
        "mlp.up_proj.weight": (inner, width),
        "mlp.down_proj.weight": (width, inner),
    }
    declared: list[Parameter] = []
    for key, (rows, columns) in matrices.items():
        declared += _matrix(_GATED + key, (rows, columns), stored, quantised_group)
    for key in ("input_layernorm.weight", "post_attention_layernorm.weight"):
        declared.append(Parameter(name=_GATED + key, shape=(width,), format=stored))
    for key in ("model.embed_tokens.weight", "lm_head.weight"):
        declared.append(Parameter(name=key, shape=(serving.vocabulary, width), format=stored))
    declared.append(Parameter(name="model.norm.weight", shape=(width,), format=stored))
    body: tuple[Item, ...] = (
        Embedding(input=TOKENS, output="start", table="model.embed_tokens.weight"),
        Repeat(
            times=size.layers, input="start", carried="x", blocks=_gated_layer(size.heads, key_heads), output="layer"
        ),
        RmsNorm(input="layer", output="normed", weight="model.norm.weight"),
        Linear(input="normed", output="logits", weight="lm_head.weight"),
    )
    return Graph(
        name=name, serving=serving, arithmetic=arithmetic, parameters=tuple(declared), body=body, output="logits"
    )


def _matrix(name: str, shape: tuple[int, int], stored: Format, group: int | None) -> list[Parameter]:
    if group is None:
        return [Parameter(name=name, shape=shape, format=stored)]
    scales = name.removesuffix("weight") + "scales"
    return [
        Parameter(name=name, shape=shape, format=Format.INT8, quantisation=Quantisation(scales=scales, group=group)),
        Parameter(name=scales, shape=(shape[0], shape[1] // group), format=Format.FLOAT32),
    ]


def _gated_layer(heads: int, key_heads: int) -> tuple[Block, ...]:
    return (
        RmsNorm(input="x", output="a", weight=_GATED + "input_layernorm.weight"),
        Linear(input="a", output="q", weight=_GATED + "self_attn.q_proj.weight"),
        Linear(input="a", output="k", weight=_GATED + "self_attn.k_proj.weight"),
        Linear(input="a", output="v", weight=_GATED + "self_attn.v_proj.weight"),
        Attention(
            query="q", key="k", value="v", output="mixed", heads=heads, key_heads=key_heads, rotary_base=10_000.0
        ),
        Linear(input="mixed", output="projected", weight=_GATED + "self_attn.o_proj.weight"),
        Add(left="x", right="projected", output="y"),
        RmsNorm(input="y", output="b", weight=_GATED + "post_attention_layernorm.weight"),
        Linear(input="b", output="gate", weight=_GATED + "mlp.gate_proj.weight"),
        Activation(input="gate", output="open", curve=Curve.SILU),
        Linear(input="b", output="up", weight=_GATED + "mlp.up_proj.weight"),
        Multiply(left="open", right="up", output="gated"),
        Linear(input="gated", output="down", weight=_GATED + "mlp.down_proj.weight"),
        Add(left="y", right="down", output="layer"),
    )


def matrix_job(name: str, rows: int, inner: int, columns: int, *, arithmetic: Format = Format.FLOAT32) -> Graph:
    """One product `c = a @ b`."""
    return Graph(
        name=name,
        inputs=(
            MatrixInput(name="a", rows=rows, columns=inner),
            MatrixInput(name="b", rows=inner, columns=columns),
        ),
        arithmetic=arithmetic,
        body=(MatMul(left="a", right="b", output="c"),),
        output="c",
    )
