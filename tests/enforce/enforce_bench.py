"""A gateway in namespaces: pods a and b, an outside host, and between them the gateway that the product enforces on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.enforce import kernel
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, Loader, Pair, PodPlan, Service

TOOLS = ("nft", "tc", "ip", "sysctl", "iperf3", "ping", "ethtool")
RATE = 500_000
BURST = 520_000
POD_LOADER_PORT = 7000
CANARY_PORT = 7
NODES = {"a": 1, "b": 2, "out": 9}


def why_not() -> str | None:
    """Why tests in namespaces cannot run here; none if they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"needs {', '.join(missing)}" if missing else None


def pod_plan(name: str, *, rate: int = RATE, burst: int = BURST) -> PodPlan:
    number = NODES[name]
    return PodPlan(
        pod=f"pod-{name}",
        interface=f"to-{name}",
        networks=(f"10.77.{number}.0/24", f"fd77:0:0:{number}::/64"),
        sent_bytes_per_s=rate,
        received_bytes_per_s=rate,
        burst_bytes=burst,
        loader=Loader(address=address(name), port=POD_LOADER_PORT),
    )


def plan(*, rate: int = RATE, burst: int = BURST, pairs: tuple[Pair, ...] = ()) -> LimitPlan:
    return LimitPlan(
        gateway="gateway-1",
        pods=(pod_plan("a", rate=rate, burst=burst), pod_plan("b", rate=rate, burst=burst)),
        outside=("to-out",),
        pairs=pairs,
        services=(Service(pod="pod-a", protocol="udp", port=CANARY_PORT, at="pod"),),
    )


STARTS_S = 60.0
"""A daemon may take so long to come up on a machine that is busy with other tests."""


def address(node: str, version: int = 4, *, gateway: bool = False) -> str:
    host = 1 if gateway else 2
    return f"10.77.{NODES[node]}.{host}" if version == 4 else f"fd77:0:0:{NODES[node]:x}::{host}"


def run(argv: Sequence[str], text: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(list(argv), input=text, capture_output=True, text=True, timeout=60, check=False)
    if check:
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done


class Bench:
    """The namespaces, as a context."""

    def __init__(self, tag: str = "") -> None:
        self.prefix = f"enf{os.getpid()}{tag}"
        self._started: list[subprocess.Popen[bytes]] = []

    def space(self, node: str) -> str:
        return f"{self.prefix}-{node}"

    @property
    def runner(self) -> kernel.Runner:
        return kernel.within(self.space("gw"))

    def inside(self, node: str, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.space(node), *argv]

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def _build(self) -> None:
        for node in ("gw", *NODES):
            run(["ip", "netns", "add", self.space(node)])
            run(["ip", "-n", self.space(node), "link", "set", "lo", "up"])
        for node in NODES:
            far = f"to-{node}"
            run(f"ip link add {far} netns {self.space('gw')} type veth peer name eth0 netns {self.space(node)}".split())
            for space, interface, gateway in ((node, "eth0", False), ("gw", far, True)):
                name = self.space(space)
                run(["ip", "-n", name, "addr", "add", f"{address(node, 4, gateway=gateway)}/24", "dev", interface])
                run(
                    [
                        "ip",
                        "-n",
                        name,
                        "addr",
                        "add",
                        f"{address(node, 6, gateway=gateway)}/64",
                        "dev",
                        interface,
                        "nodad",
                    ]
                )
                run(self.inside(space, "ethtool", "-K", interface, "tso", "off", "gso", "off", "gro", "off"))
                run(["ip", "-n", name, "link", "set", interface, "up"])
            run(["ip", "-n", self.space(node), "route", "add", "default", "via", address(node, 4, gateway=True)])
            run(["ip", "-n", self.space(node), "-6", "route", "add", "default", "via", address(node, 6, gateway=True)])

    def _remove(self) -> None:
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for node in ("gw", *NODES):
            run(["ip", "netns", "del", self.space(node)], check=False)

    def start(self, node: str, *argv: str, out: Path | None = None) -> subprocess.Popen[bytes]:
        target = subprocess.DEVNULL if out is None else out.open("wb")
        process = subprocess.Popen(
            self.inside(node, *argv),
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.STDOUT if out else subprocess.DEVNULL,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def program(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run `inspectorate` on the gateway."""
        return run(self.inside("gw", sys.executable, "-m", "inspectorate", *arguments), check=check)

    def pings(self, node: str, to: str, *, count: int = 1) -> int:
        """How many of `count` pings were answered."""
        done = run(self.inside(node, "ping", "-n", "-c", str(count), "-i", "0.05", "-W", "0.4", to), check=False)
        return int(done.stdout.split(" received")[0].split(",")[-1]) if " received" in done.stdout else 0

    def iperf(self, client: str, server: str, *options: str, version: int = 4) -> dict[str, object]:
        """Run iperf3 from one node to another; its report."""
        listening = self.start(server, "iperf3", "-s", "-1", "-B", address(server, version))
        time.sleep(0.25)
        done = run(self.inside(client, "iperf3", "-J", "-c", address(server, version), *options), check=False)
        listening.wait(timeout=10)
        report = json.loads(done.stdout)
        assert "error" not in report, report["error"]
        return report


@contextlib.contextmanager
def kept_alive(bench: Bench) -> Iterator[None]:
    """Renew the switch from a thread-free helper process of its own, as the daemon would."""
    code = (
        "import time\n"
        "from inspectorate.mechanisms.interconnect.enforce import kernel\n"
        "while True:\n    kernel.keep_alive(kernel.here)\n    time.sleep(0.2)\n"
    )
    process = bench.start("gw", sys.executable, "-c", code)
    deadline = time.monotonic() + STARTS_S
    while bench.pings("a", address("out")) == 0:
        assert time.monotonic() < deadline, "the switch did not come on"
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def write_plan(path: Path, made: LimitPlan) -> Path:
    """A plan as an operator has it; JSON is YAML."""
    path.write_text(json.dumps(made.model_dump(mode="json", exclude_none=True)))
    return path


def serving(bench: Bench, folder: Path, made: LimitPlan, *options: str) -> subprocess.Popen[bytes]:
    """Start the daemon, and wait until it enforces."""
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    key = folder / "gateway.pem"
    if not key.exists():
        from_seed(1).write(key)
    argv = [sys.executable, "-m", "inspectorate", "limit", "serve", str(write_plan(folder / "plan.yaml", made))]
    argv += ["--key", str(key), "--out", str(folder / "spool"), "--ready-file", str(ready), *options]
    process = bench.start("gw", *argv, out=folder / "serve.out")
    deadline = time.monotonic() + STARTS_S
    while not ready.exists():
        assert process.poll() is None, (folder / "serve.out").read_text()
        assert time.monotonic() < deadline, "the daemon did not come up"
        time.sleep(0.05)
    return process


def from_seed(number: int) -> SigningKey:
    return SigningKey(bytes([number]) * 32)
