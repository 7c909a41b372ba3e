"""Numbers on the command line: `nan` lies outside of no bounds, so every bounded number has to refuse it by itself."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from inspectorate.cli import cli
from inspectorate.cli.options import FiniteRange


def commands(of: click.Command, ctx: click.Context) -> Iterator[click.Command]:
    if not isinstance(of, click.Group):
        yield of
        return
    for name in of.list_commands(ctx):
        found = of.get_command(ctx, name)
        assert found is not None
        yield from commands(found, ctx)


def test_no_number_of_any_command_takes_what_is_none() -> None:
    ctx = click.Context(cli)
    every = [
        (option, value)
        for command in commands(cli, ctx)
        for option in command.params
        if isinstance(option.type, click.FloatRange | click.types.FloatParamType)
        for value in ("nan", "inf")
    ]
    assert len(every) > 100
    for option, value in every:
        with pytest.raises(click.BadParameter):
            option.type.convert(value, option, ctx)


def test_a_number_within_bounds_is_taken() -> None:
    assert FiniteRange(0, 1).convert("0.5", None, None) == 0.5
