"""Recomputing what was drawn, in a process of its own (`graph.recheck`), by the graph and tolerance that the ruleset lists.

What cannot be recomputed is not counted as recomputed: no graph was listed, its file is not there, the sample was cut, or the
process that recomputes gave up. A rule may ask how long ago the last recomputation was (`since_recomputed_s`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.files import read_bounded
from inspectorate.mechanisms.guarantee.graph.recheck import DRAW_BYTES, Job, Sample, recheck_apart
from inspectorate.mechanisms.guarantee.graph.reference import GRAPH_BYTES_MAX
from inspectorate.mechanisms.guarantee.graph.types import Graph, Outcome
from inspectorate.mechanisms.guarantee.interlock.samples import SampleStore
from inspectorate.mechanisms.guarantee.rulesets.types import ListedModel, Ruleset

Rechecker = Callable[[SampleStore, int], bool | None]


def recheck_with(
    ruleset: Callable[[], Ruleset | None], models: Path, graphs: Path | None, entropy: Callable[[int], bytes]
) -> Rechecker:
    """What recomputes one sample: true if it differs, false if not, none if that cannot be told."""

    def recheck(samples: SampleStore, ticket: int) -> bool | None:
        rules = ruleset()
        try:
            sample = samples.read(ticket)
        except (EvidenceError, EnvironmentError_):
            # Somebody changed the file, or took it away: what is there is no longer what was served.
            return True
        listed = rules.model_of(sample.model) if rules is not None else None
        if listed is None or listed.graph is None or listed.spread_max is None or graphs is None:
            return None
        file = graphs / f"{listed.graph.removeprefix('sha256:')}.json"
        try:
            graph = _graph(file, listed)
            weights = models / f"{listed.content.removeprefix('sha256:')}.model"
            job = Job.of(graph, (file, weights), listed.content, spread_max=listed.spread_max, draw=entropy(DRAW_BYTES))
            one = Sample(number=ticket, request=sample.request, answer=sample.answer)
            (found,) = recheck_apart(job, [one])
        except (EnvironmentError_, EvidenceError):
            return None
        if found.outcome is Outcome.CANNOT_TELL:
            return None
        return found.outcome is Outcome.DIFFERS

    return recheck


def _graph(file: Path, listed: ListedModel) -> Graph:
    """The listed graph. Raises `EnvironmentError_` or `EvidenceError`."""
    data = read_bounded(file, GRAPH_BYTES_MAX, unreadable=EnvironmentError_, too_large=EvidenceError)
    graph = Graph.parse_bytes(data, where=str(file))
    if graph.digest != listed.graph:
        raise EvidenceError("is another graph than the ruleset lists", where=str(file))
    return graph
