"""Option data: sampling rates and the time at which an exporter started.

A rate is announced for a sampler (samplerId 48, selectorId 302) or for the whole exporter, as 1-in-N:

- samplingPacketInterval (305) and samplingPacketSpace (306): (interval + space) / interval; without a space, 1-in-interval, as
  exporters that leave it out mean it;
- samplingInterval (34), samplerRandomInterval (50): N; 0 means no sampling;
- samplingPopulation (310) / samplingSize (309); 1 / samplingProbability (311, IEEE 754);
- samplingTimeInterval (307) and samplingTimeSpace (308), as for packets. Sampling by time is no Bernoulli sampling of packets, and
  the bounds of `sampling` do not hold for it.

Sources: RFC 3954, section 8 (34, 48, 50); RFC 5477, section 8 (302-311); IANA IPFIX entities (160).
Not done here: options about interfaces, applications and exporter statistics are read past.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from inspectorate.mechanisms.interconnect.flows.elements import VARIABLE, Layout

SYSTEM_INIT_MS = 160
SELECTORS = (302, 48)
PACKET_INTERVAL, PACKET_SPACE = 305, 306
TIME_INTERVAL, TIME_SPACE = 307, 308
SAMPLE_SIZE, SAMPLE_POPULATION, PROBABILITY = 309, 310, 311
INTERVALS = (34, 50)
LONG = 255
INIT_MS_MAX = 1 << 42


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What one option record says. `rate` is None where it says nothing of sampling, NaN where what it says is no rate."""

    selector: int | None
    rate: float | None
    init_ms: int | None


def option_records(layout: Layout, content: bytes) -> Iterator[dict[int, bytes] | None]:
    """The IANA elements of each record of an option data set (without its header); None for a last one that is cut.

    Scope fields of NetFlow v9 have numbers of their own and are left out; those of IPFIX are elements like others
    (RFC 7011, section 3.4.2.1).
    """
    at = 0
    while len(content) - at >= layout.record_bytes_min:
        values: dict[int, bytes] = {}
        for field in layout.fields:
            width = field.width
            if width == VARIABLE:
                if len(content) - at < 1:
                    yield None
                    return
                width, at = content[at], at + 1
                if width == LONG:
                    if len(content) - at < 2:
                        yield None
                        return
                    width, at = struct.unpack_from(">H", content, at)[0], at + 2
            if len(content) - at < width:
                yield None
                return
            if width and field.element[0] == 0 and not (field.scope and layout.scope_types):
                values.setdefault(field.element[1], content[at : at + width])
            at += width
        yield values


def announcement_of(values: dict[int, bytes]) -> Announcement:
    """What one option record says about sampling and the exporter's start."""
    numbers = {number: int.from_bytes(raw) for number, raw in values.items() if 0 < len(raw) <= 8}
    selector = next((numbers[number] for number in SELECTORS if number in numbers), None)
    init_ms = numbers.get(SYSTEM_INIT_MS)
    return Announcement(
        selector=selector,
        rate=_rate(numbers, values),
        init_ms=init_ms if init_ms is not None and init_ms < INIT_MS_MAX else None,
    )


def _rate(numbers: dict[int, int], values: dict[int, bytes]) -> float | None:
    for interval, space in ((PACKET_INTERVAL, PACKET_SPACE), (TIME_INTERVAL, TIME_SPACE)):
        if interval in numbers:
            if numbers[interval] == 0:
                return math.nan
            if space in numbers:
                return (numbers[interval] + numbers[space]) / numbers[interval]
            if interval == PACKET_INTERVAL:
                return float(numbers[interval])
    if SAMPLE_SIZE in numbers and SAMPLE_POPULATION in numbers:
        size = numbers[SAMPLE_SIZE]
        return numbers[SAMPLE_POPULATION] / size if size else math.nan
    if PROBABILITY in values and len(values[PROBABILITY]) in (4, 8):
        raw = values[PROBABILITY]
        probability = struct.unpack(">d" if len(raw) == 8 else ">f", raw)[0]
        return 1 / probability if 0 < probability <= 1 else math.nan
    for number in INTERVALS:
        if number in numbers:
            return float(max(numbers[number], 1))
    return None
