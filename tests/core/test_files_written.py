"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inspectorate.errors import EnvironmentError_
from inspectorate.files import replace_file

KILLED = """
import sys
from pathlib import Path
from inspectorate.files import replace_file
path, size = Path(sys.argv[1]), int(sys.argv[2])
print("up", flush=True)
n = 0
while True:
    n += 1
    replace_file(path, bytes([n % 256]) * size)
"""


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "one"
    replace_file(path, b"first")
    path.chmod(0o640)
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert mode_of(path) == 0o640
    replace_file(path, b"third", mode=0o600)
    assert mode_of(path) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["one"]


def test_new_files_get_what_the_process_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        replace_file(tmp_path / "one", b"")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "one") == 0o640


def test_what_cannot_be_written_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_bytes(b"kept")
    with pytest.raises(EnvironmentError_, match="cannot be written"):
        replace_file(tmp_path / "folder", b"x")
    with pytest.raises(EnvironmentError_, match="cannot be written"):
        replace_file(tmp_path / "nowhere" / "one", b"x")
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == ["folder", "folder/kept"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The process may write no file beyond 64 KiB: what comes after is refused, as on a full disk."""
    path = tmp_path / "one"
    path.write_bytes(b"old")
    script = (
        "import resource, signal, sys; from pathlib import Path; from inspectorate.files import replace_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "replace_file(Path(sys.argv[1]), bytes(1 << 20))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert "cannot be written: File too large" in done.stderr
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["one"]


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path, size = tmp_path / "one", 300_000
    for pause_s in (0.0, 0.02, 0.05, 0.09):
        writer = subprocess.Popen([sys.executable, "-c", KILLED, str(path), str(size)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(pause_s)
        writer.kill()
        writer.wait()
        writer.stdout.close()
        data = path.read_bytes()
        assert len(data) == size
        assert len(set(data)) == 1


def test_pipes_are_written_to_and_links_are_replaced(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    replace_file(Path(f"/dev/fd/{writing}"), b"through")
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        assert file.read() == b"through"
    (tmp_path / "there").write_bytes(b"kept")
    (tmp_path / "link").symlink_to("there")
    replace_file(tmp_path / "link", b"new")
    assert (tmp_path / "there").read_bytes() == b"kept"
    assert not (tmp_path / "link").is_symlink()
