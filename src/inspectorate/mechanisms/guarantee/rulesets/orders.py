"""An order to go on after a halt: for one device, one halt and a short while, signed by the quorum for `resume`.

It names the halt by its nonce, so that it is good for that one and never again: the next halt has another nonce.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from inspectorate.canonical import Digest, Hex, Record, Text, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.mechanisms.guarantee.events import EventKind, Refusal
from inspectorate.mechanisms.guarantee.rulesets.quorum import judge_quorum
from inspectorate.mechanisms.guarantee.rulesets.types import Act, Ruleset
from inspectorate.mechanisms.guarantee.signing import SignedDocument
from inspectorate.quantities import Period

RESUME_KIND = "application/vnd.inspectorate.resume+json"


class ResumeOrder(Record):
    """Let one device go on after one halt."""

    device: Digest
    halt: Hex
    valid: Period
    reason: Text


@dataclass(frozen=True, kw_only=True)
class JudgedOrder:
    """An order that may be followed, or why not."""

    order: ResumeOrder | None
    refusals: tuple[Refusal, ...]
    """With an order, only `SIGNER_REPEATED` can stand here."""
    signers: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


def parse_resume(document: SignedDocument, *, where: str) -> ResumeOrder:
    """The order in a document, whoever signed it. Raises `EvidenceError`."""
    if document.kind != RESUME_KIND:
        raise EvidenceError(f"is a {document.kind[:80]!r}, not an order to resume", where=where)
    order = ResumeOrder.parse(parse_canonical(document.payload, where=where), where=where, error=EvidenceError)
    if order.canonical_bytes() != document.payload:
        raise EvidenceError("is not in the one form of this order", where=where)
    return order


def judge_resume(current: Ruleset, document: SignedDocument, *, device: str, halt: str, at: datetime) -> JudgedOrder:
    """Judge an order by the ruleset in force: for this device, this halt, now, and signed by enough."""
    try:
        order = parse_resume(document, where="order to resume")
    except EvidenceError as fault:
        return JudgedOrder(order=None, refusals=(_refused(str(fault)),))
    refusals = []
    if order.device != device:
        refusals.append(_refused(f"is for {order.device}, and this is {device}"))
    if order.halt != halt:
        refusals.append(_refused(f"ends the halt {order.halt}, and this is {halt}"))
    if not order.valid.contains(at):
        refusals.append(_refused(f"is good from {order.valid}"))
    counted = judge_quorum(current, Act.RESUME, document)
    refusals.extend(counted.refusals)
    accepted = all(one.kind is EventKind.SIGNER_REPEATED for one in refusals)
    return JudgedOrder(
        order=order if accepted else None, refusals=tuple(refusals), signers=counted.signers, notes=counted.notes
    )


def _refused(why: str) -> Refusal:
    return Refusal(kind=EventKind.RESUME_REFUSED, why=why)
