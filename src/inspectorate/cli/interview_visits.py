"""`inspectorate interview visits`: everybody on the roster is due at the verifier's house, so that going there says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.cli.options import EXISTING_FILE, NEW_PATH, now, parse_time, write_text
from inspectorate.cli.replay_files import Signing, either, keep_secret, own, print_result, ranges, sign, signing
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import IntervieweesDrawn, VerifiedStatement, VisitsHeld
from inspectorate.evidence.act import Who
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.evidence.subjects import subject_bytes
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.roster.acts import refusal
from inspectorate.mechanisms.interviews.roster.calendar import calendar
from inspectorate.mechanisms.interviews.roster.judge import check_roster
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.selection import parse_randomness
from inspectorate.mechanisms.interviews.roster.visits import (
    Attendance,
    Excuse,
    Schedule,
    followed_up,
    make_visits,
    parse_schedule,
    visits_of,
)

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def visits() -> None:
    """Everybody on the roster is due at the verifier's house, so that going there says nothing."""


@visits.command()
@click.option("--verifier", "verifier_path", type=_folder, required=True, help="The verifier's folder.")
@click.option("--prover", "prover_path", type=_folder, required=True, help="The prover's folder.")
@click.option("--anchors", "anchors_path", type=EXISTING_FILE, required=True, help="Your trust anchors (YAML).")
@click.option("--drawn", required=True, help="Digest of the draw whose randomness orders the visits.")
@click.option(
    "--questions", type=EXISTING_FILE, required=True, help="The agreed list of questions; its digest is fixed."
)
@click.option("--from", "start", required=True)
@click.option("--until", "end", required=True)
@click.option("--opens", default="08:00", show_default=True, help="Of each day, in UTC.")
@click.option("--closes", default="18:00", show_default=True)
@click.option(
    "--minutes", type=click.IntRange(1, 1440), default=30, show_default=True, help="How long everybody stays."
)
@click.option("--rooms", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--out", type=NEW_PATH, required=True, help="A folder for the schedule and the calendars.")
def schedule(**options: Any) -> None:
    """Fix when everybody visits: `schedule.json`, `visits.ics` for the house, and one calendar for each entry to hand on.

    The order follows from the randomness of the draw and the roster, by the same hashes, so that anybody gets the same.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    house, prover = (
        Exchange(options["verifier_path"], anchors=anchors),
        Exchange(options["prover_path"], anchors=anchors),
    )
    drawn = house.by_digest(options["drawn"])
    if drawn is None or not isinstance(drawn.predicate, IntervieweesDrawn):
        raise EvidenceError(f"holds no draw {options['drawn'][:80]!r}", where=str(options["verifier_path"]))
    roster, listed = _roster(prover, drawn.predicate.roster)
    made = Schedule.parse(
        {
            "roster": roster.digest, "drawn": drawn.digest,
            "questions": digest_of(read_plain(options["questions"], JSON_BYTES_MAX)),
            "period": {"start": parse_time(options["start"]), "end": parse_time(options["end"])},
            "opens_minute": _minute(options["opens"]), "closes_minute": _minute(options["closes"]),
            "slot_minutes": options["minutes"], "rooms": options["rooms"],
        },
        where="visits schedule", error=InputError,
    )  # fmt: skip
    payload = either(house, prover)
    randomness = parse_randomness(subject_bytes(drawn, "randomness", payload), where="randomness")
    planned = visits_of(made, randomness, listed)
    at = now()
    out: Path = options["out"]
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            "is not empty", where=str(out), remedy="name a new folder: calendars of another schedule would stay"
        )
    write_text(out / "schedule.json", made.canonical_bytes())
    write_text(out / "visits.ics", calendar(planned, schedule=made.digest, made_at=at))
    for visit in planned:
        write_text(out / "entries" / f"{visit.entry}.ics", calendar([visit], schedule=made.digest, made_at=at))
    click.echo(f"{len(planned)} visits of {made.slot_minutes} minutes, from {planned[0].start} to {planned[-1].end}")
    click.echo(f"schedule {made.digest}, in {out}")


@visits.command("held")
@click.argument("schedule_path", metavar="SCHEDULE", type=EXISTING_FILE)
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--came", required=True, metavar="N,N-N,...", help="Entries that came, as numbers and ranges; `none`.")
@click.option(
    "--excused", multiple=True, metavar="N=REASON", help=f"Entry N, for {', '.join(Excuse)}; may be repeated."
)
@click.option(
    "--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for the attendance, which stays with you."
)
@signing
def visits_held(**options: Any) -> None:
    """State how many came of all who were due. Who came stays with you; who is missing is to be asked for.

    Exits 20 where somebody is missing.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs = Exchange(options["theirs"], anchors=anchors)
    where = str(options["schedule_path"])
    made = parse_schedule(read_plain(options["schedule_path"], JSON_BYTES_MAX), where=where)
    roster, listed = _roster(theirs, made.roster)
    people = len(listed.persons)
    excused = [_excuse(text) for text in options["excused"]]
    attendance = Attendance.parse(
        {"schedule": made.digest, "came": _entries(options["came"], people), "excused": excused},
        where="--came, --excused", error=InputError,
    )  # fmt: skip
    mine = own(options["out"], anchors)
    if mine and any(
        said.roster == made.roster and said.period.overlaps(made.period) for _, said in mine.of(VisitsHeld)
    ):
        raise InputError("visits of this roster and period were stated before", where=str(options["out"]))
    act = make_visits(roster, made, attendance, Who(name=options["by"], at=now(), origin=options["origin"]))
    digest = sign(
        act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], attendance.canonical_bytes())
    )
    missing = attendance.missing(people)
    strata = dict(followed_up(missing, listed))
    print_result(
        options["as_json"],
        {
            "statement": digest, "due": people, "came": len(attendance.came), "excused": len(excused),
            "missing": list(missing), "missing_by_stratum": strata,
        },
        [
            f"{len(attendance.came)} of {people} came, {len(excused)} were excused", f"to be asked for: entries {ranges(missing)}",
            f"statement {digest}",
        ],
    )  # fmt: skip
    raise click.exceptions.Exit(20 if missing else 0)


def _roster(prover: Exchange, digest: str) -> tuple[VerifiedStatement, RosterList]:
    statement = prover.by_digest(digest)
    if statement is None:
        raise EvidenceError("holds no such roster", where=str(prover.path))
    listed, found = check_roster(statement, payload=prover.payload)
    if listed is None or found:
        raise refusal("the roster cannot be used", found, where=digest)
    return statement, listed


def _minute(text: str) -> int:
    hours, _, minutes = text.partition(":")
    if not (hours.isdecimal() and minutes.isdecimal() and len(text) <= 5 and int(minutes) < 60):
        raise InputError(f"{text[:20]!r} is no time of day", where="--opens, --closes", remedy="write 08:00")
    return int(hours) * 60 + int(minutes)


def _entries(text: str, people: int) -> list[int]:
    found: list[int] = []
    for part in [] if text == "none" else text.split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and len(first) < 8 and len(last) < 8) or int(last) >= people:
            raise InputError(f"{part[:20]!r} names no entries of a roster of {people}", where="--came")
        found += range(int(first), int(last) + 1)
    return sorted(found)


def _excuse(text: str) -> dict[str, str]:
    entry, _, reason = text.partition("=")
    return {"entry": entry, "excuse": reason}
