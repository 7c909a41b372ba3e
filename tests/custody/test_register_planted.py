"""One thing wrong in an honest history: it is found under its name, with its chips, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from register_histories import DAY, START, Writer, chip, digest, terms

from inspectorate.evidence.custody import ChipState, Passage
from inspectorate.mechanisms.custody.register.across import check_across
from inspectorate.mechanisms.custody.register.faults import UNREAD, Fault, Found
from inspectorate.mechanisms.custody.register.judge import Judged, judge

END = START + 60 * DAY
ALL = ["S1", "S2", "S3"]
HERE = [chip("S1"), chip("S2"), chip("S3", "site-b")]


class Story:
    """A writer with the honest parts of a story."""

    def __init__(self) -> None:
        self.writer = Writer()
        self.writer.hand(HERE, START + DAY)

    def notified(self, **other: object) -> str:
        begins = other.pop("begins", START + 16 * DAY)
        return self.writer.notify(["S1", "S2"], START + 2 * DAY, begins, **other)  # type: ignore[arg-type]

    def approved(self, **other: object) -> str:
        notice = self.notified(**other)
        for by in ("one", "two"):
            self.writer.decide(notice, by, START + 3 * DAY)
        return notice

    def left(self, day: float = 17, serials: tuple[str, ...] = ("S1", "S2"), notice: str = "", **other: object) -> str:
        notice = notice or self.approved(**other)
        self.writer.move(notice, serials, Passage.LEFT, START + day * DAY, ["seal-1"])
        return notice

    def moved(self, day: float = 17, **other: object) -> str:
        notice = self.left(day, **other)
        self.writer.move(notice, ["S1", "S2"], Passage.ARRIVED, START + 19 * DAY, ["seal-1"])
        return notice

    def hand(self, *chips: object, day: int = 30, **other: object) -> None:
        self.writer.hand(chips or HERE, START + day * DAY, **other)  # type: ignore[arg-type]


MOVED = (chip("S1", "site-b"), chip("S2", "site-b"), chip("S3", "site-b"))


def _restarted(story: Story) -> None:
    story.hand(chain="another", sequence=0, previous=None)


def _forked(story: Story) -> None:
    story.hand()
    story.hand(sequence=1, previous=story.writer.handed[0].digest, day=31)


def _unapproved(story: Story) -> None:
    notice = story.notified()
    story.writer.decide(notice, "one", START + 3 * DAY)
    story.writer.decide(notice, "two", START + 18 * DAY)
    story.writer.decide(notice, "own", START + 3 * DAY, independent=False)
    story.moved(notice=notice)


def _refused(story: Story) -> None:
    notice = story.approved()
    story.writer.decide(notice, "two", START + 4 * DAY, approved=False)
    story.moved(notice=notice)


def _bought_back(story: Story) -> None:
    notice = story.approved(to_site=None, to_party="party-b")
    story.moved(notice=notice)
    story.hand(*HERE)


def _arrived_unleft(story: Story) -> None:
    notice = story.left(serials=("S1",))
    story.writer.move(notice, ["S1", "S2"], Passage.ARRIVED, START + 19 * DAY, ["seal-1"])
    story.hand(*MOVED)


def _late(story: Story) -> None:
    notice = story.left()
    late = START + 22 * DAY + timedelta(microseconds=1)
    story.writer.move(notice, ["S1", "S2"], Passage.ARRIVED, late, ["seal-1"])


def _not_notified(story: Story) -> None:
    notice = story.approved(from_site="site-b", to_site="site-c")
    story.left(notice=notice, serials=("S3",))
    story.writer.move(notice, ["S3"], Passage.ARRIVED, START + 18 * DAY, ["seal-1"])


PLANTED: list[tuple[Fault, tuple[str, ...], Callable[[Story], object]]] = [
    (Fault.TWICE, ("S1",), lambda s: s.hand(*HERE, chip("S1", "site-c"))),
    (Fault.APPEARED, ("S9",), lambda s: s.hand(*HERE, chip("S9"))),
    (Fault.VANISHED, ("S2",), lambda s: s.hand(HERE[0], HERE[2])),
    (Fault.ELSEWHERE, ("S3",), lambda s: s.hand(HERE[0], HERE[1], chip("S3", "site-a"))),
    (Fault.MODEL_CHANGED, ("S3",), lambda s: s.hand(HERE[0], HERE[1], chip("S3", "site-b", model="h20"))),
    (Fault.OWNER_CHANGED, ("S1",), lambda s: s.hand(chip("S1", owner="other"), *HERE[1:])),
    (Fault.STATE_CHANGED, ("S1",), lambda s: s.hand(chip("S1", state="broken"), *HERE[1:])),
    (Fault.BOTH, ("S1", "S2"), lambda s: (s.left(), s.hand(day=20))),
    (Fault.RETURNED, ("S3",), lambda s: (s.writer.destroy(["S3"], START + 5 * DAY), s.hand())),
    (Fault.RETURNED, ("S3",), lambda s: (s.writer.destroy(["S3"], START + 5 * DAY),
                                         s.writer.acquire([chip("S3")], START + 6 * DAY),
                                         s.hand(*HERE[:2], chip("S3")))),
    (Fault.BACK, ("S1", "S2"), _bought_back),
    (Fault.NOT_HELD, ("S9",), lambda s: s.writer.report(["S9"], ChipState.BROKEN, START + 5 * DAY)),
    (Fault.NOT_HELD, ("S9",), lambda s: s.writer.destroy(["S9"], START + 5 * DAY)),
    (Fault.ACQUIRED_HELD, ("S1",), lambda s: s.writer.acquire([HERE[0]], START + 5 * DAY)),
    (Fault.DESTROYED_UNCERTIFIED, ("S1",), lambda s: (s.writer.report(["S1"], ChipState.DESTROYED, START + 5 * DAY), s.hand())),
    (Fault.CERTIFICATE_OWN, ("S1",), lambda s: (s.writer.destroy(["S1"], START + 5 * DAY, independent=False), s.hand())),
    (Fault.TRANSFER_UNKNOWN, ("S1",), lambda s: s.writer.move(digest(99), ["S1"], Passage.LEFT, START + 5 * DAY)),
    (Fault.TRANSFER_REPEATED, (), lambda s: (s.notified(transfer="t"), s.notified(transfer="t"))),
    (Fault.NOTICE_SHORT, (), lambda s: s.notified(begins=START + 16 * DAY - timedelta(seconds=1))),
    (Fault.LEFT_EARLY, ("S1", "S2"), lambda s: (s.moved(day=15.99), s.hand(*MOVED))),
    (Fault.LEFT_UNAPPROVED, ("S1", "S2"), _unapproved),
    (Fault.LEFT_REFUSED, ("S1", "S2"), _refused),
    (Fault.NOT_NOTIFIED, ("S3",), _not_notified),
    (Fault.LEFT_ELSEWHERE, ("S1", "S2"), lambda s: s.moved(from_site="site-c")),
    (Fault.ARRIVED_UNLEFT, ("S2",), _arrived_unleft),
    (Fault.ARRIVED_LATE, ("S1", "S2"), _late),
    (Fault.OVERDUE, ("S1", "S2"), lambda s: s.left()),
    (Fault.SEALS_OTHER, (), lambda s: s.writer.move(s.left(), ["S1", "S2"], Passage.ARRIVED, START + 19 * DAY)),
    (Fault.SEALS_OTHER, ("S1",), lambda s: (s.writer.move(n := s.left(), ["S1"], Passage.ARRIVED, START + 19 * DAY, ["seal-9"]),
                                          s.writer.move(n, ["S2"], Passage.ARRIVED, START + 19 * DAY, ["seal-1"]))),
    (Fault.CHAIN_GAP, (), lambda s: s.hand(sequence=2)),
    (Fault.CHAIN_FORKED, (), _forked),
    (Fault.CHAIN_OTHER, (), lambda s: s.hand(previous=digest(77))),
    (Fault.CHAIN_RESTARTED, (), _restarted),
    (Fault.FIRST_LATE, (), lambda s: None),
    (Fault.UPDATE_LATE, (), lambda s: None),
]  # fmt: skip
AS_OF = {Fault.UPDATE_LATE: START + 91 * DAY + timedelta(seconds=1)}


def story_of(plant: Callable[[Story], object]) -> Story:
    story = Story()
    plant(story)
    return story


@pytest.mark.parametrize(("fault", "serials", "plant"), PLANTED, ids=lambda one: getattr(one, "value", None))
def test_a_planted_fault_is_found_and_nothing_else(
    fault: Fault, serials: tuple[str, ...], plant: Callable[[Story], object]
) -> None:
    story = story_of(plant)
    if fault is Fault.FIRST_LATE:
        late = START + 120 * DAY + timedelta(seconds=1)
        story.writer.handed = []
        story.hand(day=2, handed_at=late)
        judged = judge(story.writer.books(), terms(late))
    else:
        judged = judge(story.writer.books(), terms(AS_OF.get(fault, END)))
    assert [(one.fault, one.serials) for one in judged.found] == [(fault, serials)]
    assert judged.found[0].mended_by


def test_every_kind_that_statements_can_show_is_planted() -> None:
    read = {Fault.COUNT_OTHER, Fault.TIME_OUTSIDE}
    across = {Fault.HELD_TWICE, Fault.LOST_BETWEEN}
    assert {fault for fault, _, _ in PLANTED} == set(Fault) - (UNREAD - {Fault.CHAIN_GAP}) - read - across


def test_without_a_plant_there_is_nothing() -> None:
    story = Story()
    story.moved()
    story.writer.destroy(["S3"], START + 25 * DAY)
    story.hand(*MOVED[:2])
    assert judge(story.writer.books(), terms(END)).found == ()


@pytest.mark.parametrize(("after_s", "fault"), [(0, ()), (1, (Fault.UPDATE_LATE,))])
def test_the_last_moment_of_a_deadline_is_in_time(after_s: int, fault: tuple[Fault, ...]) -> None:
    as_of = START + 91 * DAY + timedelta(seconds=after_s)
    assert tuple(one.fault for one in judge(Story().writer.books(), terms(as_of)).found) == fault
    writer = Writer()
    writer.hand(HERE, START + 120 * DAY, handed_at=START + 120 * DAY + timedelta(seconds=after_s))
    late = judge(writer.books(), terms(START + 121 * DAY)).found
    assert tuple(one.fault for one in late) == ((Fault.FIRST_LATE,) if fault else ())


def two_parties(arrives: int, acquired: int | None) -> tuple[Judged, Judged]:
    """One hands chips over to the other, which acquires them on a day, or not at all."""
    story, other = Story(), Writer(keeper="other")
    other.hand([chip("X1")], START + DAY)
    notice = story.left(to_site=None, to_party="party-b")
    story.writer.move(notice, ["S1", "S2"], Passage.ARRIVED, START + arrives * DAY, ["seal-1"])
    if acquired is not None:
        other.acquire([chip("S1", "site-x"), chip("S2", "site-x")], START + acquired * DAY)
    end = terms(START + 40 * DAY)
    return judge(story.writer.books(), end), judge(other.books(), end)


PARTIES = {"keeper": "party-a", "other": "party-b"}


def across(pair: tuple[Judged, Judged]) -> list[Found]:
    assert [one.found for one in pair] == [(), ()]
    return list(check_across(pair, PARTIES))


def test_chips_that_are_handed_over_stand_in_one_register_at_a_time() -> None:
    assert across(two_parties(19, 19)) == []
    (twice,) = across(two_parties(19, 18))
    assert (twice.fault, twice.serials, twice.at) == (Fault.HELD_TWICE, ("S1", "S2"), START + 18 * DAY)
    (lost,) = across(two_parties(19, None))
    assert (lost.fault, lost.serials) == (Fault.LOST_BETWEEN, ("S1", "S2"))


def test_one_serial_in_two_registers_is_found() -> None:
    other = Writer(keeper="other")
    other.hand([chip("S2", "site-x")], START + 5 * DAY)
    pair = (judge(Story().writer.books(), terms(END)), judge(other.books(), terms(END)))
    (twice,) = across(pair)
    assert (twice.fault, twice.serials) == (Fault.HELD_TWICE, ("S2",))
