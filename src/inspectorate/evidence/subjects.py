"""Payloads of statements, by the name of their subject, checked against its digest."""

from __future__ import annotations

from collections.abc import Callable

from inspectorate.canonical import JSON_BYTES_MAX, digest_of
from inspectorate.errors import EvidenceError
from inspectorate.evidence.envelope import VerifiedStatement


def subject_digest(statement: VerifiedStatement, name: str) -> str:
    """The digest of the one subject of this name. Raises `EvidenceError` where there is none, or more than one."""
    named = [subject.digest_text for subject in statement.statement.subject if subject.name == name]
    if len(named) != 1:
        raise EvidenceError(
            f"names {len(named)} subjects {name!r}, not one", where=f"statement {statement.digest[:19]}…"
        )
    return named[0]


def subject_bytes(statement: VerifiedStatement, name: str, payload: Callable[[str], bytes]) -> bytes:
    """The payload behind a subject. Raises `EvidenceError` where it is not there, or not the one that was signed
    for."""
    digest = subject_digest(statement, name)
    where = f"{name} of statement {statement.digest[:19]}…"
    try:
        data = payload(digest)
    except KeyError:
        raise EvidenceError("its payload is not there", where=where) from None
    if len(data) > JSON_BYTES_MAX:
        raise EvidenceError(f"{len(data)} bytes exceed {JSON_BYTES_MAX}", where=where)
    if digest_of(data) != digest:
        raise EvidenceError("its payload is not the one that was signed for", where=where)
    return data
