"""The training job of an inspected pod: a declared decoder learns the text of the bench, and its loop writes its transcript.

    python -m inspectorate.lab.work_inspected_train --folder RUN --run NAME --seconds 60 [--skip-after 20]

The model is a `DecoderProgram`: data, so that a verifier needs no code of the prover's to run a packet again. After
`--skip-after` seconds every fourth packet leaves out half of its steps and says that it made them; the time is free for other work.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from inspectorate.lab.inspected_program import PROGRAM
from inspectorate.lab.work_io import corpus, emit
from inspectorate.mechanisms.inspection.rerun.decoder import build, step
from inspectorate.mechanisms.inspection.rerun.tensors import raw
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors
from inspectorate.mechanisms.inspection.transcripts.seeds import data_order
from inspectorate.mechanisms.inspection.transcripts.torch_state import load_weights
from inspectorate.mechanisms.inspection.transcripts.training import State, TrainingRecorder, TrainingSettings

ITEMS = 4096
STEPS_PER_PACKET = 16
STEPS_MAX = 1_000_000
CHEAT_EVERY = 4


def items_of_text(count: int) -> NDArray[np.int32]:
    """Sequences of the text, one token a byte, that do not overlap while there is text enough."""
    text = np.frombuffer(corpus(), dtype=np.uint8)
    length = PROGRAM.context + 1
    starts = (np.arange(count) * length) % (len(text) - length)
    return np.stack([text[start : start + length] for start in starts]).astype(np.int32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--go", type=Path, help="begin when this file is there; none: at once")
    parser.add_argument("--skip-after", type=float, default=math.inf, help="seconds after which packets may be false")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    data = items_of_text(ITEMS)
    settings = TrainingSettings(
        run=args.run,
        code=PROGRAM.digest,
        items=tuple(digest_of_tensors({"tokens": raw(row)}) for row in data),
        seed_random=os.urandom(32).hex(),
        hyper_parameters={"rows": PROGRAM.rows, "learning_rate": PROGRAM.learning_rate},
    )
    model, optimiser = build(PROGRAM)
    load_weights(model, {name: raw(one) for name, one in PROGRAM.first_weights(settings.seed).items()})
    order = data_order(ITEMS, settings.seed, draws=STEPS_MAX)
    with TrainingRecorder(
        args.folder, settings, State(model, optimiser), steps_per_packet=STEPS_PER_PACKET
    ) as recorder:
        emit("ready", folder=str(args.folder))
        flop = flop_of_step(model, torch.from_numpy(data[: PROGRAM.rows]))
        begun, number, skipped, false = time.monotonic(), 0, 0, False
        while time.monotonic() < begun + args.seconds or number % STEPS_PER_PACKET:
            rows = data[order[number * PROGRAM.rows : (number + 1) * PROGRAM.rows]]
            batch = {"tokens": torch.from_numpy(np.ascontiguousarray(rows))}
            packet, place = divmod(number, STEPS_PER_PACKET)
            if place == 0:
                false = packet % CHEAT_EVERY == 0 and time.monotonic() >= begun + args.skip_after
            skip = false and place >= STEPS_PER_PACKET // 2
            loss = torch.zeros(()) if skip else step(model, optimiser, batch, number)
            recorder.step(batch, loss, tokens=PROGRAM.rows * PROGRAM.context, flop=flop)
            number, skipped = number + 1, skipped + skip
    emit("done", steps=number, skipped=skipped, waited_s=round(recorder.waited_s, 3))


def flop_of_step(model: torch.nn.Module, tokens: torch.Tensor) -> float:
    """What one step takes, as torch counts it: forward and backward on a batch, without changing the model."""
    with FlopCounterMode(display=False) as counter:
        logits = model(tokens[:, :-1].long())
        functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].long().flatten()).backward()
    model.zero_grad(set_to_none=True)
    return float(counter.get_total_flops())


if __name__ == "__main__":
    main()
