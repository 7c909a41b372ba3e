"""`inspectorate keys`: make a signing key, and show what a reviewer needs to trust it."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import click

from inspectorate.cli.options import json_option, print_json
from inspectorate.errors import InputError
from inspectorate.keys import Role, SigningKey

_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def keys() -> None:
    """Make signing keys and show their public halves."""


@keys.command()
@click.argument("path", type=_file)
@json_option
def new(path: Path, as_json: bool) -> None:
    """Make an Ed25519 key in the new file PATH; print its key id and the start of a trust anchor."""
    if path.exists():
        raise InputError("is there already", where=str(path), remedy="name a new file")
    key = SigningKey(os.urandom(32))
    key.write(path)
    _print(path, key, as_json)


@keys.command()
@click.argument("path", type=_file)
@json_option
def show(path: Path, as_json: bool) -> None:
    """Print the key id and the start of a trust anchor of the key in the file PATH."""
    _print(path, SigningKey.read(path), as_json)


def anchor_yaml(key: SigningKey, name: str) -> str:
    """A trust anchor for the reviewer's file, with the reviewer's own decisions left to be written in."""
    return "\n".join(
        [
            f"  - name: {name}",
            f"    public_key: {base64.b64encode(key.public.raw).decode()}",
            "    holder:       # verifier, prover or joint: who holds the private key",
            f"    roles: []     # of: {', '.join(Role)}",
            "    sensors: []   # with the role sensor: the sensors it may speak for",
            "    valid_from:   # 2026-11-24T00:00:00Z",
            "    valid_until:",
        ]
    )


def _print(path: Path, key: SigningKey, as_json: bool) -> None:
    public = base64.b64encode(key.public.raw).decode()
    if as_json:
        print_json({"key": str(path), "key_id": key.key_id, "public_key": public})
        return
    click.echo(f"key id {key.key_id}\n\nFor the reviewer's trust anchors, under `anchors:`\n")
    click.echo(anchor_yaml(key, path.stem))
