"""What several commands share: option types, the clock, and how results are written out."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from inspectorate.canonical import Identifier
from inspectorate.errors import InputError
from inspectorate.files import cannot_write, replace_file


class FiniteRange(click.FloatRange):
    """A number within bounds. `nan` is refused, which lies outside of no bounds, and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value} is not a finite number", param, ctx)
        return found


class Name(click.ParamType[str]):
    """A name as statements have them: letters, digits, and `. _ -` between them."""

    name = "text"
    _adapter: TypeAdapter[str] = TypeAdapter(Identifier)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            self.fail(
                f"{value!r} is no name: up to 128 letters, digits, '.', '_' and '-', the first a letter or digit",
                param,
                ctx,
            )


NAME = Name()
_JOINERS = "\u200c\u200d"
"""They join letters or keep them apart; Persian and scripts of India cannot be read without."""
HOURS_MAX = 24.0 * 366
"""Of any time that is allowed for an answer: within a year."""
EXISTING = click.Path(exists=True, path_type=Path)
EXISTING_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_PATH = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
anchors_option = click.option(
    "--anchors", "anchors_path", type=EXISTING_FILE, required=True, help="The reviewer's trust anchors (YAML)."
)


def now() -> datetime:
    """The one reading of the clock of a command."""
    return datetime.now(UTC)


def parse_time(text: str | None) -> datetime:
    """A time from the command line; the present if none is given. Raises `InputError`, also beyond the years that a `Time` has."""
    if text is None:
        return now()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a time", remedy="write 2026-11-24 or 2026-11-24T12:00:00Z") from None
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    if 1970 < time.year < 2200 and (in_utc := time.astimezone(UTC)).year in range(1971, 2200):
        return in_utc
    raise InputError(f"{text!r} is not a time between the years 1971 and 2199", remedy="write 2026-11-24")


def print_json(value: Mapping[str, object] | list[object]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_text(path: Path, text: str | bytes) -> None:
    """Write a result file, whole or not at all. A link is followed. Raises `EnvironmentError_`."""
    _make_folder(path)
    replace_file(path.resolve() if path.is_symlink() else path, text.encode() if isinstance(text, str) else text)


def is_terminal() -> bool:
    """Whether results are read on a terminal."""
    return sys.stdout.isatty()


def write_private(path: Path, data: bytes) -> None:
    """Write a result file that only its owner can read, in place of whatever is there. Raises `EnvironmentError_`."""
    _make_folder(path)
    replace_file(path, data, mode=0o600)


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise cannot_write(path, fault) from None


def printable(text: str) -> str:
    """Words from outside on a terminal: no control characters, and no line that could be taken for one of ours."""
    lines = ["".join(one if one.isprintable() or one in _JOINERS else f"\\u{ord(one):04x}" for one in line)
             for line in text.splitlines()]  # fmt: skip
    return "\n    | ".join(lines)
