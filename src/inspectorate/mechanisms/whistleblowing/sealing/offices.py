"""The offices that can open a report together: of whom, and how many it takes.

Rules, checked whenever a list is read:

- at least two offices must agree to open, and no party has that many: nobody opens alone;
- without the offices of any one party, as many as it takes are left: nobody buries a report by not opening it;
- no key stands twice.

The list is public and agreed. Everything sealed to a list is bound to its digest, so that an intake whose host adds an office of
its own is found out by every office that holds the agreed list.
"""

from __future__ import annotations

import base64
import os
from collections import Counter
from pathlib import Path
from typing import Self

import pyrage
from pydantic import Field, field_validator, model_validator

from inspectorate.canonical import Identifier, Record, digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.keys import KeyText, PublicKey, read_yaml
from inspectorate.mechanisms.whistleblowing.sealing.phrases import Recipient

OFFICES_MAX = 16
OFFICES_BYTES_MAX = 64 * 1024
IDENTITY_BYTES_MAX = 4096


class Office(Record):
    """One case office: the key to which its shares are sealed, and the key with which it signs."""

    name: Identifier
    party: Identifier
    recipient: Recipient
    key: KeyText = Field(description="base64 of the 32 raw bytes of an Ed25519 key")

    @field_validator("recipient")
    @classmethod
    def _is_a_recipient(cls, value: str) -> str:
        try:
            pyrage.x25519.Recipient.from_str(value)
        except pyrage.RecipientError:
            raise ValueError("is no recipient of age") from None
        return value

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(base64.b64decode(self.key))


class Offices(Record):
    """All offices, and how many of them it takes. Their order counts: it is that of the shares."""

    quorum: int = Field(ge=2, le=OFFICES_MAX)
    offices: tuple[Office, ...] = Field(min_length=3, max_length=OFFICES_MAX)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for what, values in (
            ("name", [one.name for one in self.offices]),
            ("recipient", [one.recipient for one in self.offices]),
            ("key", [one.key for one in self.offices]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two offices have one {what}")
        largest = max(Counter(one.party for one in self.offices).values())
        if largest >= self.quorum:
            raise ValueError("one party could open reports alone: it has as many offices as the quorum")
        if len(self.offices) - largest < self.quorum:
            raise ValueError("one party could keep reports closed: without its offices there is no quorum")
        return self

    @property
    def digest(self) -> str:
        return digest_of(self.canonical_bytes())

    def place(self, name: str) -> int:
        """Where an office stands. Raises `InputError`."""
        for place, one in enumerate(self.offices):
            if one.name == name:
                return place
        raise InputError(f"{name!r} is no office of the list", remedy=f"one of: {', '.join(self.names)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.offices)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a list (YAML). Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=OFFICES_BYTES_MAX), where=str(path), error=InputError)

    def place_of(self, identity: pyrage.x25519.Identity) -> int:
        """Which office an identity is. Raises `InputError`."""
        recipient = str(identity.to_public())
        for place, one in enumerate(self.offices):
            if one.recipient == recipient:
                return place
        raise InputError(
            "the identity is of no office of the list", remedy="give the file of `inspectorate intake keys`"
        )


def check_offices(found: Offices, agreed: Offices, *, where: str) -> None:
    """Raises `EvidenceError` where something was sealed to other offices than the agreed ones."""
    if found.digest != agreed.digest:
        raise EvidenceError(
            "is sealed to other offices than those that were agreed",
            where=where,
            remedy="hold it against the agreed list: who stands in it that should not?",
        )


def new_identity(path: Path) -> str:
    """Make an age identity in a new file that only its owner can read; the recipient. Raises `EnvironmentError_`."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as fault:
        raise EnvironmentError_(f"cannot be written: {fault.strerror}", where=str(path)) from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"# public key: {recipient}\n{identity}\n")
        file.flush()
        os.fsync(descriptor)
    return recipient


def read_identity(path: Path) -> pyrage.x25519.Identity:
    """Read an identity as `age-keygen` writes it. Raises `InputError`; refuses a file that others can read."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(IDENTITY_BYTES_MAX).decode("ascii")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputError(f"cannot be read as an age identity: {fault}", where=str(path)) from None
    if mode & 0o077:
        raise InputError("can be read by others than its owner", where=str(path), remedy="chmod 600")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise InputError("must hold one age identity", where=str(path))
    try:
        return pyrage.x25519.Identity.from_str(lines[0])
    except pyrage.IdentityError:
        raise InputError("holds no age identity of the kind X25519", where=str(path)) from None
