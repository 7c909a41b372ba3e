"""`inspectorate audit code-decide`: keep what a person decided over a review, and sign it.

The answers are a YAML file: `pointers: [{key: sha256:..., parameters_change: false, words: ...}]`. With --questions a file with
every pointer that must be answered is written instead, for the person to fill in.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import yaml

from inspectorate.canonical import digest_of, parse_json
from inspectorate.cli.audit_code import allow_option, entry_option
from inspectorate.cli.options import (
    EXISTING,
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    now,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.errors import InputError
from inspectorate.evidence import Decision, Origin, sign_statement
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey, read_yaml
from inspectorate.mechanisms.inspection.code.archives import read_snapshot
from inspectorate.mechanisms.inspection.code.decision import Answer, Deciding, carried_over, decide, reviewed_statement
from inspectorate.mechanisms.inspection.code.decision import ReviewDocument as Document
from inspectorate.mechanisms.inspection.code.review import review_code
from inspectorate.mechanisms.inspection.code.run import RunReport
from inspectorate.mechanisms.inspection.code.techniques import techniques_seen
from inspectorate.mechanisms.inspection.code.types import Review

REPORT_BYTES_MAX = 64 << 20


@click.command("code-decide")
@click.argument("snapshot_path", metavar="SNAPSHOT", type=EXISTING)
@entry_option
@allow_option
@click.option("--party", help="For whom the inspector decides.")
@click.option("--claim", help="The claim of the declaration that this code is said to be.")
@click.option("--by", help="The inspector: the name of the anchor whose key signs.")
@click.option("--decision", type=click.Choice([d.value for d in Decision]))
@click.option("--words", help="The inspector's own.")
@click.option("--answers", "answers_path", type=EXISTING_FILE, help="Answers to pointers (YAML).")
@click.option("--questions", "questions_path", type=NEW_PATH, help="Write the pointers to be answered here, and stop.")
@click.option(
    "--previous",
    "previous_path",
    type=EXISTING_FILE,
    help="The document of the last approval; its answers are proposed.",
)
@click.option("--run", "run_path", type=EXISTING_FILE, help="What `audit code-run --json` printed.")
@click.option("--cannot-see-acknowledged", "acknowledged", is_flag=True, help="What cannot be seen was read.")
@click.option("--at", "at_text", help="When it was reviewed; now by default.")
@click.option("--valid-days", type=FiniteRange(0, 3_660, min_open=True), default=90.0, show_default=True)
@click.option("--key", "key_path", type=EXISTING_FILE, help="Sign with the inspector's key.")
@click.option("--out", "out", type=NEW_PATH, help="A folder for review.json and, with --key, statement.json.")
@json_option
def code_decide(**options: Any) -> None:
    """Decide over SNAPSHOT. An approval with pointers left unanswered cannot be made."""
    snapshot = read_snapshot(options["snapshot_path"])
    review = review_code(snapshot, options["entry"])
    previous = _document(options["previous_path"])
    if options["questions_path"] is not None:
        _new(options["questions_path"], "--questions")
        write_text(options["questions_path"], _questions(review, previous))
        return
    for name in ("party", "claim", "by", "decision", "words", "out"):
        if not options[name]:
            raise InputError("is needed to decide", where=f"--{name}", remedy="or give --questions")
    folder: Path = options["out"]
    _new(folder / "review.json", "--out")
    run = _run(options["run_path"], review)
    deciding = Deciding.parse(
        {
            **{name: options[name] for name in ("party", "claim", "by", "decision", "words")},
            "reviewed_at": parse_time(options["at_text"]) if options["at_text"] else now(),
            "answers": _answers(options["answers_path"]),
            "cannot_see_acknowledged": options["acknowledged"],
            "previous": previous.code if previous else None,
            "parameters_changed": run.parameters_changed if run else None,
            "run": run.digest if run else None,
        },
        where="decision",
        error=InputError,
    )
    document = decide(review, deciding, techniques_seen(snapshot, review, options["allowed"] or None))
    write_text(folder / "review.json", document.canonical_bytes())
    result = {"decision": document.decision.value, "review": document.digest, "code": document.code}
    if options["key_path"] is not None:
        until = document.reviewed_at + timedelta(days=options["valid_days"])
        statement = reviewed_statement(document, origin=Origin.RECORDED, valid_until=until)
        envelope = sign_statement(statement, SigningKey.read(options["key_path"]))
        write_text(folder / "statement.json", envelope)
        result["statement"] = digest_of(envelope)
    if options["as_json"]:
        print_json(dict(result))
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in result.items()))


def _new(path: Path, option: str) -> None:
    """What a person wrote or signed is never written over. Raises `InputError`."""
    if path.exists():
        raise InputError(f"{path} is there already", where=option, remedy="name another place, or move it away")


def _document(path: Path | None) -> Document | None:
    return None if path is None else Document.parse_bytes(read_bounded(path, REPORT_BYTES_MAX), where=str(path))


def _run(path: Path | None, review: Review) -> RunReport | None:
    if path is None:
        return None
    data = read_bounded(path, REPORT_BYTES_MAX)
    run = RunReport.parse(parse_json(data, where=str(path)), where=str(path), error=InputError)
    if (run.snapshot, run.entry) != (review.snapshot, review.entry):
        raise InputError("is of another snapshot or entry point", where=str(path))
    return run


def _answers(path: Path | None) -> tuple[Answer, ...]:
    if path is None:
        return ()
    given = read_yaml(path, bytes_max=REPORT_BYTES_MAX)
    rows = given.get("pointers") if isinstance(given, dict) else None
    if not isinstance(rows, list):
        raise InputError("holds no list of pointers", where=str(path))
    found = []
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InputError(f"entry {place} is no answer", where=str(path))
        if row.get("parameters_change") is None:
            continue
        words = {
            "pointer": row.get("key"),
            "parameters_change": row.get("parameters_change"),
            "words": row.get("words"),
        }
        found.append(Answer.parse(words, where=f"{path}: entry {place}", error=InputError))
    return tuple(found)


def _questions(review: Review, previous: Document | None) -> str:
    """A file to fill in: one entry per pointer, with the last answer where there was one."""
    kept = {answer.pointer: answer for answer in carried_over(previous, review)} if previous else {}
    rows = []
    for pointer in review.must_answer():
        answer = kept.get(pointer.key)
        rows.append(
            {
                "at": f"{pointer.file}:{pointer.line}", "rule": pointer.rule, "reachable": pointer.reachable.value,
                "excerpt": pointer.excerpt, "why": pointer.why, "key": pointer.key,
                "parameters_change": answer.parameters_change if answer else None,
                "words": answer.words if answer else "",
            }
        )  # fmt: skip
    return yaml.safe_dump({"pointers": rows}, sort_keys=False, allow_unicode=True, width=120)
