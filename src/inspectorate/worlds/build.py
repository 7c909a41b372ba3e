"""A world from a specification and a seed: the same two give the same bytes, on any machine with the same numpy.

    1. the site: pods, sensors, load                      drawn from the seed alone
    2. the cheat: what guilty pods add                    from the seed and its name
    3. the traffic: what crosses each pod's link          from the seed alone, but for what the cheat displaces
    4. the exporters: what reaches the collector
    5. the fault: what is broken                          from the seed and its name
    6. segments, statements of reporters and processors, ledger, bundle

Specifications that share a `SiteSpec` share the site of a seed: what is found in a cheating world and not in the honest
world of the same seed was found because of the cheat.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np

from inspectorate.agreement import Agreement, load_agreement
from inspectorate.declaration import Declaration, ReporterKind
from inspectorate.errors import InputError
from inspectorate.evidence import Memory, ProblemKind
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.interconnect.segments import Datagrams
from inspectorate.quantities import Period, to_ns
from inspectorate.worlds import custody, gateway, guard, guard_tpm, heard, inspection, model, telemetry_site
from inspectorate.worlds.catalogue import CATALOGUE, WorldKind, WorldSpec
from inspectorate.worlds.cheats import CHEATS, Breach, Plan, breach_of
from inspectorate.worlds.custody_catalogue import KEPT
from inspectorate.worlds.custody_cheats import CUSTODY_CHEATS
from inspectorate.worlds.exporter import SOUND, export
from inspectorate.worlds.faults import FAULTS, Problems, Tampering
from inspectorate.worlds.guard_attacks import begins
from inspectorate.worlds.guard_catalogue import GUARDED
from inspectorate.worlds.guard_cheats import GUARD_CHEATS
from inspectorate.worlds.guard_script import GuardCheat
from inspectorate.worlds.heard_catalogue import HEARD
from inspectorate.worlds.heard_cheats import HEARD_CHEATS, HeardAttack
from inspectorate.worlds.inspection_catalogue import INSPECTED
from inspectorate.worlds.inspection_cheats import INSPECTION_CHEATS, InspectionAttack
from inspectorate.worlds.model import NS_PER_S
from inspectorate.worlds.packets import Flows, Ints, interval_totals
from inspectorate.worlds.seal import Sealing, collect, key_of, make_anchors, seal_bundle
from inspectorate.worlds.site import SimSite, declare, draw_site
from inspectorate.worlds.telemetry import NOT_TRAINING, Measured, Trains
from inspectorate.worlds.traffic import honest_traffic

SEED_MAX = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class GroundTruth:
    """What really happened in a world."""

    breaches: tuple[Breach, ...]
    broken_pods: tuple[str, ...]
    """Pods whose only sensor is broken or tampered with."""
    expected_problems: Problems
    """What `read_statements` and `receive` must say, and nothing else: (kind, sensor) with how often."""
    refused: ProblemKind | None
    """Why the whole bundle must be refused; None if it must not."""
    withheld: int
    """Entries of the ledger that are not in the bundle."""
    over_limit: tuple[tuple[str, int], ...]
    """(pod, interval) in which a pod was truly above the limit, on the grid of the clause."""
    link_bytes: dict[str, tuple[int, int]]
    """IP bytes (into, out of) each pod within the declared period."""

    @property
    def guilty(self) -> tuple[str, ...]:
        return tuple(sorted({pod for breach in self.breaches for pod in breach.pods}))


@dataclass(frozen=True, kw_only=True)
class World:
    """A simulated site: all that a reviewer gets, and the truth beside it."""

    spec: WorldSpec
    seed: int
    agreement: Agreement
    declaration: Declaration
    anchors: TrustAnchors
    files: Memory
    contents: dict[str, bytes]
    """The same files by name, for writing them out."""
    as_of: datetime
    truth: GroundTruth
    site: SimSite
    flows: Flows
    """Every flow of every link, for whoever wants more of the truth."""
    received: tuple[Datagrams, ...]
    """What reached the collector, by number of sensor, before any tampering with segments."""

    def truth_json(self) -> str:
        """The truth as JSON, for people and scripts beside the bundle."""
        truth = self.truth
        value = {
            "world": self.spec.name,
            "kind": self.spec.kind.value,
            "seed": self.seed,
            "simulated": True,
            "guilty": list(truth.guilty),
            "breaches": [
                {
                    "cheat": breach.cheat,
                    "pods": list(breach.pods),
                    "period": breach.period.model_dump(mode="json"),
                    "exchanged_bytes": breach.exchanged_bytes,
                }
                for breach in truth.breaches
            ],
            "broken_pods": list(truth.broken_pods),
            "expected_problems": [
                {"kind": kind.value, "sensor": sensor, "count": count}
                for (kind, sensor), count in truth.expected_problems.items()
            ],
            "refused": truth.refused.value if truth.refused else None,
            "withheld": truth.withheld,
            "over_limit": [list(item) for item in truth.over_limit],
            "link_bytes": {pod: {"into": into, "out": out} for pod, (into, out) in truth.link_bytes.items()},
        }
        return json.dumps(value, indent=2) + "\n"

    def interval_bytes(self, interval_s: float | None = None) -> Ints:
        """True IP bytes per pod, direction (0 in, 1 out) and interval; of the limit's clause unless said otherwise."""
        return _interval_bytes(self.site, self.flows, interval_s or self.site.averaging_s)


