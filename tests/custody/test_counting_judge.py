"""A draw and a count, judged: everything that can be wrong is broken once, and named."""

from __future__ import annotations

import contextlib
import json
from datetime import timedelta

import numpy as np
import pytest
from counting_cases import BY_CHIP, BY_SITE, DAY, HOUR, INSPECTOR, OTHER, START, Count, random_register, register
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.drawing.ranks import first_by_rank
from inspectorate.drawing.sources import seed_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.act import Who
from inspectorate.evidence.custody import CountUnit
from inspectorate.evidence.fair import Order
from inspectorate.mechanisms.custody.counting.acts import Drawing, make_draw, make_held, make_promise
from inspectorate.mechanisms.custody.counting.checklist import (
    Checklist,
    Read,
    Reading,
    parse_checklist,
    read_page,
    read_paper,
    together,
)
from inspectorate.mechanisms.custody.counting.draw import draw
from inspectorate.mechanisms.custody.counting.faults import Fault
from inspectorate.mechanisms.custody.counting.held import Outcome, check_held
from inspectorate.mechanisms.custody.counting.judge import Believed, Statements, check_draw, check_register
from inspectorate.mechanisms.custody.counting.page import Sheet, places_of, render_page
from inspectorate.mechanisms.custody.counting.selection import OfChips, Selection, ToReach, chips_of
from inspectorate.mechanisms.custody.counting.shown import missing_upper
from inspectorate.mechanisms.custody.counting.sizes import detection_by_chip
from inspectorate.mechanisms.custody.counting.uses import check_uses
from inspectorate.mechanisms.custody.register import register_of, units, write_register
from inspectorate.quantities import Period


def faults(count: Count, statements: Statements, **believed: object) -> list[Fault]:
    judged = check_draw(statements, payload=count.payload, believed=Believed(**believed))  # type: ignore[arg-type]
    assert bool(judged.faults) == (judged.asked is None)
    return [one.fault for one in judged.faults]


@pytest.mark.parametrize("selection", [BY_SITE, BY_CHIP])
def test_an_honest_draw_is_fair_because_the_register_names_the_promise(selection: Selection) -> None:
    count = Count(selection=selection)
    judged = check_draw(count.statements(), payload=count.payload, believed=Believed(answer_within_s=86_400))
    assert judged.faults == ()
    assert judged.order is Order.NAMED


def test_the_draw_is_that_of_a_slow_reading_of_its_rules() -> None:
    count = Count()
    handed = count.handed()
    seed = seed_of(count.randomness, handed.digest)
    of = units(count.table, CountUnit.RACK)
    site_of = [count.table.chip(int(of.starts[n])).site for n in range(len(of))]
    order = first_by_rank(seed, len(of), len(of))
    expected = sorted([u for u in order if site_of[u] == "north"][:3] + [u for u in order if site_of[u] == "south"][:2])
    assert list(draw(BY_SITE, seed, count.table).units) == expected
    rows = first_by_rank(seed, len(count.table), 5)
    hit = sorted({next(u for u in range(len(of)) if row in of.rows(u)) for row in rows})
    assert list(draw(BY_CHIP, seed, count.table).units) == hit


def test_a_rule_follows_the_size_of_the_register() -> None:
    rule = ToReach(kind="reach", missing_share=0.05, detection_probability_min=0.9)
    for population in (20, 56, 2000):
        number = chips_of(rule, population)
        marked = int(np.ceil(0.05 * population))
        assert detection_by_chip(population, marked, number) >= 0.9 > detection_by_chip(population, marked, number - 1)
    assert chips_of(OfChips(kind="chips", chips=100), 30) == 30


