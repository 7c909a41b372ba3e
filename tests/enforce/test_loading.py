"""Loading windows on a real gateway: opened by two, for what they approved, and closed by every cause."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from enforce_bench import BURST, POD_LOADER_PORT, RATE, Bench, address, from_seed, plan, run, serving
from test_gateway import AGREEMENT, anchors

from inspectorate.evidence import LimitAttested, WindowApproved, WindowUsed, verify_envelope
from inspectorate.keys import Holder, Role, TrustAnchor
from inspectorate.mechanisms.interconnect.enforce.desk import read_state
from inspectorate.mechanisms.interconnect.enforce.loading import Source, stage
from inspectorate.mechanisms.interconnect.enforce.windows import Position

CONTENT = os.urandom(1 << 20) * 8
SINK = """
import hashlib, socket, sys, time
address, port, pace, back = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
server = socket.create_server((address, port), family=family)
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    hasher = hashlib.sha256(); total = 0
    if back: connection.setblocking(False)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if back:
            try: connection.send(bytes(back))
            except BlockingIOError: pass
            except OSError: break
            time.sleep(0.001)
            continue
        try: data = connection.recv(65536)
        except OSError: break
        if not data: break
        hasher.update(data); total += len(data)
        if pace: time.sleep(pace)
    print(total, "sha256:" + hasher.hexdigest(), flush=True)
    connection.close()
"""
APPROVERS = {"alice": 11, "bob": 12, "mallory": 13}


def approver(name: str) -> TrustAnchor:
    return TrustAnchor.model_validate(
        {
            "name": name,
            "public_key": base64.b64encode(from_seed(APPROVERS[name]).public.raw).decode(),
            "holder": Holder.VERIFIER,
            "roles": [Role.APPROVAL],
            "valid_from": "2020-01-01T00:00:00Z",
            "valid_until": "2100-01-01T00:00:00Z",
        }
    )


ANCHORS = anchors(approver("alice"), approver("bob"))
"""Mallory is nobody's anchor."""


