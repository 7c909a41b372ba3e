"""The decoder of a `DecoderProgram` in torch, written out in plain products so that every FLOP is counted and nothing is fused.

A fused attention kernel would be faster, differs between processors, and is not counted by every version of the FLOP counter.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram


class Decoder(nn.Module):
    """Tokens (rows, length) to logits."""

    def __init__(self, program: DecoderProgram) -> None:
        super().__init__()
        self.program = program
        for name, shape, _ in program.tensors():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))
        mask = torch.full((program.context, program.context), -math.inf).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.of_embedded(functional.embedding(tokens, self._of("symbol")))

    def of_embedded(self, embedded: Tensor) -> Tensor:
        """From vectors in the place of tokens (rows, length, width) to logits."""
        length = embedded.shape[1]
        x = embedded + self._of("place")[:length]
        for layer in range(self.program.layers):
            x = self._block(x, f"block_{layer}_", length)
        return functional.linear(_normed(x, self._of("norm")), self._of("head"))

    def _of(self, name: str) -> nn.Parameter:
        return self.get_parameter(name)

    def _block(self, x: Tensor, prefix: str, length: int) -> Tensor:
        heads, mask = self.program.heads, self.get_buffer("mask")
        rows, _, width = x.shape
        joint = functional.linear(_normed(x, self._of(prefix + "first")), self._of(prefix + "joint"))
        query, key, value = joint.view(rows, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / math.sqrt(width // heads) + mask[:length, :length]
        mixed = (torch.softmax(scores, -1) @ value).transpose(1, 2).reshape(rows, length, width)
        x = x + functional.linear(mixed, self._of(prefix + "out"))
        wide = functional.gelu(functional.linear(_normed(x, self._of(prefix + "second")), self._of(prefix + "wide")))
        return x + functional.linear(wide, self._of(prefix + "narrow"))


def build(program: DecoderProgram) -> tuple[Decoder, torch.optim.Optimizer]:
    """A model without weights yet, and its optimiser."""
    model = Decoder(program)
    optimiser = torch.optim.AdamW(
        model.parameters(),
        lr=program.learning_rate,
        betas=(program.beta1, program.beta2),
        eps=program.epsilon,
        weight_decay=program.weight_decay,
        foreach=False,
        fused=False,
    )
    return model, optimiser


def step(
    model: Decoder,
    optimiser: torch.optim.Optimizer,
    batch: Mapping[str, Tensor],
    number: int,
    *,
    split: int | None = None,
) -> Tensor:
    """One step of AdamW on a batch `tokens` (rows, context + 1); the mean loss over its tokens."""
    program = model.program
    tokens = batch["tokens"].long()
    optimiser.param_groups[0]["lr"] = program.rate(number)
    optimiser.zero_grad(set_to_none=True)
    parts = tokens.chunk(split or program.split)
    total = torch.zeros(())
    for part in parts:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=program.bfloat16):
            logits = model(part[:, :-1])
        loss = functional.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten()) / len(parts)
        loss.backward()
        total += loss.detach()
    if program.clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), program.clip, foreach=False)
    optimiser.step()
    return total


def row_losses(model: Decoder, tokens: Tensor) -> Tensor:
    """The mean loss of each sequence."""
    with torch.no_grad():
        logits = model(tokens[:, :-1].long())
        found = functional.cross_entropy(logits.transpose(1, 2), tokens[:, 1:].long(), reduction="none")
    return found.mean(dim=1)


def _normed(x: Tensor, scale: Tensor) -> Tensor:
    return functional.layer_norm(x, scale.shape, scale)
