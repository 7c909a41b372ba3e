"""Seeded groups of people who are interviewed: honest ones with the memory that people have, and some who cover something up.

- A group is asked about the topics of `interviews_site`. In an honest world the declaration is true. In a world with a cover-up it
  is false in some topics, and conspirators say what the declaration says, or make something up that fits.
- What people remember is drawn here by itself, from the truth to the answer; the check draws the other way, from the answer to what
  it allows. Only the figures of the model are shared, and `noise` makes people worse than the model.
- Conspirators are those who saw most, which is the best that whoever covers up can do; or anybody.
- Every sheet is marked as simulated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from inspectorate.evidence import Origin
from inspectorate.mechanisms.interviews.consistency.memory import STEPS, MemoryModel
from inspectorate.mechanisms.interviews.consistency.types import (
    YES_NO,
    Amount,
    AnswerSheet,
    Before,
    CouldKnow,
    Interviewee,
    Known,
    Said,
    Statement,
    TopicKind,
    Unknown,
    When,
    YesNo,
)
from inspectorate.worlds.interviews_site import ASKED_AT, SPAN_DAYS, START, CoverUp, Matter, site
from inspectorate.worlds.interviews_words import sentence, story

STRATA = ("technicians", "operators", "researchers", "security")
SAW_SHARE = {True: 0.6, False: 0.1}
"""Of a stratum whose role would know, and of others: who saw it."""
TOLD_SHARE = 0.25
INFERRED_SHARE = 0.15
DAY_S = 86_400.0


class Preparation(StrEnum):
    """How conspirators prepare."""

    INDEPENDENT = "independent lies"
    """Each denies, and makes up the rest alone."""
    AGREED = "agreed story"
    """One story, learnt by heart in every detail."""
    ASKED_ONLY = "agreed on the main questions"
    """One story where the question was foreseen; alone where it was not."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One group."""

    people: int
    seed: int
    matters: int = 20
    noise: float = 1.0
    cover_up: CoverUp | None = None
    conspirators: int = 0
    preparation: Preparation = Preparation.AGREED
    informed: bool = True
    """Whether those who saw most conspire first; else conspirators are anybody."""
    machines: bool = False
    """Whether machine evidence speaks of the main matter of the cover-up."""
    model: MemoryModel = field(default_factory=MemoryModel)


@dataclass(frozen=True, kw_only=True)
class _Person:
    entry: int
    stratum: str
    worse: float
    bias: tuple[float, float]
    lies: bool


def group(plan: Plan) -> AnswerSheet:
    """The answer sheet of a group."""
    rng = np.random.default_rng([plan.seed, plan.people, plan.matters])
    made = site(plan.matters, plan.cover_up, rng)
    matters = made.matters
    strata = [STRATA[number % len(STRATA)] for number in range(plan.people)]
    known = [[_knows(rng, one, stratum) for one in matters] for stratum in strata]
    seen = [sum(how is Known.SAW for how, one in zip(row, matters, strict=True) if one.covered) for row in known]
    anyhow = rng.permutation(plan.people)
    first = sorted(range(plan.people), key=lambda n: (-seen[n], n)) if plan.informed else [int(n) for n in anyhow]
    liars = set(first[: plan.conspirators])
    spread = plan.model.person_spread
    people = [
        _Person(
            entry=number * 3 + 1,
            stratum=strata[number],
            worse=math.exp(spread * rng.standard_normal()),
            bias=(rng.standard_normal(), rng.standard_normal()),
            lies=number in liars,
        )
        for number in range(plan.people)
    ]
    statements = [*made.declared]
    if plan.machines:
        statements += made.measured
    for number, one in enumerate(matters):
        statements += _answers(plan, one, number, people, [row[number] for row in known], rng)
    statements += _orders(plan, matters, people, known, rng)
    return AnswerSheet(
        id=f"group-{plan.seed}",
        origin=Origin.SIMULATED,
        topics=tuple(one.topic for one in matters),
        links=made.links,
        interviewees=tuple(Interviewee(entry=one.entry, stratum=one.stratum) for one in people),
        statements=tuple(statements),
    )


