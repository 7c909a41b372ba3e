"""Published tables of the agreement, recomputed beside what is printed: what is covered, and how long runs take.

- Table `covered`: sixteen H100 and other numbers of chips against the limbs (arXiv 2511.10783, Art. II para. 15 and 16, and the
  memory limb of arXiv 2605.29359), each with the rates that the source counts with and with those of the chip catalogue.
- Table `runs`: days and seconds in which a number of H100 does 1e22 and 1e24 FLOP (arXiv 2511.10783, Tables 1 and 2), at
  990e12 FLOP/s each, which is FP8 at half of its peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inspectorate.agreement import ClauseKind
from inspectorate.agreement.chips import CoveredCluster
from inspectorate.declaration import ChipModel, chip_catalogue
from inspectorate.mechanisms.custody.clusters.hosts import micro_tpp
from inspectorate.mechanisms.custody.clusters.judge import Outcome, h100_equivalents, outcome_of
from inspectorate.mechanisms.custody.clusters.reference import NOMINAL_H100_TFLOP_PER_S

CURRENT = CoveredCluster(
    kind=ClauseKind.COVERED_CLUSTER, h100_equivalents_max=16.0, joined_by_co_location=True, joined_by_bits_per_s=25e9,
    joined_by_purpose=True,
)  # fmt: skip
"""arXiv 2511.10783, Art. II para. 16."""
WITH_MEMORY = CURRENT.model_copy(update={"memory_bytes_max": 1280e9})
"""As the amendment of arXiv 2605.29359 would have it."""
EFFECTIVE_FLOP_PER_S = NOMINAL_H100_TFLOP_PER_S * 1e12
"""1,980e12 in FP8 x 50 % (arXiv 2511.10783, Tables 1 and 2)."""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One row of what is covered: chips of one model in one place."""

    what: str
    chips: int
    tflop_per_s: float
    """FP16, of one chip, as the source counts it."""
    memory_gb: float
    catalogue: str | None
    """The model of our catalogue; none where it has none."""
    covered: bool
    """As published, under the current text."""
    covered_with_memory: bool | None
    """As published, with the memory limb; none where nothing is published."""
    note: str = ""


COUNTED = (
    Counted(what="16 H100, exactly the limb", chips=16, tflop_per_s=990, memory_gb=80, catalogue="h100-sxm",
            covered=False, covered_with_memory=False, note="strictly above, and 1,280 GB is not above 1,280 GB"),
    Counted(what="24 H100: three HGX in one building", chips=24, tflop_per_s=990, memory_gb=80, catalogue="h100-sxm",
            covered=True, covered_with_memory=True),
    Counted(what="32 TPU v6e", chips=32, tflop_per_s=918, memory_gb=32, catalogue="tpu-v6e", covered=True,
            covered_with_memory=None),
    Counted(what="17 TPU v6e", chips=17, tflop_per_s=918, memory_gb=32, catalogue="tpu-v6e", covered=False,
            covered_with_memory=None, note="15,606 TFLOP/s of 15,840"),
    Counted(what="50 A100 80 GB", chips=50, tflop_per_s=312, memory_gb=80, catalogue="a100-80", covered=False,
            covered_with_memory=True, note="15.8 H100-equivalents, 4,000 GB"),
    Counted(what="16 H200", chips=16, tflop_per_s=990, memory_gb=141, catalogue="h200-sxm", covered=False,
            covered_with_memory=True, note="2,256 GB"),
    Counted(what="26 Ascend 910C", chips=26, tflop_per_s=602, memory_gb=128, catalogue=None, covered=False,
            covered_with_memory=True,
            note="15.8 H100-equivalents as published need some 602 TFLOP/s a chip; with the 800 TFLOP/s that Epoch AI lists, "
            "26 are 21.0 and covered already"),
)  # fmt: skip
"""mechanisms.md G5, which was recomputed from the text of the agreement and of the amendment."""

