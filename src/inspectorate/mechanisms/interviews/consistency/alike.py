"""Answers that agree too well: closer than memories that are independent do.

Figures. Two people who remember the same thing independently seldom give the same figure, unless it is round, written down, or a
landmark that everybody knows. For every two people, the answers on which they agree to the last digit are counted, each with -log
of the chance that two honest people agree there. The statistic is the largest such sum of any two; its distribution is drawn from
the model of memory, with the values of the topics set to the medians of what was said, rounded by each speaker's own steps, with
notes and landmarks. What is on record, and what people were told, is left out.

Words. A run of words that is the same in two freely spoken answers to one question. Ten words in a row that two people share are
taken as unusual in forensic linguistics (Coulthard, Applied Linguistics 25(4) 2004). The question's and the topic's own words do
not count. A calibration with honest groups that spoke gives it a rate; without one it has none, and says so.

A pointer calls for a question. It accuses nobody: colleagues talk.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inspectorate.mechanisms.interviews.consistency.memory import Floats, MemoryModel, draw_g, draw_worse
from inspectorate.mechanisms.interviews.consistency.rows import Row, Shape, System, remembered
from inspectorate.mechanisms.interviews.consistency.types import AnswerSheet, Known, Statement

WORDS_IN_A_ROW = 10
PAIRS_SHOWN_MAX = 5
SPEAKERS_MAX = 400
"""Pairs of more people than this are not compared: 80,000 pairs."""
_BREAK = " "
SAME_GRAM_MAX = 50
"""Sentences that begin alike and are compared with one: beyond so many, one of them is long enough."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Alike:
    """Answers of two people that agree too well."""

    statements: tuple[Statement, ...]
    agreed: int
    p_value: float