def build_world(
    spec: WorldSpec | str, seed: int, *, agreement: Agreement | None = None, observed_s: int | None = None
) -> World:
    """Build a world. `observed_s` ends the declared period and the evidence early; the traffic stays the same.

    Raises `InputError` on an unknown name, a seed outside [0, 2**31), or an agreement without a limit on pods.
    """
    spec = _known(spec) if isinstance(spec, str) else spec
    if not 0 <= seed <= SEED_MAX:
        raise InputError(f"seed {seed} is not between 0 and {SEED_MAX}")
    terms = _shipped_agreement(spec.agreement) if agreement is None else agreement
    # (1)
    site = draw_site(spec.site, terms, _random(seed, "site"))
    # (2)
    cheat = CHEATS[spec.cheat] if spec.cheat else None
    plan = cheat.plan(site, _random(seed, f"cheat {cheat.name}")) if cheat else None
    # (3)
    flows = honest_traffic(
        site,
        _random(seed, "traffic"),
        cheating=plan.flows if plan else None,
        served=plan.served if plan else np.ones(len(site.names)),
        displaced=plan.displaced if plan else (),
    )
    # (5)
    tampering = FAULTS[spec.fault].draw(site, _random(seed, f"fault {spec.fault}")) if spec.fault else None
    # (4)
    received = _export_all(site, flows, tampering, seed)
    # (6)
    period = site.period
    if observed_s is not None:
        if not 0 < observed_s <= site.duration_s:
            raise InputError(f"{observed_s} s is not within the {site.duration_s} s of the world")
        period = Period(start=site.start, end=site.start + timedelta(seconds=observed_s))
        received = tuple(_until(part, period) for part in received)
    declaration = _declared(site, terms, period, seed)
    sealing = seal_bundle(
        collect(received, period),
        seed=seed,
        declaration=declaration,
        tampering=tampering,
        stated=gateway.state(declaration, terms, key_of(seed, "collector")),
        measured=_measured(
            telemetry_site.measure(declaration, terms, site, flows, _training(spec, plan), seed),
            guard.state(declaration, terms, site, flows, seed=seed, attack=_attack(spec, site, seed)),
            inspection.state(declaration, terms, seed=seed, attack=_inspection_attack(spec, site, seed)),
            heard.state(declaration, terms, seed=seed, attack=_heard_attack(spec, plan, site)),
            custody.state(declaration, terms, seed=seed, attack=CUSTODY_CHEATS[spec.custody] if spec.custody else None),
        ),
    )
    breaches = (breach_of(cheat, site, plan),) if cheat and plan else _other_breaches(spec, site, declaration, seed)
    return World(
        spec=spec,
        seed=seed,
        agreement=terms,
        declaration=declaration,
        anchors=_anchors(declaration, terms, site, seed),
        files=Memory(sealing.files, where=f"simulated world {spec.name}, seed {seed}"),
        contents=sealing.files,
        as_of=period.end + timedelta(hours=1),
        truth=_truth(site, flows, breaches=breaches, tampering=tampering, sealing=sealing),
        site=site,
        flows=flows,
        received=received,
    )


