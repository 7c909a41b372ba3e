"""The command line as a user meets it: what it prints, where it exits, and that errors never show a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from inspectorate.cli import NOUNS, main

ROOT = Path(__file__).parents[2]
SITE = ROOT / "examples" / "lab-site"
REVIEW = ("review", str(SITE / "site.tar"), "--anchors", str(SITE / "anchors.yaml"), "--as-of", "2026-11-25")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspectorate", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=ROOT,
        check=False,
    )


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs a command in this process, from its first line to its exit: no imports to wait for anew."""

    def run_here(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["inspectorate", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        told = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Done(code, told.out, told.err)

    return run_here


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_has_help(noun: str, here: Callable[..., Done]) -> None:
    done = here(noun, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")


def test_the_program_starts_as_a_process() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("inspectorate, version ")


def test_review_of_the_recorded_site_exits_20_and_writes_a_report(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = run(*REVIEW, "--agreement", "inference-only", "--interval", "60", "--html", str(page))
    assert done.returncode == 20
    assert "INCONSISTENT" in done.stdout
    assert page.read_text().startswith("<!doctype html>")


def test_review_as_json_reads_back(here: Callable[..., Done]) -> None:
    done = here(*REVIEW, "--agreement", "inference-only", "--interval", "60", "--json")
    assert done.returncode == 20
    assert json.loads(done.stdout)["agreement"] == "inference-only"


def test_the_demo_succeeds_and_says_where_its_report_is(tmp_path: Path) -> None:
    done = run("demo", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    report = tmp_path / "report.html"
    assert str(report) in done.stdout
    assert report.exists()
    assert "exits with 20" in done.stdout


def test_a_tampered_bundle_exits_30_with_a_reason_and_no_verdict(tmp_path: Path, here: Callable[..., Done]) -> None:
    data = bytearray((SITE / "site.tar").read_bytes())
    data[len(data) // 2] ^= 1
    copy = tmp_path / "site.tar"
    copy.write_bytes(data)
    done = here("review", str(copy), "--anchors", str(SITE / "anchors.yaml"), "--agreement", "inference-only")
    assert done.returncode == 30
    assert "error:" in done.stderr
    assert done.stdout == ""


def test_an_honest_agreement_date_before_its_terms_is_an_input_error(here: Callable[..., Done]) -> None:
    done = here(*REVIEW[:-1], "2020-01-01", "--agreement", "inference-only")
    assert done.returncode == 2
    assert "no clause" in done.stderr


def bad_uses(tmp_path: Path) -> list[tuple[tuple[str, ...], str]]:
    broken = tmp_path / "broken.yaml"
    broken.write_text("id: [")
    empty = tmp_path / "empty.tar"
    empty.write_bytes(b"")
    anchors = str(SITE / "anchors.yaml")
    return [
        (("review", str(SITE / "site.tar"), "--anchors", str(broken), "--agreement", "inference-only"), "broken.yaml"),
        (("review", str(SITE / "site.tar"), "--anchors", anchors, "--agreement", "no-such"), "no agreement"),
        (("review", str(empty), "--anchors", anchors, "--agreement", "inference-only"), "empty.tar"),
        (("agreement", "check", str(broken)), "broken.yaml"),
        (("bundle", "verify", str(tmp_path), "--anchors", anchors), "manifest.json"),
        (("demo", "--site", str(tmp_path)), "site.tar"),
        (("review",), "Missing argument"),
        (("no-such-noun",), "No such command"),
    ]


def test_wrong_use_is_one_clear_error(tmp_path: Path, here: Callable[..., Done]) -> None:
    for arguments, expected in bad_uses(tmp_path):
        done = here(*arguments)
        assert done.returncode in {2, 30}, arguments
        assert expected in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr, arguments


def test_agreements_are_shown_as_of_a_date(here: Callable[..., Done]) -> None:
    shown = here("agreement", "show", "asi-agreement", "--as-of", "2026-11-25", "--with-proposed", "--json")
    terms = json.loads(shown.stdout)
    cluster = next(clause for clause in terms["clauses"] if clause["id"] == "covered-cluster")
    assert cluster["parameters"]["memory_bytes_max"] == 1280e9
    earlier = json.loads(
        here("agreement", "show", "asi-agreement", "--as-of", "2026-01-01", "--with-proposed", "--json").stdout
    )
    cluster = next(clause for clause in earlier["clauses"] if clause["id"] == "covered-cluster")
    assert "memory_bytes_max" not in cluster["parameters"]
