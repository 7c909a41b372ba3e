"""The witness protocol over HTTP: a small server on the standard library, and the client that a log uses.

Rules:

- The server answers `POST /add-checkpoint` and nothing else. A request has a stated length under a limit, a connection
  that stays silent is dropped after `SILENCE_S_MAX`, and at most `CONNECTIONS_MAX` are served at once.
- The client believes a witness only as far as the cosignature verifies under the key we hold for it.

Not done here: TLS, and access from outside; put a reverse proxy in front, or listen on loopback.
"""

from __future__ import annotations

import http.client
import logging
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError, InspectorateError
from inspectorate.ledger.checkpoint import Checkpoint, parse_decimal
from inspectorate.ledger.note import Note, NoteSignature, VerifierKey
from inspectorate.ledger.witness import REQUEST_BYTES_MAX, Reply, Request, Witness

SILENCE_S_MAX = 10.0
CONNECTIONS_MAX = 32
REPLY_BYTES_MAX = 64 * 1024

_logger = logging.getLogger(__name__)


class WitnessServer(ThreadingHTTPServer):
    """Serves one witness. `serve_forever` answers until `shutdown`; `server_address` tells the port taken."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        """Listen on (host, port); port 0 takes a free one. Raises `EnvironmentError_`."""
        self.witness = witness
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        try:
            super().__init__(address, _Handler)
        except (OSError, OverflowError) as fault:
            raise EnvironmentError_(f"cannot listen: {fault}", where=f"{address[0]}:{address[1]}") from None

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _logger.warning("connection from %s failed", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    timeout = SILENCE_S_MAX

    def do_POST(self) -> None:
        length = parse_decimal(self.headers.get("Content-Length", ""))
        if length is None or length > REQUEST_BYTES_MAX or "Transfer-Encoding" in self.headers:
            self._answer(Reply(status=413 if length else 411, body="state a length within the limit\n"), keep=False)
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
        elif self.path != "/add-checkpoint":
            self._answer(Reply(status=404, body="unknown path\n"))
        else:
            self._answer(self._add_checkpoint(body))

    def _add_checkpoint(self, body: bytes) -> Reply:
        try:
            return self.server.witness.add_checkpoint(body)
        except InspectorateError as fault:
            _logger.error("cannot answer: %s", fault)
            return Reply(status=500, body="the witness cannot use its state\n")

    def _answer(self, reply: Reply, *, keep: bool = True) -> None:
        data = reply.body.encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(data)))
        if not keep:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        _logger.info(format, *args)


class Witnessed(Protocol):
    """What the client needs of a log; `Log` and `MemoryLog` both are."""

    def checkpoint(self) -> bytes: ...

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, kw_only=True)
class WitnessAddress:
    """Where a witness answers, and the key that its cosignatures must verify under."""

    url: str
    key: VerifierKey


def cosigned_checkpoint(
    log: Witnessed, witnesses: Sequence[WitnessAddress], *, post: Callable[[str, bytes], Reply] | None = None
) -> bytes:
    """The log's current checkpoint with a cosignature of every witness added.

    Raises `EvidenceError` where a witness refuses or its cosignature fails, `EnvironmentError_` where it is out of reach.
    """
    note = Note.parse(log.checkpoint(), where="checkpoint")
    size = Checkpoint.parse(note.text, where="checkpoint").size
    signatures = list(note.signatures)
    for witness in witnesses:
        signature = _cosignature(log, note, size=size, witness=witness, post=post or post_request)
        if (signature.name, signature.key_hash) not in [(s.name, s.key_hash) for s in signatures]:
            signatures.append(signature)
    return bytes(Note(text=note.text, signatures=tuple(signatures)))


def _cosignature(
    log: Witnessed, note: Note, *, size: int, witness: WitnessAddress, post: Callable[[str, bytes], Reply]
) -> NoteSignature:
    """Ask one witness: first as if it had never seen the log, then from the size that it answers.

    Twice more than needed, because another submission may come between.
    """
    old_size = 0
    for _ in range(4):
        proof = log.consistency(old_size, size)
        reply = post(witness.url, bytes(Request(old_size=old_size, proof=proof, checkpoint=bytes(note))))
        if reply.status == 200:
            return _verified_line(reply.body, note.text, witness)
        recorded = parse_decimal(reply.body.removesuffix("\n"))
        if reply.status != 409 or recorded is None or recorded == old_size or recorded > size:
            break
        old_size = recorded
    raise EvidenceError(
        f"the witness refuses to cosign size {size}: HTTP {reply.status}, {reply.body[:200].strip()!r}",
        where=witness.key.name,
        remedy="if it recorded a larger or another tree, the log was shrunk or forked",
    )


def _verified_line(body: str, text: str, witness: WitnessAddress) -> NoteSignature:
    """The witness's own cosignature among the lines of its reply. Raises `EvidenceError`."""
    where = witness.key.name
    lines = body.removesuffix("\n").split("\n")
    reply = Note(text=text, signatures=tuple(NoteSignature.parse(line, where=where) for line in lines))
    if not reply.signed_by(witness.key, where=where)[0]:
        raise EvidenceError("the reply has no cosignature of this witness's key", where=where)
    return next(s for s in reply.signatures if (s.name, s.key_hash) == (where, witness.key.key_hash))


def post_request(url: str, body: bytes) -> Reply:
    """POST to a witness's submission prefix. Raises `InputError` on an unusable URL, `EnvironmentError_`."""
    parts = urllib.parse.urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host:
        raise InputError("is not the http(s) URL of a witness", where=url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=SILENCE_S_MAX)
    try:
        connection.request("POST", parts.path.rstrip("/") + "/add-checkpoint", body)
        response = connection.getresponse()
        data = response.read(REPLY_BYTES_MAX)
        return Reply(status=response.status, body=data.decode("utf-8", errors="replace"))
    except (OSError, http.client.HTTPException) as fault:
        raise EnvironmentError_(f"cannot be reached: {fault}", where=url) from None
    finally:
        connection.close()
