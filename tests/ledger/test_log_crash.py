"""Crashes: at every operation and byte of a simulated disk, and by `kill -9` of a real process.

What must hold after each: nothing acknowledged is lost, and every checkpoint that was ever handed out is a prefix of
what recovery found, so nothing is forked.
"""

from __future__ import annotations

import base64
import os
import random
import signal
import time
from pathlib import Path

import pytest
from faulty_disk import Crash, FaultyDisk

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger import log as log_module
from inspectorate.ledger.checkpoint import Checkpoint
from inspectorate.ledger.log import Log
from inspectorate.ledger.memory import MemoryLog
from inspectorate.ledger.merkle import MemoryTree, verify_consistency
from inspectorate.ledger.note import Note

ORIGIN = "example.org/log"
KEY = SigningKey(b"\x05" * 32)
BATCHES = [3, 250, 1, 2, 1, 300, 255, 1, 513, 7]


def entries_of(start: int, count: int) -> list[bytes]:
    """The entries that the workload appends at these indices: a function of the index alone."""
    return [f"{i}:".encode() * (i % 5) for i in range(start, start + count)]


@pytest.fixture(scope="module")
def expected() -> MemoryTree:
    tree = MemoryTree()
    tree.append(entries_of(0, 3000))
    return tree


@pytest.fixture(autouse=True)
def short_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the journal begin anew several times within the workload."""
    monkeypatch.setattr(log_module, "JOURNAL_BYTES_MAX", 2500)


def run(disk: FaultyDisk, batches: list[int]) -> int:
    """Append the batches; returns the size acknowledged before the crash, if there is one."""
    acknowledged = 0
    try:
        log = Log.create_on(disk, ORIGIN, KEY)
        for count in batches:
            log.append(entries_of(log.size, count))
            acknowledged = log.size
    except Crash:
        pass
    return acknowledged


def check_recovered(disk: FaultyDisk, acknowledged: int, signed: list[bytes], expected: MemoryTree) -> None:
    try:
        log = Log.open_on(disk, KEY)
    except InputError:  # The crash came before there was a log.
        assert not acknowledged
        assert not signed
        return
    assert log.size >= acknowledged
    for note in [*signed, log.checkpoint()]:
        stated = Checkpoint.parse(Note.parse(note, where="test").text, where="test")
        assert stated.size <= log.size
        assert stated.root == expected.root(stated.size)
    for index in {0, log.size // 2, log.size - 1} - {-1}:
        if log.size:
            assert log.entry(index) == entries_of(index, 1)[0]
            assert log.inclusion(index) == expected.inclusion(index, log.size)
    log.append(entries_of(log.size, 2))
    reader = Log.read_on(disk)
    assert reader.checkpoint() == log.checkpoint()
    assert reader.entry(reader.size - 1) == entries_of(reader.size - 1, 1)[0]
    again = Log.open_on(disk.survivor(power=True, seed=0), KEY)
    assert again.checkpoint() == log.checkpoint()


def total_operations(batches: list[int]) -> int:
    disk = FaultyDisk()
    run(disk, batches)
    return disk.operations


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_a_crash_at_any_operation_loses_and_forks_nothing(expected: MemoryTree, power: bool) -> None:
    operations = total_operations(BATCHES)
    assert operations > 60
    for crash_at in range(1, operations + 1):
        for seed, cut in enumerate((0.0, 0.37, 1.0)):
            disk = FaultyDisk()
            disk.crash_at, disk.cut = crash_at, cut
            acknowledged = run(disk, BATCHES)
            check_recovered(disk.survivor(power=power, seed=seed), acknowledged, disk.signed, expected)


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_a_crash_at_any_byte_of_the_journal_loses_and_forks_nothing(expected: MemoryTree, power: bool) -> None:
    """Every cut of one appended batch, byte by byte."""
    batches = [4, 5]
    first = FaultyDisk()
    run(first, batches[:1])
    whole = FaultyDisk()
    run(whole, batches)
    length = len(whole.seen["journal"]) - len(first.seen["journal"])
    assert length > 60
    recovered = set()
    for cut in range(length + 1):
        disk = FaultyDisk()
        disk.crash_at, disk.cut = first.operations + 1, cut / length + 1e-9
        assert run(disk, batches) == 4
        survivor = disk.survivor(power=power, seed=cut)
        recovered.add(Log.open_on(survivor, KEY).size)
        check_recovered(disk.survivor(power=power, seed=cut), 4, disk.signed, expected)
    assert recovered == {4, 9} or (power and recovered == {4})


def test_a_torn_batch_with_zeros_or_noise_for_its_end_is_dropped(expected: MemoryTree) -> None:
    """A file system may make the length of a file durable before its data."""
    before, after = FaultyDisk(), FaultyDisk()
    acknowledged = run(before, [4])
    run(after, [4, 30])
    kept, whole = before.seen["journal"], after.seen["journal"]
    for length in range(len(kept), len(whole)):
        for filling in (bytes(len(whole) - length), random.Random(length).randbytes(len(whole) - length)):
            torn = FaultyDisk(before.durable | {"checkpoint": before.signed[-1], "journal": whole[:length] + filling})
            check_recovered(torn, acknowledged, before.signed, expected)


def test_a_crash_during_recovery_changes_nothing(expected: MemoryTree) -> None:
    """The first crash leaves much to replay; recovery then dies at each of its own operations."""
    first = FaultyDisk()
    first.crash_at, first.cut = total_operations(BATCHES[:7]) + 1, 1.0
    acknowledged = run(first, BATCHES)
    whole = first.survivor(power=True, seed=1)
    Log.open_on(whole, KEY)
    assert whole.operations > 4
    for crash_at in range(1, whole.operations + 1):
        for seed, power in enumerate((False, True)):
            disk = first.survivor(power=True, seed=1)
            disk.crash_at, disk.cut, disk.signed = crash_at, 0.5, list(first.signed)
            with pytest.raises(Crash):
                Log.open_on(disk, KEY)
            check_recovered(disk.survivor(power=power, seed=seed), acknowledged, disk.signed, expected)


def test_a_journal_that_lost_published_entries_is_refused() -> None:
    disk = FaultyDisk()
    run(disk, [4, 5])
    disk.seen["journal"] = disk.seen["journal"][:-1]
    with pytest.raises(EvidenceError, match="9 entries were published but only 4 are stored"):
        Log.open_on(disk, KEY)


def test_a_changed_journal_entry_is_refused() -> None:
    disk = FaultyDisk()
    run(disk, [4])
    disk.seen["journal"] = disk.seen["journal"].replace(b"3:3:", b"3:4:")
    with pytest.raises(EvidenceError, match="4 entries were published but only 0 are stored"):
        Log.open_on(disk, KEY)


def test_a_published_checkpoint_of_other_entries_is_refused() -> None:
    disk = FaultyDisk()
    run(disk, [4, 5])
    fork = MemoryLog(ORIGIN, KEY)
    fork.append([b"other"] * 4)
    disk.seen["checkpoint"] = fork.checkpoint()
    with pytest.raises(EvidenceError, match="not those of the published checkpoint"):
        Log.open_on(disk, KEY)


def test_after_a_failed_append_the_log_refuses_until_it_is_opened_anew(expected: MemoryTree) -> None:
    disk = FaultyDisk()
    log = Log.create_on(disk, ORIGIN, KEY)
    log.append(entries_of(0, 3))
    disk.crash_at, disk.cut = disk.operations + 1, 0.5
    with pytest.raises(Crash):
        log.append(entries_of(3, 4))
    with pytest.raises(EnvironmentError_, match="an earlier append failed"):
        log.append(entries_of(3, 4))
    check_recovered(disk.survivor(power=False, seed=0), 3, disk.signed, expected)


def child(folder: Path, pipe: int) -> None:
    """Append for ever, and acknowledge each batch on the pipe: its size and checkpoint."""
    chance = random.Random(os.getpid())
    with Log.open(folder, KEY) as log:
        while True:
            log.append(entries_of(log.size, chance.choice([1, 2, 40, 300])))
            os.write(pipe, f"{log.size} {base64.b64encode(log.checkpoint()).decode()}\n".encode())


def acknowledged_until_killed(folder: Path, delay_s: float) -> list[tuple[int, bytes]]:
    """Start a child, kill it after `delay_s` with SIGKILL, and return what it acknowledged."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            child(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    with os.fdopen(reading, "rb") as pipe:
        lines = [line.split() for line in pipe.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return [(int(size), base64.b64decode(note)) for size, note in lines]


def test_kill_9_over_200_appends_loses_and_forks_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    Log.create(folder, ORIGIN, KEY).close()
    chance = random.Random(9)
    appends = kills = 0
    history: list[Checkpoint] = []
    while appends < 200 or kills < 20:
        seen = acknowledged_until_killed(folder, chance.uniform(0.0, 0.06))
        kills += 1
        appends += len(seen)
        assert kills < 400
        with Log.open(folder, KEY) as log:
            now = Checkpoint.parse(Note.parse(log.checkpoint(), where="test").text, where="test")
            assert log.size >= max([0, *(size for size, _ in seen)])
            history += [Checkpoint.parse(Note.parse(note, where="test").text, where="test") for _, note in seen]
            for old in history:
                proof = log.consistency(old.size)
                verify_consistency(old.size, now.size, proof, old.root, now.root)
            if log.size:
                index = chance.randrange(log.size)
                assert log.entry(index) == entries_of(index, 1)[0]
    tree = MemoryTree()
    tree.append(entries_of(0, now.size))
    assert tree.root() == now.root
