"""Decisions of a ruleset per second of one core, beside the two CEL libraries: `python bench/rulesets.py`.

One decision asks ten rules at one point. The libraries evaluate the same ten expressions, compiled beforehand. Inputs change
from one decision to the next, so the Rust library takes them over once for each; for cel-python they are of its own types
before the clock starts. Ours checks the type and range of every input as well. Ratios are of CPU seconds in one process and
one run, the median of several rounds taken in turn. Exits 1 where a target is missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import cel
import celpy
from celpy import celtypes
from rich.console import Console
from rich.table import Table

from inspectorate.mechanisms.guarantee.rulesets.rules import RuleBook
from inspectorate.mechanisms.guarantee.rulesets.types import (
    Act,
    Consequence,
    Limits,
    Outlet,
    Point,
    Quorum,
    Rule,
    Ruleset,
)
from inspectorate.mechanisms.guarantee.signing import SignerKey
from inspectorate.quantities import Period

DECISIONS_PER_S_MIN = 5_000
RATIO_MIN = 1.0
DECISIONS = 20_000
ROUNDS = 5
AT = datetime(2026, 12, 1, tzinfo=UTC)

INPUTS: Mapping[str, bool | int | float | str] = {
    "hour_utc": 12,
    "in_flight": 3,
    "remaining_flop": 1e18,
    "remaining_bytes_out": 5e9,
    "licence_expires_in_s": 86_400.0,
    "path": "/v1/completions",
    "model": "small",
    "request_bytes": 900,
    "tokens_in_max": 700,
    "tokens_max": 256,
    "requests_today": 120,
}

RULES: tuple[tuple[str, str], ...] = (
    ("request_bytes <= 4096", "request_bytes"),
    ("tokens_in_max + tokens_max <= 2048", "tokens_in_max tokens_max"),
    ("in_flight < 8", "in_flight"),
    ("requests_today < 10000 || hour_utc < 6", "requests_today hour_utc"),
    ("path in ['/v1/completions', '/v1/chat/completions']", "path"),
    ("model == 'small' || model == 'medium'", "model"),
    ("remaining_flop >= 2e12 * double(tokens_in_max + tokens_max)", "remaining_flop tokens_in_max tokens_max"),
    ("remaining_bytes_out > 65536.0", "remaining_bytes_out"),
    ("licence_expires_in_s > 60.0 && remaining_flop > 0.0", "licence_expires_in_s remaining_flop"),
    ("hour_utc >= 6 && hour_utc < 22 ? tokens_max <= 512 : tokens_max <= 128", "hour_utc tokens_max"),
)


def ruleset() -> Ruleset:
    """One signer, and the ten rules."""
    rules = tuple(
        Rule(
            id=f"rule-{place}",
            at=Point.REQUEST,
            must=must,
            reads=tuple(reads.split()),
            otherwise=Consequence.REFUSE,
            title=must,
        )
        for place, (must, reads) in enumerate(RULES)
    )
    return Ruleset(
        id="bench",
        version=1,
        valid=Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2028, 1, 1, tzinfo=UTC)),
        signers=(SignerKey(bytes(range(64))).signer("one"),),
        quorums={act: Quorum(k=1, of=("one",)) for act in Act},
        baseline=rules,
        limits=Limits(
            in_bytes_per_s_max=1e6,
            out_bytes_per_s_max=1e6,
            burst_bytes_max=1e6,
            request_bytes_max=4096,
            response_bytes_max=65_536,
            concurrent_max=8,
        ),
        sampled_share=0.1,
        outlet=Outlet(report_every_s=3600.0, bits_per_day_max=4096.0),
    )


def rate(decide: Callable[[], bool], count: int) -> float:
    """Decisions per CPU second. Every decision must say yes."""
    start = time.process_time()
    for _ in range(count):
        assert decide()
    return count / (time.process_time() - start)


def main() -> int:
    book = RuleBook(ruleset())
    common = [cel.compile(must) for must, _ in RULES]
    environment = celpy.Environment()
    pure = [environment.program(environment.compile(must)) for must, _ in RULES]
    kinds = {int: celtypes.IntType, float: celtypes.DoubleType, str: celtypes.StringType, bool: celtypes.BoolType}
    given = {name: kinds[type(value)](value) for name, value in INPUTS.items()}

    def by_common() -> bool:
        context = cel.Context(variables=dict(INPUTS))
        return all(program.execute(context) for program in common)

    ways: tuple[tuple[Callable[[], bool], int], ...] = (
        (lambda: not book.decide(Point.REQUEST, INPUTS, at=AT), DECISIONS),
        (by_common, DECISIONS),
        (lambda: all(program.evaluate(given) for program in pure), DECISIONS // 200),
    )
    rounds = [[rate(decide, count) for decide, count in ways] for _ in range(ROUNDS)]
    ours, of_common, of_pure = (statistics.median(one) for one in zip(*rounds, strict=True))
    table = Table("decisions of ten rules", "1/s of one core", "ours is", "target")
    table.add_row("ours", f"{ours:,.0f}", "", f">= {DECISIONS_PER_S_MIN:,}")
    table.add_row(
        "common-expression-language (Rust)", f"{of_common:,.0f}", f"{ours / of_common:.1f}x", f">= {RATIO_MIN:g}x"
    )
    table.add_row("cel-python", f"{of_pure:,.0f}", f"{ours / of_pure:.1f}x", f">= {RATIO_MIN:g}x")
    Console().print(table)
    return 0 if ours >= DECISIONS_PER_S_MIN and ours >= RATIO_MIN * max(of_common, of_pure) else 1


if __name__ == "__main__":
    sys.exit(main())
