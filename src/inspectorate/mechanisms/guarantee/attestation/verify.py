"""The verifier of quotes: pure, without a TPM and without a library of one.

    1. the structure: TPMS_ATTEST of a quote, made by a TPM, to its last byte
    2. the certificates: from the attestation key up to one of the reviewer's own platforms, all valid at the time of the quote
    3. the key: the public area is the one that was certified (its digest stands in the certificate), it holds the certified
       key, and its attributes say that it signs only what its TPM made and never leaves it; the quote names it as a primary key
       of the endorsement hierarchy
    4. the signature
    5. freshness: the quote is over exactly the 32 bytes that are expected here
    6. the PCRs: exactly those that are asked for, in SHA-256; their digest is that of the platform's values and of the log replayed
    7. firmware at least as new as the reviewer's anchor of that platform asks for

A step that fails raises `RejectedQuote`, whose `fault` is one of a closed list. What holds is a `VerifiedTpmQuote`, which
nothing else builds. Whether what was measured is what should run is not part of it: `approval` holds that against reference
values, since a quote over a bad build is authentic, and speaks against its processor.

A device in software has steps 4 and 5 only, and gives a `VerifiedSoftwareQuote`: whoever had its folder could say the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from cryptography import x509
from cryptography.x509.oid import NameOID

from inspectorate.canonical import digest_of
from inspectorate.errors import EvidenceError, InputError
from inspectorate.evidence import KeyCustody
from inspectorate.keys import PlatformAnchor, PublicKey
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.chain import (
    AK_USAGE,
    Chain,
    ChainError,
    parse_certificate,
    parse_pem,
    verify_chain,
)
from inspectorate.mechanisms.guarantee.attestation.device import measured_pairs
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, replay
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload, bound_of, software_message
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_SHA256,
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    RESTRICTED,
    RH_ENDORSEMENT,
    SENSITIVE_DATA_ORIGIN,
    SIGN,
    ClockInfo,
    PublicArea,
    QuoteInfo,
    bitmap,
    primary_qualified_name,
    read_public,
    read_quote,
    read_signature,
    signed,
)

AK_ATTRIBUTES_NEEDED = RESTRICTED | SIGN | FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN
_SELECTED = ((ALG_SHA256, bitmap(reference.QUOTED_PCRS)),)
_CHAINS_KEPT_MAX = 4096
_VERIFIED = object()


class QuoteFault(StrEnum):
    """Why a quote was rejected: a closed list, which the vectors in the tests cover."""

    MALFORMED = "malformed"
    """A structure that is none: short, long, of another type, not made by a TPM, or by an algorithm that is not accepted."""
    UNCERTIFIED = "uncertified"
    """No valid path of certificates to a platform of the reviewer's, at that time."""
    OTHER_KEY = "other-key"
    """The public area is not that which was certified, or the quote names another key."""
    LOOSE_KEY = "loose-key"
    """A key that would sign what no TPM made, or that can leave its TPM."""
    FALSE_SIGNATURE = "false-signature"
    NOT_FRESH = "not-fresh"
    """The quote is over something else: another checkpoint, another key, another challenge."""
    OTHER_PCRS = "other-pcrs"
    """Other PCRs were quoted, or their values are not those told."""
    OLD_FIRMWARE = "old-firmware"


class RejectedQuote(EvidenceError):
    """A quote that does not hold."""

    def __init__(self, fault: QuoteFault, problem: str, *, where: str = "the quote") -> None:
        super().__init__(problem, where=where)
        self.fault = fault


@dataclass(frozen=True, kw_only=True)
class VerifiedQuote:
    """A device's word that holds. Only this module builds one."""

    device_id: str
    bound: bytes
    signature: bytes
    log: tuple[Measured, ...]
    witness: object

    def __post_init__(self) -> None:
        if self.witness is not _VERIFIED:
            raise TypeError("a verified quote comes from its verifying function only")

    @property
    def custody(self) -> KeyCustody:
        raise TypeError("a verified quote is of a TPM or of software")

    @property
    def measured(self) -> tuple[tuple[str, str], ...]:
        """(name, digest) in order."""
        return measured_pairs(self.log)

    def digests(self, name: str) -> frozenset[str]:
        """All that was ever measured under a name since the machine started."""
        return frozenset(digest for one, digest in self.measured if one == name)

    def follows(self, before: VerifiedQuote) -> bool:
        """Whether the device can have given this quote after `before`."""
        return not faults_of_order(before, self)


