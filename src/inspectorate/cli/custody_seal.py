"""`inspectorate custody seal`: put a seal on, look at it again, and let anybody who has the photographs compare again.

    apply       reference photographs, taken when a seal was put on, become a statement; the photographs stay with you
    compare     new photographs against references: a number, alarms, and a page to look at
    check       the same, and a person's decision as a statement
    verify      compare again what a check compared: the same number, or another
    calibrate   pairs whose truth is known become a calibration with its error rates

Exit codes: 0 points to the same seal (or: done), 10 unclear, 20 look closely (or: decided that it is broken; or: another number),
30 what was kept or sent cannot be used, 2 wrong use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from inspectorate.canonical import Identifier
from inspectorate.cli.custody_seal_files import (
    as_facts,
    as_lines,
    calibration_of,
    keep,
    kept,
    marked_of,
    pairs_of,
    photo_bytes,
)
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, anchors_option, json_option, now, print_json, write_text
from inspectorate.cli.replay_files import Signing, print_result, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import SealApplied, SealChecked, SealDecision
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.seals.acts import Applying, compared, make_applied, make_checked, repeat
from inspectorate.mechanisms.custody.seals.comparing import reference_of
from inspectorate.mechanisms.custody.seals.evaluate import Origin
from inspectorate.mechanisms.custody.seals.evaluate import calibrate as calibrated
from inspectorate.mechanisms.custody.seals.page import render_page
from inspectorate.mechanisms.custody.seals.photo import decode_apart
from inspectorate.mechanisms.custody.seals.report import report

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_new = click.option("--new", "new_paths", type=EXISTING_FILE, multiple=True, required=True,
                    help="A new photograph; may be repeated, best with the lamp elsewhere.")  # fmt: skip
_calibration = click.option(
    "--calibration", "calibration_path", type=EXISTING_FILE, help="A calibration; the shipped one by default."
)
_html = click.option("--html", "html_path", type=NEW_PATH, help="Write a page to look at: it holds the photographs.")
_outline = click.option("--outline", metavar="'X,Y X,Y X,Y X,Y'",
                        help="Corners of the seal in the first reference, clockwise from the upper left, as shares of width and "
                        "height. By default the square in the middle.")  # fmt: skip
_mirrors = click.option("--mirrors/--matt", default=False, show_default=True,
                        help="Whether the seal has flakes that shine: then two new photographs tell a flat copy.")  # fmt: skip


@click.group()
def seal() -> None:
    """Seals with a random pattern: photographs compared, with measured error rates. A person decides."""


@seal.command()
@click.argument("references", type=EXISTING_FILE, nargs=-1, required=True)
@_new
@_outline
@_mirrors
@_calibration
@_html
@json_option
def compare(**options: Any) -> None:
    """Compare new photographs with the REFERENCES of a seal. Makes no statement."""
    named = [*options["references"], *options["new_paths"]]
    every = decode_apart([(str(path), photo_bytes(path)) for path in named])
    photos, fresh = every[: len(options["references"])], every[len(options["references"]) :]
    marked = marked_of(options["outline"], mirrors=options["mirrors"])
    reference = reference_of(photos, marked.outline(photos[0].size))
    found = report(reference, fresh, calibration_of(options["calibration_path"]), mirrors=marked.mirrors)
    if options["html_path"]:
        write_text(options["html_path"], render_page(found, title="Seal, compared"))
    print_result(options["as_json"], as_facts(found), as_lines(found))
    raise click.exceptions.Exit(found.points.exit_code)


@seal.command("apply")
@click.argument("photos", type=EXISTING_FILE, nargs=-1, required=True)
@click.option("--seal", "name", required=True, help="A fresh name for this seal.")
@click.option("--site", required=True)
@click.option("--place", "places", multiple=True, required=True,
              help="What cannot be opened without breaking it, as the register calls it; may be repeated.")  # fmt: skip
@_outline
@_mirrors
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option(
    "--keep", "keep_path", type=NEW_PATH, required=True, help="A folder for the photographs, which stay with you."
)
@signing
def apply_(**options: Any) -> None:
    """State that a seal was put on, with its reference PHOTOS: three, from one place, with the lamp on three sides.

    They are tried here: what could not serve as a reference is refused now.
    """
    marked = marked_of(options["outline"], mirrors=options["mirrors"])
    applying = Applying(
        seal=options["name"], site=options["site"], places=tuple(options["places"]),
        photos=[photo_bytes(path) for path in options["photos"]], marked=marked,
        names=[str(path) for path in options["photos"]],
    )  # fmt: skip
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    act, staying = make_applied(applying, who, decode_apart)
    digest = sign(act, Signing.of(options), before=lambda _: keep(options["keep_path"], staying))
    print_result(
        options["as_json"],
        {"statement": digest, "seal": options["name"], "photos": len(applying.photos), "kept": str(options["keep_path"])},
        [f"seal {options['name']} at {', '.join(options['places'])}", f"statement {digest}",
         f"{len(applying.photos)} photographs are in {options['keep_path']}, for you alone"],
    )  # fmt: skip


@seal.command()
@click.option(
    "--applied", required=True, metavar="DIGEST|NAME", help="The statement of the application, or the seal's name."
)
@click.option(
    "--kept",
    "kept_path",
    type=_folder,
    required=True,
    help="The folder of `apply --keep`; new ones are kept there, too.",
)
@click.option("--from", "theirs", type=_folder, help="The folder of whoever applied it; your own --out by default.")
@_new
@click.option("--decision", type=click.Choice(SealDecision, case_sensitive=False), required=True,
              help="Yours, after you looked: the number decides nothing.")  # fmt: skip
@click.option("--by-eye", is_flag=True, help="Without a comparison: the photographs are stated, and no number.")
@_calibration
@_html
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@signing
def check(**options: Any) -> None:
    """Compare new photographs of a seal with those of its application, and state your decision.

    Exits 10 where you decide that it is unclear, 20 where you decide that it is broken.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    applied = _applied(Exchange(options["theirs"] or options["out"], anchors=anchors), options["applied"])
    new = [photo_bytes(path) for path in options["new_paths"]]
    found = None
    if not options["by_eye"]:
        calibration = calibration_of(options["calibration_path"])
        named = list(zip(map(str, options["new_paths"]), new, strict=True))
        found = compared(applied, named, calibration, kept(options["kept_path"]), decode_apart)
    decision: SealDecision = SealDecision(options["decision"])
    if found is not None and options["html_path"]:
        write_text(options["html_path"], render_page(found, title=f"Seal {_name(applied)}, checked"))
    if found is not None and found.number is None:
        click.echo("\n".join(as_lines(found)), err=True)
    act = make_checked(applied, new, found, decision, Who(name=options["by"], at=now(), origin=options["origin"]))
    digest = sign(act, Signing.of(options), before=lambda _: keep(options["kept_path"], new))
    facts = {"statement": digest, "applied": applied.digest, "decision": decision.value}
    print_result(
        options["as_json"],
        facts | {"comparison": None if found is None else as_facts(found)},
        [*([] if found is None else as_lines(found)), f"decided: {decision.value}", f"statement {digest}"],
    )
    raise click.exceptions.Exit({SealDecision.INTACT: 0, SealDecision.UNCLEAR: 10, SealDecision.BROKEN: 20}[decision])


