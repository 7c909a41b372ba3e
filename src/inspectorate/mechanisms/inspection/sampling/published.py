"""Every published number on sampling, beside ours and the form that gives it.

Sources: Shavit 2023 (arXiv 2303.11341), table 1, appendix C.1; published figures on recomputing packets (share 1 %,
packets of 100 H100-hours); Hanley & Lippman-Hand 1983.

What does not agree is listed as it is: the paper's text states the exact form and its table follows the first-order
one; one cell of the table belongs to a run that cannot finish; one figure of H100-days is printed 0.2 % too high.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from inspectorate.mechanisms.inspection.sampling.audit import rule_of_three
from inspectorate.mechanisms.inspection.sampling.packets import Recomputation
from inspectorate.mechanisms.inspection.sampling.shavit import (
    DAYS_OF_YEAR,
    Fleet,
    chip_days,
    samples,
    stretching_loss,
)
from inspectorate.statistics.sampling import detection_over_rounds

PROBABILITY: Final = 0.9
RUN_DAYS: Final = 30.0
LOGS_PER_DAY: Final = 0.1
FLOP_PER_DAY: Final = 1e15 * 86_400
"""Of an H100 in the paper's table 1."""
CHIPS: Final = (1e3, 1e5, 1e7)

TABLE_1: Final[tuple[tuple[str, float, tuple[str | None, ...], str, str], ...]] = (
    ("GPT-3", 3.14e23, ("243", "2.43e4", "2.43e6"), "3.64e3", "10"),
    ("Chinchilla", 5.76e23, ("132", "1.33e4", "1.33e6"), "6.67e3", "19"),
    ("PaLM", 2.56e24, ("29", "2.98e3", "2.99e5"), "2.96e4", "82"),
    ("Chinchilla-280B", 9.9e24, ("7", "771", "7.72e4"), "1.15e5", "314"),
    ("Chinchilla-1T", 1.27e26, (None, "60", "6.02e3"), "1.47e6", "4.03e3"),
    ("Chinchilla-10T", 1.3e28, (None, None, "58"), "1.5e8", "4.12e5"),
)
"""Run, FLOP, samples a year for 1e3, 1e5 and 1e7 chips, H100-days, chips for a run of a year."""
EXACT: Final = {
    ("GPT-3", 1e3): 229.0, ("GPT-3", 1e5): 24_323.0, ("Chinchilla", 1e3): 118.0, ("Chinchilla", 1e5): 13_253.0,
    ("PaLM", 1e3): 10.0, ("PaLM", 1e5): 2_971.0, ("Chinchilla-280B", 1e5): 758.0, ("Chinchilla-1T", 1e5): 44.7,
    ("Chinchilla-1T", 1e7): 6_003.0, ("Chinchilla-10T", 1e7): 43.3,
}  # fmt: skip
"""The form of the paper's text, which its table does not print, evaluated by other hands before this code was
written."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A published number beside ours."""

    source: str
    what: str
    published: str
    here: str
    form: str
    agrees: bool


def three_digits(value: float) -> str:
    """Three significant digits, as the table prints them: 2.43e4."""
    return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")


def as_printed(value: float) -> str:
    """Cut to whole samples first, then three significant digits: that form gives all cells of the table."""
    return three_digits(math.floor(value))


def rows() -> tuple[Row, ...]:
    """All published numbers, in order."""
    return (*_table_1(), *_exact(), _stretching(), *_packets(), *_audit())


def fleet_of(chips: float) -> Fleet:
    """The fleet of the paper's table 1."""
    return Fleet(
        chips=chips, flop_per_day=FLOP_PER_DAY, run_days=RUN_DAYS, period_days=RUN_DAYS, logs_per_day=LOGS_PER_DAY
    )


