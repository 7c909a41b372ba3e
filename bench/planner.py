"""Speed of the interconnect planner: scenarios per second of one core.

A scenario is one limit and one job, answered over all methods, all cuts of the pods and all numbers of steps. Scenarios are
drawn at random, with up to 128 pods and over many orders of magnitude, so that no two share anything. Beside it stands a
slow, obvious planner (`tests/plan/slow_planner.py`) on the same scenarios with few pods, whose answers must be the same.
CPU seconds of one process, the median of several rounds. Exits 1 where a target is missed.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.interconnect.plan.search import Scenes
from inspectorate.mechanisms.interconnect.plan.types import Case, Job, LinkLimit, Pods, job_of

SCENARIOS = 2_000
ROUNDS = 5
SLOW_SCENARIOS = 12
SLOW_PODS_MAX = 6
PODS_MAX = 128
SCENARIOS_PER_S_MIN = 10_000
SLOW = Path(__file__).parent.parent / "tests" / "plan" / "slow_planner.py"

Scenario = tuple[Pods, LinkLimit, Job, Case]


def draw(random: np.random.Generator, pods_max: int) -> Scenario:
    """One random scenario."""

    def decades(low: float, high: float) -> float:
        return float(10 ** random.uniform(low, high))

    parameters = decades(6, 12.5)
    return (
        Pods(count=int(random.integers(2, pods_max + 1)), flop_per_s=decades(12, 18), memory_bytes=decades(10, 14)),
        LinkLimit(sent_bytes_per_s=decades(2, 12), received_bytes_per_s=decades(2, 12), round_trip_s=0.05),
        job_of(parameters, parameters * decades(0, 2.5)),
        list(Case)[int(random.integers(3))],
    )


def rate(scenarios: list[Scenario]) -> float:
    """Scenarios per CPU second; records are built before."""
    scenes = [(Scenes(pods, job, case), limit) for pods, limit, job, case in scenarios]
    start = time.process_time()
    for scene, limit in scenes:
        scene.worths(limit)
    return len(scenes) / (time.process_time() - start)


def main() -> int:
    """Measure, compare, print; 1 if a target is missed."""
    spec = importlib.util.spec_from_file_location("slow_planner", SLOW)
    assert spec is not None
    assert spec.loader is not None
    slow = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(slow)
    random = np.random.default_rng(1)
    rate([draw(random, PODS_MAX) for _ in range(5)])
    ours = statistics.median(rate([draw(random, PODS_MAX) for _ in range(SCENARIOS)]) for _ in range(ROUNDS))
    small = [draw(random, SLOW_PODS_MAX) for _ in range(SLOW_SCENARIOS)]
    start = time.process_time()
    expected = [slow.worths(pods, limit, job, case) for pods, limit, job, case in small]
    slowly = len(small) / (time.process_time() - start)
    same = all(
        np.allclose(Scenes(pods, job, case).worths(limit), list(worths.values()), rtol=1e-9)
        for (pods, limit, job, case), worths in zip(small, expected, strict=True)
    )
    few = statistics.median(rate(small * 50) for _ in range(ROUNDS))
    table = Table(show_edge=False)
    for column in ("planner", "pods", "scenarios/s", "target", "ratio"):
        table.add_column(column, justify="left" if column == "planner" else "right")
    table.add_row(
        "this", f"2-{PODS_MAX}", f"{ours:,.0f}", f"{SCENARIOS_PER_S_MIN:,}", f"{ours / SCENARIOS_PER_S_MIN:.2f}x target"
    )
    table.add_row("this", f"2-{SLOW_PODS_MAX}", f"{few:,.0f}", "", f"{few / slowly:,.0f}x slow planner")
    table.add_row("slow, obvious", f"2-{SLOW_PODS_MAX}", f"{slowly:,.2f}", "", "1")
    Console(width=100).print(table)
    print(f"answers {'equal' if same else 'DIFFER'} on {len(small)} scenarios")
    return int(ours < SCENARIOS_PER_S_MIN or not same)


if __name__ == "__main__":
    sys.exit(main())
