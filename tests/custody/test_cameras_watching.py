"""Rendered video through a real encoder: tampers are noticed, honest light is not. Rates: `python -m bench rack_cameras`."""

from __future__ import annotations

import numpy as np
import pytest
from cameras_cases import START, film, known, room

from inspectorate.errors import EvidenceError
from inspectorate.evidence import Origin
from inspectorate.mechanisms.custody.cameras.enrol import checked, enrol
from inspectorate.mechanisms.custody.cameras.enrolment import Enrolment, parse_enrolment
from inspectorate.mechanisms.custody.cameras.eye import Eye
from inspectorate.mechanisms.custody.cameras.reference import CLIP_FRAMES, HEIGHT, WIDTH
from inspectorate.mechanisms.custody.cameras.regions import RegionKind
from inspectorate.mechanisms.custody.cameras.source import Frame
from inspectorate.mechanisms.custody.cameras.watch import Watching
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.worlds.rack_tampers import EXPECTED, Tamper
from inspectorate.worlds.rack_trials import regions_of, through

FROM_S = 12.0


def events(pictures: list[tuple[float, np.ndarray]]) -> list[tuple[str, float, tuple[str, ...]]]:
    eye = Eye(known(), history_s=600)
    found = []
    for frame in through(pictures):
        found += [(one.kind.value, one.noticed_s, one.places) for one in eye.see(frame).seen.began]
    return found


@pytest.mark.parametrize("kind", ["painted", "nudged", "frozen-noisy", "replayed"])
def test_a_tamper_is_noticed_within_five_seconds_and_nothing_before(kind: str) -> None:
    tamper = Tamper(kind=kind, from_s=FROM_S, seed=3, loop_s=8.0)
    # A forger's minute of memory is no longer than this film.
    found = events(film(FROM_S + 5.5, tamper))
    assert [one for one in found if one[1] < FROM_S] == []
    first = next((at for name, at, _ in found if name in EXPECTED[kind]), None)
    assert first is not None, found
    assert first - FROM_S <= 5.0


def test_a_door_is_named_and_stays_one_event() -> None:
    found = events(film(FROM_S + 7, Tamper(kind="door", from_s=FROM_S, seed=3)))
    assert [name for name, _, _ in found] == ["door-opened"]
    rack = int(np.random.default_rng([3, 11]).integers(len(room().racks)))
    assert found[0][2] == (f"rack-{rack + 1}",)


def test_a_thing_that_reaches_beyond_door_and_cabling_is_called_once_it_has_stood_for_a_minute() -> None:
    """By hand: a board that leans before door and cabling of the first rack, and never moves."""
    pictures = film(FROM_S + 75)
    box, cabling = room().racks[0], room().cabling[0]
    for t, picture in pictures:
        if t >= FROM_S:
            picture[box.top + 4 : 178, cabling.left + 4 : cabling.left + cabling.width // 2] = 60
    found = events(pictures)
    assert {(name, places) for name, _, places in found} == {
        (name, ("rack-1",)) for name in ("cabling-changed", "door-opened")
    }
    assert all(60 <= at - FROM_S <= 66 for _, at, _ in found)


def test_a_strip_shows_the_door_before_and_after_it_was_opened() -> None:
    watching = Watching(known(), START, segment_s=600)
    for frame in through(film(FROM_S + 7, Tamper(kind="door", from_s=FROM_S, seed=3))):
        watching.take(frame)
    ended = watching.end()
    assert ended is not None
    (line,) = ended.written.events
    strip = opencv().imdecode(np.frombuffer(ended.clips[str(line.clip)], np.uint8), opencv().IMREAD_GRAYSCALE)
    assert strip.shape == (HEIGHT, CLIP_FRAMES * WIDTH)
    rack = int(np.random.default_rng([3, 11]).integers(len(room().racks)))
    region = next(
        one for one in regions_of(room()).regions if (one.place, one.kind) == (f"rack-{rack + 1}", RegionKind.DOOR)
    )
    doors = [strip[:, n * WIDTH : (n + 1) * WIDTH][region.pixels()].astype(float) for n in range(CLIP_FRAMES)]
    apart = [float(np.abs(one - doors[-1]).mean()) for one in doors]
    assert min(apart[:3]) > 1.3 * max(apart[4:]), "the first frames are of a closed door, the last ones of an open one"


def test_lamps_switched_off_are_no_event() -> None:
    day, night = film(12, hour=10.0), film(12, seed=8, hour=22.0)
    assert events(day + [(12 + t, picture) for t, picture in night]) == []


def test_a_person_before_a_rack_makes_it_unseen_and_is_no_event() -> None:
    """By hand: a grey body that sways, before the first rack, for eight seconds."""
    pictures = film(20)
    box = room().racks[0]
    for n, (t, picture) in enumerate(pictures):
        if 6 <= t < 14:
            sway = round(2.5 * np.sin(n * 1.1))
            left = box.left + 4 + sway
            picture[box.top - 4 : 176, left : left + box.width - 8] = 60
    eye = Eye(known(), history_s=600)
    seen = [eye.see(frame).seen for frame in through(pictures)]
    assert [one for part in seen for one in part.began] == []
    unseen = {place for part in seen for place in part.unseen}
    assert unseen == {"rack-1"}
    assert 20 <= sum(bool(part.unseen) for part in seen) <= 36


def test_an_enrolment_has_one_byte_form_and_refuses_others() -> None:
    data = known().enrolment.canonical_bytes()
    assert parse_enrolment(data, where="x").digest == known().enrolment.digest
    assert len(known().references) >= 2
    assert len(known().points) >= 20
    value = known().enrolment.model_dump(mode="json")
    value["states"][0]["picture"] = value["states"][0]["picture"][:40]
    with pytest.raises(ValueError, match="picture"):
        Enrolment.model_validate(value)


def test_a_short_film_cannot_be_enrolled_on() -> None:
    frames = [Frame(time_s=n / 4, grey=np.zeros((180, 320), np.uint8)) for n in range(40)]
    with pytest.raises(EvidenceError, match="takes 60 s at least"):
        enrol(frames, regions_of(room()), rate=4.0, origin=Origin.SIMULATED)
    with pytest.raises(EvidenceError, match="lasts 0 s"):
        enrol([], regions_of(room()), rate=4.0, origin=Origin.SIMULATED)


def test_the_rate_of_false_alarms_that_is_claimed_follows_the_rule_of_three() -> None:
    assert checked(86_400, 0).alarms_per_day_max == pytest.approx(3.0, abs=0.01)
    assert checked(86_400, 2).alarms_per_day_max == pytest.approx(6.3, abs=0.05)
    assert checked(0, 0).alarms_per_day_max is None
