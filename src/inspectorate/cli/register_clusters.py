"""`inspectorate register clusters`: which chips of a register form covered clusters, step by step, and what looks split.

Exit codes: 0 done, whatever is covered; 10 a cluster's memory is not known and would decide, or pieces call for a look; 20 sizes
just below a limb reach the agreed false-accusation rate; 30 what the register says cannot be judged; 2 wrong use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from inspectorate.agreement import Agreement, Clause, ClauseKind, load_agreement
from inspectorate.agreement.chips import CoveredCluster, NoSplitting
from inspectorate.cli import register_files
from inspectorate.cli.options import EXISTING_FILE, FiniteRange, json_option, parse_time, print_json
from inspectorate.cli.plan_units import RATE
from inspectorate.declaration import Declaration, load_declaration
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence.exchange import read_plain
from inspectorate.mechanisms.custody.clusters import (
    Difference,
    Ground,
    Judged,
    JudgedCluster,
    Manner,
    Outcome,
    Reading,
    Snapshot,
    Split,
    SplitKind,
    Splitting,
    differences,
    explain,
    find_splitting,
    judge_clusters,
)
from inspectorate.mechanisms.custody.clusters.purposes import PURPOSES_BYTES_MAX, claimed_purposes, read_purposes
from inspectorate.mechanisms.custody.clusters.reference import JOINED_SOURCE, MONTH_S
from inspectorate.mechanisms.custody.clusters.tables import counted_rows, run_cells
from inspectorate.mechanisms.custody.register import Register, Wiring
from inspectorate.mechanisms.interconnect.plan.joining import Group, contributions
from inspectorate.mechanisms.interconnect.plan.types import Case

PENDING, BREACH = 10, 20
WIDTH = 132
SHOWN_MAX = 20
JSON_MAX = 2_000
"""Clusters that are printed in full."""
EXPLAINED_MAX = 3
"""With no more clusters than this, every step is printed without being asked for."""
JOINED_FLOP = 1e24
"""The run for which pieces would join."""
PIECES_MAX = 1_000
"""Pieces for which a joining is computed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Looked:
    """All that the command found."""

    judged: Judged
    clause: Clause
    clusters: tuple[JudgedCluster, ...]
    differences: tuple[Difference, ...]
    splitting: Splitting | None


@click.command("clusters")
@click.argument("path", metavar="REGISTER", type=EXISTING_FILE)
@click.option(
    "--wiring", "wiring_path", type=EXISTING_FILE, help="Links (CSV or Parquet); none: no host is wired to another."
)
@register_files.mapping
@click.option("--agreement", "agreement_name", required=True, help="The name of a shipped agreement, or a file (YAML).")
@click.option("--as-of", help="The time of the register, and of the terms (default: now).")
@click.option("--with-proposed", is_flag=True, help="Count proposed amendments, such as the memory limb, as adopted.")
@click.option("--reading", type=click.Choice([one.value for one in Reading]), default=Reading.TWO_HOSTS.value, show_default=True,
              help="What hosts exchange in aggregate; docs/covered-clusters.md says what each comes to.")  # fmt: skip
