"""From photographs to statements and back: apply, compare, check, verify, on the command line as an inspector uses it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from seals_cases import KEYS, anchors, clear, references, taken, told

from inspectorate.cli.custody_seal import seal
from inspectorate.errors import InspectorateError
from inspectorate.mechanisms.custody.seals.acts import Marked
from inspectorate.mechanisms.custody.seals.page import render_page

NAMES = ("same", "part replaced")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, a key and anchors, in which a seal was applied."""
    folder = tmp_path_factory.mktemp("seals")
    (folder / "ref.jpg").write_bytes(references()[0])
    for name in NAMES:
        (folder / f"{name}.jpg").write_bytes(taken(name))
    KEYS["ines"].write(folder / "ines.pem")
    (folder / "anchors.yaml").write_text(json.dumps(anchors().model_dump(mode="json")))
    applied = run(
        folder,
        "apply",
        "ref.jpg",
        "--seal",
        "s-1",
        "--site",
        "site-1",
        "--place",
        "rack-1",
        "--keep",
        "kept",
        "--mirrors",
    )
    assert applied.exit_code == 0, applied.output
    return folder


def run(folder: Path, command: str, *arguments: str, signing: bool = True):  # type: ignore[no-untyped-def]
    paths = {"--keep", "--kept", "--new", "--html", "--out"}
    given: list[str] = []
    for k, one in enumerate(arguments):
        is_path = one.endswith(".jpg") or (k and arguments[k - 1] in paths) or one == "out"
        given.append(str(folder / one) if is_path else one)
    if signing:
        given += ["--as", "ines", "--key", str(folder / "ines.pem"), "--anchors", str(folder / "anchors.yaml")]
        given += ["--out", str(folder / "out"), "--origin", "simulated", "--json"]
    return CliRunner().invoke(seal, [command, *given])


def check(folder: Path, name: str, decision: str, *more: str):  # type: ignore[no-untyped-def]
    return run(
        folder, "check", "--applied", "s-1", "--kept", "kept", "--new", f"{name}.jpg", "--decision", decision, *more
    )


def test_a_seal_is_applied_checked_and_compared_again_by_somebody_else(place: Path) -> None:
    intact = check(place, "same", "intact", "--html", "page.html")
    assert intact.exit_code == 0, intact.output
    said = json.loads(intact.output)
    assert said["comparison"]["log_likelihood_ratio"] > 1
    assert said["comparison"]["points_to"] == "same seal"
    assert (place / "page.html").read_text().startswith("<!doctype html>")
    arguments = [
        "verify",
        str(place / "out"),
        "--kept",
        str(place / "kept"),
        "--anchors",
        str(place / "anchors.yaml"),
        "--json",
    ]
    again = CliRunner().invoke(seal, arguments)
    assert again.exit_code == 0, again.output
    assert [one["agrees"] for one in json.loads(again.output)["checks"]] == [True]
    strange = place / "out" / "statements" / f"{'0' * 64}.json"
    strange.write_text("{}")
    less = CliRunner().invoke(seal, arguments[:-1])
    assert less.exit_code == 10
    assert "set aside" in less.output
    strange.unlink()


def test_photographs_that_are_not_there_leave_a_check_unverified_and_no_check_is_an_error(
    place: Path, tmp_path: Path
) -> None:
    assert check(place, "same", "unclear", "--by-eye").exit_code == 10
    arguments = [
        "verify",
        str(place / "out"),
        "--kept",
        str(tmp_path),
        "--anchors",
        str(place / "anchors.yaml"),
        "--json",
    ]
    empty = CliRunner().invoke(seal, arguments)
    assert empty.exit_code == 10
    assert all(one["agrees"] is None and one["why"] for one in json.loads(empty.output)["checks"])


def test_an_unknown_seal_and_a_broken_photograph_are_named(place: Path) -> None:
    (place / "broken.jpg").write_bytes(taken("same")[:300])
    assert "applications are 's-2'" in str(run(place, "check", "--applied", "s-2", "--kept", "kept", "--new", "same.jpg",
                                               "--decision", "intact").exception)  # fmt: skip
    broken = run(place, "check", "--applied", "s-1", "--kept", "kept", "--new", "broken.jpg", "--decision", "intact")
    assert "broken" in str(broken.exception) or "header" in str(broken.exception)


def test_the_page_fetches_nothing_and_marks_what_is_unlike() -> None:

    one = told()
    photos = (one.photos[0], replace(one.photos[1], where='door "7" <b>'))
    page = render_page(replace(one, photos=photos), title="Seal <s-1>")
    assert "default-src 'none'" in page.replace("&#x27;", "'")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:image/jpeg;base64,)""", page)
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttp", page)
    assert "<b>" not in page
    assert "<s-1>" not in page
    assert "part-unlike" in page
    assert page.count("data:image/jpeg") == 10
    assert "rendered pictures, not photographs" in page
    assert f"{clear('part replaced').measures.alike:.3f}" in page


@pytest.mark.parametrize(
    "corners",
    [
        [(0.2, 0.2), (0.2, 0.8), (0.8, 0.8), (0.8, 0.2)],
        [(0.2, 0.2), (0.8, 0.8), (0.8, 0.2), (0.2, 0.8)],
        [(0.5, 0.5)] * 4,
    ],
    ids=["counter-clockwise", "crossed", "a point"],
)
def test_corners_that_are_no_outline_are_refused(corners: list[tuple[float, float]]) -> None:
    marked = Marked.model_validate({"corners": [{"x": x, "y": y} for x, y in corners], "mirrors": False})
    with pytest.raises(Exception, match="no outline"):
        marked.outline((800, 600))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("part,seal\n", "other columns"),
        ("ROW\nlearnt,s1,a,calm,same,ref.jpg,new.jpg\n", "line 2"),
        ("ROW\nsome,s1,a,calm,same,ref.jpg,new.jpg,\n", "line 2"),
        ("ROW\nlearnt,s1,a,calm,same,../ref.jpg,new.jpg,\n", "does not lie beside the table"),
        ("ROW\nlearnt,s1,a,calm,same,ref.jpg,new.jpg,\n", "ref.jpg"),
        ("ROW\n", "photograph at least 8 seals"),
    ],
)
def test_a_table_that_cannot_be_calibrated_on_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text(text.replace("ROW", "part,seal,camera,condition,truth,references,new,second"))
    found = CliRunner().invoke(seal, ["calibrate", str(table), "--out", str(tmp_path / "made.json")])
    assert isinstance(found.exception, InspectorateError), (found.output, found.exception)
    assert words in f"{found.exception} {found.exception.where} {found.exception.remedy}"
    assert not (tmp_path / "made.json").exists()
