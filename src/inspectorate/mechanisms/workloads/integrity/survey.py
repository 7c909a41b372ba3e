"""All integrity checks over what the meters of a declaration showed: which series were looked at, and what was found.

1. Each series of power, load or traffic that a meter showed: the sensor itself (power), and its own past (`frozen`, `replay`).
2. All series of one signal against each other, over all meters: copies.
3. Meters of one load in pairs (`pairs_of`): sums of what they measure, within the range that their places allow, and clocks.
4. Chips that show power and utilisation: power without work, and work without power.

Bounded: of more than `SERIES_SAMPLES_MAX` samples of one signal, series are looked at in the order of their names until the
bound is reached, and the rest is named as not checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from inspectorate.agreement import SoundTelemetry
from inspectorate.declaration import Current, MeasuringPoint, Meter
from inspectorate.mechanisms.workloads.integrity import sums
from inspectorate.mechanisms.workloads.integrity.clock import clock_findings
from inspectorate.mechanisms.workloads.integrity.clones import Copy, CopyKind, find_copies
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.frozen import sensor_findings
from inspectorate.mechanisms.workloads.integrity.replay import replay_findings
from inspectorate.mechanisms.workloads.integrity.series import Mask, Series, series_of
from inspectorate.mechanisms.workloads.observe import MeterSeen, Observed
from inspectorate.mechanisms.workloads.telemetry.frame import Times, Values

SERIES_SAMPLES_MAX = 20_000_000
PAIRS_MAX = 500
POWER = "power_w"
LOOKED_AT = (
    POWER, "cpu_busy_cores", "resident_bytes", "network_sent_bytes_per_s", "network_received_bytes_per_s",
    "nvlink_bytes_per_s", "pcie_sent_bytes_per_s", "pcie_received_bytes_per_s", "temperature_c",
)  # fmt: skip
"""Signals with enough in them for copies. A share of utilisation is at 0 or 1 too often to be told apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairSeen:
    """Two meters of one load: what the one says of the whole, and the other, or those that it feeds, of the parts."""

    whole: Meter
    parts: tuple[Meter, ...]
    allowed: sums.Range
    means: sums.Means
    apart: Mask
    findings: tuple[SeriesFinding, ...]

    @property
    def name(self) -> str:
        return f"{self.whole.id} and {', '.join(part.id for part in self.parts)}"

    @property
    def throughout(self) -> bool:
        """Whether both were there in every mean."""
        return bool(self.means.compared.all())

    @property
    def agree(self) -> bool:
        return self.throughout and not any(finding.made for finding in self.findings)

    @property
    def pods(self) -> frozenset[str]:
        return frozenset(self.whole.pods) & frozenset(pod for part in self.parts for pod in part.pods)

    @property
    def meters(self) -> frozenset[str]:
        return frozenset((self.whole.id, *(part.id for part in self.parts)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What was found. `by_meter`: the findings that concern a meter; a copy concerns both of its meters."""

    findings: tuple[SeriesFinding, ...]
    by_meter: dict[str, tuple[SeriesFinding, ...]]
    copies: tuple[Copy, ...]
    alignments: float
    """How many ways to lay one series over another were looked at."""
    pairs: tuple[PairSeen, ...]
    not_checked: tuple[str, ...] = field(default=())


def survey(observed: Observed, terms: SoundTelemetry) -> Survey:
    """All checks (procedure in the module's docstring)."""
    shelves, not_checked = _series(observed)
    findings: list[SeriesFinding] = []
    copies: list[Copy] = []
    alignments = 1.0
    for signal, series in shelves.items():
        # (1)
        for one in series:
            findings += sensor_findings(one) if signal == POWER else ()
            findings += replay_findings(one)
        # (2)
        found = find_copies(series)
        copies += found
        findings += [copy_finding(copy, signal) for copy in found]
        alignments += float(sum(len(one) for one in series)) ** 2
    # (3)
    pairs, left_out = _pairs(observed, terms)
    findings += [finding for pair in pairs for finding in pair.findings]
    # (4)
    for seen in observed.meters.values():
        findings += _activity(seen, terms)
    return Survey(
        findings=tuple(findings),
        by_meter=_by_meter(findings, pairs),
        copies=tuple(copies),
        alignments=alignments,
        pairs=pairs,
        not_checked=(*not_checked, *left_out),
    )


def _series(observed: Observed) -> tuple[dict[str, list[Series]], list[str]]:
    shelves: dict[str, list[Series]] = {}
    not_checked = []
    for signal in LOOKED_AT:
        total, chosen, left = 0, [], 0
        for seen in observed.meters.values():
            for series in series_of(seen.frame, signal, meter=seen.meter.id) if seen.frame is not None else ():
                total += len(series)
                if total > SERIES_SAMPLES_MAX:
                    left += 1
                else:
                    chosen.append(series)
        if chosen:
            shelves[signal] = chosen
        if left:
            not_checked.append(
                f"{left} series of {signal} were not compared: there are more than {SERIES_SAMPLES_MAX:,} samples"
            )
    return shelves, not_checked


def copy_finding(copy: Copy, signal: str) -> SeriesFinding:
    """A copy as a finding, told at its place in the first series."""
    when = "at the same time" if copy.shift_s == 0 else f"{copy.shift_s:+.0f} s away"
    how = "equal" if copy.kind is CopyKind.EXACT else f"alike (rank correlation of innovations {copy.correlation:.3f})"
    return SeriesFinding(
        kind=FindingKind.COPY if copy.kind is CopyKind.EXACT else FindingKind.ALIKE,
        one=copy.one,
        other=copy.other,
        start_ns=copy.one_start_ns,
        end_ns=copy.one_start_ns + round(copy.one_s * 1e9),
        size=float(copy.samples),
        text=f"{copy.samples} samples of {signal} are {how}, {when}: {copy.bits:.0f} bits that independent sensors do not share",
    )


def pairs_of(meters: Iterable[Meter]) -> list[tuple[Meter, tuple[Meter, ...], sums.Range]]:
    """Power meters of one load: a meter with those that it feeds; else two of the same pods, in order of their places."""
    power = [meter for meter in meters if POWER in meter.signals or "energy_j" in meter.signals]
    known = {meter.id: meter for meter in power}
    found: list[tuple[Meter, tuple[Meter, ...], sums.Range]] = []
    for meter in power:
        parts = tuple(known[name] for name in meter.feeds if name in known)
        if parts and len(parts) == len(meter.feeds):
            chips = all(part.point is MeasuringPoint.CHIP for part in parts)
            found.append((meter, parts, sums.NODE_OVER_CHIPS if chips else sums.OUTLET_OVER_NODES))
    told = {frozenset((meter.id, part.id)) for meter, parts, _ in found for part in parts}
    for one, other in combinations(power, 2):
        if set(one.pods) != set(other.pods) or frozenset((one.id, other.id)) in told:
            continue
        whole, part = sorted((one, other), key=_height, reverse=True)
        found.append((whole, (part,), _allowed(whole, part)))
    return found


def _height(meter: Meter) -> tuple[int, int]:
    places = (MeasuringPoint.CHIP, MeasuringPoint.NODE, MeasuringPoint.RACK, MeasuringPoint.GATEWAY)
    return places.index(meter.point), int(meter.current is Current.AC)


def _allowed(whole: Meter, part: Meter) -> sums.Range:
    if whole.point is part.point:
        same = whole.current is part.current or None in (whole.current, part.current)
        return sums.SAME_PLACE if same else sums.AC_OVER_DC
    if part.point is MeasuringPoint.CHIP:
        return sums.NODE_OVER_CHIPS
    return sums.OUTLET_OVER_NODES


def _pairs(observed: Observed, terms: SoundTelemetry) -> tuple[tuple[PairSeen, ...], list[str]]:
    every = pairs_of(seen.meter for seen in observed.meters.values())
    found = []
    for whole, parts, allowed in every[:PAIRS_MAX]:
        seen = _compare(observed, whole, parts, allowed, terms)
        if seen is not None:
            found.append(seen)
    left = len(every) - PAIRS_MAX
    return tuple(found), [
        f"{left} pairs of meters were not compared: there are more than {PAIRS_MAX}"
    ] if left > 0 else []


def _compare(
    observed: Observed, whole: Meter, parts: tuple[Meter, ...], allowed: sums.Range, terms: SoundTelemetry
) -> PairSeen | None:
    totals = [total_power(observed.meters[meter.id]) for meter in (whole, *parts)]
    if any(total is None for total in totals):
        return None
    there = [total for total in totals if total is not None]
    step = max(int(times[1] - times[0]) if len(times) > 1 else 1 for times, _ in there)
    start, end = int(there[0][0][0]), max(int(times[-1]) for times, _ in there) + step
    grid = np.arange(start, end, step, dtype=np.int64)
    laid = [_on_grid(times, values, grid, step) for times, values in there]
    together = np.sum(laid[1:], axis=0)
    means = sums.means_over(grid, laid[0], together, averaging_s=terms.averaging_s)
    names = whole.id, ", ".join(part.id for part in parts)
    findings = sums.sum_findings(means, names, allowed, terms.disagreement_share_max)
    one, other = _as_series(names[0], grid, laid[0]), _as_series(names[1], grid, together)
    if len(one) and len(other):
        findings += clock_findings(one, other)
    above, below = sums.apart(means, allowed, terms.disagreement_share_max)
    return PairSeen(whole=whole, parts=parts, allowed=allowed, means=means, apart=above | below, findings=findings)


def total_power(seen: MeterSeen) -> tuple[Times, Values] | None:
    """The sum over all declared units, NaN where any of them was not measured; None without power of all of them."""
    frame = seen.frame
    if frame is None or seen.silent_units or POWER not in frame.signals:
        return None
    total = frame.of(POWER).astype(np.float64).sum(axis=1)
    return frame.time_ns, total


def _on_grid(times: Times, values: Values, grid: Times, step: int) -> Values:
    """Means over the steps of a coarser grid that begins at the same time."""
    place = (times - grid[0]) // step
    there = np.isfinite(values) & (place >= 0) & (place < len(grid))
    count = np.bincount(place[there], minlength=len(grid))
    total = np.bincount(place[there], weights=values[there], minlength=len(grid))
    laid: Values = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return laid


def _as_series(name: str, grid: Times, values: Values) -> Series:
    there = np.isfinite(values)
    return Series(name=name, time_ns=grid[there], values=values[there])


def _activity(seen: MeterSeen, terms: SoundTelemetry) -> list[SeriesFinding]:
    frame = seen.frame
    if frame is None or seen.meter.point is not MeasuringPoint.CHIP or not {POWER, "busy_share"} <= set(frame.signals):
        return []
    power, busy = frame.of(POWER).astype(np.float64), frame.of("busy_share").astype(np.float64)
    on = np.where(power > 0, power, np.nan)
    if not np.isfinite(on).any():
        return []
    # What chips of the meter take at least: a chip that never idles is held against those beside it.
    idle_w = float(np.nanquantile(on, 0.02))
    found: list[SeriesFinding] = []
    for i, unit in enumerate(frame.units):
        found += sums.activity_findings(
            f"{seen.meter.id}/{unit}", frame.time_ns, power[:, i], busy[:, i],
            averaging_s=terms.averaging_s, idle_w=idle_w,
        )  # fmt: skip
    return found


def _by_meter(findings: list[SeriesFinding], pairs: tuple[PairSeen, ...]) -> dict[str, tuple[SeriesFinding, ...]]:
    of: dict[str, list[SeriesFinding]] = defaultdict(list)
    between = {id(finding): pair.meters for pair in pairs for finding in pair.findings}
    for finding in findings:
        named = {name.split("/", 1)[0] for name in (finding.one, finding.other) if name}
        for meter in sorted(between.get(id(finding), named)):
            of[meter].append(finding)
    return {meter: tuple(found) for meter, found in of.items()}


def copy_p_value(seen: Survey) -> float:
    """The chance of copies this rich among independent sensors: alignments times 2^-bits, for the richest copy; 1 without one.

    Rests on the information of a sample being no more than what its noise leaves open (`clones.information_bits`).
    """
    exact = [copy.bits for copy in seen.copies if copy.kind is CopyKind.EXACT]
    if not exact:
        return 1.0
    return float(min(1.0, 2.0 ** min(0.0, np.log2(seen.alignments) - max(exact))))
