"""Fuzz what the other side can send: python tests/heard/fuzz_roster.py -max_total_time=300

The first byte chooses the parser: list, openings, promise, randomness, schedule, attendance, a table of people, a kept
roster; above that, a roster, a draw or an opening is judged whose payload is the input. Anything but an
`InspectorateError` from a parser, and any exception from a judge, is a finding.
"""

from __future__ import annotations

import contextlib
import sys
from datetime import timedelta
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from roster_cases import START, Round

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.interviews.roster.judge import Statements, check_draw
    from inspectorate.mechanisms.interviews.roster.listed import parse_openings, parse_roster_list
    from inspectorate.mechanisms.interviews.roster.opening import check_opening
    from inspectorate.mechanisms.interviews.roster.people import parse_kept, read_rows
    from inspectorate.mechanisms.interviews.roster.selection import parse_promise, parse_randomness
    from inspectorate.mechanisms.interviews.roster.visits import parse_attendance, parse_schedule

PARSERS = (
    parse_roster_list, parse_openings, parse_promise, parse_randomness, parse_schedule, parse_attendance, read_rows, parse_kept,
)  # fmt: skip
CASE = Round()
FAIR = CASE.statements()
ASKED = check_draw(FAIR, payload=CASE.payload).asked
assert ASKED is not None


def one_input(data: bytes) -> None:
    """Parse or judge `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    if way < b"\x80":
        with contextlib.suppress(InspectorateError):
            PARSERS[way[0] % len(PARSERS)](rest, where="fuzz")
        return
    case = Round()
    if way < b"\xc0":
        roster = case.committed(rest)
        drawn = case.drawn(roster, drawn=(0,), randomness=rest)
        judged = check_draw(Statements(roster=roster, drawn=drawn, promise=FAIR.promise), payload=case.payload)
        assert judged.faults
        assert judged.asked is None
        return
    assert ASKED is not None
    answer = case.opened(FAIR.drawn, ASKED.drawn.drawn, openings=rest)
    opened = check_opening(ASKED, [answer], payload=case.payload, as_of=START + timedelta(days=9))
    assert opened.faults or set(opened.people) == set(ASKED.drawn.drawn)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
