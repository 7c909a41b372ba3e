"""A count from the command line, each side with its folder: promise, register, draw, paper, hold, verify, show, plan."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from counting_cases import INSPECTOR, PROVER, register

from inspectorate.cli import cli
from inspectorate.mechanisms.custody.register import write_register

FLEET = register()


class Folders:
    """Keys, anchors and a folder for each side."""

    def __init__(self, root: Path) -> None:
        self.root = root
        PROVER.write(root / "prover.pem")
        INSPECTOR.write(root / "ada.pem")
        (root / "register.parquet").write_bytes(write_register(FLEET))
        anchors = []
        for name, key, holder, role in (
            ("operator", PROVER, "prover", "sensor"),
            ("ada", INSPECTOR, "verifier", "inspector"),
        ):
            sensors = ", sensors: [register-a]" if role == "sensor" else ""
            anchors.append(
                f"  - {{name: {name}, public_key: '{base64.b64encode(key.public.raw).decode()}', holder: {holder}, roles: [{role}]"
                f"{sensors}, valid_from: 2020-01-01T00:00:00Z, valid_until: 2190-01-01T00:00:00Z}}"
            )
        (root / "anchors.yaml").write_text("anchors:\n" + "\n".join(anchors) + "\n")

    def run(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(cli, [word.replace("@", f"{self.root}/") for word in words], standalone_mode=True)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def signed(self, side: str) -> tuple[str, ...]:
        key = "ada" if side == "verifier" else "prover"
        return ("--out", f"@{side}", "--key", f"@{key}.pem", "--anchors", "@anchors.yaml", "--json")

    def count(self, *words: str, code: int = 0) -> dict[str, object]:
        return json.loads(self.run("custody", "count", *words, code=code).stdout)

    def hand(self) -> None:
        start = (datetime.now(UTC) - timedelta(days=1)).isoformat()
        self.run("register", "hand", "@register.parquet", "--chain", "chain-1", "--reporter", "register-a", "--since", start,
                 "--unwired", "--promises", "@verifier", *self.signed("prover"))  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def drawn(folders: Folders) -> dict[str, object]:
    folders.count("promise", "--reporter", "register-a", "--site", "north=3", "--site", "south=2", "--as", "ada", "--keep",
                  "@secret", *folders.signed("verifier"))  # fmt: skip
    folders.hand()
    return folders.count("draw", "--from", "@prover", "--as", "ada", "--keep", "@secret", *folders.signed("verifier"))


def test_a_count_from_promise_to_verdict(folders: Folders) -> None:
    said = drawn(folders)
    assert len(said["drawn"]) == 5
    folders.run("custody", "count", "verify", "@verifier", "@prover", "--anchors", "@anchors.yaml", code=10)
    for more in ((), ("--paper",)):
        words = ("--from", "@prover", "--mine", "@verifier", "--anchors", "@anchors.yaml", "--out", "@sheet", "--json")
        folders.count("page", *words, *more)
    form = (folders.root / "sheet").read_text()
    assert form.count("opened/refused") == 5
    at = datetime.now(UTC).isoformat()
    starts = (0, 4, 8, 16, 18, 24, 32, 40, 43, 51, 56)
    lines = []
    for unit in said["drawn"]:
        lines.append(f"unit {unit} opened {at}")
        lines += FLEET.serials.slice(starts[unit], starts[unit + 1] - starts[unit]).to_pylist()
    gone = lines.pop()
    (folders.root / "typed.txt").write_text("\n".join(lines))
    held = folders.count(
        "hold", "@typed.txt", "--paper", "--from", "@prover", "--as", "ada", *folders.signed("verifier"), code=20
    )
    assert held["chips_seen"] == held["chips_due"] - 1
    judged = folders.count("verify", "@verifier", "@prover", "--anchors", "@anchors.yaml", "--json", code=20)
    (one,) = judged["draws"]
    assert one["fair"]
    assert one["usable"]
    assert one["order_of_times"] == "named"
    assert one["chips_missing_seen"] == 1
    assert 1 <= one["missing_upper"] < 56
    shown = folders.run("custody", "count", "show", "@verifier", "@prover", "--anchors", "@anchors.yaml").stdout
    assert f"missing {gone}" in shown


def test_what_cannot_be_is_said_and_not_done(folders: Folders) -> None:
    wrong = folders.run("custody", "count", "promise", "--reporter", "register-a", "--as", "ada", "--keep", "@s",
                        *folders.signed("verifier"), code=1)  # fmt: skip
    assert "exactly one rule" in str(wrong.exception)
    drawn(folders)
    again = folders.run("custody", "count", "draw", "--from", "@prover", "--as", "ada", "--keep", "@secret",
                        *folders.signed("verifier"), code=1)  # fmt: skip
    assert "second time" in str(again.exception)
    folders.run("custody", "count", "verify", "@prover", "--anchors", "@anchors.yaml", code=1)


def test_plans_of_a_register_and_of_racks(folders: Folders) -> None:
    plan = folders.count("plan", "--register", "@register.parquet", "--missing", "8", "--detection", "0.8", "--json")
    assert plan["units_touched_at_least"] == 1
    assert plan["by_unit"]["detection"] >= 0.8
    assert plan["by_chip"]["missing_upper_if_none"] < 8
    fleet = ("--racks", "north:20x72", "--racks", "far:3x8", "--travel", "far=9", "--share", "0.1")
    assert "fewest inspector-days" in folders.run("custody", "count", "plan", *fleet).stdout
    for words in (
        "--racks 1x1x --missing 1",
        "--racks 2x8 --missing 99",
        "--racks 2x8 --travel x=1 --missing 1",
        "--missing 1",
    ):
        folders.run("custody", "count", "plan", *words.split(), code=1)
