"""The plan of a session: which clause judges it, and whether the declared meter can serve that clause at all."""

from __future__ import annotations

from datetime import datetime

from inspectorate.agreement import Agreement, ApprovedWorkloads, Clause
from inspectorate.declaration import Meter
from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.enrol.types import SessionPlan
from inspectorate.mechanisms.workloads.windows.reference import STEPS_MAX, STEPS_MIN


def approving_clause(agreement: Agreement, *, at: datetime, name: str | None) -> Clause:
    """The clause on approved workloads that holds, by name where there are several. Raises `InputError`."""
    where = f"agreement {agreement.id}"
    try:
        held = agreement.on(at).clauses
    except ValueError as fault:
        raise InputError(str(fault), where=where) from None
    found = [clause for clause in held if isinstance(clause.parameters, ApprovedWorkloads)]
    if name is not None:
        found = [clause for clause in found if clause.id == name]
    if not found:
        what = f"no clause {name} on approved workloads" if name else "no clause on approved workloads"
        raise InputError(f"{what} holds on {at:%Y-%m-%d}", where=where, remedy="enrolment serves such a clause")
    if len(found) > 1:
        names = ", ".join(clause.id for clause in found)
        raise InputError(f"has {len(found)} clauses on approved workloads", where=where, remedy=f"--clause: {names}")
    return found[0]


def make_plan(
    agreement: Agreement, clause: Clause, meter: Meter, *, units: tuple[str, ...], signals: tuple[str, ...]
) -> SessionPlan:
    """The plan, once the clause's window fits the meter's step. Raises `InputError`."""
    terms = clause.parameters
    assert isinstance(terms, ApprovedWorkloads)
    steps = terms.window_s / meter.sampled_every_s
    if not STEPS_MIN <= steps <= STEPS_MAX:
        raise InputError(
            f"a window of {terms.window_s:g} s has {steps:.3g} samples of meter {meter.id}, not {STEPS_MIN} to {STEPS_MAX}",
            where=f"clause {clause.id}",
            remedy="enrol with a meter that fits the clause",
        )
    chosen = set(units)
    return SessionPlan(
        meter=meter.id,
        units=units,
        other_units=tuple(unit for unit in meter.units if unit not in chosen),
        signals=signals,
        step_s=meter.sampled_every_s,
        silence_s_max=meter.silence_s_max,
        agreement=agreement.id,
        agreement_version=agreement.version,
        clause=clause.id,
        terms=terms,
        confidence=agreement.assurance_confidence,
    )
