"""The socket by which an operator hands documents to a running processor and asks for its status.

One line of JSON each way, then the connection ends. What comes in is judged by the machine like anything else: the socket is a
channel and no authority, so whoever can write to it can at most hand in what others signed, halt, or ask. What goes out stays on
the machine: the outlet is elsewhere.

    {"do": "status"}                          -> {"ok": true, "status": {...}}
    {"do": "install", "document": BASE64}     -> {"ok": false, "refusals": [{"kind": ..., "why": ...}]}
    {"do": "apply",   "document": BASE64}
    {"do": "resume",  "document": BASE64}
    {"do": "challenge", "nonce": HEX}
    {"do": "halt", "why": TEXT}
    {"do": "quote", "nonce": HEX}             -> {"ok": true, "quote": BASE64}
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from inspectorate.canonical import canonical_bytes, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.dsse import strict_base64
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX

LINE_BYTES_MAX = 2 * DOCUMENT_BYTES_MAX
ANSWER_S = 30.0
IDLE_S = 10.0

Answer = dict[str, object]
Handler = Callable[[Mapping[str, object]], Awaitable[Answer]]


@contextlib.asynccontextmanager
async def listening(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Answer on the socket until the block ends. Raises `EnvironmentError_` if it cannot be made."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(IDLE_S):
                line = await reader.readline()
            told = await handler(_request(line))
        except (EvidenceError, InputError, EnvironmentError_) as fault:
            told = {"ok": False, "error": str(fault)}
        except (TimeoutError, ValueError, ConnectionError):
            told = {"ok": False, "error": "no line of JSON came"}
        with contextlib.suppress(ConnectionError):
            writer.write(canonical_bytes(told) + b"\n")
            await writer.drain()
        writer.close()

    try:
        if path.exists() and not path.is_socket():
            raise EnvironmentError_("is there, and is no socket", where=str(path), remedy="name another place")
        path.unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(answer, path=str(path), limit=LINE_BYTES_MAX)
        finally:
            os.umask(mask)
    except OSError as fault:
        raise EnvironmentError_(f"cannot listen for orders: {fault.strerror or fault}", where=str(path)) from None
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _request(line: bytes) -> Mapping[str, object]:
    value = parse_json(line, where="order")
    if not isinstance(value, dict) or not isinstance(value.get("do"), str):
        raise InputError("an order needs a word under `do`", where="order")
    return value


def document_of(request: Mapping[str, object]) -> bytes:
    """The bytes of the document that a request carries. Raises `InputError`."""
    try:
        return strict_base64(request.get("document"))
    except (TypeError, ValueError) as fault:
        raise InputError(f"carries no document: {fault}", where="order") from None


def ask(path: Path, **request: object) -> Answer:
    """Send one order to a running processor. Raises `EnvironmentError_` if none listens, or answers."""
    given = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in request.items()
    }
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_S)
            line.connect(str(path))
            line.sendall(canonical_bytes(given) + b"\n")
            with line.makefile("rb") as file:
                data = file.read(LINE_BYTES_MAX)
    except OSError as fault:
        raise EnvironmentError_(
            f"no guarantee processor answers: {fault.strerror or fault}",
            where=str(path),
            remedy="start it with `inspectorate guard run`",
        ) from None
    try:
        value = json.loads(data)
    except ValueError:
        raise EnvironmentError_("its answer is no JSON", where=str(path)) from None
    if not isinstance(value, dict):
        raise EnvironmentError_("its answer is no object", where=str(path))
    return value
