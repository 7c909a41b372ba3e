"""The verifier's lamp: what is answered, what is guessed, forged or late, and what is not fair."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from cameras_cases import START, Site, enrolled, random_bits, written

from inspectorate.drawing.sources import Promise
from inspectorate.mechanisms.custody.cameras.challenge import (
    SAMPLES,
    Answer,
    LampPlan,
    Patterns,
    answer,
    latency_of,
    samples_of,
    window_of,
)
from inspectorate.mechanisms.custody.cameras.judge import Brought, WatchFault, judge_cameras
from inspectorate.worlds.rack_room import TRAINING, build_room
from inspectorate.worlds.rack_tampers import Film
from inspectorate.worlds.rack_trials import regions_of, through
from inspectorate.worlds.rack_video import Scene

PLAN = LampPlan(
    begins_at=START + timedelta(seconds=5), ends_at=START + timedelta(seconds=100), every_s=15, slots=20, slot_s=0.37,
    tolerance_s=0.05,
)  # fmt: skip
PROMISE = Promise[LampPlan](secret="5e" * 32, selection=PLAN)
KNOWN = enrolled().model_copy(update={"lamp_latency_s": 0.1})
PATTERNS = Patterns(PROMISE, KNOWN.digest)


def samples(pattern: np.ndarray, at: np.ndarray, delay_s: float, lit: float = 0.2) -> np.ndarray:
    slot = np.floor((at - delay_s) / PLAN.slot_s).astype(int)
    on = np.where((slot >= 0) & (slot < PLAN.slots), pattern[np.clip(slot, 0, PLAN.slots - 1)], False).astype(float)
    noise = np.random.default_rng(1).normal(0, 0.01, (len(at), SAMPLES))
    return noise + np.stack([40 + 160 * on] + [lit * on] * (SAMPLES - 1), axis=1)


TIMES = np.arange(*window_of(PLAN), 0.25)


def answers_to(delay_s: float, patterns: int) -> list[Answer]:
    """Of a picture that follows after so long, to as many patterns, sampled at one moment or another."""
    found = []
    for number in range(patterns):
        pattern, at = PATTERNS.of(number), TIMES + (number % 5) * 0.05
        found.append(answer(pattern, PLAN, number, list(at), samples(pattern, at, delay_s), 0.1))
    return found


def test_an_honest_picture_answers_every_pattern_and_its_delay_is_measured_between_frames() -> None:
    """Some patterns leave the delay open by more than the tolerance: an honest picture is not blamed for them."""
    found = answers_to(0.1, 1000)
    assert [one for one in found if not one.answered] == []
    assert np.std([one.latency_s for one in found]) < 0.015
    assert np.median([one.latency_s for one in found]) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize(("delay_s", "passing"), [(0.2, 0.03), (0.3, 0.005)])
def test_hardly_a_pattern_lets_a_later_picture_pass(delay_s: float, passing: float) -> None:
    assert sum(one.answered for one in answers_to(delay_s, 1000)) <= passing * 1000


@pytest.mark.parametrize(
    ("delay_s", "lit", "why"),
    [(0.3, 0.2, "follows after"), (0.1, 0.0, "what it lights does not"), (2.8, 0.2, "follows after")],
)
def test_a_late_or_half_forged_picture_does_not(delay_s: float, lit: float, why: str) -> None:
    pattern = PATTERNS.of(0)
    found = answer(pattern, PLAN, 0, list(TIMES), samples(pattern, TIMES, delay_s, lit), 0.1)
    assert not found.answered
    assert why in found.why


def test_other_patterns_do_not_pass_for_this_one() -> None:
    others = [Patterns(Promise[LampPlan](secret=f"{n:064x}", selection=PLAN), KNOWN.digest).of(0) for n in range(100)]
    mine = PATTERNS.of(0)
    passed = sum(answer(mine, PLAN, 0, list(TIMES), samples(one, TIMES, 0.1), 0.1).answered for one in others)
    assert passed == 0
    assert not answer(mine, PLAN, 0, list(TIMES), samples(mine & False, TIMES, 0.1), 0.1).answered
    assert not answer(mine, PLAN, 0, [], np.zeros((0, SAMPLES)), 0.1).answered


def test_patterns_are_never_all_on_or_all_off_and_depend_on_the_enrolment() -> None:
    small = PLAN.model_copy(update={"slots": 8})
    patterns = Patterns(Promise[LampPlan](secret="00" * 32, selection=small), KNOWN.digest)
    drawn = [patterns.of(n) for n in range(300)]
    assert all(0 < int(one.sum()) < 8 for one in drawn)
    assert 3.5 < np.mean([one.sum() for one in drawn]) < 4.5
    other = Patterns(PROMISE, "sha256:" + "1" * 64)
    assert any((other.of(n) != PATTERNS.of(n)).any() for n in range(3))
    with pytest.raises(ValueError, match="does not fit"):
        LampPlan(
            begins_at=START, ends_at=START + timedelta(hours=1), every_s=5, slots=20, slot_s=0.37, tolerance_s=0.05
        )


def test_a_rendered_lamp_is_read_from_the_picture() -> None:
    room = build_room(replace(TRAINING, people_per_hour=0.1), 1)
    film = Film(
        scene=Scene(room=room, seed=5, start_hour=10.0), rate=4.0,
        lamp=lambda t: float(PATTERNS.lit(START + timedelta(seconds=t - 0.1))),
    )  # fmt: skip
    frames = list(through(film.frames(18)))
    at = np.array([one.time_s for one in frames]) - 5
    rows = np.array([samples_of(one.grey, regions_of(room)) for one in frames])
    mine = (at >= window_of(PLAN)[0]) & (at < window_of(PLAN)[1])
    found = answer(PATTERNS.of(0), PLAN, 0, list(at[mine]), rows[mine], 0.1)
    assert found.answered, found
    assert latency_of([found] * 3) == pytest.approx(0.1, abs=0.05)
    assert latency_of([found]) is None


# --- judged from segments ----------------------------------------------------------------------------------------------


def judged(site: Site, promise: object) -> object:
    brought = Brought(payload=site.payload, enrolments={KNOWN.digest: KNOWN}, promises=(promise,))  # type: ignore[arg-type]
    return judge_cameras(site.segments, brought)[0]


def lamp_site(*, reveal: bool = True, promised: float = -60, delay_s: float = 0.1) -> tuple[Site, object]:
    site = Site()
    promise = site.promise(PROMISE, START + timedelta(seconds=promised), reveal=reveal)
    for number in range(2):
        start = START + timedelta(seconds=60 * number)
        one = written(start, random_bits(number, 240), patterns=PATTERNS, delay_s=delay_s)
        one = replace(one, head=one.head.model_copy(update={"enrolment": KNOWN.digest}))
        site.segment(one, promise=promise.digest, final=number == 1)
    return site, promise


def test_a_revealed_promise_is_held_against_the_segments() -> None:
    found = judged(*lamp_site())
    assert found.faults == ()
    answers = [one for segment in found.segments for one in segment.answers]
    assert len(answers) == PLAN.count == 6
    assert all(one.answered for one in answers)


def test_without_the_secret_nothing_is_shown_and_nothing_is_wrong() -> None:
    found = judged(*lamp_site(reveal=False))
    assert found.faults == ()
    assert all(one.answers == () for one in found.segments)


def test_a_promise_after_its_plan_began_is_refused() -> None:
    found = judged(*lamp_site(promised=30))
    assert {one.fault for one in found.faults} == {WatchFault.PROMISE}


def test_late_answers_are_named_with_their_time() -> None:
    found = judged(*lamp_site(delay_s=0.4))
    late = [one for one in found.faults if one.fault is WatchFault.UNANSWERED]
    assert len(late) == 6
    assert re.search(r"follows after 0\.(3|4)\d s, not after 0\.10 s", late[0].detail)
    assert late[0].period is not None
