"""Requests as bytes on a socket, and answers as they came: what a browser would never send, and all that a server says."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BOUNDARY = b"----WebKitFormBoundaryAbCdEfGh01234567"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"


@dataclass(frozen=True)
class Came:
    """One answer: all bytes until the server closed."""

    data: bytes

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1]) if self.data else 0

    @property
    def head(self) -> dict[str, str]:
        lines = self.data.split(b"\r\n\r\n", 1)[0].decode("ascii").split("\r\n")[1:]
        return {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}

    @property
    def page(self) -> str:
        return self.data.split(b"\r\n\r\n", 1)[1].decode()


def ask(path: Path, *pieces: bytes, half_close: bool = False, timeout_s: float = 10.0) -> Came:
    """Send pieces one after the other until an answer comes, and read until the other side closes, in whatever way."""
    return ask_slowly(path, pieces, half_close=half_close, timeout_s=timeout_s)


def ask_slowly(path: Path, pieces: Iterable[bytes], *, half_close: bool = False, timeout_s: float = 10.0) -> Came:
    """The same, of pieces that may take their time."""
    came = bytearray()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        try:
            for piece in pieces:
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while data := connection.recv(65_536):
                came += data
        except ConnectionResetError:
            pass
    return Came(bytes(came))


def head(method: str, target: str, *lines: str, host: str = "localhost") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", ""]).encode("latin-1")


def get(target: str, *lines: str) -> bytes:
    return head("GET", target, *lines)


def post(target: str, body: bytes, content_type: str, *lines: str) -> bytes:
    return head("POST", target, f"Content-Type: {content_type}", f"Content-Length: {len(body)}", *lines) + body


def part(name: str, value: bytes, *, filename: str | None = None, kind: str = "") -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    lines = [f'Content-Disposition: form-data; name="{name}"{named}', *([f"Content-Type: {kind}"] if kind else [])]
    return b"--" + BOUNDARY + b"\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + value + b"\r\n"


def form(texts: Mapping[str, str], files: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """As a browser sends it; without a file, with the empty part of an input in which nothing was chosen."""
    parts = [part(name, text.encode()) for name, text in texts.items()]
    given = [part("files", data, filename=name, kind="application/octet-stream") for name, data in files]
    return b"".join([*parts, *(given or [part("files", b"", filename="", kind="application/octet-stream")])]) + ending()


def ending() -> bytes:
    return b"--" + BOUNDARY + b"--\r\n"


def report(
    texts: Mapping[str, str], files: Sequence[tuple[str, bytes]] = (), *lines: str, to: str = "/en/report"
) -> bytes:
    return post(to, form(texts, files), FORM, *lines)
