"""Scores that were never fitted on what they score.

- `held_out`: every run scored by a fit without its fold.
- `twice_held_out`: for every fold, the scores of all other runs by fits without that fold and without their own. A threshold
  for a run rests on these: neither the run nor the run that the threshold comes from was seen by the fit. One fit without two
  folds serves both of them, so that eight folds take 28 fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inspectorate.mechanisms.workloads.evaluate.detectors import Detector, Distances, Fitted, Spanning
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """One run under one fit: distances (windows, workloads), rows of NaN where there was no answer."""

    one: Prepared
    workloads: tuple[str, ...]
    distances: Distances
    span: int = 1
    """Windows that one distance rests on."""

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Windows that have a distance to every workload."""
        good: NDArray[np.bool_] = np.isfinite(self.distances).min(axis=1)
        return good

    def of_run(self) -> NDArray[np.float64] | None:
        """Mean distance of the run to each workload; none if no window was answered."""
        good = self.answered
        return self.distances[good].mean(axis=0) if good.any() else None

    def to(self, workload: str) -> NDArray[np.float64] | None:
        """Distances of the windows to one workload; none if it was not enrolled."""
        if workload not in self.workloads:
            return None
        return self.distances[:, self.workloads.index(workload)]


def scored(detector: Detector, enrolled: Sequence[Prepared], asked: Sequence[Prepared]) -> list[Scored]:
    """Fit on some runs and score others."""
    fitted = detector.fit(enrolled)
    return [scored_by(fitted, one) for one in asked]


def scored_by(fitted: Fitted, one: Prepared) -> Scored:
    """One run under a fit that was made before."""
    span = fitted.span if isinstance(fitted, Spanning) else 1
    return Scored(one=one, workloads=fitted.workloads, distances=fitted.distances(one), span=span)


def held_out(detector: Detector, prepared: Sequence[Prepared], folds: Sequence[int], tell: Tell) -> list[Scored]:
    """Every run by a fit without its fold, in the order of the runs."""
    found: dict[int, Scored] = {}
    names = sorted(set(folds))
    for name in names:
        tell(f"{detector.name}: fold {name + 1} of {len(names)}")
        places = [place for place, fold in enumerate(folds) if fold == name]
        enrolled = [one for one, fold in zip(prepared, folds, strict=True) if fold != name]
        found |= zip(places, scored(detector, enrolled, [prepared[place] for place in places]), strict=True)
    return [found[place] for place in range(len(prepared))]


def twice_held_out(
    detector: Detector, prepared: Sequence[Prepared], folds: Sequence[int], tell: Tell
) -> dict[int, list[Scored]]:
    """Fold -> scores of the runs of all other folds by fits without both."""
    names = sorted(set(folds))
    found: dict[int, list[Scored]] = {name: [] for name in names}
    pairs = [(a, b) for k, a in enumerate(names) for b in names[k + 1 :]]
    for count, (first, second) in enumerate(pairs, 1):
        tell(f"{detector.name}: pair {count} of {len(pairs)}")
        enrolled = [one for one, fold in zip(prepared, folds, strict=True) if fold not in (first, second)]
        if not enrolled:
            continue
        asked = [(one, fold) for one, fold in zip(prepared, folds, strict=True) if fold in (first, second)]
        results = scored(detector, enrolled, [one for one, _ in asked])
        for result, (_, fold) in zip(results, asked, strict=True):
            found[second if fold == first else first].append(result)
    return found
