"""The text that `ibnetdiscover` prints: sections of switches, channel adapters and routers, each with its connected ports.

    switchguid=0x2c90200423e20(2c90200423e20)
    Switch  24 "S-0002c90200423e20"         # "MF0;leaf1:MQM8700/U1" base port 0 lid 3 lmc 0
    [1]     "H-0002c9030008f3ae"[1](2c9030008f3af)          # "pod-a mlx5_0" lid 1 4xHDR

    caguid=0x2c9030008f3ae
    Ca      1 "H-0002c9030008f3ae"          # "pod-a mlx5_0"
    [1](2c9030008f3af)      "S-0002c90200423e20"[1]         # lid 1 lmc 0 "MF0;leaf1:MQM8700/U1" lid 3 4xHDR

Every wire stands there twice, once from each end; the subnet manager's agent at each end was asked, so every node that has a
section counts as asked.

Names: a node description is what the host writes, by custom `HOST DEVICE`. A channel adapter goes by the host, and its port by
`DEVICE/NUMBER`; a switch by its GUID (`S-...`), by the name within `MF0;NAME:MODEL/U1`, or by its whole description, whichever
the plan knows. All of that can be made up by its host; the GUID is harder to change, and a plan may state it (`chassis`).

Refused by line: any line that is none of these forms, a port beyond those that its node has, and a port or a node given twice.
Widths and speeds that the program did not know (`??`) give no rate.
Format: rdma-core, `infiniband-diags/ibnetdiscover.c`, with and without `--grouping` and `--full`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from inspectorate.mechanisms.interconnect.topology.graph import NODES_MAX, Fault, text_of
from inspectorate.mechanisms.interconnect.topology.rates import ib_bytes_per_s
from inspectorate.mechanisms.interconnect.topology.survey import SIGHTINGS_MAX, Claimed, Sighting, Survey

LINE_CHARACTERS_MAX = 2_000
PORTS_MAX = 254
"""A port number has eight bits, and 255 is a wildcard."""

_SKIPPED = re.compile(
    r"\s*|#.*|(?:vendid|devid)=0x[0-9a-f]{1,8}|sysimgguid=0x[0-9a-f]{1,16}(?:\t\t# Chassis .*)?"
    r"|(?:ca|rt)guid=0x[0-9a-f]{1,16}|switchguid=0x[0-9a-f]{1,16}\([0-9a-f]{1,16}\)(?:\t# .*)?"
    r"|Chassis [0-9]{1,3}(?: \(guid 0x[0-9a-f]{1,16}\))?|Non-Chassis Nodes|Hostname: .*"
)
_NODE = re.compile(
    r'(?P<kind>Switch|Ca|Rt)\t(?P<ports>[0-9]{1,3}) "(?P<id>[SHR]-(?P<guid>[0-9a-f]{16}))"\t\t# "(?P<description>.*)"'
    r"(?: (?:base|enhanced) port 0 lid [0-9]{1,5} lmc [0-7]| \(scp\))?"
)
_PORT = re.compile(
    r"\[(?P<port>[0-9]{1,3})\](?:\[ext [0-9]{1,3}\])?(?:\((?P<own>[0-9a-f]{1,16})\) )?"
    r'\t"(?P<id>[SHR]-(?P<guid>[0-9a-f]{16}))"\[(?P<peer>[0-9]{1,3})\](?:\[ext [0-9]{1,3}\])?'
    r" ?(?:\((?P<theirs>[0-9a-f]{1,16})\) )?\t\t# (?:lid [0-9]{1,5} lmc [0-7] )?"
    r'"(?P<description>.*)" lid [0-9]{1,5} (?P<width>[0-9]{1,2}x|\?\?)(?P<speed>[A-Z]{3}[0-9]{0,2}|\?\?\?)'
    r"(?: s=[0-9]+ w=[0-9]+ v=[0-9]+)?(?: slot [0-9]+| \(scp\))?"
)
_SWITCH_NAME = re.compile(r"MF0;(?P<name>[^:;]+):")


@dataclass(slots=True)
class _Section:
    """The node of which ports are being read."""

    claimed: Claimed
    device: str
    ports_max: int
    seen: set[int] = field(default_factory=set)


def read_ibnetdiscover(data: bytes) -> Survey:
    """What every node of the fabric sees. Raises `Fault` naming the line."""
    asked: dict[str, Claimed] = {}
    sightings: list[Sighting] = []
    section: _Section | None = None
    for number, line in enumerate(text_of(data).split("\n"), start=1):
        line = line.rstrip("\r")
        try:
            if len(line) > LINE_CHARACTERS_MAX:
                raise Fault(f"has more than {LINE_CHARACTERS_MAX} characters")
            if found := _PORT.fullmatch(line):
                if section is None:
                    raise Fault("a port before any node")
                sightings.append(_sighting(section, found))
            elif found := _NODE.fullmatch(line):
                section = _begin(found)
                if asked.setdefault(found["guid"], section.claimed) is not section.claimed:
                    raise Fault(f"the node {found['id']} stands there twice")
            elif not _SKIPPED.fullmatch(line):
                raise Fault(f"{line[:40]!r} is no line of ibnetdiscover", remedy="give its output unchanged")
            if len(asked) > NODES_MAX or len(sightings) > SIGHTINGS_MAX:
                raise Fault(f"more than {NODES_MAX} nodes or {SIGHTINGS_MAX} ports")
        except Fault as fault:
            raise Fault(fault.problem, line=number, remedy=fault.remedy) from None
    if not asked:
        raise Fault("names no node", remedy="a fabric has at least the node that asks")
    return Survey(source="ibnetdiscover", asked=tuple(asked.values()), sightings=tuple(sightings))


def _begin(found: re.Match[str]) -> _Section:
    ports_max = int(found["ports"])
    if not 1 <= ports_max <= PORTS_MAX:
        raise Fault(f"a node with {ports_max} ports")
    claimed, device = _claimed(found["id"], found["guid"], found["description"])
    return _Section(claimed, device, ports_max)


def _claimed(identity: str, guid: str, description: str) -> tuple[Claimed, str]:
    """Who a node says it is, and the name of its device within its host, empty for a switch."""
    chassis = f"guid:{guid}"
    said = " ".join(description.split())[:200]
    if identity.startswith("S"):
        short = _SWITCH_NAME.match(said)
        names = (identity, *((short["name"],) if short else ()), *((said,) if said else ()))
        return Claimed(names=tuple(dict.fromkeys(names)), chassis=chassis, one_chassis=False), ""
    host, _, device = said.partition(" ")
    names = tuple(dict.fromkeys(name for name in (host, said, identity) if name))
    return Claimed(names=names, chassis=chassis, one_chassis=False), device or identity


def _sighting(section: _Section, found: re.Match[str]) -> Sighting:
    own, theirs = int(found["port"]), int(found["peer"])
    if not 1 <= own <= section.ports_max:
        raise Fault(f"port {own} of a node with {section.ports_max} ports")
    if own in section.seen:
        raise Fault(f"port {own} stands there twice")
    section.seen.add(own)
    peer, device = _claimed(found["id"], found["guid"], found["description"])
    return Sighting(
        at=_with_port(section.claimed, section.device, own),
        peer=_with_port(peer, device, theirs),
        bytes_per_s=ib_bytes_per_s(found["width"], found["speed"]),
    )


def _with_port(claimed: Claimed, device: str, port: int) -> Claimed:
    name = f"{device}/{port}" if device else str(port)
    return Claimed(names=claimed.names, ports=(name,), chassis=claimed.chassis, one_chassis=False)
