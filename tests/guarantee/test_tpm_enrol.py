"""The ceremony: credentials without a TPM, a real TPM taken through it, its command line, and what each side refuses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import tpm_forging as forging
import tpm_making as making
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from tpm_making import Maker, Swtpm

from inspectorate.cli.guard_device import device as command
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.mechanisms.guarantee.attestation import enrol
from inspectorate.mechanisms.guarantee.attestation.authority import Authority
from inspectorate.mechanisms.guarantee.attestation.credential import kdf_a, make_credential
from inspectorate.mechanisms.guarantee.attestation.quote import payload_of
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.structures import RESTRICTED, SIGN, PublicArea, read_public
from inspectorate.mechanisms.guarantee.attestation.tpm import activate
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import EK_ECC_P256, EK_RSA_2048, provision
from inspectorate.mechanisms.guarantee.attestation.verify import Platforms, QuoteFault, RejectedQuote
from inspectorate.mechanisms.guarantee.attestation.wire import Reader, sized

YEAR = timedelta(days=365)
RSA_KEY = rsa.generate_private_key(65537, 2048)
ECC_KEY = ec.generate_private_key(ec.SECP256R1())
NAME = b"\x00\x0b" + b"\x11" * 32


# --- credentials, opened by a slow oracle ------------------------------------------------------------------------------


def rsa_area() -> PublicArea:
    modulus = RSA_KEY.public_key().public_numbers().n.to_bytes(256, "big")
    return read_public(EK_RSA_2048[: -2 - 256] + sized(modulus))


def ecc_area() -> PublicArea:
    numbers = ECC_KEY.public_key().public_numbers()
    return read_public(EK_ECC_P256[:-68] + sized(numbers.x.to_bytes(32, "big")) + sized(numbers.y.to_bytes(32, "big")))


def opened(blob: bytes, encrypted: bytes, name: bytes, kind: str) -> bytes | None:
    """What a TPM does to open a credential, step by step; none if its integrity does not hold."""
    inner = Reader(Reader(encrypted).sized(1024))
    if kind == "rsa":
        oaep = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=b"IDENTITY\x00")
        seed = RSA_KEY.decrypt(inner.rest, oaep)
    else:
        x, y = inner.sized(32), inner.sized(32)
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
        shared = ECC_KEY.exchange(ec.ECDH(), point.public_key())
        own = ECC_KEY.public_key().public_numbers().x.to_bytes(32, "big")
        seed = hashlib.sha256(b"\0\0\0\1" + shared + b"IDENTITY\0" + x + own).digest()
    reader = Reader(Reader(blob).sized(1024))
    outer, identity = reader.sized(32), reader.rest

    def derived(label: bytes, context: bytes, bits: int) -> bytes:
        message = b"\0\0\0\1" + label + b"\0" + context + bits.to_bytes(4, "big")
        return hmac.new(seed, message, hashlib.sha256).digest()[: bits // 8]

    if hmac.new(derived(b"INTEGRITY", b"", 256), identity + name, hashlib.sha256).digest() != outer:
        return None
    decryptor = Cipher(algorithms.AES(derived(b"STORAGE", name, 128)), CFB(bytes(16))).decryptor()
    return Reader(decryptor.update(identity) + decryptor.finalize()).sized(64)


@settings(max_examples=20)
@given(secret=st.binary(min_size=1, max_size=32), kind=st.sampled_from(["rsa", "ecc"]), bit=st.integers(0, 10**6))
def test_credentials_open_for_their_name_only(secret: bytes, kind: str, bit: int) -> None:
    area = rsa_area() if kind == "rsa" else ecc_area()
    blob, encrypted = make_credential(area, NAME, secret, os.urandom)
    assert opened(blob, encrypted, NAME, kind) == secret
    assert opened(blob, encrypted, NAME[:-1] + b"\x12", kind) is None
    place = 4 + bit % (len(blob) - 4)
    harmed = bytes(byte ^ (1 if number == place else 0) for number, byte in enumerate(blob))
    assert opened(harmed, encrypted, NAME, kind) is None


def test_keys_are_derived_over_more_than_one_block() -> None:
    long = kdf_a(b"k" * 32, b"L", b"u", b"v", 512)
    first = hmac.digest(b"k" * 32, b"\0\0\0\1L\0uv" + (512).to_bytes(4, "big"), "sha256")
    second = hmac.digest(b"k" * 32, b"\0\0\0\2L\0uv" + (512).to_bytes(4, "big"), "sha256")
    assert long == first + second


def test_a_key_that_no_tpm_would_use_gets_no_credential() -> None:
    signing = read_public(forging.public_area(forging.key()))
    for area in (signing, rsa_area()):
        with pytest.raises(ValueError, match="1 to 32 bytes"):
            make_credential(area, NAME, b"", os.urandom)
    with pytest.raises(ValueError, match="endorsement key"):
        make_credential(signing, NAME, b"x", os.urandom)


# --- the ceremony with a real TPM --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Ceremony:
    """One TPM whose identity and answer are there, and the verifier's part."""

    maker: Maker
    swtpm: Swtpm
    folder: Path
    at: datetime
    authority: Authority
    identity: enrol.DeviceIdentity
    challenge: enrol.Challenge
    pending: enrol.Pending
    answer: enrol.Answer

    def asked(self, identity: enrol.DeviceIdentity, **more: object) -> tuple[enrol.Challenge, enrol.Pending]:
        given: dict[str, object] = {
            "roots": self.maker.roots,
            "intermediates": self.maker.intermediates,
            "at": self.at,
            "random": os.urandom,
        }
        return enrol.challenge(identity, **{**given, **more})  # type: ignore[arg-type]

    def certified(self, answer: enrol.Answer, pending: enrol.Pending | None = None) -> enrol.Enrolled:
        return enrol.certify(
            answer, pending or self.pending, authority=self.authority, name="guard-1", at=self.at, valid=YEAR
        )


