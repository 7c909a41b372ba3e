"""One digest for a folder of code: what usual tools say, and what changes it."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from inspectorate.errors import InputError
from inspectorate.mechanisms.workloads.enrol.code import code_digest

FILES = {
    "serve.py": b"print(1)\n",
    "lib/model.py": b"x = 1\n",
    "lib-a": b"",
    "lib/.hidden": b"h",
    "b/ü.yaml": b"k: 1\n",
}


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_folder_has_the_digest_that_usual_tools_give(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", FILES)
    (folder / "empty").mkdir()
    command = "(cd \"$1\" && find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum"
    said = subprocess.run(["sh", "-c", command, "sh", str(folder)], capture_output=True, text=True, check=True).stdout
    found = code_digest(folder)
    assert found.digest == f"sha256:{said.split()[0]}"
    assert (found.files, found.size_bytes) == (5, sum(map(len, FILES.values())))


def test_a_file_has_its_own_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"code")
    assert code_digest(tmp_path / "a").digest == f"sha256:{hashlib.sha256(b'code').hexdigest()}"


def test_the_place_and_the_order_of_writing_do_not_count(tmp_path: Path) -> None:
    one = written(tmp_path / "one", FILES)
    other = written(tmp_path / "other" / "deep", dict(reversed(FILES.items())))
    assert code_digest(one) == code_digest(other)


CHANGES: dict[str, dict[str, bytes | None]] = {
    "a byte": {"serve.py": b"print(2)\n"},
    "a name": {"serve.py": None, "serve2.py": FILES["serve.py"]},
    "another file": {"lib/__pycache__/x.pyc": b"other code"},
    "a file less": {"lib-a": None},
    "content that moved": {"serve.py": FILES["lib/model.py"], "lib/model.py": FILES["serve.py"]},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_shows(tmp_path: Path, change: dict[str, bytes | None]) -> None:
    before = code_digest(written(tmp_path / "code", FILES)).digest
    for name, data in change.items():
        if data is None:
            (tmp_path / "code" / name).unlink()
        else:
            written(tmp_path / "code", {name: data})
    assert code_digest(tmp_path / "code").digest != before


def test_what_could_be_anything_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no file"):
        code_digest(tmp_path / "empty")
    with pytest.raises(InputError, match="no file or folder"):
        code_digest(tmp_path / "absent")
    linked = written(tmp_path / "linked", FILES)
    (linked / "link").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="link or a special file") as fault:
        code_digest(linked)
    assert fault.value.where.endswith("linked/link")
    (tmp_path / "to").symlink_to(linked)
    with pytest.raises(InputError, match="is a link"):
        code_digest(tmp_path / "to")


@pytest.mark.parametrize("name", [b"a\nb", b"a\\b", b"a\x7f", b"\xff"], ids=repr)
def test_names_that_could_pass_for_others_are_refused(tmp_path: Path, name: bytes) -> None:
    folder = written(tmp_path / "code", FILES)
    try:
        (folder / os.fsdecode(name)).write_bytes(b"")
    except OSError:
        pytest.skip("the file system has no such names")
    with pytest.raises(InputError, match="plain characters"):
        code_digest(folder)
