"""The card of an intake: what everybody must know of it, from others than its host. Public, agreed, and never a secret.

Offices hold what they collect against it, sources seal to it and check receipts with it. Whoever takes the card from the intake's
own host trusts the host.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Self

from pydantic import Field

from inspectorate.canonical import Record
from inspectorate.errors import InputError
from inspectorate.keys import KeyText, PublicKey, read_yaml
from inspectorate.mechanisms.whistleblowing.intake.settings import Settings
from inspectorate.mechanisms.whistleblowing.sealing.offices import Offices

CARD_BYTES_MAX = 128 * 1024


class Card(Record):
    """An intake: its settings with its name, its key, and who opens together."""

    settings: Settings
    key: KeyText = Field(description="base64 of the 32 raw bytes of the intake's Ed25519 key")
    offices: Offices

    @property
    def intake(self) -> str:
        return self.settings.intake

    @property
    def public_key(self) -> PublicKey:
        return PublicKey(base64.b64decode(self.key))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card (JSON or YAML). Raises `InputError`."""
        return cls.parse(read_yaml(path, bytes_max=CARD_BYTES_MAX), where=str(path), error=InputError)
