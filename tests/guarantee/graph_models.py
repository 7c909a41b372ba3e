"""What the tests of declared graphs share: small models with weights, and a slow evaluation to compare with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model, gated_model
from inspectorate.mechanisms.guarantee.graph.evaluate import Evaluator
from inspectorate.mechanisms.guarantee.graph.reference import Format
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Sampling, Serving
from inspectorate.mechanisms.guarantee.graph.weights import Weights, parse_weights

GREEDY = Sampling(choice=Choice.GREEDY)
SEEDED = Sampling(choice=Choice.SEEDED, temperature=0.8, top_k=20)
FREE = Sampling(choice=Choice.FREE, temperature=1.0, top_k=20)
SIZE = Size(width=16, layers=2, heads=4, feed_forward=32)
VOCABULARY = 256


def serving(sampling: Sampling = GREEDY, *, context: int = 24, slides: bool = True) -> Serving:
    return Serving(
        vocabulary=VOCABULARY,
        context=context,
        beyond="slide" if slides else "refuse",
        cached=not slides,
        sampling=sampling,
    )


def encoder(sampling: Sampling = GREEDY, *, slides: bool = True) -> Graph:
    return encoder_model("small", SIZE, serving(sampling, slides=slides))


def gated(*, group: int | None = None, stored: Format = Format.FLOAT32) -> Graph:
    size = Size(width=16, layers=2, heads=4, key_heads=2, feed_forward=24)
    return gated_model("gated", size, serving(), stored=stored, arithmetic=Format.FLOAT32, quantised_group=group)


def file_of(graph: Graph, seed: int, scale: float = 1.0) -> bytes:
    """A weights file with seeded numbers, large enough that tokens differ clearly in score."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, parameter in graph.tensors():
        if parameter.format is Format.INT8:
            tensors[name] = rng.integers(-127, 128, parameter.shape).astype(np.int8)
        elif name.endswith("scales"):
            tensors[name] = rng.uniform(0.001, 0.01, parameter.shape).astype(np.float32)
        elif len(parameter.shape) == 1:
            base = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            tensors[name] = (base + 0.1 * rng.normal(size=parameter.shape)).astype(np.float32)
        else:
            tensors[name] = (scale * 2.0 * rng.normal(size=parameter.shape) / math.sqrt(parameter.shape[1])).astype(
                np.float32
            )
    return bytes(save(tensors))


def evaluator(graph: Graph, seed: int = 1) -> Evaluator:
    return Evaluator(graph, weights(graph, seed))


def weights(graph: Graph, seed: int = 1) -> Weights:
    return parse_weights(file_of(graph, seed), graph, content=None, where="test")


def answer_greedily(model: Evaluator, prompt: list[int], count: int) -> list[int]:
    """One token after the other, each from a pass of its own: the slow way to write an answer."""
    sequence = list(prompt)
    for _ in range(count):
        window = np.asarray(sequence[-model.serving.context :], dtype=np.int64)[None]
        sequence.append(int(np.argmax(model.scores(window, [window.shape[1] - 1])[0, 0])))
    return sequence[len(prompt) :]