def _known(name: str) -> WorldSpec:
    known = {**CATALOGUE, **GUARDED, **INSPECTED, **HEARD, **KEPT}
    if name not in known:
        raise InputError(f"there is no world {name!r}", remedy="`inspectorate worlds list` names them")
    return known[name]


def _declared(site: SimSite, terms: Agreement, period: Period, seed: int) -> Declaration:
    """What the operator declares, with the reporters and meters that the agreement asks for."""
    asked = gateway.reporters(site, terms)
    guards = (*guard.reporters(site, terms), *inspection.reporters(site, terms), *heard.reporters(site, terms))
    cabling = gateway.cabling(site) if asked else ()
    declaration = declare(site, terms, period, reporters=(*asked, *guards), cabling=cabling)
    measured = telemetry_site.declared(declaration, site, terms)
    return custody.declared(inspection.declared(measured, terms), terms, seed=seed)


def _anchors(declaration: Declaration, terms: Agreement, site: SimSite, seed: int) -> TrustAnchors:
    own = {ReporterKind.GUARD, ReporterKind.TRANSCRIPTS, ReporterKind.ROSTER, *custody.REPORTERS}
    reporters = [reporter.id for reporter in declaration.reporters if reporter.kind not in own]
    guards = guard.anchors(declaration, seed)
    people = heard.anchors(declaration, seed)
    others = (
        *telemetry_site.anchors(declaration, site, seed),
        *guards,
        *inspection.anchors(declaration, seed),
        *people,
        *custody.anchors(declaration, terms, seed),
    )
    made = make_anchors(seed, [*telemetry_site.collected(declaration), *reporters], declaration.period, others)
    updates: dict[str, object] = {"landmarks": custody.marks(declaration)}
    if guards:
        updates["platforms"] = (guard_tpm.anchor(),)
    return made.model_copy(update=updates)


def _measured(*parts: Measured) -> Measured:
    """All that was measured and reported beside the flows."""
    return Measured(
        envelopes=tuple(envelope for part in parts for envelope in part.envelopes),
        payloads={digest: payload for part in parts for digest, payload in part.payloads.items()},
    )


def _attack(spec: WorldSpec, site: SimSite, seed: int) -> tuple[str, GuardCheat] | None:
    """The pod whose processor is attacked, and how."""
    if spec.guard is None:
        return None
    return site.names[int(_random(seed, f"guard {spec.guard}").integers(len(site.names)))], GUARD_CHEATS[spec.guard]


def _guard_breaches(spec: WorldSpec, site: SimSite, declaration: Declaration, seed: int) -> tuple[Breach, ...]:
    """What a subverted processor is guilty of. Nothing leaves its pod for it."""
    attack = _attack(spec, site, seed)
    if attack is None or spec.kind is not WorldKind.CHEATING:
        return ()
    slots = guard.slots_of(declaration.period)
    start = max(slots[min(begins(len(slots)), len(slots) - 1)].start, declaration.period.start)
    period = Period(start=start, end=declaration.period.end)
    return (Breach(cheat=spec.guard or "", pods=(attack[0],), period=period, exchanged_bytes=0),)


def _inspection_attack(spec: WorldSpec, site: SimSite, seed: int) -> tuple[str, InspectionAttack] | None:
    """The pod whose transcripts, or whose inspection, are attacked, and how."""
    if spec.inspection is None:
        return None
    pod = site.names[int(_random(seed, f"inspection {spec.inspection}").integers(len(site.names)))]
    return pod, INSPECTION_CHEATS[spec.inspection]


