"""A landmark's side: asks with fresh nonces, and takes the time.

- The time starts before a question is handed to the kernel, and stops when its answer was received: whatever the landmark adds
  makes the round trip longer.
- An answer is matched by its nonce and by nothing else: not by order, not by the address that it comes from. What is late for one
  question can never be early for another.
- The signature is checked after the time was taken. What does not verify is passed over, and the question stays open: a
  stranger can neither answer nor spoil it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from inspectorate.errors import EnvironmentError_
from inspectorate.keys import PublicKey
from inspectorate.mechanisms.custody.location.protocol import ask, read_answer, verifies
from inspectorate.mechanisms.custody.location.record import Ping


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How often to ask."""

    pings: int
    interval_s: float
    timeout_s: float


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Clocks and randomness of the landmark."""

    steady_ns: Callable[[], int]
    wall_ns: Callable[[], int]
    nonce: Callable[[], bytes]


@dataclass(kw_only=True)
class _Open:
    """A question."""

    sent_ns: int
    started_ns: int
    answer: tuple[int, int, bytes] | None = None
    """Wall time, round trip and signature of the first answer that verifies."""


class Prober(asyncio.DatagramProtocol):
    """Asks one device."""

    def __init__(self, key: PublicKey, machine: Machine) -> None:
        self._key = key
        self._machine = machine
        self._asked: dict[bytes, _Open] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self.passed_over = 0
        """Datagrams that answer nothing that was asked, or do not verify."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what sends."""
        # The selector's transport is no subclass of DatagramTransport before Python 3.12, though it is one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def send(self) -> None:
        """Ask once."""
        assert self._transport is not None
        nonce = self._machine.nonce()
        datagram = ask(nonce)
        one = _Open(sent_ns=self._machine.wall_ns(), started_ns=self._machine.steady_ns())
        self._asked[nonce] = one
        self._transport.sendto(datagram)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take the time, then look."""
        steady, wall = self._machine.steady_ns(), self._machine.wall_ns()
        read = read_answer(data)
        one = self._asked.get(read[0]) if read else None
        if read is None or one is None or one.answer is not None or not verifies(self._key, *read):
            self.passed_over += 1
            return
        one.answer = (wall, steady - one.started_ns, read[1])

    @property
    def waiting(self) -> bool:
        return any(one.answer is None for one in self._asked.values())

    def pings(self) -> tuple[Ping, ...]:
        """All questions, in the order in which they were asked."""
        return tuple(_ping(nonce, one) for nonce, one in self._asked.items())


def _ping(nonce: bytes, one: _Open) -> Ping:
    if one.answer is None:
        return Ping(nonce=nonce.hex(), sent_ns=str(one.sent_ns))
    wall, round_trip, signature = one.answer
    return Ping(
        nonce=nonce.hex(), sent_ns=str(one.sent_ns), received_ns=str(wall), round_trip_ns=round_trip,
        signature=signature.hex(),
    )  # fmt: skip


async def probe(to: tuple[str, int], key: PublicKey, plan: Plan, machine: Machine) -> tuple[Ping, ...]:
    """Ask a device, and wait for the last answer up to the time-out. Raises `EnvironmentError_` where nothing can be sent."""
    loop = asyncio.get_running_loop()
    try:
        transport, prober = await loop.create_datagram_endpoint(lambda: Prober(key, machine), remote_addr=to)
    except OSError as fault:
        raise EnvironmentError_(f"cannot send: {fault.strerror or fault}", where=f"{to[0]}:{to[1]}") from None
    try:
        for number in range(plan.pings):
            if number:
                await asyncio.sleep(plan.interval_s)
            prober.send()
        end = loop.time() + plan.timeout_s
        while prober.waiting and loop.time() < end:
            await asyncio.sleep(min(0.01, plan.timeout_s))
    finally:
        transport.close()
    return prober.pings()
