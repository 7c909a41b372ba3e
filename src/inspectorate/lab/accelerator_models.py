"""Models of the accelerator recording: transformers, a convolutional network, and the FLOP that each of their passes takes.

Weights are random and of realistic shape: what is recorded is the load that such models put on a chip, not what they know. FLOP are
by rule: two for each multiplication of a matrix product, attention counted over whole rows (without the saving of a causal mask),
nothing for what is done element by element. Backward counts twice the forward pass.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A transformer: width, layers, heads; `vocabulary` 0 is one over patches, without symbols."""

    width: int
    layers: int
    heads: int
    vocabulary: int = 32_768
    causal: bool = True

    @property
    def block_parameters(self) -> int:
        return 12 * self.width * self.width * self.layers

    @property
    def parameters(self) -> int:
        return self.block_parameters + 2 * self.vocabulary * self.width

    def forward_flop(self, rows: int, length: int, *, seen: int = 0, heads_of: int | None = None) -> float:
        """Of `rows` sequences with `length` new symbols each, that look at `seen` or, where 0, at `length` symbols.

        `heads_of` is at how many symbols of each row logits are computed; none: all.
        """
        attention = 4 * self.layers * self.width * (seen or length)
        logits = 2 * self.vocabulary * self.width * (length if heads_of is None else heads_of)
        return float(rows) * (length * (2 * self.block_parameters + attention) + logits)


SHAPES = {
    "small": Shape(width=768, layers=12, heads=12),
    "middle": Shape(width=1536, layers=16, heads=12),
    "large": Shape(width=2560, layers=20, heads=20),
    "encoder": Shape(width=1024, layers=24, heads=16, causal=False),
    "patches": Shape(width=1024, layers=16, heads=16, vocabulary=0, causal=False),
}
TINY = {
    name: Shape(width=32, layers=2, heads=2, vocabulary=64 if one.vocabulary else 0, causal=one.causal)
    for name, one in SHAPES.items()
}


class Cache:
    """Keys and values of the symbols so far, in tensors that stay where they are."""

    def __init__(self, shape: Shape, rows: int, length: int, *, device: str, dtype: torch.dtype) -> None:
        size = (shape.layers, rows, shape.heads, length, shape.width // shape.heads)
        self.keys = torch.zeros(size, device=device, dtype=dtype)
        self.values = torch.zeros(size, device=device, dtype=dtype)
        self.places = torch.arange(length, device=device)


class Low(nn.Module):
    """A linear layer that is frozen, with a trained part of low rank beside it."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        like = base.weight
        self.down = nn.Parameter(like.new_empty(rank, base.in_features).normal_(std=0.02))
        self.up = nn.Parameter(like.new_zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + functional.linear(functional.linear(x, self.down), self.up)


class Block(nn.Module):
    """Attention and a perceptron of four times the width, each after a norm."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.causal = shape.heads, shape.causal
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joint = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.wide = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self._split(self.first(x))
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self._rest(x, found)

    def cached(self, x: Tensor, cache: Cache, layer: int, place: Tensor) -> Tensor:
        """New symbols at `place` (a tensor of their positions), which see all before them."""
        query, key, value = self._split(self.first(x))
        cache.keys[layer].index_copy_(2, place, key)
        cache.values[layer].index_copy_(2, place, value)
        mask = cache.places[None, :] <= place[:, None]
        found = functional.scaled_dot_product_attention(query, cache.keys[layer], cache.values[layer], attn_mask=mask)
        return self._rest(x, found)

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, length, width = x.shape
        parts = self.joint(x).view(rows, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return parts[0], parts[1], parts[2]

    def _rest(self, x: Tensor, found: Tensor) -> Tensor:
        x = x + self.out(found.transpose(1, 2).reshape(x.shape))
        return x + self.narrow(functional.gelu(self.wide(self.second(x))))


class Transformer(nn.Module):
    """Symbols (rows, length) to logits, or patches (rows, length, width) to the same shape."""

    def __init__(self, shape: Shape, *, recompute: bool = False, length_max: int = 4096) -> None:
        super().__init__()
        self.shape, self.recompute = shape, recompute
        self.symbol = nn.Embedding(shape.vocabulary, shape.width) if shape.vocabulary else None
        self.place = nn.Embedding(length_max, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocabulary, bias=False) if shape.vocabulary else None
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def hidden(self, given: Tensor) -> Tensor:
        """The last hidden states."""
        x = self.symbol(given) if self.symbol is not None else given
        x = x + self.place(torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.recompute and torch.is_grad_enabled() else block(x)
        return self.norm(x)

    def forward(self, given: Tensor) -> Tensor:
        x = self.hidden(given)
        return self.head(x) if self.head is not None else x

    def cached_hidden(self, given: Tensor, cache: Cache, place: Tensor) -> Tensor:
        """The last hidden states of new symbols behind those in the cache."""
        assert self.symbol is not None
        x = self.symbol(given) + self.place(place)
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x = block.cached(x, cache, layer, place)
        return self.norm(x)

    def cached(self, given: Tensor, cache: Cache, place: Tensor) -> Tensor:
        """Logits of the last new symbol."""
        assert self.head is not None
        return self.head(self.cached_hidden(given, cache, place)[:, -1])


def with_low_rank(model: Transformer, rank: int) -> Transformer:
    """Freeze a model, and put a trained part of low rank beside every linear layer of its blocks."""
    model.requires_grad_(False)
    for block in model.blocks:
        for name in ("joint", "out", "wide", "narrow"):
            setattr(block, name, Low(getattr(block, name), rank))
    return model


class Residual(nn.Module):
    """Two 3x3 convolutions with a way around them."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(outside), nn.BatchNorm2d(outside)])
        self.around = nn.Conv2d(inside, outside, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norms[0](self.first(x)))
        return functional.relu(self.norms[1](self.second(y)) + self.around(x))


class Convolutional(nn.Module):
    """Images to 1,000 classes: a residual network of four stages."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 7, 4, 3, bias=False)
        layers: list[nn.Module] = []
        inside = width
        for stage in range(4):
            for place in range(depth):
                outside = width * 2**stage
                layers.append(Residual(inside, outside, 2 if stage and not place else 1))
                inside = outside
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(inside, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)).mean(dim=(2, 3)))
