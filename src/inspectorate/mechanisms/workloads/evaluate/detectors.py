"""Detectors behind one interface: fitted on enrolled runs, a detector says how far each window is from each enrolled workload.

- `fit` sees runs and their labels; `distances` sees windows only. Smaller is closer; scales differ between detectors and are
  never compared across them.
- Every detector gets the same windows. What it makes of them, features or series, is its own matter.
- A window for which a detector has no answer is a row of NaN, and counts as abstention.

Ours is the library of workload signatures. Those of others are in `peers` (scikit-learn), `peers_pyod`,
`peers_series` and `peers_torch` (aeon); they need the extra `evaluate`, and are left out with a line where it is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared, thinned
from inspectorate.mechanisms.workloads.evaluate.reference import BLOCK_WINDOWS, WINDOWS_PER_RUN
from inspectorate.mechanisms.workloads.signature.library import Library, Reference

Distances = NDArray[np.float64]


class Fitted(Protocol):
    """A detector that knows its workloads."""

    @property
    def workloads(self) -> tuple[str, ...]: ...

    def distances(self, one: Prepared) -> Distances:
        """How far each window is from each workload, shape (windows, workloads)."""
        ...


@runtime_checkable
class Spanning(Protocol):
    """A fitted detector whose distances rest on several windows in a row."""

    @property
    def span(self) -> int: ...


class Detector(Protocol):
    """A way to fit. `name` is what tables call it."""

    @property
    def name(self) -> str: ...

    def fit(self, enrolled: Sequence[Prepared]) -> Fitted: ...


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedLibrary:
    """Our signatures side by side. A workload that was enrolled in several sessions is as far as the nearest of its signatures."""

    library: Library
    workload_of: Mapping[str, str]
    """By the name of a signature."""

    @property
    def workloads(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.workload_of.values())))

    @property
    def span(self) -> int:
        return self.library.block

    def distances(self, one: Prepared) -> Distances:
        every = self.library.distances(one.features, whole=True)
        owners = np.array([self.workload_of[name] for name in self.library.workloads])
        return np.stack([every[:, owners == workload].min(axis=1) for workload in self.workloads], axis=1)


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The library of workload signatures that `appraise` uses, with its defaults.

    A signature belongs to one session: what ran under other software was enrolled again, as the protocol asks.
    """

    name: str = "ours"
    windows_per_run: int = WINDOWS_PER_RUN

    def fit(self, enrolled: Sequence[Prepared]) -> FittedLibrary:
        workload_of: dict[str, str] = {}
        references = []
        for one in enrolled:
            signature = f"{one.run.workload} ({one.run.session})"
            workload_of[signature] = one.run.workload
            kept = thinned(one, self.windows_per_run)
            references.append(Reference(run=one.run.job, workload=signature, values=kept.features))
        library = Library.fit(references, names=enrolled[0].names, block=BLOCK_WINDOWS)
        return FittedLibrary(library=library, workload_of={name: workload_of[name] for name in library.workloads})


_PEERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "nearest-series": ("peers", "NearestSeries"),
        "nearest-shape": ("peers", "NearestShape"),
        "mahalanobis": ("peers", "MahalanobisMoments"),
        "forest": ("peers", "Forest"),
        "ecod": ("peers_pyod", "Ecod"),
        "iforest": ("peers_pyod", "IsolationForest"),
        "lof": ("peers_pyod", "Lof"),
        "minirocket-ridge": ("peers_series", "MiniRocketRidge"),
        "minirocket-mahalanobis": ("peers_series", "MiniRocketMahalanobis"),
        "minirocket-nearest": ("peers_series", "MiniRocketNearest"),
        "quant": ("peers_torch", "Quant"),
        "quant-mahalanobis": ("peers_torch", "QuantMahalanobis"),
        "multirocket-hydra": ("peers_torch", "MultiRocketHydra"),
    }
)
"""Name -> module and class. Each takes a seed."""
NAMES = ("ours", *_PEERS)
QUICK = (
    "ours",
    "nearest-series",
    "nearest-shape",
    "mahalanobis",
    "forest",
    "minirocket-ridge",
    "minirocket-mahalanobis",
    "quant",
)
"""A choice that takes minutes."""


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Detectors that can run here, and why others cannot."""

    detectors: tuple[Detector, ...]
    left_out: tuple[str, ...]


def choose(names: Sequence[str], *, seed: int) -> Chosen:
    """Detectors by name. Raises `InputError` on a name that is none, and if none is left."""
    found: list[Detector] = []
    left_out = []
    for name in names:
        if name == "ours":
            found.append(Ours())
            continue
        if name not in _PEERS:
            raise InputError(f"no detector is called {name!r}", remedy=f"choose of {', '.join(NAMES)}")
        try:
            found.append(_peer(name, seed))
        except EnvironmentError_ as fault:
            left_out.append(f"{name}: {fault}")
    if not found:
        raise InputError("no detector is left", remedy="install inspectorate[evaluate], or choose ours")
    return Chosen(detectors=tuple(found), left_out=tuple(left_out))


def _peer(name: str, seed: int) -> Detector:
    """Raises `EnvironmentError_` where the extra is not installed."""
    module, kind = _PEERS[name]
    try:
        made = getattr(importlib.import_module(f"{__package__}.{module}"), kind)
    except ImportError as fault:
        raise EnvironmentError_(
            f"needs {fault.name}, which is not installed", remedy="install inspectorate[evaluate]"
        ) from None
    detector: Detector = made(seed=seed)
    return detector
