"""`inspectorate replay`: commit to work, promise a secret, draw a sample, open it, and let anybody judge all of that.

In this order, each party with a folder of its own that it hands to the other:

    verifier   promise      fix a secret and a selection by digest
    prover     commit       fix packets by digest, naming the promise
    verifier   challenge    reveal the secret: with the commitment it picks packets
    prover     open         show the picked packets
    verifier   verify       run them again, and state what came of it
    anybody    check        draw again, and say what was refused and whose fault it is

Exit codes: 0 done, 10 still pending, 20 something that was drawn is refused, 30 what the other side sent cannot be
used, 2 wrong use.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from inspectorate.cli import replay_pick
from inspectorate.cli.options import EXISTING_FILE, HOURS_MAX, NAME, NEW_PATH, FiniteRange, now
from inspectorate.cli.replay_check import check
from inspectorate.cli.replay_files import Signing, either, keep_secret, own, print_result, ranges, sign, signing
from inspectorate.cli.replay_verify import verify
from inspectorate.drawing.chains import QUICKNET
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.errors import InputError
from inspectorate.evidence import PacketsDrawn, PacketsOpened, WorkCommitted
from inspectorate.evidence.act import Who
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.challenge import acts
from inspectorate.mechanisms.inspection.challenge.judge import Statements, check_draw, check_lists, round_for
from inspectorate.mechanisms.inspection.challenge.promise import Method, Selection
from inspectorate.mechanisms.inspection.challenge.uses import check_commitments
from inspectorate.mechanisms.inspection.sampling.allocation import points_for
from inspectorate.mechanisms.inspection.transcripts.folder import FolderReader

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group()
def replay() -> None:
    """Commit to work, draw a sample that nobody could choose, open it, and judge what came of it.

    Each party keeps a folder of its statements and hands it to the other: `promise`, `commit`, `challenge`, `open`, in
    this order. `check` is for anybody.
    """


replay.add_command(check)
replay.add_command(verify)


@replay.command()
@click.option("--reporter", type=NAME, required=True, help="Whose work it is to draw from, as declared.")
@click.option("--count", type=click.IntRange(min=1), help="Packets to draw, or points of time.")
@click.option("--dirty-share", type=FiniteRange(0, 1, min_open=True, max_open=True),
              help="Instead of --count: the dirty share that a clean answer is to exclude.")  # fmt: skip
@click.option("--miss", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
              help="With --dirty-share: with which probability a larger share may be missed.")  # fmt: skip
@click.option("--method", type=click.Choice(Method, case_sensitive=False), default=Method.TIME, show_default=True)
@click.option("--strata", type=click.IntRange(min=1), default=1, show_default=True, help="Equal stretches of time.")
@click.option("--as", "by", type=NAME, required=True, help="Your name as a trust anchor.")
@click.option("--keep", type=NEW_PATH, required=True, help="A new file for the secret, which stays with you.")
@signing
def promise(**options: Any) -> None:
    """Fix a secret and a selection by digest, before work is committed to. One promise is for one draw."""
    if (options["count"] is None) == (options["dirty_share"] is None):
        raise InputError("give either --count or --dirty-share", where="--count, --dirty-share")
    count, strata = options["count"], options["strata"]
    if count is None:
        wanted = _points(options["dirty_share"], options["miss"])
        count = -(-wanted // strata) * strata
    selection = Selection.parse(
        {"method": options["method"], "count": count, "strata": strata}, where="--count, --strata", error=InputError
    )
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    made, act = acts.make_promise(selection, secrets.token_bytes(SECRET_BYTES), who, reporter=options["reporter"])
    digest = sign(act, Signing.of(options), before=lambda _: keep_secret(options["keep"], made.canonical_bytes()))
    print_result(
        options["as_json"],
        {
            "statement": digest, "promise": made.digest, "reporter": options["reporter"], "kept": str(options["keep"]),
            "selection": selection.model_dump(mode="json"),
        },
        [
            f"promised {selection.count} {'packets' if selection.method is Method.PACKETS else 'points of time'}",
            f"statement {digest}", f"the secret is in {options['keep']}, for you alone",
        ],
    )  # fmt: skip


def _points(dirty_share: float, miss: float) -> int:
    try:
        return points_for(dirty_share, miss)
    except ValueError as fault:
        raise InputError(str(fault), where="--dirty-share", remedy="ask for a larger share") from None


@replay.command()
@click.argument("run", type=_folder)
@click.option("--claim", type=NAME, required=True, help="The claim of the declaration that this work is said to be.")
@click.option("--reporter", type=NAME, required=True, help="Your reporter of transcripts, as declared.")
@click.option(
    "--promises", type=_folder, help="The verifier's folder. Without it: to be drawn from by a public beacon."
)
@click.option("--packets", type=click.IntRange(min=1), help="How many of the packets that are there; all by default.")
@signing
def commit(**options: Any) -> None:
    """Commit to the next packets in the folder RUN, by a list of salted digests.

    With --promises the oldest promise that you have not used yet is named in the commitment: the draw can then use no
    other.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine = own(options["out"], anchors)
    earlier = [one for one, said in mine.of(WorkCommitted) if said.reporter == options["reporter"]] if mine else []
    named = replay_pick.next_promise(options["promises"], anchors, options["reporter"], earlier)
    reader = FolderReader(options["run"])
    who = Who(name=options["reporter"], at=now(), origin=options["origin"])
    stretch = acts.Stretch(claim=options["claim"], count=options["packets"], promise=named.digest if named else None)
    act = acts.make_commitment(reader, stretch, who, earlier=earlier)
    digest = sign(act, Signing.of(options))
    said = act.predicate
    assert isinstance(said, WorkCommitted)
    number = round_for(said, QUICKNET)
    by = (
        f"the promise {named.digest}"
        if named
        else f"round {number} of drand {QUICKNET.name}, {QUICKNET.time_of(number)}"
    )
    facts = {
        "statement": digest, "run": said.run, "sequence": said.sequence, "packets": said.packets, "final": said.final,
        "flop_stated": said.flop_stated, "promise": said.promise, "beacon_round": None if named else number,
    }  # fmt: skip
    print_result(
        options["as_json"], facts,
        [
            f"committed to {said.packets} packets of {said.run}, stretch {said.sequence}{', the last' if said.final else ''}",
            f"statement {digest}", f"to be drawn from by {by}",
        ],
    )  # fmt: skip