@dataclass(frozen=True, kw_only=True)
class VerifiedTpmQuote(VerifiedQuote):
    """A quote of a TPM whose attestation key a platform of the reviewer's certified."""

    clock: ClockInfo
    firmware: int
    platform: tuple[bytes, ...]
    anchor: str
    """Name of the platform in the reviewer's anchors."""

    @property
    def custody(self) -> KeyCustody:
        return KeyCustody.TPM

    @property
    def boot(self) -> str:
        """One digest of what firmware, boot loader and kernel measured."""
        return digest_of(b"".join(self.platform))


@dataclass(frozen=True, kw_only=True)
class VerifiedSoftwareQuote(VerifiedQuote):
    """A signature of a key in a file."""

    @property
    def custody(self) -> KeyCustody:
        return KeyCustody.SOFTWARE


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What was measured, held against reference values. An empty set of them is `not checked`, never `fine`."""

    builds_checked: bool
    boots_checked: bool
    problems: tuple[str, ...]


def verify_quote(
    payload: QuotePayload,
    *,
    checkpoint: str,
    statement_key: str,
    challenge: str | None,
    platforms: Sequence[PlatformAnchor],
    at: datetime,
) -> VerifiedQuote:
    """Verify the quote of a report, of a TPM or of software. Raises `RejectedQuote`."""
    bound = bound_of(checkpoint, statement_key, challenge)
    if payload.custody is KeyCustody.SOFTWARE:
        return verify_software(payload, bound=bound)
    return verify_tpm_quote(payload, bound=bound, platforms=platforms_of(tuple(platforms)), at=at)


def verify_software(payload: QuotePayload, *, bound: bytes) -> VerifiedSoftwareQuote:
    """Verify the word of a device in software. Raises `RejectedQuote`."""
    if payload.custody is not KeyCustody.SOFTWARE or payload.attested or payload.certificates or payload.platform:
        raise RejectedQuote(QuoteFault.MALFORMED, "a device in software has no TPM's structures")
    try:
        key = PublicKey(payload.public)
    except ValueError as fault:
        raise RejectedQuote(QuoteFault.MALFORMED, f"its key is none: {fault}") from None
    # A signature over other bytes and one that is false look the same here: there is no structure in between.
    if not key.verifies(payload.signature, software_message(bound, replay(payload.log))):
        raise RejectedQuote(QuoteFault.FALSE_SIGNATURE, "its key did not sign what is expected here")
    return VerifiedSoftwareQuote(
        device_id=payload.device_id, bound=bound, signature=payload.signature, log=payload.log, witness=_VERIFIED
    )


def verify_tpm_quote(payload: QuotePayload, *, bound: bytes, platforms: Platforms, at: datetime) -> VerifiedTpmQuote:
    """Verify a TPM's quote over `bound` (steps in the module's docstring). Raises `RejectedQuote`."""
    if payload.custody is not KeyCustody.TPM:
        raise RejectedQuote(QuoteFault.MALFORMED, "it is of no TPM")
    # (1), then (4) to (6) with the key that (2) and (3) find
    info = read_attested(payload)
    certified = platforms.certified(payload.certificates, payload.public, at=at)
    check_attested(payload, info, certified.public, bound=bound)
    # (7)
    if info.firmware < certified.firmware_min:
        raise RejectedQuote(
            QuoteFault.OLD_FIRMWARE,
            f"the TPM's firmware {info.firmware:#018x} is older than {certified.firmware_min:#018x}",
        )
    return VerifiedTpmQuote(
        device_id=payload.device_id,
        bound=bound,
        signature=payload.signature,
        log=payload.log,
        clock=info.clock,
        firmware=info.firmware,
        platform=payload.platform,
        anchor=certified.anchor,
        witness=_VERIFIED,
    )


def read_attested(payload: QuotePayload) -> QuoteInfo:
    """Step 1."""
    try:
        return read_quote(payload.attested)
    except ValueError as fault:
        raise RejectedQuote(QuoteFault.MALFORMED, str(fault)) from None


def check_attested(payload: QuotePayload, info: QuoteInfo, key: PublicArea, *, bound: bytes) -> None:
    """Steps 4 to 6, and that the quote names the key. Raises `RejectedQuote`."""
    if info.qualified_signer != primary_qualified_name(RH_ENDORSEMENT, key.name):
        raise RejectedQuote(QuoteFault.OTHER_KEY, "the quote names another key than the one that was certified")
    # (4)
    try:
        signature = read_signature(payload.signature)
    except ValueError as fault:
        raise RejectedQuote(QuoteFault.MALFORMED, str(fault)) from None
    if key.scheme != (signature.scheme, ALG_SHA256) or not signed(key.key, signature, payload.attested):
        raise RejectedQuote(QuoteFault.FALSE_SIGNATURE, "the certified key did not sign it")
    # (5)
    if info.extra != bound:
        raise RejectedQuote(
            QuoteFault.NOT_FRESH, "it is over another checkpoint, key or challenge than is expected here"
        )
    # (6)
    if info.selection != _SELECTED:
        raise RejectedQuote(QuoteFault.OTHER_PCRS, "it is over other PCRs than are asked for")
    if len(payload.platform) != len(reference.PLATFORM_PCRS):
        raise RejectedQuote(QuoteFault.OTHER_PCRS, "the values of the platform's PCRs are missing")
    values = dict(zip(reference.PLATFORM_PCRS, payload.platform, strict=True))
    values[reference.MEASURED_PCR] = replay(payload.log)
    if info.pcr_digest != hashlib.sha256(b"".join(values[pcr] for pcr in reference.QUOTED_PCRS)).digest():
        raise RejectedQuote(QuoteFault.OTHER_PCRS, "the PCRs hold something else than the log and the values told")


@dataclass(frozen=True, kw_only=True)
class Certified:
    """An attestation key that a platform of the reviewer's certified."""

    public: PublicArea
    anchor: str
    firmware_min: int
    chain: Chain


