"""Load on a running intake, and what is left of it after `kill -9`: `python -m bench.intake_load [--minutes 10] [--folder DIR]`.

A real server process (`inspectorate intake serve`) takes 200 reports a minute, one in twenty with a file of 25 MiB, one in ten
over a line of 2 KB/s. In the middle it is killed with SIGKILL and started again; who got no answer tries again. Afterwards two of
three offices collect and open every batch, held against the log, and every report that was answered for is compared byte by byte
with what was sent. Printed: how many, how long answers took, and the memory of the process (VmRSS) over time.

Exits 1 where a report that was answered for is missing or differs, where a block is missing, or where memory grew by more than
`GROWTH_MAX_MIB` in the life of a process, from its second fifth to its last. DIR needs some 12 GB for ten minutes (by default
/var/tmp, since /tmp may be memory).
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from inspectorate.keys import SigningKey
from inspectorate.ledger import Log
from inspectorate.mechanisms.whistleblowing.intake.closing import entries_of
from inspectorate.mechanisms.whistleblowing.intake.collecting import Expected, collect, collected_batch
from inspectorate.mechanisms.whistleblowing.intake.opening import OpenedReport, open_reports, own_shares
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.intake.volume import create_volume
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices
from inspectorate.mechanisms.whistleblowing.web.answers import ANSWER_BYTES

GROWTH_MAX_MIB = 24
"""Python keeps some freed memory; a leak of one upload in a hundred would show."""
BOUNDARY = b"----bench0123456789"
SLOW_BYTES_PER_S = 2000
START_S = 30.0
TRIES = 12
PARTS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Load:
    """What comes, and how the intake is set."""

    seconds: float = 600.0
    reports_per_minute: float = 200.0
    upload_bytes: int = 25 << 20
    upload_every: int = 20
    slow_every: int = 10
    block_bytes: int = 262_144
    blocks_per_tick: int = 28
    tick_s: float = 1.0
    batch_s: float = 120.0
    text_chars: int = 3000
    seed: int = 7


@dataclass(kw_only=True)
class Outcome:
    """What came of it."""

    sent: int = 0
    answered: set[int] = field(default_factory=set)
    broken: int = 0
    busy: int = 0
    odd: int = 0
    """Answers of another size than all have."""
    text_s: list[float] = field(default_factory=list)
    upload_s: list[float] = field(default_factory=list)
    memory_mib: list[list[float]] = field(default_factory=list)
    """VmRSS of each process, second by second."""
    down_s: float = 0.0
    missing: int = 0
    """Blocks that the log names and the host does not have."""
    opened: int = 0
    blocks: int = 0
    dummies: int = 0
    rhythm: list[float] = field(default_factory=list)
    """Blocks of each batch, as a share of those due in its time. The last batches had no reports, one had the kill."""
    lost: list[int] = field(default_factory=list)
    differ: list[int] = field(default_factory=list)

    @property
    def growth_mib(self) -> float:
        """The most in the life of one process: medians of its last fifth and of its second."""
        return max((fifth(life, 5) - fifth(life, 2) for life in self.memory_mib if life), default=0.0)


def fifth(life: list[float], which: int) -> float:
    """The median of one fifth of it, from 1 on."""
    start, end = len(life) * (which - 1) // 5, len(life) * which // 5
    return statistics.median(life[start : max(end, start + 1)])


# --- what is sent --------------------------------------------------------------------------------------------------------


def text_of(load: Load, number: int) -> str:
    chosen = random.Random(f"{load.seed} {number}")
    return f"report {number} " + "".join(chosen.choices("abcdefghijklmnop ", k=load.text_chars))


def upload_of(load: Load, number: int) -> bytes:
    return random.Random(load.seed * 1_000_003 + number).randbytes(load.upload_bytes)


def has_upload(load: Load, number: int) -> bool:
    return number % load.upload_every == load.upload_every - 1


def request_of(load: Load, number: int) -> bytes:
    body = b'--%b\r\nContent-Disposition: form-data; name="seen"\r\n\r\n%b\r\n' % (
        BOUNDARY,
        text_of(load, number).strip().encode(),
    )
    if has_upload(load, number):
        body += (
            b'--%b\r\nContent-Disposition: form-data; name="files"; filename="%d.bin"\r\n'
            b"Content-Type: application/octet-stream\r\n\r\n" % (BOUNDARY, number)
        )
        body += upload_of(load, number) + b"\r\n"
    body += b"--%b--\r\n" % BOUNDARY
    head = (
        f"POST /en/report HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(path: Path, request: bytes, *, slow: bool) -> bytes:
    """The answer; what came of it where the connection broke."""
    came = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(300)
        connection.connect(str(path))
        step = SLOW_BYTES_PER_S // 4 if slow else len(request)
        for start in range(0, len(request), step):
            connection.sendall(request[start : start + step])
            time.sleep(0.25 if slow else 0)
        while data := connection.recv(1 << 16):
            came += data
    return bytes(came)


class Sender:
    """Sends reports at their times, each in a thread of its own."""

    def __init__(self, load: Load, path: Path, outcome: Outcome) -> None:
        self._load = load
        self._path = path
        self._outcome = outcome
        self._lock = threading.Lock()

    def run(self, pool: ThreadPoolExecutor, until: float) -> None:
        chosen = random.Random(self._load.seed)
        due = time.monotonic()
        while due < until:
            time.sleep(max(0.0, due - time.monotonic()))
            pool.submit(self._send, self._outcome.sent)
            self._outcome.sent += 1
            due += chosen.expovariate(self._load.reports_per_minute / 60.0)

    def _send(self, number: int) -> None:
        load = self._load
        slow = number % load.slow_every == 3 and not has_upload(load, number)
        request = request_of(load, number)
        for _ in range(TRIES):
            began = time.monotonic()
            try:
                came = ask(self._path, request, slow=slow)
            except OSError:
                came = b""
            taken = time.monotonic() - began
            with self._lock:
                if self._note(number, came, taken, slow=slow):
                    return
            time.sleep(min(2.0, load.seconds / 5))

    def _note(self, number: int, came: bytes, taken_s: float, *, slow: bool) -> bool:
        outcome = self._outcome
        # What is shorter than an answer was cut off by the kill, and whoever sent asks again. If all are short, nobody is answered.
        if not came.startswith(b"HTTP/1.1 200 ") or len(came) < ANSWER_BYTES:
            if came.startswith(b"HTTP/1.1 503 "):
                outcome.busy += 1
            else:
                outcome.broken += 1
            return False
        outcome.odd += len(came) != ANSWER_BYTES
        outcome.answered.add(number)
        if has_upload(self._load, number):
            outcome.upload_s.append(taken_s)
        elif not slow:
            outcome.text_s.append(taken_s)
        return True


# --- the intake ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Place:
    """An intake in a folder, with the offices that can open it."""

    folder: Path
    key: SigningKey
    log_key: SigningKey
    offices: Offices
    identities: tuple[pyrage.x25519.Identity, ...]

    @property
    def box(self) -> Path:
        return self.folder / "box"

    @property
    def socket(self) -> Path:
        return self.folder / "socket"


def make_place(folder: Path, load: Load) -> Place:
    identities = tuple(pyrage.x25519.Identity.generate() for _ in range(3))
    offices = Offices(
        quorum=2,
        offices=tuple(
            Office(
                name=f"office-{n}", party=f"party-{n}", recipient=str(one.to_public()),
                key=base64.b64encode(SigningKey(bytes([n + 1]) * 32).public.raw).decode(),
            )
            for n, one in enumerate(identities)
        ),
    )  # fmt: skip
    place = Place(
        folder=folder,
        key=SigningKey(os.urandom(32)),
        log_key=SigningKey(os.urandom(32)),
        offices=offices,
        identities=identities,
    )
    settings = Settings(
        intake="bench",
        block_bytes=load.block_bytes,
        blocks_per_tick=load.blocks_per_tick,
        tick_s=load.tick_s,
        batch_s=load.batch_s,
    )
    create_volume(place.box, settings, offices, place.key)
    place.log_key.write(folder / "log.key")
    Log.create(folder / "log", "bench.example/intake", place.log_key).close()
    config = {
        "notice": {"agreement": {"en": "Bench"}, "quorum": 2, "offices": [{"names": {"en": f"Office {n}"}} for n in range(3)]},
        "socket": str(place.socket), "ledger": "../log", "ledger_key": "../log.key",
    }  # fmt: skip
    (place.box / "serve.yaml").write_text(json.dumps(config))
    return place


def start(place: Place) -> subprocess.Popen[bytes]:
    """A server process that answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "inspectorate", "intake", "serve", str(place.box)], stdout=subprocess.DEVNULL
    )
    ends = time.monotonic() + START_S
    request = b"GET /en/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    while time.monotonic() < ends and process.poll() is None:
        try:
            if len(ask(place.socket, request, slow=False)) == ANSWER_BYTES:
                return process
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError("the server does not start")


