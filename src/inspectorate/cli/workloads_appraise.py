"""`inspectorate workloads appraise`: a table of telemetry against enrolled workloads, on the desk. No evidence, and no verdict.

What counts as evidence is signed and goes through `inspectorate review`; this is for an operator before handing over, and for an
inspector who asks how far something is from what was enrolled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from inspectorate.cli.options import EXISTING, FiniteRange, anchors_option, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.workloads.appraise.enrolled import Bench, bench_of, features_of, hidden_within
from inspectorate.mechanisms.workloads.enrol.load import LoadedSignature, read_signature
from inspectorate.mechanisms.workloads.enrol.session import read_session
from inspectorate.mechanisms.workloads.signature.calibrate import Threshold
from inspectorate.mechanisms.workloads.signature.hiding import HiddenShare
from inspectorate.mechanisms.workloads.telemetry.frame import Frame
from inspectorate.mechanisms.workloads.telemetry.table import read_table
from inspectorate.mechanisms.workloads.telemetry.tidy import tidy
from inspectorate.quantities import from_ns

MISS_PROBABILITY = 0.01


@dataclass(frozen=True, kw_only=True)
class UnitSaid:
    """What one unit showed. Times are those of the windows."""

    unit: str
    windows: int
    not_observed: int
    largest: float | None
    nearest: str | None
    deviating: int
    first_deviation: str | None
    departures: tuple[tuple[str, float], ...]


@click.command()
@click.argument("sessions", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--telemetry", required=True, type=EXISTING, help="A Parquet table: time_ns, unit, one column per signal."
)
@click.option("--claimed", help="The workload that it is said to be; needed if several are enrolled.")
@click.option("--rate", type=FiniteRange(min=0, min_open=True), default=1 / 24, show_default="1/24",
              help="False alarms per device-hour that are allowed.")  # fmt: skip
@anchors_option
@json_option
def appraise(**options: Any) -> None:
    """Compare telemetry with the workloads enrolled in SESSIONS (closed folders of `inspectorate enrol`).

    Exits 10 if anything deviates or was not observed, or if the enrolment is too short for the rate.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    signatures = _signatures(options["sessions"], anchors)
    claimed = _claimed(options["claimed"], signatures)
    bench = bench_of(signatures)
    limit = bench.calibration.threshold(claimed, per_device_hour_max=options["rate"]) if bench else None
    if bench is None or limit is None:
        raise InputError("too few runs were enrolled to set a threshold", where=claimed, remedy="enrol at least two")
    frame = _frame(options["telemetry"], signatures[claimed])
    units = [_unit(bench, frame, place, claimed, limit, signatures[claimed]) for place in range(len(frame.units))]
    shape = hidden_within(bench, signatures[claimed], limit, miss_probability=MISS_PROBABILITY)
    short = limit.per_device_hour > options["rate"] * (1 + 1e-9)
    if options["as_json"]:
        print_json(_as_json(claimed, limit, units, shape))
    else:
        click.echo("\n".join(_lines(claimed, limit, units, shape, short=short)))
    if short or not units or any(one.deviating or one.not_observed or one.largest is None for one in units):
        raise SystemExit(10)


def _signatures(folders: tuple[Path, ...], anchors: TrustAnchors) -> dict[str, LoadedSignature]:
    found: dict[str, LoadedSignature] = {}
    for folder in folders:
        session = read_session(folder, anchors=anchors)
        if session.closing is None:
            raise InputError("is still open", where=str(folder), remedy="close it with `inspectorate enrol close`")
        loaded = read_signature(session.closing, session.payload, [session.opening])
        first = next(iter(found.values()), loaded).record
        alike = (first.signals, first.step_s, first.window_s)
        if (loaded.record.signals, loaded.record.step_s, loaded.record.window_s) != alike:
            raise InputError("samples other signals, or at another rate, than the first session", where=str(folder))
        if loaded.workload in found:
            raise InputError(f"enrols {loaded.workload} a second time", where=str(folder))
        found[loaded.workload] = loaded
    return found


def _claimed(claimed: str | None, signatures: dict[str, LoadedSignature]) -> str:
    if claimed is None and len(signatures) == 1:
        return next(iter(signatures))
    if claimed not in signatures:
        raise InputError(
            f"{claimed or 'nothing'} is not enrolled", where="--claimed", remedy=f"name one of {', '.join(signatures)}"
        )
    return claimed


