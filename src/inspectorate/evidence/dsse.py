"""What all DSSE envelopes share: the bytes that are signed, and base64 with one form only."""

from __future__ import annotations

import base64
import binascii


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE pre-authentication encoding (DSSE protocol, version 1, section Signature Definition)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def strict_base64(text: object) -> bytes:
    """Decode base64 in its canonical form. Raises `TypeError` or `ValueError`."""
    if not isinstance(text, str):
        raise TypeError("base64 must be text")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as fault:
        raise ValueError(f"not base64: {fault}") from None
    if base64.b64encode(data).decode() != text:
        raise ValueError("base64 is not in its canonical form")
    return data