def broken(count: Count, what: str) -> tuple[Statements, dict[str, object]]:
    handed, promise = count.handed(), count.promised()
    whole = lambda **changed: Statements(register=handed, drawn=count.drawn(handed, **changed), promise=promise)  # noqa: E731
    first = count.drawn(handed).predicate.drawn
    match what:
        case "register-unreadable":
            other = count.handed(b"nothing")
            return Statements(register=other, drawn=count.drawn(other), promise=promise), {}
        case "register-differs":
            other = count.handed(chips=3)
            return Statements(register=other, drawn=count.drawn(other), promise=promise), {}
        case "register-other":
            return whole(handed=promise.digest), {}
        case "draw-before":
            return whole(drawn_at=START - timedelta(seconds=1)), {}
        case "promise-missing":
            return Statements(register=handed, drawn=count.drawn(handed)), {}
        case "promise-other":
            return Statements(register=handed, drawn=count.drawn(handed, by="bob", key=OTHER), promise=promise), {}
        case "secret-other":
            return whole(randomness=Count(secret="66" * 32).randomness), {}
        case "randomness-unreadable":
            return whole(randomness=b"{}"), {}
        case "selection-other":
            return whole(unit=CountUnit.HOST), {}
        case "beyond-register":
            return whole(drawn=(*first, 900)), {}
        case "not-as-drawn":
            return whole(drawn=first[1:]), {}
        case "answer-too-soon":
            return whole(), {"answer_within_s": 100_000.0}
        case "answer-too-late":
            return whole(), {"answer_within_s": 3600.0}
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what",
    ["register-unreadable", "register-differs", "register-other", "draw-before", "promise-missing", "promise-other", "secret-other",
     "randomness-unreadable", "selection-other", "beyond-register", "not-as-drawn", "answer-too-soon", "answer-too-late"],
)  # fmt: skip
def test_a_broken_draw_is_named_and_asks_for_nothing(what: str) -> None:
    count = Count()
    statements, believed = broken(count, what)
    assert Fault(what) in faults(count, statements, **believed)


def test_a_promise_after_the_register_is_not_believed() -> None:
    count = Count(named=False)
    handed = count.handed()
    late = count.promised(promised_at=START + HOUR)
    found = faults(count, Statements(register=handed, drawn=count.drawn(handed, promise=late.digest), promise=late))
    assert Fault.PROMISE_AFTER in found
    early = Statements(register=handed, drawn=count.drawn(handed), promise=count.promised())
    assert check_draw(early, payload=count.payload).order is Order.SIGNED


def test_second_draws_and_secrets_used_twice_are_named() -> None:
    count = Count(named=False)
    handed, other = count.handed(), count.handed(chain="chain-2")
    draws = [
        count.drawn(handed),
        count.drawn(handed, drawn_at=START + DAY + HOUR),
        count.drawn(other, drawn_at=START + DAY + HOUR),
    ]
    found = check_uses(draws, [count.promised()], naming={}, payload=count.payload)
    assert {one.fault for one in found} == {Fault.REDRAWN, Fault.SECRET_REUSED}
    assert draws[0].digest not in {one.statement for one in found}
    older = Count(secret="77" * 32).promised(promised_at=START - DAY)
    found = check_uses(draws[:1], [count.promised(), older], naming={}, payload=count.payload)
    assert [one.fault for one in found] == [Fault.PROMISE_SKIPPED]


# --- what was read -------------------------------------------------------------------------------------------------------


def test_a_clean_count_bounds_what_is_missing() -> None:
    count = Count()
    asked = count.asked()
    held = check_held(asked, [count.held(asked, count.checklist(asked))], payload=count.payload)
    assert held.faults == ()
    assert held.usable
    assert held.blind
    assert set(held.outcomes.values()) == {Outcome.OPENED}
    assert 0 < missing_upper(held.counted, 0.05) < 56
    assert held.counted.seen_missing == 0


