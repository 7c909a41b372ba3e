"""A log in a folder: against the log in memory, against the file layout of the specification, against misuse, and
against the reference implementation in Go."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from faulty_disk import FaultyDisk
from hypothesis import given, settings
from hypothesis import strategies as st

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger import Log, MemoryLog
from inspectorate.ledger import log as log_module
from inspectorate.ledger.merkle import MemoryTree
from inspectorate.ledger.note import KeyKind, VerifierKey
from inspectorate.ledger.tiles import Tile, TileTree, split_bundle

ORIGIN = "example.org/log"
KEY = SigningKey(b"\x06" * 32)
VERIFIER = Path(__file__).parent / "external" / "verify.go"
GO_PACKAGES = Path("/usr/share/gocode")


def some_entries(count: int, seed: int = 0) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(chance.choice([0, 1, 40, 300])) for _ in range(count)]


@given(st.lists(st.sampled_from([1, 2, 3, 100, 255, 256, 257, 600]), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_a_log_on_a_disk_equals_the_log_in_memory(batches: list[int]) -> None:
    disk, memory = FaultyDisk(), MemoryLog(ORIGIN, KEY)
    log = Log.create_on(disk, ORIGIN, KEY)
    for number, count in enumerate(batches):
        entries = some_entries(count, number)
        assert log.append(entries) == memory.append(entries)
        assert log.checkpoint() == memory.checkpoint() == disk.seen["checkpoint"]
    for index in range(0, log.size, 53):
        assert log.entry(index) == memory.entry(index)
        assert log.inclusion(index) == memory.inclusion(index)
        assert log.inclusion(0, index + 1) == memory.inclusion(0, index + 1)
        assert log.consistency(index) == memory.consistency(index)
        assert log.find(memory.entry(index)) == memory.find(memory.entry(index))
    assert log.find(b"never appended") is None
    for reader in (Log.read_on(disk), Log.open_on(disk, KEY)):
        assert reader.checkpoint() == memory.checkpoint()
        assert reader.inclusion(log.size - 1) == memory.inclusion(log.size - 1)


@given(st.integers(1, 70_000), st.integers(0, 70_000))
@settings(max_examples=30, deadline=None)
def test_tiles_of_any_size_are_those_of_the_definition(size: int, more: int) -> None:
    """The tiles that one append gives are those of C2SP tlog-tiles: their nodes are the nodes of the plain tree."""
    size = size % 2000 + 1
    oracle, stored = MemoryTree(), {}
    tree = TileTree(0, lambda tile: stored[tile])
    leaves = [os.urandom(32) for _ in range(size + more % 2000)]
    oracle.append_hashes(leaves)
    for part in (leaves[:size], leaves[size:]):
        stored.update(tree.append(part))
        for tile in tree.edge_tiles():
            assert not tile.width or tile in stored
    for tile, data in stored.items():
        assert len(data) == 32 * tile.width
        for i in range(tile.width):
            assert data[32 * i : 32 * i + 32] == oracle.node(8 * (tile.level or 0), 256 * tile.number + i)
    assert tree.root() == oracle.root()
    assert tree.root(size) == oracle.root(size)


def test_a_tree_of_70_000_entries_has_the_tiles_that_the_specification_lists() -> None:
    """C2SP tlog-tiles, "Partial Tiles", gives this example."""
    tiles = [tile for tile, _ in TileTree(0, lambda _: b"").append([b"\x00" * 32] * 70_000)]
    assert sum(t.level == 0 and t.width == 256 for t in tiles) == 273
    assert sum(t.level == 1 and t.width == 256 for t in tiles) == 1
    assert [(t.level, t.number, t.width) for t in tiles if t.width < 256] == [(0, 273, 112), (1, 1, 17), (2, 0, 1)]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, number=1_234_067), "tile/0/x001/x234/067"),
        (Tile(level=3, number=0, width=7), "tile/3/000.p/7"),
        (Tile(level=None, number=999), "tile/entries/999"),
        (Tile(level=None, number=1000, width=1), "tile/entries/x001/000.p/1"),
    ],
)
def test_tile_paths(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_partial_tiles_go_once_their_full_ones_are_durable(tmp_path: Path) -> None:
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        log.append(some_entries(10))
        log.append(some_entries(245))
        assert (tmp_path / "tile/0/000.p/10").is_file()
        log.append(some_entries(3))
        assert (tmp_path / "tile/0/000.p/255").is_file()
    assert not (tmp_path / "tile/0/000.p").exists()
    assert not (tmp_path / "tile/entries/000.p").exists()
    assert (tmp_path / "tile/entries/001.p/2").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint", "journal", "tile"]


def test_a_reader_of_an_older_checkpoint_uses_full_tiles_where_partial_ones_are_gone(tmp_path: Path) -> None:
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        log.append(some_entries(100))
        older = log.checkpoint()
        log.append(some_entries(300))
    (tmp_path / "checkpoint").write_bytes(older)
    with Log.open(tmp_path) as reader:
        assert reader.size == 100
        assert reader.entry(99) == some_entries(100)[99]


def test_the_journal_begins_anew_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "JOURNAL_BYTES_MAX", 1000)
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        empty = (tmp_path / "journal").stat().st_size
        log.append([b"x" * 500])
        assert (tmp_path / "journal").stat().st_size > empty + 500
        log.append([b"x" * 500])
        assert (tmp_path / "journal").stat().st_size < empty + 100
        log.append([b"y"])
    with Log.open(tmp_path, KEY) as log:
        assert [log.entry(i) for i in range(3)] == [b"x" * 500, b"x" * 500, b"y"]


@pytest.mark.parametrize("victim", ["tile/0/000", "tile/entries/000", "tile/0/001.p/44", "tile/1/000.p/1"])
def test_a_changed_file_is_noticed(tmp_path: Path, victim: str) -> None:
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        log.append([bytes([i % 256]) * 4 for i in range(300)])
        good = log.inclusion(0)
    data = bytearray((tmp_path / victim).read_bytes())
    data[2] ^= 1
    (tmp_path / victim).write_bytes(data)
    try:
        with Log.open(tmp_path) as log:
            log.entry(0)
            assert log.inclusion(0) == good
    except EvidenceError:
        return
    pytest.fail("the change went unnoticed")


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with Log.create(tmp_path, ORIGIN, KEY):
        with pytest.raises(InputError, match="in use"):
            Log.open(tmp_path, KEY)
        Log.open(tmp_path).close()
    Log.open(tmp_path, KEY).close()


def test_misuse_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no log"):
        Log.open(tmp_path, KEY)
    with pytest.raises(InputError, match="no checkpoint"):
        Log.open(tmp_path)
    with pytest.raises(InputError, match="cannot be opened"):
        Log.open(tmp_path / "absent")
    with pytest.raises(InputError, match="cannot name a log"):
        Log.create(tmp_path, "with space", KEY)
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        for bad, reason in [
            ([], "at least one"),
            ([b"x" * 65_536], "65536 bytes exceeds"),
            ([b"x" * 65_535] * 1100, "a batch"),
        ]:
            with pytest.raises(InputError, match=reason):
                log.append(bad)
        assert log.append([b"x" * 65_535]) == range(1)
        for call in (
            lambda: log.entry(1),
            lambda: log.inclusion(1),
            lambda: log.inclusion(0, 2),
            lambda: log.consistency(2),
        ):
            with pytest.raises(InputError):
                call()
    with pytest.raises(InputError, match="already holds a log"):
        Log.create(tmp_path, ORIGIN, KEY)
    with pytest.raises(InputError, match="not that of the log"):
        Log.open(tmp_path, SigningKey(b"\x07" * 32))
    with Log.open(tmp_path) as reader, pytest.raises(InputError, match="opened to read"):
        reader.append([b""])
    (tmp_path / "journal").write_bytes(b"\x00" * 100)
    with pytest.raises(EvidenceError, match="no valid head"):
        Log.open(tmp_path, KEY)


def test_a_checkpoint_of_another_key_is_refused_at_opening(tmp_path: Path) -> None:
    with Log.create(tmp_path, ORIGIN, KEY) as log:
        log.append([b"a"])
    (tmp_path / "checkpoint").write_bytes(MemoryLog(ORIGIN, SigningKey(b"\x07" * 32)).checkpoint())
    with pytest.raises(EvidenceError, match="not signed by this log's key"):
        Log.open(tmp_path, KEY)


def test_a_full_disk_is_an_error_and_not_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.create(tmp_path, ORIGIN, KEY)
    log.append([b"a", b"b"])

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(EnvironmentError_, match="No space left"):
            log.append([b"c"])
    with pytest.raises(EnvironmentError_, match="open it anew"):
        log.append([b"c"])
    log.close()
    with Log.open(tmp_path, KEY) as again:
        assert again.size in (2, 3)
        assert [again.entry(i) for i in range(2)] == [b"a", b"b"]


@given(st.binary(max_size=40), st.integers(0, 5))
def test_arbitrary_bundles_never_crash_the_reader(data: bytes, count: int) -> None:
    try:
        entries = split_bundle(data, count, where="test")
    except EvidenceError:
        return
    assert len(entries) == count
    assert (
        b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)
        == data[: sum(map(len, entries)) + 2 * count]
    )


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("go") is None, reason="no Go compiler: apt install golang-go")
@pytest.mark.skipif(
    not (GO_PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir(),
    reason="no golang.org/x/mod: apt install golang-golang-x-mod-dev",
)
def test_the_go_reference_implementation_accepts_what_we_write(tmp_path: Path) -> None:
    program = tmp_path / "verify"
    environment = os.environ | {
        "GO111MODULE": "off", "GOPATH": str(GO_PACKAGES), "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": ""
    }  # fmt: skip
    subprocess.run(["go", "build", "-o", program, VERIFIER], check=True, env=environment, timeout=240)
    key_text = VerifierKey.of(KEY, name=ORIGIN, kind=KeyKind.LOG).text
    folder = tmp_path / "log"

    def verified(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, folder, *arguments], capture_output=True, text=True, timeout=120, check=False)

    with Log.create(folder, ORIGIN, KEY) as log:
        for count in (1, 4, 251, 1, 700, 66_000):
            log.append(some_entries(count, count))
            result = verified(key_text, "300")
            assert (result.stdout, result.stderr) == (f"ok {log.size}\n", "")
    other = VerifierKey.of(SigningKey(b"\x07" * 32), name=ORIGIN, kind=KeyKind.LOG).text
    assert verified(other, "1").returncode != 0
    data = bytearray((folder / "tile/0/003").read_bytes())
    data[-1] ^= 1
    (folder / "tile/0/003").write_bytes(data)
    assert "invalid transparency proof" in verified(key_text, "300").stderr
