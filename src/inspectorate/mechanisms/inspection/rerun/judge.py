"""The process that compares, started by `jobs.each_apart`: it reads files of the prover and what came of running the work again.

It runs no code of the prover and no framework. A file that is not what was committed to is a problem of the packet, and is said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from inspectorate.apart import enclose, say
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.inspection.rerun.compare import compare_losses, compare_states, compare_weights
from inspectorate.mechanisms.inspection.rerun.jobs import FileOfTensors, Judged, JudgeItem, JudgeJob, Ready
from inspectorate.mechanisms.inspection.rerun.tensors import Tensors, item_digests, read_tensors
from inspectorate.mechanisms.inspection.transcripts.hashing import digest_of_tensors

INPUT_BYTES_MAX = 1 << 28


class Contradiction(EvidenceError):
    """What the prover gave is readable, and is not what it committed to: data in another order, weights not of the seed."""


def main() -> int:
    """Compare what standard input asks for."""
    closed = enclose(sys.argv[1])
    job = JudgeJob.model_validate(json.loads(sys.stdin.buffer.read(INPUT_BYTES_MAX)))
    say(Ready(ready=True, closed=closed).canonical_bytes())
    for item in job.items:
        say(_item(item).canonical_bytes())
    return 0


def _item(item: JudgeItem) -> Judged:
    try:
        return judged(item)
    except Contradiction as fault:
        return Judged(number=item.number, contradicts=str(fault)[:600])
    except InspectorateError as fault:
        return Judged(number=item.number, problem=str(fault)[:600])
    except MemoryError:
        return Judged(number=item.number, problem="takes more memory than is allowed")


def judged(item: JudgeItem) -> Judged:
    """Compare one packet. Raises `EvidenceError` where a file is not what was committed to."""
    _in_order(item)
    before, states_before = _read(item.before), _read(item.before_optimiser)
    for started in (item.first, item.first_optimiser):
        if started is not None and digest_of_tensors(read_tensors(Path(started.path))) != started.digest:
            raise Contradiction("the first packet does not start from what the seed gives")
    claimed, again = _read(item.claimed), read_tensors(Path(item.again))
    states_claimed, states = _read(item.claimed_optimiser), read_tensors(Path(item.again_optimiser))
    distance, largest, tensor, update = compare_weights(before, claimed, again)
    optimiser = compare_states(states_before, states_claimed, states)
    equal = (
        digest_of_tensors(again) == item.claimed.digest and digest_of_tensors(states) == item.claimed_optimiser.digest
    )
    losses = compare_losses(item.claimed_losses, item.losses)
    return Judged(
        number=item.number,
        equal=equal,
        distance=distance,
        largest=largest,
        optimiser=optimiser,
        losses=losses,
        tensor=tensor[:600],
        update=update,
        generator=_same_generator(item),
    )


def _same_generator(item: JudgeItem) -> bool:
    if item.generator is None or item.again_generator is None:
        return True
    return digest_of_tensors(read_tensors(Path(item.again_generator))) == item.generator.digest


def _in_order(item: JudgeItem) -> None:
    """Row by row, batches hold the items that the seed gives. Raises `EvidenceError`."""
    if not item.items:
        return
    found = [digest for one in item.batches for digest in item_digests(_read(one))]
    if found == list(item.items):
        return
    if len(found) != len(item.items):
        raise Contradiction(f"the batches hold {len(found)} data items, and {len(item.items)} are due")
    place = next(i for i, (a, b) in enumerate(zip(found, item.items, strict=True)) if a != b)
    raise Contradiction(f"data item {place} of the packet is not the one that the seed orders there")


def _read(file: FileOfTensors) -> Tensors:
    return read_tensors(Path(file.path), digest=file.digest)


if __name__ == "__main__":
    raise SystemExit(main())
