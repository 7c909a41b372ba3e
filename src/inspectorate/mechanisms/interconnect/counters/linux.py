"""Linux: the counters of a gateway's own interfaces, from `ip -j -s link` or /proc/net/dev.

- What was printed is given, with the time before which it was asked and after which it was there.
- An interface counts from its making: since the machine started, plus its index in nanoseconds, so that one which was removed and
  made again has another epoch. /proc/net/dev has no index, so its readings have no epoch.
- Octets are those of frames without check sequence: the Ethernet header (14 bytes) counts, on virtual interfaces once per
  segment that the kernel still holds together (up to 64 kB).

Source: iproute2, ip-link(8); linux/if_link.h (rtnl_link_stats64); proc(5).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.counters.readings import Port, Reading

TEXT_BYTES_MAX = 16 * 1024 * 1024
_DEV_LINE = re.compile(r"\s*([^\s:]{1,64}):((?:\s*\d{1,20}){16})\s*\Z")


def read_ip_link(
    data: bytes,
    *,
    node: str,
    asked_ns: int,
    answered_ns: int,
    boot_ns: int = 0,
    speeds: Mapping[str, int] | None = None,
) -> tuple[Reading, ...]:
    """Readings of every interface that `ip -j -s link` printed. Raises `EvidenceError`."""
    where = f"`ip -j -s link` of {node}"
    _refuse_huge(data, where)
    found = parse_json(data, where=where)
    if not isinstance(found, list):
        raise EvidenceError("is no list of interfaces", where=where)
    try:
        return tuple(
            _reading(Port(node, str(one["ifname"])), one, (asked_ns, answered_ns), boot_ns, speeds or {})
            for one in found
            if "stats64" in one
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise EvidenceError(f"is no list of interfaces: {str(fault)[:200]}", where=where) from None


def _reading(
    port: Port, one: Mapping[str, Any], times: tuple[int, int], boot_ns: int, speeds: Mapping[str, int]
) -> Reading:
    into, out = one["stats64"]["rx"], one["stats64"]["tx"]
    return Reading(
        port=port,
        time_ns=times[1],
        age_ns=max(0, times[1] - times[0]),
        epoch_ns=boot_ns + int(one["ifindex"]) if boot_ns else 0,
        in_octets=int(into["bytes"]),
        out_octets=int(out["bytes"]),
        in_packets=int(into["packets"]),
        out_packets=int(out["packets"]),
        speed_bits_per_s=speeds.get(port.name, 0),
    )


def read_proc_net_dev(data: bytes, *, node: str, asked_ns: int, answered_ns: int) -> tuple[Reading, ...]:
    """Readings of every interface in /proc/net/dev. Raises `EvidenceError`."""
    where = f"/proc/net/dev of {node}"
    _refuse_huge(data, where)
    lines = data.decode("utf-8", "replace").splitlines()
    if len(lines) < 2 or not lines[0].startswith("Inter-") or "bytes" not in lines[1]:
        raise EvidenceError("does not begin as /proc/net/dev does", where=where)
    found: list[Reading] = []
    for line in lines[2:]:
        match = _DEV_LINE.match(line)
        if match is None:
            raise EvidenceError(f"has a line that is no interface: {line[:80]!r}", where=where)
        numbers = [int(number) for number in match[2].split()]
        try:
            found.append(
                Reading(
                    port=Port(node, match[1]),
                    time_ns=answered_ns,
                    age_ns=max(0, answered_ns - asked_ns),
                    in_octets=numbers[0],
                    in_packets=numbers[1],
                    out_octets=numbers[8],
                    out_packets=numbers[9],
                )
            )
        except ValueError as fault:
            raise EvidenceError(str(fault), where=where) from None
    return tuple(found)


def boot_time_ns(proc_stat: bytes) -> int:
    """When the machine started, from /proc/stat; 0 where it does not say."""
    match = re.search(rb"^btime (\d{1,12})$", proc_stat, re.MULTILINE)
    return int(match[1]) * 1_000_000_000 if match else 0


def _refuse_huge(data: bytes, where: str) -> None:
    if len(data) > TEXT_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {TEXT_BYTES_MAX}", where=where)
