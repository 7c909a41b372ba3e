"""The page in a real browser: a whole interview in two scripts, and what it exports is believed."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forms_cases import frame_of

from inspectorate.mechanisms.interviews.forms import Form, Frame, read_capture, render_page
from inspectorate.mechanisms.interviews.forms.expressions import Scope, Situation, Type, Value, check_truth, evaluate
from inspectorate.mechanisms.interviews.forms.page import TONGUES, page_words
from inspectorate.mechanisms.interviews.forms.reading import read_expression
from inspectorate.mechanisms.interviews.forms.shipped import shipped_form
from inspectorate.mechanisms.interviews.forms.types import direction

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
FORM = shipped_form("operations")
TOUCH_PX_MIN = 44
"""Smallest target that WCAG 2.2 asks for at level AAA (2.5.5)."""


HERE = "state.screen === 'ask' ? (places()[state.at].more ?? places()[state.at].step.kind) : null"
BY_HAND = 5
ANSWER = """() => {
  const here = places()[state.at];
  if (here.more) { [...document.querySelectorAll('#screen .choices button')][here.turns ? 1 : 0].click(); return; }
  const input = document.querySelector('#screen input');
  if (here.step.kind === 'select_one') document.querySelector('#screen .choices button').click();
  else { input.value = here.step.kind === 'date' ? '2026-03-14' : '7'; input.dispatchEvent(new Event('input')); }
  document.querySelector('[data-way=inferred]')?.click();
  document.querySelector('#foot button.main').click();
}"""
SIZES = """[...document.querySelectorAll('button')].filter((one) => one.offsetParent)
  .map((one) => [one.offsetWidth, one.offsetHeight, one.textContent])"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        launched = running.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield launched
        launched.close()


