"""An intake that runs in a process of its own, to be killed: `python intake_running.py FOLDER crash SEED` or `... memory BYTES`."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import sys
from pathlib import Path

from inspectorate.mechanisms.whistleblowing.intake.hardening import harden
from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase


def append(path: Path, entry: bytes) -> None:
    """A log of lines, durable."""
    with path.open("ab") as file:
        file.write(entry + b"\n")
        file.flush()
        os.fsync(file.fileno())


async def crash(folder: Path, seed: int) -> None:
    """Take reports until the end comes; say which were answered, in one write each."""
    intake = Intake.open(folder, log=lambda entry: append(folder.parent / "log", entry))
    running = asyncio.create_task(intake.run())
    await asyncio.sleep(0)
    draw = random.Random(seed)

    async def source(number: int) -> None:
        for count in range(10_000):
            name = f"{seed}-{number}-{count}"
            submission = intake.begin(Phrase.make(), {"name": name}, "en")
            size = draw.randint(0, 9_000)
            await submission.file("f", "t")
            await submission.write(bytes([number]) * size)
            receipt = await submission.finish()
            lines = receipt.text().replace("\n", "|")
            os.write(1, f"{name} {size} {lines}\n".encode())

    await asyncio.gather(running, *(source(number) for number in range(3)))


async def memory(folder: Path, size: int) -> None:
    """Take one report of so many bytes; say how much memory that took."""
    intake = Intake.open(folder, log=lambda entry: None)
    running = asyncio.create_task(intake.run())
    await asyncio.sleep(0)
    for length in (100_000, size):
        submission = intake.begin(Phrase.make(), {"a": "b"}, "en")
        await submission.file("f", "t")
        for _ in range(length // 16_384):
            await submission.write(os.urandom(16_384))
        await submission.finish()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, flush=True)
    await intake.stop()
    await running
    intake.close()


def hardened() -> list[int]:
    """Close the process in: limit of core dumps, owner of its memory, kilobytes locked, whether it may gain no privileges."""
    harden()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    core = max(resource.getrlimit(resource.RLIMIT_CORE))
    return [core, os.stat("/proc/self/mem").st_uid, int(status["VmLck"].split()[0]), int(status["NoNewPrivs"])]


if __name__ == "__main__":
    if sys.argv[2] == "crash":
        asyncio.run(crash(Path(sys.argv[1]), int(sys.argv[3])))
    else:
        print(*hardened())
        asyncio.run(memory(Path(sys.argv[1]), int(sys.argv[3])))
