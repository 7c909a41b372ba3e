"""`inspectorate interview verify`: draw again, account for everybody who was drawn, and name faults and sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import InterviewedStaff
from inspectorate.cli.interview_pick import agreed_clause
from inspectorate.cli.options import anchors_option, json_option, parse_time, print_json
from inspectorate.cli.replay_files import either
from inspectorate.errors import InputError
from inspectorate.evidence import (
    IntervieweesDrawn,
    InterviewsHeld,
    RandomnessPromised,
    RosterCommitted,
    RosterOpened,
    VerifiedStatement,
)
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interviews.observe import LEFT_UNHEARD
from inspectorate.mechanisms.interviews.roster.faults import Fault, Found
from inspectorate.mechanisms.interviews.roster.held import Heard, Outcome, check_held
from inspectorate.mechanisms.interviews.roster.judge import Believed, Draw, Statements, check_draw
from inspectorate.mechanisms.interviews.roster.opening import Opened, check_opening
from inspectorate.mechanisms.interviews.roster.uses import check_rosters, check_uses

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@dataclass
class _Known:
    """All that the folders hold, by digest."""

    statements: Mapping[str, VerifiedStatement]
    payload: Callable[[str], bytes]
    at: datetime
    clause: InterviewedStaff | None = None
    """What the agreement says of interviews; none: not checked."""
    void: dict[str, list[Found]] = field(default_factory=dict)
    """What one draw or one roster alone does not show, by its digest."""

    @property
    def agreed(self) -> Mapping[str, int] | None:
        """Of each agreed stratum, how many would know."""
        return None if self.clause is None else {one.id: one.knowing_min for one in self.clause.strata}

    def of(self, kind: type[Any]) -> list[VerifiedStatement]:
        return [one for one in self.statements.values() if isinstance(one.predicate, kind)]


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """One draw and what followed it."""

    drawn: VerifiedStatement
    draw: Draw | None
    opened: Opened | None
    heard: Heard | None
    faults: Sequence[Found]

    @property
    def fair(self) -> bool:
        return self.opened is not None


@click.command()
@click.argument("folders", type=_folder, nargs=-1, required=True)
@anchors_option
@click.option(
    "--agreement",
    "agreement_name",
    help="Hold strata, forms and the time to answer against its clause on interviews, and say what was reached.",
)
@click.option("--at", "at_text", help="When the question is asked; the present by default.")
@json_option
def verify(
    folders: tuple[Path, ...], anchors_path: Path, agreement_name: str | None, at_text: str | None, as_json: bool
) -> None:
    """Judge promises, rosters, draws, openings and interviews in the FOLDERS of both parties. Anybody can.

    Exits 30 where something is faulty that voids the round, or a statement was set aside, 20 where somebody who was drawn was not
    opened or not heard, 10 while answers or interviews are due.
    """
    sides = [Exchange(folder, anchors=TrustAnchors.read(anchors_path)) for folder in folders]
    known = _Known(
        statements={one.digest: one for side in sides for one in side.statements}, payload=either(*sides),
        at=parse_time(at_text), clause=agreed_clause(agreement_name) if agreement_name else None,
    )  # fmt: skip
    draws = known.of(IntervieweesDrawn)
    if not draws:
        aside = [text for side in sides for text in side.set_aside]
        raise InputError(
            "nobody was drawn" + (f"; {len(aside)} statements were set aside: {aside[0]}" if aside else ""),
            where=", ".join(map(str, folders)),
            remedy="name the verifier's folder, too",
        )
    _together(known, draws)
    rows = [_judge(one, known) for one in sorted(draws, key=lambda one: (one.predicate.times, one.digest))]  # type: ignore[union-attr]
    rosters = [one for one in known.of(RosterCommitted) if one.digest in known.void]
    general = [found for one in rosters for found in known.void[one.digest]]
    aside = [text for side in sides for text in side.set_aside]
    if as_json:
        print_json(
            {
                "draws": [_facts(one, known) for one in rows],
                "rosters": [_fault(one) for one in general],
                "set_aside": aside,
            }
        )
    else:
        _show(rows, known, general, aside)
    raise click.exceptions.Exit(_code(rows, general, aside))


def _together(known: _Known, draws: Sequence[VerifiedStatement]) -> None:
    rosters = known.of(RosterCommitted)
    naming = {
        one.digest: said.promise
        for one in rosters
        if isinstance(said := one.predicate, RosterCommitted) and said.promise is not None
    }
    uses = check_uses(draws, known.of(RandomnessPromised), naming=naming, payload=known.payload)
    for found in (*uses, *check_rosters(rosters)):
        known.void.setdefault(str(found.statement), []).append(found)


def _judge(drawn: VerifiedStatement, known: _Known) -> _Judged:
    said = drawn.predicate
    assert isinstance(said, IntervieweesDrawn)
    roster = known.statements.get(said.roster)
    void = [*known.void.get(drawn.digest, []), *known.void.get(said.roster, [])]
    if roster is None or not isinstance(roster.predicate, RosterCommitted):
        missing = Found(fault=Fault.ROSTER_OTHER, detail="the roster is in none of the folders")
        return _Judged(drawn=drawn, draw=None, opened=None, heard=None, faults=[missing, *void])
    statements = Statements(
        roster=roster, drawn=drawn, promise=known.statements.get(said.promise or ""),
        before=[*known.of(IntervieweesDrawn), *known.of(InterviewsHeld)],
    )  # fmt: skip
    clause = known.clause
    believed = Believed(strata=known.agreed, answer_within_s=clause.answer_within_s if clause else None)
    draw = check_draw(statements, payload=known.payload, believed=believed)
    if draw.asked is None or void:
        return _Judged(drawn=drawn, draw=draw, opened=None, heard=None, faults=[*draw.faults, *void])
    opened = check_opening(
        draw.asked, [one for one in known.of(RosterOpened) if _names(one, drawn)], payload=known.payload, as_of=known.at
    )
    held = [one for one in known.of(InterviewsHeld) if _names(one, drawn)]
    heard = check_held(draw.asked, opened, held, forms=clause.forms if clause else None)
    return _Judged(drawn=drawn, draw=draw, opened=opened, heard=heard, faults=[*opened.faults, *heard.faults])


def _names(answer: VerifiedStatement, drawn: VerifiedStatement) -> bool:
    said = answer.predicate
    assert isinstance(said, RosterOpened | InterviewsHeld)
    return said.drawn == drawn.digest


def _facts(one: _Judged, known: _Known) -> dict[str, object]:
    said = one.drawn.predicate
    assert isinstance(said, IntervieweesDrawn)
    return {
        "drawn": one.drawn.digest, "by": said.by, "reporter": said.reporter, "roster": said.roster,
        "replaces": said.replaces, "entries": list(said.drawn), "fair": one.fair,
        "order_of_times": one.draw.order.value if one.draw and one.draw.order else None,
        "pending": list(one.opened.pending) if one.opened else [],
        "times_believed": one.opened.times_believed if one.opened else None,
        **{what.value: list(one.heard.entries(what)) if one.heard else [] for what in Outcome},
        "strata": {name: _reach(name, one.heard, known.agreed) for name in one.heard.strata} if one.heard else {},
        "faults": [_fault(found) for found in one.faults],
    }  # fmt: skip


def _reach(name: str, heard: Heard, agreed: Mapping[str, int] | None) -> dict[str, object]:
    tally = heard.strata[name]
    found: dict[str, object] = {"people": tally.people, "drawn": tally.drawn, "heard": tally.heard}
    if agreed is not None and name in agreed:
        chance = tally.reached(agreed[name])
        found |= {
            "knowing": agreed[name], "all_heard": chance.all_heard, "at_random": chance.at_random, "worst": chance.worst
        }  # fmt: skip
    return found


def _fault(found: Found) -> dict[str, object]:
    return {
        "fault": found.fault.value, "side": found.fault.side.value, "detail": found.detail, "entry": found.entry,
        "statement": found.statement,
    }  # fmt: skip


def _code(rows: Sequence[_Judged], general: Sequence[Found], aside: Sequence[str]) -> int:
    void = any(found.fault not in LEFT_UNHEARD for one in rows for found in one.faults)
    if general or aside or void or not all(one.fair for one in rows):
        return 30
    waiting = False
    for one in rows:
        assert one.heard is not None
        assert one.opened is not None
        counted = set(one.heard.outcomes.values())
        spoken = counted & {Outcome.HEARD, Outcome.REFUSED, Outcome.ABSENT}
        if one.opened.unopened or one.heard.faults or (spoken and counted != {Outcome.HEARD}):
            return 20
        waiting |= not spoken
    return 10 if waiting else 0


def _show(rows: Sequence[_Judged], known: _Known, general: Sequence[Found], aside: Sequence[str]) -> None:
    table = Table("draw", "by", "fair", "believed on", "stratum", "people", "drawn", "heard", "if all were", "at random",
                  "worst case", box=None)  # fmt: skip
    for one in rows:
        facts = _facts(one, known)
        start = [
            one.drawn.digest[7:19],
            str(facts["by"]),
            "yes" if one.fair else "no",
            str(facts["order_of_times"] or "-"),
        ]
        if one.heard is None:
            table.add_row(*start)
            continue
        for name in one.heard.strata:
            reach = _reach(name, one.heard, known.agreed)
            chances = [f"{reach[what]:.4g}" if what in reach else "-" for what in ("all_heard", "at_random", "worst")]
            table.add_row(*start, name, *(str(reach[what]) for what in ("people", "drawn", "heard")), *chances)
    Console(width=132, highlight=False).print(table)
    for one in rows:
        for found in one.faults:
            click.echo(f"{one.drawn.digest[7:19]}: {found.fault.value} ({found.fault.side.value}): {found.detail}")
    for found in general:
        click.echo(
            f"roster {str(found.statement)[7:19]}: {found.fault.value} ({found.fault.side.value}): {found.detail}"
        )
    for text in aside:
        click.echo(f"set aside: {text}")
