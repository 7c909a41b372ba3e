"""How many bits leave about the chips, counted from the values that each field can take.

Rules:

- A field costs log2 of the number of values that it can take after rounding, whatever their probabilities: no observer can learn
  more from a report than the sum, whatever they know beforehand.
- A field that everybody knows beforehand, or that is chosen outside of the chips, costs nothing (`PUBLIC`, each with the reason). A
  test compares the two lists with the checkpoint, so that a new field has to be counted.
- That a report is there or not, and that a ruleset or licence is made known with it or not, are counted: three bits a slot. So is
  the millisecond of the open slot in which it leaves: a busy machine is late, and a TPM's quote says by how much.
- A day has at most ceil(86400 s / period) slots.
- If the ruleset's budget does not suffice for the finest precision, the first of `precision.levels` that it suffices for is taken.
  If it suffices for none, there is no plan, and the processor does not start with that ruleset.

Not counted, because only the open, measured program prevents it: bits that a *malicious* processor could hide where values are
random or finely timed (`docs/outlet.md`: the randomness of a TPM's ECDSA, the salt of the commitment, moments finer than a
millisecond). Bits that pass by other ways than the outlet are not its matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from inspectorate.errors import InputError
from inspectorate.mechanisms.guarantee.events import EventKind, Mode
from inspectorate.mechanisms.guarantee.metering.types import MeterKind, Source
from inspectorate.mechanisms.guarantee.outlet.precision import Precision, levels
from inspectorate.mechanisms.guarantee.rulesets.types import Outlet as OutletRule
from inspectorate.mechanisms.guarantee.rulesets.types import Ruleset

DAY_S = 86_400
PERIOD_S_MIN, PERIOD_S_MAX = 1.0, 31.0 * DAY_S
WINDOW_SHARE, WINDOW_S_MAX = 0.25, 10.0
"""How long a slot is open."""
MOMENTS_PER_S = 1000
"""A TPM states its clock in milliseconds (TPM 2.0 Library 1.59, part 2, TPMS_CLOCK_INFO): so a quote says when it was made."""
WITHOUT_RULESET = OutletRule(report_every_s=3600.0, bits_per_day_max=2_400.0)
"""What holds while no ruleset is in force."""

PUBLIC = {
    "reporter": "its name",
    "sequence": "counts the reports",
    "starts": "who runs the machine starts it",
    "period": "lies on the grid of slots; where it begins follows from which reports there were before",
    "previous": "follows from the report before",
    "challenge": "comes from outside",
    "statement_key": "known beforehand",
    "device": "known beforehand",
    "rollback_protected": "a property of the device",
    "build": "known beforehand: listed in the ruleset",
    "ruleset": "signed and handed over outside",
    "ruleset_id": "signed and handed over outside",
    "ruleset_version": "signed and handed over outside",
    "licence": "signed and handed over outside",
    "licence_sequence": "signed and handed over outside",
    "opened": "a link of a hash chain that was drawn before the run",
    "model": "listed in the ruleset, and chosen by whoever uploads it",
}
"""Field -> why it says nothing about the chips. For the model: which one, of those that all parties know, is what is declared."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """One thing that a slot can say about the chips."""

    name: str
    values: int
    """How many different ones can leave."""
    how: str

    @property
    def bits(self) -> float:
        return math.log2(self.values)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What leaves, how often, and how much that can say."""

    every_s: float
    precision: Precision
    bits_per_day_max: float

    @property
    def every_ns(self) -> int:
        """Width of the grid of slots. Times are whole microseconds."""
        return round(self.every_s * 1e6) * 1000

    @property
    def window_us(self) -> int:
        """How long a slot is open after its end."""
        return round(min(WINDOW_SHARE * self.every_s, WINDOW_S_MAX) * 1e6)

    @property
    def fields(self) -> tuple[Field, ...]:
        return (*fields(self.precision), *_of_slot(self.window_us))

    @property
    def bits_per_report(self) -> float:
        return math.log2(math.prod(field.values for field in self.fields))

    @property
    def reports_per_day(self) -> int:
        return math.ceil(DAY_S / self.every_s)

    @property
    def bits_per_day(self) -> float:
        return self.bits_per_report * self.reports_per_day


