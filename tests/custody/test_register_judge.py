"""Double entry: columns against dictionaries, honest histories, and every kind of fault planted."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from register_histories import DAY, NOTICE, SITES, START, Fleet, Writer, chip, terms
from register_slow import Said, slow

from inspectorate.evidence.custody import ChipState, Passage
from inspectorate.mechanisms.custody.register.faults import FEW, MENDED_BY, Fault
from inspectorate.mechanisms.custody.register.judge import Judged, judge
from inspectorate.mechanisms.custody.register.reading import Books

SERIALS = [f"S{number:02d}" for number in range(FEW)]
MODELS = ["h100-sxm", "h100-sxm", "h100-sxm", "h200-sxm"]
END = START + 80 * DAY
BESIDE = {Fault.FIRST_LATE, Fault.UPDATE_LATE}


def in_short(judged: Judged) -> Said:
    """Faults by kind, statement and chips: there are few enough chips to be named one by one."""
    return Counter(
        (one.fault, one.statements[0], frozenset(one.serials)) for one in judged.found if one.fault not in BESIDE
    )


def anything(seed: int) -> Books:
    """Statements that make no sense: any change of any chips at any time, and registers of any chips."""
    dice = random.Random(seed)
    writer, notices = Writer(), []

    def some() -> list[str]:
        return dice.sample(SERIALS, dice.randrange(1, 4))

    def any_chip(serial: str) -> object:
        state = dice.choice(["working", "working", "broken"])
        return chip(serial, dice.choice(SITES), model=dice.choice(MODELS), state=state,
                    owner=dice.choice(["owner", "owner", "other"]))  # fmt: skip

    for day in sorted(dice.sample(range(70), dice.randrange(2, 25))):
        at = START + day * DAY
        match dice.randrange(9):
            case 0 | 1:
                listed = dice.choices(SERIALS, k=dice.randrange(1, 9)) if dice.random() < 0.3 else list(SERIALS)
                writer.hand([any_chip(one) for one in listed], at)  # type: ignore[misc]
            case 2:
                writer.acquire([any_chip(one) for one in some()], at)  # type: ignore[misc]
            case 3:
                writer.report(some(), dice.choice(list(ChipState)), at)
            case 4:
                writer.destroy(some(), at, independent=dice.random() < 0.7)
            case 5:
                to = dice.choice([{"to_site": one} for one in SITES] + [{"to_site": None, "to_party": "party-b"}])
                notice = writer.notify(some(), at, at + dice.choice([0, 10, NOTICE, 20]) * DAY,
                                       from_site=dice.choice(SITES), transfer=f"t{dice.randrange(9)}", **to)  # fmt: skip
                notices.append(notice)
                for by in ("one", "two", "three"):
                    if dice.random() < 0.7:
                        writer.decide(notice, by, at + dice.randrange(20) * DAY, approved=dice.random() < 0.9,
                                      independent=dice.random() < 0.9)  # fmt: skip
            case _:
                notice = dice.choice([*notices, "sha256:" + "0" * 64])
                seals = dice.sample(["seal-1", "seal-2"], dice.randrange(3))
                writer.move(notice, some(), dice.choice(list(Passage)), at, seals)
    return writer.books()


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_columns_say_what_dictionaries_say(seed: int) -> None:
    books = anything(seed)
    assert in_short(judge(books, terms(END))) == slow(books, terms(END))


def test_honest_histories_have_no_fault() -> None:
    for seed in range(3):
        fleet = Fleet(seed, days=120)
        judged = judge(fleet.run(), terms(START + 120 * DAY))
        assert judged.found == ()
        assert len(judged.balances) >= 2
        assert all(one.unexplained == 0 for one in judged.balances if one.compared)
        assert slow(fleet.writer.books(), terms(START + 120 * DAY)) == Counter()


def test_all_kinds_of_faults_say_what_mends_them() -> None:
    assert set(MENDED_BY) == set(Fault)


def test_stays_are_the_whole_time_of_a_chip() -> None:
    writer = Writer()
    writer.hand([chip("S1")], START + DAY)
    notice = writer.notify(["S1"], START + 2 * DAY, START + 16 * DAY)
    writer.decide(notice, "one", START + 3 * DAY)
    writer.decide(notice, "two", START + 3 * DAY)
    writer.move(notice, ["S1"], Passage.LEFT, START + 17 * DAY)
    writer.move(notice, ["S1"], Passage.ARRIVED, START + 18 * DAY)
    judged = judge(writer.books(), terms(START + 30 * DAY))
    assert judged.found == ()
    stays = judged.holdings.stays()
    names = [judged.sites[place] for place in stays.place.tolist()]
    assert sorted(names) == ["site-a", "site-b"]
    assert len(judged.holdings.answered_for()) == 1


def test_partial_arrivals_and_what_is_under_way() -> None:
    writer = Writer()
    writer.hand([chip("S1"), chip("S2")], START + DAY)
    notice = writer.notify(["S1", "S2"], START + 2 * DAY, START + 16 * DAY)
    for by in ("one", "two"):
        writer.decide(notice, by, START + 3 * DAY)
    writer.move(notice, ["S1", "S2"], Passage.LEFT, START + 17 * DAY, ["seal"])
    writer.move(notice, ["S1"], Passage.ARRIVED, START + 18 * DAY)
    writer.hand([chip("S1", "site-b")], START + 19 * DAY)
    judged = judge(writer.books(), terms(START + 20 * DAY))
    assert judged.found == ()
    (way,) = judged.under_way
    assert (way.chips, way.due) == (1, START + 22 * DAY)
    assert judged.balances[-1].under_way == 1
    late = judge(writer.books(), terms(START + 22 * DAY + timedelta(seconds=1)))
    assert [(one.fault, one.serials) for one in late.found] == [(Fault.OVERDUE, ("S2",))]


def test_what_cannot_be_read_is_never_a_breach() -> None:
    writer = Writer()
    writer.hand([chip("S1"), chip("S2")], START + DAY)
    writer.destroy(["S2"], START + 2 * DAY)
    writer.hand([chip("S1")], START + 3 * DAY)
    books = writer.books()
    blind = replace(books, changes=(replace(books.changes[0], serials=None),))
    judged = judge(blind, terms(START + 4 * DAY))
    assert judged.found == ()
    assert [one.compared for one in judged.balances] == [False, False]
    gone = replace(books, changes=())
    assert [one.fault for one in judge(gone, terms(START + 4 * DAY)).found] == [Fault.VANISHED]
