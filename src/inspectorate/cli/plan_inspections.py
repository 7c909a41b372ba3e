"""`inspectorate plan inspections`: where to look next, at random; draw from such a plan, and check a draw.

A plan is an answer within a model and no verdict: every command exits 0 on an answer and 2 on wrong use. The largest hidden run
itself stays the account's.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from inspectorate.canonical import JSON_BYTES_MAX, Record, digest_of, parse_json
from inspectorate.cli.beacon_round import given_round
from inspectorate.cli.doubt import DAYS, PROBABILITY, QUOTA, reviewed_of
from inspectorate.cli.options import (
    EXISTING_FILE,
    NEW_PATH,
    FiniteRange,
    json_option,
    parse_time,
    print_json,
    write_text,
)
from inspectorate.cli.plan_inspections_text import draw_lines, plan_lines
from inspectorate.cli.reviews import read_review
from inspectorate.declaration import Declaration, load_declaration
from inspectorate.drawing.ranks import SECRET_BYTES
from inspectorate.drawing.sources import Promise, Randomness, Revealed
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.planning.inspections import (
    InspectionDraw,
    InspectionPlan,
    Means,
    Methods,
    Reviewed,
    Sites,
    Terms,
    draw,
    faults_of,
    make_plan,
    well_formed,
    whereabouts,
)
from inspectorate.planning.inspections.season import WEEKS_MAX
from inspectorate.report.doubt_page import render_doubt_page


class _Planning(click.Group):
    """A group whose first word may be a review: `plan inspections REVIEW.json` is `plan inspections make REVIEW.json`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["make", *args]
        return super().parse_args(ctx, args)


@click.group("inspections", cls=_Planning)
def inspections() -> None:
    """Plan inspections at random: where to look next, so that a prover who knows the plan gains nothing.

    `plan inspections REVIEW.json` makes a plan; `promise`, `draw` and `verify` are for drawing from it.
    """


def _placed(command: Any) -> Any:
    """The files that a plan is made with."""
    for option in (
        click.option(
            "--methods", "--power", "methods_path", type=EXISTING_FILE, help="Powers and costs of looks (YAML)."
        ),
        click.option(
            "--declaration", "declaration_path", type=EXISTING_FILE, help="Which pod is at which site (YAML)."
        ),
        click.option(
            "--sites", "sites_path", type=EXISTING_FILE, help="Sites with travel costs, and their pods (YAML)."
        ),
    ):
        command = option(command)
    return command


def _terms(command: Any) -> Any:
    """What is fixed before the review: a promise covers it, and the plan is made by it."""
    for option in (
        click.option("--quick", is_flag=True, help="Search for seconds only."),
        click.option("--weeks-left", type=click.IntRange(0, WEEKS_MAX), default=0, show_default=True,
                     help="Weeks left in the year of the quota: say how to spread it."),
        click.option("--people-days", type=FiniteRange(0, 1e6), default=0.0, show_default=True,
                     help="Inspector-days for hearing people, set aside."),
        click.option("--follow", multiple=True, metavar="LEAD",
                     help="Look in any case where this lead points; may be repeated."),
        click.option("--by", type=click.Choice(["auto", "pod", "site"]), default="auto", show_default=True,
                     help="What a place is."),
        click.option("--draw-at", help="With a beacon: its first round from this time on draws."),
        click.option("--probability", type=FiniteRange(0, 1, min_open=True, max_open=True), default=PROBABILITY,
                     show_default=True, help="For the size from which runs are found with it."),
        click.option("--used", type=click.IntRange(0, 10_000), default=0, show_default=True, help="Visits that are spent."),
        click.option("--quota", type=click.IntRange(0, 10_000), default=QUOTA, show_default=True,
                     help="Visits of sites in a year."),
        click.option("--inspector-days", "days", type=FiniteRange(0, 1e6), default=DAYS, show_default=True,
                     help="Travel included."),
    ):  # fmt: skip
        command = option(command)
    return _placed(command)


