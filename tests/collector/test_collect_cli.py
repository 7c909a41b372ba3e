"""`inspectorate collect flows` as a process: signals, death, ledger, bad input."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from collector_support import problems_of, read_back, read_segment
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from inspectorate.cli.collect import collect
from inspectorate.errors import InspectorateError
from inspectorate.evidence.stream import Segment
from inspectorate.keys import SigningKey, TrustAnchor
from inspectorate.ledger import Log

MAIN = [sys.executable, "-c", "from inspectorate.cli import main; main()"]
WAIT_S = 30.0


class Site:
    """A folder with a key, and the collectors started in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.out = path / "out"
        self.key = SigningKey(os.urandom(32))
        self.key.write(path / "key.pem")
        self.running: list[subprocess.Popen[str]] = []

    def start(
        self, *more: str, sensors: tuple[str, ...] = ("s1", "s2")
    ) -> tuple[subprocess.Popen[str], dict[str, int]]:
        """Start a collector; it, and the port of every sensor once all are bound."""
        ready = self.path / f"ready-{len(self.running)}"
        listen = [part for sensor in sensors for part in ("--listen", f"{sensor}=udp://127.0.0.1:0")]
        common = ["--out", str(self.out), "--key", str(self.path / "key.pem"), "--ready-file", str(ready), "--json"]
        command = [*MAIN, "collect", "flows", *listen, *common, *more]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        deadline = time.monotonic() + WAIT_S
        while not ready.exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        listening = json.loads(ready.read_text())["listen"]
        return process, {sensor: int(at.rpartition(":")[2]) for sensor, at in listening.items()}

    def envelopes(self) -> list[bytes]:
        """Every statement on disk; each must be whole, named by its digest, and have its payload beside it."""
        found = []
        for path in sorted((self.out / "statements").iterdir()):
            data = path.read_bytes()
            assert path.name == hashlib.sha256(data).hexdigest() + ".json"
            found.append(data)
        return found

    def segments(self) -> list[Segment]:
        found = read_back(self.envelopes(), self.key, ["s1", "s2"])
        for segment in found:
            payload = self.payload(segment)
            assert "sha256:" + hashlib.sha256(payload).hexdigest() == segment.payload
        return found

    def payload(self, segment: Segment) -> bytes:
        return (self.out / "payloads" / segment.payload.removeprefix("sha256:")).read_bytes()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    for process in made.running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WAIT_S)


def send(port: int, contents: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for content in contents:
            sender.sendto(content, ("127.0.0.1", port))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_every_stream(site: Site, number: signal.Signals) -> None:
    process, ports = site.start("--segment-seconds", "0.5")
    sent = [b"flow %d" % i for i in range(500)]
    send(ports["s1"], sent[:250])
    time.sleep(0.7)
    send(ports["s1"], sent[250:])
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=WAIT_S)
    assert (process.returncode, stderr) == (0, "")
    segments = site.segments()
    assert problems_of(segments, ["s1", "s2"]) == []
    assert {s.sensor for s in segments if s.final} == {"s1", "s2"}
    recorded = [p.content for s in segments if s.sensor == "s1" for p in read_segment(site.payload(s))]
    assert recorded == sent
    summary = json.loads(stdout)["sensors"]
    assert summary["s1"]["datagrams"] == 500
    assert summary["s1"]["segments"] == sum(s.sensor == "s1" for s in segments) >= 2
    assert (summary["s2"]["datagrams"], summary["s2"]["dropped"]) == (0, 0)


def test_a_duration_ends_it_and_a_restart_begins_another_stream(site: Site) -> None:
    for _ in range(2):
        process, _ = site.start("--duration", "0.3")
        process.communicate(timeout=WAIT_S)
        assert process.returncode == 0
    segments = site.segments()
    assert problems_of(segments, ["s1", "s2"]) == []
    assert len({s.stream for s in segments}) == 2


def test_kill_leaves_whole_statements_only(site: Site) -> None:
    """Killed at different moments: what is there verifies, has its payload, and says that it was cut off."""
    for round_number in range(3):
        process, ports = site.start("--segment-seconds", "0.1")
        before, count, deadline = len(site.envelopes()), 0, time.monotonic() + WAIT_S
        while len(site.envelopes()) < before + 4:
            send(ports["s1"], [b"round %d flow %d" % (round_number, count) + bytes(1000)] * 5)
            count += 1
            assert time.monotonic() < deadline
        time.sleep(0.013 * round_number)
        process.kill()
        process.communicate(timeout=WAIT_S)
        names = [path.name for path in (site.out / "payloads").iterdir()]
        for name in names:
            assert hashlib.sha256((site.out / "payloads" / name).read_bytes()).hexdigest() == name
    segments = site.segments()
    streams = {(s.sensor, s.stream) for s in segments}
    assert len({stream for _, stream in streams}) == 3
    found = problems_of(segments, ["s1", "s2"])
    assert len(found) == len(streams)
    assert all(problem.startswith("truncated: ") for problem in found)


