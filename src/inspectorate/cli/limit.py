"""`inspectorate limit`: enforce a limit on this gateway, say what runs, and price what is left for a cheater.

`apply`, `show`, `serve`, `attest`, `remove` and a `check` without --statement act on the network namespace that they run in,
and need root there. `check` of a statement, `covert` and `window approve` need nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inspectorate.agreement import Agreement, ClauseKind, LimitEnforced, LoadingWindows, load_agreement
from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.cli.limit_covert import covert
from inspectorate.cli.limit_window import window
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, now, print_json
from inspectorate.cli.running import ledger_append, stop_signals
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import LimitAttested, Origin, verify_envelope
from inspectorate.evidence.envelope import ENVELOPE_BYTES_MAX
from inspectorate.evidence.spool import DiskSpool
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.mechanisms.interconnect.enforce import desk as desks
from inspectorate.mechanisms.interconnect.enforce import kernel, reference
from inspectorate.mechanisms.interconnect.enforce.attest import Attester
from inspectorate.mechanisms.interconnect.enforce.generation import Notices
from inspectorate.mechanisms.interconnect.enforce.judge import Standing, hold_against
from inspectorate.mechanisms.interconnect.enforce.loading import Relay
from inspectorate.mechanisms.interconnect.enforce.plan import load_plan
from inspectorate.mechanisms.interconnect.enforce.readback import Running
from inspectorate.mechanisms.interconnect.enforce.serve import Clocks, Daemon
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.quantities import Period

ATTEST_S_MAX = 3_600.0
_NICE = -10
_EXIT = {Standing.WITHIN: 0, Standing.UNKNOWN: 10, Standing.ABOVE: 20}
_folder = click.Path(file_okay=False, path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)

plan_argument = click.argument("plan_path", metavar="PLAN", type=EXISTING_FILE)
key_option = click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The gateway's signing key.")
out_option = click.option("--out", type=_folder, required=True, help="Folder for statements and payloads.")
ledger_options = (
    click.option("--ledger", type=_folder, help="Append every statement's digest to this log."),
    click.option("--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if not that of --key."),
)
origin_option = click.option(
    "--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True
)


def ledgered(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(ledger_options):
        command = option(command)
    return command


@click.group()
def limit() -> None:
    """Enforce a limit on this gateway, say what runs, and price what is left for a cheater."""


limit.add_command(window)
limit.add_command(covert)


@limit.command()
@plan_argument
@json_option
def apply(plan_path: Path, as_json: bool) -> None:
    """Load PLAN. Nothing passes until `limit serve` keeps the switch."""
    plan = load_plan(plan_path)
    _print_running(kernel.load(plan, kernel.here), as_json)


@limit.command()
@json_option
def show(as_json: bool) -> None:
    """Print the limits that run here, as read back from the kernel. Exits 10 if not everything else is dropped."""
    running = _running()[1]
    _print_running(running, as_json)
    if running.faults:
        raise SystemExit(10)


@limit.command()
def remove() -> None:
    """Stop forwarding, and take rules and queues away. Forwarding stays off."""
    kernel.remove(kernel.here)
    click.echo("rules and queues are gone; forwarding is off and stays off")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What `limit serve` was asked to do."""

    plan_path: Path
    key_path: Path
    out: Path
    ledger: Path | None
    ledger_key_path: Path | None
    attest_every_s: float
    agreement_name: str | None
    anchors_path: Path | None
    state: Path | None
    duration_s: float | None
    ready_file: Path | None
    origin: Origin


