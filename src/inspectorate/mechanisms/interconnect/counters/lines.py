"""Our own form of readings: JSON lines, one reading each, as collectors write them and segments carry them.

    {"time_ns": "1716480000914000000", "node": "gw1", "port": "pod-a", "bits": 64, "in_octets": "1", "out_octets": "2",
     "in_packets": "3", "out_packets": "4", "speed_bits_per_s": "10000000000", "epoch_ns": "1716400000000000000", "age_ns": "0"}

- All keys but `in_packets` and `out_packets` stand in every line; these two stand together or not at all. A key that is not
  in the list refuses the line.
- Whole numbers are decimal strings, because JSON numbers end at 2^53; `bits` is a number. Numbers are read too where they are
  whole and below 2^53.
- `speed_bits_per_s` and `epoch_ns` are "0" where unknown. What they mean is said in `readings`.
- A line that is not such an object is counted and left out. It is never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading
from inspectorate.mechanisms.interconnect.counters.reference import INPUT_BYTES_MAX, LINE_BYTES_MAX

MEDIA_TYPE: Literal["application/x-ndjson"] = "application/x-ndjson"
NUMBERS = ("time_ns", "in_octets", "out_octets", "speed_bits_per_s", "epoch_ns", "age_ns")
PACKETS = ("in_packets", "out_packets")
_ALWAYS = frozenset((*NUMBERS, "node", "port", "bits"))


def line_of(reading: Reading) -> bytes:
    """The line of a reading, with its line feed."""
    value: dict[str, object] = {
        "time_ns": str(reading.time_ns),
        "node": reading.port.node,
        "port": reading.port.name,
        "bits": reading.bits,
        "in_octets": str(reading.in_octets),
        "out_octets": str(reading.out_octets),
    }
    if reading.in_packets is not None:
        value |= {"in_packets": str(reading.in_packets), "out_packets": str(reading.out_packets)}
    value |= {
        "speed_bits_per_s": str(reading.speed_bits_per_s),
        "epoch_ns": str(reading.epoch_ns),
        "age_ns": str(reading.age_ns),
    }
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


@dataclass(kw_only=True)
class LinesReport:
    """What reading came to."""

    lines: int = 0
    refused: int = 0
    first_fault: str = ""


def read_lines(data: bytes, report: LinesReport) -> Iterator[Reading]:
    """The readings in a file of lines; refused lines are counted in `report`. Raises `EvidenceError` on a huge file."""
    if len(data) > INPUT_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes of readings exceed {INPUT_BYTES_MAX}", where="counter readings")
    start = 0
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end].strip()
        start = end + 1
        if not line:
            continue
        report.lines += 1
        try:
            yield _reading_of(line)
        except (ValueError, TypeError, RecursionError) as fault:
            report.refused += 1
            report.first_fault = report.first_fault or f"line {report.lines}: {str(fault)[:200]}"


def _reading_of(line: bytes) -> Reading:
    if len(line) > LINE_BYTES_MAX:
        raise ValueError("a line is too long")
    value = json.loads(line, object_pairs_hook=_no_duplicates)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    keys = frozenset(value)
    if not _ALWAYS <= keys <= _ALWAYS | frozenset(PACKETS):
        raise ValueError("has other keys than a reading")
    node, name, bits = value["node"], value["port"], value["bits"]
    if not isinstance(node, str) or not isinstance(name, str) or isinstance(bits, bool):
        raise ValueError("node and port are text, bits is a number")
    numbers = {key: _whole(value[key], key) for key in NUMBERS}
    packets = {key: _whole(value[key], key) for key in PACKETS if key in value}
    return Reading(port=Port(node, name), bits=bits, **numbers, **packets)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object repeats a key")
    return found


def _whole(value: object, key: str) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
        return value
    raise ValueError(f"{key} is not a whole number")
