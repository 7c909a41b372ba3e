"""`inspectorate cases reply, board, clean, file`: answers to a source, and the files that it sent."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.cases_desk import acted, done, on_case, on_desk, open_desk, words_from
from inspectorate.cli.options import NEW_PATH, now, print_json, write_text
from inspectorate.errors import InputError
from inspectorate.mechanisms.whistleblowing.cases.acts import Cleaned, Replied, SealedFile
from inspectorate.mechanisms.whistleblowing.cases.board import board_of, gather
from inspectorate.mechanisms.whistleblowing.cases.clean import clean as clean_copy
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState
from inspectorate.mechanisms.whistleblowing.intake.boards import REPLY_BYTES_MAX


@click.command()
@on_case
@click.option("--text", default="-", show_default=True, metavar="FILE", help="The answer; - is standard input.")
def reply(case: str, desk_folder: Path, as_json: bool, text: str) -> None:
    """Answer the source. It goes onto every board of this office from now on; `cases board` makes one."""
    at_desk = open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    if state.reply_to is None:
        raise InputError("the source wants no answer", where=f"case {case}")
    words = words_from(text, "--text")
    if len(words.encode()) > REPLY_BYTES_MAX:
        raise InputError(f"an answer has at most {REPLY_BYTES_MAX} bytes", where="--text", remedy="write two answers")
    act = Replied(text=words)
    state = at_desk.desk.act(case, act, at=now())
    acted(at_desk, state, act, as_json, lines=[f"{case}: answered; it goes onto the next board"])


@click.command()
@on_desk
@click.option("--intake", required=True, help="The name of the intake.")
@click.option("--sequence", type=click.IntRange(min=1), required=True, help="One more than that of the board before.")
@click.option("--out", type=NEW_PATH, required=True, help="The board, for the host of the intake.")
def board(desk_folder: Path, as_json: bool, intake: str, sequence: int, out: Path) -> None:
    """Make the board of this office: on a schedule, whether it answered anybody or not.

    Exits 10 where a source is not answered for want of room.
    """
    at_desk = open_desk(desk_folder)
    gathered = gather(at_desk.desk.all(), at_desk.desk.office, intake)
    data = board_of(intake, at_desk.desk.office, sequence, gathered, at_desk.desk.key)
    write_text(out, data)
    lines = [
        f"{out}: board {sequence} of {at_desk.desk.office}, {len(gathered.answers)} answers; nobody else can count them"
    ]
    lines += [f"  no room for older answers of {case}" for case in gathered.left_off]
    lines += [f"  no room for any answer of {case}" for case in gathered.unanswered]
    facts = {
        "out": str(out),
        "sequence": sequence,
        "answers": len(gathered.answers),
        "left_off": list(gathered.left_off),
        "unanswered": list(gathered.unanswered),
    }
    done(as_json, facts, lines)
    if gathered.unanswered:
        raise SystemExit(10)


@click.command()
@on_case
@click.option("--file", "which", help="The digest of one file, or its beginning; all by default.")
def clean(case: str, desk_folder: Path, as_json: bool, which: str | None) -> None:
    """Make copies of a case's files without metadata, in a closed-in process. The originals stay sealed."""
    at, at_desk = now(), open_desk(desk_folder)
    desk = at_desk.desk
    _, state = desk.read(case)
    given = [file for report in state.reports for file in report.opened.files]
    wanted = given if which is None else [_find(state, which)]
    acts = []
    for number, file in enumerate(wanted, 1):
        made = clean_copy(desk.read_file(state, file), file.name)
        cleaned = None
        if made.data is not None:
            cleaned = SealedFile(
                name=f"file-{number}{made.suffix}",
                media_type=file.media_type,
                size=len(made.data),
                digest=digest_of(made.data),
            )
            desk.keep_file(state, cleaned, made.data)
        acts.append(Cleaned(original=file.digest, cleaned=cleaned, tool=made.tool, kept_because=made.kept_because))
        state = desk.act(case, acts[-1], at=at)
    if as_json:
        print_json({"case": case, "files": [one.model_dump(mode="json", exclude_none=True) for one in acts]})
        return
    for file, act in zip(wanted, acts, strict=True):
        came = f"copy {act.cleaned.digest[7:19]}" if act.cleaned else f"kept sealed: {act.kept_because}"
        click.echo(f"{file.digest[7:19]} {file.name!r}: {came} ({act.tool})")


@click.command("file")
@on_case
@click.option("--file", "which", required=True, help="The digest of the file, or its beginning.")
@click.option(
    "--original", is_flag=True, help="As it came, where there is no cleaned copy. It may hold traps and traces."
)
def file_(case: str, desk_folder: Path, as_json: bool, which: str, original: bool) -> None:
    """Write a file of a case to standard output. Nothing is written to the disk."""
    at_desk = open_desk(desk_folder)
    _, state = at_desk.desk.read(case)
    file = _find(state, which)
    if as_json:
        print_json(file.model_dump(mode="json"))
        return
    if any(file in report.opened.files for report in state.reports) and not original:
        raise InputError(
            "is as it came", where=f"file {which}", remedy="`cases clean` makes a copy; or give --original"
        )
    if sys.stdout.isatty():
        raise InputError("would be written to the terminal", where=f"file {which}", remedy="pipe it into a viewer")
    sys.stdout.buffer.write(at_desk.desk.read_file(state, file))


def _find(state: CaseState, which: str) -> SealedFile:
    """The one file whose digest begins so. Raises `InputError`."""
    wanted = which.removeprefix("sha256:")
    found = [file for file in state.files if file.digest.removeprefix("sha256:").startswith(wanted)]
    if len(found) != 1 or len(wanted) < 6:
        known = ", ".join(file.digest[7:19] for file in state.files) or "none"
        raise InputError(
            f"{len(found)} files begin with {which!r}", where=f"case {state.case}", remedy=f"files: {known}"
        )
    return found[0]
