"""Snapshots: one digest for a folder and every archive of it; and what is refused."""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inspectorate.errors import EvidenceError, InputError
from inspectorate.mechanisms.inspection.code import reference
from inspectorate.mechanisms.inspection.code.archives import files_of, read_snapshot
from inspectorate.mechanisms.inspection.code.snapshot import unpack
from inspectorate.mechanisms.workloads.enrol.code import code_digest

FILES = {
    "main.py": b"x = 1\n",
    "pkg/__init__.py": b"",
    "pkg/b.py": b"y = 2\n",
    "pkg.txt": b"z",
    "run.sh": b"#!/bin/sh\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "run.sh").chmod(0o755)
    return root


def tar_of(folder: Path, path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name in FILES:
            archive.add(folder / name, arcname=f"./{name}" if name == "main.py" else name)
    return path


def zip_of(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed(FILES):
            archive.write(folder / name, arcname=name)
    return path


def test_folder_and_archives_have_one_digest(folder: Path, tmp_path: Path) -> None:
    whole = read_snapshot(folder)
    forms = [tar_of(folder, tmp_path / f"a.{mode}", f"w:{mode}") for mode in ("", "gz", "bz2", "xz") if mode]
    forms += [tar_of(folder, tmp_path / "a.tar", "w"), zip_of(folder, tmp_path / "a.whl")]
    assert {read_snapshot(path).digest for path in forms} == {whole.digest}
    assert whole.code == code_digest(folder).digest
    assert [f.path for f in whole.files if f.executable] == ["run.sh"]


def test_every_byte_name_and_mode_counts(folder: Path) -> None:
    digests = {read_snapshot(folder).digest}
    for change in (
        lambda: (folder / "main.py").write_bytes(b"x = 2\n"),
        lambda: (folder / "main.py").rename(folder / "nain.py"),
        lambda: (folder / "nain.py").chmod(0o755),
        lambda: (folder / ".hidden").write_bytes(b""),
    ):
        change()
        digests.add(read_snapshot(folder).digest)
    assert len(digests) == 5


def test_unpacking_is_held_against_the_digests(folder: Path, tmp_path: Path) -> None:
    snapshot = read_snapshot(folder)
    unpack(snapshot, files_of(folder), tmp_path / "copy")
    assert read_snapshot(tmp_path / "copy").digest == snapshot.digest
    (folder / "main.py").write_bytes(b"x = 3\n")
    with pytest.raises(EvidenceError, match="changed while"):
        unpack(snapshot, files_of(folder), tmp_path / "other")
    (folder / "main.py").unlink()
    with pytest.raises(EvidenceError, match="went away"):
        unpack(snapshot, files_of(folder), tmp_path / "third")


# --- refusals ------------------------------------------------------------------------------------------------------------


def zipped(path: Path, members: list[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../up.py",
        "/etc/passwd",
        "a/../b.py",
        "a//b.py",
        "./a.py",
        "a\\b.py",
        "a\x01.py",
        "C:/a.py",
        "a\u202eb.py",
        "x" * 2000,
    ],
)
def test_names_that_lead_out_or_mislead_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        read_snapshot(zipped(tmp_path / "a.zip", [("ok.py", b""), (name, b"x")]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.py", "a.py"), ("a.py", "A.py"), ("a", "a/b.py")])
def test_two_files_for_one_name_are_refused(names: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(EvidenceError):
        read_snapshot(zipped(tmp_path / "a.zip", [(name, b"x") for name in names]))


def test_links_devices_and_empty_snapshots_are_refused(folder: Path, tmp_path: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            info = tarfile.TarInfo("x.py")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        with pytest.raises(EvidenceError, match="no plain file"):
            read_snapshot(tmp_path / "a.tar")
    link = zipfile.ZipInfo("x.py")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(EvidenceError, match="no plain file"):
        read_snapshot(zipped(tmp_path / "a.zip", [(link, b"/etc/passwd")]))
    (folder / "link.py").symlink_to("/etc/passwd")
    with pytest.raises(EvidenceError, match="link or a special file"):
        read_snapshot(folder)
    (folder / "link.py").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(EvidenceError, match="link or a special file"):
        read_snapshot(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvidenceError, match="holds no file"):
        read_snapshot(tmp_path / "empty")
    with pytest.raises(InputError):
        read_snapshot(tmp_path / "nothing")


def test_bombs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="expands"):
        read_snapshot(zipped(tmp_path / "a.zip", [("a.py", bytes(4 << 20))]))
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        info = tarfile.TarInfo("a.py")
        info.size = 4 << 20
        archive.addfile(info, io.BytesIO(bytes(info.size)))
    with pytest.raises(EvidenceError, match="expands"):
        read_snapshot(tmp_path / "a.tgz")


def test_limits_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "FILES_MAX", 2)
    with pytest.raises(EvidenceError, match="files"):
        read_snapshot(folder)
    monkeypatch.undo()
    monkeypatch.setattr(reference, "SNAPSHOT_BYTES_MAX", 8)
    with pytest.raises(EvidenceError, match="more bytes"):
        read_snapshot(folder)


@pytest.mark.parametrize("place", ["header", "content"])
def test_a_member_that_is_damaged_where_only_its_reader_sees_it_is_refused(
    folder: Path, tmp_path: Path, place: str
) -> None:
    path = zip_of(folder, tmp_path / "damaged.zip")
    with zipfile.ZipFile(path) as archive:
        last = max(archive.infolist(), key=lambda member: member.header_offset)
    data = bytearray(path.read_bytes())
    # Of a local header 30 bytes are fixed; the name and the content follow.
    at = last.header_offset + (1 if place == "header" else 30 + len(last.orig_filename) + last.compress_size // 2)
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(EvidenceError, match="no readable archive"):
        read_snapshot(path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), form=st.sampled_from(["tar", "zip"]))
def test_a_damaged_archive_is_refused_or_reads_as_other_files(
    folder: Path, tmp_path: Path, seed: int, form: str
) -> None:
    path = tmp_path / f"damaged.{form}"
    good = tar_of(folder, path, "w") if form == "tar" else zip_of(folder, path)
    data, draw = bytearray(good.read_bytes()), random.Random(seed)
    for _ in range(draw.randrange(1, 4)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    path.write_bytes(data[: draw.randrange(len(data) // 2, len(data) + 1)])
    try:
        read_snapshot(path)
    except EvidenceError:
        return
