"""Record the golden quotes of a real TPM (swtpm), and forge others: python tests/guarantee/record_tpm_vectors.py

Writes `vectors/quotes.json`: each vector has what is expected of it, from a closed list, the 32 bytes and the time that the
verifier expects, and the payload without the zeros at its end.
"""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import tpm_forging as forging
import tpm_making as making
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from tpm_forging import DAY, Forger, Root, Terms

from inspectorate.canonical import digest_of
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.chain import EK_USAGE
from inspectorate.mechanisms.guarantee.attestation.measured import Measured
from inspectorate.mechanisms.guarantee.attestation.quote import QuotePayload, bound_of, payload_of
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.structures import (
    ALG_NULL,
    ALG_RSA,
    ALG_RSAPSS,
    ALG_RSASSA,
    ALG_SHA1,
    ALG_SHA256,
    DECRYPT,
    FIXED_TPM,
    PCR_SELECT_BYTES,
    RESTRICTED,
    RH_ENDORSEMENT,
    bitmap,
    primary_qualified_name,
    public_ecc,
    read_public,
    selection,
)
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import RH_OWNER, Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import AK_ATTRIBUTES, AK_TEMPLATE
from inspectorate.mechanisms.guarantee.attestation.wire import sized, u8, u16, u32

FILE = Path(__file__).parent / "vectors" / "quotes.json"
AT = datetime(2026, 11, 26, tzinfo=UTC)
CHECKPOINT, KEY, NONCE = "sha256:" + "c1" * 32, "sha256:" + "4e" * 32, "0a" * 32
BOUND = bound_of(CHECKPOINT, KEY, NONCE)
FIRMWARE = 0x2019_1023_0016_3636
Vector = dict[str, object]


def vector(name: str, expect: str, payload: QuotePayload | bytes, **more: object) -> Vector:
    data = payload if isinstance(payload, bytes) else payload.encode()
    known: Vector = {
        "name": name,
        "expect": expect,
        "bound": BOUND.hex(),
        "at": AT.isoformat(),
        "firmware_version_min": 0,
        "length": len(data),
        "payload": base64.b64encode(data.rstrip(b"\0")).decode(),
    }
    return {**known, **more}


def recorded(folder: Path, trusted: Root) -> Iterator[tuple[str, QuotePayload]]:
    """Quotes of one TPM: over its life, and by keys of other kinds."""
    (folder / "maker").mkdir()
    (folder / "guard").mkdir()
    maker = making.manufacture(folder / "maker")
    with making.running(maker, folder) as swtpm:
        with making.opened(swtpm) as tpm:
            making.provision(tpm)
        certificates: tuple[bytes, ...] = ()
        for name in ("golden", "golden-later", "golden-after-start"):
            if name == "golden-after-start":
                swtpm.restart()
            with making.device(swtpm, folder / "guard") as device:
                for number, what in enumerate(("build", "configuration", "ruleset")):
                    device.measure(what, bytes([number + 1]) * 32)
                if name == "golden-later":
                    device.measure("ruleset", b"\x09" * 32)
                payload = payload_of(device, BOUND)
            certificates = certificates or (leaf(trusted, payload.public),)
            yield name, replace(payload, certificates=certificates)
        with making.opened(swtpm) as tpm:
            for name, scheme in (("golden-rsassa", ALG_RSASSA), ("golden-rsapss", ALG_RSAPSS)):
                yield name, quoted_by(tpm, RH_ENDORSEMENT, rsa_template(scheme), trusted)
            yield "other-hierarchy", quoted_by(tpm, RH_OWNER, AK_TEMPLATE, trusted)
            unrestricted = AK_TEMPLATE.replace(u32(AK_ATTRIBUTES), u32(AK_ATTRIBUTES & ~RESTRICTED))
            yield "unrestricted-in-a-tpm", quoted_by(tpm, RH_ENDORSEMENT, unrestricted, trusted)


def rsa_template(scheme: int) -> bytes:
    head = u16(ALG_RSA) + u16(ALG_SHA256) + u32(AK_ATTRIBUTES) + sized(b"") + u16(ALG_NULL)
    return head + u16(scheme) + u16(ALG_SHA256) + u16(2048) + u32(0) + sized(b"")


def quoted_by(tpm: Tpm, hierarchy: int, template: bytes, trusted: Root) -> QuotePayload:
    with tpm.loaded(hierarchy, template) as handle:
        told = tpm.read_public(handle)
        assert told is not None
        values = tpm.pcrs(reference.QUOTED_PCRS)
        attested, signature = tpm.quote(handle, BOUND, reference.QUOTED_PCRS)
    log = tuple(
        Measured(name=w, digest=bytes([n + 1]) * 32) for n, w in enumerate(("build", "configuration", "ruleset"))
    )
    return QuotePayload(
        custody=KeyCustody.TPM,
        attested=attested,
        signature=signature,
        public=told.public,
        certificates=(leaf(trusted, told.public),),
        platform=tuple(values[pcr] for pcr in reference.PLATFORM_PCRS),
        log=log,
    )


