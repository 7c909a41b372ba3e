"""How busy the machine is besides what is measured, and how what is measured comes before the rest.

Other programs make a step longer than it is. Their processor time is measured and recorded with each trial, and the
workers of a trial come before them in the queue for the processors.
"""

from __future__ import annotations

import os
from pathlib import Path

NICENESS = -5
"""Before other programs of the machine. Training mostly waits for its link, so they are not held up for long."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def put_first(pid: int) -> None:
    """Put a process and its session before those of other programs: with autogroup (sched(7)) sessions share by turns,
    and the niceness of a process counts only within its own.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():
        group.write_text(str(NICENESS))


def busy_s() -> float:
    """Processor seconds that all programs together have taken since the machine started (/proc/stat: proc(5))."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, interrupts, soft = (int(word) for word in words[:7])
    return (user + nice + system + interrupts + soft) / _TICKS_PER_S


def own_s(pid: int) -> float:
    """Processor seconds of one process, in the program and in the kernel for it; 0 when it has ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(words[11]) + int(words[12])) / _TICKS_PER_S