def test_every_statement_stands_in_the_ledger(site: Site) -> None:
    folder = site.path / "log"
    with Log.create(folder, "example.org/log", site.key):
        pass
    process, ports = site.start("--ledger", str(folder), "--segment-seconds", "0.2")
    send(ports["s2"], [b"x"])
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=WAIT_S)[1] == ""
    digests = {hashlib.sha256(data).digest() for data in site.envelopes()}
    with Log.open(folder) as log:
        assert {log.entry(index) for index in range(log.size)} == digests
        assert log.size == len(digests) >= 4


def run_to_end(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAIN, *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--listen": "s1"}, "is not SENSOR=udp://ADDRESS:PORT"),
        ({"--listen": "s 1=udp://127.0.0.1:0"}, "is not SENSOR=udp://ADDRESS:PORT"),
        ({"--listen": "s1=udp://nowhere:1"}, "numeric address"),
        ({"--listen": "s1=udp://192.0.2.1:1"}, "cannot listen"),
        ({"--key": "ec.pem"}, "not an Ed25519 key"),
        ({"--key": "text.pem"}, "cannot read a signing key"),
        ({"--out": "text.pem/out"}, "cannot be written"),
        ({"--ledger": "nowhere"}, "nowhere"),
        ({"--ledger-key": "key.pem"}, "--ledger"),
        ({"--ready-file": "nowhere/ready"}, "cannot be written"),
        ({"--segment-seconds": "0"}, "segment-seconds"),
        ({"--second": "s1=udp://127.0.0.1:0"}, "named twice"),
    ],
    ids=lambda value: "-".join(value) + "-" + "".join(value.values())[:12] if isinstance(value, dict) else "",
)
def test_wrong_use_is_one_error_of_ours_with_exit_code_2(site: Site, change: dict[str, str], message: str) -> None:
    (site.path / "text.pem").write_text("not a key")
    (site.path / "ec.pem").write_bytes(_ec_pem())
    options = {
        "--listen": "s1=udp://127.0.0.1:0",
        "--out": "out",
        "--key": "key.pem",
        "--duration": "0.1",
        **change,
    }
    arguments = ["flows"]
    for name, value in options.items():
        is_path = name in {"--out", "--key", "--ledger", "--ledger-key", "--ready-file"}
        arguments += [
            "--listen" if name == "--second" else name,
            str(site.path / value) if is_path else value,
        ]
    with pytest.raises((InspectorateError, click.ClickException)) as caught:
        collect.main(arguments, standalone_mode=False)
    assert caught.value.exit_code == 2
    text = caught.value.format_message() if isinstance(caught.value, click.ClickException) else str(caught.value)
    assert message in text


def _ec_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_a_folder_in_use_is_named(site: Site) -> None:
    site.start()
    done = run_to_end(
        "collect",
        "flows",
        "--listen",
        "s1=udp://127.0.0.1:0",
        "--out",
        str(site.out),
        "--key",
        str(site.path / "key.pem"),
    )
    assert done.returncode == 2
    assert "another collector writes here" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_key_is_made_shown_and_fits_an_anchor(tmp_path: Path) -> None:
    path = tmp_path / "sensor-key.pem"
    made = json.loads(run_to_end("keys", "new", str(path), "--json").stdout)
    assert path.stat().st_mode & 0o777 == 0o600
    assert made["key_id"] == SigningKey.read(path).key_id
    shown = run_to_end("keys", "show", str(path)).stdout
    assert made["key_id"] in shown
    assert re.search(r"- name: sensor-key\n", shown)
    TrustAnchor.model_validate(
        {
            "name": "sensor-key",
            "public_key": re.search(r"public_key: (\S+)", shown)[1],  # type: ignore[index]
            "holder": "verifier",
            "roles": ["sensor"],
            "sensors": ["s1"],
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": "2027-01-01T00:00:00Z",
        }
    )
    again = run_to_end("keys", "new", str(path))
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