def leaf(authority: Root, area: bytes, terms: Terms | None = None) -> bytes:
    public = read_public(area).key
    made = forging.issue(authority, "guard-1", digest_of(area), public, terms or Terms(at=AT - DAY))  # type: ignore[arg-type]
    return made.public_bytes(Encoding.DER)


def altered(payload: QuotePayload) -> Iterator[Vector]:
    """One true quote, with something about it changed."""
    log, first = payload.log, payload.log[0]
    by_sha1 = payload.signature[:2] + u16(ALG_SHA1) + payload.signature[4:]
    bad = Measured(name="build", digest=b"\xbb" * 32)
    for name, expect, other in (
        ("altered-pcr-digest", "false-signature", replace(payload, attested=payload.attested[:-1] + b"\x00")),
        ("altered-platform-value", "other-pcrs", replace(payload, platform=(b"\x01" * 32, *payload.platform[1:]))),
        ("no-platform-values", "other-pcrs", replace(payload, platform=())),
        ("log-with-an-extra-build", "other-pcrs", replace(payload, log=(*log, bad))),
        ("log-with-another-build", "other-pcrs", replace(payload, log=(bad, *log[1:]))),
        ("log-without-its-last-entry", "other-pcrs", replace(payload, log=log[:-1])),
        ("log-in-another-order", "other-pcrs", replace(payload, log=log[::-1])),
        ("log-with-another-name", "other-pcrs", replace(payload, log=(replace(first, name="builds"), *log[1:]))),
        ("truncated-attest", "malformed", replace(payload, attested=payload.attested[:-1])),
        ("trailing-byte-in-attest", "malformed", replace(payload, attested=payload.attested + b"\0")),
        ("empty-attest", "malformed", replace(payload, attested=b"")),
        ("trailing-byte-in-signature", "malformed", replace(payload, signature=payload.signature + b"\0")),
        (
            "signature-says-sha1",
            "malformed",
            replace(payload, signature=by_sha1),
        ),
        ("trailing-byte-in-public", "malformed", replace(payload, public=payload.public + b"\0")),
        ("no-certificate", "uncertified", replace(payload, certificates=())),
        ("certificate-that-is-none", "malformed", replace(payload, certificates=(b"\x30\x03\x02\x01\x01",))),
        (
            "certificate-with-a-trailing-byte",
            "malformed",
            replace(payload, certificates=(payload.certificates[0] + b"\0",)),
        ),
        ("says-it-is-software", "malformed", replace(payload, custody=KeyCustody.SOFTWARE)),
    ):
        yield vector(name, expect, other)
    yield vector("another-challenge", "not-fresh", payload, bound=bound_of(CHECKPOINT, KEY, "0b" * 32).hex())
    yield vector("replayed-for-another-checkpoint", "not-fresh", payload, bound=bound_of(KEY, KEY, NONCE).hex())
    yield vector("for-another-key", "not-fresh", payload, bound=bound_of(CHECKPOINT, CHECKPOINT, NONCE).hex())
    yield vector("without-its-challenge", "not-fresh", payload, bound=bound_of(CHECKPOINT, KEY, None).hex())
    yield vector("after-the-certificate", "uncertified", payload, at=(AT + 400 * DAY).isoformat())
    yield vector("before-the-certificate", "uncertified", payload, at=(AT - 2 * DAY).isoformat())
    yield vector("firmware-just-new-enough", "verified", payload, firmware_version_min=FIRMWARE)
    yield vector("old-firmware", "old-firmware", payload, firmware_version_min=FIRMWARE + 1)
    data = payload.encode()
    yield vector("payload-one-byte-short", "undecodable", data[:-1], length=len(data) - 1)
    yield vector("payload-one-byte-long", "undecodable", data + b"\0", length=len(data) + 1)
    yield vector("payload-with-something-at-its-end", "undecodable", data[:-1] + b"\x01")
    yield vector("payload-of-zeros", "undecodable", bytes(len(data)))