def _knows(rng: np.random.Generator, one: Matter, stratum: str) -> Known:
    """How somebody of a stratum knows of a matter."""
    chance = rng.random()
    saw = SAW_SHARE[stratum in one.topic.knowers]
    if chance < saw:
        return Known.SAW
    if chance < saw + (1 - saw) * TOLD_SHARE:
        return Known.TOLD
    if chance < saw + (1 - saw) * (TOLD_SHARE + INFERRED_SHARE):
        return Known.INFERRED
    return Known.COULD_NOT_SEE


@dataclass(frozen=True, kw_only=True)
class _Common:
    """What people share about one matter: what goes round, and whether everybody has it from the same note."""

    rumour: float
    false_rumour: bool
    exact: bool


def _answers(
    plan: Plan, one: Matter, number: int, people: Sequence[_Person], known: Sequence[Known], rng: np.random.Generator
) -> list[Statement]:
    common = _Common(
        rumour=rng.standard_normal(),
        false_rumour=rng.random() < plan.model.false_rumour_share,
        exact=rng.random() < plan.model.shared_exact_share,
    )
    said = []
    for person, how in zip(people, known, strict=True):
        lying = person.lies and one.covered
        could = how is not Known.COULD_NOT_SEE
        said.append(_statement(one, person, f"{number}-could", CouldKnow(could=could), None, rng))
        if lying:
            answer = _lie(plan, one, rng)
            how = Known.SAW if could else Known.COULD_NOT_SEE
        elif could:
            answer = _memory(plan, one, person, how, common, rng)
        else:
            answer = None
        what: Said = answer if answer is not None and how is not Known.COULD_NOT_SEE else Unknown()
        learnt = lying and _rehearsed(plan, one)
        said.append(_statement(one, person, str(number), what, (how, learnt), rng))
    return said


def _statement(
    one: Matter, person: _Person, question: str, what: Said, how: tuple[Known, bool] | None, rng: np.random.Generator
) -> Statement:
    known, learnt = how or (Known.SAW, False)
    text = story(one.topic, what) if learnt else sentence(one.topic, what, rng)
    return Statement(
        id=f"e{person.entry}-q{question}",
        entry=person.entry,
        topic=one.topic.id,
        question=f"q{question}",
        sentence=text,
        own_words=what.kind not in ("unknown", "could-know"),
        said_at=ASKED_AT,
        known=known,
        said=what,
    )


def _rehearsed(plan: Plan, one: Matter) -> bool:
    return plan.preparation is Preparation.AGREED or (plan.preparation is Preparation.ASKED_ONLY and one.main)


def _lie(plan: Plan, one: Matter, rng: np.random.Generator) -> Said | None:
    """What a conspirator says: the story, or something made up near it."""
    if one.topic.kind in YES_NO:
        return YesNo(holds=one.story >= 0.5)
    if _rehearsed(plan, one):
        value = one.story
        return _figure(value) if one.topic.kind is TopicKind.QUANTITY else _at_day(value)
    if one.topic.kind is TopicKind.QUANTITY:
        return _figure(float(round(one.story * math.exp(0.5 * rng.standard_normal()))))
    period = one.topic.period
    return _at_day(rng.uniform(0.0, period.duration_s / DAY_S))


