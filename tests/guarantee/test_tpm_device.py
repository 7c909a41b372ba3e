"""The device that is a TPM, against a real one (swtpm): measuring, quoting, counting, restarting, and failing closed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import tty
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import tpm_making as making
from tpm_making import Maker, Swtpm

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.evidence import KeyCustody
from inspectorate.mechanisms.guarantee.attestation import reference
from inspectorate.mechanisms.guarantee.attestation.authority import Authority
from inspectorate.mechanisms.guarantee.attestation.measured import Measured, replay
from inspectorate.mechanisms.guarantee.attestation.quote import payload_of
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.structures import RH_ENDORSEMENT
from inspectorate.mechanisms.guarantee.attestation.tpm import codes
from inspectorate.mechanisms.guarantee.attestation.tpm.client import Client
from inspectorate.mechanisms.guarantee.attestation.tpm.commands import Tpm
from inspectorate.mechanisms.guarantee.attestation.tpm.device import CERTIFICATES_NAME, LOG_NAME, TpmDevice
from inspectorate.mechanisms.guarantee.attestation.tpm.provision import (
    AK_TEMPLATE,
    COUNTER_ATTRIBUTES,
    COUNTER_BYTES,
    EK_ECC_P256,
    counter,
    provision,
)
from inspectorate.mechanisms.guarantee.attestation.tpm.transport import connect
from inspectorate.mechanisms.guarantee.attestation.verify import Platforms, check_sequence, verify_tpm_quote

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(bool(making.missing()), reason=f"swtpm is missing: {', '.join(making.missing())}"),
]
BOUND = bytes(range(32))
BUILD, RULESET = b"\x01" * 32, b"\x02" * 32


@pytest.fixture(scope="module")
def maker() -> Maker:
    return making.the_maker()


@pytest.fixture
def swtpm(maker: Maker, tmp_path: Path) -> Iterator[Swtpm]:
    with making.running(maker, tmp_path) as running:
        with making.opened(running) as tpm:
            provision(tpm)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "guard").mkdir()
    return tmp_path / "guard"


def test_a_quote_of_a_real_tpm_verifies_and_its_log_survives_a_restart_of_the_processor(
    swtpm: Swtpm, maker: Maker, folder: Path
) -> None:
    at = making.now()
    authority = Authority.create("Verifier root", at=at - timedelta(days=1), valid=timedelta(days=3650))
    making.certified(swtpm, maker, folder, authority, at)
    platforms = Platforms([making.anchor(authority)])
    quotes = []
    for starts in range(3):
        if starts == 2:
            swtpm.restart()
        with making.device(swtpm, folder) as device:
            assert device.custody is KeyCustody.TPM
            assert device.protects_counter
            device.measure("build", BUILD)
            device.measure("ruleset", RULESET if starts else BUILD)
            quotes.append(verify_tpm_quote(payload_of(device, BOUND), bound=BOUND, platforms=platforms, at=at))
            assert quotes[-1].device_id == device.device_id
    assert [len(quote.log) for quote in quotes] == [2, 3, 2]
    assert quotes[2].clock.resets == quotes[0].clock.resets + 1
    assert check_sequence(quotes) == ()
    assert check_sequence([quotes[1], quotes[0]]) != ()


def test_measuring_extends_the_pcr_and_nothing_twice(swtpm: Swtpm, folder: Path) -> None:
    with making.device(swtpm, folder) as device:
        for name, digest in (
            ("build", BUILD),
            ("build", BUILD),
            ("ruleset", RULESET),
            ("build", RULESET),
            ("build", BUILD),
        ):
            device.measure(name, digest)
        assert [name for name, _ in device.measured] == ["build", "ruleset", "build", "build"]
        expected = replay(Measured(name=name, digest=bytes.fromhex(digest[7:])) for name, digest in device.measured)
        assert device.tpm.pcrs((reference.MEASURED_PCR,))[reference.MEASURED_PCR] == expected


def test_an_entry_that_was_written_and_never_extended_is_dropped(swtpm: Swtpm, folder: Path) -> None:
    with making.device(swtpm, folder) as device:
        device.measure("build", BUILD)
    value = json.loads((folder / LOG_NAME).read_bytes())
    value["log"].append({"digest": "09" * 32, "name": "ruleset"})
    (folder / LOG_NAME).write_text(json.dumps(value, separators=(",", ":"), sort_keys=True))
    with making.device(swtpm, folder) as device:
        assert [name for name, _ in device.measured] == ["build"]
        device.quote(BOUND)


@pytest.mark.parametrize("harm", ["lost", "older", "altered", "emptied", "no-json", "longer", "oversized"])
def test_a_lost_or_altered_log_fails_closed_until_the_machine_restarts(swtpm: Swtpm, folder: Path, harm: str) -> None:
    path = folder / LOG_NAME
    with making.device(swtpm, folder) as device:
        device.measure("build", BUILD)
        older = path.read_bytes()
        device.measure("ruleset", RULESET)
    entry = {"digest": "09" * 32, "name": "x"}
    harms = {
        "older": older,
        "altered": path.read_bytes().replace(b"02", b"03", 1),
        "emptied": b'{"log":[]}',
        "no-json": b"\x00",
        "longer": json.dumps(
            {"log": [*json.loads(path.read_bytes())["log"], entry, entry]}, separators=(",", ":")
        ).encode(),
        "oversized": b" " * 100_000,
    }
    if harm == "lost":
        path.unlink()
    else:
        path.write_bytes(harms[harm])
    with pytest.raises(EnvironmentError_, match="log of measurements") as raised:
        TpmDevice.open(swtpm.name, folder)
    assert "restart the machine" in str(raised.value)
    swtpm.restart()
    with making.device(swtpm, folder) as device:
        assert device.measured == ()


def test_a_foreign_extension_of_the_pcr_fails_closed(swtpm: Swtpm, folder: Path) -> None:
    with making.device(swtpm, folder) as device:
        device.measure("build", BUILD)
        device.tpm.extend(reference.MEASURED_PCR, b"\x77" * 32)
        with pytest.raises(EnvironmentError_, match="not measured here"):
            device.quote(BOUND)
    with pytest.raises(EnvironmentError_, match="does not replay"):
        TpmDevice.open(swtpm.name, folder)


def test_the_platforms_pcrs_are_in_the_quote(swtpm: Swtpm, folder: Path) -> None:
    with making.device(swtpm, folder) as device:
        before = device.quote(BOUND)
        device.tpm.extend(4, b"\x44" * 32)
        after = device.quote(BOUND)
        changed = [
            pcr for pcr, a, b in zip(reference.PLATFORM_PCRS, before.platform, after.platform, strict=True) if a != b
        ]
        assert changed == [4]


def test_the_log_is_bounded(swtpm: Swtpm, folder: Path) -> None:
    with making.device(swtpm, folder) as device:
        for number in range(reference.MEASURED_MAX):
            device.measure("ruleset", bytes([number]) * 32)
        with pytest.raises(EnvironmentError_, match="restart the machine"):
            device.measure("ruleset", b"\xff" * 32)
        payload_of(device, BOUND).encode()


# --- the counter -------------------------------------------------------------------------------------------------------


def test_the_counter_rises_across_restarts_and_a_restored_disk(swtpm: Swtpm, folder: Path, tmp_path: Path) -> None:
    with making.device(swtpm, folder) as device:
        device.measure("build", BUILD)
        start = device.counter()
        assert [device.advance() for _ in range(3)] == [start + 1, start + 2, start + 3]
    shutil.copytree(folder, tmp_path / "snapshot")
    with making.device(swtpm, folder) as device:
        device.advance()
    swtpm.restart()
    shutil.rmtree(folder)
    shutil.copytree(tmp_path / "snapshot", folder)
    with making.device(swtpm, folder) as device:
        assert device.counter() == start + 4


def test_a_restored_tpm_is_not_held_back_and_its_quotes_give_it_away(
    swtpm: Swtpm, maker: Maker, folder: Path, tmp_path: Path
) -> None:
    """Copying a TPM's own memory is an attack on hardware; with swtpm it is a folder. Its counter goes back with it."""
    at = making.now()
    authority = Authority.create("Verifier root", at=at - timedelta(days=1), valid=timedelta(days=3650))
    making.certified(swtpm, maker, folder, authority, at)
    platforms, quotes, counters = Platforms([making.anchor(authority)]), [], []
    swtpm.stop()
    shutil.copytree(swtpm.state, tmp_path / "copied-tpm")
    for starts in range(3):
        if starts == 2:
            swtpm.stop()
            shutil.rmtree(swtpm.state)
            shutil.copytree(tmp_path / "copied-tpm", swtpm.state)
        swtpm.restart()
        with making.device(swtpm, folder) as device:
            device.measure("build", BUILD)
            quotes.append(verify_tpm_quote(payload_of(device, BOUND), bound=BOUND, platforms=platforms, at=at))
            counters.append(device.advance())
    assert counters[2] < counters[1], "the counter cannot tell"
    assert check_sequence(quotes[:2]) == ()
    assert any("started" in fault for fault in check_sequence(quotes[1:])), "the quotes can"


