"""A log in a folder: batched durable appends, proofs, recovery.

    checkpoint             signed note of the current size and root (C2SP tlog-checkpoint)
    tile/<level>/<n>       Merkle tiles, and tile/entries/<n> entry bundles (C2SP tlog-tiles)
    journal                batches since the tiles were last made durable (see `journal`)

Rules:

1. What `append` returned for is durable: it survives the death of the process at any instruction, and the loss of power.
2. A checkpoint is signed only after everything it commits to is durable. So no crash can make the log sign a second
   history: whatever size a signed checkpoint named, recovery comes back with at least that, byte for byte.
3. A reader sees a checkpoint only when the tiles and bundles that it needs are in place.
4. One writer at a time, held by a lock on the folder that dies with the process.
5. After any fault of the disk the `Log` refuses further appends; it is to be opened anew, which recovers.
6. Recovery refuses rather than repairs where stored data contradicts a signed checkpoint.

Order of one append, one fsync in all: journal (durable), tiles and bundles, checkpoint. When the journal is long, or the
log is closed: all tiles durable, then a new journal by durable replacement, then superseded partial tiles go.

Not defended here: an operator who restores an old copy of the folder, or keeps two, and so forks the log with the
rightful key. Witnesses are for that. One `Log` is for one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from inspectorate.errors import EnvironmentError_, EvidenceError, InputError, InspectorateError
from inspectorate.keys import SigningKey
from inspectorate.ledger.checkpoint import Checkpoint, check_origin
from inspectorate.ledger.disk import Disk, PosixDisk
from inspectorate.ledger.journal import (
    BATCH_BYTES_MAX,
    JOURNAL_BYTES_MAX,
    JOURNAL_PATH,
    JOURNAL_READ_BYTES_MAX,
    decode_batches,
    decode_head,
    encode_batch,
    encode_head,
)
from inspectorate.ledger.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    leaf_hashes,
)
from inspectorate.ledger.note import NOTE_BYTES_MAX, KeyKind, Note, VerifierKey
from inspectorate.ledger.storage import CHECKPOINT_PATH, check_published, edge_entries, read_bundle, read_tile
from inspectorate.ledger.tiles import (
    ENTRY_BYTES_MAX,
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileTree,
    frame_entries,
)


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """One batch on its way to the disk: its framed entries, the tiles it made, and the size before it."""

    start: int
    framed: list[bytes]
    tiles: list[tuple[Tile, bytes]]


@dataclass(kw_only=True)
class _Writer:
    """What only a log that was opened with its key has."""

    key: SigningKey
    verifier_key: VerifierKey
    bundle: list[bytes]
    """The framed entries of the last, partial bundle."""
    journal_bytes: int = 0
    superseded: list[str] = field(default_factory=list)
    """Folders of partial tiles whose full tile is written but may not be durable yet."""
    broken: bool = False


class Log:
    """A log on a disk. Made by `create` and `open`; use it as a context manager, or call `close`."""

    def __init__(self, disk: Disk, *, origin: str, tree: TileTree, checkpoint: bytes, writer: _Writer | None) -> None:
        """Not for callers: `create` and `open` establish what the methods rely on."""
        self.origin = origin
        self._disk = disk
        self._tree = tree
        self._checkpoint = checkpoint
        self._writer = writer

    @classmethod
    def create(cls, directory: Path, origin: str, key: SigningKey) -> Self:
        """Make an empty log in a folder that holds none. Raises `InputError`, `EnvironmentError_`."""
        check_origin(origin)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise EnvironmentError_(f"cannot be made: {fault.strerror}", where=str(directory)) from None
        return cls._with(PosixDisk(directory, exclusive=True), lambda disk: cls.create_on(disk, origin, key))

    @classmethod
    def open(cls, directory: Path, key: SigningKey | None = None) -> Self:
        """Open a log. With its key: to write, after recovery. Without: to read, as of the published checkpoint.

        Raises `InputError` (no log, wrong key, in use), `EvidenceError` (damaged), `EnvironmentError_`.
        """
        if key is None:
            return cls._with(PosixDisk(directory, exclusive=False), cls.read_on)
        return cls._with(PosixDisk(directory, exclusive=True), lambda disk: cls.open_on(disk, key))

    @classmethod
    def create_on(cls, disk: Disk, origin: str, key: SigningKey) -> Self:
        """`create` on any disk. After a crash in here the folder is empty, or `open` finds an empty log."""
        if disk.read(JOURNAL_PATH, JOURNAL_READ_BYTES_MAX) is not None or disk.read(CHECKPOINT_PATH, NOTE_BYTES_MAX):
            raise InputError("the folder already holds a log", where=origin, remedy="open it, or choose another folder")
        verifier_key = VerifierKey.of(key, name=check_origin(origin), kind=KeyKind.LOG)
        empty = Checkpoint(origin=origin, size=0, root=EMPTY_ROOT)
        disk.replace(JOURNAL_PATH, encode_head(verifier_key.text, empty))
        return cls.open_on(disk, key)

    @classmethod
    def open_on(cls, disk: Disk, key: SigningKey) -> Self:
        """Open for writing on any disk.

        1. Read the journal's head; the key must be the log's.
        2. Load the tree at the journal's base, which is durable, and compare its root.
        3. Replay whole batches up to the first torn one, comparing the root after each.
        4. The published checkpoint must be a prefix of the outcome.
        5. Write the tiles of replayed batches again, then the checkpoint; make all durable; begin a new journal.
        """
        where = JOURNAL_PATH
        journal = disk.read(JOURNAL_PATH, JOURNAL_READ_BYTES_MAX)  # 1.
        if journal is None:
            raise InputError("the folder holds no log", remedy="make one with `inspectorate ledger init`")
        key_text, base, offset = decode_head(journal, where=where)
        verifier_key = VerifierKey.of(key, name=check_origin(base.origin), kind=KeyKind.LOG)
        if key_text != verifier_key.text:
            raise InputError("the key is not that of the log", where=base.origin, remedy=f"use the key of {key_text}")
        replayed: dict[Tile, bytes] = {}
        tree = TileTree(base.size, lambda tile: replayed.get(tile) or read_tile(disk, tile))  # 2.
        if tree.root() != base.root:
            raise EvidenceError("stored tiles do not lead to the journal's root", where=f"size {base.size}")
        bundle = frame_entries(edge_entries(disk, tree))
        batches = []  # 3.
        for batch in decode_batches(journal, offset, base.size):
            trial = tree.fork()
            tiles = trial.append(leaf_hashes(batch.entries))
            replayed.update((tile, data) for tile, data in tiles if tile.width == TILE_WIDTH)
            if trial.root() != batch.root:
                break
            tree = trial
            batches.append(_Batch(start=batch.start, framed=frame_entries(batch.entries), tiles=tiles))
        published = check_published(disk, tree, verifier_key)  # 4.
        writer = _Writer(key=key, verifier_key=verifier_key, bundle=bundle)
        log = cls(disk, origin=base.origin, tree=tree, checkpoint=b"", writer=writer)
        for pending in batches:  # 5.
            log._write_tiles(pending, again=True)
        log._publish(published)
        if len(journal) > offset or not published:
            log._settle()
        return log

    @classmethod
    def read_on(cls, disk: Disk) -> Self:
        """Open for reading on any disk, as of the published checkpoint."""
        data = disk.read(CHECKPOINT_PATH, NOTE_BYTES_MAX)
        if data is None:
            raise InputError("the folder holds no checkpoint", remedy="make a log with `inspectorate ledger init`")
        stated = Checkpoint.parse(Note.parse(data, where=CHECKPOINT_PATH).text, where=CHECKPOINT_PATH)
        tree = TileTree(stated.size, lambda tile: read_tile(disk, tile))
        if tree.root() != stated.root:
            raise EvidenceError("stored tiles do not lead to the checkpoint's root", where=CHECKPOINT_PATH)
        return cls(disk, origin=stated.origin, tree=tree, checkpoint=data, writer=None)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._tree.size

    def append(self, entries: Sequence[bytes]) -> range:
        """Append a batch; returns its indices. Durable on return, with one fsync for the whole batch.

        Raises `InputError` on an empty or oversized batch or a log opened to read; `EnvironmentError_` where the disk
        fails, after which the batch may or may not be in the log when it is opened again.
        """
        writer = self._writable()
        _check_batch(entries)
        framed = frame_entries(entries)
        start = self._tree.size
        writer.broken = True
        tiles = self._tree.append(leaf_hashes(entries))
        record = encode_batch(start, framed, self._tree.root())
        self._disk.append(JOURNAL_PATH, record)
        self._write_tiles(_Batch(start=start, framed=framed, tiles=tiles), again=False)
        self._publish(None)
        writer.journal_bytes += len(record)
        if writer.journal_bytes >= JOURNAL_BYTES_MAX:
            self._settle()
        writer.broken = False
        return range(start, self._tree.size)

    def checkpoint(self) -> bytes:
        """The signed note of the current state; for a log opened to read, as it was published."""
        return self._checkpoint

    def attach(self, checkpoint: bytes) -> None:
        """Publish the current checkpoint with cosignatures added. Raises `InputError` where it is of another state."""
        writer = self._writable()
        note = Note.parse(checkpoint, where=CHECKPOINT_PATH)
        signed, _ = note.signed_by(writer.verifier_key, where=CHECKPOINT_PATH)
        if not signed or note.text != Note.parse(self._checkpoint, where=CHECKPOINT_PATH).text:
            raise InputError("is not the log's current checkpoint", where=CHECKPOINT_PATH)
        self._disk.write(CHECKPOINT_PATH, checkpoint)
        self._checkpoint = checkpoint

    def entry(self, index: int) -> bytes:
        """The entry at `index`. Raises `InputError` beyond the log, `EvidenceError` where its hash does not fit."""
        self._check_index(index)
        number, offset = divmod(index, TILE_WIDTH)
        entries = read_bundle(self._disk, Tile(level=None, number=number, width=self._width(number)))
        if leaf_hash(entries[offset]) != self._tree.node(0, index):
            raise EvidenceError("the stored entry does not fit its hash in the tree", where=f"entry {index}")
        return entries[offset]

    def find(self, entry: bytes) -> int | None:
        """The first index of an entry, or None. Reads all hashes of the log, 32 bytes an entry."""
        wanted = leaf_hash(entry)
        for number in range(-(-self.size // TILE_WIDTH)):
            data = read_tile(self._disk, Tile(level=0, number=number, width=self._width(number)))
            position = data.find(wanted)
            while position % HASH_BYTES and position >= 0:
                position = data.find(wanted, position + 1)
            if position >= 0:
                return number * TILE_WIDTH + position // HASH_BYTES
        return None

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Inclusion proof of an entry in the tree of `size` entries; of all by default. Raises `InputError`."""
        size = self._check_size(size)
        self._check_index(index, size)
        return inclusion_proof(index, size, self._tree.node)

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]:
        """Consistency proof between two sizes of this log. Raises `InputError`."""
        size2 = self._check_size(size2)
        if not 0 <= size1 <= size2:
            raise InputError(f"no consistency proof leads from size {size1} to size {size2}")
        return consistency_proof(size1, size2, self._tree.node)

    def close(self) -> None:
        """Make the tiles durable, begin a new journal, and release the folder."""
        try:
            if self._writer and not self._writer.broken and self._writer.journal_bytes:
                self._settle()
        finally:
            self._disk.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write_tiles(self, batch: _Batch, *, again: bool) -> None:
        """Write the bundles and tiles of a batch, and note which partial ones they supersede.

        New ones may be written in place, since no checkpoint yet leads a reader to them.
        """
        assert self._writer
        put = self._disk.write if again else self._disk.create
        for tile, data in batch.tiles:
            put(tile.path, data)
        framed = self._writer.bundle + batch.framed
        number = batch.start // TILE_WIDTH
        for start in range(0, len(framed), TILE_WIDTH):
            chunk = framed[start : start + TILE_WIDTH]
            put(Tile(level=None, number=number, width=len(chunk)).path, b"".join(chunk))
            number += 1
        self._writer.bundle = framed[len(framed) - len(framed) % TILE_WIDTH :]
        for tile, _ in batch.tiles:
            before = batch.start >> TILE_HEIGHT * (tile.level or 0)
            if tile.width == TILE_WIDTH and before % TILE_WIDTH and before // TILE_WIDTH == tile.number:
                self._writer.superseded.append(f"{tile.folder}.p")
                if tile.level == 0:
                    self._writer.superseded.append(f"{Tile(level=None, number=tile.number).folder}.p")

    def _publish(self, published: bytes | None) -> None:
        """Sign and publish the checkpoint, unless `published` already is of this state (and may carry cosignatures)."""
        assert self._writer
        current = Checkpoint(origin=self.origin, size=self._tree.size, root=self._tree.root())
        if published and Note.parse(published, where=CHECKPOINT_PATH).text == current.text:
            self._checkpoint = published
            return
        self._checkpoint = current.signed(self._writer.key)
        self._disk.write(CHECKPOINT_PATH, self._checkpoint)

    def _settle(self) -> None:
        """Make all tiles durable, then begin a new journal at the current size, then drop superseded partial tiles."""
        assert self._writer
        self._writer.broken = True
        self._disk.settle()
        base = Checkpoint(origin=self.origin, size=self._tree.size, root=self._tree.root())
        self._disk.replace(JOURNAL_PATH, encode_head(self._writer.verifier_key.text, base))
        for folder in self._writer.superseded:
            self._disk.discard(folder)
        self._writer.superseded.clear()
        self._writer.journal_bytes = 0
        self._writer.broken = False

    def _writable(self) -> _Writer:
        if self._writer is None:
            raise InputError("the log was opened to read", where=self.origin, remedy="open it with its key")
        if self._writer.broken:
            raise EnvironmentError_(
                "an earlier append failed", where=self.origin, remedy="close the log and open it anew"
            )
        return self._writer

    def _width(self, number: int) -> int:
        return min(TILE_WIDTH, self.size - number * TILE_WIDTH)

    def _check_size(self, size: int | None) -> int:
        if size is not None and not 0 <= size <= self.size:
            raise InputError(f"the log has {self.size} entries, not {size}", where=self.origin)
        return self.size if size is None else size

    def _check_index(self, index: int, size: int | None = None) -> None:
        if not 0 <= index < (self.size if size is None else size):
            raise InputError(f"there is no entry {index} among {self.size}", where=self.origin)

    @classmethod
    def _with(cls, disk: PosixDisk, build: Callable[[Disk], Self]) -> Self:
        """Build a log on a disk; release the disk where that fails."""
        try:
            return build(disk)
        except InspectorateError:
            disk.close()
            raise


def _check_batch(entries: Sequence[bytes]) -> None:
    if not entries:
        raise InputError("a batch needs at least one entry")
    longest = max(map(len, entries))
    if longest > ENTRY_BYTES_MAX:
        raise InputError(
            f"an entry of {longest} bytes exceeds {ENTRY_BYTES_MAX}", remedy="append its digest, and keep it elsewhere"
        )
    if sum(map(len, entries)) + 2 * len(entries) > BATCH_BYTES_MAX:
        raise InputError(f"a batch exceeds {BATCH_BYTES_MAX} bytes", remedy="append it in several batches")
