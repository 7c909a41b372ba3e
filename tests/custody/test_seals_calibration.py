"""Numbers and error rates: against slow definitions, and against what must be refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals import metrics
from inspectorate.mechanisms.custody.seals.calibration import Alarm, Calibration, parse_calibration, shipped, threshold
from inspectorate.mechanisms.custody.seals.comparing import Measures
from inspectorate.mechanisms.custody.seals.evaluate import ALARM_RATE, Origin, Pair, calibrate, found_by, rates_of

SCORES = st.lists(st.tuples(st.integers(-8, 8), st.booleans()), min_size=4, max_size=40).filter(
    lambda rows: 0 < sum(same for _, same in rows) < len(rows)
)


def arrays(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([score for score, _ in rows], float), np.array([same for _, same in rows])


@settings(max_examples=80, deadline=None)
@given(SCORES)
def test_roc_and_misses_are_what_counting_gives(rows: list[tuple[int, bool]]) -> None:
    scores, same = arrays(rows)
    missed, taken = metrics.roc(scores, same)
    for edge, share_missed, share_taken in zip([*np.unique(scores), np.inf], missed, taken, strict=True):
        assert share_missed == pytest.approx((scores[same] < edge).mean())
        assert share_taken == pytest.approx((scores[~same] >= edge).mean())
    for most in (0.0, 0.2, 1.0):
        best = min(m for m, t in zip(missed, taken, strict=True) if t <= most)
        assert metrics.missed_at(scores, same, most) == best
    error = metrics.equal_error_rate(scores, same)
    assert min(np.maximum(missed, taken)) >= error - 1e-12 >= -1e-12


def test_equal_error_rate_of_known_cases() -> None:
    same = np.array([False] * 4 + [True] * 4)
    assert metrics.equal_error_rate(np.arange(8.0), same) == 0
    assert metrics.equal_error_rate(-np.arange(8.0), same) == 1
    assert metrics.equal_error_rate(np.zeros(8), same) == pytest.approx(0.5)
    assert metrics.equal_error_rate(np.array([0, 1, 2, 5, 4, 6, 7, 8.0]), same) == pytest.approx(0.25)


@settings(max_examples=50, deadline=None)
@given(SCORES)
def test_no_monotone_recalibration_costs_less_than_the_least(rows: list[tuple[int, bool]]) -> None:
    scores, same = arrays(rows)
    least = metrics.cllr_least(scores, same)
    for stretch, shift in ((0.1, 0), (1, 0), (1, 2), (3, -1), (0, 0)):
        assert metrics.cllr(scores * stretch + shift, same) >= least - 1e-9
    assert metrics.cllr(np.zeros(len(scores)), same) == pytest.approx(1)


def test_intervals_come_from_groups_and_are_wider_than_from_pairs() -> None:
    """Thirty pairs of each of ten seals, one seal of which is always wrong."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(10), 30)
    same = np.tile([True, False], 150)
    scores = np.where(same, 1.0, -1.0) + rng.normal(0, 0.1, 300)
    scores[groups == 3] *= -1
    by_seal = metrics.by_group(metrics.equal_error_rate, scores, same, [str(one) for one in groups])
    by_pair = metrics.by_group(metrics.equal_error_rate, scores, same, [str(one) for one in range(300)])
    assert by_seal[0] <= 0.1 <= by_seal[1]
    assert by_seal[1] - by_seal[0] > 2 * (by_pair[1] - by_pair[0])


def measures(rng: np.random.Generator, *, same: bool, **changes: float) -> Measures:
    middle = (0.8, 0.7) if same else (0.25, 0.1)
    alike, flakes = (float(np.clip(one + rng.normal(0, 0.08), -0.9, 0.98)) for one in middle)
    usual = {"weakest": 0.1, "torn": 0.3, "around": 0.85, "moved": 0.005, "moire": 1.5}
    drawn = {name: float(value * (1 + 0.1 * rng.normal())) for name, value in usual.items()}
    return Measures(alike=alike, flakes=flakes, log10_chance=-9.0, **(drawn | changes))


def pairs(seed: int = 1, *, seals: int = 24) -> list[Pair]:
    rng = np.random.default_rng(seed)
    made = []
    for seal in range(seals):
        learnt = seal < seals // 2
        for truth in ("same", "same", "other", "cut", "unclear"):
            found = (
                None
                if truth == "unclear"
                else measures(rng, same=truth != "other", **({"torn": 2.0} if truth == "cut" else {}))
            )
            made.append(
                Pair(
                    learnt=learnt, group=f"seal-{seal}", camera="a" if learnt else "b", condition="calm" if learnt else "dim",
                    truth="same" if truth == "unclear" else truth, measures=found, changed=0.5 if truth == "same" else None,
                )
            )  # fmt: skip
    return made


