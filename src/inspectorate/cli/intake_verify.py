"""`inspectorate intake verify` and `delete`: receipts and batches against the log, and when a host may delete."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.intake_offices import card_option, expected_of, log_entries, log_option
from inspectorate.cli.options import EXISTING_FILE, HOURS_MAX, FiniteRange, anchors_option, json_option, now
from inspectorate.cli.replay_files import print_result
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntakeCollected
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.subjects import subject_digest
from inspectorate.files import make_durable
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.closing import entries_of
from inspectorate.mechanisms.whistleblowing.intake.collecting import (
    LIST_BYTES_MAX,
    Expected,
    blocks_there,
    check_log,
    check_receipt,
    own_log,
)
from inspectorate.mechanisms.whistleblowing.intake.receipts import RECEIPT_CHARS_MAX, Receipt
from inspectorate.mechanisms.whistleblowing.intake.volume import CLOSED, Paths, read_offices, read_settings

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_folder)
@click.option("--receipt", type=EXISTING_FILE, help="A receipt; without it, all batches in FOLDER are checked.")
@card_option
@log_option
@click.option("--grace-hours", type=FiniteRange(0, HOURS_MAX), default=24.0, show_default=True,
              help="How long after its time a batch may still be logged.")  # fmt: skip
@anchors_option
@json_option
def verify(**options: Any) -> None:
    """Hold a receipt, or whole batches, against the log. FOLDER has closings and lists: `closed`, or what was collected.

    Exits 20 where a receipt names a block that the log does not: that is proof against the host. 10 where its batch is
    not closed yet. Without a receipt, 20 where a batch of the log, or a block of it, is not there or was damaged.
    """
    card = Card.read(options["card_path"])
    anchors = TrustAnchors.read(options["anchors_path"])
    expected = expected_of(card, entries_of(card.intake, log_entries(options["log"], anchors)))
    check_log(expected.log)
    if options["receipt"]:
        _receipt(options, expected)
    else:
        _batches(options, expected)


def _receipt(options: dict[str, Any], expected: Expected) -> None:
    path: Path = options["receipt"]
    text = read_plain(path, RECEIPT_CHARS_MAX).decode("ascii", errors="replace")
    given = Receipt.of(text, where=str(path)).given(expected.key, where=str(path))
    grace = timedelta(hours=options["grace_hours"])
    checked = check_receipt(given, options["folder"], expected, now=now(), grace=grace)
    state = "absent" if checked.absent else "waiting" if checked.waiting else "held"
    print_result(
        options["as_json"],
        {"receipt": state, "blocks": checked.blocks, "absent": checked.absent, "waiting": checked.waiting},
        [*checked.absent, "this receipt is proof against the host"] if checked.absent
        else [f"batch {one} is not closed yet" for one in checked.waiting]
        or [f"all {checked.blocks} blocks of the report are in the log"],
    )  # fmt: skip
    if state != "held":
        raise click.exceptions.Exit(20 if checked.absent else 10)


def _batches(options: dict[str, Any], expected: Expected) -> None:
    folder: Path = options["folder"]
    found = own_log(folder)
    if not found:
        raise InputError("holds no closing", where=str(folder))
    rows: list[dict[str, int | None]] = []
    for batch in sorted(found):
        closing, there = blocks_there(folder, batch, expected)
        rows.append({"batch": batch, "blocks": closing.blocks, "there": there, "damaged": closing.damaged})
    gone = sorted(set(expected.log) - set(found))
    rows += [{"batch": batch, "blocks": None, "there": 0, "damaged": None} for batch in gone]
    lines = [
        f"batch {one['batch']}: in the log, and nothing of it is here" if one["blocks"] is None
        else f"batch {one['batch']}: {one['there']} of {one['blocks']} blocks, {one['damaged']} damaged"
        for one in rows
    ]  # fmt: skip
    print_result(options["as_json"], {"batches": rows}, lines)
    if any(one["there"] != one["blocks"] or one["damaged"] for one in rows):
        raise click.exceptions.Exit(20)


@click.command()
@click.argument("folder", type=_folder)
@click.option("--batch", type=click.IntRange(min=1), required=True)
@click.option("--statements", type=_folder, multiple=True, required=True,
              help="What an office stated (the --out folder of `collect`); once for each office.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Only if every office has it; by default a quorum.")
@anchors_option
@json_option
def delete(**options: Any) -> None:
    """Delete the blocks of a batch from the intake FOLDER, after enough offices signed that they have all of it.

    Its closing and its commitments stay. What is deleted on a disk may be found again: it is as sealed as before.
    """
    folder: Path = options["folder"]
    intake, offices = read_settings(folder).intake, read_offices(folder)
    paths = Paths(folder / CLOSED, options["batch"])
    listed = digest_of(read_plain(paths.commitments, LIST_BYTES_MAX))
    anchors = TrustAnchors.read(options["anchors_path"])
    having = set()
    for place in options["statements"]:
        for one, said in Exchange(place, anchors=anchors).of(IntakeCollected):
            same = (said.intake, said.batch, said.missing) == (intake, options["batch"], 0)
            if same and said.by in offices.names and subject_digest(one, "commitments") == listed:
                having.add(said.by)
    needed = len(offices.offices) if options["every"] else offices.quorum
    if len(having) < needed:
        raise EvidenceError(
            f"{len(having)} offices signed that they have all of batch {options['batch']}, and it takes {needed}",
            where=str(folder), remedy="keep it until they have collected it",
        )  # fmt: skip
    if not paths.blocks.exists():
        raise InputError("is deleted already", where=str(paths.blocks))
    paths.blocks.unlink()
    make_durable(paths.folder)
    print_result(
        options["as_json"], {"deleted": str(paths.blocks), "held_by": sorted(having)},
        [f"deleted {paths.blocks.name}; held by {', '.join(sorted(having))}"],
    )  # fmt: skip
