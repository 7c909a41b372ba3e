"""Fuzz what reads traces, accounts and logs of rooms: python tests/inspection/fuzz_flop_room.py -max_total_time=600

The first byte chooses the reader. What a reader takes must be written back to the same bytes; anything but `EvidenceError` is a
finding, and the judges of accounts and logs must raise nothing at all.
"""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC, datetime, timedelta

import atheris

with atheris.instrument_imports(include=["inspectorate"]):
    from inspectorate.agreement import AccountedFlop, load_agreement
    from inspectorate.agreement.clauses import ClauseKind
    from inspectorate.declaration import parse_declaration
    from inspectorate.errors import EvidenceError
    from inspectorate.evidence import FlopAccounted, Origin
    from inspectorate.mechanisms.inspection.flop.judge import check_account
    from inspectorate.mechanisms.inspection.flop.tracefile import parse_trace, totals
    from inspectorate.mechanisms.inspection.room.check import check_room_log
    from inspectorate.quantities import Period

START = datetime(2026, 1, 1, tzinfo=UTC)
PREDICATE = FlopAccounted(
    origin=Origin.RECORDED, by="inspector-1", claim="c", run="r", period=Period(start=START, end=START + timedelta(days=1)),
    flop_min=0.0, flop_max=1.0, sources=("time",), accounted_at=START + timedelta(days=1),
)  # fmt: skip
AGREEMENT = load_agreement("asi-agreement")
CLAUSE = AccountedFlop(kind=ClauseKind.ACCOUNTED_FLOP, sources_min=2, disagreement_share_max=0.05)
DECLARATION = parse_declaration(
    b'{"id":"d","party":"party-b","period":{"end":"2026-01-03T00:00:00Z","start":"2026-01-01T00:00:00Z"},"sites":[{"clusters":'
    b'[{"id":"c","pods":[{"chips":[{"count":8,"model":"h100-sxm"}],"id":"pod-a","networks":["10.0.0.0/24"]}]}],"id":"s",'
    b'"location":"here"}]}',
    where="fuzz",
)


def one_input(data: bytes) -> None:
    """Read `data` as what its first byte says."""
    way, rest = data[:1], data[1:]
    if way < b"\x55":
        with contextlib.suppress(EvidenceError):
            read = parse_trace(rest, where="fuzz")
            assert read.canonical_bytes() == rest
            totals(read)
    elif way < b"\xaa":
        assert check_account(PREDICATE, rest, agreement=AGREEMENT, clause=CLAUSE, declaration=DECLARATION)
    else:
        found = check_room_log(rest)
        assert found.closed is not None or not found.sound


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
