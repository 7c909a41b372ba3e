"""tpm2-tools as an independent oracle: what we make it takes, and what it makes we take."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import tpm_making as making
import yaml
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tpm_making import Swtpm

from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.credential import make_credential
from inspectorate.mechanisms.guarantee.attestation.structures import (
    RH_ENDORSEMENT,
    read_public,
    read_quote,
    read_signature,
    signed,
)
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import EK_ECC_P256, EK_RSA_2048, counter, provision
from inspectorate.mechanisms.guarantee.attestation.wire import Reader

_MISSING = making.missing((*making.PROGRAMS, *making.TOOLS))
pytestmark = [pytest.mark.tools, pytest.mark.skipif(bool(_MISSING), reason=f"missing: {', '.join(_MISSING)}")]
AK = f"{reference.AK_HANDLE:#x}"
PCRS = "sha256:" + ",".join(map(str, reference.QUOTED_PCRS))
BOUND = bytes(range(32))
TEMPLATES = {"rsa": EK_RSA_2048, "ecc": EK_ECC_P256}


@pytest.fixture(scope="module")
def swtpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swtpm]:
    folder = tmp_path_factory.mktemp("tools")
    with making.running(making.the_maker(), folder) as running:
        with making.opened(running) as tpm:
            provision(tpm)
        yield running


def test_tpm2_checkquote_takes_our_quotes(swtpm: Swtpm, tmp_path: Path) -> None:
    with making.device(swtpm, tmp_path) as device:
        device.measure("build", b"\x01" * 32)
        quoted = device.quote(BOUND)
        values = device.tpm.pcrs(reference.QUOTED_PCRS)
        key = read_public(device.public).key
    (tmp_path / "ak.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "attest").write_bytes(quoted.attested)
    (tmp_path / "signature").write_bytes(quoted.signature)
    common = ("-u", "ak.pem", "-m", "attest", "-s", "signature", "-g", "sha256")
    swtpm.tool("tpm2_checkquote", *common, "-q", BOUND.hex(), cwd=tmp_path)
    with pytest.raises(RuntimeError):
        swtpm.tool("tpm2_checkquote", *common, "-q", bytes(32).hex(), cwd=tmp_path)
    printed = yaml.safe_load(swtpm.tool("tpm2_print", "-t", "TPMS_ATTEST", "attest", cwd=tmp_path))
    info = read_quote(quoted.attested)
    assert str(printed["extraData"]) == info.extra.hex()
    assert printed["clockInfo"]["resetCount"] == info.clock.resets
    assert printed["clockInfo"]["clock"] == info.clock.clock_ms
    assert str(printed["attested"]["quote"]["pcrDigest"]) == info.pcr_digest.hex()
    assert hashlib.sha256(b"".join(values[pcr] for pcr in reference.QUOTED_PCRS)).digest() == info.pcr_digest


def test_we_take_quotes_of_tpm2_quote_and_pcrs_of_tpm2_pcrread(swtpm: Swtpm, tmp_path: Path) -> None:
    swtpm.tool("tpm2_quote", "-c", AK, "-l", PCRS, "-q", BOUND.hex(), "-m", "attest", "-s", "signature", cwd=tmp_path)
    attested = (tmp_path / "attest").read_bytes()
    info = read_quote(attested)
    assert info.extra == BOUND
    read = yaml.safe_load(swtpm.tool("tpm2_pcrread", PCRS, cwd=tmp_path))["sha256"]
    with making.opened(swtpm) as tpm:
        told = tpm.read_public(reference.AK_HANDLE)
        values = tpm.pcrs(reference.QUOTED_PCRS)
    assert told is not None
    assert signed(read_public(told.public).key, read_signature((tmp_path / "signature").read_bytes()), attested)
    assert {int(pcr): value for pcr, value in read.items()} == {
        pcr: int(value.hex(), 16) for pcr, value in values.items()
    }


def test_tpm2_readpublic_names_our_key_as_we_do(swtpm: Swtpm, tmp_path: Path) -> None:
    printed = yaml.safe_load(swtpm.tool("tpm2_readpublic", "-c", AK, "-q", "qualified", cwd=tmp_path))
    with making.opened(swtpm) as tpm:
        told = tpm.read_public(reference.AK_HANDLE)
    assert told is not None
    public = read_public(told.public)
    assert str(printed["name"]) == public.name.hex()
    assert (tmp_path / "qualified").read_bytes() == told.qualified_name
    flags = set(printed["attributes"]["value"].split("|"))
    assert {"fixedtpm", "fixedparent", "sensitivedataorigin", "restricted", "sign"} <= flags
    assert "decrypt" not in flags


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_tpm2_activatecredential_opens_what_we_wrap(swtpm: Swtpm, tmp_path: Path, kind: str) -> None:
    swtpm.tool("tpm2_createek", "-G", kind, "-c", "ek.ctx", "-u", "ek.pub", "-f", "tss", cwd=tmp_path)
    endorsement = read_public(Reader((tmp_path / "ek.pub").read_bytes()).sized(1024))
    with making.opened(swtpm) as tpm, tpm.loaded(RH_ENDORSEMENT, TEMPLATES[kind]) as handle:
        ours = tpm.read_public(handle)
        ak = tpm.read_public(reference.AK_HANDLE)
    assert ours is not None
    assert ours.public == endorsement.raw, "the same template gives the same key"
    assert ak is not None
    secret = os.urandom(32)
    blob, encrypted = make_credential(endorsement, ak.name, secret, os.urandom)
    # The file of tpm2-tools: magic, version, and both structures.
    (tmp_path / "credential").write_bytes(b"\xba\xdc\xc0\xde\x00\x00\x00\x01" + blob + encrypted)
    swtpm.tool("tpm2_startauthsession", "--policy-session", "-S", "session", cwd=tmp_path)
    swtpm.tool("tpm2_policysecret", "-S", "session", "-c", "e", cwd=tmp_path)
    arguments = ("-c", AK, "-C", "ek.ctx", "-i", "credential", "-o", "opened", "-P", "session:session")
    swtpm.tool("tpm2_activatecredential", *arguments, cwd=tmp_path)
    assert (tmp_path / "opened").read_bytes() == secret
    for option in ("-s", "-t"):
        swtpm.tool("tpm2_flushcontext", option, cwd=tmp_path)


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
def test_we_open_what_tpm2_makecredential_wraps(swtpm: Swtpm, tmp_path: Path, kind: str) -> None:
    secret = os.urandom(32)
    (tmp_path / "secret").write_bytes(secret)
    with making.opened(swtpm) as tpm:
        with tpm.loaded(RH_ENDORSEMENT, TEMPLATES[kind]) as handle:
            told = tpm.read_public(handle)
        ak = tpm.read_public(reference.AK_HANDLE)
        assert told is not None
        assert ak is not None
    (tmp_path / "ek.pub").write_bytes(len(told.public).to_bytes(2, "big") + told.public)
    arguments = ("-T", "none", "-u", "ek.pub", "-s", "secret", "-n", ak.name.hex(), "-o", "credential")
    swtpm.tool("tpm2_makecredential", *arguments, cwd=tmp_path)
    reader = Reader((tmp_path / "credential").read_bytes()[8:])
    blob, encrypted = reader.sized(1024), reader.sized(1024)
    reader.end()
    with (
        making.opened(swtpm) as tpm,
        tpm.loaded(RH_ENDORSEMENT, TEMPLATES[kind]) as handle,
        tpm.endorsement_session() as session,
    ):
        opened = tpm.activate_credential(
            reference.AK_HANDLE,
            handle,
            session,
            len(blob).to_bytes(2, "big") + blob,
            len(encrypted).to_bytes(2, "big") + encrypted,
        )
    assert opened == secret


def test_tpm2_nvread_reads_our_counter(swtpm: Swtpm, tmp_path: Path) -> None:
    index = f"{reference.COUNTER_INDEX:#x}"
    with making.opened(swtpm) as tpm:
        tpm.nv_increment(reference.COUNTER_INDEX)
        before = counter(tpm)
    swtpm.tool("tpm2_nvincrement", "-C", index, index, cwd=tmp_path)
    swtpm.tool("tpm2_nvread", "-C", index, "-o", "value", index, cwd=tmp_path)
    assert int.from_bytes((tmp_path / "value").read_bytes(), "big") == before + 1
    with making.opened(swtpm) as tpm:
        assert counter(tpm) == before + 1
    printed = yaml.safe_load(swtpm.tool("tpm2_nvreadpublic", index, cwd=tmp_path))
    (told,) = printed.values()
    assert "counter" in told["attributes"]["friendly"] or "nt=0x1" in told["attributes"]["friendly"]
