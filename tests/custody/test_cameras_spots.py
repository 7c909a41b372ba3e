"""Repetitions among lamps of devices: the search against a slow one, sampling out of step, and what chance does."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from cameras_cases import ALL_SEEN, random_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.mechanisms.custody.cameras.reference import MATCH_DEVIATIONS, MATCH_ONCE, MATCH_TWICE
from inspectorate.mechanisms.custody.cameras.spots import History, Match, Repeats


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
    window = History(4.0, 60).windows[0]
    bits[-window:] = bits[copied_to : copied_to + window]
    noise = np.random.default_rng(seed)
    bits[-window:] = [one ^ (1 << int(noise.integers(64))) for one in bits[-window:]]
    match = filled(bits).search(MATCH_ONCE)[0]
    assert match is not None
    assert match.agreement == slow_best(bits, window)
    # A shift by one frame agrees as well where lamps were steady.
    assert abs(match.frames_back - (len(bits) - window - copied_to)) <= 1


def test_a_repetition_sampled_at_other_moments_is_found() -> None:
    fast = random_bits(5, 3000, change=0.05)
    first = fast[0:2000:5]
    again = fast[502:902:5]
    match = filled(first + again).search(MATCH_ONCE)[0]
    assert match is not None
    assert match.agreement > 0.95
    assert match.deviations > MATCH_DEVIATIONS
    assert abs(match.frames_back - (len(first) - 100)) <= 1


def test_fresh_lamps_match_nothing_in_a_day_of_history() -> None:
    history = filled(random_bits(8, 40_000), history_s=86_400)
    for one in random_bits(9, 60):
        history.add(one, ALL_SEEN)
    for match in history.search(MATCH_ONCE):
        assert match is not None
        assert match.deviations < MATCH_DEVIATIONS


def test_solid_and_hidden_lamps_say_nothing() -> None:
    assert filled([0] * 200).search(MATCH_ONCE) == (None, None)
    bits = random_bits(3, 60)
    assert filled(bits + bits, visible=0b1111).search(MATCH_ONCE) == (None, None)
    assert None not in filled(bits + bits).search(MATCH_ONCE)


def test_lamps_that_were_hidden_for_a_while_are_compared_where_they_were_seen() -> None:
    bits = random_bits(3, 60)
    history = filled(bits)
    for number, one in enumerate(bits[10:40]):
        hidden = 20 <= number < 25
        history.add(ALL_SEEN & ~one if hidden else one, 0 if hidden else ALL_SEEN)
    whole, part = filled(bits + bits[10:40]).search(MATCH_ONCE)[0], history.search(MATCH_ONCE)[0]
    assert whole is not None
    assert part is not None
    assert part.agreement == 1
    assert abs(part.frames_back - 50) <= 1, "a shift by one frame agrees as well where lamps were steady"
    assert part.compared < whole.compared


def test_a_blurred_repetition_shows_in_the_longer_stretch_and_twice_at_one_distance() -> None:
    """One bit in five is turned: too much for the shorter stretch."""
    noise = np.random.default_rng(11)
    bits = random_bits(12, 600, change=0.3)
    again = [one ^ sum(1 << int(b) for b in np.flatnonzero(noise.random(64) < 0.19)) for one in bits[200:232]]
    few = (1 << 40) - 1
    history = History(4.0, 600)
    repeats = [Repeats(deviations=MATCH_DEVIATIONS) for _ in history.windows]
    said: list[list[bool]] = []
    deviations: list[float] = []
    for number, one in enumerate(bits + again):
        history.add(one & few, few)
        if number >= len(bits) - 20 and number % 2 == 0:
            matches = history.search(MATCH_TWICE)
            said.append([one.judge(match, number / 4) for one, match in zip(repeats, matches, strict=True)])
            deviations = [match.deviations if match else 0.0 for match in matches]
    assert not any(any(one) for one in said[:10]), "nothing before the repetition"
    assert deviations[1] > deviations[0]
    assert any(long for _, long in said)


def test_one_middling_match_is_no_repetition_and_two_at_other_distances_are_none() -> None:
    def match(frames_back: int, agreement: float = 0.8, deviations: float = 6.0) -> Match:
        return Match(agreement=agreement, frames_back=frames_back, frames=13, compared=300, deviations=deviations)

    assert not Repeats(deviations=5.5).judge(match(100), 0.0)
    assert Repeats(deviations=5.5).judge(match(100, 0.9), 0.0)
    assert Repeats(deviations=5.5).judge(match(100, deviations=7.1), 0.0)
    assert not Repeats(deviations=5.5).judge(match(100, 0.7, deviations=7.1), 0.0)
    for second, at_s, is_one in ((101, 1.0, True), (110, 1.0, False), (100, 0.5, False), (100, 3.0, False)):
        repeats = Repeats(deviations=5.5)
        repeats.judge(match(100), 0.0)
        assert repeats.judge(match(second), at_s) is is_one
    assert not Repeats(deviations=7.0).judge(match(100, 0.9), 0.0)


def test_the_ring_forgets_and_stays_as_large() -> None:
    bits = random_bits(4, 100)
    history = filled(bits + random_bits(6, 400) + bits[-20:], history_s=60)
    assert len(history) == 240
    match = history.search(MATCH_ONCE)[0]
    assert match is not None
    assert match.agreement < MATCH_ONCE
