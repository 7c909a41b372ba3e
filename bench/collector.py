"""Live receiving beside nfcapd: `python -m bench collector`.

A sender process sends the same NetFlow v9 datagrams (24 records of 45 bytes, 1,104 bytes in all) over the loopback, at the
same rate, first to one and then to the other, both with the same receive buffer. Reported are what each lost and the CPU
seconds that it took per million datagrams received (user and system, less those of a run without datagrams, so that
starting and ending do not count for either). Every figure is the median of `ROUNDS` runs taken in turn; losses are added up.

The two do not do the same work: nfcapd decodes records and stores them; the collector keeps datagrams as they came, hashes
and signs them, and makes every file durable. What nfcapd received is what nfdump finds in its files; what the collector
received is what its verified statements say, in streams without a problem.
Exits 1 where the collector takes more CPU than nfcapd at any rate, or loses anything at a rate up to `LOSSLESS_PER_S`.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inspectorate.evidence import order_segments, verify_envelope
from inspectorate.evidence.stream import segment_of
from inspectorate.keys import Holder, Role, SigningKey, TrustAnchor, TrustAnchors
from inspectorate.quantities import Period

RECORDS = 24
_FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (1, 8), (2, 8), (21, 4), (22, 4), (10, 2), (14, 2), (5, 1), (6, 1))
FIELDS = (*_FIELDS, (9, 1), (13, 1))
"""(type, length) of the template's fields, RFC 3954 section 8: 45 bytes a record."""
RATES_PER_S = (25_000, 50_000, 100_000, 0)
"""Datagrams a second that are offered; 0: as fast as one process sends."""
SECONDS = 4.0
UNPACED_DATAGRAMS = 400_000
ROUNDS = 3
LOSSLESS_PER_S = 50_000
BUFFER_BYTES = 4 * 1024 * 1024
"""The most that an unprivileged process gets on most systems (net.core.rmem_max)."""
BURST = 16
WAIT_S = 60.0
START, END = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is sent in one run."""

    datagrams: int
    rate_per_s: int

    @property
    def label(self) -> str:
        return f"{self.rate_per_s:,}" if self.rate_per_s else "unpaced"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one receiver made of one run."""

    sent: int
    received: int
    cpu_s: float
    wall_s: float


def datagrams() -> tuple[bytes, bytearray]:
    """A datagram with the template, and one with 24 records. Their sequence numbers are still to be written."""
    header = struct.pack(">HHIIII", 9, 1, 60_000, int(time.time()), 0, 7)
    fields = b"".join(struct.pack(">HH", *field) for field in FIELDS)
    template = header + struct.pack(">HHHH", 0, 8 + len(fields), 256, len(FIELDS)) + fields
    records = b""
    for i in range(RECORDS):
        addresses = bytes([10, 0, 0, i, 10, 1, 0, i])
        rest = struct.pack(">HHBQQIIHHBBBB", 40_000 + i, 443, 6, 150_000 + i, 100, 59_000, 30_000, 1, 2, 0, 16, 24, 24)
        records += addresses + rest
    data = struct.pack(">HHIIII", 9, RECORDS, 60_000, int(time.time()), 0, 7)
    return template, bytearray(data + struct.pack(">HH", 256, 4 + len(records)) + records)


def send(port: int, count: int, rate_per_s: int) -> None:
    """Send the template and `count` datagrams, in bursts of `BURST` at the given rate; print the seconds taken."""
    template, data = datagrams()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        sender.send(template)
        time.sleep(0.1)
        began = time.perf_counter()
        for number in range(count):
            if rate_per_s and number % BURST == 0:
                while (ahead := began + number / rate_per_s - time.perf_counter()) > 0:
                    time.sleep(ahead)
            struct.pack_into(">I", data, 12, number + 1)
            sender.send(data)
        print(time.perf_counter() - began)