@pytest.fixture(scope="module")
def ceremony(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ceremony]:
    if making.missing():
        pytest.skip("swtpm is missing")
    folder = tmp_path_factory.mktemp("ceremony")
    (folder / "guard").mkdir()
    maker, at = making.the_maker(), making.now()
    authority = Authority.create("Verifier root", at=at - timedelta(days=1), valid=10 * YEAR)
    with making.running(maker, folder) as swtpm:
        with making.opened(swtpm) as tpm:
            provision(tpm)
            identity = activate.identity(tpm, "rsa")
        challenge, pending = enrol.challenge(
            identity, roots=maker.roots, intermediates=maker.intermediates, at=at, random=os.urandom
        )
        with making.device(swtpm, folder / "guard") as device:
            answer = activate.answer(device.tpm, device, challenge, "rsa")
        yield Ceremony(
            maker=maker,
            swtpm=swtpm,
            folder=folder / "guard",
            at=at,
            authority=authority,
            identity=identity,
            challenge=challenge,
            pending=pending,
            answer=answer,
        )


@pytest.mark.tools
def test_a_certificate_names_the_device_and_leads_to_the_root(ceremony: Ceremony) -> None:
    found = ceremony.certified(ceremony.answer)
    certificate = x509.load_pem_x509_certificate(found.pem).public_bytes(Encoding.DER)
    public = base64.b64decode(ceremony.identity.attestation_public)
    platforms = Platforms([making.anchor(ceremony.authority)])
    certified = platforms.certified((certificate,), public, at=ceremony.at)
    assert certified.public.raw == public
    assert found.device_id == ceremony.identity.device_id
    assert found.info.firmware == 0x2019_1023_0016_3636


@pytest.mark.tools
def test_an_endorsement_certificate_of_another_maker_is_refused(ceremony: Ceremony) -> None:
    other = forging.root("Another maker", ceremony.at - YEAR)
    with pytest.raises(EvidenceError, match="no root of the verifier"):
        ceremony.asked(ceremony.identity, roots=[other.certificate])
    with pytest.raises(EvidenceError, match="no root of the verifier"):
        ceremony.asked(ceremony.identity, intermediates=())
    with pytest.raises(EvidenceError, match="no root"):
        ceremony.asked(ceremony.identity, roots=[])
    with pytest.raises(EvidenceError, match="not valid"):
        ceremony.asked(ceremony.identity, at=ceremony.at - YEAR)


@pytest.mark.tools
def test_identities_that_do_not_fit_together_are_refused(ceremony: Ceremony) -> None:
    def changed(**fields: str) -> enrol.DeviceIdentity:
        return ceremony.identity.model_copy(update=fields)

    text = base64.b64encode
    loose = forging.public_area(forging.key(), SIGN | 0x32)
    assert not read_public(loose).has(RESTRICTED)
    for fields, word in (
        ({"endorsement_public": text(rsa_area().raw).decode()}, "another key"),
        ({"attestation_public": text(loose).decode()}, "not restricted"),
        ({"attestation_public": text(b"x").decode()}, "ends at byte"),
        ({"endorsement_certificate": text(b"x").decode()}, "parsing"),
        ({"endorsement_certificate": text(making_certificate(ceremony)).decode()}, "extended key usage|root"),
    ):
        with pytest.raises(EvidenceError, match=word):
            ceremony.asked(changed(**fields))


