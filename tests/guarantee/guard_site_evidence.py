"""Evidence of two guarded pods of a simulated site, without its traffic: what the appraisal reads, made in little time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from inspectorate.agreement import Agreement, Clause, load_agreement
from inspectorate.assessment import Assessment, Case
from inspectorate.canonical import digest_of
from inspectorate.declaration import Declaration
from inspectorate.evidence import Evidence, VerifiedStatement
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.guarantee.appraise import GUARANTEE
from inspectorate.worlds import World, build_world, guard, guard_tpm
from inspectorate.worlds.guard_script import GuardCheat
from inspectorate.worlds.seal import make_anchors

SEED = 3
PODS = ("pod-1", "pod-2")
SHARED: dict[int, tuple[Evidence, dict[str, object]]] = {}
"""What clauses share, by evidence: it does not depend on their terms. The evidence is kept, so that its id stays its own."""
GUILTY = PODS[0]
GUARDED, LICENSED, OUTLET = "guarded-operation", "licensed-work", "guard-outlet"


@cache
def base() -> World:
    """A world without guards, for its site and its traffic."""
    return build_world("honest", SEED, observed_s=60)


@cache
def agreement() -> Agreement:
    return load_agreement("inference-only-guarded")


@cache
def declaration() -> Declaration:
    """The whole period of the site, with processors before two of its pods."""
    made, site = base().declaration, base().site
    guards = guard.reporters(site, agreement())[: len(PODS)]
    only = made.sites[0].model_copy(update={"reporters": guards})
    return made.model_copy(update={"period": site.period, "sites": (only,)})


@cache
def anchors() -> TrustAnchors:
    made = make_anchors(SEED, ["flows"], declaration().period, guard.anchors(declaration(), SEED))
    return made.model_copy(update={"platforms": (guard_tpm.anchor(),)})


@cache
def stated(cheat: GuardCheat | None) -> tuple[tuple[VerifiedStatement, ...], dict[str, bytes]]:
    """All statements, verified, and their payloads, with one processor attacked or none."""
    made = guard.state(
        declaration(),
        agreement(),
        base().site,
        base().flows,
        seed=SEED,
        attack=None if cheat is None else (GUILTY, cheat),
    )
    found = tuple(verify_envelope(one, anchors=anchors(), where="statement") for one in made.envelopes)
    return found, {digest_of(one): one for one in made.payloads.values()}


@cache
def evidence(cheat: GuardCheat | None = None) -> Evidence:
    statements, payloads = stated(cheat)
    return Evidence(
        streams={}, custody=(), reports=statements, problems=(), payload=payloads.__getitem__, simulated=True
    )


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
        platforms=anchors().platforms,
    )


def appraised(name: str, seen: Evidence, **changes: object) -> dict[str, Assessment]:
    """The assessments of a clause, by pod."""
    return {one.scope.pods[0]: one for one in GUARANTEE.appraise(case(name, seen, **changes))}


def without(seen: Evidence, drop: Callable[[VerifiedStatement], bool]) -> Evidence:
    return replace(seen, reports=tuple(one for one in seen.reports if not drop(one)))


def told(assessment: Assessment) -> Sequence[str]:
    return (*assessment.reasons, *assessment.not_checked)
