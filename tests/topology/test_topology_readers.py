"""Readers of plans and surveys: what they read, what they refuse and where, and that nothing else escapes them."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import subnet_cache
from hypothesis import example, given
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interconnect.topology import reference
from inspectorate.mechanisms.interconnect.topology.dot import DEPTH_MAX, read_dot
from inspectorate.mechanisms.interconnect.topology.graph import (
    FILE_BYTES_MAX,
    NAME_CHARACTERS_MAX,
    End,
    Fault,
    NodeKind,
    Topology,
    Wire,
)
from inspectorate.mechanisms.interconnect.topology.infiniband import read_ibnetdiscover
from inspectorate.mechanisms.interconnect.topology.lldp import read_lldp
from inspectorate.mechanisms.interconnect.topology.plan import read_access_list, read_plan_json
from inspectorate.mechanisms.interconnect.topology.rates import ib_bytes_per_s, mau_bytes_per_s, rate_of_text
from inspectorate.mechanisms.interconnect.topology.read import read_plan, read_survey
from inspectorate.mechanisms.interconnect.topology.survey import Survey

RECORDED = Path(__file__).parent / "recorded"

PTM = b"""
####################################################
# a plan in the manner of ptmd's topology.dot
graph G {
    LLDP=""
    BFD="upMinTx=150,requiredMinRx=250"
    B1="upMinTx=250, detectMult=4"   // a template
    "switch1":"swp1" -- "switch2":"swp41"
    "switch1":swp2 -- "switch2":"swp42" [LLDP="match_type=portdescr", BFD="upMinTx=400"];
    /* one host by its management name
       over two lines */
    host1:eth0 -- "switch1":"swp:7" [speed="25G"]
    subgraph cluster_pods { graph [label="pods"]; node [kind=pod]; "pod a"; { pod_b } edge [speed="12.5GB/s"]
        "pod a":1 -- switch2:"swp1" [color=red][style=bold]
    }
    spare:1 -- spare2:1 [bytes_per_s_max="1e9"]
    gate [kind=gateway, chassis="AA:bb:cc:00:11:22"]
    "host7" [pod="pod a"]
}
"""


def test_dot_reads_plans_of_ptm() -> None:
    plan = read_dot(PTM)
    assert [str(wire) for wire in plan.wires] == [
        "switch1:swp1 -- switch2:swp41",
        "switch1:swp2 -- switch2:swp42",
        "host1:eth0 -- switch1:swp:7",
        "pod a:1 -- switch2:swp1",
        "spare:1 -- spare2:1",
    ]
    rates = [wire.bytes_per_s for wire in plan.wires]
    assert rates == [None, None, 3_125_000_000, 12_500_000_000, 1_000_000_000]
    assert plan.of_kind(NodeKind.POD) == ("pod a", "pod_b")
    assert (plan.nodes["gate"].kind, plan.nodes["gate"].chassis) == (NodeKind.GATEWAY, "AA:bb:cc:00:11:22")
    assert plan.pod_of("host7") == "pod a"
    assert plan.pods == ("pod a", "pod_b")


def test_dot_unescapes_quotes_and_keeps_colons_in_names() -> None:
    plan = read_dot(rb'graph { "a\"b":"x:1" -- "c\\d":"y" }')
    assert plan.wires[0].ends == {End('a"b', "x:1"), End("c\\d", "y")}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("digraph { a:1 -- b:1 }", 1, 1, "directed"),
        ("graph {\n  a:1 -> b:1 }", 2, 7, "directed"),
        ("graph {\n a -- b }", 2, 4, "needs a port"),
        ("graph { a:1 -- b:1 -- c:1 }", 1, 20, "chains"),
        ("graph { a:1 -- { b } }", 1, 16, "edges of subgraphs"),
        ("graph { { a } -- b:1 }", 1, 15, "edges of subgraphs"),
        ("graph { a:1:n -- b:1 }", 1, 12, "compass"),
        ("graph { a:1 -- b:1 [label=<b>] }", 1, 27, "cannot read '<'"),
        ('graph { "a" + "b" }', 1, 13, "cannot read '+'"),
        (r'graph { "a\n":1 -- b:1 }', 1, 9, "escape"),
        ("graph { a:1 -- b:1\n\n a:1 -- c:1 }", 3, 4, "second cable"),
        ("graph { a:1 -- a:1 }", 1, 18, "second cable"),
        ("graph { a:1 -- b:1 [speed=100G] }", 1, 27, "cannot read '1'"),
        ('graph { a:1 -- b:1 [speed="fast"] }', 1, 13, "no rate"),
        ('graph { a:1 -- b:1 [speed="100"] }', 1, 13, "no rate"),
        ('graph { a:1 -- b:1 [speed="0G"] }', 1, 13, "no rate"),
        ('graph { a:1 -- b:1 [bytes_per_s_max="9e99"] }', 1, 13, "no rate"),
        ('graph { a:1 -- b:1 [speed="1G" bytes_per_s_max="1"] }', 1, 13, "both"),
        ("graph { a:1 -- b:1 [speed] }", 1, 26, "needs '='"),
        ('graph { a:1 -- b:1 [speed="1G", speed="2G"] }', 1, 33, "twice"),
        ("graph { a [kind=server] }", 1, 9, "no kind"),
        ("graph { a:1 }", 1, 11, "without an edge"),
        ('graph { "" [kind=pod] }', 1, 9, "cannot name"),
        ("graph { a", 1, 10, "ends in the middle"),
        ('graph { "a', 1, 9, "not closed"),
        ("graph { /* a", 1, 9, "not closed"),
        ("graph { } graph { }", 1, 11, "only one graph"),
        ("graph { ] }", 1, 9, "cannot begin"),
        ("strict { }", 1, 8, "begins with graph"),
        ("graph " + "{" * (DEPTH_MAX + 2), 1, 7 + DEPTH_MAX + 1, "deeper"),
    ],
)
def test_dot_refuses_the_rest_by_line_and_column(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(Fault) as caught:
        read_dot(text.encode())
    assert words in caught.value.problem + caught.value.remedy
    assert (caught.value.line, caught.value.column) == (line, column), caught.value


names = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=12)
ends = st.builds(End, names, names)
rates = st.none() | st.integers(1, 10**13)


@st.composite
def plans(draw: st.DrawFn) -> Topology:
    ports = draw(st.lists(ends, min_size=2, max_size=20, unique=True))
    pairs = zip(ports[::2], ports[1::2], strict=False)
    return Topology.build(
        [], [Wire(one=a, other=b, there_bytes_per_s=r, back_bytes_per_s=r) for a, b in pairs for r in [draw(rates)]]
    )


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def as_dot(plan: Topology) -> str:
    lines = []
    for wire in plan.wires:
        one, other = (f"{quoted(end.node)}:{quoted(end.port)}" for end in (wire.one, wire.other))
        rate = "" if wire.bytes_per_s is None else f' [bytes_per_s_max="{wire.bytes_per_s}"]'
        lines.append(f"{one} -- {other}{rate}")
    return "graph { " + "\n".join(lines) + " }"


def as_json(plan: Topology) -> bytes:
    wires = [
        {
            "node": w.one.node, "port": w.one.port, "other_node": w.other.node, "other_port": w.other.port,
            **({} if w.bytes_per_s is None else {"bytes_per_s_max": w.bytes_per_s}),
        }
        for w in plan.wires
    ]  # fmt: skip
    return json.dumps({"format": "inspectorate-cabling/v1", "wires": wires}).encode()


@given(plans())
def test_plans_come_back_as_they_were_written(plan: Topology) -> None:
    assert read_dot(as_dot(plan).encode()) == plan
    assert read_plan_json(as_json(plan)) == plan


def test_json_has_kinds_pods_and_two_directions() -> None:
    plan = read_plan_json(
        json.dumps(
            {
                "format": "inspectorate-cabling/v1",
                "nodes": [{"id": "a", "kind": "pod"}, {"id": "h", "pod": "b", "chassis": "62:23"}],
                "wires": [
                    {"node": "a", "port": "1", "other_node": "h", "other_port": "1", "bytes_per_s_max": 10.5,
                     "back_bytes_per_s_max": 3}
                ],
            }
        ).encode()
    )  # fmt: skip
    assert plan.pods == ("a", "b")
    assert (plan.wires[0].there_bytes_per_s, plan.wires[0].back_bytes_per_s) == (11, 3)


def plan_of(**changes: Any) -> bytes:
    wire = {"node": "a", "port": "1", "other_node": "b", "other_port": "1"}
    return json.dumps({"format": "inspectorate-cabling/v1", "wires": [wire], **changes}).encode()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"{", "not JSON"),
        (b"\xff{}", "not JSON"),
        (plan_of(format="other"), "format"),
        (plan_of(wires=3), "wires"),
        (plan_of(more=1), "more"),
        (plan_of(wires=[{"node": "a", "port": "1", "other_node": "a", "other_port": "1"}]), "to itself"),
        (plan_of(nodes=[{"id": "a", "kind": "pod"}, {"id": "a", "kind": "switch"}]), "described twice"),
        (plan_of(nodes=[{"id": "x" * 256}]), "cannot name"),
        (plan_of(nodes=[{"id": "x\x00"}]), "cannot name"),
        (plan_of(wires=[{"node": "a", "port": "1", "other_node": "b", "other_port": "1", "bytes_per_s_max": 1e14}]), "no rate"),
        (b'{"format": "inspectorate-cabling/v1", "wires": [], "wires": []}', "repeats"),
    ],
)  # fmt: skip
def test_json_refuses_what_is_no_plan(data: bytes, words: str) -> None:
    with pytest.raises(Fault, match=words):
        read_plan_json(data)


# --- LLDP ---------------------------------------------------------------------------------------------------------------


def chassis(name: str | None = "gw", mac: str = "62:23:06:1b:7f:d1") -> dict[str, Any]:
    body = {"id": {"type": "mac", "value": mac}, "descr": "x"}
    return body if name is None else {name: body}


def port(
    kind: str = "ifname",
    value: str = "swp1",
    descr: str | None = None,
    current: str | None = "10GbaseT - x",
    **more: Any,
) -> dict[str, Any]:
    found: dict[str, Any] = {"id": {"type": kind, "value": value}, "ttl": "120", **more}
    if descr is not None:
        found["descr"] = descr
    if current is not None:
        found["auto-negotiation"] = {"supported": False, "enabled": False, "current": current}
    return found


def lldp(interface: Any) -> bytes:
    return json.dumps({"lldp": {} if interface is None else {"interface": interface}}).encode()


def neighbour(**changes: Any) -> dict[str, Any]:
    return {"via": "LLDP", "rid": "1", "age": "0 day, 00:00:01", "chassis": chassis(), "port": port(), **changes}


def test_lldp_reads_one_neighbour_a_list_of_them_and_none() -> None:
    one = neighbour()
    single = read_lldp(lldp({"eth0": one}), node="a")
    assert single == read_lldp(lldp([{"eth0": one}]), node="a")
    assert len(read_lldp(lldp([{"eth0": one}, {"eth0": one}, {"eth1": one}]), node="a").sightings) == 3
    none = read_lldp(lldp(None), node="a")
    assert (len(none.sightings), none.asked[0].names) == (0, ("a",))
    assert read_lldp(b'{"lldp": [{}]}', node="a") == none
    (sighting,) = single.sightings
    assert (sighting.at.names, sighting.at.ports) == (("a",), ("eth0",))
    assert (sighting.peer.names, sighting.peer.ports) == (("gw", "62:23:06:1b:7f:d1"), ("swp1",))
    assert (sighting.peer.chassis, sighting.bytes_per_s, sighting.ttl_s) == ("62:23:06:1b:7f:d1", 1_250_000_000, 120)


@pytest.mark.parametrize("name", ["id", "name", "descr", "value", "gw.example.org", "a b"])
def test_lldp_reads_hosts_whatever_they_call_themselves(name: str) -> None:
    (sighting,) = read_lldp(lldp({"eth0": neighbour(chassis=chassis(name))}), node="a").sightings
    assert sighting.peer.names[0] == name
    assert ("gw" in sighting.peer.names) == name.startswith("gw.")


def test_lldp_names_a_nameless_neighbour_by_its_chassis_id() -> None:
    (sighting,) = read_lldp(lldp({"eth0": neighbour(chassis=chassis(None))}), node="a").sightings
    assert sighting.peer.names == ("62:23:06:1b:7f:d1",)


@pytest.mark.parametrize(
    ("told", "ports"),
    [
        (port("mac", "aa:bb", "swp1"), ("swp1", "aa:bb")),
        (port("mac", "aa:bb"), ("aa:bb",)),
        (port("ifname", "swp1", "to the roof"), ("swp1", "to the roof")),
        (port("local", "7", ""), ("7",)),
    ],
)
def test_lldp_keeps_all_names_of_a_port(told: dict[str, Any], ports: tuple[str, ...]) -> None:
    (sighting,) = read_lldp(lldp({"eth0": neighbour(port=told)}), node="a").sightings
    assert sighting.peer.ports == ports


def test_lldp_without_details_has_no_rate() -> None:
    bare = port(current=None)
    (sighting,) = read_lldp(lldp({"eth0": neighbour(port=bare)}), node="a").sightings
    assert sighting.bytes_per_s is None


def test_lldp_reads_both_forms_of_a_real_daemon_alike() -> None:
    """Recorded from lldpd 1.0.16 in the set-up of `network_of_lldpd`."""
    folded = read_lldp((RECORDED / "pod-a.hidden.json").read_bytes(), node="pod-a")
    full = read_lldp((RECORDED / "pod-a.hidden.json0").read_bytes(), node="pod-a")
    assert folded == full
    assert {(s.at.ports[0], s.peer.names[0], s.peer.ports[0]) for s in folded.sightings} == {
        ("eth0", "gateway", "to-pod-a"),
        ("eth1", "pod-b", "eth1"),
    }
    assert {s.bytes_per_s for s in folded.sightings} == {1_250_000_000}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"[]", "no lldp object"),
        (b'{"lldp": {}, "more": 1}', "no lldp object"),
        (b'{"lldp": 3}', "lldp is not an object"),
        (b'{"lldp": {"local-chassis": {}}}', "local-chassis"),
        (b'{"lldp": {"interface": {"eth0": {}, "eth0": {}}}}', "repeats"),
        (lldp([3]), "interface is not an object"),
        (lldp({"eth0": 3}), "eth0 is not an object"),
        (lldp({"eth0": {"chassis": chassis(), "rid": "1"}}), "no chassis or no port"),
        (lldp({"eth0": neighbour(chassis={})}), "no id"),
        (lldp({"eth0": neighbour(chassis={"a": {}, "b": {}})}), "no id"),
        (lldp({"eth0": neighbour(chassis={"gw": {"descr": "x"}})}), "chassis has no id"),
        (lldp({"eth0": neighbour(port={"descr": "x"})}), "port has no id"),
        (lldp({"eth0": neighbour(port=port(value=""))}), "has no value"),
        (lldp({"eth0": neighbour(port=port(ttl="99999"))}), "no TTL"),
        (lldp({"eth0": neighbour(port=port(ttl="-1"))}), "no TTL"),
        (lldp({"eth0": neighbour(port=port(ttl=120))}), "not a text"),
        (lldp({"eth0": neighbour(port=port(value="\x1b[2J"))}), "cannot name"),
        (lldp({"eth0": neighbour(chassis=chassis("x" * 300))}), "cannot name"),
        (lldp({"": neighbour()}), "cannot name"),
    ],
)
def test_lldp_refuses_what_lldpcli_does_not_print(data: bytes, words: str) -> None:
    with pytest.raises(Fault, match=words):
        read_lldp(data, node="a")


# --- InfiniBand ---------------------------------------------------------------------------------------------------------

IB = (RECORDED / "ibnetdiscover.txt").read_text()
"""Printed by ibnetdiscover 44.0 from the fabric of `subnet_cache.small_fabric`."""


def seen_of(survey: Survey) -> set[tuple[str, str, str, str, int | None]]:
    return {(s.at.names[0], s.at.ports[0], s.peer.names[0], s.peer.ports[0], s.bytes_per_s) for s in survey.sightings}


def test_ibnetdiscover_reads_both_ends_of_every_wire() -> None:
    survey = read_ibnetdiscover(IB.encode())
    leaf, spine = "S-0002c90200423e20", "S-0002c90200423e40"
    wires = {
        (leaf, "1", "pod-a", "mlx5_0/1", 25_000_000_000),
        (leaf, "2", "pod-a", "mlx5_1/1", 50_000_000_000),
        (leaf, "21", spine, "22", 25_000_000_000),
        (spine, "1", "pod-b", "mlx5_0/1", 12_500_000_000),
        (spine, "40", "gateway", "rt0/1", 3_409_090_910),
    }
    assert seen_of(survey) == wires | {(c, d, a, b, rate) for a, b, c, d, rate in wires}
    assert {one.names for one in survey.asked if "leaf1" in one.names} == {(leaf, "leaf1", "MF0;leaf1:MQM8700/U1")}


@pytest.mark.tools
@pytest.mark.parametrize("option", ["", "--grouping", "--full"])
def test_ibnetdiscover_is_read_as_the_program_prints_it(option: str, tmp_path: Path) -> None:
    """The fabric is made up; the text is the real program's."""
    program = shutil.which("ibnetdiscover")
    if program is None:
        pytest.skip("needs ibnetdiscover (infiniband-diags)")
    fabric = subnet_cache.small_fabric()
    fabric[0].description = 'a "quoted" 100% # name'
    cache = tmp_path / "cache"
    cache.write_bytes(subnet_cache.cache_of(fabric))
    done = subprocess.run(
        [program, "--load-cache", str(cache), *([option] if option else [])],
        capture_output=True,
        check=True,
        timeout=20,
    )
    survey = read_ibnetdiscover(done.stdout)
    assert seen_of(survey) == seen_of(read_ibnetdiscover(IB.encode()))
    assert any(fabric[0].description in one.names for one in survey.asked)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("4xHDR", "4x???", ""),
        ("4xHDR", "??HDR", ""),
        ("4xHDR", "4xhdr", "no line"),
        ('[1]\t"H-', '[41]\t"H-', "port 41"),
        ('[2]\t"H-', '[1]\t"H-', "stands there twice"),
        ("Switch\t40", "Switch\t255", "255 ports"),
        ("Switch\t40", "Switch\t0", "0 ports"),
        ("# Initiated", "Initiated", "no line"),
        ('Ca\t1 "H-0002c9030008f3b0"', 'Ca\t1 "H-0002c9030008f3a0"', "stands there twice"),
    ],
)
def test_ibnetdiscover_refuses_by_line(old: str, new: str, words: str) -> None:
    assert old in IB
    text = IB.replace(old, new).encode()
    if not words:
        assert None in {s.bytes_per_s for s in read_ibnetdiscover(text).sightings}
        return
    with pytest.raises(Fault, match=words) as caught:
        read_ibnetdiscover(text)
    assert caught.value.line > 0


