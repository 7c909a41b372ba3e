"""A small RTSP server (RFC 2326) over one TCP connection: H.264 as RTP (RFC 6184), interleaved, at the pace of its time stamps."""

from __future__ import annotations

import base64
import importlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

CLOCK = 90_000
FRAGMENT = 1200


def nal_units(pictures: Sequence[tuple[float, np.ndarray]]) -> list[tuple[float, list[bytes]]]:
    """Pictures as H.264, unit by unit."""
    av: Any = importlib.import_module("av")
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height = pictures[0][1].shape[1], pictures[0][1].shape[0]
    context.pix_fmt, context.time_base, context.framerate = "yuv420p", Fraction(1, CLOCK), Fraction(4)
    context.gop_size, context.options = 8, {"preset": "ultrafast", "tune": "zerolatency", "crf": "26"}
    found = []
    for t, picture in pictures:
        frame = av.VideoFrame.from_ndarray(picture, format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(t * CLOCK), Fraction(1, CLOCK)
        for packet in context.encode(frame):
            data = bytes(packet).replace(b"\0\0\0\1", b"\0\0\1")
            found.append((t, [unit for unit in data.split(b"\0\0\1") if unit]))
    return found


class Server:
    """Serves one client, once, on a port of its own."""

    def __init__(self, pictures: Sequence[tuple[float, np.ndarray]], speed: float = 1.0) -> None:
        self._units = nal_units(pictures)
        self._speed = speed
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(10)
            try:
                while self._answer(connection):
                    pass
                self._play(connection)
            except OSError:
                return  # the client has gone

    def _answer(self, connection: socket.socket) -> bool:
        """Answer a request; False when it was PLAY."""
        text = b""
        while b"\r\n\r\n" not in text:
            part = connection.recv(4096)
            if not part:
                raise OSError("closed")
            text += part
        method = text.split(b" ")[0].decode()
        number = next(line.split(b":")[1].strip() for line in text.split(b"\r\n") if line.lower().startswith(b"cseq"))
        headers, body = "", ""
        if method == "OPTIONS":
            headers = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = self._sdp()
            headers = f"Content-Base: rtsp://127.0.0.1:{self.port}/rack/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            headers = f"Session: 1\r\nRange: npt=0-\r\nRTP-Info: url=rtsp://127.0.0.1:{self.port}/rack/track1;seq=0;rtptime=0\r\n"
        reply = f"RTSP/1.0 200 OK\r\nCSeq: {number.decode()}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"
        connection.sendall(reply.encode())
        return method != "PLAY"

    def _sdp(self) -> str:
        sets = [unit for unit in self._units[0][1] if unit[0] & 31 in (7, 8)]
        sprop = ",".join(base64.b64encode(unit).decode() for unit in sets)
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=rack\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\nc=IN IP4 0.0.0.0\r\n"
            f"a=rtpmap:96 H264/{CLOCK}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sprop}\r\na=control:track1\r\n"
        )

    def _play(self, connection: socket.socket) -> None:
        sequence = 0
        begun = time.monotonic()
        for t, units in self._units:
            time.sleep(max(0.0, begun + t / self._speed - time.monotonic()))
            for place, unit in enumerate(units):
                for payload, last in fragments(unit):
                    marker = 0x80 if last and place == len(units) - 1 else 0
                    header = struct.pack("!BBHII", 0x80, 96 | marker, sequence & 0xFFFF, round(t * CLOCK), 7)
                    connection.sendall(struct.pack("!cBH", b"$", 0, 12 + len(payload)) + header + payload)
                    sequence += 1


def fragments(unit: bytes) -> list[tuple[bytes, bool]]:
    """A unit whole, or in fragments (FU-A)."""
    if len(unit) <= FRAGMENT:
        return [(unit, True)]
    indicator, kind, body = unit[0] & 0xE0 | 28, unit[0] & 0x1F, unit[1:]
    parts = [body[i : i + FRAGMENT] for i in range(0, len(body), FRAGMENT)]
    return [
        (
            bytes([indicator, kind | (0x80 if n == 0 else 0) | (0x40 if n == len(parts) - 1 else 0)]) + part,
            n == len(parts) - 1,
        )
        for n, part in enumerate(parts)
    ]
