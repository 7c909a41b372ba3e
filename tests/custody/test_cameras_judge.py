"""Segments judged: each fault of the closed list is planted once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cameras_cases import PLACES, START, Site, enrolled, random_bits, written
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError
from inspectorate.evidence.custody import CameraEvent
from inspectorate.keys import Holder
from inspectorate.mechanisms.custody.cameras.judge import Brought, CameraJudged, WatchFault, judge_cameras
from inspectorate.mechanisms.custody.cameras.written import UnseenLine, parse_written, write
from inspectorate.quantities import Period

MINUTE = timedelta(minutes=1)


def judged(site: Site) -> CameraJudged:
    brought = Brought(payload=site.payload, enrolments={enrolled().digest: enrolled()})
    (found,) = judge_cameras(site.segments, brought)
    return found


def faults(site: Site) -> list[WatchFault]:
    return [one.fault for one in judged(site).faults]


def minute(number: int, seed: int | None = None):  # type: ignore[no-untyped-def]
    return written(START + number * MINUTE, random_bits(number if seed is None else seed, 240))


def chain(*numbers: int, holder: Holder = Holder.JOINT) -> Site:
    site = Site(holder)
    for number in numbers:
        site.segment(minute(number), final=number == numbers[-1])
    return site


def test_a_sound_chain_has_no_fault() -> None:
    found = judged(chain(0, 1, 2))
    assert found.faults == ()
    assert len(found.segments) == 3
    assert not found.prover_alone
    assert judged(chain(0, holder=Holder.PROVER)).prover_alone


def test_a_chain_that_was_never_closed() -> None:
    site = Site()
    site.segment(minute(0))
    assert faults(site) == [WatchFault.UNCLOSED]


def test_time_between_segments_is_named() -> None:
    site = Site()
    site.segment(minute(0))
    site.segment(minute(2), final=True)
    (fault,) = judged(site).faults
    assert fault.fault is WatchFault.BETWEEN
    assert fault.period == Period(start=START + MINUTE, end=START + 2 * MINUTE)


def test_a_missing_a_forked_and_an_unchained_segment() -> None:
    site = chain(0, 1, 2)
    kept = site.segments
    site.segments = [kept[0], kept[2]]
    assert faults(site) == [WatchFault.MISSING, WatchFault.BETWEEN]
    fork = chain(0, 1, 2)
    other = Site()
    other.segments = fork.segments[:1]
    other.segment(minute(1, seed=77))
    fork.payloads |= other.payloads
    fork.segments.append(other.segments[-1])
    assert WatchFault.FORKED in faults(fork)
    assert len(judged(fork).segments) == 1
    loose = Site()
    loose.segment(minute(0))
    loose.segment(minute(1), previous="sha256:" + "0" * 64, final=True)
    assert faults(loose) == [WatchFault.UNCHAINED]


def test_segments_that_overlap() -> None:
    site = Site()
    site.segment(minute(0))
    site.segment(written(START + MINUTE / 2, random_bits(5, 240)), final=True)
    assert WatchFault.OVERLAPPING in faults(site)
    assert len(judged(site).segments) == 1


@pytest.mark.parametrize(
    "changes", [{"frames": 239}, {"unseen_s": 3.0}, {"events": {CameraEvent.DOOR: 1}}, {"places": ("rack-1",)}]
)
def test_a_statement_that_says_other_than_its_payload(changes: dict[str, object]) -> None:
    site = Site()
    line = UnseenLine(places=PLACES, from_ms=1000, to_ms=2000)
    one = written(START, random_bits(1, 240), unseen=[line])
    site.segment(one, final=True, **changes)
    assert faults(site) == [WatchFault.PAYLOAD]
    assert judged(site).segments == ()


def test_a_payload_that_is_not_there() -> None:
    site = chain(0)
    site.payloads.clear()
    assert faults(site) == [WatchFault.PAYLOAD]


def test_too_few_frames_unless_the_gap_is_stated() -> None:
    bits = random_bits(1, 240)
    one = written(START, bits)
    thin = replace(one, frames=one.frames[:3])
    site = Site()
    site.segment(thin, final=True)
    assert faults(site) == [WatchFault.RATE]
    stated = replace(thin, unseen=(UnseenLine(places=PLACES, from_ms=30_000, to_ms=60_000),))
    site = Site()
    site.segment(stated, final=True)
    assert faults(site) == []


def test_an_unknown_enrolment() -> None:
    site = Site()
    one = minute(0)
    site.segment(replace(one, head=one.head.model_copy(update={"enrolment": "sha256:" + "9" * 64})), final=True)
    assert faults(site) == [WatchFault.ENROLMENT]


def test_lamps_that_were_shown_in_an_earlier_segment() -> None:
    site = Site()
    first = random_bits(1, 240)
    site.segment(written(START, first))
    site.segment(written(START + MINUTE, random_bits(2, 120) + first[40:160]), final=True)
    found = judged(site)
    assert {one.fault for one in found.faults} == {WatchFault.REPEATED}
    assert "the watcher did not say so" in found.faults[0].detail
    (span,) = found.segments[1].repeated
    assert span.start < START + MINUTE + timedelta(seconds=33)
    assert span.end > START + MINUTE + timedelta(seconds=59)


# --- payloads ----------------------------------------------------------------------------------------------------------


def test_a_payload_has_one_byte_form() -> None:
    data = write(minute(0))
    assert write(parse_written(data, where="x")) == data
    lines = data.split(b"\n")
    for wrong in (
        b"",
        data[:-1],
        b"\n".join([lines[1], lines[0], *lines[2:]]),
        data.replace(b'"line":"frames"', b'"line":"other"'),
    ):
        with pytest.raises(EvidenceError):
            parse_written(wrong, where="x")
    with pytest.raises(EvidenceError, match="line 2"):
        parse_written(data.replace(b'"at_ms":[0,', b'"at_ms":[-1,', 1), where="x")


_DATA = write(minute(0))


@settings(max_examples=60)
@given(st.integers(0, len(_DATA) - 1), st.integers(0, 255))
def test_no_byte_of_a_payload_passes_unnoticed(place: int, value: int) -> None:
    mutated = bytearray(_DATA)
    mutated[place] = value
    try:
        parsed = parse_written(bytes(mutated), where="x")
    except EvidenceError:
        return
    assert write(parsed) == bytes(mutated)
