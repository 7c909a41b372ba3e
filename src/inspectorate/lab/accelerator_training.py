"""Training as it is recorded: pre-training, fine-tuning, low rank, reinforcement, images."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from inspectorate.lab.accelerator_models import Convolutional, Residual, with_low_rank
from inspectorate.lab.accelerator_serving import Server
from inspectorate.lab.accelerator_work import Bench, Done, Work

LEARNING_RATE = 1e-4
RANK = 16


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step takes: `parts` micro-batches of `rows` sequences."""

    rows: int
    length: int
    parts: int = 1


class Trainer:
    """A decoder that is trained: weights in 32 bits with bfloat16 arithmetic for the small, all in bfloat16 for the others."""

    def __init__(self, bench: Bench, name: str, *, dtype: torch.dtype | None = None, recompute: bool = False,
                 rank: int = 0) -> None:  # fmt: skip
        self.bench, self.shape = bench, bench.shape(name)
        self.model = bench.model(name, dtype=dtype, recompute=recompute)
        self.passes, self.recompute = 3.0, recompute
        if rank:
            # Weights of the base get no gradient: two of three passes remain.
            self.model, self.passes = with_low_rank(self.model, rank), 2.0
        self.trained = [one for one in self.model.parameters() if one.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=LEARNING_RATE, fused=bench.device == "cuda")

    def facts(self, batch: Batch) -> dict[str, object]:
        return {
            "parameters": sum(one.numel() for one in self.model.parameters()),
            "parameters_trained": sum(one.numel() for one in self.trained),
            "rows": batch.rows, "length": batch.length, "parts": batch.parts, "optimizer": "AdamW",
            "dtype": str(self.trained[0].dtype).removeprefix("torch."),
        }  # fmt: skip

    def flop(self, rows: int, length: int) -> float:
        again = self.shape.forward_flop(rows, length, heads_of=0) if self.recompute else 0.0
        return self.passes * self.shape.forward_flop(rows, length) + again

    def gradients(self, rows: int, length: int, *, autocast: bool = False) -> None:
        """Forward and backward of one micro-batch."""
        given = self.bench.symbols(self.shape, rows, length + 1)
        context = torch.autocast(self.bench.device, torch.bfloat16) if autocast else contextlib.nullcontext()
        with context:
            logits = self.model(given[:, :-1])
            loss = functional.cross_entropy(logits.flatten(0, 1), given[:, 1:].flatten())
        loss.backward()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def step(self, batch: Batch, *, autocast: bool = False) -> Done:
        for _ in range(batch.parts):
            self.gradients(batch.rows, batch.length, autocast=autocast)
        self.update()
        return Done(training=batch.parts * self.flop(batch.rows, batch.length))


def _pretrain(bench: Bench, name: str, batch: Batch, *, recompute: bool = False, autocast: bool = False) -> Work:
    trainer = Trainer(bench, name, dtype=torch.float32 if autocast else None, recompute=recompute)

    def step() -> Done:
        return trainer.step(batch, autocast=autocast)

    return Work(step=step, probe=step, facts=trainer.facts(batch) | {"autocast": autocast, "recompute": recompute})


def batch_of(bench: Bench, rows: int, length: int, parts: int = 1) -> Batch:
    """A batch at the bench's scale."""
    return Batch(rows=bench.size(rows, 2), length=bench.size(length, 16), parts=parts)


def pretrain_small(bench: Bench) -> Work:
    return _pretrain(bench, "small", batch_of(bench, 32, 1024), autocast=True)


def pretrain_middle(bench: Bench) -> Work:
    return _pretrain(bench, "middle", batch_of(bench, 16, 1024))


def pretrain_large(bench: Bench) -> Work:
    return _pretrain(bench, "large", batch_of(bench, 8, 1024))


def pretrain_accumulated(bench: Bench) -> Work:
    return _pretrain(bench, "middle", batch_of(bench, 8, 1024, parts=4))


def pretrain_recomputed(bench: Bench) -> Work:
    return _pretrain(bench, "large", batch_of(bench, 8, 1024), recompute=True)


def pretrain_single(bench: Bench) -> Work:
    """In 32 bits, with the products in TF32."""
    trainer = Trainer(bench, "small", dtype=torch.float32)
    batch = batch_of(bench, 16, 1024)

    def step() -> Done:
        torch.backends.cuda.matmul.allow_tf32 = True
        try:
            return trainer.step(batch)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = False

    return Work(step=step, probe=step, facts=trainer.facts(batch) | {"tf32": True})


