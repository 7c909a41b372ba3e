"""From a review to places: what is open, where, on what it rests, and how much each part adds to the largest run.

The cells are those of the account, laid out again from the assessments in the findings and the statements that the account chose.
If they do not give the account's own number, the review contradicts itself, and nothing is planned on it.

A place is a pod with one basis of its cells, or a site with all its open cells; besides, chips that may be elsewhere. Its part:

- `base`, what its cells add where another pod leads, by the account's rule 3 (a);
- `lead`, by interval, what they add on top where they lead. Intervals with equal leads are one segment. Beyond `SEGMENTS_MAX` the
  rest counts as if it always led, which only makes runs larger.

Of a site, the base is the sum, and the lead in each interval the largest of its pods: just what the site gives if all of it
is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inspectorate.account import NO_EVIDENCE, Account
from inspectorate.account.ground import Ground, collect, lay_ground
from inspectorate.account.largest import Bounded, bounded, in_one_run
from inspectorate.errors import InputError
from inspectorate.findings import Finding
from inspectorate.planning.inspections.game import Floats
from inspectorate.planning.inspections.methods import Whereabouts
from inspectorate.quantities import Period, merge_periods

AGREES: Final = 1e-6
"""How near, relatively, the cells must come to the account's number."""
SEGMENTS_MAX: Final = 1_000
CELLS_MAX: Final = 40_000_000
ELSEWHERE: Final = "chips-elsewhere"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Some cells that one look looks at."""

    name: str
    pods: tuple[str, ...]
    """None: chips elsewhere."""
    basis: tuple[str, ...]
    site: int | None
    hidden_flop: float
    base_flop: float
    lead_flop: Floats
    pods_looked_at: int
    pod_hours: float
    when: NDArray[np.bool_]
    """By interval."""
    run_without_flop: float
    """The largest hidden run if these cells were explained."""


@dataclass(frozen=True, kw_only=True)
class Open:
    """What a review leaves open."""

    places: tuple[Place, ...]
    run_flop: float
    elsewhere_flop: float
    intervals: tuple[Period, ...]
    by_site: bool

    def periods(self, place: Place) -> tuple[Period, ...]:
        return merge_periods(tuple(self.intervals[i] for i in np.flatnonzero(place.when)))


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The account's cells, laid out again."""

    ground: Ground
    open: Bounded
    statements: tuple[str, ...]

    def basis(self, number: int) -> str:
        return self.statements[number] if number >= 0 else NO_EVIDENCE


def cells_of(account: Account, findings: Iterable[Finding]) -> Cells:
    """Lay the cells out. Raises `InputError` where the review contradicts itself, or is too large."""
    where = "the review's account"
    duration_s = account.period.duration_s
    if not account.pods or not 0 < account.interval_s < float("inf"):
        raise InputError("has no pods, or no intervals", where=where, remedy="review the bundle again")
    if len({share.pod for share in account.pods}) != len(account.pods):
        raise InputError("names a pod twice", where=where, remedy="review the bundle again")
    if len(account.pods) * duration_s / account.interval_s > CELLS_MAX:
        raise InputError(
            f"more than {CELLS_MAX} cells", where=where, remedy="review with a longer interval (--interval)"
        )
    capacities = {share.pod: share.capacity_flop / duration_s for share in account.pods}
    ground = lay_ground(capacities, account.period, account.interval_s)
    assessments = {id(one): one for finding in findings for one in finding.assessments}.values()
    used = {one.statement for one in account.statements}
    chosen = [one for one in collect(assessments, ground) if one.id in used]
    if len(chosen) != len(used):
        lost = sorted(used - {one.id for one in chosen})
        raise InputError(
            f"rests on {lost[0]}, which no finding has", where=where, remedy="give the whole JSON of a review"
        )
    found = bounded(chosen, ground)
    if abs(found.run_flop - account.hidden_flop_max) > AGREES * max(account.hidden_flop_max, 1.0):
        raise InputError(
            f"says {account.hidden_flop_max:.6g} FLOP could be hidden, and its findings give {found.run_flop:.6g}",
            where=where,
            remedy="give the whole, unchanged JSON of `inspectorate review --json`",
        )
    return Cells(ground=ground, open=found, statements=tuple(one.id for one in chosen))


