"""Freivalds' check: honest products pass whatever the format and order of adding, wrong ones fail, and the draw comes after."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.graph.freivalds import (
    Arithmetic,
    check_floats,
    check_integers,
    commitment_of,
    compare_floats,
)
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.types import Outcome

SEED = bytes(range(32))
FLOAT32 = Arithmetic()


def floats(shape: tuple[int, int, int], seed: int, scale: float = 1.0) -> tuple[NDArray[np.float32], ...]:
    rng = np.random.default_rng(seed)
    left = (scale * rng.normal(size=shape[:2])).astype(np.float32)
    right = rng.normal(size=shape[1:]).astype(np.float32)
    return left, right, left @ right


def signs(seed: int, columns: int, rounds: int = 2) -> NDArray[np.float64]:
    return 1.0 - 2.0 * np.random.default_rng(seed).integers(0, 2, (columns, rounds))


@settings(max_examples=60)
@given(
    st.tuples(*(st.integers(1, 40) for _ in range(3))),
    st.integers(0, 1000),
    st.sampled_from([1e-30, 1e-3, 1.0, 1e15]),
    st.sampled_from(["blas", "one by one", "backwards", "float16", "bfloat16"]),
)
def test_honest_products_pass_in_any_order_and_format(
    shape: tuple[int, int, int], seed: int, scale: float, order: str
) -> None:
    left, right, result = floats(shape, seed, scale)
    how = FLOAT32
    if order in ("one by one", "backwards"):
        result = np.zeros_like(result)
        places = range(shape[1]) if order == "one by one" else reversed(range(shape[1]))
        for place in places:
            result += left[:, place : place + 1] * right[place]
    elif order == "float16":
        with np.errstate(over="ignore", invalid="ignore"):
            left, right = left.astype(np.float16), right.astype(np.float16)
            result = (left.astype(np.float32) @ right.astype(np.float32)).astype(np.float16)
        how = Arithmetic(result=Format.FLOAT16)
        if not np.isfinite(result).all():
            return
    elif order == "bfloat16":
        result = cut(result)
        how = Arithmetic(result=Format.BFLOAT16)
    found = compare_floats((left, right), result, arithmetic=how, signs=signs(seed + 1, shape[2]))
    assert found.outcome is Outcome.CONSISTENT
    assert found.excess <= 1.0


def cut(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to the nearest bfloat16, ties up: within the roundoff of the format."""
    bits = values.view(np.uint32).astype(np.uint64) + 0x8000
    return (bits & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("seed", range(20))
def test_a_wrong_entry_above_the_stated_share_is_always_caught(seed: int) -> None:
    left, right, result = floats((30, 50, 70), seed)
    share = compare_floats((left, right), result, arithmetic=FLOAT32, signs=signs(seed, 70)).entry_caught_above
    assert share is not None
    assert share < 0.01
    wrong = result.astype(np.float64)
    wrong[7, 11] += 1.01 * share * np.linalg.norm(result[7])
    found = compare_floats((left, right), wrong, arithmetic=FLOAT32, signs=signs(seed + 100, 70, 1))
    assert found.outcome is Outcome.DIFFERS
    assert found.row == 7


def test_spread_errors_are_caught_at_least_as_often_as_stated() -> None:
    left, right, result = floats((30, 50, 70), 3)
    stated = compare_floats((left, right), result, arithmetic=FLOAT32, signs=signs(1, 70, 1))
    assert stated.caught_above is not None
    rng, times = np.random.default_rng(4), 0
    for trial in range(200):
        error = rng.normal(size=70)
        wrong = result.astype(np.float64)
        wrong[4] += stated.caught_above * np.linalg.norm(result[4]) * error / np.linalg.norm(error)
        found = compare_floats((left, right), wrong, arithmetic=FLOAT32, signs=signs(trial, 70, 1))
        times += found.outcome is Outcome.DIFFERS
    assert times / 200 > stated.caught_chance


def test_an_error_within_rounding_passes() -> None:
    left, right, result = floats((8, 8, 8), 1)
    assert (
        compare_floats((left, right), np.nextafter(result, np.inf), arithmetic=FLOAT32, signs=signs(1, 8)).outcome
        is Outcome.CONSISTENT
    )


def test_claims_about_the_kernel_make_the_bound_smaller() -> None:
    left, right, result = floats((30, 500, 70), 3)
    shares = [
        compare_floats((left, right), result, arithmetic=how, signs=signs(1, 70)).caught_above
        for how in (FLOAT32, Arithmetic(chain=32), Arithmetic(confidence_z=6.0), Arithmetic(factors=Format.TFLOAT32))
    ]
    certain, chained, probable, coarse = (share or 0.0 for share in shares)
    assert chained < certain / 10
    assert probable < certain / 3
    assert coarse > 10 * certain


def test_what_is_not_finite() -> None:
    left, right, result = floats((4, 4, 4), 1)
    broken = result.copy()
    broken[2, 1] = np.nan
    found = compare_floats((left, right), broken, arithmetic=FLOAT32, signs=signs(1, 4))
    assert (found.outcome, found.row) == (Outcome.DIFFERS, 2)
    huge = (left * np.float32(1e38), right * np.float32(1e38))
    with np.errstate(over="ignore", invalid="ignore"):
        overflowed = huge[0] @ huge[1]
    assert compare_floats(huge, overflowed, arithmetic=FLOAT32, signs=signs(1, 4)).outcome is Outcome.CANNOT_TELL


def integers(seed: int, shape: tuple[int, int, int] = (9, 20, 11)) -> tuple[NDArray[np.integer], ...]:
    rng = np.random.default_rng(seed)
    left = rng.integers(-128, 128, shape[:2]).astype(np.int8)
    right = rng.integers(-128, 128, shape[1:]).astype(np.int8)
    return left, right, left.astype(np.int32) @ right.astype(np.int32)


@given(st.integers(0, 10_000), st.integers(0, 8), st.integers(0, 10), st.integers(1, 2**31 - 1))
def test_integers_are_exact(seed: int, row: int, column: int, error: int) -> None:
    left, right, result = integers(seed)
    for wraps in (False, True):
        given_ = commitment_of(left, right, result)
        found = check_integers((left, right), result, commitment=given_, seed=SEED, rounds=40, wraps=wraps)
        assert found.outcome is Outcome.CONSISTENT
        wrong = result.copy()
        with np.errstate(over="ignore"):
            wrong[row, column] += np.int32(error)
        given_ = commitment_of(left, right, wrong)
        found = check_integers((left, right), wrong, commitment=given_, seed=SEED, rounds=40, wraps=wraps)
        assert (found.outcome, found.row) == (Outcome.DIFFERS, row)


def test_sums_that_wrapped_are_right_modulo_two_to_the_32_only() -> None:
    left = np.full((1, 200_000), 127, dtype=np.int8)
    right = np.full((200_000, 1), 127, dtype=np.int8)
    whole = 200_000 * 127 * 127
    wrapped = np.array([[(whole + 2**31) % 2**32 - 2**31]], dtype=np.int32)
    given_ = commitment_of(left, right, wrapped)
    outcomes = [
        check_integers((left, right), wrapped, commitment=given_, seed=SEED, rounds=20, wraps=wraps).outcome
        for wraps in (False, True)
    ]
    assert outcomes == [Outcome.DIFFERS, Outcome.CONSISTENT]


def test_the_draw_is_bound_to_what_was_committed() -> None:
    left, right, result = floats((4, 5, 6), 1)
    given_ = commitment_of(left, right, result)
    assert (
        check_floats((left, right), result, arithmetic=FLOAT32, commitment=given_, seed=SEED).outcome
        is Outcome.CONSISTENT
    )
    other = result.copy()
    other[0, 0] += 1
    with pytest.raises(EvidenceError, match="not those that were committed"):
        check_floats((left, right), other, arithmetic=FLOAT32, commitment=given_, seed=SEED)
    with pytest.raises(ValueError, match="seed of 32 bytes"):
        check_floats((left, right), result, arithmetic=FLOAT32, commitment=given_, seed=b"short")


def test_an_error_in_the_kernel_of_a_known_draw_would_pass() -> None:
    """Why the draw must come after: whoever knows the signs can hide an error from them."""
    left, right, result = floats((4, 5, 6), 1)
    known = signs(9, 6, 1)
    wrong = result.astype(np.float64)
    wrong[0, 0] += 5.0 * known[0, 0]
    wrong[0, 1] -= 5.0 * known[1, 0]
    assert compare_floats((left, right), wrong, arithmetic=FLOAT32, signs=known).outcome is Outcome.CONSISTENT
    assert compare_floats((left, right), wrong, arithmetic=FLOAT32, signs=signs(8, 6, 20)).outcome is Outcome.DIFFERS


@pytest.mark.parametrize("shapes", [((2, 3), (4, 2), (2, 2)), ((2, 3), (3, 2), (2, 3)), ((0, 3), (3, 2), (0, 2))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, int], ...]) -> None:
    left, right, result = (np.zeros(shape, dtype=np.float32) for shape in shapes)
    with pytest.raises(EvidenceError):
        compare_floats((left, right), result, arithmetic=FLOAT32, signs=signs(1, right.shape[1]))
