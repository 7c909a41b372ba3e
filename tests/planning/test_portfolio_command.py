"""`inspectorate plan portfolio` as a user meets it: text, JSON, the page, and what it refuses."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.assessment import Exhibit, ExhibitKind
from inspectorate.cli.plan_portfolio import portfolio
from inspectorate.errors import InputError
from inspectorate.planning.portfolio.catalogue import shipped_catalogue_bytes
from inspectorate.report.portfolio_facts import PortfolioFacts
from inspectorate.report.portfolio_page import render_portfolio

FLEET = """
id: two
clusters:
  - {id: one, h100_equivalents: 5000, use: inference, pods: 8}
  - {id: other, h100_equivalents: 3000, use: training}
"""
START = ("--start", "2026-01-01")


def run(*words: str) -> Result:
    return CliRunner().invoke(portfolio, [*words], catch_exceptions=False)


@pytest.fixture
def fleet(tmp_path: Path) -> str:
    path = tmp_path / "fleet.yaml"
    path.write_text(FLEET, "utf-8")
    return str(path)


def test_a_plan_says_what_it_rests_on(fleet: str) -> None:
    result = run(*START, "--fleet", fleet, "--bound", "2e25", "--refuse", "code")
    assert result.exit_code == 0
    assert "The cheapest plan" in result.output
    assert "If nothing were struck out, refused" in result.output
    assert "assumed" in result.output
    assert "no verdict" in result.output
    assert "does NOT hold" in result.output, "with pessimistic figures"


def test_no_plan_is_an_answer_with_its_cause(fleet: str) -> None:
    result = run(*START, "--fleet", fleet, "--bound", "1e24", "--keep-running", "--without", "flexheg")
    assert result.exit_code == 0
    assert "There is no plan" in result.output
    assert re.search(r"clusters go on working.*yes: it is a cause", result.output)


def test_json_holds_the_plan_and_its_exhibits(fleet: str) -> None:
    result = run(*START, "--fleet", fleet, "--bound", "1e25", "--json", "--together", "2")
    told = json.loads(result.stdout)
    assert told["plan"]["clusters"][0]["mechanisms"]
    exhibits = {one["id"]: Exhibit.model_validate(one) for one in told["exhibits"]}
    assert {"portfolio-clusters", "portfolio-runs", "portfolio-subgoals", "portfolio-catalogue"} <= exhibits.keys()


def test_the_example_compares_the_drawing_with_the_cheapest() -> None:
    told = json.loads(run("example", "figure-1", "--json").stdout)
    drawn, best = told["drawn"], told["cheapest"]
    assert best["cost"][1] < drawn["cost"][1]
    assert best["runs"][0]["flop"][1] <= drawn["runs"][0]["flop"][1] * (1 + 1e-9)
    claims = [one["claim"] for one in drawn["clusters"]]
    assert (claims.count("excluded"), claims.count("no-training"), claims.count("small-training")) == (2, 8, 2)
    total = drawn["verified_chip_hours"] + drawn["unverified_chip_hours"]
    assert total == pytest.approx(24_000 * 8_766)


def test_the_catalogue_is_printed_as_it_stands() -> None:
    assert run("catalogue", "--yaml").stdout.encode() == shipped_catalogue_bytes()
    assert "people: carries no figure" in run("catalogue").output


def test_the_page_stands_alone_and_escapes() -> None:
    columns = ("years", "date", "access_level", "access", "run_flop", "cost_usd_per_year")
    rows = tuple(
        (float(year), "2026", float(level), "<b>", 10.0 ** (26 - year - level) if year else None, 1e6)
        for year in (0, 1)
        for level in (0, 1)
    )
    frontier = Exhibit(id="portfolio-frontier", title="frontier", kind=ExhibitKind.TABLE, columns=columns, rows=rows)
    facts = PortfolioFacts(
        title="<script>", question=("q",), outcome="o", currency="USD", required_flop=1e25, case="central"
    )
    page = render_portfolio(facts, (frontier,))
    assert "<script" not in page
    assert "default-src 'none'" in html.unescape(page)
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<svg") == 2
    assert page == render_portfolio(facts, (frontier,))


@pytest.mark.parametrize(
    "words",
    [
        ("--bound", "1e25", "--threshold", "strict-training"), ("--date", "2020-01-01"), ("--fleet", "no-such-file.yaml"),
        ("--without", "nothing"), ("--agreement", "nothing"), ("--delay", "flexheg=1", "--delay", "flexheg=2"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(InputError):
        run(*START, *words)


@pytest.mark.parametrize(
    "words", [("--delay", "x"), ("--cap", "code=-1"), ("--progress", "0.1"), ("--failures", "7"), ("--bound", "nan")]
)
def test_wrong_use_is_refused(words: tuple[str, ...]) -> None:
    assert run(*START, *words).exit_code == 2
