"""What was measured since the machine started, in order, and how that replays into one PCR.

Rules:

- A measurement is a name and a digest of 32 bytes. Both enter the PCR: `extend(sha256(DOMAIN || len(name) || name || digest))`,
  so that no digest can pass for one of another name.
- The PCR starts at zero and holds nothing else: a log is true only if it replays to exactly the PCR's value.
- The newest digest of a name, measured once more, adds nothing: a processor that restarts without its machine does not fill the
  log. Anything that was ever in force stays in the log until the machine restarts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from inspectorate.mechanisms.guarantee.attestation.reference import NAME_BYTES_MAX

DIGEST_BYTES = 32
PCR_START = bytes(DIGEST_BYTES)
_DOMAIN = b"inspectorate measurement v1\0"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One measurement."""

    name: str
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.name) > NAME_BYTES_MAX or not _NAME.fullmatch(self.name):
            raise ValueError(f"a measurement's name has 1 to {NAME_BYTES_MAX} of a-z, 0-9, dot, dash, underscore")
        if len(self.digest) != DIGEST_BYTES:
            raise ValueError(f"a measurement has {DIGEST_BYTES} bytes, not {len(self.digest)}")

    @property
    def event(self) -> bytes:
        """The digest that the PCR is extended by."""
        name = self.name.encode()
        return hashlib.sha256(_DOMAIN + bytes([len(name)]) + name + self.digest).digest()


def extended(pcr: bytes, entry: Measured) -> bytes:
    """The value of the PCR after one more measurement (TPM 2.0 Library 1.59, part 1, section 17)."""
    return hashlib.sha256(pcr + entry.event).digest()


def replay(log: Iterable[Measured]) -> bytes:
    """The value of the PCR after the whole log."""
    pcr = PCR_START
    for entry in log:
        pcr = extended(pcr, entry)
    return pcr


def adds(log: Iterable[Measured], entry: Measured) -> bool:
    """Whether `entry` says anything that the newest entry of its name does not."""
    newest = None
    for one in log:
        if one.name == entry.name:
            newest = one
    return newest != entry
