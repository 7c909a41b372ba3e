"""Writes the transcript of a training run, from within the training loop.

    with TrainingRecorder(folder, settings, State(model, optimizer), steps_per_packet=50) as recorder:
        for batch in batches:
            loss = train_step(batch)            # as before
            recorder.step(batch, loss)          # after the optimiser's step

Rules:

- A packet is `steps_per_packet` optimiser steps. At its end weights, optimiser state and generators are copied; one thread in the
  background, at a lower priority, hashes and writes them. The loop waits only where that thread is `PENDING_MAX` packets behind.
- A packet starts where the one before it ended: its checkpoint is shared, not written again.
- Nothing waits for a device: losses and batches are copied on it, and read when the packet is written.
- What is not kept exactly is refused at the start, not found missing when a packet is drawn.
- A loop that ends by an exception leaves its run unclosed: what was written stands, the open packet is lost, and that shows.

Needs torch, which the core does not install.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import WorkKind
from inspectorate.mechanisms.inspection.transcripts.copies import StateCopy
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import data_digest, seed_of
from inspectorate.mechanisms.inspection.transcripts.stack import stack_of
from inspectorate.mechanisms.inspection.transcripts.torch_state import (
    SCALARS,
    Generators,
    Tensors,
    batch_of,
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
from inspectorate.mechanisms.inspection.transcripts.types import (
    BATCHES_MAX,
    SALT_BYTES,
    Checkpoint,
    Packet,
    Stack,
    TrainingContent,
    TrainingHeader,
)

PENDING_MAX = 2
"""Packets that are copied and not yet written: each holds one copy of weights and optimiser state in memory."""
BACKGROUND_NICENESS = 5


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """What a recorder cannot see for itself."""

    run: str
    code: str
    """Digest of the snapshot of the code."""
    items: Sequence[str]
    """Digests of the data items, in the order of their numbers. The list is kept as content."""
    seed_random: str
    """32 random bytes in hex, drawn for this run. With `items` it gives the seed (`seeds.seed_of`)."""
    hyper_parameters: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    """Beside those of the optimiser, which are added."""
    parent: str | None = None
    """Digest of the declared model that is trained on."""
    stack: Stack | None = None
    """None: as `stack_of` finds it for the device of the first parameter."""

    @property
    def seed(self) -> str:
        return seed_of(self.items, self.seed_random)


@dataclass
class State:
    """What a training loop changes, and a replay must restore."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: Any = None
    generators: Generators = field(default_factory=Generators)

    def tensors(self) -> dict[str, Tensors]:
        """All of it, in three sets, each with a digest of its own. Nothing is copied. Raises `InputError`."""
        optimiser, scalars = optimiser_of(self.model, self.optimizer, self.scheduler)
        return {
            "weights": weights_of(self.model),
            "optimiser": {**optimiser, SCALARS: scalars_tensor(scalars)},
            "generator": generators_of(self.generators),
        }

    def checkpoint(self, *, threads: int = 1) -> Checkpoint:
        """The digests of the state as it is now."""
        found = {kind: digest_of_tensors(raw_of(one), threads=threads) for kind, one in self.tensors().items()}
        return Checkpoint.model_validate(found)

    def restore(self, reader: FolderReader, checkpoint: Checkpoint) -> None:
        """Put a checkpoint of a folder back, exactly. Raises `EvidenceError`."""
        with reader.open_tensors(checkpoint.weights, finite=True) as tensors:
            load_weights(self.model, tensors)
        with reader.open_tensors(checkpoint.optimiser) as tensors:
            load_optimiser(self.model, self.optimizer, tensors, self.scheduler)
        if checkpoint.generator is not None:
            with reader.open_tensors(checkpoint.generator) as tensors:
                load_generators(self.generators, tensors)


def read_batch(reader: FolderReader, digest: str) -> Tensors:
    """A batch as `batch_of` named its tensors. Raises `EvidenceError`."""
    with reader.open_tensors(digest) as tensors:
        return {name: torch_of(raw) for name, raw in tensors.items()}


@dataclass
class _Open:
    """The packet that is being filled."""

    start_ns: int
    batches: list[Tensors] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    tokens: int = 0
    flop: float = 0.0


