"""What the blocks compute, in float64 with numpy: plain, and independent of the program that serves.

Values are arrays of shape (batch, rows, columns). Nothing here is fast for its own sake: it is what a verifier can read in one go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from inspectorate.mechanisms.guarantee.graph.blocks import (
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
    Position,
    RmsNorm,
    Slice,
    Softmax,
)
from inspectorate.mechanisms.guarantee.graph.weights import Numbers

SCORES_AT_ONCE = 1 << 24
"""Attention scores held at a time: 128 MiB."""

Values = Mapping[str, Numbers]
Get = Callable[[str], Numbers]
"""A parameter by its name, in float64."""

_ERF = np.frompyfunc(math.erf, 1, 1)


def compute(block: Block, values: Values, get: Get) -> Numbers:
    """The output of one block. Tokens are the value `tokens`, of shape (batch, rows, 1), as whole numbers."""
    match block:
        case Embedding():
            return get(block.table)[values[block.input][:, :, 0].astype(np.int64)]
        case Position():
            batch, rows, _ = next(iter(values.values())).shape
            return np.broadcast_to(get(block.table)[:rows], (batch, rows, get(block.table).shape[1]))
        case Linear():
            product = values[block.input] @ get(block.weight).T
            return product + get(block.bias) if block.bias else product
        case MatMul():
            return values[block.left] @ values[block.right]
        case LayerNorm() | RmsNorm():
            return _norm(block, values[block.input], get)
        case Activation():
            return _curve(block.curve, values[block.input])
        case Softmax():
            return softmax(values[block.input])
        case Slice():
            return values[block.input][:, :, block.start : block.stop]
        case Add():
            return values[block.left] + values[block.right]
        case Multiply():
            return values[block.left] * values[block.right]
        case Attention():
            return _attention(block, values[block.query], values[block.key], values[block.value])


def softmax(scores: Numbers) -> Numbers:
    """Along the last axis."""
    grown = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Numbers = grown / grown.sum(axis=-1, keepdims=True)
    return shares


def _norm(block: LayerNorm | RmsNorm, given: Numbers, get: Get) -> Numbers:
    if isinstance(block, RmsNorm):
        scaled: Numbers = given / np.sqrt((given**2).mean(axis=-1, keepdims=True) + block.epsilon)
        return scaled * get(block.weight)
    centred = given - given.mean(axis=-1, keepdims=True)
    normed = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + block.epsilon) * get(block.weight)
    shifted: Numbers = normed + get(block.bias) if block.bias else normed
    return shifted


def _curve(curve: Curve, given: Numbers) -> Numbers:
    match curve:
        case Curve.RELU:
            return np.maximum(given, 0.0)
        case Curve.GELU:
            bent: Numbers = 0.5 * given * (1.0 + np.asarray(_ERF(given / math.sqrt(2.0)), dtype=np.float64))
            return bent
        case Curve.GELU_TANH:
            return 0.5 * given * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (given + 0.044715 * given**3)))
        case Curve.SILU:
            damped: Numbers = given / (1.0 + np.exp(-np.clip(given, -700.0, None)))
            return damped


def _attention(block: Attention, query: Numbers, key: Numbers, value: Numbers) -> Numbers:
    """Queries in pieces, so that scores of a long context need no square of memory."""
    batch, rows, columns = query.shape
    width, shared = columns // block.heads, block.heads // block.key_heads
    q = query.reshape(batch, rows, block.key_heads, shared, width).transpose(0, 2, 3, 1, 4)
    k = key.reshape(batch, rows, block.key_heads, 1, width).transpose(0, 2, 3, 1, 4)
    v = value.reshape(batch, rows, block.key_heads, 1, width).transpose(0, 2, 3, 1, 4)
    if block.rotary_base is not None:
        q, k = _turned(q, block.rotary_base), _turned(k, block.rotary_base)
    mixed = np.empty_like(q)
    piece = max(1, SCORES_AT_ONCE // (batch * block.heads * rows))
    places = np.arange(rows)
    for start in range(0, rows, piece):
        asked = places[start : start + piece]
        scores = q[:, :, :, asked] @ k.swapaxes(-1, -2) / math.sqrt(width)
        scores = np.where(places[None, :] <= asked[:, None], scores, -np.inf)
        mixed[:, :, :, asked] = softmax(scores) @ v
    return mixed.transpose(0, 3, 1, 2, 4).reshape(batch, rows, columns)


def _turned(given: Numbers, base: float) -> Numbers:
    """Turned by place: the first half of a head against its second half."""
    rows, width = given.shape[-2:]
    half = width // 2
    angles = np.arange(rows)[:, None] * base ** (-np.arange(half) / half)
    cosine, sine = np.cos(angles), np.sin(angles)
    first, second = given[..., :half], given[..., half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
