"""The least excess and its explanation, against slow and obvious oracles."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.evidence import Activity, Origin
from inspectorate.mechanisms.interviews.consistency.calibrate import Calibration
from inspectorate.mechanisms.interviews.consistency.check import check
from inspectorate.mechanisms.interviews.consistency.excess import FEASIBLE, Program, least_alone
from inspectorate.mechanisms.interviews.consistency.explain import conflict_in
from inspectorate.mechanisms.interviews.consistency.memory import MemoryModel, rounded_by
from inspectorate.mechanisms.interviews.consistency.null import Cell, cells_of
from inspectorate.mechanisms.interviews.consistency.rows import ANCHOR, LEVELS, Row, System, build
from inspectorate.mechanisms.interviews.consistency.types import (
    Amount,
    AnswerSheet,
    Before,
    Interviewee,
    Known,
    Link,
    Said,
    SpeakerKind,
    Statement,
    Topic,
    TopicKind,
    When,
    YesNo,
)
from inspectorate.worlds.interviews_site import ASKED_AT, PERIOD, START

MODEL = MemoryModel()
KINDS = {
    "racks": TopicKind.QUANTITY, "more": TopicKind.QUANTITY, "all": TopicKind.QUANTITY,
    "move": TopicKind.EVENT, "visit": TopicKind.EVENT, "run": TopicKind.ACTIVITY,
}  # fmt: skip


def topic(name: str) -> Topic:
    kind = KINDS[name]
    return Topic(
        id=name, kind=kind, text=name, period=PERIOD, unit="count" if kind is TopicKind.QUANTITY else None,
        clause="c", activity=Activity.OTHER_WORK, pods=("p",),
    )  # fmt: skip


def said(
    number: int, name: str, what: Said, *, by: SpeakerKind = SpeakerKind.INTERVIEWEE, how: Known = Known.SAW
) -> Statement:
    person = by is SpeakerKind.INTERVIEWEE
    return Statement(
        id=f"s{number}", speaker=by, entry=number if person else None, source=None if person else "claim", topic=name,
        question="q", sentence=f"words {number}", said_at=ASKED_AT, known=how if person else None, said=what,
    )  # fmt: skip


def amount(value: float, to: float | None = None) -> Amount:
    return Amount(lower=value, upper=value if to is None else to)


def sheet(statements: list[Statement], links: tuple[Link, ...] = ()) -> AnswerSheet:
    entries = sorted({one.entry for one in statements if one.entry is not None}) or [0]
    return AnswerSheet(
        id="s", origin=Origin.SIMULATED, topics=tuple(topic(name) for name in KINDS), links=links,
        interviewees=tuple(Interviewee(entry=entry, stratum="x") for entry in entries), statements=tuple(statements),
    )  # fmt: skip


def system(statements: list[Statement], links: tuple[Link, ...] = ()) -> System:
    return build(sheet(statements, links), MODEL)


def cost_at(rows: list[Row], values: dict[int, float], place: int) -> float:
    """What a point costs, row by row: the definition."""
    total = 0.0
    for row in rows:
        x = sum(factor * values[number] for number, factor in row.terms)
        if row.hard:
            if not row.low - 1e-6 <= x <= row.high + 1e-6:
                return math.inf
            continue
        ends = row.levels[place]
        total += max(0.0, (ends.low - x) / ends.low_scale if math.isfinite(ends.low) else 0.0)
        total += max(0.0, (x - ends.high) / ends.high_scale if math.isfinite(ends.high) else 0.0)
    return total


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.sampled_from([Known.SAW, Known.TOLD, Known.INFERRED])), min_size=1, max_size=6
    ),
    st.one_of(st.none(), st.integers(0, 400)),
)
def test_a_topic_by_itself_costs_the_least_of_all_its_corners(
    answers: list[tuple[int, Known]], declared: int | None
) -> None:
    statements = [said(n, "racks", amount(value), how=how) for n, (value, how) in enumerate(answers)]
    if declared is not None:
        statements.append(said(99, "racks", amount(declared, declared + 5), by=SpeakerKind.DECLARATION))
    made = system(statements)
    rows = [made.rows[n] for n in made.of_topic[0]]
    found = least_alone(made.topics[0], rows)
    for place, level in enumerate(LEVELS):
        corners = {
            end
            for row in rows
            for end in ((row.low, row.high) if row.hard else (row.at(level).low, row.at(level).high))
        }
        least = min(cost_at(rows, {0: max(0.0, x)}, place) for x in corners)
        assert found[place] == pytest.approx(least, abs=1e-6)
        assert Program(made.topics, rows).excess(level).value == pytest.approx(least, abs=1e-5)


def test_joined_topics_cost_what_a_fine_grid_finds() -> None:
    link = Link(id="sum", text="parts", terms={"racks": 1.0, "more": 1.0, "all": -1.0}, lower=0.0, upper=0.0)
    statements = [
        said(1, "racks", amount(12)), said(2, "racks", amount(17)), said(3, "more", amount(33)), said(4, "all", amount(103)),
        said(5, "all", amount(151)),
    ]  # fmt: skip
    made = system(statements, (link,))
    rows = list(made.rows)
    for place, level in enumerate(LEVELS):
        grid = (
            cost_at(rows, {0: float(x), 1: float(y), 2: float(x + y)}, place)
            for x, y in itertools.product(np.arange(5, 65, 2.0), np.arange(15, 150, 3.0))
        )
        exact = Program(made.topics, rows).excess(level).value
        assert exact <= (least := min(grid)) + 1e-6
        assert exact >= least - 0.6, "a grid is never far from the best"


def test_explanations_are_irreducible_as_all_subsets_show() -> None:
    link = Link(id="sum", text="parts", terms={"racks": 1.0, "more": 1.0, "all": -1.0}, lower=0.0, upper=0.0)
    statements = [
        said(1, "racks", amount(12)), said(2, "racks", amount(13)), said(3, "more", amount(33)), said(4, "all", amount(503)),
        said(5, "more", amount(31)), said(6, "all", amount(44), by=SpeakerKind.MACHINE),
    ]  # fmt: skip
    made = system(statements, (link,))
    cell = cells_of(made).joined[0]
    conflict = conflict_in(made, cell)
    assert conflict is not None
    level = conflict.level * (1 - 1e-3)

    def hold(numbers: tuple[int, ...]) -> bool:
        return Program(made.topics, [made.rows[n] for n in numbers]).strongest().value <= level + FEASIBLE

    assert not hold(conflict.rows)
    for size in range(1, len(conflict.rows)):
        for part in itertools.combinations(conflict.rows, size):
            assert hold(part), "without any one of them, the rest can be right"
    assert {made.rows[n].statement.id for n in conflict.rows if made.rows[n].statement} == {"s4", "s6"}  # type: ignore[union-attr]


def test_the_strongest_pair_of_one_topic_is_the_strongest_of_the_program() -> None:
    rng = np.random.default_rng(5)
    for _ in range(8):
        made = system([said(n, "racks", amount(float(rng.integers(1, 300)))) for n in range(6)])
        conflict = conflict_in(made, Cell(topics=(0,), rows=made.of_topic[0]))
        strongest = Program(made.topics, made.rows).strongest().value
        assert (conflict.level if conflict else 0.0) == pytest.approx(strongest, abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 5000), st.floats(-6, 6), st.sampled_from([Known.SAW, Known.TOLD]))
def test_at_the_truth_an_answer_costs_no_more_than_its_error(truth: float, g: float, how: Known) -> None:
    """What the rate rests on, for an amount: whatever the truth, the cost depends on g alone."""
    share = MODEL.count_share * MODEL.factor(how)
    value = (truth + MODEL.count_base) * math.exp(share * g) - MODEL.count_base
    if not 0 <= value < 1e15:
        return
    made = system([said(1, "racks", amount(value), how=how)])
    _costs_at_most(made.rows[0], truth, g, share)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 179), st.floats(-6, 6))
def test_at_the_truth_a_date_costs_no_more_than_its_error(days_ago: float, g: float) -> None:
    share = MODEL.time_share
    age = (days_ago + MODEL.time_base_days) * math.exp(share * g) - MODEL.time_base_days
    if not 0 <= age <= 179:
        return
    when = ASKED_AT.timestamp() / 86_400
    at = START.fromtimestamp((when - age) * 86_400, tz=START.tzinfo)
    made = system([said(1, "move", When(not_before=at, not_after=at))])
    _costs_at_most(made.rows[0], when - days_ago, g, share)


def _costs_at_most(row: Row, truth: float, g: float, share: float) -> None:
    for place, level in enumerate(LEVELS):
        chord = ANCHOR - level
        if g < 0:
            steep = (math.exp(-share * g) - math.exp(share * level)) / (
                math.exp(share * ANCHOR) - math.exp(share * level)
            )
        else:
            steep = (math.exp(-share * level) - math.exp(-share * g)) / (
                math.exp(-share * level) - math.exp(-share * ANCHOR)
            )
        assert cost_at([row], {row.terms[0][0]: truth}, place) <= max(0.0, chord * steep) + 1e-3


@pytest.mark.parametrize(
    ("value", "half"), [(40, 5), (50, 5), (150, 25), (1000, 250), (7, 0.5), (13, 0.5), (0, 0), (2.5, 0.25)]
)
def test_round_figures_are_wide(value: float, half: float) -> None:
    assert rounded_by(value, share_max=0.25) == half


def test_orders_and_yes_or_no_conflict_as_they_should() -> None:
    at = START.replace(month=3, day=1)
    dates = [
        said(1, "move", When(not_before=at, not_after=at), by=SpeakerKind.DECLARATION),
        said(2, "visit", When(not_before=START, not_after=START), by=SpeakerKind.DECLARATION),
        said(3, "move", Before(other="visit")),
    ]
    made = system(dates)
    assert Program(made.topics, made.rows).excess(0.0).value > 0.5, "the move came after the visit"
    turned = system([*dates[:2], said(3, "visit", Before(other="move"))])
    assert Program(turned.topics, turned.rows).excess(0.0).value < FEASIBLE
    runs = system([said(n, "run", YesNo(holds=n < 2)) for n in range(5)])
    rows = [runs.rows[n] for n in runs.of_topic[5]]
    yes, no = -math.log(rows[0].wrong_yes), -math.log(rows[4].wrong_no)
    assert least_alone(runs.topics[5], rows)[0] == pytest.approx(min(2 * yes, 3 * no))


def test_what_cannot_hold_before_anybody_is_heard_is_refused_by_name() -> None:
    statements = [
        said(1, "racks", amount(10), by=SpeakerKind.DECLARATION), said(2, "racks", amount(20), by=SpeakerKind.MACHINE),
        said(3, "racks", amount(12)), said(4, "more", amount(12), by=SpeakerKind.MACHINE),
    ]  # fmt: skip
    with pytest.raises(EvidenceError, match="s1, s2") as fault:
        check(sheet(statements), Calibration(id="c", origin=Origin.SIMULATED, draws=200))
    assert "s4" not in str(fault.value)