class Platforms:
    """The reviewer's roots for keys of TPMs. Remembers what it verified: a path is verified once, its validity for each quote."""

    def __init__(self, anchors: Sequence[PlatformAnchor]) -> None:
        """Raises `InputError` if an anchor is no certificate."""
        self._anchors = [(anchor, _root(anchor)) for anchor in anchors]
        self._known: dict[tuple[tuple[bytes, ...], bytes], Certified] = {}

    def certified(self, certificates: tuple[bytes, ...], public: bytes, *, at: datetime) -> Certified:
        """Steps 2 and 3. Raises `RejectedQuote`."""
        known = self._known.get((certificates, public))
        if known is not None and known.chain.valid_from <= at <= known.chain.valid_until:
            return known
        found = self._certified(certificates, public, at)
        if len(self._known) >= _CHAINS_KEPT_MAX:
            self._known.clear()
        self._known[certificates, public] = found
        return found

    def _certified(self, certificates: tuple[bytes, ...], public: bytes, at: datetime) -> Certified:
        # (2)
        try:
            parsed = [parse_certificate(one) for one in certificates]
        except ValueError as fault:
            raise RejectedQuote(QuoteFault.MALFORMED, f"a certificate is none: {fault}") from None
        try:
            chain = verify_chain(parsed, [root for _, root in self._anchors], at=at, usage=AK_USAGE)
        except ChainError as fault:
            raise RejectedQuote(QuoteFault.UNCERTIFIED, str(fault)) from None
        # (3)
        try:
            area = read_public(public)
            same = chain.leaf.public_key() == area.key
        except ValueError as fault:
            raise RejectedQuote(QuoteFault.MALFORMED, str(fault)) from None
        if not same or named_device(chain.leaf) != digest_of(public):
            raise RejectedQuote(QuoteFault.OTHER_KEY, "the certificate is of another key")
        if not area.has(AK_ATTRIBUTES_NEEDED) or area.attributes & DECRYPT or area.scheme is None:
            raise RejectedQuote(
                QuoteFault.LOOSE_KEY, "the key is not restricted to what its TPM made, or not fixed to it"
            )
        vouching = [anchor for anchor, root in self._anchors if root == chain.root]
        return Certified(
            public=area,
            anchor=vouching[0].name,
            firmware_min=max(anchor.firmware_version_min for anchor in vouching),
            chain=chain,
        )


