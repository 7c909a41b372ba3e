"""Telemetry as a part of a world: what is declared of it, who signs it, and all that is stated.

Where the agreement has no clause about telemetry, nothing here adds anything.
"""

from __future__ import annotations

import base64
from datetime import timedelta

from inspectorate.agreement import Agreement
from inspectorate.declaration import Declaration, WorkloadKind
from inspectorate.keys import Holder, Role, TrustAnchor
from inspectorate.quantities import Period
from inspectorate.worlds import model, telemetry, telemetry_enrolment
from inspectorate.worlds.packets import Flows
from inspectorate.worlds.seal import key_of
from inspectorate.worlds.site import SimSite
from inspectorate.worlds.telemetry import Measured, Trains
from inspectorate.worlds.telemetry_model import draws

AGENT, INSPECTOR, COLLECTOR = "agent", "inspector", "collector"
_MARGIN = timedelta(days=1)


def declared(declaration: Declaration, site: SimSite, agreement: Agreement) -> Declaration:
    """The declaration with meters, and with serving claimed as what was enrolled."""
    if not telemetry.asked(agreement):
        return declaration
    only = declaration.sites[0].model_copy(update={"meters": telemetry.meters(site)})
    claims = declaration.claims
    if telemetry_enrolment.terms_of(agreement) is not None:
        named = {"workload": telemetry_enrolment.WORKLOAD, "code": telemetry_enrolment.CODE}
        claims = tuple(
            claim.model_copy(update=named) if claim.kind is WorkloadKind.INFERENCE else claim for claim in claims
        )
    changed = declaration.model_copy(update={"sites": (only,), "claims": claims})
    return Declaration.model_validate(changed.model_dump())


def collected(declaration: Declaration) -> tuple[str, ...]:
    """The sensors and meters that the verifier's collector speaks for."""
    agents = {meter.id for meter in declaration.meters if meter.holder is Holder.PROVER}
    return tuple(name for name in declaration.observers if name not in agents)


def anchors(declaration: Declaration, site: SimSite, seed: int) -> tuple[TrustAnchor, ...]:
    """The prover's agent, for the meters that the prover holds, and the inspector who enrolled."""
    agents = tuple(meter.id for meter in declaration.meters if meter.holder is Holder.PROVER)
    if not agents:
        return ()
    period = declaration.period
    enrolled = Period(start=telemetry_enrolment.begins(site), end=period.end)
    return (
        _anchor(seed, AGENT, Holder.PROVER, Role.SENSOR, period, agents),
        _anchor(seed, INSPECTOR, Holder.VERIFIER, Role.INSPECTOR, enrolled, ()),
    )


def measure(
    declaration: Declaration, agreement: Agreement, site: SimSite, flows: Flows, trains: Trains, seed: int
) -> Measured:
    """Enrolments, then segments of all meters, signed."""
    if not declaration.meters:
        return Measured()
    draw = draws(seed)
    enrolled = telemetry_enrolment.enrol(site, agreement, by=_name(INSPECTOR), key=key_of(seed, INSPECTOR), draw=draw)
    seconds = site.duration_s + round(model.LEAD_S + model.TAIL_S)
    shown = telemetry.series(site, flows, trains, draw, lead_s=model.LEAD_S, seconds=seconds)
    keys = {Holder.PROVER: key_of(seed, AGENT), Holder.VERIFIER: key_of(seed, COLLECTOR)}
    stated = telemetry.state(declaration, shown, keys, draw)
    return Measured(
        envelopes=(*enrolled.envelopes, *stated.envelopes), payloads={**enrolled.payloads, **stated.payloads}
    )


def _name(of: str) -> str:
    return f"simulated-{of}"


def _anchor(seed: int, of: str, holder: Holder, role: Role, during: Period, speaks_for: tuple[str, ...]) -> TrustAnchor:
    return TrustAnchor(
        name=_name(of),
        public_key=base64.b64encode(key_of(seed, of).public.raw).decode(),
        holder=holder,
        roles=(role,),
        sensors=speaks_for,
        valid_from=during.start - _MARGIN,
        valid_until=during.end + _MARGIN,
    )
