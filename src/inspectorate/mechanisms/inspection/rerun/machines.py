"""A training program as something that runs: weights and states go in as tensors, steps are made, and they come out again.

Threads, autocast and the split of a batch are set as the job says; deterministic algorithms are asked for throughout. FLOP are
counted by torch's `FlopCounterMode`: for a declared decoder in the first step, since all of its steps cost the same; for code, in
every step. Steps that are not counted are timed; where all are counted, no time is given.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.rerun import decoder
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram, ModuleProgram, random_seed
from inspectorate.mechanisms.inspection.rerun.reference import MODULE_BYTES_MAX
from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, raw
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor
from inspectorate.mechanisms.inspection.transcripts.torch_seeds import initial_weights
from inspectorate.mechanisms.inspection.transcripts.torch_state import (
    SCALARS,
    Generators,
    generators_of,
    load_generators,
    load_optimiser,
    load_weights,
    optimiser_of,
    raw_of,
    scalars_tensor,
    torch_of,
    weights_of,
)

Batch = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What running a packet again gave."""

    weights: dict[str, RawTensor]
    optimiser: dict[str, RawTensor]
    generator: dict[str, RawTensor]
    losses: tuple[float, ...]
    flop: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A program that is ready to run."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    step: Callable[[Batch, int, bool], Tensor]
    """Batch, number of the step, and whether random generators are seeded by them (else they go on as they are)."""
    count_every: bool
    scheduler: Any = None

    def weights(self) -> dict[str, RawTensor]:
        return _kept(raw_of(weights_of(self.model)))

    def states(self) -> dict[str, RawTensor]:
        tensors, scalars = optimiser_of(self.model, self.optimiser, self.scheduler)
        return _kept(raw_of(tensors | {SCALARS: scalars_tensor(scalars)}))


def machine_of(
    program: DecoderProgram | ModuleProgram,
    header: Mapping[str, Any],
    *,
    source: Path | None,
    split: int | None,
    first: bool = True,
) -> Machine:
    """Build the model of a program; `first`: with the weights that the seed gives, where no others will be put in.

    Raises `EvidenceError` where the code does not keep the contract.
    """
    torch.use_deterministic_algorithms(True)
    if isinstance(program, DecoderProgram):
        model, optimiser = decoder.build(program)
        if first:
            weights = program.first_weights(str(header["seed"]))
            load_weights(model, {name: raw(array) for name, array in weights.items()})

        def step(batch: Batch, number: int, seeded: bool) -> Tensor:
            return decoder.step(model, optimiser, batch, number, split=split)

        return Machine(model=model, optimiser=optimiser, step=step, count_every=False)
    if source is None:
        raise EvidenceError("the code of the program is not there", where=program.file)
    module = _module(program, source)
    try:
        made, chosen, *rest = initial_weights(lambda: module.build(dict(header)), str(header["seed"]))
        made.state_dict()
        chosen.state_dict()
    except (*_FAULTS, InputError) as fault:
        raise EvidenceError(f"build() failed: {_words(fault)}", where=program.file) from None

    def coded(batch: Batch, number: int, seeded: bool) -> Tensor:
        if seeded:
            torch.manual_seed(random_seed(str(header["seed"]), number))
        return module.step(made, chosen, batch, number)

    scheduler = rest[0] if rest else None
    return Machine(model=made, optimiser=chosen, step=coded, count_every=True, scheduler=scheduler)


@dataclass(frozen=True, kw_only=True)
class Before:
    """The checkpoint from which a packet starts."""

    weights: Tensors | None
    """None: those that the program starts with."""
    optimiser: Tensors
    generator: Tensors | None
    """None: each step is seeded by its number."""


def run_steps(machine: Machine, batches: Sequence[Tensors], first_step: int, *, before: Before) -> Ran:
    """Run the steps of one packet from a checkpoint. Raises `EvidenceError`."""
    try:
        load_before(machine, before)
        seeded = before.generator is None
        flop, losses, seconds, timed = 0.0, [], 0.0, 0
        for place, tensors in enumerate(batches):
            batch = {name: torch_of(one) for name, one in tensors.items()}
            if place == 0 or machine.count_every:
                with FlopCounterMode(display=False) as counter:
                    loss = machine.step(batch, first_step + place, seeded)
                flop += float(counter.get_total_flops()) * (1 if machine.count_every else len(batches))
            else:
                # Only what is not counted is timed, by this thread's processor time: neither counter nor a busy machine is work.
                start = time.thread_time()
                loss = machine.step(batch, first_step + place, seeded)
                seconds, timed = seconds + time.thread_time() - start, timed + 1
            losses.append(float(loss))
        seconds *= len(batches) / timed if timed else 0.0
        return Ran(
            weights=machine.weights(),
            optimiser=machine.states(),
            generator=_kept(raw_of(generators_of(Generators()))),
            losses=tuple(losses),
            flop=flop,
            seconds=seconds,
        )
    except _FAULTS as fault:
        raise EvidenceError(f"the work cannot be run again: {_words(fault)}") from None


def load_before(machine: Machine, before: Before) -> None:
    """Put a checkpoint in. Options of the optimiser are those of the program: a checkpoint brings its rates, and nothing else."""
    if before.weights is not None:
        load_weights(machine.model, before.weights)
        built = [_options(group) for group in machine.optimiser.param_groups]
        load_optimiser(machine.model, machine.optimiser, before.optimiser, machine.scheduler)
        if [_options(group) for group in machine.optimiser.param_groups] != built:
            raise EvidenceError("the checkpoint has other options than the program", where="optimiser")
    if before.generator is not None:
        load_generators(Generators(), before.generator)


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key not in {"params", "lr", "initial_lr"}}


def _kept(tensors: Mapping[str, RawTensor]) -> dict[str, RawTensor]:
    """Copies: what a model holds changes with the next step."""
    return {name: RawTensor(one.dtype, one.shape, memoryview(bytes(one.data))) for name, one in tensors.items()}


_FAULTS = (
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    ImportError,
)
"""What code of a program, or torch on unfit tensors, raises."""


def _words(fault: BaseException) -> str:
    return f"{type(fault).__name__}: {fault}"[:300]


def _module(program: ModuleProgram, folder: Path) -> Any:
    """Load the one file of the program. It runs here: this process is closed in."""
    path = folder / program.file
    data = path.read_bytes()
    if len(data) > MODULE_BYTES_MAX or digest_of(data) != program.source:
        raise EvidenceError("is not the file that was declared", where=program.file)
    sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location("inspected_program", path)
    if spec is None or spec.loader is None:
        raise EvidenceError("is no Python file", where=program.file)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (*_FAULTS, SyntaxError, OSError) as fault:
        raise EvidenceError(f"cannot be loaded: {_words(fault)}", where=program.file) from None
    for name in ("build", "step"):
        if not callable(getattr(module, name, None)):
            raise EvidenceError(f"has no function {name}", where=program.file)
    return module
