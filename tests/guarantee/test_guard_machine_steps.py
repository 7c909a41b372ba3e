"""The machine's transitions one by one: each refusal, each halt, and what was found wrong by the model."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.interlock.gate import Asked
from inspectorate.mechanisms.guarantee.licences.state import LicenceState
from inspectorate.mechanisms.guarantee.machine import serving, transitions
from inspectorate.mechanisms.guarantee.machine.ahead import ahead, covered
from inspectorate.mechanisms.guarantee.machine.asking import Circumstances
from inspectorate.mechanisms.guarantee.machine.invariants import Happened, broken, broken_by
from inspectorate.mechanisms.guarantee.machine.reporting import reported
from inspectorate.mechanisms.guarantee.machine.serving import Looked
from inspectorate.mechanisms.guarantee.machine.state import GuardState, Halt, fresh
from inspectorate.mechanisms.guarantee.machine.transitions import Identity, Moment
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Reading, Source
from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.worlds import guard_model_papers as papers
from inspectorate.worlds.guard_model_actions import answered
from inspectorate.worlds.guard_model_papers import BUILD, DEVICE, MODEL, OTHER_BUILD, SIZES, STRANGE, TIMES

METERS = (MeterKind.BYTES_OUT, MeterKind.WALL_S)
FIRST = papers.baseline(METERS, rules=(papers.HALTING,))
BOOK = RuleBook(FIRST)
ME = Identity(device=DEVICE, build=BUILD, baseline=FIRST.digest)
MARGIN = {MeterKind.WALL_S: 1.0}


def moment(day: int = 0, number: int = 0) -> Moment:
    return Moment(at=TIMES[day], nonce=papers.nonce(number))


def ready() -> GuardState:
    started = transitions.start(fresh(at=TIMES[0]), ME, moment(), rolled_back=False, counter=0).state
    document = papers.ruleset_paper("v1", FIRST).document
    return transitions.install(started, ME, document, moment()).state


def licensed(out: float = 4.0, wall: float = 100.0) -> GuardState:
    given = papers.licence(1, {MeterKind.BYTES_OUT: out, MeterKind.WALL_S: wall})
    document = papers.licence_paper("licence-1", given, "ana", "bo").document
    return transitions.apply_licence(ready(), ME, document, moment()).state


def serving_state(**amounts: float) -> GuardState:
    begun = serving.begin_upload(
        licensed(**amounts), BOOK, content=MODEL, size_bytes=SIZES[MODEL], moment=moment()
    ).state
    step = serving.end_upload(begun, complete=True, content=MODEL, bytes_seen=SIZES[MODEL], moment=moment())
    assert step.state.mode is Mode.SERVING
    return step.state


def asked(path: str = "/good") -> Asked:
    return Asked(path=path, request_bytes=1, tokens_in_max=0, tokens_max=2, at=TIMES[0])


def admit(state: GuardState, path: str = "/good", day: int = 0) -> serving.AdmittedStep:
    return serving.admit(state, BOOK, asked(path), Circumstances(), moment(day))


@pytest.mark.parametrize(
    ("content", "size", "kind"),
    [
        (STRANGE, 10, EventKind.MODEL_REFUSED),
        (MODEL, 11, EventKind.UPLOAD_EXCEEDED),
        (MODEL, 9, EventKind.MODEL_REFUSED),
    ],
)
def test_only_a_listed_model_of_its_size_may_begin(content: str, size: int, kind: EventKind) -> None:
    step = serving.begin_upload(ready(), BOOK, content=content, size_bytes=size, moment=moment())
    assert [one.kind for one in step.refusals] == [kind]
    assert step.state.mode is Mode.READY


@pytest.mark.parametrize(
    ("complete", "content", "seen", "kind"),
    [
        (True, STRANGE, 10, EventKind.MODEL_REFUSED),
        (False, MODEL, 9, EventKind.MODEL_REFUSED),
        (True, MODEL, 11, EventKind.UPLOAD_EXCEEDED),
    ],
)
def test_only_its_exact_bytes_are_served(complete: bool, content: str, seen: int, kind: EventKind) -> None:
    begun = serving.begin_upload(ready(), BOOK, content=MODEL, size_bytes=10, moment=moment()).state
    step = serving.end_upload(begun, complete=complete, content=content, bytes_seen=seen, moment=moment())
    assert [one.kind for one in step.refusals] == [kind]
    assert step.state.mode is Mode.READY


def test_a_ruleset_that_has_ended_locks_with_whatever_comes_next() -> None:
    for step in (
        admit(serving_state(), day=2),
        serving.begin_upload(ready(), BOOK, content=MODEL, size_bytes=10, moment=moment(2)),
        transitions.note(serving_state(), (), moment(2)),
        transitions.challenge(serving_state(), "0" * 64, moment(2)),
        serving.rechecked(serving_state(), differed=False, moment=moment(2)),
        serving.unloaded(serving_state(), "gone", moment(2)),
    ):
        assert step.state.mode is Mode.LOCKED
        assert step.state.model is None
        assert broken(step.state, ME) == ()


def test_an_upload_that_outlives_its_ruleset_is_not_served() -> None:
    begun = serving.begin_upload(ready(), BOOK, content=MODEL, size_bytes=10, moment=moment()).state
    step = serving.end_upload(begun, complete=True, content=MODEL, bytes_seen=10, moment=moment(2))
    assert step.state.mode is Mode.LOCKED
    assert step.refusals


def test_nothing_goes_past_an_end_without_a_save() -> None:
    live = serving_state()
    saved = ahead(live, MARGIN)
    assert covered(live, saved, MARGIN)
    later = transitions.note(live, (), moment(2)).state
    assert not covered(later, saved, MARGIN)


def test_the_saved_state_is_ahead_by_what_is_not_read_yet() -> None:
    live = serving_state(wall=100.0)
    saved = ahead(live, MARGIN)
    left = saved.licences.held[0].remaining[MeterKind.WALL_S]
    assert left == 98 * 10**6, "a hundredth and the margin"
    looked = Looked(readings={MeterKind.WALL_S: _wall(1.0)}, held_s=0.0)
    once = serving.tick(live, ME, BOOK, looked, Circumstances(), moment()).state
    assert covered(once, saved, MARGIN)
    twice = serving.tick(once, ME, BOOK, looked, Circumstances(), moment()).state
    assert covered(twice, saved)
    assert not covered(twice, saved, MARGIN), "one more second, unread, would be free"


def test_what_no_licence_covers_of_the_margin_is_owed() -> None:
    live = serving_state(wall=0.5)
    saved = ahead(live, MARGIN)
    assert saved.licences.owed == {MeterKind.WALL_S: 500_000}
    assert covered(live, saved, MARGIN)
    assert broken(saved, ME) == ()


def test_a_processor_that_ended_saves_what_it_has() -> None:
    ended = transitions.end(serving_state(), ME, moment()).state
    assert ahead(ended, MARGIN) is ended


def test_a_request_sets_aside_all_it_can_use_and_gets_the_rest_back_once() -> None:
    first = admit(serving_state())
    second = admit(first.state)
    third = admit(second.state)
    assert first.ticket is not None
    assert (second.ticket, third.ticket) == (first.ticket + 1, None)
    settled = serving.settle(second.state, BOOK, first.ticket, answered(0), False, moment())
    assert admit(settled.state).ticket == first.ticket + 2
    again = serving.settle(settled.state, BOOK, first.ticket, answered(0), False, moment())
    assert again.state is settled.state


def test_work_goes_on_for_requests_that_set_aside_the_last_there_is() -> None:
    taken = admit(admit(serving_state()).state).state
    assert serving.unlicensed(taken, taken.time) is not None, "for a new request nothing is left"
    assert serving.may_work(taken, ME, taken.time)
    looked = Looked(readings={MeterKind.WALL_S: _wall(100.0)}, held_s=0.0)
    over = serving.tick(taken, ME, BOOK, looked, Circumstances(), moment()).state
    assert not serving.may_work(over, ME, over.time), "time is set aside by nobody"
    used = serving.settle(taken, BOOK, taken.open[0].ticket, answered(2), False, moment()).state
    used = serving.settle(used, BOOK, used.open[0].ticket, answered(2), False, moment()).state
    assert not serving.may_work(used, ME, used.time)


def test_a_rule_that_fails_halts_and_only_a_quorum_resumes() -> None:
    halted = admit(serving_state(), "/bad")
    assert halted.durable
    assert halted.state.mode is Mode.HALTED
    one = transitions.resume(halted.state, ME, papers.order_paper(0, "ana").document, moment())
    assert [refusal.kind for refusal in one.refusals] == [EventKind.QUORUM_SHORT]
    assert one.state.mode is Mode.HALTED
    other = transitions.resume(halted.state, ME, papers.order_paper(1, "ana", "bo").document, moment())
    assert [refusal.kind for refusal in other.refusals] == [EventKind.RESUME_REFUSED]
    both = transitions.resume(halted.state, ME, papers.order_paper(0, "ana", "bo").document, moment())
    assert both.state.mode is Mode.READY
    assert broken_by(halted.state, both.state, Happened.RESUME) == ()


def test_a_halt_within_a_halt_leaves_the_first() -> None:
    first = transitions.halt(ready(), EventKind.HALTED_BY_HAND, "one", moment(0, 1))
    second = transitions.halt(first.state, EventKind.TAMPERED, "two", moment(0, 2))
    assert second.state.halt == first.state.halt
    assert not second.durable


def test_a_restored_state_does_nothing_for_good() -> None:
    started = transitions.start(licensed(), ME, moment(), rolled_back=True, counter=40)
    state = started.state
    assert [one.kind for one in started.refusals][-1] is EventKind.STATE_ROLLED_BACK
    assert state.sequence == 40, "a number that a lost life may have used is not used again"
    order = papers.order_paper(0, "ana", "bo").document
    for step in (
        transitions.resume(state, ME, order, moment()),
        transitions.install(state, ME, papers.updates(FIRST)[1].document, moment()),
        transitions.start(state, ME, moment(0, 5), rolled_back=False, counter=41),
        admit(state),
    ):
        assert step.state.distrusted
        assert step.state.mode is Mode.HALTED


def test_a_lost_processor_is_named_with_what_it_dropped() -> None:
    state = admit(serving_state()).state
    step = transitions.start(state, ME, moment(), rolled_back=False, counter=9)
    assert step.state.events[EventKind.GUARD_LOST] == 1
    assert step.state.events[EventKind.REQUEST_DROPPED] == 1
    assert step.state.mode is Mode.READY
    assert step.state.model is None
    assert not step.state.licences.tickets


def test_a_program_that_is_not_named_is_locked_out() -> None:
    other = Identity(device=DEVICE, build=OTHER_BUILD, baseline=FIRST.digest)
    step = transitions.start(licensed(), other, moment(), rolled_back=False, counter=9)
    assert step.state.mode is Mode.LOCKED
    assert EventKind.TAMPERED in [one.kind for one in step.refusals]
    refused = serving.begin_upload(step.state, BOOK, content=MODEL, size_bytes=10, moment=moment())
    assert refused.state.mode is Mode.LOCKED


def test_a_report_begins_a_new_period_under_the_next_number() -> None:
    state = transitions.note(ready(), (), moment()).state
    after = reported(state, "sha256:" + "9" * 64)
    assert (after.sequence, after.events, after.readings) == (state.sequence + 1, {}, {})
    assert after.previous == "sha256:" + "9" * 64


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"mode": Mode.SERVING, "model": STRANGE}, "listed-model"),
        ({"time": TIMES[2]}, "ruleset-in-force"),
        ({"version_max": 2}, "version-is-the-highest"),
        ({"mode": Mode.HALTED}, "halted-has-a-halt"),
        ({"licences": LicenceState(issued={MeterKind.FLOP: 1})}, "licences-balance"),
    ],
)
def test_a_broken_state_is_named(changed: dict[str, object], name: str) -> None:
    assert name in broken(ready().model_copy(update=changed), ME)


@pytest.mark.parametrize(
    ("changed", "what", "name"),
    [
        ({"time": TIMES[0] - timedelta(days=1)}, Happened.TICK, "nothing-falls"),
        ({"ruleset": None}, Happened.START, "rulesets-are-installed"),
        ({"mode": Mode.SERVING, "model": MODEL}, Happened.START, "models-are-uploaded"),
        ({"licences": LicenceState(issued={MeterKind.FLOP: 1})}, Happened.TICK, "licences-are-applied"),
    ],
)
def test_a_broken_step_is_named(changed: dict[str, object], what: Happened, name: str) -> None:
    before = ready()
    assert name in broken_by(before, before.model_copy(update=changed), what)


def test_a_halt_that_vanishes_is_named() -> None:
    halt = Halt(kind=EventKind.TAMPERED, at=TIMES[0], nonce="0" * 64, why="found")
    before = ready().model_copy(update={"mode": Mode.HALTED, "halt": halt})
    assert "halts-are-resumed" in broken_by(before, ready(), Happened.START)


def _wall(used: float) -> Reading:
    return Reading(meter=MeterKind.WALL_S, used=used, source=Source.CLOCK)
