"""Declared graphs: one byte form, refusals, limits, and that a thousand layers cost no more to read than two."""

from __future__ import annotations

import json

import pytest
from graph_models import encoder, gated, serving
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inspectorate.canonical import canonical_bytes
from inspectorate.errors import EvidenceError, InspectorateError
from inspectorate.mechanisms.guarantee.graph.blocks import Add, MatMul
from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model, gated_model, matrix_job
from inspectorate.mechanisms.guarantee.graph.reference import GRAPH_BYTES_MAX, Format
from inspectorate.mechanisms.guarantee.graph.types import Graph, MatrixInput, Outcome

GRAPHS = (encoder(), gated(), gated(group=8), matrix_job("product", 3, 4, 5))
PARSED = json.loads(encoder().canonical_bytes())


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_a_graph_comes_back_from_its_bytes(graph: Graph) -> None:
    again = Graph.parse_bytes(graph.canonical_bytes(), where="test")
    assert again == graph
    assert again.digest == graph.digest


def test_what_is_computed_decides_the_digest() -> None:
    assert len({graph.digest for graph in GRAPHS}) == len(GRAPHS)
    hot = serving().sampling.model_copy(update={"temperature": 2.0})
    assert encoder(hot).digest != encoder().digest


def test_layers_are_not_written_out() -> None:
    size = Size(width=16384, layers=1000, heads=128, feed_forward=65536, key_heads=8)
    large = gated_model("large", size, serving(), quantised_group=128)
    assert len(large.canonical_bytes()) < 6_000
    assert large.count()[0] > 10**12
    assert len(large.steps()) == 17


def altered(path: str, value: object) -> bytes:
    """The declared encoder with one thing put in another's place, in canonical form."""
    copy = json.loads(json.dumps(PARSED))
    at = copy
    *way, last = path.split("/")
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[int(last) if isinstance(at, list) else last] = value
    return canonical_bytes(copy)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("output", "nothing", "written by no block"),
        ("output", "tokens", "written by no block"),
        ("body/2/left", "unknown", "not written before"),
        ("body/0/input", "places", "not written before"),
        ("body/3/times", 0, "greater than or equal to 1"),
        ("body/3/times", 5000, "less than or equal to"),
        ("body/3/output", "wide", "cannot be carried on|not written before"),
        ("body/4/weight", "symbol.weight", "parameters that no block uses|head.weight"),
        ("body/4/bias", "place.weight", "must have 256 numbers"),
        ("serving/vocabulary", 255, "one column for each of 255"),
        ("serving/context", 100, "fewer rows than the context"),
        ("parameters/0/shape", [48, 17], "does not fit"),
        ("parameters/0/name", "layers.{}.{}", "String should match"),
        ("parameters/0/format", "int8", "integers have scales"),
        ("body/0/operation", "exec", "does not match any"),
        ("arithmetic", "float7", "Input should be"),
        ("name", "../x", "String should match"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(path: str, value: object, words: str) -> None:
    with pytest.raises(EvidenceError, match=words):
        Graph.parse_bytes(altered(path, value), where="test")


def test_bytes_of_another_form_are_refused() -> None:
    data = encoder().canonical_bytes()
    for wrong in (data + b" ", data.replace(b":", b": ", 1), b"", b"[]", b"\xff", b" " * (GRAPH_BYTES_MAX + 1)):
        with pytest.raises(EvidenceError):
            Graph.parse_bytes(wrong, where="test")


def test_work_beside_the_output_cannot_be_declared() -> None:
    inputs = (MatrixInput(name="a", rows=2, columns=2), MatrixInput(name="b", rows=2, columns=2))
    body = (MatMul(left="a", right="b", output="c"), Add(left="a", right="b", output="beside"))
    with pytest.raises(ValidationError, match="beside leads to no output"):
        Graph(name="g", inputs=inputs, arithmetic=Format.FLOAT32, body=body, output="c")
    with pytest.raises(ValidationError, match="inputs that no block reads: b"):
        Graph(
            name="g",
            inputs=inputs,
            arithmetic=Format.FLOAT32,
            body=(MatMul(left="a", right="a", output="c"),),
            output="c",
        )


def test_heads_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValidationError, match="do not divide"):
        encoder_model("odd", Size(width=18, layers=1, heads=4, feed_forward=8), serving())


def test_an_outcome_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(Outcome.CONSISTENT)


@given(st.data())
def test_mutated_graphs_are_read_or_refused(data: st.DataObject) -> None:
    """Any change of a value gives a graph or a refusal, never another exception."""
    copy = json.loads(json.dumps(PARSED))
    at: object = copy
    while isinstance(at, dict | list) and at:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        below = at[key]  # type: ignore[index]
        if not isinstance(below, dict | list) or not below or data.draw(st.integers(0, 3)) == 0:
            at[key] = data.draw(  # type: ignore[index]
                st.one_of(
                    st.none(), st.integers(-(2**40), 2**40), st.text(max_size=5), st.just([]), st.just({}), st.floats()
                )
            )
            break
        at = below
    try:
        encoded = canonical_bytes(copy)
    except ValueError:
        return
    try:
        graph = Graph.parse_bytes(encoded, where="test")
    except InspectorateError:
        return
    assert Graph.parse_bytes(graph.canonical_bytes(), where="test") == graph
