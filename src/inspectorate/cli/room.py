"""`inspectorate room`: a session at the site in which code and data stay, and only words of a closed list leave.

Exit codes: 0 done (`show`: the log is sound), 10 an output waits or the session is open, 30 the log is not sound, 2 wrong use.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import InspectionRooms, load_agreement
from inspectorate.canonical import canonical_bytes, digest_of
from inspectorate.cli.options import EXISTING_FILE, NAME, NEW_PATH, FiniteRange, json_option, now, print_json
from inspectorate.cli.running import ledger_append
from inspectorate.errors import InputError
from inspectorate.evidence import Origin, sign_statement
from inspectorate.evidence.spool import DiskSpool
from inspectorate.evidence.statement import Statement
from inspectorate.keys import SigningKey, read_yaml
from inspectorate.mechanisms.inspection.room.check import RoomReport, check_room_log
from inspectorate.mechanisms.inspection.room.session import Around, Room, closed_statement, read_log
from inspectorate.mechanisms.inspection.room.types import (
    FAILED,
    VERDICT,
    Form,
    HostObjected,
    Opened,
    Output,
    Refused,
)

FORMS_BYTES_MAX = 1 << 20
WORD_OF_EXIT = {0: "consistent", 10: "inconclusive", 20: "inconsistent", 30: "invalid-evidence"}
SLEEP_S_MAX = 60.0
JOB_SHARE = 0.9
"""Of a slot, what a command may take: the rest is for ending its processes, so that the output is not late."""

_session = click.Path(exists=True, file_okay=False, path_type=Path)


def _ledger_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key.")(command)
    return click.option(
        "--ledger",
        type=click.Path(file_okay=False, path_type=Path),
        help="Append the digest of each entry to this log.",
    )(command)


@click.group()
def room() -> None:
    """A session at the site in which code and data stay, and only words of a closed list leave.

    The inspector opens it with a budget of bits and runs commands of this program; the host answers each output; what it agreed to
    leaves at the edge of a slot, and is charged whether it leaves or not.
    """


@room.command("open")
@click.argument("folder", type=NEW_PATH)
@click.option("--session", required=True, help="A name for the session.")
@click.option("--as", "by", required=True, help="The inspector's name as a trust anchor.")
@click.option("--host", required=True, help="The party in whose room it is.")
@click.option("--bits", type=FiniteRange(min=0, min_open=True), required=True, help="The budget.")
@click.option("--slot", "slot_s", type=FiniteRange(min=0.01), default=60.0, show_default=True,
              help="Seconds between two moments at which outputs leave; a job gets nine tenths of it.")  # fmt: skip
@click.option(
    "--forms", "forms_path", type=EXISTING_FILE, help="What outputs may be (YAML list); by default, verdicts."
)
@click.option("--agreement", "agreement_name", help="Hold the budget against its clause on rooms.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@_ledger_options
def open_(**options: Any) -> None:
    """Open a session in FOLDER. Budget, slots and forms cannot be changed afterwards."""
    forms: tuple[Form, ...] = (VERDICT,)
    if options["forms_path"] is not None:
        given = read_yaml(options["forms_path"], bytes_max=FORMS_BYTES_MAX)
        if not isinstance(given, list):
            raise InputError("must be a list of forms", where=str(options["forms_path"]))
        forms = tuple(Form.parse(one, where=str(options["forms_path"]), error=InputError) for one in given)
    if options["agreement_name"] is not None:
        _within(options["agreement_name"], options["bits"])
    opening = Opened.parse(
        {
            "session": options["session"], "by": options["by"], "host": options["host"], "origin": options["origin"],
            "bits_max": options["bits"], "slot_s": options["slot_s"], "forms": [one.model_dump() for one in forms],
        },
        where="room open",
        error=InputError,
    )  # fmt: skip
    with _around(options) as around, Room.open(options["folder"], opening, around) as held:
        click.echo(
            f"open: {held.bits_left:g} bits, forms {', '.join(f'{one.id} ({one.bits:.3g} bits)' for one in forms)}"
        )


@room.command()
@click.argument("folder", type=_session)
@click.argument("command", nargs=-1, required=True)
@click.option("--job", type=NAME, required=True, help="A name for it.")
@click.option("--form", "form_id", default=VERDICT.id, show_default=True, help="Its words must be those of a verdict.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=PATH", help="A file of the host that it reads.")
@_ledger_options
def run(
    folder: Path, command: tuple[str, ...], job: str, form_id: str, inputs: tuple[str, ...], **options: Any
) -> None:
    """Run a command of this program inside: `room run FOLDER --job flop -- audit flop ...`.

    What it prints is thrown away; its exit code is the output, and the host looks at it first. It ends when its slot does.
    """
    named = [_named(one) for one in inputs]
    with _around(options) as around, Room.resume(folder, around) as held:
        for name, path in named:
            held.read_input(name, path)
        opened = held.report.opened
        assert opened is not None
        held.run(
            job,
            form_id,
            lambda: _verdict(command, opened.slot_s * JOB_SHARE),
            inputs=[name for name, _ in named],
            arguments=canonical_bytes(list(command)),
        )
        click.echo(f"an output waits for the host; {held.bits_left:.3g} bits are left")
    raise click.exceptions.Exit(10)


@room.command()
@click.argument("folder", type=_session)
@click.option("--agree", "key_path", type=EXISTING_FILE, help="Let it go, signed with the host's key.")
@click.option("--object", "objects", is_flag=True, help="Keep it back. That is written down, and costs a bit.")
@_ledger_options
def answer(folder: Path, key_path: Path | None, objects: bool, **options: Any) -> None:
    """The host looks at the output that waits, and lets it go or objects. Without an option it only looks."""
    if objects and key_path is not None:
        raise InputError("agree or object, not both", where="room answer")
    with _around(options) as around, Room.resume(folder, around) as held:
        waiting = held.waiting()
        if waiting is None:
            raise InputError("no output waits for the host", where=str(folder))
        if objects:
            held.object()
            click.echo("kept back")
        elif key_path is not None:
            click.echo(f"leaves in slot {held.agree(SigningKey.read(key_path))}")
        else:
            number, output = waiting
            click.echo(f"job {number}: {output.canonical_bytes().decode()}")
            raise click.exceptions.Exit(10)


@room.command()
@click.argument("folder", type=_session)
@_ledger_options
@json_option
def show(folder: Path, as_json: bool, **options: Any) -> None:
    """Let go what is due, and print the session: what left, what was charged, what is wrong with its log."""
    found = check_room_log(read_log(folder))
    if found.closed is None and found.sound_but_open:
        with _around(options) as around, Room.resume(folder, around) as held:
            held.release()
            found = held.report
    result = _told(found)
    if as_json:
        print_json(result)
    else:
        table = Table("job", "form", "inputs", "output", "bits")
        for one in result["jobs"]:
            table.add_row(*(str(one[key]) for key in ("name", "form", "inputs", "output", "bits")))
        Console().print(table)
        click.echo(f"{result['bits_out']:.4g} of {result['bits_max']:g} bits; {len(result['inputs'])} inputs by digest")
        for problem in result["problems"]:
            click.echo(f"problem: {problem}")
    raise click.exceptions.Exit(0 if found.sound else 10 if found.sound_but_open else 30)


@room.command()
@click.argument("folder", type=_session)
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The inspector's key.")
@_ledger_options
@json_option
def close(folder: Path, key_path: Path, as_json: bool, **options: Any) -> None:
    """End the session and sign its log. Statement and payload are written into FOLDER."""
    key = SigningKey.read(key_path)
    with _around(options) as around:
        statement, log = _ended(folder, around)
        envelope = sign_statement(statement, key)
        digest = digest_of(envelope)
        with DiskSpool(folder) as spool:
            spool.put(f"payloads/{digest_of(log).removeprefix('sha256:')}", [log])
            spool.put(f"statements/{digest.removeprefix('sha256:')}.json", [envelope])
        if around.on_entry is not None:
            around.on_entry(bytes.fromhex(digest.removeprefix("sha256:")))
    bits = check_room_log(log).bits_out
    if as_json:
        print_json({"statement": digest, "bits_out": bits})
    else:
        click.echo(f"closed: {bits:.4g} bits\nstatement {digest}")


def _ended(folder: Path, around: Around) -> tuple[Statement, bytes]:
    """End a session. Of one that was ended and could not be signed, as on a full disk, the statement is made again."""
    log = read_log(folder)
    if check_room_log(log).closed is not None:
        return closed_statement(log)
    with Room.resume(folder, around) as held:
        return held.close()


def _within(agreement_name: str, bits: float) -> None:
    agreement = load_agreement(agreement_name)
    limits = [
        one.parameters.bits_per_session_max for one in agreement.clauses if isinstance(one.parameters, InspectionRooms)
    ]
    if not limits:
        raise InputError("has no clause on inspection rooms", where=agreement_name)
    if bits > min(limits):
        raise InputError(f"{bits:g} bits exceed the {min(limits):g} that were agreed", where="--bits")


def _named(text: str) -> tuple[str, Path]:
    name, found, path = text.partition("=")
    if not found or not name or not path:
        raise InputError(f"{text!r} is no input", where="--input", remedy="write NAME=PATH")
    return NAME.convert(name, None, None), Path(path)


@contextlib.contextmanager
def _around(options: dict[str, Any]) -> Iterator[Around]:
    with contextlib.ExitStack() as stack:
        append = None
        if options["ledger"] is not None:
            if options["ledger_key_path"] is None:
                raise InputError("needs --ledger-key", where="--ledger")
            append = ledger_append(stack, options["ledger"], None, SigningKey.read(options["ledger_key_path"]))
        yield Around(clock=now, wait_until=_wait_until, on_entry=append)


def _wait_until(at: datetime) -> None:
    while (left := (at - now()).total_seconds()) > 0:
        time.sleep(min(left, SLEEP_S_MAX))


def _verdict(command: tuple[str, ...], seconds: float) -> Output:
    """The exit code of a command of this program, as a word. Its processes end with its time."""
    started = subprocess.Popen(
        [sys.executable, "-m", "inspectorate", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = started.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        code = -1
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    return Output(word=WORD_OF_EXIT.get(code, FAILED))


def _told(found: RoomReport) -> dict[str, Any]:
    """The session as data. An output shows only once it left."""
    refused = {entry.body.job for entry in found.entries if isinstance(entry.body, Refused)}
    objected = {entry.body.job for entry in found.entries if isinstance(entry.body, HostObjected)}
    jobs = []
    for number, job in found.jobs.items():
        offered = found.offered.get(number)
        word = (
            offered.output.canonical_bytes().decode() if offered is not None and number in found.released
            else "kept back by the host" if number in objected
            else "refused: no bits left" if number in refused
            else "waits"
        )  # fmt: skip
        jobs.append({
            "name": job.name, "form": job.form, "inputs": ", ".join(job.inputs), "output": word,
            "bits": round(offered.bits, 4) if offered is not None else 0.0,
        })  # fmt: skip
    return {
        "session": found.opened.session if found.opened is not None else None,
        "closed": found.closed is not None,
        "bits_out": found.bits_out,
        "bits_max": found.opened.bits_max if found.opened is not None else 0.0,
        "inputs": found.inputs,
        "jobs": jobs,
        "problems": [
            one.text if one.line is None else f"line {one.line}: {one.text}" for one in found.problems
        ],
    }  # fmt: skip
