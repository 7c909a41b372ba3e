"""`inspectorate limit window`: approve, open, look at and close loading windows."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import Origin, WindowApproved, make_statement, sign_statement
from inspectorate.files import read_bounded, replace_file
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.interconnect.enforce import reference
from inspectorate.mechanisms.interconnect.enforce.desk import OrderFile
from inspectorate.mechanisms.interconnect.enforce.loading import Source

_state = click.Path(exists=True, file_okay=False, path_type=Path)
_POLL_S = 0.2
_FRAMES_BYTES = 65_536
state_option = click.option(
    "--state", type=_state, required=True, help="The gateway's folder: --state of `limit serve`."
)


@click.group()
def window() -> None:
    """Loading windows: content that people approved, once, within a budget."""


@window.command()
@click.argument("name")
@click.option("--gateway", required=True, help="The gateway's name as a reporter.")
@click.option("--pod", required=True)
@click.option("--as", "approver", required=True, help="The approver's name as a trust anchor.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The approver's key.")
@click.option("--content", "content_path", type=EXISTING_FILE, help="The content itself, to be hashed here.")
@click.option("--digest", help="The content's digest, sha256:..., instead of --content.")
@click.option(
    "--bytes", "bytes_max", type=click.IntRange(min=1), help="The budget in IP bytes; content and 6 % by default."
)
@click.option("--seconds", "seconds_max", type=FiniteRange(min=1), required=True, help="Longest time open.")
@click.option("--from", "from_text", help="When it may be opened first; the present by default.")
@click.option("--hours", type=FiniteRange(min=0, min_open=True), default=24.0, show_default=True, help="For how long.")
@click.option("--out", type=NEW_PATH, required=True, help="Where the approval goes.")
@click.option("--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True)
@json_option
def approve(**options: Any) -> None:
    """Sign an approval of the window NAME. Every approver must give the same terms: the same --from, too."""
    content_path: Path | None = options["content_path"]
    if (content_path is None) == (options["digest"] is None):
        raise InputError("give either --content or --digest", where="--content, --digest")
    digest, size = _hash(content_path) if content_path else (options["digest"], None)
    bytes_max = options["bytes_max"] or (
        size is not None and round(size * (1 + reference.HEADER_SHARE)) + _FRAMES_BYTES
    )
    if not bytes_max:
        raise InputError("is needed with --digest", where="--bytes")
    start = parse_time(options["from_text"]).replace(microsecond=0)
    try:
        end = start + timedelta(hours=options["hours"])
    except OverflowError:
        raise InputError("end after the year 9999", where="--from, --hours") from None
    approval = WindowApproved.parse(
        {
            "origin": options["origin"],
            "window": options["name"],
            "reporter": options["gateway"],
            "pod": options["pod"],
            "by": options["approver"],
            "content": digest,
            "bytes_max": bytes_max,
            "seconds_max": options["seconds_max"],
            "valid": {"start": start, "end": end},
        },
        where="the approval",
        error=InputError,
    )
    envelope = sign_statement(make_statement(approval, {"content": digest}), SigningKey.read(options["key_path"]))
    write_text(options["out"], envelope)
    if options["as_json"]:
        print_json({"statement": digest_of(envelope), **approval.model_dump(mode="json")})
    else:
        click.echo(
            f"{options['out']}: {approval.by} approves {bytes_max:,} bytes to {approval.pod} in {approval.seconds_max:g} s, "
            f"{digest}"
        )


@window.command("open")
@click.argument("name")
@state_option
@click.option("--approval", "approvals", type=EXISTING_FILE, multiple=True, required=True, help="One per approver.")
@click.option("--content", "content_path", type=EXISTING_FILE, help="The content, as a file on the gateway.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Instead: take the content in over one TCP connection to here.")
@click.option("--wait", "wait_s", type=FiniteRange(min=0), default=3_600.0, show_default=True)
@json_option
def open_(
    name: str,
    state: Path,
    approvals: tuple[Path, ...],
    content_path: Path | None,
    listen: str | None,
    wait_s: float,
    as_json: bool,
) -> None:
    """Have the gateway carry out the window NAME, and wait until it is over.

    Exits 0 if all of the content came in, 20 if the window ended otherwise, 2 if it was refused.
    """
    if (content_path is None) == (listen is None):
        raise InputError("give either --content or --listen", where="--content, --listen")
    source: dict[str, Any] = {"window": name}
    if content_path is not None:
        source["file"] = str(content_path.resolve())
    if listen is not None:
        address, _, port = listen.rpartition(":")
        source |= {"listen_address": address.strip("[]"), "listen_port": port}
    order = OrderFile(
        approvals=tuple(_text(path) for path in approvals),
        source=Source.parse(source, where="the order", error=InputError),
    )
    data = order.canonical_bytes()
    if len(data) > reference.ORDER_BYTES_MAX:
        raise InputError(f"the order has more than {reference.ORDER_BYTES_MAX:,} bytes", where="--approval")
    answer_path = state / "answers" / f"{name}.json"
    answer_path.unlink(missing_ok=True)
    replace_file(state / "orders" / f"{name}.json", data)
    answer = _wait(answer_path, wait_s)
    if as_json:
        print_json(answer)
    elif answer["answer"] == "ended":
        click.echo(
            f"{name}: {answer['end']}: {answer['bytes_moved']:,} bytes to the pod and {answer['bytes_back']:,} back in "
            f"{answer['seconds']:.2f} s {answer['reason']}".rstrip()
        )
    if answer["answer"] == "refused":
        raise InputError(str(answer["reason"]), where=f"window {name}")
    if answer["end"] != "complete":
        raise SystemExit(20)


@window.command()
@state_option
@json_option
def status(state: Path, as_json: bool) -> None:
    """Say in which position the gateway is."""
    found = _read_json(state / "status.json", "gateway", "position", "at")
    if as_json:
        print_json(found)
        return
    at = f", window {found['window']}" if found.get("window") else ""
    click.echo(f"{found['gateway']}: {found['position']}{at} (at {found['at']})")


@window.command()
@state_option
def close(state: Path) -> None:
    """Close the window that is open."""
    if not (state / "orders").is_dir():
        raise InputError("is no gateway's folder", where=str(state), remedy="name the --state of `limit serve`")
    replace_file(state / "close", b"")
    click.echo("the gateway closes its window at its next turn")


def _hash(path: Path) -> tuple[str, int]:
    hasher, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(reference.RELAY_CHUNK_BYTES):
                hasher.update(chunk)
                size += len(chunk)
    except OSError as fault:
        raise InputError(f"cannot be read: {fault.strerror}", where=str(path)) from None
    return f"sha256:{hasher.hexdigest()}", size


def _text(path: Path) -> str:
    try:
        return read_bounded(path, reference.ORDER_BYTES_MAX).decode()
    except UnicodeDecodeError:
        raise InputError("is no approval", where=str(path), remedy="give what `limit window approve` wrote") from None


def _wait(path: Path, wait_s: float) -> dict[str, Any]:
    deadline_s = time.monotonic() + wait_s
    while not path.exists():
        if time.monotonic() > deadline_s:
            raise EnvironmentError_(
                f"the gateway did not answer within {wait_s:g} s", where=str(path), remedy="is it serving?"
            )
        time.sleep(_POLL_S)
    return _read_json(path, "answer")


def _read_json(path: Path, *fields: str) -> dict[str, Any]:
    """What the gateway wrote, with these fields at least. Raises `EnvironmentError_`."""
    remedy = "is the gateway serving?"
    data = read_bounded(
        path, reference.ORDER_BYTES_MAX, unreadable=EnvironmentError_, too_large=EnvironmentError_, remedy=remedy
    )
    try:
        found = json.loads(data)
    except ValueError as fault:
        raise EnvironmentError_(f"cannot be read: {fault}", where=str(path), remedy=remedy) from None
    if not isinstance(found, dict) or not set(fields) <= found.keys():
        raise EnvironmentError_("is not what a gateway writes", where=str(path), remedy=remedy)
    return found