@click.option(
    "--place", type=click.Choice(["site", "cluster"]), default="site", show_default=True, help="What is co-located."
)
@click.option("--purposes", "purposes_path", type=EXISTING_FILE, help="Who works together (CSV: purpose,host).")
@click.option(
    "--declaration", "declaration_path", type=EXISTING_FILE, help="For positions of sites, and workload claims."
)
@click.option("--earlier", multiple=True, metavar="TIME=FILE", help="An earlier register, for rotation; repeatable.")
@click.option("--near", "near_share", type=FiniteRange(0, 1), help="Look for splitting: a piece this near to a limb.")
@click.option("--within-m", type=FiniteRange(0, min_open=True), help="Look for splitting: pieces within this distance.")
@click.option(
    "--rotated-days", type=FiniteRange(0, 3660, min_open=True), help="Look for splitting: chips in turn in this time."
)
@click.option(
    "--link", "link", type=RATE, metavar="RATE", help="Say what pieces can do joined by links of this rate, each way."
)
@click.option(
    "--explain", "explained", type=click.IntRange(0), multiple=True, help="Print the steps of a cluster; repeatable."
)
@json_option
def clusters(path: Path, *, as_of: str | None, as_json: bool, **options: Any) -> None:
    """Judge every cluster of a register: PATH is a CSV or Parquet file with one row per chip."""
    time = parse_time(as_of)
    agreement, clause = _terms(options["agreement_name"], time, options["with_proposed"])
    parameters = clause.parameters
    assert isinstance(parameters, CoveredCluster)
    register = register_files.inventory(path, options)
    wiring = register_files.wiring(options["wiring_path"])
    declaration = None if options["declaration_path"] is None else load_declaration(options["declaration_path"])
    manner = _manner(clause, register, declaration, options)
    judged = judge_clusters(register, wiring, parameters, manner)
    shown = _shown(judged, options["explained"], as_json=as_json)
    found = Looked(
        judged=judged,
        clause=clause,
        clusters=explain(judged, shown),
        differences=differences(judged, register, wiring),
        splitting=_splitting((agreement, time), (register, wiring), manner, declaration, options),
    )
    if as_json:
        print_json(_facts(found, options["link"]))
    else:
        _print(found, options["explained"], options["link"])
    raise click.exceptions.Exit(_exit(found))


def _terms(name: str, time: datetime, with_proposed: bool) -> tuple[Agreement, Clause]:
    whole = load_agreement(name)
    try:
        agreement = whole.on(time, with_proposed=with_proposed)
    except ValueError as fault:
        raise InputError(str(fault), where=f"agreement {whole.id}") from None
    found = [one for one in agreement.clauses if one.kind is ClauseKind.COVERED_CLUSTER]
    if not found:
        raise InputError("does not say what a covered cluster is", where=f"agreement {whole.id}",
                         remedy="a clause of kind covered-cluster")  # fmt: skip
    return agreement, found[0]


def _manner(clause: Clause, register: Register, declaration: Declaration | None, options: dict[str, Any]) -> Manner:
    purposes = claimed_purposes(declaration.claims, register.column("pod").names) if declaration else ()
    if options["purposes_path"] is not None:
        try:
            data = read_plain(options["purposes_path"], PURPOSES_BYTES_MAX)
        except EvidenceError as fault:
            raise InputError(fault.problem, where=str(options["purposes_path"]), remedy=fault.remedy) from None
        purposes += read_purposes(data, where=str(options["purposes_path"]))
    return Manner(
        reading=Reading(options["reading"]),
        place=options["place"],
        purposes=purposes,
        source=JOINED_SOURCE if clause.proposed else str(clause.source),
    )


def _split_clause(agreement: Agreement, options: dict[str, Any]) -> NoSplitting | None:
    """The clause of the agreement, or that of the options, which go before it."""
    own = next((one.parameters for one in agreement.clauses if isinstance(one.parameters, NoSplitting)), None)
    given = (options["near_share"], options["within_m"], options["rotated_days"])
    if all(one is None for one in given):
        return own
    base = own or NoSplitting(
        kind=ClauseKind.NO_SPLITTING, near_share_min=0.9, within_m=10_000.0, rotated_within_s=90 * 86_400.0
    )
    near, within, days = given
    return NoSplitting(
        kind=ClauseKind.NO_SPLITTING,
        near_share_min=base.near_share_min if near is None else near,
        within_m=base.within_m if within is None else within,
        rotated_within_s=base.rotated_within_s if days is None else days * 86_400.0,
    )