def test_ibnetdiscover_of_no_node_is_no_survey() -> None:
    with pytest.raises(Fault, match="names no node"):
        read_ibnetdiscover(b"#\n# Topology file: generated on Tue Jul  2 13:42:35 2013\n#\n")


# --- a real cluster -----------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_the_access_list_of_a_real_cluster_is_read(data: Path) -> None:
    plan = read_plan(data / "switch_counters" / "topology_cluster_topology.csv")
    assert (len(plan.wires), len(plan.pods), len(plan.of_kind(NodeKind.SWITCH))) == (1012, 253, 20)
    rates = [wire.bytes_per_s for wire in plan.wires]
    assert rates.count(25_000_000_000) == 1011
    assert rates.count(50_000_000_000) == 1
    # Two ports of one server have no name in the published list; their wires are there all the same.
    assert sum(end.port.startswith("unnamed, at ") for end in plan.by_end) == 2


@pytest.mark.parametrize(
    ("text", "words", "line"),
    [
        ("a,b\n1,2\n", "no column", 1),
        ("accessport,switchname,sysname,nicname\n1,s,,n\n", "no sysname", 2),
        ("accessport,switchname,sysname,nicname\n1,s,h,n\n2,h,s,n\n", "both a server and a switch", 3),
        ("accessport,switchname,sysname,nicname\n1,s,h,n,more\n", "too many", 2),
        ('accessport,switchname,sysname,nicname\n"1"x,s,h,n\n', "not CSV", 1),
    ],
)
def test_an_access_list_is_refused_by_line(text: str, words: str, line: int) -> None:
    with pytest.raises(Fault, match=words) as caught:
        read_access_list(text.encode())
    assert caught.value.line == line


