"""CPU telemetry of the bench: one meter per pod, which reads what the kernel counts of the pod's network namespace.

It is load of processors, and says so: processor time, memory and page faults of all processes of a pod, and the octets of its
interface, five times a second. The bench has no accelerators, and no meter of power.

The meters are the verifier's: they run outside of the pods, as one process of the package (`inspectorate collect telemetry`), ahead
of everything else in the queue for the cores, so that a busy pod delays no reading.

Not done here: a second meter of the same load. The kernel's counters of a link are the same number at both of its ends, so two
readings of it are no two measurements.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inspectorate.declaration import MeasuringPoint, Meter
from inspectorate.errors import EnvironmentError_
from inspectorate.keys import Holder
from inspectorate.lab.network import Network
from inspectorate.lab.processes import Processes

SIGNALS = ("cpu_time_s", "resident_bytes", "page_faults", "network_sent_bytes", "network_received_bytes")
EVERY_S = 0.2
SILENCE_S_MAX = 2.0
SEGMENT_S = 30
READY_S_MAX = 60.0

Meters = Callable[[Network, Path], list[str]]
"""The recorder's command, from the network and a file that it writes once every meter has answered."""


def meter_id(pod: str) -> str:
    return f"cpu-{pod}"


def meters(pods: tuple[str, ...]) -> tuple[Meter, ...]:
    """One meter per pod, as it is declared."""
    return tuple(
        Meter(
            id=meter_id(pod),
            holder=Holder.VERIFIER,
            point=MeasuringPoint.NODE,
            pods=(pod,),
            units=(pod,),
            signals=SIGNALS,
            sampled_every_s=EVERY_S,
            silence_s_max=SILENCE_S_MAX,
        )
        for pod in pods
    )


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """How telemetry is recorded: with which key, under which declaration."""

    key: Path
    declaration: Path

    def argv(self, network: Network, *, out: Path, ready: Path) -> list[str]:
        """The command that records all pods into `out`, and writes `ready` once every meter has answered."""
        argv = ["nice", "-n", "-10", sys.executable, "-m", "inspectorate", "collect", "telemetry", "--json"]
        argv += ["--declaration", str(self.declaration), "--key", str(self.key), "--out", str(out)]
        argv += ["--segment-seconds", str(SEGMENT_S), "--ready-file", str(ready)]
        for pod in network.pods:
            argv += ["--meter", f"{meter_id(pod)}=linux:unit={pod},netns={network.namespace(pod)},signals=declared"]
        return argv


def start_recorder(network: Network, processes: Processes, name: str, meters: Meters, folder: Path) -> None:
    """Start a recorder under a name, and wait until every meter has answered. Raises `EnvironmentError_`."""
    ready = folder / f"{name}.json"
    processes.start(name, meters(network, ready), prefix=[])
    deadline = time.monotonic() + READY_S_MAX
    while not ready.exists():
        processes.check()
        if time.monotonic() > deadline:
            raise EnvironmentError_(f"{name} does not answer", remedy="see its log")
        time.sleep(0.2)
