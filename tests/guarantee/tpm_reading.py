"""Vectors of quotes as the tests read them, and what the verifier says of one."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from inspectorate.errors import EvidenceError
from inspectorate.evidence import KeyCustody
from inspectorate.keys import PlatformAnchor
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload
from inspectorate.mechanisms.guarantee.attestation.verify import (
    Platforms,
    RejectedQuote,
    VerifiedQuote,
    verify_software,
    verify_tpm_quote,
)

FILE = Path(__file__).parent / "vectors" / "quotes.json"
FIELDS = {"name", "expect", "bound", "at", "firmware_version_min", "length", "payload"}


@dataclass(frozen=True, kw_only=True)
class Vector:
    name: str
    expect: str
    bound: bytes
    at: datetime
    root: str
    firmware_version_min: int
    data: bytes

    @property
    def anchor(self) -> PlatformAnchor:
        return PlatformAnchor(name="root", certificate=self.root, firmware_version_min=self.firmware_version_min)

    @property
    def payload(self) -> QuotePayload:
        return QuotePayload.decode(self.data, where=self.name)


def _vector(value: dict[str, object], root: str) -> Vector:
    assert set(value) == FIELDS, "an unknown field of a vector"
    data = base64.b64decode(str(value["payload"]))
    assert not data.endswith(b"\0")
    return Vector(
        name=str(value["name"]),
        expect=str(value["expect"]),
        bound=bytes.fromhex(str(value["bound"])),
        at=datetime.fromisoformat(str(value["at"])),
        root=root,
        firmware_version_min=int(str(value["firmware_version_min"])),
        data=data.ljust(int(str(value["length"])), b"\0"),
    )


def _read() -> dict[str, Vector]:
    value = json.loads(FILE.read_text(encoding="ascii"))
    found = [_vector(one, value["root"]) for one in value["vectors"]]
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


VECTORS = _read()
GOLDEN = VECTORS["golden"]


def verified(vector: Vector, data: bytes | None = None, platforms: Platforms | None = None) -> VerifiedQuote:
    payload = QuotePayload.decode(vector.data if data is None else data, where=vector.name)
    if payload.custody is KeyCustody.SOFTWARE:
        return verify_software(payload, bound=vector.bound)
    return verify_tpm_quote(
        payload, bound=vector.bound, platforms=platforms or Platforms([vector.anchor]), at=vector.at
    )


def outcome(vector: Vector, data: bytes | None = None, platforms: Platforms | None = None) -> str:
    """One of the closed list: verified, undecodable, or a fault."""
    try:
        verified(vector, data, platforms)
    except RejectedQuote as rejected:
        return rejected.fault.value
    except EvidenceError:
        return "undecodable"
    return "verified"
