"""The process that decodes photographs, closed in.

On standard input: a line of their lengths, then their bytes. On standard output, for each: its size at working size, and its
pixels in base 64. It stops at the first that cannot be decoded.
"""

from __future__ import annotations

import base64
import sys

import cv2
import numpy as np

from inspectorate.apart import enclose, say
from inspectorate.mechanisms.custody.seals.photo import brought_down
from inspectorate.mechanisms.custody.seals.reference import PHOTO_BYTES_MAX


def main() -> None:
    """Close this process in, decode, and say what came out."""
    cv2.setNumThreads(1)
    enclose(sys.argv[1])
    sizes = [int(part) for part in sys.stdin.buffer.readline(4096).split()]
    for size in sizes:
        data = sys.stdin.buffer.read(min(size, PHOTO_BYTES_MAX))
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if picture is None:
            return
        small = brought_down(np.asarray(picture, np.uint8))
        say(f"{small.shape[0]} {small.shape[1]}".encode())
        sys.stdout.buffer.write(base64.b64encode(np.ascontiguousarray(small).tobytes()) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
