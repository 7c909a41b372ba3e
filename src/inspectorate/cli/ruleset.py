"""`inspectorate ruleset`: make the keys of signers, write rulesets, sign them, verify chains of them, and look at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.guard_handing import control_option, hand_in
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, json_option, now, parse_time, print_json, write_text
from inspectorate.cli.ruleset_files import named_signers, read_document, read_template, sign_once
from inspectorate.cli.ruleset_text import changes_of, print_ruleset, warnings
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.guarantee.events import EventKind
from inspectorate.mechanisms.guarantee.rulesets.difference import act_needed, differences
from inspectorate.mechanisms.guarantee.rulesets.quorum import Counted, judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import RULESET_KIND, Act, Ruleset
from inspectorate.mechanisms.guarantee.rulesets.update import (
    Judged,
    in_force,
    judge_first,
    judge_update,
    parse_ruleset,
    verify_chain,
)
from inspectorate.mechanisms.guarantee.signing import SignedDocument, Signer, SignerKey

NOT_YET = 10
"""Exit code of a chain that is sound but for signatures that are missing, or for the time."""
_SIGNATURES = {EventKind.QUORUM_SHORT, EventKind.SIGNER_REPEATED}

document_argument = click.argument("document_path", metavar="RULESET", type=EXISTING_FILE)


@click.group()
def ruleset() -> None:
    """Rules that many parties sign: write, sign, verify and show them."""


@ruleset.command()
@click.option("--name", required=True, help="The signer's name.")
@click.option("--out", "out_path", type=NEW_PATH, required=True, help="The new file of the private key.")
@click.option("--public", "public_path", type=NEW_PATH, help="The public keys, for the others.  [default: OUT.pub]")
@json_option
def key(name: str, out_path: Path, public_path: Path | None, as_json: bool) -> None:
    """Make the key of a signer: an Ed25519 and an ML-DSA-65 key in one file."""
    made = SignerKey(os.urandom(64))
    given = {"name": name, "public_keys": made.signer("one").public_keys}
    signer = Signer.parse(given, where="--name", error=InputError)
    public_path = public_path or out_path.with_name(out_path.name + ".pub")
    if public_path.exists():
        raise InputError("is there already", where=str(public_path), remedy="name a new file")
    made.write(out_path)
    write_text(public_path, signer.canonical_bytes())
    if as_json:
        print_json({"key": str(out_path), "public": str(public_path), "signer_id": made.signer_id})
    else:
        click.echo(f"{name}: {made.signer_id}\nprivate {out_path}, public {public_path}")


@ruleset.command()
@click.argument("template_path", metavar="TEMPLATE", type=EXISTING_FILE)
@click.option(
    "--signer", "signers", multiple=True, metavar="NAME=FILE", help="A signer's public keys; may be repeated."
)
@click.option("--previous", "previous_path", type=EXISTING_FILE, help="The ruleset that this one follows.")
@click.option("--drop", "dropped", multiple=True, metavar="NAME", help="A signer of the previous one who leaves.")
@click.option("--out", "out_path", type=NEW_PATH, required=True, help="The new ruleset, to be signed.")
@json_option
def new(**options: Any) -> None:
    """Write a ruleset from the YAML file TEMPLATE: the first, or the one that follows --previous.

    Signers of the previous one stay, unless --drop names them or --signer gives them other keys. The act is worked out from what
    changes, and printed. Exits 2 on what no signers may do.
    """
    before = _parsed(options["previous_path"]) if options["previous_path"] else None
    signers = {one.name: one for one in before.signers} if before else {}
    strangers = sorted(set(options["dropped"]) - set(signers))
    if strangers:
        raise InputError(f"{', '.join(strangers)} signed for nothing before", where="--drop")
    signers = {name: one for name, one in signers.items() if name not in options["dropped"]}
    signers |= named_signers(options["signers"])
    template: Path = options["template_path"]
    fields = read_template(template) | {"signers": [one.model_dump() for one in signers.values()]}
    made = _made(fields, before, where=str(template))
    document = SignedDocument(kind=RULESET_KIND, payload=made.canonical_bytes(), signatures=())
    _check(document, made, before, where=str(template))
    write_text(options["out_path"], document.to_bytes())
    if options["as_json"]:
        print_json({"digest": made.digest, **_summary(made, None, before)})
        return
    needs = f"{made.act.value}, which takes {made.quorums[made.act].k} signers" if made.act and not before else ""
    if before is not None and made.act is not None:
        quorum = before.quorums[made.act]
        needs = f"by {made.act.value}, which takes {quorum.k} of {', '.join(quorum.of)}"
    click.echo(f"{made.id} version {made.version} {needs or '(the first: trusted by its digest)'}\n{made.digest}")
    for change in differences(before, made) if before else ():
        click.echo(f"  {change.field}: {change.says}")
    for warning in warnings(made):
        click.echo(f"note: {warning}")


@ruleset.command()
@document_argument
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="A signer's private key.")
@click.option("--out", "out_path", type=NEW_PATH, help="Where it goes; by default it stays in its file.")
@json_option
def sign(document_path: Path, key_path: Path, out_path: Path | None, as_json: bool) -> None:
    """Add a signature to RULESET. Read it first: `ruleset show`. Refuses to sign a second time."""
    document, signing = read_document(document_path), SignerKey.read(key_path)
    made = _readable(document, document_path)
    signed = sign_once(document, signing, document_path)
    name = next((one.name for one in made.signers if one.signer_id == signing.signer_id), None)
    write_text(out_path or document_path, signed.to_bytes())
    if as_json:
        print_json(
            {
                "digest": made.digest,
                "signer": name,
                "signer_id": signing.signer_id,
                "signatures": len(signed.signatures),
            }
        )
    else:
        who = name or f"{signing.signer_id}, who is no signer of it"
        click.echo(
            f"{made.id} version {made.version} signed by {who}: {len(signed.signatures)} signatures\n{made.digest}"
        )


@ruleset.command()
@click.argument("document_paths", metavar="RULESET...", nargs=-1, required=True, type=EXISTING_FILE)
@click.option("--baseline", required=True, help="Digest of the first ruleset, from a place that you trust.")
@click.option("--as-of", help="Judge the last as of this time (default: now).")
@json_option
def verify(document_paths: tuple[Path, ...], baseline: str, as_of: str | None, as_json: bool) -> None:
    """Verify a chain of rulesets, first to last, each under the one before.

    Exits 0 if the last may be in force at the time, 10 if signatures are missing or the time is not its own, 30 if it is not sound.
    """
    time = parse_time(as_of)
    documents = [read_document(path) for path in document_paths]
    before = verify_chain(baseline, documents[:-1]) if len(documents) > 1 else ()
    if before:
        judged = judge_update(before[-1], documents[-1], version_floor=before[-1].version, at=time)
    else:
        judged = judge_first(documents[-1], baseline=baseline, at=time)
    last = parse_ruleset(documents[-1], where=str(document_paths[-1]))
    if as_json:
        print_json(_verdict(judged, (*before, last)))
    else:
        for one in (*before, last):
            click.echo(f"{one.id} version {one.version} {one.act.value if one.act else 'the first'}: {one.digest}")
        if judged.signers:
            click.echo(f"the last is signed by {', '.join(sorted(judged.signers))}")
        for refusal in judged.refusals:
            click.echo(f"{refusal.kind.value}: {refusal.why}")
        for note in judged.notes:
            click.echo(f"note: {note}")
        click.echo("ACCEPTED" if judged.ruleset else "NOT ACCEPTED")
    if judged.ruleset is None:
        later = all(one.kind in _SIGNATURES or one == in_force(last, time) for one in judged.refusals)
        raise SystemExit(NOT_YET if later else EvidenceError.exit_code)


@ruleset.command()
@document_argument
@click.option("--previous", "previous_path", type=EXISTING_FILE, help="The ruleset before, to say what changes.")
@json_option
def show(document_path: Path, previous_path: Path | None, as_json: bool) -> None:
    """Show all that RULESET says, who signed it, and what it changes. Whether it may be in force is said by `ruleset verify`."""
    document = read_document(document_path)
    shown = _readable(document, document_path)
    before = _parsed(previous_path) if previous_path else None
    counted = judge_quorum(before or shown, shown.act, document) if shown.act else None
    if as_json:
        print_json({"ruleset": shown.model_dump(mode="json"), **_summary(shown, counted, before)})
    else:
        print_ruleset(shown, counted, before)


@ruleset.command()
@click.argument("document_path", metavar="DOCUMENT", type=EXISTING_FILE)
@control_option
@json_option
def install(document_path: Path, control_path: Path, as_json: bool) -> None:
    """Hand DOCUMENT to a running processor. Exits 20 if it is refused."""
    hand_in(control_path, "install", read_document(document_path).to_bytes(), as_json=as_json)


def _parsed(path: Path) -> Ruleset:
    return _readable(read_document(path), path)


def _readable(document: SignedDocument, path: Path) -> Ruleset:
    """A ruleset all of whose rules can be asked: what is shown to signers has no text that a terminal would take for orders."""
    found = parse_ruleset(document, where=str(path))
    RuleBook(found)
    return found


def _made(fields: dict[str, object], before: Ruleset | None, *, where: str) -> Ruleset:
    """The ruleset of these fields, with version, previous and act. Raises `InputError`."""
    if before is None:
        return Ruleset.parse(fields | {"version": 1}, where=where, error=InputError)
    fields |= {"version": before.version + 1, "previous": before.digest}
    widest = Ruleset.parse(fields | {"act": Act.CHANGE_RULES}, where=where, error=InputError)
    changes = differences(before, widest)
    never = [f"{one.field}: {one.says}" for one in changes if one.needs is None]
    if never:
        raise InputError(f"no signers may do this: {'; '.join(never)}", where=where)
    needed = act_needed(changes)
    if needed is None:
        raise InputError(f"changes nothing of version {before.version}", where=where)
    return widest.model_copy(update={"act": needed})


def _check(document: SignedDocument, made: Ruleset, before: Ruleset | None, *, where: str) -> None:
    """Refuse what no signature could put in force. Raises `InputError`."""
    at = time if made.valid.contains(time := now()) else made.valid.start
    if before is None:
        judged = judge_first(document, baseline=made.digest, at=at)
    else:
        judged = judge_update(before, document, version_floor=before.version, at=at)
    wrong = [one.why for one in judged.refusals if one.kind is not EventKind.QUORUM_SHORT]
    if wrong:
        raise InputError("; ".join(wrong), where=where)


def _summary(shown: Ruleset, counted: Counted | None, before: Ruleset | None) -> dict[str, object]:
    return {
        "digest": shown.digest,
        "version": shown.version,
        "act": shown.act.value if shown.act else None,
        "signer_ids": {one.name: one.signer_id for one in shown.signers},
        "signed_by": sorted(counted.signers) if counted else [],
        "quorum_reached": counted.reached if counted else None,
        "difference": changes_of(shown, before),
        "warnings": list(warnings(shown)),
    }


def _verdict(judged: Judged, chain: tuple[Ruleset, ...]) -> dict[str, object]:
    return {
        "accepted": judged.ruleset is not None,
        "chain": [
            {"version": one.version, "act": one.act.value if one.act else None, "digest": one.digest} for one in chain
        ],
        "signed_by": sorted(judged.signers),
        "refusals": [{"kind": one.kind.value, "why": one.why} for one in judged.refusals],
        "notes": list(judged.notes),
    }
