"""From what a frame shows to events: explanations that change places, doors and sharpness, door and cabling of one place."""

from __future__ import annotations

import numpy as np
import pytest
from cameras_cases import RATE, film, known

from inspectorate.mechanisms.custody.cameras import decide
from inspectorate.mechanisms.custody.cameras.decide import Decider
from inspectorate.mechanisms.custody.cameras.reference import CELL, COLUMNS, HEIGHT, ROWS, WIDTH
from inspectorate.mechanisms.custody.cameras.sight import Look, Reference, Sight
from inspectorate.mechanisms.custody.cameras.source import Frame, Grey
from inspectorate.mechanisms.custody.cameras.spots import SpotReading
from inspectorate.mechanisms.custody.opencv import opencv
from inspectorate.worlds.rack_trials import through

NOTHING = SpotReading(bits=0, visible=0, lively=None)
BY_TURNS = ("defocused", "moved")


def looks(seconds: float) -> list[Look]:
    sight = Sight(known().references, RATE)
    return [sight.look(frame) for frame in through(film(seconds))]


def told(monkeypatch: pytest.MonkeyPatch, holds: list[str | None]) -> list[tuple[str, float]]:
    """The events of honest frames of which, frame by frame, one whole-camera condition is said to hold."""
    decider, given = Decider(known()), iter(holds)

    def said(*_: object) -> dict[str, tuple[bool, tuple[float, float]]]:
        which = next(given)
        return {name: (name == which, (0.0, 1.0)) for name in decider._whole}

    monkeypatch.setattr(decider, "_at_the_camera", said)
    found = []
    for look in looks(len(holds) / RATE):
        found += [(one.kind.value, one.noticed_s) for one in decider.decide(look, NOTHING, ()).began]
    return found


def test_two_explanations_that_change_places_are_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each holds for half a second, so that neither would last by itself."""
    holds: list[str | None] = [None] * 8 + [BY_TURNS[n // 2 % 2] for n in range(20)]
    found = told(monkeypatch, holds)
    assert [name for name, _ in found] in (["defocused"], ["moved"])
    assert found[0][1] - 2.0 <= 3.0


def test_an_explanation_that_comes_and_goes_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, [None if n // 2 % 2 else "defocused" for n in range(40)]) == []


def test_what_moves_is_not_taken_for_the_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decide, "moving_cells", lambda _, look: np.ones((ROWS, COLUMNS), bool))
    assert told(monkeypatch, [BY_TURNS[n // 2 % 2] for n in range(24)]) == []


# --- sharpness ---------------------------------------------------------------------------------------------------------


def textured() -> Grey:
    noise = np.random.default_rng(4).uniform(0, 255, (HEIGHT, WIDTH)).astype(np.float32)
    soft = opencv().GaussianBlur(noise, (0, 0), 6) * 4 - 380
    return np.clip(0.5 * noise + 0.5 * soft, 0, 255).astype(np.uint8)


def sharp_of(picture: Grey, cells: np.ndarray | None) -> float:
    sight = Sight((Reference.of(textured()),), RATE)
    return sight.look(Frame(time_s=0.0, grey=picture)).projected.sharp(cells)


def test_a_door_that_opens_takes_nothing_from_the_sharpness_of_the_rest() -> None:
    picture, rest = textured(), np.ones((ROWS, COLUMNS), bool)
    picture[: 12 * CELL, : 20 * CELL] = opencv().GaussianBlur(picture, (0, 0), 3)[: 12 * CELL, : 20 * CELL]
    rest[:13, :21] = False
    assert sharp_of(textured(), None) == pytest.approx(1.0, abs=0.01)
    assert sharp_of(picture, None) < 0.9
    assert sharp_of(picture, rest) == pytest.approx(1.0, abs=0.01)


def test_a_lens_out_of_focus_shows_in_the_rest_as_well_and_too_little_of_it_is_not_asked_alone() -> None:
    picture, rest = opencv().GaussianBlur(textured(), (0, 0), 3), np.ones((ROWS, COLUMNS), bool)
    rest[:12, :20] = False
    assert sharp_of(picture, None) < 0.3
    assert sharp_of(picture, rest) < 0.3
    few = np.zeros((ROWS, COLUMNS), bool)
    few[:2, :2] = True
    assert sharp_of(picture, few) == sharp_of(picture, None)


# --- door and cabling of one place -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("feet", "confined"), [(0, True), (3, False)])
def test_door_and_cabling_of_one_place_count_together_and_a_person_before_them_does_not(
    feet: int, confined: bool
) -> None:
    """A change that joins both regions, and one that goes on for some rows below them."""
    decider = Decider(known())
    mine = [n for n, (region, _, _) in enumerate(known().watched) if region.place == "rack-1"]
    changed = np.zeros((ROWS, COLUMNS), bool)
    for number in mine:
        changed |= known().watched[number][1]
    rows, columns = np.nonzero(changed)
    middle = int(np.median(columns))
    changed[rows.min() : rows.max() + 1, middle - 1 : middle + 2] = True
    changed[rows.max() + 1 : rows.max() + 2 + feet, columns.min() : columns.max() + 1] = bool(feet)
    decider._steady = changed.ravel().astype(np.float32)
    struck = np.array([number in mine for number in range(len(known().watched))])
    found = decider._confined(changed, struck)
    assert [bool(found[number] > 0) for number in mine] == [confined] * len(mine)
