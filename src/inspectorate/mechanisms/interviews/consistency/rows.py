"""Statements and agreed facts as linear constraints, each with how far honest memory may break it.

Every topic is one variable: an amount in its unit, an event in days since 1970, a yes or no in [0, 1].

    amount, age    what g standard errors of memory allow: (low + b) exp(-s g) - b <= x <= (high + b) exp(s g) - b
    yes, no        |x - said| <= z / w, with w = -log(chance that an honest person says so wrongly)
    before         x_first - x_other <= z scale
    link           lower <= sum of coefficient x <= upper, hard
    declaration, machines   low <= x <= high, and before: hard

At a level q a row is broken by what it lacks beyond q standard errors. Beyond, the cost rises along the chord from q to `ANCHOR`
standard errors, where it is ANCHOR - q: straight, so that programs stay linear. Where x is the truth, cost and chord depend on g
and s alone, never on x: that is what `null` rests on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from inspectorate.mechanisms.interviews.consistency.memory import (
    MemoryModel,
    Remembered,
    rounded_by,
)
from inspectorate.mechanisms.interviews.consistency.types import (
    YES_NO,
    Amount,
    AnswerSheet,
    Before,
    Known,
    SpeakerKind,
    Statement,
    Topic,
    TopicKind,
    When,
    YesNo,
    days,
)

ANCHOR = 4.0
"""Standard errors at which the cost of a row is what it would be if costs were counted in standard errors."""
LEVELS = (0.0, 1.0, 2.0, 3.0)
"""How much is asked of memory, in standard errors: low levels see many small conflicts, high ones see few large ones."""


class Shape(StrEnum):
    """How the ends of a row move with the level."""

    HARD = "hard"
    AMOUNT = "amount"
    AGE = "age"
    YES_NO = "yes-no"
    ORDER = "order"


@dataclass(frozen=True, kw_only=True)
class Ends:
    """A row at a level: what it allows, and by how much one unit of cost widens it at either end."""

    low: float
    high: float
    low_scale: float
    high_scale: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One linear constraint: sum of coefficient x lies within [low, high], as far as memory lets it be broken."""

    terms: tuple[tuple[int, float], ...]
    shape: Shape
    low: float
    high: float
    """As said, with what the speaker gives or takes; of an age: the dates."""
    statement: Statement | None = None
    link: str | None = None
    share: float = 0.0
    """Relative standard error of an amount or an age."""
    base: float = 0.0
    said_day: float = 0.0
    scale: float = 0.0
    """Of an order: one standard error [days]. Of a yes or no: 1 / w."""
    g_max: float = math.inf
    """No answer within the time that is asked about is further off than this [standard errors]."""
    wrong_yes: float = 0.0
    """Of a yes or no: how likely an honest person is to say yes wrongly."""
    wrong_no: float = 0.0

    @property
    def hard(self) -> bool:
        return self.shape is Shape.HARD

    @property
    def binary(self) -> bool:
        return self.shape is Shape.YES_NO

    @cached_property
    def levels(self) -> tuple[Ends, ...]:
        """The row at each of `LEVELS`."""
        return tuple(self.at(level) for level in LEVELS)

    def at(self, level: float) -> Ends:
        """The row at a level."""
        if self.shape in (Shape.AMOUNT, Shape.AGE):
            chord = ANCHOR - level
            down, up = math.exp(-self.share * level), math.exp(self.share * level)
            down_scale, up_scale = (
                (down - math.exp(-self.share * ANCHOR)) / chord,
                (math.exp(self.share * ANCHOR) - up) / chord,
            )
            if self.shape is Shape.AMOUNT:
                least, most = self.low + self.base, self.high + self.base
                return Ends(
                    low=least * down - self.base, high=most * up - self.base,
                    low_scale=least * down_scale, high_scale=most * up_scale,
                )  # fmt: skip
            # A date is early by as much as an age is high.
            young, old = self.said_day - self.high + self.base, self.said_day - self.low + self.base
            day = self.said_day + self.base
            return Ends(
                low=day - old * up, high=day - young * down, low_scale=old * up_scale, high_scale=young * down_scale
            )
        reach = level * self.scale
        return Ends(low=self.low - reach, high=self.high + reach, low_scale=self.scale, high_scale=self.scale)