def open_places(cells: Cells, at: Whereabouts, *, by_site: bool) -> Open:
    """All places with something open, the largest first."""
    ground, open_ = cells.ground, cells.open
    groups = _sites(cells, at) if by_site else _pods(cells)
    hours = np.array([interval.duration_s for interval in ground.intervals]) / 3600
    base, lead = in_one_run(open_.hidden, open_.joins.further, open_.capacity)
    run, single = open_.run_flop, len(groups) <= 200
    places = []
    for rows, mask, basis in groups:
        hidden = np.where(mask, open_.hidden[rows], 0.0)
        if not hidden.any():
            continue
        pods = tuple(ground.pods[row] for row in rows)
        without = open_.hidden.copy() if single else open_.hidden
        if single:
            without[rows] = np.where(mask, 0.0, without[rows])
        places.append(
            Place(
                name=at.sites[at.of_pod[pods[0]]] if by_site else f"{pods[0]}: {basis[0]}",
                pods=pods,
                basis=basis,
                site=at.of_pod[pods[0]],
                hidden_flop=float(hidden.sum()),
                base_flop=float(np.where(mask, base[rows], 0.0).sum()),
                lead_flop=np.where(mask, lead[rows], 0.0).max(axis=0),
                pods_looked_at=len(pods),
                pod_hours=float((mask * hours).sum()),
                when=np.asarray(mask.any(axis=0)),
                run_without_flop=open_.run_with(hidden=without) if single else float("nan"),
            )
        )
    if open_.elsewhere.any():
        places.append(_elsewhere(cells))
    places = in_segments(places)
    if not single:
        places = _without_each(places, open_.run_flop)
    places.sort(key=lambda place: (-place.hidden_flop, place.name))
    return Open(
        places=tuple(places),
        run_flop=run,
        elsewhere_flop=float(open_.elsewhere.sum()),
        intervals=ground.intervals,
        by_site=by_site,
    )


_Group = tuple[list[int], NDArray[np.bool_], tuple[str, ...]]


def _pods(cells: Cells) -> list[_Group]:
    basis = cells.open.basis
    return [
        ([row], (basis[[row]] == number), (cells.basis(int(number)),))
        for row in range(len(basis))
        for number in np.unique(basis[row])
    ]


def _sites(cells: Cells, at: Whereabouts) -> list[_Group]:
    rows: dict[int, list[int]] = {}
    for row, pod in enumerate(cells.ground.pods):
        rows.setdefault(at.of_pod[pod], []).append(row)
    found = []
    for site in sorted(rows):
        mask = cells.open.hidden[rows[site]] > 0
        numbers = np.unique(cells.open.basis[rows[site]][mask])
        found.append((rows[site], mask, tuple(cells.basis(int(number)) for number in numbers)))
    return found


def _elsewhere(cells: Cells) -> Place:
    """Chips that may be anywhere join a run in full."""
    open_ = cells.open
    flop = float(open_.elsewhere.sum())
    count = len(cells.ground.pods)
    return Place(
        name=ELSEWHERE, pods=(), basis=(NO_EVIDENCE,), site=None, hidden_flop=flop, base_flop=flop,
        lead_flop=np.zeros_like(open_.elsewhere), pods_looked_at=count, pod_hours=0.0, when=open_.elsewhere > 0,
        run_without_flop=open_.run_with(elsewhere=np.zeros_like(open_.elsewhere)),
    )  # fmt: skip


def in_segments(places: Sequence[Place]) -> list[Place]:
    """Leads by segment: intervals in which all leads are alike, together."""
    if not places:
        return []
    leads = np.array([place.lead_flop for place in places])
    alike: dict[bytes, int] = {}
    columns = np.ascontiguousarray(leads.T)
    number: NDArray[np.int64] = np.array([alike.setdefault(column.tobytes(), len(alike)) for column in columns])
    first = np.unique(number, return_index=True)[1]
    merged: Floats = leads[:, first] * np.bincount(number)
    merged = merged[:, merged.any(axis=0)]
    rest = np.zeros(len(places))
    if merged.shape[1] > SEGMENTS_MAX:
        order: NDArray[np.intp] = np.argsort(-merged.max(axis=0), kind="stable")
        rest = merged[:, order[SEGMENTS_MAX:]].sum(axis=1)
        merged = merged[:, order[:SEGMENTS_MAX]]
    if not merged.shape[1]:
        merged = np.zeros((len(places), 1), dtype=np.float64)
    return [
        _replaced(place, lead_flop=merged[i], base_flop=place.base_flop + float(rest[i]))
        for i, place in enumerate(places)
    ]


def _without_each(places: Sequence[Place], run_flop: float) -> list[Place]:
    """The run without each place, from the parts: the largest lead of each segment falls to the second."""
    leads = np.array([place.lead_flop for place in places])
    if len(leads) == 1:
        return [_replaced(places[0], run_without_flop=0.0)]
    second, top = np.partition(leads, len(leads) - 2, axis=0)[-2:]
    leader: NDArray[np.int64] = np.argmax(leads, axis=0)
    falls = np.array([place.base_flop for place in places])
    np.add.at(falls, leader, top - second)
    return [
        _replaced(place, run_without_flop=max(0.0, run_flop - float(fall)))
        if np.isnan(place.run_without_flop) else place
        for place, fall in zip(places, falls, strict=True)
    ]  # fmt: skip


def _replaced(place: Place, **changes: object) -> Place:
    return Place(**{**place.__dict__, **changes})
