"""How often dishonest training is caught against what is predicted: `python -m bench replay_training`.

1. A tolerance is calibrated from honest runs on other kernels and another split of the batch. 2. Other honest runs, and runs with
a known number of dirty packets, are judged by it on other kernels than the prover's: every packet is really run again. 3. At least
200 challenges are drawn for each kind, and what they catch is held against 1 - C(n - k, m) / C(n, m); for some of them only what
was drawn is run again. 4. What lies below the tolerance, what a verifier that looks at the largest updates would have
seen, and the growth of the distance with the steps of a packet.

Exits 1 where a predicted share lies outside of the measured interval (95 % over all kinds together), a dirty packet that was run
again passed, or clean packets alarm more often than the tolerance states.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from inspectorate.mechanisms.inspection.rerun.calibrate import fit_growth, honest_scores, tolerance_of
from inspectorate.mechanisms.inspection.rerun.measure import Again, Measured, measure
from inspectorate.mechanisms.inspection.rerun.program import DecoderProgram
from inspectorate.mechanisms.inspection.rerun.replay import LARGEST, LOSSES, OPTIMISER, TrainingReplayer
from inspectorate.mechanisms.inspection.rerun.residual import residual_of
from inspectorate.mechanisms.inspection.rerun.tensors import numbers
from inspectorate.mechanisms.inspection.results import Tolerance
from inspectorate.statistics.sampling import clopper_pearson_lower
from inspectorate.worlds import training_spoofs as spoofs
from inspectorate.worlds.training_runs import (
    TINY,
    Deed,
    Run,
    Trainer,
    deterministic_stack,
    loss_on_hidden,
    packets_of,
    setting_of,
    train,
    write_run,
)
from inspectorate.worlds.training_trials import Caught, Deeds, Table, challenge, make_tables, whole

PACKETS, DIRTY, SAMPLE = 32, 4, 8
LOOKED_AT = (0, 1, 2, 4, 8, 16, 24, 31)
"""Packets of each run of the calibration."""
TRIALS = 400
RUNS = 3
MISS = 0.05
OUT = Console(width=150)


def some(deed: Deed, dirty: int = DIRTY) -> Deeds:
    """A deed at some packets, drawn anew for each run."""
    return lambda rng: dict.fromkeys(rng.choice(np.arange(1, PACKETS), dirty, replace=False).tolist(), deed)


def line(searched: int = 0, hidden_steps: int = 16) -> Deeds:
    def deeds(rng: np.random.Generator) -> Mapping[int, Deed]:
        start = int(rng.integers(1, PACKETS - DIRTY))
        return spoofs.interpolated(range(start, start + DIRTY), searched=searched, hidden_steps=hidden_steps)

    return deeds


KINDS: Mapping[str, Deeds] = {
    "skipped step": some(spoofs.skipped),
    "swapped data, others shown": some(spoofs.swapped),
    "swapped data, shown as used": some(spoofs.swapped_shown),
    "interpolated checkpoints": line(),
    "interpolated, short strides": line(hidden_steps=2),
    "synthetic data (2108.09454)": line(searched=10),
    "warm start, another seed": lambda rng: {0: spoofs.warm_start},
    "hidden step between packets": some(spoofs.hidden_between),
    "hidden step within a packet": some(spoofs.hidden_within),
    "stretched over more hosts": some(spoofs.more_hosts),
    "hidden push, 1 % of the update": some(spoofs.nudged(0.01)),
}


def manners() -> list[Again]:
    """Of the verifier: plain kernels, and the prover's kernels with the batch split."""
    own = deterministic_stack()
    plain = own.model_copy(update={"hardware": own.hardware.rsplit(",", 1)[0] + ", no vector units"})
    return [Again(stack=plain, environment={"ATEN_CPU_CAPABILITY": "default"}), Again(stack=own, split=2)]


def honest_replayers(
    folder: Path,
    rng: np.random.Generator,
    count: int,
    *,
    program: DecoderProgram = TINY,
    steps: int = 2,
    packets: int = 4,
) -> dict[str, TrainingReplayer]:
    found = {}
    for number in range(count):
        run = train(setting_of(rng, program=program, steps=steps, packets=packets), {}, rng)
        name = f"honest-{steps}-{program.learning_rate:g}-{program.bfloat16}-{number}"
        reader = write_run(run, folder / name, name=name)
        again = Again(stack=deterministic_stack())
        found[name] = TrainingReplayer(folder=reader, packets=packets_of(reader), program=program, again=again)
    return found


