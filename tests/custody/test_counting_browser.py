"""The page of a count in a real browser: read serials on it, save the file, and hold it against the register. No network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from counting_cases import Count

from inspectorate.mechanisms.custody.counting.checklist import read_page
from inspectorate.mechanisms.custody.counting.held import check_held
from inspectorate.mechanisms.custody.counting.judge import Asked, Statements, check_draw
from inspectorate.mechanisms.custody.counting.page import Sheet, render_page
from inspectorate.quantities import Period

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")]
PHONE = {"width": 390, "height": 780}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def asked_now(count: Count) -> Asked:
    """The page writes the present: the draw is of today."""
    at = datetime.now(UTC) - timedelta(hours=1)
    handed = count.handed()
    drawn = count.drawn(handed, drawn_at=at, answer_by=at + timedelta(days=1))
    found = check_draw(Statements(register=handed, drawn=drawn, promise=count.promised()), payload=count.payload).asked
    assert found is not None
    return found


def test_a_count_is_read_on_a_phone_and_held_against_the_register(browser: Any, tmp_path: Path) -> None:
    count = Count()
    asked = asked_now(count)
    sheet = tmp_path / "count.html"
    sheet.write_text(render_page(Sheet(asked=asked)), encoding="utf-8")
    page = browser.new_context(viewport=PHONE, accept_downloads=True).new_page()
    reached: list[str] = []
    faults: list[str] = []
    page.on("request", lambda one: reached.append(one.url))
    page.on("pageerror", lambda one: faults.append(str(one)))
    page.on("console", lambda one: faults.append(one.text) if one.type == "error" else None)
    page.goto(sheet.as_uri())
    serials = asked.register.serials.to_pylist()
    for number, unit in enumerate(asked.sample.units[:-1]):
        page.locator("#screen li button").nth(number).click()
        for row in asked.units.rows(unit):
            page.locator("#serial").press_sequentially(serials[row])
            page.keyboard.press("Enter")
        page.locator("#serial").fill("no serial!")
        page.keyboard.press("Enter")
        assert "is no serial" in page.locator(".bad").inner_text()
        page.locator("#serial").fill(serials[asked.units.rows(unit)[0]])
        page.keyboard.press("Enter")
        assert "already" in page.locator(".bad").inner_text()
        page.get_by_role("button", name="All read").click()
    page.locator("#screen li button").nth(len(asked.sample.units) - 1).click()
    page.get_by_role("button", name="Not opened").click()
    page.locator("#reason").fill("no key to the cage")
    page.get_by_role("button", name="It was not opened").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save the file").click()
    saved = tmp_path / "saved.json"
    saving.value.save_as(saved)
    checklist = read_page(saved.read_bytes(), where="saved")
    assert checklist.blind
    period = Period(start=asked.drawn.drawn_at, end=datetime.now(UTC) + timedelta(minutes=1))
    held = check_held(asked, [count.held(asked, checklist, period=period)], payload=count.payload)
    assert held.usable
    assert [one.fault.value for one in held.faults] == ["refused"]
    assert held.counted.seen_missing == 0

    other = browser.new_context(viewport=PHONE).new_page()
    other.goto(sheet.as_uri())
    other.locator("input[type=file]").set_input_files(saved)
    other.wait_for_function("document.getElementById('progress').textContent.startsWith('5 of 5')")
    assert other.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert faults == []
    assert all(one.startswith(("file:", "blob:")) for one in reached)
    blocked = other.evaluate("fetch('http://127.0.0.1:9/').then(() => 'reached', () => 'blocked')")
    assert blocked == "blocked"
