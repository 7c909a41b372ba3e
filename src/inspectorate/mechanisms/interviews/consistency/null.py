"""How large an excess honest memory makes: the bound from which the rate of false accusations follows.

The bound. Let the values of the topics be the true ones. They satisfy every hard row, if the declaration is true and the
machines' bounds hold, so they are among the values over which the excess is the least. At them, each soft row is broken by what
its speaker misremembers, and by no more. So, whatever is true,

    excess of a set of rows  <=  sum over its soft rows of their cost at errors g,     g as drawn from the model of memory,

for every set of rows and every level at once, by the same draw. A statistic that grows with each of these excesses is therefore
never larger than the same statistic of the sums, and the latter's distribution needs no truth: it is drawn. That holds for any
number of people, questions and links, however the questions depend on one another.

1. The sums S of each set and level are drawn, twice `draws`: the first half fixes a scale u, the second half judges.
2. u(t) = -log of the share of the first half at or above t; beyond its 98th percentile a straight line in log(1 + t), since
   errors in proportion have heavy tails. Any growing u is valid, since the second half is independent of it.
3. M is the largest u over all sets and measures. An excess whose u is reached by M in a share p of the second half has the p-value
   (1 + number of draws that reach it) / (1 + draws). To call every set with p <= alpha a contradiction errs, in an honest group,
   with probability at most alpha **in all**; and a set in which nobody errs is called one with at most that, whatever others do.

The same without one person: the excess without whoever leaves least is at most the sum without the largest cost. It sees what
several people say against what memory explains, and not a single slip; a single slip is left to the first measure.

Of a yes or no the sum is the larger of two: what is said wrongly if it was so, and if it was not. It depends on who answered, not
on what they said.

Sources: Westfall and Young, "Resampling-based multiple testing", 1993 (the largest of many statistics); Phipson and Smyth 2010
(the 1 in the p-value).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inspectorate.mechanisms.interviews.consistency.excess import FEASIBLE, Program, least_alone, least_without_one
from inspectorate.mechanisms.interviews.consistency.memory import (
    Floats,
    Ints,
    MemoryModel,
    Remembered,
    Singles,
    draw_g,
    draw_worse,
    draw_wrong,
)
from inspectorate.mechanisms.interviews.consistency.rows import ANCHOR, LEVELS, Row, Shape, System, remembered

TAIL_SHARE = 0.02
MEASURES = 2 * len(LEVELS)
"""Each level with everybody, then each level without one person, whichever leaves least."""
CHUNK = 4_000_000
"""Draws times statements held at once: about 100 MB."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A set of rows that is judged by itself: a topic, topics that rows join, all of one activity and pods, or everything."""

    topics: tuple[int, ...]
    rows: tuple[int, ...]
    parts: tuple[int, ...] = ()
    """Of a set whose excess is the sum of those of others: which of them."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The sets of one system: fixed by who was asked what, not by what was said."""

    alone: tuple[Cell, ...]
    joined: tuple[Cell, ...]
    sums: tuple[Cell, ...]
    """Topics of one activity and the same pods, which one cover-up would touch together; and, last, everything."""

    @property
    def all(self) -> tuple[Cell, ...]:
        return (*self.alone, *self.joined, *self.sums)

    @property
    def basic(self) -> int:
        """How many of `all` come before the sums."""
        return len(self.alone) + len(self.joined)


def cells_of(system: System) -> Cells:
    """Sets that can have an excess at all: at least two soft rows, or one and a hard bound, or a row that joins."""
    alone = []
    for number, rows in enumerate(system.of_topic):
        soft = sum(not system.rows[row].hard for row in rows)
        if soft >= 2 or (soft and soft < len(rows)):
            alone.append(Cell(topics=(number,), rows=rows))
    joined = [
        Cell(topics=topics, rows=rows)
        for topics, rows in zip(system.components, system.of_component, strict=True)
        if len(topics) > 1
    ]
    basic = [*alone, *joined]
    themes: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for place, cell in enumerate(alone):
        topic = system.topics[cell.topics[0]]
        themes.setdefault((topic.activity.value, tuple(sorted(topic.pods))), []).append(place)
    within = {topic for cell in joined for topic in cell.topics}
    everything = [place for place, cell in enumerate(basic) if len(cell.topics) > 1 or cell.topics[0] not in within]
    sums = [_sum(basic, parts) for parts in (*themes.values(), everything) if len(parts) > 1]
    return Cells(alone=tuple(alone), joined=tuple(joined), sums=tuple(sums))


