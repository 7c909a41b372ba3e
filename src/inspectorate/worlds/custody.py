"""Custody of the chips of a simulated site, where the agreement asks for it.

- The operator keeps one register of both sites, and hands it over every `STRETCH_S` or sooner. An inspector promises before each,
  draws from it, and reads the serials in the hosts that are drawn.
- Two chips are acquired, two are moved to the other site with notice and approval, four break, of which two are destroyed before an
  inspector.
- Every pod has its racks under one seal, put on anew after each opening. A camera of the verifier sees the racks of each site. A
  device at each site answers landmarks of the verifier. There is one challenge inspection.
- Honest keepers misplace few chips (`custody_site`).
- A cheat (`custody_cheats`) may change any of it.

An agreement that asks for challenge inspections alone gets those alone. Every statement says `simulated`. Every draw of chance
has a purpose of its own, so that a site under an agreement without these clauses is the same to the byte.
"""

from __future__ import annotations

import base64
import hashlib
import math
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from inspectorate.agreement import Agreement, ChallengeAccess, ClauseKind, CountedChips
from inspectorate.declaration import Declaration, Reporter, ReporterKind
from inspectorate.evidence import AccessStep, SealDecision
from inspectorate.keys import Holder, LandmarkAnchor, Role, TrustAnchor
from inspectorate.quantities import Period
from inspectorate.worlds import custody_site
from inspectorate.worlds.custody_counts import COUNT_S, count_starts, tell_registers
from inspectorate.worlds.custody_papers import landmarks, tell_cameras, tell_located
from inspectorate.worlds.custody_plans import (
    AcquiredPlan,
    CameraPlan,
    ChallengePlan,
    EndedPlan,
    LocatedPlan,
    RegisterPlan,
    SealPlan,
    TransferPlan,
)
from inspectorate.worlds.custody_script import (
    REGISTER,
    CustodyCheat,
    Script,
    tell_challenges,
    tell_changes,
    tell_seals,
)
from inspectorate.worlds.custody_site import Layout, first_chips, layout_of, misplaced, moved
from inspectorate.worlds.seal import key_of
from inspectorate.worlds.telemetry import Measured

CHIPS_ASK = frozenset(
    {
        ClauseKind.CHIP_REGISTER, ClauseKind.COUNTED_CHIPS, ClauseKind.SEALED_PLACES, ClauseKind.WATCHED_PLACES,
        ClauseKind.LOCATED_CHIPS, ClauseKind.NO_SPLITTING,
    }
)  # fmt: skip
REPORTERS = (ReporterKind.REGISTER, ReporterKind.CAMERA, ReporterKind.LOCATED)
ASKS = CHIPS_ASK | {ClauseKind.CHALLENGE_ACCESS}
INSPECTORS = ("custody-north", "custody-south")
FORGER = "custody-forger"
"""An inspector's anchor whose key the operator holds: only some cheats use it."""
CAMERAS = "custody-cameras"
STRETCH_S = 325.0
"""From one register to the next at most."""
BEFORE_S, LAST_S = 60.0, 10.0
"""The first register is of so long before the period, the last one of so long before its end; it is counted at the end."""
SEALED_BEFORE_S = 60.0
"""From the first seal of a pod to its first opening."""
SEGMENT_S = 120.0
ACQUIRED_S, BROKEN_S, NOTIFIED_S, DESTROYED_S, BEGINS_S, LEFT_S, ARRIVED_S = 60.0, 50.0, 5.0, 120.0, 130.0, 140.0, 222.0
"""From the start of the period."""
CHALLENGED_S = 20.0
_MARGIN = timedelta(days=3)


def asked(agreement: Agreement) -> bool:
    """Whether an agreement has a clause about chips, places or access."""
    return any(clause.kind in ASKS for clause in agreement.clauses)


def _asked_of_chips(agreement: Agreement) -> bool:
    return any(clause.kind in CHIPS_ASK for clause in agreement.clauses)


def named(of: str) -> str:
    return f"simulated-{of}"


def camera_of(site: str) -> str:
    return f"camera-{site}"


def device_of(site: str) -> str:
    return f"device-{site}"


def declared(declaration: Declaration, agreement: Agreement, *, seed: int) -> Declaration:
    """The declaration with two sites, more chips to a pod, and who reports of them."""
    if not _asked_of_chips(agreement):
        return declaration
    made = custody_site.two_sites(declaration)
    everywhere = tuple(pod.id for pod in made.pods)
    sites = []
    for site in made.sites:
        pods = tuple(pod.id for cluster in site.clusters for pod in cluster.pods)
        key = base64.b64encode(key_of(seed, device_of(site.id)).public.raw).decode()
        own = [
            Reporter(id=camera_of(site.id), kind=ReporterKind.CAMERA, holder=Holder.VERIFIER, pods=pods),
            Reporter(id=device_of(site.id), kind=ReporterKind.LOCATED, holder=Holder.JOINT, pods=pods, key=key),
        ]
        if site is made.sites[0]:
            own.append(Reporter(id=REGISTER, kind=ReporterKind.REGISTER, holder=Holder.PROVER, pods=everywhere))
        sites.append(site.model_copy(update={"reporters": (*site.reporters, *own)}))
    return made.model_copy(update={"sites": tuple(sites)})