# --- rates --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("10Base5 - Thick coax MAU", 10e6),
        ("Foirl - FOIRL MAU", 10e6),
        ("AUI - No internal MAU, view from AUI", 10e6),
        ("10BaseFLDF - Async fiber MAU, full duplex mode", 10e6),
        ("100BaseTXFD - 2 pair category 5 UTP, full duplex mode", 100e6),
        ("1000BaseTFD - Four-pair Category 5 UTP, full duplex mode", 1e9),
        ("1000baseKX - X backplane, full duplex mode only", 1e9),
        ("10GigBaseLR - R fiber over 1310 nm optics", 10e9),
        ("10GbaseT - Four-pair Category 6A or better, full duplex mode only", 10e9),
        ("10G1GbasePRXD1 - One single-mode fiber asymmetric-rate EPON OLT", 10e9),
        ("10PassTS - Voice grade UTP copper", 10e6),
        ("2p5GigT - 2.5GBASE-T Four-pair twisted-pair", 2.5e9),
        ("2p5GbaseKX - 2.5GBASE-X PMD", 2.5e9),
        ("5GigT - 5GBASE-T", 5e9),
        ("25GbaseCRS - 25GBASE-R PCS/PMA", 25e9),
        ("100GbaseCR10 - 100GBASE-R PCS/PMA", 100e9),
        ("unknown", None),
        ("0Gbase", None),
        ("", None),
    ],
)
def test_rates_of_mau_types_as_lldpd_words_them(text: str, bits: float | None) -> None:
    assert mau_bytes_per_s(text) == (None if bits is None else bits / 8)


