"""`inspectorate interview calibrate`, `check` and `checked`: hold answers against one another, and state that it was done.

    both parties   calibrate    agree how far off honest people are, and the rates
    verifier       check        contradictions, each with the sentences that cannot all be right; pointers; drafts of leads
    verifier       checked      state what came of it, sealed

Exit codes: 0 done, 20 there are contradictions, 30 what is declared, measured and agreed excludes itself, 2 wrong use.
"""

from __future__ import annotations

from typing import Any

import click

from inspectorate.agreement import load_agreement
from inspectorate.canonical import JSON_BYTES_MAX, parse_json
from inspectorate.cli.interview_evidence import of_review
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    now,
    print_json,
    printable,
    write_private,
    write_text,
)
from inspectorate.cli.replay_files import Signing, print_result, sign, signing
from inspectorate.declaration import load_declaration
from inspectorate.errors import InputError
from inspectorate.evidence import AnswersChecked, Origin
from inspectorate.evidence.act import Act
from inspectorate.files import read_bounded
from inspectorate.mechanisms.interviews.consistency import check as checking
from inspectorate.mechanisms.interviews.consistency import reading
from inspectorate.mechanisms.interviews.consistency.calibrate import Calibration, calibrated
from inspectorate.mechanisms.interviews.consistency.memory import MemoryModel
from inspectorate.mechanisms.interviews.consistency.types import Checked, Statement, Voice

CONTRADICTED = 20


@click.command()
@click.argument("out", type=NEW_PATH)
@click.option("--id", "name", required=True, help="A name for the calibration.")
@click.option("--groups", type=EXISTING_FILE,
              help="Answer sheets of honest groups, one on each line: of undisputed matters, or simulated.")  # fmt: skip
@click.option(
    "--model", type=EXISTING_FILE, help="Another model of honest memory (JSON); the reference model by default."
)
@click.option("--rate", type=FiniteRange(0, 0.5, min_open=True, max_open=True), default=0.01, show_default=True,
              help="How often an honest group may show any contradiction.")  # fmt: skip
@click.option("--pointer-rate", type=FiniteRange(0, 0.5, min_open=True, max_open=True), default=0.01,
              show_default=True, help="The same for pointers.")  # fmt: skip
