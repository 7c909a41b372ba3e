"""How far honest servers deviate from the reference evaluation: measured, and stated with where it was measured.

Only differences between scores decide which token is chosen, so the deviation at one place is the spread (largest minus
smallest) of `server - reference` over the vocabulary. A tolerance is `MARGIN_FACTOR` times the largest spread that was
measured. Among n + 1 places that are alike, the chance that a new one exceeds the largest of n others is 1 in n + 1 at
most, with any distribution; the factor is on top of that.

A stack that was not measured (another chip, another kernel) has no tolerance: measure it, or expect honest answers to differ.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from inspectorate.canonical import Digest, Record, Text
from inspectorate.mechanisms.guarantee.graph.reference import MARGIN_FACTOR
from inspectorate.mechanisms.guarantee.graph.weights import Numbers
from inspectorate.quantities import NonNegative


class Tolerance(Record):
    """What is put down to arithmetic, for servers of one graph."""

    graph: Digest
    spread_max: NonNegative
    """A token may fall short of the best score by at most so much."""
    spread_measured: NonNegative
    places: Annotated[int, Field(ge=1)]
    """Answered places that were measured."""
    stacks: tuple[Text, ...] = Field(min_length=1, max_length=64)
    """On which arithmetic, libraries and chips."""


def spread(server: Numbers, reference: Numbers) -> Numbers:
    """The deviation at every place, from scores of shape (places, vocabulary). Raises `ValueError` where shapes differ."""
    if server.shape != reference.shape or server.ndim != 2 or not len(server):
        raise ValueError("scores of the same places and vocabulary are needed, and at least one place")
    deviation = server - reference
    if not np.isfinite(deviation).all():
        raise ValueError("a score is not finite")
    found: Numbers = deviation.max(axis=1) - deviation.min(axis=1)
    return found


def calibrate(graph: str, measured: dict[str, Numbers]) -> Tolerance:
    """A tolerance from the spreads measured on each stack, for the graph of that digest. Raises `ValueError` on none."""
    if not measured or not all(len(one) for one in measured.values()):
        raise ValueError("a tolerance needs at least one measured place on every stack")
    largest = max(float(one.max()) for one in measured.values())
    return Tolerance(
        graph=graph,
        spread_max=MARGIN_FACTOR * largest,
        spread_measured=largest,
        places=sum(len(one) for one in measured.values()),
        stacks=tuple(measured),
    )
