"""Tiles: a Merkle tree cut into files of 256 hashes, and entries in bundles of 256 (C2SP tlog-tiles v1).

Rules:

- Tile (level, n) holds the hashes of the perfect subtrees of 256**level entries each, 256 of them, or fewer in the last
  tile of a level, which is then *partial* and has its width in its name.
- A full tile or bundle never changes. A partial one is a prefix of its full one, so a reader that misses it may take the
  prefix of the full one.
- A bundle holds entries behind their lengths, 2 bytes big-endian: an entry has at most 65,535 bytes.

`TileTree` keeps the right edge of the tree in memory (at most 255 hashes a level) and asks for all else. It is pure:
where tiles come from is the caller's business, and their content is believed only as far as a root confirms it.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from inspectorate.errors import EvidenceError
from inspectorate.ledger.merkle import HASH_BYTES, hash_pairs, range_root

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
ENTRY_BYTES_MAX = 65_535
BUNDLE_BYTES_MAX = TILE_WIDTH * (2 + ENTRY_BYTES_MAX)
CACHED_TILES_MAX = 256
"""Tiles kept with their inner nodes; about 40 KB each."""

_LENGTHS = [struct.pack(">H", length) for length in range(ENTRY_BYTES_MAX + 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """Where a tile stands. Level None is the level of entry bundles. `width` counts hashes or entries."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def folder(self) -> str:
        """The path of the full tile, which with `.p` is the folder of its partial ones."""
        digits = f"{self.number:03d}"
        digits = "0" * (-len(digits) % 3) + digits
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        level = "entries" if self.level is None else str(self.level)
        return "/".join(("tile", level, *(f"x{group}" for group in groups[:-1]), groups[-1]))

    @property
    def path(self) -> str:
        """The path below the log's prefix (C2SP tlog-tiles, "Merkle Tree" and "Log entries")."""
        return self.folder if self.width == TILE_WIDTH else f"{self.folder}.p/{self.width}"

    @property
    def full(self) -> Tile:
        return Tile(level=self.level, number=self.number)


TileReader = Callable[[Tile], bytes]
"""Gives a tile's bytes, exactly `width` hashes. Raises `EvidenceError` where there are none."""


class TileTree:
    """The tree of a log: its right edge, and a way to read everything left of it."""

    def __init__(self, size: int, read: TileReader) -> None:
        """The tree of `size` entries, whose edge is read now. The caller compares `root()` with what it expects.

        Raises `EvidenceError` where a tile of the edge is missing.
        """
        self.size = size
        self._read = read
        self._edges: list[list[bytes]] = []
        self._pyramids: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()
        self._edges = [split_hashes(read(tile)) if tile.width else [] for tile in self.edge_tiles()]

    def fork(self) -> TileTree:
        """A tree that starts as this one and can be appended to on trial."""
        other = TileTree(0, self._read)
        other.size = self.size
        other._edges = [list(edge) for edge in self._edges]
        return other

    def edge_tiles(self) -> list[Tile]:
        """The last tile of each level, width 0 where the level has full tiles only."""
        tiles = []
        level = 0
        while (hashes := self.size >> TILE_HEIGHT * level) > 0:
            tiles.append(Tile(level=level, number=hashes >> TILE_HEIGHT, width=hashes % TILE_WIDTH))
            level += 1
        return tiles

    def append(self, leaves: Sequence[bytes]) -> list[tuple[Tile, bytes]]:
        """Append leaf hashes; returns the tiles of the new size that did not exist before, full ones first."""
        full: list[tuple[Tile, bytes]] = []
        before = {tile.level: tile.width for tile in self.edge_tiles()}
        level, new, numbered = 0, list(leaves), self.size
        while new:
            if level == len(self._edges):
                self._edges.append([])
            edge = self._edges[level]
            edge.extend(new)
            number = numbered >> TILE_HEIGHT * (level + 1)
            new = []
            ready = len(edge) - len(edge) % TILE_WIDTH
            for start in range(0, ready, TILE_WIDTH):
                hashes = edge[start : start + TILE_WIDTH]
                full.append((Tile(level=level, number=number), b"".join(hashes)))
                new.append(_fold(hashes, TILE_HEIGHT))
                number += 1
            del edge[:ready]
            level += 1
        self.size += len(leaves)
        grown = {tile.level for tile, _ in full}
        return full + [
            (tile, b"".join(self._edges[tile.level or 0]))
            for tile in self.edge_tiles()
            if tile.width and (tile.level in grown or before.get(tile.level) != tile.width)
        ]

    def node(self, height: int, index: int) -> bytes:
        """The hash of a perfect subtree of this tree: a `NodeReader`. Raises `EvidenceError` on missing tiles."""
        level, inner = divmod(height, TILE_HEIGHT)
        number, offset = divmod(index << inner, TILE_WIDTH)
        if number == self.size >> TILE_HEIGHT * (level + 1):
            return _fold(self._edges[level][offset : offset + (1 << inner)], inner)
        return self._pyramid(level, number)[inner][offset >> inner]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` entries; of all by default."""
        return range_root(0, self.size if size is None else size, self.node)

    def _pyramid(self, level: int, number: int) -> list[list[bytes]]:
        """A full tile's hashes and the nodes above them, from the least recently used cache or read anew."""
        found = self._pyramids.get((level, number))
        if found is None:
            found = [split_hashes(self._read(Tile(level=level, number=number)))]
            for _ in range(TILE_HEIGHT - 1):
                found.append(hash_pairs(found[-1]))
            self._pyramids[level, number] = found
            if len(self._pyramids) > CACHED_TILES_MAX:
                self._pyramids.popitem(last=False)
        else:
            self._pyramids.move_to_end((level, number))
        return found


def split_hashes(data: bytes) -> list[bytes]:
    """A tile's bytes as hashes."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def frame_entries(entries: Sequence[bytes]) -> list[bytes]:
    """Each entry behind its length: what a bundle is joined from. Raises `IndexError` on an entry that is too long."""
    lengths = _LENGTHS
    return [lengths[len(entry)] + entry for entry in entries]


def split_bundle(data: bytes, count: int, *, where: str) -> list[bytes]:
    """The first `count` entries of a bundle. Raises `EvidenceError` where it holds fewer."""
    entries = []
    position = 0
    for _ in range(count):
        if position + 2 > len(data):
            raise EvidenceError(f"holds fewer than {count} entries", where=where)
        end = position + 2 + int.from_bytes(data[position : position + 2], "big")
        if end > len(data):
            raise EvidenceError("an entry is cut short", where=where)
        entries.append(data[position + 2 : end])
        position = end
    return entries


def _fold(hashes: Sequence[bytes], height: int) -> bytes:
    """Root of a perfect subtree of 2**height hashes."""
    level = list(hashes)
    if len(level) != 1 << height:
        raise ValueError(f"{len(level)} hashes are no perfect subtree of height {height}")
    for _ in range(height):
        level = hash_pairs(level)
    return level[0]
