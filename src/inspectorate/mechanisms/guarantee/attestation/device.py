"""What a guarantee processor needs of the thing that holds its identity: a TPM, or software that says it is none.

`tpm.device` speaks to a TPM 2.0; `software` keeps a key in a file. The rest of the mechanism knows only this.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation.measured import Measured


@dataclass(frozen=True, kw_only=True)
class Quoted:
    """A device's word over 32 bytes that the caller chose."""

    attested: bytes
    """TPMS_ATTEST as the TPM marshalled it; empty if there is no TPM."""
    signature: bytes
    """TPMT_SIGNATURE over it; for software an Ed25519 signature over `quote.software_message`."""
    platform: tuple[bytes, ...] = ()
    """Values of `reference.PLATFORM_PCRS`, in order, as they were quoted; empty if there is no TPM."""


class Device(Protocol):
    """Identity, measurement and a counter that only rises."""

    @property
    def custody(self) -> KeyCustody: ...

    @property
    def device_id(self) -> str:
        """`sha256:` over `public`."""
        ...

    @property
    def public(self) -> bytes:
        """The public area of the attestation key (TPMT_PUBLIC); for software the raw Ed25519 key."""
        ...

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """DER certificates of the attestation key, leaf first and without the root; empty for software."""
        ...

    def measure(self, name: str, digest: bytes) -> None:
        """Extend the log of measurements by a named 32-byte digest.

        The newest digest of a name, measured once more, changes nothing. Raises `EnvironmentError_`.
        """
        ...

    @property
    def measured(self) -> tuple[tuple[str, str], ...]:
        """(name, digest as `sha256:<hex>`) of all that was measured since the machine started, in order."""
        ...

    def quote(self, bound: bytes) -> Quoted:
        """The device's word over `bound` (32 bytes) and over what was measured."""
        ...

    def counter(self) -> int:
        """The monotonic counter."""
        ...

    def advance(self) -> int:
        """Raise the counter by one; the new value. Durable when it returns."""
        ...

    @property
    def protects_counter(self) -> bool:
        """Whether the counter survives a restored disk."""
        ...

    def close(self) -> None: ...


def measured_pairs(log: tuple[Measured, ...]) -> tuple[tuple[str, str], ...]:
    """A log of measurements as names and written digests."""
    return tuple((entry.name, f"sha256:{entry.digest.hex()}") for entry in log)
