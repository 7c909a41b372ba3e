"""`inspectorate review`: a bundle in, findings and the largest hidden run out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from inspectorate.agreement import load_agreement
from inspectorate.cli.doubt import DAYS, doubt_of
from inspectorate.cli.options import (
    EXISTING,
    NEW_PATH,
    FiniteRange,
    anchors_option,
    json_option,
    parse_time,
    write_text,
)
from inspectorate.evidence import Bundle
from inspectorate.keys import TrustAnchors
from inspectorate.report import render_html, render_json, render_text
from inspectorate.review import INTERVAL_S, Review
from inspectorate.review import review as run_review


def review_bundle(
    bundle_path: Path,
    *,
    agreement_name: str,
    anchors_path: Path,
    as_of: str | None = None,
    interval_s: float = INTERVAL_S,
    with_proposed: bool = False,
    earlier: Sequence[Path] = (),
) -> Review:
    """Open and review a bundle, with a line of progress on a terminal."""
    agreement = load_agreement(agreement_name)
    anchors = TrustAnchors.read(anchors_path)
    with Console(stderr=True).status("checking every byte of the bundle …") as status:
        bundle = Bundle.open(bundle_path, anchors=anchors)
        before = [Bundle.open(path, anchors=anchors) for path in earlier]
        status.update("appraising the evidence …")
        return run_review(
            bundle,
            agreement=agreement,
            anchors=anchors,
            as_of=parse_time(as_of),
            interval_s=interval_s,
            with_proposed=with_proposed,
            earlier=before,
        )


@click.command()
@click.argument("bundle_path", metavar="BUNDLE", type=EXISTING)
@click.option("--agreement", "agreement_name", required=True, help="A YAML file, or the name of a shipped agreement.")
@anchors_option
@click.option("--as-of", help="Use the terms that held at this time (default: now).")
@click.option("--interval", "interval_s", type=FiniteRange(min=0, min_open=True), default=INTERVAL_S,
              show_default=True, help="Length of an interval of the account [s].")  # fmt: skip
@click.option("--with-proposed", is_flag=True, help="Count proposed amendments as adopted.")
@click.option("--after", "earlier", type=EXISTING, multiple=True, metavar="BUNDLE",
              help="An earlier bundle of the same log: streams before the period need not be here again.")  # fmt: skip
@click.option("--html", "html_path", type=NEW_PATH, help="Write a self-contained HTML report here.")
@click.option("--inspector-days", type=FiniteRange(0, 1e6), default=DAYS, show_default=True,
              help="With --html: plan where to spend so many, with assumed powers and costs; 0 leaves that out.")  # fmt: skip
@json_option
def review(
    bundle_path: Path,
    agreement_name: str,
    anchors_path: Path,
    as_of: str | None,
    interval_s: float,
    with_proposed: bool,
    earlier: tuple[Path, ...],
    html_path: Path | None,
    inspector_days: float,
    as_json: bool,
) -> None:
    """Review the evidence in BUNDLE against an agreement.

    Exits 0 if consistent, 10 if inconclusive or not observed, 20 if inconsistent, 30 if evidence is invalid.
    """
    result = review_bundle(
        bundle_path,
        agreement_name=agreement_name,
        anchors_path=anchors_path,
        as_of=as_of,
        interval_s=interval_s,
        with_proposed=with_proposed,
        earlier=earlier,
    )
    if html_path is not None:
        write_text(html_path, render_html(result, doubt=doubt_of(result, inspector_days)))
    if as_json:
        click.echo(render_json(result))
    else:
        click.echo(render_text(result))
        if html_path is not None:
            click.echo(f"\nReport: {html_path}")
    sys.exit(result.exit_code)
