"""Peers out of scikit-learn: nearest window, Mahalanobis distance, random forest. Needs the extra `evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from inspectorate.mechanisms.workloads.evaluate.models import (
    ByChance,
    ByMahalanobis,
    ByNearest,
    Table,
    fit_mahalanobis,
    fit_nearest,
    gathered,
    moments,
)
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared

TREES = 200


def flat(series: NDArray[np.float32]) -> Table:
    """The series as they are, signals one after the other."""
    return series.reshape(len(series), -1).astype(np.float64)


def shape(series: NDArray[np.float32]) -> Table:
    """Each series without its level and spread."""
    values = series.astype(np.float64)
    spread = np.maximum(values.std(axis=2, keepdims=True), 1e-9)
    return flat(((values - values.mean(axis=2, keepdims=True)) / spread).astype(np.float32))


@dataclass(frozen=True, kw_only=True)
class NearestSeries:
    """1-NN on the raw window."""

    seed: int
    name: str = "nearest-series"

    def fit(self, enrolled: Sequence[Prepared]) -> ByNearest:
        return fit_nearest(enrolled, flat)


@dataclass(frozen=True, kw_only=True)
class NearestShape:
    """1-NN on the window without its level and spread."""

    seed: int
    name: str = "nearest-shape"

    def fit(self, enrolled: Sequence[Prepared]) -> ByNearest:
        return fit_nearest(enrolled, shape)


@dataclass(frozen=True, kw_only=True)
class MahalanobisMoments:
    """Mahalanobis distance on simple features."""

    seed: int
    name: str = "mahalanobis"

    def fit(self, enrolled: Sequence[Prepared]) -> ByMahalanobis:
        return fit_mahalanobis(enrolled, moments, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class Forest:
    """Random forest on simple features; novelty by the largest probability."""

    seed: int
    name: str = "forest"

    def fit(self, enrolled: Sequence[Prepared]) -> ByChance:
        given = gathered(enrolled)
        forest = RandomForestClassifier(n_estimators=TREES, random_state=self.seed, n_jobs=1, class_weight="balanced")
        forest.fit(moments(given.series), given.label)
        return ByChance(workloads=given.workloads, transform=moments, classifier=forest)
