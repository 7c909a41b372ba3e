"""`inspectorate lab guard`: record a guarded pod on this machine, and attack it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from inspectorate.cli.options import NEW_PATH, FiniteRange
from inspectorate.errors import InputError
from inspectorate.lab.guard_record import GuardPlan, record


@click.command()
@click.option("--out", "out_path", type=NEW_PATH, required=True, help="New folder for the site.")
@click.option("--seconds", type=FiniteRange(1.0, 3600.0), default=60.0, show_default=True, help="Of honest service.")
@click.option("--report-every", type=FiniteRange(1.0, 3600.0), default=5.0, show_default=True, help="Seconds.")
@click.option("--attacked", is_flag=True, help="Attack it in nine ways, in the place of honest service.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def guard(out_path: Path, seconds: float, report_every: float, attacked: bool, as_json: bool) -> None:
    """Record a guarded pod: a TPM, a real server, clients, an inspector. Needs root, swtpm and torch.

    Exits 20 if an attack was not refused within a second or is not named by the review, or if an accepted request was lost
    silently.
    """
    if out_path.exists():
        raise InputError("exists already", where=str(out_path), remedy="name a new folder")
    plan = GuardPlan(seconds=seconds, report_every_s=report_every, attacked=attacked)
    with tempfile.TemporaryDirectory(prefix="inspectorate-guard-") as work:
        Path(work).chmod(0o755)
        found = record(out_path, work=Path(work) / "pod", plan=plan)
    if as_json:
        told = [
            {"attack": one.attack, "seconds": round(one.seconds, 3), "told": one.told, "held": one.held}
            for one in found.met
        ]
        click.echo(
            json.dumps({"attacks": told, "requests": found.outcomes, "lost_silently": found.lost_silently}, indent=2)
        )
    else:
        for one in found.met:
            click.echo(f"{'held' if one.held else 'NOT HELD'}: {one.attack}, {one.seconds:.3f} s: {one.told}")
        for outcome, count in sorted(found.outcomes.items()):
            click.echo(f"{count} requests {outcome}")
        click.echo(f"{found.lost_silently} accepted requests lost silently")
        for clause, verdict in found.verdicts.items():
            click.echo(f"review: {clause} is {verdict.value}")
        click.echo(f"not named by the review: {', '.join(found.unnamed) or 'none'}")
        click.echo(f"wrote {out_path}")
    if found.lost_silently or found.unnamed or not all(one.held for one in found.met):
        raise SystemExit(20)
