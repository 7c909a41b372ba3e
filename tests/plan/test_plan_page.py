"""The page of a plan: complete, closed to the outside, escaped, made of the plan's numbers and of nothing else."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shutil
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.cli.plan import Asked, facts_of, question_of
from inspectorate.declaration import chip_catalogue
from inspectorate.mechanisms.interconnect.plan.curves import Plan, plan
from inspectorate.mechanisms.interconnect.plan.exhibits import exhibits_of
from inspectorate.mechanisms.interconnect.plan.inverse import Kind
from inspectorate.mechanisms.interconnect.plan.types import Case
from inspectorate.report import plan_words as say
from inspectorate.report.plan_draw import Log, Mark, edge, lane, spread, traces, width_of
from inspectorate.report.plan_facts import PlanFacts, Tables
from inspectorate.report.plan_page import render_plan

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></style></svg>javascript:alert(1){{7*7}}"
DEFAULT = Asked(
    pods=128, chips=128, chip="h100-sxm", utilisation=None, memory=None, parameters=405e9, tokens=15.6e12, batch_tokens=None,
    limit=None, up=None, down=None, round_trip=0.1, duty=1.0, window_bytes=0.0, window_every=172_800.0, serves=None,
    targets=(),
)  # fmt: skip
QUESTIONS = {
    "example": DEFAULT,
    "nothing works": Asked(**{**vars(DEFAULT), "parameters": 1e14, "tokens": 1e15}),
    "small pods": Asked(**{**vars(DEFAULT), "pods": 16, "chips": 1, "parameters": 1e8, "tokens": 1e10, "limit": 20e6}),
    "both ways": Asked(
        **{**vars(DEFAULT), "up": 300e3, "down": 2e6, "duty": 0.5, "window_bytes": 1e10, "serves": 8e9, "pods": 7}
    ),
    "one pod": Asked(**{**vars(DEFAULT), "pods": 1}),
}


@cache
def answered(name: str) -> tuple[Plan, PlanFacts, tuple[Exhibit, ...]]:
    asked = QUESTIONS[name]
    model = chip_catalogue()[asked.chip]
    found = plan(question_of(asked, model))
    return found, facts_of(found, model, asked), exhibits_of(found)


@cache
def page_of(name: str) -> str:
    _, facts, exhibits = answered(name)
    return render_plan(facts, exhibits)


class Page(HTMLParser):
    """Tags, and the text that is shown."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.parts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.parts.append(data)


def assert_closed(page: str) -> None:
    """Nothing in the page runs, and nothing is fetched."""
    for tag, attributes in Page(page).tags:
        assert tag not in {"script", "img", "iframe", "object", "embed", "link", "base", "form", "a", "foreignobject"}
        assert not any(name.startswith("on") for name in attributes)
        assert not {"src", "srcset", "style", "action", "data", "href", "xlink:href"} & set(attributes)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src &#39;none&#39;; style-src &#39;sha256-{digest}&#39;" in page
    assert page.count("<style") == 1


# --- the page ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", QUESTIONS)
def test_pages_are_closed(name: str) -> None:
    page = page_of(name)
    assert_closed(page)
    assert "http://" not in page
    assert "https://" not in page
    assert len(page) < 600_000
    assert "None" not in Page(page).text
    assert " nan" not in page
    assert "inf" not in re.findall(r'(?:x|y|cx|cy|d)="([^"]*)"', page)


def test_equal_plans_give_equal_pages() -> None:
    _, facts, exhibits = answered("example")
    assert render_plan(facts, exhibits) == page_of("example")


def test_hostile_text_stays_text() -> None:
    _, facts, exhibits = answered("example")
    kept = {"published", "central", "cautious", "text", "images", "speech", "video", "yes", "no", "alone"}
    kept |= {kind.value for kind in Kind} | set(say.LEVELS) | set(say.BOUNDS)
    kept |= {name for exhibit in exhibits if exhibit.id == "curves" for name in exhibit.columns}

    def poison(cell: str | float | None) -> str | float | None:
        return cell + HOSTILE if isinstance(cell, str) and cell not in kept else cell

    poisoned = [
        exhibit.model_copy(
            update={"title": exhibit.title + HOSTILE, "rows": tuple(tuple(map(poison, r)) for r in exhibit.rows)}
        )
        for exhibit in exhibits
    ]
    words = {name: getattr(facts, name) + HOSTILE for name in ("chip", "command", "program", "simulator")}
    page = render_plan(facts.model_copy(update=words), poisoned)
    assert_closed(page)
    assert "<script" not in page
    assert page.count("{{7*7}}") > 100


