"""The device's side: answers who asks, as fast as it can, and never more than was agreed.

It needs a key and a socket, and keeps nothing. Answers to a stranger reveal that the key is there, and how far it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from inspectorate.errors import EnvironmentError_
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.custody.location.protocol import answer

ANSWERS_PER_S_MAX = 2000
"""A signature takes some 50 microseconds: a tenth of one core."""


class Responder(asyncio.DatagramProtocol):
    """Answers datagrams, at most so many in a second of the given steady clock."""

    def __init__(self, key: SigningKey, steady_s: Callable[[], float], *, per_s_max: int = ANSWERS_PER_S_MAX) -> None:
        self._key = key
        self._steady_s = steady_s
        self._per_s_max = per_s_max
        self._left = float(per_s_max)
        self._at = steady_s()
        self._transport: asyncio.DatagramTransport | None = None
        self.answered = 0
        self.passed_over = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what sends."""
        # The selector's transport is no subclass of DatagramTransport before Python 3.12, though it is one.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer, if it asks and there is still room."""
        now = self._steady_s()
        self._left = min(float(self._per_s_max), self._left + max(0.0, now - self._at) * self._per_s_max)
        self._at = now
        reply = answer(self._key, data) if self._left >= 1 else None
        if reply is None or self._transport is None:
            self.passed_over += 1
            return
        self._left -= 1
        self.answered += 1
        self._transport.sendto(reply, addr)


async def respond(
    key: SigningKey, bind: tuple[str, int], steady_s: Callable[[], float]
) -> tuple[asyncio.DatagramTransport, Responder]:
    """Listen until the transport is closed. Raises `EnvironmentError_` where the address cannot be had."""
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_datagram_endpoint(lambda: Responder(key, steady_s), local_addr=bind)
    except OSError as fault:
        raise EnvironmentError_(f"cannot listen: {fault.strerror or fault}", where=f"{bind[0]}:{bind[1]}") from None
