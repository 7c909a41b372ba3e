"""Counters of sets of processes that come and go: they never fall, and what ended is not lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.workloads.record.processes import (
    Process,
    ProcessSet,
    parse_stat,
    pids,
    read_process,
)

STAT = b"%d (a) b (c)) S %d 1 1 0 -1 4194560 10 20 3 4 50 60 70 80 20 0 1 0 %d 1000 25 18446744073709551615"


def process(pid: int, parent: int = 1, *, start: int = 5, ticks: int = 0, faults: int = 0) -> Process:
    return Process(pid=pid, parent=parent, start=start, ticks=ticks, faults=faults, resident_pages=1)


def table(*processes: Process) -> dict[int, Process]:
    return {one.pid: one for one in processes}


def test_a_name_with_brackets_and_spaces_moves_no_field() -> None:
    found = parse_stat(STAT % (42, 7, 999))
    assert (found.pid, found.parent, found.start) == (42, 7, 999)
    assert (found.ticks, found.faults, found.resident_pages) == (260, 37, 25)


@pytest.mark.parametrize("data", [b"", b"12", b"12 (x) S 1", b"x (y) S " + b"1 " * 40, b"12 (x) S " + b"z " * 40])
def test_what_is_no_line_of_stat_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError, match="not a line"):
        parse_stat(data)


def test_a_child_that_its_parent_waited_for_is_counted_once() -> None:
    found = ProcessSet(roots={10: 5})
    first = found.load(table(process(10, ticks=100), process(11, 10, start=6, ticks=40)), now_ticks=100)
    # The child ended with 45, and the parent waited for it.
    second = found.load(table(process(10, ticks=150 + 45)), now_ticks=200)
    assert (first.ticks, second.ticks, second.processes) == (140, 195, 1)


def test_what_ended_without_a_parent_in_the_set_is_kept() -> None:
    found = ProcessSet(roots={10: 5, 20: 5})
    found.load(table(process(10, ticks=100), process(20, ticks=40)), now_ticks=100)
    after = found.load(table(process(10, ticks=130)), now_ticks=200)
    assert after.ticks == 170
    assert found.load({}, now_ticks=300).ticks == 170


def test_an_orphan_stays_in_the_set_and_a_reused_number_does_not_enter_it() -> None:
    found = ProcessSet(roots={10: 5})
    found.load(table(process(10, ticks=10), process(11, 10, start=6, ticks=20)), now_ticks=100)
    # The root is gone, its number used again by somebody else; the child now belongs to init.
    after = found.load(table(process(10, start=900, ticks=5_000), process(11, 1, start=6, ticks=25)), now_ticks=1_000)
    assert (after.ticks, after.processes) == (10 + 25, 1)


def test_a_process_with_a_past_counts_from_when_it_joined() -> None:
    found = ProcessSet(roots={})
    found.load(table(process(1, ticks=10)), [1], now_ticks=1_000)
    joined = found.load(table(process(1, ticks=10), process(2, start=200, ticks=7_000)), [1, 2], now_ticks=1_100)
    later = found.load(table(process(1, ticks=10), process(2, start=200, ticks=7_050)), [1, 2], now_ticks=1_200)
    born = found.load(
        table(process(1, ticks=10), process(2, start=200, ticks=7_050), process(3, start=1_250, ticks=30)),
        [1, 2, 3],
        now_ticks=1_300,
    )
    assert [load.ticks for load in (joined, later, born)] == [10, 60, 90]


@given(
    st.lists(
        st.dictionaries(st.integers(10, 14), st.tuples(st.integers(9, 14), st.integers(0, 50)), max_size=5),
        min_size=1,
        max_size=12,
    )
)
def test_counters_never_fall(history: list[dict[int, tuple[int, int]]]) -> None:
    found = ProcessSet(roots={10: 5})
    ticks = dict.fromkeys(range(10, 15), 0)
    former = -(10**9)
    for step, alive in enumerate(history):
        for pid, (_, more) in alive.items():
            ticks[pid] += more
        now = table(*(process(pid, parent, ticks=ticks[pid]) for pid, (parent, _) in alive.items()))
        load = found.load(now, list(alive), now_ticks=step)
        assert load.ticks >= former
        former = load.ticks


BURN = "import time\nt = time.process_time()\nwhile time.process_time() - t < {0}: pass\n"


def test_real_processes_that_burn_and_end_are_counted_to_a_few_hundredths() -> None:
    """A child is waited for, a grandchild is orphaned, and both end: their time must be in the set's."""
    inner = BURN.format(0.2) + "import sys; sys.stdout.flush()"
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BURN.format(0.3)!r}], check=True)\n"
        f"subprocess.Popen(['/bin/sh', '-c', '\"$0\" -c \"$1\" & sleep 0.05', sys.executable, {inner!r}])\n"
        "print('made', flush=True)\n"
        "sys.stdin.read()\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        first = read_process("/proc", child.pid)
        assert first is not None
        found = ProcessSet(roots={child.pid: first.start})
        tick_s = 1 / os.sysconf("SC_CLK_TCK")

        def load() -> float:
            everyone = {pid: one for pid in pids("/proc") if (one := read_process("/proc", pid)) is not None}
            now = int(time.clock_gettime(time.CLOCK_BOOTTIME) / tick_s)
            return found.load(everyone, now_ticks=now).ticks * tick_s

        begun = load()
        total = _until(load, lambda shown: shown - begun >= 0.47, 20.0)
        assert total - begun < 3.0
    finally:
        child.stdin.close()  # type: ignore[union-attr]
        child.wait(10)
    assert load() >= total


def _until(measure: Callable[[], float], enough: Callable[[float], bool], wait_s: float) -> float:
    deadline = time.monotonic() + wait_s
    while not enough(shown := measure()):
        assert time.monotonic() < deadline, shown
        time.sleep(0.02)
    return shown