def test_it_says_what_the_plan_says() -> None:
    found, facts, _ = answered("example")
    text = Page(page_of("example")).text
    shown = [say.times(found.alone_slowdown).removesuffix("×"), say.count(facts.parameters), say.rate(125e3)]
    for _, methods in found.reached:
        shown += [say.times(m.slowdown) for m in methods if (m.slowdown or 0) < 1e9]
        shown += [m.method for m in methods]
    shown += [say.days(m.days) for left in found.left for m in left.milestones]
    for answer in found.targets:
        shown += [say.largest(x.bytes_per_s_max, x.unlimited, x.breaks_it) for x in answer.limits]
    for need in found.serving:
        shown += [need.basis, say.rate(need.received_bytes_per_s), say.rate(need.sent_bytes_per_s)]
    for swing in found.sensitivity:
        shown += [say.times(value) for value in (swing.published, swing.central, swing.cautious)]
    missing = {piece for piece in shown if piece not in text}
    assert missing == set()
    for said in ("from 1 to 446 times as long", "ranges over assumptions about an adversary, and no forecasts",
                 "What happens inside one pod no limit on its link touches", "What it cannot say"):  # fmt: skip
        assert said in text


def test_no_number_of_it_comes_from_elsewhere() -> None:
    """With every number of the plan changed, none of the old answers is left on the page."""
    _, facts, exhibits = answered("example")
    rising = itertools.count()

    def other(cell: str | float | None, fixed: bool) -> str | float | None:
        return cell if fixed or cell is None or isinstance(cell, str) else cell * (1.371 + next(rising) % 7 / 100)

    fixed = {"flop", "number", "period_s", "limit_bytes_per_s"}
    changed = [
        exhibit.model_copy(
            update={
                "rows": tuple(
                    tuple(other(cell, name in fixed) for name, cell in zip(exhibit.columns, row, strict=True))
                    for row in exhibit.rows
                )
            }
        )
        for exhibit in exhibits
        if exhibit.id != "caps"
    ] + [exhibit for exhibit in exhibits if exhibit.id == "caps"]
    numbers = {
        name: value * 1.371
        for name, value in facts.model_dump().items()
        if isinstance(value, float)
        and name not in {"duty", "utilisation", "window_bytes", "window_every_s", "round_trip_s"}
    }
    old, new = (
        Page(page).text for page in (page_of("example"), render_plan(facts.model_copy(update=numbers), changed))
    )
    said = r"[0-9][0-9.,]*(?:×| days| years| hours| [kMG]?B/s)"
    kept = set(re.findall(said, old)) & set(re.findall(said, new))
    axes = {
        f"{n}{u}"
        for n in ("1", "10", "100", "1,000", "10,000", "100,000")
        for u in ("×", " B/s", " kB/s", " MB/s", " GB/s")
    }
    caps = {"1 MB/s", "1 GB/s", "39 to 42 Mbit/s", "13.1 MB/s"}
    by_rate = {say.rate(rate) for rate in answered("example")[0].rates_bytes_per_s}
    assert len(set(re.findall(said, old))) > 150
    assert len(kept - axes - caps - by_rate) < 0.25 * len(set(re.findall(said, old))), sorted(kept)
    for answer in ("446×", "12.1×", "446 times", "128 times", "154.6 kB/s", "2.45 MB/s", "1.47× the need"):
        assert answer not in new, answer


def test_a_plan_without_an_exhibit_makes_no_page() -> None:
    _, facts, exhibits = answered("example")
    for exhibit in exhibits:
        with pytest.raises(ValueError, match=exhibit.id):
            render_plan(facts, [one for one in exhibits if one is not exhibit])
    with pytest.raises(ValueError, match="two exhibits"):
        render_plan(facts, [*exhibits, exhibits[0]])


