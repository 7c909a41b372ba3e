"""The project's own enforcing gateway on the bench, in the place of bare token buckets (`shaping`).

`inspectorate limit serve` runs in the gateway's namespace, as it would on a real gateway: it loads rules and queues, keeps
the switch alive, watches the kernel and attests. Its limits count IP bytes; those of a trial count bytes at the interface,
so what is asked for is a little lower (`IP_SHARE`).

Rules:

- Pods may talk to each other here: the trials measure what the limit does, and not that isolation ends them.
- Where the last limit is lifted, the daemon is ended, its rules are removed, and the gateway routes as before.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from inspectorate.errors import EnvironmentError_
from inspectorate.keys import SigningKey
from inspectorate.lab.network import CLIENTS, GATEWAY, Network
from inspectorate.lab.shaping import FRAME_BYTES, Limits, PodLimit
from inspectorate.mechanisms.interconnect.enforce import kernel, reference

IP_SHARE = (FRAME_BYTES - 14) / FRAME_BYTES
"""IP bytes of a full frame, as a share of its bytes at the interface."""
READY_S = 20.0
END_S = 10.0
_POLL_S = 0.05


class EnforcingGateway:
    """Enforces limits with the project's own program; a context that ends what it started."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._limits: dict[str, PodLimit] = {}
        self._daemon: subprocess.Popen[bytes] | None = None
        self._network: Network | None = None
        self._starts = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def __call__(self, network: Network, limits: Limits) -> None:
        """Set or take away the limits of some pods. Raises `EnvironmentError_` if the gateway does not come up."""
        wanted = self._limits | {pod: limit for pod, limit in limits.items() if limit is not None}
        wanted = {pod: limit for pod, limit in wanted.items() if limits.get(pod, limit) is not None}
        if wanted == self._limits:
            return
        self._end()
        self._network, self._limits = network, wanted
        if wanted:
            self._start(network)

    def _start(self, network: Network) -> None:
        self._starts += 1
        plan, ready = self._folder / f"plan-{self._starts}.yaml", self._folder / f"ready-{self._starts}"
        plan.write_text(yaml.safe_dump(self._plan(network)))
        key = self._folder / "gateway.pem"
        if not key.exists():
            SigningKey(os.urandom(32)).write(key)
        argv = [sys.executable, "-m", "inspectorate", "limit", "serve", str(plan), "--key", str(key)]
        argv += ["--out", str(self._folder / f"spool-{self._starts}"), "--ready-file", str(ready)]
        log = self._folder / f"daemon-{self._starts}.log"
        with log.open("wb") as out:
            self._daemon = subprocess.Popen(
                network.inside(GATEWAY, argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_S
        while not ready.exists():
            if self._daemon.poll() is not None or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip()[-300:]
                raise EnvironmentError_(f"the enforcing gateway did not come up: {said}", where=str(log))
            time.sleep(_POLL_S)

    def _plan(self, network: Network) -> dict[str, object]:
        pods = []
        for pod, limit in sorted(self._limits.items()):
            link = network.links[pod]
            sent = max(1_000, round(limit.from_pod_bytes_per_s * IP_SHARE))
            received = max(1_000, round(limit.to_pod_bytes_per_s * IP_SHARE))
            pods.append(
                {
                    "pod": pod,
                    "interface": link.gateway_interface,
                    "networks": [f"{link.ipv4.rsplit('.', 1)[0]}.0/24", f"{link.ipv6.rsplit('::', 1)[0]}::/64"],
                    "sent_bytes_per_s": sent,
                    "received_bytes_per_s": received,
                    "burst_bytes": max(2 * reference.FRAME_BYTES_MAX, round(max(sent, received) * reference.BUCKET_S)),
                }
            )
        return {
            "gateway": "bench",
            "outside": [network.links[CLIENTS].gateway_interface],
            "pods": pods,
            "pairs": [{"one": one, "other": other} for one, other in combinations(sorted(self._limits), 2)],
        }

    def _end(self) -> None:
        """End the daemon, remove its rules, and let the gateway route again."""
        if self._daemon is None or self._network is None:
            return
        self._daemon.terminate()
        try:
            self._daemon.wait(timeout=END_S)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait(timeout=END_S)
        self._daemon = None
        run = kernel.within(self._network.namespace(GATEWAY))
        kernel.remove(run)
        for setting in kernel.FORWARDING:
            run(["sysctl", "-qw", f"{setting}=1"], "")
        self._limits = {}
