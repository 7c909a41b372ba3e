"""`inspectorate guard outlet`: the table of what leaves, for rulesets signed and not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import ruleset_making
from click.testing import CliRunner

from inspectorate.cli.guard_outlet import outlet
from inspectorate.errors import InspectorateError
from inspectorate.mechanisms.guarantee.outlet.budget import PUBLIC, bits_per_day, bits_per_report
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint


def run(*arguments: str) -> str:
    done = CliRunner().invoke(outlet, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def ruleset(tmp_path: Path) -> Path:
    path = tmp_path / "ruleset.json"
    path.write_bytes(ruleset_making.first().canonical_bytes())
    return path


def test_the_table_names_every_field_and_the_sum(ruleset: Path) -> None:
    text = run(str(ruleset))
    for name in (*PUBLIC, "mode", "held_s", "meter flop", "flop_ledger", "events", "sampled", "recomputed", "differed"):
        assert f"\n{name} " in text
    assert len(PUBLIC) + 7 + 1 == len(Checkpoint.model_fields)
    assert f"at most {bits_per_day(ruleset_making.first()):.0f} bits a day" in text
    assert "not counted" in text


def test_a_signed_ruleset_is_read_as_well(ruleset: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.json"
    signed.write_bytes(ruleset_making.signed(ruleset_making.first(), "ana").to_bytes())
    assert run(str(signed), "--json") == run(str(ruleset), "--json")


def test_json_adds_up(ruleset: Path) -> None:
    value = json.loads(run(str(ruleset), "--json"))
    assert sum(field["bits"] for field in value["fields"]) == pytest.approx(value["bits_per_report"])
    assert value["bits_per_report"] == pytest.approx(bits_per_report(ruleset_making.first()))
    assert value["bits_per_report"] * value["reports_per_day"] == pytest.approx(value["bits_per_day"])
    assert value["bits_per_day"] <= value["bits_per_day_max"]


def test_levels_and_questions(ruleset: Path) -> None:
    assert run(str(ruleset), "--levels").count("\n") == 8
    assert "<- chosen" in run("--levels")
    assert json.loads(run(str(ruleset), "--bits", "1e6", "--json"))["level"] == 0
    assert json.loads(run(str(ruleset), "--every", "86400", "--json"))["level"] == 0


@pytest.mark.parametrize("arguments", [["--bits", "10"], ["--every", "0"]], ids=str)
def test_what_no_outlet_can_keep_is_refused(ruleset: Path, arguments: list[str]) -> None:
    with pytest.raises(InspectorateError):
        run(str(ruleset), *arguments)


@pytest.mark.parametrize("arguments", [["--every", "nan"], ["--bits", "-1"]], ids=str)
def test_what_is_no_period_and_no_budget_is_wrong_use(ruleset: Path, arguments: list[str]) -> None:
    done = CliRunner().invoke(outlet, [str(ruleset), *arguments])
    assert done.exit_code == 2, done.output


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"payloadType": "x"}', b"a: &b [*b]"])
def test_what_is_no_ruleset_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(InspectorateError):
        run(str(path))
