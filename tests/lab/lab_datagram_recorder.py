"""A minimal receiver for the tests: writes every datagram to one file, in the order of arrival.

Each record is a little-endian float64 (arrival, unix seconds), uint16 (port), uint32 (size), then the datagram.
It knows nothing of any protocol, and nothing of the product's collector.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import struct
import time
from pathlib import Path

HEAD = struct.Struct("<dHI")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("ports", type=int, nargs="+")
    args = parser.parse_args()
    selector = selectors.DefaultSelector()
    for port in args.ports:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", port))
        selector.register(receiver, selectors.EVENT_READ, port)
    with args.out.open("wb", buffering=0) as file:
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(65535)  # type: ignore[union-attr]
                file.write(HEAD.pack(time.time(), key.data, len(data)) + data)


if __name__ == "__main__":
    main()
