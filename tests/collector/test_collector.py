"""Cutting into segments, sealing and chaining, with fixed times and no socket."""

from __future__ import annotations

import hashlib
import threading
from itertools import pairwise

import pytest
from collector_support import (
    KEY,
    START_NS,
    V4,
    V6,
    MemorySpool,
    S,
    made,
    make_sealer,
    payload_of,
    problems_of,
    read_back,
    read_segment,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import sealing
from inspectorate.mechanisms.interconnect.collector import (
    LINGER_NS,
    ClosedSegment,
    Collector,
    SealingThread,
)

SEGMENT_S = 30.0
FIRST_END_NS = START_NS // (30 * S) * 30 * S + 30 * S


def make(closed: list[ClosedSegment], *, payload_bytes_max: int = 1_000_000) -> Collector:
    return Collector(
        {"s1": V4}, closed.append, start_ns=START_NS, segment_s=SEGMENT_S, payload_bytes_max=payload_bytes_max
    )


def feed(collector: Collector, *arrivals_ns: int) -> None:
    collector.feed(made([b"%d" % at for at in arrivals_ns], arrivals_ns))


def contents(closed: ClosedSegment) -> list[bytes]:
    return [packet.content for packet in read_segment(payload_of(closed))]


def test_segments_end_at_multiples_of_their_length() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    times = [START_NS + 1, FIRST_END_NS - 1, FIRST_END_NS, FIRST_END_NS + 29 * S, FIRST_END_NS + 30 * S]
    feed(collector, *times)
    collector.close(FIRST_END_NS + 31 * S)
    assert [(c.start_ns, c.end_ns) for c in closed] == [
        (START_NS, FIRST_END_NS),
        (FIRST_END_NS, FIRST_END_NS + 30 * S),
        (FIRST_END_NS + 30 * S, FIRST_END_NS + 31 * S),
    ]
    assert [contents(c) for c in closed] == [[b"%d" % t for t in times[i:j]] for i, j in [(0, 2), (2, 4), (4, 5)]]
    assert [c.final for c in closed] == [False, False, True]


def test_a_segment_without_datagrams_is_written() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    collector.tick("s1", FIRST_END_NS + LINGER_NS - 1)
    assert closed == []
    collector.tick("s1", FIRST_END_NS + LINGER_NS)
    assert [(c.datagrams, c.size_bytes, c.end_ns) for c in closed] == [(0, 24, FIRST_END_NS)]


def test_a_datagram_stamped_before_the_end_and_read_after_it_belongs_before() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    collector.tick("s1", FIRST_END_NS + 1)
    feed(collector, FIRST_END_NS - 1)
    collector.close(FIRST_END_NS + S)
    assert [c.datagrams for c in closed] == [1, 0]


def test_a_long_absence_is_one_empty_segment() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    feed(collector, START_NS)
    later_ns = FIRST_END_NS + 86_400 * S + 7 * S
    feed(collector, later_ns)
    collector.close(later_ns + S)
    assert [(c.start_ns, c.end_ns, c.datagrams) for c in closed] == [
        (START_NS, FIRST_END_NS, 1),
        (FIRST_END_NS, FIRST_END_NS + 86_400 * S, 0),
        (FIRST_END_NS + 86_400 * S, later_ns + S, 1),
    ]


def test_a_clock_set_back_shows_as_one_instant() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    feed(collector, START_NS + 5 * S, START_NS - 3600 * S, START_NS + 4 * S)
    collector.close(START_NS - 3600 * S)
    assert [packet.arrival_ns for packet in read_segment(payload_of(closed[0]))] == [START_NS + 5 * S] * 3
    assert closed[0].end_ns == START_NS + 5 * S + 1000


def test_a_stream_of_no_duration_is_closed_all_the_same() -> None:
    closed: list[ClosedSegment] = []
    make(closed).close(START_NS)
    assert [(c.start_ns, c.end_ns, c.final) for c in closed] == [(START_NS, START_NS + 1000, True)]


def test_closing_twice_closes_once() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    collector.close(START_NS + S)
    collector.close(START_NS + 2 * S)
    assert len(closed) == 1


def test_a_full_segment_ends_early_and_the_next_begins_there() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed, payload_bytes_max=24 + 3 * 144)
    for i in range(8):
        collector.feed(made([bytes(100)], [START_NS + i * 1500]))
    collector.close(START_NS + S)
    assert [c.datagrams for c in closed] == [3, 3, 2]
    assert [c.start_ns - START_NS for c in closed] == [0, 4000, 8000]
    for segment in closed:
        assert segment.size_bytes == len(payload_of(segment)) <= 24 + 3 * 144


