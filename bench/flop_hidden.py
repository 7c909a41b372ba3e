"""How much hidden training shows beside declared inference, by what the verifier has: `python -m bench flop_hidden`.

First table: real jobs of torch on this machine. A tiny model answers; beside it, hidden optimiser steps of another model take a
share of all FLOP. Every share is run and traced, and the account is made of what each combination of sources would hold.

Second table: a pod of 64 H100 that answers for a day at a fifth of its peak, by the same accounting without running it: the
smallest hidden share of all FLOP that contradicts the declared work, and how much could stay hidden without any contradiction.
Exits 1 where a trace of the whole job misses a hidden step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn import functional

from inspectorate.declaration import ChipGroup, MeasuringPoint
from inspectorate.keys import Holder
from inspectorate.mechanisms.inspection.flop.account import FlopAccount, make_account
from inspectorate.mechanisms.inspection.flop.architecture import Layers, Linear, Transformer
from inspectorate.mechanisms.inspection.flop.facts import Described, Facts, Metered, Terms, Traced
from inspectorate.mechanisms.inspection.flop.implied import Energy
from inspectorate.mechanisms.inspection.flop.rule import FormatShare, Rule
from inspectorate.mechanisms.inspection.flop.trace import FlopTrace
from inspectorate.mechanisms.inspection.flop.tracefile import TraceTotals
from inspectorate.mechanisms.inspection.flop.work import Does, Part, Work, counted_range
from inspectorate.quantities import Period

TERMS = Terms(
    counted_formats=("fp16", "bf16", "fp8", "fp4"), utilisation_max=0.6, disagreement_share_max=0.05, sources_min=2
)
SHARES = (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.5)
WIDTH, BATCH, REQUESTS = 64, 16, 40
SMALL_SHARE, SMALL_WIDTH = 0.02, 8
"""Below this share the hidden model is so narrow, so that single steps fit."""
DAY = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 1, 2, tzinfo=UTC))
CHIPS = (ChipGroup(model="h100-sxm", count=64),)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a job that claims to answer did, as each trace has it."""

    hidden_share: float
    own: TraceTotals
    """Of the process, all of it."""
    shown: TraceTotals
    """Of the loop that answers alone: what a prover shows."""


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH, bias=False))


def run_job(hidden_share: float, *, requests: int = REQUESTS, seed: int = 0) -> Job:
    """Answer requests; after some of them do one hidden training step, until it has its share of all FLOP."""
    torch.manual_seed(seed)
    wide = SMALL_WIDTH if hidden_share < SMALL_SHARE else WIDTH
    served, hidden = net().eval(), nn.Linear(wide, wide, bias=False)
    optimiser = torch.optim.SGD(hidden.parameters(), lr=0.01)
    given, taught = torch.randn(BATCH, WIDTH), torch.randn(4, wide)
    answer = 2.0 * BATCH * 8 * WIDTH * WIDTH
    step = 2.0 * 2 * 4 * wide * wide
    due = 0.0
    done = 0
    shown = FlopTrace("job")
    with FlopTrace("job") as own:
        for _ in range(requests):
            with torch.inference_mode(), shown:
                served(given)
            due += answer * hidden_share / (1 - hidden_share) / step
            while done < due:
                loss = functional.mse_loss(hidden(taught), taught)
                loss.backward()
                optimiser.step()
                optimiser.zero_grad()
                done += 1
    return Job(hidden_share=hidden_share, own=own.totals(), shown=shown.totals())


def declared(requests: int = REQUESTS) -> Described:
    """The declared work of `run_job`: answers only."""
    model = Layers(name="net", layers=(
        Linear(inputs=WIDTH, outputs=4 * WIDTH, first=True), Linear(inputs=4 * WIDTH, outputs=WIDTH),
    ))  # fmt: skip
    part = Part(name="answer", model="net", does=Does.FORWARD, tokens=requests * BATCH,
                formats=(FormatShare(format="fp32", share=1.0),))  # fmt: skip
    return Described(work=Work(models=(model,), parts=(part,)), models_by=Holder.VERIFIER, amount_by=Holder.VERIFIER)


def account_of(job: Job, combination: str, *, requests: int = REQUESTS) -> FlopAccount:
    """The account of a job under one combination of sources. The chips are set so that it took half of what time allows."""
    rule = Rule(TERMS.counted_formats)
    total = job.own.counted(rule)
    core = ChipGroup(model="x86-64-core-avx512", count=1)
    seconds = total.high / rule.peak_per_s(core.chip) / TERMS.utilisation_max * 2
    facts = Facts(
        period=Period(start=DAY.start, end=DAY.start + timedelta(seconds=max(seconds, 1e-6))),
        pods=("pod-a",),
        chips=(core,),
        described=declared(requests),
        traces=tuple(
            [Traced(by=Holder.PROVER, totals=job.shown)] * ("trace of the loop" in combination)
            + [Traced(by=Holder.VERIFIER, totals=job.own)] * ("trace of the process" in combination)
        ),
        metered=(Metered(meter="counter", holder=Holder.VERIFIER, low=0.95 * total.low, high=1.05 * total.high),)
        if "meter" in combination
        else (),
    )
    return make_account("claim", "job", facts, TERMS)