@pytest.mark.parametrize("selection", [BY_SITE, BY_CHIP])
def test_the_tally_is_that_of_a_slow_reading(selection: Selection) -> None:
    count = Count(selection=selection)
    asked = count.asked()
    everything = asked.register.serials.to_pylist()
    gone = set(everything[::3])
    stray = {asked.sample.units[0]: ("X-1", everything[asked.units.rows(asked.sample.units[-1]).start])}
    held = check_held(asked, [count.held(asked, count.checklist(asked, gone=gone, more=stray))], payload=count.payload)
    for unit in asked.sample.units:
        mine = {everything[row] for row in asked.units.rows(unit)}
        assert held.counted.missing[unit] == len(mine & gone)
    assert held.tally.units[asked.sample.units[0]].other == tuple(sorted(stray[asked.sample.units[0]]))
    assert held.counted.missing_drawn == sum(everything[row] in gone for row in asked.sample.chips)


@pytest.mark.parametrize("how", ["refused", "late", "before", "unaccounted", "none"])
def test_what_was_not_opened_as_it_should_counts_as_missing(how: str) -> None:
    count = Count()
    asked = count.asked()
    unit = asked.sample.units[0]
    checklist = count.checklist(asked, refused=[unit] if how == "refused" else ())
    times = {"late": START + 2 * DAY + HOUR, "before": START + DAY - HOUR}
    rest = {"period": Period(start=START, end=START + 3 * DAY)}
    if how in times:
        first = checklist.units[0].model_copy(update={"at": times[how]})
        checklist = checklist.model_copy(update={"units": (first, *checklist.units[1:])})
    elif how == "unaccounted":
        checklist = checklist.model_copy(update={"units": checklist.units[1:]})
    statements = [] if how == "none" else [count.held(asked, checklist, **rest)]
    held = check_held(asked, statements, payload=count.payload)
    clean = check_held(asked, [count.held(asked, count.checklist(asked))], payload=count.payload)
    assert held.counted.missing[unit] == len(asked.units.rows(unit))
    assert unit in held.counted.unopened
    assert missing_upper(held.counted, 0.05) > missing_upper(clean.counted, 0.05)
    assert held.counted.seen_missing == 0, "and nobody is accused by it"
    assert held.usable == (how in ("refused", "late", "unaccounted"))


@pytest.mark.parametrize("number", ["units_opened", "units_refused", "chips_due", "chips_seen", "chips_other"])
def test_numbers_of_the_statement_are_those_of_its_checklist(number: str) -> None:
    count = Count()
    asked = count.asked()
    right = count.held(asked, count.checklist(asked))
    wrong = count.held(asked, count.checklist(asked), **{number: getattr(right.predicate, number) + 1})
    held = check_held(asked, [wrong], payload=count.payload)
    assert [one.fault for one in held.faults] == [Fault.CHECKLIST_DIFFERS]
    assert not held.usable


def test_other_counts_of_the_draw_are_named_and_the_first_stands() -> None:
    count = Count()
    asked = count.asked()
    checklist = count.checklist(asked)
    good = count.held(asked, checklist)
    bob = count.held(asked, checklist, by="bob", key=OTHER)
    longer = Period(start=START + DAY, end=START + 3 * DAY)
    later = count.held(asked, count.checklist(asked, refused=asked.sample.units), period=longer)
    held = check_held(asked, [later, bob, good], payload=count.payload)
    assert {one.fault for one in held.faults} == {Fault.COUNTED_TWICE, Fault.HELD_OTHER}
    assert set(held.outcomes.values()) == {Outcome.OPENED}


def test_units_that_were_not_drawn_and_serials_read_twice_are_named() -> None:
    count = Count()
    asked = count.asked()
    stray = next(unit for unit in range(10) if unit not in asked.sample.units)
    checklist = count.checklist(asked)
    extra = Read(unit=stray, outcome="opened", at=START + DAY + HOUR, serials=("A",))
    more = checklist.model_copy(update={"units": tuple(sorted((*checklist.units, extra), key=lambda one: one.unit))})
    held = check_held(asked, [count.held(asked, more)], payload=count.payload)
    assert [one.fault for one in held.faults] == [Fault.NOT_DRAWN]
    copied = checklist.units[1].serials[0]
    twice = count.checklist(asked, more={asked.sample.units[0]: [copied]})
    held = check_held(asked, [count.held(asked, twice)], payload=count.payload)
    assert [one.fault for one in held.faults] == [Fault.SERIAL_TWICE]


