"""Plans of inspections: against everything written out, against a prover who best-responds, and at size.

`python -m bench inspection_plans`; parts alone by `python -m bench.inspection_plans --games 0 --played 0 --only N`:

1. random small games: the certified value against the linear program over all visit lists and all uses of single places;
2. the same kind of games, played: lists are drawn by seed, places by rank, and every use of single places is paid what it gets. The
   best of them is held against the value; uniform chance and the greedy list are played in the same run;
3. large fleets: the quick and the full search, what the plan guarantees, and the other ways by the same measure.

Exits 1 where a value is off by more than 1e-5, or where the best use gains more than the value by over 1 % of the largest run,
or where uniform chance is proved better than the plan.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.planning.inspections.build import Limits
from inspectorate.planning.inspections.candidates import EFFORT_QUICK, Question, best_plan
from inspectorate.planning.inspections.compared import answer_to, greedy, pinned, uniform
from inspectorate.planning.inspections.equilibrium import Effort, equilibrium
from inspectorate.planning.inspections.game import Floats, Game, Visits
from inspectorate.planning.inspections.methods import Methods, Whereabouts
from inspectorate.planning.inspections.places import Open, Place, in_segments

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "planning"))
import inspections_oracle as oracle

GAMES, PLAYED, DRAWS = 200, 8, 40_000
FLEETS = ((20, 10, 720, 0.01, False), (20, 10, 720, 1.0, False), (500, 40, 720, 0.01, True), (500, 40, 720, 1.0, True))
"""Sites, pods of each, hours, what a further pod adds, whether places are sites."""
OFF_MAX = 1e-5
LARGE = (
    "fleet",
    "places",
    "kinds",
    "gets",
    "at most",
    "at least",
    "CPU s",
    "uniform: gets, most",
    "greedy: gets, most",
)
GAIN_MAX = 0.01


def against_everything(games: int) -> float:
    """The largest relative error of both bounds."""
    worst = 0.0
    for seed in range(games):
        game = oracle.random_game(np.random.default_rng(seed), places_max=6)
        value, found = oracle.value_of(oracle.payoffs(game)), equilibrium(game)
        if value > 1e-9:
            worst = max(worst, abs(found.upper / value - 1), abs(found.lower / value - 1))
    return worst


def played(game: Game, lists: tuple[Visits, ...], weights: Floats, rng: np.random.Generator, draws: int) -> float:
    """What the best use of single places gets on average, over drawn lists and drawn places."""
    places = [(c, p) for c, kind in enumerate(game.kinds) for p in range(kind.count)]
    uses = list(oracle.every_use(game))
    member = np.array([[place in used for place in places] for used in uses], dtype=np.float64)
    runs = np.array([oracle.run_of(game, used) for used in uses])
    escaped = np.zeros(len(uses))
    for number, times in zip(
        *np.unique(rng.choice(len(weights), size=draws, p=weights), return_counts=True), strict=True
    ):
        visits = lists[number]
        log_miss = np.zeros((times, len(places)))
        for c, kind in enumerate(game.kinds):
            own = [i for i, (k, _) in enumerate(places) if k == c]
            if visits.number[c]:
                order = np.argsort(rng.random((times, kind.count)), axis=1)[:, : visits.number[c]]
                miss = np.log(max(1e-300, 1 - kind.looks[visits.look[c]].power))
                np.put_along_axis(log_miss, np.array(own)[order], miss, axis=1)
        escaped += np.exp(log_miss @ member.T).sum(axis=0)
    return float((runs * escaped / draws).max())


def fleet(sites: int, pods: int, hours: int, further: float, *, by_site: bool) -> tuple[Open, Whereabouts]:
    """Sites of 8 to 128 chips a pod; signatures bound 5 % but for a gap of up to a day, somewhere else at each site."""
    rng = np.random.default_rng(1)
    found: list[Place] = []
    for site in range(sites):
        cell = float(rng.choice([8, 16, 32, 64, 128])) * 990e12 * 0.6 * 3600
        start, length = int(rng.integers(0, hours - 24)), int(rng.integers(1, 24))
        gap = np.zeros(hours, dtype=bool)
        gap[start : start + length] = True
        held = np.where(gap, cell, 0.05 * cell)
        for part, mask in (("all", np.ones(hours, dtype=bool)),) if by_site else (("gap", gap), ("rest", ~gap)):
            count = pods if by_site else 1
            hidden = np.where(mask, held, 0.0)
            found += [
                Place(
                    name=f"s{site:03d}.p{pod:03d}: {part}", pods=(f"s{site:03d}.p{pod:03d}",), basis=(part,), site=site,
                    hidden_flop=float(hidden.sum()) * count, base_flop=float(hidden.sum()) * further * count,
                    lead_flop=hidden * (1 - further), pods_looked_at=count, pod_hours=float(mask.sum()) * count, when=mask,
                    run_without_flop=0.0,
                )
                for pod in range(1 if by_site else pods)
            ]  # fmt: skip
    places = in_segments(found)
    run = sum(p.base_flop for p in places) + float(np.array([p.lead_flop for p in places]).max(axis=0).sum())
    at = Whereabouts(
        sites=tuple(f"s{site:03d}" for site in range(sites)), travel_days=tuple(2.0 + site % 3 for site in range(sites)),
        of_pod={}, notes=(),
    )  # fmt: skip
    return Open(places=tuple(places), run_flop=run, elsewhere_flop=0.0, intervals=(), by_site=by_site), at


def large(table: Table, case: tuple[int, int, int, float, bool]) -> bool:
    """One fleet: the plan, and the others by the same measure; false where another is proved better."""
    sites, pods, hours, further, by_site = case
    ways = [fleet(sites, pods, hours, further, by_site=way) for way in ((True,) if by_site else (False, True))]
    limits = Limits(days=200.0 if by_site else 60.0, visits=10 if by_site else 5)
    for name, effort in (("quick", EFFORT_QUICK), ("full", None)):
        cpu = time.process_time()
        asked = Question(at=ways[0][1], methods=Methods.read(None), limits=limits, sure={}, effort=effort)
        chosen = best_plan([open_ for open_, _ in ways], asked)
        cpu = time.process_time() - cpu
        found, game, whole = chosen.found, chosen.built.game, chosen.open_.run_flop
        known, there = pinned(game, greedy(game)[0])
        foreseen = answer_to(known, (there,), np.ones(1), chosen.effort)
        table.add_row(
            f"{sites} x {pods}, {further:g}, {name}", "sites" if chosen.open_.by_site else "pods",
            f"{len(game.kinds)} ({chosen.built.ratio:.3g})", f"{found.found / whole:.4f}", f"{found.upper / whole:.4f}",
            f"{chosen.least / whole:.4f}", f"{cpu:.1f}", f"{chosen.uniform_gets / whole:.4f}, {chosen.uniform_at_most / whole:.4f}",
            f"{foreseen.value / whole:.4f}, {foreseen.bound / whole:.4f}",
        )  # fmt: skip
    return found.upper <= chosen.uniform_at_most * (1 + 1e-4)


def main() -> int:
    """Print three tables, and whether they may be so."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--games", type=int, default=GAMES)
    parser.add_argument("--played", type=int, default=PLAYED)
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--fleets", type=int, default=len(FLEETS))
    parser.add_argument("--only", type=int, help="one of the fleets, by its number")
    asked = parser.parse_args()
    worst = against_everything(asked.games)
    print(f"{asked.games} small games: certified value and written-out value differ by at most {worst:.1e}", flush=True)
    missed = worst > OFF_MAX
    rng, console = np.random.default_rng(7), Console(width=140)
    table = Table(
        show_edge=False,
        title=f"{asked.draws} draws: what the best use gets, of the largest run",
    )
    for column in ("game", "value", "this plan", "uniform chance", "greedy list"):
        table.add_column(column)
    for seed in range(asked.played):
        game = oracle.random_game(np.random.default_rng(1000 + seed), places_max=7)
        whole, found = game.run_flop(game.counts) or 1.0, equilibrium(game)
        weights = np.array(found.weights) / sum(found.weights)
        mine = played(game, found.lists, weights, rng, asked.draws)
        chance = played(game, *uniform(game), rng, asked.draws)
        known, there = pinned(game, greedy(game)[0])
        foreseen = answer_to(known, (there,), np.ones(1), Effort()).value
        missed |= mine > found.upper + GAIN_MAX * whole
        table.add_row(str(seed), *(f"{value / whole:.4f}" for value in (found.upper, mine, chance, foreseen)))
    console.print(table)
    sizes = Table(show_edge=False, title="large fleets, as shares of the largest run")
    for column in LARGE:
        sizes.add_column(column)
    for case in FLEETS[: asked.fleets] if asked.only is None else (FLEETS[asked.only],):
        missed |= not large(sizes, case)
    console.print(sizes)
    print("MISSED" if missed else "within the targets")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
