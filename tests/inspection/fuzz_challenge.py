"""Fuzz what the other side can send: python tests/inspection/fuzz_challenge.py -max_total_time=300

The first byte chooses the parser: randomness, promise, openings, a list of packets; above that, a draw or an opening is
judged whose payload is the input. Anything but an `InspectorateError` from a parser, and any exception from a judge, is
a finding.
"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent))

with atheris.instrument_imports(include=["inspectorate"]):
    from draw_cases import START, Exchange

    from inspectorate.errors import InspectorateError
    from inspectorate.mechanisms.inspection.challenge.judge import Statements, check_draw
    from inspectorate.mechanisms.inspection.challenge.opening import check_opening, parse_openings
    from inspectorate.mechanisms.inspection.challenge.payloads import parse_packet_list
    from inspectorate.mechanisms.inspection.challenge.promise import parse_promise, parse_randomness

PARSERS = (parse_randomness, parse_promise, parse_openings, parse_packet_list)


def one_input(data: bytes) -> None:
    """Parse or judge `data` as what its first byte says."""
    way, rest = data[:1] or b"\0", data[1:]
    if way < b"\x80":
        with contextlib.suppress(InspectorateError):
            PARSERS[way[0] % len(PARSERS)](rest, where="fuzz")
        return
    exchange = Exchange()
    if way < b"\xc0":
        commitment = exchange.committed(rest)
        judged = check_draw(
            Statements(
                commitment=commitment, drawn=exchange.drawn(commitment, randomness=rest), promise=exchange.promised()
            ),
            payload=exchange.payload,
        )
        assert judged.faults
        assert judged.asked is None
        return
    statements = exchange.statements()
    asked = check_draw(statements, payload=exchange.payload).asked
    assert asked is not None
    answer = exchange.opened(statements.drawn, asked.drawn.packets, openings=rest)
    check_opening(asked, [answer], payload=exchange.payload, as_of=START)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
