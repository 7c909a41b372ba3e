"""The process that runs answers again, started by `replay.InferenceReplayer`: closes itself in, then reads its job, then runs
packets.

Standard input: a `ReplayJob`. Standard output: one `Ready`, then one `PacketResult` a line, each as soon as it is known.

Compiled kernels are loaded before it closes itself in: afterwards nothing can be written, so nothing can be compiled and kept.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspectorate.apart import enclose, say
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.evidence.inspected import ReplayMethod
from inspectorate.mechanisms.inspection.results import PacketResult
from inspectorate.mechanisms.inspection.tokens import judge, toploc
from inspectorate.mechanisms.inspection.tokens.decoder import (
    Decoder,
    Forward,
    TooLarge,
    forward_at_once,
    forward_by_steps,
)
from inspectorate.mechanisms.inspection.tokens.exact import batches_of
from inspectorate.mechanisms.inspection.tokens.philox import gumbel
from inspectorate.mechanisms.inspection.tokens.reference import TOKENS_MAX
from inspectorate.mechanisms.inspection.tokens.replay import REASON_MAX, Ready, ReplayJob, not_run
from inspectorate.mechanisms.inspection.tokens.sampling import I64
from inspectorate.mechanisms.inspection.tokens.weights import read_model
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader
from inspectorate.mechanisms.inspection.transcripts.types import InferenceContent, Packet, Request

INPUT_BYTES_MAX = 1 << 30


class CannotRun(Exception):
    """A request that cannot be run again, and why."""


@dataclass(frozen=True)
class Bench:
    """What all packets are run with."""

    decoder: Decoder
    content: FolderReader
    rules: judge.Rules
    system: I64
    flop_max: float


def main() -> int:
    """Run what standard input asks for."""
    _load_kernels()
    closed = enclose(sys.argv[1])
    job = ReplayJob.model_validate(json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX)))
    try:
        bench = _bench(job)
    except InspectorateError as fault:
        say(Ready(closed=closed, problem=str(fault)[:REASON_MAX]).canonical_bytes())
        return 1
    except MemoryError:
        say(Ready(closed=closed, problem="the model takes more memory than is allowed").canonical_bytes())
        return 1
    say(Ready(closed=closed).canonical_bytes())
    for packet in job.packets:
        say(run_packet(bench, packet).canonical_bytes())
    return 0


def _load_kernels() -> None:
    settings = toploc.ProofSettings(topk=2, skip_prefill=True)
    chunk = np.arange(1, 9, dtype=np.uint16)
    toploc.verify_proof(toploc.build_proof(chunk, settings), chunk, settings)
    gumbel(np.zeros((1, 1), np.int64), np.zeros(1, np.int64), 0)


def _bench(job: ReplayJob) -> Bench:
    model = read_model(Path(job.model), digest=job.header.model)
    decoder = Decoder(model, precision=job.precision)
    content = FolderReader(Path(job.folder))
    vocabulary = model.shape.vocab_size
    rules = judge.Rules.of(job.header, method=job.method, tolerance=job.tolerance, vocabulary=vocabulary)
    system = np.empty(0, np.int64)
    if job.header.system_prompt is not None:
        system = tokens_of(content.read_bytes(job.header.system_prompt), vocabulary, where="system prompt")
    return Bench(decoder, content, rules, system, job.flop_max)


def tokens_of(data: bytes, vocabulary: int, *, where: str) -> I64:
    """Tokens as content holds them: little-endian 32-bit numbers. Raises `EvidenceError`."""
    if len(data) % 4 or len(data) > 4 * TOKENS_MAX:
        raise EvidenceError(f"{len(data)} bytes are no tokens, or more than {TOKENS_MAX}", where=where)
    found = np.frombuffer(data, dtype="<u4").astype(np.int64)
    if found.size and int(found.max()) >= vocabulary:
        raise EvidenceError(f"holds a token beyond the vocabulary of {vocabulary}", where=where)
    return found


def run_packet(bench: Bench, packet: Packet) -> PacketResult:
    """One packet again. Never raises on what it holds."""
    assert isinstance(packet.content, InferenceContent)
    scores, spent = judge.Scores(), Spent()
    try:
        for number, request in enumerate(packet.content.requests):
            _run_request(bench, request, scores, spent, where=f"request {number}")
    except CannotRun as why:
        return not_run(packet.number, str(why))
    except TooLarge as why:
        return not_run(packet.number, str(why))
    except MemoryError:
        return not_run(packet.number, "takes more memory than is allowed")
    found = judge.conclude(scores, bench.rules, answers=len(packet.content.requests))
    return PacketResult(
        packet=packet.number,
        outcome=found.outcome,
        reason=found.reason[:REASON_MAX],
        distance=found.distance,
        flop_counted=spent.flop,
        replayed_s=spent.seconds,
        tokens=scores.count,
        covert_bits_per_token=found.covert_bits_per_token,
    )


@dataclass
class Spent:
    """What a packet took. Rows that were copied, so that passes have their size, are work of this process and not of the packet."""

    flop: float = 0.0
    seconds: float = 0.0
    """Of processor time, each request's share of its passes."""
    flop_here: float = 0.0
    """With all copies: what is limited."""


