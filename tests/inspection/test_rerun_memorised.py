"""The second look at training data: valid where nothing was trained on, and seeing what was."""

from __future__ import annotations

import numpy as np
import pytest

from inspectorate.mechanisms.inspection.rerun.memorised import Gains, gains_of, too_little, trained_on


def gains(rng: np.random.Generator, effect: float) -> Gains:
    return Gains(claimed=tuple(rng.normal(effect, 1, 16).tolist()), held=tuple(rng.normal(0, 1, 32).tolist()))


def test_claimed_items_that_were_not_trained_on_are_seldom_taken_for_trained_on() -> None:
    rng = np.random.default_rng(1)
    p_values = [trained_on(gains(rng, 0), rng, resamples=99) for _ in range(200)]
    assert 0.01 < np.mean(np.asarray(p_values) <= 0.05) < 0.1
    assert np.median([trained_on(gains(rng, 1.5), rng, resamples=99) for _ in range(20)]) <= 0.01


def test_an_effect_that_is_too_small_is_seen_and_an_honest_one_is_not() -> None:
    rng = np.random.default_rng(2)
    honest = [gains(rng, 1.5).effect for _ in range(100)]
    alarms = [too_little(gains(rng, 1.5), honest)[0] <= 0.05 for _ in range(300)]
    caught = [too_little(gains(rng, 0), honest)[0] <= 0.05 for _ in range(50)]
    assert np.mean(alarms) < 0.1
    assert np.mean(caught) > 0.9
    p, log_e = too_little(gains(rng, 0), honest)
    assert p >= 1 / 101
    assert log_e > 0


def test_too_few_or_missing_items_are_refused() -> None:
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="claimed"):
        trained_on(Gains(claimed=(1.0,), held=(1.0,) * 8), rng)
    with pytest.raises(ValueError, match="held-back"):
        _ = Gains(claimed=(1.0,) * 8, held=()).effect
    with pytest.raises(ValueError, match="claimed"):
        trained_on(Gains(claimed=(float("nan"),) * 8, held=(1.0,) * 8), rng)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        gains_of([1.0, 2.0], [1.0], 1)
    found = gains_of([3.0, 2.0, 5.0], [1.0, 1.5, 5.0], 2)
    assert found.claimed == (2.0, 0.5)
    assert found.held == (0.0,)
