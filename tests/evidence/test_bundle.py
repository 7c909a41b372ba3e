"""Bundles: every byte is signed for, in a folder and in an archive, and nothing else may be there."""

from __future__ import annotations

import io
import json
import os
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from evidence_making import (
    ANCHORS,
    BUNDLER,
    SENSOR,
    START,
    chain,
    signed_manifest,
    signed_segment,
    small_bundle,
    smallest_bundle,
)
from hypothesis import given
from hypothesis import strategies as st

from inspectorate.canonical import digest_of
from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.evidence import Bundle, Memory, Origin, ProblemKind, RejectedEvidence, bundle_contents, write_bundle
from inspectorate.evidence import bundle as bundle_module
from inspectorate.evidence.tarform import BLOCK, END, write_tar

K = ProblemKind
CONTENTS = small_bundle()


def open_at(path: Path) -> Bundle:
    return Bundle.open(path, anchors=ANCHORS)


def refused(path: Path) -> RejectedEvidence:
    with pytest.raises(RejectedEvidence) as caught:
        open_at(path)
    assert caught.value.problem
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_bundle(CONTENTS, tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_bundle(CONTENTS, tmp_path / "bundle.tar")
    return tmp_path / "bundle.tar"


# --- what is accepted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_what_was_written_is_what_is_read(tmp_path: Path, name: str) -> None:
    write_bundle(CONTENTS, tmp_path / name)
    bundle = open_at(tmp_path / name)
    statements = dict(bundle.statements())
    assert len(statements) == 4
    assert all(digest_of(data) == digest for digest, data in statements.items())
    assert bundle.payload(digest_of(b"a pcap of some kind")) == b"a pcap of some kind"
    assert bundle.payload(digest_of(b"")) == b""
    assert (bundle.has_payload(digest_of(b"")), bundle.has_payload(digest_of(b"other"))) == (True, False)
    assert bundle.payload_size(digest_of(b"{}")) == 2
    assert [bundle.proof(digest) for digest in sorted(statements)].count(b"a ledger proof") == 1


def test_an_archive_of_given_files_is_always_the_same_bytes(tmp_path: Path) -> None:
    write_bundle(CONTENTS, tmp_path / "one.tar")
    write_bundle(dict(reversed(CONTENTS.items())), tmp_path / "other.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "other.tar").read_bytes()


def test_any_tar_program_can_read_an_archive(archive: Path) -> None:
    with tarfile.open(archive, "r:") as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == CONTENTS  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    write_bundle(CONTENTS, tmp_path / name)
    with pytest.raises(InputError, match="is there already"):
        write_bundle(CONTENTS, tmp_path / name)


def test_a_payload_that_is_not_there_is_named() -> None:
    bundle = Bundle.check(Memory(CONTENTS), anchors=ANCHORS)
    with pytest.raises(RejectedEvidence) as caught:
        bundle.payload(digest_of(b"other"))
    assert caught.value.kind is K.MISSING


def test_a_payload_that_changes_after_it_was_checked_is_refused(folder: Path) -> None:
    bundle = open_at(folder)
    digest = digest_of(b"a pcap of some kind")
    (folder / "payloads" / digest[7:]).write_bytes(b"A pcap of some kind")
    with pytest.raises(RejectedEvidence, match="changed while it was read") as caught:
        bundle.payload(digest)
    assert caught.value.kind is K.WRONG_DIGEST


# --- every single byte -------------------------------------------------------------------------------------------------


def test_every_byte_flipped_in_a_folder_is_refused_with_a_reason(tmp_path: Path) -> None:
    """Exhaustive: every byte of every file, one bit each."""
    contents, folder, flips = smallest_bundle(), tmp_path / "smallest", 0
    write_bundle(contents, folder)
    for name, data in contents.items():
        path = folder / name
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << (at % 8)
            path.write_bytes(changed)
            refused(folder)
            flips += 1
        path.write_bytes(data)
    assert flips == sum(map(len, contents.values()))
    assert open_at(folder)


def test_every_byte_flipped_in_an_archive_is_refused_with_a_reason(tmp_path: Path) -> None:
    """Exhaustive: contents, headers, padding and the end mark."""
    archive = tmp_path / "smallest.tar"
    write_bundle(smallest_bundle(), archive)
    data = archive.read_bytes()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << (at % 8)
        with archive.open("r+b") as file:
            file.seek(at)
            file.write(changed[at : at + 1])
        refused(archive)
        with archive.open("r+b") as file:
            file.seek(at)
            file.write(data[at : at + 1])
    assert open_at(archive)


@pytest.mark.parametrize("at", [0, 124, 135, 148, 156, 257, 263, 329, 345, 500])
def test_any_byte_in_a_header_is_refused_whatever_it_becomes(archive: Path, at: int) -> None:
    """Name, size, checksum, type, magic, version, device, prefix and padding of a member's header."""
    data = archive.read_bytes()
    for value in {*range(48, 58), 0, 32, 127, 128, 255} - {data[at]}:
        archive.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
        refused(archive)


def larger_bundle() -> dict[str, bytes]:
    source = random.Random(1)
    payloads = [source.randbytes(source.randint(0, 5000)) for _ in range(8)]
    return bundle_contents(
        envelopes=chain(payloads), payloads={digest_of(p): p for p in payloads}, proofs={}, key=BUNDLER,
        created_at=START, origin=Origin.RECORDED,
    )  # fmt: skip


def test_sampled_bytes_of_a_larger_bundle_are_refused_as_well(tmp_path: Path) -> None:
    path = tmp_path / "larger.tar"
    write_bundle(larger_bundle(), path)
    data = path.read_bytes()
    source = random.Random(2)
    for at in source.sample(range(len(data)), 400):
        changed = bytearray(data)
        changed[at] ^= source.randint(1, 255)
        path.write_bytes(changed)
        refused(path)


# --- lengths -----------------------------------------------------------------------------------------------------------


def test_an_archive_cut_at_any_block_is_refused(archive: Path) -> None:
    data = archive.read_bytes()
    for size in range(0, len(data), BLOCK):
        archive.write_bytes(data[:size])
        assert refused(archive).kind in {K.TRUNCATED, K.MALFORMED}


@pytest.mark.parametrize("by", [1, 511, 513, 1023])
def test_an_archive_cut_within_a_block_is_refused(archive: Path, by: int) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[:-by])
    refused(archive)


@pytest.mark.parametrize(
    "tail", [b"\0", b"\0" * BLOCK, b"x", END], ids=["a zero", "a block", "a letter", "an end mark"]
)
def test_an_archive_with_more_at_its_end_is_refused(archive: Path, tail: bytes) -> None:
    archive.write_bytes(archive.read_bytes() + tail)
    assert refused(archive).kind is K.MALFORMED


def test_a_file_that_is_shorter_or_longer_is_refused(folder: Path) -> None:
    for name, data in CONTENTS.items():
        path = folder / name
        path.write_bytes(data + b"x")
        refused(folder)
        if data:
            path.write_bytes(data[:-1])
            assert refused(folder).kind in {K.TRUNCATED, K.MALFORMED}
        path.write_bytes(data)


# --- files that are there or not ---------------------------------------------------------------------------------------


def test_any_file_that_is_missing_is_named(folder: Path) -> None:
    for name, data in CONTENTS.items():
        (folder / name).unlink()
        fault = refused(folder)
        assert fault.kind is K.MISSING
        assert name in fault.problem
        (folder / name).write_bytes(data)


def add(name: str, data: bytes = b"x") -> Callable[[Path], None]:
    def act(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    return act


PCAP = f"payloads/{digest_of(b'a pcap of some kind')[7:]}"


def replace_by(make: Callable[[Path, Path], None]) -> Callable[[Path], None]:
    """Move a payload out of the bundle and put something else in its place."""

    def act(folder: Path) -> None:
        elsewhere = folder.parent / "elsewhere"
        (folder / PCAP).rename(elsewhere)
        make(folder / PCAP, elsewhere)

    return act


def rename_folder(folder: Path) -> None:
    (folder / "payloads").rename(folder.parent / "payloads")
    (folder / "payloads").symlink_to(folder.parent / "payloads", target_is_directory=True)


def link_manifest(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "manifest")
    (folder / "manifest.json").symlink_to(folder.parent / "manifest")


STRAY: dict[str, tuple[Callable[[Path], None], str]] = {
    "a file at the top": (add("README"), "there and not listed"),
    "a hidden file": (add(".DS_Store"), "there and not listed"),
    "a payload that nobody signed for": (add(f"payloads/{digest_of(b'x')[7:]}"), "there and not listed"),
    "a statement that nobody signed for": (add("statements/" + "0" * 64 + ".json"), "there and not listed"),
    "a folder at the top": (lambda f: (f / "more").mkdir(), "'more' is not a plain file"),
    "a folder in a folder": (lambda f: (f / "payloads" / "more").mkdir(), "not a plain file"),
    "a name that is not UTF-8": (
        lambda f: os.close(os.open(os.fsencode(f) + b"/payloads/\xff\x1b[2J", os.O_CREAT | os.O_WRONLY)),
        r"\udcff\x1b[2J",
    ),
    "a link to the payload": (replace_by(lambda at, to: at.symlink_to(to)), "not a plain file"),
    "a link to nowhere": (replace_by(lambda at, to: at.symlink_to(to.with_name("nowhere"))), "not a plain file"),
    "a pipe": (replace_by(lambda at, _: os.mkfifo(at)), "not a plain file"),
    "a linked folder": (rename_folder, "'payloads' is not a plain file"),
    "a manifest that is a link": (link_manifest, "not a plain file"),
}  # fmt: skip


@pytest.mark.parametrize(("act", "problem"), STRAY.values(), ids=STRAY)
def test_anything_else_in_a_folder_is_refused_by_name(folder: Path, act: Callable[[Path], None], problem: str) -> None:
    act(folder)
    fault = refused(folder)
    assert fault.kind is K.MALFORMED
    assert problem in fault.problem
    assert str(fault).isprintable()


def test_a_hard_link_is_the_same_bytes_and_so_is_accepted(folder: Path) -> None:
    replace_by(lambda at, to: os.link(to, at))(folder)
    assert open_at(folder)


def test_no_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(RejectedEvidence, match=r"no manifest\.json") as caught:
        open_at(tmp_path)
    assert caught.value.kind is K.MISSING


def test_nothing_there_is_the_operators_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="neither a folder nor a file"):
        open_at(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_the_machines_fault(folder: Path) -> None:
    (folder / "payloads").chmod(0)
    try:
        with pytest.raises(EnvironmentError_, match="cannot be read"):
            open_at(folder)
    finally:
        (folder / "payloads").chmod(0o700)


# --- manifests ---------------------------------------------------------------------------------------------------------


def test_a_manifest_of_another_key_is_refused() -> None:
    contents = {**CONTENTS, "manifest.json": signed_manifest(SENSOR)}
    with pytest.raises(RejectedEvidence) as caught:
        Bundle.check(Memory(contents), anchors=ANCHORS)
    assert caught.value.kind is K.WRONG_KEY


def test_a_manifest_of_another_bundle_is_refused() -> None:
    contents = {**CONTENTS, "manifest.json": signed_manifest()}
    with pytest.raises(RejectedEvidence) as caught:
        Bundle.check(Memory(contents), anchors=ANCHORS)
    assert caught.value.kind is K.MISSING


def test_another_statement_in_place_of_the_manifest_is_refused() -> None:
    contents = {**CONTENTS, "manifest.json": signed_segment()}
    with pytest.raises(RejectedEvidence, match="not a bundle manifest"):
        Bundle.check(Memory(contents), anchors=ANCHORS)


def listed_under(name: str, data: bytes = b"x") -> dict[str, bytes]:
    """A bundle whose signed manifest lists a file under a name that it should not have."""
    from_payload = bundle_contents(
        envelopes=[], payloads={digest_of(data): data}, proofs={}, key=BUNDLER, created_at=START, origin=Origin.RECORDED
    )
    assert len(from_payload) == 2
    with_name = bundle_module.BundleManifest(
        origin=Origin.RECORDED,
        created_at=START,
        files={name: bundle_module.FileEntry(digest=digest_of(data), size=len(data))},
    )
    statement = bundle_module.make_statement(with_name, {"files": digest_of(with_name.canonical_bytes())})
    return {"manifest.json": bundle_module.sign_statement(statement, BUNDLER), name: data}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("payloads/" + "0" * 64, "does not bear its own digest"),
        ("statements/" + "0" * 64 + ".json", "does not bear its own digest"),
        ("payloads/" + digest_of(b"x")[7:] + ".json", "has no place in a bundle"),
        ("payloads/" + digest_of(b"x")[7:].upper(), "has no place in a bundle"),
        ("statements/" + digest_of(b"x")[7:], "has no place in a bundle"),
        ("extras/" + digest_of(b"x")[7:], "has no place in a bundle"),
        ("payloads/notes.txt", "has no place in a bundle"),
        ("payloads/..", "has no place in a bundle"),
    ],
)
def test_a_signed_manifest_cannot_list_what_has_no_place(name: str, problem: str) -> None:
    with pytest.raises(RejectedEvidence, match=problem):
        Bundle.check(Memory(listed_under(name)), anchors=ANCHORS)


