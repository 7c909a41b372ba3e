"""From readings to increases: what passed a port from one reading to the next, at least and at most.

Procedure (`increases`), port by port:

1. Readings are put in order of time. A copy of a reading is left out; two different readings of one time are both left out.
2. From each reading to the next the counter rose by d = (after - before) mod 2^bits. With `most` = link speed x the longest
   time that can lie between the two values (x `LINK_SPEED_MARGIN`), and M = 2^bits:

   | the counter | at least | at most |
   |---|---|---|
   | says it was reset, or changed its width | 0 | most |
   | says it was not reset, or did not fall | d | d + k M, with the largest k for which that is within `most` |
   | fell, and does not say since when it counts | 0 | most |
   | fell by what is no wrap, though it says it was not reset | 0 | no bound |
   | rose by more than `most` | 0 | no bound |

   After a reset nothing is known below: a counter may begin anywhere (RFC 2578, section 7.1.6). Where the speed is not known,
   a 32-bit counter has no upper bound, and a 64-bit one is not asked to wrap (11.7 years at 400 Gbit/s).
3. A step longer than usual is a gap. A port that stood still while others of its node moved is frozen.

Assumption: a counter that does not say since when it counts, and did not fall, was not reset. Sums are whole numbers: no
rounding below 2^63 bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.counters.findings import Finding, Found
from inspectorate.mechanisms.interconnect.counters.readings import Port, Readings, Rows
from inspectorate.mechanisms.interconnect.counters.reference import (
    FROZEN_S_MIN,
    GAP_S_MIN,
    GAP_STEPS,
    LINK_SPEED_MARGIN,
)
from inspectorate.mechanisms.interconnect.traffic import Mask, Times

Whole = NDArray[np.int64]
SIDES = ("in_octets", "out_octets", "in_packets", "out_packets")
_NO_SPEED = float(1 << 62)
"""Stands for "most" where the speed is unknown; what it bounds is marked as unbounded."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One counter of a port, step by step: at least, at most, and where there is no most. Shapes (steps,)."""

    lower: Whole
    upper: Whole
    unbounded: Mask


@dataclass(frozen=True, kw_only=True)
class PortSteps:
    """A port's increases. Readings i and i + 1 enclose step i."""

    port: Port
    time_ns: Times
    """When each reading was there, (steps + 1,), rising."""
    early_ns: Times
    """The earliest moment of which its values may be, (steps + 1,)."""
    sides: Mapping[str, Side]
    """By name of the counter (`SIDES`); packets only where they were counted throughout."""
    gap: Mask
    """Which steps are longer than usual, (steps,)."""
    frozen: Mask
    """Which steps lie in a stretch in which the port stood still while its node moved, (steps,)."""
    doubtful: Mask
    """Which steps hold a reading that contradicts itself or its link, (steps,)."""
    speed_bits_per_s: int
    found: tuple[Found, ...]

    @property
    def steps(self) -> int:
        return max(0, len(self.time_ns) - 1)


def increases(readings: Readings, *, gap_s: float | None = None) -> dict[Port, PortSteps]:
    """Every port's increases (procedure in the module's docstring). Ports with fewer than two readings have no steps.

    `gap_s`: a step longer than this is a gap; where it is None, ten usual steps are, but not less than 10 s.
    """
    parts = {port: _steps_of(port, rows, gap_s) for port, rows in readings.by_port().items()}
    by_node: dict[str, list[PortSteps]] = defaultdict(list)
    for steps in parts.values():
        by_node[steps.port.node].append(steps)
    return {port: _with_frozen(steps, by_node[port.node]) for port, steps in parts.items()}


# --- (1) order ---------------------------------------------------------------------------------------------------------


def _in_order(port: Port, rows: Rows) -> tuple[Rows, list[Found]]:
    found: list[Found] = []
    if not len(rows):
        return rows, found
    times = rows["time_ns"]
    late = times < np.maximum.accumulate(times)
    rows = rows[np.argsort(times, kind="stable")]
    _tell(found, port, Finding.OUT_OF_ORDER, np.flatnonzero(late), times, times)
    same_time = rows["time_ns"][1:] == rows["time_ns"][:-1]
    same = same_time & np.logical_and.reduce([rows[name][1:] == rows[name][:-1] for name in (*SIDES, "bits")])
    _tell(found, port, Finding.DUPLICATE, np.flatnonzero(same), rows["time_ns"], rows["time_ns"])
    rows = rows[np.concatenate(([True], ~same))]
    clash = np.flatnonzero(rows["time_ns"][1:] == rows["time_ns"][:-1])
    if len(clash):
        at = np.unique(rows["time_ns"][clash])
        _tell(found, port, Finding.CONFLICT, np.arange(len(at)), at, at)
        rows = rows[~np.isin(rows["time_ns"], at)]
    return rows, found