class TrainingRecorder:
    """Records a run from within its loop; see the top of this module.

    `clock` gives nanoseconds since 1970, `salts` gives random bytes. `resume` goes on with a run that was cut off, after the caller
    has restored its last checkpoint. `waited_s` is how long the loop had to wait for the disk, `background_s` how much processor
    time hashing and writing took beside it.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        state: State,
        *,
        steps_per_packet: int,
        flop_per_token: float | None = None,
        options: RecorderOptions | None = None,
    ) -> None:
        if not 1 <= steps_per_packet <= BATCHES_MAX:
            raise InputError(f"steps_per_packet must lie between 1 and {BATCHES_MAX}", where="recorder")
        self.waited_s = 0.0
        self.background_s = 0.0
        self._options = options or RecorderOptions()
        self._state = state
        self._steps_per_packet = steps_per_packet
        parameters = sum(parameter.numel() for parameter in state.model.parameters())
        self._flop_per_token = 6.0 * parameters if flop_per_token is None else flop_per_token
        self._end_ns = 0
        self._step = 0
        self._number = 0
        self._writer, self._last = self._begin(folder, settings)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="transcript", initializer=_lower_priority)
        self._pending: deque[Future[None]] = deque()
        self._copies: deque[StateCopy] = deque(StateCopy() for _ in range(PENDING_MAX))
        self._open = _Open(self._now())

    def _begin(self, folder: Path, settings: TrainingSettings) -> tuple[FolderWriter, Checkpoint]:
        first = self._state.checkpoint()
        if self._options.resume:
            return self._go_on(folder, settings, first)
        header = header_of(settings, self._state, first.weights)
        writer = FolderWriter.create(folder, header, durable=self._options.durable)
        self._add_first(writer, settings, first)
        return writer, first

    def _add_first(self, writer: FolderWriter, settings: TrainingSettings, first: Checkpoint) -> None:
        """The content with which a run begins."""
        writer.add_bytes(canonical_bytes(list(settings.items)))
        for kind, tensors in self._state.tensors().items():
            writer.add_tensors(raw_of(tensors), digest=getattr(first, kind))

    def _go_on(self, folder: Path, settings: TrainingSettings, found: Checkpoint) -> tuple[FolderWriter, Checkpoint]:
        reader = FolderReader(folder)
        if not isinstance(reader.header, TrainingHeader):
            raise InputError("is no run of training", where=str(folder))
        header = header_of(settings, self._state, reader.header.weights_first)
        # Rates that a scheduler changed are part of the state, not of the run.
        header = header.model_copy(update={"hyper_parameters": reader.header.hyper_parameters})
        writer = FolderWriter.resume(folder, header, durable=self._options.durable)
        if reader.count:
            last = reader.packet(reader.count - 1)
            if not isinstance(last.content, TrainingContent) or last.content.after != found:
                raise InputError(
                    "the state is not the one with which the last packet ended",
                    where=str(folder),
                    remedy="restore it first: State.restore",
                )
            self._step = last.content.first_step + last.content.steps
            self._end_ns, self._number = last.end_ns, reader.count
        elif reader.header.weights_first != found.weights:
            raise InputError("the weights are not those with which the run began", where=str(folder))
        else:
            self._add_first(writer, settings, found)
        return writer, found

    # --- the loop ------------------------------------------------------------------------------------------------------

    def step(
        self, batch: object, loss: Tensor | float | None = None, *, tokens: int | None = None, flop: float | None = None
    ) -> None:
        """Say that one optimiser step was made on `batch`: a tensor, or mappings and sequences of tensors.

        `tokens` defaults to the size of `input_ids` where the batch has them; `flop` to tokens times the FLOP of one.
        Raises `InputError` on a batch that cannot be kept, `EnvironmentError_` if an earlier packet could not be written.
        """
        kept = batch_of(batch)
        if tokens is None:
            tokens = kept["input_ids"].numel() if "input_ids" in kept else 0
        self._open.batches.append({name: tensor.detach().clone() for name, tensor in kept.items()})
        if loss is not None:
            self._open.losses.append(loss.detach().clone() if isinstance(loss, Tensor) else torch.tensor(float(loss)))
        self._open.tokens += tokens
        self._open.flop += tokens * self._flop_per_token if flop is None else flop
        if len(self._open.batches) >= self._steps_per_packet:
            self.end_packet()

    def end_packet(self) -> None:
        """End the packet here, if it holds a step. Call it before the state is changed by other than the recorded loop."""
        if not self._open.batches:
            return
        self._wait(PENDING_MAX - 1)
        copy = self._copies.popleft()
        copy.take(self._state.tensors())
        end_ns = max(self._now(), self._open.start_ns + 1)
        done, number, step = self._open, self._number, self._step
        self._pending.append(self._pool.submit(self._in_background, done, copy, number, step, end_ns))
        self._number, self._step, self._end_ns = number + 1, step + len(done.batches), end_ns
        self._open = _Open(self._now())

    def drain(self) -> None:
        """Wait until all packets that have ended are written and durable."""
        self._wait(0)

    def close(self) -> None:
        """End the last packet, wait until all is written, and close the run."""
        self.end_packet()
        self.drain()
        self._pool.shutdown()
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        self._pool.shutdown()

    def _now(self) -> int:
        """The time, never before the end of the packet before."""
        return max(self._options.clock(), self._end_ns)

    def _wait(self, left: int) -> None:
        start = time.perf_counter()
        while len(self._pending) > left:
            self._pending.popleft().result()
        while self._pending and self._pending[0].done():
            self._pending.popleft().result()
        self.waited_s += time.perf_counter() - start

    # --- in the background ---------------------------------------------------------------------------------------------

    def _in_background(self, done: _Open, copy: StateCopy, number: int, step: int, end_ns: int) -> None:
        start = time.thread_time()
        self._write(done, copy, number, step, end_ns)
        self.background_s += time.thread_time() - start

    def _write(self, done: _Open, copy: StateCopy, number: int, step: int, end_ns: int) -> None:
        try:
            if copy.ready is not None:
                copy.ready.synchronize()
            after = Checkpoint.model_validate(
                {kind: self._writer.add_tensors(raw_of(tensors)) for kind, tensors in copy.sets.items()}
            )
        finally:
            self._copies.append(copy)
        losses = tuple(torch.stack([loss.float() for loss in done.losses]).tolist()) if done.losses else ()
        content = TrainingContent(
            work=WorkKind.TRAINING,
            first_step=step,
            steps=len(done.batches),
            before=self._last,
            after=after,
            batches=tuple(self._writer.add_tensors(raw_of(batch)) for batch in done.batches),
            losses=losses,
            tokens=done.tokens,
        )
        self._writer.add_packet(
            Packet(
                number=number,
                start_ns=done.start_ns,
                end_ns=end_ns,
                flop=done.flop,
                salt=self._options.salts(SALT_BYTES).hex(),
                content=content,
            )
        )
        self._last = after


@dataclass(frozen=True, kw_only=True)
class RecorderOptions:
    """What tests and careful callers set. `durable=False` leaves out every fsync."""

    resume: bool = False
    durable: bool = True
    clock: Callable[[], int] = time.time_ns
    salts: Callable[[int], bytes] = secrets.token_bytes


def header_of(settings: TrainingSettings, state: State, weights_first: str) -> TrainingHeader:
    """The header of a run. Raises `InputError`."""
    device = next((str(parameter.device) for parameter in state.model.parameters()), "cpu")
    hyper_parameters = dict(settings.hyper_parameters)
    for key, value in state.optimizer.param_groups[0].items():
        if isinstance(value, str | int | float | bool):
            hyper_parameters.setdefault(f"optimiser.{key}", value)
        elif key == "betas":
            hyper_parameters |= {f"optimiser.beta{i}": float(one) for i, one in enumerate(value, 1)}
    stack = settings.stack or stack_of(device)
    fields = {
        "work": WorkKind.TRAINING.value,
        "run": settings.run,
        "code": settings.code,
        "stack": stack.model_dump(),
        "hyper_parameters": hyper_parameters,
        "optimiser": type(state.optimizer).__name__,
        "seed": settings.seed,
        "seed_random": settings.seed_random,
        "data": data_digest(settings.items),
        "weights_first": weights_first,
        "parent": settings.parent,
    }
    return TrainingHeader.parse(fields, where="settings", error=InputError)


def _lower_priority() -> None:
    """Of this thread only: on Linux a priority belongs to a thread."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)
    except OSError as fault:
        raise EnvironmentError_(
            f"the priority of a thread cannot be lowered: {fault.strerror}", where="recorder"
        ) from None
