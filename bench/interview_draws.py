"""Draws of interviewees: are they uniform, and do they reach as often as the closed form says? `python bench/interview_draws.py`.

10,000 rounds, each with a fresh secret and a fresh roster statement, drawn by the product's own code. Held against uniformity:

- entries: how often each was drawn. Counts of one stratum are not independent (each draw takes as many), so the sum of squares is
  scaled by (N - 1)/N and has N - 1 degrees of freedom.
- pairs: how often two were drawn together, after what the entries alone explain is taken away: the part of the counts that lies in
  the last eigenspace of the Johnson scheme J(N, 2), which has N(N - 3)/2 dimensions and one variance.
- pairs over two strata: independent, so the interaction that is left after rows and columns, (N - 1)(M - 1) dimensions.

p-values by the cube root of Wilson and Hilferty (1931). The share of draws that hold somebody who knows is printed beside
1 - C(N - K, n)/C(N, n); and a host that sees who is drawn and lets the first who know refuse, beside the worst case.
Exits 1 where a p-value is below 0.001, or a share further from its closed form than four standard errors.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from inspectorate.canonical import digest_of
from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.mechanisms.interviews.roster.draw import draw, order_of
from inspectorate.mechanisms.interviews.roster.listed import RosterList
from inspectorate.mechanisms.interviews.roster.people import Row, keep
from inspectorate.mechanisms.interviews.roster.selection import Number, Selection, sizes_of
from inspectorate.mechanisms.interviews.roster.sizes import chance_of_more

P_MIN = 0.001
STRATA = {"operations": 24, "research": 16}
SIZES = {"operations": 6, "research": 5}
KNOWING = {"operations": 3, "research": 4}


@dataclass(frozen=True)
class Uniformity:
    """One test of a set of draws."""

    what: str
    statistic: float
    freedom: int

    @property
    def p(self) -> float:
        """P(chi-square >= statistic), by Wilson and Hilferty."""
        spread = 2 / (9 * self.freedom)
        deviate = ((self.statistic / self.freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
        return math.erfc(deviate / math.sqrt(2)) / 2


def roster(randomly: random.Random) -> RosterList:
    rows = [
        Row(pseudonym=f"{name}-{n}", role="engineer", stratum=name)
        for name, people in STRATA.items()
        for n in range(people)
    ]
    return keep("bench", rows, salt=lambda: f"{randomly.getrandbits(256):064x}").listed()


def draws(count: int, randomly: random.Random, listed: RosterList) -> Iterator[tuple[int, ...]]:
    """Drawn entries of rounds that differ in their secret and in the roster's envelope."""
    selection = Selection(strata={name: Number(kind="number", count=size) for name, size in SIZES.items()})
    sizes = sizes_of(selection, listed)
    for _ in range(count):
        promise = Promise[Selection](secret=f"{randomly.getrandbits(256):064x}", selection=selection)
        randomness = Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promise))
        yield draw(order_of(seed_of(randomness, digest_of(randomly.randbytes(32))), listed), sizes)


def members(listed: RosterList) -> Mapping[str, list[int]]:
    return {name: [e for e in range(len(listed.persons)) if listed.stratum(e) == name] for name in listed.strata}


def drawn_matrix(found: list[tuple[int, ...]], people: int) -> NDArray[np.float64]:
    """A row for each draw, a column for each entry."""
    matrix = np.zeros((len(found), people))
    for row, entries in enumerate(found):
        matrix[row, list(entries)] = 1
    return matrix


def of_entries(name: str, matrix: NDArray[np.float64]) -> Uniformity:
    count, people = matrix.shape
    share = float(matrix[0].sum()) / people
    off = matrix.sum(axis=0) - count * share
    statistic = float((off**2).sum()) / (count * share * (1 - share)) * (people - 1) / people
    return Uniformity(f"entries of {name}", statistic, people - 1)


def of_pairs(name: str, matrix: NDArray[np.float64]) -> Uniformity:
    count, people = matrix.shape
    size = int(matrix[0].sum())
    together = matrix.T @ matrix
    np.fill_diagonal(together, 0)
    sums, total = together.sum(axis=1), together.sum() / 2
    left = together - (sums[:, None] + sums[None, :]) / (people - 2) + 2 * total / ((people - 1) * (people - 2))
    squares = float((left[np.triu_indices(people, 1)] ** 2).sum())
    held = [math.comb(size, k) / math.comb(people, k) for k in (2, 3, 4)]
    return Uniformity(
        f"pairs of {name}", squares / (count * (held[0] - 2 * held[1] + held[2])), people * (people - 3) // 2
    )


def of_strata(one: NDArray[np.float64], other: NDArray[np.float64]) -> Uniformity:
    count = len(one)
    shares = [float(matrix[0].sum()) / matrix.shape[1] for matrix in (one, other)]
    together = one.T @ other
    left = together - together.mean(axis=0) - together.mean(axis=1)[:, None] + together.mean()
    # Within a stratum the covariance matrix has p(1 - p) N/(N - 1) on all that is orthogonal to the constant.
    scale = math.prod(
        share * (1 - share) * matrix.shape[1] / (matrix.shape[1] - 1)
        for share, matrix in zip(shares, (one, other), strict=True)
    )
    return Uniformity(
        "pairs over both strata", float((left**2).sum()) / (count * scale), (one.shape[1] - 1) * (other.shape[1] - 1)
    )


def uniformity(found: list[tuple[int, ...]], listed: RosterList) -> list[Uniformity]:
    matrix = drawn_matrix(found, len(listed.persons))
    parts = {name: matrix[:, entries] for name, entries in members(listed).items()}
    tests = [test(name, part) for name, part in parts.items() for test in (of_entries, of_pairs)]
    return [*tests, of_strata(*parts.values())]


def reached(
    found: list[tuple[int, ...]], listed: RosterList, refusing: int
) -> Iterator[tuple[str, float, float, float]]:
    """Of each stratum: the share of draws of which somebody who knows is heard, its closed form, its standard error.

    The first entries of a stratum know; of those who are drawn and know, the host keeps up to `refusing` away.
    """
    for name, entries in members(listed).items():
        knowing = set(entries[: KNOWING[name]])
        share = sum(len(knowing & set(drawn)) > refusing for drawn in found) / len(found)
        exact = chance_of_more(len(entries), len(knowing), SIZES[name], refusing)
        yield name, share, exact, math.sqrt(exact * (1 - exact) / len(found))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    randomly = random.Random(options.seed)
    listed = roster(randomly)
    start = time.perf_counter()
    found = list(draws(options.draws, randomly, listed))
    seconds = time.perf_counter() - start
    console = Console(width=120, highlight=False)
    console.print(f"{len(found)} draws of {SIZES} out of {STRATA}, {seconds:.1f} s, seed {options.seed}")
    table = Table("uniform?", "chi-square", "degrees of freedom", "p", box=None)
    tests = uniformity(found, listed)
    for test in tests:
        table.add_row(test.what, f"{test.statistic:.1f}", str(test.freedom), f"{test.p:.3f}")
    console.print(table)
    table = Table(
        "stratum", "refusals of those who know", "share of draws that hear one", "closed form", "off by", box=None
    )
    missed = any(test.p < P_MIN for test in tests)
    for refusing in (0, 1, 2):
        for name, share, exact, error in reached(found, listed, refusing):
            off = (share - exact) / error if error else 0.0
            missed |= abs(off) > 4
            table.add_row(name, str(refusing), f"{share:.4f}", f"{exact:.4f}", f"{off:+.1f} standard errors")
    console.print(table)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
