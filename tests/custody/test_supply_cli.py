"""`plan supply` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from inspectorate.cli import cli
from inspectorate.errors import InputError

FIGURES = """kind,designer,chip,owner,start,end,low,median,high,h100_equivalents_each
produced,Nvidia,H100,,2025-01-01,2025-03-31,400,450,500,
sold,Nvidia,H100,China,2025-01-01,2025-03-31,9,12,20,
"""


@pytest.fixture
def figures(tmp_path: Path) -> str:
    path = tmp_path / "figures.csv"
    path.write_text(FIGURES, encoding="utf-8")
    return str(path)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["plan", "supply", *words, "--draws", "1000"])


def test_a_balance_in_words_and_as_json(figures: str, tmp_path: Path) -> None:
    stock = tmp_path / "stock.csv"
    stock.write_text("chip,owner,units\nh100-sxm,,440\nA100,,3\n", encoding="utf-8")
    said = run("--figures", figures, "--declared", str(stock))
    assert said.exit_code == 0, said.output
    assert "declared, and no figure of supply has it: 3 A100" in said.output
    assert "owners-below-designer" in said.output
    facts = json.loads(run("--figures", figures, "--declared", str(stock), "--json").output)
    assert facts["reconciliation"]["chips"][0]["declared"] == 440
    assert {one["id"] for one in facts["exhibits"]} >= {"supply-by-chip", "supply-over-time"}
    of_owner = run("--figures", figures, "--declared-share", "1", "--basis", "sold", "--owner", "China")
    assert "1 figures of what was sold" in of_owner.output


@pytest.mark.parametrize(
    "words",
    [
        (), ("--declared-share", "1", "--owner", "China"), ("--declared-share", "1", "--basis", "sold", "--owner", "Nobody"),
        ("--declared-share", "1", "--losses", "0.3", "0.1", "0.2"), ("--declared-share", "1", "--losses", "0", "0", "2"),
        ("--declared-share", "1", "--until", "2020-01-01"), ("--declared-share", "1", "--chip", "H20"),
    ],
)  # fmt: skip
def test_wrong_use_says_what_to_do(figures: str, words: tuple[str, ...]) -> None:
    found = run("--figures", figures, *words)
    assert isinstance(found.exception, InputError)
    assert found.exception.where
