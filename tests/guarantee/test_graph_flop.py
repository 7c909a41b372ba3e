"""The cost of a token by formula, against numbers by hand; torch's own counter is asked in the benchmark."""

from __future__ import annotations

import pytest
from graph_models import VOCABULARY, encoder, gated, serving

from inspectorate.mechanisms.guarantee.graph.build import Size, gated_model, matrix_job
from inspectorate.mechanisms.guarantee.graph.flop import beside_listed, flop_of_job, flop_of_token, flop_per_token


def test_by_hand() -> None:
    """Width 16, two layers, feed-forward 32, 256 symbols: 2 x (3 + 1) w^2 + 2 x 2 w f a layer, 2 w V, 4 w n for attention."""
    cached = encoder(slides=False)
    layer = 2 * 4 * 16 * 16 + 2 * 2 * 16 * 32 + 4 * 16 * 10
    assert flop_of_token(cached, 10).matrix == 2 * layer + 2 * 16 * VOCABULARY


def test_without_kept_keys_a_token_costs_its_context() -> None:
    cached, bare = encoder(slides=False), encoder(slides=True)
    assert flop_per_token(bare, 10) == 10 * flop_per_token(cached, 10)
    assert flop_per_token(bare) == flop_per_token(bare, 24) == flop_per_token(bare, 1000)


def test_it_is_no_less_than_twice_the_parameters_that_multiply() -> None:
    size = Size(width=4096, layers=32, heads=32, feed_forward=14336, key_heads=8)
    large = gated_model("8b", size, serving(context=8192, slides=False))
    table = 4096 * VOCABULARY
    assert flop_per_token(large, 1) >= 2 * (large.count()[0] - table - 65 * 4096)
    assert flop_per_token(large, 1) == pytest.approx(2 * (large.count()[0] - table), rel=1e-3)


def test_matrix_job() -> None:
    assert flop_of_job(matrix_job("m", 3, 4, 5)).total == 2 * 3 * 4 * 5
    with pytest.raises(ValueError, match="depends on its tokens"):
        flop_of_job(encoder())
    with pytest.raises(ValueError, match="no tokens"):
        flop_per_token(matrix_job("m", 3, 4, 5))


def test_what_is_listed_must_cover_what_is_declared() -> None:
    graph = gated()
    cost, size = flop_per_token(graph), graph.count()[1]
    assert beside_listed(graph, flop_per_token_listed=cost, size_bytes_listed=size).problems == ()
    problems = beside_listed(graph, flop_per_token_listed=0.99 * cost, size_bytes_listed=size - 1).problems
    assert len(problems) == 2
    assert "FLOP per token are listed" in problems[0]