def _frame(path: Path, loaded: LoadedSignature) -> Frame:
    """The table on the grid of the enrolment, with its signals."""
    samples = read_table(path)
    if not len(samples):
        raise InputError("holds no samples", where=str(path))
    start, end = int(samples.time_ns.min()), int(samples.time_ns.max()) + 1
    frame = tidy(samples, start_ns=start, end_ns=end, step_ns=round(loaded.record.step_s * 1e9)).frame
    missing = [signal for signal in loaded.record.signals if signal not in frame.signals]
    if missing:
        raise InputError(f"does not have {', '.join(missing)}", where=str(path), remedy="record what was enrolled")
    places = [frame.signals.index(signal) for signal in loaded.record.signals]
    return Frame(
        units=frame.units,
        signals=loaded.record.signals,
        start_ns=frame.start_ns,
        step_ns=frame.step_ns,
        values=np.ascontiguousarray(frame.values[places]),
    )


def _unit(bench: Bench, frame: Frame, place: int, claimed: str, limit: Threshold, loaded: LoadedSignature) -> UnitSaid:
    window_s = loaded.record.window_s
    values = features_of(frame, window_s)[1][:, place]
    distances = bench.library.distances(values, whole=True)
    own = distances[:, bench.library.workloads.index(claimed)]
    told = np.isfinite(own)
    deviates = np.flatnonzero(told & (np.where(told, own, 0.0) > limit.distance))
    worst = int(np.nanargmax(own)) if told.any() else 0
    block = values[max(0, worst - bench.library.block + 1) : worst + 1]
    return UnitSaid(
        unit=frame.units[place],
        windows=len(values),
        not_observed=int(np.count_nonzero(~np.isfinite(values).any(axis=1))),
        largest=float(own[worst]) if told.any() else None,
        nearest=bench.library.workloads[int(np.argmin(np.nanmean(distances[told], axis=0)))] if told.any() else None,
        deviating=len(deviates),
        first_deviation=f"{from_ns(frame.start_ns + round(int(deviates[0]) * window_s * 1e9)):%Y-%m-%d %H:%M:%S}Z"
        if len(deviates)
        else None,
        departures=bench.library.departures(block, claimed, most=3) if len(deviates) else (),
    )


def _as_json(claimed: str, limit: Threshold, units: list[UnitSaid], shape: HiddenShare | None) -> dict[str, Any]:
    return {
        "claimed": claimed,
        "threshold": vars(limit),
        "units": [{**vars(one), "departures": dict(one.departures)} for one in units],
        "hidden_share_max": shape.share_max if shape else None,
        "caught": [vars(one) for one in shape.detections] if shape else None,
    }


def _lines(
    claimed: str, limit: Threshold, units: list[UnitSaid], shape: HiddenShare | None, *, short: bool
) -> list[str]:
    source = "all enrolled workloads" if limit.pooled else claimed
    lines = [
        f"{claimed}: beyond {limit.distance:.2f} usual spreads a block deviates; {limit.runs} held-out runs of {source}, of "
        f"{limit.run_hours:.2g} h, support {limit.per_device_hour:.2g} false alarms per device-hour"
        + (": too many for the rate that was asked for" if short else "")
    ]
    for one in units:
        far = "never observed" if one.largest is None else f"at most {one.largest:.2f}, nearest to {one.nearest}"
        lines.append(f"  {one.unit}: {one.windows} windows, {one.not_observed} not observed; {far}")
        if one.deviating:
            away = ", ".join(f"{name} by {by:+.0f}" for name, by in one.departures)
            lines.append(f"    {one.deviating} windows deviate, from {one.first_deviation} on: {away}")
    if shape is None:
        lines.append("no training was recorded beside it: nothing says what could be hidden within it")
    else:
        shares = ", ".join(f"{d.share:.0%}: {d.caught}/{d.runs}" for d in shape.detections)
        lines.append(f"training within it, by share of the time, would be caught in so many runs: {shares}")
        lines.append(
            f"at most {shape.share_max:.0%} of an hour could be hidden ({1 - MISS_PROBABILITY:.0%} confidence)"
        )
    return lines
