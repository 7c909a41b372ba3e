"""Evidence of human sources at a simulated site, without its traffic: what both appraisals read, made in little time."""

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
from inspectorate.mechanisms.interviews.appraise import INTERVIEWS
from inspectorate.mechanisms.whistleblowing.appraise import WHISTLEBLOWING
from inspectorate.worlds import heard
from inspectorate.worlds.build import _random
from inspectorate.worlds.heard_script import HeardCheat
from inspectorate.worlds.seal import make_anchors
from inspectorate.worlds.site import SimSite, SiteSpec, declare, draw_site
from inspectorate.worlds.telemetry import Measured

SEED = 5
CHANNELS, STAFF = "reporting-channels", "interviewed-staff"
OFFICES = tuple(heard.named(name) for name in heard.OFFICES)


@cache
def agreement() -> Agreement:
    return load_agreement("inference-only-heard")


@cache
def site() -> SimSite:
    return draw_site(SiteSpec(durations_s=(600,), pods=(4, 4)), agreement(), _random(SEED, "site"))


@cache
def declaration() -> Declaration:
    return declare(site(), agreement(), site().period, reporters=heard.reporters(site(), agreement()))


@cache
def anchors() -> TrustAnchors:
    return make_anchors(SEED, ["flows"], declaration().period, heard.anchors(declaration(), SEED))


@cache
def _verified(envelope: bytes) -> VerifiedStatement:
    """Most statements are the same whatever the attack."""
    return verify_envelope(envelope, anchors=anchors(), where="statement")


def verified(envelopes: Sequence[bytes], trusted: TrustAnchors | None = None) -> tuple[VerifiedStatement, ...]:
    if trusted is None:
        return tuple(_verified(one) for one in envelopes)
    return tuple(verify_envelope(one, anchors=trusted, where="statement") for one in envelopes)


@cache
def stated(cheat: HeardCheat | None = None) -> Measured:
    return heard.state(declaration(), agreement(), seed=SEED, attack=cheat)


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
def evidence(cheat: HeardCheat | None = None) -> Evidence:
    said = stated(cheat)
    return assembled(verified(said.envelopes), dict(said.payloads))


def evidence_under(trusted: TrustAnchors) -> Evidence:
    """The honest evidence, under other anchors."""
    said = stated()
    return assembled(verified(said.envelopes, trusted), dict(said.payloads))


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
        shared={},
    )


def appraised(name: str, seen: Evidence, **changes: object) -> Assessment:
    mechanism = WHISTLEBLOWING if name == CHANNELS else INTERVIEWS
    (found,) = mechanism.appraise(case(name, seen, **changes))
    return found


def without(seen: Evidence, drop: Callable[[VerifiedStatement], bool]) -> Evidence:
    return replace(seen, reports=tuple(one for one in seen.reports if not drop(one)))


def told(assessment: Assessment) -> Sequence[str]:
    return (*assessment.reasons, *assessment.not_checked)
