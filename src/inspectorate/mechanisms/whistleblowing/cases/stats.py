"""Counts of cases by quarter that reveal no one.

Who reads them may be the prover, with a state's means: it knows its people, can make up reports itself, keeps every release and
takes one from another. So:

1. A quarter is released once, on a fixed day (`RELEASE_DAYS` after its end), and never again. No release repeats an earlier one.
2. A case counts in the quarter in which it was opened, once per table: by the activity that was claimed first, and by the furthest
   step that its offices asked for by the day of the release. Only cases that a quorum opened count.
3. Every count has noise of the two-sided geometric distribution with `EPSILON` / 2 (two tables): whether one case is in it or not
   changes the chance of any release by at most a factor of e^EPSILON. Somebody who made up all other reports learns no more.
4. Of the noisy counts those below `CELL_MIN` are held back: a zero looks like a nine.
5. The only total is that of the counts that are shown, noise included: it is no new number, and gives back none that is held back.
6. The noise comes from a secret that the offices share, and from the cases that are counted: the same cases give the same release
   to every office, so that each can sign it; other cases give other noise, so that two drafts taken apart tell no more than both.

Suppression alone is not enough here: with a known total, or with made-up reports that fill a cell to just below the limit, it gives
counts back. What is lost is exactness: a count is off by more than 6 once in 26 times (`python -m bench case_files`).
"""

from __future__ import annotations

import hmac
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from inspectorate.canonical import Record, canonical_bytes
from inspectorate.errors import InputError
from inspectorate.evidence import Activity, Step
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, CaseState
from inspectorate.quantities import Period, Time

Quarter = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}Q[1-4]$")]
SECRET_BYTES = 32
TABLES = 2
_LADDER = tuple(Step)


class Cell(Record):
    """One count of a table."""

    of: Activity | Step
    count: int | None = Field(default=None, ge=0, description="with noise; none: held back")


class Release(Record):
    """What is published of one quarter, once."""

    kind: Literal["case-statistics"] = "case-statistics"
    quarter: Quarter
    released: Time = Field(description="the day that was fixed for it")
    cell_min: int
    epsilon: float
    activities: tuple[Cell, ...]
    steps: tuple[Cell, ...]
    shown_activities: int = Field(description="sum of the counts that are shown")
    shown_steps: int


def quarter_period(quarter: str) -> Period:
    """The time of a quarter (UTC). Raises `InputError`."""
    year, _, number = quarter.partition("Q")
    if not (len(year) == 4 and year.isdigit() and number in {"1", "2", "3", "4"}):
        raise InputError(f"{quarter!r} is no quarter", remedy="write 2026Q3")
    start = datetime(int(year), 3 * int(number) - 2, 1, tzinfo=UTC)
    end = datetime(int(year) + (number == "4"), 3 * int(number) % 12 + 1, 1, tzinfo=UTC)
    return Period.parse({"start": start, "end": end}, where=quarter, error=InputError)


def release_day(quarter: str) -> datetime:
    """When a quarter is released, always."""
    return quarter_period(quarter).end + timedelta(days=reference.RELEASE_DAYS)


def release(quarter: str, cases: Iterable[CaseState], *, secret: bytes, at: datetime) -> Release:
    """The release of a quarter (steps in the module's docstring). Raises `InputError` before its day.

    `cases` are those that stood on that day (`Desk.all_until`), so that a release made later is the same.
    """
    if len(secret) != SECRET_BYTES:
        raise InputError(f"the secret of the statistics has {SECRET_BYTES} bytes", where="--secret")
    # (1)
    day = release_day(quarter)
    if at < day:
        raise InputError(
            f"is released on {day:%Y-%m-%d}, and not before",
            where=quarter,
            remedy="other dates would say that something happened",
        )
    # (2)
    period = quarter_period(quarter)
    counted = [one for one in cases if one.standing is not CaseStanding.PENDING and period.contains(one.opened_at)]
    activities: Counter[Activity | Step] = Counter(
        next(iter(one.claims.values())).activity for one in counted if one.claims
    )
    steps: Counter[Activity | Step] = Counter(step for one in counted if (step := _furthest(one)) is not None)
    # (6)
    drawn = hmac.digest(secret, canonical_bytes([quarter, sorted(_counted_as(one) for one in counted)]), "sha256")
    by_activity = _table(tuple(Activity), activities, drawn)
    by_step = _table(_LADDER, steps, drawn)
    return Release(
        quarter=quarter,
        released=day,
        cell_min=reference.CELL_MIN,
        epsilon=reference.EPSILON,
        activities=by_activity,
        steps=by_step,
        shown_activities=sum(cell.count or 0 for cell in by_activity),
        shown_steps=sum(cell.count or 0 for cell in by_step),
    )


def _counted_as(case: CaseState) -> list[str]:
    """What of a case decides the release."""
    step = _furthest(case)
    activity = next((claim.activity.value for claim in case.claims.values()), "")
    return [case.case, activity, step.value if step else ""]


def _furthest(case: CaseState) -> Step | None:
    asked = [one.step for lead in case.leads.values() for one in lead.raised.values()]
    return max(asked, key=_LADDER.index) if asked else None


def _table(
    rows: Sequence[Activity] | Sequence[Step], counts: Mapping[Activity | Step, int], drawn: bytes
) -> tuple[Cell, ...]:
    """Steps 3 and 4."""
    cells = []
    for row in rows:
        noisy = counts.get(row, 0) + noise(
            hmac.digest(drawn, type(row).__name__.encode() + row.value.encode(), "sha256")
        )
        cells.append(Cell(of=row, count=noisy if noisy >= reference.CELL_MIN else None))
    return tuple(cells)


def noise(drawn: bytes) -> int:
    """A number of the two-sided geometric distribution, out of 32 random bytes: the difference of two geometric ones."""
    return _geometric(drawn[:8]) - _geometric(drawn[8:16])


def _geometric(drawn: bytes) -> int:
    """How many failures before the first success, each failure with chance e^-(EPSILON / TABLES)."""
    uniform = (int.from_bytes(drawn) + 1) / 2**64
    return math.floor(-math.log(uniform) / (reference.EPSILON / TABLES))


def noise_chance(value: int) -> float:
    """The chance of this noise."""
    ratio = math.exp(-reference.EPSILON / TABLES)
    return (1 - ratio) / (1 + ratio) * ratio ** abs(value)