def finetune(bench: Bench) -> Work:
    """All weights, on examples of different lengths."""
    trainer = Trainer(bench, "middle")
    lengths = [bench.size(256, 8), bench.size(384, 12), bench.size(512, 16), bench.size(768, 20)]
    rows = bench.size(16, 2)

    def step() -> Done:
        return trainer.step(Batch(rows=rows, length=int(bench.chance.choice(lengths))))

    return Work(step=step, probe=lambda: trainer.step(Batch(rows=rows, length=lengths[-1])),
                facts=trainer.facts(Batch(rows=rows, length=lengths[-1])) | {"lengths": lengths}, warm_steps=4)  # fmt: skip


def low_rank(bench: Bench) -> Work:
    trainer = Trainer(bench, "large", rank=RANK)
    batch = batch_of(bench, 8, 512)
    return Work(step=lambda: trainer.step(batch), probe=lambda: trainer.step(batch),
                facts=trainer.facts(batch) | {"rank": RANK})  # fmt: skip


def reinforcement(bench: Bench) -> Work:
    """Answers are generated by the model, then it is updated on them."""
    trainer = Trainer(bench, "middle")
    rows, prompt, count = bench.size(64, 2), bench.size(64, 4), bench.size(96, 4)
    server = Server(bench, trainer.model, rows=rows, length=prompt + count)

    def step() -> Done:
        with torch.no_grad():
            other = server.answer(prompt=prompt, count=count)
        bench.wait()
        done = trainer.step(Batch(rows=rows // 2, length=prompt + count, parts=2))
        return Done(training=done.training, other=other)

    return Work(step=step, probe=lambda: trainer.step(Batch(rows=rows // 2, length=prompt + count, parts=2)),
                facts=trainer.facts(Batch(rows=rows // 2, length=prompt + count, parts=2)) | {"generated": count,
                "graph": server.graph}, warm_steps=1)  # fmt: skip


def images_by_patches(bench: Bench) -> Work:
    shape, model = bench.shape("patches"), bench.model("patches")
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, fused=bench.device == "cuda")
    rows, length = bench.size(128, 2), bench.size(256, 16)

    def step() -> Done:
        given = bench.normal(rows, length, shape.width)
        functional.mse_loss(model(given), given).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return Done(training=3 * shape.forward_flop(rows, length))

    return Work(step=step, probe=step, facts=_facts(model, rows) | {"length": length})


def images_by_convolution(bench: Bench) -> Work:
    with torch.device(bench.device):
        model = Convolutional(bench.size(128, 8), bench.size(3, 1))
    for one in model.parameters():
        if one.dim() == 4:
            one.data = one.data.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    rows, side = bench.size(128, 2), bench.size(224, 32)
    flop = 3 * rows * convolution_flop(model, side)

    def step() -> Done:
        given = bench.normal(rows, 3, side, side, dtype=torch.float32).contiguous(memory_format=torch.channels_last)
        with torch.autocast(bench.device, torch.bfloat16):
            loss = functional.cross_entropy(model(given), torch.zeros(rows, dtype=torch.long, device=bench.device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return Done(training=flop)

    return Work(step=step, probe=step, facts=_facts(model, rows) | {"side": side, "optimizer": "SGD"}, warm_steps=4)


def convolution_flop(model: Convolutional, side: int) -> float:
    """One forward pass over one square image, by rule."""
    at = math.ceil(side / model.stem.stride[0])
    total = 2.0 * at**2 * model.stem.weight.numel() + 2.0 * model.head.weight.numel()
    for block in model.stages:
        assert isinstance(block, Residual)
        # All convolutions keep the side, but for the stride of the first of a stage.
        at = math.ceil(at / block.first.stride[0])
        total += 2.0 * at**2 * sum(one.weight.numel() for one in (block.first, block.second, block.around))
    return total


def _facts(model: nn.Module, rows: int) -> dict[str, object]:
    return {"parameters": sum(one.numel() for one in model.parameters()), "rows": rows}


TRAINING: dict[str, Callable[[Bench], Work]] = {
    "pretrain-small": pretrain_small,
    "pretrain-middle": pretrain_middle,
    "pretrain-large": pretrain_large,
    "pretrain-single": pretrain_single,
    "pretrain-accumulated": pretrain_accumulated,
    "pretrain-recomputed": pretrain_recomputed,
    "images-patches": images_by_patches,
    "images-convolution": images_by_convolution,
    "finetune": finetune,
    "low-rank": low_rank,
    "reinforcement": reinforcement,
}