def making_certificate(ceremony: Ceremony) -> bytes:
    """A certificate of the maker's that is none of an endorsement key: its own."""
    return ceremony.maker.intermediates[0].public_bytes(Encoding.DER)


@pytest.mark.tools
def test_an_attestation_key_of_another_tpm_cannot_open_the_secret(ceremony: Ceremony) -> None:
    """A key in software with the right attributes, behind a true endorsement key."""
    area = forging.public_area(forging.key())
    borrowed = ceremony.identity.model_copy(update={"attestation_public": base64.b64encode(area).decode()})
    asked, pending = ceremony.asked(borrowed)
    with (
        making.device(ceremony.swtpm, ceremony.folder) as device,
        pytest.raises(EnvironmentError_, match="meant for another"),
    ):
        activate.answer(device.tpm, device, asked, "rsa")
    guessed = ceremony.answer.model_copy(update={"identity": pending.identity.digest})
    with pytest.raises(EvidenceError, match="did not open"):
        ceremony.certified(guessed, pending)


@pytest.mark.tools
def test_answers_that_do_not_hold_get_no_certificate(ceremony: Ceremony) -> None:
    with pytest.raises(EvidenceError, match="another challenge"):
        ceremony.certified(ceremony.answer.model_copy(update={"identity": "sha256:" + "00" * 32}))
    with pytest.raises(EvidenceError, match="did not open"):
        ceremony.certified(ceremony.answer.model_copy(update={"mac": "00" * 32}))
    _, anew = ceremony.asked(ceremony.identity)
    with pytest.raises(EvidenceError, match="did not open"):
        ceremony.certified(ceremony.answer, anew)
    data = bytearray(base64.b64decode(ceremony.answer.quote))
    data[200] ^= 1
    with pytest.raises(EvidenceError):
        ceremony.certified(ceremony.answer.model_copy(update={"quote": base64.b64encode(bytes(data)).decode()}))
    with making.device(ceremony.swtpm, ceremony.folder) as device:
        stale = payload_of(device, bytes(32)).encode()
    with pytest.raises(RejectedQuote) as raised:
        ceremony.certified(ceremony.answer.model_copy(update={"quote": base64.b64encode(stale).decode()}))
    assert raised.value.fault is QuoteFault.NOT_FRESH


@pytest.mark.tools
def test_a_tpm_without_that_certificate_says_so(ceremony: Ceremony) -> None:
    with making.opened(ceremony.swtpm) as tpm, pytest.raises(EnvironmentError_, match="no endorsement certificate"):
        activate.identity(tpm, "ecc")


# --- the command line --------------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments])


def told(*arguments: str | Path) -> dict[str, object]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    value = json.loads(done.output)
    assert isinstance(value, dict)
    return value


@pytest.mark.tools
def test_the_ceremony_over_files(ceremony: Ceremony, tmp_path: Path) -> None:
    roots, between = tmp_path / "roots.pem", tmp_path / "between.pem"
    roots.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in ceremony.maker.roots))
    between.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in ceremony.maker.intermediates))
    tpm, guard = ("--tpm", ceremony.swtpm.name), tmp_path / "guard"
    guard.mkdir()
    device = told("init", *tpm)["device"]
    files = {name: tmp_path / f"{name}.json" for name in ("identity", "challenge", "pending", "answer")}
    key, root = tmp_path / "root.key", tmp_path / "root.pem"
    certificates = guard / "device-certificates.pem"
    makers = ("--ek-roots", roots, "--ek-intermediates", between)
    ours = ("--root", root, "--root-key", key)
    for arguments in (
        ("root", "--name", "Verifier root", "--key", key, "--out", root),
        ("ek", *tpm, "--out", files["identity"]),
        ("challenge", files["identity"], *makers, "--keep", files["pending"], "--out", files["challenge"]),
        ("answer", files["challenge"], *tpm, "--folder", guard, "--out", files["answer"]),
        ("certify", files["answer"], "--keep", files["pending"], *ours, "--name", "guard-1", "--out", certificates),
    ):
        done = run(*arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)
    assert files["pending"].stat().st_mode & 0o777 == 0o600
    assert key.stat().st_mode & 0o777 == 0o600
    shown = told("show", *tpm, "--folder", guard)
    assert shown["device"] == device
    assert shown["custody"] == "tpm"
    assert shown["counter_survives_a_restored_disk"] is True
    (certificate,) = shown["certificates"]  # type: ignore[misc]
    assert certificate["device"] == device  # type: ignore[index]
    assert "certified as" in run("show", *tpm, "--folder", guard).output
    again = run("root", "--name", "x", "--key", key, "--out", root)
    assert isinstance(again.exception, EnvironmentError_)