def _splitting(
    terms: tuple[Agreement, datetime], last: tuple[Register, Wiring], manner: Manner, declaration: Declaration | None,
    options: dict[str, Any],
) -> Splitting | None:  # fmt: skip
    agreement, time = terms
    clause = _split_clause(agreement, options)
    if clause is None:
        return None
    chain = []
    for text in options["earlier"]:
        when, equals, name = text.partition("=")
        if not equals:
            raise InputError(f"{text[:60]!r} is no time and file", where="--earlier", remedy="write TIME=FILE")
        chain.append(Snapshot(at=parse_time(when), register=register_files.inventory(Path(name), options)))
    chain.sort(key=lambda one: one.at)
    chain.append(Snapshot(at=time, register=last[0], wiring=last[1]))
    positions = {site.id: site.position for site in declaration.sites if site.position} if declaration else {}
    ground = Ground(
        utilisation=agreement.utilisation.max, formats=agreement.counted_formats,
        false_accusation_rate=agreement.false_accusation_rate,
        positions=positions, manner=dataclasses.replace(manner, purposes=()) if options["earlier"] else manner,
    )  # fmt: skip
    parameters = next(one.parameters for one in agreement.clauses if isinstance(one.parameters, CoveredCluster))
    try:
        return find_splitting(chain, parameters, clause, ground)
    except ValueError as fault:
        raise InputError(str(fault), where="--earlier", remedy="earlier registers are older than --as-of") from None


def _shown(judged: Judged, explained: Sequence[int], *, as_json: bool) -> list[int]:
    beyond = [number for number in explained if number >= len(judged)]
    if beyond:
        raise InputError(
            f"there is no cluster {beyond[0]}", where="--explain", remedy=f"they are 0 to {len(judged) - 1}"
        )
    first = range(min(len(judged), JSON_MAX if as_json else SHOWN_MAX))
    return sorted({*first, *explained})


def _exit(found: Looked) -> int:
    if found.splitting is not None and found.splitting.bunched:
        return BREACH
    calls = found.splitting is not None and found.splitting.findings
    return PENDING if calls or Outcome.UNKNOWN in found.judged.outcomes else 0


def pieces_worth(split: Split, link: float) -> dict[str, float] | None:
    """What the pieces of a finding come to as one run over slow links, in pieces' worth, by case; none where it is no question."""
    count = len(split.pieces) + split.pieces_more
    if split.kind not in {SplitKind.PIECES, SplitKind.SCATTERED, SplitKind.DISSOLVED} or not 1 < count <= PIECES_MAX:
        return None
    return {
        case.value: sum(
            contributions(
                Group(
                    pods=count, bytes_per_s=link, pod_flop_per_s=split.flop_per_month / MONTH_S / count,
                    memory_bytes=split.memory_bytes / count, run_flops=(JOINED_FLOP,), case=case,
                ),
                post_training=False,
            )[:count]
        )
        for case in Case
    }  # fmt: skip


def _facts(found: Looked, link: float | None) -> dict[str, object]:
    judged, split = found.judged, found.splitting
    return {
        "clause": found.clause.id,
        "source": str(found.clause.source),
        "reading": judged.manner.reading.value,
        "exact": judged.exact,
        "hosts": len(judged.hosts),
        "chips": int(judged.chips.sum()),
        "clusters": len(judged),
        "outcomes": {one.value: judged.outcomes.count(one) for one in Outcome},
        "judged": [one.model_dump(mode="json", exclude_none=True) for one in found.clusters],
        "judged_more": len(judged) - len(found.clusters),
        "other_readings": [dataclasses.asdict(one) for one in found.differences],
        "splitting": None
        if split is None
        else split.model_dump(mode="json", exclude_none=True)
        | ({} if link is None else {"pieces_worth": [pieces_worth(one, link) for one in split.findings]}),
    }