@seal.command()
@click.argument("folder", type=_folder)
@click.option("--kept", "kept_paths", type=_folder, multiple=True, required=True, help="Where the photographs are.")
@_calibration
@anchors_option
@json_option
def verify(
    folder: Path, kept_paths: tuple[Path, ...], calibration_path: Path | None, anchors_path: Path, as_json: bool
) -> None:
    """Compare again what every check in FOLDER compared: whoever has the photographs gets the same numbers.

    Exits 20 where a number is another one, 10 where nothing could be compared again, or a statement was set aside.
    """
    statements = Exchange(folder, anchors=TrustAnchors.read(anchors_path))
    calibration = calibration_of(calibration_path)
    rows: list[dict[str, object]] = []
    for checked, said in statements.of(SealChecked):
        row: dict[str, object] = {
            "check": checked.digest,
            "decision": said.decision.value,
            "stated": said.log_likelihood_ratio,
        }
        applied = statements.by_digest(said.applied)
        try:
            if applied is None:
                raise EvidenceError("the statement of the application is not there", where=checked.digest)
            again = repeat(applied, checked, calibration, kept(*kept_paths), decode_apart)
            row |= {"again": again.again, "agrees": again.agrees}
        except (EvidenceError, InputError) as fault:
            row |= {"again": None, "agrees": None, "why": str(fault)}
        rows.append(row)
    if not rows:
        raise EvidenceError(
            "holds no check of a seal", where=str(folder), remedy="name the folder of `custody seal check`"
        )
    if as_json:
        print_json({"checks": rows, "set_aside": list(statements.set_aside)})
    else:
        table = Table("check", "decision", "stated", "again", "", box=None)
        for row in rows:
            said_, again_ = (f"{v:+.2f}" if isinstance(v := row[name], float) else "-" for name in ("stated", "again"))
            table.add_row(str(row["check"])[7:19], str(row["decision"]), said_, again_, _agreed(row))
        Console(width=132, highlight=False).print(table)
        for line in statements.set_aside:
            click.echo(f"set aside: {line}")
    agreed = [row["agrees"] for row in rows]
    open_ = None in agreed or bool(statements.set_aside)
    raise click.exceptions.Exit(20 if False in agreed else 10 if open_ else 0)


