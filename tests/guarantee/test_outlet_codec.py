"""One byte form of one length; rounding that keeps bounds; nothing in a form that the budget did not count."""

from __future__ import annotations

import itertools
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from outlet_making import DIGEST, amounts, checkpoint, checkpoints, said

from inspectorate.canonical import canonical_bytes, parse_json
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.outlet.codec import CHECKPOINT_BYTES, decode, encode, is_quantised, quantise
from inspectorate.mechanisms.guarantee.outlet.precision import AMOUNT_MAX, Precision, levels
from inspectorate.quantities import Period

LEVELS = levels((MeterKind.FLOP, MeterKind.BYTES_OUT))


# --- length --------------------------------------------------------------------------------------------------------------


def _longest_held() -> float:
    return max((k * 86399.123458 / 64 for k in range(65)), key=lambda held: len(canonical_bytes(held)))


def largest() -> Checkpoint:
    """Every field as long as its type lets it be."""
    name = "a" * 128
    # Rounded to three digits and yet 21 characters long: a number of JSON has no exponent below 1e21.
    amount = 9.99e20
    return checkpoint(
        reporter=name,
        sequence=10**12,
        starts=10**9,
        period=Period(
            start=datetime(2199, 12, 30, 23, 59, 59, 999999, UTC), end=datetime(2199, 12, 31, 23, 59, 59, 123457, UTC)
        ),
        challenge="f" * 64,
        ruleset_id=name,
        ruleset_version=2**53 - 1,
        licence=name,
        licence_sequence=2**53 - 1,
        model=DIGEST,
        rollback_protected=False,
        mode=Mode.UPLOADING,
        held_s=_longest_held(),
        meters=tuple(
            said(meter, used=amount, at_least=amount, remaining=amount, source=Source.WORKLOAD) for meter in MeterKind
        ),
        events=dict.fromkeys(EventKind, 255),
        sampled=255,
        recomputed=255,
        differed=255,
    )


def test_the_largest_checkpoint_fits() -> None:
    checkpoint = largest()
    assert set(checkpoint.model_dump(exclude_none=True)) == set(Checkpoint.model_fields), "every field is there"
    data = encode(checkpoint)
    assert len(data) == CHECKPOINT_BYTES
    spare = len(parse_json(data, where="test")["padding"])
    assert spare >= 64, f"only {spare} bytes are left: raise CHECKPOINT_BYTES before the next field or kind of event"


def test_the_longest_numbers_are_in_the_largest_checkpoint() -> None:
    """No rounded amount is written in more characters than the one used there."""
    longest = max(len(canonical_bytes(float(f"{m}e{e}"))) for m in (100, 101, 110, 999, 123) for e in range(-2, 28))
    assert len(canonical_bytes(9.99e20)) == longest
    assert len(canonical_bytes(_longest_held())) >= 16


def test_the_smallest_has_the_same_length() -> None:
    small = checkpoint(
        reporter="a",
        sequence=0,
        previous=None,
        ruleset=None,
        ruleset_id=None,
        ruleset_version=0,
        mode=Mode.LOCKED,
        meters=(),
    )
    assert len(encode(small)) == CHECKPOINT_BYTES


@settings(max_examples=50)
@given(checkpoints())
def test_every_checkpoint_has_one_length_and_is_read_back(given_: Checkpoint) -> None:
    rounded = quantise(given_)
    data = encode(rounded)
    assert len(data) == CHECKPOINT_BYTES
    assert decode(data, where="test") == rounded
    assert encode(decode(data, where="test")) == data


def test_what_cannot_fit_is_refused() -> None:
    too_much = largest().model_copy(update={"reporter": "a" * 4000})
    with pytest.raises(ValueError, match="bytes more"):
        encode(too_much)


# --- rounding --------------------------------------------------------------------------------------------------------------


def slow_grid(digits: int) -> list[Decimal]:
    """The oracle: the grid, written out."""
    mantissas = range(10 ** (digits - 1), 10**digits)
    steps = (Decimal(m).scaleb(e - digits + 1) for e in range(30) for m in mantissas)
    return [Decimal(0), *steps, Decimal("1e30")]