@limit.command()
@plan_argument
@key_option
@out_option
@ledgered
@click.option(
    "--attest-every",
    "attest_every_s",
    type=FiniteRange(0.5, ATTEST_S_MAX),
    default=reference.ATTEST_EVERY_S,
    show_default=True,
    help="Seconds between two statements.",
)
@click.option("--agreement", "agreement_name", help="For loading windows: the agreement that allows them.")
@click.option("--anchors", "anchors_path", type=EXISTING_FILE, help="For loading windows: whose approvals count.")
@click.option("--state", type=_folder, help="For loading windows: the gateway's folder.")
@click.option("--duration", "duration_s", type=FiniteRange(min=0), help="Stop after so many seconds.")
@click.option("--ready-file", type=_file, help="Write this file once the limit is enforced.")
@origin_option
def serve(**options: Any) -> None:
    """Enforce PLAN until interrupted: load it, keep it, watch it, attest it.

    When this process ends, however it ends, traffic stops within a second. Exits 20 if somebody changed the rules.
    """
    asked = ServeOptions(**options)
    if asked.state is None and (asked.agreement_name is not None or asked.anchors_path is not None):
        raise InputError("are for loading windows", where="--agreement, --anchors", remedy="name a folder with --state")
    plan, key = load_plan(asked.plan_path), SigningKey.read(asked.key_path)
    with contextlib.ExitStack() as stack:
        stopped = stack.enter_context(stop_signals())
        on_statement = ledger_append(stack, asked.ledger, asked.ledger_key_path, key)
        spool = stack.enter_context(DiskSpool(asked.out))
        attester = Attester(reporter=plan.gateway, key=key, spool=spool, origin=asked.origin, on_statement=on_statement)
        status = asked.state / "status.json" if asked.state else None
        clocks = Clocks(now=now, monotonic_s=time.monotonic, sleep=time.sleep)
        daemon = Daemon(plan, kernel.here, attester, clocks, attest_every_s=asked.attest_every_s, status=status)
        if asked.state:
            desks.prepare(asked.state)
            terms, anchors = _window_terms(asked)
            daemon.desk = desks.Desk(
                plan=plan,
                terms=terms,
                anchors=anchors,
                folder=asked.state,
                relay=stack.enter_context(Relay(asked.state / "staging")),
                run=kernel.here,
                commit=daemon.commit,
                report=daemon.report,
                origin=asked.origin,
            )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICE)
        started_s = time.monotonic()

        def stop() -> bool:
            if asked.ready_file and not asked.ready_file.exists():
                _touch(asked.ready_file)
            return stopped() or (asked.duration_s is not None and time.monotonic() - started_s >= asked.duration_s)

        changed = daemon.serve(stop)
    if changed:
        click.echo(f"{plan.gateway}: traffic was stopped: {changed}", err=True)
        raise SystemExit(20)
    click.echo(f"{plan.gateway}: traffic is stopped; {attester.filed} statements in {asked.out}")


@limit.command()
@click.option("--gateway", required=True, help="The reporter's name in the declaration.")
@key_option
@out_option
@ledgered
@click.option(
    "--seconds", type=FiniteRange(0.05, ATTEST_S_MAX), default=1.0, show_default=True, help="How long to watch."
)
@origin_option
@json_option
def attest(
    gateway: str,
    key_path: Path,
    out: Path,
    ledger: Path | None,
    ledger_key_path: Path | None,
    seconds: float,
    origin: Origin,
    as_json: bool,
) -> None:
    """Watch the running rules for a while, and sign one statement of what they are.

    Exits 10 if not everything else is dropped, 20 if the rules were changed meanwhile; the statement says so, too.
    """
    key = SigningKey.read(key_path)
    with contextlib.ExitStack() as stack:
        on_statement = ledger_append(stack, ledger, ledger_key_path, key)
        attester = Attester(
            reporter=gateway,
            key=key,
            spool=stack.enter_context(DiskSpool(out)),
            origin=origin,
            on_statement=on_statement,
        )
        notices = stack.enter_context(Notices())
        start = now()
        before = _running()[1]
        time.sleep(seconds)
        snapshot, running = _running()
        unchanged = not notices.changed() and (before.limits, before.faults) == (running.limits, running.faults)
        digest = attester.attest(snapshot, running, Period(start=start, end=now()), unchanged=unchanged)
    if as_json:
        print_json({"statement": digest, "unchanged": unchanged, **_as_json(running)})
    else:
        click.echo(f"{digest}: {'unchanged' if unchanged else 'CHANGED'} for {seconds:g} s")
        _print_running(running, as_json=False)
    if not unchanged:
        raise SystemExit(20)
    if running.faults:
        raise SystemExit(10)


@limit.command()
@click.option("--agreement", "agreement_name", required=True, help="A shipped agreement, or a file.")
@click.option(
    "--statement", "statement_path", type=EXISTING_FILE, help="Check this signed statement, not what runs here."
)
@click.option("--payload", "payload_path", type=EXISTING_FILE, help="The ruleset that the statement speaks of.")
@click.option("--anchors", "anchors_path", type=EXISTING_FILE, help="The reviewer's trust anchors, for a statement.")
@json_option
def check(
    agreement_name: str,
    statement_path: Path | None,
    payload_path: Path | None,
    anchors_path: Path | None,
    as_json: bool,
) -> None:
    """Hold the limits that run here, or those of a statement, against the agreement.

    Exits 0 if they are within it, 10 if that cannot be said, 20 if a limit is above it, 30 if the statement is not sound.
    """
    terms = _terms(load_agreement(agreement_name), LimitEnforced, ClauseKind.LIMIT_ENFORCED)
    if statement_path is None:
        if payload_path or anchors_path:
            raise InputError("are for a statement", where="--payload, --anchors", remedy="name it with --statement")
        running, said = _running()[1], None
    elif payload_path is None or anchors_path is None:
        raise InputError("a statement needs --payload and --anchors", where=str(statement_path))
    else:
        running, said = _read_statement(statement_path, payload_path, TrustAnchors.read(anchors_path))
    standing, reasons = hold_against(running, terms, unchanged=said is None or said.unchanged)
    stated = said.model_dump(mode="json", include={"reporter", "period", "origin"}) if said else None
    if as_json:
        print_json({"standing": standing.value, "reasons": list(reasons), "stated": stated, **_as_json(running)})
    else:
        when = f", as {said.reporter} stated of {said.period} ({said.origin.value})" if said else ""
        click.echo("\n".join((f"{standing.value.upper()}{when}", *(f"  {reason}" for reason in reasons))))
    raise SystemExit(_EXIT[standing])


