"""Handing orders and signed documents to a running guarantee processor: what `guard`, `ruleset` and `licence` share."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.options import print_json
from inspectorate.errors import InputError
from inspectorate.mechanisms.guarantee.processor.control import Answer, ask

REFUSED = 20
"""Exit code of an order that a processor refused."""

control_option = click.option(
    "--control", "control_path", type=click.Path(path_type=Path), required=True, help="The processor's control socket."
)


def hand_in(control_path: Path, what: str, document: bytes, *, as_json: bool) -> None:
    """Hand a signed document to a running processor, print what it says, and exit 20 if it was refused."""
    told = ask(control_path, do=what, document=document)
    if as_json:
        print_json(told)
    elif "error" not in told:
        _print_refusals(told)
        click.echo(f"{'accepted' if told.get('ok') else 'refused'}; the mode is {told.get('mode')}")
    answered(told)
    if not told.get("ok"):
        raise SystemExit(REFUSED)


def _print_refusals(told: Answer) -> None:
    refusals = told.get("refusals")
    for one in refusals if isinstance(refusals, list) else []:
        click.echo(f"{one['kind']}: {one['why']}")


def answered(told: Answer) -> None:
    """Raises `InputError` on an order that could not be read."""
    if "error" in told:
        raise InputError(str(told["error"]), where="the processor")
