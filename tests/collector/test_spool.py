"""The collector's folder: whole files or none, one collector at a time."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.interconnect.spool import DiskSpool


def test_a_file_is_written_under_its_name(tmp_path: Path) -> None:
    with DiskSpool(tmp_path / "new" / "out") as spool:
        spool.put("payloads/ab", [b"one", b"two"])
        spool.put("payloads/ab", [b"onetwo"])
    assert (tmp_path / "new/out/payloads/ab").read_bytes() == b"onetwo"
    assert list((tmp_path / "new/out/partial").iterdir()) == []


def test_what_a_crash_left_is_cleared_and_never_under_a_final_name(tmp_path: Path) -> None:
    (tmp_path / "partial").mkdir()
    (tmp_path / "partial" / "ab").write_bytes(b"half of a pay")
    with DiskSpool(tmp_path) as spool:
        assert not (tmp_path / "partial" / "ab").exists()
        spool.put("payloads/ab", [b"whole"])
    assert (tmp_path / "payloads" / "ab").read_bytes() == b"whole"


def test_a_second_collector_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with DiskSpool(tmp_path), pytest.raises(EnvironmentError_, match="another collector writes here"):
        DiskSpool(tmp_path)
    with DiskSpool(tmp_path):
        pass


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(EnvironmentError_, match=r"file.*cannot be written"):
        DiskSpool(tmp_path / "file" / "out")


def test_a_disk_that_takes_no_more_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    with DiskSpool(tmp_path) as spool:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, former[1]))
        try:
            with pytest.raises(EnvironmentError_, match=r"payloads/ab: cannot be written"):
                spool.put("payloads/ab", [bytes(600), bytes(600)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
        assert not (tmp_path / "payloads" / "ab").exists()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="there is no /proc here")
def test_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(20):
        with DiskSpool(tmp_path) as spool:
            spool.put(f"payloads/{number:02x}", [b"x"])
    assert len(os.listdir("/proc/self/fd")) == before
