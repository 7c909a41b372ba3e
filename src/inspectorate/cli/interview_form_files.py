"""Forms, frames, banks and agreements from the command line: what `interview form`, `record` and `answers` read."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.agreement import Agreement, ClauseKind, load_agreement
from inspectorate.errors import InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.interviews.forms import Bank, Form, Frame, read_bank, read_form, read_xlsform, shipped_bank
from inspectorate.mechanisms.interviews.forms.bank import BANK_BYTES_MAX
from inspectorate.mechanisms.interviews.forms.capture import FRAME_BYTES_MAX, read_frame
from inspectorate.mechanisms.interviews.forms.reference import FORM_BYTES_MAX
from inspectorate.mechanisms.interviews.forms.shipped import SHIPPED, shipped_form
from inspectorate.mechanisms.interviews.forms.workbook import WORKBOOK_BYTES_MAX
from inspectorate.mechanisms.interviews.forms.xlsform import SUFFIXES, Read

form_argument = click.argument("form_name", metavar="FORM")
bank_option = click.option(
    "--bank",
    "bank_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Another question bank (YAML).",
)


def form_of(name: str) -> Read:
    """A form: shipped, by name; in its canonical JSON; or an XLSForm, read in a process apart."""
    if name in SHIPPED:
        return Read(form=shipped_form(name), notices=())
    path = Path(name)
    if not path.is_file():
        raise InputError("is no file, and no shipped form", where=name, remedy=f"shipped: {', '.join(SHIPPED)}")
    if path.suffix.lower() in SUFFIXES:
        return read_xlsform(read_plain(path, WORKBOOK_BYTES_MAX), path.name)
    return Read(form=read_form(read_plain(path, FORM_BYTES_MAX), where=name), notices=())


def agreed(name: str) -> Form:
    """A form whose digest can stand in an agreement: shipped or in canonical JSON."""
    if name not in SHIPPED and Path(name).suffix.lower() in SUFFIXES:
        raise InputError("is an XLSForm", where=name, remedy="convert it, and have both parties agree on the digest")
    return form_of(name).form


def frame_of(path: Path, form: Form) -> Frame:
    frame = read_frame(read_plain(path, FRAME_BYTES_MAX), where=str(path))
    if frame.form != form.digest:
        raise InputError("is of another form", where=str(path), remedy=f"it names {frame.form}")
    return frame


def bank_of(path: Path | None) -> Bank:
    return shipped_bank() if path is None else read_bank(read_plain(path, BANK_BYTES_MAX), where=str(path))


def clauses_of(agreement: Agreement) -> dict[ClauseKind, str]:
    """The first clause of each kind."""
    found: dict[ClauseKind, str] = {}
    for clause in agreement.clauses:
        found.setdefault(ClauseKind(clause.parameters.kind), clause.id)
    return found


def kinds_of(agreement_name: str | None) -> frozenset[ClauseKind] | None:
    return None if agreement_name is None else frozenset(clauses_of(load_agreement(agreement_name)))
