"""A small training run with everything random in it, for the tests of transcripts."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from inspectorate.mechanisms.inspection.transcripts.torch_state import Generators
from inspectorate.mechanisms.inspection.transcripts.training import (
    RecorderOptions,
    State,
    TrainingRecorder,
    TrainingSettings,
)

ITEMS = tuple(f"sha256:{number:064x}" for number in range(20))
SETTINGS = TrainingSettings(run="run-1", code="sha256:" + "0" * 64, items=ITEMS, seed_random="11" * 32)


def build(kind: str = "AdamW") -> State:
    """A model with dropout, an optimiser, and a schedule of its rates."""
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.BatchNorm1d(8), nn.Linear(8, 3))
    options: dict[str, Any] = {"AdamW": {"lr": 0.01, "amsgrad": True}, "SGD": {"lr": 0.1, "momentum": 0.9}}
    optimizer = getattr(torch.optim, kind)(model.parameters(), **options.get(kind, {"lr": 0.01}))
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6], 0.5)
    return State(model, optimizer, scheduler, Generators({"data": torch.Generator().manual_seed(3)}, True, True))


def draw(state: State) -> dict[str, Tensor]:
    generator = state.generators.named["data"]
    return {
        "x": torch.randn(6, 4, generator=generator),
        "y": torch.randint(0, 3, (6,), generator=generator),
    }


def train(state: State, batch: dict[str, Tensor]) -> Tensor:
    loss = nn.functional.cross_entropy(state.model(batch["x"]), batch["y"])
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    state.scheduler.step()
    return loss


def options(**changes: Any) -> RecorderOptions:
    """Times and salts that every run of a test repeats; nothing is made durable."""
    ticks, salts = count(1_000), count(1)
    given: dict[str, Any] = {
        "durable": False,
        "clock": lambda: next(ticks),
        "salts": lambda size: next(salts).to_bytes(size, "big"),
    }
    return RecorderOptions(**given | changes)


def record(folder: Path, state: State, steps: int, **changes: Any) -> None:
    with TrainingRecorder(folder, SETTINGS, state, steps_per_packet=3, options=options(**changes)) as recorder:
        for _ in range(steps):
            batch = draw(state)
            recorder.step(batch, train(state, batch), tokens=6)
