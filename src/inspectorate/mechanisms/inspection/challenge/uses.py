"""What one draw alone does not show: secrets used twice, promises passed over, second draws, stretches committed to
again.

Rules:

- A promise is for one draw. Its second use, and another promise of the same secret, could be foreseen.
- Where a commitment names no promise, a draw must use the oldest open one: else a verifier promises many secrets and
  keeps the one that draws what it wants.
- An inspector draws once from a commitment. Several inspectors may each draw.
- A run is a chain of commitments, numbered from 0, each naming the one before. Whoever does not like a draw cannot
  commit again: a second commitment at one place, one that overlaps another, and one after the last are named; and what
  was drawn before and not opened stays refused, whatever else is committed to.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from inspectorate.evidence import VerifiedStatement, WorkCommitted
from inspectorate.evidence.fair import Uses, misused
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Found
from inspectorate.mechanisms.inspection.challenge.promise import parse_randomness


def check_uses(
    draws: Sequence[VerifiedStatement],
    promises: Sequence[VerifiedStatement],
    *,
    naming: Mapping[str, str],
    payload: Callable[[str], bytes],
) -> tuple[Found, ...]:
    """Judge all draws that a reviewer knows of together. Each fault names the draw (`statement`) that it voids.

    `naming` gives, for the digest of a commitment, the promise that it names; commitments that name none are not in it.
    """
    uses = Uses(
        draws=draws, promises=promises, naming=naming, noun="commitment", again=False,
        randomness=partial(parse_randomness, where="randomness"), payload=payload,
    )  # fmt: skip
    return tuple(Found(fault=Fault(one.value), detail=detail, statement=draw) for draw, one, detail in misused(uses))


def check_commitments(
    commitments: Sequence[VerifiedStatement], *, firsts: Mapping[str, int] | None = None
) -> tuple[Found, ...]:
    """Judge all commitments that a reviewer knows of together, run by run. A fault names a commitment (`statement`).

    `firsts` gives the `first` of the list of a commitment, by its digest, as far as lists were read.
    """
    runs: dict[tuple[str, str], list[VerifiedStatement]] = defaultdict(list)
    for statement in commitments:
        said = _as_committed(statement)
        runs[said.reporter, said.run].append(statement)
    return tuple(itertools.chain.from_iterable(_chain_faults(run, firsts or {}) for run in runs.values()))


def _chain_faults(run: list[VerifiedStatement], firsts: Mapping[str, int]) -> Iterator[Found]:
    ordered = sorted(run, key=lambda one: (_as_committed(one).sequence, one.digest))
    first = _as_committed(ordered[0])
    if first.sequence != 0:
        yield _broken(ordered[0], f"the run starts with stretch {first.sequence}")
    expected = 0
    for statement in ordered:
        if firsts.get(statement.digest, expected) != expected:
            yield _broken(statement, f"its first packet is {firsts[statement.digest]}, where {expected} is the next")
        expected += _as_committed(statement).packets
    for before, after in itertools.pairwise(ordered):
        old, new = _as_committed(before), _as_committed(after)
        if (old.claim, old.work, old.header) != (new.claim, new.work, new.header):
            yield _broken(after, "claim, work or header change within a run")
        if new.sequence == old.sequence:
            detail = f"stretch {new.sequence} of {new.run} is committed to twice"
            yield Found(fault=Fault.COMMITMENT_REPEATED, detail=detail, statement=after.digest)
            continue
        if new.period.start < old.period.end:
            detail = f"stretch {new.sequence} of {new.run} starts before the one before it ended"
            yield Found(fault=Fault.COMMITMENT_REPEATED, detail=detail, statement=after.digest)
        if new.sequence != old.sequence + 1:
            yield _broken(after, f"stretches {old.sequence + 1} to {new.sequence - 1} are missing")
        elif new.previous != before.digest:
            yield _broken(after, f"stretch {new.sequence} names another one before it")
        if old.final:
            yield _broken(after, f"stretch {new.sequence} comes after the last")


def _broken(statement: VerifiedStatement, detail: str) -> Found:
    return Found(fault=Fault.CHAIN_BROKEN, detail=detail, statement=statement.digest)


def _as_committed(statement: VerifiedStatement) -> WorkCommitted:
    assert isinstance(statement.predicate, WorkCommitted)
    return statement.predicate
