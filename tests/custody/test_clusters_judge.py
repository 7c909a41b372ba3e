"""The covered-cluster test: each limb by itself, strictly; merging; readings; what never makes covered uncovered."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from clusters_fleets import GBIT, LIMB, MEMORY_LIMB, WIRED, Server, fleet
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.agreement.chips import CoveredCluster
from inspectorate.declaration import chip_catalogue
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.custody.clusters import (
    Manner,
    Outcome,
    Purpose,
    Reading,
    differences,
    explain,
    judge_clusters,
)
from inspectorate.mechanisms.custody.clusters.hosts import hosts_of
from inspectorate.mechanisms.custody.register import wiring_of

MODELS = ("h100-sxm", "a100-80", "l4", "gh200")


def outcomes(servers: list[Server], clause: CoveredCluster = LIMB, links: list[tuple[str, str, int]] | None = None,
             manner: Manner | None = None) -> list[Outcome]:  # fmt: skip
    return list(judge_clusters(fleet(servers), wiring_of(links or []), clause, manner or Manner()).outcomes)


# --- limbs -------------------------------------------------------------------------------------------------------------


def test_exactly_the_limb_is_not_covered_and_a_millionth_more_is() -> None:
    """Sixteen nominal H100 are 253,440 exactly; floats would not decide that."""
    h100 = chip_catalogue()["h100-sxm"].model_copy(update={"flop_per_s": {"fp16": 990e12}, "memory_bytes": 80e9})
    grain = h100.model_copy(update={"id": "l4", "flop_per_s": {"fp16": 62_500.0}})
    assert grain.tpp == pytest.approx(1e-6)
    manner = Manner(models={"h100-sxm": h100, "l4": grain})
    two = [Server("a"), Server("b")]
    assert outcomes(two, manner=manner) == [Outcome.NOT_COVERED]
    assert outcomes([*two, Server("c", chips=1, model="l4")], manner=manner) == [Outcome.COVERED]


def test_memory_is_a_limb_only_where_the_clause_has_it() -> None:
    servers = [Server("a", chips=50, model="a100-80")]
    assert outcomes(servers) == [Outcome.NOT_COVERED]
    assert outcomes(servers, MEMORY_LIMB) == [Outcome.COVERED]
    exactly = [Server("a", chips=16)]
    assert outcomes(exactly, MEMORY_LIMB) == [Outcome.NOT_COVERED]


def test_unknown_memory_decides_nothing_and_is_not_zero() -> None:
    assert outcomes([Server("a", chips=2, model="gh200")], MEMORY_LIMB) == [Outcome.UNKNOWN]
    assert outcomes([Server("a", chips=2, model="gh200")], LIMB) == [Outcome.NOT_COVERED]
    assert outcomes([Server("a", chips=2, model="gh200"), Server("b", chips=30, model="a100-80")], MEMORY_LIMB) == [
        Outcome.COVERED
    ]


def test_broken_chips_weigh_as_working_ones() -> None:
    servers = [Server("a"), Server("b"), Server("c", chips=1, state="broken")]
    judged = judge_clusters(fleet(servers), None, LIMB)
    assert judged.outcomes == (Outcome.COVERED,)
    assert judged.broken.tolist() == [1]
    assert "broken, which count" in " ".join(explain(judged)[0].steps)


# --- what joins --------------------------------------------------------------------------------------------------------


def test_each_way_of_joining_by_itself_and_none() -> None:
    apart = [Server(f"h{number}", site=f"site-{number}", cluster=f"c{number}") for number in range(3)]
    assert outcomes(apart) == [Outcome.NOT_COVERED] * 3
    assert outcomes([dataclasses.replace(one, site="one") for one in apart]) == [Outcome.COVERED]
    wide = [("h0", "switch", 100 * GBIT), ("h1", "switch", 100 * GBIT), ("h2", "switch", 100 * GBIT)]
    assert outcomes(apart, links=wide) == [Outcome.COVERED]
    work = Manner(purposes=(Purpose(name="one run", hosts=("h0", "h1", "h2")),))
    assert outcomes(apart, manner=work) == [Outcome.COVERED]
    together = [dataclasses.replace(one, site="one") for one in apart]
    assert outcomes(together, WIRED) == [Outcome.NOT_COVERED] * 3


def test_twenty_five_gigabits_do_not_join_and_a_bit_more_do() -> None:
    apart = [Server(f"h{number}", site=f"site-{number}", chips=12, cluster=f"c{number}") for number in range(2)]
    assert outcomes(apart, links=[("h0", "h1", 25 * GBIT)]) == [Outcome.NOT_COVERED] * 2
    assert outcomes(apart, links=[("h0", "h1", 25 * GBIT + 1)]) == [Outcome.COVERED]
    assert outcomes(apart, links=[("h0", "h1", 13 * GBIT)] * 2) == [Outcome.COVERED]
    over = [("h0", "s1", 10 * GBIT), ("s1", "h1", 10 * GBIT), ("h0", "s2", 16 * GBIT), ("h1", "s2", 16 * GBIT)]
    assert outcomes(apart, links=over) == [Outcome.COVERED]
    assert (
        outcomes(apart, links=[*over[:2], ("h0", "s2", 15 * GBIT), ("h1", "s2", 16 * GBIT)])
        == [Outcome.NOT_COVERED] * 2
    )


def test_a_chain_of_joins_makes_one_cluster() -> None:
    """Place, then a link, then a purpose: a bad consequence that the documentation states."""
    servers = [
        Server("a1", site="a", chips=4, cluster="a"), Server("a2", site="a", chips=4, cluster="a"),
        Server("b1", site="b", chips=8, cluster="b"), Server("c1", site="c", chips=8, cluster="c"),
    ]  # fmt: skip
    manner = Manner(purposes=(Purpose(name="service", hosts=("b1", "c1")),))
    assert outcomes(servers, links=[("a2", "b1", 40 * GBIT)], manner=manner) == [Outcome.COVERED]


def test_readings_differ_where_thin_links_add_up_and_are_reported() -> None:
    servers = [Server(f"{site}{number}", site=site, chips=4, cluster=site) for site in "ab" for number in range(3)]
    thin = [(f"a{number}", f"b{number}", 10 * GBIT) for number in range(3)]
    register, wiring = fleet(servers), wiring_of(thin)
    judged = judge_clusters(register, wiring, LIMB)
    assert judged.outcomes == (Outcome.NOT_COVERED, Outcome.NOT_COVERED)
    found = differences(judged, register, wiring)
    assert {(one.cluster, one.reading, one.outcome) for one in found} == {
        (0, Reading.JOINED_HOSTS, Outcome.COVERED), (1, Reading.JOINED_HOSTS, Outcome.COVERED),
    }  # fmt: skip
    assert found[0].h100_equivalents == pytest.approx(24, rel=1e-3)
    bottleneck = wiring_of([("a0", "x", 40 * GBIT), ("b0", "y", 40 * GBIT), ("x", "y", GBIT)])
    ports = judge_clusters(register, bottleneck, LIMB, Manner(reading=Reading.OWN_PORTS))
    assert ports.outcomes == (Outcome.COVERED,)
    assert "carry 40 Gbit/s each" in " ".join(explain(ports)[0].steps)


def test_declared_clusters_may_be_buildings() -> None:
    servers = [Server("a", cluster="hall-1"), Server("b", cluster="hall-2"), Server("c", cluster="hall-2")]
    assert outcomes(servers) == [Outcome.COVERED]
    assert outcomes(servers, manner=Manner(place="cluster")) == [Outcome.NOT_COVERED] * 2


# --- against a slow oracle ---------------------------------------------------------------------------------------------

hosts = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 9), st.sampled_from(MODELS[:3]), st.booleans()), min_size=1, max_size=6
)
cables = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 40)), max_size=8)


def drawn(rows: list[tuple[int, int, str, bool]]) -> list[Server]:
    return [
        Server(f"h{number}", site=f"s{site}", chips=chips, model=model, state="broken" if broken else "working")
        for number, (site, chips, model, broken) in enumerate(rows)
    ]


def wires(rows: list[tuple[int, int, int]], count: int) -> list[tuple[str, str, int]]:
    """Nodes beyond the hosts are switches."""
    names = [f"h{number}" if number < count else f"switch-{number}" for number in range(8)]
    return [(names[a], names[b], rate * GBIT) for a, b, rate in rows if a != b]


def slow(
    servers: list[Server], links: list[tuple[str, str, int]], clause: CoveredCluster
) -> dict[str, tuple[bool, float]]:
    """Pairs of hosts by the words of the clause, every set of nodes a cut, closure by passes until nothing moves."""
    nodes = sorted({one.host for one in servers} | {end for link in links for end in link[:2]})
    label = {one.host: {one.host} for one in servers}
    sites = {one.host: one.site for one in servers}

    def exchange(a: str, b: str) -> int:
        others = [node for node in nodes if node not in {a, b}]
        sides = ({a, *chosen} for size in range(len(others) + 1) for chosen in itertools.combinations(others, size))
        return min(sum(rate for x, y, rate in links if (x in side) != (y in side)) for side in sides)

    for a, b in itertools.combinations(label, 2):
        same = clause.joined_by_co_location and sites[a] == sites[b]
        if same or exchange(a, b) > clause.joined_by_bits_per_s:
            merged = label[a] | label[b]
            for one in merged:
                label[one] = merged
    tpp = {one.host: one.chips * chip_catalogue()[one.model].h100_equivalents for one in servers}
    return {
        host: (total > clause.h100_equivalents_max, total)
        for host in label
        for total in [sum(tpp[one] for one in label[host])]
    }


@given(hosts, cables, st.booleans())
@settings(max_examples=30)
def test_the_fast_test_agrees_with_the_slow_one(
    rows: list[tuple[int, int, str, bool]], cabling: list[tuple[int, int, int]], co_located: bool
) -> None:
    servers = drawn(rows)
    links = wires(cabling, len(servers))
    clause = WIRED.model_copy(update={"joined_by_co_location": co_located})
    judged = judge_clusters(fleet(servers), wiring_of(links), clause)
    expected = slow(servers, links, clause)
    for number, host in enumerate(judged.hosts.names):
        cluster = int(judged.of_host[number])
        assert (judged.outcomes[cluster] is Outcome.COVERED) == expected[host][0]
        assert judged.h100_equivalents[cluster] == pytest.approx(expected[host][1])
    told = explain(judged)
    assert sum(one.chips for one in told) == sum(one.chips for one in servers)
    for one in told:
        assert sum(part.tpp for part in one.sums) == pytest.approx(one.tpp)
        assert one.limbs[0].above == (one.outcome is Outcome.COVERED)


def covered_chips(servers: list[Server], links: list[tuple[str, str, int]], clause: CoveredCluster,
                  reading: Reading = Reading.TWO_HOSTS) -> set[str]:  # fmt: skip
    judged = judge_clusters(fleet(servers), wiring_of(links), clause, Manner(reading=reading))
    return {
        name for number, name in enumerate(judged.hosts.names)
        if judged.outcomes[int(judged.of_host[number])] is Outcome.COVERED
    }  # fmt: skip


@given(hosts, cables, st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(1, 40)), st.sampled_from(Reading))
@settings(max_examples=30)
def test_nothing_that_adds_makes_covered_uncovered(
    rows: list[tuple[int, int, str, bool]],
    cabling: list[tuple[int, int, int]],
    more: tuple[int, int, int],
    reading: Reading,
) -> None:
    servers = drawn(rows)
    links = wires(cabling, len(servers))
    before = covered_chips(servers, links, WIRED, reading)
    assert before <= covered_chips(servers, links + wires([more], len(servers)), WIRED, reading)
    grown = [dataclasses.replace(servers[0], chips=servers[0].chips + 3), *servers[1:]]
    assert before <= covered_chips(grown, links, WIRED, reading)
    assert before <= covered_chips(servers, links, WIRED.model_copy(update={"joined_by_co_location": True}), reading)
    assert before <= covered_chips(servers, links, WIRED.model_copy(update={"h100_equivalents_max": 9.0}), reading)
    assert before <= covered_chips(servers, links, WIRED.model_copy(update={"joined_by_bits_per_s": 5e9}), reading)
    assert before <= covered_chips(servers, links, WIRED.model_copy(update={"memory_bytes_max": 1280e9}), reading)
    if reading is Reading.TWO_HOSTS:
        assert before <= covered_chips(servers, links, WIRED, Reading.OWN_PORTS)
        assert before <= covered_chips(servers, links, WIRED, Reading.JOINED_HOSTS)


@given(hosts, cables, st.permutations(range(8)))
@settings(max_examples=20)
def test_names_play_no_part(
    rows: list[tuple[int, int, str, bool]], cabling: list[tuple[int, int, int]], moved: list[int]
) -> None:
    servers = drawn(rows)
    links = wires(cabling, len(servers))
    new = {f"h{number}": f"n{moved[number]}" for number in range(8)}
    new |= {f"switch-{number}": f"zz{moved[number]}" for number in range(8)}
    renamed = [dataclasses.replace(one, host=new[one.host], site=f"x{one.site}") for one in servers]
    other = [(new[b], new[a], rate) for a, b, rate in links]
    before = judge_clusters(fleet(servers), wiring_of(links), LIMB)
    after = judge_clusters(fleet(renamed), wiring_of(other), LIMB)
    assert sorted(before.micro_tpp.tolist()) == sorted(after.micro_tpp.tolist())
    assert sorted(before.outcomes) == sorted(after.outcomes)


# --- bad input ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_judged_is_named() -> None:
    with pytest.raises(EvidenceError, match="no chips"):
        hosts_of(fleet([]))
    with pytest.raises(InputError, match="does not have"):
        outcomes([Server("a")], manner=Manner(purposes=(Purpose(name="x", hosts=("b",)),)))
    with pytest.raises(InputError, match="names no host"):
        outcomes([Server("a")], manner=Manner(purposes=(Purpose(name="x", hosts=()),)))
    twice = [Server("a", site="s1", chips_of="x"), Server("a", site="s2", chips_of="y")]
    assert outcomes(twice) == [Outcome.NOT_COVERED] * 2
    with pytest.raises(EvidenceError, match="several hosts are called so"):
        outcomes(twice, links=[("a", "switch", GBIT)])
    with pytest.raises(EvidenceError, match="not in the catalogue"):
        outcomes([Server("a")], manner=Manner(models={}))