RUN_CHIPS = (100_000, 10_000, 1_000, 100, 16, 1)
RUN_FLOP = (1e22, 1e24)
PUBLISHED_DAYS = {
    100_000: ("0.001", "0.1"), 10_000: ("0.012", "1.2"), 1_000: ("0.1", "11.7"), 100: ("1.2", "116.9"),
    16: ("7.3", "730.7"), 1: ("116.9", "11,691"),
}  # fmt: skip
PUBLISHED_SECONDS: dict[int, tuple[str, str]] = {
    100_000: ("1e2", "1e4"), 10_000: ("1e3", "1e5"), 1_000: ("1e4", "1e6"), 100: ("1e5", "1e7"), 1: ("1e7", "1e9"),
}  # fmt: skip
"""The range that the tables span, in powers of ten; 16 chips lie between two of them."""


@dataclass(frozen=True, kw_only=True)
class CountedRow:
    """A row of what is covered beside our own reckoning."""

    row: Counted
    h100_equivalents: float
    memory_bytes: float
    outcome: Outcome
    outcome_with_memory: Outcome
    catalogue_h100_equivalents: float | None
    catalogue_outcome: Outcome | None
    agrees: bool


@dataclass(frozen=True, kw_only=True)
class RunCell:
    """A cell of the tables on runs."""

    chips: int
    flop: float
    unit: str
    published: str | None
    here: float
    shown: str
    """Ours, rounded as the published figure is."""
    agrees: bool | None


def run_seconds(chips: int, flop: float, flop_per_s: float = EFFECTIVE_FLOP_PER_S) -> float:
    """How long `chips` take for `flop`."""
    return flop / (chips * flop_per_s)


def _source_chip(row: Counted) -> ChipModel:
    return ChipModel(id="as-the-source-counts", name=row.what, flop_per_s={"fp16": row.tflop_per_s * 1e12},
                     memory_bytes=row.memory_gb * 1e9, tdp_w=None, source="arXiv 2511.10783, 2605.29359")  # fmt: skip


def counted_rows() -> tuple[CountedRow, ...]:
    """What is covered: every published row, recomputed."""
    found = []
    for row in COUNTED:
        mass, memory = row.chips * micro_tpp(_source_chip(row)), round(row.chips * row.memory_gb * 1e9)
        now, then = outcome_of(CURRENT, mass, memory, 0), outcome_of(WITH_MEMORY, mass, memory, 0)
        ours = None if row.catalogue is None else row.chips * micro_tpp(chip_catalogue()[row.catalogue])
        found.append(
            CountedRow(
                row=row,
                h100_equivalents=float(h100_equivalents(mass)),
                memory_bytes=memory,
                outcome=now,
                outcome_with_memory=then,
                catalogue_h100_equivalents=None if ours is None else float(h100_equivalents(ours)),
                catalogue_outcome=None if ours is None else outcome_of(CURRENT, ours, memory, 0),
                agrees=(now is Outcome.COVERED) == row.covered
                and row.covered_with_memory in {None, then is Outcome.COVERED},
            )
        )
    return tuple(found)


def run_cells() -> tuple[RunCell, ...]:
    """Days and seconds of runs: every published cell, recomputed."""
    found = []
    for chips in RUN_CHIPS:
        for place, flop in enumerate(RUN_FLOP):
            seconds = run_seconds(chips, flop)
            days = PUBLISHED_DAYS[chips][place]
            shown = _rounded_as(days, seconds / 86_400)
            found.append(RunCell(chips=chips, flop=flop, unit="days", published=days, here=seconds / 86_400, shown=shown,
                                 agrees=shown == days))  # fmt: skip
            power = PUBLISHED_SECONDS.get(chips, (None, None))[place]
            ours = f"1e{round(math.log10(seconds))}" if power else f"{seconds:.2g}"
            found.append(RunCell(chips=chips, flop=flop, unit="seconds", published=power, here=seconds, shown=ours,
                                 agrees=None if power is None else ours == power))  # fmt: skip
    return tuple(found)


def _rounded_as(published: str, value: float) -> str:
    """A value with as many decimals as a published figure has."""
    decimals = len(published.partition(".")[2])
    return f"{value:,.{decimals}f}"
