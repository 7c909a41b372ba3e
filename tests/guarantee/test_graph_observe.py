"""Observed bytes against what a declared graph must and may move."""

from __future__ import annotations

import pytest
from graph_models import encoder, gated, serving
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspectorate.mechanisms.guarantee.graph.build import Size, gated_model, matrix_job
from inspectorate.mechanisms.guarantee.graph.observe import (
    Carriage,
    Direction,
    Moved,
    Within,
    between_chips_per_token,
    compare,
)
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.types import Outcome

CARRIAGE = Carriage(
    prompt_bytes_per_token=Within(low=1, high=6),
    answer_bytes_per_token=Within(low=150, high=260),
    request_bytes=Within(low=100, high=1000),
    response_bytes=Within(low=100, high=500),
)


def moved(**changes: object) -> Moved:
    base = {
        "requests": 10, "prompt_tokens": (500, 600), "answer_tokens": (640, 640),
        "bytes_in": 2500, "bytes_out": 130_000, "bytes_between_chips": None,
    }  # fmt: skip
    return Moved.model_validate({**base, **changes})


def outcomes(changes: dict[str, object], carriage: Carriage = CARRIAGE) -> dict[Direction, Outcome]:
    return {one.direction: one.outcome for one in compare(encoder(), carriage, moved(**changes))}


def test_what_fits_is_consistent_and_what_has_no_counter_is_not_told() -> None:
    assert outcomes({}) == {
        Direction.IN: Outcome.CONSISTENT,
        Direction.OUT: Outcome.CONSISTENT,
        Direction.BETWEEN_CHIPS: Outcome.CANNOT_TELL,
    }


@pytest.mark.parametrize(
    ("changes", "direction"),
    [
        ({"bytes_in": 1_000_000}, Direction.IN),
        ({"bytes_in": 1_000}, Direction.IN),
        ({"bytes_out": 10_000_000}, Direction.OUT),
        ({"bytes_out": 50_000}, Direction.OUT),
        ({"bytes_between_chips": 1}, Direction.BETWEEN_CHIPS),
    ],
)
def test_more_than_may_and_less_than_must_move_differ(changes: dict[str, object], direction: Direction) -> None:
    found = {one.direction: one for one in compare(encoder(), CARRIAGE, moved(**changes))}[direction]
    assert found.outcome is Outcome.DIFFERS
    observed = found.observed or 0
    assert found.unexplained_bytes == max(0.0, observed - found.expected.high)


def test_the_error_of_a_meter_widens_the_range() -> None:
    high = compare(encoder(), CARRIAGE, moved())[0].expected.high
    assert outcomes({"bytes_in": int(high * 1.05)})[Direction.IN] is Outcome.DIFFERS
    assert outcomes({"bytes_in": int(high * 1.05), "meter_share": 0.06})[Direction.IN] is Outcome.CONSISTENT


def test_pipeline_stages_pass_one_row_a_token() -> None:
    """70e9 parameters: 8,192 columns of 2 bytes a boundary; by hand."""
    size = Size(width=8192, layers=80, heads=64, key_heads=8, feed_forward=28672)
    graph = gated_model("large", size, serving(context=8192, slides=False), arithmetic=Format.BFLOAT16)
    staged = CARRIAGE.model_copy(update={"pipeline": 4})
    assert between_chips_per_token(graph, staged) == Within(low=3 * 8192 * 2, high=3 * 8192 * 2)
    split = CARRIAGE.model_copy(update={"tensor": 8})
    each = 80 * 2 * 8192 * 2
    assert between_chips_per_token(graph, split).low == 8 * each
    assert between_chips_per_token(graph, split).high >= 2 * 7 * each
    assert between_chips_per_token(graph, CARRIAGE) == Within(low=0, high=0)


def test_a_ring_always_fits() -> None:
    for chips in range(2, 20):
        split = between_chips_per_token(gated(), CARRIAGE.model_copy(update={"tensor": chips}))
        ring = 2 * (chips - 1) * 2 * 2 * 16 * 4
        assert split.low <= ring <= split.high


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_work_never_narrows_what_may_move(requests: int, prompt: int, answer: int) -> None:
    small = compare(encoder(), CARRIAGE, moved(requests=requests, prompt_tokens=(0, prompt), answer_tokens=(0, answer)))
    large = compare(
        encoder(), CARRIAGE, moved(requests=requests, prompt_tokens=(0, prompt + 1), answer_tokens=(0, answer + 1))
    )
    for less, more in zip(small, large, strict=True):
        assert more.expected.low <= less.expected.low
        assert more.expected.high >= less.expected.high


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValidationError):
        Within(low=2, high=1)
    with pytest.raises(ValidationError):
        moved(prompt_tokens=(2, 1))
    with pytest.raises(ValueError, match="no tokens"):
        compare(matrix_job("m", 2, 2, 2), CARRIAGE, moved())
