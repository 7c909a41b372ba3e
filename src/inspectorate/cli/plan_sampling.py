"""`inspectorate plan sampling`: how much to inspect or run again for which power, and every published number beside
ours.

A plan is an answer within a model and no verdict: every command exits 0 on an answer and 2 on wrong use.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table

from inspectorate.cli.options import FiniteRange, json_option, print_json
from inspectorate.errors import InputError
from inspectorate.evidence.inspected import DRAWN_MAX
from inspectorate.mechanisms.inspection.sampling import audit
from inspectorate.mechanisms.inspection.sampling.packets import Recomputation
from inspectorate.mechanisms.inspection.sampling.power import Plan, Power, lengths_of, plans_for, power_table
from inspectorate.mechanisms.inspection.sampling.published import rows
from inspectorate.mechanisms.inspection.sampling.sequential import SequentialPlan
from inspectorate.mechanisms.inspection.sampling.shavit import (
    Fleet,
    annual_cost,
    chip_days,
    pooled,
    samples,
    stretched_detection,
)
from inspectorate.statistics.sampling import dirty_share_upper

WIDTH = 132
_SHARE = FiniteRange(0, 1, min_open=True, max_open=True)
_POSITIVE = FiniteRange(1e-12, 1e40)


@click.group()
def sampling() -> None:
    """Plan samples: of packets that are run again, and of chips that are inspected, each with its power."""


@sampling.command()
@json_option
def published(as_json: bool) -> None:
    """Every published number on sampling, recomputed: published, here, and by which form."""
    found = rows()
    if as_json:
        print_json([dataclasses.asdict(row) for row in found])
        return
    _table(
        ("source", "what", "published", "here", "form", ""),
        [(r.source, r.what, r.published, r.here, r.form, "" if r.agrees else "differs") for r in found],
    )
    differ = sum(not row.agrees for row in found)
    click.echo(f"{len(found) - differ} of {len(found)} agree; the others are explained in docs/sampling.md")


@sampling.command("replay")
@click.option(
    "--packets", type=click.IntRange(2, 100_000), default=2_000, show_default=True, help="That are committed to."
)
@click.option("--lengths", type=click.Choice(["equal", "mixed", "skewed"]), default="skewed", show_default=True)
@click.option(
    "--dirty-share", type=_SHARE, default=0.01, show_default=True, help="Of the time, that is to be excluded."
)
@click.option("--miss", type=_SHARE, default=0.05, show_default=True, help="Probability to miss a larger share.")
@click.option("--strata", type=click.IntRange(1, 10_000), default=10, show_default=True)
@click.option("--honest-rate", type=FiniteRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="How often an honest packet is taken for dirty, for the sequential plan.")  # fmt: skip
@click.option(
    "--trials", type=click.IntRange(0, 100_000), default=0, show_default=True, help="Draws by hashes, for each row."
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@json_option
def replay_plan(
    packets: int,
    lengths: str,
    dirty_share: float,
    miss: float,
    strata: int,
    honest_rate: float,
    trials: int,
    seed: int,
    as_json: bool,
) -> None:
    """How many packets to run again, by four plans, and how often each finds dirt that each adversary hides."""
    lengths_s = lengths_of(lengths, packets, mean_s=60.0, seed=seed)
    try:
        plans = plans_for(lengths_s, dirty_share, miss, strata=strata)
        sequential = SequentialPlan(dirty_share_max=dirty_share, miss_probability=miss, honest_rate=honest_rate)
    except ValueError as fault:
        raise InputError(f"there is no such plan: {fault}", where="plan sampling replay",
                         remedy=f"at most {DRAWN_MAX} packets are drawn; a larger share or miss needs fewer") from None  # fmt: skip
    found = power_table(plans, lengths_s, dirty_share, trials=trials, seed=seed)
    if as_json:
        print_json(
            {
                "plans": [{"name": plan.name, **plan.selection.model_dump(mode="json")} for plan in plans],
                "power": [dataclasses.asdict(row) for row in found],
                "sequential_clean_points": sequential.clean_points, "trials": trials, "seed": seed,
            }
        )  # fmt: skip
        return
    click.echo(f"{packets} packets, {lengths} lengths; a dirty share of {100 * dirty_share:g} % is to be missed at most "
               f"{100 * miss:g} % of the time. Power, that is how often a dirty packet is drawn:")  # fmt: skip
    _table(*_power_table(plans, found))
    click.echo(f"\nOne may look after every point (`time`), and is sure after {sequential.clean_points} clean ones. What is refused"
               " or cannot be run counts as dirty.")  # fmt: skip
    bound = dirty_share_upper(plans[2].selection.count, miss)
    click.echo(f"All {plans[2].selection.count} points clean: at most {100 * bound:.3g} % of the time is dirty.")


def _power_table(plans: Sequence[Plan], found: Sequence[Power]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Adversaries down, plans across."""
    names = list(dict.fromkeys(row.adversary for row in found))
    header = ("adversary", "dirty", *(f"{plan.name}: {plan.selection.count}" for plan in plans))
    body = []
    for name in names:
        mine = [row for row in found if row.adversary is name]
        cells = [
            f"{100 * row.power:.1f} %" + ("" if row.found is None else f" (drawn {100 * row.found:.1f})")
            for row in mine
        ]
        body.append((name.value, str(mine[0].dirty_packets), *cells))
    least = [f"{100 * min(row.power for row in found if row.plan == plan.name):.1f} %" for plan in plans]
    return header, [*body, ("least", "", *least)]


