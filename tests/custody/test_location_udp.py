"""A real device and a real landmark over UDP: on loopback, and across network namespaces with delays and a relay between."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from location_cases import COPY, DEVICE

from inspectorate.declaration.types import Position
from inspectorate.mechanisms.custody.location.judge import Believed, Measured, judge
from inspectorate.mechanisms.custody.location.prober import Machine, Plan, probe
from inspectorate.mechanisms.custody.location.protocol import answer
from inspectorate.mechanisms.custody.location.record import OfLandmark, Ping, RoundTrips, read_round_trips, together
from inspectorate.mechanisms.custody.location.region import Landmark, Medium, Standing
from inspectorate.mechanisms.custody.location.responder import Responder, respond

MACHINE = Machine(steady_ns=time.monotonic_ns, wall_ns=time.time_ns, nonce=lambda: secrets.token_bytes(32))
SHORT = Plan(pings=2, interval_s=0, timeout_s=0.1)
PLAN = Plan(pings=5, interval_s=0.01, timeout_s=0.6)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def least_ms(pings: tuple[Ping, ...]) -> float:
    return min((one.round_trip_ns for one in pings if one.round_trip_ns is not None), default=float("inf")) / 1e6


class Device(asyncio.DatagramProtocol):
    """A device that answers as a test wants: `does` gives (delay, datagram) for every question."""

    def __init__(self, does) -> None:
        self.does = does

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr) -> None:
        for delay, reply in self.does(data):
            asyncio.get_running_loop().call_later(delay, self.transport.sendto, reply, addr)


def asked_of(does, plan: Plan = PLAN) -> tuple[Ping, ...]:
    async def run() -> tuple[Ping, ...]:
        port = free_port()
        loop, bind = asyncio.get_running_loop(), ("127.0.0.1", port)
        transport, _ = await loop.create_datagram_endpoint(lambda: Device(does), local_addr=bind)
        try:
            return await probe(("127.0.0.1", port), DEVICE.public, plan, MACHINE)
        finally:
            transport.close()

    return asyncio.run(run())


def test_a_device_answers_and_every_answer_verifies() -> None:
    async def run() -> tuple[tuple[Ping, ...], int]:
        port = free_port()
        transport, responder = await respond(DEVICE, ("127.0.0.1", port), time.monotonic)
        found = await probe(("127.0.0.1", port), DEVICE.public, PLAN, MACHINE)
        transport.close()
        return found, responder.answered

    found, answered = asyncio.run(run())
    assert [one.answered for one in found] == [True] * 5
    assert answered == 5
    here = Position(latitude_deg=1, longitude_deg=1)
    made = judge(
        RoundTrips(device="d", landmarks=(OfLandmark(landmark="l", pings=found),)),
        Believed(landmarks={"l": Landmark(id="l", position=here)}, key=DEVICE.public, declared=here),
    )
    assert made.faults == ()
    assert made.regions[Medium.VACUUM].standing is Standing.WITHIN


def test_a_wrong_key_is_never_an_answer_and_does_not_spoil_the_right_one() -> None:
    found = asked_of(lambda data: [(0, answer(COPY, data)), (0.02, answer(DEVICE, data))])
    assert all(one.answered for one in found)
    assert least_ms(found) >= 20
    assert not any(one.answered for one in asked_of(lambda data: [(0, answer(COPY, data))], SHORT))


def test_replayed_answers_are_answers_to_nothing() -> None:
    kept: list[bytes] = []

    def does(data: bytes) -> list[tuple[float, bytes]]:
        kept.append(answer(DEVICE, data))
        return [(0, kept[0])]

    found = asked_of(does, Plan(pings=3, interval_s=0.02, timeout_s=0.5))
    assert [one.answered for one in found] == [True, False, False]


def test_a_late_answer_is_never_early_for_the_next_question() -> None:
    """The device keeps every answer until the next question comes, and then sends it at once."""
    kept: list[bytes] = []

    def does(data: bytes) -> list[tuple[float, bytes]]:
        kept.append(answer(DEVICE, data))
        return [(0, kept[-2])] if len(kept) > 1 else []

    found = asked_of(does, Plan(pings=4, interval_s=0.05, timeout_s=0.6))
    assert [one.answered for one in found] == [True, True, True, False]
    assert least_ms(found) >= 45, "each is timed from its own question"


def test_answers_twice_count_once_and_the_first_time_stands() -> None:
    found = asked_of(lambda data: [(0, answer(DEVICE, data)), (0.4, answer(DEVICE, data))])
    assert least_ms(found) < 400


def test_no_more_is_answered_than_was_agreed() -> None:
    now = [0.0]
    one = Responder(DEVICE, lambda: now[0], per_s_max=10)

    class Wire(asyncio.DatagramTransport):
        def sendto(self, data, addr=None) -> None:
            pass

    one.connection_made(Wire())
    question = b"INSPLOC1Q" + bytes(96)
    for _ in range(25):
        one.datagram_received(question, ("x", 1))
    assert (one.answered, one.passed_over) == (10, 15)
    now[0] = 0.5
    for _ in range(25):
        one.datagram_received(question, ("x", 1))
    assert one.answered == 15


# --- across network namespaces ---------------------------------------------------------------------------------------------

SPACES = ("dev", "wire", "near", "far")
WAYS_MS = {"dev": 2.0, "near": 3.0, "far": 9.0}
"""Each way between a namespace and the wire in the middle."""
TOOLS = shutil.which("ip") is not None


def has_netem() -> bool:
    name = f"insploc{os.getpid()}-t"
    subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    try:
        given = ["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]
        return (
            shutil.which("tc") is not None and subprocess.run(given, capture_output=True, check=False).returncode == 0
        )
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


RELAY = """
import asyncio, sys
# Hands datagrams on to one address and back, each held for a time: a relay, and where the kernel has no netem, a long wire.
listen, to, hold = (sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[4])), float(sys.argv[5])
class Back(asyncio.DatagramProtocol):
    def __init__(self, front, peer): self.front, self.peer = front, peer
    def connection_made(self, t): self.t = t
    def datagram_received(self, data, addr): asyncio.get_running_loop().call_later(hold, self.front.sendto, data, self.peer)