def test_removed_and_defined_anew_the_counter_starts_above_all_that_ever_was(swtpm: Swtpm) -> None:
    with making.opened(swtpm) as tpm:
        for _ in range(5):
            tpm.nv_increment(reference.COUNTER_INDEX)
        high = counter(tpm)
        tpm.nv_undefine(reference.COUNTER_INDEX)
        with pytest.raises(EnvironmentError_, match="no counter"):
            counter(tpm)
        provision(tpm)
        assert counter(tpm) == high + 1


def test_an_index_that_is_no_counter_is_refused(swtpm: Swtpm, folder: Path) -> None:
    ordinary = COUNTER_ATTRIBUTES & ~(1 << 4)
    with making.opened(swtpm) as tpm:
        tpm.nv_undefine(reference.COUNTER_INDEX)
        tpm.nv_define(reference.COUNTER_INDEX, ordinary, COUNTER_BYTES)
        with pytest.raises(EnvironmentError_, match="defined otherwise"):
            provision(tpm)
    with pytest.raises(EnvironmentError_, match="defined otherwise"):
        TpmDevice.open(swtpm.name, folder)


def test_the_counter_cannot_be_written_by_its_owner(swtpm: Swtpm, tmp_path: Path) -> None:
    if making.missing(("tpm2_nvwrite",)):
        pytest.skip("tpm2-tools are missing")
    (tmp_path / "zero").write_bytes(bytes(8))
    for hierarchy in ("o", f"{reference.COUNTER_INDEX:#x}"):
        with pytest.raises(RuntimeError, match="tpm2_nvwrite"):
            swtpm.tool("tpm2_nvwrite", "-C", hierarchy, "-i", "zero", f"{reference.COUNTER_INDEX:#x}", cwd=tmp_path)


