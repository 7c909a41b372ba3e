"""Registers of a simulated site, one after another, and the count that is drawn from each.

Promise, draw and checklist are made by the real code of `custody.counting`. Nobody opened anything: what is read in a host is what
the script says stands there.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from inspectorate.drawing.sources import Promise, Randomness, Revealed, seed_of
from inspectorate.evidence import CountDrawn, CountHeld, CountUnit, Origin, RandomnessPromised, RegisterHanded
from inspectorate.mechanisms.custody.counting.checklist import Checklist, Read, Reading
from inspectorate.mechanisms.custody.counting.draw import draw
from inspectorate.mechanisms.custody.counting.selection import OfChips, Selection
from inspectorate.mechanisms.custody.register import Chip, Register, units
from inspectorate.quantities import Period
from inspectorate.worlds.custody_plans import RegisterPlan
from inspectorate.worlds.custody_script import CHAIN, REGISTER, Script
from inspectorate.worlds.custody_site import secret_of, table_of, wiring_bytes

DRAWN_SHARE: Final = 0.8
"""Of all chips. The hosts in which they stand are opened."""
PROMISED_BEFORE_S: Final = 20.0
DRAWN_AFTER_S: Final = 3.0
"""From handing over a register to the draw."""
COUNT_S: Final = 12.0
"""From the first opened host to the last."""


def tell_registers(script: Script) -> None:
    """Sign the chain of registers, each with its promise, draw and count."""
    previous: str | None = None
    before = script.at(-600.0)
    for number, one in enumerate(script.registers):
        previous = _tell_register(script, (number, one), (previous, before)) or previous
        before = one.as_of


def _promise_of(script: Script, number: int) -> Promise[Selection]:
    chips = max(1, round(DRAWN_SHARE * len(script.chips)))
    selection = Selection(unit=CountUnit.HOST, rule=OfChips(kind="chips", chips=chips))
    return Promise[Selection](secret=secret_of(script.seed, number).hex(), selection=selection)


def _tell_register(script: Script, numbered: tuple[int, RegisterPlan], last: tuple[str | None, datetime]) -> str | None:
    """One register with what hangs from it; the digest of its envelope, none where it was not handed over."""
    number, one = numbered
    promise = _promise_of(script, number)
    promised: str | None = None
    if one.promised:
        promised = script.sign(
            RandomnessPromised(
                origin=Origin.SIMULATED,
                by=script.counter,
                reporter=REGISTER,
                promised_at=one.as_of
                + timedelta(seconds=one.handed_after_s + 1 if one.promised_late else -PROMISED_BEFORE_S),
            ),
            script.inspectors[script.counter],
            {"secret": promise.digest},
        )
    stood = script.stood(one.as_of)
    rows = tuple(one.rows(stood) if one.rows is not None else stood.values())
    said = RegisterHanded(
        origin=Origin.SIMULATED,
        reporter=REGISTER,
        period=Period(start=last[1], end=one.as_of),
        chain=CHAIN,
        sequence=number,
        previous=last[0],
        chips=len(rows),
        promise=None if one.promised_late else promised,
        handed_at=one.as_of + timedelta(seconds=one.handed_after_s),
    )
    if not one.handed:
        return None
    envelope = script.say(said, script.key, **_payloads(rows))
    if one.forked:
        other = said.model_copy(update={"chips": len(rows) - 1})
        script.say(other, script.key, **_payloads(rows[1:]))
    if one.drawn and promised is not None:
        _count(script, one, (envelope, table_of(rows)[0]), (promise, promised))
    return envelope


def _payloads(rows: tuple[Chip, ...]) -> dict[str, bytes]:
    return {"register": table_of(rows)[1], "wiring": wiring_bytes(rows)}


def _count(
    script: Script,
    one: RegisterPlan,
    handed: tuple[str, Register],
    promised: tuple[Promise[Selection], str],
) -> None:
    envelope, register = handed
    randomness = Randomness[Selection](source=Revealed[Selection](kind="commit-reveal", promise=promised[0]))
    drawn = draw(randomness.selection, seed_of(randomness, envelope), register).units
    if one.aimed:
        spared = next(unit for unit in range(len(units(register, CountUnit.HOST))) if unit not in drawn)
        drawn = tuple(sorted({*drawn[1:], spared}))
    at = one.as_of + timedelta(seconds=one.handed_after_s + DRAWN_AFTER_S)
    digest = script.say(
        CountDrawn(
            origin=Origin.SIMULATED,
            by=script.counter,
            reporter=REGISTER,
            handed=envelope,
            promise=promised[1],
            unit=CountUnit.HOST,
            drawn=drawn,
            drawn_at=at,
            answer_by=at + timedelta(seconds=script.answer_within_s),
        ),
        script.inspectors[script.counter],
        randomness=randomness.canonical_bytes(),
    )
    if one.held:
        _hold(script, one, register, (digest, drawn, at))


def _hold(script: Script, one: RegisterPlan, register: Register, drew: tuple[str, tuple[int, ...], datetime]) -> None:
    digest, drawn, at = drew
    start = at + timedelta(seconds=one.answered_after_s)
    of = units(register, CountUnit.HOST)
    chips = register.chips(range(len(register)))
    due = [[chips[row].serial for row in of.rows(unit)] for unit in drawn]
    hosts = [chips[of.rows(unit).start].host for unit in drawn]
    there = script.seen_in(start)
    refused = set(drawn[len(drawn) - one.refused :]) if one.refused else set()
    reads = [
        Read(unit=unit, outcome="refused", reason="simulated: nobody has the key", at=start)
        if unit in refused
        else Read(
            unit=unit,
            outcome="opened",
            at=start + timedelta(seconds=0.8 * COUNT_S * place / len(drawn)),
            serials=tuple(sorted(there.get(host, ()))),
        )
        for place, (unit, host) in enumerate(zip(drawn, hosts, strict=True))
    ]
    seen = [len(set(read.serials) & set(wanted)) for read, wanted in zip(reads, due, strict=True)]
    checklist = Checklist(drawn=digest, blind=True, reading=Reading.DEVICE, units=tuple(reads))
    script.say(
        CountHeld(
            origin=Origin.SIMULATED,
            by=script.counter,
            drawn=digest,
            units_opened=len(drawn) - len(refused),
            units_refused=len(refused),
            chips_due=sum(map(len, due)),
            chips_seen=sum(seen),
            chips_other=sum(len(read.serials) for read in reads) - sum(seen),
            period=Period(start=start, end=start + timedelta(seconds=COUNT_S)),
        ),
        script.inspectors[script.counter],
        checklist=checklist.canonical_bytes(),
    )


def count_starts(one: RegisterPlan) -> datetime:
    """When the first host of a count is opened."""
    return one.as_of + timedelta(seconds=one.handed_after_s + DRAWN_AFTER_S + one.answered_after_s)
