"""`inspectorate workloads appraise`: a table on the desk against a closed session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from enrol_making import ANCHORS, START, at, closed, opened, record_all, service, write_spool

from inspectorate.cli import cli
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.telemetry.table import write_table
from inspectorate.quantities import Period


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("appraise")
    opened(folder / "session")
    record_all(folder / "session", folder, loads=(0.45, 0.47, 0.49, 0.51, 0.53, 0.55))
    closed(folder / "session", short=True)
    (folder / "anchors.json").write_text(ANCHORS.model_dump_json())
    (folder / "served.parquet").write_bytes(write_table(service(0.5, start=START, seconds=120, seed=50)))
    (folder / "trained.parquet").write_bytes(write_table(service(1.0, start=START, seconds=120, seed=51, watts=180.0)))
    return folder


def appraise(place: Path, table: str, *more: str) -> Result:
    arguments = ["workloads", "appraise", str(place / "session"), "--telemetry", str(place / table)]
    return CliRunner().invoke(cli, [*arguments, "--anchors", str(place / "anchors.json"), *more])


def told(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_what_was_enrolled_is_close_and_training_is_not(place: Path) -> None:
    served = appraise(place, "served.parquet", "--rate", "20", "--json")
    assert served.exit_code == 0, served.output
    assert all(unit["deviating"] == 0 for unit in told(served)["units"])
    trained = appraise(place, "trained.parquet", "--rate", "20", "--json")
    assert trained.exit_code == 10
    for unit in told(trained)["units"]:
        assert unit["deviating"] > 0
        assert unit["largest"] > told(trained)["threshold"]["distance"]
    assert 0 < told(trained)["hidden_share_max"] <= 1


def test_it_says_when_and_in_what_it_deviates_and_what_could_be_hidden(place: Path) -> None:
    text = appraise(place, "trained.parquet", "--rate", "20").output
    assert "windows deviate, from 2026-03-01 09:0" in text
    assert "power_w" in text
    assert "of an hour could be hidden" in text


def test_an_enrolment_that_is_too_short_for_the_rate_is_not_enough(place: Path) -> None:
    result = appraise(place, "served.parquet")
    assert result.exit_code == 10
    assert "too many for the rate" in result.output


def test_telemetry_of_less_than_a_window_shows_nothing(place: Path) -> None:
    (place / "brief.parquet").write_bytes(write_table(service(0.5, start=START, seconds=5, seed=50)))
    result = appraise(place, "brief.parquet", "--rate", "20", "--json")
    assert [(unit["windows"], unit["largest"]) for unit in told(result)["units"]] == [(0, None), (0, None)]
    assert result.exit_code == 10


def test_later_telemetry_that_could_not_be_compared_is_no_success(place: Path, tmp_path: Path) -> None:
    begun = at(10_000)
    write_spool(tmp_path, service(0.5, start=begun, seconds=20, seed=7), Period(start=begun, end=at(10_020)))
    arguments = ["enrol", "show", str(place / "session"), "--anchors", str(place / "anchors.json")]
    result = CliRunner().invoke(cli, [*arguments, "--telemetry", str(tmp_path)])
    assert "nothing could be compared" in result.output
    assert result.exit_code == 10
    result = CliRunner().invoke(cli, [*arguments, "--start", "2026-03-01"])
    assert isinstance(result.exception, InputError)


def test_wrong_use_names_what_is_wrong(place: Path) -> None:
    assert isinstance(appraise(place, "served.parquet", "--claimed", "other").exception, InputError)
    opened(place / "open")
    arguments = ["workloads", "appraise", str(place / "open"), "--telemetry", str(place / "served.parquet")]
    result = CliRunner().invoke(cli, [*arguments, "--anchors", str(place / "anchors.json")])
    assert isinstance(result.exception, InputError)
    assert "still open" in str(result.exception)
