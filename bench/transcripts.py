"""What a transcript costs a training loop: `python -m bench transcripts`. Needs torch.

A decoder in float32 is trained with AdamW, one thread, on random tokens. The same loop runs alone and with the recorder, in turn
and in changing order: `PACKETS` packets each, through the last byte of the last one on disk. Reported are, for each size of model,

- the recorder's own processor time (its calls in the loop, and its thread in the background) over that of the steps in the same
  minutes, as the median over runs with their range: a busy machine slows both;
- the slowdown in wall time, pairs in turn, with the 95 % interval of the mean of the logarithms (Student's t): below the first
  where the machine has a core to spare, wide where it does other things;
- what one step and one packet cost, and how many steps a packet must have for 3 %.

Weights, optimiser state and the work of a step all grow with the number of parameters. So what a packet costs beside its steps
depends on the tokens that it trains on, and hardly on the model; the last column says how many these must be.

Exits 1 where the median share of processor time is above 3 % at the steps per packet that are named here.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from inspectorate.mechanisms.inspection.transcripts.training import State, TrainingRecorder, TrainingSettings

TARGET = 0.03
PACKETS = 2
PAIRS = 5
VOCABULARY = 1_000
T_95 = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t for a two-sided 95 % interval, by the number of pairs."""


@dataclass(frozen=True)
class Case:
    width: int
    layers: int
    rows: int
    length: int
    steps: int
    """Steps of one packet."""


CASES = (Case(64, 2, 8, 64, 60), Case(128, 4, 8, 64, 30), Case(256, 6, 8, 64, 20))


class Decoder(nn.Module):
    """A plain decoder: embedding, layers with causal attention, output."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, case.width)
        layer = nn.TransformerEncoderLayer(case.width, max(1, case.width // 64), 4 * case.width, 0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, case.layers, enable_nested_tensor=False)
        self.head = nn.Linear(case.width, VOCABULARY)
        mask = nn.Transformer.generate_square_subsequent_mask(case.length)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.layers(self.embedding(tokens), mask=self.mask, is_causal=True)
        logits: Tensor = self.head(hidden)
        return logits


class Loop:
    """One model in training, which goes on from run to run."""

    def __init__(self, case: Case) -> None:
        torch.manual_seed(1)
        self.case = case
        self.model = Decoder(case)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def step(self) -> tuple[dict[str, Tensor], Tensor]:
        tokens = torch.randint(0, VOCABULARY, (self.case.rows, self.case.length + 1))
        logits = self.model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"input_ids": tokens}, loss.detach()

    def alone(self) -> float:
        """Wall time of the run."""
        start = time.perf_counter()
        for _ in range(PACKETS * self.case.steps):
            self.step()
        return time.perf_counter() - start

    def recorded(self, recorder: TrainingRecorder) -> Recorded:
        start, background, own, steps = time.perf_counter(), recorder.background_s, 0.0, 0.0
        for _ in range(PACKETS * self.case.steps):
            begin = time.thread_time()
            done = self.step()
            between = time.thread_time()
            recorder.step(*done)
            steps += between - begin
            own += time.thread_time() - between
        recorder.drain()
        return Recorded(time.perf_counter() - start, steps, own + recorder.background_s - background)


@dataclass(frozen=True)
class Recorded:
    """One run with the recorder: wall time, and processor time of the steps and of the recorder."""

    wall_s: float
    steps_s: float
    own_s: float


def settings(run: str) -> TrainingSettings:
    items = [f"sha256:{number:064x}" for number in range(100)]
    return TrainingSettings(run=run, code="sha256:" + "0" * 64, items=items, seed_random="11" * 32)


def interval(ratios: list[float]) -> tuple[float, float]:
    logs = [math.log(one) for one in ratios]
    half = T_95[len(logs)] * statistics.stdev(logs) / math.sqrt(len(logs))
    middle = statistics.mean(logs)
    return math.exp(middle - half), math.exp(middle + half)


def measure(case: Case, folder: Path, pairs: int) -> tuple[list[str], float]:
    loop = Loop(case)
    for _ in range(5):
        loop.step()
    state = State(loop.model, loop.optimizer)
    alone: list[float] = []
    beside: list[Recorded] = []
    with TrainingRecorder(folder, settings(folder.name), state, steps_per_packet=case.steps) as recorder:
        loop.recorded(recorder)  # memory for copies is taken once
        for pair in range(pairs):
            turns = [lambda: alone.append(loop.alone()), lambda: beside.append(loop.recorded(recorder))]
            for turn in turns if pair % 2 else reversed(turns):
                turn()
    count = sum(parameter.numel() for parameter in loop.model.parameters())
    kept = sum(tensor.nbytes for tensors in state.tensors().values() for tensor in tensors.values())
    shares = [one.own_s / one.steps_s for one in beside]
    walls = [own.wall_s / other for own, other in zip(beside, alone, strict=True)]
    step_s = statistics.median(one.steps_s for one in beside) / (PACKETS * case.steps)
    packet_s = statistics.median(one.own_s for one in beside) / PACKETS
    needed = math.ceil(statistics.median(shares) * case.steps / TARGET)
    low, high = interval(walls)
    row = [
        f"{count / 1e6:.1f} M, {kept / 1e6:.0f} MB", f"{case.rows * case.length}", f"{case.steps}", f"{step_s * 1e3:.0f} ms",
        f"{statistics.median(shares):.1%} ({min(shares):.1%} to {max(shares):.1%})",
        f"{statistics.median(walls) - 1:+.1%} ({low - 1:+.1%} to {high - 1:+.1%})", f"{packet_s * 1e3:.0f} ms", f"{needed}",
        f"{needed * case.rows * case.length:,}",
    ]  # fmt: skip
    return row, statistics.median(shares)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=PAIRS, choices=sorted(T_95))
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="where transcripts are made, then removed"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("parameters, state", "tokens a step", "steps a packet", "a step", "processor time", "wall time", "a packet",
                  "steps for 3 %", "tokens for 3 %")  # fmt: skip
    worst = 0.0
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        for number, case in enumerate(CASES):
            row, over = measure(case, Path(made) / f"run-{number}", given.pairs)
            table.add_row(*row)
            worst = max(worst, over)
    Console(width=160).print(table)
    return 0 if worst <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
