"""CPU telemetry of a Linux machine: processor time, memory, page faults and network octets of what a unit is said to be.

A unit is a control group, or processes with their descendants, or all processes in a network namespace; and the interfaces of a
namespace, or one interface. This is load of processors, not of accelerators: it is named CPU telemetry wherever it is shown.

- Processor time: `cpuacct.usage` (v1) or `usage_usec` of `cpu.stat` (v2) of control groups; otherwise /proc/PID/stat (`processes`).
- Memory: `total_rss` (v1) or `anon` (v2) of `memory.stat`; otherwise resident pages. Page faults from the same places.
- Octets: /proc/net/dev of the namespace, without `lo`. The file is opened once, in the namespace, and read from its beginning
  at each poll. An interface that *faces* a unit receives what the unit sends.
- A process whose namespace the kernel does not tell (it is another's, and better protected) counts as outside; the summary says
  how many there were.
- A controller that is not there leaves its fields absent. A unit of which nothing can be read is an error, not a zero.

Source: proc(5); cgroups(7); Documentation/admin-guide/cgroup-v1/{cpuacct,memory}.rst and cgroup-v2.rst of the kernel.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inspectorate.declaration import MeasuringPoint
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.workloads.record.processes import (
    Process,
    ProcessSet,
    identity_of,
    namespace_of,
    pids,
    read_process,
)
from inspectorate.mechanisms.workloads.record.reference import USER_HZ_NOTE
from inspectorate.mechanisms.workloads.record.source import Facts, Rows
from inspectorate.mechanisms.workloads.telemetry.frame import Samples

SIGNALS = ("cpu_time_s", "resident_bytes", "page_faults", "network_sent_bytes", "network_received_bytes")
NETWORK_SIGNALS = SIGNALS[3:]
FILE_BYTES_MAX = 1024 * 1024
LOOK_AGAIN_POLLS = 10
"""A process that belonged to no unit is looked at again after so many polls: it may have entered a namespace since, or another may
have its number. New numbers are looked at in every poll."""
CLONE_NEWNET = 0x4000_0000
NAMED_NAMESPACES = Path("/run/netns")


@dataclass(frozen=True, kw_only=True)
class LinuxUnit:
    """What one unit is. Raises `InputError` where it is nothing, or two things at once."""

    name: str
    pids: tuple[int, ...] = ()
    cgroups: tuple[Path, ...] = ()
    """Folders of one control group: one for v2, one for each controller for v1."""
    netns: Path | None = None
    interface: str = ""
    facing: bool = False
    """The interface is the other end of the unit's link, and is all that is read of it."""

    def __post_init__(self) -> None:
        if self.pids and self.cgroups:
            raise InputError("is processes and a control group at once", where=f"unit {self.name}")
        if not (self.pids or self.cgroups or self.netns or self.interface):
            raise InputError(
                "names nothing to read", where=f"unit {self.name}", remedy="give cgroup, pids, netns, interface or link"
            )
        if self.facing and (self.pids or self.cgroups or not self.interface):
            raise InputError("a link is an interface and nothing else", where=f"unit {self.name}")

    @property
    def has_network(self) -> bool:
        return self.netns is not None or bool(self.interface)


@dataclass(kw_only=True)
class _Reader:
    """One unit, and what is open of it."""

    unit: LinuxUnit
    processes: ProcessSet | None = None
    namespace: tuple[int, int] | None = None
    """Of the processes; None where they are named by number."""
    net_dev: int | None = None