@dataclass(frozen=True, kw_only=True)
class System:
    """All rows of a sheet, and how its topics hang together."""

    topics: tuple[Topic, ...]
    rows: tuple[Row, ...]
    components: tuple[tuple[int, ...], ...]
    """Topics that rows join, each component sorted; only those with a soft row."""
    of_topic: tuple[tuple[int, ...], ...]
    """Rows of each topic alone."""
    of_component: tuple[tuple[int, ...], ...]
    set_aside: int

    @property
    def soft(self) -> tuple[int, ...]:
        return tuple(number for number, row in enumerate(self.rows) if not row.hard)


def build(sheet: AnswerSheet, model: MemoryModel) -> System:
    """The rows of a sheet under a model of memory."""
    index = {topic.id: number for number, topic in enumerate(sheet.topics)}
    rows: list[Row] = []
    aside = 0
    for one in sheet.statements:
        row = _row(one, sheet.topics, index, model)
        if row is not None:
            rows.append(row)
        elif one.speaker is SpeakerKind.INTERVIEWEE and one.said.kind != "could-know":
            aside += 1
    for link in sheet.links:
        terms = tuple((index[name], coefficient) for name, coefficient in sorted(link.terms.items()))
        low = -math.inf if link.lower is None else link.lower
        high = math.inf if link.upper is None else link.upper
        rows.append(Row(terms=terms, shape=Shape.HARD, low=low, high=high, link=link.id))
    return assemble(sheet.topics, rows, set_aside=aside)


