"""Every kind of difference, that nothing is passed in silence, and how sightings become wires."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from topology_making import GIGABIT, HONEST, Ends, lldp_text, mac_of, neighbour, plan, surveys, truthful

from inspectorate.mechanisms.interconnect.topology.compare import COVERAGE, Difference, DifferenceKind, compare
from inspectorate.mechanisms.interconnect.topology.graph import End, NodeKind, Topology
from inspectorate.mechanisms.interconnect.topology.infiniband import read_ibnetdiscover
from inspectorate.mechanisms.interconnect.topology.lldp import read_lldp
from inspectorate.mechanisms.interconnect.topology.seen import join, shown, wired

RECORDED = Path(__file__).parent / "recorded"
Kind = DifferenceKind
Shown = dict[str, list[tuple[str, dict[str, Any]]]]


def differences(told: Shown, declared: Topology | None = None) -> tuple[Difference, ...]:
    declared = declared or plan()
    return compare(declared, join(surveys(told), declared))


def kinds(told: Shown, declared: Topology | None = None) -> list[DifferenceKind]:
    return [difference.kind for difference in differences(told, declared)]


def rewired(*changes: tuple[Ends, Ends | None]) -> Shown:
    """What is shown where some declared wires are laid otherwise, or not."""
    moved = dict(changes)
    wires = [moved.get(wire, wire) for wire in HONEST]
    extra = [new for old, new in changes if old not in HONEST and new is not None]
    return truthful([wire for wire in (*wires, *extra) if wire is not None])


A, B, C, UPLINK = HONEST
NEW: Ends = ("", "", "", "")


def test_as_declared_is_no_difference() -> None:
    assert differences(truthful(HONEST)) == ()


def test_an_undeclared_wire_is_named_with_both_ends() -> None:
    (found,) = differences(rewired((NEW, ("pod-a", "eth7", "pod-b", "eth7"))))
    assert found.kind is Kind.UNDECLARED_WIRE
    assert found.both_ends
    assert found.at == {"pod-a", "pod-b"}
    assert "pod-a:eth7 -- pod-b:eth7" in found.text


def test_a_wire_that_one_end_hides_is_still_found() -> None:
    told = rewired((NEW, ("pod-a", "eth7", "pod-b", "eth7")))
    told["pod-b"].pop()
    found = {d.kind: d for d in differences(told)}
    assert list(found) == [Kind.UNDECLARED_WIRE]
    assert not found[Kind.UNDECLARED_WIRE].both_ends


def test_absent_and_not_looked_for_are_different() -> None:
    gone = rewired((A, None)) | {"pod-a": []}
    (found,) = differences(gone)
    assert found.kind is Kind.NOT_SEEN
    assert "from pod-a:eth0 or gateway:p1" in found.text
    del gone["pod-a"]
    (found,) = differences(gone)
    assert found.kind is Kind.NOT_SEEN
    assert "from gateway:p1; pod-a was not asked" in found.text
    told = truthful(HONEST)
    del told["pod-c"], told["leaf"]
    assert kinds(told) == [Kind.NOT_SURVEYED, Kind.HALF_SURVEYED]
    assert kinds({}) == [Kind.NOT_SURVEYED] * 4


def test_a_node_that_was_asked_and_sees_nobody_was_asked() -> None:
    told = {"pod-a": []}
    assert kinds(told) == [Kind.NOT_SEEN] + [Kind.NOT_SURVEYED] * 3


def test_a_wire_that_the_other_end_denies_is_no_seen_wire() -> None:
    told = truthful(HONEST)
    told["pod-a"] = []
    (found,) = differences(told)
    assert found.kind is Kind.ONE_END
    assert "pod-a was asked, and does not see it" in found.text


def test_wrong_port_and_wrong_peer_name_what_was_declared() -> None:
    (found,) = differences(rewired((A, ("pod-a", "eth0", "gateway", "p7"))))
    assert (found.kind, found.declared) == (Kind.WRONG_PORT, "pod-a:eth0 -- gateway:p1")
    swapped = rewired((A, ("pod-a", "eth0", "gateway", "p2")), (B, ("pod-b", "eth0", "gateway", "p1")))
    assert kinds(swapped) == [Kind.WRONG_PORT, Kind.WRONG_PORT]
    (found,) = differences(rewired((A, ("pod-a", "eth0", "pod-c", "eth5"))))
    assert found.kind is Kind.WRONG_PEER
    assert found.at == {"pod-a", "pod-c"}


def test_faster_than_declared_and_rate_not_seen() -> None:
    (found,) = [d for d in differences(truthful(HONEST), plan(rate=GIGABIT // 10)) if d.nodes == {"pod-a", "gateway"}]
    assert found.kind is Kind.FASTER
    assert "125,000,000 B/s, more than the declared 12,500,000 B/s" in found.text
    assert differences(truthful(HONEST), plan(rate=10 * GIGABIT)) == ()
    assert kinds(truthful(HONEST, speed=None)) == [Kind.RATE_NOT_SEEN] * 4
    assert kinds(truthful(HONEST), plan(rate=None)) == []


def test_a_node_that_nobody_declared() -> None:
    told = rewired((NEW, ("pod-a", "eth7", "intruder", "x1")))
    assert kinds(told) == [Kind.UNDECLARED_WIRE, Kind.UNDECLARED_NODE]
    told["stranger"] = []
    assert Kind.UNDECLARED_NODE in kinds({**truthful(HONEST), "stranger": []})


def test_one_chassis_under_two_names_and_two_under_one() -> None:
    told = truthful(HONEST)
    told["gateway"][1] = ("p2", neighbour("pod-b", "eth0", mac=mac_of("pod-a")))
    (found,) = differences(told)
    assert found.kind is Kind.CLONED
    assert found.nodes == {"pod-a", "pod-b"}
    told = truthful(HONEST)
    told["leaf"].append(("s2", neighbour("pod-a", "eth3", mac="99:99:99:99:99:99")))
    assert Kind.CLONED in kinds(told)


def test_a_chassis_id_other_than_the_plan_states() -> None:
    stated = plan(chassis={"pod-a": mac_of("pod-a").upper()})
    assert differences(truthful(HONEST), stated) == ()
    (found,) = differences(truthful(HONEST), plan(chassis={"pod-a": "00:00:00:00:00:01"}))
    assert found.kind is Kind.IMPOSTOR
    # The same device under another name is found by its chassis id.
    told = truthful(HONEST)
    told["gateway"][0] = ("p1", neighbour(None, "eth0", mac=mac_of("pod-a")))
    assert differences(told, stated) == ()


def test_a_port_that_two_ends_describe_differently() -> None:
    """The gateway is told that its p1 leads to pod-a; pod-a itself sees pod-c there."""
    told = truthful(HONEST)
    told["pod-a"] = [("eth0", neighbour("pod-c", "eth1"))]
    found = kinds(told)
    assert Kind.IMPOSTOR in found
    assert Kind.ONE_END in found
    assert Kind.WRONG_PEER in found


def test_a_port_that_hears_itself() -> None:
    told = truthful(HONEST)
    told["pod-a"].append(("eth4", neighbour("pod-a", "eth4")))
    assert Kind.IMPOSTOR in kinds(told)


def test_several_neighbours_behind_one_port() -> None:
    """A switch between them that passes LLDP on and does not speak it."""
    told = truthful(HONEST)
    told["gateway"].append(("p1", neighbour("pod-b", "eth9")))
    found = kinds(told)
    assert Kind.CROWDED in found
    assert Kind.WRONG_PEER in found


def test_bare_mac_ports_are_matched_from_the_other_side() -> None:
    told = truthful(HONEST)
    told["gateway"][0] = ("p1", neighbour("pod-a", "02:00:00:00:00:01", kind="mac"))
    told["pod-b"][0] = ("eth0", neighbour("gateway", "02:00:00:00:00:02", kind="mac"))
    assert differences(told) == ()
    told["pod-a"][0] = ("eth0", neighbour("gateway", "02:00:00:00:00:03", kind="mac"))
    assert differences(told) == (), "each of both names the other's port by a MAC address, and there is only one wire"


def test_two_wires_whose_ports_nobody_names_are_not_guessed() -> None:
    """Which of two belongs to which cannot be known: both stay as seen from one end."""
    twice = (("pod-a", "eth0", "gateway", "p1"), ("pod-a", "eth1", "gateway", "p2"))
    told: Shown = {
        "pod-a": [
            (p, neighbour("gateway", f"02:00:00:00:00:0{n}", kind="mac")) for n, p in enumerate(("eth0", "eth1"))
        ],
        "gateway": [(p, neighbour("pod-a", f"02:00:00:00:00:1{n}", kind="mac")) for n, p in enumerate(("p1", "p2"))],
    }
    found = differences(told, plan(twice))
    assert found
    assert {d.kind for d in found if d.contradicts} == {Kind.WRONG_PORT}


def test_long_and_short_host_names_are_one() -> None:
    told = {node: [(p, rename(one)) for p, one in shown] for node, shown in truthful(HONEST).items()}
    assert differences(told) == ()


def rename(told: dict[str, Any]) -> dict[str, Any]:
    ((name, body),) = told["chassis"].items()
    return {**told, "chassis": {f"{name}.example.org": body}}


def test_ibnetdiscover_against_its_plan() -> None:
    text = (RECORDED / "ibnetdiscover.txt").read_bytes()
    wires = [
        ("leaf1", "1", "pod-a", "mlx5_0/1"),
        ("leaf1", "2", "pod-a", "mlx5_1/1"),
        ("S-0002c90200423e40", "1", "pod-b", "mlx5_0/1"),
        ("leaf1", "21", "S-0002c90200423e40", "22"),
        ("S-0002c90200423e40", "40", "gateway", "rt0/1"),
    ]
    declared = plan(wires, rate=50_000_000_000, chassis={"leaf1": "0x0002c90200423e20"})
    seen = join([read_ibnetdiscover(text)], declared)
    assert [d for d in compare(declared, seen) if d.contradicts] == []
    assert len(seen.wires) == 5
    assert all(len(one.seen_from) == 2 for one in seen.wires)
    less = plan([wire for wire in wires if wire[3] != "mlx5_1/1"], rate=50_000_000_000)
    (found,) = [d for d in compare(less, join([read_ibnetdiscover(text)], less)) if d.contradicts]
    assert found.kind is Kind.UNDECLARED_WIRE
    assert found.both_ends


def test_recorded_lldp_shows_the_hidden_wire() -> None:
    wires = [("pod-a", "eth0", "gateway", "to-pod-a"), ("pod-b", "eth0", "gateway", "to-pod-b")]
    declared = plan(wires, rate=10 * GIGABIT)
    for kind, expected in (("declared", []), ("hidden", [Kind.UNDECLARED_WIRE])):
        told = [
            read_lldp((RECORDED / f"{node}.{kind}.json").read_bytes(), node=node)
            for node in ("pod-a", "pod-b", "gateway")
        ]
        found = [d for d in compare(declared, join(told, declared)) if "pod-c" not in d.nodes]
        assert [d.kind for d in found] == expected


def test_what_is_wired_is_what_is_declared_or_seen_at_the_faster_rate() -> None:
    told = rewired((NEW, ("pod-a", "eth7", "pod-b", "eth7")))
    declared = plan(rate=GIGABIT // 2)
    seen = join(surveys(told), declared)
    union = wired(declared, [seen])
    assert {wire.bytes_per_s for wire in union.wires} == {GIGABIT}
    assert len(union.wires) == 5
    assert {wire.bytes_per_s for wire in wired(plan(rate=9 * GIGABIT), [seen]).wires} == {GIGABIT, 9 * GIGABIT}
    assert len(shown(declared, seen, both_ends=True).wires) == 5
    silent = join(surveys(truthful(HONEST, speed=None)), declared)
    assert shown(declared, silent, both_ends=False).wires == ()


# --- nothing is passed in silence -----------------------------------------------------------------------------------------

node_names = st.sampled_from(["pod-a", "pod-b", "gateway", "leaf", "x"])
port_names = st.sampled_from(["1", "2", "3", "4"])
any_ends = st.builds(End, node_names, port_names)


@st.composite
def wirings(draw: st.DrawFn) -> list[Ends]:
    ports = draw(st.lists(any_ends, min_size=2, max_size=14, unique=True))
    pairs = zip(ports[::2], ports[1::2], strict=False)
    return [(a.node, a.port, b.node, b.port) for a, b in pairs]


@given(wirings(), wirings(), st.sets(node_names))
def test_every_wire_comes_out_as_declared_or_as_a_difference(
    declared_wires: list[Ends], real_wires: list[Ends], silent: set[str]
) -> None:
    """Each wire is seen as declared from both ends, or some difference names one of its ports."""
    declared = plan(declared_wires)
    told = {node: shown for node, shown in truthful(real_wires).items() if node not in silent}
    asked = {node: told.get(node, []) for node in {*declared.nodes, *told} - silent}
    seen = join(surveys(asked), declared)
    found = compare(declared, seen)
    text = "\n".join(d.text for d in found)
    for wire in declared.wires:
        good = any(one.wire.ends == wire.ends and len(one.seen_from) == 2 for one in seen.wires)
        assert good or any(str(end) in text for end in wire.ends), wire
    for one in seen.wires:
        exact = declared.by_end.get(one.wire.one)
        good = exact is not None and exact.ends == one.wire.ends and len(one.seen_from) == 2
        assert good or any(str(end) in text for end in one.wire.ends), one
    # No difference at all means: all asked, and wired exactly as declared.
    really = {frozenset((End(a, p), End(b, q))) for a, p, b, q in real_wires}
    if not found:
        assert {wire.ends for wire in declared.wires} == really
        assert not silent & {node for wire in declared.wires for node in wire.nodes}
    # And the other way: where everybody was asked, a site wired as declared shows no difference.
    if not silent and {wire.ends for wire in declared.wires} == really:
        assert [d for d in found if "hears itself" not in d.text] == []


@given(wirings(), st.sets(node_names))
def test_a_site_wired_as_declared_is_never_contradicted(wires: list[Ends], silent: set[str]) -> None:
    """Whoever was asked: at most something was not looked at."""
    declared = plan(wires)
    told = {node: truthful(wires).get(node, []) for node in declared.nodes if node not in silent}
    found = compare(declared, join(surveys(told), declared))
    assert {d.kind for d in found} <= COVERAGE
    unasked = silent & (set(declared.nodes) - set(declared.of_kind(NodeKind.OUTSIDE)))
    assert bool(found) == bool(unasked)


@given(wirings())
def test_the_order_of_surveys_changes_nothing(wires: list[Ends]) -> None:
    declared = plan(HONEST)
    told = truthful(wires)
    one = compare(declared, join(surveys(told), declared))
    other = compare(declared, join(reversed(surveys(told)), declared))
    assert [(d.kind, d.nodes, d.text) for d in one] == [(d.kind, d.nodes, d.text) for d in other]


@pytest.mark.parametrize("text", [lldp_text([]), b'{"lldp": {}}'])
def test_a_survey_without_neighbours_is_a_survey(text: bytes) -> None:
    assert read_lldp(text, node="a").asked
