"""What a count says of the time around it: at most so much of the declared capacity is not where it was declared (`Outside`).

**At the count.** At most D of the registered chips are missing, with miss probability beta (`counting.shown`). In capacity: the D
strongest. What is declared and not in the register may be elsewhere, too.

**Between counts.** Let S be the chips that every register of a stretch has in one and the same pod. A registered chip outside of S
moved or went, and may have been anywhere meanwhile. Of those in S:

`counts`            from one count to another, no further apart than is agreed: a chip of S that was missing meanwhile was missing
                    at one of the two, by a named assumption. So at most D_1 + D_2 are missing at any time between: the union, not
                    the larger one, since those missing at one end need not be those missing at the other.
`seals`, `cameras`  a stretch in which every rack of every register in it was held. Nothing goes into or comes out of a held rack,
                    but for what an inspector stands by. So what is missing at any time of the stretch was missing at a count
                    within it: at most D, of that count alone.

That the drawn racks alone are held does not do: the draw is known when they are opened, and every other rack can then be emptied,
to the last, without a seal being touched. What was drawn at random says nothing of racks from which the rest can leave. For the
same reason the racks must have been held when the draw was made known, and not only from the opening on.

**Miss probabilities.** Each count gets an equal part, fixed by the terms before any is seen, so that all bounds hold at once with
that of the one statement. Every pair, and every stretch between two registers around a count, gives a bound of its own, and where
they join, the larger one holds for all of their time: more evidence adds bounds and changes none. A register that is missing from
the chain, or cannot be read, leaves its stretch without a bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from inspectorate.agreement import CountedChips
from inspectorate.assessment import Case, Outside, Scope
from inspectorate.declaration import Reporter, chip_catalogue
from inspectorate.mechanisms.custody import reference
from inspectorate.mechanisms.custody.appraise.common import Kept
from inspectorate.mechanisms.custody.appraise.counts import Count
from inspectorate.mechanisms.custody.appraise.places import Place, all_held, racks_of
from inspectorate.mechanisms.custody.counting.shown import missing_upper
from inspectorate.mechanisms.custody.register import Register
from inspectorate.quantities import Period, merge_periods

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Ground:
    """One keeper's registers, usable counts and, where racks are held, when they were."""

    case: Case
    clause: CountedChips
    keeper: Reporter
    registers: Sequence[Kept]
    """In order of what they are as of."""
    counts: Sequence[Count]
    held: dict[Place, list[Period]]
    keepers: int

    @property
    def name(self) -> str:
        """Of the one statement on which all bounds rest."""
        return f"{self.case.clause.id}.counts"

    @property
    def counts_max(self) -> int:
        """How many counts may bound anything: fixed by the terms."""
        expected = math.ceil(min(self.case.period.duration_s / self.clause.counted_every_s, 1e6))
        return min(reference.COUNTS_MAX, 2 * expected + 4)

    @property
    def miss_of_count(self) -> float:
        return self.case.miss_probability / (self.keepers * self.counts_max)

    @property
    def formats(self) -> tuple[str, ...]:
        return self.case.agreement.counted_formats


def everything_outside(case: Case) -> Outside:
    """With no evidence, any chip may be elsewhere."""
    scope = Scope(pods=tuple(sorted(pod.id for pod in case.declaration.pods)), period=case.period)
    return Outside(statement=case.clause.id, miss_probability=0.0, scope=scope, share_max=1.0)


def outside_rows(ground: Ground) -> tuple[Outside, ...]:
    """Every bound that the counts of one keeper give."""
    counts = ground.counts[: ground.counts_max]
    missing = [missing_upper(one.counted, ground.miss_of_count) for one in counts]
    by = _by_pairs if ground.clause.held_between == "counts" else _by_stretches
    return _joined(ground, list(by(ground, counts, missing)))


def _joined(ground: Ground, rows: Sequence[Outside]) -> tuple[Outside, ...]:
    """For every share the whole time in which some bound is at most that: a cell may lie across several stretches."""
    found = []
    for share in sorted({row.share_max for row in rows}):
        within = tuple(row.scope.period for row in rows if row.share_max <= share)
        found += [_outside(ground, period, share) for period in merge_periods(within)]
    return tuple(dict.fromkeys(found))


def pairs_of(counts: Sequence[Count], every_s: float) -> Iterator[tuple[int, int]]:
    """Counts that are no further apart than agreed, by number."""
    for first, one in enumerate(counts):
        for second in range(first + 1, len(counts)):
            if (counts[second].ended_at - one.drawn_at).total_seconds() <= every_s:
                yield first, second


def _by_pairs(ground: Ground, counts: Sequence[Count], missing: Sequence[int]) -> Iterator[Outside]:
    for first, second in pairs_of(counts, ground.clause.counted_every_s):
        one, other = counts[first], counts[second]
        if other.ended_at <= one.drawn_at:
            continue
        between = _chain(ground.registers, one.kept, other.kept)
        if between:
            stretch = Period(start=one.drawn_at, end=other.ended_at)
            yield from _row(ground, stretch, between, missing[first] + missing[second])


def _by_stretches(ground: Ground, counts: Sequence[Count], missing: Sequence[int]) -> Iterator[Outside]:
    """Around each count, from register to register outwards, as long as every rack of all of them was held."""
    held = _Held(ground, {})
    for one, most in zip(counts, missing, strict=True):
        places = [place for place, kept in enumerate(ground.registers) if kept.digest == one.kept.digest]
        for at in places:
            for spans in (
                [(at, last) for last in range(at, len(ground.registers))],
                [(first, at) for first in range(at - 1, -1, -1)],
            ):
                for span in spans:
                    rows = held.row(one, span, most)
                    yield from rows
                    if not rows:
                        break