class Site:
    """One gateway serving windows, and what approvers need."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.folder = bench, folder
        self.state = folder / "state"
        (folder / "agreement.yaml").write_text(AGREEMENT)
        (folder / "anchors.yaml").write_text(json.dumps(ANCHORS.model_dump(mode="json")))
        for name, seed in APPROVERS.items():
            from_seed(seed).write(folder / f"{name}.pem")
        self.content = folder / "weights"
        self.content.write_bytes(CONTENT)
        self.started: list[subprocess.Popen[str] | subprocess.Popen[bytes]] = []
        self.since = datetime.now(UTC).replace(microsecond=0)

    def serve(self) -> subprocess.Popen[bytes]:
        process = serving(
            self.bench, self.folder, plan(), "--attest-every", "0.5", "--state", str(self.state),
            "--agreement", str(self.folder / "agreement.yaml"), "--anchors", str(self.folder / "anchors.yaml"),
        )  # fmt: skip
        self.started.append(process)
        return process

    def approve(self, window: str, by: str, *options: str, content: Path | None = None) -> Path:
        out = self.folder / f"{window}-{by}.json"
        done = run(
            [
                sys.executable, "-m", "inspectorate", "limit", "window", "approve", window, "--gateway", "gateway-1",
                "--pod", "pod-a", "--as", by, "--key", str(self.folder / f"{by}.pem"), "--content", str(content or self.content),
                "--from", self.since.isoformat(), "--out", str(out), *(options or ("--seconds", "20")),
            ]
        )  # fmt: skip
        assert done.returncode == 0
        return out

    def open(self, window: str, *approvals: Path, content: Path | None = None) -> subprocess.CompletedProcess[str]:
        words = [word for path in approvals for word in ("--approval", str(path))]
        return self.bench.program(
            "limit", "window", "open", window, "--state", str(self.state), *words, "--content", str(content or self.content),
            "--wait", "40", "--json",
        )  # fmt: skip

    def both(self, window: str, *options: str, content: Path | None = None) -> tuple[Path, Path]:
        return self.approve(window, "alice", *options), self.approve(window, "bob", *options)

    def sink(self, *, pace: float = 0, back: int = 0) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.bench.inside(
                "a", sys.executable, "-c", SINK, address("a"), str(POD_LOADER_PORT), str(pace), str(back)
            ),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def used(self, window: str) -> WindowUsed:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for said in self.said():
                if isinstance(said, WindowUsed) and said.window == window:
                    return said
            time.sleep(0.1)
        raise AssertionError(f"no report of {window}")

    def said(self) -> list[object]:
        paths = (self.folder / "spool" / "statements").glob("*.json")
        return [verify_envelope(p.read_bytes(), anchors=ANCHORS, where=p.name).predicate for p in paths]


@pytest.fixture
def site(bench: Bench, tmp_path: Path) -> Iterator[Site]:
    run(bench.inside("gw", "nft", "flush", "ruleset"))
    made = Site(bench, tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ended(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_a_window_of_two_approvers_loads_their_content_and_closes(site: Site) -> None:
    site.serve()
    sink = site.sink()
    began = time.monotonic()
    done = site.open("w1", *site.both("w1"))
    assert done.returncode == 0, (done.stdout, done.stderr, (site.folder / "serve.out").read_text())
    answer = json.loads(done.stdout)
    assert sink.stdout is not None
    total, digest = sink.stdout.readline().split()
    assert (int(total), digest) == (len(CONTENT), f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    used = site.used("w1")
    print(
        f"{len(CONTENT):,} bytes in {answer['seconds']:.2f} s ({time.monotonic() - began:.1f} s in all), {used.bytes_back:,} back"
    )
    assert used.end == "complete"
    assert used.content == digest
    assert len(CONTENT) < used.bytes_moved <= len(CONTENT) * 1.06 + 65_536
    # Sixteen times as fast as the limit would have been, though acknowledgements were held to it.
    assert used.period.duration_s < len(CONTENT) / RATE
    assert used.bytes_back <= RATE * used.period.duration_s + BURST
    names = {said.by for said in site.said() if isinstance(said, WindowApproved)}
    assert names == {"alice", "bob"}
    # The way is closed again, for the gateway, too.
    assert run(
        site.bench.inside("gw", "bash", "-c", f"timeout 1 bash -c '</dev/tcp/{address('a')}/{POD_LOADER_PORT}'"),
        check=False,
    ).returncode
    assert read_state(site.state).position is Position.RESTRICTED
    again = site.open("w1", *site.both("w1"))
    assert again.returncode == 2
    assert "of this name" in again.stderr
    ended(sink)


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_what_is_not_fully_approved_is_refused(site: Site) -> None:
    site.serve()
    alice, bob = site.both("w1")
    mallory = site.approve("w1", "mallory")
    dearer = site.approve("w2", "alice"), site.approve("w2", "bob", "--seconds", "21")
    long = site.both("w3", "--seconds", "61")
    forged = site.folder / "forged.json"
    forged.write_bytes(bob.read_bytes().replace(b'"sig":"A', b'"sig":"B').replace(b'"sig":"', b'"sig":"A', 1))
    for window, approvals, why in (
        ("w1", (alice,), "fewer than 2"),
        ("w1", (alice, alice), "fewer than 2"),
        ("w1", (alice, mallory), "no trust anchor"),
        ("w1", (alice, forged), "approval 2"),
        ("w2", dearer, "differs from the first in seconds_max"),
        ("w3", long, "more than 60 s"),
    ):
        done = site.open(window, *approvals)
        assert done.returncode == 2, (why, done.stdout, done.stderr)
        assert why in done.stderr
        assert "Traceback" not in done.stderr
    assert not [said for said in site.said() if isinstance(said, WindowUsed)]
    assert read_state(site.state).position is Position.RESTRICTED


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_other_content_never_reaches_the_pod(site: Site) -> None:
    site.serve()
    sink = site.sink()
    other = site.folder / "other"
    other.write_bytes(CONTENT[:-1] + b"!")
    done = site.open("w1", *site.both("w1"), content=other)
    assert done.returncode == 20
    used = site.used("w1")
    assert (used.end, used.bytes_moved, used.content) == ("content-not-as-declared", 0, None)
    larger = site.folder / "larger"
    larger.write_bytes(CONTENT * 2)
    assert site.open("w2", *site.both("w2"), content=larger).returncode == 20
    assert (site.used("w2").end, site.used("w2").bytes_moved) == ("budget-used-up", 0)
    os.killpg(sink.pid, signal.SIGKILL)
    assert sink.stdout is not None
    assert sink.stdout.read() == ""


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_budget_time_and_hand_close_a_window_in_the_kernel(site: Site) -> None:
    site.serve()
    sink = site.sink()
    small = str(len(CONTENT) // 2)
    done = site.open("budget", *site.both("budget", "--seconds", "20", "--bytes", str(len(CONTENT))))
    assert done.returncode == 20, done.stdout
    assert int(small) < site.used("budget").bytes_moved <= len(CONTENT)
    assert site.used("budget").end == "budget-used-up"
    ended(sink)
    time.sleep(1)
    slow = site.sink(pace=0.2)
    done = site.open("time", *site.both("time", "--seconds", "2"))
    assert done.returncode == 20
    assert site.used("time").end == "time-used-up"
    assert site.used("time").period.duration_s <= 2.0
    time.sleep(1)
    approvals = site.both("hand")
    threading.Timer(6, lambda: site.bench.program("limit", "window", "close", "--state", str(site.state))).start()
    done = site.open("hand", *approvals)
    assert done.returncode == 20
    assert site.used("hand").end == "closed-by-hand"
    ended(slow)


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_a_crash_in_a_window_closes_it_and_the_restart_says_so(site: Site) -> None:
    daemon = site.serve()
    slow = site.sink(pace=0.5)
    approvals = site.both("w1")
    opening = threading.Thread(target=site.open, args=("w1", *approvals))
    opening.start()
    deadline = time.monotonic() + 60
    while read_state(site.state).position is Position.RESTRICTED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.2)
    os.kill(daemon.pid, signal.SIGKILL)
    daemon.wait()
    time.sleep(1)
    before = arrived(site.bench)
    time.sleep(1)
    assert arrived(site.bench) - before < 20, "the pod still receives"
    site.serve()
    used = site.used("w1")
    assert used.end == "gateway-restarted"
    assert used.bytes_moved > 0
    assert used.content is None
    opening.join(timeout=50)
    lifted = [said for said in site.said() if isinstance(said, LimitAttested) and said.lifted]
    assert {said.lifted for said in lifted} <= {("pod-a",)}
    ended(slow)


def arrived(bench: Bench) -> int:
    return int(run(bench.inside("a", "cat", "/sys/class/net/eth0/statistics/rx_packets")).stdout)


@pytest.mark.root
@pytest.mark.tools
@pytest.mark.slow
def test_the_way_back_stays_within_the_limit_whatever_the_pod_sends(site: Site) -> None:
    """The loader floods the connection backwards instead of reading: what comes back is held to the limit, and ends here."""
    site.serve()
    chatty = site.sink(back=60_000)
    done = site.open("w1", *site.both("w1", "--seconds", "5"))
    assert done.returncode == 20
    used = site.used("w1")
    assert used.end == "time-used-up"
    print(
        f"back: {used.bytes_back:,} bytes in {used.period.duration_s:.1f} s against {RATE:,} B/s and {BURST:,} at once"
    )
    # `back` counts what came; the limit behind it lets through no more than this.
    passed = [said for said in site.said() if isinstance(said, LimitAttested)]
    assert passed
    assert used.bytes_back <= (RATE * used.period.duration_s + BURST) * 1.3
    ended(chatty)


def test_content_is_taken_in_over_a_connection_and_bounded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    def deliver(data: bytes) -> None:
        for _ in range(100):
            try:
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.sendall(data)
                    return
            except ConnectionRefusedError:
                time.sleep(0.02)

    for data, limit, fault in ((b"x" * 300_000, 300_000, None), (b"x" * 900_000, 300_000, "more than 300,000")):
        sender = threading.Thread(target=deliver, args=(data,))
        sender.start()
        staged = stage(Source(window="w", listen_address="127.0.0.1", listen_port=port), tmp_path, limit, lambda: False)
        sender.join(timeout=10)
        if fault is None:
            assert staged.fault is None
            assert staged.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
        else:
            assert staged.fault is not None
            assert fault in staged.fault
        staged.file.close()
    assert list(tmp_path.iterdir()) == [], "staged content has no name"


def test_a_source_that_is_not_there_is_a_fault_of_the_content(tmp_path: Path) -> None:
    staged = stage(Source(window="w", file=str(tmp_path / "none")), tmp_path, 10, lambda: False)
    assert staged.fault is not None
    staged.file.close()