@seal.command()
@click.argument("table", type=EXISTING_FILE)
@click.option("--out", type=NEW_PATH, required=True, help="The calibration (JSON).")
@click.option("--rendered", is_flag=True, help="The pictures are rendered, not photographed.")
@json_option
def calibrate(table: Path, out: Path, rendered: bool, as_json: bool) -> None:
    """Make a calibration of the pairs in TABLE (CSV), whose photographs lie beside it.

    Columns: part (learnt, held-out), seal, camera, condition, truth (same, other, or an attack), references (separated by `;`),
    new, second (of seals that shine: a second photograph under other light; else empty). No seal may be in both parts.
    """
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("comparing", total=None)
        pairs = list(pairs_of(table, lambda done: progress.update(task, completed=done)))
    made = calibrated(pairs, Origin(rendered=rendered, made_by="inspectorate custody seal calibrate"))
    write_text(out, made.canonical_bytes())
    facts: dict[str, object] = {
        "calibration": made.digest, "split": made.split.model_dump(mode="json"),
        "rates": [one.model_dump(mode="json") for one in made.rates],
    }  # fmt: skip
    lines = [f"{one.name}: {one.value:.4g} ({one.lower:.4g} to {one.upper:.4g}), of {one.of}" for one in made.rates]
    print_result(as_json, facts, [f"calibration {made.digest}, in {out}", f"held out: {made.split.held_out}", *lines])


def _applied(statements: Exchange, wanted: str) -> VerifiedStatement:
    found = [one for one, said in statements.of(SealApplied) if wanted in {one.digest, said.seal}]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} applications are {wanted[:80]!r}",
            where=str(statements.path),
            remedy="name one by its digest",
        )
    return found[0]


def _name(applied: VerifiedStatement) -> Identifier:
    said = applied.predicate
    assert isinstance(said, SealApplied)
    return said.seal


def _agreed(row: dict[str, object]) -> str:
    if row["agrees"] is None:
        return f"not compared again: {row['why']}"
    return "the same" if row["agrees"] else "ANOTHER NUMBER"