def test_a_checklist_that_is_none_leaves_everything_unaccounted() -> None:
    count = Count()
    asked = count.asked()
    for data in (b"{}", count.checklist(asked).model_copy(update={"drawn": count.promised().digest}).canonical_bytes()):
        held = check_held(asked, [count.held(asked, data)], payload=count.payload)
        assert [one.fault for one in held.faults] == [Fault.CHECKLIST_UNREADABLE]
        assert not held.usable
        assert missing_upper(held.counted, 0.05) == 56


def test_chips_are_counted_in_their_hosts() -> None:
    """Where a chip is drawn, its host is opened; serials of the same host are at home, and none is counted twice."""
    count = Count(selection=Selection(unit=CountUnit.CHIP, rule=OfChips(kind="chips", chips=12)))
    asked = count.asked()
    hosts = units(asked.register, CountUnit.HOST)
    reads = []
    for unit in asked.sample.units:
        host = int(np.searchsorted(hosts.starts, unit, side="right")) - 1
        rows = hosts.rows(host)
        serials = asked.register.serials.slice(rows.start, len(rows)).to_pylist()
        reads.append(Read(unit=unit, outcome="opened", at=START + DAY + HOUR, serials=tuple(serials)))
    checklist = Checklist(drawn=asked.digest, blind=True, reading=Reading.DEVICE, units=tuple(reads))
    held = check_held(asked, [count.held(asked, checklist)], payload=count.payload)
    assert held.faults == ()
    assert (held.tally.seen, held.tally.other) == (12, 0)


# --- acts ----------------------------------------------------------------------------------------------------------------


def test_acts_make_what_the_judges_find_fair() -> None:
    count = Count()
    who = Who(name="ada", at=START + DAY, origin=Origin.RECORDED)
    promise, _ = make_promise(BY_SITE, bytes.fromhex(count.secret), who, reporter="register-a")
    assert promise == count.promise
    handed = count.handed()
    by = Drawing(randomness=count.randomness, answer_within=DAY, promise=count.promised().digest)
    act = make_draw(handed, by, who, payload=count.payload)
    drawn = count.sign(act.predicate, {**act.subjects, "randomness": count.keep(act.payloads[0])}, INSPECTOR)
    asked = check_draw(Statements(register=handed, drawn=drawn, promise=count.promised()), payload=count.payload).asked
    checklist = count.checklist(asked)
    made = make_held(asked, checklist, who, period=Period(start=START + DAY, end=START + 2 * DAY))
    assert made.predicate == count.held(asked, checklist).predicate
    with pytest.raises(InputError, match="begin before"):
        make_held(asked, checklist, who, period=Period(start=START, end=START + 2 * DAY))
    with pytest.raises(InputError, match="outside"):
        make_held(asked, checklist, who, period=Period(start=START + DAY, end=START + DAY + timedelta(minutes=1)))
    with pytest.raises(EvidenceError, match="cannot be drawn from"):
        make_draw(count.handed(b"none"), by, who, payload=count.payload)
    assert check_register(handed, payload=count.payload)[1] == []


# --- pages, paper, readers -------------------------------------------------------------------------------------------------


def test_a_blind_page_holds_places_and_no_serial_and_reaches_nothing() -> None:
    count = Count()
    asked = count.asked()
    page = render_page(Sheet(asked=asked))
    serials = asked.register.serials.to_pylist()
    assert not any(serial in page for serial in serials)
    assert len(places_of(Sheet(asked=asked))) == len(asked.sample.units)
    assert "default-src &#x27;none&#x27;" in page
    assert "http:" not in page
    assert "https:" not in page
    shown = render_page(Sheet(asked=asked, blind=False))
    due = [serials[row] for unit in asked.sample.units for row in asked.units.rows(unit)]
    assert all(serial in shown for serial in due)
    with pytest.raises(InputError, match="places are on the page"):
        render_page(Sheet(asked=asked, sites=["nowhere"]))


