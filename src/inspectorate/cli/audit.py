"""`inspectorate audit`: what an inspector reads and counts at a site. One file per command, each loaded when it is used."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "code": "audit_code",
    "code-diff": "audit_code",
    "code-decide": "audit_code_decide",
    "code-run": "audit_code",
    "flop": "audit_flop",
    "inference": "audit_inference",
}
"""Command -> module of this package that holds it under that name, with `_` for `-`."""


class Commands(click.Group):
    """A group whose commands are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"inspectorate.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Commands)
def audit() -> None:
    """Read declared code, account for FLOP, check what was served."""
