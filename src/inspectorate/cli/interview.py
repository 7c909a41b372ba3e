"""`inspectorate interview`: draw whom to hear from a roster that was fixed before, and account for everybody who was drawn.

In this order, each party with a folder of its own that it hands to the other:

    verifier   promise      fix a secret, and how many of each stratum, by digest
    prover     commit       fix who works there, person by person, naming the promise
    verifier   draw         reveal the secret: with the roster it picks people
    prover     open         say which person each picked entry is
    verifier   held         state who was heard, who refused, who did not come
    anybody    verify       draw again, and say what is missing and whose fault it is

Exit codes: 0 done, 10 still pending, 20 somebody who was drawn was not opened or not heard, 30 what the other side sent cannot be
used, 2 wrong use.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.cli import interview_pick
from inspectorate.cli.interview_changes import changes
from inspectorate.cli.interview_check import calibrate, check, checked
from inspectorate.cli.interview_form import form
from inspectorate.cli.interview_held import held
from inspectorate.cli.interview_plan import plan
from inspectorate.cli.interview_record import answers, record
from inspectorate.cli.interview_verify import verify
from inspectorate.cli.interview_visits import visits
from inspectorate.cli.options import EXISTING_FILE, HOURS_MAX, NEW_PATH, FiniteRange, now, parse_time
from inspectorate.cli.replay_files import Signing, keep_secret, own, print_result, ranges, sign, signing
from inspectorate.drawing.chains import QUICKNET
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.errors import InputError
from inspectorate.evidence import IntervieweesDrawn, InterviewsHeld, RosterCommitted, RosterOpened
from inspectorate.evidence.act import Who
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.roster import acts
from inspectorate.mechanisms.interviews.roster.judge import round_for
from inspectorate.mechanisms.interviews.roster.people import keep, parse_kept, read_rows
from inspectorate.mechanisms.interviews.roster.reference import KEPT_BYTES_MAX, TABLE_BYTES_MAX
from inspectorate.quantities import Period

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def interview() -> None:
    """Hear people whom nobody could choose, within an agreed scope, and hold answers against one another.

    Each party keeps a folder of its statements and hands it to the other: `promise`, `commit`, `draw`, `open`, `held`, in this
    order. `verify` is for anybody.
    """


interview.add_command(plan)
interview.add_command(calibrate)
interview.add_command(check)
interview.add_command(checked)
interview.add_command(form)
interview.add_command(record)
interview.add_command(answers)
interview.add_command(held)
interview.add_command(verify)
interview.add_command(visits)
interview.add_command(changes)


@interview.command()
@click.option("--reporter", required=True, help="Whose roster it is to draw from, as declared.")
@interview_pick.selecting
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option(
    "--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for the secret, which stays with you."
)
@signing
def promise(**options: Any) -> None:
    """Fix a secret, and how many are drawn of each stratum, by digest, before the roster is committed to.

    One promise is for one roster.
    """
    selection = interview_pick.selection(options)
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    made, act = acts.make_promise(selection, secrets.token_bytes(SECRET_BYTES), who, reporter=options["reporter"])
    digest = sign(act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], made.canonical_bytes()))
    print_result(
        options["as_json"],
        {
            "statement": digest, "promise": made.digest, "reporter": options["reporter"], "kept": str(options["keep_path"]),
            "selection": selection.model_dump(mode="json"),
        },
        [
            *interview_pick.in_words(selection), f"statement {digest}",
            f"the secret is in {options['keep_path']}, for you alone",
        ],
    )  # fmt: skip


@interview.command()
@click.argument("people", type=EXISTING_FILE)
@click.option("--roster", "name", required=True, help="A fresh name for this roster.")
@click.option("--reporter", required=True, help="Your reporter of the roster, as declared.")
@click.option("--from", "start", required=True, help="From when on these people work there.")
@click.option("--until", "end", required=True, help="Until when this roster is to hold.")
@click.option(
    "--promises", type=_folder, help="The verifier's folder. Without it: to be drawn from by a public beacon."
)
@click.option("--before", type=EXISTING_FILE, help="The kept file of your roster before: who stays keeps the salt.")
@click.option(
    "--stratum", "strata", multiple=True, help="A stratum of the agreement that may have nobody in it; may be repeated."
)
@click.option(
    "--keep", "keep_path", type=NEW_PATH, required=True, help="A new file for the salts, which stays with you."
)
@signing
def commit(**options: Any) -> None:
    """Commit to the table PEOPLE (CSV or JSON: pseudonym, role, stratum; no names) by salted digests.

    With --promises the oldest promise that you have not used yet is named: the draw can then use no other.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine = own(options["out"], anchors)
    earlier = [one for one, said in mine.of(RosterCommitted) if said.reporter == options["reporter"]] if mine else []
    named = interview_pick.next_promise(options["promises"], anchors, options["reporter"], earlier)
    where = str(options["people"])
    before = options["before"]
    kept = keep(
        options["name"], read_rows(read_plain(options["people"], TABLE_BYTES_MAX), where=where),
        salt=lambda: secrets.token_hex(32), strata=options["strata"],
        before=parse_kept(read_plain(before, KEPT_BYTES_MAX), where=str(before)) if before else None,
    )  # fmt: skip
    period = Period.parse(
        {"start": parse_time(options["start"]), "end": parse_time(options["end"])},
        where="--from, --until",
        error=InputError,
    )
    interview_pick.refuse_repeated(earlier, period, options["name"])
    who = Who(name=options["reporter"], at=now(), origin=options["origin"])
    act = acts.make_roster(kept, who, period=period, promise=named.digest if named else None)
    digest = sign(act, Signing.of(options), before=lambda _: keep_secret(options["keep_path"], kept.canonical_bytes()))
    said = act.predicate
    assert isinstance(said, RosterCommitted)
    number = round_for(said, QUICKNET)
    by = (
        f"the promise {named.digest}"
        if named
        else f"round {number} of drand {QUICKNET.name}, {QUICKNET.time_of(number)}"
    )
    print_result(
        options["as_json"],
        {
            "statement": digest, "roster": said.roster, "people": said.people, "strata": said.strata,
            "promise": said.promise, "beacon_round": None if named else number, "kept": str(options["keep_path"]),
        },
        [
            f"committed to {said.people} people: {', '.join(f'{name} {count}' for name, count in said.strata.items())}",
            f"statement {digest}", f"to be drawn from by {by}", f"the salts are in {options['keep_path']}, for you alone",
        ],
    )  # fmt: skip


