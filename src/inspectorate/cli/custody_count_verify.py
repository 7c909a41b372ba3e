"""`inspectorate custody count verify` and `show`: draw again, account for every place, and say what a count is worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from inspectorate.cli.options import FiniteRange, anchors_option, json_option, print_json
from inspectorate.cli.replay_files import either, ranges
from inspectorate.errors import InputError
from inspectorate.evidence import VerifiedStatement
from inspectorate.evidence.custody import CountDrawn, CountHeld, RegisterHanded
from inspectorate.evidence.exchange import Exchange
from inspectorate.evidence.inspected import RandomnessPromised
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.counting.faults import Fault, Found
from inspectorate.mechanisms.custody.counting.held import Held, Outcome, check_held
from inspectorate.mechanisms.custody.counting.judge import Asked, Draw, Statements, check_draw
from inspectorate.mechanisms.custody.counting.shown import log_e_missing, missing_upper
from inspectorate.mechanisms.custody.counting.uses import check_uses

_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_confidence = click.option(
    "--confidence", type=FiniteRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True
)
_misplaced = click.option(
    "--misplaced", type=FiniteRange(0, 1), default=0.001, show_default=True,
    help="The share of chips that honest keepers misplace.",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """One draw and what followed it."""

    drawn: VerifiedStatement
    draw: Draw | None
    held: Held | None
    counted: bool
    faults: Sequence[Found] = field(default=())

    @property
    def fair(self) -> bool:
        return self.held is not None


def _judged(folders: Sequence[Path], anchors_path: Path) -> tuple[list[_Judged], list[str]]:
    sides = [Exchange(folder, anchors=TrustAnchors.read(anchors_path)) for folder in folders]
    known = {one.digest: one for side in sides for one in side.statements}
    draws = [one for one in known.values() if isinstance(one.predicate, CountDrawn)]
    if not draws:
        raise InputError(
            "nothing was drawn", where=", ".join(map(str, folders)), remedy="name the verifier's folder, too"
        )
    payload = either(*sides)
    naming = {
        one.digest: said.promise
        for one in known.values()
        if isinstance(said := one.predicate, RegisterHanded) and said.promise is not None
    }
    promises = [one for one in known.values() if isinstance(one.predicate, RandomnessPromised)]
    again = check_uses(draws, promises, naming=naming, payload=payload)
    found = [_judge(one, known, again, payload) for one in sorted(draws, key=lambda one: one.digest)]
    return found, [text for side in sides for text in side.set_aside]


def _judge(
    drawn: VerifiedStatement,
    known: Mapping[str, VerifiedStatement],
    again: Sequence[Found],
    payload: Callable[[str], bytes],
) -> _Judged:
    said = drawn.predicate
    assert isinstance(said, CountDrawn)
    register = known.get(said.handed)
    held = [
        one for one in known.values() if isinstance(one.predicate, CountHeld) and one.predicate.drawn == drawn.digest
    ]
    void = [one for one in again if one.statement == drawn.digest]
    if register is None or not isinstance(register.predicate, RegisterHanded):
        missing = Found(fault=Fault.REGISTER_OTHER, detail="the register is in none of the folders")
        return _Judged(drawn=drawn, draw=None, held=None, counted=bool(held), faults=[missing, *void])
    promise = known.get(said.promise or "")
    draw = check_draw(Statements(register=register, drawn=drawn, promise=promise), payload=payload)
    if draw.asked is None or void:
        return _Judged(drawn=drawn, draw=draw, held=None, counted=bool(held), faults=[*draw.faults, *void])
    result = check_held(draw.asked, held, payload=payload)
    return _Judged(drawn=drawn, draw=draw, held=result, counted=bool(held), faults=result.faults)


@click.command()
@click.argument("folders", type=_folder, nargs=-1, required=True)
@anchors_option
@_confidence
@_misplaced
@json_option
def verify(folders: tuple[Path, ...], anchors_path: Path, confidence: float, misplaced: float, as_json: bool) -> None:
    """Judge promises, registers, draws and counts in the FOLDERS of both parties, and say what the counts are worth. Anybody can.

    Exits 30 where a draw or a count is faulty, 20 where something is missing or was not opened, 10 while a count is due.
    """
    found, aside = _judged(folders, anchors_path)
    facts = [_facts(one, 1 - confidence, misplaced) for one in found]
    if as_json:
        print_json({"draws": facts, "set_aside": aside})
    else:
        for one, fact in zip(found, facts, strict=True):
            click.echo("\n".join(_lines(one, fact)))
        for text in aside:
            click.echo(f"set aside: {text}")
    raise click.exceptions.Exit(max((_code(one) for one in found), key=(0, 10, 20, 30).index))


def _facts(one: _Judged, miss: float, misplaced: float) -> dict[str, Any]:
    said = one.drawn.predicate
    assert isinstance(said, CountDrawn)
    facts: dict[str, Any] = {
        "drawn": one.drawn.digest, "by": said.by, "reporter": said.reporter, "unit": said.unit.value, "units": list(said.drawn),
        "fair": one.fair, "order_of_times": one.draw.order.value if one.draw and one.draw.order else None,
        "counted": one.counted,
        "faults": [
            {"fault": found.fault.value, "side": found.fault.side.value, "detail": found.detail, "unit": found.unit}
            for found in one.faults
        ],
    }  # fmt: skip
    if one.held is None or not one.counted:
        return facts
    counted = one.held.counted
    seen = one.held.tally.seen if one.held.tally else 0
    facts |= {
        "usable": one.held.usable, "blind": one.held.blind, "reading": one.held.reading.value if one.held.reading else None,
        "outcomes": {what.value: [unit for unit, mine in one.held.outcomes.items() if mine is what] for what in Outcome},
        "chips": counted.chips, "chips_seen": seen, "chips_missing_seen": counted.seen_missing,
        "chips_other": one.held.tally.other if one.held.tally else 0,
    }  # fmt: skip
    if one.held.usable:
        upper = missing_upper(counted, miss)
        facts |= {
            "confidence": 1 - miss, "missing_upper": upper, "missing_share_upper": upper / counted.chips,
            "misplaced_share_max": misplaced, "log_e": log_e_missing(counted, misplaced),
        }  # fmt: skip
    return facts


def _lines(one: _Judged, facts: Mapping[str, Any]) -> list[str]:
    name = one.drawn.digest[7:19]
    order = f"; nobody could choose: {facts['order_of_times']}" if facts["order_of_times"] else ""
    lines = [
        f"draw {name} by {facts['by']}: {len(facts['units'])} {facts['unit']}s, {'fair' if one.fair else 'not fair'}{order}"
    ]
    if "outcomes" in facts:
        lines += [f"  {what}: {ranges(numbers)}" for what, numbers in facts["outcomes"].items() if numbers]
        lines.append(f"  chips: {facts['chips_seen']} seen, {facts['chips_missing_seen']} not where they should be, "
                     f"{facts['chips_other']} others; read by {facts['reading']}{', blind' if facts['blind'] else ''}")  # fmt: skip
    elif one.fair:
        lines.append("  not counted yet")
    if "missing_upper" in facts:
        share, honest = facts["missing_share_upper"], facts["misplaced_share_max"]
        lines += [
            f"  at most {facts['missing_upper']} of {facts['chips']} chips ({share:.3%}) are missing, at {facts['confidence']:.4g}",
            f"  log e against more than {honest:.3%} missing: {facts['log_e']:.2f}",
        ]
    return [*lines, *(f"  {found.fault.value} ({found.fault.side.value}): {found.detail}" for found in one.faults)]


def _code(one: _Judged) -> int:
    if not one.fair or (one.counted and one.held is not None and not one.held.usable):
        return 30
    if not one.counted or one.held is None:
        return 10
    return 20 if any(one.held.counted.missing.values()) else 0


@click.command()
@click.argument("folders", type=_folder, nargs=-1, required=True)
@anchors_option
@json_option
def show(folders: tuple[Path, ...], anchors_path: Path, as_json: bool) -> None:
    """What was read, place by place: serials that are missing, and serials that do not belong there."""
    found, aside = _judged(folders, anchors_path)
    for text in aside:
        click.echo(f"set aside: {text}", err=True)
    rows = [row for one in found if one.held and one.draw and one.draw.asked for row in _rows(one.draw.asked, one.held)]
    if as_json:
        print_json([dict(row) for row in rows])
    for row in rows if not as_json else []:
        missing, other = row["missing"], row["other"]
        assert isinstance(missing, list)
        assert isinstance(other, list)
        click.echo(f"{row['unit']:>7} {row['place']}: {row['outcome']}, {row['due']} due, missing {', '.join(missing) or 'none'}"
                   f"{', other ' + ', '.join(other) if other else ''}")  # fmt: skip


def _rows(asked: Asked, held: Held) -> list[dict[str, object]]:
    places = asked.register.chips([asked.units.rows(unit).start for unit in asked.sample.units])
    found: list[dict[str, object]] = []
    for unit, chip in zip(asked.sample.units, places, strict=True):
        mine = held.tally.units.get(unit) if held.tally else None
        gone = [one.serial for one in asked.register.chips(mine.missing)] if mine and mine.missing else []
        found.append(
            {
                "unit": unit, "place": f"{chip.site} {chip.cluster} {chip.pod} {chip.rack}", "outcome": held.outcomes[unit].value,
                "due": len(asked.units.rows(unit)), "missing": gone, "other": list(mine.other) if mine else [],
            }
        )  # fmt: skip
    return found
