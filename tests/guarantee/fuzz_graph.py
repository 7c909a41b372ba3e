"""Fuzz what others write for declared graphs: python tests/guarantee/fuzz_graph.py -max_total_time=600

The first byte chooses a graph, a weights file, or a transcript. Anything but an `InspectorateError` is a finding.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.guarantee.graph.build import Size, encoder_model
    from inspectorate.mechanisms.guarantee.graph.transcript import transcript_of
    from inspectorate.mechanisms.guarantee.graph.types import Choice, Graph, Sampling, Serving
    from inspectorate.mechanisms.guarantee.graph.weights import parse_weights

SERVING = Serving(vocabulary=4, context=2, sampling=Sampling(choice=Choice.GREEDY))
SMALL = encoder_model("small", Size(width=2, layers=1, heads=1, feed_forward=2), SERVING)


def one_input(data: bytes) -> None:
    """Parse `data` as what its first byte says."""
    way, rest = data[:1], data[1:]
    with contextlib.suppress(InspectorateError):
        if way < b"\x60":
            graph = Graph.parse_bytes(rest, where="fuzz")
            assert Graph.parse_bytes(graph.canonical_bytes(), where="fuzz") == graph
        elif way < b"\xa0":
            parse_weights(rest, SMALL, content=None, where="fuzz")
        else:
            request, _, answer = rest.partition(b"\0")
            transcript_of(request, answer)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
