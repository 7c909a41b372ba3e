"""`inspectorate interview held`: state who was heard, who refused and who did not come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.cli.interview_pick import fair
from inspectorate.cli.options import EXISTING_FILE, now, parse_time
from inspectorate.cli.replay_files import Signing, own, print_result, ranges, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntervieweesDrawn, InterviewsHeld, RosterOpened, VerifiedStatement
from inspectorate.evidence.act import Who
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.roster.acts import Sitting, make_held
from inspectorate.mechanisms.interviews.roster.opening import check_opening
from inspectorate.quantities import Period

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--drawn", help="Digest of the draw, where several are not heard yet.")
@click.option("--form", type=EXISTING_FILE, required=True, help="The agreed form that was used.")
@click.option(
    "--records",
    type=EXISTING_FILE,
    required=True,
    help="The sealed records of the answers; their digest is stated.",
)
@click.option("--refused", type=int, multiple=True, metavar="N", help="Entry N refused; may be repeated.")
@click.option("--absent", type=int, multiple=True, metavar="N", help="Entry N did not come; may be repeated.")
@click.option("--deviations", type=click.IntRange(min=0), default=0, show_default=True,
              help="Times that something else was asked or said than the form has.")  # fmt: skip
@click.option("--from-time", "start", required=True, help="When the interviews began.")
@click.option("--until", "end", help="When they were over; the present by default.")
@signing
def held(**options: Any) -> None:
    """State what became of everybody who was drawn. Who was opened, and neither refused nor was absent, was heard.

    Entries that the prover did not open in time count as absent. Answers stay with you: only their digest is stated. Exits 20
    where anybody was not heard, which may be replaced by `draw --replaces` if that was promised.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine, theirs = own(options["out"], anchors), Exchange(options["theirs"], anchors=anchors)
    if mine is None:
        raise InputError("holds no draw", where=str(options["out"]), remedy="name the folder of `interview draw`")
    drawn = _not_held(mine, options["drawn"])
    of = drawn.predicate
    assert isinstance(of, IntervieweesDrawn)
    roster = theirs.by_digest(of.roster)
    if roster is None:
        raise EvidenceError("the roster that was drawn from is not there", where=str(theirs.path))
    asked = fair(drawn, roster, mine, theirs)
    at = now()
    answers = [one for one, said in theirs.of(RosterOpened) if said.drawn == drawn.digest]
    opened = check_opening(asked, answers, payload=theirs.payload, as_of=at)
    period = Period.parse(
        {"start": parse_time(options["start"]), "end": parse_time(options["end"]) if options["end"] else at},
        where="--from-time, --until", error=InputError,
    )  # fmt: skip
    sitting = Sitting(
        form=digest_of(read_plain(options["form"], JSON_BYTES_MAX)),
        records=digest_of(read_plain(options["records"], JSON_BYTES_MAX)), period=period, refused=options["refused"],
        absent=options["absent"], deviations=options["deviations"],
    )  # fmt: skip
    act = make_held(asked, opened, sitting, Who(name=options["by"], at=at, origin=options["origin"]))
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, InterviewsHeld)
    print_result(
        options["as_json"],
        {
            "statement": digest, "drawn": drawn.digest, "heard": list(said.heard), "refused": list(said.refused),
            "absent": list(said.absent), "unopened": list(opened.unopened), "deviations": said.deviations,
        },
        [
            f"heard: entries {ranges(said.heard)}", f"refused: {ranges(said.refused)}",
            f"absent: {ranges(said.absent)}, of whom not opened: {ranges(opened.unopened)}", f"statement {digest}",
        ],
    )  # fmt: skip
    raise click.exceptions.Exit(20 if len(said.heard) < len(of.drawn) else 0)


def _not_held(mine: Exchange, wanted: str | None) -> VerifiedStatement:
    done = {said.drawn for _, said in mine.of(InterviewsHeld)}
    found = [
        one
        for one, _ in mine.of(IntervieweesDrawn)
        if (one.digest == wanted if wanted is not None else one.digest not in done)
    ]
    if len(found) != 1:
        raise EvidenceError(f"{len(found)} draws are not heard yet", where=str(mine.path), remedy="name one by --drawn")
    return found[0]
