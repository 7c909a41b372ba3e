"""Rulesets, signers and signed documents for tests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from typing import Any

from inspectorate.mechanisms.guarantee.rulesets.orders import RESUME_KIND, ResumeOrder
from inspectorate.mechanisms.guarantee.rulesets.types import (
    RULESET_KIND,
    Act,
    Consequence,
    Limits,
    ListedModel,
    Outlet,
    Point,
    Quorum,
    Rule,
    Ruleset,
)
from inspectorate.mechanisms.guarantee.signing import SignedDocument, Signer, SignerKey
from inspectorate.quantities import Period

AT = datetime(2026, 12, 1, tzinfo=UTC)
VALID = Period(start=datetime(2026, 11, 1, tzinfo=UTC), end=datetime(2027, 11, 1, tzinfo=UTC))
NAMES = ("ana", "bo", "cem", "dara", "eli", "fay", "gus")
STRANGER = "stranger"
DEVICE = "sha256:" + "d" * 64
HALT = "a" * 64


@cache
def key(name: str) -> SignerKey:
    """The same key for the same name."""
    return SignerKey(hashlib.sha512(name.encode()).digest())


@cache
def signer(name: str) -> Signer:
    return key(name).signer(name)


def rule(rule_id: str = "small-requests", **given: Any) -> Rule:
    fields = {
        "at": Point.REQUEST,
        "must": "request_bytes <= 4096",
        "reads": ("request_bytes",),
        "otherwise": Consequence.REFUSE,
        "title": "Requests are small",
    }
    return Rule(id=rule_id, **(fields | given))


BASELINE = (
    rule("listed-only", at=Point.UPLOAD, must="listed", reads=("listed",), title="Only listed models are loaded"),
    rule(
        "narrow-outlet",
        at=Point.UPDATE,
        must="bits_per_day_max <= 8192.0 && k_change_rules >= 2",
        reads=("bits_per_day_max", "k_change_rules"),
        title="The outlet stays narrow, and no one alone changes the rules",
    ),
)


def model(name: str = "small", content: str = "1", **given: Any) -> ListedModel:
    fields = {"content": "sha256:" + content * 64, "size_bytes": 1000, "flop_per_token": 2e6}
    return ListedModel(name=name, **(fields | given))


def quorums(**given: Quorum) -> dict[Act, Quorum]:
    """Those of arXiv 2506.15093: 2 of 5, 4 of 7, 6 of 7; licences and orders by 2 of 5."""
    found = {
        Act.SECURITY_PATCH: Quorum(k=2, of=NAMES[:5]),
        Act.LIST_MODELS: Quorum(k=3, of=NAMES, from_each=(NAMES[:3], NAMES[3:])),
        Act.NEW_GUARANTEE: Quorum(k=4, of=NAMES),
        Act.CHANGE_RULES: Quorum(k=6, of=NAMES),
        Act.LICENSE: Quorum(k=2, of=NAMES[:5]),
        Act.RESUME: Quorum(k=2, of=NAMES[:5]),
    }
    return found | {Act(name.replace("_", "-")): quorum for name, quorum in given.items()}


def first(**given: Any) -> Ruleset:
    """Version 1."""
    fields = {
        "id": "site-1",
        "version": 1,
        "valid": VALID,
        "signers": tuple(signer(name) for name in NAMES),
        "quorums": quorums(),
        "baseline": BASELINE,
        "rules": (rule(),),
        "builds": ("sha256:" + "b" * 64,),
        "models": (model(),),
        "limits": Limits(
            in_bytes_per_s_max=100_000.0,
            out_bytes_per_s_max=100_000.0,
            burst_bytes_max=200_000.0,
            request_bytes_max=8192,
            response_bytes_max=65_536,
            concurrent_max=8,
        ),
        "sampled_share": 0.1,
        "licence_sequence_min": 5,
        "outlet": Outlet(report_every_s=3600.0, bits_per_day_max=4096.0),
    }
    return Ruleset(**(fields | given))


def after(before: Ruleset, act: Act, **given: Any) -> Ruleset:
    """The next version, with changes."""
    fields = {name: getattr(before, name) for name in Ruleset.model_fields}
    fields |= {"version": before.version + 1, "previous": before.digest, "act": act}
    return Ruleset(**(fields | given))


def signed(ruleset: Ruleset, *names: str) -> SignedDocument:
    return signed_payload(RULESET_KIND, ruleset.canonical_bytes(), *names)


def signed_payload(kind: str, payload: bytes, *names: str) -> SignedDocument:
    document = SignedDocument(kind=kind, payload=payload, signatures=())
    for name in names:
        document = document.signed_by(key(name))
    return document


def order(**given: Any) -> ResumeOrder:
    fields = {"device": DEVICE, "halt": HALT, "valid": VALID, "reason": "the fault was found"}
    return ResumeOrder(**(fields | given))


def signed_order(given: ResumeOrder, *names: str) -> SignedDocument:
    return signed_payload(RESUME_KIND, given.canonical_bytes(), *names)
