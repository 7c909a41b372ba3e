"""The process that computes losses of data items at checkpoints, for `memorised`: closes itself in, and runs a declared decoder."""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from inspectorate.apart import enclose, say
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.inspection.rerun.decoder import Decoder, row_losses
from inspectorate.mechanisms.inspection.rerun.jobs import Losses, LossItem, LossJob, Ready
from inspectorate.mechanisms.inspection.rerun.tensors import read_tensors
from inspectorate.mechanisms.inspection.transcripts.torch_state import load_weights, torch_of

INPUT_BYTES_MAX = 1 << 28


def main() -> int:
    """Compute what standard input asks for."""
    closed = enclose(sys.argv[1])
    job = LossJob.model_validate(json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX)))
    torch.set_num_threads(1)
    say(Ready(ready=True, closed=closed).canonical_bytes())
    for item in job.items:
        say(_item(job, item).canonical_bytes())
    return 0


def _item(job: LossJob, item: LossItem) -> Losses:
    try:
        return Losses(number=item.number, losses=tuple(_losses(job, item)))
    except InspectorateError as fault:
        return Losses(number=item.number, problem=str(fault)[:600])
    except (RuntimeError, IndexError, MemoryError) as fault:
        return Losses(number=item.number, problem=f"cannot be computed: {fault}"[:600])


def _losses(job: LossJob, item: LossItem) -> Sequence[float]:
    program = job.program
    model = Decoder(program)
    shapes = {name: shape for name, shape, _ in program.tensors()}
    load_weights(model, read_tensors(Path(item.weights.path), digest=item.weights.digest, shapes=shapes))
    found: list[float] = []
    for file in item.batches:
        batch = read_tensors(Path(file.path), digest=file.digest)
        if set(batch) != {"tokens"} or batch["tokens"].shape[1:] != (program.context + 1,):
            raise EvidenceError("is no batch of this program", where=Path(file.path).name)
        found += row_losses(model, torch_of(batch["tokens"])).tolist()
    return found


if __name__ == "__main__":
    raise SystemExit(main())
