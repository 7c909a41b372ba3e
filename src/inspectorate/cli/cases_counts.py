"""`inspectorate cases deadlines, alike, stats, heads`: what is due, what resembles, what may be published."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.cases_desk import done, on_desk, open_desk, when
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, now, parse_time, printable, write_text
from inspectorate.cli.running import ledger_append
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.whistleblowing.cases.alike import alike as find_alike
from inspectorate.mechanisms.whistleblowing.cases.alike import told
from inspectorate.mechanisms.whistleblowing.cases.deadlines import clocks_of
from inspectorate.mechanisms.whistleblowing.cases.deadlines import deadlines as find_deadlines
from inspectorate.mechanisms.whistleblowing.cases.heads import cut_off, publish, read_heads, sign_heads
from inspectorate.mechanisms.whistleblowing.cases.stats import SECRET_BYTES, release, release_day

HEADS_BYTES_MAX = 16 << 20
SECRET_FILE_BYTES_MAX = 200


@click.command()
@on_desk
@click.option("--as-of", help="At this time (default: now).")
def deadlines(desk_folder: Path, as_json: bool, as_of: str | None) -> None:
    """What is due by when: reports of retaliation first. Exits 10 if something is overdue."""
    at, at_desk = parse_time(as_of), open_desk(desk_folder)
    clocks = clocks_of(at_desk.agreement, at)
    due = find_deadlines(at_desk.desk.all(), clocks)
    rows = [
        {
            "case": one.case,
            "what": one.what,
            "by": one.by.isoformat(),
            "overdue": one.overdue(at),
            "retaliation": one.retaliation,
        }
        for one in due
    ]
    lines = [f"{'OVERDUE ' if one.overdue(at) else ''}{when(one.by)}  {one.case}  {one.what}" for one in due]
    if not clocks.own and any(one.retaliation for one in due):
        lines.append("The agreement has no clock 'retaliation': the general one holds.")
    done(as_json, {"as_of": at.isoformat(), "own_clock": clocks.own, "due": rows}, lines or ["nothing is due"])
    if any(one.overdue(at) for one in due):
        raise SystemExit(10)


@click.command()
@on_desk
def alike(desk_folder: Path, as_json: bool) -> None:
    """Cases whose texts or files resemble one another: they may have one author or one origin. It lowers nothing."""
    found = find_alike([told(state) for state in open_desk(desk_folder).desk.all()])
    rows = [{"cases": list(one.cases), "passages": list(one.passages), "same_files": one.same_files} for one in found]
    lines = []
    for one in found:
        lines += [str(one), *(f"  in both: {printable(passage[:200])}" for passage in one.passages)]
        lines += [f"  {one.same_files} files are the same"] if one.same_files else []
    done(as_json, {"alike": rows}, lines or ["no two cases resemble one another"])


@click.group(invoke_without_command=True)
@click.pass_context
def stats(context: click.Context) -> None:
    """Counts by quarter that reveal no one: released once, on a fixed day, with noise."""
    if context.invoked_subcommand is None:
        raise InputError("needs `secret` or `release`", where="cases stats")


@stats.command("secret")
@click.option("--out", type=NEW_PATH, required=True, help="A new file, for all offices that count together.")
def secret_(out: Path) -> None:
    """Make the secret out of which the noise of all releases comes. Offices share it; whoever has it can take the noise off."""
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(out)) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(SECRET_BYTES) + "\n")
    click.echo(f"{out}: hand it to the other offices, and keep it from everybody else")


@stats.command("release")
@on_desk
@click.option("--quarter", required=True, help="Such as 2026Q3.")
@click.option("--secret", "secret_path", type=EXISTING_FILE, required=True, help="The file of `stats secret`.")
@click.option("--out", type=NEW_PATH, required=True, help="The release; one that is there is never changed.")
def release_(desk_folder: Path, as_json: bool, quarter: str, secret_path: Path, out: Path) -> None:
    """Release a quarter. It is done once; offices compare their bytes before they publish."""
    try:
        secret = bytes.fromhex(read_bounded(secret_path, SECRET_FILE_BYTES_MAX).decode("ascii").strip())
    except ValueError:
        raise InputError("is no secret", where=str(secret_path), remedy="give the file of `stats secret`") from None
    cases = open_desk(desk_folder).desk.all_until(release_day(quarter))
    made = release(quarter, cases, secret=secret, at=now())
    data = made.canonical_bytes() + b"\n"
    if out.exists() and out.read_bytes() != data:
        raise InputError("was released with other counts", where=str(out), remedy="a quarter is released once")
    write_text(out, data)
    lines = [
        f"{quarter}, released {made.released:%Y-%m-%d}; counts carry noise, those below {made.cell_min} are held back"
    ]
    for title, cells, shown in (
        ("activity", made.activities, made.shown_activities),
        ("step asked for", made.steps, made.shown_steps),
    ):
        lines.append(title)
        lines += [f"  {cell.of.value:<18} {cell.count if cell.count is not None else 'held back':>9}" for cell in cells]
        lines.append(f"  {'of what is shown':<18} {shown:>9}")
    done(as_json, made.model_dump(mode="json", exclude_none=True), lines)


@click.group()
def heads() -> None:
    """Show that nothing was cut off or hidden: publish what an office's cases end with, and check what others published."""


@heads.command("publish")
@on_desk
@click.option("--out", type=NEW_PATH, required=True)
@click.option("--ledger", type=click.Path(file_okay=False, path_type=Path), help="Append its digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not the office's.")
def publish_(desk_folder: Path, as_json: bool, out: Path, ledger: Path | None, ledger_key_path: Path | None) -> None:
    """Publish a list of fixed size. Do so on a schedule, whether anything happened or not."""
    at, desk = now(), open_desk(desk_folder).desk
    made = publish((desk.read(case) for case in desk.names()), office=desk.office, at=at, random=secrets.token_bytes)
    data = sign_heads(made, desk.key)
    with contextlib.ExitStack() as stack:
        append = ledger_append(stack, ledger, ledger_key_path, desk.key)
        write_text(out, data)
        if append:
            append(bytes.fromhex(digest_of(data).removeprefix("sha256:")))
    facts = {"out": str(out), "digest": digest_of(data), "lines": len(made.lines), "at": at.isoformat()}
    done(as_json, facts, [f"{out}: {len(made.lines)} lines, {digest_of(data)}"])


@heads.command("check")
@click.argument("published", type=EXISTING_FILE)
@on_desk
def check_(desk_folder: Path, as_json: bool, published: Path) -> None:
    """Hold the list that an office published against this desk's copies; `merge` its copies first.

    Exits 30 if entries are not here: they were cut off or hidden, or not taken over yet.
    """
    desk = open_desk(desk_folder).desk
    data = read_bounded(published, HEADS_BYTES_MAX, too_large=EvidenceError)
    found = read_heads(data, desk.known.keys, where=str(published))
    faults = [fault for case in desk.names() if (fault := cut_off(found, *desk.read(case))) is not None]
    fine = [f"{len(desk.names())} cases: all that {found.office} had written by {when(found.at)} is here"]
    done(as_json, {"office": found.office, "at": found.at.isoformat(), "faults": faults}, faults or fine)
    if faults:
        raise SystemExit(30)
