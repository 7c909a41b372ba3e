"""The inference service of a pod: completions over HTTP, streamed token by token as server-sent events.

`POST /v1/completions {"prompt": TEXT, "max_tokens": N}` answers with one event per token in the shape that public
completion services use, then `data: [DONE]`. One core: requests take turns token by token.

Limits: a body of 64 KiB, 512 tokens, 30 s for a slow client. Anything else is answered with 400 and a reason.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import json
import socket
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import torch

from inspectorate.lab import work_lm as lm
from inspectorate.lab.work_io import emit

BODY_BYTES_MAX = 64 * 1024
TOKENS_MAX = 512


class Service(ThreadingHTTPServer):
    """One model, served to many clients over IPv4 and IPv6."""

    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, model: lm.ByteModel, seed: int) -> None:
        super().__init__(("::", port), Handler)
        self.model = model
        self.turn = threading.Lock()
        self.generator = torch.Generator().manual_seed(seed)

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout = 30
    disable_nagle_algorithm = True
    server: Service

    def do_POST(self) -> None:
        """Answer a completion request."""
        try:
            prompt, count = self._read()
        except (ValueError, KeyError, TypeError) as fault:
            self.send_error(400, f"bad request: {type(fault).__name__}")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        started = time.monotonic()
        try:
            self._stream(prompt, count)
        except OSError as fault:
            emit("client-gone", reason=str(fault))
            return
        emit("served", tokens=count, seconds=round(time.monotonic() - started, 3))

    def _read(self) -> tuple[bytes, int]:
        size = int(self.headers["Content-Length"])
        if self.path != "/v1/completions" or not 0 < size <= BODY_BYTES_MAX:
            raise ValueError("unknown path or size")
        asked = json.loads(self.rfile.read(size))
        prompt, count = asked["prompt"].encode(), int(asked["max_tokens"])
        if not prompt or not 0 < count <= TOKENS_MAX:
            raise ValueError("empty prompt or too many tokens")
        return prompt, count

    def _stream(self, prompt: bytes, count: int) -> None:
        context = prompt[-lm.CONTEXT :]
        name = f"cmpl-{uuid.uuid4().hex[:24]}"
        for index in range(count):
            with self.server.turn:
                token = lm.next_byte(self.server.model, context, self.server.generator)
            context = (context + bytes([token]))[-lm.CONTEXT :]
            choice = {
                "index": 0,
                "text": chr(token),
                "logprobs": None,
                "finish_reason": "length" if index == count - 1 else None,
            }
            event = {
                "id": name,
                "object": "text_completion",
                "created": int(time.time()),
                "model": "byte-lm",
                "choices": [choice],
            }
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are logged as JSON lines instead."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    service = Service(args.port, lm.build(args.seed, args.weights).eval(), args.seed)
    emit("ready", port=args.port)
    service.serve_forever()


if __name__ == "__main__":
    main()
