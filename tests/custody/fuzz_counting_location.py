"""Fuzz what comes from outside in counts and locations: python tests/custody/fuzz_counting_location.py -max_total_time=300

The first byte chooses the reader: checklist, page, promise, randomness, round trips, a landmark's file, paper, an answer, a
question. Above that, a draw, a count or a statement of round trips is judged whose payload is the input. Anything but an
`InspectorateError` from a reader, and any exception from a judge, is a finding.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from counting_cases import Count
    from location_cases import BELIEVED, DEVICE, Stated

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.custody.counting.checklist import Reading, parse_checklist, read_page, read_paper
    from inspectorate.mechanisms.custody.counting.held import check_held
    from inspectorate.mechanisms.custody.counting.judge import Statements, check_draw
    from inspectorate.mechanisms.custody.counting.selection import parse_promise, parse_randomness
    from inspectorate.mechanisms.custody.location.judge import check_round_trips
    from inspectorate.mechanisms.custody.location.protocol import answer, read_answer
    from inspectorate.mechanisms.custody.location.record import parse_round_trips, read_round_trips

READERS = (parse_checklist, read_page, parse_promise, parse_randomness, parse_round_trips, read_round_trips)
COUNT = Count()
ASKED = COUNT.asked()
HANDED, PROMISED = COUNT.handed(), COUNT.promised()


def one_input(data: bytes) -> None:
    """Read or judge `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    if way < b"\x60":
        with contextlib.suppress(InspectorateError):
            READERS[way[0] % len(READERS)](rest, where="fuzz")
    elif way < b"\x80":
        with contextlib.suppress(InspectorateError):
            read_paper(rest, drawn=ASKED.digest, blind=True, reading=Reading.LABEL, where="fuzz")
    elif way < b"\x90":
        reply = answer(DEVICE, rest)
        assert reply is None or len(reply) == len(rest)
        read_answer(rest)
    elif way < b"\xb0":
        case = Count()
        drawn = case.drawn(case.handed(), randomness=rest)
        statements = Statements(register=HANDED, drawn=drawn, promise=PROMISED)
        assert check_draw(statements, payload=lambda wanted: {**COUNT.payloads, **case.payloads}[wanted]).asked is None
    elif way < b"\xd8":
        held = check_held(ASKED, [COUNT.held(ASKED, rest)], payload=COUNT.payload)
        assert held.faults
    else:
        stated = Stated()
        check_round_trips(stated.statement(rest), payload=stated.payload, believed=BELIEVED)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
