"""Write the bench's model as safetensors: with seeded weights, or with those that `work_pretrain` trained."""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import save_file

from inspectorate.lab import work_lm as lm
from inspectorate.lab.work_io import emit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    model = lm.build(args.seed, args.weights)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, args.out)
    emit("ready", out=str(args.out))


if __name__ == "__main__":
    main()