def _run_request(bench: Bench, request: Request, scores: judge.Scores, spent: Spent, *, where: str) -> None:
    """Compare one request. Raises `CannotRun`, `TooLarge`."""
    asked = _read(bench, request, scores, where)
    if asked is None:
        return
    shape = bench.decoder.shape
    count = len(asked.prompt) + len(asked.answer) - 1
    exact = bench.rules.method is ReplayMethod.EXACT
    batches = batches_of(request) if exact else None
    if exact and batches is None:
        raise CannotRun(f"{where}: there is not one batch size for each pass")
    rows = max(batches) if batches else 1
    flop = shape.flop(count)
    left = bench.flop_max - spent.flop_here
    if rows * flop > left:
        raise CannotRun(f"{where}: takes {rows * flop:.3g} FLOP, and {left:.3g} are left of what is allowed")
    started = time.process_time()
    forward = _forward(bench, asked, batches)
    spent.seconds += (time.process_time() - started) / rows
    spent.flop += flop
    spent.flop_here += rows * flop
    if not np.isfinite(forward.logits).all():
        raise CannotRun(f"{where}: the declared model gives numbers that are not finite")
    try:
        judge.add_request(scores, asked, forward, bench.rules)
    except EvidenceError as fault:
        scores.problem = scores.problem or f"{where}: {fault}"
    except ValueError as fault:
        raise CannotRun(f"{where}: {fault}") from None


def _forward(bench: Bench, asked: judge.Answered, batches: list[int] | None) -> Forward:
    with np.errstate(all="ignore"):
        if batches is None:
            return forward_at_once(bench.decoder, asked.prompt, asked.answer)
        return forward_by_steps(bench.decoder, asked.prompt, asked.answer, batches)


def _read(bench: Bench, request: Request, scores: judge.Scores, where: str) -> judge.Answered | None:
    """Content of one request; none where what was committed to is no answer of this model, which is noted."""
    try:
        prompt_bytes = bench.content.read_bytes(request.prompt)
        answer_bytes = bench.content.read_bytes(request.answer)
        proof = None if request.proof is None else bench.content.read_bytes(request.proof)
    except InspectorateError as fault:
        raise CannotRun(f"{where}: {fault}") from None
    vocabulary = bench.decoder.shape.vocab_size
    try:
        prompt = tokens_of(prompt_bytes, vocabulary, where="prompt")
        answer = tokens_of(answer_bytes, vocabulary, where="answer")
    except EvidenceError as fault:
        scores.problem = scores.problem or f"{where}: {fault}"
        return None
    if (len(prompt), len(answer)) != (request.prompt_tokens, request.answer_tokens):
        scores.problem = scores.problem or f"{where}: tokens are not as many as the packet states"
        return None
    if bench.rules.seed_rule == judge.SEED_FROM_PROMPT and request.seed != judge.seed_from_prompt(prompt_bytes):
        scores.problem = scores.problem or f"{where}: the seed is not the one that the prompt gives"
        return None
    if not len(answer) or not len(prompt):
        raise CannotRun(f"{where}: an answer without tokens shows nothing")
    if len(bench.system) + len(prompt) + len(answer) > TOKENS_MAX:
        raise CannotRun(f"{where}: has more than {TOKENS_MAX} tokens")
    return judge.Answered(prompt=np.concatenate([bench.system, prompt]), answer=answer, seed=request.seed, proof=proof)


if __name__ == "__main__":
    raise SystemExit(main())