def _print(found: Looked, explained: Sequence[int], link: float | None) -> None:
    judged = found.judged
    counts = ", ".join(f"{judged.outcomes.count(one)} {one.value.replace('-', ' ')}" for one in Outcome)
    click.echo(
        f"{int(judged.chips.sum()):,} chips in {len(judged.hosts):,} hosts make {len(judged):,} clusters: {counts}"
    )
    _table(
        ("", "cluster", "chips", "hosts", "H100-equivalents", "memory GB", ""),
        [
            (str(one.number), one.id + (f" and {len(one.places) - 1} more places" if len(one.places) > 1 else ""),
             f"{one.chips:,}", f"{one.hosts:,}", f"{one.h100_equivalents:,.2f}", f"{one.memory_bytes / 1e9:,.0f}",
             one.outcome.value.replace("-", " "))
            for one in found.clusters
        ],
    )  # fmt: skip
    if len(judged) > len(found.clusters):
        click.echo(f"and {len(judged) - len(found.clusters):,} smaller ones")
    for one in found.clusters:
        if one.number in explained or len(judged) <= EXPLAINED_MAX:
            click.echo(f"\ncluster {one.number}, {one.id}:")
            for step in one.steps:
                click.echo(f"  - {step}")
    for other in found.differences[:SHOWN_MAX]:
        click.echo(f"\ncluster {other.cluster} under the reading `{other.reading}`: {other.hosts} of its hosts are "
                   f"{other.outcome.value.replace('-', ' ')}, in up to {other.h100_equivalents:,.2f} H100-equivalents")  # fmt: skip
    if found.splitting is None:
        click.echo(
            "\nSplitting was not looked for: the agreement has no such clause, and no --near, --within-m or --rotated-days."
        )
    else:
        _print_splitting(found.splitting, link)


def _print_splitting(found: Splitting, link: float | None) -> None:
    click.echo(f"\nSplitting: {len(found.findings) + found.findings_more} findings. Sizes: {found.below} just below, {found.above} "
               f"just above; e-value exp({found.log_e:.3g}). Null: {found.null}.")  # fmt: skip
    for one in found.findings[:SHOWN_MAX]:
        click.echo(f"\n{one.kind.value}: {one.chips:,} chips at {', '.join(one.sites[:5])}: {one.h100_equivalents:,.2f} "
                   f"H100-equivalents if joined, {one.flop_per_month:.3g} FLOP a month")  # fmt: skip
        for reason in one.reasons:
            click.echo(f"  - {reason}")
        worth = None if link is None else pieces_worth(one, link)
        if worth is not None:
            said = ", ".join(f"{pieces:.3g} ({case})" for case, pieces in worth.items())
            click.echo(
                f"  - over such links, for a run of {JOINED_FLOP:g} FLOP, the pieces are worth this many of one: {said}"
            )
        click.echo(f"  - honest reason: {one.honest}")
    for text in found.not_checked:
        click.echo(f"not checked: {text}")


@click.command("tables")
@json_option
def tables(as_json: bool) -> None:
    """Published tables of the agreement, recomputed: what is covered, and how long runs take."""
    counted, cells = counted_rows(), run_cells()
    if as_json:
        print_json(
            {
                "covered": [dataclasses.asdict(one) for one in counted],
                "runs": [dataclasses.asdict(one) for one in cells],
            }
        )
        return
    _table(
        ("chips", "published", "here", "with memory limb", "here", "H100e", "GB", "catalogue H100e", ""),
        [
            (one.row.what, _word(one.row.covered), one.outcome.value, _word(one.row.covered_with_memory),
             one.outcome_with_memory.value, f"{one.h100_equivalents:.2f}", f"{one.memory_bytes / 1e9:,.0f}",
             "" if one.catalogue_h100_equivalents is None else f"{one.catalogue_h100_equivalents:.2f}",
             "" if one.agrees else "differs")
            for one in counted
        ],
    )  # fmt: skip
    for one in counted:
        if one.row.note:
            click.echo(f"{one.row.what}: {one.row.note}")
    click.echo("")
    _table(
        ("chips", "FLOP", "unit", "published", "here", ""),
        [
            (f"{one.chips:,}", f"{one.flop:g}", one.unit, one.published or "", one.shown, "differs" if one.agrees is False else "")
            for one in cells
        ],
    )  # fmt: skip
    differ = sum(not one.agrees for one in counted) + sum(one.agrees is False for one in cells)
    click.echo(f"{differ} of {len(counted)} rows and {sum(one.published is not None for one in cells)} cells differ")


def _word(covered: bool | None) -> str:
    return "" if covered is None else "covered" if covered else "not-covered"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(*header, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console(width=WIDTH, soft_wrap=False).print(table)
