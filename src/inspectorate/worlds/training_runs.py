"""Small real training runs with transcripts, honest or not, for tests, error rates and the red team. Never on the product path.

A run is a decoder that learns sequences of a Markov chain, one packet after the other. What is dishonest is done in a packet by a
`Deed`: it moves the trainer from the state before to the state that is committed to, and says which batches are shown.
"""

# torch is an optional extra: with it absent its classes are of unknown type, with it present parts of it are untyped.
# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inspectorate.canonical import canonical_bytes
from inspectorate.evidence import WorkKind
from inspectorate.mechanisms.inspection.rerun.machines import Before, Machine, load_before, machine_of
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.rerun.records import first_digest
from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, raw
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.mechanisms.inspection.transcripts.hashing import RawTensor, digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import data_digest, data_order, seed_of
from inspectorate.mechanisms.inspection.transcripts.stack import stack_of
from inspectorate.mechanisms.inspection.transcripts.torch_state import torch_of
from inspectorate.mechanisms.inspection.transcripts.types import (
    Checkpoint,
    Packet,
    Stack,
    TrainingContent,
    TrainingHeader,
)

Items = NDArray[np.int32]
Numbers = NDArray[np.float64]

TINY = DecoderProgram(vocabulary=64, width=32, layers=2, heads=2, context=16, rows=8, learning_rate=3e-3, clip=1.0)
SHOWN_TASK, HIDDEN_TASK = 1, 2
SECOND_NS = 1_000_000_000
START_NS = 1_764_000_000 * SECOND_NS


@dataclass(frozen=True, kw_only=True)
class State:
    """Weights and optimiser between two packets."""

    weights: Tensors
    optimiser: Tensors


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is fixed before a run: program, data, seed."""

    program: DecoderProgram
    items: Items
    digests: tuple[str, ...]
    seed: str
    seed_random: str
    steps: int
    """Of one packet."""
    packets: int

    def due(self, number: int) -> list[dict[str, RawTensor]]:
        """The batches of a packet, as the seed orders them."""
        rows, first = self.program.rows, number * self.steps
        order = data_order(len(self.items), self.seed, draws=(first + self.steps) * rows)[first * rows :]
        return [batch_of(self.items[order[i * rows : (i + 1) * rows]]) for i in range(self.steps)]


class Trainer:
    """A program that runs in this process."""

    def __init__(self, setting: Setting) -> None:
        torch.set_num_threads(1)
        self.setting = setting
        self.machine: Machine = machine_of(setting.program, {"seed": setting.seed}, source=None, split=None)

    def state(self) -> State:
        return State(weights=self.machine.weights(), optimiser=self.machine.states())

    def load(self, state: State) -> None:
        load_before(self.machine, Before(weights=state.weights, optimiser=state.optimiser, generator=None))

    def step(self, batch: Mapping[str, RawTensor], number: int) -> float:
        made = {name: torch_of(one) for name, one in batch.items()}
        return float(self.machine.step(made, number, False))


@dataclass(kw_only=True)
class Shown:
    """What is committed to of one packet."""

    before: State
    after: State
    batches: list[dict[str, RawTensor]]
    losses: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class At:
    """Where a deed is done."""

    number: int
    trainer: Trainer
    rng: np.random.Generator

    @property
    def first_step(self) -> int:
        return self.number * self.trainer.setting.steps


Deed = Callable[[At], Shown]


def honest(at: At) -> Shown:
    """The steps that are due."""
    batches = at.trainer.setting.due(at.number)
    before = at.trainer.state()
    losses = tuple(at.trainer.step(one, at.first_step + i) for i, one in enumerate(batches))
    return Shown(before=before, after=at.trainer.state(), batches=batches, losses=losses)


@dataclass(kw_only=True)
class Run:
    """A run as it is committed to, and which of its packets are dirty."""

    setting: Setting
    shown: list[Shown] = field(default_factory=list)
    dirty: frozenset[int] = frozenset()


def train(setting: Setting, deeds: Mapping[int, Deed], rng: np.random.Generator) -> Run:
    """A run in which packets of `deeds` are made by them, and all others honestly from where the run then is."""
    trainer = Trainer(setting)
    run = Run(setting=setting, dirty=frozenset(deeds))
    for number in range(setting.packets):
        run.shown.append(deeds.get(number, honest)(At(number=number, trainer=trainer, rng=rng)))
    return run


def setting_of(
    rng: np.random.Generator, *, program: DecoderProgram = TINY, steps: int = 2, packets: int = 32, items: int = 512
) -> Setting:
    """Data and seed of a run, drawn from `rng`."""
    data = markov_items(rng, program, items, chain=SHOWN_TASK)
    digests = tuple(digest_of_tensors({"tokens": raw(row)}) for row in data)
    seed_random = rng.bytes(32).hex()
    return Setting(
        program=program,
        items=data,
        digests=digests,
        seed=seed_of(digests, seed_random),
        seed_random=seed_random,
        steps=steps,
        packets=packets,
    )


def markov_items(rng: np.random.Generator, program: DecoderProgram, count: int, *, chain: int) -> Items:
    """Sequences of a chain in which each token is followed by one of four; `chain` says which ones: the task."""
    following = np.random.default_rng(chain).integers(program.vocabulary, size=(program.vocabulary, 4))
    tokens = np.empty((count, program.context + 1), dtype=np.int32)
    tokens[:, 0] = rng.integers(program.vocabulary, size=count)
    for place in range(1, program.context + 1):
        tokens[:, place] = following[tokens[:, place - 1], rng.integers(4, size=count)]
    return tokens


def batch_of(rows: Items) -> dict[str, RawTensor]:
    return {"tokens": raw(np.ascontiguousarray(rows, dtype=np.int32))}


# --- the folder --------------------------------------------------------------------------------------------------------


def header_of(setting: Setting, stack: Stack, name: str) -> TrainingHeader:
    return TrainingHeader(
        work=WorkKind.TRAINING,
        run=name,
        code=setting.program.digest,
        stack=stack,
        hyper_parameters={"rows": setting.program.rows, "learning_rate": setting.program.learning_rate},
        optimiser="AdamW",
        seed=setting.seed,
        seed_random=setting.seed_random,
        data=data_digest(setting.digests),
        weights_first=first_digest(setting.program, setting.seed),
    )


def deterministic_stack() -> Stack:
    """Of this process, with one thread."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    return stack_of()


