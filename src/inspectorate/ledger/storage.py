"""Reading back what a log stored, and believing it only as far as hashes and signatures confirm it."""

from __future__ import annotations

from inspectorate.errors import EvidenceError
from inspectorate.ledger.checkpoint import Checkpoint
from inspectorate.ledger.disk import Disk
from inspectorate.ledger.merkle import HASH_BYTES, leaf_hash
from inspectorate.ledger.note import NOTE_BYTES_MAX, Note, VerifierKey
from inspectorate.ledger.tiles import BUNDLE_BYTES_MAX, TILE_BYTES, TILE_WIDTH, Tile, TileTree, split_bundle

CHECKPOINT_PATH = "checkpoint"


def read_tile(disk: Disk, tile: Tile) -> bytes:
    """A tile's bytes; of a partial one that is gone, the prefix of the full one. Raises `EvidenceError`."""
    length = tile.width * HASH_BYTES
    for candidate in (tile, tile.full):
        data = disk.read(candidate.path, TILE_BYTES)
        if data is not None and len(data) >= length:
            return data[:length]
    raise EvidenceError("tile is missing or cut short", where=tile.path, remedy="open the log with its key to recover")


def read_bundle(disk: Disk, tile: Tile) -> list[bytes]:
    """A bundle's entries; of a partial one that is gone, the first ones of the full one. Raises `EvidenceError`."""
    for candidate in (tile, tile.full):
        data = disk.read(candidate.path, BUNDLE_BYTES_MAX)
        if data is not None:
            return split_bundle(data, tile.width, where=candidate.path)
    raise EvidenceError("bundle is missing", where=tile.path, remedy="open the log with its key to recover")


def edge_entries(disk: Disk, tree: TileTree) -> list[bytes]:
    """The entries of the last, partial bundle, each compared with its leaf hash."""
    number, width = divmod(tree.size, TILE_WIDTH)
    if not width:
        return []
    tile = Tile(level=None, number=number, width=width)
    entries = read_bundle(disk, tile)
    if any(leaf_hash(entry) != tree.node(0, number * TILE_WIDTH + i) for i, entry in enumerate(entries)):
        raise EvidenceError("stored entries do not fit the tree", where=tile.path)
    return entries


def check_published(disk: Disk, tree: TileTree, key: VerifierKey) -> bytes | None:
    """The published checkpoint if there is a whole one. It must be a prefix of the tree. Raises `EvidenceError`."""
    where = CHECKPOINT_PATH
    data = disk.read(CHECKPOINT_PATH, NOTE_BYTES_MAX)
    try:
        note = Note.parse(data or b"", where=where)
        stated = Checkpoint.parse(note.text, where=where)
    except EvidenceError:
        return None  # Torn by a loss of power: the journal, not this file, is what was made durable.
    if not note.signed_by(key, where=where)[0] or stated.origin != key.name:
        raise EvidenceError("the published checkpoint is not signed by this log's key", where=where)
    if stated.size > tree.size:
        raise EvidenceError(
            f"{stated.size} entries were published but only {tree.size} are stored",
            where=where,
            remedy="restore the folder from a newer copy; appending now would fork the log",
        )
    if tree.root(stated.size) != stated.root:
        raise EvidenceError("the stored entries are not those of the published checkpoint", where=where)
    return data
