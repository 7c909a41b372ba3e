"""Streams: what is wrong with the order of segments is named, and only what is left is used."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from evidence_making import PERIOD, minutes, segment
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.evidence import Problem, ProblemKind, Segment, Stream, order_segments
from inspectorate.quantities import Period

SENSORS = ("flow-a", "flow-b")


def stream_of(count: int, *, sensor: str = "flow-a", stream: str = "one", first: int = 0) -> list[Segment]:
    """A whole, closed stream of one-minute segments."""
    found: list[Segment] = []
    for i in range(count):
        found.append(
            segment(
                sensor=sensor, stream=stream, sequence=i, period=minutes(first + i, first + i + 1),
                previous=found[-1].digest if found else None, final=i == count - 1,
            )
        )  # fmt: skip
    return found


def order(segments: list[Segment], *, period: Period = PERIOD) -> tuple[dict[str, Stream], tuple[Problem, ...]]:
    streams, problems = order_segments(segments, sensors=SENSORS, period=period)
    return {stream.sensor: stream for stream in streams}, problems


def used(streams: dict[str, Stream], sensor: str = "flow-a") -> list[int]:
    return [s.sequence for s in streams[sensor].segments] if sensor in streams else []


def kinds(problems: tuple[Problem, ...]) -> dict[ProblemKind, int]:
    return dict(Counter(problem.kind for problem in problems))


K = ProblemKind
WHOLE = stream_of(4)


def without(*numbers: int) -> list[Segment]:
    return [s for s in WHOLE if s.sequence not in numbers]


def changed(number: int, **changes: Any) -> list[Segment]:
    """The whole stream with one segment replaced by an altered one under its own digest."""
    fields = {**vars(WHOLE[number]), **changes}
    return [Segment(**fields) if s.sequence == number else s for s in WHOLE]


def also(number: int, **changes: Any) -> list[Segment]:
    """The whole stream and a second segment with the number of another, under another envelope."""
    fields = {**vars(WHOLE[number]), "digest": digest_of(b"another envelope"), **changes}
    return [*WHOLE, Segment(**fields)]


TABLE: dict[str, tuple[list[Segment], list[int], dict[ProblemKind, int]]] = {
    "a whole stream": (WHOLE, [0, 1, 2, 3], {}),
    "nothing": ([], [], {}),
    "out of order": (WHOLE[::-1], [0, 1, 2, 3], {}),
    "the first missing": (without(0), [1, 2, 3], {K.MISSING: 1}),
    "one missing in the middle": (without(1), [0, 2, 3], {K.MISSING: 1}),
    "two missing in the middle": (without(1, 2), [0, 3], {K.MISSING: 1}),
    "two holes": ([s for s in stream_of(5) if s.sequence not in (1, 3)], [0, 2, 4], {K.MISSING: 2}),
    "the last missing": (without(3), [0, 1, 2], {K.TRUNCATED: 1}),
    "never closed": (changed(3, final=False), [0, 1, 2, 3], {K.TRUNCATED: 1}),
    "closed in the middle": (changed(1, final=True), [0, 1], {K.FORKED: 1}),
    "closed by a number that is not the highest": (changed(0, final=True), [0], {K.FORKED: 1}),
    "the same segment under two envelopes": (also(2), [0, 1, 2, 3], {K.DUPLICATED: 1}),
    "the last segment under two envelopes": (also(3), [0, 1, 2, 3], {K.DUPLICATED: 1}),
    "a fork: two payloads with one number": (also(2, payload=digest_of(b"other")), [0, 1], {K.FORKED: 1}),
    "a fork at the start": (also(0, payload=digest_of(b"other")), [], {K.FORKED: 1}),
    "a fork: two periods with one number": (also(3, period=minutes(3, 5)), [0, 1, 2], {K.FORKED: 1}),
    "a fork: closed and not closed": (also(3, final=False), [0, 1, 2], {K.FORKED: 1}),
    "a chain that names another predecessor": (changed(2, previous=digest_of(b"other")), [0, 1], {K.FORKED: 1}),
    "a segment that starts before the one before it ends": (
        changed(2, period=minutes(1.5, 3)), [0, 1], {K.FORKED: 1},
    ),
    "after a hole, a segment from before it": (
        [s for s in changed(2, period=minutes(0.5, 3)) if s.sequence != 1], [0], {K.FORKED: 1},
    ),
    "another sensor": (stream_of(2, sensor="flow-z"), [], {K.UNDECLARED: 2}),
    "before the declared period": ([segment(period=minutes(-5, 0), final=True)], [], {K.OUT_OF_PERIOD: 1}),
    "before it, but of a stream that reaches into it": (
        stream_of(3, first=-2), [0, 1, 2], {},
    ),
    "after the declared period": ([segment(period=minutes(10, 11), final=True)], [], {K.OUT_OF_PERIOD: 1}),
    "across the start of the declared period": ([segment(period=minutes(-1, 1), final=True)], [0], {}),
    "two streams one after the other": (
        [*stream_of(2), *stream_of(2, stream="two", first=2)], [0, 1, 0, 1], {},
    ),
    "two streams with a pause between": (
        [*stream_of(2), *stream_of(2, stream="two", first=5)], [0, 1, 0, 1], {},
    ),
    "two streams at one time": (
        [*stream_of(2), *stream_of(2, stream="two")], [], {K.FORKED: 4},
    ),
    "two streams that overlap in one segment": (
        [*stream_of(3), *stream_of(3, stream="two", first=2)], [0, 1, 1, 2], {K.FORKED: 2},
    ),
    "one long segment over a whole other stream": (
        [*stream_of(3), segment(stream="two", period=minutes(0, 9), final=True)], [], {K.FORKED: 4},
    ),
    "a clone under another time": (
        [*WHOLE[:3], Segment(**{**vars(WHOLE[3]), "payload": WHOLE[1].payload})], [0, 2], {K.CLONED: 2},
    ),
    "three of the same": (
        [Segment(**{**vars(s), "payload": digest_of(b"p")}) if s.sequence else s for s in WHOLE], [0], {K.CLONED: 4},
    ),
    "empty segments alike": (
        [Segment(**{**vars(s), "payload": digest_of(b"p"), "entries": 0}) for s in WHOLE], [0, 1, 2, 3], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("segments", "usable", "problems"), TABLE.values(), ids=TABLE)
def test_what_is_wrong_is_named_and_what_is_left_is_used(
    segments: list[Segment], usable: list[int], problems: dict[ProblemKind, int]
) -> None:
    streams, found = order(segments)
    assert used(streams) == usable
    assert kinds(found) == problems
    assert all(problem.sensor and problem.subject and problem.detail for problem in found)


def test_a_hole_is_named_with_its_time() -> None:
    _, problems = order(without(1, 2))
    assert problems[0].period == minutes(1, 3)
    assert problems[0].detail == "segments 1 to 2 are not there"
    assert order(without(1))[1][0].detail == "segment 1 is not there"


def test_listened_is_where_segments_are() -> None:
    streams, _ = order(without(1))
    assert streams["flow-a"].listened == (minutes(0, 1), minutes(2, 4))


def test_a_clone_across_sensors_discredits_both() -> None:
    one, other = stream_of(2), stream_of(2, sensor="flow-b")
    other[0] = Segment(**{**vars(other[0]), "payload": one[0].payload})
    streams, problems = order([*one, *other])
    assert (used(streams), used(streams, "flow-b")) == ([1], [1])
    assert {problem.sensor for problem in problems} == {"flow-a", "flow-b"}


def test_sensors_do_not_disturb_each_other() -> None:
    streams, problems = order([*without(1), *stream_of(3, sensor="flow-b")])
    assert used(streams, "flow-b") == [0, 1, 2]
    assert {problem.sensor for problem in problems} == {"flow-a"}


def test_a_stream_may_continue_either_envelope_of_a_segment_that_was_signed_twice() -> None:
    """Joint sensors sign again: the chain may go on from the second envelope as well as from the first."""
    again = also(1)
    again[2] = Segment(**{**vars(again[2]), "previous": again[-1].digest})
    streams, problems = order(again)
    assert used(streams) == [0, 1, 2, 3]
    assert kinds(problems) == {K.DUPLICATED: 1}


# --- an oracle, and properties -----------------------------------------------------------------------------------------


@st.composite
def disturbed(draw: st.DrawFn) -> list[Segment]:
    """A whole stream with a few segments removed, altered, repeated, and shuffled."""
    segments = stream_of(draw(st.integers(1, 6)))
    for _ in range(draw(st.integers(0, 3))):
        if not segments:
            break
        at = draw(st.integers(0, len(segments) - 1))
        fields = vars(segments[at])
        match draw(st.sampled_from(["remove", "payload", "previous", "final", "again", "move"])):
            case "remove":
                del segments[at]
            case "payload":
                segments.append(Segment(**{**fields, "payload": digest_of(b"x"), "digest": digest_of(bytes([at]))}))
            case "previous":
                segments[at] = Segment(**{**fields, "previous": digest_of(b"y")})
            case "final":
                segments[at] = Segment(**{**fields, "final": not fields["final"]})
            case "again":
                segments.append(Segment(**{**fields, "digest": digest_of(bytes([at, 1]))}))
            case "move":
                shift = draw(st.integers(-2, 2))
                start = int((fields["period"].start - PERIOD.start).total_seconds() // 60) + shift
                segments[at] = Segment(**{**fields, "period": minutes(start, start + 1)})
    return draw(st.permutations(segments))


def slow_chain(segments: list[Segment]) -> list[int]:
    """The numbers a stream proves, from the rules alone: the longest sound beginning, holes allowed."""
    if not any(PERIOD.overlaps(s.period) for s in segments):
        return []
    numbers = sorted({s.sequence for s in segments})
    proven: list[int] = []
    before: list[Segment] = []
    for number in numbers:
        claims = [s for s in segments if s.sequence == number]
        contents = {(s.payload, s.period, s.previous, s.final, s.entries, s.dropped) for s in claims}
        follows = not before or (
            claims[0].period.start >= before[0].period.end
            and (number > before[0].sequence + 1 or claims[0].previous in [s.digest for s in before])
        )
        if len(contents) > 1 or not follows:
            break
        proven.append(number)
        before = claims
        if claims[0].final:
            break
    return proven


@given(disturbed())
@settings(max_examples=300)
def test_one_stream_agrees_with_the_rules_read_slowly(segments: list[Segment]) -> None:
    cloned = {
        s.sequence
        for s in segments
        for other in segments
        if s.payload == other.payload and s.sequence != other.sequence
    }
    streams, problems = order(segments)
    if not cloned:
        assert used(streams) == slow_chain(segments)
    whole = [s.sequence for s in segments] and sorted(s.sequence for s in segments) == used(streams)
    closed = any(s.final and s.sequence == max(used(streams), default=-1) for s in segments)
    without_holes = used(streams) == list(range(len(used(streams))))
    assert bool(problems) == (not (whole and closed and without_holes) and bool(segments))


@given(disturbed(), st.randoms())
def test_the_order_of_arrival_does_not_matter(segments: list[Segment], random: Any) -> None:
    shuffled = list(segments)
    random.shuffle(shuffled)
    (one, problems), (other, others) = order(segments), order(shuffled)
    assert used(one) == used(other)
    assert kinds(problems) == kinds(others)


@given(disturbed(), disturbed())
def test_what_is_used_of_one_sensor_never_overlaps(first: list[Segment], second: list[Segment]) -> None:
    other = [Segment(**{**vars(s), "stream": "two", "digest": digest_of(s.digest.encode())}) for s in second]
    streams, _ = order([*first, *other])
    for stream in streams.values():
        assert all(a.period.end <= b.period.start for a, b in pairwise(stream.segments))