@pytest.mark.parametrize(
    ("width", "speed", "gigabits"),
    [("1x", "SDR", 2), ("4x", "QDR", 32), ("4x", "FDR10", 40), ("4x", "EDR", 100), ("4x", "HDR", 200), ("2x", "HDR", 100),
     ("4x", "NDR", 400), ("8x", "NDR", 800), ("12x", "EDR", 300), ("4x", "XDR", 800), ("??", "HDR", None), ("4x", "???", None),
     ("3x", "HDR", None)],
)  # fmt: skip
def test_rates_of_infiniband(width: str, speed: str, gigabits: float | None) -> None:
    assert ib_bytes_per_s(width, speed) == (None if gigabits is None else gigabits * 1e9 / 8)


@pytest.mark.parametrize(
    ("text", "rate"), [("100G", 12.5e9), ("100Gb/s", 12.5e9), ("400 Gbit/s", 5e10), ("12.5GB/s", 12.5e9), ("1b/s", 1)]
)
def test_rates_in_plans(text: str, rate: float) -> None:
    assert rate_of_text(text) == rate


def test_no_port_that_can_be_named_is_faster_than_the_one_that_is_assumed() -> None:
    named = [ib_bytes_per_s("8x", speed) or 0 for speed in reference.IB_LANE_BITS_PER_S]
    assert max(named) <= reference.FASTEST_PORT_BYTES_PER_S