GRIDS = {digits: slow_grid(digits) for digits in (1, 2)}


@pytest.mark.parametrize("precision", [LEVELS[1], LEVELS[4]], ids=["two digits", "one digit"])
@given(amount=amounts)
@example(amount=1.0)
@example(amount=0.5)
@example(amount=9.5)
@example(amount=9.9e29)
@example(amount=0.1 + 0.2)
@example(amount=math.nextafter(2.0, 3))
@example(amount=math.nextafter(2.0, 1))
def test_amounts_go_to_the_next_of_the_grid(precision: Precision, amount: float) -> None:
    grid = [float(step) for step in GRIDS[precision.digits]]
    assert precision.up(amount) == next((step for step in grid if step >= amount), AMOUNT_MAX)
    assert precision.down(amount) == max(step for step in grid if step <= amount)


@pytest.mark.parametrize("digits", [1, 2])
def test_the_number_of_amounts_is_that_of_the_grid(digits: int) -> None:
    precision = next(one for one in LEVELS if one.digits == digits)
    assert precision.amounts == len(GRIDS[digits]) == len(set(GRIDS[digits]))


@given(amount=amounts)
def test_an_upper_bound_stays_one_and_a_lower_bound_too(amount: float) -> None:
    for precision in LEVELS:
        assert precision.up(amount) >= min(amount, AMOUNT_MAX)
        assert precision.down(amount) <= amount
        if 1 <= amount <= AMOUNT_MAX:
            coarse = 1 + 10.0 ** (1 - precision.digits) + 1e-12
            assert precision.up(amount) <= amount * coarse
            assert precision.down(amount) >= amount / coarse


@given(held=st.floats(0, 1e6), duration=st.floats(1e-3, 1e6))
def test_time_held_is_never_overstated_and_loses_less_than_a_step(held: float, duration: float) -> None:
    for precision in LEVELS:
        step = duration / precision.held_steps
        rounded = precision.held_down(held, duration)
        assert rounded <= held
        assert rounded <= duration
        assert min(held, duration) - rounded < step * (1 + 1e-9)


@given(count=st.integers(0, 255))
def test_counts_keep_something_apart_from_nothing(count: int) -> None:
    for precision in LEVELS:
        up, down = precision.count_up(count), precision.count_down(count)
        assert (up > 0) == (down > 0) == (count > 0)
        assert down <= count
        assert up >= min(count, precision.counts[-1])


@settings(max_examples=30)
@given(checkpoints())
def test_rounding_twice_changes_nothing_and_grids_are_nested(given_: Checkpoint) -> None:
    for precision in LEVELS:
        rounded = quantise(given_, precision)
        for finer_or_same in LEVELS[: precision.level + 1]:
            assert is_quantised(rounded, finer_or_same), (precision.level, finer_or_same.level)
        encode(rounded, precision)
        assert rounded.differed <= rounded.recomputed
        assert (rounded.differed > 0) == (given_.differed > 0)


@settings(max_examples=40)
@given(checkpoints(), st.sampled_from(LEVELS))
def test_what_is_not_rounded_is_refused(given_: Checkpoint, precision: Precision) -> None:
    if quantise(given_, precision) == given_:
        encode(given_, precision)
    else:
        with pytest.raises(ValueError, match="round it first"):
            encode(given_, precision)


@pytest.mark.parametrize(
    "finer",
    [
        {"meters": (said(used=1.2345e15),)},
        {"meters": (said(at_least=1.2345e15),)},
        {"meters": (said(remaining=1.2345e15),)},
        {"meters": (said(MeterKind.BYTES_OUT), said(MeterKind.FLOP))},
        {"held_s": 1.0},
        {"held_s": 7200.0},
        {"events": {EventKind.RULE_FAILED: 0}},
        {"recomputed": 1, "differed": 2},
    ],
    ids=lambda value: next(iter(value)),
)
def test_a_digit_too_many_an_order_or_a_zero_is_refused(finer: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="round it first"):
        encode(checkpoint(**finer))


# --- reading ---------------------------------------------------------------------------------------------------------------