def _keeps_register(declaration: Declaration) -> bool:
    return any(one.kind is ReporterKind.REGISTER for one in declaration.reporters)


def anchors(declaration: Declaration, agreement: Agreement, seed: int) -> tuple[TrustAnchor, ...]:
    """The operator's key for its register, those of cameras and inspectors, and one that the operator got hold of."""
    if not asked(agreement):
        return ()
    period = declaration.period

    def anchor(name: str, holder: Holder, role: Role, speaks_for: tuple[str, ...]) -> TrustAnchor:
        return TrustAnchor(
            name=named(name),
            public_key=base64.b64encode(key_of(seed, name).public.raw).decode(),
            holder=holder,
            roles=(role,),
            sensors=speaks_for,
            valid_from=period.start - _MARGIN,
            valid_until=period.end + _MARGIN,
        )

    inspectors = tuple(anchor(name, Holder.VERIFIER, Role.INSPECTOR, ()) for name in INSPECTORS)
    if not _keeps_register(declaration):
        return inspectors
    cameras = tuple(one.id for one in declaration.reporters if one.kind is ReporterKind.CAMERA)
    return (
        *inspectors,
        anchor(FORGER, Holder.PROVER, Role.INSPECTOR, ()),
        anchor(REGISTER, Holder.PROVER, Role.SENSOR, (REGISTER,)),
        anchor(CAMERAS, Holder.VERIFIER, Role.SENSOR, cameras),
    )


def marks(declaration: Declaration) -> tuple[LandmarkAnchor, ...]:
    """Landmarks that a reviewer of the site knows."""
    return landmarks() if _keeps_register(declaration) else ()


def state(declaration: Declaration, agreement: Agreement, *, seed: int, attack: CustodyCheat | None = None) -> Measured:
    """All that is stated of chips, places and access."""
    if not asked(agreement):
        return Measured()
    script = script_of(declaration, agreement, seed=seed)
    cheat = attack or CustodyCheat()
    cheat.amend(script)
    tell(script)
    cheat.after(script)
    return Measured(envelopes=tuple(script.envelopes), payloads=script.payloads)


def tell(script: Script) -> None:
    """Sign all that a script says."""
    tell_changes(script)
    tell_registers(script)
    tell_seals(script)
    tell_cameras(script)
    tell_located(script)
    tell_challenges(script)


def script_of(declaration: Declaration, agreement: Agreement, *, seed: int) -> Script:
    """What an honest site says."""
    period, layout = declaration.period, layout_of(declaration)
    kept = _keeps_register(declaration)
    counted = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, CountedChips)), None)
    script = Script(
        seed=seed,
        period=period,
        party=declaration.party,
        layout=layout,
        key=key_of(seed, REGISTER),
        cameras_key=key_of(seed, CAMERAS),
        device_keys={site: key_of(seed, device_of(site)) for site in layout.sites},
        inspectors={named(name): key_of(seed, name) for name in (*INSPECTORS, FORGER)},
        chips=first_chips(layout) if kept else {},
        elsewhere={},
        registers=_registers(period) if kept else [],
        acquired=[],
        transfers=[],
        ended=[],
        seals=[],
        cameras=_cameras(layout, period) if kept else [],
        located=[],
        challenges=_challenges(declaration, agreement),
        answer_within_s=counted.answer_within_s if counted else 30.0,
        counter=named(INSPECTORS[0]),
    )
    if kept:
        script.elsewhere = misplaced(script.chips, _random(seed, "misplaced"))
        _changes(script)
        script.seals = sealed(script)
        script.located = [
            LocatedPlan(reporter=device_of(site), site=site, by=named(INSPECTORS[0]), at=one.as_of)
            for one in script.registers
            for site in layout.sites
        ]
    return script


def _random(seed: int, purpose: str) -> np.random.Generator:
    number = int.from_bytes(hashlib.sha256(f"custody {purpose}".encode()).digest()[:8], "big")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, number])))


def _registers(period: Period) -> list[RegisterPlan]:
    """From before the period to its end, at equal stretches."""
    first, last = -BEFORE_S, period.duration_s - LAST_S
    stretches = max(2, math.ceil((last - first) / STRETCH_S))
    return [
        RegisterPlan(as_of=period.start + timedelta(seconds=first + (last - first) * place / stretches))
        for place in range(stretches + 1)
    ]


