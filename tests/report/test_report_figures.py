"""Figures: themed, small, numbered under their own prefix, and no state left behind."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_sites import SITES, lab_site, site

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.report import plots, svg
from inspectorate.report.outline import outline
from inspectorate.report.parts import ThresholdRow
from inspectorate.report.series import read_series
from inspectorate.review import Review

POINTS = st.lists(
    st.tuples(st.floats(min_value=-500, max_value=500), st.floats(min_value=-500, max_value=500)),
    min_size=1,
    max_size=30,
)


def figures(review: Review) -> list[str]:
    told = outline(review)
    found = [
        plots.account_over_time(review.account, label="a", prefix="a"),
        plots.account_by_pod(review.account, label="b", prefix="b"),
    ]
    if told.thresholds:
        found.append(plots.ladder(review.account.hidden_flop_max, told.thresholds, label="c", prefix="c"))
    exhibits = [e for f in review.findings for a in f.assessments for e in a.exhibits]
    for place, exhibit in enumerate(exhibits[:3]):
        series = read_series(exhibit)
        if series is not None:
            range_s = (float(series.edges_s[0]), float(series.edges_s[-1]))
            scale = plots.shared_scale([series])
            found.append(plots.traffic_panel(series, label="<d>", prefix=f"d{place}", range_s=range_s, scale=scale))
    return found


@pytest.mark.parametrize("name", SITES)
def test_figures_carry_no_styles_and_only_their_own_names(name: str) -> None:
    for drawn in figures(site(name)):
        root = ET.fromstring(drawn)
        assert root.get("role") == "img"
        assert root.get("aria-label")
        names = {element.get("id") for element in root.iter()} - {None}
        used = set(re.findall(r"url\(#([^)]+)\)", drawn)) | {e.get("href", "#")[1:] for e in root.iter()} - {""}
        assert names == used
        for element in root.iter():
            assert element.tag in {"svg", "g", "defs", "path", "text", "tspan", "use", "clipPath", "rect", "pattern"}
            assert "style" not in element.attrib
            assert not any(re.search(r"#[0-9a-f]{6}", value) for value in element.attrib.values()), element.attrib


def test_names_of_two_figures_do_not_meet() -> None:
    ids = [re.findall(r' id="([^"]+)"', drawn) for drawn in figures(lab_site())]
    flat = [name for names in ids for name in names]
    assert len(flat) == len(set(flat)) > 0


def test_settings_of_matplotlib_are_as_before() -> None:
    before = dict(mpl.rcParams)
    figures(lab_site())
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = "import sys, inspectorate.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def corners(path: str) -> list[tuple[float, float]]:
    """The points of a path of M, L, H and V commands: the obvious reader."""
    x = y = 0.0
    found = []
    for command, numbers in re.findall(r"([MLHV])([^MLHVz]*)", path):
        values = [float(number) for number in numbers.split()]
        x = values[0] if command in "MLH" else x
        y = values[-1] if command in "MLV" else y
        found.append((x, y))
    return found


@given(POINTS)
def test_shortened_paths_pass_the_same_corners(points: list[tuple[float, float]]) -> None:
    path = "".join(f"{'L' if place else 'M'} {x:.6f} {y:.6f} \n" for place, (x, y) in enumerate(points)) + "z\n"
    expected = [(float(f"{float(f'{x:.6f}'):.1f}"), float(f"{float(f'{y:.6f}'):.1f}")) for x, y in points]
    without_repeats = [p for place, p in enumerate(expected) if place == 0 or p != expected[place - 1]]
    shortened = svg._shorten(path)
    assert shortened.endswith("z")
    assert corners(shortened) == without_repeats


def test_curves_are_only_rounded() -> None:
    assert svg._shorten("M 0.123 1.456 \nC 1.55 2.04 3 4 5 6 \nz") == "M 0.1 1.5 \nC 1.6 2.0 3 4 5 6 \nz"


@pytest.mark.parametrize("days", [0.001, 0.01, 0.3, 1, 30, 400, 5_000])
def test_time_axes_have_a_few_round_ticks(days: float) -> None:
    figure = plots._figure(300, 100)
    axis = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    start = 1_795_000_000.0
    axis.set_xlim(start, start + days * 86_400)
    plots._time_axis(axis, (start, start + days * 86_400), ticks_max=6, labels=True)
    ticks = [tick for tick in axis.get_xticks() if start <= tick <= start + days * 86_400]
    assert 1 <= len(ticks) <= 6


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=1, max_size=8),
    st.one_of(st.none(), st.floats(min_value=0, allow_infinity=False)),
)
def test_panels_take_any_numbers(values: list[float | None], limit: float | None) -> None:
    rows = tuple((f"2026-11-24T10:00:{second:02d}Z", value) for second, value in enumerate(values))
    series = read_series(
        Exhibit(
            id="x", title="x", kind=ExhibitKind.SERIES, columns=("time", "sent"), rows=rows, limit=limit, unit="B/s"
        )
    )
    assert series is not None
    scale = plots.shared_scale([series])
    assert 0 < scale[0] < scale[1] < float("inf")
    range_s = (float(series.edges_s[0]), float(series.edges_s[-1]))
    ET.fromstring(plots.traffic_panel(series, label="x", prefix="x", range_s=range_s, scale=scale))


@pytest.mark.parametrize("run_flop", [0.0, 5e-324, 1.0, 1e24, 1.7e308])
@pytest.mark.parametrize("flop_max", [5e-324, 1e24, 1.7e308])
def test_ladders_take_any_numbers(run_flop: float, flop_max: float) -> None:
    row = ThresholdRow(
        threshold="t", kind="training", flop_max=flop_max, excluded=True, ratio="", source="", consequence=""
    )
    ET.fromstring(plots.ladder(run_flop, [row], label="x", prefix="x"))
