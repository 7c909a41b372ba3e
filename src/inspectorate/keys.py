"""Signing keys, trust anchors, and k-of-n quorums.

Rules:

- A trust anchor comes from the reviewer's side only. No function here takes a key from evidence.
- A key is named by its key id, `sha256:` over its 32 raw Ed25519 bytes; two names of one key are one key.
- An anchor says what its key may sign (roles), and when. A signature outside of that is as good as none.
- A quorum counts distinct keys: unknown and duplicate signers never add up.

Private keys at rest are PKCS#8 PEM files with mode 0600.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Hashable, Iterable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import yaml
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AfterValidator, Field, model_validator

from inspectorate.canonical import Digest, Identifier, Record, digest_of
from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.files import read_bounded
from inspectorate.quantities import Time

ANCHORS_BYTES_MAX = 1024 * 1024
KEY_BYTES_MAX = 64 * 1024
YAML_DEPTH_MAX = 64

_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:
    # The loader in C, where PyYAML was built with it, is ten times as fast.
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Role(StrEnum):
    """What a key may sign."""

    DECLARATION = "declaration"
    """The prover's declaration of its fleet."""
    SENSOR = "sensor"
    """Evidence of one or more named sensors."""
    CUSTODY = "custody"
    """Custody events: who held evidence or a sensor, and when."""
    APPROVAL = "approval"
    """Approvals of loading windows, under the anchor's own name."""
    INSPECTOR = "inspector"
    """Whatever inspectors state (enrolments, challenges, draws, replays, reviews), under the anchor's own name."""
    BUNDLE = "bundle"
    """The manifest of a bundle."""


class Holder(StrEnum):
    """Who physically holds a key or a sensor, and so who could make it lie."""

    VERIFIER = "verifier"
    PROVER = "prover"
    JOINT = "joint"