def calibrated(folder: Path, rng: np.random.Generator, count: int, program: DecoderProgram = TINY) -> Tolerance:
    replayers = honest_replayers(folder, rng, count, program=program, packets=PACKETS)
    scores = honest_scores(replayers, LOOKED_AT, manners())
    return tolerance_of(scores, program, name="bench", prover=[deterministic_stack()])


def tell(tolerance: Tolerance, what: str) -> None:
    limits = tolerance.parameters
    OUT.print(
        f"{what}: weights {tolerance.threshold:.2e} of the update, largest weight {limits[LARGEST]:.2e}, "
        f"optimiser {limits[OPTIMISER]:.2e}, loss {limits[LOSSES]:.2e} nats; {tolerance.honest_runs} honest runs, "
        f"false alarms per run <= {tolerance.false_alarm_rate:.3f} at {tolerance.confidence:.0%}"
    )


def detection(tables: list[Table], rng: np.random.Generator, trials: int, false_alarm_rate: float) -> bool:
    """The table of kinds. Whether each lies within its interval, and clean packets alarm no more often than is stated."""
    kinds = [name for name in dict.fromkeys(one.name for one in tables) if name != "honest"]
    found = [challenge(k, [t for t in tables if t.name == k], rng, sample=SAMPLE, trials=trials) for k in kinds]
    shown = Shown(
        "kind", "dirty of n", "drawn", "predicted", "caught", "measured", "interval", "dirty seen", "false alarms"
    )
    met = True
    for one in found:
        low, high = one.interval(MISS / len(found))
        met &= low <= one.predicted <= high and one.dirty_seen == one.dirty_all
        shown.add_row(
            *row(one),
            f"{low:.3f} to {high:.3f}",
            f"{one.dirty_seen}/{one.dirty_all}",
            f"{one.clean_seen}/{one.clean_all}",
        )
    OUT.print(shown)
    alarms = [len(table.seen - table.run.dirty) for table in tables]
    clean = sum(len(table.results) - len(table.run.dirty) for table in tables)
    wrong = sum(alarm > 0 for alarm in alarms)
    OUT.print(f"clean packets taken for dirty: {sum(alarms)} of {clean}, in {wrong} of {len(tables)} runs")
    return met and clopper_pearson_lower(wrong, len(tables), MISS) <= false_alarm_rate


def row(one: Caught) -> tuple[str, ...]:
    share = one.caught / one.trials
    return (
        one.name,
        f"{one.dirty} of {one.packets}",
        str(one.sample),
        f"{one.predicted:.3f}",
        f"{one.caught}/{one.trials}",
        f"{share:.3f}",
    )


def largest_updates(tables: list[Table]) -> None:
    """What a verifier sees that looks at the packets with the largest updates, as proof-of-learning does (arXiv 2208.03567)."""
    for name in ("interpolated checkpoints", "interpolated, short strides"):
        seen = []
        for table in (one for one in tables if one.name == name):
            sizes = [moved(table.run, number) for number in range(len(table.results))]
            largest = set(np.argsort(sizes)[-SAMPLE:].tolist())
            seen.append(len(largest & table.seen))
        OUT.print(f"{name}: the {SAMPLE} largest of {PACKETS} updates hold {seen} of {DIRTY} dirty packets, run by run")


def searched(folder: Path, rng: np.random.Generator, tolerance: Tolerance) -> None:
    """How near batches that were searched for lead to interpolated checkpoints, if nobody held data against the seed."""
    own = deterministic_stack()
    for rounds in (0, 10, 100):
        stretch = range(8, 10)
        run = train(setting_of(rng, packets=10), spoofs.interpolated(stretch, searched=rounds, hidden_steps=2), rng)
        reader = write_run(run, folder / f"searched-{rounds}", name=f"searched-{rounds}")
        replayer = TrainingReplayer(folder=reader, packets=packets_of(reader), program=TINY, again=Again(stack=own))
        works = {number: replace(work, items=()) for number, work in replayer.works(stretch)[0].items()}
        found = [
            one.judged.distance for one in measure(works, TINY, Again(stack=own)).values() if isinstance(one, Measured)
        ]
        OUT.print(
            f"synthetic data, {rounds} rounds of search, order of data not looked at: distances "
            f"{', '.join(f'{one:.2f}' for one in found)} of the update, the threshold is {tolerance.threshold:.1e}"
        )


