"""`inspectorate bundle`: put evidence into a bundle, and check one."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.options import EXISTING, EXISTING_FILE, NEW_PATH, anchors_option, json_option, now, print_json
from inspectorate.cli.witnesses import published, witness_addresses, witness_option
from inspectorate.declaration import load_declaration
from inspectorate.evidence import Bundle, Origin, check_new, read_statements, write_bundle
from inspectorate.keys import SigningKey, TrustAnchors
from inspectorate.ledger import Log
from inspectorate.submission import read_spool, submit


@click.group()
def bundle() -> None:
    """Make and check bundles of evidence."""


@bundle.command()
@click.argument("out", type=NEW_PATH)
@click.option("--spool", type=EXISTING, required=True, help="The --out folder of a collector.")
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, required=True, help="The declaration (YAML).")
@click.option("--declaration-key", type=EXISTING_FILE, required=True, help="The prover's key for declarations.")
@click.option("--ledger", "ledger_path", type=EXISTING, required=True, help="The log that holds the statements.")
@click.option("--ledger-key", type=EXISTING_FILE, required=True, help="The log's key.")
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The key that signs the bundle.")
@witness_option
@click.option("--since", type=click.IntRange(1), multiple=True, metavar="SIZE",
              help="Prove that the log continues its first SIZE entries, those of an earlier bundle.")  # fmt: skip
@json_option
def create(
    out: Path,
    spool: Path,
    declaration_path: Path,
    declaration_key: Path,
    ledger_path: Path,
    ledger_key: Path,
    key_path: Path,
    witnesses: tuple[str, ...],
    since: tuple[int, ...],
    as_json: bool,
) -> None:
    """Write the bundle OUT (a folder, or an archive if it ends in .tar).

    Where the reviewer's anchors ask for witnesses of the log, name them: the checkpoint of the bundle is cosigned and published.
    A log goes on from one bundle to the next: with --since, a reviewer who has the earlier one (review --after) needs no streams
    of times before again.
    """
    # The log never loses the declaration that is appended to it: before that, all is read that can be refused.
    check_new(out)
    envelopes, payloads = read_spool(spool)
    declaration = load_declaration(declaration_path)
    prover, packer = SigningKey.read(declaration_key), SigningKey.read(key_path)
    addresses = witness_addresses(witnesses)
    with Log.open(ledger_path, SigningKey.read(ledger_key)) as log:
        if addresses:
            published(log, addresses)
        contents = submit(
            envelopes=envelopes,
            payloads=payloads,
            declaration=declaration,
            declaration_key=prover,
            log=log,
            bundle_key=packer,
            created_at=now(),
            origin=Origin.RECORDED,
            since=since,
            cosign=(lambda: published(log, addresses)) if addresses else None,
        )
    write_bundle(contents, out)
    size = sum(map(len, contents.values()))
    if as_json:
        print_json({"bundle": str(out), "files": len(contents), "bytes": size})
    else:
        click.echo(f"{out}: {len(contents)} files, {size:,} bytes")


@bundle.command()
@click.argument("path", type=EXISTING)
@anchors_option
@json_option
def verify(path: Path, anchors_path: Path, as_json: bool) -> None:
    """Check every byte and every signature of the bundle PATH. Exits 30 if any is not as it was signed."""
    anchors = TrustAnchors.read(anchors_path)
    opened = Bundle.open(path, anchors=anchors)
    statements, problems = read_statements(opened, anchors=anchors)
    if as_json:
        print_json(
            {
                "statements": len(statements),
                "files": len(opened.entries),
                "bytes": sum(entry.size for entry in opened.entries.values()),
                "problems": [problem.model_dump(mode="json", exclude_none=True) for problem in problems],
            }
        )
    else:
        size = sum(entry.size for entry in opened.entries.values())
        click.echo(
            f"{path}: intact: {len(opened.entries)} files, {size:,} bytes, {len(statements)} statements verified"
        )
        for problem in problems:
            click.echo(f"  {problem}")
    if problems:
        raise SystemExit(30)
