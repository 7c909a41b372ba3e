"""Peers out of pyod: one detector of outliers for each workload, on simple features. Needs the extra `evaluate`.

Scores of different workloads are put on one scale by their spread over the enrolled windows of each (median and interquartile
range), since pyod's own scores are not comparable between fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyod.models.ecod import ECOD
from pyod.models.iforest import IForest
from pyod.models.lof import LOF
from sklearn.preprocessing import StandardScaler

from inspectorate.mechanisms.workloads.evaluate.models import Table, gathered, moments
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared

NEIGHBOURS = 20


@dataclass(frozen=True, kw_only=True, eq=False)
class ByOutlier:
    """How far outside each workload's own windows a window lies."""

    workloads: tuple[str, ...]
    scaler: Any
    models: tuple[Any, ...]
    middle: tuple[float, ...]
    spread: tuple[float, ...]

    def distances(self, one: Prepared) -> Table:
        table = self.scaler.transform(moments(one.series))
        columns = [
            (model.decision_function(table) - middle) / spread
            for model, middle, spread in zip(self.models, self.middle, self.spread, strict=True)
        ]
        return np.stack(columns, axis=1)


def _fit(enrolled: Sequence[Prepared], make: Callable[[int], Any]) -> ByOutlier:
    given = gathered(enrolled)
    table = moments(given.series)
    scaler = StandardScaler().fit(table)
    scaled = scaler.transform(table)
    models, middle, spread = [], [], []
    for place in range(len(given.workloads)):
        own = scaled[given.label == place]
        model = make(len(own))
        model.fit(own)
        low, mid, high = np.quantile(model.decision_scores_, [0.25, 0.5, 0.75])
        models.append(model)
        middle.append(float(mid))
        spread.append(float(max(high - low, 1e-9)))
    return ByOutlier(
        workloads=given.workloads,
        scaler=scaler,
        models=tuple(models),
        middle=tuple(middle),
        spread=tuple(spread),
    )


@dataclass(frozen=True, kw_only=True)
class Ecod:
    """Empirical cumulative distributions (ECOD)."""

    seed: int
    name: str = "ecod"

    def fit(self, enrolled: Sequence[Prepared]) -> ByOutlier:
        return _fit(enrolled, lambda _: ECOD())


@dataclass(frozen=True, kw_only=True)
class IsolationForest:
    """Isolation forest."""

    seed: int
    name: str = "iforest"

    def fit(self, enrolled: Sequence[Prepared]) -> ByOutlier:
        return _fit(enrolled, lambda _: IForest(random_state=self.seed))


@dataclass(frozen=True, kw_only=True)
class Lof:
    """Local outlier factor."""

    seed: int
    name: str = "lof"

    def fit(self, enrolled: Sequence[Prepared]) -> ByOutlier:
        return _fit(enrolled, lambda count: LOF(n_neighbors=max(1, min(NEIGHBOURS, count - 1))))