# --- keys --------------------------------------------------------------------------------------------------------------


def test_the_attestation_key_is_the_same_after_it_was_removed(swtpm: Swtpm) -> None:
    with making.opened(swtpm) as tpm:
        first = provision(tpm)
        tpm.evict_control(reference.AK_HANDLE, reference.AK_HANDLE)
        assert tpm.read_public(reference.AK_HANDLE) is None
        assert provision(tpm).raw == first.raw


def test_another_kind_of_key_in_its_place_is_refused(swtpm: Swtpm, folder: Path) -> None:
    with making.opened(swtpm) as tpm:
        tpm.evict_control(reference.AK_HANDLE, reference.AK_HANDLE)
        with tpm.loaded(0x4000_0001, AK_TEMPLATE) as handle:
            told = tpm.read_public(handle)
            assert told is not None
        with tpm.loaded(RH_ENDORSEMENT, EK_ECC_P256) as handle:
            tpm.evict_control(handle, reference.AK_HANDLE)
    with pytest.raises(EnvironmentError_, match="another kind of key"):
        TpmDevice.open(swtpm.name, folder)


def test_a_tpm_without_a_key_says_what_to_do(maker: Maker, folder: Path, tmp_path: Path) -> None:
    with making.running(maker, tmp_path) as bare, pytest.raises(EnvironmentError_, match="guard device init"):
        TpmDevice.open(bare.name, folder)


def test_certificates_of_another_key_are_refused(swtpm: Swtpm, folder: Path) -> None:
    at = making.now()
    (folder / CERTIFICATES_NAME).write_bytes(Authority.create("Root", at=at, valid=timedelta(days=1)).pem)
    with pytest.raises(InputError, match="another key"):
        TpmDevice.open(swtpm.name, folder)
    (folder / CERTIFICATES_NAME).write_bytes(b"none")
    with pytest.raises(InputError, match="no certificates"):
        TpmDevice.open(swtpm.name, folder)


def test_nothing_stays_loaded(swtpm: Swtpm) -> None:
    """Three objects fill a TPM of the PC Client profile; without flushing this fails."""
    with making.opened(swtpm) as tpm:
        for _ in range(8):
            with tpm.loaded(RH_ENDORSEMENT, AK_TEMPLATE), tpm.endorsement_session():
                pass
        with contextlib.suppress(KeyError), tpm.loaded(RH_ENDORSEMENT, AK_TEMPLATE):
            raise KeyError
        for _ in range(8):
            with tpm.loaded(RH_ENDORSEMENT, AK_TEMPLATE):
                pass


# --- answers that are none ---------------------------------------------------------------------------------------------