@functools.lru_cache(maxsize=16)
def platforms_of(anchors: tuple[PlatformAnchor, ...]) -> Platforms:
    """The platforms of a reviewer's anchors, the same for the same anchors. Raises `InputError`."""
    return Platforms(anchors)


def named_device(certificate: x509.Certificate) -> str | None:
    """The device that a certificate of an attestation key names: the digest of its public area, as the subject's serial number."""
    named = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    return f"sha256:{named[0].value!s}" if len(named) == 1 else None


def approval(quote: VerifiedQuote, *, builds: frozenset[str], boots: frozenset[str] = frozenset()) -> Approval:
    """Hold what was measured against reference values: every program that ran, and how the machine started."""
    problems: list[str] = []
    if builds:
        ran = quote.digests(reference.BUILD)
        problems += [f"a program ran that is not approved: {one}" for one in sorted(ran - builds)]
        if not ran:
            problems.append("no program was measured")
    if boots and isinstance(quote, VerifiedTpmQuote) and quote.boot not in boots:
        problems.append(f"the machine started otherwise than approved: {quote.boot}")
    if boots and not isinstance(quote, VerifiedTpmQuote):
        problems.append("how the machine started was not measured")
    return Approval(builds_checked=bool(builds), boots_checked=bool(boots), problems=tuple(problems))


def check_sequence(quotes: Iterable[VerifiedQuote]) -> tuple[str, ...]:
    """What is wrong with quotes in the order in which they are said to have been given; empty if nothing is."""
    return tuple(
        f"quote {number}: {fault}"
        for number, (before, after) in enumerate(pairwise(quotes), start=2)
        for fault in faults_of_order(before, after)
    )


def faults_of_order(before: VerifiedQuote, after: VerifiedQuote) -> tuple[str, ...]:
    """Why one device cannot have given `after` later than `before`."""
    if before.device_id != after.device_id:
        return ("it is of another device than the one before",)
    if before.signature == after.signature:
        return ("it is the same quote again",)
    if not isinstance(before, VerifiedTpmQuote) or not isinstance(after, VerifiedTpmQuote):
        return ()
    old, new = before.clock, after.clock
    faults: list[str] = []
    if after.firmware < before.firmware:
        faults.append("the TPM's firmware is older than before")
    if new.resets < old.resets:
        faults.append(f"the machine had started {new.resets} times, and {old.resets} times before")
    # After a start, a clock that is not safe may repeat some seconds (part 1, section 36).
    if new.clock_ms < old.clock_ms and (new.resets == old.resets or (new.resets > old.resets and new.safe)):
        faults.append(f"the TPM's clock stood at {new.clock_ms} ms, and at {old.clock_ms} ms before")
    if new.resets == old.resets:
        if new.restarts < old.restarts:
            faults.append(f"the machine was resumed {new.restarts} times, and {old.restarts} times before")
        if after.log[: len(before.log)] != before.log:
            faults.append("the log lacks what was measured before, and the machine did not start in between")
    return tuple(faults)


def _root(anchor: PlatformAnchor) -> x509.Certificate:
    where = f"platform {anchor.name}"
    try:
        found = parse_pem(anchor.certificate.encode())
    except ValueError as fault:
        raise InputError(f"is no certificate: {fault}", where=where) from None
    if len(found) != 1:
        raise InputError(f"has {len(found)} certificates, and needs one", where=where)
    return found[0]