def test_curves_are_curves() -> None:
    found, _, exhibits = answered("example")
    curves = next(exhibit for exhibit in exhibits if exhibit.kind is ExhibitKind.CURVES)
    rates = [row[0] for row in curves.rows]
    assert rates == sorted(set(rates)) == list(found.rates_bytes_per_s)
    assert [exhibit.id for exhibit in exhibits].count("curves") == 1
    assert set(curves.columns[1:4]) == {case.value for case in Case}
    assert len({exhibit.id for exhibit in exhibits}) == len(exhibits)


def test_every_method_is_named_on_the_chart() -> None:
    found, _, _ = answered("example")
    chart = re.search(r'<svg[^>]*class="chart wide".*?</svg>', page_of("example"), re.DOTALL)
    assert chart is not None
    after = {method.id for method in found.methods if method.counts_as == "post-training"}
    for curve in found.by_method:
        assert f">{curve.name}{' †' if curve.name in after else ''}</text>" in chart[0]


# --- what the figures are drawn with -----------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1000), max_size=30).map(sorted), st.floats(1, 40))
def test_spread_keeps_order_gap_and_bounds(wanted: list[float], gap: float) -> None:
    places = spread(wanted, gap, 0, 1000)
    fits = gap * max(0, len(wanted) - 1) <= 1000
    assert len(places) == len(wanted)
    assert all(-1e-6 <= place <= 1000 + 1e-6 for place in places)
    if fits:
        assert all(b - a >= gap - 1e-6 for a, b in itertools.pairwise(places))


@given(st.lists(st.integers(0, 60), min_size=1, max_size=4).map(sorted), st.integers(1, 12))
def test_spread_is_the_nearest_there_is(wanted: list[int], gap: int) -> None:
    """Against every placing on whole numbers: none is nearer."""
    places = spread(wanted, gap, 0, 60)
    cost = sum((a - b) ** 2 for a, b in zip(places, wanted, strict=True))

    def best(place: int, low: int) -> float:
        if place == len(wanted):
            return 0.0
        last = 60 - gap * (len(wanted) - place - 1)
        return min(
            ((at - wanted[place]) ** 2 + best(place + 1, at + gap) for at in range(low, last + 1)), default=float("inf")
        )

    assert cost <= best(0, 0) + 1e-6


@given(st.lists(st.integers(0, 900), min_size=1, max_size=6, unique=True))
def test_labels_of_a_lane_touch_no_other_label(places: list[int]) -> None:
    marks = [Mark(float(place), f"name {place}") for place in places]
    found = lane(marks, 12, 0, 1000)
    assert sorted(label.text for label in found) == sorted(mark.text for mark in marks)
    boxes = []
    for label in found:
        width = width_of(label.text, 12)
        start = label.x if label.anchor == "start" else label.x - width
        assert start >= 0
        assert start + width <= 1000
        boxes.append((label.row, start, start + width))
    for (row, low, high), (other, begin, end) in itertools.combinations(boxes, 2):
        assert row != other or high <= begin or end <= low


def test_curves_are_cut_at_the_frame_and_broken_where_nothing_works() -> None:
    x = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    assert traces(x, [-10.0, 10.0, None, 5.0, 5.0, None], 0.0) == [
        [(5.0, 0.0), (10.0, 10.0)],
        [(30.0, 5.0), (40.0, 5.0)],
    ]
    assert traces(x, [None] * 6, 0.0) == []
    assert edge(x, [None] * 6, 0.0) == [(0.0, 0.0), (50.0, 0.0)]
    band = edge(x, [-10.0, 10.0, 10.0, 10.0, 10.0, 10.0], 0.0)
    assert band[:3] == [(0.0, 0.0), (5.0, 0.0), (5.0, 0.0)]
    assert band[-1] == (50.0, 10.0)


def test_a_scale_is_logarithmic() -> None:
    scale = Log(1.0, 1e4, 0.0, 400.0)
    assert [round(scale.at(value)) for value in (1, 10, 100, 1e4)] == [0, 100, 200, 400]
    assert scale.decades(2) == [1.0, 100.0, 1e4]


