"""Exhibits as series: bounds, gaps, and reduction that never hides an excess."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.report.series import POINTS_MAX, read_series

START = datetime(2026, 11, 24, 10, tzinfo=UTC)


def exhibit(
    values: list[float | None], *, columns: tuple[str, ...] = ("time", "sent_bytes_per_s"), **fields: object
) -> Exhibit:
    rows = tuple(
        ((START + timedelta(seconds=10 * n)).isoformat(), *([value] * (len(columns) - 1)))
        for n, value in enumerate(values)
    )
    return Exhibit.model_validate(
        {
            "id": "x",
            "title": "x",
            "kind": ExhibitKind.SERIES,
            "columns": columns,
            "rows": rows,
            "limit": 50.0,
            "unit": "B/s",
            **fields,
        }
    )


def naive_pool(values: list[float | None], group: int) -> list[tuple[float | None, bool]]:
    """Highest known value of each group, and whether any is missing: the obvious way."""
    found = []
    for start in range(0, len(values), group):
        part = values[start : start + group]
        known = [value for value in part if value is not None]
        found.append((max(known) if known else None, len(known) < len(part)))
    return found


@given(
    st.lists(st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)), min_size=1, max_size=40),
    st.integers(min_value=1, max_value=60),
)
def test_pooling_equals_the_obvious_way(values: list[float | None], repeat: int) -> None:
    long = (values * (repeat * 12))[: 3 * POINTS_MAX]
    series = read_series(exhibit(long))
    assert series is not None
    assert len(series.edges_s) - 1 == len(series.unobserved) <= POINTS_MAX
    expected = naive_pool(long, series.pooled)
    for (highest, missing), drawn, hatched in zip(expected, series.channels[0].lower, series.unobserved, strict=True):
        assert hatched == missing
        assert math.isnan(drawn) if highest is None else drawn == highest


def test_one_excess_among_many_is_kept() -> None:
    values: list[float | None] = [1.0] * 5_000
    values[3_333] = 51.0
    series = read_series(exhibit(values))
    assert series is not None
    assert series.exceeds
    assert not read_series(exhibit([50.0] * 5_000)).exceeds  # type: ignore[union-attr]


def test_bounds_are_paired_and_a_missing_upper_bound_is_no_gap() -> None:
    columns = (
        "time",
        "sent_lower_bytes_per_s",
        "sent_upper_bytes_per_s",
        "received_lower_bytes_per_s",
        "received_upper_bytes_per_s",
    )
    rows = (
        ("2026-11-24T10:00:00Z", 1.0, None, 3.0, 4.0),
        ("2026-11-24T10:00:10Z", None, None, None, None),
        ("2026-11-24T10:00:20Z", 5.0, 6.0, 7.0, 8.0),
    )
    series = read_series(exhibit([], columns=columns, rows=rows))
    assert series is not None
    assert [channel.name for channel in series.channels] == ["sent", "received"]
    assert series.unobserved.tolist() == [False, True, False]
    np.testing.assert_array_equal(series.channels[0].upper, [math.nan, math.nan, 6.0])
    assert np.diff(series.edges_s).tolist() == [10.0, 10.0, 10.0]
    assert series.highest == 8.0


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": ExhibitKind.TABLE},
        {"rows": ()},
        {"columns": ("pod", "bytes"), "rows": (("a", 1.0),)},
        {"rows": (("not a time", 1.0),)},
        {"rows": ((None, 1.0),)},
        {"rows": (("2026-11-24T10:00:10Z", 1.0), ("2026-11-24T10:00:00Z", 1.0))},
        {"rows": (("2026-11-24T10:00:00Z", 1.0), ("2026-11-24T10:00:00Z", 1.0))},
        {"columns": ("time",), "rows": (("2026-11-24T10:00:00Z",),)},
        {"unit": "$\\frac{$"},
        {"columns": ("time", "$\\frac{$")},
        {"columns": ("time", "x" * 25)},
        {"columns": ("time", "a", "b", "c", "d", "e"), "rows": (("2026-11-24T10:00:00Z", 1.0, 1.0, 1.0, 1.0, 1.0),)},
    ],
    ids=[
        "a table",
        "empty",
        "no time",
        "not a time",
        "no time given",
        "backwards",
        "twice",
        "nothing beside",
        "unit is a formula",
        "name is a formula",
        "long name",
        "too many",
    ],
)
def test_what_does_not_read_as_a_series_is_none(fields: dict[str, object]) -> None:
    assert read_series(exhibit([1.0], **fields)) is None


def test_words_in_number_columns_count_as_not_observed() -> None:
    series = read_series(exhibit([], rows=(("2026-11-24T10:00:00Z", "<script>"), ("2026-11-24T10:00:10Z", 2.0))))
    assert series is not None
    assert series.unobserved.tolist() == [True, False]
