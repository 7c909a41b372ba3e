"""Cases from recordings: measured training shown as what else was measured on the same machines.

For each claimed workload one run is the cover, which the adversary really serves and the detector never saw; all others are
enrolled, and the adversary knows them. Idle and peak power come from all phases of all recordings of these machines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.evaluate.load_mlperf import PHASES, STEADY, Selection, read_extract
from inspectorate.mechanisms.workloads.evaluate.runs import Run
from inspectorate.worlds.disguises_attack import Case
from inspectorate.worlds.disguises_curve import EXPONENT, PowerCurve
from inspectorate.worlds.disguises_detector import Enrolled
from inspectorate.worlds.disguises_render import Known

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Machines:
    """Recordings of one kind of machine: which systems, what is hidden, and what it is claimed to be."""

    name: str
    systems: tuple[str, ...]
    hidden: tuple[str, ...]
    """Workloads that begin so are the training that is hidden."""
    claimed: str
    """Kind of the workloads that are approved."""
    note: str


MACHINES = MappingProxyType(
    {
        one.name: one
        for one in (
            Machines(
                name="lenovo-8xb200",
                systems=("SR680a_V3_B200", "SR780a_V3_B200", "SR780aV3-8xB200"),
                hidden=("bert/", "llama2_70b_lora/"),
                claimed="inference",
                note="training of Lenovo 8xB200 shown as inference of the same servers",
            ),
            Machines(
                name="smc-h100",
                systems=("1xSMC-H100",),
                hidden=("llama2_70b_lora/",),
                claimed="training",
                note="no inference was recorded on these machines: fine-tuning is shown as other, approved training",
            ),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the verifier allows and observes, and what is assumed of the machine."""

    rate: float
    """False alarms per device-hour."""
    observed_s: float = 600.0
    runs_max: int = 5
    """Training runs of each hidden workload."""
    exponent: float = EXPONENT


def recorded_cases(folder: Path, machines: Machines, terms: Terms, tell: Tell) -> tuple[Case, ...]:
    """Cases of one kind of machine out of the MLPerf extract. Raises `InputError` where there are too few recordings."""
    steady, _ = read_extract(folder, Selection(systems=machines.systems, phases=STEADY))
    whole, _ = read_extract(folder, Selection(systems=machines.systems, phases=PHASES))
    hidden = [run for run in steady if run.workload.startswith(machines.hidden)]
    approved = [run for run in steady if run.kind == machines.claimed and run not in hidden]
    if not hidden or not approved:
        raise InputError(
            f"holds no training or nothing to claim of {', '.join(machines.systems)}",
            where=str(folder),
            remedy="give the folder with runs.parquet and samples.parquet",
        )
    curve = PowerCurve.of([run.frame for run in whole], exponent=terms.exponent)
    return cases_of(_first_of_each(hidden, terms.runs_max), approved, curve, terms, tell)


def cases_of(
    hidden: Sequence[Run], approved: Sequence[Run], curve: PowerCurve, terms: Terms, tell: Tell
) -> tuple[Case, ...]:
    """Every hidden run as every approved workload of which one run can be left out as cover."""
    found = []
    for claimed in sorted({run.workload for run in approved}):
        own = [run for run in approved if run.workload == claimed]
        if len(own) < 2:
            continue
        cover, *references = sorted(own, key=lambda run: (run.frame.times, run.id), reverse=True)
        enrolled = [run for run in approved if run.job != cover.job]
        references = [run for run in references if run in enrolled]
        if not references:
            continue
        tell(f"enrols {claimed} without {cover.id}")
        detector = Enrolled.on(enrolled, rate=terms.rate)
        for run in hidden:
            known = Known(
                references=tuple(one.frame for one in references),
                cover=cover.frame,
                curve=curve,
                times=round(terms.observed_s / run.frame.step_s),
            )
            found.append(Case(run=run.id, claimed=claimed, training=run.frame, known=known, detector=detector))
    if not found:
        raise InputError("no workload was recorded twice, so that one run could be enrolled and another served")
    return tuple(found)


def _first_of_each(runs: Sequence[Run], most: int) -> list[Run]:
    kept: dict[str, list[Run]] = {}
    for run in runs:
        if len(kept.setdefault(run.workload, [])) < most:
            kept[run.workload].append(run)
    return [run for found in kept.values() for run in found]