@pytest.mark.parametrize("name", ["../payloads/x", "/etc/passwd", "payloads/a/b", "payloads/", "manifest.json", ""])
def test_a_manifest_with_a_path_in_it_cannot_even_be_made(name: str) -> None:
    with pytest.raises(ValueError, match="files"):
        listed_under(name)


# --- sizes -------------------------------------------------------------------------------------------------------------


def sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)


def test_a_huge_manifest_is_refused_before_it_is_read(folder: Path) -> None:
    sparse(folder / "manifest.json", 1 << 40)
    assert "larger than a bundle may be" in refused(folder).problem


def test_a_huge_member_of_an_archive_is_refused_before_it_is_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("manifest.json")
    info.size, info.mode = 7 << 30, 0o644
    path = tmp_path / "huge.tar"
    sparse(path, BLOCK + info.size + len(END))
    with path.open("r+b") as file:
        file.write(info.tobuf(format=tarfile.USTAR_FORMAT))
    assert "larger than a bundle may be" in refused(path).problem


def test_an_archive_that_is_huge_as_a_whole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.tar"
    sparse(path, bundle_module.BUNDLE_BYTES_MAX + 1)
    assert "bytes, more than" in refused(path).problem


def test_a_huge_payload_is_refused_before_it_is_read(folder: Path) -> None:
    sparse(folder / PCAP, 65 * 1024 * 1024)
    assert "more than 67108864 bytes" in refused(folder).problem


