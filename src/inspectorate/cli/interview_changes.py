"""`inspectorate interview changes`: who joined, left or moved from roster to roster, and badges that no entry stands for."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import click

from inspectorate.canonical import parse_json
from inspectorate.cli.options import EXISTING_FILE, anchors_option, json_option, print_json
from inspectorate.cli.replay_files import ranges
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import RosterCommitted
from inspectorate.evidence.exchange import Exchange, read_plain
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.roster import changes as comparing
from inspectorate.mechanisms.interviews.roster.acts import refusal
from inspectorate.mechanisms.interviews.roster.judge import check_roster
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.people import parse_kept
from inspectorate.mechanisms.interviews.roster.reference import KEPT_BYTES_MAX, TABLE_BYTES_MAX

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=_folder)
@click.option("--reporter", required=True, help="Whose rosters to compare.")
@click.option(
    "--badges",
    type=EXISTING_FILE,
    help="JSON object: for each day or other stretch, how many different badges went in.",
)
@click.option("--seen", type=EXISTING_FILE, help="JSON list of pseudonyms that other evidence names; needs --kept.")
@click.option("--kept", type=EXISTING_FILE, help="The last roster in the open, where whoever compares may see it.")
@anchors_option
@json_option
def changes(**options: Any) -> None:
    """Compare the rosters in a prover's FOLDER, in order of their periods. What is listed starts a question, never more.

    Exits 10 where somebody is to be asked for: gone before the last roster, seen but not listed, more badges than people. 30 where
    a statement was set aside: it may be a roster.
    """
    folder = Exchange(options["folder"], anchors=TrustAnchors.read(options["anchors_path"]))
    history = _history(options, folder)
    last = history[-1][1]
    pairs = list(itertools.pairwise(history))
    steps = [(old.roster, new.roster, comparing.changes(a, b)) for (old, a), (new, b) in pairs]
    leaving = comparing.leaving(history) if pairs else None
    surplus = comparing.more_badges(_counts(options["badges"]), len(last.persons)) if options["badges"] else ()
    unlisted = _unlisted(options, last)
    facts = {
        "steps": [
            {
                "from": old, "to": new, "left": list(step.left), "joined": list(step.joined), "stayed": step.stayed,
                "moved": [[one.before, one.after, one.stratum_before, one.stratum_after] for one in step.moved],
                "left_by_stratum": dict(step.left_by_stratum), "joined_by_stratum": dict(step.joined_by_stratum),
                "salted_anew": step.salted_anew,
            }
            for old, new, step in steps
        ],
        "leaving": None if leaving is None else {
            "last": leaving.last, "earlier": leaving.earlier, "chance": leaving.chance, "unusual": leaving.unusual,
        },
        "more_badges": [{"when": one.when, "badges": one.badges, "people": one.people} for one in surplus],
        "unlisted": list(unlisted), "set_aside": folder.set_aside,
    }  # fmt: skip
    if options["as_json"]:
        print_json(facts)
    else:
        _say(steps, leaving, surplus, unlisted)
        click.echo("\n".join(f"set aside: {text}" for text in folder.set_aside), nl=bool(folder.set_aside))
    if folder.set_aside:
        raise click.exceptions.Exit(30)
    ask = bool(steps and steps[-1][2].left) or bool(surplus) or bool(unlisted)
    raise click.exceptions.Exit(10 if ask else 0)


def _history(options: dict[str, Any], folder: Exchange) -> list[tuple[RosterCommitted, RosterList]]:
    found: list[tuple[RosterCommitted, RosterList]] = []
    for statement, said in folder.of(RosterCommitted):
        if said.reporter != options["reporter"]:
            continue
        listed, faults = check_roster(statement, payload=folder.payload)
        if listed is None or faults:
            raise refusal("a roster cannot be used", faults, where=said.roster)
        found.append((said, listed))
    if not found:
        raise InputError(f"holds no roster of {options['reporter']}", where=str(options["folder"]))
    found.sort(key=lambda pair: (pair[0].period.start, pair[0].roster))
    starts = [said.period.start for said, _ in found]
    if len(set(starts)) != len(starts):
        raise EvidenceError(
            "two rosters start at one time", where=str(options["folder"]), remedy="see `interview verify`"
        )
    return found


def _counts(path: Path) -> dict[str, int]:
    value = parse_json(read_plain(path, TABLE_BYTES_MAX), where=str(path))
    if not isinstance(value, dict) or not all(type(count) is int and count >= 0 for count in value.values()):
        raise InputError("is no object of whole numbers", where=str(path), remedy='write {"2026-11-24": 212, ...}')
    return value


def _unlisted(options: dict[str, Any], last: RosterList) -> tuple[str, ...]:
    if (options["seen"] is None) != (options["kept"] is None):
        raise InputError("go together", where="--seen, --kept")
    if options["seen"] is None:
        return ()
    kept = parse_kept(read_plain(options["kept"], KEPT_BYTES_MAX), where=str(options["kept"]))
    if kept.listed() != last:
        raise InputError("is not the last roster that was committed to", where=str(options["kept"]))
    value = parse_json(read_plain(options["seen"], TABLE_BYTES_MAX), where=str(options["seen"]))
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError("is no list of pseudonyms", where=str(options["seen"]))
    return comparing.unlisted(value, kept.people)


def _say(
    steps: list[tuple[str, str, comparing.Changes]],
    leaving: comparing.Leaving | None,
    surplus: tuple[comparing.Surplus, ...],
    unlisted: tuple[str, ...],
) -> None:
    if not steps:
        click.echo("there is one roster: nothing came before it that it could be compared with")
    for old, new, step in steps:
        click.echo(
            f"{old} to {new}: {step.stayed} stayed, {len(step.left)} left (entries {ranges(step.left)} of {old}), "
            f"{len(step.joined)} joined, {len(step.moved)} moved" + ("; salted anew" if step.salted_anew else "")
        )
    if leaving is not None and leaving.earlier_person_days:
        click.echo(
            f"as many or more would leave as late with a chance of {leaving.chance:.3g}, at a constant rate"
            + (": more than usual" if leaving.unusual else "")
        )
    for one in surplus:
        click.echo(f"{one.when}: {one.badges} badges, {one.people} people on the roster")
    for name in unlisted:
        click.echo(f"seen, and not on the roster: {name}")
