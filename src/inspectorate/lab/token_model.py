"""A small decoder of the Llama kind in torch: trained here on the text of the bench, written as published models are, and served.

It is the declared model of the checks of answers (`inspection.tokens`), whose evaluator knows no torch. Serving is in float32 or in
torch's own bfloat16, token by token with a cache or all at once: stacks that differ as real ones do.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from inspectorate.lab.work_lm import VOCABULARY, batches
from inspectorate.mechanisms.inspection.tokens.sampling import SamplingRule, TopLogits
from inspectorate.mechanisms.inspection.tokens.serve import Served, by_rule
from inspectorate.mechanisms.inspection.tokens.weights import DecoderShape, read_shape

LEARNING_RATE = 3e-3


def shape_of(width: int = 128, layers: int = 3, heads: int = 4, context: int = 1024) -> DecoderShape:
    return DecoderShape(
        vocab_size=VOCABULARY,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads // 2,
        max_position_embeddings=context,
    )


@dataclass
class TorchCache:
    """Keys and values of every layer, grown as it goes."""

    keys: list[Tensor]
    values: list[Tensor]


class LlamaModel(nn.Module):
    """Tokens (rows, tokens) to last hidden states; logits by `logits`."""

    def __init__(self, shape: DecoderShape) -> None:
        super().__init__()
        self.shape = shape
        self.names = dict(shape.tensors())
        for name, size in self.names.items():
            start = torch.ones(size) if len(size) == 1 else torch.randn(size) / math.sqrt(size[1])
            self.register_parameter(name.replace(".", "|"), nn.Parameter(start))

    def weight(self, name: str) -> Tensor:
        return self._parameters[name.replace(".", "|") + "|weight"]  # type: ignore[return-value]

    def hidden(self, tokens: Tensor, cache: TorchCache | None = None) -> Tensor:
        """Last hidden states, after the norm; new keys and values are put into the cache."""
        seen = cache.keys[0].shape[2] if cache is not None and cache.keys else 0
        x = functional.embedding(tokens, self.weight("model.embed_tokens"))
        for layer in range(self.shape.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            x = x + self._attention(self._normed(x, prefix + "input_layernorm"), layer, seen, cache)
            y = self._normed(x, prefix + "post_attention_layernorm")
            gate = functional.silu(functional.linear(y, self.weight(prefix + "mlp.gate_proj")))
            up = functional.linear(y, self.weight(prefix + "mlp.up_proj"))
            x = x + functional.linear(gate * up, self.weight(prefix + "mlp.down_proj"))
        return self._normed(x, "model.norm")

    def logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.weight("lm_head"))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.logits(self.hidden(tokens))

    def _normed(self, x: Tensor, name: str) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.shape.rms_norm_eps)
        return wide.to(x.dtype) * self.weight(name)

    def _attention(self, x: Tensor, layer: int, seen: int, cache: TorchCache | None) -> Tensor:
        shape, (rows, count, _) = self.shape, x.shape
        prefix = f"model.layers.{layer}.self_attn."
        heads = {
            "q_proj": shape.num_attention_heads,
            "k_proj": shape.num_key_value_heads,
            "v_proj": shape.num_key_value_heads,
        }
        query, key, value = (
            functional.linear(x, self.weight(prefix + name)).view(rows, count, number, shape.head).transpose(1, 2)
            for name, number in heads.items()
        )
        query, key = self._turned(query, seen), self._turned(key, seen)
        if cache is not None:
            if len(cache.keys) > layer:
                key = torch.cat([cache.keys[layer], key], dim=2)
                value = torch.cat([cache.values[layer], value], dim=2)
                cache.keys[layer], cache.values[layer] = key, value
            else:
                cache.keys.append(key)
                cache.values.append(value)
        group = shape.num_attention_heads // shape.num_key_value_heads
        mixed = functional.scaled_dot_product_attention(
            query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), is_causal=count > 1 and not seen
        )
        return functional.linear(mixed.transpose(1, 2).reshape(rows, count, -1), self.weight(prefix + "o_proj"))

    def _turned(self, x: Tensor, seen: int) -> Tensor:
        half = self.shape.head // 2
        rates = self.shape.rope_theta ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
        places = torch.arange(seen, seen + x.shape[2], dtype=torch.float64, device=x.device)
        angles = places[:, None] * torch.cat([rates, rates])
        turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
        return x * angles.cos().to(x.dtype) + turned * angles.sin().to(x.dtype)


def trained(shape: DecoderShape, *, seed: int, steps: int, context: int = 64) -> LlamaModel:
    """A model with weights of a seed, trained on the text of the bench."""
    torch.manual_seed(seed)
    model = LlamaModel(shape)
    optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    text = batches(seed, context=context)
    for _ in range(steps):
        batch = next(text)
        loss = functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
    return model.eval()


def write_model(model: LlamaModel, folder: Path, *, dtype: torch.dtype = torch.bfloat16) -> None:
    """`config.json` and `model.safetensors`, as a published model."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = model.shape.model_dump(exclude_none=True) | {"model_type": "llama", "hidden_act": "silu"}
    (folder / "config.json").write_text(json.dumps(stated, indent=1), encoding="utf-8")
    tensors = {name: model.weight(name.removesuffix(".weight")).detach().to(dtype).contiguous() for name in model.names}
    save_file(tensors, folder / "model.safetensors")


def prompts_of(count: int, length: int, *, seed: int) -> NDArray[np.int64]:
    """Prompts (count, length) from the text of the bench."""
    return next(batches(seed, size=count, context=length - 1)).numpy()


def read_torch(folder: Path) -> LlamaModel:
    """A model that `write_model` wrote."""
    model = LlamaModel(read_shape(folder / "config.json"))
    stored = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for name, tensor in stored.items():
            model.weight(name.removesuffix(".weight")).copy_(tensor)
    return model.eval()


def serve_torch(
    model: LlamaModel, prompts: NDArray[np.int64], seeds: Sequence[int], length: int, rule: SamplingRule
) -> Served:
    """A batch of answers by the declared rule, token by token with a cache, in the precision of the model."""
    choose = by_rule(rule, seeds)
    cache = TorchCache([], [])
    device = model.weight("model.norm").device
    prefill = model.hidden(torch.from_numpy(prompts).to(device), cache)
    last, tokens, decoded = prefill[:, -1:], np.empty((len(prompts), length), np.int64), []
    for place in range(length):
        top = TopLogits.of(model.logits(last)[:, 0].float().cpu().numpy(), rule.needed)
        tokens[:, place] = [choose(row, top.part(row, row + 1), place) for row in range(len(prompts))]
        if place + 1 < length:
            last = model.hidden(torch.from_numpy(tokens[:, place : place + 1]).to(device), cache)
            decoded.append(last.float().cpu().numpy())
    return Served(tokens, prefill.float().cpu().numpy(), np.concatenate(decoded, axis=1))
