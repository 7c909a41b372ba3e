"""gNMI notifications as `gnmic subscribe` writes them: JSON objects one after the other, in its forms `json` and `event`.

- Leaves are those of openconfig-interfaces below `interfaces/interface[name=...]`: `state/counters/{in,out}-octets`,
  `{in,out}-pkts` (or their unicast, multicast and broadcast parts), `last-clear`, and `ethernet/state/port-speed`.
- A notification may carry a leaf by itself, a container with several leaves, or both, below a prefix or not; names may have a
  module in front (`openconfig-interfaces:`). 64-bit numbers may be strings (RFC 7951, section 6.1).
- Leaves of a port with one timestamp make one reading. Where a device sends them one by one, a reading is made of the latest
  of each, and is as old as the oldest of them.
- `last-clear` says since when the port counts. Timestamps are nanoseconds.

Only files are read. No device or server was at hand: the forms follow gnmic's documentation and its source, and the tests are
written from these. Source: github.com/openconfig/gnmic, "Output formats"; openconfig-interfaces.yang, RFC 7951.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading
from inspectorate.mechanisms.interconnect.counters.reference import INPUT_BYTES_MAX
from inspectorate.quantities import to_ns

OBJECTS_MAX = 5_000_000
DEPTH_MAX = 32
SPEEDS = re.compile(r"(?:.*:)?SPEED_(\d{1,4})(GB|MB)\Z")
_NAME = re.compile(r"interface\[name=([^\]]{1,200})\]")
_MODULE = re.compile(r"[A-Za-z0-9_-]+:(?=[A-Za-z])")
_PACKETS = {
    f"{way}-{kind}pkts": f"{way}_packets" for way in ("in", "out") for kind in ("unicast-", "multicast-", "broadcast-")
}
_TOTALS = {"in-octets": "in_octets", "out-octets": "out_octets", "in-pkts": "in_packets", "out-pkts": "out_packets"}


@dataclass(kw_only=True)
class GnmiReport:
    """What reading came to."""

    notifications: int = 0
    refused: int = 0
    first_fault: str = ""


@dataclass(kw_only=True)
class _State:
    """The latest of every leaf of a port, and when it was."""

    leaves: dict[str, tuple[int, int]] = field(default_factory=dict)
    speed: int = 0
    epoch_ns: int = 0
    due_ns: int = 0
    """The timestamp of leaves that no reading has been made of yet; 0 for none."""


def read_gnmi(data: bytes, report: GnmiReport) -> Iterator[Reading]:
    """Readings in the order of their timestamps per port. Raises `EvidenceError` on a file beyond the bounds or no JSON."""
    states: dict[Port, _State] = {}
    for value in _objects(data):
        report.notifications += 1
        try:
            source, time_ns, leaves = _leaves_of(value)
            for name, leaf, content in leaves:
                yield from _take(states, Port(source, name), leaf, content, time_ns)
        except (ValueError, TypeError, KeyError) as fault:
            report.refused += 1
            report.first_fault = report.first_fault or f"notification {report.notifications}: {str(fault)[:200]}"
    for port, state in states.items():
        yield from _emit(port, state)


def _objects(data: bytes) -> Iterator[Any]:
    if len(data) > INPUT_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {INPUT_BYTES_MAX}", where="gNMI notifications")
    decoder = json.JSONDecoder()
    try:
        text = data.decode("utf-8")
        at = count = 0
        while (at := _skip(text, at)) < len(text):
            value, at = decoder.raw_decode(text, at)
            for one in value if isinstance(value, list) else [value]:
                count += 1
                if count > OBJECTS_MAX:
                    raise EvidenceError(f"more than {OBJECTS_MAX} notifications", where="gNMI notifications")
                yield one
    except (ValueError, RecursionError) as fault:
        raise EvidenceError(f"not JSON objects: {str(fault)[:200]}", where="gNMI notifications") from None


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n,":
        at += 1
    return at


def _leaves_of(value: Any) -> tuple[str, int, list[tuple[str, str, Any]]]:
    """Source, timestamp, and (port, leaf, content) of a notification in either form."""
    if not isinstance(value, dict):
        raise ValueError("not an object")
    if value.get("sync-response"):
        return "", 0, []
    time_ns = value["timestamp"]
    if not isinstance(time_ns, int) or isinstance(time_ns, bool):
        raise ValueError("timestamp is not whole nanoseconds")
    found: list[tuple[str, str, Any]] = []
    if "updates" in value:
        prefix = str(value.get("prefix") or "")
        for update in value["updates"] or []:
            for path, content in (update.get("values") or {}).items():
                # `Path` has the keys of lists, the names in `values` do not.
                _walk(f"{prefix}/{update.get('Path') or update.get('path') or path}", content, found, 0)
        source = str(value.get("source") or value.get("target") or "gnmi")
    else:
        tags = value.get("tags") or {}
        name = tags.get("interface_name") or tags.get("name")
        source = str(tags.get("source") or tags.get("target") or "gnmi")
        for path, content in (value.get("values") or {}).items():
            _walk(f"interface[name={name}]/{path}" if name else path, content, found, 0)
    return source, time_ns, found


def _walk(path: str, content: Any, found: list[tuple[str, str, Any]], depth: int) -> None:
    """The leaves below a path: containers are opened, lists of interfaces are followed by their key."""
    if depth > DEPTH_MAX:
        raise ValueError("nests too deep")
    if isinstance(content, dict):
        key = content.get("name")
        for name, inner in content.items():
            base = f"{path}[name={key}]" if isinstance(key, str) and path.endswith("interface") else path
            _walk(f"{base}/{_MODULE.sub('', str(name))}", inner, found, depth + 1)
    elif isinstance(content, list):
        for inner in content:
            _walk(path, inner, found, depth + 1)
    elif (match := _NAME.search(path)) is not None:
        found.append((match[1], _MODULE.sub("", path).rsplit("/", 1)[-1], content))


def _take(states: dict[Port, _State], port: Port, leaf: str, content: Any, time_ns: int) -> Iterator[Reading]:
    """Note one leaf; yields the reading that the leaves before it make, if they are of an earlier time."""
    state = states.setdefault(port, _State())
    if leaf == "port-speed":
        match = SPEEDS.match(str(content))
        state.speed = int(match[1]) * (10**9 if match[2] == "GB" else 10**6) if match else 0
        return
    known = leaf in _TOTALS or leaf in _PACKETS
    if not known and leaf != "last-clear":
        return
    if state.due_ns and state.due_ns != time_ns:
        yield from _emit(port, state)
    if leaf == "last-clear":
        state.epoch_ns = _clear_ns(content)
        return
    state.leaves[leaf] = (_whole(content), time_ns)
    state.due_ns = time_ns


def _emit(port: Port, state: _State) -> Iterator[Reading]:
    """The reading of what is known, once octets are known both ways."""
    if not state.due_ns or not {"in-octets", "out-octets"} <= state.leaves.keys():
        return
    counts = {what: state.leaves[leaf] for leaf, what in _TOTALS.items() if leaf in state.leaves}
    for way in ("in", "out"):
        parts = [
            state.leaves[leaf] for leaf, what in _PACKETS.items() if what == f"{way}_packets" and leaf in state.leaves
        ]
        if f"{way}_packets" not in counts and len(parts) == 3:
            counts[f"{way}_packets"] = (sum(part for part, _ in parts), min(time for _, time in parts))
    if not {"in_packets", "out_packets"} <= counts.keys():
        counts = {name: counts[name] for name in ("in_octets", "out_octets")}
    latest, oldest = max(time for _, time in counts.values()), min(time for _, time in counts.values())
    state.due_ns = 0
    yield Reading(
        port=port,
        time_ns=latest,
        age_ns=latest - oldest,
        epoch_ns=state.epoch_ns,
        speed_bits_per_s=state.speed,
        **{name: value for name, (value, _) in counts.items()},
    )


def _whole(content: Any) -> int:
    if isinstance(content, str) and content.isascii() and content.isdigit() and len(content) <= 20:
        return int(content)
    if isinstance(content, int) and not isinstance(content, bool) and content >= 0:
        return content
    raise ValueError(f"{str(content)[:40]!r} is no count")


def _clear_ns(content: Any) -> int:
    """`last-clear` is nanoseconds in openconfig-interfaces; some devices write a date."""
    try:
        return _whole(content)
    except ValueError:
        when = datetime.fromisoformat(str(content))
        if when.tzinfo is None:
            raise ValueError("last-clear has no time zone") from None
        return to_ns(when)
