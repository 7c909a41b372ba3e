"""Evidence of two inspected pods of a simulated site, without its traffic: what the appraisal reads, made in little time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from inspectorate.agreement import Agreement, Clause, load_agreement
from inspectorate.assessment import Assessment, Case
from inspectorate.declaration import Declaration
from inspectorate.evidence import Evidence, VerifiedStatement
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.inspection.appraise import INSPECTION
from inspectorate.worlds import inspection
from inspectorate.worlds.build import _random
from inspectorate.worlds.inspection_script import InspectionCheat
from inspectorate.worlds.seal import make_anchors
from inspectorate.worlds.site import SimSite, SiteSpec, declare, draw_site
from inspectorate.worlds.telemetry import Measured

SEED = 3
PODS = ("pod-1", "pod-2")
GUILTY = PODS[0]
REPLAYED, ACCOUNTED, REVIEWED, ROOMS = "replayed-work", "accounted-flop", "reviewed-code", "inspection-rooms"
SHARED: dict[int, tuple[Evidence, dict[str, object]]] = {}
"""What clauses share, by evidence. The evidence is kept, so that its id stays its own."""


@cache
def agreement() -> Agreement:
    return load_agreement("inference-only-inspected")


@cache
def site() -> SimSite:
    return draw_site(SiteSpec(durations_s=(600,), pods=(3, 3)), agreement(), _random(SEED, "site"))


@cache
def declaration() -> Declaration:
    """The whole period of the site, with transcripts of two of its pods."""
    kept = inspection.reporters(site(), agreement())[: len(PODS)]
    return inspection.declared(declare(site(), agreement(), site().period, reporters=kept), agreement())


@cache
def anchors() -> TrustAnchors:
    return make_anchors(SEED, ["flows"], declaration().period, inspection.anchors(declaration(), SEED))


def verified(envelopes: Sequence[bytes], trusted: TrustAnchors | None = None) -> tuple[VerifiedStatement, ...]:
    return tuple(verify_envelope(one, anchors=trusted or anchors(), where="statement") for one in envelopes)


@cache
def _of_pod(pod: str, cheat: InspectionCheat | None) -> Measured:
    """All that is stated where only this pod keeps transcripts."""
    kept = tuple(one for one in declaration().reporters if pod in one.pods)
    only = declaration().sites[0].model_copy(update={"reporters": kept})
    return inspection.state(
        declaration().model_copy(update={"sites": (only,)}),
        agreement(),
        seed=SEED,
        attack=None if cheat is None else (GUILTY, cheat),
    )


@cache
def _verified(pod: str, cheat: InspectionCheat | None) -> tuple[VerifiedStatement, ...]:
    return verified(_of_pod(pod, cheat).envelopes)


def assembled(statements: Sequence[VerifiedStatement], payloads: dict[str, bytes]) -> Evidence:
    """Reviews and rooms are stated once for all pods."""
    once = {one.digest: one for one in statements}
    return Evidence(
        streams={},
        custody=(),
        reports=tuple(once.values()),
        problems=(),
        payload=payloads.__getitem__,
        simulated=True,
    )


@cache
def evidence(cheat: InspectionCheat | None = None, pods: tuple[str, ...] = PODS) -> Evidence:
    parts = [(pod, cheat if pod == GUILTY else None) for pod in pods]
    statements = [one for pod, does in parts for one in _verified(pod, does)]
    return assembled(statements, {d: data for pod, does in parts for d, data in _of_pod(pod, does).payloads.items()})


def evidence_under(trusted: TrustAnchors) -> Evidence:
    """The honest evidence, under other anchors."""
    envelopes = dict.fromkeys(one for pod in PODS for one in _of_pod(pod, None).envelopes)
    payloads = {d: data for pod in PODS for d, data in _of_pod(pod, None).payloads.items()}
    return assembled(verified(tuple(envelopes), trusted), payloads)


def clause(name: str, **changes: object) -> Clause:
    """A clause of the shipped agreement, with some of its terms changed."""
    found = next(one for one in agreement().clauses if one.id == name)
    return found.model_copy(update={"parameters": found.parameters.model_copy(update=changes)})


def case(name: str, seen: Evidence, **changes: object) -> Case:
    about = clause(name, **changes)
    terms = agreement().model_copy(
        update={"clauses": tuple(about if one.id == name else one for one in agreement().clauses)}
    )
    return Case(
        agreement=terms,
        clause=about,
        declaration=declaration(),
        evidence=seen,
        period=declaration().period,
        miss_probability=0.001,
        shared=SHARED.setdefault(id(seen), (seen, {}))[1],
    )


def appraised(name: str, seen: Evidence, **changes: object) -> dict[str, Assessment]:
    """The assessments of a clause, by pod."""
    return {one.scope.pods[0]: one for one in INSPECTION.appraise(case(name, seen, **changes))}


def without(seen: Evidence, drop: Callable[[VerifiedStatement], bool]) -> Evidence:
    return replace(seen, reports=tuple(one for one in seen.reports if not drop(one)))


def told(assessment: Assessment) -> Sequence[str]:
    return (*assessment.reasons, *assessment.not_checked)