COMBINATIONS = (
    "time", "time, trace of the loop", "time, meter of all within 5 %", "time, trace of the process",
)  # fmt: skip


def serving(share: float, *, meter: float | None, energy: float | None, known: float) -> FlopAccount:
    """A pod of H100 that serves a 70e9-parameter model for a day and hides `share` of all FLOP.

    `meter`: relative error of a count on the chips. `energy`: relative error of a meter. `known`: by how much the declared amount
    of tokens may be off.
    """
    model = Transformer(name="m", layers=80, width=8192, heads=64, key_heads=8, feed_forward=28_672, gated=True,
                        vocabulary=128_256)  # fmt: skip
    rule = Rule(TERMS.counted_formats)
    chip = CHIPS[0].chip
    peak = 64 * rule.peak_per_s(chip) * DAY.duration_s
    part = Part(name="answer", model="m", does=Does.DECODE, tokens=0.2 * peak / 1.5e11, sequence=4096, context_min=2048,
                formats=(FormatShare(format="fp8", share=1.0),))  # fmt: skip
    part = part.model_copy(update={"tokens_max": part.tokens * (1 + known)})
    described = Described(
        work=Work(models=(model,), parts=(part,)), models_by=Holder.VERIFIER, amount_by=Holder.VERIFIER
    )
    low, high = counted_range(described.work, rule)
    done = (low + high) / 2 / (1 - share)
    assert chip.tdp_w is not None
    # As much as a chip draws that is busy: a third of its power idles, the rest goes with the work.
    joules = 64 * chip.tdp_w * DAY.duration_s * (1 / 3 + 2 / 3 * min(1.0, done / (0.6 * peak)))
    facts = Facts(
        period=DAY,
        pods=("pod-a",),
        chips=CHIPS,
        described=described,
        metered=()
        if meter is None
        else (Metered(meter="counter", holder=Holder.VERIFIER, low=done * (1 - meter), high=done * (1 + meter)),),
        energy=()
        if energy is None
        else (
            Energy(meter="inlet", holder=Holder.VERIFIER, point=MeasuringPoint.NODE,
                   joules_min=joules * (1 - energy), joules_max=joules * (1 + energy)),
        ),
    )  # fmt: skip
    return make_account("claim", "day", facts, TERMS)


def smallest_visible(**given: float | None) -> float | None:
    """By bisection, the smallest hidden share that contradicts; none: even nine tenths do not."""
    low, high = 0.0, 0.9
    if not serving(high, **given).contradicted:  # type: ignore[arg-type]
        return None
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if serving(middle, **given).contradicted else (middle, high)  # type: ignore[arg-type]
    return high


def main() -> int:
    """Print both tables."""
    console = Console()
    table = Table("hidden share of all FLOP", *COMBINATIONS, title="a real job of torch")
    missed = 0
    for share in SHARES:
        job = run_job(share)
        row = []
        for combination in COMBINATIONS:
            account = account_of(job, combination)
            row.append("contradicted" if account.contradicted else f"spare {account.joined.spare_share or 0:.0%}")
            missed += "trace of the process" in combination and account.contradicted != (share > 0)
        table.add_row(f"{share:.1%}", *row)
    console.print(table)
    table = Table("sources", "smallest hidden share that contradicts", "could be beside it unseen, of what time allows",
                  title="64 H100, a day of answers")  # fmt: skip
    for name, given in (
        ("time", {"meter": None, "energy": None, "known": 0.0}),
        ("time, energy within 2 %", {"meter": None, "energy": 0.02, "known": 0.0}),
        ("time, count on the chips within 5 %", {"meter": 0.05, "energy": None, "known": 0.0}),
        ("time, count on the chips within 5 %, tokens within 10 %", {"meter": 0.05, "energy": None, "known": 0.1}),
        ("time, count on the chips within 20 %", {"meter": 0.2, "energy": None, "known": 0.0}),
    ):
        seen = smallest_visible(**given)
        spare = serving(0.0, **given).joined.spare_share  # type: ignore[arg-type]
        table.add_row(name, "none" if seen is None else f"{seen:.1%}", "open" if spare is None else f"{spare:.1%}")
    console.print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
