"""`inspectorate register transfer`: notify, decide, move. Chips leave only with notice in time and approval."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, now, parse_time
from inspectorate.cli.register_files import (
    FOLDER,
    at_option,
    inspector_option,
    reporter_option,
    serials,
    terms_of,
)
from inspectorate.cli.replay_files import Signing, keep_secret, own, print_result, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import ChipsMoved, Passage, TransferNotified
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.register import acts
from inspectorate.mechanisms.custody.register.reference import CHIPS_SUBJECT
from inspectorate.mechanisms.custody.register.serials import read_serials

GROUNDS_BYTES_MAX = 4000


@click.group()
def transfer() -> None:
    """Move chips: notice, decisions of inspectors, departure, arrival."""


@transfer.command()
@click.argument("path", metavar="SERIALS", type=EXISTING_FILE)
@click.option("--transfer", "name", required=True, help="A fresh name for this transfer.")
@click.option("--from-site", required=True, help="Where the chips stand.")
@click.option("--to-site", help="Where they are to stand.")
@click.option("--to-party", help="Instead of --to-site: the other party that gets them.")
@click.option("--begins", required=True, help="When they are to leave, at the earliest.")
@click.option("--agreement", "agreement_name", help="Refuse a notice that is too short under this agreement.")
@reporter_option
@signing
def notify(**options: Any) -> None:
    """Notify that chips are to move. SERIALS has one a line."""
    at = now()
    route = acts.Route(
        transfer=options["name"], from_site=options["from_site"], to_site=options["to_site"],
        to_party=options["to_party"], begins_at=parse_time(options["begins"]),
    )  # fmt: skip
    listed = serials(options["path"])
    act = acts.notify(listed, route, Who(name=options["reporter"], at=at, origin=options["origin"]))
    if options["agreement_name"] is not None:
        due = terms_of(options["agreement_name"], at)[1].clause.transfer_notice_s
        if (route.begins_at - at).total_seconds() < due:
            raise InputError(f"less than {due / 86_400:g} days of notice", where="--begins", remedy="begin later")
    digest = sign(act, Signing.of(options))
    to = options["to_site"] or options["to_party"]
    print_result(
        options["as_json"],
        {
            "statement": digest, "transfer": route.transfer, "chips": len(listed), "from_site": route.from_site,
            "to_site": route.to_site, "to_party": route.to_party, "notified_at": at.isoformat(),
            "begins_at": route.begins_at.isoformat(),
        },
        [
            f"notified: {len(listed)} chips from {route.from_site} to {to}, not before {route.begins_at:%Y-%m-%d %H:%M} UTC",
            f"statement {digest}",
        ],
    )  # fmt: skip


@transfer.command()
@click.argument("notice", metavar="STATEMENT")
@click.option("--from", "theirs", type=FOLDER, required=True, help="The keeper's folder.")
@click.option("--approve/--refuse", "approved", default=None, required=True)
@click.option("--grounds", type=EXISTING_FILE, required=True, help="Why: a text, which stays with you.")
@click.option("--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for the sealed grounds.")
@inspector_option
@signing
def decide(**options: Any) -> None:
    """Approve or refuse, as an inspector, a transfer that was notified. STATEMENT is the digest of the notice.

    Exits 30 where the notice, or its list of chips, is not there or cannot be read.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs = Exchange(options["theirs"], anchors=anchors)
    statement, notice = _notice(theirs, options["notice"])
    chips = len(
        read_serials(subject_bytes(statement, CHIPS_SUBJECT, theirs.payload), where=f"transfer {notice.transfer}")
    )
    grounds = acts.Grounds.parse(
        {"salt": secrets.token_hex(32), "text": _text(options["grounds"])}, where="--grounds", error=InputError
    )
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    act = acts.decide(statement.digest, grounds, who, approved=options["approved"])
    digest = sign(
        act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], grounds.canonical_bytes())
    )
    word = "approved" if options["approved"] else "refused"
    print_result(
        options["as_json"],
        {
            "statement": digest, "transfer": notice.transfer, "notice": statement.digest, "approved": options["approved"],
            "chips": chips, "kept": str(options["keep_path"]),
        },
        [
            f"{word}: transfer {notice.transfer}, {chips} chips from {notice.from_site} to {notice.to_site or notice.to_party}",
            f"statement {digest}", f"the grounds are in {options['keep_path']}, for you alone",
        ],
    )  # fmt: skip


@transfer.command()
@click.argument("notice", metavar="STATEMENT")
@click.option("--left", "passage", flag_value=Passage.LEFT.value, help="They left.")
@click.option("--arrived", "passage", flag_value=Passage.ARRIVED.value, help="They arrived.")
@click.option("--serials", "path", type=EXISTING_FILE, help="Which, one a line; all of the notice by default.")
@click.option("--seal", "seals", multiple=True, help="A seal on what they travel in; repeatable.")
@click.option("--from", "theirs", type=FOLDER, help="The folder with the notice, if it is another keeper's.")
@reporter_option
@at_option
@signing
def move(**options: Any) -> None:
    """State that chips of a transfer left or arrived. STATEMENT is the digest of the notice."""
    if options["passage"] is None:
        raise InputError("give either --left or --arrived", where="--left, --arrived")
    anchors = TrustAnchors.read(options["anchors_path"])
    there = Exchange(options["theirs"], anchors=anchors) if options["theirs"] else own(options["out"], anchors)
    if there is None:
        raise InputError("holds no notice", where=str(options["out"]), remedy="name the folder of `transfer notify`")
    statement, notice = _notice(there, options["notice"])
    where = f"transfer {notice.transfer}"
    notified = read_serials(subject_bytes(statement, CHIPS_SUBJECT, there.payload), where=where)
    listed = serials(options["path"]) if options["path"] else notified
    if other := sorted(set(listed.to_pylist()) - set(notified.to_pylist())):
        remedy = "notify another transfer for these"
        raise InputError(f"its notice does not list {', '.join(other[:5])}", where=where, remedy=remedy)
    who = Who(name=options["reporter"], at=parse_time(options["at"]), origin=options["origin"])
    act = acts.move(statement.digest, listed, Passage(options["passage"]), who, seals=options["seals"])
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, ChipsMoved)
    print_result(
        options["as_json"],
        {
            "statement": digest, "transfer": notice.transfer, "passage": said.passage.value, "chips": said.chips,
            "seals": list(said.seals), "moved_at": said.moved_at.isoformat(),
        },
        [f"{said.passage.value}: {said.chips} of {notice.chips} chips of transfer {notice.transfer}", f"statement {digest}"],
    )  # fmt: skip


def _notice(folder: Exchange, digest: str) -> tuple[VerifiedStatement, TransferNotified]:
    """A notice by its digest, or by the beginning of it. Raises `EvidenceError`."""
    found = [(one, said) for one, said in folder.of(TransferNotified) if one.digest.startswith(digest)]
    if len(found) != 1:
        raise EvidenceError(f"holds {len(found)} notices {digest[:30]!r}", where=str(folder.path))
    return found[0]


def _text(path: Path) -> str:
    try:
        return read_plain(path, GROUNDS_BYTES_MAX).decode().strip()
    except (EvidenceError, UnicodeDecodeError):
        raise InputError(f"is no text of at most {GROUNDS_BYTES_MAX} bytes", where=str(path)) from None