def _read_statement(statement: Path, payload: Path, anchors: TrustAnchors) -> tuple[Running, LimitAttested]:
    """What a statement says that ran, read out of its payload. Raises `EvidenceError` unless the two agree."""
    envelope = read_bounded(statement, ENVELOPE_BYTES_MAX, too_large=EvidenceError)
    verified = verify_envelope(envelope, anchors=anchors, where=str(statement))
    said = verified.predicate
    if not isinstance(said, LimitAttested):
        raise EvidenceError("is no attestation of limits", where=str(statement))
    data = read_bounded(payload, JSON_BYTES_MAX, too_large=EvidenceError)
    if [subject.digest_text for subject in verified.statement.subject] != [digest_of(data)]:
        raise EvidenceError("is not what the statement speaks of", where=str(payload))
    running = judge(Snapshot.parse(data, where=str(payload)))
    if (running.limits, not running.faults, running.lifted) != (said.limits, said.others_dropped, said.lifted):
        raise EvidenceError("the statement says otherwise than the ruleset it speaks of", where=str(statement))
    return running, said


def _terms(agreement: Agreement, kind: type[Any], named: ClauseKind) -> Any:
    """The terms of the agreement's clause of a kind, as it stands now. Raises `InputError` if there is none, or several."""
    found = [clause.parameters for clause in agreement.on(now()).clauses if isinstance(clause.parameters, kind)]
    if len(found) != 1:
        raise InputError(f"has {len(found)} clauses of kind {named.value} now, not one", where=agreement.id)
    return found[0]


def _window_terms(asked: ServeOptions) -> tuple[LoadingWindows, TrustAnchors]:
    if asked.agreement_name is None or asked.anchors_path is None:
        raise InputError("loading windows need --agreement and --anchors", where="--state")
    terms = _terms(load_agreement(asked.agreement_name), LoadingWindows, ClauseKind.LOADING_WINDOWS)
    assert isinstance(terms, LoadingWindows)
    return terms, TrustAnchors.read(asked.anchors_path)


def _running() -> tuple[Snapshot, Running]:
    """What runs here. Interfaces are those that the rules themselves name."""
    first = judge(kernel.read((), kernel.here))
    snapshot = kernel.read(first.plan.interfaces if first.plan else (), kernel.here)
    return snapshot, judge(snapshot)


def _as_json(running: Running) -> dict[str, object]:
    return {
        "limits": [one.model_dump(mode="json") for one in running.limits],
        "others_dropped": not running.faults,
        "faults": list(running.faults),
        "lifted": list(running.lifted),
        "switched_on": running.switched_on,
        "counted": [one.model_dump(mode="json") for one in running.counted],
    }


def _print_running(running: Running, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(running))
        return
    counted = {one.pod: one for one in running.counted}
    for one in running.limits:
        count = counted[one.pod]
        click.echo(
            f"{one.pod}: sent at most {one.sent_bytes_per_s_max:,.0f} B/s, received {one.received_bytes_per_s_max:,.0f} B/s, "
            f"at once {one.burst_bytes_max:,.0f} B; so far {count.sent_bytes:,} B sent ({count.sent_dropped_bytes:,} dropped), "
            f"{count.received_bytes:,} B received ({count.received_dropped_bytes:,} dropped)"
        )
    click.echo("everything else is dropped" if not running.faults else "NOT everything else is dropped:")
    for fault in running.faults:
        click.echo(f"  {fault}")
    click.echo(f"the switch is {'on' if running.switched_on else 'off: nothing passes'}")
    for pod in running.lifted:
        click.echo(f"{pod}: a loading window is open")


def _touch(path: Path) -> None:
    try:
        path.write_text("ready\n")
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
