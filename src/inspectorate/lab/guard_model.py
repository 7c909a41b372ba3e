"""The declared model of a guarded pod: its weights as a file, its compute graph, and its entry in a ruleset.

Needs torch to make weights; the declaration itself does not.
"""

# mypy: disable-error-code="misc, no-untyped-call, no-any-return, unused-ignore"

from __future__ import annotations

from pathlib import Path

from inspectorate.canonical import digest_of
from inspectorate.lab.trial_shape import BENCH, VOCABULARY
from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model
from inspectorate.mechanisms.guarantee.graph.flop import flop_per_token
from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Sampling, Serving
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel

TEMPERATURE = 1.0
TOP_K = 20
SPREAD_MAX = 1e-4
"""Difference of scores put down to arithmetic: the largest over seven stacks was 7.5e-6 (docs/compute-graphs.md)."""


def declared_graph() -> Graph:
    """The bench's model as it is served: a pass over the whole context for every token, and seeded noise."""
    size = Size(width=BENCH.width, layers=BENCH.layers, heads=BENCH.heads, feed_forward=4 * BENCH.width)
    sampling = Sampling(choice=Choice.SEEDED, temperature=TEMPERATURE, top_k=TOP_K)
    serving = Serving(vocabulary=VOCABULARY, context=BENCH.context, beyond="slide", cached=False, sampling=sampling)
    return encoder_model("byte-lm", size, serving)


def listed(weights: Path, graphs: Path, *, name: str = "byte-lm") -> ListedModel:
    """The entry of a model in a ruleset; its graph is written into the folder of graphs."""
    graph = declared_graph()
    graphs.mkdir(parents=True, exist_ok=True)
    (graphs / f"{graph.digest.removeprefix('sha256:')}.json").write_bytes(graph.canonical_bytes())
    data = weights.read_bytes()
    return ListedModel(
        name=name,
        content=digest_of(data),
        size_bytes=len(data),
        flop_per_token=flop_per_token(graph, BENCH.context),
        graph=graph.digest,
        spread_max=SPREAD_MAX,
    )
