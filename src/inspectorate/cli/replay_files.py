"""What the commands of `replay` share: signing into a folder, reading folders, keeping a secret, and how results are
written out."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import digest_of
from inspectorate.cli.options import EXISTING_FILE, anchors_option, json_option, print_json
from inspectorate.cli.running import ledger_append
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import Origin, RejectedEvidence, make_statement, sign_statement, verify_envelope
from inspectorate.evidence.act import Act
from inspectorate.evidence.exchange import Exchange
from inspectorate.evidence.spool import DiskSpool
from inspectorate.keys import SigningKey, TrustAnchors

_new_folder = click.Path(file_okay=False, path_type=Path)
_out = click.option("--out", type=_new_folder, required=True, help="Your folder of statements, which you hand over.")
_key = click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="Your key.")
_origin = click.option(
    "--origin", type=click.Choice(Origin, case_sensitive=False), default=Origin.RECORDED, show_default=True
)
_ledger = click.option("--ledger", type=_new_folder, help="Append the statement's digest to this log.")
_ledger_key = click.option(
    "--ledger-key", "ledger_key_path", type=EXISTING_FILE, help="The log's key, if it is not that of --key."
)


def signing(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every command that signs a statement."""
    for option in (json_option, _ledger_key, _ledger, _origin, anchors_option, _key, _out):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class Signing:
    """Where a statement goes, and with which keys."""

    out: Path
    key: SigningKey
    anchors: TrustAnchors
    ledger: Path | None
    ledger_key_path: Path | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Signing:
        return cls(
            out=options["out"], key=SigningKey.read(options["key_path"]), anchors=TrustAnchors.read(options["anchors_path"]),
            ledger=options["ledger"], ledger_key_path=options["ledger_key_path"],
        )  # fmt: skip


def sign(act: Act, to: Signing, before: Callable[[bytes], None] | None = None) -> str:
    """Sign, write payloads and then the statement, and append its digest to the log. The digest of the envelope.

    Raises `InputError`, with nothing written, where everybody would set the statement aside: the key is no anchor's, or its anchor
    may not say this. `before` may still refuse the envelope, or put aside what must not be lost.
    """
    envelope = sign_statement(make_statement(act.predicate, dict(act.subjects)), to.key)
    try:
        verify_envelope(envelope, anchors=to.anchors, where="--key")
    except RejectedEvidence as fault:
        raise InputError(
            fault.problem,
            where="--key",
            remedy="sign with the key that the trust anchors name for it, under its own name",
        ) from None
    if before is not None:
        before(envelope)
    digest = digest_of(envelope)
    with contextlib.ExitStack() as stack:
        spool = stack.enter_context(DiskSpool(to.out))
        append = ledger_append(stack, to.ledger, to.ledger_key_path, to.key)
        for payload in act.payloads:
            spool.put(f"payloads/{digest_of(payload).removeprefix('sha256:')}", [payload])
        spool.put(f"statements/{digest.removeprefix('sha256:')}.json", [envelope])
        if append:
            append(bytes.fromhex(digest.removeprefix("sha256:")))
    return digest


def own(out: Path, anchors: TrustAnchors) -> Exchange | None:
    """The folder into which a party writes; none if it has not written yet."""
    return Exchange(out, anchors=anchors) if (out / "statements").is_dir() else None


def either(*folders: Exchange | None) -> Callable[[str], bytes]:
    """Payloads of several folders: of the first that has it whole."""

    def payload(digest: str) -> bytes:
        fault = EvidenceError("is in none of the folders", where=f"payload {digest[:19]}…")
        for folder in folders:
            if folder is None:
                continue
            try:
                return folder.payload(digest)
            except EvidenceError as one:
                fault = one
        raise fault

    return payload


def keep_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read. Raises `EnvironmentError_`; never overwrites."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def print_result(as_json: bool, facts: Mapping[str, object], lines: Sequence[str]) -> None:
    """A result for a program or for a person."""
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(lines))


def ranges(numbers: Sequence[int]) -> str:
    """Sorted numbers with runs joined: 1, 4-7, 9."""
    parts = []
    for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        run = [number for _, number in group]
        parts.append(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}")
    return ", ".join(parts) or "none"
