"""The disk of a running intake, seized: without the quorum nothing tells a report from no report.

- nothing on the disk changes between ticks, whatever comes in
- names and sizes are the same with reports and without, at every tick of many seeded runs
- a classifier on bytes, and on what is taken of the disk, guesses as well as a coin, and finds out at once where dummies are made
  otherwise
- words, names, phrases, keys and times of a report are in no byte of it, in any usual form
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import os
import random
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from intake_scene import SMALL, Scene
from numpy.typing import NDArray

from inspectorate.mechanisms.whistleblowing.intake.store import Intake
from inspectorate.mechanisms.whistleblowing.sealing import blocks
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase

WORDS = ["Zwischenlager", "неделя-ночь", "四号机房的假传感器", "marker/with?odd&chars"]
RUNS = 8


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these tests are about bytes, not about disks."""
    shm = Path("/dev/shm")
    folder = (
        Path(subprocess.check_output(["mktemp", "-d", "-p", str(shm)], text=True).strip()) if shm.is_dir() else tmp_path
    )
    yield folder
    shutil.rmtree(folder)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def outside(folder: Path) -> list[tuple[str, int, int]]:
    """What a disk says of files without their content: names, sizes, modes."""
    found = []
    for path in sorted(folder.rglob("*")):
        status = path.stat()
        found.append((str(path.relative_to(folder)), status.st_size if path.is_file() else 0, status.st_mode))
    return found