def test_losses_count_where_the_next_datagram_is() -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed)
    times = [START_NS, START_NS + S, FIRST_END_NS, FIRST_END_NS + S]
    collector.feed(made([b"x"] * 4, times, dropped=[0, 3, 10, 10], dropped_after=12))
    collector.feed(made([], [], dropped_after=15))
    collector.close(FIRST_END_NS + 2 * S)
    assert [c.dropped for c in closed] == [3, 12]
    assert collector.counts["s1"].dropped == 15


@pytest.mark.parametrize("segment_s", [0.0, -1.0, 0.05, 4000.0, float("nan"), float("inf")])
def test_a_segment_length_beyond_reason_is_refused(segment_s: float) -> None:
    with pytest.raises(InputError, match="segment length"):
        Collector({"s1": V4}, lambda _: None, start_ns=START_NS, segment_s=segment_s)


steps = st.one_of(
    st.tuples(st.just("feed"), st.integers(-2 * S, 100 * S), st.integers(1, 6), st.integers(0, 3)),
    st.tuples(st.just("tick"), st.integers(-2 * S, 100 * S), st.just(0), st.just(0)),
)


@settings(max_examples=150, deadline=None)
@given(plan=st.lists(steps, max_size=25), payload_bytes_max=st.sampled_from([200, 500, 10**6]))
def test_whatever_comes_streams_are_whole(plan: list[tuple[str, int, int, int]], payload_bytes_max: int) -> None:
    closed: list[ClosedSegment] = []
    collector = make(closed, payload_bytes_max=payload_bytes_max)
    now_ns, total, sent = START_NS, 0, []
    for step, forward_ns, count, dropped in plan:
        now_ns += forward_ns
        if step == "tick":
            collector.tick("s1", now_ns)
            continue
        total += dropped
        batch = [b"%d" % (len(sent) + i) for i in range(count)]
        sent += batch
        collector.feed(made(batch, [now_ns + i * 7 for i in range(count)], dropped=[total] * count))
    collector.close(now_ns)
    assert [content for segment in closed for content in contents(segment)] == sent
    assert [segment.sequence for segment in closed] == list(range(len(closed)))
    assert [segment.final for segment in closed] == [False] * (len(closed) - 1) + [True]
    assert all(a.end_ns == b.start_ns for a, b in pairwise(closed))
    assert sum(segment.dropped for segment in closed) == total
    times = [packet.arrival_ns for segment in closed for packet in read_segment(payload_of(segment))]
    assert times == sorted(times)
    for segment in closed:
        assert segment.start_ns < segment.end_ns
        assert segment.start_ns % 1000 == segment.end_ns % 1000 == 0
        for packet in read_segment(payload_of(segment)):
            assert segment.start_ns <= packet.arrival_ns < segment.end_ns


def sealed_site() -> tuple[MemorySpool, list[bytes]]:
    """Two sensors, three segments each, sealed."""
    spool, reported = MemorySpool(), []
    sealer = make_sealer(spool, reported=reported)
    collector = Collector({"s1": V4, "s2": V6}, sealer.seal, start_ns=START_NS, segment_s=SEGMENT_S)
    for at in (START_NS, FIRST_END_NS + 40 * S):
        collector.feed(made([b"one %d" % at], [at], sensor="s1", dropped=[2]))
        collector.feed(made([b"two %d" % at], [at], sensor="s2", version=6))
    collector.close(FIRST_END_NS + 41 * S)
    return spool, reported


