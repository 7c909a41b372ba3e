"""Signed documents: Ed25519 and ML-DSA-65 side by side, any number of signers, in one DSSE envelope.

Rules:

- A signer has two keys, and a signature of theirs is two signatures over the same bytes. It counts only if both verify: to
  forge it, elliptic curves *and* lattices must fall.
- A signer is named by `sha256:` over both public keys, so that neither half can be exchanged.
- `verify_document` says who signed. Whether that is enough is a matter of the ruleset (`rulesets.update`), and never decided here.
- Unknown, repeated and false signatures are all listed, none is skipped without a word, and none adds up.

Formats: DSSE v1; Ed25519 (RFC 8032); ML-DSA-65 (FIPS 204). The pair is `Ed25519 || ML-DSA-65`, 64 + 3309 bytes.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from pydantic import AfterValidator, Field

from inspectorate.canonical import Identifier, Record, canonical_bytes, digest_of, parse_canonical
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence.dsse import pae, strict_base64

DOCUMENT_BYTES_MAX = 1024 * 1024
SIGNATURES_MAX = 64
ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES = 32, 64
ML_DSA_65_KEY_BYTES, ML_DSA_65_SIGNATURE_BYTES = 1952, 3309
"""FIPS 204, table 2."""
_SEEDS_BYTES = 64
_FILE_BYTES_MAX = 4096


def _is_key_pair(value: str) -> str:
    raw = base64.b64decode(value, validate=True)
    if len(raw) != ED25519_KEY_BYTES + ML_DSA_65_KEY_BYTES or base64.b64encode(raw).decode() != value:
        raise ValueError(f"must be base64 of {ED25519_KEY_BYTES} + {ML_DSA_65_KEY_BYTES} bytes")
    return value


class Signer(Record):
    """One who may sign: a name, and both public keys as base64 of `Ed25519 || ML-DSA-65`."""

    name: Identifier
    public_keys: Annotated[str, Field(max_length=4000), AfterValidator(_is_key_pair)]

    @property
    def signer_id(self) -> str:
        return digest_of(base64.b64decode(self.public_keys))

    @property
    def halves(self) -> tuple[bytes, bytes]:
        """The two public keys: Ed25519, ML-DSA-65."""
        raw = base64.b64decode(self.public_keys)
        return raw[:ED25519_KEY_BYTES], raw[ED25519_KEY_BYTES:]

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether both halves of `signature` are this signer's over `message`."""
        if len(signature) != ED25519_SIGNATURE_BYTES + ML_DSA_65_SIGNATURE_BYTES:
            return False
        classical, lattice = self.halves
        try:
            Ed25519PublicKey.from_public_bytes(classical).verify(signature[:ED25519_SIGNATURE_BYTES], message)
            MLDSA65PublicKey.from_public_bytes(lattice).verify(signature[ED25519_SIGNATURE_BYTES:], message)
        except (InvalidSignature, ValueError):
            return False
        return True


class SignerKey:
    """The private half of a signer: two seeds of 32 bytes."""

    def __init__(self, seeds: bytes) -> None:
        if len(seeds) != _SEEDS_BYTES:
            raise ValueError(f"a signer has {_SEEDS_BYTES} bytes of seeds, not {len(seeds)}")
        self._seeds = seeds
        self._classical = Ed25519PrivateKey.from_private_bytes(seeds[:32])
        self._lattice = MLDSA65PrivateKey.from_seed_bytes(seeds[32:])
        public = self._classical.public_key().public_bytes_raw() + self._lattice.public_key().public_bytes_raw()
        self._public = base64.b64encode(public).decode()
        self.signer_id = digest_of(public)

    def signer(self, name: str) -> Signer:
        return Signer(name=name, public_keys=self._public)

    def sign(self, message: bytes) -> bytes:
        return self._classical.sign(message) + self._lattice.sign(message)

    def write(self, path: Path) -> None:
        """Write the seeds, readable by their owner only. Refuses to overwrite."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as fault:
            raise EnvironmentError_(f"cannot write the key: {fault.strerror}", where=str(path)) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(canonical_bytes({"kind": "ed25519+ml-dsa-65", "seeds": base64.b64encode(self._seeds).decode()}))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote. Raises `InputError`."""
        try:
            with path.open("rb") as file:
                data = file.read(_FILE_BYTES_MAX)
            value = parse_canonical(data, where=str(path))
            if not isinstance(value, dict) or value.get("kind") != "ed25519+ml-dsa-65":
                raise ValueError("is not a signer's key")
            return cls(base64.b64decode(str(value.get("seeds")), validate=True))
        except (OSError, ValueError, EvidenceError) as fault:
            text = fault.problem if isinstance(fault, EvidenceError) else str(fault)
            raise InputError(f"cannot read a signer's key: {text}", where=str(path)) from None


