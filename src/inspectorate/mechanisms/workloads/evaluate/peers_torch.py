"""Peers out of aeon that need torch beside the extra `evaluate`: QUANT and MultiRocket-Hydra.

torch is imported here though only aeon uses it: so its absence shows when a detector is chosen, and not in the middle of a fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from aeon.transformations.collection.convolution_based import HydraTransformer, MultiRocket
from aeon.transformations.collection.interval_based import QUANTTransformer
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor  # noqa: F401

from inspectorate.mechanisms.workloads.evaluate.models import (
    ByChance,
    ByMahalanobis,
    ByNearest,
    fit_mahalanobis,
    gathered,
)
from inspectorate.mechanisms.workloads.evaluate.peers_series import ByMargin, Transform, fit_ridge, table_of
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared

TREES = 200


def _quant(enrolled: Sequence[Prepared]) -> Transform:
    return table_of(QUANTTransformer().fit(gathered(enrolled).series))


@dataclass(frozen=True, kw_only=True)
class Quant:
    """QUANT with the extra trees of its authors; novelty by the largest probability."""

    seed: int
    name: str = "quant"

    def fit(self, enrolled: Sequence[Prepared]) -> ByChance:
        transform = _quant(enrolled)
        given = gathered(enrolled)
        trees = ExtraTreesClassifier(
            n_estimators=TREES, max_features=0.1, criterion="entropy", random_state=self.seed, n_jobs=1
        )
        trees.fit(transform(given.series), given.label)
        return ByChance(workloads=given.workloads, transform=transform, classifier=trees)


@dataclass(frozen=True, kw_only=True)
class QuantMahalanobis:
    """QUANT's transform under a Mahalanobis distance."""

    seed: int
    name: str = "quant-mahalanobis"

    def fit(self, enrolled: Sequence[Prepared]) -> ByMahalanobis:
        return fit_mahalanobis(enrolled, _quant(enrolled), seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class MultiRocketHydra:
    """MultiRocket and Hydra side by side with the ridge classifier of their authors; novelty by the largest margin."""

    seed: int
    name: str = "multirocket-hydra"

    def fit(self, enrolled: Sequence[Prepared]) -> ByMargin | ByNearest:
        series = gathered(enrolled).series
        parts = (
            table_of(HydraTransformer(random_state=self.seed, n_jobs=1).fit(series)),
            table_of(MultiRocket(random_state=self.seed, n_jobs=1).fit(series)),
        )
        return fit_ridge(enrolled, lambda series: np.concatenate([part(series) for part in parts], axis=1))
