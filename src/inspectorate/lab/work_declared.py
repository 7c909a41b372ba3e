"""The inference service of a guarded pod: the bench's model from a safetensors file, answering as its declaration says.

Tokens are drawn by noise that follows from the request (`graph.noise`), so that whoever has request, weights and declared graph can
compute the answer again. Otherwise it speaks as `work_serve` does. It opens no file but the weights, and needs no rights.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import argparse
import json
import threading
import uuid
from http.server import ThreadingHTTPServer
from pathlib import Path

import torch
from safetensors.torch import load_file

from inspectorate.lab import work_lm as lm
from inspectorate.lab import work_serve
from inspectorate.lab.guard_model import TEMPERATURE, TOP_K
from inspectorate.lab.work_io import emit
from inspectorate.mechanisms.guarantee.graph.noise import seed_of, seeded_choice


class Service(work_serve.Service):
    """One declared model."""

    def __init__(self, port: int, model: lm.ByteModel) -> None:
        ThreadingHTTPServer.__init__(self, ("::", port), Handler)
        self.model = model
        self.turn = threading.Lock()


class Handler(work_serve.Handler):
    """One request."""

    body = b""

    def _read(self) -> tuple[bytes, int]:
        size = int(self.headers["Content-Length"])
        if self.path != "/v1/completions" or not 0 < size <= work_serve.BODY_BYTES_MAX:
            raise ValueError("unknown path or size")
        self.body = self.rfile.read(size)
        asked = json.loads(self.body)
        prompt, count = asked["prompt"].encode(), int(asked["max_tokens"])
        if not prompt or not 0 < count <= work_serve.TOKENS_MAX:
            raise ValueError("empty prompt or too many tokens")
        return prompt, count

    def _stream(self, prompt: bytes, count: int) -> None:
        context = prompt[-lm.CONTEXT :]
        seed = seed_of(self.body)
        name = f"cmpl-{uuid.uuid4().hex[:24]}"
        for index in range(count):
            with self.server.turn, torch.no_grad():
                scores = self.server.model(torch.tensor([list(context)], dtype=torch.int64))[0, -1]
                token = seeded_choice(scores.double().numpy(), seed, index, temperature=TEMPERATURE, top_k=TOP_K)
            context = (context + bytes([token]))[-lm.CONTEXT :]
            finish = "length" if index == count - 1 else None
            choice = {"index": 0, "text": chr(token), "logprobs": None, "finish_reason": finish}
            event = {"id": name, "object": "text_completion", "model": "byte-lm", "choices": [choice]}
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    model = lm.build(0)
    model.load_state_dict(load_file(args.weights))
    service = Service(args.port, model.eval())
    emit("ready", port=args.port)
    service.serve_forever()


if __name__ == "__main__":
    main()