def write_run(run: Run, folder: Path, *, name: str = "run-1", header: TrainingHeader | None = None) -> FolderReader:
    """The prover's folder of a run."""
    setting = run.setting
    header = header or header_of(setting, deterministic_stack(), name)
    writer = FolderWriter.create(folder, header, durable=False)
    writer.add_bytes(canonical_bytes(list(setting.digests)))
    writer.add_bytes(setting.program.canonical_bytes())
    rng = np.random.default_rng(int(setting.seed[:16], 16))
    for number, shown in enumerate(run.shown):
        before, after = (_checkpoint(writer, one) for one in (shown.before, shown.after))
        content = TrainingContent(
            work=WorkKind.TRAINING,
            first_step=number * setting.steps,
            steps=setting.steps,
            before=before,
            after=after,
            batches=tuple(writer.add_tensors(one) for one in shown.batches),
            losses=shown.losses,
            tokens=setting.steps * setting.program.rows * setting.program.context,
        )
        start = START_NS + number * SECOND_NS
        writer.add_packet(
            Packet(
                number=number,
                start_ns=start,
                end_ns=start + SECOND_NS - 1,
                flop=6.0 * setting.program.parameters * content.tokens,
                salt=rng.bytes(32).hex(),
                content=content,
            )
        )
    writer.close()
    return FolderReader(folder)


def _checkpoint(writer: FolderWriter, state: State) -> Checkpoint:
    return Checkpoint(weights=writer.add_tensors(state.weights), optimiser=writer.add_tensors(state.optimiser))


def packets_of(folder: FolderReader) -> dict[int, Packet]:
    return {packet.number: packet for packet in folder.packets()}


def other_batches(at: At, count: int) -> Sequence[dict[str, RawTensor]]:
    """Batches of another task."""
    program = at.trainer.setting.program
    rows = markov_items(at.rng, program, count * program.rows, chain=HIDDEN_TASK)
    return [batch_of(rows[i * program.rows : (i + 1) * program.rows]) for i in range(count)]


def loss_on_hidden(run: Run, trainer: Trainer, rng: np.random.Generator) -> float:
    """The mean loss of the last weights on the other task, of which `rng` draws the chain."""
    at = At(number=0, trainer=trainer, rng=rng)
    trainer.load(run.shown[-1].after)
    found = []
    for one in other_batches(at, 16):
        tokens = torch_of(one["tokens"]).long()
        with torch.no_grad():
            logits = trainer.machine.model(tokens[:, :-1])
        found.append(float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())))
    return float(np.mean(found))


__all__ = ["At", "Deed", "Run", "Setting", "Shown", "State", "Trainer", "honest", "replace", "train", "write_run"]
