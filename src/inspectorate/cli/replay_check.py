"""`inspectorate replay check`: draw again, hold openings against commitments, and name what is refused and whose fault
it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.options import FiniteRange, anchors_option, json_option, parse_time, print_json
from inspectorate.cli.replay_files import either, ranges
from inspectorate.errors import InputError
from inspectorate.evidence import PacketsDrawn, PacketsOpened, RandomnessPromised, VerifiedStatement, WorkCommitted
from inspectorate.evidence.exchange import Exchange
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.challenge.faults import Fault, Found
from inspectorate.mechanisms.inspection.challenge.judge import Draw, Statements, check_draw, check_lists
from inspectorate.mechanisms.inspection.challenge.opening import Opened, check_opening
from inspectorate.mechanisms.inspection.challenge.uses import check_commitments, check_uses
from inspectorate.mechanisms.inspection.sampling.bounds import MISS_PROBABILITY_MAX, dirty_time_share_upper

_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("folders", type=_folder, nargs=-1, required=True)
@anchors_option
@click.option("--at", "at_text", help="When the question is asked; the present by default.")
@click.option("--miss", type=FiniteRange(0, MISS_PROBABILITY_MAX, min_open=True, max_open=True), default=0.05,
              show_default=True, help="For the dirty share that a clean replay would leave.")  # fmt: skip
@json_option
def check(folders: tuple[Path, ...], anchors_path: Path, at_text: str | None, miss: float, as_json: bool) -> None:
    """Judge promises, commitments, draws and openings in the FOLDERS of both parties. Anybody can, and gets the same
    packets.

    Exits 20 where something that was drawn is refused, 30 where a commitment or a draw is faulty or a statement was set aside, 10
    while answers are due.
    """
    at = parse_time(at_text)
    sides = [Exchange(folder, anchors=TrustAnchors.read(anchors_path)) for folder in folders]
    known = {one.digest: one for side in sides for one in side.statements}
    draws = [one for one in known.values() if isinstance(one.predicate, PacketsDrawn)]
    if not draws:
        raise InputError(
            "nothing was drawn", where=", ".join(map(str, folders)), remedy="name the verifier's folder, too"
        )
    general, by_draw = _together(known, draws, sides)
    rows = [_row(one, known, sides, by_draw.get(one.digest, []), at=at, miss=miss) for one in draws]
    aside = [text for side in sides for text in side.set_aside]
    if as_json:
        print_json({"draws": rows, "commitments": [_fault(one) for one in general], "set_aside": list(aside)})
    else:
        _show(rows, general, aside)
    raise click.exceptions.Exit(_code(rows, general, aside))


def _together(
    known: Mapping[str, VerifiedStatement], draws: Sequence[VerifiedStatement], sides: Sequence[Exchange]
) -> tuple[list[Found], dict[str, list[Found]]]:
    """Faults of all commitments, and those of draws that one draw alone does not show, by draw."""
    commitments = [one for one in known.values() if isinstance(one.predicate, WorkCommitted)]
    promises = [one for one in known.values() if isinstance(one.predicate, RandomnessPromised)]
    naming = {
        one.digest: said.promise
        for one in commitments
        if isinstance(said := one.predicate, WorkCommitted) and said.promise is not None
    }
    by_draw: dict[str, list[Found]] = {}
    for fault in check_uses(draws, promises, naming=naming, payload=either(*sides)):
        by_draw.setdefault(str(fault.statement), []).append(fault)
    drawn_from = {said.commitment for one in draws if isinstance(said := one.predicate, PacketsDrawn)}
    firsts, lists = check_lists(commitments, payload=either(*sides))
    undrawn = [fault for digest, faults in lists.items() if digest not in drawn_from for fault in faults]
    return [*check_commitments(commitments, firsts=firsts), *undrawn], by_draw


def _row(
    drawn: VerifiedStatement,
    known: Mapping[str, VerifiedStatement],
    sides: Sequence[Exchange],
    again: Sequence[Found],
    *,
    at: datetime,
    miss: float,
) -> dict[str, object]:
    said = drawn.predicate
    assert isinstance(said, PacketsDrawn)
    commitment = known.get(said.commitment)
    if commitment is None or not isinstance(commitment.predicate, WorkCommitted):
        missing = Found(fault=Fault.COMMITMENT_OTHER, detail="the commitment is in none of the folders")
        return _as_row(drawn, None, None, [missing], bound=1.0)
    payload = either(*sides)
    statements = Statements(commitment=commitment, drawn=drawn, promise=known.get(said.promise or ""))
    judged = check_draw(statements, payload=payload)
    if judged.asked is None or again:
        return _as_row(drawn, judged, None, [*judged.faults, *again], bound=1.0)
    answers = [
        one for one in known.values() if isinstance(of := one.predicate, PacketsOpened) and of.drawn == drawn.digest
    ]
    opened = check_opening(judged.asked, answers, payload=payload, as_of=at)
    assert judged.selection is not None
    dirty = {*opened.refused, *opened.pending}
    bound = dirty_time_share_upper(judged.asked.listed, judged.selection, judged.points, dirty, miss_probability=miss)
    return _as_row(drawn, judged, opened, opened.faults, bound=bound)


def _as_row(
    drawn: VerifiedStatement, judged: Draw | None, opened: Opened | None, found: Sequence[Found], *, bound: float
) -> dict[str, object]:
    said = drawn.predicate
    assert isinstance(said, PacketsDrawn)
    return {
        "drawn": drawn.digest, "by": said.by, "reporter": said.reporter, "commitment": said.commitment,
        "packets": list(said.packets), "order_of_times": judged.order.value if judged and judged.order else None,
        "fair": opened is not None, "opened": sorted(opened.packets) if opened else [],
        "refused": list(opened.refused) if opened else [], "pending": list(opened.pending) if opened else [],
        "times_believed": opened.times_believed if opened else None, "faults": [_fault(one) for one in found],
        "dirty_share_if_rest_is_clean": bound,
    }  # fmt: skip


def _fault(found: Found) -> dict[str, object]:
    return {
        "fault": found.fault.value, "side": found.fault.side.value, "detail": found.detail, "packet": found.packet,
        "statement": found.statement,
    }  # fmt: skip


def _code(rows: Sequence[Mapping[str, object]], general: Sequence[Found], aside: Sequence[str]) -> int:
    if general or aside or not all(row["fair"] for row in rows):
        return 30
    if any(row["refused"] for row in rows):
        return 20
    return 10 if any(row["pending"] for row in rows) else 0


def _show(rows: Sequence[Mapping[str, object]], general: Sequence[Found], aside: Sequence[str]) -> None:
    table = Table("draw", "by", "fair", "believed on", "opened", "refused", "pending", "dirty share left", box=None)
    for row in rows:
        numbers = [ranges(row[name]) for name in ("opened", "refused", "pending")]  # type: ignore[arg-type]
        bound = float(str(row["dirty_share_if_rest_is_clean"]))
        table.add_row(
            str(row["drawn"])[7:19], str(row["by"]), "yes" if row["fair"] else "no", str(row["order_of_times"] or "-"),
            *numbers, f"{100 * bound:.2f} %",
        )  # fmt: skip
    Console(width=132, highlight=False).print(table)
    for row in rows:
        for one in row["faults"]:  # type: ignore[attr-defined]
            click.echo(f"{str(row['drawn'])[7:19]}: {one['fault']} ({one['side']}): {one['detail']}")
    for found in general:
        click.echo(
            f"commitment {str(found.statement)[7:19]}: {found.fault.value} ({found.fault.side.value}): {found.detail}"
        )
    for text in aside:
        click.echo(f"set aside: {text}")
