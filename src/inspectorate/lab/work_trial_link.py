"""How fast the link between two pods is without a limit: bytes each way at once, and the time of a round trip.

Nothing is computed. Bytes are payload; the bench adds headers, as for every trial.
"""

from __future__ import annotations

import os
import time

from inspectorate.lab.work_io import emit
from inspectorate.lab.work_trial import Peer, orders

SIZE_BYTES = 64 * 1024 * 1024
EXCHANGES = 4
ROUND_TRIPS = 200


def main() -> None:
    asked = orders()
    emit("ready", rank=asked.rank, pid=os.getpid())
    peer = Peer(asked.rank, asked.addresses[0], asked.port)
    began = time.monotonic()
    for _ in range(ROUND_TRIPS):
        peer.barrier()
    round_trip_s = (time.monotonic() - began) / ROUND_TRIPS
    payload, seconds = bytes(SIZE_BYTES), []
    for number in range(EXCHANGES):
        peer.barrier()
        began = time.monotonic()
        sent = peer.send_later(number, payload)
        peer.receive()
        sent.result()
        seconds.append(time.monotonic() - began)
    emit("link", round_trip_s=round_trip_s, size_bytes=SIZE_BYTES, seconds=seconds)
    peer.barrier()
    emit("done")


if __name__ == "__main__":
    main()