def test_a_huge_statement_is_refused_before_it_is_read(folder: Path) -> None:
    name = next(name for name in CONTENTS if name.startswith("statements/"))
    sparse(folder / name, 2 * 1024 * 1024)
    assert "more than 1048576 bytes" in refused(folder).problem


@pytest.mark.parametrize("kind", ["bundle", "bundle.tar"])
def test_too_many_files_are_refused(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(CONTENTS, tmp_path / kind)
    monkeypatch.setattr(bundle_module, "FILES_MAX", 3)
    assert "more than" in refused(tmp_path / kind).problem


def test_a_payload_too_large_to_be_held_is_not_bundled() -> None:
    data = bytes(64 * 1024 * 1024 + 1)
    with pytest.raises(ValueError, match="more than 67108864"):
        bundle_contents(
            envelopes=[], payloads={digest_of(data): data}, proofs={}, key=BUNDLER, created_at=START,
            origin=Origin.RECORDED,
        )  # fmt: skip


# --- other archives ----------------------------------------------------------------------------------------------------


def as_tar(contents: dict[str, bytes], format_: int, how: str = "w", **fields: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=how, format=format_) as tar:  # type: ignore[call-overload]
        for name in sorted(contents):
            info = tarfile.TarInfo(name)
            info.size = len(contents[name])
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(contents[name]))
    return out.getvalue()