# --- (2) increases -----------------------------------------------------------------------------------------------------


def _steps_of(port: Port, rows: Rows, gap_s: float | None) -> PortSteps:
    rows, found = _in_order(port, rows)
    times = rows["time_ns"].astype(np.int64)
    early = np.minimum(times, times - rows["age_ns"])
    before, after = rows[:-1], rows[1:]
    if not len(after):
        none = np.empty(0, np.bool_)
        return PortSteps(
            port=port, time_ns=times, early_ns=early, sides={}, gap=none, frozen=none, doubtful=none,
            speed_bits_per_s=int(rows["speed_bits_per_s"].max(initial=0)), found=tuple(found),
        )  # fmt: skip
    case = _Case.of(before, after, early)
    kinds = np.zeros(len(after), np.int64)
    sides: dict[str, Side] = {}
    counted = bool(rows["counts_packets"].all())
    for name in SIDES if counted else SIDES[:2]:
        # Packets are bounded by bytes per second as well: a frame has more than one.
        sides[name], kind = _side(before[name], after[name], case)
        if name.endswith("octets"):
            kinds |= kind
    for bit, finding in enumerate(_KINDS):
        _tell(found, port, finding, np.flatnonzero(kinds & (1 << bit)), times, times[1:])
    lengths = np.diff(times)
    limit = gap_s if gap_s is not None else max(GAP_S_MIN, GAP_STEPS * float(np.median(lengths)) / 1e9)
    gap = lengths > limit * 1e9
    _tell(found, port, Finding.GAP, np.flatnonzero(gap), times, times[1:])
    return PortSteps(
        port=port,
        time_ns=times,
        early_ns=early,
        sides=sides,
        gap=gap,
        frozen=np.zeros(len(after), np.bool_),
        doubtful=(kinds & _DOUBTFUL) > 0,
        speed_bits_per_s=int(rows["speed_bits_per_s"].max()),
        found=tuple(found),
    )


