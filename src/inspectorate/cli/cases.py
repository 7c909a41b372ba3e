"""`inspectorate cases`: what offices do with a report. A desk is one office's folder (`init`); every other command works at one.

Exit codes: 0 done, 10 something is overdue or incomplete, 30 a case or a package was altered or does not fit, 2 wrong use or not
enough offices.
"""

from __future__ import annotations

from pathlib import Path

import click

from inspectorate.cli.cases_answers import board, clean, file_, reply
from inspectorate.cli.cases_claims import claim, corroborate_, link, note, other_word
from inspectorate.cli.cases_counts import alike, deadlines, heads, stats
from inspectorate.cli.cases_desk import DeskFile, done, on_case, on_desk, open_desk, when, write_desk
from inspectorate.cli.cases_handing import hand_over, receive
from inspectorate.cli.cases_leads import close, raise_, reopen, request
from inspectorate.cli.cases_open import open_
from inspectorate.cli.options import EXISTING_FILE, print_json, printable
from inspectorate.errors import InputError
from inspectorate.mechanisms.whistleblowing.cases.acts import Claim, Noted
from inspectorate.mechanisms.whistleblowing.cases.alike import alike as find_alike
from inspectorate.mechanisms.whistleblowing.cases.alike import told
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile
from inspectorate.mechanisms.whistleblowing.cases.state import CaseState


@click.group()
def cases() -> None:
    """Follow what people reported: open together, link, corroborate, hand over.

    `init` makes the desk of an office. Everything else takes --desk, or INSPECTORATE_DESK.
    """


for command in (
    board, clean, file_, reply, claim, corroborate_, link, note, other_word, alike, deadlines, heads, stats, hand_over, receive,
    close, raise_, reopen, request, open_,
):  # fmt: skip
    cases.add_command(command)


@cases.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--as", "office", required=True, help="The name of the office, as in the list.")
@click.option("--key", type=EXISTING_FILE, required=True, help="Its signing key.")
@click.option("--identity", type=EXISTING_FILE, required=True, help="Its age identity.")
@click.option("--offices", type=EXISTING_FILE, required=True, help="The agreed list of offices (YAML).")
@click.option("--others", type=EXISTING_FILE, help="Further offices, to which cases may be handed (YAML).")
@click.option("--agreement", required=True, help="A YAML file, or the name of a shipped agreement.")
@click.option("--declaration", type=EXISTING_FILE, help="The declaration (YAML).")
def init(
    folder: Path, office: str, key: Path, identity: Path, offices: Path, others: Path | None, agreement: str,
    declaration: Path | None,
) -> None:  # fmt: skip
    """Make the desk of an office in FOLDER."""
    agreed = str(Path(agreement).resolve()) if Path(agreement).is_file() else agreement
    given = {
        "office": office, "key": str(key.resolve()), "identity": str(identity.resolve()), "offices": str(offices.resolve()),
        "others": str(others.resolve()) if others else None, "agreement": agreed,
        "declaration": str(declaration.resolve()) if declaration else None,
    }  # fmt: skip
    write_desk(folder, DeskFile.parse(given, where="the desk", error=InputError))
    try:
        open_desk(folder)
    except InputError:
        (folder / "desk.yaml").unlink()
        raise
    click.echo(f"{folder}: the desk of {office}")


@cases.command("list")
@on_desk
def list_(desk_folder: Path, as_json: bool) -> None:
    """All cases of the desk."""
    states = open_desk(desk_folder).desk.all()
    rows = [
        {
            "case": one.case, "standing": one.standing.value, "reports": len(one.reports), "opened_at": one.opened_at.isoformat(),
            "activities": sorted({said.activity.value for said in one.claims.values()}), "leads": list(one.leads),
        }
        for one in states
    ]  # fmt: skip
    lines = [
        f"{one.case}  {one.standing.value:<8} {when(one.opened_at)}  {len(one.claims)} claims, {len(one.leads)} leads"
        for one in states
    ]
    done(as_json, {"cases": rows}, lines or ["no cases"])


@cases.command()
@on_case
def show(case: str, desk_folder: Path, as_json: bool) -> None:
    """One case: what was said, what was found beside it, who did what and when."""
    at_desk = open_desk(desk_folder)
    file, state = at_desk.desk.read(case)
    if as_json:
        entries = [one.entry.model_dump(mode="json", exclude_none=True) for one in file.held]
        print_json({"case": case, "standing": state.standing.value, "holders": list(state.holders), "entries": entries})
        return
    click.echo("\n".join(_shown(file, state)))
    beside = [pair for pair in find_alike([told(one) for one in at_desk.desk.all()]) if case in pair.cases]
    click.echo("\n".join(str(pair) for pair in beside), nl=bool(beside))


def _shown(file: CaseFile, state: CaseState) -> list[str]:
    lines = [f"{state.case}: {state.standing.value}, held by {', '.join(state.holders)}"]
    for report in state.reports:
        lines.append(f"report, read by {', '.join(report.offices)} ({report.opened.language})")
        if report.disputed:
            lines.append(
                "  offices differ over this report: "
                + ("these are a quorum" if report.stands else "no quorum read it so; open the batch and compare")
            )
        lines += [f"  {name}: {printable(text)}" for name, text in report.opened.answers.items()]
        lines += [f"  file {one.digest[7:19]} {one.name!r}, {one.size:,} bytes" for one in report.opened.files]
    for said in state.claims.values():
        lines += _claim(said, state)
    for name, lead in state.leads.items():
        asked = ", ".join(f"{office} ({act.step.value})" for office, act in sorted(lead.raised.items()))
        ended = ", ".join(f"{office} ({why.value})" for office, why in sorted(lead.ended.items()))
        lines.append(f"lead {name}: raised by {asked}" + (f"; closed by {ended}" if ended else ""))
    lines.append("entries")
    for one in file.held:
        what = f"noted: {printable(one.entry.act.text)}" if isinstance(one.entry.act, Noted) else one.entry.act.act
        lines.append(f"  {when(one.entry.at)}  {one.entry.by} {one.entry.number}: {what}")
    return lines


def _claim(said: Claim, state: CaseState) -> list[str]:
    place = ", ".join(said.pods) or said.cluster or said.site or "place not known"
    lines = [f"claim {said.id}: {said.activity.value}, {place}, {said.period or 'time not known'}"]
    for title, texts in (
        ("saw", said.saw),
        ("could see", said.could_see),
        ("could not see", said.could_not_see),
        ("was told", said.told),
    ):
        lines += [f"  {title}: {printable(text)}" for text in texts]
    lines += [f"  not asked yet: {one}" for one in said.not_asked]
    lines += [
        f"  beside it: {one.standing}, review of {when(one.as_of)}" for one in state.corroborations.get(said.id, ())
    ]
    lines += [f"  beside it: claim {one.other_claim} of {one.other_case}" for one in state.other_words.get(said.id, ())]
    return lines


@cases.command()
@click.argument("copy", type=click.Path(exists=True, file_okay=False, path_type=Path))
@on_desk
def merge(desk_folder: Path, as_json: bool, copy: Path) -> None:
    """Take over what other offices did: COPY is their folder of one case, as it is. It is sealed to this office, too.

    Exits 10 where a file of the case is whole in neither copy.
    """
    at_desk = open_desk(desk_folder)
    state, missing = at_desk.desk.merge(copy)
    lines = [f"{state.case}: {state.standing.value}", *(f"  file {name} is whole in neither copy" for name in missing)]
    facts = {"case": state.case, "standing": state.standing.value, "missing_files": list(missing)}
    done(as_json, facts, lines)
    if missing:
        raise SystemExit(10)