def unsorted() -> bytes:
    out = io.BytesIO()
    for name in sorted(CONTENTS, reverse=True):
        one = io.BytesIO()
        write_tar(one, {name: CONTENTS[name]})
        out.write(one.getvalue()[: -len(END)])
    return out.getvalue() + END


def doubled() -> bytes:
    one = io.BytesIO()
    write_tar(one, {"manifest.json": CONTENTS["manifest.json"]})
    return one.getvalue()[: -len(END)] * 2 + END


DIALECTS = {
    "GNU": as_tar(CONTENTS, tarfile.GNU_FORMAT),
    "pax with a header of its own": as_tar(CONTENTS, tarfile.PAX_FORMAT, mtime=1.5),
    "ustar padded to records of 20 blocks": as_tar(CONTENTS, tarfile.USTAR_FORMAT),
    "ustar with an owner": as_tar(CONTENTS, tarfile.USTAR_FORMAT, uid=1000, uname="me"),
    "ustar with a time": as_tar(CONTENTS, tarfile.USTAR_FORMAT, mtime=1_700_000_000),
    "ustar with other permissions": as_tar(CONTENTS, tarfile.USTAR_FORMAT, mode=0o777),
    "gzip": as_tar(CONTENTS, tarfile.USTAR_FORMAT, "w:gz"),
    "not sorted": unsorted(),
    "a member twice": doubled(),
    "a symbolic link": as_tar(
        {"manifest.json": b""}, tarfile.USTAR_FORMAT, type=tarfile.SYMTYPE, linkname="/etc/passwd"
    ),
    "nothing in it": END,
    "an empty file": b"",
    "zeroes": b"\0" * 512,
    "text": b"hello world\n" * 100,
}