class Sitting:
    """An interview at the page, in one language."""

    def __init__(
        self, browser: Any, folder: Path, language: str, form: Form = FORM, frame: Frame | None = None
    ) -> None:
        self.form, self.frame = form, frame or frame_of(form)
        file = folder / "page.html"
        file.write_text(render_page(self.form, self.frame), encoding="utf-8")
        self.page = browser.new_page(viewport={"width": 820, "height": 1180}, accept_downloads=True)
        self.page.set_default_timeout(5000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.file, self.language = file, language
        self.words = {key: words[language] for key, words in page_words().items()}

    def press(self, key: str) -> None:
        self.page.get_by_role("button", name=self.words[key], exact=True).click()

    def begin(self) -> None:
        self.page.get_by_role("button", name=TONGUES[self.language], exact=True).click()
        self.page.get_by_label(self.words["name"]).fill("inspector-1")
        self.looked_at()
        self.press("to_rights")
        assert self.page.get_by_role("button", name=self.words["take_part"], exact=True).is_disabled()
        for point in self.page.query_selector_all(".points button")[1:]:
            point.evaluate("(one) => one.click()")
        self.page.locator(".points button").first.click()
        self.looked_at()
        self.press("take_part")

    def answer_all(self) -> None:
        """The first answers by hand, the rest by a script that presses the same buttons."""
        for turn in range(60):
            here = self.page.evaluate(HERE)
            if here is None:
                return
            if turn > BY_HAND:
                self.page.evaluate(ANSWER)
                continue
            if here == "pods":
                self.press("no_more" if self.page.evaluate("places()[state.at].turns") else "add_one")
                continue
            if here == "select_one":
                self.page.locator("#screen .choices button").first.click()
            else:
                self.page.locator("#screen input").first.fill({"integer": "7", "date": "2026-03-14"}[here])
            if self.page.locator("[data-way=inferred]").count():
                assert self.page.get_by_role("button", name=self.words["next"], exact=True).is_disabled()
                self.page.locator("[data-way=inferred]").click()
            self.press("next")
        raise AssertionError("the interview does not end")

    def export(self) -> bytes:
        with self.page.expect_download() as begun:
            self.press("save")
        return Path(begun.value.path()).read_bytes()

    def looked_at(self) -> None:
        """Nothing said, nothing fetched, nothing wider than the screen, nothing too small to touch, the right way round."""
        assert self.said == []
        assert [url for url in self.asked if not url.startswith("blob:")] == [self.file.as_uri()]
        assert self.page.evaluate("document.documentElement.scrollWidth") <= 820
        sizes = self.page.evaluate(SIZES)
        assert [one for one in sizes if min(one[:2]) < TOUCH_PX_MIN] == []
        assert self.page.evaluate("document.documentElement.dir") == direction(self.language)
        assert self.page.evaluate("getComputedStyle(document.querySelector('h1')).direction") == direction(
            self.language
        )


@pytest.mark.parametrize("language", ["en", "ar"])
def test_an_interview(browser: Any, tmp_path: Path, language: str) -> None:
    sitting = Sitting(browser, tmp_path, language)
    sitting.begin()
    sitting.answer_all()
    sitting.looked_at()
    if language == "en":
        assert axe.Axe().run(sitting.page).violations_count == 0
    # One answer is withdrawn as it is read back, and one is changed.
    sitting.page.get_by_role("button", name=sitting.words["withdraw"], exact=True).nth(4).click()
    sitting.page.get_by_role("button", name=sitting.words["change"], exact=True).nth(3).click()
    sitting.page.locator("input.number").fill("٩" if language == "ar" else "9")
    sitting.looked_at()
    if language == "ar":
        assert axe.Axe().run(sitting.page).violations_count == 0
    sitting.press("next")
    # A break, and a departure whose words nobody wants on record.
    sitting.press("pause")
    sitting.press("resume")
    sitting.press("departure")
    sitting.press("note_it")
    sitting.press("read")
    data = sitting.export()
    capture = read_capture(data, FORM, sitting.frame, where="export")
    assert capture.language == language
    assert [act.act for act in capture.acts] == ["break", "deviation"]
    by_name = {one.question: one for one in capture.answers}
    assert by_name["pod_training_days"].value == 9
    assert by_name["pod_off_days"].status == "declined"
    # Nothing stays in the browser.
    assert sitting.page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
    sitting.press("erase")
    sitting.press("erase_sure")
    assert sitting.page.evaluate("state.answers.size") == 0
    sitting.page.close()


def test_whoever_stops_decides_what_is_kept(browser: Any, tmp_path: Path) -> None:
    sitting = Sitting(browser, tmp_path, "en")
    sitting.begin()
    sitting.page.locator("#screen .choices button").first.click()
    sitting.press("next")
    sitting.press("stop")
    sitting.press("stop_keep")
    sitting.press("heard")
    capture = read_capture(sitting.export(), FORM, sitting.frame, where="export")
    assert capture.outcome == "stopped"
    assert [one.status for one in capture.answers][:2] == ["answered", "not-asked"]
    sitting.page.evaluate("state.outcome = 'heard'; state.readBack = null; go('ask')")
    sitting.press("stop")
    sitting.press("stop_drop")
    capture = read_capture(sitting.export(), FORM, sitting.frame, where="export")
    assert (capture.outcome, capture.answers) == ("refused", ())
    sitting.page.close()


def test_by_keyboard_alone(browser: Any, tmp_path: Path) -> None:
    """Every step to the first answered question with Tab, Space and Enter."""
    sitting = Sitting(browser, tmp_path, "en")
    keys = sitting.page.keyboard

    def to(selector: str) -> None:
        for _ in range(40):
            if sitting.page.evaluate(f"document.activeElement?.matches({selector!r})"):
                return
            keys.press("Tab")
        raise AssertionError(f"{selector} cannot be reached")

    to(".row input")
    keys.type("inspector-1")
    to("#foot button.main")
    keys.press("Enter")
    for number in range(len(FORM.rights)):
        to(f".points li:nth-child({number + 1}) button")
        keys.press("Space")
    to("#foot button.main")
    keys.press("Enter")
    to("#screen .choices button")
    keys.press("Space")
    to("#foot button.main")
    keys.press("Enter")
    assert sitting.page.evaluate("state.at") == 1
    assert sitting.page.evaluate("state.answers.get('work_at_pods|').value") == "yes"
    sitting.page.close()


def test_words_of_a_form_are_words(browser: Any, tmp_path: Path) -> None:
    """Nothing that a form says becomes markup or script, or ends the element that it stands in; and the page reaches nothing."""
    hostile = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">@SCRIPT@ \u2028"
    data = FORM.model_dump(mode="json", exclude_none=True)
    for language in FORM.languages:
        data["title"][language] = data["rights"][0]["label"][language] = hostile
    form = Form.model_validate(data)
    sitting = Sitting(browser, tmp_path, "en", form, frame_of(form, site="<b>site</b>"))
    sitting.page.get_by_label(sitting.words["name"]).fill("inspector-1")
    sitting.press("to_rights")
    assert sitting.page.title() != "taken"
    assert hostile.strip() in sitting.page.locator(".points li").first.text_content()
    assert sitting.page.locator("img, b").count() == 0
    reached = sitting.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'reached', (fault) => String(fault))")
    assert "reached" not in reached
    assert any("Content Security Policy" in one for one in sitting.said)
    assert sitting.asked == [sitting.file.as_uri()]
    sitting.page.close()


