"""Portfolios: the optimum against a search over every choice, and a large fleet against a greedy one: `python -m bench portfolio`.

1. 200 random small fleets: cost and smallest reachable bound against brute force. Exits 1 if any differs.
2. 500 clusters and 15 mechanisms (and those for the whole fleet): time, proved gap, and the cost of a greedy choice in the same
   run. Exits 1 if it takes 60 s or more, or the gap is above 1 %.

Greedy: every cluster has its cheapest set; then, again and again, the one change that buys most reduction of the run for its cost.
The programme costs of all mechanisms it starts are then paid. SciPy's `milp` is the same solver (HiGHS), so it is no peer.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.planning.portfolio import FLEET, Question, cheapest, tightest
from inspectorate.planning.portfolio.model import cost_of
from inspectorate.planning.portfolio.options import Maker, fleet_options, scenes_of
from inspectorate.planning.portfolio.solve import stretch_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "planning"))
from portfolio_fleets import brute_force, large_question, small_question

TIME_MAX_S, GAP_MAX = 60.0, 0.01


def small(count: int) -> tuple[int, int, int]:
    """Fleets with a plan, fleets without, and fleets on which the two differ."""
    with_plan = without = differ = 0
    for seed in range(count):
        question = small_question(seed)
        best, found, nearest = brute_force(question), cheapest(question), tightest(question)
        same = (found is None) == (best.cost is None) and (nearest is None) == (best.stretch is None)
        if same and found is not None and best.cost is not None:
            same = abs(found.cost - best.cost) <= 1e-6 * max(1.0, best.cost)
        if same and nearest is not None and best.stretch is not None:
            same = abs(nearest.stretch - best.stretch) <= 1e-6 * best.stretch + 1e-9
        differ += not same
        with_plan += found is not None
        without += found is None
    return with_plan, without, differ


def greedy(question: Question) -> float | None:
    """What a greedy choice costs; none if it does not come within the bound. Leading is counted as adding, on the safe side."""
    scenes = scenes_of(question)
    maker = Maker(question, scenes)
    each = np.repeat(scenes.limits, len(scenes.failed))
    options = [fleet_options(question, scenes, scenes.limits)]
    options += [maker.options(cluster, scenes.limits) for cluster in question.fleet.clusters]
    rows = [int(one.cost.argmin()) for one in options]
    rows[0] = int(options[0].cover.sum(axis=1).argmax())  # subgoals are seen to everywhere
    names = [FLEET, *(cluster.id for cluster in question.fleet.clusters)]
    while True:
        chosen = {name: one.names(row) for name, one, row in zip(names, options, rows, strict=True)}
        if stretch_of(question, chosen, scenes) <= 1:
            return cost_of(question, chosen)
        best: tuple[float, int, int] | None = None
        for number, (one, row) in enumerate(zip(options, rows, strict=True)):
            if number == 0:
                continue
            gain = ((one.adds[row] - one.adds) / each).max(axis=1)
            price = np.maximum(one.cost - one.cost[row], 1.0)
            rate = np.where(gain > 0, gain / price, 0.0)
            at = int(rate.argmax())
            if rate[at] > 0 and (best is None or rate[at] > best[0]):
                best = (float(rate[at]), number, at)
        if best is None:
            return None
        rows[best[1]] = best[2]


def main() -> int:
    """Print both tables, and whether the targets are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=200)
    parser.add_argument("--clusters", type=int, default=500)
    parser.add_argument("--mechanisms", type=int, default=15)
    parser.add_argument("--failures", type=int, default=0, help="of trust roots, in the large fleet")
    given = parser.parse_args()
    with_plan, without, differ = small(given.small)
    print(f"{given.small} small fleets: {with_plan} with a plan, {without} without; {differ} differ from brute force")
    missed = bool(differ)
    table = Table(show_edge=False)
    for column in (
        "clusters",
        "mechanisms",
        "share allowed",
        "time",
        "proved gap",
        "options",
        "cost a year",
        "greedy / optimum",
    ):
        table.add_column(column, justify="right")
    for seed, share in ((1, 0.01), (2, 0.03), (3, 0.1)):
        question = large_question(seed, given.clusters, given.mechanisms, share=share, failures=given.failures)
        started = time.perf_counter()
        found = cheapest(question)
        took = time.perf_counter() - started
        if found is None:
            missed = True
            continue
        if given.failures:  # the greedy choice would weigh every way of failing at every step: hours
            ratio = "-"
        else:
            other = greedy(question)
            ratio = "breaks the bound" if other is None else f"{other / found.cost:.3f}"
        table.add_row(str(given.clusters), str(given.mechanisms), f"{share:g}", f"{took:.1f} s", f"{found.gap:.3%}",
                      f"{found.columns:,}", f"{found.cost:,.0f}", ratio)  # fmt: skip
        missed |= took >= TIME_MAX_S or found.gap > GAP_MAX
    Console(width=120).print(table)
    print("MISSED" if missed else f"equal to brute force, and within {GAP_MAX:.0%} in under {TIME_MAX_S:g} s")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
