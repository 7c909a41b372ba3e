"""The rhythm that people are shown: period, coherence and delay of a pair whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from inspectorate.mechanisms.interconnect.synchrony.process import Traffic
from inspectorate.mechanisms.interconnect.synchrony.shape import rhythms

PODS, COUNT, INTERVAL_S = 6, 1200, 2.0


def noise(seed: int) -> Traffic:
    random = np.random.default_rng(seed)
    sent, received = (random.lognormal(10, 0.5, (PODS, COUNT)) for _ in range(2))
    return Traffic(sent=sent, received=received, observed=np.ones(sent.shape, dtype=np.bool_), interval_s=INTERVAL_S)


@pytest.mark.parametrize("delay", [0, 3, -2])
def test_a_known_rhythm_is_read_off(delay: int) -> None:
    seen = noise(1)
    at = np.arange(20, COUNT - 20)
    sent = seen.sent.copy()
    sent[0, at] += np.where(at % 16 < 4, 3e5, 0)
    sent[4, at + delay] += np.where(at % 16 < 4, 3e5, 0)
    made = Traffic(sent=sent, received=seen.received, observed=seen.observed, interval_s=INTERVAL_S)
    (found, other) = rhythms(made, [(0, 4), (1, 2)])
    assert found is not None
    assert other is not None
    assert found.period_s == pytest.approx(32, abs=0.6)
    assert found.coherence > 0.8 > 0.3 > other.coherence
    assert found.coherence_by_chance == pytest.approx(1 / 36, abs=0.01)
    assert found.lag_s % 32 == pytest.approx(delay * INTERVAL_S % 32, abs=INTERVAL_S)


def test_nothing_is_shown_of_little() -> None:
    seen = noise(2)
    short = Traffic(
        sent=seen.sent[:, :100], received=seen.received[:, :100], observed=seen.observed[:, :100], interval_s=INTERVAL_S
    )
    assert rhythms(short, [(0, 1)]) == (None,)
    dark = Traffic(sent=seen.sent, received=seen.received, observed=np.zeros_like(seen.observed), interval_s=INTERVAL_S)
    assert rhythms(dark, [(0, 1), (2, 3)]) == (None, None)
    flat = np.full((PODS, COUNT), 1e5)
    assert rhythms(Traffic(sent=flat, received=flat, observed=seen.observed, interval_s=INTERVAL_S), [(0, 1)]) == (
        None,
    )
