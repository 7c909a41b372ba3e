"""`inspectorate workloads`: whether what runs is what was approved, and what that judgement is worth."""

from __future__ import annotations

import importlib
import importlib.util

import click

_COMMANDS = {"appraise": "workloads_appraise", "attack": "workloads_attack", "evaluate": "workloads_evaluate"}
"""Command -> module; each is loaded when it is used."""


class _Commands(click.Group):
    """A group whose commands are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, module in _COMMANDS.items() if importlib.util.find_spec(f"inspectorate.cli.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(importlib.import_module(f"inspectorate.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Commands)
def workloads() -> None:
    """Whether what runs is what was approved, and what that judgement is worth."""
