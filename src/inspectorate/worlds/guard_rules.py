"""The rulesets and licences of simulated sites, signed by keys that anybody can compute.

Seven signers, of two groups that each can veto: four of the operator's side and three of the verifier's. The baseline is the
same for all sites, and its digest stands in the agreement `inference-only-guarded`; a second ruleset lists another model.
Everything here is the same whenever it is made, but for the signatures: ML-DSA draws random numbers.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

from inspectorate.canonical import digest_of
from inspectorate.mechanisms.guarantee.licences.types import LICENCE_KIND, Licence
from inspectorate.mechanisms.guarantee.metering.types import MeterKind
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

OPERATOR = ("operator-1", "operator-2", "operator-3", "operator-4")
VERIFIER = ("verifier-1", "verifier-2", "verifier-3")
SIGNERS = (*OPERATOR, *VERIFIER)
RULESET_ID = "simulated-guard"
BUILD = digest_of(b"simulated guarantee processor")
OTHER_BUILD = digest_of(b"simulated guarantee processor, altered")
CONFIGURATION = digest_of(b"simulated configuration")
MODEL = digest_of(b"simulated model")
SECOND_MODEL = digest_of(b"second simulated model")
REPORT_EVERY_S = 30.0
BITS_PER_DAY_MAX = 1_000_000.0
"""What reports every 30 s with meters to two digits and lower bounds need (`inspectorate ruleset show`)."""
LICENSED = (MeterKind.FLOP, MeterKind.BYTES_OUT)
VALID = Period(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2027, 1, 1, tzinfo=UTC))


@cache
def signer_key(name: str) -> SignerKey:
    """The key of a signer. Anybody can compute it."""
    return SignerKey(hashlib.sha512(f"simulated signer {name}".encode()).digest())


def _quorums() -> dict[Act, Quorum]:
    """The example of mechanisms C2: patches 2 of 5, guarantees 4 of 7, the rules themselves 6 of 7; each group can veto."""
    both = (OPERATOR, VERIFIER)
    return {
        Act.SECURITY_PATCH: Quorum(k=2, of=(*OPERATOR[:2], *VERIFIER)),
        Act.LIST_MODELS: Quorum(k=3, of=SIGNERS, from_each=both),
        Act.NEW_GUARANTEE: Quorum(k=4, of=SIGNERS, from_each=both),
        Act.CHANGE_RULES: Quorum(k=6, of=SIGNERS, from_each=both),
        Act.LICENSE: Quorum(k=2, of=SIGNERS, from_each=both),
        Act.RESUME: Quorum(k=3, of=SIGNERS, from_each=both),
    }


@cache
def baseline() -> Ruleset:
    """The first ruleset of every simulated site."""
    return Ruleset(
        id=RULESET_ID,
        version=1,
        valid=VALID,
        signers=tuple(signer_key(name).signer(name) for name in SIGNERS),
        quorums=_quorums(),
        baseline=(
            Rule(
                id="listed-models-only",
                at=Point.UPLOAD,
                must="listed",
                reads=("listed",),
                otherwise=Consequence.REFUSE,
                title="Only listed models are let in",
            ),
            Rule(
                id="outlet-stays-narrow",
                at=Point.UPDATE,
                must="bits_per_day_max <= 1000000.0",
                reads=("bits_per_day_max",),
                otherwise=Consequence.REFUSE,
                title="No update widens the outlet",
            ),
        ),
        builds=(BUILD,),
        models=(ListedModel(name="model-1", content=MODEL, size_bytes=1_000_000_000, flop_per_token=2e9),),
        limits=Limits(
            in_bytes_per_s_max=1e6,
            out_bytes_per_s_max=1e5,
            burst_bytes_max=1e6,
            request_bytes_max=1_000_000,
            response_bytes_max=1_000_000,
            concurrent_max=64,
        ),
        licensed_meters=LICENSED,
        sampled_share=0.01,
        outlet=Outlet(report_every_s=REPORT_EVERY_S, bits_per_day_max=BITS_PER_DAY_MAX),
    )


@cache
def second() -> Ruleset:
    """The update that lists another model."""
    first = baseline()
    model = ListedModel(name="model-2", content=SECOND_MODEL, size_bytes=2_000_000_000, flop_per_token=4e9)
    return first.model_copy(
        update={"version": 2, "previous": first.digest, "act": Act.LIST_MODELS, "models": (*first.models, model)}
    )


def signed(ruleset: Ruleset, *names: str) -> bytes:
    """A ruleset as an envelope, signed by each name as often as it stands there."""
    document = SignedDocument(kind=RULESET_KIND, payload=ruleset.canonical_bytes(), signatures=())
    for name in names:
        document = document.signed_by(signer_key(name))
    return document.to_bytes()


@cache
def signed_baseline() -> bytes:
    return signed(baseline())


@cache
def signed_second() -> bytes:
    return signed(second(), *OPERATOR[:2], *VERIFIER[:2])


def licence(
    name: str, *, device: str, sequence: int, start: datetime, budgets: dict[MeterKind, float]
) -> tuple[Licence, bytes]:
    """A licence of a day, signed by one of each group."""
    made = Licence(
        id=name,
        device=device,
        sequence=sequence,
        valid=Period(start=start, end=start + timedelta(days=1)),
        ruleset=RULESET_ID,
        ruleset_version_min=1,
        budgets=budgets,
    )
    document = SignedDocument(kind=LICENCE_KIND, payload=made.canonical_bytes(), signatures=())
    for signer in (OPERATOR[0], VERIFIER[0]):
        document = document.signed_by(signer_key(signer))
    return made, document.to_bytes()