def packed(value: Any, *, length: int = CHECKPOINT_BYTES) -> bytes:
    """A padded form of anything, of the right length."""
    room = length - len(canonical_bytes({"checkpoint": value, "padding": ""}))
    return canonical_bytes({"checkpoint": value, "padding": "0" * room})


GOOD = encode(quantise(checkpoint(held_s=900.0, events={EventKind.LIMIT_REACHED: 3})))
CONTENT = parse_json(GOOD, where="test")["checkpoint"]


def test_the_packing_of_these_tests_is_that_of_the_product() -> None:
    assert packed(CONTENT) == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"events": {"limit-reached": 0}},
        {"events": {"limit-reached": 3, "rule-failed": 0}},
        {"held_s": 900.5},
        {"held_s": "900"},
        {"sequence": "7"},
        {"sampled": True},
        {"rollback_protected": 1},
        {"licence_sequence": 0.0},
        {"period": {"start": "2026-12-01T00:00:00.000000Z", "end": "2026-12-01T01:00:00Z"}},
        {"period": {"start": "2026-12-01T00:00:00+00:00", "end": "2026-12-01T01:00:00Z"}},
        {"period": {"start": "2026-12-01T01:00:00+01:00", "end": "2026-12-01T01:00:00Z"}},
        {"period": {"start": 1796083200, "end": "2026-12-01T01:00:00Z"}},
        {"challenge": None},
        {"note": "hello"},
        {"meters": [*CONTENT["meters"], *CONTENT["meters"]]},
        {"mode": "SERVING"},
    ],
    ids=lambda change: str(change)[:50],
)
def test_another_form_of_the_same_or_a_finer_value_is_refused(change: dict[str, Any]) -> None:
    if change == {"licence_sequence": 0.0}:
        # In canonical JSON there is one zero: nothing to refuse.
        assert packed(CONTENT | change) == GOOD
        return
    with pytest.raises(EvidenceError):
        decode(packed(CONTENT | change), where="test")


def test_padding_has_no_freedom() -> None:
    room = len(parse_json(GOOD, where="test")["padding"])
    for padding in ("1" + "0" * (room - 1), "0" * (room - 1) + "1", "é" * (room // 2) + "0" * (room % 2)):
        data = canonical_bytes({"checkpoint": CONTENT, "padding": padding})
        assert len(data) == CHECKPOINT_BYTES
        with pytest.raises(EvidenceError):
            decode(data, where="test")


@pytest.mark.parametrize(
    "data", [b"", b"{}", GOOD[:-1], GOOD + b"0", b"[" * CHECKPOINT_BYTES, b"\xff" * CHECKPOINT_BYTES]
)
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        decode(data, where="test")


@pytest.mark.parametrize("value", [[], "x", 1, None, {}, {"checkpoint": {}}], ids=str)
def test_what_is_padded_and_no_checkpoint_is_refused(value: Any) -> None:
    with pytest.raises(EvidenceError):
        decode(packed(value), where="test")


@given(st.integers(0, CHECKPOINT_BYTES - 1), st.integers(1, 255))
def test_a_changed_byte_gives_another_checkpoint_or_none(at: int, flip: int) -> None:
    bad = bytearray(GOOD)
    bad[at] ^= flip
    try:
        found = decode(bytes(bad), where="test")
    except EvidenceError:
        return
    assert found != decode(GOOD, where="test")
    assert encode(found) == bytes(bad)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(sorted(CONTENT)), ANYTHING, max_size=3))
def test_any_value_in_any_field_is_read_or_refused(change: dict[str, Any]) -> None:
    try:
        data = packed(CONTENT | change)
    except ValueError:
        return
    try:
        found = decode(data, where="test")
    except EvidenceError:
        return
    assert encode(found) == data


def test_no_two_rounded_checkpoints_share_a_byte_form() -> None:
    """Exhaustive over a small space."""
    space = itertools.product(
        Mode, (0.0, 900.0), ((), (said(used=1e15),), (said(used=2e15),)), ({}, {EventKind.RESUMED: 1})
    )
    made = [checkpoint(mode=m, held_s=h, meters=w, events=e) for m, h, w, e in space]
    rounded = [quantise(one) for one in made]
    assert len({encode(one) for one in rounded}) == len(made)