def fields(precision: Precision) -> tuple[Field, ...]:
    """All that costs bits in one checkpoint."""
    counts = len(precision.counts)
    top = f"{precision.counts[-1]} or more" if counts > 2 else "some"
    grid = f"one of {counts} steps from 0 to {top}"
    return (
        Field(name="mode", values=len(Mode), how="one of the modes"),
        Field(
            name="held_s",
            values=precision.held_steps + 1,
            how=f"rounded down to 1/{precision.held_steps} of the period",
        ),
        *(_meter(meter, precision) for meter in precision.meters),
        Field(
            name="flop_ledger", values=1, how="a commitment under a fresh secret salt: nothing, while the salt is kept"
        ),
        Field(name="events", values=counts ** len(EventKind), how=f"{len(EventKind)} kinds, each {grid}"),
        *(Field(name=name, values=counts, how=grid) for name in ("sampled", "recomputed", "differed")),
    )


def _of_slot(window_us: int) -> tuple[Field, ...]:
    """What a slot says beside the checkpoint in it."""
    moments = window_us * MOMENTS_PER_S // 1_000_000 + 1
    return (
        Field(name="slot", values=2, how="there is a report, or there is none"),
        Field(name="moment", values=moments, how=f"when it leaves, in milliseconds of {window_us / 1e6:g} s"),
        Field(name="ruleset made known", values=2, how="at most one a slot; its content comes from outside"),
        Field(name="licence made known", values=2, how="at most one a slot; its content comes from outside"),
    )


def plan_for(rule: OutletRule, licensed: tuple[MeterKind, ...] = ()) -> Plan:
    """The finest plan that a budget suffices for. Raises `InputError` where none does."""
    if not PERIOD_S_MIN <= rule.report_every_s <= PERIOD_S_MAX:
        raise InputError(
            f"a report every {rule.report_every_s:g} s is not between {PERIOD_S_MIN:g} and {PERIOD_S_MAX:g} s",
            where="outlet.report_every_s",
        )
    plans = [
        Plan(every_s=rule.report_every_s, precision=precision, bits_per_day_max=rule.bits_per_day_max)
        for precision in levels(licensed)
    ]
    for plan in plans:
        if plan.bits_per_day <= rule.bits_per_day_max:
            return plan
    least = plans[-1]
    raise InputError(
        f"{rule.bits_per_day_max:g} bits a day do not suffice for {least.reports_per_day} reports of "
        f"{least.bits_per_report:.1f} bits each, the coarsest there are",
        where="outlet.bits_per_day_max",
        remedy=f"allow {math.ceil(least.bits_per_day)} bits a day, or report less often",
    )


def plan_of(ruleset: Ruleset | None) -> Plan:
    """The plan of a ruleset, or the one that holds without. Raises `InputError`."""
    if ruleset is None:
        return plan_for(WITHOUT_RULESET)
    return plan_for(ruleset.outlet, ruleset.licensed_meters)


def bits_per_report(ruleset: Ruleset | None) -> float:
    """At most so many bits about the chips in one slot. Raises `InputError`."""
    return plan_of(ruleset).bits_per_report


def bits_per_day(ruleset: Ruleset | None) -> float:
    """At most so many bits about the chips in a day. Raises `InputError`."""
    return plan_of(ruleset).bits_per_day


def _meter(meter: MeterKind, precision: Precision) -> Field:
    """A meter is there or not; if so, it has all of these."""
    amounts = precision.amounts
    values = amounts * len(Source)
    parts = [f"used, to {precision.digits} digit{'s' if precision.digits > 1 else ''}"]
    if precision.at_least:
        values *= amounts
        parts.append("at least")
    if precision.remaining:
        values *= amounts + 1
        parts.append("remaining")
    return Field(name=f"meter {meter.value}", values=1 + values, how=", ".join((*parts, "by whose word")))