@sampling.command("chips")
@click.option("--flop", type=_POSITIVE, default=1e25, show_default=True, help="Of the run that is to be seen.")
@click.option(
    "--chips", type=_POSITIVE, default=1e5, show_default=True, help="Of the fleet; of each prover with --provers."
)
@click.option("--flop-per-day", type=_POSITIVE, default=1e15 * 86_400, show_default=True, help="Of one chip.")
@click.option("--run-days", type=_POSITIVE, default=30.0, show_default=True)
@click.option("--period-days", type=_POSITIVE, default=30.0, show_default=True, help="From one inspection to the next.")
@click.option("--logs-per-day", type=_POSITIVE, default=0.1, show_default=True)
@click.option("--probability", type=_SHARE, default=0.9, show_default=True)
@click.option("--provers", type=click.IntRange(1, 1000), default=1, show_default=True, help="That may share the run.")
@click.option("--cost", type=FiniteRange(min=0), help="Of the inspection of one chip.")
@json_option
def chips_plan(
    flop: float,
    chips: float,
    flop_per_day: float,
    run_days: float,
    period_days: float,
    logs_per_day: float,
    probability: float,
    provers: int,
    cost: float | None,
    as_json: bool,
) -> None:
    """How many chips to inspect, so that a run does not stay unseen (arXiv 2303.11341), exactly and to first order."""
    each = Fleet(
        chips=chips, flop_per_day=flop_per_day, run_days=run_days, period_days=period_days, logs_per_day=logs_per_day
    )
    whole = dataclasses.replace(each, chips=chips * provers)
    found = samples(whole, flop, probability)
    facts: dict[str, object] = dataclasses.asdict(found) | {
        "feasible": found.feasible, "chip_days": chip_days(flop, flop_per_day), "flop_seen_for_certain_from": 2 * flop,
    }  # fmt: skip
    if found.exact is not None and found.annual_exact is not None:
        per_run = found.exact * run_days / period_days
        facts["stretched_100_fold"] = stretched_detection(found.seen_share, per_run, 100)
        facts["shared_evenly_but_sampled_alone"] = pooled([each] * provers, flop, probability).alone
        facts["cost_per_year"] = None if cost is None else annual_cost(found.annual_exact, cost)
    if as_json:
        print_json(facts)
        return
    if not found.feasible:
        click.echo(
            f"infeasible: the run needs {found.busy_share:.3g} times the fleet within {run_days:g} days; no sample is needed"
        )
        return
    _table(("", ""), [(name.replace("_", " "), _number(value)) for name, value in facts.items() if value is not None])


