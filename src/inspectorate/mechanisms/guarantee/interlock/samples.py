"""Requests drawn for re-execution, with their answers: sealed on disk until they were recomputed, and bounded.

Rules:

- What lies on disk is encrypted and authenticated (AES-256-GCM) under a key that the caller holds, with the number of the sample
  bound in: content of clients is readable to the recomputation only, and a file that was changed or renamed is noticed.
- Room for a sample is reserved before its request is admitted. Without room the request is refused: a backlog of recomputation
  slows serving down, and never lets a drawn request go unchecked.
- A sample is there until `done` is called for it, across restarts under the same key.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from inspectorate.errors import EnvironmentError_, EvidenceError
from inspectorate.mechanisms.guarantee.interlock.gate import Outcome
from inspectorate.mechanisms.guarantee.interlock.reference import SAMPLE_BYTES_MAX, SAMPLES_MAX

KEY_BYTES = 32
NONCE_BYTES = 12
_HEAD = struct.Struct(">II")
_OVERHEAD_BYTES = 4096
"""For nonce, tag and description of one sample, at most."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One request and what the server answered."""

    ticket: int
    model: str
    """Digest of the model that was served."""
    path: str
    at: str
    outcome: Outcome
    """If not complete, the answer is the part that came."""
    request: bytes
    """The content as it went to the server."""
    answer: bytes
    """The content as it came from the server."""


class SampleStore:
    """Sealed samples in one folder, of which nobody else writes."""

    def __init__(
        self, folder: Path, key: bytes, *, samples_max: int = SAMPLES_MAX, bytes_max: int = SAMPLE_BYTES_MAX
    ) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a store of samples needs a key of {KEY_BYTES} bytes")
        self._folder = folder
        self._cipher = AESGCM(key)
        self._samples_max = samples_max
        self._bytes_max = bytes_max
        self._reserved: dict[int, int] = {}
        self._lock = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = {
                int(file.stem): file.stat().st_size for file in folder.glob("*.sample") if file.stem.isdigit()
            }
            self._used = sum(self._held.values())
            for file in folder.glob("*.part"):
                file.unlink()
        except OSError as fault:
            raise EnvironmentError_(f"cannot keep samples: {fault.strerror}", where=str(folder)) from None

    @property
    def waiting(self) -> tuple[int, ...]:
        """Tickets of the samples that wait, oldest first."""
        with self._lock:
            return tuple(sorted(self._held))

    def has_room(self, bytes_max: int) -> bool:
        """Whether a sample of at most so many bytes of request and answer can be kept as well."""
        with self._lock:
            count = len(self._held) + len(self._reserved)
            return count < self._samples_max and self._used + bytes_max + _OVERHEAD_BYTES <= self._bytes_max

    def reserve(self, ticket: int, bytes_max: int) -> None:
        """Hold room for a sample until `keep`, or `release`."""
        with self._lock:
            self._reserved[ticket] = bytes_max + _OVERHEAD_BYTES
            self._used += self._reserved[ticket]

    def release(self, ticket: int) -> None:
        with self._lock:
            self._used -= self._reserved.pop(ticket, 0)

    def keep(self, sample: Sample, nonce: bytes) -> None:
        """Seal a sample on disk, durably. `nonce` is drawn by the caller, and never used twice under one key."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
        described = {
            "model": sample.model, "path": sample.path, "at": sample.at, "outcome": sample.outcome.value,
        }  # fmt: skip
        head = json.dumps(described).encode()
        plain = _HEAD.pack(len(head), len(sample.request)) + head + sample.request + sample.answer
        sealed = nonce + self._cipher.encrypt(nonce, plain, _bound(sample.ticket))
        place = self._place(sample.ticket)
        part = place.with_suffix(".part")
        try:
            with part.open("wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            part.replace(place)
        except OSError as fault:
            raise EnvironmentError_(f"cannot keep a sample: {fault.strerror}", where=str(place)) from None
        self.release(sample.ticket)
        with self._lock:
            self._held[sample.ticket] = len(sealed)
            self._used += len(sealed)

    def read(self, ticket: int) -> Sample:
        """Open a sample. Raises `EvidenceError` if it was changed, `EnvironmentError_` if it is not there."""
        place = self._place(ticket)
        try:
            sealed = place.read_bytes()
        except OSError as fault:
            raise EnvironmentError_(f"cannot read a sample: {fault.strerror}", where=str(place)) from None
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(ticket))
        except (InvalidTag, ValueError):
            raise EvidenceError(
                "the sample is not as it was sealed", where=str(place), remedy="treat it as tampered with"
            ) from None
        head_bytes, request_bytes = _HEAD.unpack_from(plain)
        content = plain[_HEAD.size :]
        head = json.loads(content[:head_bytes])
        return Sample(
            ticket=ticket,
            model=head["model"],
            path=head["path"],
            at=head["at"],
            outcome=Outcome(head["outcome"]),
            request=content[head_bytes : head_bytes + request_bytes],
            answer=content[head_bytes + request_bytes :],
        )

    def done(self, ticket: int) -> None:
        """Remove a sample that was recomputed."""
        with self._lock:
            size = self._held.pop(ticket, 0)
            self._used -= size
        if size:
            self._place(ticket).unlink(missing_ok=True)

    def _place(self, ticket: int) -> Path:
        return self._folder / f"{ticket}.sample"


def _bound(ticket: int) -> bytes:
    return b"inspectorate sample v1\0" + ticket.to_bytes(8, "big")
