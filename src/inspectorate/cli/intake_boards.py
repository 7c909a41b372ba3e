"""`inspectorate intake board`, `publish`, `replies`: answers of offices, and how a source reads them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import JSON_BYTES_MAX, Record, parse_json
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, json_option, printable, write_text
from inspectorate.cli.replay_files import print_result
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.files import replace_file
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.intake.boards import (
    BOARD_BYTES_MAX,
    PLACES,
    Answer,
    make_board,
    read_board,
    replies_on,
)
from inspectorate.mechanisms.whistleblowing.intake.card import Card
from inspectorate.mechanisms.whistleblowing.intake.volume import BOARDS, read_offices, read_settings
from inspectorate.mechanisms.whistleblowing.sealing.phrases import TYPED_CHARS_MAX, Mailbox, Phrase

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_card = click.option("--card", "card_path", type=EXISTING_FILE, required=True, help="The agreed card of the intake.")


class _ToAnswer(Record):
    mailbox: Mailbox
    text: str


def ask_phrase() -> Phrase:
    """A code phrase as it is typed, unseen, or from a pipe; never an argument, which other processes see."""
    if sys.stdin.isatty():
        return Phrase.parse(click.prompt("code phrase", hide_input=True, err=True))
    # Byte by byte, as the text that may follow is read: what the text layer had read ahead would be lost to it.
    return Phrase.parse(sys.stdin.buffer.readline(4 * TYPED_CHARS_MAX).decode("utf-8", errors="replace"))


@click.command()
@_card
@click.option("--as", "by", required=True, help="The name of your office.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The office's signing key.")
@click.option("--sequence", type=click.IntRange(min=1), required=True, help="One more than that of the last board.")
@click.option("--answers", type=EXISTING_FILE, help='JSON: [{"mailbox": {...}, "text": "..."}]; none by default.')
@click.option("--out", type=NEW_PATH, required=True, help="The board, a new file.")
@json_option
def board(**options: Any) -> None:
    """Make a board of your office, with answers or with none: always of the same size. Make one on a schedule.

    `cases board` makes one of all answers in your cases.
    """
    card = Card.read(options["card_path"])
    key = SigningKey.read(options["key_path"])
    office = card.offices.offices[card.offices.place(options["by"])]
    if office.public_key.key_id != key.key_id:
        raise InputError(f"is not the key of {office.name} in the card", where=str(options["key_path"]))
    said: Any = []
    if options["answers"]:
        where = str(options["answers"])
        said = parse_json(read_plain(options["answers"], JSON_BYTES_MAX), where=where)
    if not isinstance(said, list) or len(said) > PLACES:
        raise InputError(f"must be a list of at most {PLACES} answers", where=str(options["answers"]))
    answers = [_ToAnswer.parse(one, where=f"answer {number}", error=InputError) for number, one in enumerate(said)]
    data = make_board(
        card.intake, office.name, options["sequence"], [Answer(one.mailbox, one.text) for one in answers], key
    )
    if options["out"].exists():
        raise InputError("is there already", where=str(options["out"]))
    write_text(options["out"], data)
    print_result(
        options["as_json"], {"board": str(options["out"]), "bytes": len(data), "answers": len(answers)},
        [f"board of {office.name}, {len(data)} bytes, in {options['out']}"],
    )  # fmt: skip


@click.command()
@click.argument("folder", type=_folder)
@click.argument("board_path", metavar="BOARD", type=EXISTING_FILE)
def publish(folder: Path, board_path: Path) -> None:
    """Put an office's BOARD into the intake FOLDER. Refuses a board that is not newer than the one that is there."""
    intake, offices = read_settings(folder).intake, read_offices(folder)
    data = read_plain(board_path, BOARD_BYTES_MAX)
    head, _ = read_board(data, intake, offices, where=str(board_path))
    target = folder / BOARDS / f"{head.office}.board"
    if target.exists():
        before, _ = read_board(read_plain(target, BOARD_BYTES_MAX), intake, offices, where=str(target))
        if head.sequence <= before.sequence:
            raise EvidenceError(
                f"is board {head.sequence}, and board {before.sequence} is there", where=str(board_path)
            )
    replace_file(target, data)
    click.echo(f"board {head.sequence} of {head.office} is published")


@click.command()
@click.argument("boards", metavar="BOARD...", type=EXISTING_FILE, nargs=-1, required=True)
@_card
@json_option
def replies(boards: tuple[Path, ...], card_path: Path, as_json: bool) -> None:
    """Read replies from copies of boards, by a code phrase that is asked for: nobody sees that you did."""
    card = Card.read(card_path)
    read = [
        read_board(read_plain(path, BOARD_BYTES_MAX), card.intake, card.offices, where=str(path)) for path in boards
    ]
    phrase = ask_phrase()
    found = [reply for one in read for reply in replies_on(one, phrase)]
    print_result(
        as_json, {"replies": [{"office": one.office, "text": one.text} for one in found]},
        [f"{one.office}:\n    | {printable(one.text)}\n" for one in found] or ["no reply is there"],
    )  # fmt: skip
