"""Files that somebody names are read whole, and never beyond their limit."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.files import read_bounded


def test_a_file_of_just_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_bounded(path, 8) == b"12345678"


def test_one_byte_more_is_an_error_that_names_the_file_and_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"123456789")
    with pytest.raises(InputError, match="more than 8 bytes") as caught:
        read_bounded(path, 8, remedy="name a shorter one")
    assert (caught.value.where, caught.value.remedy) == (str(path), "name a shorter one")
    with pytest.raises(EvidenceError):
        read_bounded(path, 8, too_large=EvidenceError)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_bounded(tmp_path / "none", 8)
    with pytest.raises(InputError, match="cannot be read: embedded null byte"):
        read_bounded(tmp_path / "a\0b", 8)
    with pytest.raises(EnvironmentError_, match="cannot be read: Is a directory"):
        read_bounded(tmp_path, 8, unreadable=EnvironmentError_)


def test_a_pipe_without_end_is_not_waited_for(tmp_path: Path) -> None:
    """The size that a directory states is nothing to go by: a pipe has none."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    enough = threading.Event()

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(b"x" * 100)
            enough.wait(10)

    writer = threading.Thread(target=write)
    writer.start()
    with pytest.raises(InputError, match="more than 8 bytes"):
        read_bounded(pipe, 8)
    enough.set()
    writer.join()