def _heard_attack(spec: WorldSpec, plan: Plan | None, site: SimSite) -> HeardAttack | None:
    """What is done to human sources; where it points at a cheat of another kind, at its pods and its time."""
    if spec.heard is None:
        return None
    attack = HEARD_CHEATS[spec.heard]
    if plan is None:
        return attack
    return attack.pointing(tuple(sorted(site.names[pod] for pod in plan.pods)), site.span(plan.start_s, plan.end_s))


def _other_breaches(spec: WorldSpec, site: SimSite, declaration: Declaration, seed: int) -> tuple[Breach, ...]:
    """What a subverted processor is guilty of, a pod that did other work than it committed to, or who keeps the chips."""
    attack = _inspection_attack(spec, site, seed)
    if spec.custody is not None and spec.kind is WorldKind.CHEATING:
        return (Breach(cheat=spec.custody, pods=site.names, period=declaration.period, exchanged_bytes=0),)
    if attack is None or spec.kind is not WorldKind.CHEATING:
        return _guard_breaches(spec, site, declaration, seed)
    return (Breach(cheat=spec.inspection or "", pods=(attack[0],), period=declaration.period, exchanged_bytes=0),)


def _training(spec: WorldSpec, plan: Plan | None) -> Trains:
    """Which pods compute for the cheat, if it trains anything."""
    if plan is None or spec.cheat in NOT_TRAINING:
        return Trains()
    return Trains(pods=plan.pods, start_s=plan.start_s, end_s=plan.end_s)


@cache
def _shipped_agreement(name: str) -> Agreement:
    return load_agreement(name)


def _random(seed: int, purpose: str) -> np.random.Generator:
    """One generator per purpose, so that drawing more for one changes nothing for the others."""
    number = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))


def _export_all(site: SimSite, flows: Flows, tampering: Tampering | None, seed: int) -> tuple[Datagrams, ...]:
    found = []
    for number, sensor in enumerate(site.sensors):
        damage = SOUND
        if tampering is not None and tampering.damage is not None and tampering.sensor == number:
            damage = tampering.damage
        link = flows.take(flows.pod == sensor.pod)
        found.append(export(site, number, flows=link, random=_random(seed, f"exporter {number}"), damage=damage))
    return tuple(found)


def _until(received: Datagrams, period: Period) -> Datagrams:
    """What had arrived when a collector of a shorter period stopped listening."""
    end_ns = to_ns(period.end) + round(model.TAIL_S * NS_PER_S)
    count = int(np.searchsorted(received.arrival_ns, end_ns))
    if count == len(received):
        return received
    part = received.part(0, max(count, 1), received.arrival_ns)
    return replace(part, drained=True)


def _interval_bytes(site: SimSite, flows: Flows, interval_s: float) -> Ints:
    count = int(site.duration_s / interval_s + 1e-9)
    step_ns = round(interval_s * NS_PER_S)
    volume, _ = interval_totals(flows, pods=len(site.names), origin_ns=0, step_ns=step_ns, count=count)
    return volume


def _truth(
    site: SimSite, flows: Flows, *, breaches: tuple[Breach, ...], tampering: Tampering | None, sealing: Sealing
) -> GroundTruth:
    volume = _interval_bytes(site, flows, site.averaging_s)
    over = np.argwhere((volume > site.limit_bytes_per_s * site.averaging_s).any(axis=1))
    totals = volume.sum(axis=2)
    broken = (site.names[site.sensors[tampering.sensor].pod],) if tampering is not None else ()
    return GroundTruth(
        breaches=breaches,
        broken_pods=broken,
        expected_problems=tampering.expected(sealing.segments) if tampering else Counter(),
        refused=tampering.refused if tampering else None,
        withheld=tampering.withheld if tampering else 0,
        over_limit=tuple((site.names[int(pod)], int(interval)) for pod, interval in over),
        link_bytes={name: (int(totals[pod, 0]), int(totals[pod, 1])) for pod, name in enumerate(site.names)},
    )
