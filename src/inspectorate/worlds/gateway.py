"""What the gateway and the survey of a simulated site state, where the agreement asks for them.

- The gateway attests every `ATTEST_EVERY_S` what it enforces. The payload is a snapshot as a kernel would give it, with the
  rules that a real gateway would load for this site, and a reviewer reads it by the same procedure.
- The survey asks every node at the start of the period and every `SURVEY_EVERY_S`, in the form of `lldpcli`.
- No window is ever opened, and nothing is wired otherwise than declared: worlds break in other places.

Every statement says `simulated`, and is signed by the world's collector key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta

from inspectorate.agreement import Agreement, ClauseKind, LimitEnforced
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration, Reporter, ReporterKind, Wire
from inspectorate.evidence import CablingFormat, CablingSeen, LimitAttested, Origin, make_statement, sign_statement
from inspectorate.keys import Holder, SigningKey
from inspectorate.mechanisms.interconnect.enforce import reference, ruleset
from inspectorate.mechanisms.interconnect.enforce.plan import LimitPlan, PodPlan
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.quantities import Period
from inspectorate.worlds import model
from inspectorate.worlds.site import SimSite

GATEWAY, SURVEY = "gateway", "cabling"
OUTSIDE = "uplink"
ATTEST_EVERY_S = 30.0
SURVEY_EVERY_S = 300.0
ASKED_FOR_S = 1.0
"""A survey takes this long."""
_KINDS = {ClauseKind.LIMIT_ENFORCED: ReporterKind.GATEWAY, ClauseKind.DECLARED_CABLING: ReporterKind.CABLING}
_NAMES = {ReporterKind.GATEWAY: GATEWAY, ReporterKind.CABLING: SURVEY}

Filed = tuple[bytes, bytes]
"""An envelope and its payload."""


def reporters(site: SimSite, agreement: Agreement) -> tuple[Reporter, ...]:
    """The reporters that the clauses of an agreement ask for; none for an agreement about traffic alone."""
    asked = {_KINDS[clause.kind] for clause in agreement.clauses if clause.kind in _KINDS}
    return tuple(
        Reporter(id=_NAMES[kind], kind=kind, holder=Holder.VERIFIER, pods=site.names)
        for kind in ReporterKind
        if kind in asked
    )


def cabling(site: SimSite) -> tuple[Wire, ...]:
    """One wire from each pod to the gateway."""
    return tuple(
        Wire(
            node=name, port="eth0", other_node=GATEWAY, other_port=_port(number), bytes_per_s_max=model.LINK_BYTES_PER_S
        )
        for number, name in enumerate(site.names)
    )


def state(declaration: Declaration, agreement: Agreement, key: SigningKey) -> list[Filed]:
    """All that the declared reporters state of the period."""
    kinds = {reporter.kind for reporter in declaration.reporters}
    terms = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, LimitEnforced)), None)
    found: list[Filed] = []
    if ReporterKind.GATEWAY in kinds and terms is not None:
        found += _attestations(declaration, terms, key)
    if ReporterKind.CABLING in kinds:
        found += _surveys(declaration, key)
    return found


def _attestations(declaration: Declaration, terms: LimitEnforced, key: SigningKey) -> Iterator[Filed]:
    rate = int(min(terms.bytes_per_s_max, terms.burst_bytes_max / reference.BUCKET_S))
    plan = LimitPlan(
        gateway=GATEWAY,
        outside=(OUTSIDE,),
        pods=tuple(
            PodPlan(
                pod=pod.id,
                interface=_port(number),
                networks=pod.networks,
                sent_bytes_per_s=rate,
                received_bytes_per_s=rate,
                burst_bytes=int(terms.burst_bytes_max),
            )
            for number, pod in enumerate(declaration.pods)
        ),
    )
    snapshot = _snapshot(plan)
    running, payload = judge(snapshot), snapshot.payload()
    for period in declaration.period.intervals(ATTEST_EVERY_S):
        predicate = LimitAttested(
            origin=Origin.SIMULATED,
            reporter=GATEWAY,
            period=period,
            limits=running.limits,
            others_dropped=not running.faults,
            unchanged=True,
            lifted=running.lifted,
        )
        yield sign_statement(make_statement(predicate, {"ruleset": digest_of(payload)}), key), payload


def _snapshot(plan: LimitPlan) -> Snapshot:
    """What the tools of a kernel would print for a plan that was loaded."""
    hole = f"1:{reference.LOCK_DEFAULT:x}"
    queues: list[object] = []
    for name in plan.interfaces:
        options = {"default": hex(reference.LOCK_DEFAULT)}
        queues.append({"kind": "htb", "dev": name, "root": True, "options": options})
        queues.append({"kind": "bfifo", "dev": name, "parent": hole, "options": {"limit": 1}})
    return Snapshot(
        rules=ruleset.render(plan),
        queues=queues,
        filters={name: ["filter parent 1: protocol arp pref 1 u32"] for name in plan.interfaces},
        links=[{"ifname": name, "flags": ["UP"]} for name in ("lo", *plan.interfaces)],
        forwarding={"ipv4": True, "ipv6": True},
    )


def _surveys(declaration: Declaration, key: SigningKey) -> Iterator[Filed]:
    wires = [wire for site in declaration.sites for wire in site.cabling]
    seen: dict[str, list[dict[str, object]]] = {}
    for wire in wires:
        seen.setdefault(wire.node, []).append({wire.port: _neighbour(wire.other_node, wire.other_port)})
        seen.setdefault(wire.other_node, []).append({wire.other_port: _neighbour(wire.node, wire.port)})
    for round_ in declaration.period.intervals(SURVEY_EVERY_S):
        end = min(round_.start + timedelta(seconds=ASKED_FOR_S), round_.end)
        for node, neighbours in sorted(seen.items()):
            payload = json.dumps({"lldp": {"interface": neighbours}}).encode()
            predicate = CablingSeen(
                origin=Origin.SIMULATED,
                reporter=SURVEY,
                period=Period(start=round_.start, end=end),
                format=CablingFormat.LLDP_JSON,
                node=node,
            )
            yield sign_statement(make_statement(predicate, {"survey": digest_of(payload)}), key), payload


def _neighbour(name: str, port: str) -> dict[str, object]:
    """A neighbour as lldpcli prints it, at the rate of the simulated links."""
    address = ":".join(f"{byte:02x}" for byte in hashlib.sha256(name.encode()).digest()[:6])
    return {
        "via": "LLDP",
        "chassis": {name: {"id": {"type": "mac", "value": address}}},
        "port": {
            "id": {"type": "ifname", "value": port},
            "ttl": "120",
            "auto-negotiation": {"supported": True, "enabled": True, "current": model.LINK_MAU},
        },
    }


def _port(number: int) -> str:
    return f"to-{number}"
