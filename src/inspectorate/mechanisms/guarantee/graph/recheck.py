"""Recomputing what the interlock kept: one sample by itself (`recheck`), or several in a process of its own (`recheck_apart`).

The process that recomputes reads content that clients and the server chose, so it is not the one that guards:

- it has limits on memory, processor time, files and the size of what it writes, which it sets before it reads anything, and the
  caller ends it when its time is up;
- what it says is read back as data, for the samples that were asked, once each;
- where it dies, the sample at hand is `CANNOT_TELL`, and the others go on in a new process.

`CANNOT_TELL` is not "consistent": a server whose samples cannot be recomputed is not being checked, and the caller counts that.
Places are drawn from answers that are longer than `places_max`, by a seed that was drawn after the answer was given.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field

from inspectorate.canonical import Digest, Record, Text, parse_json
from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.guarantee.graph.answers import Checking, check_answer
from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator
from inspectorate.mechanisms.guarantee.graph.noise import seed_of
from inspectorate.mechanisms.guarantee.graph.reference import SAMPLES_MAX, TOKENS_MAX
from inspectorate.mechanisms.guarantee.graph.transcript import Malformed, Transcript, transcript_of
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Outcome
from inspectorate.mechanisms.guarantee.graph.weights import Weights
from inspectorate.quantities import NonNegative, Positive

WORKER = "inspectorate.mechanisms.guarantee.graph.worker"
OUTPUT_BYTES_MAX = 1 << 22
DRAW_BYTES = 32
WALL = 4.0
"""A process waits for its share of a busy machine; it is ended all the same."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request and its answer, as the content that passed."""

    number: int
    request: bytes
    answer: bytes


class Bounds(Record):
    """What recomputing may take."""

    seconds: Positive = 60.0
    """Of processor time for one process; `WALL` times as long on the wall."""
    memory_bytes: Annotated[int, Field(ge=1 << 28, le=1 << 44)] = 4 << 30
    flop_max: Positive = 1e13
    """Of one sample."""
    places_max: Annotated[int, Field(ge=1, le=TOKENS_MAX)] = 512
    """Answered tokens that are looked at in one sample."""


class Rechecked(Record):
    """What became of one sample."""

    number: int
    outcome: Outcome
    reason: Text
    where: int | None = None
    """The first token of the answer that the graph cannot have given."""
    tokens: Annotated[int, Field(ge=0)] = 0
    checked: Annotated[int, Field(ge=0)] = 0
    margin: NonNegative | None = None
    log_e: float | None = None
    covert_bits: NonNegative = 0.0


class Job(Record):
    """What is recomputed with: files, tolerance, bounds, and the seed that places are drawn by."""

    graph: str
    graph_digest: Digest
    weights: str
    content: Digest
    spread_max: NonNegative
    draw: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bounds: Bounds = Bounds()

    @classmethod
    def of(cls, graph: Graph, paths: tuple[Path, Path], content: str, *, spread_max: float, draw: bytes) -> Self:
        """For a graph, the paths of its file and of its weights, and the digest of the weights that the ruleset lists."""
        return cls(
            graph=str(paths[0]),
            graph_digest=graph.digest,
            weights=str(paths[1]),
            content=content,
            spread_max=spread_max,
            draw=draw.hex(),
        )


def recheck(
    sample: Sample, graph: Graph, weights: Weights | Evaluator, *, spread_max: float, draw: bytes, bounds: Bounds
) -> Rechecked:
    """Recompute one sample: pure, and never raises on what the sample holds."""
    evaluator = weights if isinstance(weights, Evaluator) else Evaluator(graph, weights)
    try:
        spoken = transcript_of(sample.request, sample.answer)
    except Malformed as fault:
        return Rechecked(number=sample.number, outcome=Outcome.DIFFERS, reason=f"answer: {fault.problem}"[:500])
    except EvidenceError as fault:
        return Rechecked(number=sample.number, outcome=Outcome.CANNOT_TELL, reason=f"request: {fault.problem}"[:500])
    if (problem := _unfit(sample, spoken, evaluator, bounds)) is not None:
        return problem
    seeded = evaluator.serving.sampling.choice is Choice.SEEDED
    checking = Checking(
        spread_max=spread_max,
        seed=seed_of(sample.request) if seeded else None,
        places=drawn_places(len(spoken.answer), bounds.places_max, draw, sample.number),
    )
    found = check_answer(graph, evaluator, spoken.prompt, spoken.answer, checking=checking)
    return Rechecked(
        number=sample.number,
        outcome=found.outcome,
        reason=found.reason,
        where=found.where,
        tokens=len(spoken.answer),
        checked=found.checked,
        margin=found.margin,
        log_e=found.log_e,
        covert_bits=found.covert_bits,
    )