def _table_1() -> list[Row]:
    found: list[Row] = []
    for name, flop, cells, days, year in TABLE_1:
        for chips, printed in zip(CHIPS, cells, strict=True):
            counted = samples(fleet_of(chips), flop, PROBABILITY)
            label = f"{name}, {three_digits(chips)} chips: samples a year"
            if counted.annual_first_order is not None:
                here = as_printed(counted.annual_first_order)
                found.append(_row("2303.11341 table 1", label, printed or "-", here, "first order, cut"))
                continue
            # What the form gives although the run cannot finish: the paper prints it once.
            value = -math.log1p(-PROBABILITY) / counted.seen_share * DAYS_OF_YEAR / RUN_DAYS
            note = f"infeasible: needs {counted.busy_share:.3g} times the fleet"
            note += f" (the form gives {as_printed(value)})" if printed else ""
            found.append(Row(source="2303.11341 table 1", what=label, published=printed or "-", here=note,
                             form="flag: b > 1", agrees=printed is None))  # fmt: skip
        spent = chip_days(flop, FLOP_PER_DAY)
        found.append(_row("2303.11341 table 1", f"{name}: H100-days", days, three_digits(spent), "H/a"))
        yearly = three_digits(math.ceil(spent / DAYS_OF_YEAR))
        found.append(_row("2303.11341 table 1", f"{name}: chips for a year", year, yearly, "H/(365 a), up"))
    return found


def _exact() -> list[Row]:
    found: list[Row] = []
    flops = {name: flop for name, flop, *_ in TABLE_1}
    for (name, chips), value in EXACT.items():
        here = samples(fleet_of(chips), flops[name], PROBABILITY).annual_exact
        assert here is not None
        label = f"{name}, {three_digits(chips)} chips: samples a year"
        digits = 1 if value < 100 and value % 1 else 0
        printed = f"{value:,.{digits}f}"
        found.append(_row("2303.11341 text", label, printed, f"{here:,.{digits}f}", "exact, ln/ln"))
    return found


def _stretching() -> Row:
    return _row(
        "2303.11341 C.1", "least p_d(k)/p for k <= 100, b <= 0.2", "0.970",
        f"{stretching_loss(0.2, 100, PROBABILITY):.3f}", "1-(1-b/k)^(ks)",
    )  # fmt: skip


def _packets() -> list[Row]:
    one, tenth = (Recomputation(share=share, packet_h100_hours=100) for share in (0.01, 0.001))
    source, form = "packets recomputed", "first order, 1-exp(-cN)"
    found = [
        _row(source, "10 H100 for a week", "15.46 %", f"{100 * one.detection(10, 168):.2f} %", form),
        _row(source, "100 H100 for a month (720 h)", "99.925 %", f"{100 * one.detection(100, 720):.3f} %", form),
        _row(source, "10,000 H100 for an hour", "63.212 %", f"{100 * one.detection(10_000, 1):.3f} %", form),
        _row(source, "1,000 H100 for an hour", "9.5 %", f"{100 * one.detection(1_000, 1):.1f} %", form),
        _row(source, "false packets for 99 %", "460", f"{math.floor(one.packets_for(0.99))}", "ln(100)/c, cut"),
    ]
    for size, printed in ((100, "46,000"), (10, "4,600"), (1, "460")):
        plan = Recomputation(share=0.01, packet_h100_hours=size)
        here = f"{math.floor(plan.packets_for(0.99)) * size:,}"
        found.append(_row(source, f"H100-hours for 99 %, packets of {size}", printed, here, "whole packets, cut"))
    # The published figure for a tenth of the share is ten times the first, and so is cut before it is multiplied.
    here = f"{math.floor(one.packets_for(0.99)) * 10 * 100:,}"
    found.append(_row(source, "H100-hours for 99 %, share 0.1 %", "460,000", here, "ten times that of 1 %"))
    exact = f"{math.floor(tenth.packets_for(0.99)) * 100:,}"
    found.append(Row(source=source, what="the same, not from that of 1 %", published="-", here=exact,
                     form="whole packets, cut", agrees=True))  # fmt: skip
    return found


def _audit() -> list[Row]:
    source = "audit bounds"
    return [
        _row(source, "dirty share after 300 clean", "1.0 %", f"{100 * rule_of_three(300):.1f} %", "3/n at 95 %"),
        _row(source, "dirty share after 10,000 clean", "0.03 %", f"{100 * rule_of_three(10_000):.2f} %", "3/n at 95 %"),
        _row(source, "5 % ten times", "40.1 %", f"{100 * detection_over_rounds(0.05, 10):.1f} %", "1-(1-r)^n"),
        _row(source, "10 % twenty times", "87.8 %", f"{100 * detection_over_rounds(0.1, 20):.1f} %", "1-(1-r)^n"),
    ]


def _row(source: str, what: str, published: str, here: str, form: str) -> Row:
    return Row(source=source, what=what, published=published, here=here, form=form, agrees=published == here)