_KINDS = (
    Finding.WRAP,
    Finding.WRAPS_UNKNOWN,
    Finding.WRAP_OR_RESET,
    Finding.RESET,
    Finding.WENT_BACK,
    Finding.FASTER_THAN_LINK,
    Finding.WIDTH_CHANGED,
)
_BIT = {finding: 1 << bit for bit, finding in enumerate(_KINDS)}
_DOUBTFUL = _BIT[Finding.WENT_BACK] | _BIT[Finding.FASTER_THAN_LINK]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What is known of every step of a port, whichever counter is asked. Shapes (steps,)."""

    most: NDArray[np.float64]
    speed_known: Mask
    reset: Mask
    epoch_known: Mask
    width_changed: Mask
    bits: NDArray[np.uint64]

    @staticmethod
    def of(before: Rows, after: Rows, early: Times) -> _Case:
        speed = np.maximum(before["speed_bits_per_s"], after["speed_bits_per_s"]).astype(np.float64)
        longest_s = (after["time_ns"] - early[:-1]) / 1e9
        known = (before["epoch_ns"] > 0) & (after["epoch_ns"] > 0)
        return _Case(
            most=np.where(speed > 0, np.ceil(speed / 8 * longest_s * LINK_SPEED_MARGIN), _NO_SPEED),
            speed_known=speed > 0,
            reset=known & (before["epoch_ns"] != after["epoch_ns"]),
            epoch_known=known,
            width_changed=before["bits"] != after["bits"],
            bits=after["bits"].astype(np.uint64),
        )


def _side(before: NDArray[Any], after: NDArray[Any], case: _Case) -> tuple[Side, Whole]:
    """The bounds of one counter, and which findings each step gives rise to, as bits."""
    mask = (np.uint64(1) << (case.bits % np.uint64(64))) - np.uint64(1)  # 64 bits: 1 << 0, minus 1, is 0; set below
    wide = case.bits == 64
    mask[wide] = np.iinfo(np.uint64).max
    rise = (after - before) & mask
    fell = after < before
    anew = case.reset | case.width_changed
    plausible = np.where(case.speed_known, rise.astype(np.float64) <= case.most, ~fell | (rise < np.uint64(1 << 62)))
    undecided = fell & ~anew & ~case.epoch_known
    back = fell & ~anew & case.epoch_known & ~plausible
    fast = ~fell & ~anew & ~plausible
    sound = ~(anew | undecided | back | fast)

    overflow = _beyond(rise, sound)
    sound &= ~overflow
    fast |= overflow
    exact = np.where(sound, rise, 0).astype(np.int64)
    most = np.minimum(case.most, _NO_SPEED).astype(np.int64)
    room = np.where(sound & ~wide, np.maximum(most - exact, 0) >> 32, 0)
    upper = np.where(sound, exact + (room << 32), most)
    unbounded = back | fast | (~case.speed_known & ((sound & ~wide) | ~sound))
    unbounded |= _beyond(np.where(unbounded, 0, upper).astype(np.uint64), ~unbounded)
    kinds = (
        _BIT[Finding.WRAP] * (sound & fell)
        | _BIT[Finding.WRAPS_UNKNOWN] * (sound & (room > 0))
        | _BIT[Finding.WRAP_OR_RESET] * undecided
        | _BIT[Finding.RESET] * case.reset
        | _BIT[Finding.WENT_BACK] * back
        | _BIT[Finding.FASTER_THAN_LINK] * fast
        | _BIT[Finding.WIDTH_CHANGED] * (case.width_changed & ~case.reset)
    )
    upper = np.where(unbounded, 0, upper)
    return Side(lower=exact, upper=np.maximum(upper, exact), unbounded=unbounded), kinds.astype(np.int64)


def _beyond(amounts: NDArray[np.uint64], counted: Mask) -> Mask:
    """Steps that must not count, so that sums stay below 2^62: none, unless all together exceed it; then the largest."""
    total = float(np.where(counted, amounts, 0).astype(np.float64).sum())
    share = np.uint64((1 << 62) // max(1, len(amounts))) if total >= _NO_SPEED else np.uint64(1 << 63)
    beyond: Mask = counted & (amounts > share)
    return beyond


# --- (3) frozen --------------------------------------------------------------------------------------------------------


def _with_frozen(steps: PortSteps, node: Iterable[PortSteps]) -> PortSteps:
    still = _still(steps)
    if not still.any() or still.all():
        return steps
    frozen = np.zeros(steps.steps, np.bool_)
    spans: list[tuple[int, int]] = []
    for first, last in _runs(still):
        start, end = int(steps.time_ns[first]), int(steps.time_ns[last])
        if end - start < FROZEN_S_MIN * 1e9 or not any(_moved(other, start, end) for other in node):
            continue
        frozen[first:last] = True
        spans.append((start, end))
    if not spans:
        return steps
    told = Found(
        port=str(steps.port), finding=Finding.FROZEN, count=len(spans), start_ns=spans[0][0], end_ns=spans[0][1]
    )
    return PortSteps(**{**vars(steps), "frozen": frozen, "found": (*steps.found, told)})


def _still(steps: PortSteps) -> Mask:
    """Steps in which no counter of the port moved, (steps,)."""
    still = np.ones(steps.steps, np.bool_)
    for side in steps.sides.values():
        still &= (side.upper == 0) & ~side.unbounded
    return still


def _moved(steps: PortSteps, start_ns: int, end_ns: int) -> bool:
    """Whether a port moved between two times, by its own readings within them."""
    first, last = np.searchsorted(steps.time_ns, start_ns, "left"), np.searchsorted(steps.time_ns, end_ns, "right") - 1
    return bool(any(side.lower[first:last].any() for side in steps.sides.values()))


def _runs(mask: Mask) -> list[tuple[int, int]]:
    """Stretches [start, stop) in which the mask holds."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _tell(
    found: list[Found], port: Port, finding: Finding, places: NDArray[np.intp], starts: Times, ends: Times
) -> None:
    """Note a finding at some places, with the stretch of the first of them."""
    if len(places):
        first = int(places[0])
        found.append(
            Found(
                port=str(port),
                finding=finding,
                count=len(places),
                start_ns=int(starts[first]),
                end_ns=int(ends[first]),
            )
        )
