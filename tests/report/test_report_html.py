"""The HTML page: complete, closed to the outside, escaped, and equal for equal reviews."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_sites import SITES, lab_site, large_site, site

from inspectorate.report import render_html, render_text
from inspectorate.review import Review

HOSTILE = (
    "\"'><script>alert(1)</script><img src=x onerror=alert(1)></style></svg>"
    "javascript:alert(1){{7*7}}$\\frac{$\x1b[2J\u202e\nx"
)
UNTOUCHED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]{0,127}|sha256:[0-9a-f]{64}|\d{4}-\d\d-\d\dT[0-9:.]+Z)$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT")
CLOSED_KEYS = frozenset(
    {
        "agreement",
        "declaration",
        "declaration_digest",
        "party",
        "pods",
        "pod",
        "clause",
        "mechanism",
        "verdict",
        "id",
        "statement",
    }
    | {"threshold", "sensor", "start", "end", "as_of"}
)
"""Keys whose values are identifiers, digests, times or words of a closed list: they cannot hold hostile text."""
BYTES_MAX = 3_000_000


class Page(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def poisoned(review: Review) -> Review:
    """The review with hostile text in every field that can hold text."""
    count = 0

    def poison(value: object, key: str) -> object:
        nonlocal count
        if isinstance(value, dict):
            return {name: poison(below, name) for name, below in value.items()}
        if isinstance(value, list):
            return [poison(below, key) for below in value]
        if not isinstance(value, str):
            return value
        if TIME.match(value) and key == "rows":
            return value
        if key in CLOSED_KEYS or (key == "kind" and value in KINDS):
            assert UNTOUCHED.match(value), (key, value)
            return value
        count += 1
        return f"{HOSTILE}{count}"

    found = Review.model_validate(poison(review.model_dump(mode="json"), ""))
    assert count > 20
    return found


@cache
def page_of(name: str) -> str:
    return render_html(site(name))


KINDS = frozenset({"series", "table", "missing", "wrong-key", "malformed", "wrong-digest", "truncated", "duplicated", "forked"}
                  | {"cloned", "out-of-period", "undeclared", "not-logged", "withheld", "unreadable"})  # fmt: skip


def assert_closed(page: str) -> None:
    """Nothing in the page runs, and nothing is fetched."""
    parsed = Page(page)
    for tag, attributes in parsed.tags:
        assert tag not in {
            "script",
            "img",
            "iframe",
            "object",
            "embed",
            "link",
            "base",
            "form",
            "audio",
            "video",
            "foreignobject",
        }
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"src", "srcset", "style", "action", "data", "xlink:href"}, (tag, name)
            if name == "href":
                assert value is not None
                assert re.fullmatch(r"#[a-z0-9-]+", value), value
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]


@pytest.mark.parametrize("name", SITES)
def test_pages_are_closed_and_well_formed(name: str) -> None:
    page = page_of(name)
    assert_closed(page)
    ids = [attributes["id"] for _, attributes in Page(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"] for tag, attributes in Page(page).tags if tag == "a"}
    assert targets <= {f"#{name}" for name in ids}


@pytest.mark.parametrize("name", SITES)
def test_hostile_text_stays_text(name: str) -> None:
    review = poisoned(site(name))
    page = render_html(review)
    assert_closed(page)
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{7*7}}" in page
    assert page.count("<script") == 0
    text = render_text(review)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_policy_allows_the_style_sheet_and_nothing_else() -> None:
    page = page_of("lab")
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    policy = next(a["content"] for tag, a in Page(page).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_parts_stand_in_order() -> None:
    page = page_of("lab")
    parts = ("The largest training run", "Findings</h2>", "What was seen</h2>", "Why</h2>", "What would help most</h2>")
    more = ("Problems with evidence</h2>", "What was not checked</h2>", "What this rests on</h2>", "compute again")
    places = [page.index(part) for part in (*parts, *more)]
    assert places == sorted(places)


def test_what_an_inspector_needs_of_the_recorded_site() -> None:
    page = page_of("lab")
    text = " ".join("".join(Page(page).text).split())
    for needed in (
        "could have been hidden here is 5.99 × 1014 FLOP (about 0.605 H100-seconds at FP16 peak), at 99 % confidence",
        "exit code 20",
        "pod-b over the limit",
        "pod-c over the limit",
        "pod-f not observed for 2 minutes",
        "segment 9 is missing between 8 and 10",
        "What pod-b exchanged with pods it did not declare",
        "6 assessments",
        "sensors held by joint report every flow of the link they watch",
    ):
        assert needed in text, needed
    assert 'title="sha256:' in page


def test_simulated_evidence_is_said_first() -> None:
    page = render_html(lab_site(simulated=True))
    assert page.index("Simulated evidence.") < page.index("<h1>")
    assert "Simulated" not in page_of("lab")


def test_verdicts_are_never_told_by_colour_alone() -> None:
    for name in SITES:
        for chip in re.findall(r'<span class="verdict [a-z]+">(.*?</span>.*?)</span>', page_of(name)):
            assert re.fullmatch(r'<span class="sign" aria-hidden="true">\S</span>[a-z ]+', chip), chip


def test_large_sites_stay_small() -> None:
    page = page_of("large")
    assert len(page.encode()) < BYTES_MAX
    assert "Each point is the highest of up to 3 rows." in page


def test_more_pods_than_panels_are_counted() -> None:
    page = render_html(large_site(pods=27, points=30))
    assert "3 further series are in the JSON form only." in page
    assert "7 further pods, with smaller parts" in page


def test_equal_reviews_give_equal_bytes_in_another_process() -> None:
    code = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from report_sites import lab_site
from inspectorate.report import render_html
print(hashlib.sha256(render_html(lab_site()).encode()).hexdigest())
"""
    here = hashlib.sha256(render_html(lab_site()).encode()).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert there.stdout.strip() == here
