"""What one pass through a declared model takes, by formula: products exactly, everything else as an upper bound.

Rules:

- A multiply-add is two FLOP, as agreements count and as torch's counter does. Biases count as element-wise.
- `products` of a linear layer: 2 x inputs x outputs per token. Of attention: two products of heads x head width x keys looked at.
- A kernel may skip what a causal mask hides, or compute and drop it: `attention_min` has half, `attention_max` all.
- The gradient of a product is two products of the same size: for its inputs and for its weights. Frozen weights need only the
  first; what no trained parameter lies behind needs neither.
- An embedding is a look-up, and takes none.

Tests hold this against torch's `FlopCounterMode`, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from inspectorate.mechanisms.inspection.flop.architecture import Convolution, Layer, Layers, Linear, Transformer
from inspectorate.mechanisms.inspection.flop.reference import ELEMENTWISE_PER_OUTPUT, ELEMENTWISE_PER_TOKEN


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """How many parameters a model has."""

    total: int
    active: int
    """Of which a token meets so many."""
    embedding: int
    """Of `active`, those that only look up: no product is made with them."""


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One forward pass: FLOP by what they are. Per token of a transformer in its context, or per sample of layers."""

    layers: float
    """Products with weights, but for the head."""
    head: float
    attention_min: float
    attention_max: float
    elementwise_max: float
    """All else, forward and backward together."""
    first: float = 0.0
    """Of `layers`, what stands at the input: its inputs need no gradient."""

    @property
    def min(self) -> float:
        """Products only, nothing masked computed."""
        return self.layers + self.head + self.attention_min

    @property
    def max(self) -> float:
        return self.layers + self.head + self.attention_max + self.elementwise_max

    @property
    def products(self) -> float:
        """As a counter of products sees it, where kernels compute what is masked."""
        return self.layers + self.head + self.attention_max


def parameters(model: Transformer | Layers) -> Parameters:
    """Matrices and embeddings; biases and norms, below a thousandth of any real model, are left out."""
    if isinstance(model, Layers):
        total = sum(_weights(layer) * layer.times for layer in model.layers)
        return Parameters(total=total, active=total, embedding=0)
    attention = _attention_weights(model)
    expert = _feed_forward_weights(model, model.feed_forward)
    rows = model.vocabulary if model.embedding_rows is None else model.embedding_rows
    embedding, head = rows * model.width, model.vocabulary * model.width
    outside = head if model.tied else embedding + head
    active_outside = outside
    lookup = 0 if model.tied else embedding
    if model.experts is None:
        every = model.layers * (attention + expert)
        return Parameters(total=every + outside, active=every + active_outside, embedding=lookup)
    mixed = model.layers - model.experts.dense_layers
    dense = model.experts.dense_layers * _feed_forward_weights(
        model, model.experts.dense_feed_forward or model.feed_forward
    )
    router = model.width * model.experts.count
    shared = model.layers * attention + dense + outside
    return Parameters(
        total=shared + mixed * (expert * (model.experts.count + model.experts.shared) + router),
        active=shared + mixed * (expert * (model.experts.active + model.experts.shared) + router),
        embedding=lookup,
    )


def trained_pass(model: Transformer, sequence: int) -> Pass:
    """One token of a whole sequence of that many: training, prefill, or an encoder."""
    looked = (sequence + 1) / 2 if model.causal else float(sequence)
    return _token(model, looked_min=looked, looked_max=float(sequence))


def decoded_pass(model: Transformer, context: float) -> Pass:
    """One token that is decoded with kept keys, looking back on `context` tokens, itself included."""
    return _token(model, looked_min=context, looked_max=context)


def sample_pass(model: Layers) -> Pass:
    """One sample."""
    return Pass(
        layers=sum(_products(layer) * layer.times for layer in model.layers),
        head=0.0,
        attention_min=0.0,
        attention_max=0.0,
        elementwise_max=sum(layer.outputs * layer.positions * layer.times for layer in model.layers)
        * ELEMENTWISE_PER_OUTPUT,
        first=sum(_products(layer) for layer in model.layers if layer.first),
    )


def _token(model: Transformer, *, looked_min: float, looked_max: float) -> Pass:
    product = 2.0 * 2.0 * model.layers * model.heads * model.of_head
    wide = 3 if model.gated else 2
    passed = model.feed_forward * (1 if model.experts is None else model.experts.active + model.experts.shared)
    elementwise = model.layers * (
        ELEMENTWISE_PER_TOKEN["width"] * (model.width + (model.heads + 2 * model.keys) * model.of_head)
        + ELEMENTWISE_PER_TOKEN["feed_forward"] * passed * wide / 2
        + ELEMENTWISE_PER_TOKEN["scores"] * model.heads * looked_max
    )
    return Pass(
        layers=2.0 * _layer_weights(model),
        head=2.0 * model.width * model.vocabulary,
        attention_min=product * looked_min,
        attention_max=product * looked_max,
        elementwise_max=elementwise + ELEMENTWISE_PER_TOKEN["vocabulary"] * model.vocabulary,
    )


def _layer_weights(model: Transformer) -> int:
    """Weights of all layers that one token is multiplied with."""
    counted = parameters(model)
    head = model.vocabulary * model.width
    return counted.active - counted.embedding - head


def _attention_weights(model: Transformer) -> int:
    return model.width * model.of_head * (2 * model.heads + 2 * model.keys)


def _feed_forward_weights(model: Transformer, width: int) -> int:
    return model.width * width * (3 if model.gated else 2)


def _weights(layer: Layer) -> int:
    match layer:
        case Convolution():
            taps = 1
            for size in layer.kernel:
                taps *= size
            return taps * layer.inputs * layer.outputs // layer.groups
        case Linear():
            return layer.inputs * layer.outputs


def _products(layer: Layer) -> float:
    return 2.0 * _weights(layer) * layer.positions