class Canned:
    """A transport that answers with what it was given."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.asked = 0

    def exchange(self, command: bytes) -> bytes:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def close(self) -> None:
        """Nothing is open."""


def of(*answers: str) -> tuple[Tpm, Canned, list[float]]:
    transport, waited = Canned(*(bytes.fromhex(answer.replace(" ", "")) for answer in answers)), []
    return Tpm(Client(transport, "canned", waited.append)), transport, waited


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "8001",
        "8001 0000000c 00000000 0004 0102",  # size too small
        "8001 00000010 00000000 0004 01020304 ff",  # size and bytes differ
        "8002 00000010 00000000 0004 01020304",  # another tag
        "8001 00000012 00000000 0004 01020304 ffff",  # bytes after the parameter
        "8001 0000000c 00000000 ffff",  # a buffer larger than any
        "8001 0000000e 00000101 00000000",  # an error with parameters
    ],
)
def test_answers_that_are_none_are_errors(answer: str) -> None:
    with pytest.raises(EnvironmentError_, match="is no answer"):
        of(answer)[0].random(4)


def test_a_tpm_that_asks_to_wait_is_asked_again_and_not_for_ever() -> None:
    tpm, _, waited = of("8001 0000000a 00000922", "8001 0000000a 00000908", "8001 00000010 00000000 0004 01020304")
    assert tpm.random(4) == bytes.fromhex("01020304")
    assert len(waited) == 2
    tpm, transport, waited = of("8001 0000000a 00000922")
    with pytest.raises(codes.TpmError, match="repeat"):
        tpm.random(4)
    assert transport.asked == len(waited) + 1
    assert sum(waited) < 10


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0x101, "failed"), (0x921, "locked"), (0x902, "memory for objects"), (0x1D5, "a size is wrong (parameter 1)"),
        (0x98E, "the failure counts (authorisation 1)"), (0x18B, "nothing is at this handle (handle 1)"),
        (0x2DF, "integrity"), (0x923, "NV memory is not available"), (0xFFFFFFFF, "refused"), (0x9FF, "0x9ff"),
    ],
)  # fmt: skip
def test_response_codes_are_told_in_words(code: int, word: str) -> None:
    assert word in codes.words(code)


@pytest.mark.parametrize(
    "name", ["swtpm:", "swtpm:host", "swtpm:host:", "swtpm:host:0", "swtpm:host:99999", "swtpm:h:1x"]
)
def test_names_of_tpms_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="names no TPM"):
        connect(name)


def test_a_tpm_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="cannot be opened"):
        connect(str(tmp_path / "none"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(EnvironmentError_, match="cannot be reached"):
            connect(f"swtpm:127.0.0.1:{unused.getsockname()[1]}")


def test_a_tpm_that_hangs_up_or_claims_too_much() -> None:
    for said in (b"", b"\x80\x01\xff\xff\xff\xff\x00\x00\x00\x00", b"\x80\x01\x00\x00\x00\x02\x00\x00\x00\x00"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            serving = threading.Thread(target=_say, args=(server, said))
            serving.start()
            transport = connect(f"swtpm:127.0.0.1:{server.getsockname()[1]}")
            with contextlib.closing(transport), pytest.raises(EnvironmentError_, match=r"claims|closed"):
                transport.exchange(b"\x80\x01\x00\x00\x00\x0a\x00\x00\x01\x7b")
            serving.join()


def _say(server: socket.socket, said: bytes) -> None:
    accepted, _ = server.accept()
    with accepted:
        accepted.recv(10)
        accepted.sendall(said)


def test_a_character_device_is_written_and_read_whole(tmp_path: Path) -> None:
    """A pseudo-terminal in raw mode stands for the device: one write in, one read out."""
    leader, follower = os.openpty()
    try:
        tty.setraw(leader)
        tty.setraw(follower)
        transport = connect(os.ttyname(follower))
        answer = bytes.fromhex("80010000000a00000000")
        serving = threading.Thread(target=lambda: (os.read(leader, 100), os.write(leader, answer)))
        serving.start()
        assert transport.exchange(b"\x80\x01") == answer
        serving.join()
        transport.close()
    finally:
        os.close(leader)
        os.close(follower)


# --- software ----------------------------------------------------------------------------------------------------------


def test_a_device_in_software_counts_and_says_what_it_is(tmp_path: Path) -> None:
    device = SoftwareDevice.open(tmp_path / "device")
    assert (device.custody, device.protects_counter, device.certificates) == (KeyCustody.SOFTWARE, False, ())
    assert [device.counter(), device.advance(), device.advance()] == [0, 1, 2]
    again = SoftwareDevice.open(tmp_path / "device")
    assert (again.counter(), again.device_id) == (2, device.device_id)
    shutil.copytree(tmp_path / "device", tmp_path / "restored")
    again.advance()
    assert SoftwareDevice.open(tmp_path / "restored").counter() == 2, (
        "and so it says that it does not protect its counter"
    )


@pytest.mark.parametrize("data", [b"", b"-1", b"1.0", b"x", b"9" * 30, "٣".encode()])
def test_a_counter_in_software_that_is_none_is_an_error(tmp_path: Path, data: bytes) -> None:
    device = SoftwareDevice.open(tmp_path)
    (tmp_path / "counter").write_bytes(data)
    with pytest.raises(InputError, match="no counter"):
        device.counter()


def test_a_folder_without_a_device_has_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        SoftwareDevice.existing(tmp_path)
