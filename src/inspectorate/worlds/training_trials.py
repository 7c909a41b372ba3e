"""How often dishonest training is caught: runs with known dirty packets, every packet really run again, and many draws.

1. Runs are made, each with a stated number of dirty packets, and written as a prover would. 2. **Every** packet is run again once
and judged by the product's own code: the table of verdicts. 3. A trial draws packets from the committed list by a fresh secret, by
the code of the challenge, and looks the drawn ones up. So trials of one run share its verdicts (which are deterministic), and
differ in what a challenge differs in. A whole trial, in which only what was drawn is run again (`whole`), gives the same verdicts.

Predicted: 1 - C(n - k, m) / C(n, m) for k dirty of n packets and m drawn, that is: a dirty packet that is drawn is always seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inspectorate.canonical import digest_of
from inspectorate.mechanisms.inspection.challenge.draw import draw
from inspectorate.mechanisms.inspection.challenge.promise import Method, Promise, Randomness, Revealed, Selection
from inspectorate.mechanisms.inspection.rerun.measure import Again, Work, measure
from inspectorate.mechanisms.inspection.rerun.records import Fault
from inspectorate.mechanisms.inspection.rerun.replay import TrainingReplayer
from inspectorate.mechanisms.inspection.results import Outcome, PacketResult, Tolerance
from inspectorate.mechanisms.inspection.transcripts.lists import list_of_folder
from inspectorate.mechanisms.inspection.transcripts.types import PacketList
from inspectorate.statistics.sampling import clopper_pearson_lower, clopper_pearson_upper, detection_probability
from inspectorate.worlds.training_runs import Deed, Run, packets_of, setting_of, train, write_run

Deeds = Callable[[np.random.Generator], Mapping[int, Deed]]


@dataclass(frozen=True, kw_only=True)
class Table:
    """One run, and what became of every one of its packets."""

    name: str
    run: Run
    listed: PacketList
    results: tuple[PacketResult, ...]
    replayer: TrainingReplayer

    @property
    def seen(self) -> frozenset[int]:
        return frozenset(one.packet for one in self.results if one.outcome is not Outcome.MATCHED)


def make_tables(
    kinds: Mapping[str, Deeds],
    folder: Path,
    rng: np.random.Generator,
    *,
    runs: int,
    again: Again,
    tolerance: Tolerance | None,
) -> list[Table]:
    """Runs of each kind, every packet run again: all of them in one process."""
    made: list[tuple[str, Run, TrainingReplayer]] = []
    for kind, deeds in kinds.items():
        for _ in range(runs):
            run = train(setting_of(rng), deeds(rng), rng)
            name = f"run-{len(made)}"
            reader = write_run(run, folder / name, name=name)
            replayer = TrainingReplayer(
                folder=reader, packets=packets_of(reader), program=run.setting.program, again=again, tolerance=tolerance
            )
            made.append((kind, run, replayer))
    return [
        Table(
            name=kind,
            run=run,
            listed=list_of_folder(replayer.folder, 0, 0, replayer.folder.count),
            results=results,
            replayer=replayer,
        )
        for (kind, run, replayer), results in zip(made, judge_all([one for _, _, one in made]), strict=True)
    ]


def judge_all(replayers: Sequence[TrainingReplayer]) -> list[tuple[PacketResult, ...]]:
    """As `replay` of all packets of each, with the work of all of them in one process."""
    works: dict[int, Work] = {}
    faults: dict[int, dict[int, Fault]] = {}
    places: dict[int, tuple[int, int]] = {}
    for place, replayer in enumerate(replayers):
        own, wrong = replayer.works(range(replayer.folder.count))
        faults[place] = wrong
        for number, work in own.items():
            places[len(works)] = (place, number)
            works[len(works)] = work
    first = replayers[0]
    measured = {places[key]: found for key, found in measure(works, first.program, first.again).items()}
    return [
        tuple(
            replayer.result(number, faults[place].get(number) or measured[place, number])
            for number in range(replayer.folder.count)
        )
        for place, replayer in enumerate(replayers)
    ]


def whole(table: Table, sample: int, secret: bytes) -> bool:
    """A whole trial: draw, run again what was drawn and nothing else. Whether the verdicts are those of the table."""
    numbers = drawn(table.listed, sample, secret)
    outcomes = [(one.packet, one.outcome) for one in table.replayer.replay(numbers)]
    return outcomes == [(number, table.results[number].outcome) for number in numbers]


def drawn(listed: PacketList, sample: int, secret: bytes) -> tuple[int, ...]:
    """The packets that a challenge draws. The digest of the list stands for that of the envelope around it."""
    promise = Promise(secret=secret.hex(), selection=Selection(method=Method.PACKETS, count=sample))
    randomness = Randomness(source=Revealed(kind="commit-reveal", promise=promise))
    return draw(randomness, digest_of(listed.canonical_bytes()), listed)


@dataclass(frozen=True, kw_only=True)
class Caught:
    """How often one kind was caught, and how often it should have been."""

    name: str
    dirty: int
    packets: int
    sample: int
    trials: int
    caught: int
    predicted: float
    dirty_seen: int
    """Of all dirty packets of the tables."""
    dirty_all: int
    clean_seen: int
    """Of all clean packets: false alarms."""
    clean_all: int

    def interval(self, miss_probability: float) -> tuple[float, float]:
        """Clopper-Pearson, two-sided."""
        half = miss_probability / 2
        return (
            clopper_pearson_lower(self.caught, self.trials, half),
            clopper_pearson_upper(self.caught, self.trials, half),
        )


def challenge(name: str, tables: Sequence[Table], rng: np.random.Generator, *, sample: int, trials: int) -> Caught:
    """Draw `trials` challenges over the runs of one kind, in turn."""
    caught, predicted = 0, 0.0
    for trial in range(trials):
        table = tables[trial % len(tables)]
        caught += not table.seen.isdisjoint(drawn(table.listed, sample, rng.bytes(32)))
        count, marked = len(table.results), len(table.run.dirty)
        predicted += detection_probability(population=count, marked=marked, sample=sample) / trials
    return Caught(
        name=name,
        dirty=len(tables[0].run.dirty),
        packets=len(tables[0].results),
        sample=sample,
        trials=trials,
        caught=caught,
        predicted=predicted,
        dirty_seen=sum(len(table.seen & table.run.dirty) for table in tables),
        dirty_all=sum(len(table.run.dirty) for table in tables),
        clean_seen=sum(len(table.seen - table.run.dirty) for table in tables),
        clean_all=sum(len(table.results) - len(table.run.dirty) for table in tables),
    )
