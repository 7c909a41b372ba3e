"""Reading figures: every fault named with file, row and remedy; what repeats is counted once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import InputError
from inspectorate.mechanisms.custody.supply import FigureKind, read_declared, read_epoch, read_own
from inspectorate.mechanisms.custody.supply.checks import checked
from inspectorate.mechanisms.custody.supply.epoch import role_of
from inspectorate.mechanisms.custody.supply.figures import IssueKind
from inspectorate.mechanisms.custody.supply.own import COLUMNS, day_of, declared_kind

HEADER = ",".join(COLUMNS)
GOOD = "produced,Nvidia,H100,,2025-01-01,2025-03-31,400,450,500,"


def own(*rows: str, where: str = "own.csv"):  # type: ignore[no-untyped-def]
    return read_own("\n".join((HEADER, *rows)).encode(), where)


def test_rows_are_read_and_named_by_file_and_row() -> None:
    figures = own(GOOD, "sold,Nvidia,h200-sxm,China,2025-01-01,2025-03-31,1,2,3,1.0")
    made, sold = figures.rows
    assert (made.kind, made.chip, made.quarter, made.where) == (
        FigureKind.PRODUCED,
        "H100/H200",
        "2025Q1",
        "own.csv row 2",
    )
    assert made.h100_equivalents_each == pytest.approx(1, rel=1e-3)
    assert (sold.owner, sold.chip) == ("China", "H100/H200")


def test_a_yaml_list_says_the_same() -> None:
    text = (
        "- {kind: produced, designer: Nvidia, chip: H100, start: 2025-01-01, end: 2025-03-31, "
        "low: 400, median: 450, high: 500}\n"
    )
    assert read_own(text.encode(), "own.yaml").rows[0].units == own(GOOD).rows[0].units
    for bad in ("a: 1", "- 3", "- {kind: produced, other: x}", "- &a {kind: b}\n- *a", "- [", "[]"):
        with pytest.raises(InputError):
            read_own(bad.encode(), "own.yaml")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,400,-450,500,", "median is negative"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,500,450,400,", "out of order"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,400,4.5e12,5e12,", "counted in pieces"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,0.4,450,500,", "is a unit wrong"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,400,many,500,", "no number"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,400,,500,", "median is missing"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,400,450,,", "high is missing"),
        ("produced,Nvidia,H100,,2025-03-31,2025-01-01,400,450,500,", "ends before"),
        ("produced,Nvidia,H100,,spring,2025-01-01,400,450,500,", "no day"),
        ("produced,Nvidia,H100,China,2025-01-01,2025-03-31,400,450,500,", "has an owner"),
        ("sold,Nvidia,H100,,2025-01-01,2025-03-31,400,450,500,", "has an owner"),
        ("made,Nvidia,H100,,2025-01-01,2025-03-31,400,450,500,", "write produced or sold"),
        ("produced,,H100,,2025-01-01,2025-03-31,400,450,500,", "needs a designer"),
        ("produced,Maker,Mystery,,2025-01-01,2025-03-31,400,450,500,", "not in the catalogue"),
        ("produced,Nvidia,H100,,2025-01-01,2025-03-31,nan,450,500,", "missing"),
    ],
)
def test_every_fault_of_a_row_is_named(row: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        own(GOOD, row)
    assert caught.value.where == "own.csv"
    assert "row 3" in caught.value.problem
    assert caught.value.remedy


def test_a_bare_number_is_widened_and_said() -> None:
    figures = own("produced,Nvidia,H100,,2025-01-01,2025-03-31,,450,,")
    assert (figures.rows[0].units.low, figures.rows[0].units.high) == (300, 675)
    assert [issue.kind for issue in figures.issues] == [IssueKind.NO_RANGE]


def test_repetition_units_and_owners_are_reported() -> None:
    sold = "sold,Nvidia,H100,{},2025-01-01,2025-03-31,{},{},{},{}"
    figures = checked(own(GOOD, GOOD, sold.format("A", 500, 600, 700, ""), sold.format("B", 1, 2, 3, 12.0)))
    found = {issue.kind: issue for issue in figures.issues}
    assert found.keys() == {IssueKind.DUPLICATE, IssueKind.UNIT, IssueKind.OWNERS_ABOVE_DESIGNER}
    assert (found[IssueKind.DUPLICATE].where, "row 2" in found[IssueKind.DUPLICATE].what) == ("own.csv row 3", True)
    assert found[IssueKind.UNIT].where == "own.csv row 5"
    assert "602 of 450" in found[IssueKind.OWNERS_ABOVE_DESIGNER].what
    assert len(figures.rows) == 3
    few = checked(own(GOOD, sold.format("A", 90, 100, 110, "")))
    assert [issue.kind for issue in few.issues] == [IssueKind.OWNERS_BELOW_DESIGNER]


def test_what_is_declared() -> None:
    found = read_declared(b"chip,owner,units\nh100-sxm,,10\nh200-sxm,,5\nTPU v6e,Google,3\n", "d.csv")
    assert found == {("H100/H200", None): 15, ("TPU v6e", "Google"): 3}
    assert declared_kind("a100-40") == declared_kind("A100") == "A100"
    with pytest.raises(InputError, match="negative"):
        read_declared(b"chip,owner,units\nH100,,-1\n", "d.csv")
    with pytest.raises(InputError, match="no rows"):
        read_declared(b"chip,owner,units\n", "d.csv")
    with pytest.raises(InputError, match="needs the columns"):
        read_declared(b"chip,units\nH100,1\n", "d.csv")


def test_days_in_three_forms() -> None:
    assert day_of("2025-03-31", "x") == day_of("3/31/2025", "x") == day_of("3/31/25", "x")


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=60)
def test_bytes_from_anywhere_are_read_or_refused(data: bytes, after_header: bool) -> None:
    for name in ("own.csv", "own.yaml"):
        try:
            read_own(HEADER.encode() + b"\n" + data if after_header else data, name)
        except InputError:
            continue


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=0x2FF))
@settings(max_examples=40)
def test_a_changed_character_is_read_or_refused(place: int, character: str) -> None:
    with contextlib.suppress(InputError):
        figures = own(GOOD[:place] + character + GOOD[place + 1 :])
        assert all(0 <= one.units.low <= one.units.high < 1e11 for one in figures.rows)


# --- Epoch AI's tables -------------------------------------------------------------------------------------------------

EPOCH = (
    "Name,Chip manufacturer,Start date,End date,Compute estimate in H100e (median),Number of Units,"
    "Number of Units (5th percentile),Number of Units (95th percentile),Chip type"
)
QUARTER = "Q1 2025 - H100,Nvidia,1/1/2025,3/31/2025,450,450,400,500,H100"


def test_files_are_told_apart_by_their_names() -> None:
    assert role_of("csv_export_tpu_calendar_quarter_chip_timelines.csv") == "produced"
    assert role_of("csv_export_nvidia_fiscal_quarter_chip_timelines.csv") == "fiscal"
    assert role_of("owners_csv_export_amd_owners_quarters_by_chip.csv") == "sold"
    assert role_of("csv_export_amd_cumulative_by_chip.csv") == "total"
    assert role_of("csv_export_amd_cumulative_totals.csv") is None


def test_running_totals_are_left_out_and_held_against_their_quarters() -> None:
    name = "csv_export_x_chip_timelines.csv"
    total = "x cumulative through Q1 2025,Nvidia,1/1/2025,3/31/2025,900,900,800,1000,H100"
    files = {
        name: f"{EPOCH}\n{QUARTER}\n{total}\n".encode(),
        "csv_export_x_cumulative_by_chip.csv": f"{EPOCH}\n{total}\n".encode(),
        "notes.csv": b"a\n1\n",
    }
    read = read_epoch(files)
    assert len(read.figures.rows) == 1
    assert {issue.kind for issue in read.figures.issues} == {IssueKind.NOT_A_QUARTER, IssueKind.TOTAL}
    assert read.unused == ("notes.csv",)


def test_a_broken_table_is_refused_by_name_and_row() -> None:
    name = "csv_export_x_chip_timelines.csv"
    with pytest.raises(InputError, match=r"row 3: median is negative") as caught:
        read_epoch({name: f"{EPOCH}\n{QUARTER}\n{QUARTER.replace('450,450', '450,-450')}\n".encode()})
    assert caught.value.where == name
    with pytest.raises(InputError, match="no column"):
        read_epoch({name: b"Name\nx\n"})
    with pytest.raises(InputError, match="no table"):
        read_epoch({})


@pytest.mark.data
def test_the_real_tables(data: Path) -> None:
    folder = data / "epoch" / "ai_chip_counts"
    read = read_epoch({path.name: path.read_bytes() for path in folder.glob("*.csv")})
    made, sold = read.figures.of(FigureKind.PRODUCED), read.figures.of(FigureKind.SOLD)
    assert len(made) == 120
    assert {one.designer for one in made} == {"AMD", "Amazon", "Google", "Nvidia"}
    assert {"China", "Microsoft", "CoreWeave", "Other"} <= {one.owner for one in sold}
    kinds = {issue.kind for issue in read.figures.issues}
    # Running totals in a file of quarters; the TPU totals hold a quarter that lies before their own start; A100 by fiscal quarters
    # begin two months earlier.
    assert kinds == {IssueKind.NOT_A_QUARTER, IssueKind.TOTAL, IssueKind.UNIT, IssueKind.DIFFERS}
    assert sum(one.units.median for one in made if one.chip == "H100/H200") == 4_317_285
