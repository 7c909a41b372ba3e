"""Inference in a trial: a pod answers its clients in frames of tokens, over one connection that is kept.

Requests are answered one after another in the order in which they came. A request whose number is `CALIBRATE` is
computed and not sent: its answer is eight bytes, the seconds that computing took, so that the speed of the machine is
measured between requests and without the link.

The weights are those of the seed, untrained: what is said is noise, and takes as many bytes as sense would.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

import os
import queue
import socket
import struct
import threading
import time

import torch

from inspectorate.lab import work_lm as lm
from inspectorate.lab.trial import Trial
from inspectorate.lab.trial_frames import Kind, TokenFrame, parse_tokens
from inspectorate.lab.work_io import emit
from inspectorate.lab.work_trial import CONNECT_LIMIT_S, Orders, orders

CALIBRATE = 0xFFFF
SECONDS = struct.Struct("!d")
Asked = tuple[int, bytes, float]
"""Number, prompt, and when it was whole (seconds of the clock that all programs of a machine share)."""


class Pod:
    """The model and how it answers."""

    def __init__(self, trial: Trial, seed: int) -> None:
        self._trial = trial
        self._model = lm.build(seed, shape=trial.shape).eval()
        self._generator = torch.Generator().manual_seed(seed)

    def answer(self, request: int, prompt: bytes, connection: socket.socket | None) -> float:
        """Generate an answer, sending it as it comes; returns the seconds it took."""
        began = time.monotonic()
        context, ready = prompt, b""
        for index in range(self._trial.answer_tokens):
            token = bytes([lm.next_byte(self._model, context, self._generator)])
            context, ready = (context + token)[-self._trial.shape.context :], ready + token
            last = index == self._trial.answer_tokens - 1
            if last or len(ready) == self._trial.tokens_per_frame:
                frame = TokenFrame(request=request, kind=Kind.END if last else Kind.TOKENS, tokens=ready)
                if connection is not None:
                    connection.sendall(frame.to_bytes())
                ready = b""
        return time.monotonic() - began


def read_requests(connection: socket.socket, waiting: queue.Queue[Asked | None]) -> None:
    """Put whole requests in the queue until the client leaves."""
    buffer, prompts = bytearray(), dict[int, bytes]()
    while part := connection.recv(65536):
        buffer += part
        for frame in parse_tokens(buffer):
            prompt = prompts.pop(frame.request, b"") + frame.tokens
            if frame.kind is Kind.ASK:
                waiting.put((frame.request, prompt, time.monotonic()))
            else:
                prompts[frame.request] = prompt
    waiting.put(None)


def serve(asked: Orders) -> None:
    pod = Pod(asked.trial, asked.seed)
    pod.answer(0, b" ", None)
    with socket.create_server(("", asked.port)) as server:
        server.settimeout(CONNECT_LIMIT_S)
        emit("ready", rank=0, pid=os.getpid())
        connection = server.accept()[0]
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    waiting: queue.Queue[Asked | None] = queue.Queue()
    threading.Thread(target=read_requests, args=(connection, waiting), daemon=True).start()
    while (asked_for := waiting.get()) is not None:
        request, prompt, received_s = asked_for
        if request == CALIBRATE:
            seconds = pod.answer(request, prompt, None)
            connection.sendall(TokenFrame(request=request, kind=Kind.END, tokens=SECONDS.pack(seconds)).to_bytes())
            continue
        pod.answer(request, prompt, connection)
        emit("answered", request=request, received_s=received_s, handed_s=time.monotonic())
    emit("done")


def main() -> None:
    serve(orders())


if __name__ == "__main__":
    main()