@dataclass(frozen=True, kw_only=True)
class SignedDocument:
    """An envelope in its canonical bytes, taken apart. Nothing in it is verified."""

    kind: str
    """The DSSE payload type, such as `application/vnd.inspectorate.ruleset+json`."""
    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]
    """(signer id, signature), as they stand in the envelope: in order of signer id, repeats included."""

    @property
    def digest(self) -> str:
        """Digest of the payload: what signers sign, and what a ruleset or licence is named by."""
        return digest_of(self.payload)

    def to_bytes(self) -> bytes:
        listed = sorted(self.signatures)
        return canonical_bytes(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.kind,
                "signatures": [{"keyid": name, "sig": base64.b64encode(sig).decode()} for name, sig in listed],
            }
        )

    def signed_by(self, key: SignerKey) -> SignedDocument:
        """The document with one more signature. ML-DSA is randomised: signing twice gives two signatures."""
        signature = key.sign(pae(self.kind, self.payload))
        return SignedDocument(
            kind=self.kind, payload=self.payload, signatures=(*self.signatures, (key.signer_id, signature))
        )


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """Who signed a document, of those who were asked for."""

    valid: frozenset[str]
    """Names of signers with a signature that verifies, each once."""
    repeated: frozenset[str]
    """Names of known signers that appear more than once, true or false."""
    unknown: frozenset[str]
    """Signer ids that nobody asked for."""
    false: frozenset[str]
    """Names of signers of whom some signature does not verify."""


def parse_document(data: bytes, *, kind: str, where: str) -> SignedDocument:
    """Take an envelope apart, under limits. Raises `EvidenceError`."""
    if len(data) > DOCUMENT_BYTES_MAX:
        raise EvidenceError(f"a signed document of {len(data)} bytes exceeds {DOCUMENT_BYTES_MAX}", where=where)
    value = parse_canonical(data, where=where)
    try:
        if not isinstance(value, dict) or set(value) != {"payload", "payloadType", "signatures"}:
            raise ValueError("is not a signed document")
        if value["payloadType"] != kind:
            raise ValueError(f"is a {str(value['payloadType'])[:80]!r}, not {kind!r}")
        listed = value["signatures"]
        if not isinstance(listed, list) or len(listed) > SIGNATURES_MAX:
            raise ValueError(f"has more than {SIGNATURES_MAX} signatures, or no list of them")
        signatures = tuple(_signature(item) for item in listed)
        if list(signatures) != sorted(signatures):
            raise ValueError("its signatures are not in order")
        return SignedDocument(kind=kind, payload=strict_base64(value["payload"]), signatures=signatures)
    except (ValueError, TypeError) as fault:
        raise EvidenceError(str(fault), where=where, remedy="ask for the document again") from None


def verify_document(document: SignedDocument, signers: Mapping[str, Signer]) -> Signatures:
    """Who of `signers` (by signer id) signed the document."""
    message = pae(document.kind, document.payload)
    valid: set[str] = set()
    false: set[str] = set()
    seen: set[str] = set()
    repeated: set[str] = set()
    for signer_id, signature in document.signatures:
        signer = signers.get(signer_id)
        if signer is None:
            continue
        (repeated if signer_id in seen else seen).add(signer_id)
        (valid if signer.verifies(signature, message) else false).add(signer_id)
    named = {signer_id: signer.name for signer_id, signer in signers.items()}
    return Signatures(
        valid=frozenset(named[one] for one in valid),
        repeated=frozenset(named[one] for one in repeated),
        unknown=frozenset(one for one, _ in document.signatures if one not in signers),
        false=frozenset(named[one] for one in false),
    )


def _signature(item: object) -> tuple[str, bytes]:
    if not isinstance(item, dict) or set(item) != {"keyid", "sig"} or not isinstance(item["keyid"], str):
        raise ValueError("a signature needs exactly keyid and sig")
    return item["keyid"], strict_base64(item["sig"])
