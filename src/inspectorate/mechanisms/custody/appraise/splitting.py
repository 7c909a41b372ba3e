"""`no-splitting`: one assessment for all pods. Whether chips are kept in pieces just below a limb, or moved about to stay below it.

1. All registers of a keeper, in order of time, are looked at together, with the limbs of the agreement's clause on covered clusters
   and the declared positions of sites (`clusters.splitting`). An agreement without such a clause has no limbs, and nothing is
   observed; nor is it where a register is missing or cannot be read.
2. Pieces near one another, clusters that were dissolved, places that chips rotated through: facts, each with honest reasons. They
   leave the clause open, and their reason says what to ask.
3. Against the party is only that sizes stand in a heap just below the limb, which honest owners do not make: an e-value under a
   stated null (`clusters.bunching`).
4. *Consistent*: none of it was found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from inspectorate.agreement import CoveredCluster, NoSplitting
from inspectorate.assessment import Assessment, Case
from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import ChipsMoved, Passage, TransferNotified
from inspectorate.mechanisms.custody.appraise.common import (
    NEVER_REGISTERED,
    Kept,
    Said,
    With,
    assess,
    books_of,
    registers_of,
    spoken_of,
)
from inspectorate.mechanisms.custody.clusters.moving import Move, Snapshot
from inspectorate.mechanisms.custody.clusters.presence import Seen
from inspectorate.mechanisms.custody.clusters.splitting import Ground, Split, Splitting, find_splitting
from inspectorate.mechanisms.custody.observe import CHANGES
from inspectorate.mechanisms.custody.register.reading import Books
from inspectorate.statistics import bounded_log_e, merge_mean


@dataclass(frozen=True, kw_only=True, eq=False)
class _Of:
    """What one keeper's chain comes to."""

    keeper: str
    registers: tuple[Kept, ...]
    found: Splitting | None = None
    faults: tuple[str, ...] = ()


def appraise_splitting(case: Case, clause: NoSplitting) -> tuple[Assessment, ...]:
    limbs = next((c.parameters for c in case.agreement.clauses if isinstance(c.parameters, CoveredCluster)), None)
    chains: dict[str, list[Kept]] = defaultdict(list)
    for one in registers_of(case):
        chains[one.said.reporter].append(one)
    found = [_judge(case, clause, limbs, keeper, registers) for keeper, registers in sorted(chains.items())]
    judged = [one for one in found if one.found is not None]
    said = Said(
        invalid=[text for one in found for text in one.faults],
        unseen=tuple(_unseen(case, limbs, found)),
        doubts=[text for one in judged for text in _doubts(one)],
        kept=[
            f"{one.keeper}: over {len(one.registers)} registers nothing stands in pieces near a limb, or moved about below it"
            for one in judged
        ],
    )
    logs = [one.found.log_e for one in judged if one.found is not None]
    return assess(
        case,
        said,
        With(
            log_e=bounded_log_e(float(merge_mean(logs))) if logs else None,
            assumptions=tuple(dict.fromkeys(one.found.null for one in judged if one.found is not None)),
            evidence_ids=[kept.digest for one in found for kept in one.registers],
            not_checked=(
                NEVER_REGISTERED,
                *dict.fromkeys(text for one in judged if one.found is not None for text in one.found.not_checked),
            ),
            unheard=spoken_of(case).unheard(*CHANGES),
        ),
    )


def _judge(
    case: Case, clause: NoSplitting, limbs: CoveredCluster | None, keeper: str, registers: Sequence[Kept]
) -> _Of:
    kept = tuple(registers)
    faults = [text for one in kept for text in one.faults]
    times = [one.as_of for one in kept]
    faults += [f"{keeper}: two registers as of {a:%Y-%m-%d %H:%M:%S} UTC" for a, b in pairwise(times) if a == b]
    if faults or limbs is None:
        return _Of(keeper=keeper, registers=kept, faults=tuple(faults))
    chain = [
        Snapshot(at=one.as_of, register=one.register, wiring=one.wiring) for one in kept if one.register is not None
    ]
    ground = Ground(
        utilisation=case.agreement.utilisation.max,
        formats=case.agreement.counted_formats,
        false_accusation_rate=case.agreement.false_accusation_rate,
        positions={site.id: site.position for site in case.declaration.sites if site.position is not None},
        moves=tuple(_moves(books_of(case)[keeper])),
    )
    try:
        return _Of(keeper=keeper, registers=kept, found=find_splitting(chain, limbs, clause, ground))
    except EvidenceError as fault:
        return _Of(keeper=keeper, registers=kept, faults=(f"{keeper}: {fault.problem}",))


def _moves(books: Books) -> Iterator[Move]:
    """Departures and arrivals within the party, as observations of where chips were."""
    notices = {one.digest: one.said for one in books.changes if isinstance(one.said, TransferNotified)}
    for one in books.changes:
        if not isinstance(one.said, ChipsMoved) or one.serials is None or one.said.transfer not in notices:
            continue
        notice = notices[one.said.transfer]
        left = one.said.passage is Passage.LEFT
        site = notice.from_site if left else notice.to_site
        if site is not None:
            seen = Seen.LEFT if left else Seen.ARRIVED
            yield Move(at=one.said.moved_at, site=site, seen=seen, serials=tuple(one.serials.to_pylist()))


def _unseen(case: Case, limbs: CoveredCluster | None, found: Sequence[_Of]) -> Iterator[str]:
    if not found:
        yield "no register was handed over"
    elif limbs is None:
        yield "the agreement has no clause that says what a covered cluster is"
    bare = sorted({one.id for one in spoken_of(case).keepers} - {one.keeper for one in found})
    if found and bare:
        yield f"{', '.join(bare[:8])}: no register was handed over"
    for one in found:
        for before, after in pairwise(one.registers):
            if after.said.sequence > before.said.sequence + 1:
                yield f"{one.keeper}: registers between numbers {before.said.sequence} and {after.said.sequence} are not there"
        if one.registers[0].said.sequence:
            yield f"{one.keeper}: registers before number {one.registers[0].said.sequence} are not there"


def _doubts(one: _Of) -> Iterator[str]:
    assert one.found is not None
    yield from (f"{one.keeper}: {_text(split)}" for split in one.found.findings)
    if one.found.findings_more:
        yield f"{one.keeper}: and {one.found.findings_more} more such groups"


def _text(split: Split) -> str:
    more = f" and {split.pieces_more} more" if split.pieces_more else ""
    where = ", ".join(split.sites[:4])
    return (
        f"{split.kind.value}: {len(split.pieces)} pieces{more} of {', '.join(split.owners[:4])} at {where} have"
        f" {split.h100_equivalents:.4g} H100-equivalents together ({split.chips} chips); an honest reason: {split.honest}"
    )