def _sum(basic: Sequence[Cell], parts: Sequence[int]) -> Cell:
    return Cell(
        topics=tuple(sorted({topic for place in parts for topic in basic[place].topics})),
        rows=tuple(sorted({row for place in parts for row in basic[place].rows})),
        parts=tuple(parts),
    )


def excesses(system: System, cells: Cells) -> Floats:
    """The excess of every cell at every measure, shape (cells, measures), in the order of `cells.all`."""
    found = [excess_of(system, cell.topics, cell.rows) for cell in (*cells.alone, *cells.joined)]
    basic = np.array(found).reshape(cells.basic, MEASURES)
    sums = [basic[list(cell.parts)].sum(axis=0) for cell in cells.sums]
    table = np.array([*basic, *sums]).reshape(len(cells.all), MEASURES)
    table[table < FEASIBLE] = 0.0
    return table


def excess_of(system: System, topics: Sequence[int], numbers: Sequence[int]) -> Floats:
    """The excess of rows at every measure. Without one person only topics by themselves are looked at; others have 0."""
    rows = [system.rows[n] for n in numbers]
    if len(topics) == 1:
        topic = system.topics[topics[0]]
        whole = least_alone(topic, rows)
        rest = least_without_one(topic, rows) if whole.max() > FEASIBLE else np.zeros(len(LEVELS))
        return np.concatenate((whole, rest))
    program = Program(system.topics, rows)
    return np.array([*(program.excess(level).value for level in LEVELS), *np.zeros(len(LEVELS))])


@dataclass(frozen=True, kw_only=True)
class Null:
    """What honest memory makes of the same questions to the same people."""

    first: Floats
    """Sorted sums of the first half, shape (cells, measures, draws)."""
    largest: Floats
    """M of the second half, sorted, shape (draws,)."""

    def u(self, excess: Floats) -> Floats:
        """u of excesses, shape (cells, measures)."""
        result = np.zeros(excess.shape)
        for cell, level in np.ndindex(*excess.shape):
            result[cell, level] = _u(self.first[cell, level], excess[cell, level : level + 1])[0]
        return result

    def p_values(self, u: Floats) -> Floats:
        """The p-value of each u: the chance that an honest group shows anything as strong, anywhere."""
        reach = self.largest.size - np.searchsorted(self.largest, u - 1e-9, side="left")
        result: Floats = (1 + reach) / (1 + self.largest.size)
        return result

    def strength(self, u: float) -> float:
        """-log of the chance that M reaches u, continued beyond the draws: for comparison among groups only."""
        return float(_u(self.largest, np.array([u]))[0])


def draw_null(system: System, cells: Cells, model: MemoryModel, *, rng: np.random.Generator, draws: int) -> Null:
    """Draw both halves, `draws` each."""
    first = draw_sums(system, cells, model, rng=rng, draws=draws)
    first.sort(axis=2)
    second = draw_sums(system, cells, model, rng=rng, draws=draws)
    largest = np.zeros(draws)
    for cell, level in np.ndindex(*first.shape[:2]):
        np.maximum(largest, _u(first[cell, level], second[cell, level]), out=largest)
    return Null(first=first, largest=np.sort(largest))


