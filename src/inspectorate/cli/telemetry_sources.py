"""Sources of telemetry as they are written on the command line: `KIND:WHERE[,OPTION=VALUE...]`.

    linux:unit=NAME,netns=pod-a                    CPU telemetry of the processes and interfaces in a network namespace
    linux:unit=NAME,cgroup=/sys/fs/cgroup/x        ... of a control group; several folders are joined with +
    linux:unit=NAME,pids=12+34,interface=eth0      ... of processes with their descendants; link=IF for what faces a unit
    nvml:                                          NVIDIA chips of this host
    amd:                                           AMD chips of this host
    prometheus:http://127.0.0.1:9400/metrics       the page of an exporter
    redfish:https://bmc.example/,access=FILE       chassis and power supplies of a controller
    snmp:udp://192.0.2.7:161,layout=apc,access=FILE    outlets of a PDU

`signals=a+b` takes only these signals of a source, `signals=declared` those that its meter was declared with. Secrets come from
a file (YAML), since a command line can be seen by others.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from inspectorate.canonical import Record, Text
from inspectorate.declaration import Meter
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.workloads.record.amdgpu import DRM, AmdSource
from inspectorate.mechanisms.workloads.record.declared import Narrowed, refuse_unknown_signals
from inspectorate.mechanisms.workloads.record.exporter import ExporterSource
from inspectorate.mechanisms.workloads.record.fetch import HttpAccess
from inspectorate.mechanisms.workloads.record.linux import LinuxSource, LinuxUnit, named_namespace
from inspectorate.mechanisms.workloads.record.redfish import RedfishSource
from inspectorate.mechanisms.workloads.record.source import Source

ACCESS_BYTES_MAX = 65_536
_OID = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10}){2,40}")
_COMMON = frozenset({"signals"})
OPTIONS: Mapping[str, frozenset[str]] = {
    "linux": frozenset({"unit", "cgroup", "pids", "netns", "interface", "link"}) | _COMMON,
    "nvml": _COMMON,
    "amd": frozenset({"drm"}) | _COMMON,
    "prometheus": frozenset({"access"}),
    "redfish": frozenset({"access"}) | _COMMON,
    "snmp": frozenset({"access", "layout", "power", "power_factor", "energy", "energy_factor", "names"}) | _COMMON,
}
"""Kinds of sources, with the options that each takes."""


class SourceAccess(Record):
    """A file that says how a server or agent is asked."""

    user: Text | None = None
    password: Text | None = None
    authorities: Path | None = None
    community: Text | None = None
    auth_password: Text | None = None
    privacy_password: Text | None = None


@dataclass(frozen=True, kw_only=True)
class SourceText:
    """One source as it was written."""

    text: str
    kind: str
    place: str
    options: Mapping[str, str]

    @property
    def where(self) -> str:
        return f"--meter …={self.text}"


def parse_source(text: str) -> SourceText:
    """Raises `InputError` naming what cannot be read, and what could."""
    kind, separator, rest = text.partition(":")
    where = f"--meter …={text[:200]}"
    if not separator or kind not in OPTIONS:
        raise InputError("is no source", where=where, remedy=f"KIND:WHERE, where KIND is {', '.join(OPTIONS)}")
    parts = rest.split(",")
    options: dict[str, str] = {}
    # From the end, since an address may hold commas itself.
    while parts and (match := re.fullmatch(r"([a-z_]+)=(.+)", parts[-1])) is not None:
        if match[1] not in OPTIONS[kind]:
            break
        if match[1] in options:
            raise InputError(f"says {match[1]} twice", where=where)
        options[match[1]] = match[2]
        parts.pop()
    place = ",".join(parts)
    if kind in ("linux", "nvml", "amd") and place:
        raise InputError(
            f"{place!r} is no option of {kind}", where=where, remedy=f"known are {', '.join(sorted(OPTIONS[kind]))}"
        )
    if kind in ("prometheus", "redfish", "snmp") and not place:
        raise InputError("names no address", where=where)
    return SourceText(text=text, kind=kind, place=place, options=options)


def open_sources(
    meter: Meter, texts: Sequence[SourceText], *, clock_ns: Callable[[], int], anywhere: bool
) -> list[Source]:
    """The sources of one meter, opened. Units of Linux are polled together. Raises errors of ours; nothing then stays open."""
    opened: list[Source] = []
    try:
        linux = [one for one in texts if one.kind == "linux"]
        if linux:
            found = LinuxSource([_linux_unit(one, meter) for one in linux], clock_ns=clock_ns)
            opened.append(_narrowed(found, linux, meter))
        for one in (one for one in texts if one.kind != "linux"):
            opened += [_open(one, meter, clock_ns=clock_ns, anywhere=anywhere)]
        pages = sum(isinstance(source, ExporterSource) for source in opened)
        if pages and len(opened) > 1:
            raise InputError(
                "has a page among several sources", where=f"meter {meter.id}", remedy="declare a meter for each page"
            )
    except BaseException:
        for source in opened:
            source.close()
        raise
    return opened


def _open(one: SourceText, meter: Meter, *, clock_ns: Callable[[], int], anywhere: bool) -> Source:
    wanted = _wanted(one, meter)
    match one.kind:
        case "nvml":
            nvml = _extra("nvml", "gpu", one.where)
            chips: Source = nvml.NvmlSource(clock_ns=clock_ns, wanted=wanted)
            return chips
        case "amd":
            return AmdSource(clock_ns=clock_ns, drm=Path(one.options.get("drm", str(DRM))), wanted=wanted)
        case "prometheus":
            return ExporterSource(
                one.place, point=meter.point, clock_ns=clock_ns, access=_http_access(one), anywhere=anywhere
            )
        case "redfish":
            controller = RedfishSource(
                one.place, point=meter.point, clock_ns=clock_ns, access=_http_access(one), anywhere=anywhere
            )
            return _narrowed(controller, [one], meter)
        case _:
            return _narrowed(_snmp(one, meter, clock_ns=clock_ns, anywhere=anywhere), [one], meter)


def _linux_unit(one: SourceText, meter: Meter) -> LinuxUnit:
    options = one.options
    if "unit" not in options and len(meter.units) != 1:
        raise InputError("says no unit", where=one.where, remedy=f"unit={meter.units[0]}, or another that is declared")
    if "interface" in options and "link" in options:
        raise InputError("names an interface and a link", where=one.where)
    pids = options["pids"].split("+") if "pids" in options else []
    if not all(pid.isdecimal() and 0 < int(pid) < 2**31 for pid in pids if len(pid) <= 10) or any(
        len(p) > 10 for p in pids
    ):
        raise InputError("pids are numbers joined with +", where=one.where)
    return LinuxUnit(
        name=options.get("unit", meter.units[0]),
        pids=tuple(map(int, pids)),
        cgroups=tuple(Path(folder) for folder in options["cgroup"].split("+")) if "cgroup" in options else (),
        netns=named_namespace(options["netns"]) if "netns" in options else None,
        interface=options.get("interface", options.get("link", "")),
        facing="link" in options,
    )


def _wanted(one: SourceText, meter: Meter) -> tuple[str, ...] | None:
    """The signals that are asked for by name; None: whatever there is."""
    text = one.options.get("signals")
    if text is None:
        return None
    wanted = meter.signals if text == "declared" else tuple(text.split("+"))
    refuse_unknown_signals(wanted, where=one.where)
    return wanted


def _narrowed(source: Source, texts: Sequence[SourceText], meter: Meter) -> Source:
    wanted = {_wanted(one, meter) for one in texts}
    if len(wanted) > 1:
        raise InputError(
            "units of one meter are polled together", where=texts[0].where, remedy="give all the same signals="
        )
    chosen = wanted.pop()
    return source if chosen is None else Narrowed(source, chosen)


def _snmp(one: SourceText, meter: Meter, *, clock_ns: Callable[[], int], anywhere: bool) -> Source:
    try:
        parts = urlsplit(one.place)
        address = ipaddress.ip_address(parts.hostname or "")
        port = parts.port or 161
    except ValueError:
        raise InputError("is not udp://ADDRESS:PORT", where=one.where, remedy="give a numeric address") from None
    if parts.scheme != "udp":
        raise InputError("is not udp://ADDRESS:PORT", where=one.where)
    if not address.is_loopback and not anywhere:
        raise InputError("is not on loopback", where=one.where, remedy="--anywhere allows an agent on another machine")
    if "access" not in one.options:
        raise InputError("needs access=FILE", where=one.where, remedy="YAML: community, or user and both passwords")
    snmp = _extra("snmp", "snmp", one.where)
    access = _access(one)
    user = (access.user, access.auth_password, access.privacy_password)
    if user != (None, None, None) if access.community is not None else None in user:
        raise InputError(
            "names neither a community nor a user, or both", where=one.options["access"],
            remedy="give community, or user, auth_password and privacy_password",
        )  # fmt: skip
    pdu = snmp.Pdu(
        address=str(address),
        port=port,
        access=snmp.SnmpAccess(community=access.community)
        if access.community is not None
        else snmp.SnmpAccess(
            user=access.user, auth_password=access.auth_password, privacy_password=access.privacy_password
        ),
        layout=_layout(one, snmp),
        point=meter.point,
    )
    found: Source = snmp.SnmpSource(pdu, clock_ns=clock_ns)
    return found


def _layout(one: SourceText, snmp: Any) -> Any:
    """A layout that is known by name, or one that is written out."""
    options = one.options
    written = {f"{name}_{unit}": options[name] for name, unit in (("power", "w"), ("energy", "j")) if name in options}
    if ("layout" in options) == bool(written):
        raise InputError(
            "needs layout=NAME, or power=OID", where=one.where, remedy=f"known layouts are {', '.join(snmp.LAYOUTS)}"
        )
    if "layout" in options:
        if options["layout"] not in snmp.LAYOUTS:
            raise InputError("knows no such layout", where=one.where, remedy=f"known are {', '.join(snmp.LAYOUTS)}")
        return snmp.LAYOUTS[options["layout"]]
    oids = [*written.values(), *([options["names"]] if "names" in options else [])]
    if not all(_OID.fullmatch(oid) for oid in oids):
        raise InputError("an OID is numbers with dots", where=one.where)
    return snmp.Layout(
        columns={
            signal: snmp.Column(oid=oid, factor=_factor(one, signal.split("_")[0])) for signal, oid in written.items()
        },
        names=options.get("names", ""),
    )


def _factor(one: SourceText, name: str) -> float:
    text = one.options.get(f"{name}_factor", "1")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?(e-?[0-9]{1,2})?", text) or float(text) == 0:
        raise InputError(f"{name}_factor is no positive number", where=one.where)
    return float(text)


def _http_access(one: SourceText) -> HttpAccess:
    if "access" not in one.options:
        return HttpAccess()
    access = _access(one)
    if (access.user is None) != (access.password is None):
        raise InputError("names a user or a password alone", where=one.options["access"])
    return HttpAccess(user=access.user, password=access.password, authorities=access.authorities)


def _access(one: SourceText) -> SourceAccess:
    path = Path(one.options["access"])
    return SourceAccess.parse(read_yaml(path, bytes_max=ACCESS_BYTES_MAX), where=str(path), error=InputError)


def _extra(module: str, extra: str, where: str) -> Any:
    """A source whose library is an extra. The command line as a whole does not need it."""
    try:
        return importlib.import_module(f"inspectorate.mechanisms.workloads.record.{module}")
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs {fault.name}, which is not installed", where=where, remedy=f"install inspectorate[{extra}]"
        ) from None
