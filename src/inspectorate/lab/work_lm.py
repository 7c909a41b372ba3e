"""The model of the bench: a small decoder-only transformer over bytes, as trained and served by the other programs.

Two layers, width 96, context 64: about 260,000 parameters, so one gradient is 1 MB in float32 and one packed
pseudo-gradient 0.26 MB. It learns: from 5.6 nats per byte at the start to below 2.5 within some hundred steps.
Other shapes are for the trials (`trial_shape`); without one it is this model, to the bit.

Not done here: anything that would make the text it writes worth reading.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inspectorate.lab.trial_shape import BENCH, Shape
from inspectorate.lab.work_io import corpus

VOCABULARY = 256
CONTEXT = BENCH.context
BATCH = 16
LEARNING_RATE = 1.5e-3
_TOP_K = 20


class ByteModel(nn.Module):
    """Next-byte logits: (batch, time) int64 -> (batch, time, 256) float32."""

    def __init__(self, shape: Shape = BENCH) -> None:
        super().__init__()
        width = shape.width
        self.context = shape.context
        self.symbol = nn.Embedding(VOCABULARY, width)
        self.place = nn.Embedding(shape.context, width)
        layer = nn.TransformerEncoderLayer(
            width, shape.heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, symbols: Tensor) -> Tensor:
        length = symbols.shape[1]
        hidden = self.symbol(symbols) + self.place(torch.arange(length))
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.head(self.layers(hidden, mask=mask, is_causal=True))


def build(seed: int, weights: Path | None = None, shape: Shape = BENCH) -> ByteModel:
    """The model with seeded weights, or with those of a file written by `work_pretrain`."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    model = ByteModel(shape)
    if weights is not None:
        model.load_state_dict(torch.load(weights, weights_only=True))
    return model


def batches(seed: int, *, size: int = BATCH, context: int = CONTEXT) -> Iterator[Tensor]:
    """Endless batches of shape (size, context + 1) from the text."""
    text = torch.from_numpy(np.frombuffer(corpus(), dtype=np.uint8).astype(np.int64))
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(0, len(text) - context - 1, (size,), generator=generator)
        yield torch.stack([text[start : start + context + 1] for start in starts.tolist()])


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    """Mean cross entropy in nats per byte."""
    logits = model(batch[:, :-1])
    return functional.cross_entropy(logits.reshape(-1, VOCABULARY), batch[:, 1:].reshape(-1))


def rate_for(shape: Shape) -> float:
    """The learning rate of other shapes: smaller in proportion to their width, or the large ones come apart."""
    return LEARNING_RATE * BENCH.width / shape.width


def optimiser(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)


def next_byte(model: ByteModel, context: bytes, generator: torch.Generator) -> int:
    """Sample the byte that follows, from the `_TOP_K` most likely ones."""
    symbols = torch.tensor([list(context[-model.context :])], dtype=torch.int64)
    with torch.no_grad():
        logits = model(symbols)[0, -1]
    best = torch.topk(logits, _TOP_K)
    chosen = torch.multinomial(torch.softmax(best.values, 0), 1, generator=generator)
    return int(best.indices[chosen])


def flat(model: nn.Module) -> NDArray[np.float32]:
    """All parameters as one vector of shape (n,), copied."""
    with torch.no_grad():
        return torch.cat([p.reshape(-1) for p in model.parameters()]).numpy().copy()


def load_flat(model: nn.Module, values: NDArray[np.float32]) -> None:
    """Set all parameters from one vector of shape (n,)."""
    at = 0
    with torch.no_grad():
        for parameter in model.parameters():
            size = parameter.numel()
            parameter.copy_(torch.from_numpy(values[at : at + size]).reshape(parameter.shape))
            at += size
