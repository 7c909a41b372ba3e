"""`inspectorate custody`: counts, seals, cameras, places and access, each a command of its own.

    custody count     places that nobody could choose are opened, and serials read
    custody locate    regions from signed round-trip times
    custody access    challenge inspections: ask, log, and judge by quota and clock

`inspectorate register` is the register itself. Exit codes of every command that judges: 0 nothing is wrong, 10 something is
pending, 20 something is wrong, 30 what another party sent cannot be used, 2 wrong use.
"""

from __future__ import annotations

import click

from inspectorate.cli.custody_access import access
from inspectorate.cli.custody_camera import camera
from inspectorate.cli.custody_count import count
from inspectorate.cli.custody_locate import locate
from inspectorate.cli.custody_seal import seal


@click.group()
def custody() -> None:
    """Where chips stand: places that nobody could choose are opened, seals and racks are watched, and inspectors are let in."""


custody.add_command(access)
custody.add_command(camera)
custody.add_command(count)
custody.add_command(locate)
custody.add_command(seal)
