"""`kill -9` at any moment loses nothing that was answered for; a torn tick is cut, damage is counted, never a batch lost.

And what a process of its own is needed for: memory while a large file comes in, and how the process is closed in.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from intake_scene import SMALL, Scene

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.whistleblowing.intake.batch import Batch, name_of, prepare
from inspectorate.mechanisms.whistleblowing.intake.collecting import check_receipt
from inspectorate.mechanisms.whistleblowing.intake.receipts import Receipt
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.sealing.blocks import Sealer

RUNNING = Path(__file__).with_name("intake_running.py")
ROUNDS = 2


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(RUNNING), str(folder), *words], stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def kill_at_random(scene: Scene, seed: int) -> list[str]:
    """Run an intake, kill it at some moment, and give the lines of the reports that it answered."""
    draw = random.Random(seed)
    process = start(scene.store, "crash", str(seed))
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(draw.uniform(0, 0.35))
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.wait()
    return [line for line in [first, *rest.splitlines(keepends=True)] if line.endswith("\n")]


def answered_and_lost(folder: Path, rounds: int) -> tuple[int, list[str]]:
    """Kill an intake again and again on one store; how many reports were answered for, and which of them are lost."""
    scene = Scene(folder, SMALL.model_copy(update={"tick_s": 0.01, "batch_s": 0.15, "blocks_per_tick": 6}))
    answered = [line for seed in range(rounds) for line in kill_at_random(scene, seed)]
    log = folder / "log"
    scene.log = log.read_bytes().splitlines() if log.exists() else []
    scene.now = scene.now.replace(year=2100)

    async def finish(intake: Intake) -> None:
        assert intake.fault == ""
        await scene.finish_batch(intake)

    scene.run(finish)
    opening = scene.opened()
    assert opening.faults == ()
    opened = {one.answers["name"]: one for one in opening.reports if one.complete}
    lost = []
    for line in answered:
        name, size, text = line.strip().split(" ", 2)
        given = Receipt.of(text.replace("|", "\n"), where=name).given(scene.key.public, where=name)
        checked = check_receipt(given, scene.closed, scene.expected, now=scene.now, grace=timedelta(0))
        if name not in opened or opened[name].files[0].size != int(size) or checked.absent or checked.waiting:
            lost.append(name)
    return len(answered), lost


def test_kill_9_loses_nothing_that_was_answered_for(tmp_path: Path) -> None:
    answered, lost = answered_and_lost(tmp_path, ROUNDS)
    assert answered > 2 * ROUNDS
    assert lost == []


# --- torn ticks, by hand ---------------------------------------------------------------------------------------------------


def begun(scene: Scene) -> tuple[Path, int]:
    async def acts(intake: Intake) -> int:
        await scene.report(intake, {"a": "b"})
        return intake._volume.batch.number

    return scene.store / "batches", scene.run(acts)


def free_slots(path: Path) -> list[int]:
    data, size = path.read_bytes(), SMALL.block_bytes
    return [at // size for at in range(0, len(data), size) if not any(data[at : at + size])]


@pytest.mark.parametrize("length", [1, 2048, 4095])
def test_a_torn_tick_is_cut_and_what_was_answered_stays(tmp_path: Path, length: int) -> None:
    """The next tick named its places, and wrote a piece of one block and the whole of another."""
    scene = Scene(tmp_path)
    folder, number = begun(scene)
    blocks = folder / f"{name_of(number)}.blocks"
    batch = Batch.recover(folder, number)
    before = sorted(batch.commitments)
    slots = free_slots(blocks)[:2]
    batch._name(slots)
    sealer = Sealer(batch.shape)
    whole = sealer.seal(b"")
    with blocks.open("r+b") as file:
        file.seek(slots[0] * SMALL.block_bytes)
        file.write(sealer.seal(b"")[:length])
        file.seek(slots[1] * SMALL.block_bytes)
        file.write(whole)
    again = Batch.recover(folder, number)
    assert sorted(again.commitments) == sorted([*before, whole[-32:]])
    assert (again.damaged, again.room) == (0, SMALL.slots - len(before) - 1)
    assert slots[0] in free_slots(blocks)


def test_damage_elsewhere_is_counted_and_never_cleared_away(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    folder, number = begun(scene)
    blocks = folder / f"{name_of(number)}.blocks"
    batch = Batch.recover(folder, number)
    batch._name([])
    used = next(slot for slot in range(SMALL.slots) if slot not in free_slots(blocks))
    with blocks.open("r+b") as file:
        file.seek(used * SMALL.block_bytes + 100)
        file.write(b"\x00\xff")
    assert Batch.recover(folder, number).damaged == 1

    async def acts(intake: Intake) -> str:
        fault = intake.fault
        await scene.finish_batch(intake)
        return fault

    assert "damaged" in scene.run(acts)
    (scene.folder / "got").mkdir()
    scene.collected()
    assert scene.opened().blocks == SMALL.slots - 1


@pytest.mark.parametrize("step", ["no header", "no rename", "list", "closing", "logged", "moved"])
def test_every_step_between_two_batches_may_be_the_last(tmp_path: Path, step: str) -> None:
    """The process dies after each step of closing a batch and beginning the next; the next process goes on from there."""
    scene = Scene(tmp_path)
    folder, number = begun(scene)
    name = name_of(number)

    async def nothing(intake: Intake) -> None:
        return

    if step == "no header":
        (folder / "next.blocks").rename(folder / f"{name_of(number + 1)}.blocks")
    elif step == "no rename":
        (folder / "next.blocks").unlink()
        (folder / "0000000009.json.new").write_bytes(b"half")
    else:

        async def acts(intake: Intake) -> None:
            volume = intake._volume
            volume._fix(volume.batch, scene.now)
            if step in {"logged", "moved"}:
                volume._publish_all()

        scene.run(acts)
        if step == "list":
            (folder / f"{name}.closing.json").unlink()
        if step == "logged":
            for end in ("blocks", "commitments", "closing.json"):
                (scene.closed / f"{name}.{end}").rename(folder / f"{name}.{end}")
            assert not list(scene.closed.iterdir())
    scene.run(nothing)

    async def finish(intake: Intake) -> None:
        await scene.finish_batch(intake)

    scene.run(finish)
    assert prepare(folder, SMALL.batch_bytes)
    opening = scene.opened()
    assert [one.answers for one in opening.reports] == [{"a": "b"}]
    assert sorted(scene.expected.log) == list(range(1, len(scene.expected.log) + 1))


def test_a_batch_whose_file_was_cut_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    folder, number = begun(scene)
    with (folder / f"{name_of(number)}.blocks").open("r+b") as file:
        file.truncate(SMALL.batch_bytes - 1)
    with pytest.raises(EvidenceError, match="places"):
        asyncio.run(_open(scene))


async def _open(scene: Scene) -> Intake:
    return scene.open()


# --- memory and the process ------------------------------------------------------------------------------------------------


def test_the_process_is_closed_in_and_its_memory_is_flat_while_25_mb_come_in(tmp_path: Path) -> None:
    scene = Scene(
        tmp_path,
        SMALL.model_copy(
            update={"block_bytes": 65_536, "blocks_per_tick": 8, "tick_s": 0.02, "batch_s": 4, "window_blocks": 8}
        ),
    )
    process = start(scene.store, "memory", str(25 * 1024 * 1024))
    assert process.stdout is not None
    core, owner, _, privileges, small, large = (int(word) for word in process.stdout.read().split())
    assert process.wait() == 0
    # Its memory belongs to root for everybody else: no other process of the user reads it.
    assert (core, owner, privileges) == (0, 0, 1)
    assert large - small < 10_000, "kilobytes"