def moved(run: Run, number: int) -> float:
    shown = run.shown[number]
    pairs = ((numbers(shown.after.weights[n]), numbers(shown.before.weights[n])) for n in shown.after.weights)
    return float(sum(np.sum((a - b) ** 2) for a, b in pairs)) ** 0.5


def below(tolerance: Tolerance, seed: int) -> None:
    """What a prover gains that pushes every packet as far as the tolerance lets it."""
    rng = np.random.default_rng(seed)
    setting = setting_of(rng)
    gained = {}
    plans: dict[str, Mapping[int, Deed]] = {
        "honest": {},
        "pushed at the threshold": dict.fromkeys(range(PACKETS), spoofs.nudged(tolerance.threshold)),
        "pushed by 1 % of the update": dict.fromkeys(range(PACKETS), spoofs.nudged(0.01)),
        "pushed as far as the update": dict.fromkeys(range(PACKETS), spoofs.nudged(1.0)),
    }
    for name, deeds in plans.items():
        run = train(setting, deeds, np.random.default_rng(seed))
        gained[name] = loss_on_hidden(run, Trainer(setting), np.random.default_rng(seed + 1))
    rest = residual_of(run.shown[8].before.weights, run.shown[8].after.weights, tolerance.threshold)
    OUT.print(
        f"below the threshold: {rest.movement:.1e} of each update, {rest.packets_for_one:.2e} packets for one hidden packet, "
        f"at most {rest.bits:,.0f} bits in {rest.weights:,} weights of one checkpoint"
    )
    OUT.print(
        "loss on the hidden task after the run: " + ", ".join(f"{name} {loss:.4f}" for name, loss in gained.items())
    )


def growth(folder: Path, rng: np.random.Generator, count: int) -> None:
    found = {}
    for steps in (1, 2, 4, 8, 16):
        scores = honest_scores(honest_replayers(folder, rng, count, steps=steps, packets=2), [1], manners()[:1])
        found[steps] = [one.distance for one in scores]
    fitted = fit_growth({steps: values for steps, values in found.items() if steps != 8})
    medians = ", ".join(f"{steps}: {np.median(values):.2e}" for steps, values in found.items())
    OUT.print(
        f"distance by steps of a packet, medians: {medians}; as steps^{fitted.exponent:.2f}; held out 8 steps: "
        f"{fitted.at(8):.2e} expected, {np.median(found[8]):.2e} found"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--honest", type=int, default=60, help="honest runs of the calibration")
    parser.add_argument("--whole", type=int, default=12, help="trials in which only what was drawn is run again")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    with tempfile.TemporaryDirectory(prefix="replay-training-") as made:
        folder = Path(made)
        tolerance = calibrated(folder / "calibration", rng, asked.honest)
        tell(tolerance, "tolerance, float32")
        kinds: dict[str, Deeds] = {"honest": lambda rng: {}, **KINDS}
        tables = make_tables(kinds, folder / "runs", rng, runs=asked.runs, again=manners()[0], tolerance=tolerance)
        met = detection(tables, rng, asked.trials, tolerance.false_alarm_rate)
        same = [whole(tables[int(i)], SAMPLE, rng.bytes(32)) for i in rng.choice(len(tables), asked.whole)]
        OUT.print(f"whole trials from draw to verdict: {sum(same)} of {len(same)} as in the tables")
        met = met and all(same)
        largest_updates(tables)
        searched(folder / "searched", rng, tolerance)
        below(tolerance, asked.seed)
        growth(folder / "growth", rng, max(asked.honest // 6, 4))
        few = max(asked.honest // 3, 20)
        tell(calibrated(folder / "bf16", rng, few, TINY.model_copy(update={"bfloat16": True})), "tolerance, bfloat16")
        small = TINY.model_copy(update={"learning_rate": 3e-6})
        tell(calibrated(folder / "small", rng, few, small), "tolerance, rate of 3e-6 (infinitesimal updates)")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
