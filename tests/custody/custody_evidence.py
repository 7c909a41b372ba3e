"""Evidence of custody at a simulated site, without its traffic: what the appraisals read, made in little time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from inspectorate.account import Account, take_account
from inspectorate.agreement import Agreement, load_agreement
from inspectorate.assessment import Assessment, Case, HiddenBound, Scope, Verdict
from inspectorate.declaration import Declaration
from inspectorate.evidence import Evidence, VerifiedStatement
from inspectorate.evidence.envelope import verify_envelope
from inspectorate.findings import Finding, fuse
from inspectorate.keys import TrustAnchors
from inspectorate.mechanisms.custody.appraise import CUSTODY
from inspectorate.worlds import custody
from inspectorate.worlds.build import _random
from inspectorate.worlds.custody_script import CustodyCheat
from inspectorate.worlds.seal import make_anchors
from inspectorate.worlds.site import SimSite, SiteSpec, declare, draw_site
from inspectorate.worlds.telemetry import Measured

SEED = 5
HIDDEN_SHARE = 0.05
"""What another mechanism leaves open of every pod, in accounts here: what may be elsewhere then shows."""


@cache
def agreement() -> Agreement:
    return load_agreement("inference-only-kept")


@cache
def site(seed: int = SEED) -> SimSite:
    return draw_site(SiteSpec(durations_s=(600,), pods=(4, 4)), agreement(), _random(seed, "site"))


@cache
def declaration(seed: int = SEED) -> Declaration:
    made = declare(site(seed), agreement(), site(seed).period)
    return custody.declared(made, agreement(), seed=seed)


@cache
def anchors(seed: int = SEED) -> TrustAnchors:
    others = custody.anchors(declaration(seed), agreement(), seed)
    return make_anchors(seed, ["flows"], declaration(seed).period, others)


@cache
def _verified(envelope: bytes, seed: int) -> VerifiedStatement:
    """Most statements are the same whatever the attack."""
    return verify_envelope(envelope, anchors=anchors(seed), where="statement")


@cache
def stated(cheat: CustodyCheat | None = None, seed: int = SEED) -> Measured:
    return custody.state(declaration(seed), agreement(), seed=seed, attack=cheat)


def assembled(statements: Sequence[VerifiedStatement], payloads: dict[str, bytes]) -> Evidence:
    return Evidence(
        streams={},
        custody=(),
        reports=tuple(statements),
        problems=(),
        payload=payloads.__getitem__,
        simulated=True,
    )


@cache
def evidence(cheat: CustodyCheat | None = None, seed: int = SEED) -> Evidence:
    said = stated(cheat, seed)
    return assembled([_verified(one, seed) for one in said.envelopes], dict(said.payloads))


def evidence_under(trusted: TrustAnchors) -> Evidence:
    """The honest evidence, under other anchors."""
    said = stated()
    return assembled(
        [verify_envelope(one, anchors=trusted, where="statement") for one in said.envelopes], dict(said.payloads)
    )


def changed(terms: Agreement, changes: Mapping[str, Mapping[str, object]]) -> Agreement:
    """An agreement with some terms of its clauses changed, each under its id with underscores."""
    clauses = tuple(
        one.model_copy(update={"parameters": one.parameters.model_copy(update=dict(changes[key]))})
        if (key := one.id.replace("-", "_")) in changes
        else one
        for one in terms.clauses
    )
    return terms.model_copy(update={"clauses": clauses})


def appraised(
    seen: Evidence,
    seed: int = SEED,
    *,
    only: str | None = None,
    terms: Agreement | None = None,
    **changes: Mapping[str, object],
) -> dict[str, Assessment]:
    """The assessment of every clause, or of one, by its id. All share their work, as in a review."""
    agreed = changed(terms or agreement(), changes)
    shared: dict[str, object] = {}
    found = {}
    for clause in agreed.clauses:
        if clause.kind not in CUSTODY.clause_kinds or only not in (None, clause.id):
            continue
        (found[clause.id],) = CUSTODY.appraise(
            Case(
                agreement=agreed,
                clause=clause,
                declaration=declaration(seed),
                evidence=seen,
                period=declaration(seed).period,
                miss_probability=0.001,
                shared=shared,
                landmarks=custody.marks(declaration(seed)),
            )
        )
    return found


def account(found: dict[str, Assessment], interval_s: float = 60.0) -> Account:
    """The account of a site of which another mechanism bounds every pod to `HIDDEN_SHARE`."""
    made = declaration()
    scope = Scope(pods=tuple(sorted(pod.id for pod in made.pods)), period=made.period)
    other = Assessment(
        clause="other",
        mechanism="other",
        scope=scope,
        verdict=Verdict.CONSISTENT,
        hidden=(HiddenBound(statement="other", miss_probability=0.0, scope=scope, share_max=HIDDEN_SHARE),),
        evidence_ids=("other",),
        reasons=("of the test",),
    )
    terms = agreement()
    return take_account(
        (*found.values(), other),
        capacities={pod.id: pod.peak_flop_per_s(terms.counted_formats) * terms.utilisation.max for pod in made.pods},
        period=made.period,
        interval_s=interval_s,
        confidence=terms.assurance_confidence,
    )


@cache
def _any_account() -> Account:
    return account({})


def findings(found: dict[str, Assessment]) -> dict[str, Finding]:
    """What is found of each clause of custody, by the agreement's rate of false accusations; no account bears on that."""
    # The alarm is that of the whole agreement, however few clauses are looked at.
    clauses = tuple(one for one in agreement().clauses if one.kind in CUSTODY.clause_kinds)
    terms = agreement().model_copy(update={"clauses": clauses})
    made = fuse(terms, tuple(found.values()), _any_account(), as_of=declaration().period.end)
    return {one.clause: one for one in made}


def without(seen: Evidence, drop: Callable[[VerifiedStatement], bool]) -> Evidence:
    return replace(seen, reports=tuple(one for one in seen.reports if not drop(one)))


def told(assessment: Assessment) -> Sequence[str]:
    return (*assessment.reasons, *assessment.not_checked)
