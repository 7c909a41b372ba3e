"""Witnesses of a log, as commands name them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from inspectorate.errors import InputError
from inspectorate.ledger import Log, VerifierKey, WitnessAddress, cosigned_checkpoint

witness_option = click.option(
    "--witness", "witnesses", multiple=True, metavar="VKEY@URL", help="Ask this witness for a cosignature."
)


def witness_addresses(texts: Iterable[str]) -> list[WitnessAddress]:
    """`VKEY@URL` each, split at the last @ before the scheme. Raises `InputError`."""
    found = []
    for text in texts:
        match = re.fullmatch(r"(.+)@(https?://.+)", text)
        if not match:
            raise InputError("is not VKEY@URL", where=f"--witness {text}")
        found.append(WitnessAddress(url=match[2], key=VerifierKey.parse(match[1], where="--witness")))
    return found


def published(log: Log, witnesses: list[WitnessAddress]) -> bytes:
    """The checkpoint of a log that is open for writing, cosigned and published in it. Raises as `cosigned_checkpoint`."""
    signed = cosigned_checkpoint(log, witnesses)
    log.attach(signed)
    return signed