def draw_sums(system: System, cells: Cells, model: MemoryModel, *, rng: np.random.Generator, draws: int) -> Floats:
    """The sums S of honest groups, shape (cells, measures, draws)."""
    counted = sorted({n for cell in cells.all for n in cell.rows if not system.rows[n].hard})
    result = np.zeros((len(cells.all), MEASURES, draws))
    if not counted:
        return result
    step = max(1, CHUNK // len(counted))
    for start in range(0, draws, step):
        many = min(step, draws - start)
        result[:, :, start : start + many] = _draw(system, cells, model, counted, rng, many)
    return result


def _draw(
    system: System, cells: Cells, model: MemoryModel, counted: Sequence[int], rng: np.random.Generator, draws: int
) -> Floats:
    rows = sorted((system.rows[n] for n in counted), key=_key)
    about = remembered(rows)
    worse = draw_worse(model, rng, draws=draws, persons=int(about.person.max()) + 1)
    binary = np.array([row.binary for row in rows], dtype=np.bool_)
    sums: list[Singles] = []
    column: dict[int, int] = {}
    for chosen, drawn in ((~binary, _figures), (binary, _yes_nos)):
        if not chosen.any():
            continue
        mine = [row for row, one in zip(rows, chosen, strict=True) if one]
        keys, starts = np.unique(np.array([_key(row) for row in mine]), return_index=True)
        column.update({int(key): len(column) + place for place, key in enumerate(keys)})
        sums.append(drawn(mine, about.only(chosen), model, worse, rng, starts))
    together = np.concatenate(sums, axis=2)
    result = np.empty((len(cells.all), MEASURES, draws))
    for number, cell in enumerate(cells.all):
        keys_of = {_key(system.rows[n]) for n in cell.rows if not system.rows[n].hard}
        result[number] = together[:, :, sorted(column[key] for key in keys_of)].sum(axis=2, dtype=np.float64)
        if len(cell.topics) > 1 and not cell.parts:
            result[number, len(LEVELS) :] = 0.0
    return result


def _key(row: Row) -> int:
    """Which rows are summed together: those of one topic; and those that join, by their first topic."""
    return row.terms[0][0] + (1 << 32) * (len(row.terms) > 1)


def _figures(
    rows: Sequence[Row], about: Remembered, model: MemoryModel, worse: Singles, rng: np.random.Generator, starts: Ints
) -> Singles:
    """Sums of costs of amounts, ages and orders, shape (measures, draws, groups)."""
    g = draw_g(model, about, worse, rng)
    most = np.array([row.g_max for row in rows], dtype=np.float32)
    np.clip(g, -most, most, out=g)
    bent = np.array([row.shape is not Shape.ORDER for row in rows], dtype=np.bool_)
    share = np.where(bent, about.share, 0.01).astype(np.float32)
    # An answer that is too small lies below the truth: a part of the amount or the age itself, so that it may be many times off.
    factor = np.exp(-share * g)
    above = g < 0
    found = []
    for level in LEVELS:
        chord = np.float32(ANCHOR - level)
        up, down = np.exp(share * np.float32(level)), np.exp(-share * np.float32(level))
        steep = chord / (np.exp(share * np.float32(ANCHOR)) - up), chord / (down - np.exp(-share * np.float32(ANCHOR)))
        cost = np.where(above, (factor - up) * steep[0], (down - factor) * steep[1])
        if not bent.all():
            cost[:, ~bent] = np.abs(g[:, ~bent]) - np.float32(level)
        found.append(_sums(np.maximum(cost, np.float32(0), out=cost), starts))
    return _measures(found)


def _sums(cost: Singles, starts: Ints) -> tuple[Singles, Singles]:
    """Sums of groups of rows, with all of them and without the largest: no more is left without whoever errs most."""
    total: Singles = np.add.reduceat(cost, starts, axis=1)
    return total, total - np.maximum.reduceat(cost, starts, axis=1)


def _measures(found: Sequence[tuple[Singles, Singles]]) -> Singles:
    return np.array([*(one[0] for one in found), *(one[1] for one in found)])


def _yes_nos(
    rows: Sequence[Row], about: Remembered, model: MemoryModel, worse: Singles, rng: np.random.Generator, starts: Ints
) -> Singles:
    """Sums of costs of what is said wrongly, where it was so or was not, whichever is larger, shape (measures, draws, groups)."""
    found: list[Singles] = []
    for chance in (np.array([row.wrong_no for row in rows]), np.array([row.wrong_yes for row in rows])):
        wrong = draw_wrong(model, about, chance, worse, rng).astype(np.float32)
        weight = -np.log(chance)
        costs = [np.maximum(weight - level, 0.0).astype(np.float32) for level in LEVELS]
        found.append(_measures([_sums(wrong * cost, starts) for cost in costs]))
    return np.maximum(found[0], found[1])


def _u(first: Floats, values: Floats) -> Floats:
    """-log of the share of `first` (sorted) at or above each value, continued beyond its last percentiles."""
    count = first.size
    share = (1 + count - np.searchsorted(first, values - 1e-9, side="left")) / (1 + count)
    result = -np.log(share)
    place = int(count * (1 - TAIL_SHARE))
    knee = float(first[min(place, count - 1)])
    beyond = values > knee + 1e-9
    if beyond.any():
        above = first[first > knee]
        # A few draws say little of a tail: they are counted with one more, of half a unit.
        slope = (0.5 + float(np.sum(np.log1p(above) - math.log1p(knee)))) / (1 + above.size)
        start = -math.log((1 + above.size) / (1 + count))
        further = (np.log1p(np.maximum(values, 0.0)) - math.log1p(knee)) / slope
        result = np.where(beyond, start + further, result)
    return result
