"""Speed of licences: `python bench/licences.py`.

A licence with four meters and two of three signatures is judged; requests reserve and settle three meters while so many others are
open; a tick spends two. Rates are of CPU seconds, the median of several rounds. Exits 1 where a target is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from inspectorate.canonical import digest_of
from inspectorate.mechanisms.guarantee.licences.judge import judge_licence
from inspectorate.mechanisms.guarantee.licences.state import LicenceState, reserve, settle, spend
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Limits, Outlet, Quorum, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, SignerKey
from inspectorate.quantities import Period

ROUNDS = 5
OPEN = (0, 100, 1_000)
REQUESTS_PER_S_MIN = 1_000.0
"""Reserved and settled, with 1,000 others open: an order above what one gateway serves."""
START = datetime(2026, 11, 1, tzinfo=UTC)
DEVICE = digest_of(b"device")
VALID = Period(start=START, end=START + timedelta(days=7))
BUDGETS = {MeterKind.FLOP: 1e24, MeterKind.BYTES_OUT: 1e13, MeterKind.BYTES_IN: 1e13, MeterKind.WALL_S: 1e6}


def per_s(work: Callable[[], object], count: int) -> float:
    """Calls per CPU second, the median of several rounds."""
    rates = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(count):
            work()
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def made() -> tuple[Ruleset, SignedDocument]:
    keys = {name: SignerKey(bytes([number]) * 64) for number, name in enumerate(("ana", "bo", "chen"), start=1)}
    ruleset = Ruleset(
        id="rules",
        version=1,
        valid=VALID,
        signers=tuple(key.signer(name) for name, key in keys.items()),
        quorums=dict.fromkeys(Act, Quorum(k=2, of=tuple(keys))),
        baseline=(),
        limits=Limits(
            in_bytes_per_s_max=1e6,
            out_bytes_per_s_max=1e6,
            burst_bytes_max=1e6,
            request_bytes_max=10**6,
            response_bytes_max=10**6,
            concurrent_max=1000,
        ),
        sampled_share=0.0,
        outlet=Outlet(report_every_s=60, bits_per_day_max=1e6),
    )
    licence = Licence(
        id="one", device=DEVICE, sequence=1, valid=VALID, ruleset="rules", ruleset_version_min=1, budgets=BUDGETS
    )
    document = SignedDocument(kind=LICENCE_KIND, payload=licence.canonical_bytes(), signatures=())
    return ruleset, document.signed_by(keys["ana"]).signed_by(keys["bo"])


def main() -> int:
    ruleset, document = made()
    at = START + timedelta(hours=1)

    def judged() -> LicenceState:
        state = judge_licence(LicenceState(), document, device=DEVICE, ruleset=ruleset, at=at).state
        assert state is not None, "it is a good licence"
        return state

    table = Table("name", "1/s", "target")
    table.add_row("judge a licence, two signatures of two keys each", f"{per_s(judged, 200):,.0f}", "")
    state, rate = judged(), 0.0
    for count in OPEN:
        while len(state.tickets) < count:
            state = reserve(state, {MeterKind.FLOP: 1e12}, at=at).state

        def request() -> None:
            nonlocal state
            asked = {MeterKind.FLOP: 1e12, MeterKind.BYTES_OUT: 1e5, MeterKind.BYTES_IN: 1e4}
            taken = reserve(state, asked, at=at)
            assert taken.ticket is not None, "the budgets are large"
            used = {MeterKind.FLOP: 5e11, MeterKind.BYTES_OUT: 4e4, MeterKind.BYTES_IN: 1e3}
            state = settle(taken.state, taken.ticket, used, at=at).state

        rate = per_s(request, 1_000)
        target = f">= {REQUESTS_PER_S_MIN:,.0f}" if count == OPEN[-1] else ""
        table.add_row(f"reserve and settle a request, {count:,} open", f"{rate:,.0f}", target)

    def tick() -> None:
        nonlocal state
        state = spend(state, {MeterKind.WALL_S: 0.1, MeterKind.FLOP: 1e13}, at=at).state

    table.add_row("spend two meters", f"{per_s(tick, 1_000):,.0f}", "")
    Console().print(table)
    return 0 if rate >= REQUESTS_PER_S_MIN else 1


if __name__ == "__main__":
    sys.exit(main())
