"""Fuzz files that figures and purposes are read from: python tests/custody/fuzz_supply.py -max_total_time=300

The first byte chooses the reader: own figures as CSV or YAML, declared stocks, one of Epoch AI's tables, purposes. Anything but an
`InputError` is a finding, and so is a figure out of its bounds.
"""

from __future__ import annotations

import contextlib
import sys

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.errors import InputError
    from inspectorate.mechanisms.custody.clusters.purposes import read_purposes
    from inspectorate.mechanisms.custody.supply import read_declared, read_epoch, read_own
    from inspectorate.mechanisms.custody.supply.own import COLUMNS
    from inspectorate.mechanisms.custody.supply.reference import UNITS_MAX


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    with contextlib.suppress(InputError):
        match way[0] % 6:
            case 0:
                figures = read_own(rest, "own.csv")
            case 1:
                figures = read_own(",".join(COLUMNS).encode() + b"\n" + rest, "own.csv")
            case 2:
                figures = read_own(rest, "own.yaml")
            case 3:
                assert all(0 <= units <= UNITS_MAX * 20_000 for units in read_declared(rest, "d.csv").values())
                return
            case 4:
                figures = read_epoch({"csv_export_x_chip_timelines.csv": rest}).figures
            case _:
                assert all(purpose.hosts for purpose in read_purposes(rest, "p.csv"))
                return
        assert all(0 <= one.units.low <= one.units.median <= one.units.high <= 2 * UNITS_MAX for one in figures.rows)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
