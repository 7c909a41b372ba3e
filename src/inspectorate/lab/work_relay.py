"""A relay outside that joins two pods as if it were a client of each: training traffic in the shape of service traffic.

It connects to both pods from the clients' namespace and copies bytes between the two connections. No packet then goes
from pod to pod, and a matrix of addresses shows only clients.
"""

from __future__ import annotations

import argparse
import asyncio

from inspectorate.lab.work_io import emit

CONNECT_TRIES = 300


async def _open(address: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for _ in range(CONNECT_TRIES):
        try:
            return await asyncio.open_connection(address, port)
        except OSError:
            await asyncio.sleep(0.2)
    raise TimeoutError(f"{address} never listened on port {port}")


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    copied = 0
    while part := await reader.read(16384):
        writer.write(part)
        await writer.drain()
        copied += len(part)
    writer.close()
    return copied


async def relay(addresses: tuple[str, str], port: int) -> None:
    (one_in, one_out), (other_in, other_out) = await asyncio.gather(*(_open(address, port) for address in addresses))
    emit("started")
    copied = await asyncio.gather(_copy(one_in, other_out), _copy(other_in, one_out))
    emit("done", copied_bytes=list(copied))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", action="append", required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    one, other = args.address
    asyncio.run(relay((one, other), args.port))


if __name__ == "__main__":
    main()