@inspections.command("make")
@click.argument("review_path", metavar="REVIEW.json", type=EXISTING_FILE)
@_terms
@click.option("--out", "out_path", type=NEW_PATH, help="Write the plan here, to be drawn from.")
@click.option("--html", "html_path", type=NEW_PATH, help="Write the page `what would most reduce doubt` here.")
@json_option
def make_command(review_path: Path, **options: Any) -> None:
    """Plan from the JSON of `inspectorate review --json`."""
    reviewed = _reviewed(review_path)
    means = _means(options, _pods(reviewed), _fixed(options))
    with Console(stderr=True).status("solving the game …"):
        plan = make_plan(reviewed, means)
    if options["out_path"] is not None:
        write_text(options["out_path"], plan.canonical_bytes())
    if options["html_path"] is not None:
        write_text(options["html_path"], render_doubt_page(plan))
    if options["as_json"]:
        click.echo(plan.model_dump_json(indent=2))
        return
    for line in plan_lines(plan):
        click.echo(line)


@inspections.command("promise")
@_terms
@click.option(
    "--keep", type=NEW_PATH, required=True, help="The secret and the terms; kept by the verifier until it draws."
)
@json_option
def promise_command(keep: Path, as_json: bool, **options: Any) -> None:
    """Fix a secret and the terms of a plan before the prover hands its evidence over; hand over the digest that is printed."""
    promise = Promise[Terms](secret=secrets.token_bytes(SECRET_BYTES).hex(), selection=_fixed(options))
    _write_kept(keep, promise.canonical_bytes())
    if as_json:
        print_json({"promise": promise.digest, "keep": str(keep)})
        return
    click.echo(f"hand over: {promise.digest}\nkeep secret: {keep}")


@inspections.command("draw")
@click.argument("plan_path", metavar="PLAN", type=EXISTING_FILE)
@click.option("--seed-from", type=click.Choice(["promise", "beacon"]), required=True)
@click.option("--keep", type=EXISTING_FILE, help="With a promise: the file that was kept.")
@click.option(
    "--round", "round_path", type=EXISTING_FILE, help="With a beacon: the round, as drand's HTTP interface gives it."
)
@click.option("--received", help="With a beacon: when the other side had the plan's digest.")
@click.option("--out", "out_path", type=NEW_PATH, required=True, help="A folder for draw.json and randomness.json.")
@json_option
def draw_command(plan_path: Path, out_path: Path, as_json: bool, **options: Any) -> None:
    """Draw a visit list from PLAN."""
    plan = _plan(plan_path)
    randomness, promised = _randomness(plan, options)
    _refuse(faults_of(plan, randomness, promised=promised), plan_path)
    drawn = draw(plan, randomness)
    write_text(out_path / "draw.json", drawn.canonical_bytes())
    write_text(out_path / "randomness.json", randomness.canonical_bytes())
    if as_json:
        click.echo(drawn.model_dump_json(indent=2))
        return
    for line in draw_lines(drawn):
        click.echo(line)


@inspections.command("verify")
@click.argument("plan_path", metavar="PLAN", type=EXISTING_FILE)
@click.argument("draw_path", metavar="DRAW", type=EXISTING_FILE)
@click.option("--randomness", "randomness_path", type=EXISTING_FILE, required=True)
@click.option("--promised", help="The digest that was handed over before; with a beacon, none.")
@click.option("--review", "review_path", type=EXISTING_FILE, help="Make the plan again from this review, and compare.")
@_placed
@json_option
def verify_command(
    plan_path: Path, draw_path: Path, randomness_path: Path, promised: str | None, as_json: bool, **options: Any
) -> None:
    """Check, as either side, that DRAW is what its randomness draws from PLAN, and that nobody could choose.

    Without --review, that PLAN follows from the review is not checked.
    """
    plan = _plan(plan_path)
    randomness = _parsed(Randomness[Terms], randomness_path)
    faults = list(faults_of(plan, randomness, promised=promised))
    if _parsed(InspectionDraw, draw_path) != draw(plan, randomness):
        faults.append("the draw is not what this randomness draws from this plan")
    review_path = options["review_path"]
    if review_path is not None:
        faults += _made_again(plan, review_path, options)
    if faults:
        raise EvidenceError("; ".join(faults), where=str(draw_path), remedy="do not act on this draw")
    if as_json:
        print_json({"fair": True, "plan": digest_of(plan.canonical_bytes()), "made_again": review_path is not None})
        return
    click.echo("fair: the draw follows from plan and randomness, and the terms were fixed before")
    click.echo(
        "the review and the terms give this plan" if review_path is not None
        else "not checked: that the review and the terms give this plan (--review)"
    )  # fmt: skip


def _reviewed(path: Path) -> Reviewed:
    """What is read of a review. Raises `InputError`: a review is the verifier's own file."""
    return reviewed_of(read_review(path)[1])


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, JSON_BYTES_MAX)
    except EvidenceError as fault:
        raise InputError(fault.problem, where=str(path)) from None


