r"""Prometheus text: the counters of interfaces in what an exporter shows when it is scraped.

- Read are samples `NAME{LABEL="VALUE",...} NUMBER [TIMESTAMP]`, with escapes `\\`, `\"` and `\n`. Comments are skipped. A line
  that is neither is counted and left out.
- Names of three exporters are known: node_exporter (`node_network_receive_bytes_total`), snmp_exporter (`ifHCInOctets`, and
  `ifInOctets` with 32 bits), and exporters of gNMI paths, whose names end in `in_octets`, `out_octets`, `in_pkts`, `out_pkts`.
- The port is the first label of `PORT_LABELS` that is there; the node is that of `NODE_LABELS`, or else the one given.
- A sample without a timestamp was taken when the text was scraped. Timestamps are milliseconds, or seconds where the text ends
  with `# EOF` (OpenMetrics).
- Numbers are 64-bit floats: beyond 2^53 octets (9 PB) a count is known to 53 bits, 1 part in 10^16.
- `node_boot_time_seconds` says since when all ports of that text count.

Source: Prometheus, "Exposition formats", text format 0.0.4; OpenMetrics 1.0, section 4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading
from inspectorate.mechanisms.interconnect.counters.reference import LINE_BYTES_MAX

TEXT_BYTES_MAX = 64 * 1024 * 1024
SAMPLES_MAX = 1_000_000
PORT_LABELS = ("interface_name", "interface", "device", "ifName", "ifDescr", "name", "port")
NODE_LABELS = ("source", "target", "instance", "node", "device_name")

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]{0,199}")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]{0,199})\s*=\s*"((?:[^"\\]|\\.){0,1000})"\s*(,|(?=\}))')
_VALUE = re.compile(r"\s+([0-9eE.+-]{1,40}|NaN|[+-]?Inf)(?:\s+([0-9.+-eE]{1,40}))?\s*\Z")

# Name -> (what it counts, bits, factor).
_KNOWN = {
    "node_network_receive_bytes_total": ("in_octets", 64, 1.0),
    "node_network_transmit_bytes_total": ("out_octets", 64, 1.0),
    "node_network_receive_packets_total": ("in_packets", 64, 1.0),
    "node_network_transmit_packets_total": ("out_packets", 64, 1.0),
    "node_network_speed_bytes": ("speed", 64, 8.0),
    "ifHCInOctets": ("in_octets", 64, 1.0),
    "ifHCOutOctets": ("out_octets", 64, 1.0),
    "ifHighSpeed": ("speed", 64, 1e6),
    "ifInOctets": ("in_octets", 32, 1.0),
    "ifOutOctets": ("out_octets", 32, 1.0),
}
_SUFFIXES = (
    ("in_octets", "in_octets"),
    ("out_octets", "out_octets"),
    ("in_pkts", "in_packets"),
    ("out_pkts", "out_packets"),
)
_BOOT = "node_boot_time_seconds"


@dataclass(kw_only=True)
class PrometheusReport:
    """What reading came to."""

    samples: int = 0
    refused: int = 0
    incomplete: int = 0
    """Ports of which only one direction is counted."""
    first_fault: str = ""


@dataclass(kw_only=True)
class _Gathered:
    """What is known of one port at one time, by width of its counters."""

    counts: dict[int, dict[str, int]] = field(default_factory=lambda: {32: {}, 64: {}})
    speed: int = 0


def read_prometheus(
    text: str, *, node: str, scraped_ns: int, report: PrometheusReport, age_ns: int = 0
) -> tuple[Reading, ...]:
    """The readings in one text (rules in the module's docstring). Raises `EvidenceError` on a text beyond the bounds."""
    if len(text) > TEXT_BYTES_MAX:
        raise EvidenceError(f"a text of {len(text)} characters exceeds {TEXT_BYTES_MAX}", where="Prometheus text")
    seconds = text.rstrip().endswith("# EOF")
    gathered: dict[tuple[Port, int], _Gathered] = {}
    boot_ns = 0
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        report.samples += 1
        if report.samples > SAMPLES_MAX:
            raise EvidenceError(f"more than {SAMPLES_MAX} samples", where="Prometheus text")
        try:
            name, labels, value, stamp = _sample(line)
            if name == _BOOT:
                boot_ns = round(value * 1e9)
                continue
            meaning = _meaning(name)
            if meaning is None:
                continue
            _gather(gathered, meaning, labels, value, (node, _time_ns(stamp, seconds, scraped_ns)))
        except (ValueError, OverflowError) as fault:
            report.refused += 1
            report.first_fault = report.first_fault or str(fault)[:200]
    return _readings(gathered, boot_ns, age_ns, report)


def _sample(line: str) -> tuple[str, dict[str, str], float, str | None]:
    if len(line) > LINE_BYTES_MAX:
        raise ValueError("a line is too long")
    match = _NAME.match(line)
    if match is None:
        raise ValueError(f"no sample: {line[:60]!r}")
    labels: dict[str, str] = {}
    at = match.end()
    if line[at : at + 1] == "{":
        at += 1
        while (label := _LABEL.match(line, at)) is not None:
            if label[1] in labels:
                raise ValueError(f"label {label[1]} twice")
            labels[label[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), label[2])
            at = label.end()
        while line[at : at + 1].isspace():
            at += 1
        if line[at : at + 1] != "}":
            raise ValueError(f"labels do not end: {line[:60]!r}")
        at += 1
    value = _VALUE.match(line, at)
    if value is None:
        raise ValueError(f"no number: {line[:60]!r}")
    return match[0], labels, float(value[1]), value[2]


def _meaning(name: str) -> tuple[str, int, float] | None:
    if name in _KNOWN:
        return _KNOWN[name]
    bare = name.removesuffix("_total")
    if "if_" in bare or "interface" in bare:
        return next(((what, 64, 1.0) for suffix, what in _SUFFIXES if bare.endswith(suffix)), None)
    return None


def _time_ns(stamp: str | None, seconds: bool, scraped_ns: int) -> int:
    if stamp is None:
        return scraped_ns
    return round(float(stamp) * 1e9) if seconds else int(stamp) * 1_000_000


def _gather(
    gathered: dict[tuple[Port, int], _Gathered],
    meaning: tuple[str, int, float],
    labels: Mapping[str, str],
    value: float,
    default: tuple[str, int],
) -> None:
    what, bits, factor = meaning
    port = next((labels[label] for label in PORT_LABELS if labels.get(label)), None)
    if port is None:
        raise ValueError("a counter without a port")
    node = next((labels[label] for label in NODE_LABELS if labels.get(label)), default[0])
    if not math.isfinite(value):
        raise ValueError("a counter is not finite")
    one = gathered.setdefault((Port(node, port), default[1]), _Gathered())
    if what == "speed":
        one.speed = max(0, round(value * factor))
        return
    if not 0 <= value < 2.0**bits or value != int(value):
        raise ValueError(f"a counter of {bits} bits is {value}")
    if one.counts[bits].setdefault(what, int(value)) != int(value):
        raise ValueError(f"two counts of {what} at {node}/{port}")


def _readings(
    gathered: Mapping[tuple[Port, int], _Gathered], boot_ns: int, age_ns: int, report: PrometheusReport
) -> tuple[Reading, ...]:
    found: list[Reading] = []
    for (port, time_ns), one in gathered.items():
        # Wide counters where there are any.
        bits = next((bits for bits in (64, 32) if {"in_octets", "out_octets"} <= one.counts[bits].keys()), None)
        if bits is None:
            report.incomplete += any(one.counts.values())
            continue
        counts = dict(one.counts[bits])
        if not {"in_packets", "out_packets"} <= counts.keys():
            counts = {name: counts[name] for name in ("in_octets", "out_octets")}
        try:
            found.append(
                Reading(
                    port=port,
                    time_ns=time_ns,
                    bits=bits,
                    speed_bits_per_s=one.speed,
                    epoch_ns=boot_ns,
                    age_ns=age_ns,
                    **counts,
                )
            )
        except ValueError as fault:
            report.refused += 1
            report.first_fault = report.first_fault or str(fault)
    return tuple(found)
