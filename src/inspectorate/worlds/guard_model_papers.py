"""What the model's parties have signed: real documents with real signatures, few and small.

Three signers, of whom any two are a quorum for everything. What they sign together lies in the adversary's hands from the
beginning, in any order and as often as it likes, which is more than an adversary has. Beside it lies what one of them signed alone,
or twice, or with a stranger. Only orders to resume are signed when a halt is there: its name cannot be known before.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
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
from inspectorate.mechanisms.guarantee.signing import SignedDocument, SignerKey
from inspectorate.quantities import Period

NAMES = ("ana", "bo", "cem")
STRANGER = "stranger"
K = 2
RESPONSE_BYTES = 2
"""What is set aside for one request, in bytes out: all that one can use."""
TOKENS = 2
"""And in tokens, of one FLOP each."""

_T0 = datetime(2026, 1, 1, tzinfo=UTC)
TIMES = tuple(_T0 + timedelta(days=day) for day in range(3))
"""What the clock can read. The baseline ends between the second and the third, and so does the first licence."""
_START, _SOON, _LATE = _T0 - timedelta(days=1), _T0 + timedelta(days=1.5), _T0 + timedelta(days=30)

DEVICE, OTHER_DEVICE = "sha256:" + "d" * 64, "sha256:" + "e" * 64
BUILD, OTHER_BUILD = "sha256:" + "b" * 64, "sha256:" + "c" * 64
MODEL, SECOND, STRANGE = "sha256:" + "1" * 64, "sha256:" + "2" * 64, "sha256:" + "3" * 64
SIZES = {MODEL: 10, SECOND: 20, STRANGE: 10}


@dataclass(frozen=True)
class Paper:
    """A signed document, and what the model knows of it apart from the processor."""

    name: str
    document: SignedDocument
    signers: frozenset[str]
    """Those of `NAMES` who really signed."""

    @property
    def enough(self) -> bool:
        """Whether they are a quorum: counted here, and not by the code that is checked."""
        return len(self.signers) >= K


@cache
def key(name: str) -> SignerKey:
    return SignerKey(hashlib.sha512(b"guard model " + name.encode()).digest())


@cache
def _signature(kind: str, payload: bytes, name: str) -> tuple[str, bytes]:
    (signature,) = SignedDocument(kind=kind, payload=payload, signatures=()).signed_by(key(name)).signatures
    return signature


def paper(name: str, kind: str, payload: bytes, *signers: str) -> Paper:
    """A document with the signatures of these, in this order; a repeated name repeats the signature."""
    signatures = tuple(_signature(kind, payload, signer) for signer in signers)
    document = SignedDocument(kind=kind, payload=payload, signatures=signatures)
    return Paper(name, document, frozenset(signers) & frozenset(NAMES))


# --- rulesets ----------------------------------------------------------------------------------------------------------


def baseline(meters: tuple[MeterKind, ...] = (), *, concurrent: int = 2, rules: tuple[Rule, ...] = ()) -> Ruleset:
    """Version 1."""
    quorum = Quorum(k=K, of=NAMES)
    return Ruleset(
        id="model-site",
        version=1,
        valid=Period(start=_START, end=_SOON),
        signers=tuple(key(name).signer(name) for name in NAMES),
        quorums=dict.fromkeys(Act, quorum),
        baseline=(
            Rule(
                id="listed-only",
                at=Point.UPLOAD,
                must="listed",
                reads=("listed",),
                otherwise=Consequence.REFUSE,
                title="Only listed models are loaded",
            ),
        ),
        rules=rules,
        builds=(BUILD,),
        models=(ListedModel(name="first", content=MODEL, size_bytes=SIZES[MODEL], flop_per_token=1.0),),
        limits=Limits(
            in_bytes_per_s_max=1e3,
            out_bytes_per_s_max=1e3,
            burst_bytes_max=1e3,
            request_bytes_max=10,
            response_bytes_max=RESPONSE_BYTES,
            concurrent_max=concurrent,
        ),
        licensed_meters=meters,
        sampled_share=0.0,
        outlet=Outlet(report_every_s=3600.0, bits_per_day_max=4096.0),
    )


HALTING = Rule(
    id="no-bad-path",
    at=Point.REQUEST,
    must="path != '/bad'",
    reads=("path",),
    otherwise=Consequence.HALT,
    title="A request for /bad halts",
)


def following(before: Ruleset, act: Act, **changed: object) -> Ruleset:
    """The next version."""
    fields: dict[str, object] = {name: getattr(before, name) for name in Ruleset.model_fields}
    fields |= {"version": before.version + 1, "previous": before.digest, "act": act}
    return Ruleset.model_validate(fields | changed)


def ruleset_paper(name: str, ruleset: Ruleset, *signers: str) -> Paper:
    return paper(name, RULESET_KIND, ruleset.canonical_bytes(), *signers)


def second_model(before: Ruleset) -> tuple[ListedModel, ...]:
    return (*before.models, ListedModel(name="second", content=SECOND, size_bytes=SIZES[SECOND], flop_per_token=1.0))


def updates(first: Ruleset) -> tuple[Paper, ...]:
    """A chain of three versions, a second branch of the second one, and what must never come into force."""
    longer = Period(start=_START, end=_LATE)
    second = following(first, Act.CHANGE_RULES, valid=longer)
    branch = following(first, Act.LIST_MODELS, models=second_model(first))
    third = following(second, Act.SECURITY_PATCH, builds=(OTHER_BUILD,))
    gap = following(second, Act.LIST_MODELS, models=second_model(first), version=4)
    gutted = following(first, Act.CHANGE_RULES, baseline=(), valid=longer)
    return (
        ruleset_paper("v1", first),
        ruleset_paper("v2", second, "ana", "bo"),
        ruleset_paper("v2-branch", branch, "bo", "cem"),
        ruleset_paper("v3", third, "ana", "cem"),
        ruleset_paper("v2-by-one", second, "ana"),
        ruleset_paper("v2-by-one-twice", second, "ana", "ana"),
        ruleset_paper("v2-by-one-and-a-stranger", branch, "ana", STRANGER),
        ruleset_paper("v3-by-one", third, "cem"),
        ruleset_paper("v4-after-v2", gap, *NAMES),
        ruleset_paper("v2-without-baseline", gutted, *NAMES),
    )


# --- licences and orders -----------------------------------------------------------------------------------------------


def licence(sequence: int, budgets: dict[MeterKind, float], *, name: str = "", **changed: object) -> Licence:
    fields: dict[str, object] = {
        "id": name or f"licence-{sequence}",
        "device": DEVICE,
        "sequence": sequence,
        "valid": Period(start=_START, end=_SOON if sequence == 1 else _LATE),
        "ruleset": "model-site",
        "ruleset_version_min": 1,
        "budgets": budgets,
    }
    return Licence.model_validate(fields | changed)


def licence_paper(name: str, given: Licence, *signers: str) -> Paper:
    return paper(name, LICENCE_KIND, given.canonical_bytes(), *signers)


@cache
def order_paper(halt: int, *signers: str, device: str = DEVICE) -> Paper:
    """An order to resume after the halt of that number."""
    valid = Period(start=_START, end=_LATE)
    order = ResumeOrder(device=device, halt=nonce(halt), valid=valid, reason="looked into")
    return paper(f"order-{halt} by {'+'.join(signers)}", RESUME_KIND, order.canonical_bytes(), *signers)


def nonce(number: int) -> str:
    """The name of the halt of that number."""
    return f"{number:064x}"
