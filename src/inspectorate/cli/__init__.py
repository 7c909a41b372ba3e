"""The command line: the only place that prints, and the only one that ends the process.

One file per noun, each loaded when it is used, so that a collector does not pay for plots. Exit codes: 0 consistent,
10 inconclusive or not observed, 20 inconsistent, 30 invalid evidence, 2 wrong use. Every command that prints a result
takes `--json`.
"""

from __future__ import annotations

import importlib
import sys

import click
from rich.console import Console
from rich.markup import escape

from inspectorate import __version__
from inspectorate.errors import InspectorateError

NOUNS = (
    "agreement",
    "audit",
    "bundle",
    "cases",
    "collect",
    "counters",
    "custody",
    "demo",
    "enrol",
    "guard",
    "intake",
    "interview",
    "keys",
    "lab",
    "ledger",
    "licence",
    "limit",
    "plan",
    "register",
    "replay",
    "review",
    "room",
    "ruleset",
    "synchrony",
    "telemetry",
    "topology",
    "workloads",
    "worlds",
)
"""Each is a command or group of that name in the module of that name."""


class Nouns(click.Group):
    """A group whose commands are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in NOUNS:
            return None
        command = getattr(importlib.import_module(f"inspectorate.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="inspectorate")
def cli() -> None:
    """Check that an agreement on AI development is being kept.

    The answer is a number: the largest training run that could have been hidden, and whether the agreement allows it.
    """


def main() -> None:
    """Run the command line; errors of ours become one line on standard error and an exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except click.ClickException as fault:
        fault.show()
        code = 2
    except click.Abort:
        code = 130
    except InspectorateError as fault:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]error[/]: {escape(str(fault))}")
        code = fault.exit_code
    except BrokenPipeError:
        code = 141
    sys.exit(code if isinstance(code, int) else 0)
