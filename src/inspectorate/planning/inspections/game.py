"""The game that a plan of inspections is an answer to: who hides a run, and who looks.

Places. A *place* is some cells that one look looks at: those of a pod, or of a site, that rest on one basis, or chips elsewhere.
Places that are alike (same part in a run, same looks at the same cost, same site) are of one *kind*; a kind counts its places.

The prover chooses, per kind, how many places k it uses for one run. What it gets is R(k), the largest run in those places:

    R(k) = min( cap, sum_c base_c k_c + sum_s max { lead_cs : k_c > 0 } )

`base` is what a place adds where another leads (its verified further contribution, or all of it), `lead` what it adds on top in
segment s of the time if it leads there: the rule of the account (rule 3 (a)), of which this is the value where all places
are used. Where contributions fall after the second pod, the account is smaller than the sum; the cap is the account's own number.

The verifier chooses a *visit list*: per kind one look (a method with power q and cost) and how many places n get it, within
inspector-days (travel to each visited site once) and visits. Which n of the N places are met is drawn uniformly. A look at a
place that is used finds it with probability q, independently of other looks; one find ends the run. So a run with k survives
a list with probability

    M(k, n) = prod_c E[(1 - q_c)^X],   X hypergeometric (N_c places, k_c used, n_c looked at).

Why counts suffice: the game of single places does not change when places of one kind are exchanged. Averaging a mixed
strategy over all exchanges gives one with the same guarantee, and it is a mixture of counts with uniform choice within a
kind. So the reduced game has the value of the full one (checked by enumeration of single places in the tests).

The game is zero-sum: R(k) M(k, n) is what the prover can expect to train unseen. The prover knows the mixture, not the draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LOG_MISS_MIN: Final = -60.0
"""A miss of less than e^-60 is taken for e^-60: never in favour of the verifier."""
PLACES_OF_KIND_MAX: Final = 2_000
"""More alike places make a second kind, which changes no value (a smaller group of exchanges)."""
KINDS_MAX: Final = 40
OWN_SITE: Final = -1
"""The place of a kind each stand at a site of their own: travel is within the cost, and each look is a visit."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """One way to look at the places of one kind."""

    method: str
    power: float
    """Probability to find the run, if the place is used for it."""
    days: float
    """Inspector-days for one place, at the most that a place of the kind costs."""
    days_min: float
    """The same for the place that costs least; the lower bound of the value counts with it."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Places that are alike."""

    name: str
    places: tuple[str, ...]
    site: int
    base_flop: float
    lead_flop: Floats
    """By segment of the time."""
    looks: tuple[Look, ...]

    @property
    def count(self) -> int:
        return len(self.places)


def best_per_day(kind: Kind) -> int:
    """The look that finds most per inspector-day; -1: there is none."""
    ranked = [(look.power / max(look.days, 1e-9), look.power, -i) for i, look in enumerate(kind.looks)]
    return -max(ranked)[2] if ranked else -1


@dataclass(frozen=True, kw_only=True)
class Game:
    """Everything that both sides know."""

    kinds: tuple[Kind, ...]
    travel_days: tuple[float, ...]
    """Of a visit to each site, in inspector-days."""
    days: float
    visits_max: int
    cap_flop: float
    sure: Floats | None = None
    """Log misses, for all counts of all kinds, of what is looked at in any case; none: nothing is."""
    starts: Counts = field(init=False)
    """Where the counts 0..N of each kind begin in a flat table."""
    counts: Counts = field(init=False)
    base: Floats = field(init=False)
    lead: Floats = field(init=False)

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("there is no place to look at")
        counts = np.array([kind.count for kind in self.kinds], dtype=np.int64)
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "starts", np.concatenate(([0], np.cumsum(counts + 1)[:-1])))
        object.__setattr__(self, "base", np.array([kind.base_flop for kind in self.kinds]))
        object.__setattr__(self, "lead", np.array([kind.lead_flop for kind in self.kinds]).reshape(len(counts), -1))

    def surely(self, used: Counts) -> Floats:
        """The chance to escape what is looked at in any case; one row of `used` for each use."""
        zero: Floats = np.zeros(used.shape[:-1])
        if self.sure is None:
            return np.exp(zero)
        escapes: Floats = np.exp(self.sure[self.starts + used].sum(axis=-1))
        return escapes

    @property
    def width(self) -> int:
        return int((self.counts + 1).sum())

    def run_flop(self, used: Counts) -> float:
        """R(k), the largest run in the used places."""
        lead = self.lead[used > 0]
        led = float(lead.max(axis=0).sum()) if len(lead) else 0.0
        return min(self.cap_flop, float(self.base @ used) + led)


