"""Panels of a report: labels in full, none over what is drawn, and one scale for each unit."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inspectorate.agreement import load_agreement
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.report import plots, render_html
from inspectorate.report.series import Series, read_series
from inspectorate.review import Review, review

SITE = Path(__file__).parents[2] / "examples" / "lab-site-guarded"
CHARACTER_PX = 5.0
"""At least so wide is a character of a label, on the average."""


@pytest.fixture(scope="module")
def guarded() -> Review:
    anchors = TrustAnchors.read(SITE / "anchors.yaml")
    return review(
        Bundle.open(SITE / "site.tar", anchors=anchors),
        agreement=load_agreement(str(SITE / "agreement.yaml")),
        anchors=anchors,
        as_of=datetime(2026, 11, 26, 12, tzinfo=UTC),
        interval_s=60.0,
    )


def licensed(review_: Review) -> list[Series]:
    exhibits = [e for f in review_.findings if f.clause == "licensed-work" for a in f.assessments for e in a.exhibits]
    found = [read_series(exhibit) for exhibit in exhibits]
    return [series for series in found if series is not None]


def test_labels_of_a_scale_are_not_cut_off(guarded: Review) -> None:
    series = next(one for one in licensed(guarded) if one.unit == "FLOP")
    range_s = (float(series.edges_s[0]), float(series.edges_s[-1]))
    root = ET.fromstring(
        plots.traffic_panel(series, label="x", prefix="x", range_s=range_s, scale=plots.shared_scale([series]))
    )
    labels = [(float(text.get("x", "0")), "".join(text.itertext())) for text in root.iter("text")]
    scale = [(x, label) for x, label in labels if label.endswith("FLOP")]
    assert scale
    assert all(x - CHARACTER_PX * len(label) >= 0 for x, label in scale)


def test_names_of_channels_stand_above_what_is_drawn(guarded: Review) -> None:
    series = licensed(guarded)[0]
    range_s = (float(series.edges_s[0]), float(series.edges_s[-1]))
    root = ET.fromstring(
        plots.traffic_panel(series, label="x", prefix="x", range_s=range_s, scale=plots.shared_scale([series]))
    )
    heights = {"".join(text.itertext()): float(text.get("y", "0")) for text in root.iter("text")}
    ticks = sorted(y for label, y in heights.items() if label.endswith(series.unit))
    assert heights["used at most"] < ticks[0]


def test_panels_of_one_clause_have_a_scale_for_each_unit(guarded: Review) -> None:
    assert {series.unit for series in licensed(guarded)} == {"FLOP", "B"}
    page = render_html(guarded)
    assert re.search(r">10 MB<", page)
    assert not re.search(r">1 TB<", page)
