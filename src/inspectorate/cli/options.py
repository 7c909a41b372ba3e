"""What several commands share: option types, the clock, and how results are written out."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from inspectorate.errors import EnvironmentError_, InputError

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
    """A time from the command line; the present if none is given. Raises `InputError`."""
    if text is None:
        return now()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a time", remedy="write 2026-11-24 or 2026-11-24T12:00:00Z") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def print_json(value: Mapping[str, object] | list[object]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_text(path: Path, text: str | bytes) -> None:
    """Write a result file. Raises `EnvironmentError_`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None


def is_terminal() -> bool:
    """Whether results are read on a terminal."""
    return sys.stdout.isatty()
