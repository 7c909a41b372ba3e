"""Signers, rulesets and licences for the tests of licences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from inspectorate.canonical import digest_of
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Limits, Outlet, Quorum, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument, SignerKey
from inspectorate.quantities import Period

START = datetime(2026, 11, 1, tzinfo=UTC)
DEVICE = digest_of(b"device")
KEYS = {name: SignerKey(bytes([number]) * 64) for number, name in enumerate(("ana", "bo", "chen", "dee"), start=1)}
LIMITS = Limits(
    in_bytes_per_s_max=1e6,
    out_bytes_per_s_max=1e6,
    burst_bytes_max=1e6,
    request_bytes_max=10**6,
    response_bytes_max=10**6,
    concurrent_max=100,
)


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def ruleset(**changes: Any) -> Ruleset:
    """Two of three may license, and `dee` may only resume."""
    two = Quorum(k=2, of=("ana", "bo", "chen"))
    told: dict[str, Any] = {
        "id": "rules",
        "version": 1,
        "valid": Period(start=START, end=at(10_000)),
        "signers": tuple(key.signer(name) for name, key in KEYS.items()),
        "quorums": dict.fromkeys(Act, two) | {Act.RESUME: Quorum(k=1, of=("dee",))},
        "baseline": (),
        "limits": LIMITS,
        "licensed_meters": (MeterKind.FLOP,),
        "sampled_share": 0.01,
        "outlet": Outlet(report_every_s=60, bits_per_day_max=1e6),
    }
    return Ruleset(**(told | changes))


def licence(sequence: int, budgets: Mapping[MeterKind, float] | None = None, **changes: Any) -> Licence:
    told: dict[str, Any] = {
        "id": f"licence-{sequence}",
        "device": DEVICE,
        "sequence": sequence,
        "valid": Period(start=START, end=at(100)),
        "ruleset": "rules",
        "ruleset_version_min": 1,
        "budgets": budgets or {MeterKind.FLOP: 1000.0},
    }
    return Licence(**(told | changes))


def unsigned(value: Licence) -> SignedDocument:
    return SignedDocument(kind=LICENCE_KIND, payload=value.canonical_bytes(), signatures=())


def signed(value: Licence, by: Iterable[str] = ("ana", "bo")) -> SignedDocument:
    document = unsigned(value)
    for name in by:
        document = document.signed_by(KEYS[name])
    return document
