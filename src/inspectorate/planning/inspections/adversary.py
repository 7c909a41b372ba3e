"""The prover's best answer to a mixture of visit lists: which places to use, and a bound that nothing beats.

What it maximises is F(R(k)) * sum_m x_m M(k, n_m), with F(R) = R (`Aim` without a size), or F(R) = 1 for runs of at least a size
and 0 below: then the answer is how likely a run of that size stays unseen.

1. Ascent: from several starts, one kind after the other takes the best count given all others, until nothing changes.
2. Branch and bound over boxes lo <= k <= hi. In a box nothing exceeds
   (a) F(R(hi)) * sum_m x_m M(lo, n_m), since R rises and M falls in every count;
   (b) sum_m x_m * max over k of R(k) M(k, n_m), each list for itself, where for any t > 0, since log is concave,
       log R <= log t - 1 + R/t   and   R <= L(hi) + sum_c base_c k_c:
       log (R M) <= log t - 1 + L(hi)/t + sum_c max over k_c of ( base_c k_c / t + log M_c(k_c, n_m) ),
       a maximum for each kind alone. The least over some t is taken.
       With a size r: log M <= (L(hi) - r)/t + the same sum, by Lagrange's multiplier 1/t.
   A box of one point is evaluated. The box with the largest bound is split first; what is left when nodes run out is the bound.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inspectorate.planning.inspections.game import Counts, Floats, Game, survival

STEPS_OF_T: Final = 6
ASCENTS_MAX: Final = 50
STARTS_MAX: Final = 6


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What the prover wants: as much as it can expect; or, with a size, that a run at least as large stays unseen."""

    size_flop: float | None = None

    def worth(self, run_flop: float) -> float:
        if self.size_flop is None:
            return run_flop
        return 1.0 if run_flop >= self.size_flop * (1 - 1e-12) else 0.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The best use of places that was found, what it gives, and what no use exceeds."""

    used: Counts
    value: float
    bound: float
    nodes: int = 0


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Visit lists as flat tables of log misses, shape (lists, width), with their probabilities."""

    game: Game
    table: Floats
    weights: Floats

    def value(self, used: Counts, aim: Aim) -> float:
        return aim.worth(self.game.run_flop(used)) * float(self.weights @ survival(self.game, self.table, used))


def ascend(mixture: Mixture, aim: Aim, start: Counts) -> tuple[Counts, float]:
    """Step 1 from one start."""
    game, table, used = mixture.game, mixture.table, start.copy()
    best = mixture.value(used, aim)
    logs = table[:, game.starts + used].sum(axis=1)
    leads: NDArray[np.bool_] = np.asarray(game.lead.any(axis=1))
    for _ in range(ASCENTS_MAX):
        before = best
        for c in range(len(game.kinds)):
            first, count = int(game.starts[c]), int(game.counts[c])
            others = logs - table[:, first + used[c]]
            misses = (mixture.weights * np.exp(others)) @ np.exp(table[:, first : first + count + 1])
            values = _runs(game, used, c, leads, aim) * misses
            place = int(np.argmax(values))
            if values[place] > best * (1 + 1e-12):
                used[c], best = place, float(values[place])
                logs = others + table[:, first + place]
        if best <= before * (1 + 1e-12):
            break
    return used, best


def _runs(game: Game, used: Counts, kind: int, leads: NDArray[np.bool_], aim: Aim) -> Floats:
    """What a run is worth for every count of one kind, all others as they are."""
    had, used[kind] = used[kind], 0
    among = (used > 0) & leads
    lead = game.lead[among].max(axis=0) if among.any() else np.zeros(game.lead.shape[1])
    runs = float(game.base @ used) + game.base[kind] * np.arange(game.counts[kind] + 1)
    used[kind] = had
    runs += float(lead.sum())
    if leads[kind]:
        runs[1:] += float(np.maximum(game.lead[kind] - lead, 0.0).sum())
    runs = np.minimum(runs, game.cap_flop)
    if aim.size_flop is not None:
        runs = (runs >= aim.size_flop * (1 - 1e-12)).astype(np.float64)
    worths: Floats = runs
    return worths


def quick_answer(mixture: Mixture, aim: Aim, more: tuple[Counts, ...] = ()) -> list[tuple[Counts, float]]:
    """Step 1 from all places, from the kinds that give most, each alone, and from `more`; the best first, each once."""
    game = mixture.game
    starts: list[Counts] = [game.counts.copy(), *more]
    open_ = mixture.weights @ np.exp(mixture.table[:, game.starts + game.counts])
    held = (game.base * game.counts + game.lead.sum(axis=1)) * open_
    for c in np.argsort(-held, kind="stable")[:STARTS_MAX]:
        alone = np.zeros_like(game.counts)
        alone[c] = game.counts[c]
        starts.append(alone)
    found: dict[tuple[int, ...], float] = {}
    for start in starts:
        used, value = ascend(mixture, aim, start)
        found[tuple(used.tolist())] = value
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return [(np.array(used, dtype=np.int64), value) for used, value in ranked]


