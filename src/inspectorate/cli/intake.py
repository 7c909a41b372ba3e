"""`inspectorate intake`: make an intake and the keys of offices, and seal a report before it is handed in.

    operator   init, serve, tor, publish, delete
    office     keys, collect, release, open, board
    source     seal, replies, verify

Exit codes: 0 done, 10 still pending, 20 proof against the host or an office, 30 what was given cannot be used, 2 wrong use.
"""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.intake_boards import ask_phrase, board, publish, replies
from inspectorate.cli.intake_offices import collect, open_, release
from inspectorate.cli.intake_serve import serve, tor
from inspectorate.cli.intake_verify import delete, verify
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, json_option, write_text
from inspectorate.cli.replay_files import print_result
from inspectorate.errors import InputError
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey, read_yaml
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.settings import SETTINGS_BYTES_MAX, Settings
from inspectorate.mechanisms.whistleblowing.intake.unit import UNIT_NAME, service_unit
from inspectorate.mechanisms.whistleblowing.intake.volume import create_volume
from inspectorate.mechanisms.whistleblowing.sealing.files import ToSeal, seal_report
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices, new_identity
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Phrase
from inspectorate.mechanisms.whistleblowing.sealing.stream import ANSWER_CHARS_MAX, FileHead

CARD = "card.json"
_AS_FILE = "send it with --file"
_folder = click.Path(file_okay=False, path_type=Path)


@click.group()
def intake() -> None:
    """Take in reports of people who know of a violation: a page that reveals nobody, sealed to several parties.

    A report is sealed to the case offices of several parties, of which only several together open it. The intake writes
    as much, as often, whether anybody reports or not. Each office alone sees whether the host lost anything.
    """


for _command in (serve, tor, collect, release, open_, board, publish, replies, verify, delete):
    intake.add_command(_command)


@intake.command()
@click.argument("folder", type=_folder)
@click.option("--name", required=True, help="The name of the intake. Replies depend on it: it never changes.")
@click.option("--offices", "offices_path", type=EXISTING_FILE, required=True, help="Who opens together (YAML).")
@click.option("--settings", "settings_path", type=EXISTING_FILE, help="Sizes and rhythm (YAML), without the name.")
@click.option("--ledger", type=_folder, help="The log that `serve` will append to, for the service unit.")
@click.option("--user", default="inspectorate", show_default=True, help="As whom the service runs.")
@json_option
def init(**options: Any) -> None:
    """Make an intake in the new folder FOLDER: its key, its card for everybody, and a service unit for systemd.

    Give the card to offices and sources by another way than through this machine.
    """
    said: object = {}
    if options["settings_path"]:
        said = read_yaml(options["settings_path"], bytes_max=SETTINGS_BYTES_MAX)
    if not isinstance(said, dict):
        raise InputError("must hold names and values", where=str(options["settings_path"]))
    where = str(options["settings_path"] or "--name")
    settings = Settings.parse({**said, "intake": options["name"]}, where=where, error=InputError)
    offices = Offices.read(options["offices_path"])
    folder: Path = options["folder"].absolute()
    unit = service_unit(
        settings.intake, folder, Path(sys.argv[0]).absolute(), user=options["user"],
        log=options["ledger"].absolute() if options["ledger"] else None,
    )  # fmt: skip
    key = SigningKey(os.urandom(32))
    create_volume(folder, settings, offices, key)
    card = Card(settings=settings, key=base64.b64encode(key.public.raw).decode(), offices=offices)
    write_text(folder / CARD, card.canonical_bytes())
    write_text(folder / UNIT_NAME, unit)
    daily = settings.bytes_per_s * 86_400
    print_result(
        options["as_json"],
        {
            "folder": str(folder), "intake": settings.intake, "key": card.key, "offices": offices.digest,
            "quorum": offices.quorum, "bytes_per_day": daily, "batch_bytes": settings.batch_bytes,
        },
        [
            f"intake {settings.intake}, opened by {offices.quorum} of {len(offices.offices)} offices",
            f"writes {daily / 1e9:.2f} GB a day, whether anybody reports or not; takes {settings.batch_bytes / 1e9:.2f} GB ahead",
            f"card for offices and sources: {folder / CARD}", f"service unit: {folder / UNIT_NAME}",
        ],
    )  # fmt: skip