def assemble(topics: tuple[Topic, ...], rows: Sequence[Row], *, set_aside: int = 0) -> System:
    """A system of these rows."""
    parent = list(range(len(topics)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    alone: list[list[int]] = [[] for _ in topics]
    for number, row in enumerate(rows):
        if len(row.terms) == 1:
            alone[row.terms[0][0]].append(number)
        for topic, _ in row.terms[1:]:
            parent[root(topic)] = root(row.terms[0][0])
    members: dict[int, list[int]] = {}
    for number in range(len(topics)):
        members.setdefault(root(number), []).append(number)
    of: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        of.setdefault(root(row.terms[0][0]), []).append(number)
    wanted = [key for key in members if any(not rows[number].hard for number in of.get(key, ()))]
    return System(
        topics=topics,
        rows=tuple(rows),
        components=tuple(tuple(members[key]) for key in wanted),
        of_topic=tuple(tuple(one) for one in alone),
        of_component=tuple(tuple(of[key]) for key in wanted),
        set_aside=set_aside,
    )


def remembered(rows: Sequence[Row]) -> Remembered:
    """What the model of memory needs to know of soft rows."""
    entries = {entry: number for number, entry in enumerate(sorted({_entry(row) for row in rows}))}
    return Remembered(
        share=np.array([row.share for row in rows]),
        person=np.array([entries[_entry(row)] for row in rows], dtype=np.int64),
        topic=np.array([row.terms[0][0] for row in rows], dtype=np.int64),
        told=np.array([_known(row) is Known.TOLD for row in rows], dtype=np.bool_),
        timed=np.array([_statement(row).said.kind in ("when", "before") for row in rows], dtype=np.bool_),
    )


def _statement(row: Row) -> Statement:
    assert row.statement is not None, "only statements are soft"
    return row.statement


def _entry(row: Row) -> int:
    entry = _statement(row).entry
    assert entry is not None, "only interviewees are soft"
    return entry


def _known(row: Row) -> Known:
    known = _statement(row).known
    assert known is not None, "only interviewees are soft"
    return known


def _row(one: Statement, topics: tuple[Topic, ...], index: dict[str, int], model: MemoryModel) -> Row | None:
    """The row of a statement; none where it says nothing that anything could contradict."""
    number = index[one.topic]
    topic = topics[number]
    if one.said.kind in ("unknown", "could-know") or one.known is Known.COULD_NOT_SEE:
        return None
    give = one.give_or_take or 0.0
    terms: tuple[tuple[int, float], ...] = ((number, 1.0),)
    if one.known is None:
        return _hard(one, terms, index, give)
    factor = model.factor(one.known)
    match one.said:
        case Amount(lower=lower, upper=upper):
            half = rounded_by(lower, share_max=model.rounded_share_max) if lower == upper else 0.0
            half = max(half, give)
            return Row(
                terms=terms, shape=Shape.AMOUNT, low=max(0.0, lower - half), high=upper + half, statement=one,
                share=model.count_share * factor, base=model.count_base,
            )  # fmt: skip
        case When():
            return _age(one, topic, terms, model, factor)
        case Before(other=other):
            age = max(0.0, days(one.said_at) - days(topic.period.start))
            scale = model.order_share * model.time_share * factor * (age + model.time_base_days)
            return Row(
                terms=((number, 1.0), (index[other], -1.0)), shape=Shape.ORDER, low=-math.inf, high=give, statement=one,
                scale=scale,
            )  # fmt: skip
        case YesNo(holds=holds):
            age = days(one.said_at) - days(topic.period.end)
            wrong = {yes: model.wrong_share(said_yes=yes, known=one.known, age_days=age) for yes in (True, False)}
            return Row(
                terms=terms, shape=Shape.YES_NO, low=float(holds), high=float(holds), statement=one,
                scale=-1.0 / math.log(wrong[holds]), wrong_yes=wrong[True], wrong_no=wrong[False],
            )  # fmt: skip
        case _:
            raise AssertionError("Unknown and CouldKnow make no row")


def _hard(one: Statement, terms: tuple[tuple[int, float], ...], index: dict[str, int], give: float) -> Row:
    """What the declaration or a machine says."""
    match one.said:
        case Amount(lower=low, upper=high):
            ends = (low, high)
        case When(not_before=start, not_after=end):
            ends = (days(start), days(end))
        case YesNo(holds=holds):
            ends, give = (float(holds), float(holds)), 0.0
        case Before(other=other):
            terms, ends = (*terms, (index[other], -1.0)), (-math.inf, 0.0)
        case _:
            raise AssertionError("a claim or a machine says what it says")
    return Row(terms=terms, shape=Shape.HARD, low=ends[0] - give, high=ends[1] + give, statement=one)


def _age(one: Statement, topic: Topic, terms: tuple[tuple[int, float], ...], model: MemoryModel, factor: float) -> Row:
    """A date. What is asked about bounds it, unless all of it lies outside."""
    assert isinstance(one.said, When), "only dates have an age"
    give, said_day = one.give_or_take or 0.0, days(one.said_at)
    low, high = days(one.said.not_before) - give, min(days(one.said.not_after) + give, said_day)
    start, end = days(topic.period.start), min(days(topic.period.end), said_day)
    inside = low <= end and high >= start
    if inside:
        low, high = max(low, start), min(high, end)
    low = min(low, high)
    share, base = model.time_share * factor, model.time_base_days
    span = (said_day - start + base) / (said_day - end + base)
    return Row(
        terms=terms, shape=Shape.AGE, low=low, high=high, statement=one, share=share, base=base, said_day=said_day,
        g_max=max(1.0, math.log(span) / share) if inside else math.inf,
    )  # fmt: skip


def natural_bounds(topic: Topic) -> tuple[float, float]:
    """Between what the value of a topic lies whatever anybody says."""
    if topic.kind in YES_NO:
        return 0.0, 1.0
    if topic.kind is TopicKind.QUANTITY:
        return 0.0, math.inf
    return days(topic.period.start), days(topic.period.end)
