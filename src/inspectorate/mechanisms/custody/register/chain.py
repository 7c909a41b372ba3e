"""Registers in their order: one chain, numbered, each naming the one before; the first and every update in time."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from inspectorate.agreement import ChipRegister
from inspectorate.mechanisms.custody.register.faults import Fault, Found
from inspectorate.mechanisms.custody.register.reading import Handed


def check_chain(handed: Sequence[Handed]) -> tuple[list[Handed], list[Found]]:
    """The registers that the books go by, and what is wrong with their chain.

    Of two with one number the books go by the one that the next one names, or else by the one that was handed over first.
    """
    chains: dict[str, list[Handed]] = {}
    for one in sorted(handed, key=lambda one: (one.said.handed_at, one.digest)):
        chains.setdefault(one.said.chain, []).append(one)
    kept: list[Handed] = []
    found: list[Found] = []
    for place, (name, chain) in enumerate(chains.items()):
        if place:
            detail = f"the chain {name} after {next(iter(chains))}"
            found.append(Found(fault=Fault.CHAIN_RESTARTED, detail=detail, statements=(chain[0].digest,)))
        kept += _one_chain(name, chain, found)
    return kept, found


def _one_chain(name: str, chain: Sequence[Handed], found: list[Found]) -> list[Handed]:
    named = {one.said.previous for one in chain}
    times = Counter(one.said.sequence for one in chain)
    by_number: dict[int, Handed] = {}
    for one in sorted(chain, key=lambda one: one.digest not in named):
        by_number.setdefault(one.said.sequence, one)
    for number in sorted(number for number, count in times.items() if count > 1):
        both = tuple(one.digest for one in chain if one.said.sequence == number)
        detail = f"{len(both)} registers {number} of the chain {name}"
        found.append(Found(fault=Fault.CHAIN_FORKED, detail=detail, statements=both))
    numbers = sorted(by_number)
    missing = [one for one in range(min(numbers[-1], len(chain) + 64)) if one not in by_number]
    if missing:
        detail = f"registers {', '.join(map(str, missing[:8]))} of the chain {name} are not there"
        found.append(Found(fault=Fault.CHAIN_GAP, detail=detail))
    for a, b in itertools.pairwise(numbers):
        before, after = by_number[a], by_number[b]
        wrong = b == a + 1 and after.said.previous != before.digest
        if wrong or after.said.period.end <= before.said.period.end:
            detail = f"register {b} of the chain {name} does not follow register {a}"
            found.append(Found(fault=Fault.CHAIN_OTHER, detail=detail, statements=(after.digest,)))
    return [by_number[number] for number in numbers]


def check_times(handed: Sequence[Handed], clause: ChipRegister, holds_from: datetime, as_of: datetime) -> list[Found]:
    """Which registers came too late, or have not come."""
    in_time = sorted(handed, key=lambda one: one.said.handed_at)
    due = holds_from + timedelta(seconds=clause.first_within_s)
    found: list[Found] = []
    if (first := in_time[0].said.handed_at if in_time else as_of) > due:
        digests = (in_time[0].digest,) if in_time else ()
        detail = f"the first register was due by {due:%Y-%m-%d %H:%M:%S} UTC"
        found.append(Found(fault=Fault.FIRST_LATE, detail=detail, statements=digests, at=first))
    every = timedelta(seconds=clause.updated_every_s)
    for before, after in itertools.zip_longest(in_time, in_time[1:]):
        due = before.said.handed_at + every
        if (came := after.said.handed_at if after else as_of) > due:
            digests = (after.digest,) if after else ()
            detail = f"the register after number {before.said.sequence} was due by {due:%Y-%m-%d %H:%M:%S} UTC"
            found.append(Found(fault=Fault.UPDATE_LATE, detail=detail, statements=digests, at=came))
    return found
