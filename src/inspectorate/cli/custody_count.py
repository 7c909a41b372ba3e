"""`inspectorate custody count`: open places that nobody could choose, and hold what is read there against the register.

In this order, each party with a folder of its own that it hands to the other:

    verifier   promise    fix a secret, and how many places are opened, by digest
    prover     `inspectorate register hand`, naming the promise
    verifier   draw       reveal the secret: with the register it picks places
    verifier   page       a page for a phone, or a form on paper, for those who go there
    verifier   hold       state what was read
    anybody    verify     draw again, hold everything against the register, and say what it is worth
    anybody    show       what a checklist says, place by place

`plan` says beforehand how many places it takes. Exit codes: 0 done, 10 a count is still due, or was interrupted, 20 something
is missing or was refused, 30 what another party sent cannot be used, 2 wrong use.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.cli import custody_count_pick as pick
from inspectorate.cli.custody_count_plan import plan
from inspectorate.cli.custody_count_verify import show, verify
from inspectorate.cli.options import (
    EXISTING_FILE,
    HOURS_MAX,
    NEW_PATH,
    FiniteRange,
    anchors_option,
    json_option,
    now,
    write_text,
)
from inspectorate.cli.replay_files import Signing, keep_secret, own, print_result, sign, signing
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.errors import InputError
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import CountDrawn, CountHeld
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.counting import acts
from inspectorate.mechanisms.custody.counting.checklist import Reading, paper_form, read_page, read_paper, together
from inspectorate.mechanisms.custody.counting.page import Sheet, drawn_places, places_of, render_page
from inspectorate.mechanisms.custody.counting.reference import CHECKLIST_BYTES_MAX
from inspectorate.quantities import Period

PLACES_SHOWN = 20
"""The page has them all."""
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_reading = click.option(
    "--reading", type=click.Choice([one.value for one in Reading]), default=Reading.LABEL.value, show_default=True,
    help="How serials are read: off a label, from the device, or signed by it.",
)  # fmt: skip
_not_blind = click.option("--not-blind", is_flag=True, help="Those who read know what is registered there.")


@click.group()
def count() -> None:
    """Open places that nobody could choose, and read every serial there."""


count.add_command(plan)
count.add_command(verify)
count.add_command(show)


@count.command()
@click.option("--reporter", required=True, help="Whose register it is to draw from, as declared.")
@pick.selecting
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option(
    "--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for the secret, which stays with you."
)
@signing
def promise(**options: Any) -> None:
    """Fix a secret, and how many places are opened, by digest, before the register is handed over.

    One promise is for one register.
    """
    selection = pick.selection(options)
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    made, act = acts.make_promise(selection, secrets.token_bytes(SECRET_BYTES), who, reporter=options["reporter"])
    digest = sign(act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], made.canonical_bytes()))
    facts: dict[str, object] = {
        "statement": digest, "promise": made.digest, "reporter": options["reporter"], "kept": str(options["keep_path"]),
        "selection": selection.model_dump(mode="json"),
    }  # fmt: skip
    kept = f"the secret is in {options['keep_path']}, for you alone"
    print_result(options["as_json"], facts, [pick.in_words(selection), f"statement {digest}", kept])


@count.command()
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--keep", type=EXISTING_FILE, help="The secret that you promised.")
@click.option("--register", "wanted", help="Digest of the register to draw from, where a promise does not say which.")
@click.option(
    "--round", "round_path", type=EXISTING_FILE, help="Instead of --keep: a round of drand, as its HTTP API gives it."
)
@click.option("--received", help="With --round: when you had the register.")
@pick.selecting
@click.option("--answer-hours", type=FiniteRange(0, HOURS_MAX, min_open=True), default=24.0, show_default=True)
@signing
def draw(**options: Any) -> None:
    """Draw places of a register, by the secret that was promised before it, or by a public beacon.

    The options on how many go with --round: a promise has fixed them. Exits 30, by name, where the register cannot be drawn from or
    the draw would not be fair.
    """
    if (options["keep"] is None) == (options["round_path"] is None):
        raise InputError("give either --keep or --round", where="--keep, --round")
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs, mine = Exchange(options["theirs"], anchors=anchors), own(options["out"], anchors)
    randomness, promised = pick.source(options, mine)
    register = pick.drawn_from(theirs, promised, options["wanted"])
    by = acts.Drawing(
        randomness=randomness, answer_within=timedelta(hours=options["answer_hours"]),
        promise=promised.digest if promised else None,
    )  # fmt: skip
    act = acts.make_draw(
        register, by, Who(name=options["by"], at=now(), origin=options["origin"]), payload=theirs.payload
    )
    made = pick.Made(act=act, register=register, promised=promised)
    digest = sign(act, Signing.of(options), before=lambda one: pick.judge(one, made, theirs, mine, anchors))
    said = act.predicate
    assert isinstance(said, CountDrawn)
    written = Exchange(options["out"], anchors=anchors)
    places = [place for _, place in drawn_places(pick.fair(pick.not_held(written, digest), written, theirs))]
    facts: dict[str, object] = {
        "statement": digest, "register": register.digest, "unit": said.unit.value, "drawn": list(said.drawn),
        "places": places, "answer_by": said.answer_by.isoformat(),
    }  # fmt: skip
    more = [f"  and {len(places) - PLACES_SHOWN} more: `custody count page`"] if len(places) > PLACES_SHOWN else []
    lines = [f"drawn: {len(said.drawn)} {said.unit.value}s", *(f"  {place}" for place in places[:PLACES_SHOWN]), *more,
             f"statement {digest}", f"to be opened by {said.answer_by:%Y-%m-%d %H:%M:%S} UTC"]  # fmt: skip
    print_result(options["as_json"], facts, lines)


@count.command()
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--mine", type=_folder, required=True, help="Your folder, with the draw.")
@anchors_option
@click.option("--drawn", help="Digest of the draw, where several are not counted yet.")
@click.option(
    "--site", "sites", multiple=True, help="For the team that goes there; may be repeated. All sites by default."
)
@_reading
@_not_blind
@click.option("--paper", is_flag=True, help="A form to be printed, instead of a page.")
@click.option("--out", type=NEW_PATH, required=True, help="The file to write.")
@json_option
def page(theirs: Path, mine: Path, anchors_path: Path, out: Path, as_json: bool, **options: Any) -> None:
    """A page for a phone on which serials are read, without any network; it holds no serial, unless the count is not blind."""
    anchors = TrustAnchors.read(anchors_path)
    us = Exchange(mine, anchors=anchors)
    asked = pick.fair(pick.not_held(us, options["drawn"]), us, Exchange(theirs, anchors=anchors))
    sheet = Sheet(
        asked=asked, blind=not options["not_blind"], reading=Reading(options["reading"]), sites=options["sites"] or None
    )
    places = places_of(sheet)
    write_text(out, paper_form(places, title=f"Count {asked.digest}") if options["paper"] else render_page(sheet))
    facts: dict[str, object] = {"drawn": asked.digest, "places": len(places), "blind": sheet.blind, "out": str(out)}
    print_result(as_json, facts, [f"{len(places)} places of draw {asked.digest[7:19]}", f"written to {out}"])


@count.command()
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--drawn", help="Digest of the draw, where several are not counted yet.")
@click.option("--paper", is_flag=True, help="FILES are forms on paper that were typed in.")
@_reading
@_not_blind
@signing
def hold(files: tuple[Path, ...], **options: Any) -> None:
    """State what was read, from the FILES of all teams. Places that no file names count as missing.

    Exits 20 where something was not seen that the register has there, or a place was refused.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine, theirs = own(options["out"], anchors), Exchange(options["theirs"], anchors=anchors)
    if mine is None:
        raise InputError("holds no draw", where=str(options["out"]), remedy="name the folder of `custody count draw`")
    asked = pick.fair(pick.not_held(mine, options["drawn"]), mine, theirs)
    reading, blind = Reading(options["reading"]), not options["not_blind"]
    lists = [
        read_paper(data, drawn=asked.digest, blind=blind, reading=reading, where=str(path)) if options["paper"]
        else read_page(data, where=str(path))
        for path in files
        for data in (read_plain(path, CHECKLIST_BYTES_MAX),)
    ]  # fmt: skip
    checklist = together(lists)
    at = now()
    end = max(at, max(one.at for one in checklist.units) + timedelta(microseconds=1))
    period = Period.parse({"start": asked.drawn.drawn_at, "end": end}, where="hold", error=InputError)
    act = acts.make_held(asked, checklist, Who(name=options["by"], at=at, origin=options["origin"]), period=period)
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, CountHeld)
    left = len(asked.sample.units) - said.units_opened - said.units_refused
    facts: dict[str, object] = {
        "statement": digest, "drawn": asked.digest, "units_opened": said.units_opened, "units_refused": said.units_refused,
        "units_left": left, "chips_due": said.chips_due, "chips_seen": said.chips_seen, "chips_other": said.chips_other,
    }  # fmt: skip
    lines = [f"opened {said.units_opened}, refused {said.units_refused}, left {left}",
             f"seen {said.chips_seen} of {said.chips_due} chips that are due; {said.chips_other} others were read",
             f"statement {digest}"]  # fmt: skip
    print_result(options["as_json"], facts, lines)
    raise click.exceptions.Exit(20 if said.chips_seen < said.chips_due or said.units_refused else 0)
