"""`inspectorate limit` without a gateway: what is refused, and with which exit code."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from click.testing import CliRunner, Result
from enforce_bench import from_seed

from inspectorate.cli.limit import limit
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(limit, [str(one) for one in arguments])


def approve(folder: Path, *options: str) -> Result:
    if not (folder / "key").exists():
        from_seed(1).write(folder / "key")
    fixed = ("--gateway", "g", "--pod", "p", "--as", "alice", "--digest", "sha256:" + "0" * 64, "--bytes", "9")
    out = folder / "approval.json"
    return run("window", "approve", "w1", *fixed, "--seconds", "5", "--key", folder / "key", "--out", out, *options)


def test_a_window_beyond_the_calendar_is_wrong_use(tmp_path: Path) -> None:
    assert approve(tmp_path).exit_code == 0
    fault = approve(tmp_path, "--hours", "1e12").exception
    assert isinstance(fault, InputError)
    assert "--hours" in str(fault)
    assert approve(tmp_path, "--hours", "nan").exit_code == 2


def test_an_approval_is_read_under_a_limit(tmp_path: Path) -> None:
    arguments = ("window", "open", "w1", "--state", tmp_path, "--content", __file__, "--approval")
    for path, why in ((Path("/dev/zero"), "has more than"), (tmp_path / "binary", "is no approval")):
        (tmp_path / "binary").write_bytes(b"\xff\x00")
        fault = run(*arguments, path).exception
        assert isinstance(fault, InputError)
        assert why in str(fault)


def test_a_folder_that_is_no_gateways_is_not_told_to_close(tmp_path: Path) -> None:
    assert isinstance(run("window", "close", "--state", tmp_path).exception, InputError)
    assert not (tmp_path / "close").exists()
    (tmp_path / "status.json").write_text("{}")
    assert isinstance(run("window", "status", "--state", tmp_path).exception, EnvironmentError_)


def test_a_statement_that_is_too_large_is_invalid_evidence(tmp_path: Path) -> None:
    anchor = {
        "name": "gw", "public_key": base64.b64encode(from_seed(1).public.raw).decode(), "holder": "verifier", "roles": ["sensor"],
        "sensors": ["g"], "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    (tmp_path / "anchors.yaml").write_text(json.dumps({"anchors": [anchor]}))
    with (tmp_path / "large").open("wb") as file:
        file.truncate(ENVELOPE_BYTES_MAX + 1)
    done = run(
        "check", "--agreement", "inference-only-enforced", "--statement", tmp_path / "large",
        "--payload", __file__, "--anchors", tmp_path / "anchors.yaml",
    )  # fmt: skip
    assert isinstance(done.exception, EvidenceError)


def test_serving_windows_without_a_folder_for_them_is_wrong_use(tmp_path: Path) -> None:
    done = run("serve", __file__, "--key", __file__, "--out", tmp_path / "spool", "--anchors", __file__)
    assert isinstance(done.exception, InputError)
    assert "--state" in str(done.exception)