class LinuxSource:
    """Units of this machine. `proc` is where the process file system is mounted."""

    def __init__(self, units: Sequence[LinuxUnit], *, clock_ns: Callable[[], int], proc: str = "/proc") -> None:
        self._clock_ns = clock_ns
        self._proc = proc
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._readers: list[_Reader] = []
        self._strangers: set[int] = set()
        self._polls = 0
        try:
            for unit in units:
                self._readers.append(self._open(unit))
        except BaseException:
            self.close()
            raise
        gateway = all(unit.facing for unit in units)
        hidden = self._hidden()
        self.facts = Facts(
            name="CPU telemetry of Linux",
            point=MeasuringPoint.GATEWAY if gateway else MeasuringPoint.NODE,
            signals=NETWORK_SIGNALS if gateway else SIGNALS,
            bandwidth_hz=None,
            note=USER_HZ_NOTE + (f"; the kernel does not tell the namespace of {hidden} processes" if hidden else ""),
        )

    def poll(self) -> Samples:
        """One row per unit. Raises `EnvironmentError_` where a control group or the process file system is gone."""
        table, inside = self._scan()
        now_ticks = int(time.clock_gettime(time.CLOCK_BOOTTIME) / self._tick_s)
        rows = Rows(SIGNALS)
        for reader in self._readers:
            values: dict[str, float] = {}
            if reader.unit.cgroups:
                values |= read_cgroups(reader.unit.cgroups)
            elif reader.processes is not None:
                members = inside.get(reader.namespace, ()) if reader.namespace else ()
                load = reader.processes.load(table, members, now_ticks=now_ticks)
                values["cpu_time_s"] = load.ticks * self._tick_s
                values["page_faults"] = float(load.faults)
                values["resident_bytes"] = float(load.resident_pages * self._page_bytes)
            if reader.net_dev is not None:
                values |= self._octets(reader)
            rows.add(reader.unit.name, self._clock_ns(), values)
        self._strangers -= {pid for reader in self._readers if reader.processes for pid in reader.processes.members}
        return rows.samples()

    def close(self) -> None:
        for reader in self._readers:
            if reader.net_dev is not None:
                os.close(reader.net_dev)
        self._readers.clear()

    def _open(self, unit: LinuxUnit) -> _Reader:
        reader = _Reader(unit=unit)
        if unit.cgroups and "cpu_time_s" not in read_cgroups(unit.cgroups):
            raise EnvironmentError_(
                "shows no processor time", where=str(unit.cgroups[0]),
                remedy="name the folder of the group in the cpuacct hierarchy, or in cgroup v2",
            )  # fmt: skip
        if unit.pids:
            found = {pid: read_process(self._proc, pid) for pid in unit.pids}
            gone = [pid for pid, process in found.items() if process is None]
            if gone:
                raise InputError(f"there is no process {', '.join(map(str, gone))}", where=f"unit {unit.name}")
            reader.processes = ProcessSet(roots={pid: one.start for pid, one in found.items() if one})
        elif unit.netns is not None and not unit.cgroups and not unit.facing:
            reader.namespace = identity_of(unit.netns)
            reader.processes = ProcessSet(roots={})
        if unit.has_network:
            reader.net_dev = open_net_dev(unit.netns)
            # Named here, before anything is recorded, if the interface is not there.
            try:
                self._octets(reader)
            except BaseException:
                os.close(reader.net_dev)
                raise
        return reader

    def _hidden(self) -> int:
        """How many processes the kernel does not let us place: they count as outside of every unit's namespace."""
        if not any(reader.namespace for reader in self._readers):
            return 0
        return sum(namespace_of(self._proc, pid) is None for pid in pids(self._proc))

    def _scan(self) -> tuple[Mapping[int, Process], Mapping[tuple[int, int], Sequence[int]]]:
        """All processes that some unit may need, and which of them are in which of the units' namespaces."""
        by_number = any(reader.processes and not reader.namespace for reader in self._readers)
        namespaces = {reader.namespace for reader in self._readers if reader.namespace}
        if not by_number and not namespaces:
            return {}, {}
        self._polls += 1
        alive = pids(self._proc)
        known = set() if self._polls % LOOK_AGAIN_POLLS == 1 else self._strangers.intersection(alive)
        table: dict[int, Process] = {}
        inside: dict[tuple[int, int], list[int]] = {namespace: [] for namespace in namespaces if namespace}
        for pid in alive:
            if pid in known:
                continue
            namespace = namespace_of(self._proc, pid) if namespaces else None
            if not by_number and namespace not in namespaces:
                continue
            process = read_process(self._proc, pid)
            if process is None:
                continue
            table[pid] = process
            if namespace in inside:
                inside[namespace].append(pid)
        # Until it is known who belongs to a unit, all are strangers.
        self._strangers = set(alive)
        return table, inside

    def _octets(self, reader: _Reader) -> dict[str, float]:
        assert reader.net_dev is not None
        unit = reader.unit
        where = f"unit {unit.name}"
        try:
            found = parse_net_dev(os.pread(reader.net_dev, FILE_BYTES_MAX, 0))
        except OSError as fault:
            raise EnvironmentError_(f"net/dev cannot be read: {fault.strerror}", where=where) from None
        if unit.interface and unit.interface not in found:
            raise EnvironmentError_(
                f"there is no interface {unit.interface}", where=where, remedy=f"there are {', '.join(found) or 'none'}"
            )
        chosen = [unit.interface] if unit.interface else [name for name in found if name != "lo"]
        received, sent = (float(sum(found[name][way] for name in chosen)) for way in (0, 1))
        if unit.facing:
            received, sent = sent, received
        return {"network_sent_bytes": sent, "network_received_bytes": received} if chosen else {}


