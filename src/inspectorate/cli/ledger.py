"""`inspectorate ledger`: make, extend, witness and check a tamper-evident log."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console

from inspectorate.cli.options import write_text
from inspectorate.cli.witnesses import published, witness_addresses, witness_option
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.ledger.checkpoint import Checkpoint
from inspectorate.ledger.disk import PosixDisk
from inspectorate.ledger.log import Log
from inspectorate.ledger.note import NOTE_BYTES_MAX, KeyKind, Note, VerifierKey
from inspectorate.ledger.proof import PROOF_BYTES_MAX, proof_origin, prove_entry, verify_proof
from inspectorate.ledger.tiles import ENTRY_BYTES_MAX
from inspectorate.ledger.witness import Witness
from inspectorate.ledger.witness_http import WitnessServer, cosigned_checkpoint

LINES_A_BATCH = 1000
"""At most 64 MB a batch, below what a log takes at once."""

_existing = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(file_okay=False, path_type=Path)
_file = click.Path(dir_okay=False, path_type=Path)
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_key = click.option("--key", "key_path", type=_existing, required=True, help="Signing key (PKCS#8 PEM).")


@click.group()
def ledger() -> None:
    """Make, extend, witness and check a tamper-evident log."""


@ledger.command()
@click.argument("path", type=_file)
@click.option("--name", required=True, help="Name of the log or witness: a URL without its scheme.")
@click.option("--witness", "is_witness", is_flag=True, help="Print the verifier key of a witness, not of a log.")
@_json
def keygen(path: Path, name: str, is_witness: bool, as_json: bool) -> None:
    """Make an Ed25519 key in the file PATH and print its verifier key, for anchors and witnesses."""
    key = SigningKey(os.urandom(32))
    verifier_key = VerifierKey.of(key, name=name, kind=KeyKind.WITNESS if is_witness else KeyKind.LOG)
    key.write(path)
    _print({"key": str(path), "verifier_key": verifier_key.text}, verifier_key.text, as_json)


@ledger.command()
@click.argument("directory", type=_folder)
@click.option("--origin", required=True, help="Name of the log: a URL without its scheme.")
@_key
@_json
def init(directory: Path, origin: str, key_path: Path, as_json: bool) -> None:
    """Make an empty log in DIRECTORY."""
    key = SigningKey.read(key_path)
    with Log.create(directory, origin, key):
        verifier_key = VerifierKey.of(key, name=origin, kind=KeyKind.LOG).text
    _print({"origin": origin, "verifier_key": verifier_key}, verifier_key, as_json)


@ledger.command()
@click.argument("directory", type=_folder)
@click.argument("files", type=_existing, nargs=-1)
@click.option("--lines", is_flag=True, help="Append each line of standard input as one entry.")
@_key
@_json
def append(directory: Path, files: tuple[Path, ...], lines: bool, key_path: Path, as_json: bool) -> None:
    """Append each of FILES as one entry, in one durable batch."""
    if lines == bool(files):
        raise InputError("give files, or --lines and standard input, and not both", where="ledger append")
    batches = _line_batches(sys.stdin.buffer) if lines else iter([_read_entries(files)])
    with Log.open(directory, SigningKey.read(key_path)) as log:
        start = log.size
        with Console(stderr=True).status("appending") as status:
            for batch in batches:
                log.append(batch)
                status.update(f"{log.size - start:,} entries appended")
        if log.size == start:
            raise InputError("there was nothing to append", where="standard input")
        result = {"first": start, "entries": log.size - start, "size": log.size}
    _print(result, f"entries {start} to {result['size'] - 1}", as_json)


@ledger.command()
@click.argument("directory", type=_folder)
@witness_option
@click.option("--key", "key_path", type=_existing, help="Publish the cosigned checkpoint in the log (needs its key).")
@_json
def checkpoint(directory: Path, witnesses: tuple[str, ...], key_path: Path | None, as_json: bool) -> None:
    """Print the log's current checkpoint, with the cosignatures of witnesses."""
    addresses = witness_addresses(witnesses)
    with Log.open(directory, SigningKey.read(key_path) if key_path else None) as log:
        ask = published if key_path else cosigned_checkpoint
        signed = ask(log, addresses) if addresses else log.checkpoint()
    stated = Checkpoint.parse(Note.parse(signed, where="checkpoint").text, where="checkpoint")
    result = {"origin": stated.origin, "size": stated.size, "root": stated.root.hex(), "checkpoint": signed.decode()}
    _print(result, signed.decode().removesuffix("\n"), as_json)


