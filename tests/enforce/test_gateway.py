"""The gateway on a real kernel: what passes, how much of it, and that nothing passes when anything is wrong."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from enforce_bench import (
    BURST,
    CANARY_PORT,
    RATE,
    Bench,
    address,
    from_seed,
    kept_alive,
    plan,
    pod_plan,
    run,
    serving,
    write_plan,
)

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import LimitAttested, verify_envelope
from inspectorate.keys import Holder, Role, TrustAnchor, TrustAnchors
from inspectorate.ledger import Log
from inspectorate.mechanisms.interconnect.enforce import kernel, reference
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, Pair
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.submission import ledger_entry, read_spool

pytestmark = [pytest.mark.root, pytest.mark.tools, pytest.mark.slow]

RECEIVER = """
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM); s.bind((address, 5555)); s.settimeout(0.1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
print("ready", flush=True)
end = time.monotonic() + seconds; first = last = None; total = 0; times = []
while time.monotonic() < end:
    try: data = s.recv(65536)
    except TimeoutError: continue
    now = time.monotonic(); first = first or now; last = now; total += len(data); times.append((now, len(data)))
print(total, first or 0, last or 0, flush=True)
"""
SENDER = """
import socket, sys, time
address, seconds, rate, size = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
start = time.monotonic(); sent = 0
while (now := time.monotonic()) - start < seconds:
    if sent <= (now - start) * rate:
        try: s.sendto(bytes(size), (address, 5555)); sent += size
        except OSError: time.sleep(0.001)
    else: time.sleep(0.0005)
"""


def udp(
    bench: Bench, source: str, target: str, *, seconds: float, rate: float, version: int = 4, size: int = 1200
) -> int:
    """Bytes of UDP content that got through."""
    receiver = subprocess.Popen(
        bench.inside(target, sys.executable, "-c", RECEIVER, address(target, version), str(seconds + 1.0)),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    run(
        bench.inside(source, sys.executable, "-c", SENDER, address(target, version), str(seconds), str(rate), str(size))
    )
    total = int(receiver.stdout.readline().split()[0])
    receiver.wait(timeout=10)
    return total


@pytest.fixture(autouse=True)
def _clean(bench: Bench) -> None:
    """What a test before this one left in the rules is no business of this one."""
    run(bench.inside("gw", "nft", "flush", "ruleset"))


@pytest.fixture
def enforced(bench: Bench) -> LimitPlan:
    made = plan()
    kernel.load(made, bench.runner)
    return made


# --- what passes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("direction", [(), ("-R",)], ids=["sent", "received"])
def test_tcp_gets_its_rate_and_no_more(
    bench: Bench, enforced: LimitPlan, version: int, direction: tuple[str, ...]
) -> None:
    """No run gets more than the rate; a busy machine may cost one run some of it, but not each of three."""
    headers = 1500 / (1448 if version == 4 else 1428)
    for _ in range(3):
        with kept_alive(bench):
            report = bench.iperf("a", "out", "-t", "5", *direction, version=version)
        content = float(report["end"]["sum_received"]["bits_per_second"]) / 8  # type: ignore[index]
        print(f"IPv{version} {direction}: {content * headers:,.0f} IP bytes/s against {RATE:,}")
        assert content * headers <= RATE * 1.03
        if content * headers >= RATE * 0.88:
            return
    pytest.fail(f"three runs, and none got 88 % of {RATE:,} IP bytes/s")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("source", "target"), [("a", "out"), ("out", "a")])
def test_the_policer_alone_holds_a_flood_to_rate_and_burst(
    bench: Bench, enforced: LimitPlan, version: int, source: str, target: str
) -> None:
    """With the shapers taken away: what the rules pass in three seconds is rate x time + burst, to a few percent."""
    for name in ("to-a", "to-out"):
        run(bench.inside("gw", "tc", "qdisc", "del", "dev", name, "ingress"))
    seconds = 3.0
    with kept_alive(bench):
        time.sleep(1.2)
        got = udp(bench, source, target, seconds=seconds, rate=5 * RATE, version=version)
        running = judge(kernel.read(enforced.interfaces, bench.runner))
    packets = got / 1200
    ip_bytes = got + packets * (28 if version == 4 else 48)
    # `burst_bytes` is all that the kernel's bucket holds, one second of the rate included (`reference.BUCKET_S`).
    allowed = RATE * seconds + BURST
    print(f"IPv{version} {source} to {target}: {ip_bytes:,.0f} of {allowed:,.0f} allowed IP bytes in {seconds:g} s")
    assert allowed * 0.93 <= ip_bytes <= allowed * 1.02
    counted = next(one for one in running.counted if one.pod == "pod-a")
    dropped = counted.sent_dropped_bytes if source == "a" else counted.received_dropped_bytes
    assert dropped > RATE


def test_pods_reach_each_other_only_as_a_pair(bench: Bench, enforced: LimitPlan) -> None:
    with kept_alive(bench):
        assert [bench.pings("a", address("b", v)) for v in (4, 6)] == [0, 0]
        assert udp(bench, "a", "b", seconds=0.5, rate=100_000) == 0
    kernel.load(plan(pairs=(Pair(one="pod-a", other="pod-b"),)), bench.runner)
    with kept_alive(bench):
        assert [bench.pings("a", address("b", v), count=3) for v in (4, 6)] == [3, 3]
        assert [bench.pings("b", address("a", v), count=3) for v in (4, 6)] == [3, 3]


def test_a_pair_counts_within_both_limits(bench: Bench) -> None:
    made = plan(pairs=(Pair(one="pod-a", other="pod-b"),))
    kernel.load(made, bench.runner)
    with kept_alive(bench):
        got = udp(bench, "a", "b", seconds=3, rate=5 * RATE)
        running = judge(kernel.read(made.interfaces, bench.runner))
    one, other = running.counted
    assert got > RATE
    assert one.sent_bytes == pytest.approx(other.received_bytes, rel=0.05)
    assert got <= RATE * 3 + 2 * BURST


def raw(bench: Bench, node: str, frame: bytes) -> None:
    """Send one frame as it is."""
    code = (
        "import socket, sys\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('eth0', 0))\n"
        "frame = bytes.fromhex(sys.argv[1])\nfor _ in range(20): s.send(frame)\n"
    )
    run(bench.inside(node, sys.executable, "-c", code, frame.hex()))


def mac(bench: Bench, space: str, interface: str) -> bytes:
    text = run(bench.inside(space, "cat", f"/sys/class/net/{interface}/address")).stdout.strip()
    return bytes.fromhex(text.replace(":", ""))


def ipv4(
    source: str, target: str, *, protocol: int = 17, payload: bytes = b"x" * 64, options: bytes = b"", fragment: int = 0
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x40 | words, 0, words * 4 + len(payload), 7, fragment, 64, protocol, 0,
        socket.inet_aton(source), socket.inet_aton(target),
    )  # fmt: skip
    head += options
    total = sum(int.from_bytes(head[i : i + 2], "big") for i in range(0, len(head), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + (0xFFFF - total).to_bytes(2, "big") + head[12:] + payload


def ipv6(source: str, target: str, *, following: int = 59, payload: bytes = b"") -> bytes:
    pack = socket.inet_pton
    return (
        struct.pack(">IHBB", 6 << 28, len(payload), following, 64)
        + pack(socket.AF_INET6, source)
        + pack(socket.AF_INET6, target)
        + payload
    )


def arrives(bench: Bench, target: str) -> int:
    """Frames that the interface of a node has received."""
    return int(run(bench.inside(target, "cat", "/sys/class/net/eth0/statistics/rx_packets")).stdout)


ROUTE = b"\x83\x07\x04" + socket.inet_aton(address("b")) + b"\0"
"""Loose source route by way of the other pod (RFC 791)."""
UDP = struct.pack(">HHHH", 5555, 5555, 72, 0) + b"x" * 64


@pytest.mark.parametrize(
    ("kind", "packet", "to"),
    [
        (0x0800, ipv4(address("b"), address("out"), payload=UDP), "out"),
        (0x0800, ipv4(address("a"), address("b"), payload=UDP), "b"),
        (0x0800, ipv4(address("a"), address("b"), payload=UDP, fragment=0x2000), "b"),
        (0x0800, ipv4(address("a"), address("b"), payload=UDP, fragment=100), "b"),
        (0x0800, ipv4(address("a"), address("out"), payload=UDP, options=ROUTE), "b"),
        (0x0800, ipv4(address("a"), "239.1.2.3", payload=UDP), "out"),
        (0x0800, ipv4(address("a"), "255.255.255.255", payload=UDP), "out"),
        (0x0800, ipv4(address("a"), "10.77.2.255", payload=UDP), "b"),
        (0x86DD, ipv6(address("b", 6), address("out", 6), following=17, payload=UDP), "out"),
        (0x86DD, ipv6(address("a", 6), address("b", 6), following=17, payload=UDP), "b"),
        (0x86DD, ipv6(address("a", 6), address("b", 6), following=44, payload=b"\x11\0\0\1\0\0\0\7" + UDP), "b"),
        (0x86DD, ipv6(address("a", 6), address("b", 6), following=60, payload=b"\x11\0\1\4\0\0\0\0" + UDP), "b"),
        (0x86DD, ipv6(address("a", 6), "ff05::1234", following=17, payload=UDP), "out"),
        (0x88B5, b"not IP at all" * 10, "out"),
        (0x8847, b"\0\x01\x01\x40" + ipv4(address("a"), address("b"), payload=UDP), "b"),
    ],
    ids=[
        "spoofed source", "another pod", "another pod, first fragment", "another pod, later fragment", "source route",
        "multicast", "broadcast", "another pod's broadcast", "spoofed IPv6", "another pod, IPv6", "IPv6 fragment",
        "IPv6 destination options", "IPv6 multicast", "no IP", "MPLS",
    ],
)  # fmt: skip
def test_whatever_no_rule_names_is_dropped(
    bench: Bench, enforced: LimitPlan, kind: int, packet: bytes, to: str
) -> None:
    with kept_alive(bench):
        assert bench.pings("a", address("out"), count=3) == 3
        before = arrives(bench, to)
        ethernet = mac(bench, "gw", "to-a") + mac(bench, "a", "eth0") + kind.to_bytes(2, "big")
        raw(bench, "a", ethernet + packet)
        time.sleep(0.3)
        # The gateway may ask for addresses meanwhile, but twenty frames it did not pass on.
        assert arrives(bench, to) - before < 10
        assert bench.pings("a", address("out"), count=3) == 3


def test_fragments_to_the_outside_pass_and_count(bench: Bench, enforced: LimitPlan) -> None:
    with kept_alive(bench):
        for version in (4, 6):
            assert (
                run(
                    bench.inside(
                        "a", "ping", "-n", "-c", "2", "-i", "0.1", "-W", "1", "-s", "4000", address("out", version)
                    )
                ).returncode
                == 0
            )
        counted = judge(kernel.read(enforced.interfaces, bench.runner)).counted[0]
    assert counted.sent_bytes > 4 * 4000


def test_the_gateway_itself_speaks_to_pods_only_as_listed(bench: Bench, enforced: LimitPlan) -> None:
    with kept_alive(bench):
        for version in (4, 6):
            assert bench.pings("a", address("a", version, gateway=True)) == 0
            assert bench.pings("gw", address("a", version)) == 0
            assert bench.pings("gw", address("out", version)) == 1
        canary = (
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2)\n"
            "s.sendto(b'canary', ('{}', {})); print(s.recv(100))\n"
        )
        echo = (
            f"import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', {CANARY_PORT}))\n"
            "while True:\n    d, f = s.recvfrom(100); s.sendto(d, f)\n"
        )
        for node, answered in (("a", True), ("b", False)):
            bench.start(node, sys.executable, "-c", echo)
            time.sleep(0.5)
            done = run(bench.inside("gw", sys.executable, "-c", canary.format(address(node), CANARY_PORT)), check=False)
            assert (done.returncode == 0) is answered


# --- failing closed ----------------------------------------------------------------------------------------------------


def test_nothing_passes_before_the_switch_is_on_and_forwarding_is_on_only_with_rules(bench: Bench) -> None:
    kernel.remove(bench.runner)
    assert run(bench.inside("gw", "sysctl", "-n", *kernel.FORWARDING)).stdout.split() == ["0", "0"]
    assert bench.pings("a", address("out")) == 0
    kernel.load(plan(), bench.runner)
    assert [bench.pings("a", address("out", v)) for v in (4, 6)] == [0, 0]
    assert [bench.pings("gw", address("a", v)) for v in (4, 6)] == [0, 0]


@pytest.mark.parametrize(
    "command", ["flush ruleset", "delete table inet inspectorate", "flush table inet inspectorate"]
)
def test_without_rules_nothing_passes_though_nobody_watches(bench: Bench, enforced: LimitPlan, command: str) -> None:
    """No daemon here, and forwarding stays on: the queues alone stop it."""
    with kept_alive(bench):
        assert bench.pings("a", address("out")) == 1
        run(bench.inside("gw", "nft", *command.split()))
        assert run(bench.inside("gw", "sysctl", "-n", "net.ipv4.ip_forward")).stdout.strip() == "1"
        for version in (4, 6):
            assert bench.pings("a", address("out", version), count=5) == 0
            assert bench.pings("a", address("b", version), count=2) == 0
            assert bench.pings("gw", address("a", version), count=2) == 0


def test_the_lock_is_what_stops_it(bench: Bench, enforced: LimitPlan) -> None:
    """The broken case: without rules and without the locks, the kernel forwards everything."""
    run(bench.inside("gw", "nft", "flush", "ruleset"))
    for name in enforced.interfaces:
        run(bench.inside("gw", "tc", "qdisc", "del", "dev", name, "root"))
        run(bench.inside("gw", "tc", "qdisc", "del", "dev", name, "ingress"), check=False)
    assert bench.pings("a", address("b"), count=3) == 3


@pytest.mark.parametrize(
    "command",
    [
        "filter add dev to-a parent ffff: protocol ip prio 5 u32 match u32 0 0 action mirred egress redirect dev to-b",
        "qdisc add dev lo ingress",
        "qdisc replace dev to-a clsact",
    ],
)
def test_whatever_else_acts_at_a_way_in_is_a_fault(bench: Bench, enforced: LimitPlan, command: str) -> None:
    """It acts before any rule does: what is led on there reaches no rule."""
    assert judge(kernel.read(enforced.interfaces, bench.runner)).faults == ()
    if "clsact" in command:
        run(bench.inside("gw", "tc", "qdisc", "del", "dev", "to-a", "ingress"))
    run(bench.inside("gw", "tc", *command.split()))
    faults = judge(kernel.read(enforced.interfaces, bench.runner)).faults
    run(bench.inside("gw", "tc", "qdisc", "del", "dev", "lo", "ingress"), check=False)
    run(bench.inside("gw", "tc", "qdisc", "del", "dev", "to-a", "clsact"), check=False)
    assert faults


def test_a_gateway_that_is_not_the_plan_s_is_refused_and_left_closed(bench: Bench) -> None:
    run(bench.inside("gw", "nft", "add table ip nat"))
    with pytest.raises(InputError, match="other rules"):
        kernel.load(plan(), bench.runner)
    run(bench.inside("gw", "nft", "delete table ip nat"))
    less = LimitPlan(gateway="g", outside=("to-out",), pods=(pod_plan("a"),))
    with pytest.raises(InputError, match="to-b is up and in no plan"):
        kernel.load(less, bench.runner)
    assert run(bench.inside("gw", "sysctl", "-n", *kernel.FORWARDING)).stdout.split() == ["0", "0"]
    with pytest.raises(EnvironmentError_, match="refused"):
        kernel.transact([{"add": {"rule": {"nonsense": True}}}], bench.runner)


def stopped_after_s(bench: Bench, act: object) -> float:
    """Send from pod a to outside 500 times a second, act, and measure when the last datagram arrived after that."""
    receiver = subprocess.Popen(
        bench.inside("out", sys.executable, "-c", RECEIVER, address("out"), "3"), stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "ready\n"
    sender = bench.start("a", sys.executable, "-c", SENDER, address("out"), "2.6", "50000", "100")
    time.sleep(0.8)
    acted_s = time.monotonic()
    act()  # type: ignore[operator]
    _, first, last = receiver.stdout.readline().split()
    receiver.wait(timeout=10)
    sender.wait(timeout=10)
    assert 0 < float(first) < acted_s
    return float(last) - acted_s


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM], ids=["killed", "frozen", "ended"])
def test_a_daemon_that_dies_stops_traffic_within_a_second(bench: Bench, tmp_path: Path, number: signal.Signals) -> None:
    daemon = serving(bench, tmp_path, plan())
    after_s = stopped_after_s(bench, lambda: os.kill(daemon.pid, number))
    print(f"{number.name}: the last packet passed {after_s * 1000:.0f} ms after it")
    assert after_s < 1.0
    assert bench.pings("a", address("out"), count=3) == 0
    os.killpg(daemon.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "command",
    [
        "flush chain inet inspectorate sent-pod-a",
        "insert rule inet inspectorate forward accept",
        "add rule inet inspectorate to-nowhere accept",
        "flush ruleset",
        "add table ip other",
        "add element inet inspectorate alive { ipv4 }",
    ],
)
def test_rules_changed_by_hand_stop_traffic_and_it_is_attested(bench: Bench, tmp_path: Path, command: str) -> None:
    daemon = serving(bench, tmp_path, plan(), "--attest-every", "1")
    if "to-nowhere" in command:
        command = "add chain inet inspectorate to-nowhere"
    after_s = stopped_after_s(bench, lambda: run(bench.inside("gw", "nft", command)))
    print(f"nft {command}: the last packet passed {after_s * 1000:.0f} ms after it")
    assert after_s < 1.0
    assert daemon.wait(timeout=10) == 20
    assert "changed the rules" in (tmp_path / "serve.out").read_text()
    last = attested(tmp_path)[-1]
    assert not last.unchanged
    assert run(bench.inside("gw", "sysctl", "-n", *kernel.FORWARDING)).stdout.split() == ["0", "0"]
    assert bench.pings("a", address("out")) == 0


def test_a_filter_added_by_hand_at_a_way_in_ends_the_service_and_is_attested(bench: Bench, tmp_path: Path) -> None:
    """The kernel tells nobody of it: it is seen when the next attestation reads what runs."""
    daemon = serving(bench, tmp_path, plan(), "--attest-every", "1")
    redirect = "protocol ip prio 5 u32 match u32 0 0 action mirred egress redirect dev to-b"
    run(bench.inside("gw", "tc", "filter", "add", "dev", "to-a", "parent", "ffff:", *redirect.split()))
    assert daemon.wait(timeout=10) == 20
    assert "comes in at to-a" in (tmp_path / "serve.out").read_text()
    assert bench.pings("a", address("out")) == 0


def anchors(*more: TrustAnchor) -> TrustAnchors:
    gateway = TrustAnchor.model_validate(
        {
            "name": "gateway-operator",
            "public_key": _public(1),
            "holder": Holder.JOINT,
            "roles": [Role.SENSOR],
            "sensors": ["gateway-1"],
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2100-01-01T00:00:00Z",
        }
    )
    return TrustAnchors(anchors=(gateway, *more))


def _public(seed: int) -> str:
    return base64.b64encode(from_seed(seed).public.raw).decode()


def attested(folder: Path) -> list[LimitAttested]:
    """Every attestation in a spool, verified, in order of time."""
    found = []
    for path in (folder / "spool" / "statements").glob("*.json"):
        said = verify_envelope(path.read_bytes(), anchors=anchors(), where=path.name).predicate
        if isinstance(said, LimitAttested):
            found.append(said)
    return sorted(found, key=lambda said: said.period.end)


def test_what_is_attested_is_what_runs_without_a_gap(bench: Bench, tmp_path: Path) -> None:
    made = plan()
    daemon = serving(bench, tmp_path, made, "--attest-every", "0.5")
    time.sleep(3)
    once = bench.program(
        "limit",
        "attest",
        "--gateway",
        "gateway-1",
        "--key",
        str(tmp_path / "gateway.pem"),
        "--out",
        str(tmp_path / "one"),
        "--json",
    )
    assert once.returncode == 0, once.stderr
    assert json.loads(once.stdout)["unchanged"] is True
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait(timeout=10) == 0, (tmp_path / "serve.out").read_text()
    statements = attested(tmp_path)
    assert len(statements) >= 4
    for before, after in itertools.pairwise(statements):
        assert before.period.end == after.period.start
    for said in statements:
        assert said.limits == made.limits
        assert (said.unchanged, said.others_dropped, said.lifted) == (True, True, ())
    for path in (tmp_path / "spool" / "payloads").iterdir():
        assert judge(Snapshot.parse(path.read_bytes(), where=path.name), made).faults == ()


def test_an_attestation_on_demand_notices_a_change_that_was_undone(
    bench: Bench, tmp_path: Path, enforced: LimitPlan
) -> None:
    from_seed(1).write(tmp_path / "gateway.pem")
    watching = bench.start(
        "gw", sys.executable, "-m", "inspectorate", "limit", "attest", "--gateway", "gateway-1", "--seconds", "2",
        "--key", str(tmp_path / "gateway.pem"), "--out", str(tmp_path / "spool"), "--json", out=tmp_path / "said",
    )  # fmt: skip
    while watching.poll() is None:
        run(bench.inside("gw", "nft", "add chain inet inspectorate brief"))
        run(bench.inside("gw", "nft", "delete chain inet inspectorate brief"))
        time.sleep(0.3)
    assert watching.returncode == 20
    assert json.loads((tmp_path / "said").read_text())["unchanged"] is False


def test_check_holds_what_runs_against_the_agreement(bench: Bench, tmp_path: Path) -> None:
    agreement = tmp_path / "agreement.yaml"
    agreement.write_text(AGREEMENT)
    for rate, burst, expected in ((RATE, BURST, 0), (2 * RATE, 2 * BURST, 20)):
        kernel.load(plan(rate=rate, burst=burst), bench.runner)
        assert bench.program("limit", "check", "--agreement", str(agreement)).returncode == expected
    run(bench.inside("gw", "nft", "insert rule inet inspectorate forward accept"))
    assert bench.program("limit", "check", "--agreement", str(agreement)).returncode == 10
    kernel.remove(bench.runner)
    assert bench.program("limit", "check", "--agreement", str(agreement)).returncode == 10
    assert bench.program("limit", "show").returncode == 10


def test_check_of_a_statement(bench: Bench, tmp_path: Path) -> None:
    agreement = tmp_path / "agreement.yaml"
    agreement.write_text(AGREEMENT)
    kernel.load(plan(), bench.runner)
    from_seed(1).write(tmp_path / "gateway.pem")
    spool = tmp_path / "spool"
    run(
        bench.inside(
            "gw", sys.executable, "-m", "inspectorate", "limit", "attest", "--gateway", "gateway-1", "--seconds", "0.1",
            "--key", str(tmp_path / "gateway.pem"), "--out", str(spool),
        )
    )  # fmt: skip
    (statement,), (payload,) = list((spool / "statements").iterdir()), list((spool / "payloads").iterdir())
    trusted = tmp_path / "anchors.yaml"
    trusted.write_text(json.dumps(anchors().model_dump(mode="json")))
    arguments = [
        "limit",
        "check",
        "--agreement",
        str(agreement),
        "--statement",
        str(statement),
        "--anchors",
        str(trusted),
    ]
    done = bench.program(*arguments, "--payload", str(payload))
    assert (done.returncode, "as gateway-1 stated of 20" in done.stdout) == (0, True)
    forged = tmp_path / "forged"
    forged.write_bytes(payload.read_bytes().replace(b"500000", b"900000"))
    done = bench.program(*arguments, "--payload", str(forged))
    assert done.returncode == 30
    assert done.stdout == ""
    assert bench.program(*arguments).returncode == 2


AGREEMENT = """
id: bench
version: 1
title: Bench
parties: [party]
false_accusation_rate: 0.01
assurance_confidence: 0.95
counted_formats: [fp16]
utilisation: {max: 1.0, source: {document: bench}}
clauses:
  - id: enforced
    title: The limit is enforced
    source: {document: bench}
    holds_from: "2020-01-01T00:00:00Z"
    parameters: {kind: limit-enforced, bytes_per_s_max: 500000, burst_bytes_max: 520000, attested_every_s: 30}
  - id: windows
    title: Loading windows
    source: {document: bench}
    holds_from: "2020-01-01T00:00:00Z"
    parameters: {kind: loading-windows, approvals_min: 2, window_bytes_max: 50000000, window_s_max: 60, every_s_min: 1}
"""


def test_apply_show_remove_from_the_command_line(bench: Bench, tmp_path: Path) -> None:
    path = write_plan(tmp_path / "plan.yaml", plan())
    done = bench.program("limit", "apply", str(path), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["others_dropped"], said["switched_on"]) == (True, False)
    assert said["limits"] == [one.model_dump(mode="json") for one in plan().limits]
    assert bench.program("limit", "remove").returncode == 0
    assert run(bench.inside("gw", "nft", "list", "ruleset")).stdout == ""
    assert "ifb" not in run(bench.inside("gw", "ip", "-d", "link", "show")).stdout
    path.write_text("gateway: [")
    done = bench.program("limit", "apply", str(path))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_margins_of_the_switch() -> None:
    assert reference.SWITCH_TIMEOUT_S + 0.1 < 1.0
    assert reference.SWITCH_EVERY_S * 3 < reference.SWITCH_TIMEOUT_S


def test_every_statement_stands_in_the_ledger_and_the_spool_is_one_that_bundles_take(
    bench: Bench, tmp_path: Path
) -> None:
    from_seed(1).write(tmp_path / "gateway.pem")
    done = bench.program(
        "ledger", "init", str(tmp_path / "log"), "--key", str(tmp_path / "gateway.pem"), "--origin", "bench"
    )
    assert done.returncode == 0, done.stderr
    daemon = serving(bench, tmp_path, plan(), "--attest-every", "0.5", "--ledger", str(tmp_path / "log"))
    time.sleep(2)
    os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.wait(timeout=10) == 0, (tmp_path / "serve.out").read_text()
    envelopes, payloads = read_spool(tmp_path / "spool")
    assert len(envelopes) >= 2
    assert payloads
    with Log.open(tmp_path / "log", from_seed(1)) as log:
        assert all(log.find(ledger_entry(envelope)) is not None for envelope in envelopes)