@dataclass(frozen=True, kw_only=True)
class Visits:
    """A visit list: per kind the look that is taken (-1: none) and at how many places."""

    look: tuple[int, ...]
    number: tuple[int, ...]

    @classmethod
    def none(cls, game: Game) -> Visits:
        return cls(look=(-1,) * len(game.kinds), number=(0,) * len(game.kinds))

    def having(self, kind: int, look: int, number: int) -> Visits:
        """The same list but for one kind."""
        looks, numbers = list(self.look), list(self.number)
        looks[kind], numbers[kind] = (look, number) if number else (-1, 0)
        return Visits(look=tuple(looks), number=tuple(numbers))

    def sites(self, game: Game) -> set[int]:
        return {game.kinds[c].site for c, n in enumerate(self.number) if n and game.kinds[c].site != OWN_SITE}

    def days(self, game: Game) -> float:
        looks = sum(
            game.kinds[c].looks[i].days * n for c, (i, n) in enumerate(zip(self.look, self.number, strict=True)) if n
        )
        return looks + sum(game.travel_days[site] for site in sorted(self.sites(game)))

    def visits(self, game: Game) -> int:
        own = sum(n for c, n in enumerate(self.number) if game.kinds[c].site == OWN_SITE)
        return own + len(self.sites(game))

    def fits(self, game: Game) -> bool:
        return self.days(game) <= game.days * (1 + 1e-12) and self.visits(game) <= game.visits_max


@lru_cache(maxsize=4096)
def log_miss(places: int, looked: int, power: float) -> Floats:
    """log E[(1 - q)^X] for every number of used places 0..N, X hypergeometric: how a run in them escapes `looked` looks."""
    used = np.arange(places + 1)
    if not looked or power == 0:
        return np.zeros(places + 1)
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, places + 1)))))

    def log_choose(n: Counts | int, k: Counts) -> Floats:
        inside = (k >= 0) & (k <= n)
        k = np.where(inside, k, 0)
        rest = np.where(inside, n - k, 0)
        return np.where(inside, logs[n] - logs[k] - logs[rest], -np.inf)

    escape = np.log1p(-power) if power < 1 else -np.inf
    total = np.full(places + 1, -np.inf)
    for met in range(looked + 1):
        if met and escape == -np.inf:
            break
        chance = log_choose(used, np.full_like(used, met)) + log_choose(places - used, np.full_like(used, looked - met))
        total = np.logaddexp(total, chance + (met * escape if met else 0.0))
    table: Floats = np.clip(total - float(log_choose(places, np.array([looked]))[0]), LOG_MISS_MIN, 0.0)
    table.setflags(write=False)
    return table


def log_misses(game: Game, visits: Visits, powers: Sequence[Sequence[float]] | None = None) -> Floats:
    """The flat table of one list: log of each kind's factor of M(k, n), for all k, without what is looked at in any case.

    `powers` replaces those of the looks.
    """
    parts = []
    for c, kind in enumerate(game.kinds):
        look, number = visits.look[c], visits.number[c]
        power = 0.0
        if number:
            power = kind.looks[look].power if powers is None else powers[c][look]
        parts.append(log_miss(kind.count, number, power))
    return np.concatenate(parts)


def survival(game: Game, table: Floats, used: Counts) -> Floats:
    """M(k, n) of one or several lists (rows of `table`) for the used places k."""
    logs: Floats = np.exp(table[..., game.starts + used].sum(axis=-1))
    return logs
