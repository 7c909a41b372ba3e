"""`inspectorate enrol`: open, record into, close and show an enrolment session with an inspector present."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import ApprovedWorkloads, load_agreement
from inspectorate.canonical import digest_of
from inspectorate.cli.collect_telemetry import telemetry
from inspectorate.cli.enrol_show import show
from inspectorate.cli.enrol_text import close_lines, open_lines, record_lines
from inspectorate.cli.options import (
    EXISTING,
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    anchors_option,
    json_option,
    now,
    parse_time,
    print_json,
)
from inspectorate.cli.running import ledger_append
from inspectorate.declaration import load_declaration
from inspectorate.errors import InputError
from inspectorate.evidence import Origin
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.workloads.enrol.clause import approving_clause, make_plan
from inspectorate.mechanisms.workloads.enrol.closing import Closing, close_session, samples_of_runs
from inspectorate.mechanisms.workloads.enrol.code import code_digest
from inspectorate.mechanisms.workloads.enrol.manifest import (
    check_manifest,
    check_meter,
    choose_signals,
    choose_units,
    load_manifest,
    parse_settings,
)
from inspectorate.mechanisms.workloads.enrol.recording import RunRefused, read_spool, take_run
from inspectorate.mechanisms.workloads.enrol.session import (
    Opening,
    RunName,
    Session,
    add_run,
    name_run,
    open_session,
    read_session,
)
from inspectorate.quantities import Period

_session = click.Path(exists=True, file_okay=False, path_type=Path)
_folder = click.Path(file_okay=False, path_type=Path)


@click.group()
def enrol() -> None:
    """Enrol a workload with an inspector present: what it looks like on the meters, signed.

    A session is a folder: `open` it, `record` separate runs of the workload and contrasts, `close` it. What is enough follows
    from the agreement's clause; `show` says how far a session is.
    """


enrol.add_command(show)


@enrol.command("open")
@click.argument("session", type=NEW_PATH)
@click.option("--manifest", "manifest_path", type=EXISTING_FILE, required=True,
              help="What runs on what: hardware, software, operating range (YAML).")  # fmt: skip
@click.option("--code", "code_path", type=EXISTING, required=True, help="The code that runs, a file or a folder.")
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="The declaration (YAML).")
@click.option("--meter", required=True, help="The declared meter that is recorded.")
@click.option(
    "--units", multiple=True, metavar="PATTERN", help="Units of the meter, such as 'pod-a/*'; all by default."
)
@click.option("--signals", multiple=True, metavar="SIGNAL", help="Gauges to compare; all of the meter by default.")
@click.option("--agreement", "agreement_name", required=True, help="A YAML file, or the name of a shipped agreement.")
@click.option("--clause", help="The clause on approved workloads, where there are several.")
@click.option("--as", "by", required=True, help="The inspector's name as a trust anchor.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The inspector's key.")
@anchors_option
@click.option("--ledger", type=_folder, help="Append the statement's digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@json_option
def open_(**options: Any) -> None:
    """Open a session in the folder SESSION: sign what runs, before anything is recorded."""
    at = now()
    code = code_digest(options["code_path"])
    manifest = load_manifest(options["manifest_path"], code=code.digest)
    declaration = load_declaration(options["declaration_path"])
    agreement = load_agreement(options["agreement_name"])
    clause = approving_clause(agreement, at=at, name=options["clause"])
    assert isinstance(clause.parameters, ApprovedWorkloads)
    check_manifest(manifest, declaration, clause.parameters, where=str(options["manifest_path"]))
    meter = check_meter(manifest, declaration, options["meter"])
    plan = make_plan(
        agreement, clause, meter,
        units=choose_units(manifest, meter, options["units"]), signals=choose_signals(meter, options["signals"]),
    )  # fmt: skip
    key = SigningKey.read(options["key_path"])
    opening = Opening(manifest=manifest, plan=plan, by=options["by"], at=at, origin=options["origin"])
    with contextlib.ExitStack() as stack:
        append = ledger_append(stack, options["ledger"], options["ledger_key_path"], key)
        session = open_session(options["session"], opening, key=key, anchors=TrustAnchors.read(options["anchors_path"]))
        if append:
            append(bytes.fromhex(session.opening.digest.removeprefix("sha256:")))
    if options["as_json"]:
        print_json(
            {
                "session": manifest.session, "folder": str(session.folder), "statement": session.opening.digest,
                "opened_at": at.isoformat(), "code": code.digest, "code_files": code.files, "code_bytes": code.size_bytes,
                "manifest": manifest.model_dump(mode="json"), "plan": plan.model_dump(mode="json"),
            }
        )  # fmt: skip
    else:
        click.echo("\n".join(open_lines(session, code)))


@dataclass(frozen=True, kw_only=True)
class RecordOptions:
    """What `enrol record` was asked to do."""

    session: Path
    settings: tuple[str, ...]
    run: str
    contrast: str | None
    kind: str | None
    spool: Path | None
    live: tuple[str, ...]
    declaration_path: Path | None
    meter_key: Path | None
    duration_s: float | None
    segment_s: float
    start: str | None
    end: str | None
    anchors_path: Path
    as_json: bool


@enrol.command()
@click.argument("session", type=_session)
@click.argument("settings", nargs=-1, metavar="[NAME=NUMBER]...")
@click.option("--run", default="", help="A name for the run; run-01, run-02, ... by default.")
@click.option("--contrast", help="Not the workload, but this other thing that the chips can do.")
@click.option("--kind", type=click.Choice(["training", "idle", "inference", "other"]), help="What the contrast is.")
@click.option("--from", "spool", type=_session, help="Take the run from this collector's folder.")
@click.option("--live", multiple=True, metavar="SOURCE",
              help="Record it now: a source as in `collect telemetry`, without METER=.")  # fmt: skip
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, help="With --live: the declaration (YAML).")
@click.option("--meter-key", type=EXISTING_FILE, help="With --live: the key of the meter.")
@click.option("--for", "duration_s", type=FiniteRange(min=0, min_open=True), help="With --live: for so many seconds.")
@click.option(
    "--segment-seconds", "segment_s", type=FiniteRange(0), default=30.0, show_default=True, help="With --live."
)
@click.option("--start", help="With --from: when the run began; the beginning of the recording by default.")
@click.option("--end", help="With --from: when it ended.")
@anchors_option
@json_option
def record(**options: Any) -> None:
    """Record one run of the workload into SESSION, with its settings (load=0.5 batch=8), or of a contrast.

    Exits 30 if the telemetry cannot stand as a run: gaps, copies, repeats, sensors that stand still, false signatures.
    """
    asked = RecordOptions(**options)
    if (asked.spool is None) == (not asked.live):
        raise InputError("give either --from or --live", where="--from, --live")
    anchors = TrustAnchors.read(asked.anchors_path)
    session = read_session(asked.session, anchors=anchors)
    name = name_run(
        session,
        RunName(
            id=asked.run, settings=parse_settings(asked.settings), contrast=asked.contrast,
            kind=asked.kind,  # type: ignore[arg-type]
        ),
    )  # fmt: skip
    earlier = samples_of_runs(session, anchors=anchors)
    folder = asked.spool or _record_live(session, name, asked)
    spool = read_spool(folder, anchors=anchors, meter=session.plan.meter)
    period = _period(asked, spool.listened)
    at = now()
    try:
        taken = take_run(
            spool, session.plan, period=period, session=Period(start=session.opened.opened_at, end=at), earlier=earlier
        )
    except RunRefused as fault:
        if asked.as_json:
            print_json({"run": name.id, "refused": list(fault.reasons), "from": str(folder)})
        raise
    recorded = add_run(session, name, taken, spool=spool, at=at)
    if asked.as_json:
        print_json(recorded.model_dump(mode="json", exclude_none=True))
    else:
        click.echo("\n".join(record_lines(recorded, len(taken.samples))))


@enrol.command()
@click.argument("session", type=_session)
@click.option(
    "--code", "code_path", type=EXISTING, required=True, help="The code, once more: it must not have changed."
)
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The inspector's key.")
@anchors_option
@click.option(
    "--valid-days", type=FiniteRange(min=0, min_open=True), help="For how long; as the clause allows by default."
)
@click.option("--short", is_flag=True, help="Close although not enough was recorded. The result says what it supports.")
@click.option("--ledger", type=_folder, help="Append the statement's digest to this log.")
@click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key.")
@json_option
def close(**options: Any) -> None:
    """Close SESSION: sign the workload signature and its reference telemetry. Nothing adapts later."""
    anchors = TrustAnchors.read(options["anchors_path"])
    session = read_session(options["session"], anchors=anchors)
    days: float | None = options["valid_days"]
    code = code_digest(options["code_path"]).digest
    key = SigningKey.read(options["key_path"])
    closing = Closing(code=code, at=now(), valid_s=None if days is None else days * 86_400, short=options["short"])
    with contextlib.ExitStack() as stack:
        append = ledger_append(stack, options["ledger"], options["ledger_key_path"], key)
        closed = close_session(session, closing, key=key, anchors=anchors)
        if append:
            append(bytes.fromhex(digest_of(closed.envelope).removeprefix("sha256:")))
    if options["as_json"]:
        print_json(
            {
                "session": closed.record.manifest.session, "statement": digest_of(closed.envelope),
                "reference": closed.record.reference, "reference_bytes": closed.reference_bytes,
                "valid_until": closed.record.valid_until.isoformat(), "runs": len(closed.record.runs),
                "sufficiency": closed.sufficiency.model_dump(mode="json"),
            }
        )  # fmt: skip
    else:
        click.echo("\n".join(close_lines(closed)))


def _record_live(session: Session, name: RunName, asked: RecordOptions) -> Path:
    """Record now, with the recorder of `collect telemetry`, into a folder of the session."""
    if asked.declaration_path is None or asked.meter_key is None or asked.duration_s is None:
        raise InputError("needs --declaration, --meter-key and --for", where="--live")
    if asked.start or asked.end:
        raise InputError("are of no use with --live", where="--start, --end")
    folder = session.folder / "live" / f"{name.id}-{now():%Y%m%dT%H%M%S.%fZ}"
    arguments = [
        "--declaration", str(asked.declaration_path), "--key", str(asked.meter_key), "--out", str(folder),
        "--for", str(asked.duration_s), "--segment-seconds", str(asked.segment_s),
        "--origin", session.opened.origin.value,
    ]  # fmt: skip
    for source in asked.live:
        arguments += ["--meter", f"{session.plan.meter}={source}"]
    # What the recorder prints is about its own work; the result of this command is the run.
    with contextlib.redirect_stdout(sys.stderr):
        telemetry.main(args=arguments, prog_name="collect telemetry", standalone_mode=False)
    return folder


def _period(asked: RecordOptions, listened: Period | None) -> Period | None:
    """The period that was asked for; what is not said is as far as the recording goes. Raises `InputError`."""
    if asked.start is None and asked.end is None:
        return None
    assert listened is not None
    start = parse_time(asked.start) if asked.start else listened.start
    end = parse_time(asked.end) if asked.end else listened.end
    return Period.parse({"start": start, "end": end}, where="--start, --end", error=InputError)
