"""Documents are true as far as a machine can tell: links and files exist, and commands are commands of the program."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import click
import pytest

from inspectorate.cli import NOUNS

ROOT = Path(__file__).parents[2]


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text()
    named = set(re.findall(r"^    inspectorate ([a-z]+)", readme, flags=re.MULTILINE))
    assert named >= set(NOUNS) - {"demo", "keys"}


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_of_the_documents_exist(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (document.parent / target).exists(), target
    for target in re.findall(r"`((?:docs|tests|examples|bench|src)/[A-Za-z0-9_./-]+)`", text):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_the_documents_are_commands_of_the_program(document: Path) -> None:
    for line in document.read_text().splitlines():
        found = re.match(r"^    inspectorate ([a-z]+)(?: ([a-z-]+))?", line)
        if found:
            assert found[1] in NOUNS, line
            group = getattr(importlib.import_module(f"inspectorate.cli.{found[1]}"), found[1])
            if isinstance(group, click.Group):
                assert found[2] in group.list_commands(click.Context(group)), line