@dataclass(frozen=True, kw_only=False, eq=False)
class _Held:
    """When all racks of a set were held, worked out once for each set."""

    ground: Ground
    known: dict[frozenset[Place], tuple[Period, ...]]

    def row(self, one: Count, span: tuple[int, int], missing: int) -> list[Outside]:
        """The row of a count for the time from one register to another, as far as all their racks were held without a break."""
        ground = self.ground
        between = _chain(ground.registers, ground.registers[span[0]], ground.registers[span[1]])
        if not between:
            return []
        start, end = min(between[0].as_of, one.drawn_at), max(between[-1].as_of, one.ended_at)
        racks = frozenset(place for kept in between if kept.register is not None for place in racks_of(kept.register))
        around = [part for part in self._times(racks) if part.start <= one.drawn_at and one.ended_at <= part.end]
        wanted = around[0].intersection(Period(start=start, end=end)) if around else None
        return list(_row(ground, wanted, between, missing)) if wanted is not None else []

    def _times(self, racks: frozenset[Place]) -> tuple[Period, ...]:
        if racks not in self.known:
            ground = self.ground
            start = min(ground.registers[0].as_of, *(one.drawn_at for one in ground.counts))
            end = max(ground.registers[-1].as_of, *(one.ended_at for one in ground.counts))
            self.known[racks] = all_held(racks, ground.held, Period(start=start, end=end))
        return self.known[racks]


def _chain(registers: Sequence[Kept], first: Kept, last: Kept) -> list[Kept]:
    """The registers from one to another; none where one of them is missing, forked, or cannot be read."""
    found = [one for one in registers if first.as_of <= one.as_of <= last.as_of]
    for one, after in pairwise(found):
        if after.said.previous != one.digest or after.said.sequence != one.said.sequence + 1:
            return []
    return found if all(one.register is not None and not one.faults for one in found) else []


def _row(ground: Ground, stretch: Period, between: Sequence[Kept], missing: int) -> Iterator[Outside]:
    period = stretch.intersection(ground.case.period)
    share = outside_share(ground, [one.register for one in between if one.register is not None], missing)
    if period is None or share >= 1:
        return
    yield _outside(ground, period, share)


def _outside(ground: Ground, period: Period, share: float) -> Outside:
    return Outside(
        statement=ground.name,
        miss_probability=ground.case.miss_probability,
        scope=Scope(pods=tuple(sorted(set(ground.keeper.pods))), period=period),
        share_max=share,
    )


def outside_share(ground: Ground, registers: Sequence[Register], missing: int) -> float:
    """Of the declared capacity of the keeper's pods, what may be elsewhere, if so many registered chips are missing."""
    catalogue = chip_catalogue()
    stable = stable_rows(registers)
    first = registers[0]
    model, pod, site = (first.column(name) for name in ("model", "pod", "site"))
    rates = np.array([catalogue[name].peak_flop_per_s(ground.formats) for name in model.names])
    counted: dict[tuple[str, str, str], int] = {}
    keys = (site.codes[stable].astype(np.int64) * len(pod.names) + pod.codes[stable]) * len(model.names) + model.codes[
        stable
    ]
    for key, count in zip(*(part.tolist() for part in np.unique(keys, return_counts=True)), strict=True):
        rest, of_model = divmod(key, len(model.names))
        of_site, of_pod = divmod(rest, len(pod.names))
        counted[site.names[of_site], pod.names[of_pod], model.names[of_model]] = count
    whole = short = 0.0
    for (at, name, chip), due in _declared(ground).items():
        rate = catalogue[chip].peak_flop_per_s(ground.formats)
        whole += due * rate
        short += max(0, due - counted.get((at, name, chip), 0)) * rate
    return min(1.0, (short + _strongest(rates[model.codes[stable]], missing)) / whole)


def _declared(ground: Ground) -> dict[tuple[str, str, str], int]:
    from_pods = frozenset(ground.keeper.pods)
    found: dict[tuple[str, str, str], int] = {}
    for site in ground.case.declaration.sites:
        for pod in (pod for cluster in site.clusters for pod in cluster.pods if pod.id in from_pods):
            for group in pod.chips:
                found[site.id, pod.id, group.model] = found.get((site.id, pod.id, group.model), 0) + group.count
    return found


def _strongest(rates: Floats, count: int) -> float:
    """The sum of the largest so many."""
    if count >= len(rates):
        return float(rates.sum())
    return float(np.sort(rates)[::-1][: max(0, count)].sum())


def stable_rows(registers: Sequence[Register]) -> NDArray[np.int64]:
    """Rows of the first register whose chips stand once, in the same pod, in all of them."""
    first = registers[0]
    kept = _once(first)
    for other in registers[1:]:
        found = np.asarray(pc.index_in(first.serials, value_set=other.serials).fill_null(-1)).astype(np.int64)
        there = found >= 0
        at = np.where(there, found, 0)
        if not len(other):
            return np.empty(0, dtype=np.int64)
        same = there & _once(other)[at]
        for name in ("site", "pod", "model"):
            ours, theirs = first.column(name), other.column(name)
            number = {text: place for place, text in enumerate(ours.names)}
            moved = np.array([number.get(text, -1) for text in theirs.names], dtype=np.int64)
            same &= moved[theirs.codes[at]] == ours.codes
        kept &= same
    return np.flatnonzero(kept)


def _once(register: Register) -> NDArray[np.bool_]:
    """Whether the serial of a row stands in no other row."""
    codes = register.serials.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return np.asarray(np.bincount(codes, minlength=1)[codes] == 1, dtype=np.bool_)
