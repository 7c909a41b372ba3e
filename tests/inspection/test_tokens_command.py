"""`inspectorate audit inference`: exit codes, text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from tokens_made import model, write_model, write_run

from inspectorate.cli.audit_inference import inference
from inspectorate.errors import InputError
from inspectorate.mechanisms.inspection.tokens import calibrate
from inspectorate.mechanisms.inspection.tokens.exact import own_stack


def test_answers_of_another_model_are_found_and_the_channel_is_printed(tmp_path: Path) -> None:
    declared = write_model(tmp_path / "model")
    run = write_run(tmp_path / "run", None, served_by=model(2))
    about = calibrate.About(id="t", stacks=(own_stack("float32"),), vocabulary=64)
    made = calibrate.calibrate_difr([np.zeros(500)] * 4, about)
    (tmp_path / "tolerance.json").write_bytes(made.canonical_bytes())
    arguments = [
        str(run.folder),
        "--model",
        str(declared),
        "--method",
        "difr",
        "--tolerance",
        str(tmp_path / "tolerance.json"),
    ]
    told = CliRunner().invoke(inference, [*arguments, "--json"])
    found = json.loads(told.output)
    assert told.exit_code == 20
    assert found["results"][0]["outcome"] == "differed"
    assert found["covert_bits_per_token"] > 0


def test_an_honest_run_is_consistent_and_leaves_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None)
    told = CliRunner().invoke(inference, [str(run.folder), "--model", str(write_model(tmp_path / "model"))])
    assert told.exit_code == 0, told.output
    assert "1 matched" in told.output
    assert "exact lets through at most 0 bits a token" in told.output


def test_wrong_use_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", None)
    declared = write_model(tmp_path / "model")
    for more in (["--method", "difr"], ["--packet", "7"]):
        told = CliRunner().invoke(inference, [str(run.folder), "--model", str(declared), *more])
        assert isinstance(told.exception, InputError)
