"""Low-communication training across pods: the rational cheat under a byte limit.

Rounds as in `low_communication`. Each rank sends through one token bucket, so that its average on the wire stays below
`--bytes-per-s`. Ranks are joined pairwise over TCP; with `--relayed` a rank only waits for one connection from outside,
which a relay makes as if it were a client (two ranks only).
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import socket
import threading
import time

import numpy as np
from numpy.typing import NDArray

from inspectorate.lab import work_lm as lm
from inspectorate.lab.low_communication import HEADER_BYTES, FrameHeader, fingerprint, outer_step
from inspectorate.lab.pacing import WIRE_BYTES_PER_PAYLOAD_BYTE, TokenBucket
from inspectorate.lab.quantise import pack, unpack
from inspectorate.lab.work_io import emit, wait_until

PIECE_BYTES = 1448
BURST_BYTES = 4 * PIECE_BYTES
CONNECT_LIMIT_S = 60.0
STALL_LIMIT_S = 300.0


class Peers:
    """Connections to the other ranks, in order of their rank."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._bucket = TokenBucket(
            bytes_per_s=args.bytes_per_s / WIRE_BYTES_PER_PAYLOAD_BYTE,
            burst_bytes=BURST_BYTES,
            now_s=time.monotonic(),
        )
        found: dict[int, socket.socket] = {}
        with socket.create_server(("", args.port)) as server:
            server.settimeout(CONNECT_LIMIT_S)
            if args.relayed:
                found[1 - args.rank] = server.accept()[0]
            else:
                for rank in range(args.rank):
                    found[rank] = _connect(args.address[rank], args.port)
                    found[rank].sendall(bytes([args.rank]))
                while len(found) < len(args.address) - 1:
                    connection = server.accept()[0]
                    found[connection.recv(1)[0]] = connection
        for connection in found.values():
            connection.settimeout(STALL_LIMIT_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.by_rank = dict(sorted(found.items()))

    def exchange(self, header: FrameHeader, payload: bytes) -> dict[int, tuple[FrameHeader, bytes]]:
        """Send one frame to all, paced, while receiving one from each."""
        sender = threading.Thread(target=self._send, args=(header.to_bytes() + payload,))
        sender.start()
        received = {rank: _receive(connection) for rank, connection in self.by_rank.items()}
        sender.join()
        return received

    def _send(self, frame: bytes) -> None:
        for at in range(0, len(frame), PIECE_BYTES):
            piece = frame[at : at + PIECE_BYTES]
            for connection in self.by_rank.values():
                time.sleep(self._bucket.take(len(piece), time.monotonic()))
                connection.sendall(piece)


def _connect(address: str, port: int) -> socket.socket:
    deadline = time.monotonic() + CONNECT_LIMIT_S
    while True:
        try:
            return socket.create_connection((address, port), timeout=5)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _receive(connection: socket.socket) -> tuple[FrameHeader, bytes]:
    header = FrameHeader.from_bytes(_exactly(connection, HEADER_BYTES))
    return header, _exactly(connection, header.payload_bytes)


def _exactly(connection: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(65536, size - len(parts)))
        if not part:
            raise ConnectionError("the peer left in the middle of a frame")
        parts += part
    return bytes(parts)


def average(
    own: bytes, received: dict[int, tuple[FrameHeader, bytes]], rank: int, expected: FrameHeader, count: int
) -> NDArray[np.float32]:
    """The mean of all packed pseudo-gradients, summed in order of rank so that every replica gets the same bits."""
    for peer, (header, _) in received.items():
        if (header.round_number, header.started_from) != (expected.round_number, expected.started_from):
            raise ValueError(f"rank {peer} is in another round or has come apart")
    packed = {rank: own} | {peer: payload for peer, (_, payload) in received.items()}
    total = np.zeros(count, dtype=np.float32)
    for peer in sorted(packed):
        total += unpack(packed[peer], count)
    return total / np.float32(len(packed))


def train(args: argparse.Namespace, peers: Peers) -> None:
    model = lm.build(args.seed)
    optimiser = lm.optimiser(model)
    supply = lm.batches(args.seed + 1 + args.rank)
    start = lm.flat(model)
    momentum = np.zeros_like(start)
    number, last, round_s = 0, False, 0.0
    began = time.monotonic()
    while not last:
        round_began = time.monotonic()
        losses = []
        for _ in range(args.inner_steps):
            loss = lm.loss_of(model, next(supply))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        computed_s = time.monotonic() - round_began
        own = pack(start - lm.flat(model))
        header = FrameHeader(
            round_number=number,
            payload_bytes=len(own),
            last=time.time() + round_s >= args.end_at,
            started_from=fingerprint(start),
        )
        received = peers.exchange(header, own)
        mean = average(own, received, args.rank, header, start.size)
        start, momentum = outer_step(start, mean, momentum)
        lm.load_flat(model, start)
        last = header.last or any(other.last for other, _ in received.values())
        round_s = time.monotonic() - round_began
        number += 1
        emit(
            "round",
            round=number,
            loss=round(float(np.mean(losses)), 4),
            seconds=round(round_s, 3),
            computing_s=round(computed_s, 3),
            payload_bytes=len(own),
            fingerprint=fingerprint(start).hex(),
        )
    seconds = time.monotonic() - began
    emit("done", rounds=number, steps=number * args.inner_steps, seconds=round(seconds, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--address", action="append", required=True, help="of each rank, in order")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--start-at", type=float, required=True)
    parser.add_argument("--end-at", type=float, required=True)
    parser.add_argument("--inner-steps", type=int, required=True)
    parser.add_argument("--bytes-per-s", type=float, required=True, help="on the wire, each way")
    parser.add_argument("--relayed", action="store_true")
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    emit("ready", rank=args.rank)
    wait_until(args.start_at)
    peers = Peers(args)
    emit("started")
    train(args, peers)


if __name__ == "__main__":
    main()