@ledger.command()
@click.argument("directory", type=_folder)
@click.argument("index", type=click.IntRange(min=0), required=False)
@click.option("--entry", "entry_path", type=_existing, help="Prove the first entry with these bytes.")
@click.option("--checkpoint", "checkpoint_path", type=_existing, help="Prove under this checkpoint of the log.")
@click.option("--out", type=_file, help="Write the proof here instead of printing it.")
@_json
def prove(
    directory: Path,
    index: int | None,
    entry_path: Path | None,
    checkpoint_path: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Make the proof that entry INDEX stands in the log (C2SP tlog-proof)."""
    if (index is None) == (entry_path is None):
        raise InputError("give an index, or --entry and its file, and not both", where="ledger prove")
    with Log.open(directory) as log:
        if entry_path is not None:
            index = log.find(read_bounded(entry_path, ENTRY_BYTES_MAX))
        if index is None:
            raise InputError("the log holds no such entry", where=str(entry_path))
        signed = read_bounded(checkpoint_path, NOTE_BYTES_MAX) if checkpoint_path else log.checkpoint()
        proof = prove_entry(log, index, signed)
    if out:
        write_text(out, proof)
    text = f"proof of entry {index} written to {out}" if out else proof.decode().removesuffix("\n")
    _print({"index": index, "proof": proof.decode(), "out": str(out) if out else None}, text, as_json)


@ledger.command()
@click.argument("proof", type=_existing)
@click.option("--entry", "entry_path", type=_existing, required=True, help="The entry's bytes.")
@click.option("--anchors", "anchors_path", type=_existing, required=True, help="The reviewer's trust anchors (YAML).")
@_json
def verify(proof: Path, entry_path: Path, anchors_path: Path, as_json: bool) -> None:
    """Verify PROOF for an entry, under the reviewer's trust anchors. Exits 30 where it does not hold."""
    data = read_bounded(proof, PROOF_BYTES_MAX, too_large=EvidenceError)
    entry = read_bounded(entry_path, ENTRY_BYTES_MAX, too_large=EvidenceError)
    origin = proof_origin(data, where=str(proof))
    anchor = next((a for a in TrustAnchors.read(anchors_path).ledgers if a.origin == origin), None)
    if anchor is None:
        raise EvidenceError(f"no trust anchor names the log {origin!r}", where=str(anchors_path))
    found = verify_proof(data, entry, anchor, where=str(proof))
    result = {
        "origin": found.origin,
        "index": found.index,
        "tree_size": found.tree_size,
        "root": found.root.hex(),
        "witnesses": list(found.witnesses),
        "cosigned_s": list(found.cosigned_s),
    }
    witnesses = f", cosigned by {', '.join(found.witnesses)}" if found.witnesses else ", cosigned by no witness"
    _print(result, f"entry {found.index} of {found.tree_size} in {found.origin}{witnesses}", as_json)


@ledger.command()
@click.option(
    "--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Port 0 takes a free one."
)
@click.option("--state", type=_folder, required=True, help="Folder that remembers each log's largest checkpoint.")
@click.option("--name", required=True, help="Name of this witness: a URL without its scheme.")
@click.option("--log", "logs", multiple=True, required=True, metavar="VKEY", help="Verifier key of a log to watch.")
@_key
@_json
def witness(listen: str, state: Path, name: str, logs: tuple[str, ...], key_path: Path, as_json: bool) -> None:
    """Serve as a witness (C2SP tlog-witness) until interrupted. Prints where it listens, and its verifier key."""
    match = re.fullmatch(r"([^:\[\]]+):([0-9]{1,5})", listen)
    if not match:
        raise InputError("is not HOST:PORT", where=f"--listen {listen}")
    keys = [VerifierKey.parse(text, where="--log") for text in logs]
    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be made: {fault.strerror}", where=str(state)) from None
    disk = PosixDisk(state, exclusive=True)
    made = Witness(disk, SigningKey.read(key_path), name=name, logs=keys, clock_s=lambda: int(time.time()))
    with WitnessServer((match[1], int(match[2])), made) as server:
        url = f"http://{match[1]}:{server.server_address[1]}"
        _print({"url": url, "verifier_key": made.verifier_key.text}, f"{made.verifier_key.text}@{url}", as_json)
        sys.stdout.flush()
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stop.wait()
        server.shutdown()
    disk.close()


def _read_entries(files: Sequence[Path]) -> list[bytes]:
    return [read_bounded(path, ENTRY_BYTES_MAX, remedy="log the digest of a larger file") for path in files]


def _line_batches(stream: BinaryIO) -> Iterator[list[bytes]]:
    """The lines of a stream, without their newlines, in batches. Raises `InputError` on a line beyond the limit."""
    batch: list[bytes] = []
    number = 0
    while line := stream.readline(ENTRY_BYTES_MAX + 2):
        number += 1
        entry = line.removesuffix(b"\n")
        if len(entry) > ENTRY_BYTES_MAX:
            raise InputError(f"exceeds {ENTRY_BYTES_MAX} bytes", where=f"standard input, line {number}")
        batch.append(entry)
        if len(batch) == LINES_A_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _print(result: Mapping[str, object], text: str, as_json: bool) -> None:
    click.echo(json.dumps(result, sort_keys=True) if as_json else text)
