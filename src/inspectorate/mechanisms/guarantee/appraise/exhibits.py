"""What the report may plot of a guarantee processor: modes over time, events by kind, meters against their budgets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.mechanisms.guarantee import reference
from inspectorate.mechanisms.guarantee.appraise.common import PodGuards
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.observe import Said

_MODES = tuple(Mode)
_UNITS = {MeterKind.FLOP: "FLOP", MeterKind.ENERGY_J: "J", MeterKind.WALL_S: "s"}


def modes(guards: PodGuards) -> Exhibit:
    """The mode at the end of each report, and the share of its time in which work was held."""
    usable = [one for guard in guards.seen for one in guard.usable]
    step = max(1, -(-len(usable) // reference.ROWS_MAX))
    rows: list[tuple[str | float | None, ...]] = []
    for first in range(0, len(usable), step):
        part = usable[first : first + step]
        held_s, total_s = sum(one.kept.held_s for one in part), sum(one.period.duration_s for one in part)
        # Of several, the mode that lets least through.
        mode = min((_MODES.index(one.kept.mode) for one in part), key=_strictness)
        rows.append((_time(part[-1]), float(mode), min(1.0, held_s / total_s)))
    return Exhibit(
        id=f"guard-modes-{guards.pod}"[:128],
        title=f"Mode of the processor of {guards.pod}: " + ", ".join(f"{n} {m.value}" for n, m in enumerate(_MODES)),
        kind=ExhibitKind.SERIES,
        columns=("time", "mode", "held_share"),
        rows=tuple(rows),
    )


def events(guards: PodGuards) -> tuple[Exhibit, ...]:
    """How often each kind of event was reported; none if none was."""
    counts: Counter[EventKind] = Counter()
    first: dict[EventKind, Said] = {}
    for guard in guards.seen:
        for one in guard.usable:
            counts.update(one.kept.events)
            for kind in one.kept.events:
                first.setdefault(kind, one)
    rows = tuple((kind.value, float(counts[kind]), _time(first[kind])) for kind in EventKind if counts[kind])
    if not rows:
        return ()
    return (
        Exhibit(
            id=f"guard-events-{guards.pod}"[:128],
            title=f"What the processor of {guards.pod} refused or had happen to it",
            kind=ExhibitKind.TABLE,
            columns=("event", "count", "first_reported"),
            rows=rows,
        ),
    )


def meter(guards: PodGuards, kind: MeterKind, reports: Sequence[Said], *, budgets: Sequence[float]) -> Exhibit:
    """Running sums of one meter that is in every report, beside what had been licensed by then."""
    used = list(accumulate(upper for upper, _ in (amounts(one, kind) for one in reports)))
    at_least = list(accumulate(lower for _, lower in (amounts(one, kind) for one in reports)))
    step = max(1, -(-len(reports) // reference.ROWS_MAX))
    rows = tuple(
        (_time(reports[k]), used[k], at_least[k], budgets[k])
        for k in sorted({*range(0, len(reports), step), len(reports) - 1})
    )
    return Exhibit(
        id=f"guard-{kind.value}-{guards.pod}"[:128],
        title=f"{kind.value} used behind the processor of {guards.pod}, and licensed",
        kind=ExhibitKind.SERIES,
        columns=("time", "used_at_most", "used_at_least", "licensed"),
        rows=rows,
        unit=_UNITS.get(kind, "B"),
    )


def amounts(said: Said, kind: MeterKind) -> tuple[float, float]:
    """(at most, at least) used in a report; infinity and 0 where the meter is not in it."""
    for one in said.kept.meters:
        if one.meter is kind:
            return one.used, one.at_least
    return float("inf"), 0.0


def _strictness(mode: int) -> int:
    return (Mode.HALTED, Mode.LOCKED, Mode.READY, Mode.UPLOADING, Mode.SERVING).index(_MODES[mode])


def _time(said: Said) -> str:
    return said.period.end.strftime("%Y-%m-%dT%H:%M:%SZ")
