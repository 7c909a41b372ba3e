"""`inspectorate interview form`: the agreed form, from XLSForm to the page on a tablet.

FORM is the name of a shipped form, a form in its canonical JSON, or an XLSForm (.xlsx, .md, .csv), read in a process apart.

Exit codes: 0 done (`check`: nothing found), 20 `check` found something, 2 wrong use or an unusable form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import ClauseKind
from inspectorate.cli.interview_form_files import (
    agreed,
    bank_of,
    bank_option,
    form_argument,
    form_of,
    frame_of,
    kinds_of,
)
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    anchors_option,
    json_option,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.cli.replay_files import print_result, ranges
from inspectorate.declaration import load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntervieweesDrawn
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.forms import Frame, Question, check_scope, render_page
from inspectorate.mechanisms.interviews.forms.schemas import PUBLISHED, schema_bytes

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def form() -> None:
    """The agreed form: read it from XLSForm, hold it against the question bank, and make the page that asks it.

    FORM is the name of a shipped form, a form in canonical JSON, or an XLSForm (.xlsx, .md, .csv).
    """


@form.command()
@form_argument
@bank_option
@click.option("--agreement", "agreement_name", help="Hold its questions against the clauses of this agreement.")
@json_option
def check(form_name: str, bank_path: Path | None, agreement_name: str | None, as_json: bool) -> None:
    """Look for what does not belong into a form. Exits 20 where something was found.

    Missing rights and languages; questions that are not in the bank, are worded otherwise, or serve no clause of the agreement;
    words of subjects that are out of bounds; leading questions. A person still reads the form: these are searches for slips.
    """
    read = form_of(form_name)
    found = check_scope(read.form, bank_of(bank_path), kinds_of(agreement_name))
    facts = {
        "form": read.form.digest, "questions": len(read.form.questions), "languages": list(read.form.languages),
        "notices": list(read.notices),
        "found": [{"finding": one.finding.value, "place": one.place, "text": one.text} for one in found],
    }  # fmt: skip
    print_result(
        as_json,
        facts,
        [
            f"{len(read.form.questions)} questions in {', '.join(read.form.languages)}", f"digest {read.form.digest}",
            *(f"notice: {one}" for one in read.notices),
            *(f"{one.finding.value}: {one.place}: {one.text}" for one in found),
            f"{len(found)} findings" if found else "nothing was found; a person still reads it",
        ],
    )  # fmt: skip
    raise click.exceptions.Exit(20 if found else 0)


@form.command()
@form_argument
@click.option("-o", "--output", type=NEW_PATH, required=True, help="Where to write the form, in its canonical JSON.")
@json_option
def convert(form_name: str, output: Path, as_json: bool) -> None:
    """Turn an XLSForm into the record that both parties agree on by its digest."""
    read = form_of(form_name)
    write_text(output, read.form.canonical_bytes())
    print_result(
        as_json,
        {"form": read.form.digest, "file": str(output), "notices": list(read.notices)},
        [*(f"notice: {one}" for one in read.notices), f"written: {output}", f"digest {read.form.digest}"],
    )


@form.command()
@form_argument
@json_option
def digest(form_name: str, as_json: bool) -> None:
    """Print the digest by which an agreement names the form."""
    found = form_of(form_name).form.digest
    print_result(as_json, {"form": found}, [found])


@form.command()
@form_argument
@click.option("--language", default="en", show_default=True, help="One of the form's.")
@json_option
def show(form_name: str, language: str, as_json: bool) -> None:
    """Print what is said first and what is asked, in one language."""
    found = form_of(form_name).form
    if language not in found.languages:
        raise InputError(f"is not in {language!r}", where=form_name, remedy=f"one of {', '.join(found.languages)}")
    if as_json:
        print_json(found.model_dump(mode="json", exclude_none=True))
        return
    click.echo(f"{found.title[language]} ({found.id} {found.version})\n\nFirst:")
    for right in found.rights:
        click.echo(f"  - {right.label[language]}")
    click.echo("\nThen:")
    for step in found.steps:
        marks = [
            step.item.kind.value if isinstance(step.item, Question) else "note",
            *([f"up to {step.repeat.times_max} times"] if step.repeat else []), *(["where it applies"] if step.conditions else []),
        ]  # fmt: skip
        click.echo(f"  - {step.item.label[language]}  [{', '.join(marks)}]")


@form.command()
@form_argument
@click.option("--draws", type=_folder, required=True, help="Your folder with the draw.")
@click.option("--drawn", help="Digest of the draw, where there are several.")
@anchors_option
@click.option("--site", required=True, help="The site that is asked about, as declared.")
@click.option("--declaration", "declaration_path", type=EXISTING_FILE, help="Take all pods of the site from it.")
@click.option("--pod", "pods", multiple=True, help="Instead: a pod that is asked about; may be repeated.")
@click.option("--from", "start", required=True, help="The time that is asked about: from.")
@click.option("--until", "end", required=True, help="The time that is asked about: until.")
@click.option("--observers/--no-observers", default=False, help="Whether the agreement lets the home state observe.")
@click.option("-o", "--output", type=NEW_PATH, required=True, help="Where to write the frame.")
@json_option
def frame(form_name: str, **options: Any) -> None:
    """Fix what an interview is about: the form, the draw, the time and the pods. The page and the record both name it."""
    found = agreed(form_name)
    drawn, entries = _draw(options["draws"], TrustAnchors.read(options["anchors_path"]), options["drawn"])
    made = Frame.parse(
        {
            "form": found.digest, "drawn": drawn, "entries": entries, "site": options["site"],
            "pods": options["pods"] or _pods(options["declaration_path"], options["site"]), "observers": options["observers"],
            "period": {"start": parse_time(options["start"]), "end": parse_time(options["end"])},
        },
        where="frame", error=InputError,
    )  # fmt: skip
    write_text(options["output"], made.canonical_bytes())
    print_result(
        options["as_json"],
        {
            "frame": made.digest,
            "form": made.form,
            "drawn": made.drawn,
            "entries": list(made.entries),
            "pods": list(made.pods),
        },
        [f"entries {ranges(made.entries)}; {len(made.pods)} pods; {made.period}", f"frame {made.digest}"],
    )


@form.command()
@form_argument
@click.argument("frame_path", metavar="FRAME", type=EXISTING_FILE)
@click.option("-o", "--output", type=NEW_PATH, required=True, help="Where to write the page (HTML).")
@json_option
def page(form_name: str, frame_path: Path, output: Path, as_json: bool) -> None:
    """Make the page for a tablet: one file for this form and frame, which runs without any network.

    What it exports is plain JSON: keep it on an encrypted device, and give it to `interview record` at once.
    """
    found = agreed(form_name)
    made = render_page(found, frame_of(frame_path, found)).encode()
    write_text(output, made)
    print_result(as_json, {"page": str(output), "bytes": len(made)}, [f"written: {output}, {len(made)} bytes"])


@form.command()
@bank_option
@click.option(
    "--clause", type=click.Choice([one.value for one in ClauseKind]), help="Only what serves this kind of clause."
)
@click.option("--stratum", help="Only what this stratum would know.")
@json_option
def bank(bank_path: Path | None, clause: str | None, stratum: str | None, as_json: bool) -> None:
    """Print the question bank: what may be asked, for which clause, of whom, and what an answer could contradict."""
    found = bank_of(bank_path)
    kept = [
        one for one in found.questions if clause in {None, *one.clauses} and (stratum is None or stratum in one.strata)
    ]
    if as_json:
        questions = [one.model_dump(mode="json", exclude_none=True) for one in kept]
        print_json({"bank": found.digest, "questions": questions, "strata": found.strata})
        return
    table = Table("question", "asked", "says", "who would know", "could contradict")
    for one in kept:
        table.add_row(one.id, one.text, one.says.says, ", ".join(one.strata), one.contradicts)
    Console().print(table)
    click.echo(f"{len(kept)} of {len(found.questions)} questions; bank {found.digest}")


@form.command()
@click.option("--into", type=NEW_PATH, required=True, help="The folder to write them into.")
def schema(into: Path) -> None:
    """Write the JSON Schemas of forms, frames, captures, banks and of who was heard."""
    for name in PUBLISHED:
        write_text(into / f"{name}.json", schema_bytes(name))
    click.echo(f"{len(PUBLISHED)} schemas in {into}")


def _draw(folder: Path, anchors: TrustAnchors, wanted: str | None) -> tuple[str, tuple[int, ...]]:
    held = Exchange(folder, anchors=anchors)
    found = [(one.digest, said.drawn) for one, said in held.of(IntervieweesDrawn) if wanted in {None, one.digest}]
    if len(found) != 1:
        raise EvidenceError(f"{len(found)} draws fit", where=str(folder), remedy="name one by --drawn")
    return found[0]


def _pods(path: Path | None, site: str) -> list[str]:
    if path is None:
        raise InputError("give --declaration or --pod", where="--pod")
    declared = load_declaration(path)
    pods = [pod.id for one in declared.sites if one.id == site for cluster in one.clusters for pod in cluster.pods]
    if not pods:
        raise InputError(f"declares no pod at {site!r}", where=str(path))
    return pods
