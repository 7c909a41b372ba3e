"""What the workers of a trial share: the connection between two pods, and the phases that all of them go through.

For each segment of a trial (so many steps under one limit):

1. Calibrate, without network: the first pod computes alone, then both compute together. Report it.
2. Wait for `go-K`, which the bench writes when the limit holds and counters have been read.
3. Take the steps, one JSON line each, then report `measured`.
4. Wait for `done-K`, which the bench writes when counters have been read and the limit is gone.

After the last segment, calibrate once more. Calibration thus stands on both sides of every measurement, in the same
processes. Between steps nothing crosses the link but one byte each way, by which the pods wait for one another.
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inspectorate.lab.pacing import WIRE_BYTES_PER_PAYLOAD_BYTE, TokenBucket
from inspectorate.lab.trial import PACED_SHARE, Trial
from inspectorate.lab.trial_frames import MESSAGE_HEADER_BYTES, NO_DIGEST, Message
from inspectorate.lab.work_io import emit

PIECE_BYTES = 1448
CONNECT_LIMIT_S = 120.0
STALL_LIMIT_S = 600.0
_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One step: its seconds, of which so many were spent waiting for the peer, if the worker can know."""

    seconds: float
    waiting_s: float | None
    loss: float | None


class Work(Protocol):
    """What one pod does in a trial."""

    def alone(self) -> dict[str, float]:
        """One step without network: the seconds of its parts."""

    def step(self) -> Taken:
        """One step with the peer."""

    def drain(self) -> float | None:
        """Finish what is still under way; its seconds, if something was."""


class Peer:
    """The connection to the other pod. The first pod listens, the second connects."""

    def __init__(self, rank: int, address: str, port: int) -> None:
        if rank == 0:
            with socket.create_server(("", port)) as server:
                server.settimeout(CONNECT_LIMIT_S)
                self._socket = server.accept()[0]
        else:
            self._socket = connect(address, port)
        self._socket.settimeout(STALL_LIMIT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._bucket: TokenBucket | None = None
        self._sender = ThreadPoolExecutor(1)
        self._receiver = ThreadPoolExecutor(1)

    def pace(self, limit_bytes_per_s: float | None) -> None:
        """From now on send no faster than just below a limit on the wire; none: as fast as TCP lets."""
        self._bucket = None
        if limit_bytes_per_s is not None:
            rate = PACED_SHARE * limit_bytes_per_s / WIRE_BYTES_PER_PAYLOAD_BYTE
            self._bucket = TokenBucket(bytes_per_s=rate, burst_bytes=PIECE_BYTES, now_s=time.monotonic())

    def barrier(self) -> None:
        self._socket.sendall(b"!")
        if self._exactly(1) != b"!":
            raise ConnectionError("the peer is not where it should be")

    def send_later(self, number: int, payload: bytes, digest: bytes = NO_DIGEST) -> Future[None]:
        """Send a message after those handed over before, without waiting for it."""
        return self._sender.submit(self._send, Message(number=number, size=len(payload), digest=digest), payload)

    def receive_later(self) -> Future[tuple[Message, bytes]]:
        return self._receiver.submit(self.receive)

    def receive(self) -> tuple[Message, bytes]:
        message = Message.from_bytes(self._exactly(MESSAGE_HEADER_BYTES))
        return message, self._exactly(message.size)

    def _send(self, message: Message, payload: bytes) -> None:
        whole = message.to_bytes() + payload
        if self._bucket is None:
            self._socket.sendall(whole)
            return
        for at in range(0, len(whole), PIECE_BYTES):
            piece = whole[at : at + PIECE_BYTES]
            time.sleep(self._bucket.take(len(piece), time.monotonic()))
            self._socket.sendall(piece)

    def _exactly(self, size: int) -> bytes:
        buffer = bytearray(size)
        view, got = memoryview(buffer), 0
        while got < size:
            part = self._socket.recv_into(view[got:], min(size - got, 1 << 20))
            if not part:
                raise ConnectionError("the peer left in the middle of a message")
            got += part
        return bytes(buffer)


def connect(address: str, port: int) -> socket.socket:
    """Connect to a pod that may not listen yet. Raises `OSError` when it never does."""
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        try:
            return socket.create_connection((address, port), timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What the bench asks of a worker."""

    trial: Trial
    rank: int
    addresses: tuple[str, ...]
    port: int
    folder: Path
    segments: tuple[tuple[int, float | None], ...]
    """Steps, and the limit that will hold, for each segment."""
    calibrations: int
    seed: int


def orders() -> Orders:
    """Read the command line: a JSON file and the rank."""
    parser = argparse.ArgumentParser()
    parser.add_argument("orders", type=Path)
    parser.add_argument("--rank", type=int, required=True)
    args = parser.parse_args()
    asked = json.loads(args.orders.read_text())
    return Orders(
        trial=Trial.model_validate(asked["trial"]),
        rank=args.rank,
        addresses=tuple(asked["addresses"]),
        port=asked["port"],
        folder=args.orders.parent,
        segments=tuple((steps, limit) for steps, limit in asked["segments"]),
        calibrations=asked["calibrations"],
        seed=asked["seed"],
    )


def wait_for_file(path: Path) -> None:
    while not path.exists():
        time.sleep(_POLL_S)


def perform(asked: Orders, peer: Peer, work: Work) -> None:
    """Go through the phases of the module."""
    work.alone()
    for number, (steps, limit_bytes_per_s) in enumerate(asked.segments):
        _calibrate(asked, peer, work, number)
        wait_for_file(asked.folder / f"go-{number}")
        peer.pace(limit_bytes_per_s if asked.trial.paced else None)
        peer.barrier()
        cpu_s = time.process_time()
        for _ in range(steps):
            taken = work.step()
            emit("step", segment=number, seconds=taken.seconds, waiting_s=taken.waiting_s, loss=taken.loss)
        drained_s = work.drain()
        emit("measured", segment=number, drained_s=drained_s, cpu_s=time.process_time() - cpu_s)
        wait_for_file(asked.folder / f"done-{number}")
    _calibrate(asked, peer, work, len(asked.segments))
    emit("done")


def _calibrate(asked: Orders, peer: Peer, work: Work, number: int) -> None:
    found: dict[str, list[dict[str, float]]] = {}
    for phase in ("single", "together"):
        peer.barrier()
        if phase == "together" or asked.rank == 0:
            found[phase] = [work.alone() for _ in range(asked.calibrations)]
    peer.barrier()
    emit("calibrated", segment=number, **found)