def made(given_pairs: list[Pair]) -> Calibration:
    return calibrate(given_pairs, Origin(rendered=True, made_by="a test"))


@cache
def usual() -> Calibration:
    return made(pairs())


def test_a_calibration_parts_same_from_other_and_says_what_it_measured() -> None:
    one = usual()
    rates = found_by(one.rates)
    rng = np.random.default_rng(9)
    numbers = [one.number(measures(rng, same=same)) for same in (True, False)]
    assert numbers[0] > 1 > -1 > numbers[1]
    assert rates["equal-error rate"].value < 0.05
    assert rates["cost of the number (Cllr, bits)"].value < 0.3
    assert rates["found, of cut: torn"].value == 1
    assert rates["found, of cut: torn"].lower < 0.8, "twelve seals without an error prove no certainty"
    assert rates["unclear, of same"].value == pytest.approx(1 / 3)
    assert one.split.cameras_apart
    assert one.split.conditions_apart
    assert "dim" in one.split.held_out


def test_no_number_goes_beyond_what_so_many_seals_support() -> None:
    one = usual()
    sure = Measures(
        alike=0.99, flakes=0.99, weakest=0, torn=0, around=None, moved=None, moire=0, log10_chance=-300
    )  # fmt: skip
    assert one.number(sure) == pytest.approx(np.log(12 + 1), abs=1e-5)
    assert all(alarm not in one.alarms(sure) for alarm in (Alarm.AROUND, Alarm.MOVED)), "not measured is no alarm"


def test_a_seal_in_both_parts_and_too_few_seals_are_refused() -> None:
    mixed = [*pairs(), Pair(learnt=True, group="seal-20", camera="a", condition="calm", truth="same", measures=None)]
    with pytest.raises(InputError, match="in both parts"):
        made(mixed)
    with pytest.raises(InputError, match="seals of the learnt part"):
        made(pairs(seals=6))
    with pytest.raises(InputError, match="held-out part"):
        made([one for one in pairs() if one.learnt])


def test_rates_are_of_the_held_out_part_alone() -> None:
    """Spoil what is held out, and the rates show it; the fit does not change."""
    good = pairs()
    spoilt = [
        one if one.learnt or one.truth not in {"same", "other"} else Pair(
            learnt=False, group=one.group, camera=one.camera, condition=one.condition,
            truth={"same": "other", "other": "same"}[one.truth], measures=one.measures,
        )
        for one in good
    ]  # fmt: skip
    before, after = usual(), made(spoilt)
    assert (before.weights, before.bias, before.thresholds) == (after.weights, after.bias, after.thresholds)
    assert found_by(after.rates)["equal-error rate"].value > 0.9


def test_a_threshold_is_passed_by_the_agreed_share_of_genuine_ones() -> None:
    values = [float(one) for one in range(1000)]
    assert sum(one > threshold(Alarm.TORN, values, ALARM_RATE) for one in values) == 10
    assert sum(one < threshold(Alarm.AROUND, values, ALARM_RATE) for one in values) == 10


def test_the_digest_names_a_calibration_and_another_method_is_refused() -> None:
    one = usual()
    again = parse_calibration(one.canonical_bytes(), where="x")
    assert (again, again.digest) == (one, one.digest)
    assert made(pairs()).digest == one.digest
    with pytest.raises(InputError, match="is for the comparison"):
        parse_calibration(one.model_copy(update={"method": "another"}).canonical_bytes(), where="x")
    with pytest.raises(InputError):
        parse_calibration(one.canonical_bytes().replace(b'"bias"', b'"bios"'), where="x")


def test_the_shipped_calibration_says_that_it_is_rendered_and_by_what_command() -> None:
    one = shipped()
    assert one.photographs == "rendered"
    assert one.made_by == "python -m bench seal_photos"
    assert one.split.cameras_apart
    assert one.split.conditions_apart
    rates = found_by(one.rates)
    assert rates["equal-error rate"].value <= 0.01
    assert rates["equal-error rate"].of >= 500
    assert set(one.thresholds) == set(Alarm)


def test_rates_of_nothing_are_no_rates() -> None:
    alone = [one for one in pairs() if not one.learnt and one.truth != "cut"]
    names = {one.name for one in rates_of(usual(), alone)}
    assert not any("cut" in name for name in names)
