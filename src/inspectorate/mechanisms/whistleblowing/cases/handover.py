"""A case goes to another office: whole, or its claims alone. Either takes a quorum.

Whole: every office that agrees says so in the case (`HandOverAgreed`, with the receiver's key). Then any of them makes the
package: all entries and files, sealed to the receiver alone. The receiver verifies the entries like every other reader, and so sees
for itself that a quorum agreed.

Claims alone: a document of what can be said in closed lists, names and numbers (`Sanitised`). Not a word of the source stands in
it, nor case, report, language or time of arrival. Each office that agrees signs the document itself; the receiver counts
signatures by the agreed list. Every office makes the document for itself out of the case: nobody signs what it has not seen.

Not prevented: that somebody in an office who has read a case tells others of it. No cryptography prevents that; the package proves
who agreed to what was handed over properly.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pydantic import Field

from inspectorate.canonical import Identifier, Record, canonical_bytes, digest_of, parse_canonical, parse_json
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import Activity
from inspectorate.evidence.dsse import pae, strict_base64
from inspectorate.keys import SigningKey
from inspectorate.mechanisms.whistleblowing.cases.acts import HandOver, Pods
from inspectorate.mechanisms.whistleblowing.cases.entries import CaseFile
from inspectorate.mechanisms.whistleblowing.cases.state import CaseStanding, CaseState, enough
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices
from inspectorate.quantities import Period, Positive

SANITISED_TYPE = "application/vnd.inspectorate.sanitised-claims+json"
PACKAGE_BYTES_MAX = 1 << 30


class SanitisedClaim(Record):
    """What of a claim has no words."""

    activity: Activity
    clause: Identifier
    site: Identifier | None = None
    cluster: Identifier | None = None
    pods: Pods = ()
    period: Period | None = None
    flop_min: Positive | None = None


class Sanitised(Record):
    """The claims of a case, for others than its offices."""

    agreement: Identifier
    declaration: Identifier
    to: Identifier
    claims: tuple[SanitisedClaim, ...] = Field(min_length=1, max_length=1000)


def sanitised(state: CaseState, to: str) -> bytes:
    """The document of all linked claims, the same whoever makes it. Raises `InputError`."""
    if state.standing is CaseStanding.PENDING:
        raise InputError("no quorum of offices has opened this case yet", where=f"case {state.case}")
    if not state.links:
        raise InputError("no claim is linked yet", where=f"case {state.case}", remedy="`cases link` comes first")
    terms = {(link.agreement, link.declaration) for link in state.links.values()}
    if len(terms) > 1:
        raise InputError("claims are linked to several agreements or declarations", where=f"case {state.case}")
    agreement, declaration = terms.pop()
    claims = [
        SanitisedClaim(
            activity=state.claims[name].activity, clause=link.clause, site=link.site, cluster=link.cluster, pods=link.pods,
            period=link.period, flop_min=state.claims[name].flop_min,
        )
        for name, link in state.links.items()
    ]  # fmt: skip
    document = Sanitised(
        agreement=agreement, declaration=declaration, to=to,
        claims=tuple(sorted(claims, key=lambda claim: claim.canonical_bytes())),
    )  # fmt: skip
    return document.canonical_bytes()


def sign_document(document: bytes, key: SigningKey) -> str:
    return base64.b64encode(key.sign(pae(SANITISED_TYPE, document))).decode()


def agreed_terms(state: CaseState, to: str, offices: Offices, *, whole: bool) -> HandOver:
    """The hand-over to this office to which a quorum agreed. Raises `InputError`, saying who agreed so far."""
    found = [terms for terms in state.agreed if terms.to == to and terms.whole is whole]
    for terms in found:
        if enough(offices, state.agreed[terms]):
            return terms
    so_far = sorted({office for terms in found for office in state.agreed[terms]})
    raise InputError(
        f"{len(so_far)} of the {offices.quorum} offices that it takes agree to hand it to {to}"
        + (f": {', '.join(so_far)}" if so_far else ""),
        where=f"case {state.case}", remedy="each says so with `cases hand-over agree`; `cases merge` takes over what they said",
    )  # fmt: skip


def package_digest(file: CaseFile) -> str:
    """Names what a whole hand-over contains: the entries that there are when it is made."""
    return digest_of(canonical_bytes(sorted(one.digest for one in file.held)))


def pack_whole(file: CaseFile, files: Mapping[str, bytes]) -> bytes:
    """Entries (the one of the hand-over included) and files of a case, to be sealed to the receiver."""
    return canonical_bytes(
        {
            "entries": [one.envelope.decode() for one in file.held],
            "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
        }
    )


def unpack_whole(data: bytes, *, where: str) -> tuple[tuple[bytes, ...], dict[str, bytes]]:
    """Entries and files of such a package, not yet verified. Raises `EvidenceError`."""
    value = parse_json(data, where=where)
    try:
        if set(value) != {"entries", "files"}:
            raise ValueError("needs exactly entries and files")
        entries = tuple(str(one).encode() for one in value["entries"])
        files = {str(name): strict_base64(one) for name, one in value["files"].items()}
    except (ValueError, TypeError, AttributeError) as fault:
        raise EvidenceError(f"is no handed-over case: {fault}", where=where) from None
    return entries, files


def pack_claims(document: bytes, signatures: Mapping[str, str]) -> bytes:
    """The sanitised document and the signatures of the offices that agreed, by name."""
    return canonical_bytes({"document": base64.b64encode(document).decode(), "signatures": dict(signatures)})


def unpack_claims(data: bytes, offices: Offices, *, where: str) -> tuple[Sanitised, tuple[str, ...]]:
    """The claims of such a package, and the offices that signed them. Raises `EvidenceError` under a quorum."""
    value = parse_canonical(data, where=where)
    try:
        if set(value) != {"document", "signatures"}:
            raise ValueError("needs exactly document and signatures")
        document = strict_base64(value["document"])
        signatures = {str(name): strict_base64(one) for name, one in value["signatures"].items()}
    except (ValueError, TypeError, AttributeError) as fault:
        raise EvidenceError(f"is no package of claims: {fault}", where=where) from None
    keys = {one.name: one.public_key for one in offices.offices}
    signed = [
        name
        for name, signature in signatures.items()
        if name in keys and keys[name].verifies(signature, pae(SANITISED_TYPE, document))
    ]
    if not enough(offices, signed):
        raise EvidenceError(
            f"is signed by {len(signed)} of the {offices.quorum} offices that it takes", where=where,
            remedy="one office alone hands nothing over",
        )  # fmt: skip
    claims = Sanitised.parse(parse_canonical(document, where=where), where=where, error=EvidenceError)
    return claims, tuple(sorted(signed))
