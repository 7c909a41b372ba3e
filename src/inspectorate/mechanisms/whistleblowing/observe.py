"""What offices collected of each intake, put in order, and all that is wrong with it.

    1. who speaks: offices whose key no prover holds (`hearing`)
    2. batches: by intake and number; all offices must have found the same commitments, blocks and time
    3. missing blocks: named by any office, whoever else found them all, since what is gone was in the log
    4. numbers: a hole between the first and the last batch is a batch that was kept back
    5. rhythm: a batch with fewer blocks per second than others is from an intake that stood still, or was held

Rules:

- Pure. A fault makes the batch invalid evidence, with its reason. What no office collected is a gap and no fault.
- What a batch holds, nobody learns here: every block has a commitment, the dummies too.

Not done here: how many offices it takes, and how soon (`appraise`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from inspectorate.evidence import IntakeCollected, VerifiedStatement
from inspectorate.mechanisms.whistleblowing import reference
from inspectorate.quantities import Period

SUBJECT = "commitments"

Collected = tuple[VerifiedStatement, IntakeCollected]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One batch of an intake, as offices found it."""

    number: int
    period: Period
    blocks: int
    collected: dict[str, datetime]
    """When, by office; the first time of each."""
    faults: tuple[str, ...]
    evidence_ids: tuple[str, ...]

    @property
    def blocks_per_s(self) -> float:
        return self.blocks / self.period.duration_s

    def collected_by(self, offices: int) -> datetime | None:
        """When so many different offices had it; none if they never did."""
        times = sorted(self.collected.values())
        return times[offices - 1] if len(times) >= offices else None


@dataclass(frozen=True, kw_only=True)
class IntakeSeen:
    """One intake: its batches by number."""

    id: str
    batches: tuple[Batch, ...]
    faults: tuple[str, ...]
    """What makes it invalid evidence: of single batches, and of their order."""
    slow: tuple[str, ...]
    """Batches below the intake's rhythm."""

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(digest for one in self.batches for digest in one.evidence_ids)


def observe_intakes(statements: Iterable[Collected]) -> tuple[IntakeSeen, ...]:
    """Every intake of which somebody collected anything, by name."""
    by_intake: dict[str, list[Collected]] = defaultdict(list)
    for one, said in statements:
        by_intake[said.intake].append((one, said))
    return tuple(_intake(name, found) for name, found in sorted(by_intake.items()))


def _intake(name: str, found: Sequence[Collected]) -> IntakeSeen:
    by_number: dict[int, list[Collected]] = defaultdict(list)
    for one, said in found:
        by_number[said.batch].append((one, said))
    if len(by_number) > reference.BATCHES_MAX:
        text = f"{name}: {len(by_number)} batches, more than {reference.BATCHES_MAX}"
        return IntakeSeen(id=name, batches=(), faults=(text,), slow=())
    batches = tuple(_batch(name, number, which) for number, which in sorted(by_number.items()))
    return IntakeSeen(
        id=name,
        batches=batches,
        faults=(*(fault for one in batches for fault in one.faults), *_order_faults(name, batches)),
        slow=tuple(_slow(name, batches)),
    )


def _batch(name: str, number: int, found: Sequence[Collected]) -> Batch:
    said = [of for _, of in found]
    first = said[0]
    which = f"{name}: batch {number}"
    faults = []
    if len({(of.period, of.blocks) for of in said}) > 1:
        faults.append(f"{which}: offices differ over its time or its number of blocks")
    shown = {_commitments(one) for one, _ in found}
    if len(shown) > 1:
        faults.append(f"{which}: offices were shown different commitments")
    if "" in shown:
        faults.append(f"{which}: a statement names no list of commitments")
    missing = {of.by: of.missing for of in sorted(said, key=lambda of: of.missing) if of.missing}
    faults += [
        f"{which}: {count} of its blocks were not there when {office} came" for office, count in sorted(missing.items())
    ]
    if not first.blocks:
        faults.append(f"{which}: has no blocks, where an intake writes at a fixed rhythm")
    early = sorted({of.by for of in said if of.collected_at < of.period.end})
    if early:
        faults.append(f"{which}: {', '.join(early)} collected it before it ended")
    collected: dict[str, datetime] = {}
    for of in said:
        collected[of.by] = min(of.collected_at, collected.get(of.by, of.collected_at))
    return Batch(
        number=number,
        period=first.period,
        blocks=max(of.blocks for of in said),
        collected=collected,
        faults=tuple(faults),
        evidence_ids=tuple(one.digest for one, _ in found),
    )


def _commitments(statement: VerifiedStatement) -> str:
    """The digest of the list of commitments; empty if the statement names none, or more than one."""
    named = [one.digest_text for one in statement.statement.subject if one.name == SUBJECT]
    return named[0] if len(named) == 1 else ""


def _order_faults(name: str, batches: Sequence[Batch]) -> list[str]:
    """Holes in the numbers, and batches whose times do not follow one another."""
    found = []
    for before, after in pairwise(batches):
        if after.number != before.number + 1:
            first, last = before.number + 1, after.number - 1
            which = f"batch {last} was" if first == last else f"batches {first} to {last} were"
            found.append(f"{name}: {which} kept back: no office collected any of it")
        if after.period.start < before.period.end:
            found.append(f"{name}: batch {after.number} starts before batch {before.number} ends")
    return found


def _slow(name: str, batches: Sequence[Batch]) -> list[str]:
    most = max((one.blocks_per_s for one in batches), default=0.0)
    least = most * (1 - reference.RHYTHM_SHORTFALL_MAX)
    return [
        f"{name}: batch {one.number} holds {one.blocks_per_s / most:.0%} of the blocks of its fullest batch for its time:"
        " the intake stood still, or was held"
        for one in batches
        if one.blocks_per_s < least
    ]
