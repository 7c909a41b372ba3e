"""Train the small model that an inspected pod serves, and write it as published models are."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from inspectorate.lab.token_model import shape_of, trained, write_model
from inspectorate.lab.work_io import emit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    write_model(trained(shape_of(width=96, layers=2), seed=args.seed, steps=args.steps), args.out)
    emit("done", out=str(args.out))


if __name__ == "__main__":
    main()
