"""Small runs for the tests of re-execution."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from inspectorate.mechanisms.inspection.rerun.measure import Again
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.rerun.replay import TrainingReplayer
from inspectorate.mechanisms.inspection.results import Tolerance
from inspectorate.worlds.training_runs import (
    Deed,
    Run,
    deterministic_stack,
    packets_of,
    setting_of,
    train,
    write_run,
)

SMALL = DecoderProgram(vocabulary=16, width=16, layers=1, heads=2, context=8, rows=4, learning_rate=3e-3, clip=1.0)


def made(folder: Path, deeds: Mapping[int, Deed], *, seed: int = 1, packets: int = 6) -> tuple[Run, TrainingReplayer]:
    """A run on disk, and what runs it again on the same stack, exactly."""
    rng = np.random.default_rng(seed)
    run = train(setting_of(rng, program=SMALL, packets=packets, items=64), deeds, rng)
    reader = write_run(run, folder)
    again = Again(stack=deterministic_stack())
    return run, TrainingReplayer(folder=reader, packets=packets_of(reader), program=SMALL, again=again)


def loosely(replayer: TrainingReplayer, tolerance: Tolerance) -> TrainingReplayer:
    """The same with a tolerance, and with the batch split: other bits, honestly."""
    again = Again(stack=replayer.again.stack, split=2)
    return TrainingReplayer(
        folder=replayer.folder, packets=replayer.packets, program=replayer.program, again=again, tolerance=tolerance
    )
