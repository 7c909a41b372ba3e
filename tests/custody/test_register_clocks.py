"""Every clock of the illustrative agreement, against dates that were worked out by hand on a calendar."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.agreement import load_agreement
from inspectorate.cli import cli
from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.register.clocks import (
    STAGES,
    ClusterSize,
    Events,
    Occurrence,
    Standing,
    add_months,
    clock_rows,
    due_of,
    occurrences_of,
    stage_of,
)

AGREEMENT = load_agreement("asi-agreement")
BY_HAND = [
    # clock, started, due: months of 31, 30, 28 and 29 days are counted out
    ("consolidation", "2026-01-01T00:00:00", "2026-05-01T00:00:00"),  # 30 + 28 + 31 + 30 + 1 = 120
    ("consolidation", "2028-01-01T00:00:00", "2028-04-30T00:00:00"),  # a leap year: one day earlier
    ("consolidation", "2027-11-15T12:30:00", "2028-03-14T12:30:00"),  # 15 + 31 + 31 + 29 + 14
    ("first-register", "2026-03-01T00:00:00", "2026-06-29T00:00:00"),  # 30 + 30 + 31 + 29
    ("first-register", "2027-12-31T23:59:59", "2028-04-29T23:59:59"),  # 31 + 29 + 31 + 29
    ("register-update", "2026-06-29T00:00:00", "2026-09-27T00:00:00"),  # 1 + 31 + 31 + 27 = 90
    ("register-update", "2027-12-01T00:00:00", "2028-02-29T00:00:00"),  # 30 + 31 + 29
    ("register-update", "2026-12-01T00:00:00", "2027-03-01T00:00:00"),  # 30 + 31 + 28 + 1
    ("transfer-notice", "2026-02-20T08:00:00", "2026-03-06T08:00:00"),  # 8 + 6
    ("transfer-notice", "2028-02-20T08:00:00", "2028-03-05T08:00:00"),  # 9 + 5
    ("airport-access", "2026-10-25T00:30:00", "2026-10-25T12:30:00"),  # no summer time in UTC
    ("airport-access", "2026-12-31T18:00:00", "2027-01-01T06:00:00"),
    ("challenge-access", "2026-02-28T09:00:00", "2026-03-01T09:00:00"),
    ("challenge-access", "2028-02-28T09:00:00", "2028-02-29T09:00:00"),
    ("withdrawal", "2026-06-01T00:00:00", "2027-06-01T00:00:00"),
    ("withdrawal", "2027-06-01T00:00:00", "2028-06-01T00:00:00"),  # 366 days: twelve months are a year, leap or not
    ("withdrawal", "2028-02-29T10:00:00", "2029-02-28T10:00:00"),  # there is no 29th
    ("round-up-1", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
    ("round-up-2", "2026-01-01T00:00:00", "2026-01-11T00:00:00"),
    ("round-up-2", "2028-02-25T00:00:00", "2028-03-06T00:00:00"),
    ("round-up-3", "2026-01-01T00:00:00", "2026-04-11T00:00:00"),  # 30 + 28 + 31 + 11
    ("round-up-3", "2028-01-01T00:00:00", "2028-04-10T00:00:00"),
    ("round-up-4", "2026-01-01T00:00:00", "2028-01-01T00:00:00"),
    ("round-up-4", "2027-03-01T00:00:00", "2029-03-01T00:00:00"),  # 731 days
]


def time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("name", "started", "due"), BY_HAND)
def test_every_row_is_as_worked_out_by_hand(name: str, started: str, due: str) -> None:
    happened = [Occurrence(clock=name, started_at=time(started))]
    at = time(due)
    (row,) = (one for one in clock_rows(AGREEMENT, happened, at) if one.clock == name)
    assert row.due == at
    assert row.left == timedelta(0)
    not_before = name in {"transfer-notice", "withdrawal"}
    assert row.standing is (Standing.ALLOWED if not_before else Standing.RUNNING)
    tick = timedelta(microseconds=1)
    (after,) = (one for one in clock_rows(AGREEMENT, happened, at + tick) if one.clock == name)
    assert after.standing is (Standing.ALLOWED if not_before else Standing.OVERDUE)
    (before,) = (one for one in clock_rows(AGREEMENT, happened, at - tick) if one.clock == name)
    assert before.standing is (Standing.WAITING if not_before else Standing.RUNNING)
    for done, fine in ((at - tick, not not_before), (at, True), (at + tick, not_before)):
        ended = [happened[0].model_copy(update={"done_at": done})]
        (row,) = (one for one in clock_rows(AGREEMENT, ended, at + timedelta(days=1)) if one.clock == name)
        assert (row.standing is Standing.DONE) == fine
        assert row.left is None


def test_every_clock_of_the_agreement_was_worked_out() -> None:
    assert {name for name, _, _ in BY_HAND} == {clock.id for clock in AGREEMENT.clocks}


def test_what_is_done_later_is_not_done_yet() -> None:
    one = Occurrence(clock="consolidation", started_at=time("2026-01-01"), done_at=time("2026-04-01"))
    (row,) = (row for row in clock_rows(AGREEMENT, [one], time("2026-03-01")) if row.clock == "consolidation")
    assert (row.standing, row.done, row.days_left) == (Standing.RUNNING, None, 61.0)


def test_a_clock_that_nobody_started_and_an_event_without_a_clock_are_shown() -> None:
    rows = clock_rows(AGREEMENT, [Occurrence(clock="no-such", started_at=time("2026-01-01"))], time("2026-02-01"))
    standing = {row.clock: row.standing for row in rows}
    assert standing.pop("no-such") is Standing.NO_CLOCK
    assert set(standing.values()) == {Standing.NOT_STARTED}
    early = Occurrence(clock="consolidation", started_at=time("2025-11-16"))
    rows = clock_rows(AGREEMENT, [early], time("2026-02-01"))
    assert next(row for row in rows if row.clock == "consolidation").standing is Standing.NO_CLOCK


@pytest.mark.parametrize(
    ("size", "clock"),
    [(16.0, None), (16.001, "round-up-4"), (100.0, "round-up-4"), (100.5, "round-up-3"), (1_000.0, "round-up-3"),
     (1_000.5, "round-up-2"), (10_000.0, "round-up-2"), (10_000.5, "round-up-1"), (1e6, "round-up-1"), (0.0, None)],
)  # fmt: skip
def test_stages_go_by_size_and_limits_are_strict(size: float, clock: str | None) -> None:
    assert stage_of(size) == clock


def test_clusters_are_rounded_up_in_their_stage() -> None:
    sizes = [("a", 20_000.0), ("b", 5_000.0), ("c", 500.0), ("d", 50.0), ("e", 16.0)]
    events = Events(
        entry_into_force=time("2026-01-01"),
        clusters=tuple(ClusterSize(id=name, h100_equivalents=size, consolidated_at=time("2026-01-03")) for name, size in sizes),
    )  # fmt: skip
    rows = clock_rows(AGREEMENT, occurrences_of(AGREEMENT, events), time("2026-01-05"))
    stages = {row.about.split(",")[0]: (row.clock, row.standing) for row in rows if row.clock.startswith("round-up")}
    assert stages == {
        "a": ("round-up-1", Standing.DONE_LATE), "b": ("round-up-2", Standing.DONE), "c": ("round-up-3", Standing.DONE),
        "d": ("round-up-4", Standing.DONE),
    }  # fmt: skip
    assert {clock for clock, _ in STAGES} <= {clock.id for clock in AGREEMENT.clocks}


@settings(max_examples=25)
@given(st.integers(0, 80_000 * 86_400), st.integers(1, 120))
def test_months_later_is_the_same_day_or_the_last_one(seconds: int, months: int) -> None:
    """Oracle: month by month, from the first of each, as one turns the leaves of a calendar."""
    start = time("1970-01-01") + timedelta(seconds=seconds)
    first = start.replace(day=1)
    for _ in range(months):
        first = (first + timedelta(days=31)).replace(day=1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    expected = first + timedelta(days=min(start.day, last.day) - 1)
    assert add_months(start, months) == expected


def test_a_date_beyond_the_calendar_is_named() -> None:
    with pytest.raises(OverflowError):
        add_months(datetime(9999, 6, 1, tzinfo=UTC), 12)
    withdrawal = next(one for one in AGREEMENT.clocks if one.id == "withdrawal")
    assert due_of(withdrawal, time("2199-12-31")) == time("2200-12-31")
    with pytest.raises(InputError, match="beyond the calendar"):
        due_of(withdrawal.model_copy(update={"within_s": 1e300, "calendar_months": None}), time("2026-01-01"))


def test_the_command_prints_the_table(tmp_path: Path) -> None:
    events = tmp_path / "events.yaml"
    events.write_text(
        "entry_into_force: 2026-01-01T00:00:00Z\n"
        "occurrences:\n  - {clock: withdrawal, started_at: 2026-02-01T00:00:00Z, about: party-b}\n"
        "  - {clock: first-register, started_at: 2026-01-01T00:00:00Z, done_at: 2026-04-30T00:00:00Z}\n"
    )
    ran = CliRunner().invoke(cli, ["register", "clocks", "--events", str(events), "--as-of", "2026-05-01", "--json"])
    rows = {row["clock"]: row for row in json.loads(ran.output)["clocks"]}
    assert ran.exit_code == 20
    assert rows["consolidation"]["days_left"] == 0
    assert rows["round-up-3"]["standing"] == "overdue"
    assert rows["first-register"]["standing"] == "done"
    assert (rows["withdrawal"]["standing"], rows["withdrawal"]["days_left"]) == ("not yet", 276.0)
    text = CliRunner().invoke(cli, ["register", "clocks", "--entry", "2026-01-01", "--as-of", "2026-01-01T12:00:00Z"])
    assert text.exit_code == 10
    assert "round-up-1" in text.output
    assert "2026-05-01 00:00:00" in text.output
    twice = CliRunner().invoke(cli, ["register", "clocks", "--events", str(events), "--entry", "2026-01-01"])
    assert twice.exit_code != 0
