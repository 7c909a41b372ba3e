"""Work that is held: by its group, by the loss of the processor, by the loss of the latch. Real control groups and processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.interlock.holding import ControlGroup, HeldWork, Work, attach, hierarchy, start

LOST_AFTER_S = 0.4
NOBODY = 65534
TICKING = "while :; do echo x; sleep 0.01; done"
ESCAPING = f"(setsid sh -c '{TICKING}' &) ; {TICKING}"


def _writable() -> bool:
    try:
        return os.geteuid() == 0 and os.access(hierarchy(), os.W_OK)
    except EnvironmentError_:
        return False


pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not _writable(), reason="needs root and a writable hierarchy of control groups, version 2"),
]


@pytest.fixture
def group(request: pytest.FixtureRequest) -> Iterator[ControlGroup]:
    made = ControlGroup.make(f"interlock-test-{os.getpid()}")
    yield made
    if made.folder.exists():
        made.remove()


def work(tmp_path: Path, script: str = TICKING) -> Work:
    log = tmp_path / "log"
    return Work(
        command=("/bin/sh", "-c", script),
        uid=NOBODY,
        gid=NOBODY,
        environment={"PATH": "/usr/bin:/bin"},
        log=log,
    )


@contextlib.asynccontextmanager
async def held(group: ControlGroup, tmp_path: Path, script: str = TICKING) -> AsyncIterator[HeldWork]:
    job = await start(group, work(tmp_path, script), place=tmp_path / "latch", lost_after_s=LOST_AFTER_S)
    keeping = asyncio.create_task(job.keep())
    try:
        yield job
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        job.end()


async def until(true: Callable[[], bool], within_s: float = 3.0) -> float:
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < within_s, "it never happened"
        await asyncio.sleep(0.002)
    return time.monotonic() - started


def size(tmp_path: Path) -> int:
    return (tmp_path / "log").stat().st_size


async def stands_still(tmp_path: Path) -> bool:
    before = size(tmp_path)
    await asyncio.sleep(0.1)
    return size(tmp_path) == before


def test_work_starts_held_runs_when_allowed_and_stands_still_when_held(group: ControlGroup, tmp_path: Path) -> None:
    async def check() -> None:
        async with held(group, tmp_path) as job:
            await asyncio.sleep(0.1)
            assert group.is_frozen
            assert size(tmp_path) == 0
            await job.allow()
            await until(lambda: size(tmp_path) > 5)
            started = time.monotonic()
            await job.hold()
            assert time.monotonic() - started < 1
            assert group.is_frozen
            assert await stands_still(tmp_path)
            await job.allow()
            assert not await stands_still(tmp_path)

    asyncio.run(check())
    assert not group.folder.exists()


def test_what_it_forks_is_held_and_ends_with_it(group: ControlGroup, tmp_path: Path) -> None:
    async def check() -> None:
        async with held(group, tmp_path, ESCAPING) as job:
            await job.allow()
            await until(lambda: len(group.pids) >= 4)
            await job.hold()
            assert await stands_still(tmp_path)
            os.kill(job.latch_pid, signal.SIGKILL)
            assert await until(lambda: group.is_empty) < 1

    asyncio.run(check())


def test_work_of_another_user_cannot_leave_its_group(group: ControlGroup, tmp_path: Path) -> None:
    leaving = f"echo 0 > {hierarchy()}/cgroup.procs; echo 0 > {group.folder}/cgroup.freeze; {TICKING}"

    async def check() -> None:
        async with held(group, tmp_path, leaving) as job:
            await job.allow()
            await until(lambda: (tmp_path / "log").read_text().count("x\n") > 2)
            assert (tmp_path / "log").read_text().lower().count("permission denied") == 2
            await job.hold()
            assert await stands_still(tmp_path)

    asyncio.run(check())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_latch_ends_the_work(group: ControlGroup, tmp_path: Path, blow: signal.Signals) -> None:
    async def check() -> None:
        job = await start(group, work(tmp_path), place=tmp_path / "latch", lost_after_s=LOST_AFTER_S)
        keeping = asyncio.create_task(job.keep())
        await job.allow()
        os.kill(job.latch_pid, blow)
        assert await until(lambda: group.is_empty) < 1
        lost = await keeping
        assert lost is not None
        assert lost.kind is EventKind.GUARD_LOST
        job.end()

    asyncio.run(check())


def test_work_that_ends_by_itself_is_no_loss(group: ControlGroup, tmp_path: Path) -> None:
    async def check() -> None:
        job = await start(group, work(tmp_path, "exit 3"), place=tmp_path / "latch", lost_after_s=LOST_AFTER_S)
        keeping = asyncio.create_task(job.keep())
        await job.allow()
        assert await keeping is None
        assert job.has_ended
        job.end()

    asyncio.run(check())


PROCESSOR = """
import asyncio, sys
from pathlib import Path
from inspectorate.mechanisms.guarantee.interlock.holding import ControlGroup, Work, start

