"""Counts that reveal no one: fixed days, noise, small counts held back, and attackers who try all the same."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import timedelta
from functools import cache
from types import MappingProxyType

import pytest
from cases_kit import NAMES, at, claim, key, known, opened

from inspectorate.canonical import digest_of
from inspectorate.errors import InputError
from inspectorate.evidence import Activity
from inspectorate.mechanisms.whistleblowing.cases import reference
from inspectorate.mechanisms.whistleblowing.cases.entries import first_entry, read_entries, sign_entry
from inspectorate.mechanisms.whistleblowing.cases.naming import case_of
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, CaseState, follow
from inspectorate.mechanisms.whistleblowing.cases.stats import (
    Release,
    noise,
    noise_chance,
    quarter_period,
    release,
    release_day,
)

QUARTER = "2026Q1"
DAY = release_day(QUARTER)


@cache
def one_case() -> CaseState:
    act = opened()
    name = case_of(act.thread)
    envelopes = [sign_entry(first_entry(name, act, by=NAMES[0], at=at(0)), key(NAMES[0]))]
    for office, what in ((NAMES[1], act), (NAMES[0], claim())):
        file = read_entries(envelopes, keys=known().keys, where="case")
        envelopes.append(sign_entry(file.next_entry(what, by=office, at=at(2)), key(office)))
    return follow(read_entries(envelopes, keys=known().keys, where="case"), known().offices)


def cases(count: int, activity: Activity = Activity.TRAINING, *, first: int = 0) -> list[CaseState]:
    """So many cases of one activity, as their entries would lead to."""
    claims = MappingProxyType({"c1": claim(activity=activity)})
    return [replace(one_case(), case=f"case-{first + n}", claims=claims) for n in range(count)]


def made(counted: list[CaseState], secret: int = 0, quarter: str = QUARTER) -> Release:
    return release(quarter, counted, secret=digest_of(str(secret).encode())[7:39].encode(), at=release_day(quarter))


def shown(found: Release, activity: Activity = Activity.TRAINING) -> int | None:
    return next(cell.count for cell in found.activities if cell.of is activity)


def test_a_quarter_is_released_on_its_day_and_not_before() -> None:
    assert quarter_period("2026Q4").end.year == 2027
    assert quarter_period(QUARTER).end + timedelta(days=45) == DAY
    with pytest.raises(InputError, match="not before"):
        release(QUARTER, [], secret=bytes(32), at=DAY - timedelta(seconds=1))
    later = release(QUARTER, cases(3), secret=bytes(32), at=DAY + timedelta(days=300))
    assert later == release(QUARTER, cases(3), secret=bytes(32), at=DAY), "the day of making it says nothing"
    with pytest.raises(InputError, match="no quarter"):
        quarter_period("2026Q5")


def test_cases_of_other_quarters_and_without_a_quorum_do_not_count() -> None:
    pending = [replace(one, standing=CaseStanding.PENDING) for one in cases(40)]
    early = [replace(one, opened_at=quarter_period(QUARTER).start - timedelta(seconds=1)) for one in cases(40)]
    assert made([*pending, *early]) == made([])


def test_all_offices_make_the_same_bytes_in_whatever_order_their_cases_lie() -> None:
    counted = [*cases(12), *cases(30, Activity.SILENCED, first=50)]
    assert made(counted).canonical_bytes() == made(counted[::-1]).canonical_bytes()
    assert made(counted) != made(counted, secret=1)


def test_a_count_is_shown_with_noise_or_held_back_and_the_total_adds_nothing() -> None:
    found = made([*cases(200), *cases(1, Activity.REWIRED, first=900)])
    count = shown(found)
    assert count is not None
    assert 160 < count < 240
    for release_of in (found, made(cases(25), 3)):
        for cells, total in (
            (release_of.activities, release_of.shown_activities),
            (release_of.steps, release_of.shown_steps),
        ):
            assert total == sum(cell.count for cell in cells if cell.count is not None)
            assert all(cell.count is None or cell.count >= reference.CELL_MIN for cell in cells)


def test_noise_is_as_its_distribution_says() -> None:
    drawn = [noise(bytes.fromhex(digest_of(str(n).encode())[7:])) for n in range(4000)]
    chances = [noise_chance(value) for value in range(-60, 61)]
    assert math.isclose(sum(chances), 1, abs_tol=1e-6)
    for value in (-3, 0, 1, 5):
        expected = 4000 * noise_chance(value)
        assert abs(drawn.count(value) - expected) < 4 * math.sqrt(expected), value


def test_no_output_is_much_likelier_with_a_case_than_without_it() -> None:
    """The bound itself, by adding up all chances: for every count, and for every cell as it may be shown or held back."""
    factor = math.exp(reference.EPSILON / 2) * (1 + 1e-9)

    def chances(count: int) -> list[float]:
        exact = [noise_chance(value - count) for value in range(reference.CELL_MIN, 80)]
        return [sum(noise_chance(value - count) for value in range(-400, reference.CELL_MIN)), *exact]

    for count in range(30):
        for one, other in zip(chances(count), chances(count + 1), strict=True):
            assert 1 / factor <= one / other <= factor


def attack(secrets: range, guess: object) -> float:
    """How often an attacker who knows all cases but one says rightly whether that one is there; a coin says so half the time."""
    right = 0
    for secret in secrets:
        there = bool(secret % 2)
        planted = cases(reference.CELL_MIN - 1)
        found = made([*planted, *(cases(1, first=500) if there else [])], secret)
        right += guess(found) is there  # type: ignore[operator]
    return right / len(secrets)


def test_an_attacker_who_fills_a_cell_with_reports_of_its_own_learns_little() -> None:
    """Suppression alone would tell it for sure: nine of its own reports, and the count shows exactly if there is a tenth."""
    bound = math.exp(reference.EPSILON / 2) / (1 + math.exp(reference.EPSILON / 2))
    rate = attack(range(600), lambda found: shown(found) is not None)
    assert rate < bound + 4 * math.sqrt(0.25 / 600)
    assert rate > 0.5, "the attack is the right one: it gains something"
    naive = sum((reference.CELL_MIN - 1 + there >= reference.CELL_MIN) is bool(there) for there in (0, 1))
    assert naive == 2, "without noise it is always right"


def test_an_attacker_who_takes_one_release_from_the_next_finds_nothing_of_the_earlier_quarter() -> None:
    """The second quarter's release is the same whatever happened in the first: nothing cumulates."""
    second = "2026Q2"
    start = quarter_period(second).start
    later = [replace(one, opened_at=start) for one in cases(25, first=100)]
    without, with_one = (made([*cases(count), *later], quarter=second) for count in (24, 25))
    assert without == with_one
    assert made(later, quarter=second) == with_one


def test_drafts_of_one_quarter_with_one_case_more_carry_other_noise() -> None:
    """Were the noise the same, the difference of two drafts would be the case."""
    differences = {
        (shown(made(cases(51), secret)) or 0) - (shown(made(cases(50), secret)) or 0) for secret in range(40)
    }
    assert len(differences) > 5


def test_the_release_names_no_case_office_or_day_of_anything() -> None:
    text = made([*cases(30)]).canonical_bytes().decode()
    assert not re.search(r"case-\d|office-|2026-03", text)


def test_the_secret_has_one_length() -> None:
    with pytest.raises(InputError, match="32 bytes"):
        release(QUARTER, [], secret=b"short", at=DAY)
