"""Payloads of telemetry segments: to samples, and back; and a whole stream at once.

- Two forms: our table (`table`), and scrapes as exporters showed them (`prometheus`).
- A stream is read in the order of its segments. What speaks against it is named, and the rest is read: a payload that cannot be
  decoded, another number of entries than was signed for, samples of a time for which their segment was not signed (they are
  left out: nobody vouches for them).
- Signals and units of all segments are brought together by name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Segment, Stream
from inspectorate.evidence.observed import PAYLOAD_BYTES_MAX
from inspectorate.mechanisms.workloads.telemetry.frame import SAMPLES_MAX, UNITS_MAX, Samples
from inspectorate.mechanisms.workloads.telemetry.prometheus import PrometheusReader
from inspectorate.mechanisms.workloads.telemetry.reference import PERIOD_TOLERANCE_NS, VALUES_PER_PAYLOAD_MAX
from inspectorate.mechanisms.workloads.telemetry.report import ReadReport, Unread
from inspectorate.mechanisms.workloads.telemetry.table import read_table, write_table
from inspectorate.quantities import to_ns

TABLE = "application/vnd.apache.parquet"
TEXT = "text/plain; version=0.0.4"


def read_segment(
    payload: bytes, media_type: str, *, report: ReadReport, reader: PrometheusReader | None = None
) -> Samples:
    """The samples of one payload. `reader` keeps what it learned of scrapes from payload to payload.

    Raises `EvidenceError` on a payload that is not of its form, is beyond the bounds, or is of a form that is not known.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise EvidenceError(f"a payload of {len(payload)} bytes exceeds {PAYLOAD_BYTES_MAX}", where="telemetry")
    match media_type:
        case "application/vnd.apache.parquet":
            samples = read_table(payload, values_max=VALUES_PER_PAYLOAD_MAX)
            report.entries += len(samples)
            return samples
        case "text/plain; version=0.0.4":
            return (reader or PrometheusReader()).read(payload, report)
    raise EvidenceError(f"the form {media_type[:100]!r} is not known", where="telemetry")


def encode_segment(samples: Samples) -> bytes:
    """The payload of samples, a table. Raises `InputError` if it is larger than a payload may be."""
    payload = write_table(samples)
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise InputError(
            f"{len(samples)} samples take {len(payload)} bytes; a payload has {PAYLOAD_BYTES_MAX} at most",
            where="telemetry segment",
            remedy="record shorter segments",
        )
    return payload


def samples_of_stream(
    stream: Stream, payload: Callable[[str], bytes], *, node: str | None = None
) -> tuple[Samples, ReadReport]:
    """All samples of a stream in the order of its segments, and what reading them came to.

    `payload` gives the bytes of a digest; what it raises passes through. `node` names a node whose exporter does not (by
    default the meter's own name). Raises `EvidenceError` where there are more samples than the bound.
    """
    total = ReadReport()
    reader = PrometheusReader(node=node or stream.sensor)
    parts: list[Samples] = []
    for segment in stream.segments:
        name = f"segment {segment.sequence} of stream {segment.stream} of {segment.sensor}"
        content = payload(segment.payload)
        before = total.entries
        try:
            samples = read_segment(content, segment.media_type, report=total, reader=reader)
        except EvidenceError as fault:
            total.contradict(f"{name} cannot be decoded: {fault.problem}")
            continue
        if total.entries - before != segment.entries:
            total.contradict(f"{name} holds {total.entries - before} samples, signed for are {segment.entries}")
        parts.append(_within(samples, segment, name, total))
        if sum(part.values.size for part in parts) > SAMPLES_MAX:
            raise EvidenceError(
                f"more than {SAMPLES_MAX} values", where=f"stream of {stream.sensor}", remedy="review a shorter period"
            )
    return together(parts), total


def together(parts: list[Samples]) -> Samples:
    """Samples one behind the other, with the units and signals of all. Raises `EvidenceError` beyond the bounds."""
    units = tuple(dict.fromkeys(unit for part in parts for unit in part.units))
    signals = tuple(dict.fromkeys(signal for part in parts for signal in part.signals))
    rows = sum(len(part) for part in parts)
    if len(units) > UNITS_MAX or rows * len(signals) > SAMPLES_MAX:
        raise EvidenceError(f"{rows} rows of {len(units)} units are beyond the bounds", where="telemetry")
    places = {unit: place for place, unit in enumerate(units)}
    values = np.full((rows, len(signals)), np.nan)
    at = 0
    for part in parts:
        for column, signal in enumerate(part.signals):
            values[at : at + len(part), signals.index(signal)] = part.values[:, column]
        at += len(part)
    moved = [np.array([places[unit] for unit in part.units] or [0], dtype=np.int32)[part.unit] for part in parts]
    return Samples(
        units=units,
        signals=signals,
        time_ns=np.concatenate([np.empty(0, dtype=np.int64), *(part.time_ns for part in parts)]),
        unit=np.concatenate([np.empty(0, dtype=np.int32), *moved]),
        values=values,
    )


def _within(samples: Samples, segment: Segment, name: str, report: ReadReport) -> Samples:
    """The samples of the time for which a segment was signed."""
    start, end = to_ns(segment.period.start), to_ns(segment.period.end) + PERIOD_TOLERANCE_NS
    inside = (samples.time_ns >= start) & (samples.time_ns < end)
    outside = len(samples) - int(inside.sum())
    if not outside:
        return samples
    report.unread[Unread.OUTSIDE_SEGMENT] += outside
    report.contradict(f"{name} holds {outside} rows of times outside of {segment.period}")
    return Samples(
        units=samples.units,
        signals=samples.signals,
        time_ns=samples.time_ns[inside],
        unit=samples.unit[inside],
        values=samples.values[inside],
    )