class PublicKey:
    """An Ed25519 public key. Compare and name it by `key_id`."""

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise ValueError(f"an Ed25519 public key has 32 bytes, not {len(raw)}")
        self.raw = raw
        self.key_id = digest_of(raw)
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` is this key's over `message`."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class SigningKey:
    """An Ed25519 private key."""

    def __init__(self, seed: bytes) -> None:
        if len(seed) != 32:
            raise ValueError(f"an Ed25519 seed has 32 bytes, not {len(seed)}")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    @property
    def key_id(self) -> str:
        return self.public.key_id

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes. Needed only to derive a ledger key or to write the key to disk."""
        return self._key.private_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def write(self, path: Path) -> None:
        """Write the key as PKCS#8 PEM, readable by its owner only. Refuses to overwrite."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as fault:
            raise EnvironmentError_(f"cannot write the key: {fault.strerror}", where=str(path)) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a PKCS#8 PEM key. Raises `InputError`."""
        try:
            key = serialization.load_pem_private_key(read_bounded(path, KEY_BYTES_MAX), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise InputError(
                "cannot read a signing key: it is no unencrypted PKCS#8 PEM", where=str(path),
                remedy="make one with `inspectorate keys new`",
            ) from None  # fmt: skip
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError("is not an Ed25519 key", where=str(path))
        return cls(key.private_bytes_raw())


def _is_a_key(value: str) -> str:
    raw = base64.b64decode(value, validate=True)
    if len(raw) != 32 or base64.b64encode(raw).decode() != value:
        raise ValueError("must be base64 of 32 bytes")
    return value


KeyText = Annotated[str, AfterValidator(_is_a_key)]
"""Base64 of the 32 raw bytes of an Ed25519 public key."""


class TrustAnchor(Record):
    """A key that the reviewer trusts, for what and when."""

    name: Identifier
    public_key: KeyText = Field(description="base64 of the 32 raw Ed25519 bytes")
    holder: Holder
    roles: tuple[Role, ...] = Field(min_length=1)
    sensors: tuple[Identifier, ...] = Field(default=(), description="the sensors it may speak for; empty: none")
    valid_from: Time
    valid_until: Time

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if self.valid_until <= self.valid_from:
            raise ValueError("valid_until must come after valid_from")
        if self.sensors and Role.SENSOR not in self.roles:
            raise ValueError("sensors are named, but the role 'sensor' is not given")
        return self

    @property
    def key(self) -> PublicKey:
        return PublicKey(base64.b64decode(self.public_key))

    def may(self, role: Role, at: datetime) -> bool:
        """Whether this anchor's key may sign in `role` at the given time."""
        return role in self.roles and self.valid_from <= at < self.valid_until


class LedgerAnchor(Record):
    """A log, and the witnesses of which at least `witnesses_min` must have cosigned its checkpoint."""

    origin: str = Field(min_length=1, max_length=200)
    key: str = Field(description="the log's verifier key in signed-note form: name+hash+base64")
    witnesses: tuple[str, ...] = Field(default=(), description="verifier keys of witnesses in signed-note form")
    witnesses_min: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.witnesses_min > len(set(self.witnesses)):
            raise ValueError("asks for more witnesses than it names")
        return self


class PlatformAnchor(Record):
    """A root under which keys of TPMs are certified, and the oldest firmware of theirs that is trusted."""

    name: Identifier
    certificate: str = Field(min_length=1, max_length=20_000, description="the root's X.509 certificate, PEM")
    firmware_version_min: int = Field(default=0, ge=0, description="TPMS_ATTEST.firmwareVersion, as a number")


class LandmarkAnchor(Record):
    """A landmark of the verifier that times answers of devices, and where it stands (WGS 84)."""

    name: Identifier
    latitude_deg: Annotated[float, Field(ge=-90, le=90)]
    longitude_deg: Annotated[float, Field(ge=-180, le=180)]
    position_error_m: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=100.0, description="within which its position is known"
    )


class TrustAnchors(Record):
    """All that the reviewer trusts. Read from the reviewer's own file, never from a bundle."""

    anchors: tuple[TrustAnchor, ...] = Field(min_length=1)
    ledgers: tuple[LedgerAnchor, ...] = ()
    platforms: tuple[PlatformAnchor, ...] = Field(default=(), max_length=64)
    landmarks: tuple[LandmarkAnchor, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        keys = [anchor.key.key_id for anchor in self.anchors]
        if len(set(keys)) != len(keys):
            raise ValueError("one key appears under two anchors")
        names = [anchor.name for anchor in self.anchors]
        if len(set(names)) != len(names):
            raise ValueError("one name is given to two anchors")
        places = [landmark.name for landmark in self.landmarks]
        if len(set(places)) != len(places):
            raise ValueError("one name is given to two landmarks")
        return self

    def by_key_id(self, key_id: str) -> TrustAnchor | None:
        return next((anchor for anchor in self.anchors if anchor.key.key_id == key_id), None)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read anchors from YAML. Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=ANCHORS_BYTES_MAX), where=str(path), error=InputError)


def read_yaml(path: Path, *, bytes_max: int) -> object:
    """Read one YAML document of bounded size. Raises `InputError` naming file and line."""
    return parse_yaml(read_bounded(path, bytes_max), where=str(path), bytes_max=bytes_max)


def parse_yaml(data: bytes, *, where: str, bytes_max: int) -> object:
    """Parse one YAML document of bounded size and depth, without aliases and without repeated keys.

    Raises `InputError` naming the line.
    """
    if len(data) > bytes_max:
        raise InputError(f"has {len(data)} bytes, more than {bytes_max}", where=where)
    try:
        _check_tokens(data, where)
        return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader that also refuses repeated keys
    except yaml.MarkedYAMLError as fault:
        line = fault.problem_mark.line + 1 if fault.problem_mark else 0
        raise InputError(f"not YAML: {fault.problem or fault.context}", where=f"{where}:{line}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as fault:
        raise InputError(f"not YAML: {fault}", where=where) from None


def _check_tokens(data: bytes, where: str) -> None:
    """Refuse aliases and deep nesting before anything is built: both cost far more than their size."""
    depth = 0
    for token in yaml.scan(data, Loader=_SafeLoader):
        place = f"{where}:{token.start_mark.line + 1}"
        if isinstance(token, yaml.AliasToken):
            raise InputError("uses YAML aliases", where=place, remedy="write the value out")
        if isinstance(token, _OPENING):
            depth += 1
        elif isinstance(token, _CLOSING):
            depth -= 1
        if depth > YAML_DEPTH_MAX:
            raise InputError(f"nests deeper than {YAML_DEPTH_MAX}", where=place)


class _Loader(_SafeLoader):
    """Refuses a mapping that repeats a key, of which the standard loader keeps the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(
                        problem=f"key {key.value!r} repeats", problem_mark=key.start_mark
                    )
                seen.add((key.tag, key.value))
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def distinct_signers(key_ids: Iterable[str], trusted: Iterable[str]) -> frozenset[Digest]:
    """The trusted keys among `key_ids`, each once: what a k-of-n quorum counts."""
    return frozenset(key_ids) & frozenset(trusted)
