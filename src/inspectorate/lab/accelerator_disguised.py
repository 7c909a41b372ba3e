"""Training in disguise, really run: with the names of `docs/disguises.md` where the idea is the same, and three that are new.

What differs from the simulated ones: no limit of the card is changed, so `throttling` is done with pauses; slices and bursts
are scaled to runs of seconds; `fused-updates` is done as frameworks do it. New are `paced-arrivals` (micro-batches come like
requests), `evaluation-job` (one batch in four of an evaluation is learnt from) and `forward-only` (no backward pass). Each
says which honest workload it claims to be.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from inspectorate.lab.accelerator_serving import Service
from inspectorate.lab.accelerator_training import LEARNING_RATE, RANK, Batch, Trainer, batch_of
from inspectorate.lab.accelerator_work import Arrivals, Bench, Done, Work

DUTY = 0.35
"""Share of the time in which a throttled run works."""


@dataclass(frozen=True, kw_only=True)
class Disguised:
    """A disguise, and the honest workload that it claims to be."""

    build: Callable[[Bench], Work]
    claims: str


def _burn(bench: Bench) -> Callable[[int], float]:
    """Matrix products whose results no one wants; FLOP."""
    side = bench.size(4096, 32)
    first, second = bench.normal(side, side), bench.normal(side, side)
    out = torch.empty_like(first)

    def burn(times: int) -> float:
        for _ in range(times):
            torch.mm(first, second, out=out)
        return times * 2.0 * side**3

    return burn


def throttling(bench: Bench) -> Work:
    """Small batches with pauses: never more than so much power on average."""
    trainer, batch = Trainer(bench, "middle"), batch_of(bench, 2, 1024)

    def step() -> Done:
        begun = time.monotonic()
        done = trainer.step(batch)
        bench.wait()
        time.sleep((time.monotonic() - begun) * (1.0 / DUTY - 1.0))
        return done

    return Work(step=step, probe=lambda: trainer.step(batch), facts=trainer.facts(batch) | {"duty": DUTY})


def padding(bench: Bench) -> Work:
    """Small batches, and products that fill the chip beside them."""
    trainer, batch, burn = Trainer(bench, "small"), batch_of(bench, 4, 512), _burn(bench)
    times = bench.size(12, 1)

    def step() -> Done:
        done = trainer.step(batch)
        return Done(training=done.training, other=burn(times))

    return Work(step=step, probe=lambda: trainer.step(batch), facts=trainer.facts(batch) | {"burns": times})


def valley_filling(bench: Bench) -> Work:
    """Products run on a second queue while weights are updated."""
    trainer, batch, burn = Trainer(bench, "middle"), batch_of(bench, 16, 1024), _burn(bench)
    side = torch.cuda.Stream() if bench.device == "cuda" else None
    times = bench.size(20, 1)

    def step() -> Done:
        trainer.gradients(batch.rows, batch.length)
        if side is not None:
            side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            other = burn(times)
        trainer.update()
        if side is not None:
            torch.cuda.current_stream().wait_stream(side)
        return Done(training=trainer.flop(batch.rows, batch.length), other=other)

    return Work(step=step, probe=lambda: trainer.step(batch), facts=trainer.facts(batch) | {"burns": times})


def fused_updates(bench: Bench) -> Work:
    """Each weight is updated in the backward pass, as soon as its gradient is there."""
    trainer, batch = Trainer(bench, "middle"), batch_of(bench, 16, 1024)
    fused = bench.device == "cuda"
    optimizers: dict[torch.Tensor, torch.optim.AdamW] = {
        one: torch.optim.AdamW([one], lr=LEARNING_RATE, fused=fused) for one in trainer.trained
    }

    def update(parameter: torch.Tensor) -> None:
        optimizers[parameter].step()
        optimizers[parameter].zero_grad(set_to_none=True)

    for one in trainer.trained:
        one.register_post_accumulate_grad_hook(update)

    def step() -> Done:
        trainer.gradients(batch.rows, batch.length)
        return Done(training=trainer.flop(batch.rows, batch.length))

    return Work(step=step, probe=step, facts=trainer.facts(batch))


def batch_games(bench: Bench) -> Work:
    """One short sequence at a time: bound by memory, as writing answers is."""
    trainer, batch = Trainer(bench, "large"), batch_of(bench, 1, 128)
    return Work(step=lambda: trainer.step(batch), probe=lambda: trainer.step(batch), facts=trainer.facts(batch))


def paced_arrivals(bench: Bench) -> Work:
    """Micro-batches that come at random times, as requests do; weights are updated after every eighth."""
    trainer, batch = Trainer(bench, "middle"), batch_of(bench, 4, 1024)
    arrivals, parts = Arrivals(bench, 8.0), 0

    def step() -> Done:
        nonlocal parts
        taken = arrivals.take(1)
        if not taken:
            return Done()
        trainer.gradients(batch.rows, batch.length)
        parts += 1
        if parts % 8 == 0:
            trainer.update()
        bench.wait()
        return Done(training=trainer.flop(batch.rows, batch.length))

    return Work(
        step=step, probe=lambda: trainer.step(batch), facts=trainer.facts(batch) | {"rate_hz": 8.0}, warm_steps=1
    )


def _beside(bench: Bench, train_s: float, serve_s: float, batch: Batch) -> Work:
    """Real serving, and full training for `train_s` after every `serve_s`."""
    trainer, service = Trainer(bench, "middle"), Service(bench, 8.0)
    scale = bench.size(100, 10) / 100

    def step() -> Done:
        training, other = 0.0, 0.0
        end_s = time.monotonic() + serve_s * scale
        while time.monotonic() < end_s:
            other += service.step().other
        end_s = time.monotonic() + train_s * scale
        while time.monotonic() < end_s:
            training += trainer.step(batch).training
            bench.wait()
        return Done(training=training, other=other)

    facts = service.facts() | trainer.facts(batch) | {"train_s": train_s, "serve_s": serve_s}
    return Work(step=step, probe=lambda: trainer.step(batch), facts=facts, warm_steps=0)


def time_slicing(bench: Bench) -> Work:
    return _beside(bench, 0.4, 0.6, batch_of(bench, 8, 1024))


def rare_bursts(bench: Bench) -> Work:
    return _beside(bench, 0.3, 2.0, batch_of(bench, 16, 1024))


def micro_batches(bench: Bench) -> Work:
    """Serving, with one small micro-batch of low-rank training after every answered batch of requests."""
    trainer, service, batch = Trainer(bench, "large", rank=RANK), Service(bench, 8.0), batch_of(bench, 2, 256)

    def step() -> Done:
        other = service.step().other
        done = trainer.step(batch)
        bench.wait()
        return Done(training=done.training, other=other)

    facts = service.facts() | trainer.facts(batch) | {"rank": RANK}
    return Work(step=step, probe=lambda: trainer.step(batch), facts=facts)


def evaluation_job(bench: Bench) -> Work:
    """Texts are scored as in an evaluation, and one batch in four is learnt from."""
    trainer, batch = Trainer(bench, "middle"), batch_of(bench, 16, 1024)
    turn = 0

    def step() -> Done:
        nonlocal turn
        turn += 1
        if turn % 4 == 0:
            return trainer.step(batch)
        given = bench.symbols(trainer.shape, batch.rows, batch.length)
        with torch.no_grad():
            functional.cross_entropy(trainer.model(given).flatten(0, 1), given.flatten()).item()
        return Done(other=trainer.shape.forward_flop(batch.rows, batch.length))

    return Work(step=step, probe=lambda: trainer.step(batch), facts=trainer.facts(batch), warm_steps=4)


def forward_only(bench: Bench) -> Work:
    """Evolution strategies: weights are moved along a random direction by how much better one side of it scores."""
    model = bench.model("middle").requires_grad_(False)
    weights = list(model.parameters())
    batch = batch_of(bench, 16, 1024)
    made = torch.Generator(device=bench.device)

    def move(seed: int, by: float) -> None:
        made.manual_seed(seed)
        for one in weights:
            one.add_(torch.randn(one.shape, generator=made, device=one.device, dtype=one.dtype), alpha=by)

    def step() -> Done:
        seed = int(bench.chance.integers(1 << 30))
        given = bench.symbols(model.shape, batch.rows, batch.length)
        scores = []
        with torch.no_grad():
            for by in (1e-3, -2e-3):
                move(seed, by)
                scores.append(functional.cross_entropy(model(given).flatten(0, 1), given.flatten()).item())
            move(seed, 1e-3 - 1e-4 * (scores[0] - scores[1]))
        return Done(training=2 * model.shape.forward_flop(batch.rows, batch.length))

    facts = {"parameters": sum(one.numel() for one in weights), "rows": batch.rows, "length": batch.length}
    return Work(step=step, probe=step, facts=facts)


DISGUISED: dict[str, Disguised] = {
    "throttling": Disguised(build=throttling, claims="serve-middle"),
    "padding": Disguised(build=padding, claims="prefill"),
    "valley-filling": Disguised(build=valley_filling, claims="prefill"),
    "fused-updates": Disguised(build=fused_updates, claims="prefill"),
    "batch-games": Disguised(build=batch_games, claims="decode-many"),
    "time-slicing": Disguised(build=time_slicing, claims="serve-middle"),
    "micro-batches": Disguised(build=micro_batches, claims="serve-middle"),
    "rare-bursts": Disguised(build=rare_bursts, claims="serve-middle"),
    "paced-arrivals": Disguised(build=paced_arrivals, claims="serve-middle"),
    "evaluation-job": Disguised(build=evaluation_job, claims="score"),
    "forward-only": Disguised(build=forward_only, claims="score"),
}