async def main():
    work = Work(command=("/bin/sh", "-c", sys.argv[4]), uid=65534, gid=65534,
                environment={"PATH": "/usr/bin:/bin"}, log=Path(sys.argv[3]))
    group = ControlGroup(Path(sys.argv[1]))
    job = await start(group, work, place=Path(sys.argv[2]), lost_after_s=float(sys.argv[5]))
    await job.allow()
    print("ready", flush=True)
    await job.keep()

asyncio.run(main())
"""


def processor(group: ControlGroup, tmp_path: Path) -> subprocess.Popen[bytes]:
    """A processor of its own, which runs work and beats."""
    argv = [str(group.folder), str(tmp_path / "latch"), str(tmp_path / "log"), TICKING, str(LOST_AFTER_S)]
    started = subprocess.Popen([sys.executable, "-c", PROCESSOR, *argv], stdout=subprocess.PIPE)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n"
    return started


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_processor_freezes_the_work_and_another_may_take_it_over(
    group: ControlGroup, tmp_path: Path, blow: signal.Signals
) -> None:
    async def check() -> None:
        first = processor(group, tmp_path)
        try:
            await until(lambda: size(tmp_path) > 0)
            assert not group.is_frozen
            first.send_signal(blow)
            assert await until(lambda: group.is_frozen) < 1
            # One that only stopped is ended, so that connections through it close.
            assert await asyncio.to_thread(first.wait, 2) == -signal.SIGKILL
            assert await stands_still(tmp_path)
            second = attach(group, place=tmp_path / "latch", lost_after_s=LOST_AFTER_S)
            keeping = asyncio.create_task(second.keep())
            assert await stands_still(tmp_path)
            await second.allow()
            assert not await stands_still(tmp_path)
            keeping.cancel()
            second.end()
        finally:
            first.kill()
            first.wait()

    asyncio.run(check())


def test_processor_and_latch_killed_at_once_end_the_work(group: ControlGroup, tmp_path: Path) -> None:
    async def check() -> None:
        first = processor(group, tmp_path)
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        for pid in (first.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        first.wait()
        assert await until(lambda: group.is_empty) < 1

    asyncio.run(check())


def test_only_an_empty_group_takes_work(group: ControlGroup, tmp_path: Path) -> None:
    async def check() -> None:
        async with held(group, tmp_path) as job:
            await job.allow()
            with pytest.raises(EnvironmentError_, match="other work"):
                await start(group, work(tmp_path), place=tmp_path / "second", lost_after_s=LOST_AFTER_S)

    asyncio.run(check())


def test_a_machine_without_version_2_says_so(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("30 23 0:26 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n")
    with pytest.raises(EnvironmentError_, match="version 2"):
        hierarchy(mounts)
    with pytest.raises(EnvironmentError_, match=r"cgroup\.freeze"):
        ControlGroup.make("work", tmp_path)
    with pytest.raises(ValueError, match="no name"):
        ControlGroup.make("../up")
