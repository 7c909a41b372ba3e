"""What gateways attested, put in order: which stretches of the period are covered, for which pod, and what contradicts itself.

Rules:

- A gateway speaks for the pods that the declaration puts under it, and no others.
- An attestation covers its period, but no more than the agreed `attested_every_s` before its end: a statement made once a
  day says nothing of the hours before. Gaps of up to `attested_every_s` between attestations are let pass.
- The limits are read anew out of the payload, by the gateway's own procedure (`enforce.snapshot`). A statement that says
  otherwise than its payload is a contradiction, and so are two attestations of one gateway that overlap and differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from inspectorate.assessment import Case
from inspectorate.canonical import canonical_bytes
from inspectorate.declaration import ReporterKind
from inspectorate.errors import EvidenceError
from inspectorate.evidence import LimitAttested, PodLimit, VerifiedStatement
from inspectorate.keys import Holder
from inspectorate.mechanisms.interconnect.appraise.common import NAME
from inspectorate.mechanisms.interconnect.enforce.snapshot import Snapshot, judge
from inspectorate.quantities import Period, merge_periods

_SHARED = f"{NAME}.attested"


@dataclass(frozen=True, kw_only=True)
class Attested:
    """One attestation of a gateway within the period of the review."""

    digest: str
    reporter: str
    said: LimitAttested
    contradiction: str | None
    """What is wrong between the statement and its payload."""

    def limit(self, pod: str) -> PodLimit | None:
        return next((limit for limit in self.said.limits if limit.pod == pod), None)


@dataclass(frozen=True, kw_only=True)
class PodAttested:
    """All attestations about one pod, in order of their end, and what they cover."""

    pod: str
    gateways: tuple[str, ...]
    holders: tuple[Holder, ...]
    seen: tuple[Attested, ...]
    gaps: tuple[Period, ...]
    """Stretches of the period that are longer than agreed and have no attestation."""
    contradictions: tuple[str, ...]

    @property
    def evidence_ids(self) -> tuple[str, ...]:
        return tuple(one.digest for one in self.seen)


def attested_pods(case: Case, every_s: float) -> dict[str, PodAttested]:
    """Every declared pod, whether anything was attested of it or not."""
    key = f"{_SHARED}.{every_s}"
    found = case.shared.get(key)
    if not isinstance(found, dict):
        by_gateway = _by_gateway(case)
        found = {pod.id: _pod(case, pod.id, by_gateway, every_s) for pod in case.declaration.pods}
        case.shared[key] = found
    return found


def gateways_of(case: Case, pod: str) -> tuple[str, ...]:
    """The declared gateways of a pod."""
    return tuple(
        reporter.id
        for reporter in case.declaration.reporters
        if reporter.kind is ReporterKind.GATEWAY and pod in reporter.pods
    )


def _by_gateway(case: Case) -> dict[str, list[Attested]]:
    found: dict[str, list[Attested]] = {}
    for statement in case.evidence.reports:
        said = statement.predicate
        if isinstance(said, LimitAttested) and said.period.overlaps(case.period):
            attested = Attested(
                digest=statement.digest,
                reporter=said.reporter,
                said=said,
                contradiction=_contradiction(case, statement, said),
            )
            found.setdefault(said.reporter, []).append(attested)
    for attestations in found.values():
        attestations.sort(key=lambda one: (one.said.period.end, one.digest))
    return found


def _contradiction(case: Case, statement: VerifiedStatement, said: LimitAttested) -> str | None:
    """What the payload says otherwise than the statement; none if they agree."""
    name = f"attestation {statement.digest[:19]}… of {said.reporter}"
    if len(statement.statement.subject) != 1:
        return f"{name} speaks of {len(statement.statement.subject)} rulesets at once"
    try:
        snapshot = Snapshot.parse(
            case.evidence.payload(statement.statement.subject[0].digest_text), where="its ruleset"
        )
    except EvidenceError as fault:
        return f"{name}: {fault}"
    running = judge(snapshot)
    if running.limits != said.limits:
        return f"{name} states limits that its ruleset does not have"
    if (not running.faults) != said.others_dropped:
        return f"{name} says otherwise than its ruleset of what is dropped: {'; '.join(running.faults) or 'all is dropped'}"
    if running.lifted != said.lifted:
        return f"{name} says otherwise than its ruleset of what is lifted"
    return None


def _pod(case: Case, pod: str, by_gateway: dict[str, list[Attested]], every_s: float) -> PodAttested:
    gateways = gateways_of(case, pod)
    holders = {reporter.id: reporter.holder for reporter in case.declaration.reporters}
    seen = sorted(
        (one for gateway in gateways for one in by_gateway.get(gateway, ())),
        key=lambda one: (one.said.period.end, one.digest),
    )
    contradictions = [one.contradiction for one in seen if one.contradiction]
    for gateway in gateways:
        contradictions += _overlaps([one for one in seen if one.reporter == gateway], pod)
    return PodAttested(
        pod=pod,
        gateways=gateways,
        holders=tuple(dict.fromkeys(holders[gateway] for gateway in gateways)),
        seen=tuple(seen),
        # Every gateway of a pod carries some of its traffic, so each must have been watched all the time.
        gaps=merge_periods(
            tuple(
                gap
                for gateway in gateways
                for gap in _gaps(case.period, [one for one in seen if one.reporter == gateway], every_s)
            )
        ),
        contradictions=tuple(dict.fromkeys(contradictions)),
    )


def _gaps(period: Period, seen: list[Attested], every_s: float) -> list[Period]:
    """What is not covered, where it is longer than agreed."""
    covered = [
        Period(
            start=max(one.said.period.start, one.said.period.end - timedelta(seconds=every_s)), end=one.said.period.end
        )
        for one in seen
        if one.contradiction is None
    ]
    clipped = merge_periods(tuple(part for one in covered if (part := one.intersection(period))))
    edges: list[tuple[datetime, datetime]] = []
    at = period.start
    for part in clipped:
        edges.append((at, part.start))
        at = part.end
    edges.append((at, period.end))
    return [Period(start=start, end=end) for start, end in edges if (end - start).total_seconds() > every_s]


def _overlaps(seen: list[Attested], pod: str) -> list[str]:
    """Two attestations of one gateway for one time that say different things of a pod."""
    ordered = sorted(seen, key=lambda one: (one.said.period.start, one.said.period.end, one.digest))
    return [
        f"{one.reporter} attested two different limits of {pod} for one time ({other.said.period})"
        for one, other in pairwise(ordered)
        if one.said.period.overlaps(other.said.period) and _of(one, pod) != _of(other, pod)
    ]


def _of(one: Attested, pod: str) -> bytes:
    limit = one.limit(pod)
    return canonical_bytes([limit.model_dump(mode="json") if limit else None, one.said.others_dropped])