def test_sealed_streams_have_no_problem_and_name_their_payloads() -> None:
    spool, reported = sealed_site()
    envelopes = [data for name, data in spool.files.items() if name.startswith("statements/")]
    segments = read_back(envelopes, KEY, ["s1", "s2"])
    assert problems_of(segments, ["s1", "s2"]) == []
    assert [(s.sensor, s.sequence, s.final) for s in segments] == [
        (sensor, number, number == 2) for sensor in ("s1", "s2") for number in range(3)
    ]
    for segment in segments:
        payload = spool.files["payloads/" + segment.payload.removeprefix("sha256:")]
        assert "sha256:" + hashlib.sha256(payload).hexdigest() == segment.payload
        assert (len(payload), len(read_segment(payload))) == (segment.payload_bytes, segment.entries)
    assert [s.dropped for s in segments if s.sensor == "s1"] == [2, 0, 0]
    assert sorted(reported) == sorted(bytes.fromhex(s.digest.removeprefix("sha256:")) for s in segments)


def test_a_stream_without_its_last_segment_is_named_as_cut_off() -> None:
    spool, _ = sealed_site()
    envelopes = [data for name, data in spool.files.items() if name.startswith("statements/")]
    segments = [s for s in read_back(envelopes, KEY, ["s1", "s2"]) if not s.final]
    assert [problem.split(":")[0] for problem in problems_of(segments, ["s1", "s2"])] == ["truncated"] * 2


def test_a_payload_is_there_before_the_statement_that_names_it() -> None:
    names = sealed_site()[0].names
    assert [name.split("/")[0] for name in names] == ["payloads", "statements"] * 6


class FullSpool(MemorySpool):
    """A disk that is full from the second payload on."""

    def put(self, name: str, chunks: object) -> None:
        if len(self.names) == 2:
            raise EnvironmentError_("cannot be written: No space left on device", where=name)
        super().put(name, chunks)  # type: ignore[arg-type]


def test_after_a_fault_nothing_more_is_sealed() -> None:
    spool = FullSpool()
    sealer = make_sealer(spool)
    collector = Collector({"s1": V4}, sealer.seal, start_ns=START_NS)
    collector.tick("s1", FIRST_END_NS + S)
    with pytest.raises(EnvironmentError_, match="No space left"):
        collector.tick("s1", FIRST_END_NS + 31 * S)
    spool.names.append("room again")
    with pytest.raises(ValueError, match="sealing failed before"):
        collector.tick("s1", FIRST_END_NS + 61 * S)


def closed_of(number: int, size_bytes: int = 10) -> ClosedSegment:
    return ClosedSegment(
        sensor="s1",
        sequence=number,
        final=False,
        start_ns=START_NS,
        end_ns=START_NS + S,
        chunks=(b"",),
        size_bytes=size_bytes,
        datagrams=0,
        dropped=0,
    )


def test_the_sealing_thread_seals_in_order_and_before_it_ends() -> None:
    sealed: list[int] = []
    with SealingThread(lambda closed: sealed.append(closed.sequence)) as thread:
        for number in range(50):
            thread.put(closed_of(number))
    assert sealed == list(range(50))


def _raise(_: ClosedSegment) -> None:
    raise EnvironmentError_("the disk is gone")


def test_the_sealing_thread_raises_at_the_latest_at_its_end() -> None:
    with pytest.raises(EnvironmentError_, match="the disk is gone"), SealingThread(_raise) as thread:
        thread.put(closed_of(0))


def test_the_sealing_thread_holds_up_the_giver_while_too_much_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "PENDING_BYTES_MAX", 25)
    gate, sealed = threading.Event(), []

    def seal(closed: ClosedSegment) -> None:
        gate.wait(10)
        sealed.append(closed.sequence)

    seen: list[list[int]] = []
    with SealingThread(seal) as thread:
        for number in range(3):
            thread.put(closed_of(number))
        threading.Timer(0.1, gate.set).start()
        thread.put(closed_of(3))
        seen.append(list(sealed))
    assert seen[0][:1] == [0]
    assert sealed == [0, 1, 2, 3]