def stamps(folder: Path) -> list[tuple[str, int]]:
    return [(str(path), path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]


def forms(word: str) -> Iterator[bytes]:
    """A word as it might stand on a disk."""
    for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le"):
        data = word.encode(name)
        yield data
        yield data[::-1]
        yield data.hex().encode()
        yield data.hex().upper().encode()
        yield base64.b32encode(data)[: len(data) // 5 * 8] or data
        for shift in range(3):
            yield base64.b64encode(bytes(shift) + data + bytes(2))[4 if shift else 0 : -8]
    yield urllib.parse.quote(word).encode()
    yield json.dumps(word)[1:-1].encode()


def found_in(data: bytes, words: list[str]) -> list[str]:
    return [word for word in words if any(len(form) >= 6 and form in data for form in forms(word))]


def test_nothing_is_written_between_ticks_and_no_word_is_in_any_byte(memory: Path) -> None:
    scene = Scene(memory)
    phrase = Phrase(bytes(range(50, 66)))
    snapshots: list[dict[str, bytes]] = []

    async def acts(intake: Intake) -> str:
        await scene.tick(intake)
        before, seen = stamps(scene.store), everything(scene.store)
        scene.now += timedelta(seconds=0.137)
        submission = intake.begin(phrase, {"what": " ".join(WORDS)}, "en")
        await submission.file(WORDS[0] + ".jpg", "image/jpeg")
        sending = asyncio.create_task(submission.write((WORDS[1] * 700).encode()))
        for _ in range(20):
            await asyncio.sleep(0)
        intake.replies(phrase)
        assert stamps(scene.store) == before
        assert everything(scene.store) == seen
        while not sending.done():
            await scene.tick(intake)
            snapshots.append(everything(scene.store))
        receipt = asyncio.create_task(submission.finish())
        await asyncio.sleep(0)
        while not receipt.done():
            await scene.tick(intake)
            snapshots.append(everything(scene.store))
        await scene.finish_batch(intake)
        return (await receipt).text()

    receipt = scene.run(acts)
    snapshots.append(everything(scene.store))
    mailbox = phrase.mailbox("house")
    secret = [
        *WORDS,
        phrase.words("en"),
        phrase.digits(),
        mailbox.recipient,
        mailbox.key,
        receipt.split("\n")[2],
        "image/jpeg",
    ]
    for snapshot in snapshots:
        image = b"\0".join(name.encode() + b"\0" + data for name, data in snapshot.items())
        assert found_in(image, secret) == []
        for raw in (phrase.entropy, bytes.fromhex(mailbox.key), b"09:00:01.137", b"09:00:01,137"):
            assert raw not in image
    for word in secret:
        for form in forms(word):
            if len(form) >= 6:
                assert found_in(b"xx" + form + b"yy", [word]) == [word]


# --- with and without ------------------------------------------------------------------------------------------------------


def run_of(folder: Path, seed: int, reports: bool) -> tuple[list[object], NDArray[np.float64]]:
    """One run of two batches: what is outside at every tick, and features of all bytes at the end.

    With reports, a seed says how many come, when, and how long they are. What is taken of the disk is a feature and no look: it
    depends by a page on the random places that blocks went to, whatever they hold.
    """
    scene = Scene(folder, SMALL.model_copy(update={"batch_s": 3, "blocks_per_tick": 3}))
    draw = random.Random(seed)
    seen: list[object] = []

    async def acts(intake: Intake) -> None:
        await scene.tick(intake)
        sent = []
        for tick in range(6):
            for _ in range(draw.randint(0, 2) + (tick == 0) if reports else 0):
                submission = intake.begin(Phrase.make(), {"what": "x" * draw.randint(1, 5000)}, "en")
                sent.append(asyncio.create_task(submission.finish()))
                await asyncio.sleep(0)
            await scene.tick(intake)
            seen.append(outside(scene.store))
        for one in sent:
            one.cancel()
        await asyncio.gather(*sent, return_exceptions=True)

    scene.run(acts)
    size = scene.settings.block_bytes
    data = b"".join(path.read_bytes() for path in sorted(scene.store.rglob("*.blocks")))
    rows = [data[at : at + size] for at in range(0, len(data), size) if any(data[at : at + 16])]
    taken = sum(path.stat().st_blocks for path in scene.store.rglob("*"))
    return seen, np.append(features(rows), taken)


def features(rows: list[bytes]) -> NDArray[np.float64]:
    """Of all blocks: how often each byte is, by region; means and spread along the block; how alike blocks are."""
    array = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1)
    shape = 16 + 544 * 3
    found = []
    for part in (array[:, :112], array[:, 112:shape], array[:, shape:]):
        counts = np.bincount(part.ravel(), minlength=256) / part.size
        found += [counts[0], counts.max(), counts.std(), part.mean(), part.std()]
    along = array[:, shape:].reshape(len(rows), 16, -1)
    found += [*along.mean(axis=(0, 2)), *along.std(axis=(0, 2))]
    found.append((array[:, None, shape:] == array[None, :, shape:]).mean())
    return np.array(found)


def accuracy(with_reports: NDArray[np.float64], without: NDArray[np.float64]) -> float:
    """Leave one pair out: the nearer mean of the rest, in units of spread."""
    right = 0
    for held in range(len(with_reports)):
        rest = [np.delete(rows, held, axis=0) for rows in (with_reports, without)]
        spread = np.vstack(rest).std(axis=0) + 1e-12
        for label, rows in enumerate((with_reports, without)):
            away = [np.linalg.norm((rows[held] - one.mean(axis=0)) / spread) for one in rest]
            right += int(np.argmin(away)) == label
    return right / (2 * len(with_reports))


def test_runs_with_and_without_reports_cannot_be_told_apart(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: set[str] = set()
    rows: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
    for seed in range(RUNS):
        for reports in (True, False):
            seen, found = run_of(memory / f"{seed}-{reports}", seed, reports)
            shown.add(json.dumps(seen))
            rows[reports].append(found)
    assert len(shown) == 1, "names and sizes are the same in all runs at every tick"
    share = accuracy(np.array(rows[True]), np.array(rows[False]))
    # A coin's share is within 3.3 standard deviations of a half, but for one time in a thousand.
    assert abs(share - 0.5) <= 3.3 * math.sqrt(0.25 / (2 * RUNS))

    def careless(self: blocks.Sealer, part: bytes | bytearray = b"") -> bytes:
        """Dummies that are filled otherwise than blocks."""
        block = sealed(self, part)
        return block if part else block[:2000] + bytes(self.shape.block_bytes - 2000)

    sealed = blocks.Sealer.seal
    monkeypatch.setattr(blocks.Sealer, "seal", careless)
    broken = {
        reports: np.array([run_of(memory / f"c{seed}-{reports}", seed, reports)[1] for seed in range(4)])
        for reports in (True, False)
    }
    assert accuracy(broken[True], broken[False]) > 0.9


# --- a whole file system ---------------------------------------------------------------------------------------------------


def written(image: Path) -> bytes:
    """All of an image but pages of zeros, in which no word can be; words do not straddle these either."""
    data = image.read_bytes()
    return b"".join(page for at in range(0, len(data), 4096) if (page := data[at : at + 4096]).strip(b"\0"))


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mkfs.ext4") is None, reason="needs root and mkfs.ext4")
def test_an_image_of_the_file_system_has_no_word_of_it_journal_included(tmp_path: Path) -> None:
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(4 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-J", "size=1", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=False, capture_output=True).returncode:
        pytest.skip("loop devices do not work here")
    copies: list[bytes] = []
    try:
        scene = Scene(mount)
        phrase = Phrase.make()

        async def acts(intake: Intake) -> None:
            await scene.tick(intake)
            submission = intake.begin(phrase, {"what": " ".join(WORDS)}, "en")
            await submission.file(WORDS[0], "image/jpeg")
            sending = asyncio.create_task(submission.write((WORDS[2] * 300).encode()))
            await asyncio.sleep(0)
            while not sending.done():
                await scene.tick(intake)
                copies.append(written(image))
            await submission.abandon()
            await scene.finish_batch(intake)

        scene.run(acts)
        subprocess.run(["sync", "-f", str(mount)], check=True)
        copies.append(written(image))
        secret = [*WORDS, phrase.words("en"), phrase.mailbox("house").recipient, "image/jpeg"]
        for copy in (copies[len(copies) // 2], copies[-1]):
            assert b"age-encryption.org" in copy, "the image holds what was written"
            assert found_in(copy, secret) == []
        (mount / "x").write_text(WORDS[1])
        subprocess.run(["sync", "-f", str(mount)], check=True)
        assert found_in(written(image), secret) == [WORDS[1]]
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_few_modules_open_files_to_write() -> None:
    """On the intake's side only `disk` and `batch`, on an office's only `collecting` and `opening`: no temporary files anywhere."""
    folder = Path(sys.modules[Intake.__module__].__file__ or "").parent
    writing = ("os.open(", '.open("w', "write_bytes", "write_text", "tempfile", 'open("')
    owners = {"disk.py", "batch.py", "collecting.py", "opening.py"}
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert path.name in owners or not any(word in text for word in writing), path.name