def same_figures(
    system: System, model: MemoryModel, *, rng: np.random.Generator, draws: int, rate: float
) -> tuple[Alike, ...]:
    """Pairs of people whose figures agree more often than `rate` of honest groups show anywhere; the closest first."""
    rows = [row for row in system.rows if _is_recalled(row, system)]
    people = sorted({_said(row).entry or 0 for row in rows})
    if len(people) < 2 or len(people) > SPEAKERS_MAX or len(rows) < 2:
        return ()
    topics = _by_topic(rows)
    if not topics:
        return ()
    place = {entry: number for number, entry in enumerate(people)}
    simulated = [_draw_codes(rows, part, model, rng, draws) for part in topics]
    weights = [_weight(codes) for codes in simulated]
    largest = _largest(
        simulated, weights, [np.array([place[_said(rows[n]).entry or 0] for n in part]) for part in topics]
    )
    sums: dict[tuple[int, int], float] = defaultdict(float)
    shared: dict[tuple[int, int], list[int]] = defaultdict(list)
    for part, weight in zip(topics, weights, strict=True):
        for one, other in itertools.combinations(part, 2):
            if _same(rows[one], rows[other]):
                pair = (place[_said(rows[one]).entry or 0], place[_said(rows[other]).entry or 0])
                sums[min(pair), max(pair)] += weight
                shared[min(pair), max(pair)] += [one, other]
    found = []
    for pair in sorted(sums, key=lambda pair: -sums[pair])[:PAIRS_SHOWN_MAX]:
        reach = largest.size - int(np.searchsorted(largest, sums[pair] - 1e-9, side="left"))
        p_value = (1 + reach) / (1 + largest.size)
        if p_value <= rate:
            said = tuple(_said(rows[n]) for n in shared[pair])
            found.append(Alike(statements=said, agreed=len(said) // 2, p_value=p_value))
    return tuple(found)


def _said(row: Row) -> Statement:
    assert row.statement is not None, "only statements are recalled"
    return row.statement


def _is_recalled(row: Row, system: System) -> bool:
    """Whether a row is a figure or a date out of the speaker's own memory."""
    if row.hard or row.binary or len(row.terms) != 1 or row.statement is None:
        return False
    topic = system.topics[row.terms[0][0]]
    return (
        not topic.on_record and row.statement.known is not Known.TOLD and row.statement.said.kind in ("amount", "when")
    )


def _by_topic(rows: Sequence[Row]) -> list[list[int]]:
    """Rows of each topic, the first of each person; only topics of which two people speak."""
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for number, row in enumerate(rows):
        found[row.terms[0][0]].setdefault(_said(row).entry or 0, number)
    return [list(one.values()) for _, one in sorted(found.items()) if len(one) > 1]


def _same(one: Row, other: Row) -> bool:
    return one.low == other.low and one.high == other.high


def _draw_codes(
    rows: Sequence[Row], part: Sequence[int], model: MemoryModel, rng: np.random.Generator, draws: int
) -> Floats:
    """What honest people would have answered, each rounded by their own steps, shape (draws, people)."""
    mine = [rows[n] for n in part]
    about = remembered(mine)
    ends = np.array([(row.low, row.high) for row in mine])
    said_day = np.array([row.said_day for row in mine])
    timed = mine[0].shape is Shape.AGE
    middles = said_day - ends.mean(axis=1) if timed else ends.mean(axis=1)
    widths = np.maximum(ends[:, 1] - ends[:, 0], 1e-9)
    truth, base = float(np.median(middles)), mine[0].base
    worse = draw_worse(model, rng, draws=draws, persons=int(about.person.max()) + 1)
    g = draw_g(model, about, worse, rng)
    exact = rng.random(g.shape) < model.exact_share
    exact[rng.random(draws) < model.shared_exact_share] = True
    values = (truth + base) * np.exp(np.clip(about.share * g, -50, 50)) - base
    return np.where(exact, truth, np.round(values / widths) * widths)


def _pairs(codes: Floats) -> npt.NDArray[np.bool_]:
    return np.abs(codes[:, :, None] - codes[:, None, :]) < 1e-9


def _weight(codes: Floats) -> float:
    """-log of the chance that two honest people agree."""
    people = codes.shape[1]
    same = _pairs(codes).sum() - codes.shape[0] * people
    return float(-np.log((1 + same) / (1 + codes.shape[0] * people * (people - 1))))


def _largest(simulated: Sequence[Floats], weights: Sequence[float], who: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """The largest sum of any two people in each honest group, sorted."""
    draws = simulated[0].shape[0]
    people = 1 + max(int(one.max()) for one in who)
    sums = np.zeros((draws, people, people), dtype=np.float32)
    for codes, weight, mine in zip(simulated, weights, who, strict=True):
        sums[:, mine[:, None], mine[None, :]] += np.float32(weight) * _pairs(codes)
    sums[:, np.arange(people), np.arange(people)] = 0
    return np.sort(sums.reshape(draws, -1).max(axis=1).astype(np.float64))


def longest_run(sheet: AnswerSheet) -> tuple[int, tuple[Statement, Statement] | None]:
    """The longest run of words that two people share in freely spoken answers to one question. A run ends at agreed words."""
    topics = sheet.topic_by_id
    asked: dict[str, list[tuple[Statement, list[str]]]] = defaultdict(list)
    for one in sheet.statements:
        if one.own_words and one.entry is not None:
            asked[one.question].append((one, _own(words(one.sentence), words(topics[one.topic].text))))
    best, pair = 0, None
    for spoken in asked.values():
        first: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, (one, said) in enumerate(spoken):
            # A run can only be longer than the best so far if its first words are.
            for gram in dict.fromkeys(_grams(said, best + 1)):
                for earlier in first[gram][:SAME_GRAM_MAX]:
                    other, theirs = spoken[earlier]
                    if other.entry != one.entry and (length := _common(theirs, said)) > best:
                        best, pair = length, (other, one)
                first[gram].append(place)
    return best, pair


def words(sentence: str) -> list[str]:
    return _WORD.findall(sentence.casefold())


def _own(said: Sequence[str], agreed: Sequence[str]) -> list[str]:
    """What is left of a sentence without the agreed words of its topic: a break stands for them."""
    left: list[str] = []
    place = 0
    while place < len(said):
        if agreed and list(said[place : place + len(agreed)]) == list(agreed):
            left.append(_BREAK)
            place += len(agreed)
        else:
            left.append(said[place])
            place += 1
    return left


def _grams(said: Sequence[str], size: int) -> list[tuple[str, ...]]:
    grams = (tuple(said[start : start + size]) for start in range(len(said) - size + 1))
    return [gram for gram in grams if _BREAK not in gram]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """The length of the longest run of words in both."""
    best, before = 0, [0] * (len(other) + 1)
    for word in one:
        row = [0] * (len(other) + 1)
        for place, match in enumerate(other, start=1):
            if word == match and word != _BREAK:
                row[place] = before[place - 1] + 1
                best = max(best, row[place])
        before = row
    return best
