"""Rendered photographs of one seal: the same, another, and what was done to it; and what is too poor to say anything of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seals_cases import NEW, SECOND, SMALL, clear, found, reference, taken, told

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.seals.aligning import align, default_outline, features_of, moved
from inspectorate.mechanisms.custody.seals.calibration import Alarm, shipped
from inspectorate.mechanisms.custody.seals.challenge import challenged
from inspectorate.mechanisms.custody.seals.comparing import Compared, Unclear, Unfit, compare, reference_of, unfit_place
from inspectorate.mechanisms.custody.seals.photo import decode
from inspectorate.mechanisms.custody.seals.reference import CHALLENGE_ANGLE_MIN
from inspectorate.mechanisms.custody.seals.report import Points, report
from inspectorate.mechanisms.custody.seals.structure import found_again
from inspectorate.worlds.seal_photos import Shot, view_of


def test_the_same_seal_and_another_one_stand_far_apart() -> None:
    same, other = clear("same"), clear("another seal")
    calibration = shipped()
    assert same.measures.alike > 0.7 > 0.35 > other.measures.alike
    assert same.measures.flakes > 0.5 > 0.25 > other.measures.flakes
    assert same.measures.log10_chance < -40 < other.measures.log10_chance
    assert calibration.number(same.measures) > 1
    assert calibration.number(other.measures) < -1
    assert calibration.alarms(same.measures) == ()


@pytest.mark.parametrize(
    ("attack", "alarm"),
    [
        ("part replaced", Alarm.WEAKEST),
        ("cut through", Alarm.TORN),
        ("on another door", Alarm.AROUND),
        ("lifted and put back", Alarm.MOVED),
        ("screen", Alarm.MOIRE),
    ],
)
def test_each_attack_raises_its_alarm(attack: str, alarm: Alarm) -> None:
    assert alarm in shipped().alarms(clear(attack).measures)


def test_a_flat_copy_passes_one_photograph_and_fails_the_challenge() -> None:
    """The reason why a second photograph is asked for."""
    copy = clear("printed photograph")
    assert shipped().number(copy.measures) > 1
    real, flat = (challenged(clear(name), clear(name, SECOND)) for name in ("same", "printed photograph"))
    assert min(real.angle, flat.angle) > 0.17
    assert real.changed > shipped().thresholds[Alarm.FLAT] > flat.changed


def test_flakes_lie_where_the_camera_model_puts_them() -> None:
    """Lining up against the geometry of the renderer, which shares nothing with it."""
    photo = decode(taken("same"), where="x")
    lined_up = align(reference().features, reference().outline, features_of(photo))
    assert lined_up is not None
    assert lined_up.seal is not None
    grid = np.array([(x, y, 0.3) for x in (-12, 0, 12) for y in (-12, 0, 12)], float)
    first = view_of(Shot(camera=SMALL, tilt=0.08, fill=0.55))
    there = moved(first.project(grid), lined_up.seal)
    assert np.abs(there - view_of(NEW).project(grid)).max() < 3.0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"lamp": 0.02, "ambient": 0.03}, Unfit.DARK),
        ({"defocus_px": 7.0}, Unfit.BLURRED),
    ],
)
def test_a_poor_photograph_is_unclear_and_the_person_is_told_what_to_do(change: dict[str, float], why: Unfit) -> None:
    poor = found("same", replace(NEW, **change))
    assert isinstance(poor, Unclear)
    assert poor.why in {why, Unfit.NOT_ALIGNED}
    assert poor.why.remedy
    assert poor.detail


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (np.diag([0.3, 0.3, 1.0]), Unfit.SMALL),
        (np.diag([1.2, 0.5, 1.0]), Unfit.OBLIQUE),
        (np.diag([1.0, -1.0, 1.0]), Unfit.NOT_ALIGNED),
        (np.array([(1.0, 0, 0), (0, 1.0, 0), (-0.0025, 0, 1.0)]), Unfit.NOT_ALIGNED),
        (np.eye(3), None),
    ],
    ids=["far away", "aslant", "mirrored", "folded", "as it was"],
)
def test_where_a_seal_cannot_lie_it_is_not_compared(change: np.ndarray, why: Unfit | None) -> None:
    found_unfit = unfit_place(default_outline((800, 600)), change)
    assert (None if found_unfit is None else found_unfit.why) is why


def test_a_black_picture_and_another_place_are_unclear_and_never_a_number() -> None:
    one = decode(taken("same"), where="x")
    noise = np.random.default_rng(1).integers(0, 255, one.colour.shape, np.uint8)
    elsewhere = compare(reference(), replace(one, colour=noise, grey=noise[..., 0]))
    assert isinstance(elsewhere, Unclear)
    assert elsewhere.why is Unfit.NOT_ALIGNED
    black = replace(one, grey=np.zeros_like(one.grey), colour=np.zeros_like(one.colour), digest="sha256:" + "0" * 64)
    told_of = report(reference(), [black], shipped(), mirrors=False)
    assert (told_of.number, told_of.points, told_of.points.exit_code) == (None, Points.UNCLEAR, 10)


def test_the_same_photograph_gives_the_same_number_to_the_last_bit() -> None:
    again = compare(reference(), decode(taken("same"), where="x"))
    assert isinstance(again, Compared)
    assert again.measures == clear("same").measures


def test_one_photograph_of_another_seal_is_named_though_the_mean_speaks_for_the_same() -> None:
    first, second = told().photos
    photos = (first, replace(second, where="the other"))
    one = replace(told(), photos=photos, found=(clear("same"), clear("another seal")), number=0.1, alarms=())
    assert one.apart == ("the other",)
    assert one.points is Points.LOOK
    assert replace(one, photos=photos[:1], found=one.found[:1]).points is Points.SAME


def test_numbers_of_several_photographs_are_averaged_and_alarms_add_up() -> None:
    each = [shipped().number(one.measures) for one in told().clear]
    assert told().number == pytest.approx(np.mean(each))
    assert Alarm.WEAKEST in told().alarms
    assert told().points is Points.LOOK
    assert told().challenge is not None
    assert told().challenge.angle < CHALLENGE_ANGLE_MIN, "both are from one place: nothing is said of a flat copy"
    assert Alarm.FLAT not in told().alarms


def test_a_reference_is_no_new_photograph_and_two_doors_are_no_reference() -> None:
    first = reference().photos[0]
    with pytest.raises(InputError, match="same file"):
        report(reference(), [first], shipped(), mirrors=False)
    noise = np.random.default_rng(2).integers(0, 255, first.colour.shape, np.uint8)
    with pytest.raises(InputError, match="does not line up"):
        reference_of([first, replace(first, colour=noise, where="noise")])


def test_the_default_outline_is_the_middle() -> None:
    outline = default_outline((800, 600))
    assert outline.mean(axis=0).tolist() == [400, 300]
    assert np.ptp(outline, axis=0).tolist() == [330, 330]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
def test_flakes_that_are_found_again_are_those_that_a_slow_search_finds(seed: int, many: int, others: int) -> None:
    rng = np.random.default_rng(seed)
    mine, theirs = rng.uniform(0, 256, (many, 2)), rng.uniform(0, 256, (others, 2))
    hits, chance = found_again(mine, theirs, 9.0)
    assert hits.tolist() == [any(np.hypot(*(a - b)) <= 9.0 for b in theirs) for a in mine]
    assert 0 < chance < 1
