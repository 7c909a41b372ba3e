"""`inspectorate intake collect`, `release`, `open`: what an office does with batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pyrage

from inspectorate.canonical import digest_of
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, anchors_option, json_option, now
from inspectorate.cli.replay_files import Signing, keep_secret, print_result, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntakeCollected
from inspectorate.evidence.act import Act
from inspectorate.evidence.exchange import read_plain
from inspectorate.keys import Role, SigningKey, TrustAnchors
from inspectorate.ledger import Log, Policy
from inspectorate.mechanisms.whistleblowing.cases.opening import in_memory
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.closing import entries_of
from inspectorate.mechanisms.whistleblowing.intake.collecting import (
    Collected,
    Expected,
    check_log,
    collected_batch,
    own_log,
)
from inspectorate.mechanisms.whistleblowing.intake.collecting import collect as collect_batch
from inspectorate.mechanisms.whistleblowing.intake.opening import (
    RELEASE_BYTES_MAX,
    Opening,
    Release,
    make_release,
    open_reports,
    own_shares,
    read_release,
)
from inspectorate.mechanisms.whistleblowing.sealing.files import Sealed
from inspectorate.mechanisms.whistleblowing.sealing.offices import read_identity

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_new_folder = click.Path(file_okay=False, path_type=Path)
card_option = click.option(
    "--card", "card_path", type=EXISTING_FILE, required=True, help="The agreed card of the intake."
)
log_option = click.option("--log", type=_folder, required=True, help="A copy of the log that the intake appends to.")
_identity = click.option("--identity", type=EXISTING_FILE, required=True, help="The office's age identity.")
_batches = click.option("--batch", "batches", type=click.IntRange(min=1), multiple=True, help="May be given again.")
_sealed = click.option(
    "--sealed", "files", type=EXISTING_FILE, multiple=True, help="A report that its source sealed; may be given again."
)


@click.command()
@click.argument("closed", type=_folder)
@click.option("--into", type=_new_folder, required=True, help="The office's folder of batches.")
@card_option
@log_option
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--batch", type=click.IntRange(min=1), help="Only this one; by default all that are not there yet.")
@signing
def collect(**options: Any) -> None:
    """Fetch closed batches from CLOSED (a copy of the intake's folder of that name), hold them against the log, say so.

    Exits 20 where blocks are missing that the log names (the statement says how many, and is signed all the same), or where the
    host lost blocks before the batch closed. What another office has of it is fetched from its folder, with --batch.
    """
    card = Card.read(options["card_path"])
    anchors = TrustAnchors.read(options["anchors_path"])
    _may_state(options, anchors)
    expected = expected_of(card, entries_of(card.intake, log_entries(options["log"], anchors)))
    check_log(expected.log)
    into: Path = options["into"]
    had = own_log(into) if into.is_dir() else {}
    wanted = [options["batch"]] if options["batch"] else [one for one in sorted(expected.log) if one not in had]
    for batch in set(had) & set(expected.log):
        if had[batch] != expected.log[batch]:
            raise EvidenceError(f"the log names another closing of batch {batch} than it did before", where=str(into))
    if not wanted:
        raise InputError(
            "the log names no batch that is not collected", where=str(options["log"]),
            remedy="--batch fetches one again, and states it",
        )  # fmt: skip
    got = [_collect(options, batch, expected) for batch in wanted]
    missing = sum(len(one.missing) for one, _ in got)
    print_result(
        options["as_json"],
        {
            "batches": [
                {
                    "batch": one.batch, "blocks": one.closing.blocks, "missing": len(one.missing),
                    "damaged": one.closing.damaged, "statement": digest,
                }
                for one, digest in got
            ]
        },
        [
            f"batch {one.batch}: {one.closing.blocks} blocks, {len(one.missing)} missing, {one.closing.damaged} damaged; "
            f"statement {digest}"
            for one, digest in got
        ],
    )  # fmt: skip
    if missing or any(one.closing.damaged for one, _ in got):
        raise click.exceptions.Exit(20)


def _may_state(options: Mapping[str, Any], anchors: TrustAnchors) -> None:
    """Before anything is fetched: what is there and was not stated would pass for collected. Raises `InputError`."""
    anchor = anchors.by_key_id(SigningKey.read(options["key_path"]).key_id)
    if anchor is None or anchor.name != options["by"] or not anchor.may(Role.INSPECTOR, now()):
        raise InputError(
            f"is of no anchor {options['by']} that may sign as an inspector now", where=str(options["key_path"]),
            remedy="give your own key, and the name that the trust anchors have for it",
        )  # fmt: skip


def _collect(options: Mapping[str, Any], batch: int, expected: Expected) -> tuple[Collected, str]:
    got = collect_batch(options["closed"], batch, options["into"], expected)
    closing = got.closing
    said = IntakeCollected(
        origin=options["origin"], by=options["by"], intake=expected.intake, batch=batch, period=closing.period,
        blocks=closing.blocks, missing=len(got.missing), collected_at=now(),
    )  # fmt: skip
    return got, sign(Act(predicate=said, subjects={"commitments": digest_of(got.commitments)}), Signing.of(options))


@click.command()
@click.argument("folder", type=_folder)
@card_option
@_batches
@_sealed
@_identity
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The office's signing key.")
@click.option("--to", multiple=True, required=True, help="An office that is to have it; may be given again.")
@click.option("--out", type=_new_folder, required=True, help="Where the releases go, one for each batch or file.")
@json_option
def release(**options: Any) -> None:
    """Release your shares of batches in FOLDER to other offices: with their own, they open all of it.

    A release is sealed to the offices that are named, and signed. Whoever gives a wrong share is found out.
    """
    card = Card.read(options["card_path"])
    identity = read_identity(options["identity"])
    key = SigningKey.read(options["key_path"])
    written = []
    for sealed in _given(options, card):
        own = own_shares(sealed, identity)
        office = sealed.shape.offices.offices[own.place]
        if office.public_key.key_id != key.key_id:
            raise InputError(f"is not the key of {office.name} in the list", where=str(options["key_path"]))
        path = options["out"] / f"{sealed.name}.{office.name}.release"
        path.parent.mkdir(parents=True, exist_ok=True)
        keep_secret(path, make_release(sealed, own, key, options["to"]))
        written.append(str(path))
    print_result(options["as_json"], {"releases": written, "to": list(options["to"])}, written)


@click.command("open")
@click.argument("folder", type=_folder)
@card_option
@_batches
@_sealed
@_identity
@click.option("--release", "releases", type=EXISTING_FILE, multiple=True, required=True,
              help="What another office released; may be given again.")  # fmt: skip
@click.option("--into", type=NEW_PATH, required=True, help="Where opened reports go, for your eyes alone.")
@json_option
def open_(**options: Any) -> None:
    """Open batches in FOLDER with your own shares and those that other offices released.

    Open into a folder in memory, such as /dev/shm/opened: what is deleted from a disk can be found again. Batches that are
    opened together are joined: a report may lie in two. Exits 20 where an office gave a wrong share or
    the intake made a block wrong; what opens is written all the same.
    """
    card = Card.read(options["card_path"])
    identity = read_identity(options["identity"])
    given = [(sealed, [own_shares(sealed, identity)]) for sealed in _given(options, card)]
    for path in options["releases"]:
        _hand_out(path, given, identity)
    if not in_memory(options["into"]):
        click.echo(f"{options['into']}: lies on a disk, where what is deleted can be found again", err=True)
    opening = open_reports(given, options["into"])
    print_result(options["as_json"], _facts(opening), list(_lines(opening, options["into"])))
    if opening.wrong_shares or opening.faults or opening.closed:
        raise click.exceptions.Exit(20)


def _given(options: Mapping[str, Any], card: Card) -> list[Sealed]:
    """The batches and files that were named; all batches of the folder where none was."""
    folder: Path = options["folder"]
    expected = expected_of(card, own_log(folder))
    batches: Sequence[int] = options["batches"]
    if not batches and not options["files"]:
        batches = sorted(expected.log)
    found = [collected_batch(folder, batch, expected) for batch in batches]
    found += [Sealed.of_source(path, card.offices) for path in options["files"]]
    if not found:
        raise InputError("holds no collected batch", where=str(folder), remedy="`intake collect` fetches them")
    return found


def _hand_out(path: Path, given: Sequence[tuple[Sealed, list[Release]]], identity: pyrage.x25519.Identity) -> None:
    """Give a release to the blocks that it is for. Raises `EvidenceError` where it is for none."""
    data = read_plain(path, RELEASE_BYTES_MAX)
    faults = []
    for sealed, releases in given:
        try:
            releases.append(read_release(data, sealed, identity, where=str(path)))
        except EvidenceError as fault:
            faults.append(fault)
    if len(faults) == len(given):
        raise faults[-1]


def _facts(opening: Opening) -> dict[str, object]:
    return {
        "reports": [one.model_dump(mode="json", exclude={"answers"}, exclude_none=True) for one in opening.reports],
        "blocks": opening.blocks, "dummies": opening.dummies, "closed": opening.closed,
        "wrong_shares": opening.wrong_shares, "faults": list(opening.faults),
    }  # fmt: skip


def _lines(opening: Opening, into: Path) -> Iterator[str]:
    yield f"{len(opening.reports)} reports in {into}; {opening.dummies} of {opening.blocks} blocks were dummies"
    for one in opening.reports:
        cut = "" if one.complete else ", cut short"
        yield f"  {one.report}: {len(one.answers)} answers, {len(one.files)} files{cut}"
    for office, count in sorted(opening.wrong_shares.items()):
        yield f"{office} gave a wrong share for {count} blocks"
    if opening.closed:
        yield f"{opening.closed} blocks stay closed: too few shares that fit"
    yield from opening.faults


def expected_of(card: Card, log: Mapping[int, str]) -> Expected:
    return Expected(intake=card.intake, key=card.public_key, offices=card.offices, log=log)


def log_entries(folder: Path, anchors: TrustAnchors) -> Iterator[bytes]:
    """The entries of a log whose checkpoint meets the reviewer's anchors. Raises `EvidenceError`, `InputError`."""
    with Log.open(folder) as log:
        anchor = next((one for one in anchors.ledgers if one.origin == log.origin), None)
        if anchor is None:
            raise InputError(
                f"no trust anchor for the log {log.origin}", where=str(folder), remedy="add it to the anchors"
            )
        Policy.from_anchor(anchor).verify(log.checkpoint(), where=str(folder))
        for index in range(log.size):
            yield log.entry(index)


__all__ = ["anchors_option", "card_option", "collect", "expected_of", "log_entries", "log_option", "open_", "release"]
