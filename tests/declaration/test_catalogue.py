"""The chip catalogue: its own rules, and an independent table of the same chips."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from inspectorate.agreement import load_agreement
from inspectorate.declaration import ChipModel, chip_catalogue
from inspectorate.declaration.catalogue import FORMAT_BITS

CHIPS = chip_catalogue()

COLUMNS = {
    "fp32": "FP32 (single precision) performance (FLOP/s)",
    "tf32": "TF32 (TensorFloat-32) performance (FLOP/s)",
    "fp16": "Tensor-FP16/BF16 performance (FLOP/s)",
    "bf16": "Tensor-FP16/BF16 performance (FLOP/s)",
    "int8": "INT8 performance (OP/s)",
    "fp8": "FP8 performance (FLOP/s)",
    "fp4": "FP4 performance (FLOP/s)",
    "memory": "Memory size per board (Byte)",
    "tdp": "TDP (W)",
}
OTHER_NAMES = {"h100-sxm": "NVIDIA H100 SXM5 80GB"}
NOT_IN_TABLE = {"x86-64-core-avx512": "one core of a processor, bounded from its instruction set"}
FP8_OF_THE_MAKER = {
    "h100-sxm", "h100-pcie", "h200-sxm", "h800-sxm", "h20", "gh200", "l40", "l4", "rtx-4090", "mi300x",
}  # fmt: skip
ONLY_IN_CATALOGUE = {
    "fp8 at twice FP16": ("fp8", FP8_OF_THE_MAKER),
    "memory from the maker": ("memory", {"h100-pcie", "h200-sxm"}),
    "FP4 from the maker": ("fp4", {"b200", "b300"}),
}  # fmt: skip
"""Figures that the table leaves blank, with the reason for having them."""


def table(data: Path) -> dict[str, dict[str, str]]:
    with (data / "epoch" / "chips.csv").open(newline="", encoding="utf-8") as file:
        return {row["Hardware name"]: row for row in csv.DictReader(file)}


def figures(chip: ChipModel) -> dict[str, float | None]:
    return {**chip.flop_per_s, "memory": chip.memory_bytes, "tdp": chip.tdp_w}


@pytest.mark.data
@pytest.mark.parametrize("chip", [c for c in CHIPS.values() if c.id not in NOT_IN_TABLE], ids=lambda chip: chip.id)
def test_every_figure_agrees_with_an_independent_table_within_one_per_cent(chip: ChipModel, data: Path) -> None:
    row = table(data)[OTHER_NAMES.get(chip.id, chip.name)]
    compared = 0
    for what, figure in figures(chip).items():
        if figure is None:
            continue
        excused = any(what == kind and chip.id in chips for kind, chips in ONLY_IN_CATALOGUE.values())
        if excused:
            assert not row[COLUMNS[what]], f"{what} of {chip.id} is in the table now: compare it"
            continue
        assert figure == pytest.approx(float(row[COLUMNS[what]]), rel=0.01), what
        compared += 1
    assert compared >= 2


@pytest.mark.data
def test_no_chip_counts_for_less_than_the_independent_table_says(data: Path) -> None:
    """Leaving out a fast format would make a capacity too low."""
    terms = load_agreement("asi-agreement")
    rows = table(data)
    for chip in CHIPS.values():
        if chip.id in NOT_IN_TABLE:
            continue
        row = rows[OTHER_NAMES.get(chip.id, chip.name)]
        listed = [float(row[COLUMNS[name]]) for name in terms.counted_formats if row[COLUMNS[name]]]
        assert chip.peak_flop_per_s(terms.counted_formats) >= 0.99 * max(listed)


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_every_chip_has_a_source_and_known_formats(chip: ChipModel) -> None:
    assert set(chip.flop_per_s) <= set(FORMAT_BITS)
    assert len(chip.source) > 20
    assert all(1e9 < rate < 1e17 for rate in chip.flop_per_s.values())


@pytest.mark.parametrize(
    ("chip", "tpp"),
    [
        ("h100-sxm", 1979 * 8),
        ("h200-sxm", 1979 * 8),
        ("a100-80", 624 * 8),
        ("h20", 296 * 8),
        ("tpu-v6e", 1836 * 8),
        ("v100-sxm2", 125 * 16),
        ("mi300x", 2614.9 * 8),
    ],
)
def test_total_processing_performance(chip: str, tpp: float) -> None:
    assert CHIPS[chip].tpp == pytest.approx(tpp)


def test_an_h100_is_one_h100_equivalent() -> None:
    assert CHIPS["h100-sxm"].h100_equivalents == pytest.approx(1.0, rel=1e-3)


def test_examples_of_covered_clusters_are_covered() -> None:
    """Art. II para. 16 names 32 TPU v6e and three servers of eight H100 as examples above 16 H100-equivalents."""
    assert 32 * CHIPS["tpu-v6e"].h100_equivalents > 16
    assert 24 * CHIPS["h100-sxm"].h100_equivalents > 16
    assert 16 * CHIPS["h100-sxm"].h100_equivalents <= 16


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (("fp16",), 989.4e12),
        (("fp16", "fp8"), 1979e12),
        (("fp8", "fp16"), 1979e12),
        (("fp4",), 1979e12),
        ((), 1979e12),
    ],
    ids=["one", "the higher", "in any order", "none of its own: its best", "no format: its best"],
)
def test_peak_rate_is_the_highest_counted(formats: tuple[str, ...], expected: float) -> None:
    assert CHIPS["h100-sxm"].peak_flop_per_s(formats) == expected


def test_the_catalogue_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        CHIPS["h100-sxm"] = CHIPS["l4"]  # type: ignore[index]
