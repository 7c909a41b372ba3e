"""The client of inference in a trial: asks one request after another, or at the times of a plan, and times each.

Phases are those of `work_trial`. Between segments the pod computes some answers without sending them: calibration.
With `gaps` in the orders, a request is sent so many seconds after the one before, whether that was answered or not;
without, when that was answered.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path

from inspectorate.lab.trial_frames import Kind, parse_tokens, prompt_frames
from inspectorate.lab.work_io import corpus, emit
from inspectorate.lab.work_trial import Orders, connect, orders, wait_for_file
from inspectorate.lab.work_trial_serve import CALIBRATE, SECONDS

ANSWER_LIMIT_S = 300.0


class Client:
    """One connection to the pod."""

    def __init__(self, asked: Orders) -> None:
        self._trial = asked.trial
        self._socket = connect(asked.addresses[0], asked.port)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(None)
        self._text = corpus()
        self._number = 0
        self.answered: queue.Queue[tuple[int, bytes, float, float]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, *, calibrate: bool = False) -> int:
        """Send a request; returns its number."""
        self._number = (self._number + 1) % CALIBRATE
        number = CALIBRATE if calibrate else self._number
        size = self._trial.prompt_tokens
        at = self._number * 7919 % (len(self._text) - size)
        self._socket.sendall(prompt_frames(number, self._text[at : at + size]))
        return number

    def _read(self) -> None:
        """Put each whole answer in the queue, with the times of its first and last frame."""
        buffer, answers, firsts = bytearray(), dict[int, bytes](), dict[int, float]()
        while part := self._socket.recv(65536):
            now_s = time.monotonic()
            buffer += part
            for frame in parse_tokens(buffer):
                firsts.setdefault(frame.request, now_s)
                answer = answers.pop(frame.request, b"") + frame.tokens
                if frame.kind is Kind.END:
                    self.answered.put((frame.request, answer, firsts.pop(frame.request), now_s))
                else:
                    answers[frame.request] = answer

    def calibrate(self, count: int) -> list[dict[str, float]]:
        found = []
        for _ in range(count):
            self.ask(calibrate=True)
            _, answer, _, _ = self.answered.get(timeout=ANSWER_LIMIT_S)
            found.append({"compute": SECONDS.unpack(answer)[0]})
        return found


def measure(client: Client, asked: Orders, segment: int, gaps: list[float]) -> None:
    """Send the requests of a segment and report each."""
    steps = asked.segments[segment][0]
    sent: dict[int, float] = {}
    began = time.monotonic()
    due_s = began
    for index in range(steps):
        if gaps:
            due_s += gaps[index % len(gaps)]
            time.sleep(max(0.0, due_s - time.monotonic()))
        at_s = time.monotonic()
        sent[client.ask()] = at_s
        if not gaps:
            _report(client, asked, segment, sent)
    while sent:
        _report(client, asked, segment, sent)
    emit("measured", segment=segment, drained_s=None, cpu_s=0.0, whole_s=time.monotonic() - began)


def _report(client: Client, asked: Orders, segment: int, sent: dict[int, float]) -> None:
    number, answer, first_s, last_s = client.answered.get(timeout=ANSWER_LIMIT_S)
    if len(answer) != asked.trial.answer_tokens:
        raise ValueError(f"an answer of {len(answer)} tokens, not {asked.trial.answer_tokens}")
    at_s = sent.pop(number)
    emit(
        "step",
        segment=segment,
        seconds=last_s - at_s,
        waiting_s=None,
        loss=None,
        first_s=first_s - at_s,
        request=number,
        asked_s=at_s,
        last_s=last_s,
    )


def main() -> None:
    asked = orders()
    gaps = json.loads(Path(sys.argv[1]).read_text()).get("gaps", [])
    client = Client(asked)
    emit("ready", rank=1, pid=os.getpid())
    for number in range(len(asked.segments)):
        emit("calibrated", segment=number, single=client.calibrate(asked.calibrations))
        wait_for_file(asked.folder / f"go-{number}")
        measure(client, asked, number, gaps)
        wait_for_file(asked.folder / f"done-{number}")
    emit("calibrated", segment=len(asked.segments), single=client.calibrate(asked.calibrations))
    emit("done")


if __name__ == "__main__":
    main()
