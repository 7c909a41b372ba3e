"""What is measured when the processor starts."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

import inspectorate
from inspectorate.errors import EnvironmentError_
from inspectorate.mechanisms.guarantee.attestation.software import SoftwareDevice
from inspectorate.mechanisms.guarantee.attestation.start import Program, files_of, measure_start, this_program

HERE = Path(inspectorate.__file__).parent


def program(folder: Path, interpreter: str = "cpython 3.11", version: str = "1") -> Program:
    return Program(files=files_of(folder), interpreter=interpreter, libraries={"click": version})


def small(folder: Path) -> Path:
    (folder / "package" / "inner").mkdir(parents=True)
    (folder / "package" / "one.py").write_text("x = 1\n")
    (folder / "package" / "inner" / "two.py").write_text("y = 2\n")
    (folder / "package" / "data.yaml").write_text("a: 1\n")
    return folder / "package"


def test_the_digest_is_the_same_elsewhere_and_without_bytecode(tmp_path: Path) -> None:
    one = small(tmp_path / "a")
    shutil.copytree(one, tmp_path / "b" / "elsewhere")
    (one / "__pycache__").mkdir()
    (one / "__pycache__" / "one.cpython-311.pyc").write_bytes(b"\0")
    assert program(one).digest == program(tmp_path / "b" / "elsewhere").digest


@pytest.mark.parametrize("change", ["content", "name", "added", "removed", "data", "swapped"])
def test_every_change_changes_the_digest(tmp_path: Path, change: str) -> None:
    folder = small(tmp_path)
    before = program(folder).digest
    match change:
        case "content":
            (folder / "one.py").write_text("x = 2\n")
        case "name":
            (folder / "one.py").rename(folder / "three.py")
        case "added":
            (folder / "empty.py").write_text("")
        case "removed":
            (folder / "inner" / "two.py").unlink()
        case "data":
            (folder / "data.yaml").write_text("a: 2\n")
        case _:
            (folder / "one.py").write_text("y = 2\n")
            (folder / "inner" / "two.py").write_text("x = 1\n")
    assert program(folder).digest != before


def test_interpreter_and_libraries_count(tmp_path: Path) -> None:
    folder = small(tmp_path)
    made = {program(folder, interpreter, version).digest for interpreter in ("a 1", "a 2") for version in ("1", "2")}
    assert len(made) == 4


def test_links_and_empty_folders_are_not_measured_as_something_else(tmp_path: Path) -> None:
    folder = small(tmp_path)
    (folder / "link.py").symlink_to(folder / "one.py")
    with pytest.raises(EnvironmentError_, match="is a link"):
        files_of(folder)
    with pytest.raises(EnvironmentError_, match="nothing to measure"):
        files_of(tmp_path / "nowhere")


def test_this_program_is_all_of_its_files() -> None:
    found = this_program()
    listed = {
        path.relative_to(HERE).as_posix()
        for path in HERE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert set(found.files) == listed
    place = "canonical.py"
    assert found.files[place] == "sha256:" + hashlib.sha256((HERE / place).read_bytes()).hexdigest()
    assert {"cryptography", "pydantic", "click"} <= set(found.libraries)
    assert "hypothesis" not in found.libraries


def test_a_start_is_measured_in_order(tmp_path: Path) -> None:
    device, made = SoftwareDevice.open(tmp_path / "device"), program(small(tmp_path))
    measure_start(device, program=made, configuration=b"plan", ruleset=None)
    measure_start(device, program=made, configuration=b"plan", ruleset="sha256:" + "07" * 32)
    assert device.measured == (
        ("build", made.digest),
        ("configuration", "sha256:" + hashlib.sha256(b"plan").hexdigest()),
        ("ruleset", "sha256:" + "07" * 32),
    )