class Front(asyncio.DatagramProtocol):
    peers = {}
    def connection_made(self, t): self.t = t
    def datagram_received(self, data, addr): asyncio.ensure_future(self.on(data, addr))
    async def on(self, data, addr):
        if addr not in self.peers:
            self.peers[addr] = asyncio.get_running_loop().create_task(
                asyncio.get_running_loop().create_datagram_endpoint(lambda: Back(self.t, addr), remote_addr=to))
        back, _ = await self.peers[addr]
        await asyncio.sleep(hold)
        back.sendto(data)
async def main():
    await asyncio.get_running_loop().create_datagram_endpoint(Front, local_addr=listen)
    print("up", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


class Spaces:
    """A device, two landmarks, and a wire between that holds every datagram: by netem, or by a forwarder in its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"insploc{os.getpid()}"
        self.started: list[subprocess.Popen[str]] = []
        self.netem = has_netem()

    def inside(self, name: str, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", f"{self.prefix}-{name}", *argv]

    def run(self, *argv: str) -> None:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, f"{argv}: {done.stderr}"

    def build(self) -> None:
        for name in SPACES:
            self.run("ip", "netns", "add", f"{self.prefix}-{name}")
            self.run("ip", "-n", f"{self.prefix}-{name}", "link", "set", "lo", "up")
        for number, name in enumerate(("dev", "near", "far"), start=1):
            self.run("ip", "link", "add", f"to-{name}", "netns", f"{self.prefix}-wire", "type", "veth", "peer", "name", "eth0",
                     "netns", f"{self.prefix}-{name}")  # fmt: skip
            for space, link, address in (
                ("wire", f"to-{name}", f"10.91.{number}.1"),
                (name, "eth0", f"10.91.{number}.2"),
            ):
                self.run("ip", "-n", f"{self.prefix}-{space}", "addr", "add", f"{address}/24", "dev", link)
                self.run("ip", "-n", f"{self.prefix}-{space}", "link", "set", link, "up")
                if self.netem:
                    self.run(
                        *self.inside(
                            space, "tc", "qdisc", "add", "dev", link, "root", "netem", "delay", f"{WAYS_MS[name]}ms"
                        )
                    )
            self.run("ip", "-n", f"{self.prefix}-{name}", "route", "add", "default", "via", f"10.91.{number}.1")
        self.run(*self.inside("wire", "sysctl", "-qw", "net.ipv4.ip_forward=1"))

    def start(self, name: str, *argv: str) -> None:
        """A process inside, which says a line when it is ready."""
        one = subprocess.Popen(self.inside(name, *argv), stdout=subprocess.PIPE, text=True)
        self.started.append(one)
        assert one.stdout is not None
        assert one.stdout.readline(), f"{argv} did not start"

    def wire(self, landmark: str, port: int, to: tuple[str, int], extra_ms: float = 0.0) -> tuple[str, int]:
        """Where a landmark has to send: through a forwarder where there is no netem, or where a relay adds its own time."""
        number = {"near": 2, "far": 3}[landmark]
        hold = extra_ms if self.netem else WAYS_MS["dev"] + WAYS_MS[landmark] + extra_ms
        listen = (f"10.91.{number}.1", port)
        self.start("wire", sys.executable, "-c", RELAY, listen[0], str(port), to[0], str(to[1]), str(hold / 1e3))
        return listen

    def remove(self) -> None:
        for one in self.started:
            one.terminate()
            one.wait(timeout=10)
            assert one.stdout is not None
            one.stdout.close()
        for name in SPACES:
            subprocess.run(["ip", "netns", "del", f"{self.prefix}-{name}"], check=False, capture_output=True)


@pytest.fixture
def spaces(tmp_path: Path) -> Iterator[Spaces]:
    if os.geteuid() != 0 or not TOOLS:
        pytest.skip("needs root and network namespaces")
    made = Spaces(tmp_path)
    try:
        made.build()
        yield made
    finally:
        made.remove()


PROBE = """
import asyncio, base64, secrets, sys, time
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.custody.location.prober import Machine, Plan, probe
from inspectorate.mechanisms.custody.location.record import OfLandmark, RoundTrips
key, landmark, out, addresses = PublicKey(base64.b64decode(sys.argv[1])), sys.argv[2], sys.argv[3], sys.argv[4:]
machine = Machine(steady_ns=time.monotonic_ns, wall_ns=time.time_ns, nonce=lambda: secrets.token_bytes(32))
for address in addresses:
    host, port = address.split(":")
    pings = asyncio.run(probe((host, int(port)), key, Plan(pings=20, interval_s=0.05, timeout_s=1.0), machine))
    record = RoundTrips(device="beacon-a", landmarks=(OfLandmark(landmark=landmark, pings=pings),))
    open(f"{out}-{port}.json", "wb").write(record.canonical_bytes())
"""


def probed(spaces: Spaces, to: dict[str, list[tuple[str, int]]]) -> dict[str, list[RoundTrips]]:
    """What the landmarks write, each inside of its namespace, at the same time."""
    key = base64.b64encode(DEVICE.public.raw).decode()
    asking = {
        name: subprocess.Popen(
            spaces.inside(name, sys.executable, "-c", PROBE, key, name, str(spaces.folder / name),
                          *(f"{host}:{port}" for host, port in addresses))
        )
        for name, addresses in to.items()
    }  # fmt: skip
    for one in asking.values():
        assert one.wait(timeout=60) == 0
    return {
        name: [
            read_round_trips((spaces.folder / f"{name}-{port}.json").read_bytes(), where=name) for _, port in addresses
        ]
        for name, addresses in to.items()
    }


@pytest.mark.root
@pytest.mark.tools
def test_a_relay_between_namespaces_adds_time_and_never_nearness(spaces: Spaces) -> None:
    key = spaces.folder / "device.pem"
    DEVICE.write(key)
    command = ("custody", "locate", "respond", "--key", str(key), "--bind", "10.91.1.2:4190")
    spaces.start("dev", sys.executable, "-m", "inspectorate", *command)
    device = ("10.91.1.2", 4190)
    to = {
        name: [
            device if spaces.netem else spaces.wire(name, 4200, device),
            spaces.wire(name, 4300, device, extra_ms=40.0),
        ]
        for name in ("near", "far")
    }
    here = Position(latitude_deg=50.0, longitude_deg=8.0)
    known = {
        "near": Landmark(id="near", position=Position(latitude_deg=50.0, longitude_deg=12.0)),
        "far": Landmark(id="far", position=Position(latitude_deg=40.0, longitude_deg=20.0)),
    }
    believed = Believed(landmarks=known, key=DEVICE.public, declared=here)
    held_s = {name: 2 * (WAYS_MS["dev"] + WAYS_MS[name]) / 1e3 for name in known}
    for _ in range(3):  # a machine that is busy elsewhere adds time as well: one round of three has to be without
        found = probed(spaces, to)
        plain, longer = (judge(together([one[way] for one in found.values()]), believed) for way in (0, 1))
        for name, least in held_s.items():
            assert plain.least_s[name] >= least
            assert longer.least_s[name] >= least + 0.08, "a relay holds both ways"
        if all(plain.least_s[name] < least + 0.05 for name, least in held_s.items()):
            return _check(plain, longer)
    pytest.fail("in none of three rounds did the wire add less than 50 ms to what it holds")


def _check(plain: Measured, longer: Measured) -> None:
    near, far = (one.regions[Medium.VACUUM] for one in (plain, longer))
    assert plain.faults == longer.faults == ()
    assert near.standing is far.standing is Standing.WITHIN
    assert near.radius_m is not None
    assert far.radius_m is not None
    assert far.radius_m > near.radius_m