def forged(payload: QuotePayload, trusted: Root) -> Iterator[Vector]:
    """Keys in software, with certificates of all kinds."""
    terms = Terms(at=AT - DAY)
    other = forging.root("Another root", AT - 2 * DAY)
    forger = Forger.certified_by(trusted, terms)
    sound = forger.attested(BOUND)
    yield vector(
        "signed-by-another-key",
        "false-signature",
        replace(payload, signature=forging.sign(forger.private, payload.attested)),
    )
    yield vector("public-area-of-another-key", "other-key", replace(payload, public=forger.area))
    yield vector("certificate-of-another-key", "other-key", replace(payload, certificates=forger.certificates))
    renamed = read_public(forging.public_area(forger.private, AK_ATTRIBUTES | 1 << 11))
    yield vector("public-area-with-other-attributes", "other-key", replace(forger.payload(sound), public=renamed.raw))
    yield from liars(trusted, terms)
    yield vector("chain-to-another-root", "uncertified", Forger.certified_by(other, terms).payload(sound))
    yield vector(
        "chain-with-its-own-root",
        "uncertified",
        replace(payload, certificates=(leaf(other, payload.public), other.der)),
    )
    namesake = forging.root("Verifier root", AT - 2 * DAY)
    yield vector(
        "root-of-the-same-name",
        "uncertified",
        replace(payload, certificates=(leaf(namesake, payload.public), namesake.der)),
    )
    for name, wrong in (
        ("leaf-is-an-authority", replace(terms, ca=True)),
        ("leaf-is-an-authority-that-signs-nothing", replace(terms, ca=True, signs_certificates=False)),
        ("leaf-may-sign-certificates", replace(terms, signs_certificates=True)),
        ("leaf-without-usage", replace(terms, usage=None)),
        ("leaf-is-an-endorsement-key", replace(terms, usage=EK_USAGE)),
        ("leaf-with-an-unknown-critical-extension", replace(terms, critical_extra=True)),
    ):
        yield vector(name, "uncertified", replace(payload, certificates=(leaf(trusted, payload.public, wrong),)))
    yield from issuers(payload, trusted)
    for name, attributes in (
        ("unrestricted", AK_ATTRIBUTES & ~RESTRICTED),
        ("also-decrypts", AK_ATTRIBUTES | DECRYPT),
        ("not-fixed", AK_ATTRIBUTES & ~FIXED_TPM),
    ):
        loose = Forger.certified_by(trusted, terms, attributes)
        yield vector(f"key-{name}", "loose-key", loose.payload(loose.attested(BOUND)))
    yield from structures(forger)


def liars(trusted: Root, terms: Terms) -> Iterator[Vector]:
    """Keys in software that were certified as what they are, and say that they are something else."""
    loose = Forger.certified_by(trusted, terms, AK_ATTRIBUTES & ~RESTRICTED)
    lying = replace(loose, area=forging.public_area(loose.private))
    yield vector("unrestricted-key-says-it-is-restricted", "other-key", lying.payload(lying.attested(BOUND)))
    schemeless = public_ecc(AK_ATTRIBUTES, scheme=u16(ALG_NULL), x=lying.area[-66:-34], y=lying.area[-32:])
    free = replace(loose, area=schemeless, certificates=(leaf(trusted, schemeless),))
    yield vector("key-without-a-scheme", "loose-key", free.payload(free.attested(BOUND)))
    area = forging.public_area(loose.private)
    two = forging.issue(trusted, "guard-1", digest_of(area), forging.key().public_key(), terms)
    mixed = lying.with_certificates(two.public_bytes(Encoding.DER))
    yield vector("certificate-of-one-key-names-another", "other-key", mixed.payload(mixed.attested(BOUND)))
    private = rsa.generate_private_key(65537, 2048)
    modulus = private.public_key().public_numbers().n.to_bytes(256, "big")
    area = rsa_template(ALG_RSASSA)[:-2] + sized(modulus)
    leaf_of = forging.issue(trusted, "guard-1", digest_of(area), private.public_key(), terms).public_bytes(Encoding.DER)
    signer = primary_qualified_name(RH_ENDORSEMENT, read_public(area).name)
    payload = replace(
        lying.payload(replace(lying.attested(BOUND), signer=signer)), public=area, certificates=(leaf_of,)
    )
    for name, expect, scheme, filling in (
        ("rsassa-key-signs-by-rsassa", "verified", ALG_RSASSA, padding.PKCS1v15()),
        ("rsassa-key-signs-by-rsapss", "false-signature", ALG_RSAPSS, padding.PSS(padding.MGF1(hashes.SHA256()), 32)),
    ):
        value = private.sign(payload.attested, filling, hashes.SHA256())
        yield vector(name, expect, replace(payload, signature=u16(scheme) + u16(ALG_SHA256) + sized(value)))