@replay.command()
@click.option("--from", "theirs", type=_folder, required=True, help="The prover's folder.")
@click.option("--as", "by", type=NAME, required=True, help="Your name as a trust anchor.")
@click.option("--keep", type=EXISTING_FILE, help="The secret that you promised.")
@click.option("--commitment", help="Digest of the statement to draw from, where a promise does not say which.")
@click.option(
    "--round", "round_path", type=EXISTING_FILE, help="Instead of --keep: a round of drand, as its HTTP API gives it."
)
@click.option("--received", help="With --round: when you had the commitment.")
@click.option("--count", type=click.IntRange(min=1), help="With --round: points of time to draw.")
@click.option("--answer-hours", type=FiniteRange(0.01, HOURS_MAX), default=24.0, show_default=True)
@signing
def challenge(**options: Any) -> None:
    """Draw packets of a commitment, by the secret that was promised before it, or by a public beacon.

    Exits 30, by name, where the commitment cannot be drawn from or the draw would not be fair.
    """
    if (options["keep"] is None) == (options["round_path"] is None):
        raise InputError("give either --keep or --round", where="--keep, --round")
    if options["keep"] is not None and not (options["received"] is None and options["count"] is None):
        raise InputError("are for --round: with --keep the promise says how many", where="--received, --count")
    anchors = TrustAnchors.read(options["anchors_path"])
    theirs, mine = Exchange(options["theirs"], anchors=anchors), own(options["out"], anchors)
    randomness, promised = replay_pick.source(options, mine)
    commitment = replay_pick.drawn_from(theirs, promised, options["commitment"])
    commitments = [one for one, _ in theirs.of(WorkCommitted)]
    firsts, _ = check_lists(commitments, payload=theirs.payload)
    broken = [one for one in check_commitments(commitments, firsts=firsts) if one.statement == commitment.digest]
    if broken:
        raise acts.refusal("the commitment cannot be drawn from", broken, where=commitment.digest)
    who = Who(name=options["by"], at=now(), origin=options["origin"])
    act = acts.make_draw(
        commitment, randomness, who, payload=theirs.payload, promise=promised.digest if promised else None,
        answer_within=timedelta(hours=options["answer_hours"]),
    )  # fmt: skip
    made = replay_pick.Made(act=act, commitment=commitment, promised=promised)
    digest = sign(act, Signing.of(options), before=lambda one: replay_pick.judge(one, made, theirs, mine, anchors))
    said = act.predicate
    assert isinstance(said, PacketsDrawn)
    print_result(
        options["as_json"],
        {
            "statement": digest, "commitment": commitment.digest, "packets": list(said.packets),
            "answer_by": said.answer_by.isoformat(),
        },
        [
            f"drawn: packets {ranges(said.packets)}", f"statement {digest}",
            f"to be opened by {said.answer_by:%Y-%m-%d %H:%M:%S} UTC",
        ],
    )  # fmt: skip


@replay.command("open")
@click.argument("run", type=_folder)
@click.option("--from", "theirs", type=_folder, required=True, help="The verifier's folder.")
@click.option("--drawn", help="Digest of the draw to answer, where there are several.")
@click.option(
    "--refuse",
    type=int,
    multiple=True,
    metavar="N",
    help="Do not show packet N; may be given again. It counts as dirty.",
)
@signing
def open_(**options: Any) -> None:
    """Show the packets of the folder RUN that were drawn, and no other: digests of their content, not content.

    Exits 30, by name, where the draw is not fair: it then need not be answered.
    """
    anchors = TrustAnchors.read(options["anchors_path"])
    mine, theirs = own(options["out"], anchors), Exchange(options["theirs"], anchors=anchors)
    if mine is None:
        raise InputError("holds no commitment", where=str(options["out"]), remedy="name the folder of `replay commit`")
    drawn, commitment = replay_pick.unanswered(mine, theirs, options["drawn"])
    said = drawn.predicate
    assert isinstance(said, PacketsDrawn)
    promised = theirs.by_digest(said.promise) if said.promise else None
    statements = Statements(commitment=commitment, drawn=drawn, promise=promised)
    judged = check_draw(statements, payload=either(mine, theirs))
    again = [one for one in replay_pick.used(theirs, mine) if one.statement == drawn.digest]
    if judged.asked is None or again:
        raise acts.refusal("the draw is not fair, and was not answered", [*judged.faults, *again], where=drawn.digest)
    who = Who(name=judged.asked.commitment.reporter, at=now(), origin=options["origin"])
    act = acts.make_opening(FolderReader(options["run"]), judged.asked, who, refuse=options["refuse"])
    digest = sign(act, Signing.of(options))
    opened = act.predicate
    assert isinstance(opened, PacketsOpened)
    refused = sorted(set(said.packets) - set(opened.opened))
    print_result(
        options["as_json"],
        {"statement": digest, "drawn": drawn.digest, "opened": list(opened.opened), "refused": refused},
        [
            f"opened: packets {ranges(opened.opened)}", *([f"refused: packets {ranges(refused)}"] if refused else []),
            f"statement {digest}",
        ],
    )  # fmt: skip
