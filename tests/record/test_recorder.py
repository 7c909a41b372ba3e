"""Cutting and sealing of telemetry: every row in one segment, whatever was missed counted, chains that a reviewer accepts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_support import NS, START_NS, MemorySpool, read_back, samples, table

from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Origin
from inspectorate.evidence.sealing import Sealer
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.workloads.record.recorder import Cut, Recorded, TelemetryRecorder, joined, payload_of
from inspectorate.mechanisms.workloads.record.source import Scrape

KEY = SigningKey(bytes(range(32)))
M1 = Recorded(meter="m1", units=("u0", "u1"), signals=("power_w",))
PAGE = Recorded(meter="p1", units=("u0",), signals=("power_w",), pages=True)


def make(closed: list[Cut], *meters: Recorded, segment_s: float = 10.0, **more: int) -> TelemetryRecorder:
    return TelemetryRecorder(meters or (M1,), closed.append, start_ns=START_NS + 3 * NS, segment_s=segment_s, **more)


def times(closed: Sequence[Cut]) -> list[int]:
    return [int(time) for cut in closed for part in cut.parts for time in part.time_ns]


def test_segments_end_at_multiples_since_1970_and_empty_ones_are_there() -> None:
    closed: list[Cut] = []
    recorder = make(closed)
    recorder.feed("m1", samples([START_NS + 4 * NS]))
    for second in range(4, 26):
        recorder.tick("m1", START_NS + second * NS)
    recorder.close(START_NS + 26 * NS)
    bounds = [((c.start_ns - START_NS) // NS, (c.end_ns - START_NS) // NS, c.samples, c.final) for c in closed]
    assert bounds == [(3, 10, 1, False), (10, 20, 0, False), (20, 26, 0, True)]


def test_one_poll_that_crosses_the_end_of_a_segment_is_divided_by_time() -> None:
    closed: list[Cut] = []
    recorder = make(closed)
    recorder.feed("m1", samples([START_NS + 9 * NS, START_NS + 10 * NS - 1, START_NS + 10 * NS, START_NS + 11 * NS]))
    recorder.close(START_NS + 12 * NS)
    assert [cut.samples for cut in closed] == [2, 2]


def test_a_stretch_without_a_turn_is_one_segment_and_its_missed_polls_stand_in_it() -> None:
    closed: list[Cut] = []
    recorder = make(closed)
    recorder.missed("m1", 3_600, first_ns=START_NS + 4 * NS, every_ns=NS)
    recorder.tick("m1", START_NS + 3_604 * NS)
    recorder.close(START_NS + 3_605 * NS)
    assert [((c.end_ns - c.start_ns) // NS, c.dropped) for c in closed] == [(7, 6), (3_590, 3_594), (5, 0)]
    assert recorder.counts["m1"].dropped == 3_600


def test_a_failed_poll_counts_as_dropped_and_leaves_no_sample() -> None:
    closed: list[Cut] = []
    recorder = make(closed)
    recorder.failed("m1", "gone")
    recorder.close(START_NS + 5 * NS)
    assert [(cut.samples, cut.dropped, cut.parts) for cut in closed] == [(0, 1, ())]


def test_a_clock_that_was_set_back_repeats_a_time_and_loses_no_row() -> None:
    closed: list[Cut] = []
    recorder = make(closed)
    recorder.feed("m1", samples([START_NS + 12 * NS]))
    recorder.feed("m1", samples([START_NS + 5 * NS, START_NS + 13 * NS]))
    recorder.close(START_NS + 6 * NS)
    assert times(closed) == [START_NS + 12 * NS, START_NS + 12 * NS, START_NS + 13 * NS]
    assert closed[-1].final
    assert closed[-1].end_ns > START_NS + 13 * NS


@given(
    polls=st.lists(st.lists(st.integers(-5_000, 60_000), max_size=8), max_size=20),
    full=st.sampled_from([60, 10_000]),
)
def test_every_row_is_in_exactly_one_segment_within_its_period(polls: list[list[int]], full: int) -> None:
    closed: list[Cut] = []
    recorder = make(closed, payload_bytes_max=full)
    for poll in polls:
        recorder.feed("m1", samples([START_NS + offset * 1_000_000 for offset in poll], units=("u0", "u1")))
    recorder.close(START_NS + 70 * NS)
    # The slow way: one row after another, none before the one before it, none before the start.
    expected, latest = [], START_NS + 3 * NS
    for poll in polls:
        for offset in poll:
            latest = max(latest, START_NS + offset * 1_000_000)
            expected.append(latest)
    found = times(closed)
    assert len(found) == len(expected)
    # A segment that was full moves rows of the same moment into the next microsecond, no further.
    assert all(0 <= got - want <= 1_000 * len(expected) for got, want in zip(found, expected, strict=True))
    for former, following in itertools.pairwise(closed):
        assert former.end_ns == following.start_ns
        assert following.sequence == former.sequence + 1
    for cut in closed:
        rows = [int(time) for part in cut.parts for time in part.time_ns]
        assert rows == sorted(rows)
        assert all(cut.start_ns <= time < cut.end_ns for time in rows)
        assert len(rows) == cut.samples
    assert [cut.final for cut in closed] == [False] * (len(closed) - 1) + [True]


def test_sealed_segments_are_what_a_reviewer_accepts() -> None:
    spool = MemorySpool()
    reported: list[bytes] = []
    sealer = Sealer(spool, KEY, stream="s", origin=Origin.RECORDED, recorder="a test", on_statement=reported.append)
    recorder = TelemetryRecorder(
        (M1, PAGE), lambda cut: sealer.seal(payload_of(cut)), start_ns=START_NS, segment_s=10.0
    )
    for second in range(25):
        now = START_NS + second * NS
        for one in ("m1", "p1"):
            recorder.tick(one, now)
        recorder.feed("m1", samples([now, now], units=("u0", "u1")))
        recorder.feed("p1", Scrape(time_ns=now, took_ns=5, text=b"# HELP x\nx 1\ny 2\n"))
    recorder.missed("m1", 2, first_ns=START_NS + 25 * NS, every_ns=NS)
    recorder.close(START_NS + 27 * NS)
    segments = read_back(spool.envelopes, KEY, ["m1", "p1"])
    assert [(s.sensor, s.entries, s.dropped, s.final) for s in segments] == [
        ("m1", 20, 0, False), ("m1", 20, 0, False), ("m1", 10, 2, True),
        ("p1", 20, 0, False), ("p1", 20, 0, False), ("p1", 10, 0, True),
    ]  # fmt: skip
    assert len(reported) == 6
    rows = table(spool.files["payloads/" + segments[0].payload.removeprefix("sha256:")])
    assert [(row["time_ns"], row["unit"], row["power_w"]) for row in rows[:3]] == [
        (START_NS, "u0", 0.0), (START_NS, "u1", 1.0), (START_NS + NS, "u0", 0.0),
    ]  # fmt: skip
    # Payload before statement, always.
    kinds = [name.split("/")[0] for name in spool.files]
    assert kinds.index("payloads") < kinds.index("statements")


def test_pages_are_kept_as_they_came_each_after_its_line() -> None:
    closed: list[Cut] = []
    recorder = make(closed, PAGE)
    recorder.feed("p1", Scrape(time_ns=START_NS + 4 * NS, took_ns=7, text=b"# TYPE x gauge\nx 1"))
    recorder.close(START_NS + 5 * NS)
    sealed = payload_of(closed[0])
    assert b"".join(sealed.chunks) == b"# scraped %d took 7\n# TYPE x gauge\nx 1\n" % (START_NS + 4 * NS)
    assert (sealed.media_type, sealed.samples) == ("text/plain; version=0.0.4", 1)


@pytest.mark.parametrize("line", [b"# scraped 1 took 2", b"x 1\n# scraped 1760000000000000000 took 2\nx 2"])
def test_a_page_that_forges_a_line_of_the_recorder_is_refused(line: bytes) -> None:
    recorder = make([], PAGE)
    with pytest.raises(EvidenceError, match="only its recorder writes"):
        recorder.feed("p1", Scrape(time_ns=START_NS, took_ns=1, text=line))


def test_a_unit_that_shows_up_later_stands_in_the_table_by_its_name() -> None:
    rows = joined(
        M1,
        [
            samples([START_NS], units=("u1",)),
            samples([START_NS + NS] * 2, units=("new", "u0"), signals=("energy_j",)),
        ],
    )
    assert (rows.units, rows.signals) == (("u0", "u1", "new"), ("power_w", "energy_j"))
    assert [rows.units[unit] for unit in rows.unit] == ["u1", "new", "u0"]
    np.testing.assert_array_equal(rows.values, [[0.0, np.nan], [np.nan, 0.0], [np.nan, 1.0]])


def test_nothing_to_record_is_refused() -> None:
    for meters in ((), (M1, M1)):
        with pytest.raises(InputError, match="cannot be recorded"):
            TelemetryRecorder(meters, lambda _: None, start_ns=START_NS)
