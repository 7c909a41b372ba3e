"""Fuzz the tables that a keeper hands over: python tests/custody/fuzz_register.py -max_total_time=300

The first byte chooses the reader: a register, a list of serials, a wiring, an inventory (CSV or Parquet), a list of lines; above
that, a change whose payload is the input is read and judged. Anything but an `InspectorateError` from a reader, and any exception
from the judge, is a finding.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from register_histories import DAY, START, Writer, chip, terms

    from inspectorate.errors import InspectorateError
    from inspectorate.evidence.custody import ChipState
    from inspectorate.mechanisms.custody.register import read_register, read_serials, read_wiring
    from inspectorate.mechanisms.custody.register.inventory import read_inventory, read_serial_lines, read_wiring_csv
    from inspectorate.mechanisms.custody.register.judge import judge

READERS = (
    lambda data: read_register(data, "fuzz"),
    lambda data: read_serials(data, "fuzz"),
    lambda data: read_wiring(data, "fuzz"),
    lambda data: read_inventory(data, where="fuzz"),
    lambda data: read_serial_lines(data, where="fuzz"),
    lambda data: read_wiring_csv(data, where="fuzz"),
)


def one_input(data: bytes) -> None:
    """Read or judge `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    if way < b"\x80":
        with contextlib.suppress(InspectorateError):
            READERS[way[0] % len(READERS)](rest)
        return
    writer = Writer()
    writer.hand([chip("S1"), chip("S2")], START + DAY)
    writer.report(["S1"], ChipState.BROKEN, START + 2 * DAY)
    writer.hand([chip("S1")], START + 3 * DAY)
    books = writer.books()
    with contextlib.suppress(InspectorateError):
        if way < b"\xc0":
            books = replace(
                books, handed=(books.handed[0], replace(books.handed[1], register=read_register(rest, "fuzz")))
            )
        else:
            books = replace(books, changes=(replace(books.changes[0], serials=read_serials(rest, "fuzz")),))
    judge(books, terms(START + 4 * DAY))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