def _memory(
    plan: Plan, one: Matter, person: _Person, how: Known, common: _Common, rng: np.random.Generator
) -> Said | None:
    """What an honest person says of a matter that they know of."""
    model = plan.model
    if one.topic.kind in YES_NO:
        so = one.truth >= 0.5
        age = (ASKED_AT - one.topic.period.end).total_seconds() / DAY_S
        wrong = model.wrong_share(said_yes=not so, known=how, age_days=age) * person.worse * plan.noise
        if how is Known.TOLD and common.false_rumour:
            wrong = max(wrong, 0.5)
        return YesNo(holds=so != (rng.random() < min(wrong, 0.9)))
    timed = one.topic.kind is TopicKind.EVENT
    base = model.time_base_days if timed else model.count_base
    share = (model.time_share if timed else model.count_share) * model.factor(how) * plan.noise
    value = SPAN_DAYS - one.truth if timed else one.truth
    g = 0.0 if common.exact or rng.random() < model.exact_share else _g(model, person, how, common, timed, rng)
    remembered = max(0.0, (value + base) * math.exp(share * g) - base)
    if not timed:
        return _figure(_rounded(remembered, model, rng))
    # What was asked about bounds what is said: an error never leads out of it.
    return _calendar(ASKED_AT - timedelta(days=min(remembered, SPAN_DAYS)), rng)


def _g(
    model: MemoryModel, person: _Person, how: Known, common: _Common, timed: bool, rng: np.random.Generator
) -> float:
    fresh = rng.standard_normal()
    if how is Known.TOLD:
        fresh = math.sqrt(model.rumour_share) * common.rumour + math.sqrt(1 - model.rumour_share) * fresh
    g = math.sqrt(model.person_share) * person.bias[int(timed)] + math.sqrt(1 - model.person_share) * fresh
    return g * person.worse * (model.confused_factor if rng.random() < model.confused_share else 1.0)


def _rounded(value: float, model: MemoryModel, rng: np.random.Generator) -> float:
    """To a whole number, and often to a round one."""
    whole = float(round(value))
    allowed = [step for step in STEPS if 1 <= step <= 2 * model.rounded_share_max * whole]
    if allowed and rng.random() < 0.6:
        step = allowed[-1 if rng.random() < 0.5 else len(allowed) // 2]
        rounded = round(value / step) * step
        # Nobody rounds by more than a part of the figure that they then say.
        if step / 2 <= model.rounded_share_max * rounded:
            return float(rounded)
    return whole


def _figure(value: float) -> Amount:
    return Amount(lower=value, upper=value)


def _at_day(day: float) -> When:
    start = START + timedelta(days=math.floor(day))
    return When(not_before=start, not_after=start + timedelta(days=1))


def _calendar(when: datetime, rng: np.random.Generator) -> When:
    """A day, a week or a month, as people date things."""
    day = datetime(when.year, when.month, when.day, tzinfo=UTC)
    how = rng.random()
    if how < 0.3:
        return When(not_before=day, not_after=day + timedelta(days=1))
    if how < 0.7:
        monday = day - timedelta(days=day.weekday())
        return When(not_before=monday, not_after=monday + timedelta(days=7))
    first = day.replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return When(not_before=first, not_after=after)


def _orders(
    plan: Plan,
    matters: Sequence[Matter],
    people: Sequence[_Person],
    known: Sequence[Sequence[Known]],
    rng: np.random.Generator,
) -> list[Statement]:
    """Which of two neighbouring events came first, of those who saw both."""
    events = [number for number, one in enumerate(matters) if one.topic.kind is TopicKind.EVENT]
    said = []
    for first, other in zip(events[::2], events[1::2], strict=False):
        one, two = matters[first], matters[other]
        for person, row in zip(people, known, strict=True):
            if row[first] is not Known.SAW or row[other] is not Known.SAW:
                continue
            lying = person.lies and (one.covered or two.covered)
            ages = [SPAN_DAYS - (matter.story if lying else matter.truth) for matter in (one, two)]
            scale = (
                plan.model.order_share
                * plan.model.time_share
                * plan.noise
                * (sum(ages) / 2 + plan.model.time_base_days)
            )
            gap = ages[0] - ages[1] + (0.0 if lying else scale * _g(plan.model, person, Known.SAW, _NOTHING, True, rng))
            early, late = (one, two) if gap > 0 else (two, one)
            said.append(
                _statement(early, person, f"{first}-order", Before(other=late.topic.id), (Known.SAW, False), rng)
            )
    return said


_NOTHING = _Common(rumour=0.0, false_rumour=False, exact=False)
