"""`inspectorate demo`: review the recorded site, and say where the report is."""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.doubt import DAYS, doubt_of
from inspectorate.cli.options import EXISTING, NEW_PATH, json_option, print_json, write_text
from inspectorate.cli.review import review_bundle
from inspectorate.errors import InputError
from inspectorate.report import render_html, render_text

SITE_FILES = ("site.tar", "anchors.yaml")
DEMO_INTERVAL_S = 60.0


@click.command()
@click.option("--site", type=EXISTING, default=Path("examples/lab-site"), show_default=True, help="The recorded site.")
@click.option("--out", type=NEW_PATH, default=Path("out/demo"), show_default=True, help="Where the report is written.")
@json_option
def demo(site: Path, out: Path, as_json: bool) -> None:
    """Review a recorded site of real training and real inference, and write an HTML report.

    The demo succeeds if the review ends in a report, whatever it finds; `inspectorate review` on the same bundle exits
    with the code of its verdict.
    """
    for name in SITE_FILES:
        if not (site / name).exists():
            raise InputError(f"has no {name}", where=str(site), remedy="run this from the project's folder")
    agreement = site / "agreement.yaml"
    result = review_bundle(
        site / "site.tar",
        agreement_name=str(agreement) if agreement.exists() else "inference-only",
        anchors_path=site / "anchors.yaml",
        as_of=None,
        interval_s=DEMO_INTERVAL_S,
    )
    report = out / "report.html"
    write_text(report, render_html(result, doubt=doubt_of(result, DAYS)))
    if as_json:
        print_json({"verdict": result.verdict.value, "exit_code": result.exit_code, "report": str(report.resolve())})
        return
    click.echo(render_text(result))
    click.echo(f"\nThe report, with plots: {report.resolve()}")
    click.echo(f"`inspectorate review` on this bundle exits with {result.exit_code}.")
