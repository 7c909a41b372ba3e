"""What the commands of `cases` share: the desk of an office, words that come in by a pipe, and how results are written out.

A desk is a folder: `desk.yaml` names the office, its keys and what it works with; `cases/` holds the cases, sealed; `out/` the
signed statements that are ready for a bundle. Words of a source are never taken from the command line, which shells write down:
they come from the report itself, from standard input, or from a file that the caller answers for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import click
import yaml
from pydantic import Field

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.canonical import Identifier, Record, Text, digest_of
from inspectorate.cli.options import json_option, print_json
from inspectorate.declaration import Declaration, load_declaration
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.spool import DiskSpool
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey, parse_yaml, read_yaml
from inspectorate.mechanisms.whistleblowing.cases.acts import Act
from inspectorate.mechanisms.whistleblowing.cases.desk import Desk, Known
from inspectorate.mechanisms.whistleblowing.cases.leads import Signing
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.mechanisms.whistleblowing.sealing.offices import Office, Offices, read_identity
from inspectorate.quantities import Time

DESK_BYTES_MAX = 1 << 16
WORDS_BYTES_MAX = 1 << 20
OUT = "out"
"""The folder of signed statements within a desk, as `bundle create --spool` reads it."""


class DeskFile(Record):
    """`desk.yaml`. Paths are relative to its folder."""

    office: Identifier
    key: Text
    identity: Text
    offices: Text
    others: Text | None = Field(default=None, description="a list of further offices, to which cases may be handed")
    agreement: Text
    declaration: Text | None = None
    origin: Origin = Origin.RECORDED


class OtherOffices(Record):
    """A list of offices that are not those of the intake."""

    offices: tuple[Office, ...] = Field(max_length=64)


@dataclass(frozen=True, kw_only=True)
class AtDesk:
    """An opened desk, and what its file names."""

    folder: Path
    file: DeskFile
    desk: Desk

    def path(self, given: str) -> Path:
        return self.folder / given

    @property
    def agreement(self) -> Agreement:
        here = self.path(self.file.agreement)
        return load_agreement(str(here) if here.is_file() else self.file.agreement)

    def declaration(self, given: Path | None) -> Declaration:
        """The declaration that was given, or that of the desk. Raises `InputError`."""
        if given is None and self.file.declaration is None:
            raise InputError("is needed", where="--declaration", remedy="or name it in desk.yaml")
        return load_declaration(given or self.path(self.file.declaration or ""))

    def signing(self, case: str, at: Time) -> tuple[Signing, CaseState]:
        """How this office signs a statement about a case as it now is."""
        file, state = self.desk.read(case)
        return (
            Signing(
                by=self.desk.office, key=self.desk.key, at=at, commitment=self.desk.commitment(file, state),
                origin=self.file.origin,
            ),
            state,
        )  # fmt: skip

    def keep_statement(self, envelope: bytes) -> str:
        """Write an envelope where `bundle create` finds it; its digest."""
        digest = digest_of(envelope)
        with DiskSpool(self.folder / OUT) as spool:
            spool.put(f"statements/{digest.removeprefix('sha256:')}.json", [envelope])
        return digest


def open_desk(folder: Path) -> AtDesk:
    """The desk in a folder. Raises `InputError`."""
    path = folder / "desk.yaml"
    file = DeskFile.parse(read_yaml(path, bytes_max=DESK_BYTES_MAX), where=str(path), error=InputError)
    others: tuple[Office, ...] = ()
    if file.others is not None:
        place = folder / file.others
        read = OtherOffices.parse(read_yaml(place, bytes_max=DESK_BYTES_MAX), where=str(place), error=InputError)
        others = read.offices
    try:
        known = Known(offices=Offices.read(folder / file.offices), others=others)
    except ValueError as fault:
        raise InputError(str(fault), where=str(path)) from None
    desk = Desk(
        folder / "cases", office=file.office, key=SigningKey.read(folder / file.key),
        identity=read_identity(folder / file.identity), known=known,
    )  # fmt: skip
    return AtDesk(folder=folder, file=file, desk=desk)


def write_desk(folder: Path, file: DeskFile) -> None:
    """Make a desk. Refuses to overwrite. Raises `EnvironmentError_`."""
    text = yaml.safe_dump(file.model_dump(mode="json", exclude_none=True), sort_keys=False)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "desk.yaml", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be made: {fault.strerror}", where=str(folder / "desk.yaml")) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)


desk_option = click.option(
    "--desk", "desk_folder", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True,
    envvar="INSPECTORATE_DESK", help="The office's desk, as `cases init` made it (or INSPECTORATE_DESK).",
)  # fmt: skip
case_argument = click.argument("case")


def on_case(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command about one case."""
    for option in (json_option, desk_option, case_argument):
        command = option(command)
    return command


def on_desk(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command about all cases."""
    for option in (json_option, desk_option):
        command = option(command)
    return command


def words_from(given: str, where: str) -> str:
    """Text from standard input (`-`) or from a file. Raises `InputError`."""
    try:
        stdin = given == "-"
        data = sys.stdin.buffer.read(WORDS_BYTES_MAX + 1) if stdin else read_bounded(Path(given), WORDS_BYTES_MAX)
        text = data.decode()
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", where=where) from None
    if len(data) > WORDS_BYTES_MAX:
        raise InputError(f"has more than {WORDS_BYTES_MAX} bytes", where=where)
    if not text.strip():
        raise InputError("is empty", where=where, remedy="pipe the text in, or name a file")
    return text.strip()


def yaml_from(given: str, where: str) -> dict[str, Any]:
    """A YAML mapping from standard input or a file. Raises `InputError`."""
    value = parse_yaml(words_from(given, where).encode(), where=where, bytes_max=WORDS_BYTES_MAX)
    if not isinstance(value, dict):
        raise InputError("is no mapping", where=where)
    return value


def done(as_json: bool, facts: Mapping[str, object], lines: Sequence[str]) -> None:
    """A result for a program or for a person."""
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(lines))


def when(time: Time) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def acted(at_desk: AtDesk, state: CaseState, act: Act, as_json: bool, *, lines: Sequence[str]) -> None:
    """What was done, by this office, to a case."""
    facts = {
        "case": state.case, "standing": state.standing.value, "by": at_desk.desk.office,
        "did": act.model_dump(mode="json", exclude_none=True),
    }  # fmt: skip
    done(as_json, facts, lines)
