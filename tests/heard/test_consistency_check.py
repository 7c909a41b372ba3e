"""Groups of simulated people: the rate of false accusations, cover-ups, pointers, leads and the command line, each in small."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import canonical_bytes
from inspectorate.cli.interview import interview
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Activity, HumanSource, Origin, Step
from inspectorate.mechanisms.interviews.consistency import alike, knowing
from inspectorate.mechanisms.interviews.consistency.calibrate import (
    Calibration,
    Judged,
    calibrated,
    conformal_p,
    groups_for,
)
from inspectorate.mechanisms.interviews.consistency.check import check
from inspectorate.mechanisms.interviews.consistency.excess import Program, least_alone, least_without_one
from inspectorate.mechanisms.interviews.consistency.null import cells_of, excesses
from inspectorate.mechanisms.interviews.consistency.reading import parse_sheet, with_statements
from inspectorate.mechanisms.interviews.consistency.rows import LEVELS, build
from inspectorate.mechanisms.interviews.consistency.types import (
    Against,
    Amount,
    AnswerSheet,
    Checked,
    CouldKnow,
    Known,
    PointerKind,
    Unknown,
)
from inspectorate.worlds.interviews import Plan, Preparation, group
from inspectorate.worlds.interviews_site import CoverUp

CALIBRATION = Calibration(id="test", origin=Origin.SIMULATED, draws=300)


@cache
def told() -> AnswerSheet:
    """Nobody conspires, and the declaration is false."""
    return group(Plan(people=16, seed=3, cover_up=CoverUp.HIDDEN_RUN))


@cache
def found() -> Checked:
    return check(told(), CALIBRATION)


def test_honest_groups_are_seldom_accused() -> None:
    """The bench prints the rate of 2,000 groups; here the p-values of 10 must not be too small as a whole."""
    p = []
    for seed in range(10):
        judged = Judged(group(Plan(people=4, seed=500 + seed, machines=True)), CALIBRATION)
        p.append(float(judged.null.p_values(np.array([judged.strongest]))[0]))
    assert sum(one <= 0.01 for one in p) <= 2, "P(more than 2 of 10 at 1 %) < 0.001"
    assert sum(one <= 0.2 for one in p) <= 7, "P(more than 7 of 10 at 20 %) < 0.001"


def test_a_group_that_remembers_far_worse_is_accused() -> None:
    """The broken case: where the model does not hold, neither does the rate."""
    plans = (Plan(people=10, seed=900 + seed, noise=6.0) for seed in range(4))
    assert any(check(group(plan), CALIBRATION).contradictions for plan in plans)


def test_a_hidden_run_of_which_people_tell_contradicts_the_declaration() -> None:
    sheet, one = told(), found()
    assert one.group_p_value <= 0.01
    assert one.contradictions
    against = {kind for each in one.contradictions for kind in each.against}
    assert Against.DECLARATION in against
    said = {each.id: each.sentence for each in sheet.statements}
    for each in one.contradictions:
        assert each.p_value <= 0.01
        assert len(each.core) >= 2
        assert all(voice.sentence == said[voice.statement] for voice in each.core), "in their own words"
        assert each.resolved_by
    lead = one.leads[0]
    assert (lead.source, lead.step) == (HumanSource.INTERVIEW, Step.FOCUS)
    assert Activity.TRAINING in {draft.activity for draft in one.leads}


def test_no_field_is_a_figure_of_a_person() -> None:
    """Figures belong to sets of sentences, never to an entry."""
    fields = {name for model in (Checked, type(found().contradictions[0])) for name in model.model_fields}
    assert not {"credibility", "score", "liar", "truthful", "suspect"} & fields
    voice = found().contradictions[0].core[0]
    assert not any(isinstance(value, int | float) for value in voice.model_dump().values())


def test_where_everybody_tells_one_story_there_is_no_contradiction() -> None:
    plan = Plan(people=12, seed=4, cover_up=CoverUp.RECORDS_CHANGED, conspirators=12)
    assert check(group(plan), CALIBRATION).contradictions == ()


def test_machine_evidence_breaks_a_story_that_everybody_tells() -> None:
    plan = Plan(people=12, seed=4, cover_up=CoverUp.HIDDEN_RUN, conspirators=12, machines=True)
    one = check(group(plan), CALIBRATION)
    assert any(Against.MACHINES in each.against for each in one.contradictions)
    assert all(each.miss_probability > 0 for each in one.contradictions if Against.MACHINES in each.against)


def test_at_the_true_values_nothing_costs_less_than_the_excess() -> None:
    """The excess is the least over all values, the true ones among them: for every set of rows and every level."""
    from_truth = group(Plan(people=8, seed=21))
    made = build(from_truth, CALIBRATION.model)
    cells = cells_of(made)
    table = excesses(made, cells)
    for number, cell in enumerate(cells.all[: cells.basic]):
        rows = [made.rows[n] for n in cell.rows]
        for place, level in enumerate(LEVELS):
            assert table[number, place] == pytest.approx(
                Program(made.topics, rows).excess(level).value, abs=1e-4
            ) or any(row.binary for row in rows)
    everybody, without_one = table[:, : len(LEVELS)], table[:, len(LEVELS) :]
    assert np.all(np.diff(everybody, axis=1) <= 1e-6), "the more is asked of memory, the less is left"
    assert np.all(without_one <= everybody + 1e-6)


def test_without_one_person_is_the_least_over_all_of_them() -> None:
    made = build(group(Plan(people=8, seed=22)), CALIBRATION.model)
    for number in (1, 3, 6):
        rows = [made.rows[n] for n in made.of_topic[number]]
        people = {row.statement.entry for row in rows if row.statement is not None and not row.hard}
        left = [
            least_alone(made.topics[number], [row for row in rows if row.hard or row.statement.entry != entry])  # type: ignore[union-attr]
            for entry in people
        ]
        assert least_without_one(made.topics[number], rows) == pytest.approx(np.min(left, axis=0))


def test_one_slip_however_large_is_not_what_several_say() -> None:
    """Three people are far from the declaration, or one is: the second is explained by a confusion."""
    statements = [one for one in told().statements if one.topic == "busy-nodes" and one.said.kind != "could-know"]
    said = [
        one for one in statements if one.entry is not None and isinstance(one.said, Amount) and one.known is Known.SAW
    ][:4]
    declared = next(one for one in statements if one.entry is None)
    assert isinstance(declared.said, Amount)
    near = [one.model_copy(update={"said": declared.said}) for one in said]
    far = Amount(lower=declared.said.lower * 6, upper=declared.said.upper * 6)

    def p_value(wide: int) -> float:
        spoken = [one.model_copy(update={"said": far}) if n < wide else one for n, one in enumerate(near)]
        sheet = told().model_copy(update={"statements": (declared, *spoken), "links": ()})
        return check(sheet, CALIBRATION).group_p_value

    assert p_value(0) == 1
    assert p_value(3) <= 0.01 < p_value(1)


def test_the_same_sheet_gives_the_same_result() -> None:
    again = check(told(), CALIBRATION)
    assert again == found()
    assert Checked.model_validate_json(again.canonical_bytes()) == again


def test_a_story_learnt_by_heart_is_pointed_at() -> None:
    plan = Plan(people=10, seed=8, cover_up=CoverUp.HIDDEN_RUN, conspirators=10, preparation=Preparation.AGREED)
    kinds = {one.kind for one in check(group(plan), CALIBRATION).pointers}
    assert PointerKind.SAME_WORDS in kinds
    own = {one.kind for one in check(group(Plan(people=6, seed=8)), CALIBRATION).pointers}
    assert not {PointerKind.SAME_WORDS, PointerKind.SAME_FIGURES} & own


def test_the_longest_run_is_that_of_all_pairs() -> None:
    sheet = group(Plan(people=5, seed=2))
    topics = sheet.topic_by_id
    spoken = [one for one in sheet.statements if one.own_words]
    best = 0
    for one in spoken:
        for other in spoken:
            if one.question == other.question and one.entry != other.entry:
                texts = [
                    alike._own(alike.words(each.sentence), alike.words(topics[each.topic].text))
                    for each in (one, other)
                ]
                best = max(best, alike._common(texts[0], texts[1]))
    assert alike.longest_run(sheet)[0] == best


def test_words_beyond_what_could_be_known_and_silence_are_pointed_at() -> None:
    sheet = group(Plan(people=16, seed=5))
    changed = []
    for one in sheet.statements:
        if one.topic == "night-shifts" and one.entry is not None:
            one = one.model_copy(
                update={"said": CouldKnow(could=True)} if one.said.kind == "could-know" else {"said": Unknown()}
            )
        changed.append(one)
    silent = AnswerSheet.model_validate({**sheet.model_dump(), "statements": [one.model_dump() for one in changed]})
    pointed = knowing.nobody_knows(silent, blank_share=0.35, rate=0.01)
    assert [one.topics for one in pointed] == [("night-shifts",)]
    assert knowing.nobody_knows(sheet, blank_share=0.35, rate=0.01) == ()
    saw = next(one for one in sheet.statements if one.known is Known.SAW and one.said.kind == "amount")
    could = next(
        one for one in sheet.statements if (one.entry, one.topic, one.said.kind) == (saw.entry, saw.topic, "could-know")
    )
    statements = [
        one if one is not could else one.model_copy(update={"said": CouldKnow(could=False)}) for one in sheet.statements
    ]
    turned = sheet.model_copy(update={"statements": tuple(statements)})
    assert [one.voices[1].statement for one in knowing.beyond_own_word(turned)] == [saw.id]
    assert knowing.beyond_own_word(sheet) == ()


@pytest.mark.parametrize(("count", "of", "chance"), [(0, 5, 0.3), (3, 5, 0.3), (5, 5, 0.3)])
def test_binomial_tail(count: int, of: int, chance: float) -> None:
    every = sum(
        chance ** sum(bits) * (1 - chance) ** (of - sum(bits))
        for number in range(2**of)
        if sum(bits := [number >> bit & 1 for bit in range(of)]) >= count
    )
    assert knowing.at_least(count, of=of, chance=chance) == pytest.approx(every)


def test_honest_groups_guard_the_rate_beside_the_model() -> None:
    rough = CALIBRATION.model_copy(update={"false_accusation_rate": 0.2, "pointer_rate": 0.4, "draws": 100})
    honest = [group(Plan(people=4, seed=seed, noise=6.0)) for seed in range(5)]
    guarded = calibrated(rough, honest)
    assert len(guarded.strengths) == 5
    assert guarded.origin is Origin.SIMULATED
    assert guarded.digest != rough.digest
    strongest = max(guarded.strengths)
    assert conformal_p(strongest + 1, guarded.strengths) == pytest.approx(1 / 6)
    assert conformal_p(min(guarded.strengths), guarded.strengths) == 1
    with pytest.raises(InputError, match="it takes 4"):
        calibrated(rough, honest[:3])
    assert groups_for(0.01) == 99


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_spoilt_sheet_is_refused_or_read(data: st.DataObject) -> None:
    """Whatever bytes come: a sheet that holds its rules, or an `EvidenceError`."""
    whole = bytearray(small())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        sheet = parse_sheet(bytes(whole), where="sheet")
    except EvidenceError:
        return
    assert sheet.statements


@cache
def small() -> bytes:
    sheet = told()
    return sheet.model_copy(update={"statements": sheet.statements[:12]}).canonical_bytes()


def test_statements_that_do_not_fit_are_refused() -> None:
    value = json.loads(small())
    for spoil in (
        lambda v: v["statements"][-1].update(topic="elsewhere"),
        lambda v: v["statements"][-1].update(entry=99_999),
        lambda v: v["statements"][0].update(known="saw"),
        lambda v: v["topics"][1].pop("unit"),
        lambda v: v["statements"].append(v["statements"][0]),
        lambda v: v["links"][0]["terms"].update(nowhere=1.0),
        lambda v: v["statements"][-1].update(said={"kind": "amount", "lower": 2, "upper": 1}),
    ):
        copy = json.loads(json.dumps(value))
        spoil(copy)
        with pytest.raises(EvidenceError):
            parse_sheet(canonical_bytes(copy), where="sheet")


def test_from_the_command_line(tmp_path: Path) -> None:
    sheet, agreed, out = tmp_path / "sheet.json", tmp_path / "agreed.json", tmp_path / "found.json"
    sheet.write_bytes(told().canonical_bytes())
    run = CliRunner()
    made = run.invoke(interview, ["calibrate", str(agreed), "--id", "agreed", "--draws", "400"])
    assert made.exit_code == 0, made.output
    came = run.invoke(interview, ["check", str(sheet), "--calibration", str(agreed), "--out", str(out)])
    assert came.exit_code == 20, came.output
    assert "cannot all be right" in came.output
    assert "simulated answers" in came.output
    assert Checked.model_validate_json(out.read_bytes()).calibration in made.output
    dropped = run.invoke(interview, ["check", str(sheet), "--calibration", str(agreed), "--leave-out", "nothing"])
    assert isinstance(dropped.exception, InputError), "the group above prints it and exits 2"
    assert "there is no statement nothing" in str(dropped.exception)
    assert out.stat().st_mode & 0o077 == 0
    gone = run.invoke(
        interview, ["check", str(sheet), "--calibration", str(agreed), "--leave-out", told().statements[0].id]
    )
    assert f"left out by whoever checked: {told().statements[0].id}" in gone.output
    sheet.write_bytes(b"[]")
    spoilt = run.invoke(interview, ["check", str(sheet), "--calibration", str(agreed)])
    assert isinstance(spoilt.exception, EvidenceError), "which exits 30"


def test_a_statement_can_be_left_out() -> None:
    first = told().statements[0].id
    assert first not in {one.id for one in with_statements(told(), (), without=[first]).statements}
