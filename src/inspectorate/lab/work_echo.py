"""A pod's echo service (RFC 862, UDP port 7): it answers the verifier's canary.

It also is the process through which the bench reads the counters of the pod's namespace.
"""

from __future__ import annotations

import socket

from inspectorate.lab.work_canary import ECHO_PORT
from inspectorate.lab.work_io import emit


def main() -> None:
    service = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    service.bind(("", ECHO_PORT))
    emit("ready")
    while True:
        data, sender = service.recvfrom(2048)
        service.sendto(data, sender)


if __name__ == "__main__":
    main()
