"""Tiny real models for the tests of FLOP accounting, each with its description."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from inspectorate.mechanisms.inspection.flop.architecture import (
    Convolution,
    Experts,
    Layers,
    Linear,
    Transformer,
)


class Block(nn.Module):
    """A decoder block: grouped attention, a gated feed-forward layer or experts."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        wide, kept = model.heads * model.of_head, model.keys * model.of_head
        self.first, self.second = nn.RMSNorm(model.width), nn.RMSNorm(model.width)
        self.query = nn.Linear(model.width, wide, bias=False)
        self.keys = nn.Linear(model.width, kept, bias=False)
        self.values = nn.Linear(model.width, kept, bias=False)
        self.out = nn.Linear(wide, model.width, bias=False)
        count = 1 if model.experts is None else model.experts.count
        self.router = nn.Linear(model.width, count, bias=False) if model.experts else None
        self.experts = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Linear(model.width, model.feed_forward, bias=False),
                    nn.Linear(model.width, model.feed_forward, bias=False),
                    nn.Linear(model.feed_forward, model.width, bias=False),
                ]
            )
            for _ in range(count)
        )

    def forward(self, hidden: Tensor) -> Tensor:
        batch, positions, _ = hidden.shape
        normed = self.first(hidden)
        shape = (batch, positions, -1, self.model.of_head)
        query, keys, values = (
            layer(normed).view(shape).transpose(1, 2) for layer in (self.query, self.keys, self.values)
        )
        repeat = self.model.heads // self.model.keys
        keys, values = keys.repeat_interleave(repeat, 1), values.repeat_interleave(repeat, 1)
        seen = functional.scaled_dot_product_attention(query, keys, values, is_causal=True)
        hidden = hidden + self.out(seen.transpose(1, 2).reshape(batch, positions, -1))
        return hidden + self._passed(self.second(hidden))

    def _passed(self, normed: Tensor) -> Tensor:
        if self.router is None:
            gate, up, down = self.experts[0]
            return down(functional.silu(gate(normed)) * up(normed))
        assert self.model.experts is not None
        flat = normed.reshape(-1, self.model.width)
        weights, chosen = self.router(flat).softmax(-1).topk(self.model.experts.active)
        out = torch.zeros_like(flat)
        for number, (gate, up, down) in enumerate(self.experts):
            rows, place = (chosen == number).nonzero(as_tuple=True)
            taken = flat[rows]
            out = out.index_add(0, rows, down(functional.silu(gate(taken)) * up(taken)) * weights[rows, place, None])
        return out.view_as(normed)


class Decoder(nn.Module):
    """A language model of such blocks."""

    def __init__(self, model: Transformer, *, recompute: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(model.vocabulary, model.width)
        self.blocks = nn.ModuleList(Block(model) for _ in range(model.layers))
        self.norm = nn.RMSNorm(model.width)
        self.head = nn.Linear(model.width, model.vocabulary, bias=False)
        self.recompute = recompute

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens)
        for block in self.blocks:
            hidden = checkpoint(block, hidden, use_reentrant=False) if self.recompute else block(hidden)
        out: Tensor = self.head(self.norm(hidden))
        return out


def loss_of(decoder: nn.Module, tokens: Tensor) -> Tensor:
    """The loss of guessing each next token."""
    return functional.cross_entropy(decoder(tokens).flatten(0, 1), tokens.flatten())


GATED = Transformer(name="gated", layers=2, width=32, heads=4, key_heads=2, feed_forward=48, gated=True, vocabulary=64)
MIXED = Transformer(
    name="mixed", layers=2, width=32, heads=4, feed_forward=24, gated=True, vocabulary=64,
    experts=Experts(count=4, active=2),
)  # fmt: skip
PLAIN = Transformer(
    name="plain",
    layers=2,
    width=32,
    heads=4,
    feed_forward=64,
    gated=False,
    vocabulary=0,
    embedding_rows=0,
    causal=False,
)
VISION = Layers(
    name="vision",
    layers=(
        Convolution(inputs=3, outputs=8, kernel=(3, 3), positions=64, first=True),
        Convolution(inputs=8, outputs=16, kernel=(3, 3), positions=16, groups=4),
        Linear(inputs=16 * 16, outputs=10),
    ),
)


def encoder() -> nn.TransformerEncoder:
    """`PLAIN` as torch has it."""
    layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2)


def vision() -> nn.Sequential:
    """`VISION` as torch has it, on samples of 3 x 8 x 8."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 16, 10),
    )  # fmt: skip