def issuers(payload: QuotePayload, trusted: Root) -> Iterator[Vector]:
    middle = forging.root("Intermediate", AT - DAY, under=trusted)
    yield vector(
        "golden-intermediate", "verified", replace(payload, certificates=(leaf(middle, payload.public), middle.der))
    )
    yield vector("intermediate-left-out", "uncertified", replace(payload, certificates=(leaf(middle, payload.public),)))
    deep = middle
    chain: tuple[bytes, ...] = (middle.der,)
    narrow = forging.root("Narrow", AT - DAY, under=trusted, path_length=0)
    deep = forging.root("Deep", AT - DAY, under=narrow)
    chain = (leaf(deep, payload.public), deep.der, narrow.der)
    yield vector("path-too-long", "uncertified", replace(payload, certificates=chain))
    for name, terms in (
        ("issuer-is-no-authority", Terms(at=AT - DAY, ca=False, usage=None, signs_certificates=True)),
        ("issuer-may-not-sign-certificates", Terms(at=AT - DAY, ca=True, usage=None, signs_certificates=False)),
        ("issuer-expired", Terms(at=AT - 2 * DAY, valid=DAY, ca=True, usage=None)),
    ):
        private = forging.key()
        made = Root(private=private, certificate=forging.issue(trusted, "Issuer", None, private.public_key(), terms))
        yield vector(name, "uncertified", replace(payload, certificates=(leaf(made, payload.public), made.der)))


def structures(forger: Forger) -> Iterator[Vector]:
    """What an authority certifies without looking, a forger can say anything with: but not this."""
    sound = forger.attested(BOUND)
    sha1 = u32(1) + u16(ALG_SHA1) + u8(PCR_SELECT_BYTES) + bitmap(reference.QUOTED_PCRS)
    two = u32(2) + selection(reference.QUOTED_PCRS)[4:] * 2
    elsewhere = primary_qualified_name(RH_OWNER, read_public(forger.area).name)
    for name, expect, attested in (
        ("not-made-by-a-tpm", "malformed", replace(sound, magic=0xFF544348)),
        ("a-certification-and-no-quote", "malformed", replace(sound, kind=0x8017)),
        ("a-time-and-no-quote", "malformed", replace(sound, kind=0x8019)),
        ("neither-safe-nor-unsafe", "malformed", replace(sound, safe=2)),
        ("names-another-hierarchy", "other-key", replace(sound, signer=elsewhere)),
        ("names-nobody", "other-key", replace(sound, signer=b"")),
        ("extra-data-too-short", "not-fresh", replace(sound, extra=BOUND[:-1])),
        ("extra-data-too-long", "not-fresh", replace(sound, extra=BOUND + b"\0")),
        ("no-extra-data", "not-fresh", replace(sound, extra=b"")),
        ("sha1-bank", "other-pcrs", replace(sound, select=sha1)),
        ("two-banks", "other-pcrs", replace(sound, select=two)),
        ("fewer-pcrs", "other-pcrs", replace(sound, select=selection(reference.QUOTED_PCRS[1:]))),
        ("more-pcrs", "other-pcrs", replace(sound, select=selection((*reference.QUOTED_PCRS, 23)))),
        ("no-pcrs", "other-pcrs", replace(sound, select=u32(0))),
        ("short-pcr-digest", "other-pcrs", replace(sound, digest=sound.digest[:20])),
    ):
        yield vector(name, expect, forger.payload(attested))
    yield vector("signed-by-sha1", "malformed", forger.payload(sound, ALG_SHA1))


def software(folder: Path) -> Iterator[Vector]:
    device = SoftwareDevice.open(folder / "software")
    device.measure("build", b"\x01" * 32)
    payload = payload_of(device, BOUND)
    yield vector("software", "verified", payload)
    yield vector("software-for-another-checkpoint", "false-signature", payload, bound=bound_of(KEY, KEY, NONCE).hex())
    yield vector("software-with-a-shorter-log", "false-signature", replace(payload, log=()))
    yield vector("software-with-a-short-key", "malformed", replace(payload, public=payload.public[:-1]))
    yield vector("software-with-a-certificate", "malformed", replace(payload, certificates=(b"\x30\x00",)))
    yield vector("software-says-it-is-a-tpm", "malformed", replace(payload, custody=KeyCustody.TPM))


def main() -> None:
    trusted = forging.root("Verifier root", AT - 3 * DAY)
    vectors: list[Vector] = []
    with tempfile.TemporaryDirectory() as made:
        known = dict(recorded(Path(made), trusted))
        for name, payload in known.items():
            expect = {"other-hierarchy": "other-key", "unrestricted-in-a-tpm": "loose-key"}.get(name, "verified")
            vectors.append(vector(name, expect, payload))
        vectors += altered(known["golden"])
        vectors += forged(known["golden"], trusted)
        vectors += software(Path(made))
    pem = trusted.certificate.public_bytes(Encoding.PEM).decode()
    FILE.write_text(json.dumps({"root": pem, "vectors": vectors}, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
