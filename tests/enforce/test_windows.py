"""The window machine, by itself: no order of events, and no clock, leaves a window open or unaccounted for."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.agreement import ClauseKind, LoadingWindows
from inspectorate.evidence import WindowEnd
from inspectorate.mechanisms.interconnect.enforce.windows import (
    Ended,
    Event,
    Look,
    Open,
    Order,
    Position,
    Refused,
    Restart,
    Sent,
    State,
    Stop,
    step,
)
from inspectorate.quantities import Period

START = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTENT = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
TERMS = LoadingWindows(
    kind=ClauseKind.LOADING_WINDOWS, approvals_min=2, window_bytes_max=1e6, window_s_max=60, every_s_min=3600
)


def order(**changed: object) -> Order:
    values = {
        "window": "w1",
        "pod": "pod-a",
        "content": CONTENT,
        "bytes_max": 1000,
        "seconds_max": 30.0,
        "valid": Period(start=START, end=START + timedelta(days=1)),
        "approvers": ("alice", "bob"),
    }
    return Order.model_validate(values | changed)


def opened() -> State:
    state, ended = step(State(), Open(order=order(), staged=CONTENT), START, TERMS)
    assert ended is None
    assert state.position is Position.LOADING
    return state


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"approvers": ("alice",)}, "fewer than 2"),
        ({"bytes_max": 1_000_001}, "more than 1,000,000"),
        ({"seconds_max": 61.0}, "more than 60 s"),
        ({"seconds_max": 0.5}, "whole seconds"),
        ({"valid": Period(start=START - timedelta(hours=2), end=START)}, "may be opened from"),
        ({"valid": Period(start=START + timedelta(seconds=1), end=START + timedelta(hours=2))}, "may be opened from"),
        ({"content": OTHER}, "not what was approved"),
    ],
)
def test_an_order_that_does_not_fit_is_refused(changed: dict[str, object], why: str) -> None:
    with pytest.raises(Refused, match=why):
        step(State(), Open(order=order(**changed), staged=CONTENT), START, TERMS)


def test_an_approver_counts_once() -> None:
    with pytest.raises(ValueError, match="counts once"):
        order(approvers=("alice", "alice"))


def test_no_second_window_beside_soon_after_or_of_the_same_name() -> None:
    state = opened()
    with pytest.raises(Refused, match="another window"):
        step(state, Open(order=order(window="w2"), staged=CONTENT), START, TERMS)
    state, _ = step(state, Stop(), START + timedelta(seconds=1), TERMS)
    with pytest.raises(Refused, match="last window"):
        step(state, Open(order=order(window="w2"), staged=CONTENT), START + timedelta(seconds=3599), TERMS)
    with pytest.raises(Refused, match="of this name"):
        step(state, Open(order=order(), staged=CONTENT), START + timedelta(seconds=3600), TERMS)
    again, _ = step(state, Open(order=order(window="w2"), staged=CONTENT), START + timedelta(seconds=3600), TERMS)
    assert again.position is Position.LOADING


@pytest.mark.parametrize(
    ("event", "after_s", "end"),
    [
        (Sent(content=CONTENT), 1, WindowEnd.COMPLETE),
        (Sent(content=OTHER), 1, WindowEnd.CONTENT),
        (Sent(content=None), 1, WindowEnd.CONTENT),
        (Look(asked_bytes=1000), 1, WindowEnd.BUDGET),
        (Look(asked_bytes=0), 30, WindowEnd.TIME),
        (Sent(content=CONTENT), 30, WindowEnd.TIME),
        (Look(asked_bytes=0), -1, WindowEnd.TIME),
        (Stop(), 1, WindowEnd.CLOSED),
        (Restart(), 100, WindowEnd.LOST),
    ],
)
def test_every_cause_ends_a_window(event: Event, after_s: float, end: WindowEnd) -> None:
    state, ended = step(opened(), event, START + timedelta(seconds=after_s), TERMS)
    assert ended is not None
    assert ended.end is end
    assert ended.period.start == START
    assert ended.period.duration_s <= 30
    assert state == State(used=("w1",), last_opened={"pod-a": START})


@pytest.mark.parametrize("event", [Look(asked_bytes=999), Look(asked_bytes=0)])
def test_a_window_within_its_terms_goes_on(event: Event) -> None:
    state, ended = step(opened(), event, START + timedelta(seconds=29.9), TERMS)
    assert ended is None
    assert state.position is Position.LOADING


def test_events_without_a_window_change_nothing() -> None:
    for event in (Look(asked_bytes=10**9), Sent(content=CONTENT), Stop(), Restart()):
        assert step(State(), event, START, TERMS) == (State(), None)


def test_the_state_survives_the_disk() -> None:
    state = opened()
    assert State.model_validate(State.model_validate_json(state.canonical_bytes()).model_dump()) == state


events = st.one_of(
    st.builds(
        Open,
        order=st.builds(
            order,
            window=st.sampled_from(["w1", "w2", "w3", "w4"]),
            pod=st.sampled_from(["pod-a", "pod-b"]),
            bytes_max=st.integers(1, 2_000_000),
            seconds_max=st.floats(0.5, 120),
            approvers=st.sampled_from([("alice",), ("alice", "bob"), ("alice", "bob", "carol")]),
        ),
        staged=st.sampled_from([CONTENT, CONTENT, OTHER]),
    ),
    st.builds(Look, asked_bytes=st.integers(0, 2_000_000)),
    st.builds(Sent, content=st.sampled_from([CONTENT, OTHER, None])),
    st.just(Stop()),
    st.just(Restart()),
)


@given(history=st.lists(st.tuples(st.floats(-100, 4000), events), max_size=60))
@settings(max_examples=400)
def test_whatever_happens_every_window_is_approved_bounded_and_accounted_for_once(
    history: list[tuple[float, Event]],
) -> None:
    state, now = State(), START
    opens: list[tuple[Order, datetime]] = []
    ends: list[Ended] = []
    for passed_s, event in history:
        now += timedelta(seconds=passed_s)
        before = state
        try:
            state, ended = step(state, event, now, TERMS)
        except Refused:
            assert isinstance(event, Open)
            state = before
            continue
        if isinstance(event, Open):
            assert before.position is Position.RESTRICTED
            opens.append((event.order, now))
        if ended:
            assert before.position is Position.LOADING
            assert state.position is Position.RESTRICTED
            ends.append(ended)
        elif before.position is Position.LOADING:
            assert before.opened_at is not None
            assert before.order is not None
            # An oracle for "may go on": said out loud, in another order.
            assert isinstance(event, Look)
            assert event.asked_bytes < before.order.bytes_max
            assert timedelta(0) <= now - before.opened_at <= timedelta(seconds=before.order.seconds_max)
    assert len(opens) == len(ends) + (state.position is Position.LOADING)
    assert len({made.window for made, _ in opens}) == len(opens)
    for made, at in opens:
        assert len(made.approvers) >= TERMS.approvals_min
        assert made.content == CONTENT
        assert made.bytes_max <= TERMS.window_bytes_max
        assert 1 <= made.seconds_max <= TERMS.window_s_max
        assert made.valid.contains(at)
    for pod in ("pod-a", "pod-b"):
        times = [at for made, at in opens if made.pod == pod]
        assert all((b - a).total_seconds() >= TERMS.every_s_min for a, b in itertools.pairwise(times))
    assert all(ended.period.duration_s <= ended.order.seconds_max + 1e-6 for ended in ends)