@intake.command()
@click.argument("path", type=NEW_PATH)
@click.option("--name", required=True, help="The name of the office, as its trust anchor has it.")
@click.option("--party", required=True, help="Whose office it is.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The office's signing key.")
@json_option
def keys(path: Path, name: str, party: str, key_path: Path, as_json: bool) -> None:
    """Make an office's age identity in the new file PATH (mode 0600), and print its entry for the list of offices."""
    key = SigningKey.read(key_path)
    recipient = new_identity(path)
    public = base64.b64encode(key.public.raw).decode()
    print_result(
        as_json,
        {"identity": str(path), "name": name, "party": party, "recipient": recipient, "key": public},
        [f"  - name: {name}", f"    party: {party}", f"    recipient: {recipient}", f"    key: {public}"],
    )


@intake.command()
@click.option("--card", "card_path", type=EXISTING_FILE, required=True, help="The intake's card, not from its host.")
@click.option("--text", "text_path", type=click.Path(path_type=Path, allow_dash=True), required=True,
              help="What you want to say: a text file, or - to type it in.")  # fmt: skip
@click.option("--file", "files", type=EXISTING_FILE, multiple=True, help="A file to send; may be given again.")
@click.option("--language", default="en", show_default=True)
@click.option("--phrase", "again", is_flag=True, help="Ask for the code phrase of an earlier report, to go on with it.")
@click.option("--out", type=NEW_PATH, required=True, help="The sealed report, a new file.")
@json_option
def seal(**options: Any) -> None:
    """Seal a report to the offices before handing it in: by the page as a file, on a stick, or by anybody.

    Prints the code phrase for replies: write it on paper. Files are sealed as they are: what they say of you and your
    device stays in them, and is for the offices to see.
    """
    card = Card.read(options["card_path"])
    phrase = ask_phrase() if options["again"] else Phrase.make()
    given = [(FileHead(name=_name(path), media_type="application/octet-stream"), path) for path in options["files"]]
    text = _text(options["text_path"])
    if not text.strip() and not given:
        raise InputError("is empty, and no file is given", where=str(options["text_path"]), remedy="nothing was sealed")
    report = ToSeal(
        intake=card.intake, answers={"text": text}, language=options["language"],
        mailbox=phrase.mailbox(card.intake), files=given,
    )  # fmt: skip
    blocks = seal_report(report, card.offices, options["out"])
    words = phrase.words(options["language"])
    print_result(
        options["as_json"],
        {"sealed": str(options["out"]), "blocks": blocks, "phrase": words, "digits": phrase.digits()},
        [
            f"sealed in {options['out']}, {blocks} blocks, for {card.offices.quorum} of {', '.join(card.offices.names)}",
            "", words, phrase.digits(), "", "Write the words or the digits on paper. Nobody can give them to you again.",
        ],
    )  # fmt: skip


def _name(path: Path) -> str:
    """What a file is called, as text: names on a disk are bytes."""
    return os.fsencode(path.name).decode("utf-8", errors="replace")[:255]


def _text(path: Path) -> str:
    bytes_max = 4 * ANSWER_CHARS_MAX
    data = sys.stdin.buffer.read(bytes_max + 1) if str(path) == "-" else read_bounded(path, bytes_max, remedy=_AS_FILE)
    try:
        text = data.decode("utf-8") if len(data) <= bytes_max else None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8 text", where=str(path), remedy=_AS_FILE) from None
    if text is None or len(text) > ANSWER_CHARS_MAX:
        raise InputError(f"has more than {ANSWER_CHARS_MAX} characters", where=str(path), remedy=_AS_FILE)
    return text
