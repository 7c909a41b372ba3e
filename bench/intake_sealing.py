"""What sealing costs, what a seizure shows, and what `kill -9` loses: `python -m bench intake_sealing`.

Everything runs on this machine's disk (`--folder`), with three offices of which two open. Exits 1 where a target is missed:

- a classifier on all bytes of a seized store, with reports or without, guesses right as often as a coin (99.9 % interval);
- the time that a tick takes is the same with reports and without (Mann-Whitney, p > 0.001);
- of what was answered for before `kill -9` at random moments, nothing is lost;
- 25 MB that come in take no more memory than 100 kB do, but for 10 MB.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "heard"))

from intake_scene import SMALL, Scene
from test_intake_crash import answered_and_lost, start
from test_intake_seized import accuracy, run_of

from inspectorate.mechanisms.whistleblowing.intake.batch import Batch, BatchHeader, prepare
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.sealing.blocks import Opener, Sealer, open_body, share_of

BLOCKS = 300
RUNS = 100
KILLS = 40
TICKS = 200
MEMORY_KB_MAX = 10_000
RHYTHMS = (
    ("quiet", 65_536, 2, 10.0),
    ("default", 65_536, 8, 4.0),
    ("busy", 65_536, 32, 4.0),
    ("200 reports a minute, 1 in 20 of 25 MB", 65_536, 160, 2.0),
)


def speeds(console: Console, folder: Path) -> None:
    """Sealing, releasing, opening and recovering, per block."""
    scene = Scene(folder / "speeds")
    header = BatchHeader(
        intake="house", batch=1, nonce="0" * 32, started_at=scene.now, block_bytes=65_536, blocks_per_tick=8,
        slots=BLOCKS, offices=scene.offices,
    )  # fmt: skip
    shape = header.shape
    sealer, part = Sealer(shape), os.urandom(shape.part_bytes)
    start_s = time.process_time()
    made = [sealer.seal(part) for _ in range(BLOCKS)]
    sealed = (time.process_time() - start_s) / BLOCKS
    start_s = time.process_time()
    dummies = [sealer.seal() for _ in range(BLOCKS)]
    dummy = (time.process_time() - start_s) / len(dummies)
    start_s = time.process_time()
    shares = [[share_of(shape, block, place, scene.held[place].identity) or b"" for place in (0, 1)] for block in made]
    released = (time.process_time() - start_s) / BLOCKS / 2
    opener = Opener(shape, (0, 1))
    start_s = time.process_time()
    for block, given in zip(made, shares, strict=True):
        open_body(shape, block, opener.secret(block, given))
    opened = (time.process_time() - start_s) / BLOCKS
    batches = folder / "batches"
    batches.mkdir()
    assert prepare(batches, BLOCKS * 65_536)
    batch = Batch.begin(batches, header)
    for at in range(0, BLOCKS - 8, 8):
        batch.add(made[at : at + 8])
    start_s = time.perf_counter()
    Batch.recover(batches, 1)
    recovered = BLOCKS * 65_536 / (time.perf_counter() - start_s)
    table = Table("per block of 64 KiB, three offices", "CPU ms")
    for name, value in (("seal", sealed), ("seal a dummy", dummy), ("release", released), ("open", opened)):
        table.add_row(name, f"{value * 1e3:.2f}")
    table.add_row("find a batch again after a crash (MB/s of wall time)", f"{recovered / 1e6:.0f}")
    table.add_row("of a block that is room for a report (%)", f"{100 * shape.part_bytes / 65_536:.1f}")
    console.print(table)


def rhythms(console: Console) -> None:
    """What the fixed rhythm costs, and what it lets through."""
    table = Table("rhythm", "block", "a tick", "tick s", "MB/s", "GB a day", "short reports a minute", "25 MB alone, s")
    for name, block, count, tick in RHYTHMS:
        settings = Settings(intake="x", block_bytes=block, blocks_per_tick=count, tick_s=tick)
        blocks = math.ceil(25 * 1024 * 1024 / (block - 1728 - 26))
        each = min(count, settings.window_blocks)
        table.add_row(
            name, f"{block // 1024} KiB", str(count), f"{tick:g}", f"{settings.bytes_per_s / 1e6:.2f}",
            f"{settings.bytes_per_s * 86_400 / 1e9:.1f}", f"{count * 60 / tick:.0f}", f"{math.ceil(blocks / each) * tick:.0f}",
        )  # fmt: skip
    console.print(table)


def seized(console: Console, folder: Path) -> bool:
    """Whether the classifier does no better than a coin."""
    rows: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    shown = set()
    for seed in range(RUNS):
        for reports in (True, False):
            seen, found = run_of(folder / "run", seed, reports)
            shutil.rmtree(folder / "run")
            shown.add(repr(seen))
            rows[reports].append(found)
    share = accuracy(np.array(rows[True]), np.array(rows[False]))
    allowed = 3.3 * math.sqrt(0.25 / (2 * RUNS))
    console.print(
        f"{RUNS} runs with reports and {RUNS} without: {len(shown)} different looks from outside; "
        f"a classifier on bytes is right {100 * share:.1f} % of the time (a coin: 50 +- {100 * allowed:.1f} %)"
    )
    return len(shown) == 1 and abs(share - 0.5) <= allowed


def even(console: Console, folder: Path) -> bool:
    """Whether to seal and write a tick of reports takes as long as one of dummies: measured in turn, on one intake."""
    scene = Scene(folder / "even", SMALL.model_copy(update={"batch_s": 10 * TICKS}))
    times: dict[bool, list[float]] = {True: [], False: []}

    async def acts(intake: Intake) -> None:
        volume = intake._volume
        part = os.urandom(volume.batch.shape.part_bytes)
        for turn in range(4 * TICKS):
            reports = turn % 4 in (1, 2)
            start_s = time.perf_counter()
            volume.write([part] * SMALL.blocks_per_tick if reports else [])
            times[reports].append(time.perf_counter() - start_s)

    scene.run(acts)
    one, other = np.array(times[True]), np.array(times[False])
    order = np.concatenate([one, other]).argsort().argsort() + 1
    rank = order[: len(one)].sum() - len(one) * (len(one) + 1) / 2
    middle, spread = len(one) * len(other) / 2, math.sqrt(len(one) * len(other) * (len(one) + len(other) + 1) / 12)
    p = math.erfc(abs(rank - middle) / spread / math.sqrt(2))
    console.print(
        f"a tick of {SMALL.blocks_per_tick} reports takes {1e3 * statistics.median(one):.2f} ms, one of dummies "
        f"{1e3 * statistics.median(other):.2f} ms (medians of {len(one)}; Mann-Whitney p = {p:.3f})"
    )
    return p > 0.001


def killed(console: Console, folder: Path) -> bool:
    """Whether nothing is lost that was answered for."""
    answered, lost = answered_and_lost(folder / "killed", KILLS)
    console.print(f"{KILLS} kills at random moments: {answered} reports answered for, {len(lost)} lost")
    return not lost


def memory(console: Console, folder: Path) -> bool:
    """Whether 25 MB come in without taking memory."""
    scene = Scene(
        folder / "memory",
        SMALL.model_copy(
            update={"block_bytes": 65_536, "blocks_per_tick": 8, "tick_s": 0.02, "batch_s": 4, "window_blocks": 8}
        ),
    )
    process = start(scene.store, "memory", str(25 * 1024 * 1024))
    assert process.stdout is not None
    small, large = (int(word) for word in process.stdout.read().split()[-2:])
    process.wait()
    console.print(f"peak memory after 100 kB: {small / 1e3:.1f} MB; after 25 MB: {large / 1e3:.1f} MB")
    return large - small < MEMORY_KB_MAX


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp"), help="where intakes are made, and then removed"
    )
    folder = parser.parse_args().folder
    console = Console(width=140)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        speeds(console, place)
        rhythms(console)
        met = [check(console, place) for check in (even, killed, memory, seized)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
