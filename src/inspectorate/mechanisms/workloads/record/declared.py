"""Whether the sources of a meter show what the meter was declared to show: no less, and no more.

What is declared and not there would be a gap from the first moment on; what is there and not declared is not what the prover
agreed to hand over, and no one would look for it. Both are named before anything is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from inspectorate.declaration import Meter
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.record.source import Scrape, Source
from inspectorate.mechanisms.workloads.telemetry.frame import Samples
from inspectorate.mechanisms.workloads.telemetry.signals import SIGNALS

NAMES_SHOWN = 8


def refuse_unknown_signals(names: Iterable[str], *, where: str) -> None:
    """Raises `InputError` on a name that is no signal."""
    unknown = sorted(set(names) - SIGNALS.keys())
    if unknown:
        raise InputError(f"unknown signals: {_names(unknown)}", where=where, remedy=f"known are {', '.join(SIGNALS)}")


def refuse_undeclared(meter: Meter, sources: Sequence[Source], shown: Sequence[Samples]) -> None:
    """Hold what the sources of a meter showed once against its declaration. Raises `InputError` naming the differences."""
    where = f"meter {meter.id}"
    for source in sources:
        if source.facts.point is not meter.point:
            raise InputError(
                f"is declared at the {meter.point}, but {source.facts.name} measures at the {source.facts.point}",
                where=where,
            )
    signals = {signal for samples in shown for signal in signals_in(samples)}
    units = [samples.units[place] for samples in shown for place in np.unique(samples.unit)]
    repeated = sorted({unit for unit in units if units.count(unit) > 1}) if len(units) <= 10_000 else []
    if repeated:
        raise InputError(f"two sources show the same units: {_names(repeated)}", where=where)
    faults = [
        f"{what}: {_names(sorted(names))}"
        for what, names in (
            ("declared, but not there are the signals", set(meter.signals) - signals),
            ("there, but not declared are the signals", signals - set(meter.signals)),
            ("declared, but not there are the units", set(meter.units) - set(units)),
            ("there, but not declared are the units", set(units) - set(meter.units)),
        )
        if names
    ]
    if faults:
        raise InputError(
            "; ".join(faults),
            where=where,
            remedy="correct the declaration, or narrow the source with signals=… or signals=declared",
        )


def signals_in(samples: Samples) -> tuple[str, ...]:
    """The signals of which there is any value."""
    if not len(samples):
        return ()
    there = np.flatnonzero(np.count_nonzero(~np.isnan(samples.values), axis=0))
    return tuple(samples.signals[place] for place in there)


def only(samples: Samples, signals: Sequence[str]) -> Samples:
    """The given signals of some samples; rows that are left without a value go."""
    kept = [place for place, signal in enumerate(samples.signals) if signal in set(signals)]
    values = samples.values[:, kept]
    rows = ~np.isnan(values).all(axis=1) if kept else np.zeros(len(samples), dtype=np.bool_)
    there = np.unique(samples.unit[rows])
    place = np.full(len(samples.units), -1, dtype=np.int32)
    place[there] = np.arange(len(there), dtype=np.int32)
    return Samples(
        units=tuple(samples.units[index] for index in there),
        signals=tuple(samples.signals[index] for index in kept),
        time_ns=samples.time_ns[rows],
        unit=place[samples.unit[rows]],
        values=values[rows],
    )


class Narrowed:
    """A source of which only some signals are taken."""

    def __init__(self, source: Source, signals: Sequence[str]) -> None:
        self._source = source
        self._signals = tuple(signals)
        self.facts = source.facts

    def poll(self) -> Samples | Scrape:
        answer = self._source.poll()
        if isinstance(answer, Scrape):
            raise InputError("a page is kept whole", where=self.facts.name, remedy="leave signals= out")
        return only(answer, self._signals)

    def close(self) -> None:
        self._source.close()


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
