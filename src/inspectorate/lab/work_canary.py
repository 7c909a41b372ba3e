"""The verifier's canary: one small datagram a second to every pod, from the verifier's own address, and its echo.

It crosses every pod link in both directions, so a live exporter always has something to report about each, and an
exporter that reports nothing is silent whatever its pod does. UDP to port 7 (echo, RFC 862). A pod that does not
answer silences only the direction from itself, and the canary still shows in the other.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import time

from inspectorate.lab.network import VERIFIER_IPV4
from inspectorate.lab.work_io import emit

CANARY_PAYLOAD_BYTES = 64
"""106 bytes at the interface with the headers of UDP, IPv4 and Ethernet."""
CANARY_PERIOD_S = 1.0
ECHO_PORT = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    targets = parser.parse_args().targets
    canary = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    canary.bind((VERIFIER_IPV4, 0))
    canary.setblocking(False)
    emit("ready", targets=len(targets))
    number, due_s = 0, time.monotonic()
    while True:
        payload = number.to_bytes(8, "big").ljust(CANARY_PAYLOAD_BYTES, b"\0")
        for target in targets:
            canary.sendto(payload, (target, ECHO_PORT))
        number += 1
        due_s += CANARY_PERIOD_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        # Answers are only taken off the queue: that they crossed the link is what matters, and sensors see that.
        with contextlib.suppress(BlockingIOError):
            for _ in range(4 * len(targets)):
                canary.recv(2048)


if __name__ == "__main__":
    main()
