"""Peers out of aeon: MiniRocket, as its authors use it and under distances. Needs the extra `evaluate`.

Each as its authors use it for naming, and beside that as a transform under a distance, which serves it better for novelty.
The random kernels are seeded; a transform is fitted on the enrolled windows only, like everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from aeon.transformations.collection.convolution_based import MiniRocket
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from inspectorate.mechanisms.workloads.evaluate.models import (
    ByMahalanobis,
    ByNearest,
    Table,
    fit_mahalanobis,
    fit_nearest,
    gathered,
)
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared

Transform = Callable[[NDArray[np.float32]], Any]
STEPS_MIN = 9
"""MiniRocket's kernels are nine steps long."""
ALPHAS = np.logspace(-3, 3, 10)


def table_of(transformer: Any) -> Transform:
    def transform(series: NDArray[np.float32]) -> Table:
        return np.asarray(transformer.transform(series.astype(np.float32)), dtype=np.float64)

    return transform


def _mini(enrolled: Sequence[Prepared], seed: int) -> Transform:
    return table_of(MiniRocket(random_state=seed, n_jobs=1).fit(gathered(enrolled).series))


@dataclass(frozen=True, kw_only=True, eq=False)
class ByMargin:
    """Minus the margin of a one-against-all linear classifier."""

    workloads: tuple[str, ...]
    transform: Transform
    scaler: Any
    classifier: Any

    def distances(self, one: Prepared) -> Table:
        margin = np.asarray(self.classifier.decision_function(self.scaler.transform(self.transform(one.series))))
        if margin.ndim == 1:
            margin = np.stack([-margin, margin], axis=1)
        return -margin


def fit_ridge(enrolled: Sequence[Prepared], transform: Transform) -> ByMargin | ByNearest:
    """One workload alone has no margin to others: then the distance to the nearest window stands in."""
    given = gathered(enrolled)
    if len(given.workloads) < 2:
        return fit_nearest(enrolled, transform)
    table = transform(given.series)
    scaler = StandardScaler(with_mean=False).fit(table)
    classifier = RidgeClassifierCV(alphas=ALPHAS).fit(scaler.transform(table), given.label)
    return ByMargin(workloads=given.workloads, transform=transform, scaler=scaler, classifier=classifier)


@dataclass(frozen=True, kw_only=True)
class MiniRocketRidge:
    """MiniRocket with the ridge classifier of its authors; novelty by the largest margin."""

    seed: int
    name: str = "minirocket-ridge"

    def fit(self, enrolled: Sequence[Prepared]) -> ByMargin | ByNearest:
        return fit_ridge(enrolled, _mini(enrolled, self.seed))


@dataclass(frozen=True, kw_only=True)
class MiniRocketMahalanobis:
    """MiniRocket's transform under a Mahalanobis distance."""

    seed: int
    name: str = "minirocket-mahalanobis"

    def fit(self, enrolled: Sequence[Prepared]) -> ByMahalanobis:
        return fit_mahalanobis(enrolled, _mini(enrolled, self.seed), seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class MiniRocketNearest:
    """MiniRocket's transform under the distance to the nearest window."""

    seed: int
    name: str = "minirocket-nearest"

    def fit(self, enrolled: Sequence[Prepared]) -> ByNearest:
        return fit_nearest(enrolled, _mini(enrolled, self.seed))
