"""A review for the tests of corroboration: the real account and findings over one invented assessment."""

from __future__ import annotations

from cases_kit import agreement, at, declaration

from inspectorate.account import take_account
from inspectorate.assessment import Assessment, Scope, Verdict
from inspectorate.canonical import digest_of
from inspectorate.findings import fuse
from inspectorate.review import Review


def review(verdict: Verdict = Verdict.INCONSISTENT, clause: str = "pod-limit") -> Review:
    """A review whose one assessment is of pod b3 at the time of the claim."""
    terms, fleet = agreement().on(at(0)), declaration()
    scope = Scope(pods=("b3",), period=fleet.period)
    found = (
        Assessment(
            clause=clause, mechanism="interconnect", scope=scope, verdict=verdict, evidence_ids=("sha256:e",),
            log_e=20.0 if verdict is Verdict.INCONSISTENT else 0.0, reasons=("b3 sent more than the limit",),
            assumptions=("sensors report every flow",),
        ),
    )  # fmt: skip
    account = take_account(
        found, capacities={one.id: 1e15 for one in fleet.pods}, period=fleet.period, interval_s=3600, confidence=0.99
    )
    return Review(
        agreement=terms.id, agreement_version=terms.version, agreement_title=terms.title, declaration=fleet.id,
        declaration_digest=digest_of(fleet.canonical_bytes()), party=fleet.party, pods=tuple(one.id for one in fleet.pods),
        period=fleet.period, as_of=at(600), with_proposed=False, simulated=True, ledger=None, statements=1, problems=(),
        findings=fuse(terms, found, account, as_of=at(600)), account=account, not_checked=(),
    )  # fmt: skip
