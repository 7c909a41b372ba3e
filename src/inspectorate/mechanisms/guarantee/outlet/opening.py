"""What goes to the outlet is opened again and compared: the outlet does not believe the program that it is part of.

    1. an envelope of ours in canonical form, with one or two signatures of 64 bytes
    2. of the statement type of its kind, and with no field that the kind does not have
    3. its subjects are exactly the payloads that go with it, by name, digest and length
    4. a report says of reporter, number and period what its checkpoint says; a document, what the slot says

What has any freedom left after that are the signatures, and the inside of a quote (`docs/outlet.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from inspectorate.canonical import canonical_bytes, digest_of, first_fault, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence import GuardReported, LicenceApplied, PredicateType, RulesetInForce, Statement
from inspectorate.evidence.dsse import strict_base64
from inspectorate.evidence.envelope import PAYLOAD_TYPE
from inspectorate.mechanisms.guarantee.attestation.reference import QUOTE_BYTES
from inspectorate.mechanisms.guarantee.outlet.checkpoint import Checkpoint
from inspectorate.mechanisms.guarantee.signing import DOCUMENT_BYTES_MAX
from inspectorate.quantities import Period

ENVELOPE_BYTES_MAX = 16 * 1024
SIGNATURES_MAX = 2
SIGNATURE_BYTES = 64
CHECKPOINT_NAME, QUOTE_NAME = "checkpoint", "quote"
_WHERE = "the outlet"


class OutputKind(StrEnum):
    """All that may leave. The order is that within a slot."""

    REPORT = "report"
    RULESET = "ruleset"
    LICENCE = "licence"


_TYPES = {
    OutputKind.REPORT: PredicateType.GUARD_REPORTED,
    OutputKind.RULESET: PredicateType.RULESET_IN_FORCE,
    OutputKind.LICENCE: PredicateType.LICENCE_APPLIED,
}


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """One statement, signed, with its payloads by name."""

    kind: OutputKind
    envelope: bytes
    payloads: tuple[tuple[str, bytes], ...]


def check_report(sealed: Sealed, checkpoint: Checkpoint, data: bytes) -> None:
    """Whether `sealed` says nothing but `checkpoint`, whose byte form is `data`. Raises `ValueError`."""
    said = _opened(sealed, OutputKind.REPORT)
    assert isinstance(said, GuardReported), "of the type of its kind"
    payloads = dict(sealed.payloads)
    if not {CHECKPOINT_NAME} <= set(payloads) <= {CHECKPOINT_NAME, QUOTE_NAME} or payloads[CHECKPOINT_NAME] != data:
        raise ValueError("a report has the checkpoint, perhaps a quote, and nothing else")
    if len(payloads.get(QUOTE_NAME, b"")) not in (0, QUOTE_BYTES):
        raise ValueError(f"a quote has {QUOTE_BYTES} bytes")
    if (said.reporter, said.sequence, said.period) != (checkpoint.reporter, checkpoint.sequence, checkpoint.period):
        raise ValueError("a report says something else than its checkpoint")


def check_document(sealed: Sealed, kind: OutputKind, document: bytes, period: Period) -> None:
    """Whether `sealed` makes nothing known but `document`, in the slot of `period`. Raises `ValueError`."""
    said = _opened(sealed, kind)
    assert not isinstance(said, GuardReported), "a document is no report"
    if len(document) > DOCUMENT_BYTES_MAX or [payload for _, payload in sealed.payloads] != [document]:
        raise ValueError(f"a {kind.value} goes with its signed document and nothing else")
    if [name for name, _ in sealed.payloads] != [kind.value]:
        raise ValueError(f"the document of a {kind.value} is named so")
    if said.period != period:
        raise ValueError("a document is made known for the period of its slot")


def _opened(sealed: Sealed, kind: OutputKind) -> GuardReported | RulesetInForce | LicenceApplied:
    """Steps 1 to 3."""
    if sealed.kind is not kind:
        raise ValueError(f"a {sealed.kind.value} is offered as a {kind.value}")
    if len(sealed.envelope) > ENVELOPE_BYTES_MAX:
        raise ValueError(f"an envelope of {len(sealed.envelope)} bytes exceeds {ENVELOPE_BYTES_MAX}")
    try:
        envelope = parse_canonical(sealed.envelope, where=_WHERE)
        if set(envelope) != {"payload", "payloadType", "signatures"} or envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("is not an envelope of a statement")
        signatures = [(item["keyid"], strict_base64(item["sig"])) for item in envelope["signatures"]]
        if not 1 <= len(signatures) <= SIGNATURES_MAX or any(
            set(item) != {"keyid", "sig"} for item in envelope["signatures"]
        ):
            raise ValueError(f"needs one to {SIGNATURES_MAX} signatures")
        if any(len(signature) != SIGNATURE_BYTES for _, signature in signatures):
            raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes")
        payload = strict_base64(envelope["payload"])
        statement = Statement.model_validate(parse_canonical(payload, where=_WHERE))
        # Times and numbers have several forms in JSON that mean the same.
        if canonical_bytes(statement.model_dump(mode="json", by_alias=True, exclude_none=True)) != payload:
            raise ValueError("a statement is not in the form that is written")
    except ValidationError as fault:
        raise ValueError(first_fault(fault)) from None
    except (EvidenceError, TypeError, KeyError, AttributeError) as fault:
        raise ValueError(f"is not an envelope of a statement: {fault}") from None
    said = statement.predicate
    if statement.predicate_type is not _TYPES[kind]:
        raise ValueError(f"a {kind.value} is no {statement.predicate_type.value}")
    assert isinstance(said, GuardReported | RulesetInForce | LicenceApplied), "of the type of its kind"
    named = [(subject.name, subject.digest_text) for subject in statement.subject]
    if named != [(name, digest_of(payload)) for name, payload in sealed.payloads]:
        raise ValueError("the subjects of a statement are its payloads")
    return said
