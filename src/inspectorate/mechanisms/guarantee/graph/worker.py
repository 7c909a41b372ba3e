"""The process that recomputes, started by `recheck.recheck_apart` with its limits as arguments: bytes of memory, seconds.

Standard input: one JSON object with the job and its samples. Standard output: the line `ready` when graph and weights are
there and are what was committed, then one line of JSON per sample, each as soon as it is known. Standard error: one line
where they are not.

Limits are set before anything is read. The limit on memory is that of addresses, and stands until the process ends.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from pathlib import Path

from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator
from inspectorate.mechanisms.guarantee.graph.recheck import OUTPUT_BYTES_MAX, Job, Rechecked, Sample, recheck
from inspectorate.mechanisms.guarantee.graph.reference import GRAPH_BYTES_MAX
from inspectorate.mechanisms.guarantee.graph.types import Graph, Outcome
from inspectorate.mechanisms.guarantee.graph.weights import read_weights

INPUT_BYTES_MAX = 1 << 30
FILES_MAX = 32


def main() -> int:
    """Recompute what standard input asks for."""
    _limit(int(sys.argv[1]), float(sys.argv[2]))
    asked = json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX))
    try:
        job = Job.parse(asked["job"], where="job", error=EvidenceError)
        evaluator = _evaluator(job)
    except (InspectorateError, MemoryError, OSError) as fault:
        os.write(2, str(fault).encode()[:400] or b"out of memory")
        return 1
    _say(b"ready")
    for number, request, answer in asked["samples"]:
        sample = Sample(number=number, request=base64.b64decode(request), answer=base64.b64decode(answer))
        _say(_result(job, evaluator, sample).canonical_bytes())
    return 0


def _evaluator(job: Job) -> Evaluator:
    with Path(job.graph).open("rb") as file:
        graph = Graph.parse_bytes(file.read(GRAPH_BYTES_MAX + 1), where=job.graph)
    if graph.digest != job.graph_digest:
        raise EvidenceError("is not the graph that the ruleset lists", where=job.graph)
    return Evaluator(graph, read_weights(Path(job.weights), graph, content=job.content))


def _result(job: Job, evaluator: Evaluator, sample: Sample) -> Rechecked:
    try:
        return recheck(
            sample,
            evaluator.graph,
            evaluator,
            spread_max=job.spread_max,
            draw=bytes.fromhex(job.draw),
            bounds=job.bounds,
        )
    except MemoryError:
        return Rechecked(number=sample.number, outcome=Outcome.CANNOT_TELL, reason="takes more memory than is allowed")


def _limit(memory_bytes: int, seconds: float) -> None:
    """Lower the limits of this process; nothing raises them again."""
    for which, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, int(seconds) + 1),
        (resource.RLIMIT_FSIZE, OUTPUT_BYTES_MAX),
        (resource.RLIMIT_NOFILE, FILES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(which)[1]
        lowered = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(which, (lowered, lowered))


def _say(line: bytes) -> None:
    """Write one line whole, at once: what was said before the process ends counts."""
    os.write(1, line + b"\n")


if __name__ == "__main__":
    raise SystemExit(main())
