"""Train the model for some steps on one machine and save it: the weights that the pods serve."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from inspectorate.lab import work_lm as lm
from inspectorate.lab.work_io import emit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = lm.build(args.seed)
    optimiser = lm.optimiser(model)
    loss = float("nan")
    for step, batch in zip(range(args.steps), lm.batches(args.seed), strict=False):
        value = lm.loss_of(model, batch)
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        loss = value.item()
        if step % 100 == 0:
            emit("step", step=step, loss=round(loss, 4))
    torch.save(model.state_dict(), args.out)
    emit("ready", steps=args.steps, loss=round(loss, 4), parameters=sum(p.numel() for p in model.parameters()))


if __name__ == "__main__":
    main()
