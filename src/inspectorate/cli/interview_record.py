"""`inspectorate interview record` and `answers`: from what the page exported to a sealed record, and from there to statements.

Exit codes: 0 everybody who was drawn has an outcome, 10 somebody is outstanding, 30 a capture or record is unusable, 2 wrong use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import load_agreement
from inspectorate.canonical import digest_of
from inspectorate.cli.interview_form_files import agreed, bank_of, bank_option, clauses_of, form_argument, frame_of
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    anchors_option,
    json_option,
    now,
    parse_time,
    write_private,
    write_text,
)
from inspectorate.cli.replay_files import print_result, ranges
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntervieweesDrawn, Origin, RosterCommitted
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.consistency.types import AnswerSheet
from inspectorate.mechanisms.interviews.forms import (
    Asking,
    Capture,
    Form,
    Frame,
    Heard,
    Held,
    outcome_of,
    read_capture,
    read_record,
    seal,
    statements_of,
    topics_of,
    unseal,
    write_record,
)
from inspectorate.mechanisms.interviews.forms.recording import HELD_BYTES_MAX, RECORD_BYTES_MAX, read_held
from inspectorate.mechanisms.interviews.forms.reference import CAPTURE_BYTES_MAX
from inspectorate.mechanisms.interviews.roster.listed import parse_roster_list

HELD = "held.json"
RECORDS = "records.json"
IDENTITY_BYTES_MAX = 64 << 10
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_frame_argument = click.argument("frame_path", metavar="FRAME", type=EXISTING_FILE)


@click.command()
@form_argument
@_frame_argument
@click.argument("captures", nargs=-1, type=EXISTING_FILE)
@click.option(
    "--into", type=NEW_PATH, required=True, help="The folder of this draw's records; made where it is not there."
)
@click.option("--to", "recipients", multiple=True, metavar="AGE1...", help="Seal to this office; may be repeated.")
@click.option("--absent", type=int, multiple=True, metavar="N", help="Entry N did not come; may be repeated.")
@click.option("--at", "at_text", help="When the absent were expected; the present by default.")
@json_option
def record(form_name: str, frame_path: Path, captures: tuple[Path, ...], **options: Any) -> None:
    """Check what the page exported, and keep it as a chained record that only the verifier's office can open.

    Each CAPTURE is held against form and draw: what does not fit is refused whole, and nothing is written. FOLDER/held.json says
    who was heard; FOLDER/records.json is what `interview held --records` states. Delete the captures afterwards.
    """
    found = agreed(form_name)
    frame = frame_of(frame_path, found)
    into: Path = options["into"]
    held = _held(into, frame)
    sealed: dict[str, bytes] = {}
    for path in captures:
        capture = read_capture(read_plain(path, CAPTURE_BYTES_MAX), found, frame, where=str(path))
        lines = write_record(capture)
        sealed[_name(capture.entry)] = seal(lines, options["recipients"])
        held = held.with_outcome(outcome_of(capture, lines, sealed[_name(capture.entry)]), frame)
    expected = (now() if options["at_text"] is None else parse_time(options["at_text"])).replace(
        second=0, microsecond=0
    )
    for entry in options["absent"]:
        absent = {"entry": entry, "outcome": "absent", "start": expected, "end": expected}
        held = held.with_outcome(Heard.parse(absent, where="--absent", error=InputError), frame)
    for name, data in sealed.items():
        write_text(into / name, data)
    write_text(into / HELD, held.canonical_bytes())
    write_text(into / RECORDS, held.records)
    _tell(held, frame, options["as_json"])
    raise click.exceptions.Exit(10 if held.outstanding(frame) else 0)


@click.command()
@form_argument
@_frame_argument
@click.argument("folder", type=_folder)
@click.option("--identity", "identity_path", type=EXISTING_FILE, required=True, help="The office's age identity.")
@click.option("--agreement", "agreement_name", required=True, help="Whose clauses the answers touch.")
@click.option("--draws", type=_folder, required=True, help="The verifier's folder, with the draw.")
@click.option("--roster", "theirs", type=_folder, required=True, help="The prover's folder, with the roster.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@click.option("-o", "--output", type=NEW_PATH, required=True, help="Where to write the answer sheet, in the open.")
@bank_option
@anchors_option
@json_option
def answers(form_name: str, frame_path: Path, folder: Path, **options: Any) -> None:
    """Open the records of FOLDER and turn answers into dated statements: what `interview check` holds against one another.

    Exits 10 while anybody who was drawn has no outcome. The sheet is in the open, in a file for its owner alone: write it into
    memory, or where only the office reads.
    """
    found = agreed(form_name)
    frame = frame_of(frame_path, found)
    held = _held(folder, frame)
    asking = Asking(
        form=found,
        bank=bank_of(options["bank_path"]),
        frame=frame,
        clauses=clauses_of(load_agreement(options["agreement_name"])),
    )
    captures = [
        _opened(folder, one, asking, options["identity_path"]) for one in held.outcomes if one.outcome == "heard"
    ]
    strata = _strata(options, frame)
    sheet = AnswerSheet.parse(
        {
            "id": f"{found.id}-{frame.digest[7:19]}",
            "origin": options["origin"],
            "topics": topics_of(asking),
            "interviewees": [{"entry": one.entry, "stratum": strata[one.entry]} for one in captures],
            "statements": [said for one in captures for said in statements_of(one, asking)],
        },
        where=str(folder),
        error=InputError,
    )
    write_private(options["output"], sheet.canonical_bytes())
    outstanding = held.outstanding(frame)
    print_result(
        options["as_json"],
        {
            "sheet": str(options["output"]),
            "interviewees": len(captures),
            "statements": len(sheet.statements),
            "topics": len(sheet.topics),
            "outstanding": list(outstanding),
        },
        [
            f"{len(captures)} interviewees, {len(sheet.statements)} statements of {len(sheet.topics)} topics: {options['output']}",
            *([f"outstanding: {ranges(outstanding)}"] if outstanding else []),
        ],
    )
    raise click.exceptions.Exit(10 if outstanding else 0)


def _name(entry: int) -> str:
    return f"record-{entry:05d}.age"


def _held(folder: Path, frame: Frame) -> Held:
    path = folder / HELD
    if not path.exists():
        return Held.of(frame)
    held = read_held(read_plain(path, HELD_BYTES_MAX), where=str(path))
    if held.frame != frame.digest:
        raise InputError("is of another frame", where=str(path), remedy="a folder holds the records of one draw")
    return held


def _tell(held: Held, frame: Frame, as_json: bool) -> None:
    outstanding = held.outstanding(frame)
    heard, refused, absent = (held.entries(one) for one in ("heard", "refused", "absent"))
    period = held.period
    print_result(
        as_json,
        {
            "form": held.form, "frame": held.frame, "drawn": held.drawn, "heard": list(heard), "refused": list(refused),
            "absent": list(absent), "outstanding": list(outstanding), "deviations": held.deviations,
            "records": digest_of(held.records), "period": None if period is None else period.model_dump(mode="json"),
        },
        [
            f"heard: entries {ranges(heard)}", f"refused: {ranges(refused)}", f"absent: {ranges(absent)}",
            f"outstanding: {ranges(outstanding)}", f"deviations: {held.deviations}",
        ],
    )  # fmt: skip


def _opened(folder: Path, heard: Heard, asking: Asking, identity_path: Path) -> Capture:
    path = folder / _name(heard.entry)
    sealed = read_plain(path, 2 * RECORD_BYTES_MAX)
    if digest_of(sealed) != heard.sealed:
        raise EvidenceError("is not the record that was kept", where=str(path))
    written = read_plain(identity_path, IDENTITY_BYTES_MAX).decode("utf-8", "replace").splitlines()
    identities = [line.strip() for line in written if line.startswith("AGE-SECRET-KEY-")]
    return _entry_of(unseal(sealed, identities, where=str(path)), heard, asking.form, asking.frame, str(path))


def _entry_of(lines: bytes, heard: Heard, form: Form, frame: Frame, where: str) -> Capture:
    capture = read_record(lines, form, frame, where=where)
    if capture.entry != heard.entry:
        raise EvidenceError(f"is the record of entry {capture.entry}", where=where)
    return capture


def _strata(options: dict[str, Any], frame: Frame) -> dict[int, str]:
    """The stratum of each drawn entry, from the roster that was drawn from."""
    anchors = TrustAnchors.read(options["anchors_path"])
    drawn = Exchange(options["draws"], anchors=anchors).by_digest(frame.drawn)
    if drawn is None or not isinstance(drawn.predicate, IntervieweesDrawn):
        raise EvidenceError("holds no such draw", where=str(options["draws"]))
    theirs = Exchange(options["theirs"], anchors=anchors)
    roster = theirs.by_digest(drawn.predicate.roster)
    if roster is None or not isinstance(roster.predicate, RosterCommitted):
        raise EvidenceError("the roster that was drawn from is not there", where=str(options["theirs"]))
    listed = parse_roster_list(subject_bytes(roster, "roster", theirs.payload), where="roster")
    if max(frame.entries) >= len(listed.persons):
        raise EvidenceError("an entry was drawn that the roster has not", where="roster")
    return {entry: listed.stratum(entry) for entry in frame.entries}
