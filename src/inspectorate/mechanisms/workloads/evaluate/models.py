"""What several peers share: windows of many runs as one table, Mahalanobis distances, and distances to the nearest of each
workload.

Written out, since scikit-learn's covariance classes do not score several groups at once; the covariance itself is theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared, thinned
from inspectorate.mechanisms.workloads.evaluate.reference import WINDOWS_PER_RUN

Table = NDArray[np.float64]
COMPONENTS_MAX = 64
"""Principal components before a covariance is estimated: thousands of features of a few hundred windows have none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Enrolled:
    """The windows of enrolled runs as one table of series, and the place of each one's workload in the sorted names."""

    workloads: tuple[str, ...]
    series: NDArray[np.float32]
    label: NDArray[np.int64]


def gathered(enrolled: Sequence[Prepared]) -> Enrolled:
    """Thinned windows of all runs."""
    parts = [thinned(one, WINDOWS_PER_RUN) for one in enrolled]
    workloads = tuple(sorted({one.run.workload for one in parts}))
    label = np.concatenate([np.full(len(one), workloads.index(one.run.workload)) for one in parts])
    return Enrolled(workloads=workloads, series=np.concatenate([one.series for one in parts]), label=label)


def moments(series: NDArray[np.float32]) -> Table:
    """Simple features of each signal: mean, spread, extremes, quartiles, slope and the spread of differences."""
    values = series.astype(np.float64)
    steps = np.linspace(-1, 1, values.shape[2])
    parts = [
        values.mean(axis=2),
        values.std(axis=2),
        values.min(axis=2),
        values.max(axis=2),
        *np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95], axis=2),
        (values * steps).mean(axis=2),
        np.diff(values, axis=2).std(axis=2),
        np.abs(np.diff(values, axis=2)).mean(axis=2),
    ]
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class ByMahalanobis:
    """Distances to the mean of each workload under one covariance within workloads, on principal components."""

    workloads: tuple[str, ...]
    transform: Callable[[NDArray[np.float32]], Table]
    scaler: Any
    components: Any
    whiten: Table
    means: Table

    def distances(self, one: Prepared) -> Table:
        at = self._place(one.series)
        found: Table = np.sqrt(((at[:, None, :] - self.means[None, :, :]) ** 2).sum(axis=2))
        return found

    def _place(self, series: NDArray[np.float32]) -> Table:
        reduced = self.components.transform(self.scaler.transform(self.transform(series)))
        placed: Table = reduced @ self.whiten
        return placed


def fit_mahalanobis(
    enrolled: Sequence[Prepared], transform: Callable[[NDArray[np.float32]], Table], *, seed: int
) -> ByMahalanobis:
    """Covariance within workloads by Ledoit and Wolf, pooled over workloads."""
    given = gathered(enrolled)
    table = transform(given.series)
    scaler = StandardScaler().fit(table)
    scaled = scaler.transform(table)
    most = min(COMPONENTS_MAX, scaled.shape[1], max(1, len(scaled) - 1))
    components = PCA(n_components=most, random_state=seed).fit(scaled)
    reduced = components.transform(scaled)
    means = np.stack([reduced[given.label == k].mean(axis=0) for k in range(len(given.workloads))])
    covariance = LedoitWolf(assume_centered=True).fit(reduced - means[given.label]).covariance_
    values, vectors = np.linalg.eigh(covariance)
    whiten = vectors / np.sqrt(np.maximum(values, 1e-9 * values.max() + 1e-12))
    return ByMahalanobis(
        workloads=given.workloads,
        transform=transform,
        scaler=scaler,
        components=components,
        whiten=whiten,
        means=means @ whiten,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ByNearest:
    """Distances to the nearest enrolled window of each workload, after standardising."""

    workloads: tuple[str, ...]
    transform: Callable[[NDArray[np.float32]], Table]
    scaler: Any
    neighbours: tuple[Any, ...]

    def distances(self, one: Prepared) -> Table:
        at = self.scaler.transform(self.transform(one.series))
        return np.stack([near.kneighbors(at, n_neighbors=1)[0][:, 0] for near in self.neighbours], axis=1)


def fit_nearest(enrolled: Sequence[Prepared], transform: Callable[[NDArray[np.float32]], Table]) -> ByNearest:
    given = gathered(enrolled)
    table = transform(given.series)
    scaler = StandardScaler().fit(table)
    scaled = scaler.transform(table)
    neighbours = tuple(NearestNeighbors().fit(scaled[given.label == k]) for k in range(len(given.workloads)))
    return ByNearest(workloads=given.workloads, transform=transform, scaler=scaler, neighbours=neighbours)


@dataclass(frozen=True, kw_only=True, eq=False)
class ByChance:
    """Minus the logarithm of a classifier's probability of each workload: max-probability novelty is its minimum."""

    workloads: tuple[str, ...]
    transform: Callable[[NDArray[np.float32]], Any]
    classifier: Any

    def distances(self, one: Prepared) -> Table:
        chances = self.classifier.predict_proba(self.transform(one.series))
        found = np.zeros((len(one), len(self.workloads)))
        found[:, self.classifier.classes_] = chances
        return -np.log(np.maximum(found, 1e-6))