def best_answer(mixture: Mixture, aim: Aim, *, tolerance: float, nodes_max: int, floor: float = 0.0) -> Answer:
    """Step 2: the best use of places, exact to `tolerance` where the nodes suffice. Boxes below `floor` are not searched."""
    game = mixture.game
    used, value = quick_answer(mixture, aim)[0]
    order = itertools.count()
    root = (np.zeros_like(game.counts), game.counts.copy())
    heap = [(-_bound(mixture, aim, *root), next(order), *root)]
    nodes, closed = 0, max(value, floor)
    while heap and nodes < nodes_max and -heap[0][0] > max(value, floor) * (1 + tolerance):
        _, _, low, high = heapq.heappop(heap)
        nodes += 1
        for child in _split(mixture, low, high):
            bound = _bound(mixture, aim, *child)
            if nodes % 8 == 0 or (child[0] == child[1]).all():
                tried, reached = (
                    (child[0], mixture.value(child[0], aim))
                    if (child[0] == child[1]).all()
                    else ascend(mixture, aim, child[1])
                )
                if reached > value:
                    used, value = tried, reached
            if bound > max(value, floor) * (1 + tolerance):
                heapq.heappush(heap, (-bound, next(order), *child))
    if heap:
        closed = max(closed, -heap[0][0])
    # Boxes that were cut had at most this much more.
    bound = min(max(closed, max(value, floor) * (1 + tolerance)), aim.worth(game.run_flop(game.counts)))
    return Answer(used=used, value=value, bound=max(bound, value), nodes=nodes)


def _split(mixture: Mixture, low: Counts, high: Counts) -> tuple[tuple[Counts, Counts], ...]:
    """Two halves along the kind on which the lists, each for itself, disagree most; whether a kind is used at all comes first."""
    game = mixture.game
    table, parts = _inside(game, mixture.table, low, high)
    size = max(game.run_flop(high) / 3, 1e-300)
    table = table + parts / size
    each = np.stack(
        [
            np.argmax(table[:, start : start + count + 1], axis=1)
            for start, count in zip(game.starts, game.counts, strict=True)
        ],
        axis=1,
    )
    apart = mixture.weights @ np.abs(each - mixture.weights @ each)
    wide = apart * (game.base + game.lead.sum(axis=1) / np.maximum(high, 1))
    wide += 1e-6 * (np.where(low == 0, game.lead.sum(axis=1), 0.0) + game.base * (high - low))
    wide = np.where(high > low, wide + 1e-300, -1.0)
    c = int(np.argmax(wide))
    middle = 0 if low[c] == 0 and high[c] > 0 else int((low[c] + high[c]) // 2)
    left, right = high.copy(), low.copy()
    left[c], right[c] = middle, middle + 1
    return (low, left), (right, high)


def _inside(game: Game, table: Floats, low: Counts, high: Counts) -> tuple[Floats, Floats]:
    """The table with nothing outside of a box, and what each count adds to the run."""
    counts = np.arange(game.width) - np.repeat(game.starts, game.counts + 1)
    inside = (counts >= np.repeat(low, game.counts + 1)) & (counts <= np.repeat(high, game.counts + 1))
    return np.where(inside, table, -np.inf), np.repeat(game.base, game.counts + 1) * counts


def _bound(mixture: Mixture, aim: Aim, low: Counts, high: Counts) -> float:
    """The smaller of bounds (a) and (b)."""
    game = mixture.game
    most = game.run_flop(high)
    worth = aim.worth(most)
    if worth == 0 or (low == high).all():
        return mixture.value(low, aim) if worth else 0.0
    least_looked = worth * float(mixture.weights @ survival(game, mixture.table, low))
    used = game.lead[high > 0]
    led = float(used.max(axis=0).sum()) if len(used) else 0.0
    whole = float(game.base @ high) + led
    table, parts = _inside(game, mixture.table, low, high)
    least = np.full(len(mixture.weights), np.inf)
    lowest = max(game.run_flop(low), most / 50, 1e-300)
    sizes = np.geomspace(lowest, max(whole, lowest * (1 + 1e-9)), STEPS_OF_T)
    if aim.size_flop is not None:
        sizes = max(whole, 1.0) * np.geomspace(0.02, 50, STEPS_OF_T + 4)
    for t in sizes:
        free = np.maximum.reduceat(table + parts / t, game.starts, axis=1).sum(axis=1)
        head = np.log(t) - 1 + led / t if aim.size_flop is None else (led - aim.size_flop) / t
        least = np.minimum(least, head + free)
    each = np.exp(np.minimum(least, 700.0))
    each = np.minimum(each, worth if aim.size_flop is None else 1.0)
    return min(least_looked, float(mixture.weights @ each))