def _changes(script: Script) -> None:
    """Acquired into the second pod, moved from the first to the last, broken in the third."""
    layout, pods = script.layout, script.layout.pods
    free = layout.hosts(pods[1])[-1]
    script.acquired = [AcquiredPlan(chips=layout.chips_of(pods[1], free), at=script.at(ACQUIRED_S))]
    target = layout.hosts(pods[-1])[-1]
    script.transfers = [
        TransferPlan(
            id="transfer-1",
            chips=[
                moved(chip, layout, pods[-1], target) for chip in layout.chips_of(pods[0], layout.hosts(pods[0])[0])
            ],
            from_site=layout.site_of[pods[0]],
            to_site=layout.site_of[pods[-1]],
            notified_at=script.at(NOTIFIED_S),
            begins_at=script.at(BEGINS_S),
            left_at=script.at(LEFT_S),
            arrived_at=script.at(ARRIVED_S),
            approved_by=tuple(named(name) for name in INSPECTORS),
        )
    ]
    script.ended = [
        EndedPlan(
            serials=tuple(chip.serial for chip in layout.chips_of(pods[2], layout.hosts(pods[2])[0])),
            broken_at=script.at(BROKEN_S),
            destroyed_at=script.at(DESTROYED_S),
            by=named(INSPECTORS[0]),
        ),
        EndedPlan(
            serials=tuple(chip.serial for chip in layout.chips_of(pods[2], layout.hosts(pods[2])[1])),
            broken_at=script.at(BROKEN_S),
            destroyed_at=script.period.end,
            certified=False,
            by=named(INSPECTORS[0]),
        ),
    ]
    for serial in [chip.serial for one in script.transfers for chip in one.chips] + [
        serial for one in script.ended for serial in one.serials
    ]:
        script.elsewhere.pop(serial, None)


def sealed(script: Script) -> list[SealPlan]:
    """One seal per pod from each opening to the next: counts, and whatever is put in or taken out."""
    pods = script.layout.pods
    opened: dict[str, list[tuple[datetime, datetime]]] = {pod: [] for pod in pods}
    for pod in pods:
        opened[pod] += [
            (start, start + timedelta(seconds=COUNT_S))
            for start in (count_starts(one) for one in script.registers if one.drawn and one.held)
        ]
    changes = [(pods[1], ACQUIRED_S), (pods[2], DESTROYED_S), (pods[0], LEFT_S), (pods[-1], ARRIVED_S)]
    for pod, seconds in changes:
        opened[pod].append((script.at(seconds) - timedelta(seconds=2), script.at(seconds) + timedelta(seconds=2)))
    found = []
    for pod in pods:
        spans = _apart(opened[pod])
        first, last = spans[0][0], spans[-1][1]
        stretches = [(first - timedelta(seconds=SEALED_BEFORE_S), first)]
        stretches += [(sealed_at, checked_at) for (_, sealed_at), (checked_at, _) in pairwise(spans)]
        for number, (sealed_at, checked_at) in enumerate([*stretches, (last, None)]):
            found.append(
                SealPlan(
                    name=f"seal-{pod}-{number}",
                    site=script.layout.site_of[pod],
                    places=script.layout.racks(pod),
                    by=named(INSPECTORS[0]),
                    applied_at=sealed_at,
                    checks=[(checked_at, SealDecision.INTACT)] if checked_at is not None else [],
                )
            )
    return found


def _apart(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Openings that touch one another as one."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _cameras(layout: Layout, period: Period) -> list[CameraPlan]:
    start, end = period.start - timedelta(seconds=30), period.end + timedelta(seconds=30)
    segments = list(Period(start=start, end=end).intervals(SEGMENT_S))
    return [
        CameraPlan(
            reporter=camera_of(site),
            places=tuple(rack for pod in layout.pods if layout.site_of[pod] == site for rack in layout.racks(pod)),
            segments=segments,
        )
        for site in layout.sites
    ]


def _challenges(declaration: Declaration, agreement: Agreement) -> list[ChallengePlan]:
    terms = next((c.parameters for c in agreement.clauses if isinstance(c.parameters, ChallengeAccess)), None)
    if terms is None:
        return []
    return [
        ChallengePlan(
            request="challenge-1",
            site=declaration.sites[0].id,
            by=named(INSPECTORS[1]),
            requested_at=declaration.period.start + timedelta(seconds=CHALLENGED_S),
            access_within_s=terms.access_within_s,
            steps=[(AccessStep.ARRIVED, 30.0), (AccessStep.ADMITTED, 45.0), (AccessStep.LEFT, 150.0)],
        )
    ]
