"""Writes the transcript of a server: requests and answers by digest, gathered into packets.

    recorder = InferenceRecorder(folder, header, flop_per_token=2 * parameters)
    recorder.add(Served(prompt=tokens, answer=tokens, seed=7, batch_sizes=runs_of(sizes)))
    recorder.close()

Rules:

- Tokens are kept as little-endian 32-bit numbers, under the digest of these bytes; a proof of activations, as the bytes it has.
- A packet ends after `requests` requests, or with the first request after `seconds`. A request belongs to the packet in which it
  ended. A packet starts when its first request did, or when the packet before it ended; what lies before that is idle.
- Batch sizes are those of the forward passes that this request was part of, in order, from its prompt on: without them nobody can
  get the same bits again (arXiv 2606.00279).
- What cannot be recorded is counted by kind (`Missed`), and the counts are in the folder when the run is closed. A verifier who
  sees requests that no packet holds knows from them whether the prover said so.

The recorder may be called from many threads; one at a time writes.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from inspectorate.errors import InputError
from inspectorate.evidence import WorkKind
from inspectorate.mechanisms.inspection.transcripts.folder_writer import FolderWriter
from inspectorate.mechanisms.inspection.transcripts.types import (
    FORWARDS_MAX,
    REQUESTS_MAX,
    SALT_BYTES,
    InferenceContent,
    InferenceHeader,
    Packet,
    Request,
)

RUNS_MAX = 500_000
"""Runs of batch sizes after which a packet ends, so that its record stays readable."""


class Missed(StrEnum):
    """What was not recorded, or not wholly, and why."""

    UNREADABLE = "unreadable"
    """A request or an answer that is not of the known form. Not recorded."""
    TOO_LARGE = "too-large"
    """Not recorded."""
    NO_TOKENS = "no-tokens"
    """Neither the server nor a tokenizer gave the tokens of the prompt or the answer. Not recorded."""
    CUT = "cut"
    """The answer ended before its end: recorded as far as it was seen."""
    RETOKENISED = "retokenised"
    """Tokens are of the operator's tokenizer, not of the server: recorded."""
    UNSEEDED = "unseeded"
    """Drawn with a seed that only the server knows: recorded with 0."""
    NO_BATCH_SIZES = "no-batch-sizes"
    """Recorded without them."""
    COUNT_DIFFERS = "count-differs"
    """The server counts other than it names tokens: recorded as named."""
    FAILED = "failed"
    """The server answered with an error, or not at all. Nothing to record."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """One request and its answer."""

    prompt: Sequence[int]
    answer: Sequence[int]
    seed: int
    batch_sizes: tuple[tuple[int, int], ...] = ()
    proof: bytes | None = None
    start_ns: int | None = None
    """When it came; none: now."""


def token_bytes(tokens: Sequence[int]) -> bytes:
    """Tokens as their digests take them. Raises `InputError` where one is no number of a token."""
    try:
        array = np.asarray(tokens, dtype=np.int64).reshape(-1)
    except (OverflowError, TypeError, ValueError) as fault:
        raise InputError(f"tokens are no numbers: {fault}", where="tokens") from None
    if array.size and not 0 <= int(array.min()) <= int(array.max()) < 2**31:
        raise InputError("a token lies outside of 0 to 2^31 - 1", where="tokens")
    return array.astype("<u4").tobytes()


def tokens_of(data: bytes) -> tuple[int, ...]:
    """Back from `token_bytes`. Raises `InputError` on bytes that are no tokens."""
    if len(data) % 4:
        raise InputError("is no list of 32-bit numbers", where="tokens")
    return tuple(np.frombuffer(data, dtype="<u4").tolist())


def runs_of(sizes: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Batch sizes of forward passes in order, as (size, how many in a row)."""
    runs: list[list[int]] = []
    for size in sizes:
        if runs and runs[-1][0] == size:
            runs[-1][1] += 1
        else:
            runs.append([size, 1])
    return tuple((size, count) for size, count in runs)