def named_namespace(text: str) -> Path:
    """A network namespace by its name, or by the path of its file."""
    return Path(text) if "/" in text else NAMED_NAMESPACES / text


def parse_net_dev(data: bytes) -> dict[str, tuple[int, int]]:
    """Octets received and sent by interface, from /proc/net/dev. Raises `EvidenceError`."""
    found: dict[str, tuple[int, int]] = {}
    for line in data.splitlines()[2:]:
        name, separator, rest = line.partition(b":")
        cells = rest.split()
        if not separator or len(cells) < 16 or not cells[0].isdigit() or not cells[8].isdigit():
            raise EvidenceError(f"is not a line of net/dev: {line[:80]!r}")
        found[name.strip().decode("utf-8", "replace")] = (int(cells[0]), int(cells[8]))
    return found


def open_net_dev(netns: Path | None) -> int:
    """A descriptor of net/dev of this machine, or of a network namespace: it stays that namespace's wherever it is read.

    Only the thread that enters the namespace to open it is ever in it, and it ends at once. Raises `EnvironmentError_`.
    """
    if netns is None:
        return os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    opened: list[int] = []
    faults: list[OSError] = []

    def enter() -> None:
        try:
            with netns.open("rb") as file:
                if libc.setns(file.fileno(), CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
                opened.append(os.open("/proc/thread-self/net/dev", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as fault:
            faults.append(fault)

    thread = threading.Thread(target=enter, name="namespace")
    thread.start()
    thread.join()
    if faults:
        raise EnvironmentError_(
            f"cannot be entered: {faults[0].strerror}", where=str(netns),
            remedy="run as root; `ip netns list` names the namespaces",
        )  # fmt: skip
    return opened[0]


def read_cgroups(folders: Sequence[Path]) -> dict[str, float]:
    """What the files of a control group show; what is not there is absent. Raises `EnvironmentError_` if all of it is gone."""
    values: dict[str, float] = {}
    for folder in folders:
        if (usage := _read(folder / "cpuacct.usage")) is not None:
            values["cpu_time_s"] = _number(usage, folder) / 1e9
        elif (stat := _read(folder / "cpu.stat")) is not None and "usage_usec" in (cells := _cells(stat)):
            values["cpu_time_s"] = cells["usage_usec"] / 1e6
        if (stat := _read(folder / "memory.stat")) is not None:
            cells = _cells(stat)
            resident = cells.get("total_rss", cells.get("anon"))
            faults = cells.get("total_pgfault", cells.get("pgfault"))
            if resident is not None:
                values["resident_bytes"] = float(resident)
            if faults is not None:
                values["page_faults"] = float(faults)
    if not values:
        raise EnvironmentError_("shows nothing of a control group", where=str(folders[0]), remedy="is it still there?")
    return values


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(FILE_BYTES_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        raise EnvironmentError_(f"cannot be read: {fault.strerror}", where=str(path)) from None


def _cells(data: bytes) -> dict[str, int]:
    pairs = (line.split() for line in data.decode("ascii", "replace").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(data: bytes, where: Path) -> int:
    try:
        return int(data)
    except ValueError:
        raise EvidenceError(f"is no number: {data[:40]!r}", where=str(where)) from None
