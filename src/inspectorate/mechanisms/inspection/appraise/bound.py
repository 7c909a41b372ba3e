"""What can be hidden beside work that was replayed: the capacity less what is explained.

For an interval [a, b) of the account, a pod of capacity K [FLOP] in it, and the packets of that pod alone which lie wholly within:

    hidden <= K - F y      F: FLOP that these packets are stated to take; y: lower bound on the share of it that was found

where "found" in a packet is what the verifier counted when it ran it again, 0 for a dirty one (`sample.found_lower`). Where the
verifier measured how long its own chips took, in the same way by time:

    hidden <= K (1 - T y / (C (b - a)))    T: chip-seconds of the packets, each its time on all C chips; y: the share of it that is
                                           needed, by the verifier's time for it on the prover's stack

which counts the chips as occupied also where they are far from their peak. Both are given for each interval separately, with its
own draws: all that is dirty could lie in one hour, so a share over a day would bound no hour of it.

- A run on several pods explains nothing of any one of them: which of them worked is the prover's word.
- Packets that lap over an end of the interval explain nothing in it. A packet of a commitment that was not drawn from explains
  nothing.
- What is spared is not explained: time between packets, and chips beside them, keep their capacity.
- Of training that is declared, what was found belongs to its own declared run; it is explained, not hidden. Of inference likewise.

Each interval is a separate statement that may fail; those of one length share the miss probability of their pod out (union
bound), and so do both formulas and the layers of `found_lower`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.assessment import Case, HiddenBound, Scope
from inspectorate.declaration import Pod
from inspectorate.mechanisms.inspection import reference
from inspectorate.mechanisms.inspection.appraise.judged import Fate, Judged
from inspectorate.mechanisms.inspection.appraise.sample import Floats, Stratum, found_lower, points_of
from inspectorate.mechanisms.inspection.challenge.promise import Method
from inspectorate.mechanisms.inspection.observe import Committed, Drawn
from inspectorate.quantities import Period, to_ns

NS_PER_S = 1e9

Measure = Callable[[Judged, float], float]
"""How much of what was stated of a packet of so many seconds was found, between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Lot:
    """One commitment of a pod with what became of its draws."""

    committed: Committed
    drawn: tuple[tuple[Drawn, tuple[Judged, ...]], ...]
    """Fair draws, each with the fate of its packets."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Bounds of one pod, and the assumptions on which they rest."""

    bounds: tuple[HiddenBound, ...] = ()
    assumptions: tuple[str, ...] = ()


def pod_of(case: Case, name: str) -> Pod:
    return next(one for one in case.declaration.pods if one.id == name)


def rate_of(case: Case, name: str) -> float:
    """The rate with which the account credits a pod [FLOP/s]."""
    return pod_of(case, name).peak_flop_per_s(case.agreement.counted_formats) * case.agreement.utilisation.max


def chips_of(case: Case, name: str) -> int:
    return sum(group.count for group in pod_of(case, name).chips)


def by_fate(judged: Judged, time_s: float) -> float:
    """A measure of a drawn packet: all or nothing."""
    return 1.0 if judged.fate is Fate.MATCHED and time_s > 0 else 0.0


def by_flop(judged: Judged, time_s: float) -> float:
    """Of the FLOP that were stated of a packet, the share that was counted."""
    return judged.flop_found if judged.fate is Fate.MATCHED and time_s > 0 else 0.0


def by_clock(chips: int) -> Measure:
    """Of the time of all chips of a pod during a packet, the share that it needs by the verifier's clock."""

    def measure(judged: Judged, time_s: float) -> float:
        if judged.fate is not Fate.MATCHED or judged.chip_s is None:
            return 0.0
        return min(1.0, judged.chip_s / (chips * time_s))

    return measure


def strata_of(lots: Sequence[Lot], scope: Period, measure: Measure, *, whole: bool) -> list[Stratum]:
    """The packets of some commitments within a scope. `whole`: only those that lie wholly in it count, else all that touch it."""
    made = [_stratum(lot, scope, measure, whole=whole) for lot in lots]
    return [one for one in made if one is not None]