# --- hostile input ------------------------------------------------------------------------------------------------------

READERS: dict[str, Callable[[bytes], object]] = {
    "dot": read_dot,
    "json": read_plan_json,
    "access": read_access_list,
    "lldp": lambda data: read_lldp(data, node="a"),
    "ib": read_ibnetdiscover,
}
SEEDS = {
    "dot": [PTM],
    "json": [plan_of()],
    "access": [b"accessport,switchname,sysname,nicname\nTwoHundredGigE1/0/1,s,h,n\n"],
    "lldp": [lldp({"eth0": neighbour()}), (RECORDED / "pod-a.hidden.json0").read_bytes()],
    "ib": [IB.encode()],
}


@pytest.mark.parametrize("name", READERS)
@given(st.data())
def test_nothing_but_a_fault_comes_out_of_a_reader(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(SEEDS[name]))
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(seed)))
        until = data.draw(st.integers(at, min(len(seed), at + 40)))
        seed = (
            seed[:at]
            + data.draw(st.binary(max_size=6) | st.sampled_from([b'"', b"{", b"[", b"\n", b":", b"--"]))
            + seed[until:]
        )
    with contextlib.suppress(Fault):
        READERS[name](seed)


@pytest.mark.parametrize("name", READERS)
@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf")
@example(b"\x00")
@example("\ud800".encode("utf-8", "surrogatepass"))
def test_noise_gives_faults(name: str, noise: bytes) -> None:
    with contextlib.suppress(Fault):
        READERS[name](noise)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["lldp", "interface", "chassis", "port", "id", "value", "type", "name", "ttl", "descr",
                         "auto-negotiation", "current", "eth0", "gw"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_lldp_of_any_shape_gives_a_survey_or_a_fault(value: object) -> None:
    with contextlib.suppress(Fault):
        read_lldp(json.dumps({"lldp": value}).encode(), node="a")


@pytest.mark.parametrize("name", READERS)
def test_a_file_too_large_is_not_read(name: str) -> None:
    with pytest.raises(Fault, match="more than"):
        READERS[name](b" " * FILE_BYTES_MAX + b"x")


def test_deep_and_wide_input_takes_linear_time() -> None:
    with pytest.raises(Fault):
        read_dot(b"graph {" + b"subgraph {" * 200_000)
    with pytest.raises(Fault):
        read_dot(b"graph { " + b'a [x="' + b"\\\\" * 500_000)
    with pytest.raises(Fault):
        read_lldp(b'{"lldp":' + b"[" * 100_000, node="a")
    with pytest.raises(Fault):
        read_ibnetdiscover(b'[1]\t"H-' + b"0" * 1_000_000)
    many = b"graph {" + b"".join(b"a:%d--b:%d " % (n, n) for n in range(50_000)) + b"}"
    assert len(read_dot(many).wires) == 50_000


def test_errors_name_file_line_and_remedy(tmp_path: Path) -> None:
    plan = tmp_path / "plan.dot"
    plan.write_text("graph {\n a -- b }")
    with pytest.raises(InputError, match=r"plan\.dot:2:4: a cable needs a port"):
        read_plan(plan)
    with pytest.raises(InputError, match="no form of a plan"):
        read_plan(tmp_path / "plan.txt")
    with pytest.raises(InputError, match="cannot be read"):
        read_plan(tmp_path / "absent.dot")
    with pytest.raises(EvidenceError, match="here: interface 'eth0'"):
        read_survey(lldp({"eth0": {"chassis": {}, "port": {}}}), node="a", where="here")
    with pytest.raises(EvidenceError, match="here:1: 'x' is no line"):
        read_survey(b"x", node="a", where="here")


def test_names_are_bounded() -> None:
    Topology.build([], [Wire(one=End("x" * NAME_CHARACTERS_MAX, "1"), other=End("b", "1"))])
    for name in ("", "x" * (NAME_CHARACTERS_MAX + 1), "a\nb", "\u2028"):
        with pytest.raises(Fault):
            Topology.build([], [Wire(one=End(name, "1"), other=End("b", "1"))])