def test_tables_refuse_what_is_not_there() -> None:
    tables = Tables(answered("example")[2])
    with pytest.raises(ValueError, match="no exhibit"):
        tables.rows("weather")
    with pytest.raises(ValueError, match="where a number should"):
        tables.column("methods", "title")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0005, "43.2 seconds"),
        (0.0362, "52.1 minutes"),
        (1.0, "24.0 hours"),
        (68.26, "68.3 days"),
        (2393.0, "6.55 years"),
    ],
)
def test_times(value: float, said: str) -> None:
    assert say.days(value) == said


def test_words() -> None:
    assert say.days(None) == "never"
    assert say.rate(999_999.0) == "1 MB/s"
    assert say.rate(1e-5) == "1e-05 B/s"
    assert say.count(405e9) == "405B"
    assert say.count(1e15) == "1,000T"
    assert say.times(None) == "does not work"
    assert say.percent(-0.4034) == "−40 %"
    assert say.percent(1e-9) == "0.00 %"
    assert say.percent(None) == "bound"
    assert say.layout(64, 2, 500) == "64 copies over 2 pods each, every 500 steps"
    assert say.layout(1, 1, 1) == "one pod"
    assert say.largest(None, False, "alone") == "no limit: one pod alone does it"
    assert say.room(0.5) == "too tight: 1/2.00 of the need"


# --- in a browser ------------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
OVERLAPS = """
() => {
  const chart = [...document.querySelectorAll('svg.chart')].find(c => getComputedStyle(c).display !== 'none');
  const boxes = [...chart.querySelectorAll('.lane-name, .ticks text, .level-name, .value, .reading text')]
    .filter(e => !e.closest('.tip')).map(e => [e.textContent, e.getBoundingClientRect()]);
  const found = [];
  for (let i = 0; i < boxes.length; i++) for (let j = i + 1; j < boxes.length; j++) {
    const [a, p] = boxes[i], [b, q] = boxes[j];
    if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 4 && q.top < p.bottom - 4) found.push(a + ' / ' + b);
  }
  const frame = chart.getBoundingClientRect();
  for (const [a, p] of boxes) if (p.left < frame.left - 6 || p.right > frame.right + 6) found.push(a + ' leaves the chart');
  return found;
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield launched
        launched.close()


def opened(browser: Any, tmp_path: Path, name: str, **how: Any) -> tuple[Any, list[str]]:
    file = tmp_path / "plan.html"
    file.write_text(page_of(name), encoding="utf-8")
    page = browser.new_page(**how)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if request.url != file.as_uri() else None)
    page.goto(file.as_uri())
    return page, said


@pytest.mark.browser
@pytest.mark.parametrize(("width", "theme"), [(320, "light"), (390, "dark"), (820, "light"), (1280, "dark")])
@pytest.mark.parametrize("name", QUESTIONS)
def test_in_a_browser(browser: Any, tmp_path: Path, name: str, width: int, theme: str) -> None:
    page, said = opened(browser, tmp_path, name, viewport={"width": width, "height": 900}, color_scheme=theme)
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("svg.chart:visible").count() == 1
    if width != 820:
        assert page.evaluate(OVERLAPS) == []
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(251, 250, 248)" if theme == "light" else "rgb(19, 22, 26)")
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('td, th')].map(e => e.getBoundingClientRect().height))"
        )
        < 400
    )
    page.close()


@pytest.mark.browser
def test_pointing_reads_another_limit(browser: Any, tmp_path: Path) -> None:
    found, _, _ = answered("example")
    page, _ = opened(browser, tmp_path, "example", viewport={"width": 1280, "height": 1600})
    assert page.locator(".chart.wide .reading").is_visible()
    assert page.locator(".chart.wide .tip:visible").count() == 0
    place = 60
    page.hover(f".chart.wide .column:nth-child({place + 1}) .hit")
    tip = page.locator(".chart.wide .tip:visible")
    assert tip.count() == 1
    assert not page.locator(".chart.wide .reading").is_visible()
    said = tip.text_content()
    assert say.rate(found.rates_bytes_per_s[place]) in said
    for curve in found.best_joint:
        assert f"{curve.case.value}{say.times(curve.slowdown[place])}" in said
    page.close()


@pytest.mark.browser
def test_it_prints_on_white(browser: Any, tmp_path: Path) -> None:
    page, _ = opened(browser, tmp_path, "example", color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
