"""The whole journey of a source in a real browser with JavaScript off, over a real intake; and what a screen reader would find.

The browser reaches the intake's socket through a relay that hands bytes on, as tor does.
"""

from __future__ import annotations

import contextlib
import re
import select
import shutil
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages_values import values
from web_running import NOTICE, SETTINGS, Running, running

from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.boards import Answer, make_board
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.mechanisms.whistleblowing.web.limits import Limits
from inspectorate.mechanisms.whistleblowing.web.pages import Page, render

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
LIMITS = Limits(upload_bytes=1 << 20, files=3)
QUIET = SETTINGS.model_copy(update={"blocks_per_tick": 2, "tick_s": 0.05})
"""Few blocks, since every one of them is opened below, dummies included."""
DESK = {"viewport": {"width": 1100, "height": 900}}
PHONE = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}


class Relay(socketserver.ThreadingTCPServer):
    """A port of loopback that leads to a socket at a path."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(("127.0.0.1", 0), HandOn)
        self.path = path


class HandOn(socketserver.BaseRequestHandler):
    """Bytes both ways, until the intake has said all."""

    server: Relay

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as inner, contextlib.suppress(ConnectionError):
            inner.connect(str(self.server.path))
            ways = {inner: self.request, self.request: inner}
            while ways:
                for ready in select.select(list(ways), [], [])[0]:
                    data = ready.recv(65_536)
                    ways[ready].sendall(data)
                    if not data:
                        if ready is inner:
                            return
                        del ways[ready]


@contextlib.contextmanager
def relayed(path: Path) -> Iterator[int]:
    with Relay(path) as relay:
        thread = threading.Thread(target=relay.serve_forever, args=(0.05,))
        thread.start()
        yield relay.server_address[1]
        relay.shutdown()
        thread.join(10)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str]]:
    folder = tmp_path_factory.mktemp("pages")
    with running(folder, LIMITS, hosts=frozenset({"127.0.0.1"}), settings=QUIET) as found, relayed(found.path) as port:
        yield found, f"http://127.0.0.1:{port}"
        assert not found.server.faults


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield launched
        launched.close()


class Visitor:
    """One page of one context without JavaScript, and all that it asked for and complained of."""

    def __init__(self, browser: Any, base: str, **context: Any) -> None:
        self.base = base
        self.context = browser.new_context(java_script_enabled=False, **context)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))

    def leave(self) -> None:
        assert all(url.startswith((self.base + "/", "data:,")) for url in self.asked)
        assert [
            one for one in self.said if not re.search(r"status of 4\d\d|Permissions-Policy header: Unrecognized", one)
        ] == []
        assert self.context.cookies() == []
        self.context.close()

    def digits(self) -> str:
        return " ".join(self.page.locator("section[aria-labelledby=digits] bdi.word").all_inner_texts())

    def reads(self, heading: str) -> None:
        """Waits for the page of this heading."""
        playwright.expect(self.page.locator("h1")).to_have_text(heading)


def reply(site: Running, digits: str, text: str, sequence: int) -> None:
    """What an office does: it knows of a source only what stood in the opened report, which comes of the phrase."""
    mailbox = Phrase.parse(digits).mailbox(SETTINGS.intake)
    board = make_board(SETTINGS.intake, "office-1", sequence, [Answer(mailbox, text)], SigningKey(bytes([2]) * 32))
    (site.folder / "boards" / "office-1.board").write_bytes(board)


def test_the_journey_in_english(browser: Any, site: tuple[Running, str], tmp_path: Path) -> None:
    intake, base = site
    upload = tmp_path / "meter.csv"
    upload.write_bytes(b"hour,kwh\r\n1,400\r\n" * 2000)
    visitor = Visitor(browser, base, **DESK)
    page = visitor.page
    page.goto(base + "/")
    page.get_by_role("link", name="English").click()
    visitor.reads("If you know that the agreement is being broken, you can say so here")
    assert page.get_by_text("2 of these 3 offices").is_visible()
    page.locator("main").get_by_role("link", name="Write a report").click()
    page.get_by_label("Machines did other work than was claimed").check()
    page.get_by_label("Where?").fill("pod B3")
    page.get_by_label("When?").fill("about 14 March")
    page.get_by_label("What did you see, hear or do yourself?").fill("The meters were covered.\nTwo nights.")
    page.get_by_label("What could you not see?").fill("The second floor")
    page.get_by_label("Six to twenty").check()
    page.get_by_label("Files").set_input_files(str(upload))
    page.get_by_role("button", name="Send").click()
    visitor.reads("Your report has been received")
    words = page.locator("section[aria-labelledby=words] bdi.word").all_inner_texts()
    digits = visitor.digits()
    assert Phrase.parse(" ".join(words)) == Phrase.parse(digits)
    assert page.locator("details pre").is_hidden()
    page.get_by_text("Receipt", exact=True).click()
    assert page.locator("details pre").inner_text().startswith("BEGIN INSPECTORATE RECEIPT")
    visitor.leave()

    found = next(report for report in intake.opened() if report.answers.get("place") == "pod B3")
    assert found.answers == {
        "kind": "other-work", "place": "pod B3", "when": "about 14 March", "seen": "The meters were covered.\nTwo nights.",
        "unseen": "The second floor", "circle": "some",
    }  # fmt: skip
    assert found.files == [("meter.csv", upload.read_bytes())]

    reply(intake, digits, "Could many have seen it?\n<b>No names, please.</b>", 1)
    visitor = Visitor(browser, base, **DESK)
    page = visitor.page
    page.goto(base + "/en/")
    page.locator("header").get_by_role("link", name="Come back with a code phrase").click()
    page.get_by_label("Your code phrase").fill(
        " ".join([*words[:11], "zebra" if words[11] != "zebra" else "zoo"]) + " zoo"
    )
    page.get_by_role("button", name="Open").click()
    assert "This is not a code phrase" in page.get_by_role("alert").inner_text()
    page.get_by_label("Your code phrase").fill(" ".join(words).upper())
    page.get_by_role("button", name="Open").click()
    visitor.reads("Replies to you")
    assert page.locator("article .said").all_inner_texts() == ["Could many have seen it?\n<b>No names, please.</b>"]
    assert " ".join(words) not in page.url
    page.get_by_label("Your text").fill("Everybody on the shift.")
    page.get_by_role("button", name="Send").click()
    visitor.reads("This has been received")
    visitor.leave()
    assert {"more": "Everybody on the shift."} in [report.answers for report in intake.opened()]


def test_the_journey_in_arabic_on_a_phone(browser: Any, site: tuple[Running, str]) -> None:
    intake, base = site
    visitor = Visitor(browser, base, **PHONE)
    page = visitor.page

    def fits() -> None:
        box = page.locator("body").bounding_box()
        assert box is not None
        assert box["width"] <= 320
        for one in page.locator("main a, main button, main label.pick").all():
            if one.is_visible():
                place = one.bounding_box()
                assert place is not None
                assert place["x"] >= 0
                assert place["x"] + place["width"] <= 320.5

    page.goto(base + "/")
    page.get_by_role("link", name="العربية").tap()
    visitor.reads("إن كنت تعلم أن الاتفاق يُنتهك، فيمكنك أن تقول ذلك هنا")
    fits()
    assert page.locator("html").get_attribute("dir") == "rtl"
    page.locator("main").get_by_role("link", name="اكتب بلاغًا").tap()
    visitor.reads("بلاغك")
    fits()
    page.get_by_label("ماذا رأيت أو سمعت أو فعلت بنفسك؟").fill("غُطّيت العدّادات في pod B3")
    page.get_by_label("أخاف من العواقب").check()
    first = page.locator("label.pick").first.bounding_box()
    box = page.locator("label.pick input").first.bounding_box()
    assert first is not None
    assert box is not None
    assert box["x"] > first["x"] + first["width"] / 2, "the box to tick stands at the right"
    page.get_by_role("button", name="أرسل").tap()
    visitor.reads("وصل بلاغك")
    fits()
    assert page.locator("section[aria-labelledby=words]").count() == 0
    digits = visitor.digits()
    assert re.fullmatch(r"(\d{6} ){6}\d{6}", digits)
    reply(intake, digits, "شكرًا.", 2)
    page.goto(base + "/ar/return")
    typed = digits.translate({ord("0") + n: ord("٠") + n for n in range(10)})
    page.get_by_label("عبارة الرمز").fill(typed)
    page.get_by_role("button", name="افتح").tap()
    visitor.reads("الردود الموجهة إليك")
    assert page.locator("article .said").all_inner_texts() == ["شكرًا."]
    fits()
    page.get_by_label("نصّك").fill("نعم")
    page.get_by_role("button", name="أرسل").tap()
    visitor.reads("وصل ما أرسلته")
    visitor.leave()
    assert {"seen": "غُطّيت العدّادات في pod B3", "danger": "fear"} in [report.answers for report in intake.opened()]


def test_what_is_too_long_and_what_is_empty(browser: Any, site: tuple[Running, str]) -> None:
    _, base = site
    visitor = Visitor(browser, base, **DESK)
    page = visitor.page
    page.goto(base + "/fr/report")
    page.get_by_role("button", name="Envoyer").click()
    visitor.reads("Le formulaire était vide")
    page.goto(base + "/fr/report")
    page.get_by_label("Où ?").fill("x" * 600)
    assert len(page.get_by_label("Où ?").input_value()) == 500, "a browser keeps to the bound by itself"

    def without_bounds(route: Any) -> None:
        came = route.fetch()
        route.fulfill(response=came, body=re.sub(' maxlength="[0-9]+"', "", came.text()))

    page.route("**/fr/report", without_bounds, times=1)
    page.goto(base + "/fr/report")
    page.get_by_label("Où ?").fill("x" * 501)
    page.get_by_role("button", name="Envoyer").click()
    visitor.reads("Un texte était trop long")
    assert page.get_by_text("Ce que vous avez envoyé n’a pas été reçu.").is_visible()
    page.get_by_role("link", name="Écrire un signalement").click()
    page.get_by_label("Fichiers").set_input_files(
        [{"name": "large.bin", "mimeType": "text/plain", "buffer": b"x" * (1 << 20) + b"y"}]
    )
    page.get_by_role("button", name="Envoyer").click()
    visitor.reads("Les fichiers étaient trop volumineux")
    visitor.leave()


def test_by_keyboard_alone(browser: Any, site: tuple[Running, str]) -> None:
    _, base = site
    visitor = Visitor(browser, base, **DESK)
    page = visitor.page
    page.goto(base + "/en/report")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the text"
    seen: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        if focus.count() == 0:
            break
        seen.append(focus.get_attribute("name") or focus.inner_text())
    order = [name for name in seen if name in {"kind", "place", "seen", "circle", "danger", "avoid", "files", "Send"}]
    assert list(dict.fromkeys(order)) == ["kind", "place", "seen", "circle", "danger", "avoid", "files", "Send"]
    visitor.leave()


@pytest.mark.parametrize(("language", "theme"), [("en", "light"), ("ar", "dark")])
def test_accessible(browser: Any, language: str, theme: str) -> None:
    """With JavaScript on, in a context apart: only so can the checker run."""
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    for one in Page if language == "en" else (Page.HOME, Page.REPORT, Page.SENT, Page.THREAD):
        page.set_content(render(one, language, values(one, language, NOTICE, receipt="BEGIN")).decode())
        found = axe.Axe().run(page, options={"resultTypes": ["violations"]})
        assert found.response["violations"] == [], (one, found.generate_report())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_content("<html><body><img src='x'><input></body></html>")
    assert axe.Axe().run(page).violations_count > 0, "the checker can fail"
    context.close()
