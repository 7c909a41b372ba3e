"""Two tables held against each other, without statements: what a difference would be called if both had been signed for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from inspectorate.agreement import ChipRegister, ClauseKind
from inspectorate.evidence import Origin
from inspectorate.evidence.custody import ChipsAcquired, DestructionCertified, RegisterHanded
from inspectorate.mechanisms.custody.register.judge import Judged, Terms, judge
from inspectorate.mechanisms.custody.register.reading import Books, Changed, Handed
from inspectorate.mechanisms.custody.register.table import Register
from inspectorate.quantities import Period

_START = datetime(2000, 1, 1, tzinfo=UTC)
_STEP = timedelta(days=1)
_YEARS_S = 1e9
_NO_CLAUSE = ChipRegister(
    kind=ClauseKind.CHIP_REGISTER, first_within_s=_YEARS_S, updated_every_s=_YEARS_S, transfer_notice_s=_YEARS_S,
    approvals_min=1, under_way_s_max=_YEARS_S,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Between:
    """What is said to have happened between the two."""

    acquired: Register | None = None
    destroyed: pa.Array | None = None


def judge_two(before: Register, after: Register, between: Between) -> Judged:
    """Faults of the later table, and of the changes. Times in them mean nothing but the order."""
    digests = ["sha256:" + f"{number:064x}" for number in range(4)]
    handed = tuple(
        Handed(
            digest=digests[place],
            said=RegisterHanded(
                origin=Origin.RECORDED, reporter="tables", period=_period(2 * place), chain="tables", sequence=place,
                previous=digests[place - 1] if place else None, chips=len(table), handed_at=_period(2 * place).end,
            ),
            register=table,
        )
        for place, table in enumerate((before, after))
    )  # fmt: skip
    at = _period(1).end
    changes = []
    if between.acquired is not None:
        said = ChipsAcquired(
            origin=Origin.RECORDED, reporter="tables", period=_period(1), chips=len(between.acquired),
            seller="as listed", acquired_at=at,
        )  # fmt: skip
        changes.append(Changed(digest=digests[2], said=said, serials=between.acquired.serials, rows=between.acquired))
    if between.destroyed is not None:
        ended = DestructionCertified(
            origin=Origin.RECORDED, by="tables", reporter="tables", chips=len(between.destroyed), means="as listed",
            certified_at=at,
        )  # fmt: skip
        changes.append(Changed(digest=digests[3], said=ended, serials=between.destroyed))
    books = Books(reporter="tables", handed=handed, changes=tuple(changes))
    return judge(books, Terms(clause=_NO_CLAUSE, holds_from=_START, as_of=_period(2).end))


def _period(step: int) -> Period:
    return Period(start=_START + step * _STEP, end=_START + (step + 1) * _STEP)
