"""Cases for the tests of lock-step: an agreement with the clause, and the recorded or simulated evidence beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inspectorate.agreement import Agreement, Clause, ClauseKind, LockStep, Source, load_agreement
from inspectorate.assessment import Case
from inspectorate.declaration import Declaration, parse_declaration
from inspectorate.evidence import Bundle, DeclarationMade, Evidence, Memory, read_statements, receive
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interconnect.synchrony.process import Traffic
from inspectorate.worlds import World
from inspectorate.worlds.catalogue import CATALOGUE
from inspectorate.worlds.cheats import CHEATS
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import interval_totals
from inspectorate.worlds.site import draw_site
from inspectorate.worlds.traffic import honest_traffic

AVERAGING_S = 5.0


def with_clause(agreement: Agreement, averaging_s: float = AVERAGING_S) -> tuple[Agreement, Clause]:
    """The agreement with a clause against lock-step, which the shipped one may not have."""
    clause = Clause(
        id="test-lock-step",
        title="No two pods work in step",
        source=Source(document="test"),
        holds_from=agreement.clauses[0].holds_from,
        parameters=LockStep(kind=ClauseKind.LOCK_STEP, averaging_s=averaging_s),
    )
    return agreement.model_copy(update={"clauses": (*agreement.clauses, clause)}), clause


def case_of(agreement: Agreement, declaration: Declaration, evidence: Evidence, averaging_s: float) -> Case:
    terms, clause = with_clause(agreement, averaging_s)
    return Case(
        agreement=terms,
        clause=clause,
        declaration=declaration,
        evidence=evidence,
        period=declaration.period,
        miss_probability=0.001,
        shared={},
    )


def of_world(world: World, averaging_s: float = AVERAGING_S, *, blind: tuple[str, ...] = ()) -> Case:
    """A simulated site, without what the sensors of the pods in `blind` saw."""
    bundle = Bundle.check(Memory(world.contents), anchors=world.anchors)
    statements, _ = read_statements(bundle, anchors=world.anchors)
    sensors = [sensor.id for sensor in world.declaration.sensors]
    evidence = receive(bundle, statements, not_logged={}, sensors=sensors, period=world.declaration.period)
    dark = {sensor.id for sensor in world.declaration.sensors if sensor.pod in blind}
    kept = {name: stream for name, stream in evidence.streams.items() if name not in dark}
    seen = Evidence(streams=kept, custody=(), problems=(), payload=evidence.payload, simulated=True)
    return case_of(world.agreement, world.declaration, seen, averaging_s)


def of_recording(folder: Path, averaging_s: float = AVERAGING_S) -> Case:
    """A recorded site under examples/."""
    anchors = TrustAnchors.read(folder / "anchors.yaml")
    bundle = Bundle.open(folder / "site.tar", anchors=anchors)
    statements, _ = read_statements(bundle, anchors=anchors)
    made = next(s for s in statements if isinstance(s.predicate, DeclarationMade))
    declaration = parse_declaration(bundle.payload(made.statement.subject[0].digest_text), where="declaration")
    sensors = [sensor.id for sensor in declaration.sensors]
    evidence = receive(bundle, statements, not_logged={}, sensors=sensors, period=declaration.period)
    return case_of(load_agreement("inference-only"), declaration, evidence, averaging_s)


Pairs = list[tuple[int, int]]


def simulated(name: str, seed: int, interval_s: float) -> tuple[Traffic, Pairs, tuple[int, ...]]:
    """The true traffic of a world of the catalogue, its declared pipelines, and the guilty pods."""
    random = np.random.default_rng([seed, 6])
    spec = CATALOGUE[name]
    site = draw_site(spec.site, load_agreement("inference-only"), random)
    plan = CHEATS[spec.cheat].plan(site, random) if spec.cheat else None
    flows = honest_traffic(
        site,
        random,
        cheating=plan.flows if plan else None,
        served=plan.served if plan else np.ones(len(site.names)),
        displaced=plan.displaced if plan else (),
    )
    totals, _ = interval_totals(
        flows,
        pods=len(site.names),
        origin_ns=0,
        step_ns=round(interval_s * NS_PER_S),
        count=int(site.duration_s / interval_s),
    )
    volume = totals.astype(np.float64)
    seen = np.ones(volume[:, 0].shape, dtype=np.bool_)
    traffic = Traffic(sent=volume[:, 1], received=volume[:, 0], observed=seen, interval_s=interval_s)
    peers = [(min(pair), max(pair)) for pair in site.pipelines]
    return traffic, peers, plan.pods if plan else ()