@pytest.mark.parametrize("data", DIALECTS.values(), ids=DIALECTS)
def test_any_other_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(data)
    refused(path)


@pytest.mark.parametrize("name", ["ä.json", "x" * 300, "a\\b"])
def test_member_names_of_any_kind_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar"
    path.write_bytes(as_tar({**CONTENTS, name: b"x"}, tarfile.GNU_FORMAT))
    refused(path)


# --- fuzzing -----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from([*CONTENTS, "manifest.json", "payloads/x", "", "../x", "statements/\0"])


@given(st.dictionaries(NAMES, st.binary(max_size=40) | st.sampled_from(sorted(CONTENTS.values())), max_size=5))
def test_any_files_are_refused_by_name(contents: dict[str, bytes]) -> None:
    with pytest.raises(EvidenceError):
        Bundle.check(Memory(contents), anchors=ANCHORS)


@given(st.binary(max_size=2048))
def test_any_archive_is_refused_by_name(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.tar"
    path.write_bytes(data)
    refused(path)


def test_the_manifest_says_what_is_in_the_bundle() -> None:
    bundle = Bundle.check(Memory(CONTENTS), anchors=ANCHORS)
    assert set(bundle.entries) == set(CONTENTS) - {"manifest.json"}
    assert json.loads(CONTENTS["manifest.json"])["payloadType"] == "application/vnd.in-toto+json"