@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """When a packet ends, and what tests set. `durable=False` leaves out every fsync."""

    requests: int = 100
    seconds: float = 60.0
    durable: bool = True
    resume: bool = False
    clock: Callable[[], int] = time.time_ns
    salts: Callable[[int], bytes] = secrets.token_bytes


class InferenceRecorder:
    """Records what a server answered; see the top of this module."""

    def __init__(
        self, folder: Path, header: InferenceHeader, *, flop_per_token: float, options: InferenceOptions | None = None
    ) -> None:
        self._options = options or InferenceOptions()
        if not 1 <= self._options.requests <= REQUESTS_MAX:
            raise InputError(f"a packet holds 1 to {REQUESTS_MAX} requests", where="recorder")
        begin = FolderWriter.resume if self._options.resume else FolderWriter.create
        self._writer = begin(folder, header, durable=self._options.durable)
        self._flop_per_token = flop_per_token
        self._lock = threading.Lock()
        self._missed: Counter[str] = Counter()
        self._requests: list[Request] = []
        self._end_ns = self._writer.end_ns
        self._start_ns: int | None = None
        self._closed = False
        self._runs = 0

    @property
    def missed(self) -> dict[str, int]:
        """What was not recorded, or not wholly, by kind."""
        with self._lock:
            return dict(self._missed)

    def now(self) -> int:
        """The time, as this recorder has it."""
        return self._options.clock()

    def miss(self, kind: Missed) -> None:
        """Count something that could not be recorded."""
        with self._lock:
            self._missed[kind.value] += 1

    def add(self, served: Served) -> None:
        """Record one request. Raises `InputError` on numbers that are none, `EnvironmentError_` of the disk."""
        prompt, answer = token_bytes(served.prompt), token_bytes(served.answer)
        now = self._options.clock()
        with self._lock:
            if self._closed:
                raise InputError("the recorder is closed", where=str(self._writer.path))
            proof = None if served.proof is None else self._writer.add_bytes(served.proof)
            fields = {
                "prompt": self._writer.add_bytes(prompt),
                "answer": self._writer.add_bytes(answer),
                "prompt_tokens": len(prompt) // 4,
                "answer_tokens": len(answer) // 4,
                "seed": served.seed,
                "batch_sizes": served.batch_sizes,
                "proof": proof,
            }
            request = Request.parse(fields, where="request", error=InputError)
            if sum(count for _, count in served.batch_sizes) > FORWARDS_MAX:
                raise InputError(f"more than {FORWARDS_MAX} forward passes", where="request")
            if not served.batch_sizes:
                self._missed[Missed.NO_BATCH_SIZES.value] += 1
            start = max(self._end_ns, min(now, now if served.start_ns is None else served.start_ns))
            self._start_ns = start if self._start_ns is None else min(self._start_ns, start)
            self._requests.append(request)
            self._runs += len(request.batch_sizes)
            full = len(self._requests) >= self._options.requests or self._runs >= RUNS_MAX
            if full or now - self._start_ns >= self._options.seconds * 1e9:
                self._end_packet(now)

    def end_packet(self) -> None:
        """End the packet here, if it holds a request."""
        with self._lock:
            self._end_packet(self._options.clock())

    def close(self) -> None:
        """End the last packet and close the run. What comes later is refused."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._end_packet(self._options.clock())
                self._writer.close(self._missed)

    def _end_packet(self, now: int) -> None:
        if not self._requests or self._start_ns is None:
            return
        tokens = sum(one.prompt_tokens + one.answer_tokens for one in self._requests)
        end_ns = max(now, self._start_ns + 1)
        self._writer.add_packet(
            Packet(
                number=self._writer.packets,
                start_ns=self._start_ns,
                end_ns=end_ns,
                flop=tokens * self._flop_per_token,
                salt=self._options.salts(SALT_BYTES).hex(),
                content=InferenceContent(work=WorkKind.INFERENCE, requests=tuple(self._requests)),
            )
        )
        self._end_ns, self._start_ns, self._requests, self._runs = end_ns, None, [], 0