@click.option("--draws", type=click.IntRange(100, 1_000_000), default=5_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the draws: agreed as well.")
@json_option
def calibrate(**options: Any) -> None:
    """Write to OUT the calibration under which answers are checked: the model of honest memory, the rates, and honest groups.

    Both parties agree its digest before anybody is heard.
    """
    model = MemoryModel()
    if options["model"] is not None:
        where = str(options["model"])
        model = MemoryModel.parse(
            parse_json(read_bounded(options["model"], JSON_BYTES_MAX), where=where), where=where, error=InputError
        )
    base = Calibration.parse(
        {
            "id": options["name"], "origin": Origin.RECORDED, "model": model.model_dump(), "draws": options["draws"],
            "seed": options["seed"], "false_accusation_rate": options["rate"], "pointer_rate": options["pointer_rate"],
        },
        where="options", error=InputError,
    )  # fmt: skip
    if options["groups"] is not None:
        sheets = reading.parse_sheets(read_bounded(options["groups"], JSON_BYTES_MAX), where=str(options["groups"]))
        base = calibrated(base, sheets)
    write_text(options["out"], base.canonical_bytes())
    facts = {
        "calibration": base.digest,
        "groups": len(base.strengths),
        "origin": base.origin.value,
        "model": base.model.id,
    }
    print_result(
        options["as_json"], facts,
        [
            f"calibration {base.digest}",
            f"model {base.model.id}; honest groups beside it: {len(base.strengths)} ({base.origin.value})",
            f"an honest group shows any contradiction at most {base.false_accusation_rate:.2%} of the time",
        ],
    )  # fmt: skip


@click.command()
@click.argument("sheet", type=EXISTING_FILE)
@click.option("--calibration", "calibration_path", type=EXISTING_FILE, required=True, help="As agreed.")
@click.option(
    "--declaration", type=EXISTING_FILE, help="What was declared: what it says of the topics is held against answers."
)
@click.option("--review", "review_path", type=EXISTING_FILE, help="A review (JSON): what it found likewise.")
@click.option("--agreement", type=EXISTING_FILE, help="With --review: the agreement under which it was made.")
@click.option("--statements", type=EXISTING_FILE, help="More statements of machines or the declaration (a JSON list).")
@click.option("--leave-out", multiple=True, metavar="ID", help="Leave a statement out; may be repeated.")
@click.option("--out", type=NEW_PATH, help="Write everything that was found, for `checked` and the case file: sealed.")
@json_option
def check(**options: Any) -> None:
    """Hold the answers of a SHEET against one another, against what was declared and against what machines show.

    Says which sentences cannot all be right, never which of them is wrong. Exits 20 where there are any.
    """
    sheet = reading.parse_sheet(read_bounded(options["sheet"], JSON_BYTES_MAX), where=str(options["sheet"]))
    where = str(options["calibration_path"])
    calibration = Calibration.parse(
        parse_json(read_bounded(options["calibration_path"], JSON_BYTES_MAX), where=where),
        where=where,
        error=InputError,
    )
    more: list[Statement] = []
    if options["declaration"] is not None:
        more += reading.declared(load_declaration(options["declaration"]), sheet.topics)
    if (options["review_path"] is None) != (options["agreement"] is None):
        raise InputError("go together", where="--review, --agreement")
    if options["review_path"] is not None:
        more += of_review(options["review_path"], load_agreement(str(options["agreement"])), sheet.topics)
    if options["statements"] is not None:
        more += reading.parse_statements(
            read_bounded(options["statements"], JSON_BYTES_MAX), where=str(options["statements"])
        )
    sheet = reading.with_statements(sheet, more, without=options["leave_out"])
    found = checking.check(sheet, calibration)
    if left_out := options["leave_out"]:
        note = f"statements that were left out by whoever checked: {', '.join(left_out)}"
        found = found.model_copy(update={"not_checked": (*found.not_checked, note)})
    if options["out"] is not None:
        write_private(options["out"], found.canonical_bytes())
    if options["as_json"]:
        print_json(found.model_dump(mode="json"))
    else:
        click.echo("\n".join(lines_of(found)))
    raise click.exceptions.Exit(CONTRADICTED if found.contradictions else 0)


@click.command()
@click.argument("found", type=EXISTING_FILE)
@click.option("--held", required=True, help="Digest of the statement `InterviewsHeld` whose answers were checked.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--lead", "leads", multiple=True, metavar="NAME", help="A lead that is raised on it; may be repeated.")
@signing
def checked(**options: Any) -> None:
    """State that answers were checked: the file FOUND of `check`, by digest. What was said stays with you."""
    where = str(options["found"])
    data = read_bounded(options["found"], JSON_BYTES_MAX)
    one = Checked.parse(parse_json(data, where=where), where=where, error=InputError)
    said = AnswersChecked.parse(
        {
            "origin": Origin.SIMULATED if one.origin is Origin.SIMULATED else options["origin"],
            "by": options["by"], "held": options["held"], "calibration": one.calibration,
            "false_accusation_rate": one.false_accusation_rate, "contradictions": len(one.contradictions),
            "leads": options["leads"], "checked_at": now(),
        },
        where="--held, --as, --lead", error=InputError,
    )  # fmt: skip
    digest = sign(Act(predicate=said, subjects={"checked": one.digest}), Signing.of(options))
    print_result(
        options["as_json"],
        {"statement": digest, "contradictions": said.contradictions, "leads": list(said.leads)},
        [f"stated: {said.contradictions} contradictions, {len(said.leads)} leads", f"statement {digest}"],
    )


def lines_of(found: Checked) -> list[str]:
    """What was found, for a person to read."""
    rate = f"an honest group shows any contradiction at most {found.false_accusation_rate:.2%} of the time"
    lines = [
        f"{found.people} people, {found.statements} statements that could contradict something, {found.set_aside} set aside",
        f"{rate}; this one's strongest has p = {found.group_p_value:.4g}",
    ]
    if found.origin is Origin.SIMULATED:
        lines.append("simulated answers")
    for number, one in enumerate(found.contradictions, start=1):
        words = " and ".join(against.value for against in one.against)
        lines += ["", f"{number}. These cannot all be right ({words}; p = {one.p_value:.4g}):"]
        lines += [_voice(voice) for voice in one.core]
        lines += [f"   {fact}" for fact in one.facts]
        if one.others:
            lines.append(f"   likewise: {', '.join(one.others[:12])}{' …' if len(one.others) > 12 else ''}")
        if one.miss_probability:
            lines.append(f"   if the machines' bounds hold, which fails with probability {one.miss_probability:.2g}")
        lines += [f"   to settle it: {way}" for way in one.resolved_by]
    if found.pointers:
        lines += ["", "To ask about again; these accuse nobody:"]
    for pointer in found.pointers:
        rate = "no rate" if pointer.p_value is None else f"p = {pointer.p_value:.4g}"
        lines.append(f"   {pointer.kind.value} ({rate}): {pointer.text}: {', '.join(pointer.topics[:6])}")
        lines += [_voice(voice) for voice in pointer.voices[:4]]
    if found.leads:
        lines += ["", "Leads that an office may raise:"]
    for lead in found.leads:
        when = "time not known" if lead.period is None else str(lead.period)
        pods = ", ".join(lead.pods) or "pods not known"
        lines.append(f"   {lead.clause}: {lead.activity.value}, {pods}, {when}: {lead.step.value}")
    return [*lines, "", "Not checked:", *(f"   {text}" for text in found.not_checked)]


def _voice(one: Voice) -> str:
    known = f", {one.known.value}" if one.known else ""
    return f"   {one.speaker}{known} [{one.statement}]: “{printable(one.sentence)}”"
