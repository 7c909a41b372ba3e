"""Records: chained, salted, sealed; who was heard of those drawn."""

from __future__ import annotations

import json

import pyrage
import pytest
from forms_cases import capture_of, frame_of
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.interviews.forms import (
    Capture,
    Heard,
    Held,
    outcome_of,
    read_capture,
    read_record,
    seal,
    unseal,
    write_record,
)
from inspectorate.mechanisms.interviews.forms.recording import BLOCK_BYTES, FIRST, head_of, read_held
from inspectorate.mechanisms.interviews.forms.shipped import shipped_form

FORM = shipped_form("research")
FRAME = frame_of(FORM)


def capture(**more: object) -> Capture:
    acts = [{"act": "deviation", "at": "2026-04-07T09:30:00Z", "by": "observer", "kind": "pressed"}]
    return read_capture(
        json.dumps(capture_of(FORM, FRAME, acts=acts, **more)).encode(), FORM, FRAME, where="capture.json"
    )


RECORD = write_record(capture())


def test_a_record_gives_back_what_was_recorded() -> None:
    assert read_record(RECORD, FORM, FRAME, where="record") == capture()


def test_each_line_names_the_line_before_it() -> None:
    previous = FIRST
    for line in RECORD.splitlines():
        assert json.loads(line)["previous"] == previous
        previous = digest_of(line)
    assert head_of(RECORD) == previous


@settings(max_examples=60)
@given(st.integers(0, len(RECORD) - 1), st.integers(0, 255))
def test_no_byte_can_be_changed(place: int, value: int) -> None:
    changed = RECORD[:place] + bytes([value]) + RECORD[place + 1 :]
    if changed == RECORD:
        return
    with pytest.raises(EvidenceError):
        read_record(changed, FORM, FRAME, where="record")


def test_no_line_can_be_left_out_moved_or_added() -> None:
    lines = RECORD.splitlines(keepends=True)
    for changed in (
        lines[:-1],
        lines[1:],
        lines[:2] + lines[3:],
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines, lines[-1]],
        [],
    ):
        with pytest.raises(EvidenceError):
            read_record(b"".join(changed), FORM, FRAME, where="record")


def test_two_interviews_with_the_same_answers_share_no_digest() -> None:
    other = write_record(capture(salt=64 * "6"))
    assert not {digest_of(one) for one in RECORD.splitlines()} & {digest_of(one) for one in other.splitlines()}


def test_only_the_office_opens_a_record() -> None:
    office, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    sealed = seal(RECORD, [str(office.to_public())])
    assert unseal(sealed, [str(office)], where="record") == RECORD
    with pytest.raises(EvidenceError, match="does not open"):
        unseal(sealed, [str(other)], where="record")
    with pytest.raises(EvidenceError, match="does not open"):
        unseal(sealed[:-1], [str(office)], where="record")
    with pytest.raises(InputError, match="no age identity"):
        unseal(sealed, ["AGE-SECRET-KEY-1X"], where="record")
    with pytest.raises(InputError, match="no age recipient"):
        seal(RECORD, ["age1x"])
    with pytest.raises(InputError, match="1 to 32"):
        seal(RECORD, [])


def test_a_sealed_record_says_little_by_its_size() -> None:
    """Somebody who answered nothing leaves as many bytes as somebody who answered all that fits into a block."""
    office = str(pyrage.x25519.Identity.generate().to_public())
    short = write_record(capture(say={"work_on_models": "no"}))
    assert len(short) < len(RECORD) < BLOCK_BYTES
    sizes = [len(seal(one, [office])) - BLOCK_BYTES for one in (short, RECORD)]
    assert all(0 < size < 1000 for size in sizes), "beside the block: the header of age, and grease of a random length"


def test_everybody_drawn_has_one_outcome() -> None:
    sealed = b"sealed"
    held = Held.of(FRAME)
    assert held.outstanding(FRAME) == (3, 14, 25)
    held = held.with_outcome(outcome_of(capture(), RECORD, sealed), FRAME)
    refused = capture(entry=25, outcome="refused", answers=[], turns={}, read_back=None)
    held = held.with_outcome(outcome_of(refused, write_record(refused), sealed), FRAME)
    absent = Heard(entry=14, outcome="absent", start="2026-04-07T09:00:00Z", end="2026-04-07T09:00:00Z")
    held = held.with_outcome(absent, FRAME)
    assert (held.entries("heard"), held.entries("refused"), held.entries("absent")) == ((3,), (25,), (14,))
    assert held.outstanding(FRAME) == ()
    assert held.deviations == 2
    assert held.period is not None
    assert json.loads(held.records) == [{"entry": entry, "sealed": digest_of(sealed)} for entry in (3, 25)]
    assert read_held(held.canonical_bytes(), where="held.json") == held
    with pytest.raises(InputError, match="heard once"):
        held.with_outcome(absent, FRAME)
    with pytest.raises(InputError, match="not drawn"):
        held.with_outcome(absent.model_copy(update={"entry": 4}), FRAME)
    with pytest.raises(InputError, match="another frame"):
        held.with_outcome(absent, frame_of(FORM, site="South site"))
    with pytest.raises(EvidenceError):
        read_held(held.canonical_bytes().replace(b'"entry":3', b'"entry":30'), where="held.json")
