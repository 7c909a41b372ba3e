"""Exchanges in step: fast against slow, and what it must not see."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.mechanisms.interconnect.coordination import Floats, Mask, exchange_indicator, matches


def slow_matches(sent: Floats, received: Floats, observed: Mask, lags: int, bytes_min: float) -> tuple[Mask, Mask]:
    matched, asked = np.zeros(len(sent), bool), np.zeros(len(sent), bool)
    for t in range(lags, len(sent)):
        if not observed[t - lags : t + 1].all() or sent[t] < bytes_min or received[t] < bytes_min:
            continue
        asked[t] = True
        distances = [abs(np.log(max(sent[t], 1.0)) - np.log(max(received[t - k], 1.0))) for k in range(lags + 1)]
        matched[t] = distances[0] < min(distances[1:])
    return matched, asked


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6, width=32), st.floats(0, 1e6, width=32), st.booleans()), min_size=0, max_size=40
    ),
    st.integers(1, 6),
)
def test_fast_equals_slow(cells: list[tuple[float, float, bool]], lags: int) -> None:
    sent = np.array([a for a, _, _ in cells], dtype=np.float64)
    received = np.array([b for _, b, _ in cells], dtype=np.float64)
    observed = np.array([c for _, _, c in cells], dtype=np.bool_)
    fast = matches(sent, received, observed, lags=lags, bytes_min=100.0)
    slow = slow_matches(sent, received, observed, lags, 100.0)
    assert np.array_equal(fast[0], slow[0])
    assert np.array_equal(fast[1], slow[1])


def test_a_relayed_exchange_matches_and_independent_traffic_does_not() -> None:
    rng = np.random.default_rng(3)
    there, back = rng.lognormal(11, 1, 300), rng.lognormal(11, 1, 300)
    seen = np.ones(300, dtype=np.bool_)
    relayed, asked = exchange_indicator((there, back), (back * 1.01, there * 1.01), seen, lags=16, bytes_min=1e3)
    assert asked.sum() == 284
    assert relayed.sum() > 0.8 * 284
    others = rng.lognormal(11, 1, 300), rng.lognormal(11, 1, 300)
    independent, _ = exchange_indicator((there, back), others, seen, lags=16, bytes_min=1e3)
    assert independent.sum() <= 0.03 * 284


def test_constant_traffic_does_not_match() -> None:
    flat = np.full(100, 5e4)
    matched, asked = exchange_indicator((flat, flat), (flat, flat), np.ones(100, np.bool_), lags=16, bytes_min=1e3)
    assert asked.any()
    assert not matched.any()
