"""`lldpcli -f json show neighbors [details]`, and `-f json0`, of one host.

The forms that lldpd 1.0.16 prints (and older ones, in part):

- `json` folds: `interface` is a list of one-key objects, or one such object if there is a single neighbour, or absent if there
  is none; `chassis` is keyed by the system name, or is the chassis itself if it has no name; texts are plain.
- `json0` does not fold: everything is a list, names are fields, and texts are objects with a `value`.

A neighbour without a system name goes by its chassis id. Its port goes by its port id; where that is a MAC address, as lldpd
has it by default, by its description, which is then the interface's name; both are kept. The rate is that of the neighbour's
operational MAU type, which the `details` have; what it could negotiate beyond that is not looked at.

The output does not say on which host it was made: `node` does, and it is a claim of whoever files it.
Format: lldpd, `src/client/json_writer.c`, `display.c`; IEEE 802.1AB-2016 (LLDP), IEEE 802.3-2018 clause 79 (MAU type).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inspectorate.canonical import parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.interconnect.topology.graph import Fault, check_name, check_size
from inspectorate.mechanisms.interconnect.topology.rates import mau_bytes_per_s
from inspectorate.mechanisms.interconnect.topology.survey import SIGHTINGS_MAX, Claimed, Sighting, Survey

TTL_S_MAX = 65_535
"""A TTL has 16 bits (IEEE 802.1AB-2016, 8.5.4)."""

_Object = dict[str, Any]


def read_lldp(data: bytes, *, node: str) -> Survey:
    """What `node` sees. Raises `Fault` naming the interface."""
    check_size(data)
    check_name(node)
    try:
        value = parse_json(data, where="")
    except EvidenceError as fault:
        raise Fault(fault.problem, remedy="give the output of lldpcli -f json show neighbors details") from None
    if not isinstance(value, dict) or set(value) != {"lldp"}:
        raise Fault("has no lldp object alone", remedy="give the output of lldpcli -f json show neighbors details")
    sightings: list[Sighting] = []
    for name, interface in _interfaces(value["lldp"]):
        if len(sightings) >= SIGHTINGS_MAX:
            raise Fault(f"more than {SIGHTINGS_MAX} neighbours")
        try:
            sightings.append(_sighting(node, name, interface))
        except Fault as fault:
            raise Fault(f"interface {name[:40]!r}: {fault.problem}", remedy=fault.remedy) from None
    return Survey(source=f"lldp of {node}", asked=(Claimed(names=(node,)),), sightings=tuple(sightings))


def _interfaces(value: Any) -> Iterator[tuple[str, _Object]]:
    """The name and the content of each neighbour's interface, in whichever form."""
    for outer in _several(value, "lldp"):
        unknown = set(outer) - {"interface"}
        if unknown:
            raise Fault(f"lldp holds {sorted(unknown)[0][:40]!r}, not interfaces alone", remedy="use show neighbors")
        for one in _several(outer.get("interface", []), "interface"):
            if "chassis" in one or "port" in one:
                yield _required(one, "name"), one
                continue
            for name, content in one.items():
                yield name, _single(content, name)


def _sighting(node: str, name: str, interface: _Object) -> Sighting:
    if "chassis" not in interface or "port" not in interface:
        raise Fault("has no chassis or no port", remedy="use show neighbors, not show interfaces")
    named, chassis = _chassis(_single(interface["chassis"], "chassis"))
    port = _single(interface["port"], "port")
    kind, identity = _identity(chassis, "chassis")
    port_kind, port_id = _identity(port, "port")
    described = _optional(port, "descr")
    ports = (port_id,) if described is None or described == port_id else (port_id, described)
    if port_kind == "mac":
        ports = ports[::-1]
    autoneg = port.get("auto-negotiation")
    current = None if autoneg is None else _optional(_single(autoneg, "auto-negotiation"), "current")
    own = identity.lower() if kind == "mac" else f"{kind}:{identity}"
    return Sighting(
        at=Claimed(names=(node,), ports=(name,)),
        peer=Claimed(names=_names(named, identity), ports=ports, chassis=own),
        bytes_per_s=None if current is None else mau_bytes_per_s(current),
        ttl_s=_ttl(_optional(port, "ttl") or _optional(interface, "ttl")),
    )


def _names(named: str | None, identity: str) -> tuple[str, ...]:
    """A system name, the part of it before the first dot, and the chassis id."""
    if named is None:
        return (identity,)
    short = named.split(".", 1)[0]
    return tuple(dict.fromkeys((named, short, identity) if short else (named, identity)))


def _chassis(value: _Object) -> tuple[str | None, _Object]:
    """The system name, if there is one, and the chassis."""
    inner = value.get("id")
    if inner is not None and not (isinstance(inner, dict) and "id" in inner):
        return _optional(value, "name"), value
    if len(value) != 1:
        raise Fault("its chassis has no id")
    ((name, content),) = value.items()
    return name, _single(content, "chassis")


def _identity(value: _Object, what: str) -> tuple[str, str]:
    if "id" not in value:
        raise Fault(f"its {what} has no id")
    inner = _single(value["id"], f"{what} id")
    return _required(inner, "type"), _required(inner, "value")


def _ttl(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > TTL_S_MAX:
        raise Fault(f"{text[:20]!r} is no TTL")
    return int(text)


def _several(value: Any, what: str) -> list[_Object]:
    """A list of objects, which one alone stands for."""
    listed = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in listed):
        raise Fault(f"{what[:40]} is not an object or a list of objects")
    return listed


def _single(value: Any, what: str) -> _Object:
    """An object, or a list of exactly one."""
    listed = _several(value, what)
    if len(listed) != 1:
        raise Fault(f"{what[:40]} is given {len(listed)} times")
    return listed[0]


def _optional(value: _Object, name: str) -> str | None:
    """A text, plain, or as the `value` of an object, or of a list of one. An empty one counts as absent."""
    inner = value.get(name)
    if inner is None:
        return None
    if isinstance(inner, list | dict):
        inner = _single(inner, name).get("value")
    if not isinstance(inner, str):
        raise Fault(f"{name} is not a text")
    return inner.strip() or None


def _required(value: _Object, name: str) -> str:
    found = _optional(value, name)
    if found is None:
        raise Fault(f"has no {name}")
    return found
