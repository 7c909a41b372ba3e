"""Integrity of published node power (MLPerf, `mlperf_power/` of the real data sets): copies, and two meters of one load.

    python -m bench.integrity copies     every cloned series, and what else is called a copy
    python -m bench.integrity meters     AC against DC: acceptance, rejection, ROC, and the plain method in the same run

Of pairs of meters there are two lists. `labelled`: AC and DC of one node and run by the names of their files. `stamped`: AC and
DC whose time stamps are equal sample by sample, so that one poll of one controller read both, whatever the files are called.
They differ: in the runs of 8 and 9 nodes the names of nodes in the two folders do not belong together. No judgement sees
stamps; they only say which pairs are true. Series that are copies, on either side, are in neither list.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from inspectorate.mechanisms.workloads.integrity import reference
from inspectorate.mechanisms.workloads.integrity.clones import CopyKind, find_copies
from inspectorate.mechanisms.workloads.integrity.match import faster, match
from inspectorate.mechanisms.workloads.integrity.series import Series, as_series
from inspectorate.mechanisms.workloads.integrity.two_meters import (
    Cohort,
    Examples,
    MeterPair,
    cohort_of,
    examples_of,
    features,
    fit_weights,
    fold_scores,
    linear_scores,
    run_p_value,
)
from inspectorate.statistics import clopper_pearson_lower, clopper_pearson_upper

FALSE_REJECTION = 0.04
MISS = 0.025
FOREIGN_PER_PAIR = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    row: dict[str, object]
    series: Series

    def __getattr__(self, name: str) -> object:
        return self.row[name]

    @property
    def unit_key(self) -> tuple[object, ...]:
        return tuple(self.row[name] for name in ("submitter", "system", "meas", "unit"))

    @property
    def run_key(self) -> tuple[str, str, str]:
        return str(self.row["system"]), str(self.row["benchmark"]), str(self.row["result"])


def load(folder: Path) -> list[Run]:
    """All series in absolute time, named by their run id."""
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    samples = pq.read_table(folder / "samples.parquet", columns=["run_id", "t_s", "power_w"])
    run, at, power = (samples[name].to_numpy() for name in ("run_id", "t_s", "power_w"))
    edges = np.flatnonzero(np.diff(run)) + 1
    starts, stops = np.concatenate(([0], edges)), np.concatenate((edges, [len(run)]))
    where = {int(run[a]): (a, b) for a, b in zip(starts, stops, strict=True)}
    found = []
    for row in rows:
        a, b = where[row["run_id"]]
        found.append(Run(row=row, series=as_series(str(row["run_id"]), at[a:b] + row["t0_ms"] / 1e3, power[a:b])))
    return found


# --- copies ------------------------------------------------------------------------------------------------------------


def copies(folder: Path, near: bool) -> int:
    """Print what is called a copy against the reference (`dup_of`). Fails on a miss, or on a copy that is none."""
    runs = load(folder)
    by_name = {one.series.name: one for one in runs}
    marked = {str(one.run_id) for one in runs if one.dup_of is not None}
    marked |= {str(int(one.dup_of)) for one in runs if one.dup_of is not None}  # type: ignore[call-overload]
    began = time.perf_counter()
    found = find_copies([one.series for one in runs], near=near)
    took = time.perf_counter() - began
    overlaps = [copy for copy in found if _one_history(by_name[copy.one], by_name[copy.other], copy.shift_s)]
    real = [copy for copy in found if copy not in overlaps]
    told = {name for copy in real if copy.kind is CopyKind.EXACT for name in (copy.one, copy.other)}
    alike = [copy for copy in real if copy.kind is CopyKind.NEAR]
    submitters, samples = len({one.submitter for one in runs}), sum(len(one.series) for one in runs)
    print(f"{len(runs):,} series of {submitters} submitters, AC and DC, {samples:,} samples, {took:.0f} s")
    _say("in copies by the reference", marked, told)
    print(f"   not in copies by the reference: {len(by_name) - len(marked):,}; called a copy {len(told - marked):,}")
    several = {name for name, one in by_name.items() if one.submitter == "SMC" and not str(one.system).startswith("1x")}
    for kind in ("AC", "DC"):
        mine = {name for name in several if by_name[name].meas == kind}
        _say(
            f"of {len(mine):,} multi-node {kind} series of one submitter, in copies by the reference",
            mine & marked,
            told,
        )
    pieces = {name for copy in overlaps for name in (copy.one, copy.other)} - told
    print(
        f"besides, {len(overlaps)} stretches of one recording cut into two files ({len(pieces)} series): one history, no copy"
    )
    for kind in ("AC", "DC"):
        count = len({name for copy in alike for name in (copy.one, copy.other) if by_name[name].meas == kind})
        print(
            f"alike without being equal (told, no proof): {count} {kind} series" if near else "",
            end="\n" if near else "",
        )
    for copy in [copy for copy in real if not {copy.one, copy.other} <= marked][:10]:
        one, other = by_name[copy.one], by_name[copy.other]
        print(
            f"  {copy.kind.value}: {one.path} / {other.path}: "
            f"{copy.samples} samples, {copy.bits:.0f} bits, r {copy.correlation:.3f}"
        )
    return int(bool(marked - told) or bool(told - marked))


def _say(what: str, marked: set[str], told: set[str]) -> None:
    print(f"{what}: {len(marked):,}; found {len(marked & told):,}, missed {len(marked - told):,}")


def _one_history(one: Run, other: Run, shift_s: float) -> bool:
    """One meter of one unit, the same absolute time: a recording in two files."""
    return (
        one.unit_key == other.unit_key
        and abs(shift_s) < 1e-3
        and one.row["dup_of"] is None
        and other.row["dup_of"] is None
    )


# --- two meters --------------------------------------------------------------------------------------------------------


def true_pairs(runs: list[Run], stamped: bool) -> list[MeterPair]:
    """AC and DC of one node and run, by their names or by their stamps; no series that is a copy."""
    often = Counter(one.power_md5 for one in runs)
    sides: dict[tuple[str, str, str], dict[str, list[Run]]] = defaultdict(lambda: {"AC": [], "DC": []})
    for one in runs:
        if one.submitter == "SMC" and often[one.power_md5] == 1:
            sides[one.run_key][str(one.meas)].append(one)
    found = []
    for key, side in sorted(sides.items()):
        for ac in side["AC"]:
            named = [dc for dc in side["DC"] if dc.unit == ac.unit]
            same = [dc for dc in side["DC"] if np.array_equal(dc.series.time_ns, ac.series.time_ns)]
            if stamped:
                both = [dc for dc in same if dc in named]
                chosen = both or (same if len(same) == 1 else [])
            else:
                chosen = named
            if chosen:
                found.append(MeterPair(load=" ".join(key[:2]), run=key[2], slow=ac.series, fast=chosen[0].series))
    return found


def meters(folder: Path) -> int:
    """Print acceptance, rejection and ROC for both lists of true pairs."""
    runs = load(folder)
    missed = 0
    for stamped in (False, True):
        pairs = true_pairs(runs, stamped)
        loads: dict[str, list[MeterPair]] = defaultdict(list)
        for pair in pairs:
            loads[pair.load].append(pair)
        cohorts = {name: cohort_of(name, members) for name, members in sorted(loads.items())}
        which, count = "stamped" if stamped else "labelled", len({(p.load, p.run) for p in pairs})
        systems = len({name.split()[0] for name in loads})
        print(
            f"\n== {which}: {len(pairs)} true pairs, {count} runs, {len(loads)} benchmarks on {systems} systems",
            flush=True,
        )
        _plain(cohorts)
        missed += _judged(cohorts)
    return missed


def _plain(cohorts: dict[str, Cohort]) -> None:
    """Best-lag correlation of differences."""
    true, swaps, group = [], [], []
    for cohort in cohorts.values():
        for i in range(len(cohort.pairs)):
            others = cohort.run != cohort.run[i]
            true.append(cohort.correlation[i, i])
            swaps.append(cohort.correlation[i, others])
            group.append(others.any())
    _roc("plain best-lag correlation of differences", np.array(true), swaps)


def _judged(cohorts: dict[str, Cohort]) -> int:
    usable = {name: cohort for name, cohort in cohorts.items() if cohort.run.max() + 1 >= reference.RUNS_TO_FIT_MIN}
    examples = examples_of(usable)
    scores = fold_scores(examples)
    true_at = np.flatnonzero(examples.true)
    swaps = [
        scores[~examples.true & (examples.slow == examples.slow[k]) & (np.array(examples.load) == examples.load[k])]
        for k in true_at
    ]
    _roc("this judgement, leave-run-out", scores[true_at], swaps)
    return _foreign(usable, examples, scores)


def _roc(name: str, true: np.ndarray, swaps: list[np.ndarray]) -> None:
    """Rejection of swaps within one benchmark at several rates of false rejection; each true pair weighs alike."""
    kept = [(t, s[~np.isnan(s)]) for t, s in zip(true, swaps, strict=True) if not np.isnan(t)]
    true = np.array([t for t, _ in kept])
    with_swaps = [(t, s) for t, s in kept if len(s)]
    auc = np.mean([np.mean(s < t) + np.mean(s == t) / 2 for t, s in with_swaps])
    swapped = sum(len(s) for _, s in with_swaps)
    print(f"{name}: {len(true)} true pairs, {swapped:,} swaps with other runs of the benchmark; AUC within {auc:.3f}")
    line = []
    for rate in (0.01, 0.02, FALSE_REJECTION, 0.05, 0.10, 0.20):
        threshold = np.quantile(true, rate, method="lower")
        line.append(f"{np.mean([np.mean(s < threshold) for _, s in with_swaps]):.1%} at {rate:.0%}")
    print("   rejected at false rejection of true pairs: " + ", ".join(line))


def _foreign(cohorts: dict[str, Cohort], examples: Examples, scores: np.ndarray) -> int:
    """Swaps between different benchmarks, times forged to match, at the threshold that accepts about 96 % of true pairs."""
    true, runs = examples.true, examples.runs[:, 0]
    calibration = {str(r): scores[true & (runs == r)] for r in np.unique(runs[true])}
    forged = {name: _forged(cohort, cohorts) for name, cohort in cohorts.items()}
    fits: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
    accepted = rejected = foreign = apart = 0
    for k in np.flatnonzero(true):
        fold = int(runs[k]) % reference.FOLDS
        if fold not in fits:
            mine = (examples.runs % reference.FOLDS != fold).all(axis=1)
            fits[fold] = fit_weights(examples.x[mine], true[mine], examples.weight[mine])
        rest = {name: values for name, values in calibration.items() if name != str(runs[k])}
        accepted += run_p_value(float(scores[k]), rest) > FALSE_REJECTION
        i = int(examples.slow[k])
        for wider in forged[examples.load[k]]:
            x = features(wider, i, len(wider.pairs) - 1)
            foreign += 1
            apart += x is None
            rejected += (
                x is None or run_p_value(float(linear_scores(x[None, :], *fits[fold])[0]), rest) <= FALSE_REJECTION
            )
    total = int(true.sum())
    for name, good, of in (
        (f"true pairs accepted at p > {FALSE_REJECTION}", accepted, total),
        ("swaps between different benchmarks, times forged to match, rejected", rejected, foreign),
    ):
        low, high = clopper_pearson_lower(good, of, MISS), clopper_pearson_upper(good, of, MISS)
        print(f"{name}: {good:,} of {of:,} = {good / of:.1%} [{low:.1%}, {high:.1%}]", flush=True)
    print(
        f"   {apart} of these swaps because they hardly overlap; intervals are Clopper-Pearson at 95 %, as if independent"
    )
    return int(accepted / total < 0.95 or rejected / foreign < 0.95)


def _forged(cohort: Cohort, cohorts: dict[str, Cohort]) -> list[Cohort]:
    """The cohort, each time with the faster series of a run of another benchmark at its end, as a run of its own."""
    benchmark = {name: name.split()[1].removesuffix("50") for name in cohorts}
    others = [pair for name, one in cohorts.items() if benchmark[name] != benchmark[cohort.load] for pair in one.pairs]
    chosen = np.random.default_rng(7).choice(len(others), FOREIGN_PER_PAIR, replace=False)
    return [_wider(cohort, others[pick].fast) for pick in chosen]


def _wider(cohort: Cohort, fast: Series) -> Cohort:
    here, count = faster(fast), len(cohort.pairs)
    rows = [match(pair.slow, here, offset_s=0.0) for pair in cohort.pairs]
    tables = {}
    for name, field, sign in (
        ("correlation", "correlation", 1.0),
        ("smoothed", "smoothed", 1.0),
        ("fit", "left_over", -1.0),
        ("level", "level", 1.0),
        ("lag_s", "lag_s", 1.0),
    ):
        table = np.full((count + 1, count + 1), np.nan)
        table[:count, :count] = getattr(cohort, name)
        table[:count, count] = [np.nan if row is None else sign * getattr(row, field) for row in rows]
        tables[name] = table
    run = np.append(cohort.run, cohort.run.max() + 1)
    return Cohort(load=cohort.load, pairs=(*cohort.pairs, cohort.pairs[0]), run=run, **tables)


def main() -> int:
    """Run one of the two, or both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("copies", "meters", "both"), default="both")
    parser.add_argument("--near", action="store_true", help="look for near copies, too: many minutes")
    default = Path(os.environ.get("INSPECTORATE_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default / "mlperf_power")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"no real data at {options.data}; INSPECTORATE_DATA may say where it is")
        return 0
    missed = 0
    if options.what in {"copies", "both"}:
        missed += copies(options.data, near=options.near)
    if options.what in {"meters", "both"}:
        missed += meters(options.data)
    return missed


if __name__ == "__main__":
    sys.exit(main())
