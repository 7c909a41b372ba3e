"""Commands of a first user with what they cannot use: refused in one line, and nothing done before."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspectorate.cli import cli
from inspectorate.cli.options import parse_time
from inspectorate.declaration import load_declaration
from inspectorate.errors import InputError
from inspectorate.evidence import Origin
from inspectorate.keys import SigningKey
from inspectorate.ledger import MemoryLog
from inspectorate.submission import submit

SITE = Path(__file__).parents[2] / "examples" / "lab-site"
KEY = SigningKey(bytes(range(32)))


@pytest.mark.parametrize(
    "text",
    ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "2200-01-01", "1969-07-20", "2199-12-31T23:00:00-02:00"],
)
def test_a_time_that_no_review_can_hold_is_wrong_use(text: str) -> None:
    with pytest.raises(InputError, match="is not a time between"):
        parse_time(text)


def test_a_time_is_told_in_utc() -> None:
    assert parse_time("2026-11-24T12:00:00+02:00").isoformat() == "2026-11-24T10:00:00+00:00"
    assert parse_time("2026-11-24").isoformat() == "2026-11-24T00:00:00+00:00"


@pytest.mark.parametrize("option", ["--interval", "--inspector-days"])
def test_a_review_takes_numbers_only(option: str) -> None:
    bundle, anchors = str(SITE / "site.tar"), str(SITE / "anchors.yaml")
    result = CliRunner().invoke(cli, ["review", bundle, "--agreement", "x", "--anchors", anchors, option, "nan"])
    assert result.exit_code == 2
    assert "finite" in result.output


def test_names_that_a_user_has_to_write_are_shown_whole() -> None:
    listed = json.loads(CliRunner().invoke(cli, ["agreement", "chips", "--json"]).output)
    shown = CliRunner().invoke(cli, ["agreement", "chips"]).output.split()
    assert {model["id"] for model in listed} <= set(shown)
    assert "no-coordinated-exchange" in CliRunner().invoke(cli, ["agreement", "show", "inference-only"]).output.split()


def test_a_file_that_is_no_key_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(b"\xff\xfe")
    result = CliRunner().invoke(cli, ["keys", "show", str(tmp_path / "key.pem")])
    assert "keys new" in str(result.exception)
    assert "http" not in str(result.exception)


def test_no_declaration_is_logged_for_a_bundle_that_cannot_be_made() -> None:
    log = MemoryLog("test.example/log", KEY)
    declaration = load_declaration(SITE / "declaration.yaml")
    with pytest.raises(InputError, match="is not in the log"):
        submit(
            envelopes=[b"never logged"],
            payloads={},
            declaration=declaration,
            declaration_key=KEY,
            log=log,
            bundle_key=KEY,
            created_at=datetime(2026, 11, 25, tzinfo=UTC) + timedelta(hours=1),
            origin=Origin.RECORDED,
        )
    assert log.size == 0


def test_a_place_where_no_bundle_can_be_written_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    for name in ("out.tar", "file"):
        (tmp_path / name).touch()
    given = {"--spool": "spool", "--ledger": "spool"}
    given |= dict.fromkeys(("--declaration", "--declaration-key", "--ledger-key", "--key"), "file")
    words = [word for option, name in given.items() for word in (option, str(tmp_path / name))]
    for out, problem in (("out.tar", "is there already"), ("nowhere/out.tar", "its folder is not there")):
        result = CliRunner().invoke(cli, ["bundle", "create", str(tmp_path / out), *words])
        assert problem in str(result.exception)