@sampling.command("packets")
@click.option("--share", type=_SHARE, default=0.01, show_default=True, help="Of all packets, recomputed at random.")
@click.option(
    "--packet", "packet_h100_hours", type=_POSITIVE, default=100.0, show_default=True, help="H100-hours of one."
)
@click.option(
    "--chips", type=_POSITIVE, default=100.0, show_default=True, help="H100-equivalents that do something else."
)
@click.option("--hours", type=_POSITIVE, default=720.0, show_default=True, help="For how long.")
@click.option("--probability", type=_SHARE, default=0.99, show_default=True)
@json_option
def packets_plan(
    share: float, packet_h100_hours: float, chips: float, hours: float, probability: float, as_json: bool
) -> None:
    """How soon false packets are found where a share of all packets is recomputed."""
    plan = Recomputation(share=share, packet_h100_hours=packet_h100_hours)
    facts = {
        "false_packets": plan.false_packets(chips, hours),
        "detection_first_order": plan.detection(chips, hours), "detection_exact": plan.detection(chips, hours, exact=True),
        "packets_first_order": plan.packets_for(probability), "packets_exact": plan.packets_for(probability, exact=True),
        "h100_hours_first_order": plan.work_for(probability), "h100_hours_exact": plan.work_for(probability, exact=True),
    }  # fmt: skip
    if as_json:
        print_json(facts)
        return
    _table(("", ""), [(name.replace("_", " "), _number(value)) for name, value in facts.items()])


@sampling.command("totals")
@click.option("--gap", type=_SHARE, default=0.3, show_default=True, help="What one node leaves out of its work.")
@click.option("--noise", type=FiniteRange(min=0), default=0.02, show_default=True, help="Of a meter of one node.")
@click.option(
    "--shared-noise", type=FiniteRange(min=0), default=0.005, show_default=True, help="That all meters share."
)
@click.option(
    "--packets", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Of a node in an epoch."
)
@click.option("--share", type=_SHARE, default=0.05, show_default=True, help="Of packets, recomputed at random.")
@click.option("--false-alarm", type=_SHARE, default=0.01, show_default=True)
@click.option("--trials", type=click.IntRange(100, 1_000_000), default=20_000, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@json_option
def totals_plan(
    gap: float,
    noise: float,
    shared_noise: float,
    packets: int,
    share: float,
    false_alarm: float,
    trials: int,
    seed: int,
    as_json: bool,
) -> None:
    """Why a check of totals goes blind as a fleet grows, and one of packets does not."""
    nodes = audit.Nodes(gap=gap, noise=noise, shared_noise=shared_noise, packets=packets)
    drawn_trials = min(trials, 300)
    found = [
        {
            "nodes": count, "gap_of_total": gap / count,
            "total_detects": audit.total_detection(nodes, count, false_alarm, trials=trials, seed=seed),
            "packets_detect": audit.spot_detection(nodes, share),
            "packets_detected": audit.spot_detection_simulated(nodes, count, share, trials=drawn_trials, seed=seed),
        }
        for count in (1, 4, 16, 64, 256)
    ]  # fmt: skip
    if as_json:
        print_json({"rows": found, "trials": trials, "trials_of_packets": drawn_trials})
        return
    _table(
        ("nodes", "gap of the total", "total sees it", "packets see it", f"packets, {drawn_trials} trials"),
        [
            (str(r["nodes"]), *(f"{100 * r[name]:.2f} %" for name in
             ("gap_of_total", "total_detects", "packets_detect", "packets_detected")))
            for r in found
        ],
    )  # fmt: skip


def _number(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _table(header: Sequence[str], body: Sequence[Sequence[str]]) -> None:
    table = Table(show_edge=False, box=None, show_header=any(header))
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number < 2 else "right", overflow="fold")
    for row in body:
        table.add_row(*row)
    Console(width=WIDTH, highlight=False).print(table)