def _fixed(options: Mapping[str, Any]) -> Terms:
    if options["used"] > options["quota"]:
        raise InputError(f"{options['used']} visits of {options['quota']} are spent", where="--used")
    given = {
        "days": options["days"], "visits_left": options["quota"] - options["used"], "probability": options["probability"],
        "by": options["by"], "follow": tuple(sorted(set(options["follow"]))), "people_days": options["people_days"],
        "weeks_left": options["weeks_left"], "effort": "quick" if options["quick"] else "full",
        "methods": digest_of(Methods.read(options["methods_path"]).canonical_bytes()), "sites": _digest_of_sites(options),
        "draw_at": parse_time(options["draw_at"]) if options["draw_at"] is not None else None,
    }  # fmt: skip
    return Terms.parse(given, where="the terms", error=InputError)


def _digest_of_sites(options: Mapping[str, Any]) -> str | None:
    """Of the files that say where pods are."""
    placed = [_read(options[name]) for name in ("sites_path", "declaration_path") if options[name] is not None]
    return digest_of(b"".join(digest_of(data).encode() for data in placed)) if placed else None


def _means(options: Mapping[str, Any], pods: tuple[str, ...], terms: Terms) -> Means:
    sites = Sites.read(options["sites_path"]) if options["sites_path"] else None
    declaration: Declaration | None = None
    if options["declaration_path"]:
        declaration = load_declaration(options["declaration_path"])
    return Means(terms=terms, methods=Methods.read(options["methods_path"]), at=whereabouts(pods, sites, declaration))


def _made_again(plan: InspectionPlan, review_path: Path, options: Mapping[str, Any]) -> list[str]:
    """Whether the review and the plan's terms give just this plan: why not."""
    if digest_of(Methods.read(options["methods_path"]).canonical_bytes()) != plan.terms.methods:
        return ["the plan was made with other methods: give them by --methods"]
    if _digest_of_sites(options) != plan.terms.sites:
        return ["the plan was made with other files of sites: give them by --sites and --declaration"]
    reviewed = _reviewed(review_path)
    if reviewed.digest != plan.review:
        return ["the plan was made from another review"]
    with Console(stderr=True).status("solving the game again …"):
        again = make_plan(reviewed, _means(options, _pods(reviewed), plan.terms))
    return [] if again.canonical_bytes() == plan.canonical_bytes() else ["review and terms give another plan"]


def _pods(reviewed: Reviewed) -> tuple[str, ...]:
    return tuple(share.pod for share in reviewed.account.pods)


def _plan(path: Path) -> InspectionPlan:
    plan: InspectionPlan = _parsed(InspectionPlan, path)
    if faults := well_formed(plan):
        raise EvidenceError("; ".join(faults[:4]), where=str(path), remedy="make the plan again")
    return plan


def _parsed(kind: Any, path: Path) -> Any:
    """A record in its canonical byte form, which is what digests are of. Raises `EvidenceError`."""
    data = read_plain(path, JSON_BYTES_MAX)
    record: Record = kind.parse(parse_json(data, where=str(path)), where=str(path), error=EvidenceError)
    if record.canonical_bytes() != data:
        raise EvidenceError("is not in its canonical form", where=str(path), remedy="use the file that --out wrote")
    return record


def _randomness(plan: InspectionPlan, options: Mapping[str, Any]) -> tuple[Randomness[Terms], str | None]:
    if options["seed_from"] == "promise":
        if options["keep"] is None or options["round_path"] is not None:
            raise InputError("a promise needs --keep, and no --round", where="--seed-from promise")
        promise = _parsed(Promise[Terms], options["keep"])
        source = Revealed[Terms](kind="commit-reveal", promise=promise)
        return Randomness[Terms](source=source), promise.digest
    if options["round_path"] is None or options["received"] is None or options["keep"] is not None:
        raise InputError("a beacon needs --round and --received, and no --keep", where="--seed-from beacon")
    given = given_round(options) | {"selection": plan.terms.model_dump(mode="json")}
    return Randomness[Terms].parse({"source": given}, where=str(options["round_path"]), error=InputError), None


def _refuse(faults: tuple[str, ...], path: Path) -> None:
    if faults:
        raise InputError("; ".join(faults), where=str(path), remedy="draw by what was fixed before the plan")


def _write_kept(path: Path, data: bytes) -> None:
    """A new file that only its owner reads."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
