"""Who signs on the bench, and what: rulesets, licences, orders to resume.

Two parties have three signers each, and a third body has one. A security patch takes 2 of 5, a list of models 3 of 7, a new
guarantee 4 of 7, a change of the rules 6 of 7, a licence 3 of 7, going on after a halt 4 of 7; in all but the first, each party has
to be among them. The numbers are the example of arXiv 2506.15093 where it gives one. All keys lie in one folder here; in reality
they are in seven places, and none of them is this machine.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

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

RULESET_ID = "inference-only"
SIGNERS = ("north-1", "north-2", "north-3", "south-1", "south-2", "south-3", "agency-1")
NORTH, SOUTH = SIGNERS[:3], SIGNERS[3:6]
_EASE = timedelta(minutes=5)


def quorums() -> dict[Act, Quorum]:
    """Who may do what (arXiv 2506.15093: 2 of 5, 4 of 7, 6 of 7)."""
    five = ("north-1", "north-2", "south-1", "south-2", "agency-1")
    both = (NORTH, SOUTH)
    return {
        Act.SECURITY_PATCH: Quorum(k=2, of=five, from_each=()),
        Act.LIST_MODELS: Quorum(k=3, of=SIGNERS, from_each=both),
        Act.NEW_GUARANTEE: Quorum(k=4, of=SIGNERS, from_each=both),
        Act.CHANGE_RULES: Quorum(k=6, of=SIGNERS, from_each=both),
        Act.LICENSE: Quorum(k=3, of=SIGNERS, from_each=both),
        Act.RESUME: Quorum(k=4, of=SIGNERS, from_each=both),
    }


@dataclass(frozen=True, kw_only=True)
class Signers:
    """All keys of the bench, by name."""

    keys: dict[str, SignerKey]

    @classmethod
    def make(cls, folder: Path) -> Signers:
        """New keys, each in a file of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        keys = {name: SignerKey(os.urandom(64)) for name in SIGNERS}
        for name, key in keys.items():
            key.write(folder / f"{name}.key")
        return cls(keys=keys)

    @classmethod
    def read(cls, folder: Path) -> Signers:
        return cls(keys={name: SignerKey.read(folder / f"{name}.key") for name in SIGNERS})

    def signed(self, kind: str, payload: bytes, names: Sequence[str]) -> SignedDocument:
        """A document with the signatures of those named; of one that is named twice, two."""
        document = SignedDocument(kind=kind, payload=payload, signatures=())
        for name in names:
            document = document.signed_by(self.keys[name])
        return document


@dataclass(frozen=True, kw_only=True)
class RuleTerms:
    """What a ruleset of the bench says beside its signers."""

    models: tuple[ListedModel, ...]
    limits: Limits = field(
        default_factory=lambda: Limits(
            in_bytes_per_s_max=200_000.0,
            out_bytes_per_s_max=500_000.0,
            burst_bytes_max=1_000_000.0,
            request_bytes_max=65_536,
            response_bytes_max=1_000_000,
            concurrent_max=64,
        )
    )
    licensed: tuple[MeterKind, ...] = (MeterKind.FLOP, MeterKind.BYTES_OUT, MeterKind.WALL_S)
    sampled_share: float = 0.05
    report_every_s: float = 10.0
    bits_per_day_max: float = 4_000_000.0
    builds: tuple[str, ...] = ()


def first_ruleset(signers: Signers, terms: RuleTerms, *, now: datetime) -> Ruleset:
    """Version 1: what the processor enforces from its first start."""
    return Ruleset(
        id=RULESET_ID,
        version=1,
        valid=Period(start=now - _EASE, end=now + timedelta(days=3650)),
        signers=tuple(signers.keys[name].signer(name) for name in SIGNERS),
        quorums=quorums(),
        baseline=(
            Rule(
                id="listed-models-only",
                at=Point.UPLOAD,
                must="listed",
                reads=("listed",),
                otherwise=Consequence.REFUSE,
                title="Only listed models are let in.",
            ),
            Rule(
                id="completions-only",
                at=Point.REQUEST,
                must='path == "/v1/completions" && tokens_max <= 2048',
                reads=("path", "tokens_max"),
                otherwise=Consequence.REFUSE,
                title="Only completions of bounded length are served.",
            ),
        ),
        rules=(
            Rule(
                id="no-difference",
                at=Point.TICK,
                must="differed == 0",
                reads=("differed",),
                otherwise=Consequence.HALT,
                title="A sampled answer that recomputes to something else halts the processor.",
            ),
        ),
        builds=terms.builds,
        models=terms.models,
        limits=terms.limits,
        licensed_meters=terms.licensed,
        sampled_share=terms.sampled_share,
        outlet=Outlet(report_every_s=terms.report_every_s, bits_per_day_max=terms.bits_per_day_max),
    )


def next_ruleset(current: Ruleset, act: Act, **changed: object) -> Ruleset:
    """The version after, with what was changed."""
    update = {"version": current.version + 1, "previous": current.digest, "act": act, **changed}
    return Ruleset.model_validate({**current.model_dump(), **update})


def licence(
    device: str, sequence: int, budgets: dict[MeterKind, float], *, now: datetime, days: float = 30.0
) -> Licence:
    """A licence for the bench's ruleset, of any version."""
    return Licence(
        id=f"lab-{sequence}",
        device=device,
        sequence=sequence,
        valid=Period(start=now - _EASE, end=now + timedelta(days=days)),
        ruleset=RULESET_ID,
        ruleset_version_min=1,
        budgets=budgets,
    )


def signed_ruleset(signers: Signers, ruleset: Ruleset, names: Sequence[str]) -> bytes:
    return signers.signed(RULESET_KIND, ruleset.canonical_bytes(), names).to_bytes()


def signed_licence(signers: Signers, made: Licence, names: Sequence[str] = ("north-1", "south-1", "agency-1")) -> bytes:
    return signers.signed(LICENCE_KIND, made.canonical_bytes(), names).to_bytes()


def signed_resume(signers: Signers, device: str, halt: str, *, now: datetime, names: Sequence[str]) -> bytes:
    """An order to go on after one halt."""
    period = Period(start=now - _EASE, end=now + timedelta(hours=1))
    order = ResumeOrder(device=device, halt=halt, valid=period, reason="looked into, and nothing was found")
    return signers.signed(RESUME_KIND, order.canonical_bytes(), names).to_bytes()
