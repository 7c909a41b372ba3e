"""A record with a signature over it: closings, receipts, releases and boards.

The bytes that are signed are those of DSSE (pre-authentication encoding), under a type that says what the record is: a receipt
never passes for a closing. Who may sign what is for the caller to say: nothing here takes a key from what it reads.
"""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import Field

from inspectorate.canonical import Record, parse_canonical
from inspectorate.errors import EvidenceError
from inspectorate.evidence.dsse import pae, strict_base64
from inspectorate.keys import PublicKey, SigningKey

_TYPE = "application/vnd.inspectorate.intake."


class _Signed(Record):
    kind: Annotated[str, Field(max_length=64)]
    payload: str
    signature: Annotated[str, Field(max_length=100)]


def taken_apart(data: bytes) -> tuple[bytes, bytes]:
    """The payload and the signature of what `sign` made."""
    signed = _Signed.model_validate_json(data)
    return strict_base64(signed.payload), strict_base64(signed.signature)


def put_together(payload: bytes, signature: bytes, kind: str) -> bytes:
    """The signed form again, whether or not the signature is good."""
    return _Signed(
        kind=kind, payload=base64.b64encode(payload).decode(), signature=base64.b64encode(signature).decode()
    ).canonical_bytes()


def sign(record: Record, kind: str, key: SigningKey) -> bytes:
    """The signed form of a record."""
    payload = record.canonical_bytes()
    return put_together(payload, key.sign(pae(_TYPE + kind, payload)), kind)


def verified(data: bytes, kind: str, key: PublicKey, *, where: str) -> object:
    """The plain data of a record that this key signed as this kind. Raises `EvidenceError`."""
    signed = _Signed.parse(parse_canonical(data, where=where), where=where, error=EvidenceError)
    try:
        payload, signature = strict_base64(signed.payload), strict_base64(signed.signature)
    except ValueError as fault:
        raise EvidenceError(str(fault), where=where) from None
    if signed.kind != kind or not key.verifies(signature, pae(_TYPE + kind, payload)):
        raise EvidenceError(f"is not signed as a {kind} by the key that must have signed it", where=where)
    return parse_canonical(payload, where=where)
