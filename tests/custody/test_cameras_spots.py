"""Repetitions among lamps of devices: the search against a slow one, sampling out of step, and what chance does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from cameras_cases import ALL_SEEN, random_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.custody.cameras.reference import MATCH_DEVIATIONS, MATCH_ONCE
from inspectorate.mechanisms.custody.cameras.spots import History


def filled(bits: list[int], history_s: float = 600, visible: int = ALL_SEEN) -> History:
    history = History(4.0, history_s)
    for one in bits:
        history.add(one, visible)
    return history


def slow_best(bits: list[int], window: int) -> float:
    """All places, bit by bit: agreement over lamps that changed twice, at moments at which they were steady."""
    last = bits[-window:]
    lamps = [b for b in range(64) if sum((x ^ y) >> b & 1 for x, y in pairwise(last)) >= 2]
    steady = [
        (n, b)
        for n in range(1, window - 1)
        for b in lamps
        if (last[n - 1] >> b & 1) == (last[n] >> b & 1) == (last[n + 1] >> b & 1)
    ]
    best = 0.0
    for place in range(len(bits) - 2 * window + 1):
        equal = sum((bits[place + n] >> b & 1) == (last[n] >> b & 1) for n, b in steady)
        best = max(best, equal / len(steady))
    return best


@settings(max_examples=4)
@given(st.integers(0, 10**6), st.integers(0, 25))
def test_the_search_finds_what_a_slow_one_finds(seed: int, copied_to: int) -> None:
    bits = random_bits(seed, 70)
    window = History(4.0, 60).window
    bits[-window:] = bits[copied_to : copied_to + window]
    noise = np.random.default_rng(seed)
    bits[-window:] = [one ^ (1 << int(noise.integers(64))) for one in bits[-window:]]
    match = filled(bits).search(MATCH_ONCE)
    assert match is not None
    assert match.agreement == slow_best(bits, window)
    # A shift by one frame agrees as well where lamps were steady.
    assert abs(match.frames_back - (len(bits) - window - copied_to)) <= 1


def test_a_repetition_sampled_at_other_moments_is_found() -> None:
    fast = random_bits(5, 3000, change=0.05)
    first = fast[0:2000:5]
    again = fast[502:902:5]
    match = filled(first + again).search(MATCH_ONCE)
    assert match is not None
    assert match.agreement > 0.95
    assert match.deviations > MATCH_DEVIATIONS
    assert abs(match.frames_back - (len(first) - 100)) <= 1


def test_fresh_lamps_match_nothing_in_a_day_of_history() -> None:
    history = filled(random_bits(8, 40_000), history_s=86_400)
    for one in random_bits(9, 60):
        history.add(one, ALL_SEEN)
    match = history.search(MATCH_ONCE)
    assert match is not None
    assert match.deviations < MATCH_DEVIATIONS


def test_solid_and_hidden_lamps_say_nothing() -> None:
    assert filled([0] * 200).search(MATCH_ONCE) is None
    bits = random_bits(3, 60)
    assert filled(bits + bits, visible=0b1111).search(MATCH_ONCE) is None
    assert filled(bits + bits).search(MATCH_ONCE) is not None


def test_the_ring_forgets_and_stays_as_large() -> None:
    bits = random_bits(4, 100)
    history = filled(bits + random_bits(6, 400) + bits[-20:], history_s=60)
    assert len(history) == 240
    match = history.search(MATCH_ONCE)
    assert match is not None
    assert match.agreement < MATCH_ONCE