def test_names_of_a_register_do_not_end_the_element_they_stand_in() -> None:
    table = register({"north": (2,)})
    columns = {"serial": table.serials} | {name: column.array() for name, column in table.columns.items()}
    columns["rack"] = ["</script><script>alert(1)</script>"] * 2
    page = render_page(Sheet(asked=Count(table=register_of(columns), selection=BY_CHIP).asked()))
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page


def test_paper_is_read_back_and_faults_are_named_by_line() -> None:
    count = Count()
    asked = count.asked()
    checklist = count.checklist(asked, refused=asked.sample.units[:1])
    lines = []
    for one in checklist.units:
        lines.append(f"unit {one.unit} {one.outcome} {one.at.isoformat()}{' ' + one.reason if one.reason else ''}")
        lines += one.serials
    text = "# typed\n\n" + "\n".join(lines)
    read = read_paper(text.encode(), drawn=asked.digest, blind=True, reading=Reading.LABEL, where="paper")
    assert read == checklist
    for bad in ("A-1", "unit 1 opened yesterday", "unit 1 refused 2024-11-02T00:00:00Z", "unit 1 opened 2024-11-02T00:00:00Z\nA 1",
                "unit 1 refused 2024-11-02T00:00:00Z no key\nA-1", "", "unit 1 opened 2024-11-02T00:00:00Z\nA\nA"):  # fmt: skip
        with pytest.raises(InputError):
            read_paper(bad.encode(), drawn=asked.digest, blind=True, reading=Reading.LABEL, where="paper")


def test_lists_of_teams_are_joined_and_a_unit_stands_in_one() -> None:
    count = Count()
    asked = count.asked()
    whole = count.checklist(asked)
    parts = [whole.model_copy(update={"units": whole.units[:2]}), whole.model_copy(update={"units": whole.units[2:]})]
    assert together(parts[::-1]) == whole
    with pytest.raises(InputError, match="stands in two"):
        together([whole, parts[0]])
    with pytest.raises(InputError, match="different"):
        together([parts[0], parts[1].model_copy(update={"blind": False})])


KNOWN = Count()
ASKED = KNOWN.asked()
GOOD = KNOWN.checklist(ASKED)


@given(st.data())
@settings(max_examples=40)
def test_mutated_checklists_are_refused_or_judged_and_never_raise(data: st.DataObject) -> None:
    raw = bytearray(GOOD.canonical_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    for reader in (parse_checklist, read_page):
        try:
            reader(bytes(raw), where="x")
        except EvidenceError:
            continue
    with contextlib.suppress(InputError):
        read_paper(bytes(raw), drawn=GOOD.drawn, blind=True, reading=Reading.LABEL, where="x")
    held = check_held(ASKED, [KNOWN.held(ASKED, bytes(raw))], payload=KNOWN.payload)
    assert held.faults


@given(st.integers(1, 8), st.integers(1, 9), st.integers(0, 2**32))
@settings(max_examples=10)
def test_any_register_is_drawn_from_and_counted(racks: int, most: int, seed: int) -> None:
    table = random_register(np.random.default_rng(seed), racks, most)
    count = Count(table=table, selection=BY_CHIP, secret=f"{seed:064x}")
    asked = count.asked()
    held = check_held(asked, [count.held(asked, count.checklist(asked))], payload=count.payload)
    assert held.faults == ()
    assert missing_upper(held.counted, 0.05) <= len(table) - held.tally.seen
    assert write_register(table)
    assert json.loads(count.checklist(asked).canonical_bytes())["blind"] is True