def measure(
    command: list[str], port: int, is_ready: Callable[[], bool], load: Load, received: Callable[[], int]
) -> Outcome:
    """Start a receiver, send to it, end it, and count."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + WAIT_S
    while not is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{command[0]} did not start")
        time.sleep(0.05)
    sending = [sys.executable, str(Path(__file__)), "--send", str(port), str(load.datagrams), str(load.rate_per_s)]
    done = subprocess.run(sending, capture_output=True, text=True, timeout=WAIT_S, check=True)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu_s = usage.ru_utime + usage.ru_stime
    return Outcome(sent=load.datagrams, received=received(), cpu_s=cpu_s, wall_s=float(done.stdout))


def of_nfcapd(folder: Path, load: Load) -> Outcome:
    port = _free_port()
    folder.mkdir()
    entry = f":{port:04X} "

    def received() -> int:
        command = ["nfdump", "-R", str(folder), "-I"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
        return int(re.search(r"^Flows: (\d+)", done.stdout, re.MULTILINE)[1]) // RECORDS  # type: ignore[index]

    command = ["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", str(folder), "-t", "3600", "-B", str(BUFFER_BYTES)]
    return measure(command, port, lambda: entry in Path("/proc/net/udp").read_text(), load, received)


def of_collector(folder: Path, load: Load) -> Outcome:
    port = _free_port()
    folder.mkdir()
    key = SigningKey(os.urandom(32))
    key.write(folder / "key.pem")
    ready, out = folder / "ready", folder / "out"
    command = [sys.executable, "-c", "from inspectorate.cli import main; main()", "collect", "flows"]
    command += ["--listen", f"s1=udp://127.0.0.1:{port}", "--out", str(out), "--key", str(folder / "key.pem")]
    command += ["--ready-file", str(ready), "--buffer-bytes", str(BUFFER_BYTES), "--segment-seconds", "30"]
    # The first datagram carries the template and no record.
    return measure(command, port, ready.exists, load, lambda: verified_datagrams(out, key) - 1)


def verified_datagrams(out: Path, key: SigningKey) -> int:
    """How many datagrams the statements speak of; every statement verifies and the stream is whole."""
    anchor = TrustAnchor(
        name="collector",
        public_key=base64.b64encode(key.public.raw).decode(),
        holder=Holder.VERIFIER,
        roles=(Role.SENSOR,),
        sensors=("s1",),
        valid_from=START,
        valid_until=END,
    )
    anchors = TrustAnchors(anchors=(anchor,))
    envelopes = [path.read_bytes() for path in (out / "statements").iterdir()]
    segments = [segment_of(verify_envelope(data, anchors=anchors, where="bench")) for data in envelopes]
    _, problems = order_segments(segments, sensors={"s1"}, period=Period(start=START, end=END))
    if problems:
        raise RuntimeError("; ".join(map(str, problems)))
    return sum(segment.entries for segment in segments)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def in_turn(load: Load) -> tuple[list[Outcome], list[Outcome]]:
    """Runs of nfcapd and of the collector, `ROUNDS` of each."""
    peer: list[Outcome] = []
    ours: list[Outcome] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
            peer.append(of_nfcapd(Path(name) / "nfcapd", load))
            ours.append(of_collector(Path(name) / "ours", load))
    return peer, ours


def cpu_s_per_million(runs: list[Outcome], idle: list[Outcome]) -> float:
    """The median cost of a million datagrams received, beyond that of starting and ending."""
    fixed_s = statistics.median(run.cpu_s for run in idle)
    return statistics.median((run.cpu_s - fixed_s) / max(run.received, 1) for run in runs) * 1e6


def main() -> int:
    """Print the table; 1 where a target is missed."""
    if shutil.which("nfcapd") is None or shutil.which("nfdump") is None:
        print("nfcapd and nfdump are not installed (Debian: nfdump); nothing was measured")
        return 1
    loads = [Load(datagrams=int(rate * SECONDS) or UNPACED_DATAGRAMS, rate_per_s=rate) for rate in RATES_PER_S]
    table = Table(
        "offered/s", "sent/s", "nfcapd lost", "ours lost", "nfcapd CPU s/M", "ours CPU s/M", "ratio", box=None
    )
    missed = []
    idle = in_turn(Load(datagrams=0, rate_per_s=0))
    for load in loads:
        runs = in_turn(load)
        costs = [cpu_s_per_million(done, before) for done, before in zip(runs, idle, strict=True)]
        ratio = costs[0] / costs[1]
        rates = " / ".join(f"{statistics.median(run.sent / run.wall_s for run in done):,.0f}" for done in runs)
        lost = [sum(run.sent - run.received for run in done) for done in runs]
        numbers = (f"{costs[0]:.2f}", f"{costs[1]:.2f}", f"{ratio:.2f}x")
        table.add_row(load.label, rates, f"{lost[0]:,}", f"{lost[1]:,}", *numbers)
        if ratio < 1:
            missed.append(f"{load.label}: {ratio:.2f}x nfcapd, wanted 1x")
        if lost[1] and 0 < load.rate_per_s <= LOSSLESS_PER_S:
            missed.append(f"{load.label}: lost {lost[1]:,} datagrams")
    Console(width=110).print(table)
    print("\n".join(missed) or f"met: at least 1x nfcapd at every rate, nothing lost up to {LOSSLESS_PER_S:,}/s")
    return int(bool(missed))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(*map(int, sys.argv[2:5]))
    else:
        sys.exit(main())
