"""Processor time, memory and page faults of a set of processes that come and go.

- A process belongs to a set as a descendant of one of its roots, or because it is in the set's network namespace. Whatever was
  once in a set stays in it, with its descendants, also when it loses its parent.
- The counters of a set only rise. A process that ended is counted by its parent once that has waited for it (`cutime`); where
  no parent in the set is left to do so, what was last seen of it is kept. What it did after that is lost: less than a poll's step.
- A process that joins with a past (it entered the namespace) counts from then on.

Source: proc(5), /proc/PID/stat. Memory is resident pages; pages that several processes share are counted in each.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inspectorate.errors import EnvironmentError_, EvidenceError

STAT_BYTES_MAX = 4_096
JOIN_SLACK_TICKS = 2
"""A process that started less than this before the last poll may have been missed by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process as /proc/PID/stat has it. Times are in ticks, `start` since the machine started."""

    pid: int
    parent: int
    start: int
    ticks: int
    """Its own, and those of children for which it waited."""
    faults: int
    resident_pages: int


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a set of processes came to."""

    ticks: int
    faults: int
    resident_pages: int
    processes: int


def parse_stat(data: bytes) -> Process:
    """One line of /proc/PID/stat. The name in brackets may hold anything, brackets too. Raises `EvidenceError`."""
    try:
        pid = int(data[: data.index(b" ")])
        cells = data[data.rindex(b")") + 2 :].split()
        minor, minor_waited, major, major_waited = map(int, cells[7:11])
        user, system, user_waited, system_waited = map(int, cells[11:15])
        return Process(
            pid=pid,
            parent=int(cells[1]),
            start=int(cells[19]),
            ticks=user + system + user_waited + system_waited,
            faults=minor + minor_waited + major + major_waited,
            resident_pages=int(cells[21]),
        )
    except (ValueError, IndexError):
        raise EvidenceError(f"is not a line of /proc/PID/stat: {data[:80]!r}") from None


def read_process(proc: str, pid: int) -> Process | None:
    """A process, or None if there is none of that number."""
    try:
        descriptor = os.open(f"{proc}/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return parse_stat(os.read(descriptor, STAT_BYTES_MAX))
        finally:
            os.close(descriptor)
    except (FileNotFoundError, ProcessLookupError):
        return None
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=f"{proc}/{pid}/stat") from None


def pids(proc: str) -> list[int]:
    """The numbers of all processes."""
    try:
        return [int(name) for name in os.listdir(proc) if name.isdecimal()]
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=proc) from None


def namespace_of(proc: str, pid: int) -> tuple[int, int] | None:
    """Device and inode of a process's network namespace; None if the process is gone, or the kernel does not tell."""
    try:
        found = os.stat(f"{proc}/{pid}/ns/net")
    except OSError:
        return None
    return found.st_dev, found.st_ino


def identity_of(path: Path) -> tuple[int, int]:
    """Device and inode of a network namespace, by the path of its file. Raises `EnvironmentError_`."""
    try:
        found = path.stat()
    except OSError as fault:
        raise EnvironmentError_(
            f"cannot be read: {fault.strerror}", where=str(path), remedy="`ip netns list` names the namespaces"
        ) from None
    return found.st_dev, found.st_ino


@dataclass(kw_only=True)
class ProcessSet:
    """A set of processes, and what is kept of those that ended. `roots`: pid -> start."""

    roots: Mapping[int, int]
    _last: dict[tuple[int, int], Process] = field(default_factory=dict)
    _kept_ticks: int = 0
    _kept_faults: int = 0
    _former: Load | None = None
    _polled_at: int = 0

    def load(self, table: Mapping[int, Process], inside: Iterable[int] = (), *, now_ticks: int) -> Load:
        """What the set came to: `table` has all processes, `inside` those in its namespace, `now_ticks` is since the start
        of the machine."""
        members = self._members(table, inside)
        if self._former is not None:
            self._keep(members)
        ticks = self._kept_ticks + sum(one.ticks for one in members.values())
        faults = self._kept_faults + sum(one.faults for one in members.values())
        if self._former is not None:
            # A parent that never waits leaves a hole: the counter stands still for that step, and does not fall.
            self._kept_ticks += max(0, self._former.ticks - ticks)
            self._kept_faults += max(0, self._former.faults - faults)
            ticks, faults = max(ticks, self._former.ticks), max(faults, self._former.faults)
        self._last, self._polled_at = members, now_ticks
        self._former = Load(
            ticks=ticks,
            faults=faults,
            resident_pages=sum(one.resident_pages for one in members.values()),
            processes=len(members),
        )
        return self._former

    @property
    def members(self) -> frozenset[int]:
        """The numbers of the processes that were in the set at the last poll."""
        return frozenset(pid for pid, _ in self._last)

    def _members(self, table: Mapping[int, Process], inside: Iterable[int]) -> dict[tuple[int, int], Process]:
        begun = [pid for pid, start in self.roots.items() if pid in table and table[pid].start == start]
        begun += [pid for pid, start in self._last if pid in table and table[pid].start == start]
        begun += [pid for pid in inside if pid in table]
        found: dict[tuple[int, int], Process] = {}
        if self.roots:
            children: dict[int, list[int]] = {}
            for one in table.values():
                children.setdefault(one.parent, []).append(one.pid)
        else:
            children = {}
        while begun:
            one = table[begun.pop()]
            if (one.pid, one.start) not in found:
                found[one.pid, one.start] = one
                begun += children.get(one.pid, [])
        return found

    def _keep(self, members: Mapping[tuple[int, int], Process]) -> None:
        present = {pid for pid, _ in members}
        for key, one in self._last.items():
            if key not in members and one.parent not in present:
                self._kept_ticks += one.ticks
                self._kept_faults += one.faults
        for key, one in members.items():
            if key not in self._last and one.start < self._polled_at - JOIN_SLACK_TICKS:
                self._kept_ticks -= one.ticks
                self._kept_faults -= one.faults
