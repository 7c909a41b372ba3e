"""The process that runs work again, started by `jobs.each_apart`: closes itself in, then reads its job, then runs item by item.

It gets checkpoints before, batches and the program; never the result that was committed to. What comes out is written to the folder
`out`, which is the only place that it can write to. Code of a program runs only where both network and files are closed in.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from inspectorate.apart import Closed, enclose, say
from inspectorate.errors import InspectorateError
from inspectorate.mechanisms.inspection.rerun.jobs import FileOfTensors, RanItem, Ready, RunItem, RunJob
from inspectorate.mechanisms.inspection.rerun.machines import Before, Ran, machine_of, run_steps
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.rerun.tensors import Shapes, Tensors, read_tensors, write_tensors

INPUT_BYTES_MAX = 1 << 28


def main() -> int:
    """Run what standard input asks for."""
    closed = enclose(sys.argv[1])
    job = RunJob.model_validate(json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX)))
    torch.set_num_threads(job.threads)
    problem = _unfit(job, closed)
    say(Ready(ready=problem is None, closed=closed, problem=problem).canonical_bytes())
    if problem is not None:
        return 1
    for item in job.items:
        say(_item(job, item).canonical_bytes())
    return 0


def _unfit(job: RunJob, closed: Closed) -> str | None:
    if isinstance(job.program, DecoderProgram) or (closed.network and closed.files):
        return None
    return "this kernel does not close the process in (Landlock, network namespaces), and code of the prover is not run without"


def _item(job: RunJob, item: RunItem) -> RanItem:
    """Run one packet: what is wrong with what the prover gave is said, and does not end the process."""
    try:
        ran = _ran(job, item)
    except InspectorateError as fault:
        return RanItem(number=item.number, problem=str(fault)[:600])
    except MemoryError:
        return RanItem(number=item.number, problem="takes more memory than is allowed")
    except OSError as fault:
        return RanItem(number=item.number, problem=f"what came out cannot be written: {fault.strerror}"[:600])
    return RanItem(number=item.number, losses=_finite(ran.losses), flop=ran.flop, seconds=ran.seconds)


def _ran(job: RunJob, item: RunItem) -> Ran:
    program = job.program
    source = None if job.source is None else Path(job.source)
    machine = machine_of(
        program, job.header | {"seed": item.seed}, source=source, split=job.split, first=item.weights is None
    )
    shapes: Shapes | None = None
    if isinstance(program, DecoderProgram):
        shapes = {name: shape for name, shape, _ in program.tensors()}
    out = Path(job.out)
    if item.weights is None:
        write_tensors(out / f"{item.number}.first", machine.weights())
        write_tensors(out / f"{item.number}.first-optimiser", machine.states())
    before = Before(
        weights=_read(item.weights, shapes), optimiser=_read(item.optimiser) or {}, generator=_read(item.generator)
    )
    batches = [read_tensors(Path(one.path), digest=one.digest) for one in item.batches]
    ran = run_steps(machine, batches, item.first_step, before=before)
    write_tensors(out / f"{item.number}.weights", ran.weights)
    write_tensors(out / f"{item.number}.optimiser", ran.optimiser)
    if item.generator is not None:
        write_tensors(out / f"{item.number}.generator", ran.generator)
    return ran


def _read(file: FileOfTensors | None, shapes: Shapes | None = None) -> Tensors | None:
    return None if file is None else read_tensors(Path(file.path), digest=file.digest, shapes=shapes)


def _finite(losses: tuple[float, ...]) -> tuple[float, ...]:
    """Losses that JSON can carry; what is not finite is no loss that anybody can have stated."""
    return tuple(loss if abs(loss) < 1e300 else 1e300 for loss in losses)


if __name__ == "__main__":
    raise SystemExit(main())
