"""Sizes just below a limb: what is no evidence, what is, and how often honest owners are accused."""

from __future__ import annotations

import math
import random

import pytest
from clusters_fleets import LIMB, SPLITTING, Server, fleet

from inspectorate.mechanisms.custody.clusters import Ground, Snapshot, SplitKind, find_splitting
from inspectorate.mechanisms.custody.clusters.bunching import Sized, bunching, null_share, servers_below, side
from inspectorate.quantities import from_ns

ALPHA = 0.01


def sized(owner: str, servers: int) -> Sized:
    return Sized(owner=owner, mass=8.0 * servers, server=8.0)


def test_sides_are_counted_in_servers_of_the_piece_itself() -> None:
    assert [side(sized("o", servers), 16.0) for servers in (1, 2, 3, 4)] == [0, -1, 1, 0]
    assert [side(Sized(owner="o", mass=mass, server=1), 16.0) for mass in (15, 16, 17, 18)] == [0, -1, 1, 0]
    assert side(Sized(owner="o", mass=18.2, server=18.2), 16.0) == 0, "one server that is covered alone"
    assert servers_below(16.0, 15_832 / 15_840 * 8) == 2


def test_the_null_is_the_fall_off_between_neighbours() -> None:
    assert null_share(2, 3.0) == pytest.approx(27 / 35)
    assert null_share(16, 3.0) == pytest.approx(17**3 / (16**3 + 17**3))
    assert null_share(5, 0.0) == 0.5


def test_each_bet_has_expectation_one_at_the_null() -> None:
    p0 = null_share(2, 3.0)
    below, above = (math.exp(bunching([sized("o", servers)], 16.0).log_e) for servers in (2, 3))
    assert p0 * below + (1 - p0) * above == pytest.approx(1)


def test_one_owner_proves_nothing_however_many_pieces_it_has() -> None:
    assert math.exp(bunching([sized("o", 2)] * 500, 16.0).log_e) < 1.3


def test_many_owners_who_stay_below_are_evidence() -> None:
    found = bunching([sized(f"o{number}", 2) for number in range(40)], 16.0)
    assert found.log_e > math.log(1000)
    assert (found.owners, found.below, found.above) == (40, 40, 0)
    mixed = bunching([sized(f"o{number}", 2 + (number % 4 == 0)) for number in range(40)], 16.0)
    assert mixed.log_e < math.log(10)
    assert bunching([], 16.0).log_e == 0


def test_honest_owners_at_the_edge_of_the_null_are_accused_no_more_than_agreed() -> None:
    """The small version of `python -m bench covered_clusters`."""
    rng = random.Random(5)
    p0 = null_share(2, 3.0)
    alarms = 0
    for _ in range(400):
        pieces = []
        for owner in range(rng.randint(1, 60)):
            habit = 2 if rng.random() < p0 else 3
            pieces += [sized(f"o{owner}", habit) for _ in range(rng.randint(1, 3))]
        alarms += bunching(pieces, 16.0).log_e >= math.log(1 / ALPHA)
    assert alarms <= 400 * ALPHA + 3 * math.sqrt(400 * ALPHA)


def test_a_party_of_evaders_is_found_and_named() -> None:
    servers = [
        Server(f"h{owner}-{number}", site=f"s{owner}", owner=f"o{owner}", cluster="c")
        for owner in range(40)
        for number in range(2)
    ]
    chain = [Snapshot(at=from_ns(0), register=fleet(servers))]
    found = find_splitting(
        chain, LIMB, SPLITTING, Ground(utilisation=0.5, formats=("fp16",), false_accusation_rate=0.001)
    )
    assert [one.kind for one in found.findings] == [SplitKind.BUNCHED]
    assert found.bunched
    assert (found.below, found.above, found.findings[0].chips) == (40, 0, 640)
    assert "77.1 % at most" in found.null