@interview.command()
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", required=True, help="Your name as a trust anchor.")
@click.option("--keep", type=EXISTING_FILE, help="The secret that you promised.")
@click.option("--roster", "wanted", help="Digest of the statement to draw from, where a promise does not say which.")
@click.option(
    "--round", "round_path", type=EXISTING_FILE, help="Instead of --keep: a round of drand, as its HTTP API gives it."
)
@click.option("--received", help="With --round: when you had the roster.")
@interview_pick.selecting
@click.option(
    "--replaces", help="Digest of your interviews whose unheard are to be replaced, by the next in the same order."
)
@click.option("--answer-hours", type=FiniteRange(0, HOURS_MAX, min_open=True), default=24.0, show_default=True)
@signing
def draw(**options: Any) -> None:
    """Draw people of a roster, by the secret that was promised before it, or by a public beacon.

    The options on strata go with --round: a promise has fixed them. Exits 30, by name, where the roster cannot be drawn from or the
    draw would not be fair.
    """
    if (options["keep"] is None) == (options["round_path"] is None):
        raise InputError("give either --keep or --round", where="--keep, --round")
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs, mine = Exchange(options["theirs"], anchors=anchors), own(options["out"], anchors)
    randomness, promised = interview_pick.source(options, mine)
    roster = interview_pick.drawn_from(theirs, promised, options["wanted"])
    interview_pick.refuse_void(theirs, roster)
    before = [one for kind in (IntervieweesDrawn, InterviewsHeld) for one, _ in (mine.of(kind) if mine else [])]
    by = acts.Drawing(
        randomness=randomness, answer_within=timedelta(hours=options["answer_hours"]),
        promise=promised.digest if promised else None, replaces=options["replaces"], before=before,
    )  # fmt: skip
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    act = acts.make_draw(roster, by, who, payload=theirs.payload)
    made = interview_pick.Made(act=act, roster=roster, promised=promised, before=before)
    digest = sign(act, Signing.of(options), before=lambda one: interview_pick.judge(one, made, theirs, mine, anchors))
    said = act.predicate
    assert isinstance(said, IntervieweesDrawn)
    print_result(
        options["as_json"],
        {
            "statement": digest, "roster": roster.digest, "drawn": list(said.drawn), "replaces": said.replaces,
            "answer_by": said.answer_by.isoformat(),
        },
        [
            f"drawn: entries {ranges(said.drawn)}", f"statement {digest}",
            f"to be opened by {said.answer_by:%Y-%m-%d %H:%M:%S} UTC",
        ],
    )  # fmt: skip


@interview.command("open")
@click.argument("kept", type=EXISTING_FILE)
@click.option("--from", "theirs", type=_folder, required=True, help="The verifier's folder.")
@click.option("--drawn", help="Digest of the draw to answer, where there are several.")
@click.option(
    "--refuse", type=int, multiple=True, metavar="N", help="Do not open entry N; may be repeated. It counts as unheard."
)
@signing
def open_(**options: Any) -> None:
    """Open the entries that were drawn, from the KEPT file of the roster: pseudonym, role, stratum and salt, and nobody else's.

    Exits 30, by name, where the draw is not fair: it then need not be answered.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine, theirs = own(options["out"], anchors), Exchange(options["theirs"], anchors=anchors)
    if mine is None:
        raise InputError("holds no roster", where=str(options["out"]), remedy="name the folder of `interview commit`")
    drawn, roster = interview_pick.unanswered(mine, theirs, options["drawn"])
    asked = interview_pick.fair(drawn, roster, theirs, mine)
    kept = parse_kept(read_plain(options["kept"], KEPT_BYTES_MAX), where=str(options["kept"]))
    who = Who(name=asked.roster.reporter, at=now(), origin=options["origin"])
    act = acts.make_opening(kept, asked, who, refuse=options["refuse"])
    digest = sign(act, Signing.of(options))
    opened = act.predicate
    assert isinstance(opened, RosterOpened)
    refused = sorted(set(asked.drawn.drawn) - set(opened.opened))
    rows = kept.in_order()
    people = {str(entry): rows[entry].pseudonym for entry in opened.opened}
    print_result(
        options["as_json"],
        {"statement": digest, "drawn": drawn.digest, "opened": people, "refused": refused},
        [
            *(f"entry {entry} is {pseudonym}" for entry, pseudonym in people.items()),
            *([f"not opened: entries {ranges(refused)}"] if refused else []), f"statement {digest}",
        ],
    )  # fmt: skip
