"""What an adversary reaches under a limit: the kernel's search, in words and records.

`reach` takes pods, a limit, a job and a case, and gives every method with its best layout. `Scenes` holds what does not
change from one limit to the next, for curves and for the inverse question.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from numba.typed import List
from numpy.typing import NDArray

from inspectorate.mechanisms.interconnect.plan import kernel
from inspectorate.mechanisms.interconnect.plan.methods import (
    ASSUMPTIONS,
    Assumptions,
    Exchange,
    Family,
    Method,
    alpha_of,
    inner_steps_of,
    methods_of,
    step_grid,
)
from inspectorate.mechanisms.interconnect.plan.types import (
    TRAINING_BYTES_PER_PARAMETER,
    Case,
    Job,
    Layout,
    LinkLimit,
    MethodReach,
    Pods,
    Reach,
)

BITS_PER_TOKEN = 17.0
"""A vocabulary of 128,000 in whole bits, uncompressed (arXiv 2506.15867, A3)."""
STALENESS_S = 7_200.0
"""How long rollouts may be made with old weights: four optimiser steps of half an hour. Modelling choice after arXiv
2505.07291 (four steps off policy, second-hand)."""

_FAMILIES = {family: number for number, family in enumerate(Family)}
_EXCHANGES = {exchange: number for number, exchange in enumerate(Exchange)}
_BOUNDS = {
    kernel.BOUND_COMPUTE: "compute",
    kernel.BOUND_LINK: "link",
    kernel.BOUND_MEMORY: "memory",
    kernel.BOUND_PODS: "number of pods",
}


class Scenes:
    """One job on equal pods for one case; asked for one limit after the other."""

    def __init__(self, pods: Pods, job: Job, case: Case, *, assumed: Assumptions | None = None) -> None:
        """`assumed` puts other assumptions in place of the case's, for sensitivities."""
        self.pods, self.job, self.case = pods, job, case
        assumed = assumed or ASSUMPTIONS[case]
        self.methods, self._rows = _method_rows(assumed)
        self._found = np.zeros(len(self.methods), dtype=kernel.FOUND_DTYPE)
        self.scene = kernel.Scene(
            pods=pods.count,
            flop_per_s=pods.flop_per_s,
            memory_bytes=pods.memory_bytes,
            sent=1.0,
            received=1.0,
            round_trip_s=0.0,
            window_bytes=0.0,
            window_every_s=1.0,
            parameters=job.parameters,
            tokens=job.tokens,
            batch=min(job.batch_tokens * assumed.batch_factor, job.tokens),
            sequence=min(job.sequence_tokens, job.batch_tokens),
            width=job.width,
            layers=job.layers,
            alpha=alpha_of(job.parameters, assumed),
            replica_exponent=assumed.replica_exponent,
            sync_min=assumed.synchronisations_min,
            bytes_per_parameter=TRAINING_BYTES_PER_PARAMETER,
            bits_per_token=BITS_PER_TOKEN,
            staleness_s=STALENESS_S,
        )

    def rows(self) -> Iterator[tuple[Method, kernel.MethodRow]]:
        """Each method as the catalogue has it, and as the kernel takes it in this case."""
        return zip(self.methods, self._rows, strict=True)

    def worths(self, limit: LinkLimit) -> NDArray[np.float64]:
        """The worth of each method [well-connected FLOP/s], in the order of `methods`; a copy."""
        worth: NDArray[np.float64] = self._search(limit)["worth"] * self.job.value_share
        return worth

    def reach(self, limit: LinkLimit) -> Reach:
        """Every method with its best layout, the best first."""
        found = self._search(limit)
        unlimited = self.pods.count * self.pods.flop_per_s
        rows = [
            MethodReach(
                method=method.id,
                counts_as=method.counts_as,
                level=method.evidence.level.value,
                flop_per_s=float(row["worth"]) * self.job.value_share,
                slowdown=unlimited / (float(row["worth"]) * self.job.value_share) if row["worth"] > 0 else None,
                layout=_layout(row),
                bound_by=_BOUNDS[int(row["bound"])],
            )
            for method, row in zip(self.methods, found, strict=True)
        ]
        rows.sort(key=lambda r: (-r.flop_per_s, r.method))
        return Reach(case=self.case, methods=tuple(rows), unlimited_flop_per_s=unlimited)

    def _search(self, limit: LinkLimit) -> NDArray[Any]:
        scene = self.scene._replace(
            sent=limit.sent_bytes_per_s * limit.duty,
            received=limit.received_bytes_per_s * limit.duty,
            round_trip_s=limit.round_trip_s,
            window_bytes=limit.window_bytes,
            window_every_s=limit.window_every_s,
        )
        kernel.search(self._rows, scene, step_grid(), self._found)
        return self._found


def reach(pods: Pods, limit: LinkLimit, job: Job, case: Case) -> Reach:
    """What an adversary of a case reaches with these pods under this limit at this job."""
    return Scenes(pods, job, case).reach(limit)


@cache
def _method_rows(assumed: Assumptions) -> tuple[tuple[Method, ...], List[kernel.MethodRow]]:
    rows = List()
    for method in methods_of(assumed):
        shrinks = assumed.compression_factor if method.compression > 1 or method.inner_steps_max > 1 else 1.0
        cuts = assumed.compression_factor if method.activation_compression > 1 else 1.0
        rows.append(
            kernel.MethodRow(
                family=_FAMILIES[method.family],
                exchange=_EXCHANGES[method.exchange],
                overlap=method.overlap,
                compression=method.compression * shrinks,
                activation_compression=method.activation_compression * cuts,
                inner_steps_max=float(inner_steps_of(method, assumed)),
                volume=method.volume,
                quality=method.quality[assumed.quality],
            )
        )
    return methods_of(assumed), rows


def _layout(row: Any) -> Layout | None:
    if not row["worth"] > 0:
        return None
    return Layout(groups=int(row["groups"]), parts=int(row["parts"]), inner_steps=float(row["inner_steps"]))