def _unfit(sample: Sample, spoken: Transcript, evaluator: Evaluator, bounds: Bounds) -> Rechecked | None:
    """What needs no recomputation, or is too much for it."""
    count = len(spoken.answer)
    if spoken.asked_max is not None and count > spoken.asked_max:
        reason = f"{count} tokens were answered, and {spoken.asked_max} asked for"
        return Rechecked(
            number=sample.number, outcome=Outcome.DIFFERS, reason=reason, where=spoken.asked_max, tokens=count
        )
    flop = evaluator.flop_of_answer(len(spoken.prompt), min(count, bounds.places_max))
    if flop > bounds.flop_max:
        reason = f"takes {flop:.3g} FLOP, and {bounds.flop_max:.3g} are allowed"
        return Rechecked(number=sample.number, outcome=Outcome.CANNOT_TELL, reason=reason, tokens=count)
    return None


def drawn_places(length: int, places_max: int, draw: bytes, number: int) -> tuple[int, ...] | None:
    """Which places of an answer are looked at; none: all. The same for the same draw and sample. Raises `ValueError`."""
    if len(draw) != DRAW_BYTES:
        raise ValueError(f"a draw has {DRAW_BYTES} bytes")
    if length <= places_max:
        return None
    start = draw + number.to_bytes(16, "big", signed=True)
    order = sorted(range(length), key=lambda place: hashlib.sha256(start + place.to_bytes(8, "big")).digest())
    return tuple(sorted(order[:places_max]))


def recheck_apart(job: Job, samples: Sequence[Sample]) -> tuple[Rechecked, ...]:
    """Recompute samples in processes of their own: one result each, in order.

    Raises `EnvironmentError_` where no process can be started or the files cannot be used: that says nothing of the server.
    """
    if not samples or len(samples) > SAMPLES_MAX or len({sample.number for sample in samples}) != len(samples):
        raise ValueError(f"1 to {SAMPLES_MAX} samples with different numbers are needed")
    done: dict[int, Rechecked] = {}
    left = list(samples)
    while left:
        found, why = _one_process(job, left)
        for result in found:
            if result.number in {sample.number for sample in left}:
                done.setdefault(result.number, result)
        left = [sample for sample in left if sample.number not in done]
        if left:
            lost = left.pop(0)
            done[lost.number] = Rechecked(number=lost.number, outcome=Outcome.CANNOT_TELL, reason=why)
    return tuple(done[sample.number] for sample in samples)


def _one_process(job: Job, samples: Sequence[Sample]) -> tuple[list[Rechecked], str]:
    """What one process said before it ended, and why it ended."""
    asked = {
        "job": job.model_dump(mode="json"),
        "samples": [
            [one.number, base64.b64encode(one.request).decode(), base64.b64encode(one.answer).decode()]
            for one in samples
        ],
    }
    command = [sys.executable, "-I", "-m", WORKER, str(job.bounds.memory_bytes), str(job.bounds.seconds)]
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}
    try:
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complaint:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=said, stderr=complaint, env=environment, start_new_session=True
            )
            try:
                process.communicate(json.dumps(asked).encode(), timeout=WALL * job.bounds.seconds)
                why = f"the process that recomputes ended with {process.returncode}"
            except subprocess.TimeoutExpired:
                why = f"recomputing took longer than {WALL * job.bounds.seconds:g} s"
            finally:
                process.kill()
                process.wait()
            said.seek(0)
            lines = said.read(OUTPUT_BYTES_MAX).split(b"\n")[:-1]
            complaint.seek(0)
            words = complaint.read(400).decode("utf-8", "replace").strip()
    except OSError as fault:
        raise EnvironmentError_(f"no process to recompute in: {fault.strerror}", where=WORKER) from None
    return _results(lines, words), why


def _results(lines: Sequence[bytes], words: str) -> list[Rechecked]:
    """Raises `EnvironmentError_` where the process never came to its samples."""
    if not lines or lines[0] != b"ready":
        raise EnvironmentError_(
            "the files to recompute with cannot be used", where=words or WORKER, remedy="see the graph and its weights"
        )
    found = []
    for line in lines[1:]:
        try:
            found.append(Rechecked.parse(parse_json(line, where=WORKER), where=WORKER, error=EvidenceError))
        except EvidenceError:
            break
    return found
