"""Pieces, dissolved clusters and rotation: found where they are, against slow oracles, and what evades them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from clusters_fleets import LIMB, MEMORY_LIMB, SPLITTING, Server, fleet
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.declaration import Position
from inspectorate.mechanisms.custody.clusters import (
    Ground,
    Move,
    Seen,
    Snapshot,
    SplitKind,
    Splitting,
    find_splitting,
)
from inspectorate.mechanisms.custody.clusters.nearby import distance_m, near_pairs
from inspectorate.mechanisms.custody.clusters.presence import Observed, peaks, stays_of, within

DAY = timedelta(days=1)
START = datetime(2027, 1, 1, tzinfo=UTC)
# One thousandth of a degree of latitude is some 111 m.
POSITIONS = {f"s{number}": Position(latitude_deg=0.01 * number, longitude_deg=5.0) for number in range(40)}
GROUND = Ground(utilisation=0.5, formats=("fp16",), false_accusation_rate=0.001, positions=POSITIONS)


def look(*registers: list[Server], every: timedelta = 30 * DAY, ground: Ground = GROUND, **terms: object) -> Splitting:
    chain = [Snapshot(at=START + every * place, register=fleet(servers)) for place, servers in enumerate(registers)]
    return find_splitting(chain, LIMB, SPLITTING.model_copy(update=terms), ground)


def kinds(found: Splitting) -> list[SplitKind]:
    return [one.kind for one in found.findings]


def piece(site: str, chips: int, *, owner: str = "owner", serials: str = "") -> list[Server]:
    """Servers of eight at one site."""
    return [
        Server(f"{site}-h{first}", site=site, chips=min(8, chips - first), owner=owner, cluster=site,
               chips_of=f"{serials or site}-{first}")
        for first in range(0, chips, 8)
    ]  # fmt: skip


# --- pieces ------------------------------------------------------------------------------------------------------------


def test_pieces_of_one_owner_near_each_other() -> None:
    found = look([*piece("s0", 16), *piece("s1", 15), *piece("s2", 3)])
    assert kinds(found) == [SplitKind.PIECES]
    one = found.findings[0]
    assert (one.near, one.chips, one.sites, one.owners) == (2, 34, ("s0", "s1", "s2"), ("owner",))
    assert one.h100_equivalents == pytest.approx(34 * 15_832 / 15_840)
    assert one.flop_per_month == pytest.approx(34 * 989.4e12 * 0.5 * 30 * 86_400)
    assert [part.share_of_limb > 0.9 for part in one.pieces] == [True, True, False]


def test_small_pieces_are_scattered_and_others_are_nothing() -> None:
    assert kinds(look([*piece("s0", 8), *piece("s1", 8), *piece("s2", 8)])) == [SplitKind.SCATTERED]
    assert kinds(look([*piece("s0", 8), *piece("s1", 8)])) == [], "sixteen are not above the limb"
    assert kinds(look([*piece("s0", 16), *piece("s1", 16, owner="another")])) == []
    assert kinds(look([*piece("s0", 16), *piece("s9", 16)])) == [], "ten kilometres apart"
    assert kinds(look([*piece("s0", 24), *piece("s1", 16)])) == [], "one of them is covered as it is"


def test_pieces_belong_together_by_a_chain() -> None:
    chain = [server for number in (0, 4, 8) for server in piece(f"s{number}", 12)]
    found = look(chain, near_share_min=0.7)
    assert kinds(found) == [SplitKind.PIECES]
    assert found.findings[0].sites == ("s0", "s4", "s8")


def test_a_site_without_a_position_is_named_and_near_nothing() -> None:
    found = look([*piece("s0", 16), *piece("nowhere", 16)])
    assert kinds(found) == []
    assert "nowhere" in found.not_checked[0]


def test_the_memory_limb_makes_pieces_too() -> None:
    servers = [Server(f"h{n}", site=f"s{n}", chips=12, model="a100-80", cluster=f"c{n}") for n in range(2)]
    chain = [Snapshot(at=START, register=fleet(servers))]
    terms = SPLITTING.model_copy(update={"near_share_min": 0.5})
    assert kinds(find_splitting(chain, LIMB, terms, GROUND)) == []
    assert kinds(find_splitting(chain, MEMORY_LIMB, terms, GROUND)) == [SplitKind.PIECES]


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 16), st.sampled_from("ab")), min_size=1, max_size=7))
@settings(max_examples=15)
def test_groups_agree_with_a_slow_search(rows: list[tuple[int, int, str]]) -> None:
    servers = [server for number, (site, chips, owner) in enumerate(rows)
               for server in piece(f"s{site}", chips, owner=owner, serials=f"p{number}")]  # fmt: skip
    sites = {site for site, _, _ in rows}
    mass = {site: sum(chips for other, chips, _ in rows if other == site) for site in sites}
    free = [site for site in sites if mass[site] <= 16]
    expected = set()
    for owner in "ab":
        own = [site for site in free if any(row[0] == site and row[2] == owner for row in rows)]
        groups = [{site} for site in own]
        for a, b in itertools.combinations(own, 2):
            if distance_m(POSITIONS[f"s{a}"], POSITIONS[f"s{b}"]) <= SPLITTING.within_m:
                first, second = (next(group for group in groups if site in group) for site in (a, b))
                if first is not second:
                    groups.remove(second)
                    first |= second
        expected |= {(owner, tuple(sorted(f"s{site}" for site in group))) for group in groups
                     if len(group) > 1 and sum(mass[site] for site in group) > 16}  # fmt: skip
    named = _unique_hosts(servers)
    found = look(named)
    assert {(one.owners[0], one.sites) for one in found.findings} == expected


def _unique_hosts(servers: list[Server]) -> list[Server]:
    return [
        Server(
            f"h{number}", site=one.site, chips=one.chips, owner=one.owner, cluster=one.cluster, chips_of=one.chips_of
        )
        for number, one in enumerate(servers)
    ]


def test_near_pairs_agree_with_all_pairs() -> None:
    rng = np.random.default_rng(3)
    positions = {
        f"p{n}": Position(latitude_deg=float(lat), longitude_deg=float(lon))
        for n, (lat, lon) in enumerate(zip(rng.uniform(-89, 89, 60), rng.uniform(-180, 180, 60), strict=True))
    }
    names = list(positions)
    for within_m in (1e5, 2e6, 3e7):
        one, other, unknown, whole = near_pairs(names, positions, within_m)
        expected = {frozenset(pair) for pair in itertools.combinations(range(60), 2)
                    if distance_m(positions[names[pair[0]]], positions[names[pair[1]]]) <= within_m}  # fmt: skip
        assert {frozenset(pair) for pair in zip(one.tolist(), other.tolist(), strict=True)} == expected
        assert whole
        assert unknown == ()
    quarter = distance_m(Position(latitude_deg=0, longitude_deg=0), Position(latitude_deg=90, longitude_deg=0))
    assert quarter == pytest.approx(10_007_557, rel=1e-6)


# --- in time -----------------------------------------------------------------------------------------------------------


def test_a_covered_cluster_that_was_taken_apart() -> None:
    hall = piece("s30", 32, serials="x")
    offices = [
        Server(f"o{number}", site=f"s{4 * number}", cluster=f"o{number}", chips_of=f"x-{8 * number}")
        for number in range(4)
    ]
    found = look(hall, offices, within_m=10.0)
    assert kinds(found) == [SplitKind.DISSOLVED]
    assert found.findings[0].chips == 32
    assert len(found.findings[0].pieces) == 4
    kept = look(hall, [*piece("s30", 24, serials="x"), offices[3]], within_m=10.0)
    assert kinds(kept) == [], "what is still covered was not taken apart"


def test_chips_that_swap_between_two_places() -> None:
    """Two halves of a cluster of 24 that are never together, at a site that sees all of them."""
    a, b = piece("s0", 12, serials="a"), piece("s20", 12, serials="b")
    swapped = [*piece("s20", 12, serials="a"), *piece("s0", 12, serials="b")]
    found = look(a + b, swapped, a + b)
    assert kinds(found) == [SplitKind.ROTATED] * 2
    one = next(one for one in found.findings if one.sites[0] == "s0")
    assert (one.chips, one.returned, one.elsewhere) == (24, 12, 24)
    assert kinds(look(a + b, a + b, a + b)) == []
    slow = look(a + b, swapped, a + b, every=200 * DAY)
    assert kinds(slow) == [], "farther apart in time than the clause looks: an evader may do that, slowly"


def test_rotation_between_two_registers_is_seen_by_its_moves() -> None:
    a, b = piece("s0", 12, serials="a"), piece("s20", 12, serials="b")
    names = [f"b-{server.chips_of.split('-')[1]}-{number}" for server in b for number in range(server.chips)]
    moves = [
        Move(at=START + 5 * DAY, serials=names, site="s20", seen=Seen.LEFT),
        Move(at=START + 6 * DAY, serials=names, site="s0", seen=Seen.ARRIVED),
        Move(at=START + 8 * DAY, serials=names, site="s0", seen=Seen.LEFT),
        Move(at=START + 9 * DAY, serials=names, site="s20", seen=Seen.ARRIVED),
    ]
    assert kinds(look(a + b, a + b)) == []
    ground = Ground(utilisation=0.5, formats=("fp16",), false_accusation_rate=0.001, positions=POSITIONS, moves=moves)
    found = look(a + b, a + b, ground=ground)
    assert kinds(found) == [SplitKind.ROTATED]
    assert (found.findings[0].sites, found.findings[0].elsewhere) == (("s0", "s20"), 12)


def test_an_honest_exchange_is_found_and_its_innocence_printed() -> None:
    found = look(piece("s0", 16, serials="old"), piece("s0", 16, serials="new"))
    assert kinds(found) == [SplitKind.ROTATED]
    assert (found.findings[0].returned, found.findings[0].elsewhere) == (0, 0)
    assert "old servers taken out" in found.findings[0].honest
    assert found.log_e <= 0.5, "no evidence against anybody"


observations = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 30), st.integers(0, 2)), max_size=25
)


@given(observations, st.integers(0, 12))
@settings(max_examples=40)
def test_peaks_agree_with_every_window_tried(rows: list[tuple[int, int, int, int]], window: int) -> None:
    rows = list({(chip, at): (chip, place, at, seen) for chip, place, at, seen in rows}.values())
    columns = [np.array([row[place] for row in rows], dtype=np.int64) for place in range(4)]
    stays = stays_of(Observed(*columns))
    mass = np.array([1, 2, 4, 8, 16])
    found = {peak.place: peak for peak in peaks(stays, mass, window)}
    spans = list(zip(*(getattr(stays, name).tolist() for name in ("chip", "place", "start_ns", "end_ns")), strict=True))
    for place in {row[1] for row in rows}:
        best = max(
            sum(int(mass[chip]) for chip in {c for c, p, a, b in spans if p == place and a <= t + window and b >= t})
            for t in range(-15, 32)
        )
        assert found[place].mass == best
        chosen = {chip for (chip, *_), here in zip(spans, within(stays, found[place], window), strict=True) if here}
        assert sum(int(mass[chip]) for chip in chosen) == best
    assert len(found) == len({row[1] for row in rows})


def test_a_chain_out_of_order_is_refused() -> None:
    register = fleet(piece("s0", 8))
    with pytest.raises(ValueError, match="in order"):
        find_splitting([Snapshot(at=START, register=register)] * 2, LIMB, SPLITTING, GROUND)
    with pytest.raises(ValueError, match="at least one"):
        find_splitting([], LIMB, SPLITTING, GROUND)
