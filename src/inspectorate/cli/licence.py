"""`inspectorate licence`: draft a licence, sign it, show it, and carry it as text or QR codes.

A licence is drafted by one and signed by several, each on a machine of their own: the file goes from hand to hand and gathers
signatures. None of these commands needs a network, and none decides whether a licence counts: the processor does, by its ruleset.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.guard_handing import control_option, hand_in
from inspectorate.cli.licence_qr import write_codes
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.cli.ruleset_files import read_document, sign_once
from inspectorate.errors import EvidenceError, InputError
from inspectorate.files import read_bounded
from inspectorate.keys import read_yaml
from inspectorate.mechanisms.guarantee.licences.judge import licence_of, unfit
from inspectorate.mechanisms.guarantee.licences.parts import PART_CHARACTERS, from_parts, to_parts
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.types import Act
from inspectorate.mechanisms.guarantee.rulesets.update import parse_ruleset
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX, SignedDocument, SignerKey, parse_document

DRAFT_BYTES_MAX = 65_536
PARTS_BYTES_MAX = 4 * 1024 * 1024

_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def licence() -> None:
    """Draft a licence, sign it, show it, and carry it as text or QR codes."""


@licence.command()
@click.argument("out", type=NEW_PATH)
@click.option("--from", "draft_path", type=EXISTING_FILE, help="A YAML file with the fields; options override it.")
@click.option("--id", "licence_id", help="A name that was not used before.")
@click.option("--device", help="The device: sha256:... of its public key, as `guard status` prints it.")
@click.option("--sequence", type=click.IntRange(min=1), help="Above all that this device was licensed before.")
@click.option("--valid-from", "start", help="Such as 2026-11-24T00:00:00Z; else now.")
@click.option("--valid-until", "end", help="When it expires.")
@click.option("--days", type=FiniteRange(0, 36_500, min_open=True), help="How long it holds, instead of an end.")
@click.option("--ruleset", "ruleset_id", help="The id of the ruleset that it counts under.")
@click.option("--ruleset-version-min", "version_min", type=click.IntRange(min=1), help="And its lowest version.")
@click.option(
    "--budget", "budgets", multiple=True, metavar="METER=AMOUNT", help="Such as flop=1e18; one for each meter."
)
def issue(out: Path, draft_path: Path | None, **options: Any) -> None:
    """Write an unsigned licence to the new file OUT."""
    if out.exists():
        raise InputError("is there already", where=str(out), remedy="name a new file")
    drafted = _drafted(draft_path) | _given(options)
    value = Licence.parse(drafted, where=str(draft_path or "the options"), error=InputError)
    document = SignedDocument(kind=LICENCE_KIND, payload=value.canonical_bytes(), signatures=())
    licence_of(document)
    write_text(out, document.to_bytes())
    click.echo(f"{out}: {value.id}, {document.digest}, no signatures yet")


def _drafted(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    value = read_yaml(path, bytes_max=DRAFT_BYTES_MAX)
    if not isinstance(value, dict):
        raise InputError("is not a licence", where=str(path), remedy="write fields such as `id: licence-1`")
    return value


def _given(options: dict[str, Any]) -> dict[str, object]:
    """The fields that were given as options."""
    given = {
        "id": options["licence_id"],
        "device": options["device"],
        "sequence": options["sequence"],
        "ruleset": options["ruleset_id"],
        "ruleset_version_min": options["version_min"],
        "budgets": _budgets(options["budgets"]) or None,
        "valid": _valid(options["start"], options["end"], options["days"]),
    }
    return {name: value for name, value in given.items() if value is not None}


def _valid(start: str | None, end: str | None, days: float | None) -> dict[str, object] | None:
    if start is None and end is None and days is None:
        return None
    if (end is None) == (days is None):
        raise InputError("a licence ends once", remedy="give --valid-until or --days")
    begins = parse_time(start)
    begins = begins.replace(microsecond=0)
    return {"start": begins, "end": parse_time(end) if end else begins + timedelta(days=days or 0)}


def _budgets(texts: Iterable[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in texts:
        meter, _, amount = text.partition("=")
        known = ", ".join(kind.value for kind in MeterKind)
        if meter not in set(MeterKind) or meter in found:
            raise InputError(f"--budget {text!r}", remedy=f"name each meter once, of {known}")
        try:
            found[meter] = float(amount)
        except ValueError:
            raise InputError(f"--budget {text!r}: {amount!r} is no number", remedy="write flop=1e18") from None
    return found


@licence.command()
@click.argument("path", metavar="LICENCE", type=EXISTING_FILE)
@click.option("--key", "key_path", type=EXISTING_FILE, required=True, help="The signer's key.")
@click.option("--out", type=_file, help="Write here instead of over LICENCE.")
def sign(path: Path, key_path: Path, out: Path | None) -> None:
    """Add a signature to LICENCE. Look at it first: `licence show`."""
    document, key = _read(path), SignerKey.read(key_path)
    value = licence_of(document)
    after = sign_once(document, key, path)
    write_text(out or path, after.to_bytes())
    click.echo(f"{out or path}: {value.id} has {len(after.signatures)} signatures")


@licence.command()
@click.argument("path", metavar="LICENCE", type=EXISTING_FILE)
@click.option("--ruleset", "ruleset_path", type=EXISTING_FILE, help="Judge the signatures by this signed ruleset.")
@click.option("--qr", "qr_path", type=_file, help="Write QR codes: OUT.svg or OUT.png, one file for each part.")
@click.option("--text", "text_path", type=_file, help="Write the parts as text, one a line.")
@click.option(
    "--part-characters", type=int, default=PART_CHARACTERS, show_default=True, help="The longest part: 100 to 4296."
)
@json_option
def show(
    path: Path,
    ruleset_path: Path | None,
    qr_path: Path | None,
    text_path: Path | None,
    part_characters: int,
    as_json: bool,
) -> None:
    """Print what LICENCE allows and who signed it. Exits 10 if --ruleset is given and the licence does not count under it."""
    document = _read(path)
    value = licence_of(document)
    signers = {signer_id for signer_id, _ in document.signatures}
    said: dict[str, object] = {
        "licence": value.model_dump(mode="json"),
        "digest": document.digest,
        "bytes": len(document.to_bytes()),
        "signatures": sorted(signer_id for signer_id, _ in document.signatures),
    }
    counts = True
    if ruleset_path is not None:
        rules = parse_ruleset(read_document(ruleset_path), where=str(ruleset_path))
        counted = judge_quorum(rules, Act.LICENSE, document)
        against = unfit(value, rules)
        counts = counted.reached and against is None
        words = dict.fromkeys((*(refusal.why for refusal in counted.refusals), *counted.notes))
        words |= {against: None} if against else {}
        said |= {"quorum": counted.reached, "signed_by": sorted(counted.signers), "notes": list(words)}
    if qr_path is not None or text_path is not None:
        parts = to_parts(document, characters=part_characters)
        codes = write_codes(parts, qr_path) if qr_path is not None else []
        if text_path is not None:
            write_text(text_path, "".join(part + "\n" for part in parts))
        said |= {"parts": len(parts), "written": [str(one) for one in (*codes, *([text_path] if text_path else []))]}
    if as_json:
        print_json(said)
    else:
        _print(value, said, len(signers))
    if not counts:
        raise SystemExit(10)


def _print(value: Licence, said: dict[str, Any], signers: int) -> None:
    click.echo(f"{value.id}, sequence {value.sequence}, {said['digest']}")
    click.echo(f"device   {value.device}")
    click.echo(f"ruleset  {value.ruleset}, version {value.ruleset_version_min} or later")
    click.echo(f"valid    {value.valid}")
    for meter in MeterKind:
        if meter in value.budgets:
            click.echo(f"budget   {meter.value:<20} {value.budgets[meter]:.15g}")
    repeated = len(said["signatures"]) - signers
    again = f", {repeated} repeated" if repeated else ""
    click.echo(f"signed   by {signers}{again}; {said['bytes']:,} bytes")
    if "quorum" in said:
        verdict = "reached" if said["quorum"] else "not reached"
        click.echo(f"quorum   {verdict}, by {', '.join(said['signed_by']) or 'nobody'}")
        for note in said["notes"]:
            click.echo(f"         {note}")
    for path in said.get("written", ()):
        click.echo(f"wrote    {path}")


@licence.command()
@click.argument("paths", metavar="PARTS...", nargs=-1, required=True, type=EXISTING_FILE)
@click.option("--out", type=NEW_PATH, required=True, help="Write the licence to this new file.")
def read(paths: tuple[Path, ...], out: Path) -> None:
    """Put a licence together from text files with its parts, as read from QR codes: any order, one part a line."""
    if out.exists():
        raise InputError("is there already", where=str(out), remedy="name a new file")
    lines: list[str] = []
    for path in paths:
        try:
            text = read_bounded(path, PARTS_BYTES_MAX, too_large=EvidenceError).decode()
        except UnicodeDecodeError:
            raise EvidenceError("is not text", where=str(path), remedy="read the code with a scanner first") from None
        lines += [line for line in text.splitlines() if line.strip()]
    document = from_parts(lines, where=", ".join(str(path) for path in paths)[:200])
    value = licence_of(document)
    write_text(out, document.to_bytes())
    click.echo(f"{out}: {value.id}, {document.digest}, {len(document.signatures)} signatures")


@licence.command()
@click.argument("path", metavar="LICENCE", type=EXISTING_FILE)
@control_option
@json_option
def apply(path: Path, control_path: Path, as_json: bool) -> None:
    """Hand LICENCE to a running processor. Exits 20 if it is refused."""
    hand_in(control_path, "apply", _read(path).to_bytes(), as_json=as_json)


def _read(path: Path) -> SignedDocument:
    data = read_bounded(path, DOCUMENT_BYTES_MAX, too_large=EvidenceError)
    return parse_document(data, kind=LICENCE_KIND, where=str(path))