def test_files_of_the_ceremony_that_are_none(tmp_path: Path) -> None:
    path, roots = tmp_path / "identity.json", tmp_path / "roots.pem"
    roots.write_bytes(Authority.create("Root", at=making.now(), valid=YEAR).pem)
    for data in (b"", b"{}", b'{"kind":"device-answer"}', b"\xff", b" " * 100_000):
        path.write_bytes(data)
        done = run("challenge", path, "--ek-roots", roots, "--keep", tmp_path / "keep", "--out", tmp_path / "out")
        assert isinstance(done.exception, EvidenceError | InputError), data
        assert not (tmp_path / "out").exists()
        assert not (tmp_path / "keep").exists()


def test_a_device_in_software_is_shown_as_such(tmp_path: Path) -> None:
    assert isinstance(run("show", "--folder", tmp_path).exception, InputError)
    SoftwareDevice.open(tmp_path)
    shown = told("show", "--folder", tmp_path)
    assert (shown["custody"], shown["counter_survives_a_restored_disk"]) == ("software", False)
    assert "which a restored disk takes back" in run("show", "--folder", tmp_path).output


def test_the_digest_of_the_program_is_printed() -> None:
    value = told("program", "--files")
    files = value["files"]
    assert isinstance(files, dict)
    assert "mechanisms/guarantee/attestation/start.py" in files
    assert run("program").output.strip() == value["digest"]


@pytest.mark.tools
def test_a_tpm_whose_hierarchies_have_passwords(ceremony: Ceremony, tmp_path: Path) -> None:
    if making.missing(("tpm2_changeauth",)):
        pytest.skip("tpm2-tools are missing")
    (tmp_path / "tpm").mkdir()
    (tmp_path / "owner").write_bytes(b"open sesame\n")
    (tmp_path / "endorsement").write_bytes(b"sesame open")
    given = ("--owner-password", tmp_path / "owner", "--endorsement-password", tmp_path / "endorsement")
    with making.running(ceremony.maker, tmp_path / "tpm") as swtpm:
        swtpm.tool("tpm2_changeauth", "-c", "o", "open sesame", cwd=tmp_path)
        swtpm.tool("tpm2_changeauth", "-c", "e", "sesame open", cwd=tmp_path)
        tpm = ("--tpm", swtpm.name)
        assert isinstance(run("init", *tpm).exception, EnvironmentError_)
        assert run("init", *tpm, *given).exit_code == 0
        done = run("ek", *tpm, *given, "--out", tmp_path / "identity.json")
        assert done.exit_code == 0, done.exception
        asked, _ = ceremony.asked(enrol.DeviceIdentity.model_validate_json((tmp_path / "identity.json").read_bytes()))
        (tmp_path / "challenge.json").write_bytes(asked.canonical_bytes())
        answering = (
            "answer",
            tmp_path / "challenge.json",
            *tpm,
            "--folder",
            tmp_path,
            "--out",
            tmp_path / "answer.json",
        )
        assert isinstance(run(*answering).exception, EnvironmentError_)
        assert run(*answering, *given).exit_code == 0


@pytest.mark.parametrize("name", ["", "n" * 65])
def test_names_that_cannot_stand_in_a_certificate(name: str) -> None:
    with pytest.raises(InputError, match="1 to 64"):
        Authority.create(name, at=making.now(), valid=YEAR)


def test_a_root_that_has_ended_certifies_nothing() -> None:
    ended = Authority.create("Root", at=making.now() - 2 * YEAR, valid=YEAR)
    area = read_public(forging.public_area(forging.key()))
    with pytest.raises(InputError, match="not valid now"):
        ended.certify(area, name="guard", device_id="sha256:" + "00" * 32, at=making.now(), valid=YEAR)


def test_a_root_and_the_key_of_another_are_refused(tmp_path: Path) -> None:
    one, two = (Authority.create(name, at=making.now(), valid=YEAR) for name in ("One", "Two"))
    one.write_key(tmp_path / "key")
    (tmp_path / "root").write_bytes(two.pem)
    with pytest.raises(InputError, match="another key"):
        Authority.read(tmp_path / "key", tmp_path / "root")
    (tmp_path / "root").write_bytes(one.pem)
    assert Authority.read(tmp_path / "key", tmp_path / "root").certificate == one.certificate
    for data in (b"", b"-----BEGIN PRIVATE KEY-----\n", b"\xff" * 40_000):
        (tmp_path / "other").write_bytes(data)
        with pytest.raises(InputError):
            Authority.read(tmp_path / "other", tmp_path / "root")
