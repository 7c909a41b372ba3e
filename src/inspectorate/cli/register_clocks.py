"""`inspectorate register clocks`: every clock of an agreement, with what started it, when it is due, and how it stands."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import load_agreement
from inspectorate.cli.options import EXISTING_FILE, json_option, parse_time, print_json
from inspectorate.cli.register_files import BREACH, FOLDER, PENDING
from inspectorate.errors import InputError
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors, read_yaml
from inspectorate.mechanisms.custody.register.clocks import (
    BAD,
    Events,
    Row,
    Standing,
    clock_rows,
    from_statements,
    occurrences_of,
)

EVENTS_BYTES_MAX = 4 * 1024 * 1024
WIDTH = 132


@click.command()
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=FOLDER)
@click.option("--agreement", "agreement_name", default="asi-agreement", show_default=True,
              help="The name of a shipped agreement, or a file (YAML).")  # fmt: skip
@click.option("--entry", help="When the agreement entered into force.")
@click.option("--events", "events_path", type=EXISTING_FILE, help="What no statement shows (YAML).")
@click.option(
    "--anchors", "anchors_path", type=EXISTING_FILE, help="With folders: the reviewer's trust anchors (YAML)."
)
@click.option("--as-of", help="Deadlines as of this time; the present by default.")
@click.option("--open", "open_only", is_flag=True, help="Leave out what was done in time.")
@json_option
def clocks(**options: Any) -> None:
    """Deadlines for any date. Registers, transfers and challenge inspections are taken from the FOLDERs of those who stated them.

    --events names entry_into_force, occurrences (clock, started_at, done_at, about) and clusters (id, h100_equivalents,
    consolidated_at). Exits 20 where something is overdue or was done too late or too early, 10 where a clock runs.
    """
    agreement, as_of = load_agreement(options["agreement_name"]), parse_time(options["as_of"])
    events = _events(options["events_path"])
    if options["entry"] is not None:
        if events.entry_into_force is not None:
            raise InputError("is in the file of events, too", where="--entry")
        events = events.model_copy(update={"entry_into_force": parse_time(options["entry"])})
    happened = list(occurrences_of(agreement, events))
    if options["folders"]:
        if options["anchors_path"] is None:
            raise InputError("is needed with folders of statements", where="--anchors")
        anchors = TrustAnchors.read(options["anchors_path"])
        statements = [one for path in options["folders"] for one in Exchange(path, anchors=anchors).statements]
        stated = from_statements(list({one.digest: one for one in statements}.values()), events.entry_into_force, as_of)
        named = {one.clock for one in stated}
        happened = [one for one in happened if one.clock not in named or one.about is not None] + list(stated)
    rows = clock_rows(agreement, happened, as_of)
    if options["open_only"]:
        rows = tuple(row for row in rows if row.standing is not Standing.DONE)
    if options["as_json"]:
        print_json({"agreement": agreement.id, "as_of": as_of.isoformat(), "clocks": [_facts(row) for row in rows]})
    else:
        Console(width=WIDTH, highlight=False).print(_table(rows, as_of))
    bad = any(row.standing in BAD for row in rows)
    running = any(row.standing is Standing.RUNNING for row in rows)
    raise click.exceptions.Exit(BREACH if bad else PENDING if running else 0)


def _events(path: Path | None) -> Events:
    if path is None:
        return Events()
    return Events.parse(read_yaml(path, bytes_max=EVENTS_BYTES_MAX) or {}, where=str(path), error=InputError)


def _facts(row: Row) -> dict[str, object]:
    return {
        "clock": row.clock, "event": row.event, "duty": row.duty, "about": row.about, "standing": row.standing.value,
        "started": _iso(row.started), "due": _iso(row.due), "done": _iso(row.done), "days_left": row.days_left,
    }  # fmt: skip


def _iso(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _table(rows: tuple[Row, ...], as_of: datetime) -> Table:
    table = Table(title=f"as of {as_of:%Y-%m-%d %H:%M:%S} UTC", title_justify="left")
    for name in ("clock", "of", "started", "due", "done", "left", "standing"):
        table.add_column(name, justify="right" if name == "left" else "left", overflow="fold")
    for row in rows:
        left = "" if row.left is None else f"{row.days_left:+.2f} d"
        times = ["" if time is None else f"{time:%Y-%m-%d %H:%M:%S}" for time in (row.started, row.due, row.done)]
        table.add_row(row.clock, row.about, *times, left, row.standing.value)
    return table
