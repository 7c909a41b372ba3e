"""Sums and activity: what a whole and its parts, and power and work, may be to each other.

- **Whole and parts.** A node takes what its chips take and a rest (fans, processors, supplies: at most `REST_SHARE_MAX` of it, or
  what was learned of the node); a distribution unit what its nodes take and a loss of at most `LOSS_SHARE_MAX`. Parts that
  exceed the whole, or a whole that exceeds parts and rest, by more than the tolerance of the agreement contradict each other.
- **Two meters of one load.** Behind and before a supply the ratio lies between `AC_PER_DC_MIN` and `AC_PER_DC_MAX`; two meters
  at one place differ by no more than the tolerance.
- **Power and work.** A chip whose utilisation is next to nothing and which takes far more than its idle power works; one that
  says it works and takes its idle power does not.

Everything is compared as means over `averaging` steps, of steps in which all were measured: what meters smooth away within
such a mean is no difference. One mean may lie out of line by chance (a clock that is off by less than a mean): a
finding needs `APART_MIN` means in a row, or `APART_SHARE` of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.findings import FindingKind, SeriesFinding
from inspectorate.mechanisms.workloads.integrity.series import Mask
from inspectorate.mechanisms.workloads.telemetry.frame import Times, Values

APART_MIN = 3
APART_SHARE = 0.05
COVERED_SHARE = 0.5
"""A mean needs this share of its steps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Range:
    """The whole may be between `least` and `most` times its parts."""

    least: float
    most: float


SAME_PLACE = Range(least=1.0, most=1.0)
AC_OVER_DC = Range(least=reference.AC_PER_DC_MIN, most=reference.AC_PER_DC_MAX)
NODE_OVER_CHIPS = Range(least=1.0, most=1.0 / (1.0 - reference.REST_SHARE_MAX))
OUTLET_OVER_NODES = Range(least=1.0, most=1.0 / (1.0 - reference.LOSS_SHARE_MAX))


@dataclass(frozen=True, kw_only=True, eq=False)
class Means:
    """Two quantities as means over equal stretches; NaN where too little of one was measured. Shapes (n,)."""

    start_ns: Times
    length_ns: int
    whole: Values
    parts: Values

    @property
    def compared(self) -> Mask:
        found: Mask = np.isfinite(self.whole) & np.isfinite(self.parts)
        return found


def means_over(time_ns: Times, whole: Values, parts: Values, *, averaging_s: float) -> Means:
    """Means of two quantities of shape (times,) on one grid, over steps in which both were measured."""
    step = int(time_ns[1] - time_ns[0]) if len(time_ns) > 1 else max(1, round(averaging_s * 1e9))
    width = max(1, round(averaging_s * 1e9 / step))
    count = -(-len(time_ns) // width)
    both = np.isfinite(whole) & np.isfinite(parts)
    group = np.arange(len(time_ns)) // width
    covered = np.bincount(group[both], minlength=count)
    enough = covered >= COVERED_SHARE * width

    def mean(values: Values) -> Values:
        total = np.bincount(group[both], weights=values[both], minlength=count)
        found: Values = np.where(enough, total / np.maximum(covered, 1), np.nan)
        return found

    return Means(start_ns=time_ns[::width], length_ns=width * step, whole=mean(whole), parts=mean(parts))


def apart(means: Means, allowed: Range, tolerance: float) -> tuple[Mask, Mask]:
    """Where the parts exceed the whole, and where the whole exceeds the parts, by more than range and tolerance. (n,) each."""
    with np.errstate(invalid="ignore"):
        above: Mask = means.parts * allowed.least * (1 - tolerance) > means.whole
        below: Mask = means.whole * (1 - tolerance) > means.parts * allowed.most
    return above & means.compared, below & means.compared


def sum_findings(means: Means, names: tuple[str, str], allowed: Range, tolerance: float) -> tuple[SeriesFinding, ...]:
    """What contradicts itself between a whole and its parts (names in this order)."""
    above, below = apart(means, allowed, tolerance)
    same = allowed.most == allowed.least
    kinds = (
        (above, FindingKind.METERS_APART if same else FindingKind.PARTS_EXCEED_WHOLE),
        (below, FindingKind.METERS_APART if same else FindingKind.WHOLE_EXCEEDS_PARTS),
    )
    found = []
    for mask, kind in kinds:
        if not lasting(mask, means.compared):
            continue
        where = np.flatnonzero(mask)
        off = np.abs(means.whole[where] / np.maximum(means.parts[where], 1e-9) - 1)
        worst = int(where[off.argmax()])
        found.append(
            SeriesFinding(
                kind=kind,
                one=names[0],
                other=names[1],
                start_ns=int(means.start_ns[where[0]]),
                end_ns=int(means.start_ns[where[-1]]) + means.length_ns,
                size=float(off.max()),
                text=f"{means.whole[worst]:,.0f} W against {means.parts[worst]:,.0f} W, out of range in {len(where)} of "
                f"{int(means.compared.sum())} means of {means.length_ns / 1e9:g} s",
            )
        )
    return tuple(found)


def lasting(mask: Mask, compared: Mask) -> bool:
    """Whether it is more than a mean here and there: `APART_MIN` in a row, or `APART_SHARE` of all and at least two."""
    if not mask.any():
        return False
    longest = run = 0
    for here in mask.tolist():
        run = run + 1 if here else 0
        longest = max(longest, run)
    total = int(mask.sum())
    return longest >= APART_MIN or (total >= 2 and total >= APART_SHARE * int(compared.sum()))


def activity_findings(
    name: str, time_ns: Times, power_w: Values, busy_share: Values, *, averaging_s: float, idle_w: float
) -> tuple[SeriesFinding, ...]:
    """Power without work, and work without power, of one chip; `idle_w` is what it takes when it does nothing.

    Raises `ValueError` unless the idle power is more than nothing.
    """
    if idle_w <= 0:
        raise ValueError("what a chip takes when it does nothing is more than 0 W")
    means = means_over(time_ns, power_w, busy_share, averaging_s=averaging_s)
    with np.errstate(invalid="ignore"):
        hidden = (means.parts <= reference.IDLE_UTILISATION_MAX) & (
            means.whole > reference.POWER_WITHOUT_WORK_FACTOR * idle_w
        )
        feigned = (means.parts >= reference.BUSY_SHARE_MIN) & (
            means.whole < reference.WORK_WITHOUT_POWER_FACTOR * idle_w
        )
    found = []
    for mask, kind, said in (
        (hidden, FindingKind.POWER_WITHOUT_WORK, "says that it is idle"),
        (feigned, FindingKind.WORK_WITHOUT_POWER, "says that it works"),
    ):
        if lasting(mask, means.compared):
            where = np.flatnonzero(mask)
            level = float(np.mean(means.whole[where]))
            found.append(
                SeriesFinding(
                    kind=kind,
                    one=name,
                    start_ns=int(means.start_ns[where[0]]),
                    end_ns=int(means.start_ns[where[-1]]) + means.length_ns,
                    size=level / idle_w,
                    text=f"{said} and takes {level:.0f} W on average, {level / idle_w:.2f} times its {idle_w:.0f} W at idle, in "
                    f"{len(where)} means of {means.length_ns / 1e9:g} s",
                )
            )
    return tuple(found)
