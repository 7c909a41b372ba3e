"""The questions that are asked of runs on like hardware. Each gives one row per detector; the splits are the same for all of
them.

1. `identify`: enrolled workloads on enrolled hardware, whole jobs held out: is the workload named rightly?
2. `false_alarms`: the same held-out runs under their true claim: how often does the alarm of a set rate go off?
3. `substitution`: runs of another kind under the claim of each approved workload: how many are caught, how soon?
4. `novelty`: workloads left out one at a time: does a run of something never enrolled lie farther from all that is enrolled,
   and from what it claims to be, than held-out runs of what was enrolled?
5. `kinds`: is it training? Enrolled on some groups, asked of others: what transfer is worth.

Hardware is never mixed within a question (but for `kinds`): a meter, a power limit and a cooling fan tell systems apart
better than anything that runs on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate import metrics
from inspectorate.mechanisms.workloads.evaluate.detectors import Detector
from inspectorate.mechanisms.workloads.evaluate.folds import Scored, Tell, held_out, scored
from inspectorate.mechanisms.workloads.evaluate.metrics import Figure
from inspectorate.mechanisms.workloads.evaluate.prepare import Prepared
from inspectorate.mechanisms.workloads.evaluate.reference import FOLDS_MAX, SEED
from inspectorate.mechanisms.workloads.evaluate.results import Answer, Cell, mean_of
from inspectorate.mechanisms.workloads.evaluate.runs import merged_name
from inspectorate.mechanisms.workloads.evaluate.splits import (
    BY,
    folds_of_groups,
    folds_of_jobs,
    joined,
    leak_windows,
    leave_out,
)

NOVELTY_FOLDS = 2


@dataclass(frozen=True, kw_only=True, eq=False)
class Bench:
    """Like hardware: its name, the windows of its runs, and how much was left out on the way."""

    name: str
    prepared: tuple[Prepared, ...]

    @property
    def hours(self) -> float:
        return sum(one.run.hours for one in self.prepared)

    @property
    def abstained(self) -> float:
        """Share of windows that no detector got, because too little was measured."""
        offered = sum(one.offered for one in self.prepared)
        return 1 - sum(len(one) for one in self.prepared) / offered if offered else 0.0


def random() -> np.random.Generator:
    """The same draws for every detector."""
    return np.random.default_rng(SEED)


# --- 1. which workload is it? ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Named:
    """What was said of runs whose workload was enrolled."""

    truth: tuple[str, ...]
    said: tuple[str, ...]
    families: tuple[str, ...]
    windows_right: int
    windows: int
    unanswered: int
    """Runs or their windows without an answer."""


def named(scores: Sequence[Scored], *, merge: bool) -> Named:
    """The nearest workload of each run whose own workload was enrolled, and of each of its windows."""
    truth, said, families = [], [], []
    right = windows = unanswered = 0
    for one in scores:
        distances, own = one.of_run(), one.one.run.workload
        if own not in one.workloads or distances is None:
            unanswered += 1
            continue
        words = [merged_name(name) if merge else name for name in one.workloads]
        own = merged_name(own) if merge else own
        nearest = one.distances[one.answered].argmin(axis=1)
        right += sum(words[place] == own for place in nearest.tolist())
        windows += len(nearest)
        truth.append(own)
        said.append(words[int(distances.argmin())])
        families.append(one.one.run.family)
    return Named(
        truth=tuple(truth),
        said=tuple(said),
        families=tuple(families),
        windows_right=right,
        windows=windows,
        unanswered=unanswered,
    )


def accuracy(found: Named) -> Figure:
    """Share of runs named rightly, with the interval over families."""
    good = np.array([one == other for one, other in zip(found.truth, found.said, strict=True)])
    return metrics.by_family(found.families, lambda places: float(good[places].mean()), random=random())


def identify(
    benches: Sequence[Bench],
    detectors: Sequence[Detector],
    tell: Tell,
    *,
    folds_max: int = FOLDS_MAX,
    by: str = "run",
) -> Answer:
    """Leave whole jobs, or whole groups of them, out and name the workload."""
    rows: list[tuple[Cell, ...]] = []
    for bench in benches:
        runs = [one.run for one in bench.prepared]
        folds = folds_of_jobs(runs, folds_max) if by == "run" else folds_of_groups(runs, by)
        rows += [
            _identified(bench, detector.name, held_out(detector, bench.prepared, folds, tell)) for detector in detectors
        ]
    return Answer(
        question="identify",
        title=f"Naming the workload: whole {by}s held out, enrolled hardware",
        columns=("hardware", "detector", "runs named rightly", "with equal labels merged", "windows", "balanced",
                 "worst family", "its share", "windows without answer", "runs without answer"),
        rows=tuple(rows),
        notes=(
            (
                "Intervals: 95 %, bootstrap over families. Merged: labels that differ in the accuracy target alone (-99, -99.9) "
                "count as one; the rule was set beforehand."
            ),
            "A run whose workload is not enrolled in what is left cannot be named: it counts under runs without answer.",
        ),
    )  # fmt: skip


def _identified(bench: Bench, name: str, scores: Sequence[Scored]) -> tuple[Cell, ...]:
    plain, merged = named(scores, merge=False), named(scores, merge=True)
    good = [one == other for one, other in zip(merged.truth, merged.said, strict=True)]
    family, figure = metrics.worst(merged.families, good)
    return (
        bench.name,
        name,
        accuracy(plain),
        accuracy(merged),
        Figure(value=merged.windows_right / merged.windows if merged.windows else None, n=merged.windows),
        metrics.balanced_accuracy(merged.truth, merged.said),
        family,
        figure,
        f"{1 - merged.windows / asked:.1%}" if (asked := sum(len(one.one) for one in scores)) else None,
        merged.unanswered,
    )


def leak(benches: Sequence[Bench], detectors: Sequence[Detector], tell: Tell) -> Answer:
    """The same as `identify` over random windows: what the usual evaluation would have reported."""
    rows: list[tuple[Cell, ...]] = []
    for bench in benches:
        sides = leak_windows(bench.prepared, random=random())
        for detector in detectors:
            tell(f"{detector.name}: random windows")
            found = named(scored(detector, *sides), merge=True)
            rows.append((bench.name, detector.name, accuracy(found), Figure(value=found.windows_right / max(1, found.windows),
            n=found.windows)))  # fmt: skip
    return Answer(
        question="leak",
        title="WARNING, not a result: windows of the same runs on both sides",
        columns=("hardware", "detector", "runs named rightly", "windows"),
        rows=tuple(rows),
        notes=("Half of the windows of every run were enrolled. Compare with the table of runs held out.",),
    )


# --- 4. was it ever enrolled? ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Apart:
    """How novel and known runs were told apart for one left-out group, with fits without one fold each."""

    group: str
    nearest: float | None
    windows: float | None
    claims: float | None
    runs: int


def novelty(
    benches: Sequence[Bench], detectors: Sequence[Detector], tell: Tell, *, by: str = "workload", merge: bool = False
) -> Answer:
    """Leave every workload (or family) out in turn; AUROC of its runs against held-out runs of the others."""
    rows: list[tuple[Cell, ...]] = []
    for detector in detectors:
        means: list[tuple[Figure, Figure, Figure]] = []
        for bench in benches:
            found = [_apart(bench, detector, group, places, tell) for group, places in _groups(bench, by, merge)]
            figures = _over_groups(found)
            hardest = min((one for one in found if one.nearest is not None), key=lambda one: one.nearest or 0.0)
            rows.append((bench.name, detector.name, *figures, hardest.group, hardest.nearest))
            means.append(figures)
        if len(benches) > 1:
            columns = [mean_of([figures[place] for figures in means]) for place in range(3)]
            rows.append(("mean over systems", detector.name, *columns, "", None))
    order = {name: place for place, name in enumerate([*(bench.name for bench in benches), "mean over systems"])}
    rows.sort(key=lambda row: order[str(row[0])])
    return Answer(
        question="novelty",
        title=f"What was never enrolled: leave one {by} out{', equal labels merged' if merge else ''}",
        columns=(
            "hardware",
            "detector",
            "AUROC nearest of all",
            "AUROC windows",
            "AUROC claimed",
            "hardest",
            "its AUROC",
        ),
        rows=tuple(rows),
        notes=(
            (
                "AUROC of runs (mean distance over their windows) of a left-out group against held-out runs of enrolled ones, "
                "mean over groups; n counts groups, intervals are a bootstrap over them. Claimed: distance to the claimed "
                "workload alone, left-out runs under every enrolled claim against held-out runs under their own."
            ),
        ),
    )


def _groups(bench: Bench, by: str, merge: bool) -> list[tuple[str, list[int]]]:
    keys = [BY[by](one.run) for one in bench.prepared]
    keys = [merged_name(key) if merge else key for key in keys]
    groups = joined(keys, [one.run.job for one in bench.prepared])
    if len(groups) < 2:
        raise InputError(f"{bench.name} has only one {by}, and nothing to tell it from")
    return sorted(groups.items())


def _apart(bench: Bench, detector: Detector, group: str, places: Sequence[int], tell: Tell) -> Apart:
    tell(f"{detector.name} on {bench.name}: without {group}")
    novel = [bench.prepared[place] for place in places]
    known = [one for place, one in enumerate(bench.prepared) if place not in set(places)]
    folds = folds_of_jobs([one.run for one in known], NOVELTY_FOLDS)
    parts: list[tuple[float | None, float | None, float | None]] = []
    for name in sorted(set(folds)):
        enrolled = [one for one, fold in zip(known, folds, strict=True) if fold != name]
        enrolled_workloads = {one.run.workload for one in enrolled}
        controls = [
            one
            for one, fold in zip(known, folds, strict=True)
            if fold == name and one.run.workload in enrolled_workloads
        ]
        results = scored(detector, enrolled, [*novel, *controls])
        parts.append(_aurocs(results[: len(novel)], results[len(novel) :]))
    means = [_mean([part[k] for part in parts]) for k in range(3)]
    return Apart(group=group, nearest=means[0], windows=means[1], claims=means[2], runs=len(novel))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _aurocs(cases: Sequence[Scored], controls: Sequence[Scored]) -> tuple[float | None, float | None, float | None]:
    """By the nearest workload of each run, by the nearest of each window, and by the claimed one."""
    of_cases = [found for found in (one.of_run() for one in cases) if found is not None]
    of_controls = [(one, found) for one in controls if (found := one.of_run()) is not None]
    nearest = metrics.auroc([one.min() for one in of_cases], [found.min() for _, found in of_controls])
    windows = metrics.auroc(_nearest_windows(cases), _nearest_windows(controls))
    claims = metrics.auroc(
        [value for found in of_cases for value in found.tolist()],
        [found[one.workloads.index(one.one.run.workload)] for one, found in of_controls],
    )
    return nearest, windows, claims


def _nearest_windows(scores: Sequence[Scored]) -> NDArray[np.float64]:
    parts = [one.distances[one.answered].min(axis=1) for one in scores if one.answered.any()]
    return np.concatenate(parts) if parts else np.empty(0)


def _over_groups(found: Sequence[Apart]) -> tuple[Figure, Figure, Figure]:
    def figure(values: Sequence[float | None]) -> Figure:
        known = [(one.group, value) for one, value in zip(found, values, strict=True) if value is not None]
        numbers = np.array([value for _, value in known])
        names = [name for name, _ in known]
        return metrics.by_family(names, lambda places: float(numbers[places].mean()), random=random())

    return (
        figure([one.nearest for one in found]),
        figure([one.windows for one in found]),
        figure([one.claims for one in found]),
    )


# --- 5. is it training? ----------------------------------------------------------------------------------------------------


def kinds(prepared: Sequence[Prepared], detectors: Sequence[Detector], tell: Tell, *, by: str) -> Answer:
    """Training against inference with whole groups held out: the universal detector that this program does not rely on."""
    told = [
        replace(one, run=replace(one.run, workload=one.run.kind))
        for one in prepared
        if one.run.kind in ("training", "inference")
    ]
    cuts = leave_out([one.run for one in told], by)
    rows: list[tuple[Cell, ...]] = []
    for detector in detectors:
        margins: list[tuple[Prepared, float]] = []
        skipped = 0
        for cut in cuts:
            tell(f"{detector.name}: without {cut.held_out}")
            enrolled = [told[place] for place in cut.train]
            if {one.run.workload for one in enrolled} != {"training", "inference"}:
                skipped += 1
                continue
            margins += _margins(scored(detector, enrolled, [told[place] for place in cut.test]))
        training = [one.run.kind == "training" for one, _ in margins]
        right = [(margin > 0) == is_training for (_, margin), is_training in zip(margins, training, strict=True)]
        area = metrics.auroc(
            [margin for (_, margin), yes in zip(margins, training, strict=True) if yes],
            [margin for (_, margin), yes in zip(margins, training, strict=True) if not yes],
        )
        family, figure = metrics.worst([one.run.family for one, _ in margins], right)
        n = len(margins)
        rows.append((detector.name, by, Figure(value=area, n=n), metrics.share(sum(right), n), family, figure, skipped))
    return Answer(
        question="kinds",
        title=f"Training or inference, {by} held out",
        columns=("detector", "held out", "AUROC", "named rightly", "worst family", "its share", "groups skipped"),
        rows=tuple(rows),
        notes=(
            "Groups are skipped where the rest has only one kind. Meters differ between kinds: a high figure may be the meter.",
        ),
    )


def _margins(scores: Sequence[Scored]) -> list[tuple[Prepared, float]]:
    """How much closer each run is to training than to inference."""
    found = []
    for one in scores:
        distances = one.of_run()
        if distances is not None:
            inference, training = one.workloads.index("inference"), one.workloads.index("training")
            found.append((one.one, float(distances[inference] - distances[training])))
    return found
