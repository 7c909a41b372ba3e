"""Hold the answers of a group against one another, the declaration and machine evidence: the one pass.

1. Statements become rows; what the declaration, machines and agreed facts say must hold together before anybody is heard.
2. Every set of rows gets its least excess, and the p-value of it (`null`); with honest groups in the calibration also a conformal
   one.
3. A set at or below the agreed rate is a contradiction, explained by the fewest sentences that cannot all be right. Sentences of
   one explanation are then left out and the set is judged again, so that a second conflict is found behind the first.
4. Pointers: answers that agree too well, statements beyond their speaker's own word, silence where a role would know.
5. Leads, as drafts: an office raises them or not.

Nothing says which of the sentences is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence import Step
from inspectorate.mechanisms.interviews.consistency import alike, knowing
from inspectorate.mechanisms.interviews.consistency.calibrate import POINTERS, Calibration, Judged, conformal_p
from inspectorate.mechanisms.interviews.consistency.excess import Program
from inspectorate.mechanisms.interviews.consistency.explain import (
    Conflict,
    against_of,
    conflict_in,
    irreducible,
    resolved_by,
    voice_of,
)
from inspectorate.mechanisms.interviews.consistency.memory import Floats
from inspectorate.mechanisms.interviews.consistency.null import Cell, excess_of
from inspectorate.mechanisms.interviews.consistency.rows import System
from inspectorate.mechanisms.interviews.consistency.types import (
    Against,
    AnswerSheet,
    Checked,
    Contradiction,
    LeadDraft,
    Pointer,
    PointerKind,
    Statement,
)

CONFLICTS_PER_CELL_MAX = 5
CONTRADICTIONS_MAX = 200
POINTER_DRAWS = 2_000
NOT_CHECKED = (
    "whether anybody told the truth: only whether what was said can all be right",
    "stories that everybody tells alike and that no record or machine contradicts",
    "whether the model of honest memory fits these people: a group that remembers worse is accused more often than agreed",
)


def check(sheet: AnswerSheet, calibration: Calibration) -> Checked:
    """What comes of holding the answers of a sheet against one another and all else that stands in it.

    Raises `EvidenceError` where the declaration, machines and agreed facts exclude one another.
    """
    judged = Judged(sheet, calibration)
    _refuse_impossible(judged.system)
    # A group's strength has a conformal p-value; a part of the group's answers is no stronger than that.
    p_values = judged.null.p_values(judged.u.max(axis=1)) if judged.u.size else np.ones(0)
    p_group = float(judged.null.p_values(np.array([judged.strongest]))[0])
    if calibration.strengths:
        p_group = max(p_group, conformal_p(judged.strength, calibration.strengths))
        p_values = np.array(
            [_both(judged, calibration, u, p) for u, p in zip(judged.u.max(axis=1), p_values, strict=True)]
        )
    contradictions = _contradictions(judged, p_values, calibration)
    pointers = _pointers(sheet, judged, calibration)
    return Checked(
        sheet=digest_of(sheet.canonical_bytes()),
        calibration=calibration.digest,
        origin=sheet.origin,
        false_accusation_rate=calibration.false_accusation_rate,
        pointer_rate=calibration.pointer_rate,
        people=len(sheet.interviewees),
        statements=len(judged.system.soft),
        set_aside=judged.system.set_aside,
        contradictions=contradictions,
        pointers=pointers,
        leads=leads_of(sheet, contradictions),
        group_p_value=p_group,
        not_checked=NOT_CHECKED,
    )


def _both(judged: Judged, calibration: Calibration, u: float, p: float) -> float:
    return max(float(p), conformal_p(judged.null.strength(float(u)), calibration.strengths))


def _refuse_impossible(system: System) -> None:
    hard = [number for number, row in enumerate(system.rows) if row.hard]
    if not hard or Program(system.topics, [system.rows[n] for n in hard]).holds(0.0):
        return
    names = []
    for number in irreducible(system, hard, 0.0):
        row = system.rows[number]
        names.append(row.statement.id if row.statement is not None else f"link {row.link}")
    raise EvidenceError(
        f"what is declared, measured and agreed cannot all hold, before anybody is heard: {', '.join(names)}",
        where="answer sheet",
        remedy="ask the party; then leave one of them out, and check again",
    )


def _contradictions(judged: Judged, p_values: Floats, calibration: Calibration) -> tuple[Contradiction, ...]:
    rate = calibration.false_accusation_rate
    found: list[Contradiction] = []
    seen: set[frozenset[str]] = set()
    cells = judged.cells
    order = [int(number) for number in np.argsort(p_values, kind="stable") if p_values[number] <= rate]
    for number in order:
        if number < cells.basic:
            found += _explained(judged, cells.all[number], number, float(p_values[number]), rate, seen)
    # A sum is explained by its parts, strongest first, where none of them reaches the rate by itself.
    reached = {number for number in order if number < cells.basic}
    for number in order:
        parts = cells.all[number].parts
        if number >= cells.basic and not reached & set(parts):
            reached |= set(parts)
            found += _of_parts(judged, parts, float(p_values[number]), seen)
    return tuple(found[:CONTRADICTIONS_MAX])


def _of_parts(judged: Judged, parts: Sequence[int], p_value: float, seen: set[frozenset[str]]) -> list[Contradiction]:
    """The strongest conflicts of some sets that only together reach the rate."""
    found: list[Contradiction] = []
    strongest = sorted((part for part in parts if judged.u[part].max() > 0), key=lambda part: -judged.u[part].max())
    for part in strongest[:CONFLICTS_PER_CELL_MAX]:
        conflict = conflict_in(judged.system, judged.cells.all[part])
        if conflict is not None:
            _add(found, seen, contradiction(judged.system, conflict, p_value))
    return found


def _explained(
    judged: Judged, cell: Cell, number: int, p_value: float, rate: float, seen: set[frozenset[str]]
) -> list[Contradiction]:
    """The conflicts of one set, one behind the other, while what is left is at or below the rate."""
    system, found = judged.system, list[Contradiction]()
    rows = list(cell.rows)
    for _ in range(CONFLICTS_PER_CELL_MAX):
        conflict = conflict_in(system, Cell(topics=cell.topics, rows=tuple(rows)))
        if conflict is None:
            break
        _add(found, seen, contradiction(system, conflict, p_value))
        gone = {n for n in (*conflict.rows, *conflict.others) if not system.rows[n].hard}
        rows = [n for n in rows if n not in gone]
        if not gone or not any(not system.rows[n].hard for n in rows):
            break
        left = excess_of(system, cell.topics, rows)
        u = max(judged.null.u(_at(judged, number, left))[number])
        p_value = float(judged.null.p_values(np.array([u]))[0])
        if p_value > rate:
            break
    return found


def _at(judged: Judged, number: int, excess: Floats) -> Floats:
    table = np.zeros_like(judged.excess)
    table[number] = excess
    return table


def _add(found: list[Contradiction], seen: set[frozenset[str]], one: Contradiction) -> None:
    """Keep an explanation whose core is new."""
    core = frozenset(voice.statement for voice in one.core)
    if core not in seen:
        seen.add(core)
        found.append(one)


def contradiction(system: System, conflict: Conflict, p_value: float) -> Contradiction:
    """A conflict in the words of its speakers."""
    rows = [system.rows[n] for n in conflict.rows]
    said = [row.statement for row in rows if row.statement is not None]
    others = [system.rows[n].statement for n in conflict.others]
    numbers = sorted({number for row in rows for number, _ in row.terms})
    topics = [system.topics[number] for number in numbers]
    against = against_of(rows)
    missed = 1.0
    for one in said:
        missed *= 1 - one.miss_probability
    return Contradiction(
        topics=tuple(topic.id for topic in topics),
        against=against,
        core=tuple(voice_of(one) for one in said),
        facts=tuple(f"agreed: {row.link}" for row in rows if row.link is not None),
        others=tuple(one.id for one in others if one is not None),
        p_value=p_value,
        miss_probability=1 - missed,
        resolved_by=resolved_by(topics, against),
    )


def _pointers(sheet: AnswerSheet, judged: Judged, calibration: Calibration) -> tuple[Pointer, ...]:
    rate, model = calibration.pointer_rate, calibration.model
    found: list[Pointer] = []
    # Figures, words and silence share the rate, so that an honest group shows any pointer of them with at most the rate.
    share = rate / POINTERS
    for one in alike.same_figures(judged.system, model, rng=judged.rng, draws=POINTER_DRAWS, rate=share):
        text = f"two people agree to the last digit on {one.agreed} answers out of their own memory"
        found.append(_same(PointerKind.SAME_FIGURES, one.statements, text, min(1.0, POINTERS * one.p_value)))
    length, pair = alike.longest_run(sheet)
    if pair is not None:
        text = f"{length} words in a row are the same in answers that were spoken freely"
        if calibration.runs:
            p_value = min(1.0, POINTERS * conformal_p(length, calibration.runs))
            if p_value <= rate:
                found.append(_same(PointerKind.SAME_WORDS, pair, text, p_value))
        elif length >= alike.WORDS_IN_A_ROW:
            found.append(_same(PointerKind.SAME_WORDS, pair, text, None))
    found += knowing.beyond_own_word(sheet)
    found += knowing.nobody_knows(sheet, blank_share=model.blank_share, rate=share)
    return tuple(found)


def _same(kind: PointerKind, said: Sequence[Statement], text: str, p_value: float | None) -> Pointer:
    topics = tuple(dict.fromkeys(one.topic for one in said))
    return Pointer(kind=kind, topics=topics, voices=tuple(voice_of(one) for one in said), text=text, p_value=p_value)


def leads_of(sheet: AnswerSheet, contradictions: Sequence[Contradiction]) -> tuple[LeadDraft, ...]:
    """One draft for each clause, activity and set of pods that contradictions touch. The party is asked first; where answers stand
    against the declaration or machines, another look is called for."""
    topics = sheet.topic_by_id
    drafts: dict[tuple[str, str, tuple[str, ...]], LeadDraft] = {}
    for one in contradictions:
        step = Step.CLARIFY if set(one.against) == {Against.PEOPLE} else Step.FOCUS
        for name in one.topics:
            topic = topics[name]
            key = (topic.clause, topic.activity.value, topic.pods)
            known = drafts.get(key)
            steps = [step, known.step] if known else [step]
            names = tuple(dict.fromkeys((*(known.topics if known else ()), name)))
            drafts[key] = LeadDraft(
                clause=topic.clause,
                activity=topic.activity,
                pods=tuple(sorted(set(topic.pods))),
                period=topic.period if known is None or known.period == topic.period else None,
                step=Step.FOCUS if Step.FOCUS in steps else Step.CLARIFY,
                topics=names,
            )
    return tuple(drafts.values())
