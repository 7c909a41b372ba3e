"""`inspectorate register check, compare, show`: what statements and tables come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import EXISTING, EXISTING_FILE, json_option, parse_time
from inspectorate.cli.register_files import (
    BREACH,
    exit_code,
    fault_facts,
    fault_lines,
    inventory,
    mapping,
    serials,
    terms_of,
)
from inspectorate.cli.replay_files import either, print_result
from inspectorate.declaration import chip_catalogue, load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.register import compare as comparing
from inspectorate.mechanisms.custody.register.across import check_across
from inspectorate.mechanisms.custody.register.judge import Balance, Judged, judge
from inspectorate.mechanisms.custody.register.reading import keepers, read_books
from inspectorate.mechanisms.custody.register.reference import COLUMNS, SERIAL
from inspectorate.mechanisms.custody.register.table import Register
from inspectorate.mechanisms.custody.register.two import Between, judge_two


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FOLDER... | BEFORE AFTER", type=EXISTING)
@click.option(
    "--anchors", "anchors_path", type=EXISTING_FILE, help="With folders: the reviewer's trust anchors (YAML)."
)
@click.option("--agreement", "agreement_name", help="With folders: the name of a shipped agreement, or a file (YAML).")
@click.option("--as-of", help="With folders: judge as of this time; the present by default.")
@click.option(
    "--party", "parties", multiple=True, metavar="KEEPER=PARTY", help="Whose register a keeper's is; repeatable."
)
@click.option("--acquired", type=EXISTING_FILE, help="With two tables: chips that came in between, as an inventory.")
@click.option("--destroyed", type=EXISTING_FILE, help="With two tables: serials that ended in between, one a line.")
@mapping
@json_option
def check(**options: Any) -> None:
    """Double entry: every register must be the one before with all stated changes, serial by serial.

    FOLDER... are the folders of all who stated anything of the registers: keepers and inspectors. BEFORE and AFTER are two tables
    (inventories): what differs is named as if both had been signed for. Exits 20 where anything is wrong, 30 where something is
    missing or cannot be read, 10 where chips are under way.
    """
    paths: Sequence[Path] = options["paths"]
    if all(path.is_dir() for path in paths):
        _check_folders(paths, options)
        return
    if len(paths) != 2 or any(path.is_dir() for path in paths):
        raise InputError("give folders of statements, or two tables", where="BEFORE AFTER")
    before, after = (inventory(path, options) for path in paths)
    between = Between(
        acquired=inventory(options["acquired"], options) if options["acquired"] else None,
        destroyed=serials(options["destroyed"]) if options["destroyed"] else None,
    )
    judged = judge_two(before, after, between)
    _print([judged], (), options["as_json"], ())


def _check_folders(paths: Sequence[Path], options: Mapping[str, Any]) -> None:
    if options["anchors_path"] is None or options["agreement_name"] is None:
        raise InputError("are needed with folders of statements", where="--anchors, --agreement")
    anchors = TrustAnchors.read(options["anchors_path"])
    folders = [Exchange(path, anchors=anchors) for path in paths]
    statements = list({one.digest: one for folder in folders for one in folder.statements}.values())
    names = keepers(statements)
    if not names:
        raise EvidenceError("hold no register", where=", ".join(map(str, paths)), remedy="`register hand` makes one")
    _, terms = terms_of(options["agreement_name"], parse_time(options["as_of"]))
    judged = [judge(read_books(statements, name, payload=either(*folders)), terms) for name in names]
    parties = dict(text.split("=", 1) for text in options["parties"] if "=" in text)
    aside = tuple(text for folder in folders for text in folder.set_aside)
    _print(judged, aside, options["as_json"], tuple(parties.items()))


def _print(judged: Sequence[Judged], aside: Sequence[str], as_json: bool, parties: Sequence[tuple[str, str]]) -> None:
    across = check_across(judged, dict(parties))
    found = [*(one for own in judged for one in own.found), *across]
    registers = [
        {
            "keeper": own.reporter,
            "chips": len(own.latest.register) if own.latest and own.latest.register is not None else None,
            "registers": len(own.registers),
            "balances": [
                {
                    "sequence": one.sequence, "as_of": one.as_of.isoformat(), "opening": one.opening,
                    "acquired": one.acquired, "destroyed": one.destroyed, "away": one.away, "under_way": one.under_way,
                    "closing": one.closing, "compared": one.compared,
                }
                for one in own.balances
            ],
            "under_way": [
                {"transfer": one.transfer, "chips": one.chips, "due": one.due.isoformat()} for one in own.under_way
            ],
            "faults": fault_facts(own.found),
        }
        for own in judged
    ]  # fmt: skip
    lines = []
    for own in judged:
        lines.append(f"register of {own.reporter}: {len(own.registers)} handed over, {len(own.found)} faults")
        lines += [f"  {_balance(one)}" for one in own.balances]
        lines += [
            f"  under way: {way.chips} chips of {way.transfer}, due {way.due:%Y-%m-%d %H:%M} UTC"
            for way in own.under_way
        ]
        lines += [f"  {line}" for line in fault_lines(own.found)]
    lines += fault_lines(across)
    lines += [f"set aside: {text}" for text in aside]
    facts = {"registers": registers, "across": fault_facts(across), "set_aside": list(aside)}
    print_result(as_json, facts, lines)
    code = exit_code(found, pending=any(own.under_way for own in judged))
    raise click.exceptions.Exit(code or (30 if aside else 0))


def _balance(one: Balance) -> str:
    """One line of the books."""
    sums = f"{one.opening} + {one.acquired} acquired - {one.destroyed} destroyed - {one.away} away = {one.closing}"
    rest = "" if one.compared else "  (not compared)"
    return f"{one.as_of:%Y-%m-%d %H:%M} UTC  {sums}, of which {one.under_way} under way{rest}"


@click.command()
@click.argument("path", metavar="INVENTORY", type=EXISTING_FILE)
@click.argument("declaration_path", metavar="DECLARATION", type=EXISTING_FILE)
@mapping
@json_option
def compare(**options: Any) -> None:
    """Hold a register (INVENTORY) against a DECLARATION (YAML): chips by pod and model. Exits 20 where they differ."""
    register, declaration = inventory(options["path"], options), load_declaration(options["declaration_path"])
    compared = comparing.compare(register, declaration)
    facts = {
        "declared": compared.declared, "registered": compared.registered,
        "differences": [
            {
                "site": one.site, "cluster": one.cluster, "pod": one.pod, "model": one.model, "declared": one.declared,
                "registered": one.registered,
            }
            for one in compared.differences
        ],
    }  # fmt: skip
    lines = [f"declared {compared.declared} chips, registered {compared.registered}"]
    lines += [
        f"  {one.site}/{one.cluster}/{one.pod} {one.model}: declared {one.declared}, registered {one.registered}"
        for one in compared.differences
    ]
    print_result(options["as_json"], facts, lines if compared.differences else [*lines, "  equal, pod by pod"])
    raise click.exceptions.Exit(BREACH if compared.differences else 0)


@click.command()
@click.argument("path", metavar="INVENTORY", type=EXISTING_FILE)
@click.option("--by", "by", multiple=True, type=click.Choice([one for one in COLUMNS if one != SERIAL]),
              default=("site", "model"), show_default=True, help="Count by these; repeatable.")  # fmt: skip
@mapping
@json_option
def show(**options: Any) -> None:
    """Show what is in a register or inventory: chips, H100-equivalents and states, by site and model."""
    register = inventory(options["path"], options)
    models, columns = chip_catalogue(), options["by"]
    equivalents = sum(count * models[key[0]].h100_equivalents for key, count in register.counts("model").items())
    groups = register.counts(*columns)
    states = {key[0]: count for key, count in register.counts("state").items()}
    facts = {
        "chips": len(register), "h100_equivalents": round(equivalents, 3), "states": states, "hosts": _distinct(register),
        "by": list(columns), "groups": [[*key, count] for key, count in groups.items()],
    }  # fmt: skip
    lines = [
        f"{len(register)} chips in {_distinct(register)} hosts, {equivalents:,.1f} H100-equivalents; "
        + ", ".join(f"{count} {name}" for name, count in states.items())
    ]
    lines += [f"  {' / '.join(key)}: {count}" for key, count in groups.items()]
    print_result(options["as_json"], facts, lines)


def _distinct(register: Register) -> int:
    return len(register.counts("site", "cluster", "pod", "rack", "host"))
