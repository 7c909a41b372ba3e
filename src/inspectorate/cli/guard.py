"""`inspectorate guard`: run a guarantee processor on this machine, ask it, halt it, and let it go on.

`run` needs root, for the control group in which it holds the server. The other commands speak to a running processor over its
socket, and need to be allowed to open that.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.guard_device import device
from inspectorate.cli.guard_graph import graph
from inspectorate.cli.guard_handing import answered, control_option, hand_in
from inspectorate.cli.guard_outlet import outlet
from inspectorate.cli.guard_verify import verify
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, FiniteRange, json_option, now, print_json, write_text
from inspectorate.cli.ruleset_files import sign_once
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.spool import DiskSpool
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log
from inspectorate.mechanisms.guarantee.events import Refusal
from inspectorate.mechanisms.guarantee.outlet.opening import Sealed
from inspectorate.mechanisms.guarantee.outlet.outlet import SpoolSink
from inspectorate.mechanisms.guarantee.processor.config import GuardConfig, read_config
from inspectorate.mechanisms.guarantee.processor.control import ask, listening
from inspectorate.mechanisms.guarantee.processor.daemon import Processor
from inspectorate.mechanisms.guarantee.processor.opening import Outside, opened
from inspectorate.mechanisms.guarantee.processor.orders import Desk
from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND, ResumeOrder, parse_resume
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX, SignedDocument, SignerKey, parse_document

_HOST, _PORT = "127.0.0.1", 0


@click.group()
def guard() -> None:
    """Run a guarantee processor, ask it, halt it, and let it go on."""


guard.add_command(device)
guard.add_command(graph)
guard.add_command(outlet)
guard.add_command(verify)


@dataclass(frozen=True, kw_only=True)
class LedgeredSink:
    """A sink whose every statement stands in a log once, after it is durable, also if it comes a second time after a crash."""

    spool: Path
    inner: SpoolSink
    log: Log | None

    def put(self, sealed: Sealed) -> None:
        digest = digest_of(sealed.envelope).removeprefix("sha256:")
        again = (self.spool / "statements" / f"{digest}.json").exists()
        self.inner.put(sealed)
        entry = bytes.fromhex(digest)
        if self.log is not None and not (again and self.log.find(entry) is not None):
            self.log.append([entry])


@guard.command()
@click.argument("config_path", metavar="CONFIG", type=EXISTING_FILE)
@click.option("--ready-file", type=NEW_PATH, help="Write where it listens here, once it does.")
def run(config_path: Path, ready_file: Path | None) -> None:
    """Run the processor that CONFIG describes, until SIGINT or SIGTERM. Its own log is JSON lines on standard error."""
    config, measured = read_config(config_path)
    ready_file = ready_file.absolute() if ready_file else None  # the places in CONFIG are from its own folder
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(config_path.resolve().parent))
        spool = Path(config.spool)
        sink = LedgeredSink(
            spool=spool, inner=SpoolSink(spool=stack.enter_context(DiskSpool(spool))), log=_log_of(config, stack)
        )
        outside = Outside(clock=now, monotonic=time.monotonic, entropy=os.urandom, sink=sink, log=_log)
        processor, loaded = stack.enter_context(opened(config, measured, outside))
        _line("state", outcome=loaded.outcome.value, why=loaded.why, starts=loaded.starts)
        asyncio.run(_run(config, processor, ready_file))
    _line("ended")


def _log_of(config: GuardConfig, stack: contextlib.ExitStack) -> Log | None:
    if config.ledger is None:
        return None
    return stack.enter_context(
        Log.open(Path(config.ledger), SigningKey.read(Path(config.ledger_key or config.statement_key)))
    )


async def _run(config: GuardConfig, processor: Processor, ready_file: Path | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, processor.stopping.set)

    def ready(address: tuple[str, int]) -> None:
        _line("ready", host=address[0], port=address[1], mode=processor.gate.mode.value)
        if ready_file is not None:
            write_text(ready_file, f"{address[0]}:{address[1]}\n")

    async with listening(Path(config.control), Desk(processor).carry_out):
        await processor.run(config.listen.host or _HOST, config.listen.port or _PORT, ready=ready)


def _log(what: str, refusals: Sequence[Refusal]) -> None:
    for one in refusals:
        _line("refused", what=what, kind=one.kind.value, why=one.why)


def _line(event: str, **facts: object) -> None:
    click.echo(json.dumps({"at": now().isoformat(timespec="milliseconds"), "event": event, **facts}), err=True)


@guard.command()
@control_option
@json_option
def status(control_path: Path, as_json: bool) -> None:
    """What the processor does now. This stays on the machine; what leaves it is shown by `guard outlet`."""
    told = ask(control_path, do="status")["status"]
    assert isinstance(told, dict), "a status is an object"
    if as_json:
        print_json(told)
        return
    for name, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {one}" for key, one in value.items()) or "none"
        click.echo(f"{name.replace('_', ' ')}: {'none' if value is None else value}")


@guard.command()
@control_option
@click.option("--nonce", help="64 hexadecimal digits of the verifier's; a fresh one if none is given.")
@click.option("--out", "out_path", type=NEW_PATH, help="Write the quote here.")
@json_option
def attest(control_path: Path, nonce: str | None, out_path: Path | None, as_json: bool) -> None:
    """Have the device vouch, now, for what was measured, over a nonce. `guard verify` checks the quote, elsewhere."""
    nonce = nonce or secrets.token_hex(32)
    told = ask(control_path, do="quote", nonce=nonce)
    answered(told)
    quote = base64.b64decode(str(told["quote"]))
    if out_path is not None:
        write_text(out_path, quote)
    found = {
        "nonce": nonce,
        "checkpoint": told["checkpoint"],
        "statement_key": told["statement_key"],
        "quote_bytes": len(quote),
    }
    if as_json:
        print_json({**found, "quote": str(told["quote"])})
    else:
        click.echo(f"{len(quote)} bytes over nonce {nonce} and checkpoint {told['checkpoint']}")


@guard.command()
@control_option
@click.option("--nonce", required=True, help="64 hexadecimal digits that the inspector chose.")
def challenge(control_path: Path, nonce: str) -> None:
    """Hand in an inspector's challenge: the next report answers it."""
    answered(ask(control_path, do="challenge", nonce=nonce))
    click.echo("the next report answers it")


