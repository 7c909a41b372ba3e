"""How often honest pods seem to exchange something: what `reference.MATCH_RATE_MAX` rests on."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from inspectorate.agreement import CoordinatedExchange
from inspectorate.mechanisms.interconnect import reference
from inspectorate.mechanisms.interconnect.coordination import exchange_indicator
from inspectorate.worlds import World, WorldKind, build_world, names_of


def matches(world: World) -> tuple[int, int]:
    """How often pairs of pods that did not declare each other matched, on true bytes, and how often that could be asked."""
    terms = next(c.parameters for c in world.agreement.clauses if isinstance(c.parameters, CoordinatedExchange))
    volume = world.interval_bytes(terms.averaging_s).astype(float)
    declared = {tuple(sorted(pair)) for pair in world.site.pipelines}
    seen = np.ones(volume.shape[2], dtype=np.bool_)
    total, asked_total = 0, 0
    for one, other in combinations(range(len(volume)), 2):
        matched, asked = exchange_indicator(
            (volume[one, 1], volume[one, 0]),
            (volume[other, 1], volume[other, 0]),
            seen,
            lags=reference.MATCH_LAGS,
            bytes_min=reference.MATCH_BYTES_PER_S_MIN * terms.averaging_s,
        )
        if (one, other) not in declared:
            total, asked_total = total + int(matched.sum()), asked_total + int(asked.sum())
    return total, asked_total


@pytest.mark.parametrize("name", names_of(WorldKind.HONEST))
def test_honest_pairs_match_less_than_half_as_often_as_the_reference_allows(name: str) -> None:
    counts = np.array([matches(build_world(name, seed)) for seed in range(10)])
    matched, asked = counts.sum(axis=0)
    assert asked > 500
    assert matched / asked < reference.MATCH_RATE_MAX / 2