def _stratum(lot: Lot, scope: Period, measure: Measure, *, whole: bool) -> Stratum | None:
    listed = lot.committed.listed
    assert listed is not None
    starts = np.array(listed.start_ns, dtype=np.int64)
    ends = np.array(listed.end_ns, dtype=np.int64)
    low, high = to_ns(scope.start), to_ns(scope.end)
    inside = (starts >= low) & (ends <= high) if whole else (starts < high) & (ends > low)
    items = np.flatnonzero(inside)
    if not len(items):
        return None
    place = {int(row): position for position, row in enumerate(items)}
    picks, by_time = _picks(lot, place, complete=bool(inside.all()))
    time = (ends[items] - starts[items]) / NS_PER_S
    shares: dict[int, float] = {}
    for _, judged in lot.drawn:
        for one in judged:
            if (row := one.number - listed.first) in place:
                at = place[row]
                # Of several inspectors, the one who found least.
                shares[at] = min(measure(one, float(time[at])), shares.get(at, 1.0))
    flop = np.array(listed.flop, dtype=np.float64)[items]
    return Stratum(time=time, flop=flop, picks=picks, by_time=by_time, found=shares)


def _picks(lot: Lot, place: Mapping[int, int], *, complete: bool) -> tuple[tuple[int, ...], bool]:
    """All draws that fall on items here. Draws of different kinds are not mixed: of each commitment, those of its first kind."""
    listed = lot.committed.listed
    assert listed is not None
    picks: list[int] = []
    kind: bool | None = None
    for drawn, _ in lot.drawn:
        selection = drawn.judged.selection
        assert selection is not None
        by_time = selection.method is Method.TIME
        kind = by_time if kind is None else kind
        if by_time is kind and (complete or selection.strata == 1):
            picks += [place[row] for row in points_of(drawn.judged, listed) if row in place]
    if kind is False:
        # Several draws without replacement together are one, of different packets.
        picks = list(dict.fromkeys(picks))
    return tuple(picks), bool(kind)


def flop_of(stratum: Stratum) -> Floats:
    return stratum.flop


def time_of(stratum: Stratum) -> Floats:
    return stratum.time


def bounds_of(case: Case, pod: str, lots: Sequence[Lot]) -> Found:
    """The rows of the account for one pod."""
    alone = [lot for lot in lots if lot.committed.pods == (pod,)]
    rate, chips = rate_of(case, pod), chips_of(case, pod)
    timed = any(one.chip_s is not None for lot in alone for _, judged in lot.drawn for one in judged)
    lengths = _lengths(case.period)
    if rate <= 0 or not alone or not lengths:
        return Found()
    miss = case.miss_probability / len(case.declaration.pods) / len(lengths)
    found: list[HiddenBound] = []
    by_time = False
    for length_s in lengths:
        intervals = case.period.intervals(length_s)
        each = miss / len(intervals) / (2 if timed else 1)
        for interval in intervals:
            whole = rate * interval.duration_s
            left = whole - _explained(strata_of(alone, interval, by_flop, whole=True), flop_of, each)
            if timed:
                clocked = strata_of(alone, interval, by_clock(chips), whole=True)
                taken_s = min(_explained(clocked, time_of, each), interval.duration_s)
                free = whole * (1 - taken_s / interval.duration_s)
                by_time = by_time or free < min(left, whole)
                left = min(left, free)
            if left < whole:
                found.append(_bound(pod, interval, max(0.0, left), length_s, miss))
    return Found(bounds=tuple(found), assumptions=_assumptions(pod, by_time) if found else ())


def _lengths(period: Period) -> tuple[float, ...]:
    """The usual lengths up to the first that holds the whole period, unless there were too many intervals of one."""
    found: list[float] = []
    for length_s in reference.CELL_LENGTHS_S:
        if period.duration_s / length_s <= reference.SCOPES_MAX:
            found.append(length_s)
        if period.duration_s <= length_s:
            break
    return tuple(found)


def _explained(strata: Sequence[Stratum], weight: Callable[[Stratum], Floats], miss_probability: float) -> float:
    total = math.fsum(float(weight(one).sum()) for one in strata)
    if total <= 0:
        return 0.0
    return total * found_lower(strata, weight, levels=reference.FLOP_LEVELS, miss_probability=miss_probability)


def _bound(pod: str, period: Period, flop_max: float, length_s: float, miss: float) -> HiddenBound:
    return HiddenBound(
        statement=f"inspection-replay-{length_s:g}s-{pod}"[:128],
        miss_probability=miss,
        scope=Scope(pods=(pod,), period=period),
        flop_max=flop_max,
    )


def _assumptions(pod: str, by_time: bool) -> tuple[str, ...]:
    found = [
        "inspectors state truly what they drew, ran again and counted",
        (
            f"what was replayed was done by the chips of {pod}, in the time that was committed to, and not with less"
            " arithmetic than the verifier's re-run (answers kept from before, work done elsewhere)"
        ),
        "no work is committed to twice under different salts: copies show only where both were drawn",
        "declared peak rates of chips are true",
    ]
    if by_time:
        found.append("there is no faster way to do this work than the verifier's, on as many chips of the same kind")
    return tuple(found)