def resident_mib(process: subprocess.Popen[bytes]) -> float:
    """Zero of one that ended."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def watch(process: subprocess.Popen[bytes], outcome: Outcome, done: threading.Event) -> None:
    life: list[float] = []
    outcome.memory_mib.append(life)
    while not done.wait(1.0):
        mib = resident_mib(process)
        if not mib:
            return
        life.append(mib)


def run(load: Load, folder: Path) -> Outcome:
    """Load, a kill in the middle, more load, and everything opened."""
    outcome = Outcome()
    place = make_place(folder, load)
    process = start(place)
    began = time.monotonic()
    done = threading.Event()
    watchers = [threading.Thread(target=watch, args=(process, outcome, done))]
    watchers[0].start()
    try:
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            sender = Sender(load, place.socket, outcome)
            feeding = threading.Thread(target=sender.run, args=(pool, began + load.seconds))
            feeding.start()
            time.sleep(load.seconds / 2)
            process.send_signal(signal.SIGKILL)
            process.wait()
            killed = time.monotonic()
            process = start(place)
            outcome.down_s = time.monotonic() - killed
            watchers.append(threading.Thread(target=watch, args=(process, outcome, done)))
            watchers[-1].start()
            feeding.join()
        time.sleep(load.batch_s + 3 * load.tick_s)
    finally:
        done.set()
        process.terminate()
        process.wait(60)
        for one in watchers:
            one.join()
    compare(load, place, outcome)
    return outcome


# --- what two of three offices find --------------------------------------------------------------------------------------


def log_entries(place: Place) -> Iterator[bytes]:
    with Log.open(place.folder / "log", place.log_key) as log:
        for index in range(log.size):
            yield log.entry(index)


def compare(load: Load, place: Place, outcome: Outcome) -> None:
    """Open every closed batch as the log names it, and hold what was answered for against what was sent."""
    expected = Expected(
        intake="bench", key=place.key.public, offices=place.offices, log=entries_of("bench", log_entries(place))
    )
    given = []
    for batch in sorted(expected.log):
        got = collect(place.box / "closed", batch, place.folder / "office", expected)
        outcome.missing += len(got.missing)
        due = got.closing.period.duration_s / load.tick_s * load.blocks_per_tick
        outcome.rhythm.append(got.closing.blocks / due)
        (place.box / "closed" / f"{batch:010d}.blocks").unlink()
        sealed = collected_batch(place.folder / "office", batch, expected)
        given.append((sealed, [own_shares(sealed, place.identities[at]) for at in (0, 2)]))
    opening = open_reports(given, place.folder / "opened")
    outcome.blocks, outcome.dummies = opening.blocks, opening.dummies
    whole: dict[int, OpenedReport] = {}
    for report in opening.reports:
        if report.complete:
            outcome.opened += 1
            whole[int(report.answers["seen"].split()[1])] = report
    for number in sorted(outcome.answered):
        if number not in whole:
            outcome.lost.append(number)
        elif not same(load, place, number, whole[number]):
            outcome.differ.append(number)


def same(load: Load, place: Place, number: int, report: OpenedReport) -> bool:
    """Byte by byte."""
    if report.answers != {"seen": text_of(load, number).strip()}:
        return False
    wanted = [(f"{number}.bin", upload_of(load, number))] if has_upload(load, number) else []
    folder = place.folder / "opened" / report.report
    found = [(one.name, (folder / one.stored).read_bytes()) for one in report.files]
    return found == wanted


def summary(times: list[float]) -> str:
    if not times:
        return "none"
    ordered = sorted(times)
    middle, high = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    return f"median {middle:.2f} s, 95th percentile {high:.2f} s, most {ordered[-1]:.2f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"))
    options = parser.parse_args()
    load = Load(seconds=60.0 * options.minutes, batch_s=120.0 if options.minutes >= 4 else 30.0)
    folder = Path(tempfile.mkdtemp(prefix="intake-load-", dir=options.folder))
    try:
        outcome = run(load, folder)
    finally:
        shutil.rmtree(folder)
    print(f"sent {outcome.sent} in {options.minutes:g} minutes; answered {len(outcome.answered)}, of which ", end="")
    print(f"{len(outcome.upload_s)} with {load.upload_bytes >> 20} MiB each")
    print(
        f"tries that broke (the kill): {outcome.broken}; asked to come back: {outcome.busy}; odd answers: {outcome.odd}"
    )
    print(f"texts: {summary(outcome.text_s)}")
    print(f"uploads: {summary(outcome.upload_s)}")
    for name, life in zip(("before", "after"), outcome.memory_mib, strict=False):
        if life:
            print(
                f"memory {name} the kill, MiB: start {life[0]:.0f}, middle {fifth(life, 3):.0f}, end {life[-1]:.0f}, ",
                end="",
            )
            print(f"most {max(life):.0f}")
    print(f"growth from the second fifth of a life to its last: {outcome.growth_mib:+.1f} MiB")
    print(f"down for {outcome.down_s:.1f} s after kill -9")
    print(
        f"opened {outcome.opened} by two of three offices, from {outcome.blocks} blocks of which {outcome.dummies} dummies"
    )
    print("blocks of each batch against those due in its time: " + " ".join(f"{one:.1%}" for one in outcome.rhythm))
    print(
        f"blocks missing: {outcome.missing}; reports answered for and lost: {len(outcome.lost)}; different: {len(outcome.differ)}"
    )
    failed = (
        bool(outcome.lost or outcome.differ or outcome.odd or outcome.missing or not outcome.answered)
        or outcome.growth_mib > GROWTH_MAX_MIB
    )
    print("FAILED" if failed else "ok")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