PAIRS = (
    ("${n}", "4"), ("${m}", "4"), ("${n}", "${m}"), ("${m}", "${m}"), ("${d}", "date('2026-03-14')"), ("${e}", "today()"),
    ("${n} * 2 - 1", "7"), ("${n} div 0", "1"), ("${n} mod 3", "1"), ("-7.5 + ${n}", "-3.5"), ("${m} + 1", "1"), (".", "${n}"),
)  # fmt: skip
TEXTS = [f"{left} {sign} {right}" for sign in ("=", "!=", "<", "<=", ">", ">=") for left, right in PAIRS] + [
    "${t} = 'yes'", "${u} != 'yes'", "${t} = ''", "${u} = ''", "${m} = ''", "${m} != ''", "selected(${c}, 'a')",
    "selected(${c}, 'z')",
    "selected(${x}, 'a')", "selected(${t}, 'yes')", "selected(${u}, 'yes')", "count-selected(${c}) = 2", "count-selected(${x}) = 0",
    "string-length(${t}) = 3", "string-length(${w}) = 2", "string-length(${u}) = 0", "not(${m} > 1)", "true() and not(false())",
    "${n} > 1 or ${m} > 1", "${n} > 1 and ${m} > 1",
]  # fmt: skip
ANSWERS: dict[str, tuple[Type, Value]] = {
    "n": (Type.NUMBER, 4.0), "m": (Type.NUMBER, None), "t": (Type.TEXT, "yes"), "u": (Type.TEXT, None), "w": (Type.TEXT,
    "a\U0001f600"),
    "d": (Type.DATE, "2026-03-14"), "e": (Type.DATE, None), "c": (Type.CHOICES, frozenset({"a", "b"})), "x": (Type.CHOICES, None),
}  # fmt: skip


def test_conditions_hold_on_the_page_as_they_do_in_the_check(browser: Any, tmp_path: Path) -> None:
    types = {name: kind for name, (kind, _) in ANSWERS.items()}
    answers = {name: value for name, (_, value) in ANSWERS.items()}
    plain = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in answers.items()}
    expressions = [read_expression(text, where=text) for text in TEXTS]
    for expression in expressions:
        check_truth(expression, Scope(answers=types, here=Type.NUMBER), where="")
    situation = Situation(answers=answers, here=5.0, today="2026-04-07")
    expected = [evaluate(one, situation) for one in expressions]
    sitting = Sitting(browser, tmp_path, "en")
    got = sitting.page.evaluate(
        """([expressions, plain]) => {
          const answers = new Map(Object.entries(plain).map(([k, v]) => [k, Array.isArray(v) ? new Set(v) : v]));
          return expressions.map((one) => evaluate(one, { answers, here: 5, today: "2026-04-07" }));
        }""",
        [[one.model_dump(mode="json") for one in expressions], plain],
    )
    assert dict(zip(TEXTS, got, strict=True)) == dict(zip(TEXTS, expected, strict=True))
    assert {True, False} == set(expected)
    sitting.page.close()


def test_the_policy_names_the_very_script_and_style() -> None:
    page = render_page(FORM, frame_of(FORM))
    for part in re.findall(r"<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() in page
    assert "connect-src &#x27;none&#x27;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert len(page.encode()) < 150_000