@guard.command()
@control_option
@click.option("--why", default="halted by hand", show_default=True)
@json_option
def halt(control_path: Path, why: str, as_json: bool) -> None:
    """Let nothing pass any more, until a quorum signs an order to resume."""
    told = ask(control_path, do="halt", why=why)
    answered(told)
    found = told["status"]
    assert isinstance(found, dict), "a status is an object"
    if as_json:
        print_json({"mode": found["mode"], "halt": found["halt"]})
    else:
        click.echo(f"halted; an order to resume has to name {found['halt']['nonce']}")


@guard.group()
def resume() -> None:
    """Orders to go on after a halt: draft, sign, and hand in."""


@resume.command("draft")
@click.option("--device", "device_id", required=True, help="The device that is halted, sha256:...")
@click.option("--halt", "halt_nonce", required=True, help="The nonce of the halt, as `guard status` shows it.")
@click.option("--reason", required=True)
@click.option("--hours", type=FiniteRange(0.01, 24 * 31), default=24.0, show_default=True, help="How long it is good.")
@click.option("--out", "out_path", type=NEW_PATH, required=True)
def resume_draft(device_id: str, halt_nonce: str, reason: str, hours: float, out_path: Path) -> None:
    """Write an order that nobody has signed yet."""
    start = now().replace(microsecond=0)
    period = {"start": start.isoformat(), "end": (start + timedelta(hours=hours)).isoformat()}
    value = {"device": device_id, "halt": halt_nonce, "valid": period, "reason": reason}
    order = ResumeOrder.parse(value, where="order", error=InputError)
    document = SignedDocument(kind=RESUME_KIND, payload=order.canonical_bytes(), signatures=())
    write_text(out_path, document.to_bytes())
    click.echo(f"{out_path}: {document.digest}")


@resume.command("sign")
@click.argument("order_path", metavar="ORDER", type=EXISTING_FILE)
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="A signer's key (`ruleset key`).")
def resume_sign(order_path: Path, key_path: Path) -> None:
    """Add a signature to an order, and print what it lets go on. Refuses to sign a second time."""
    document = parse_document(_read_order(order_path), kind=RESUME_KIND, where=str(order_path))
    order = parse_resume(document, where=str(order_path))
    signed = sign_once(document, SignerKey.read(key_path), order_path)
    write_text(order_path, signed.to_bytes())
    click.echo(f"device  {order.device}\nhalt    {order.halt}\nvalid   {order.valid}\nreason  {order.reason!r}")
    click.echo(f"{order_path}: {len(signed.signatures)} signatures")


@resume.command("apply")
@click.argument("order_path", metavar="ORDER", type=EXISTING_FILE)
@control_option
@json_option
def resume_apply(order_path: Path, control_path: Path, as_json: bool) -> None:
    """Hand an order to a halted processor. Exits 20 if it is refused."""
    hand_in(control_path, "resume", _read_order(order_path), as_json=as_json)


def _read_order(path: Path) -> bytes:
    return read_bounded(path, DOCUMENT_BYTES_MAX, too_large=EvidenceError)
