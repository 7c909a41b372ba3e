"""The Merkle tree of RFC 6962: hashes, proofs, and their verification. Pure functions and one tree in memory.

Rules:

- SHA-256 throughout; a leaf is hashed behind 0x00, an interior node behind 0x01 (RFC 6962, Section 2.1), so that no
  entry can pass for a node.
- A *node* (h, i) is the hash over the perfect subtree of entries [i * 2**h, (i + 1) * 2**h). It never changes once those
  entries exist, whatever is appended later. Proofs are written in terms of such nodes, which a `NodeReader` supplies.
- A verifying function returns nothing and raises `EvidenceError`; there is no result to forget to look at.
- A proof has exactly the hashes that its sizes and indices call for. A longer or shorter one is refused.

A proof against the empty tree proves nothing, so `verify_consistency` refuses size 0; who needs that case (a witness
that meets a log for the first time) must say so itself.

Not done here: signatures, storage, and any statement about what an entry means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from inspectorate.errors import EvidenceError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without entries (RFC 6962, Section 2.1)."""
SIZE_MAX = 2**63 - 1
"""Largest tree size handled; C2SP tlog-witness allows at most 63 hashes in a proof."""
PROOF_HASHES_MAX = 63

NodeReader = Callable[[int, int], bytes]
"""Maps (height, index) to the hash of that perfect subtree. May raise `EvidenceError` where storage is damaged."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry (RFC 6962, Section 2.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """Hashes of many entries."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node over its two children (RFC 6962, Section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def hash_pairs(hashes: Sequence[bytes]) -> list[bytes]:
    """Parents of consecutive pairs; a last unpaired hash is left out."""
    sha256 = hashlib.sha256
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=False)]


def range_root(start: int, end: int, node: NodeReader) -> bytes:
    """Root of entries [start, end), where `start` is a multiple of the least power of two >= end - start.

    With start 0 this is MTH(D[end]) of RFC 6962. The perfect subtrees of the range are folded from right to left.
    """
    width = end - start
    root = b""
    for height in range(width.bit_length()):
        if width >> height & 1:
            left = node(height, (end >> height) - 1)
            root = node_hash(left, root) if root else left
    return root or EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Audit path of entry `index` in the tree of `size` entries, leaf's sibling first (RFC 6962, Section 2.1.1).

    Raises `ValueError` unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of size {size}")
    return _path(0, index, size, node)


def consistency_proof(size1: int, size2: int, node: NodeReader) -> tuple[bytes, ...]:
    """Proof that the tree of `size1` is a prefix of that of `size2` (RFC 6962, Section 2.1.2).

    Empty where size1 is 0 or equals size2. Raises `ValueError` unless 0 <= size1 <= size2.
    """
    if not 0 <= size1 <= size2:
        raise ValueError(f"no consistency proof leads from size {size1} to size {size2}")
    if size1 in (0, size2):
        return ()
    height = _trailing_zeros(size1)
    path = _path(height, size1 - 1, size2, node)
    if size1 == 1 << height:
        return path  # The old tree is one perfect subtree; the verifier knows its root.
    return (node(height, (size1 - 1) >> height), *path)


def _path(height: int, index: int, size: int, node: NodeReader) -> tuple[bytes, ...]:
    """Siblings from the node at `height` over entry `index` up to the root of the tree of `size`.

    1. Below the fork, where the ways to `index` and to the last entry part, every sibling is perfect.
    2. At the fork, the sibling is the right part of the tree and may be imperfect.
    3. Above the fork, only left siblings remain, and they are perfect.
    """
    fork = (index ^ (size - 1)).bit_length()
    path: list[bytes] = []
    if fork > height:
        path.extend(node(h, index >> h ^ 1) for h in range(height, fork - 1))  # 1.
        start = (index >> fork - 1 ^ 1) << fork - 1
        path.append(range_root(start, size, node))  # 2.
    above = max(fork, height)
    path.extend(node(h, (index >> h) - 1) for h in range(above, index.bit_length()) if index >> h & 1)  # 3.
    return tuple(path)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, *, where: str = ""
) -> None:
    """Check that the entry with leaf hash `leaf` stands at `index` in the tree of `size` entries and `root`.

    C2SP merkle-tree, "Inclusion proofs"; RFC 9162, Section 2.1.3.2. Raises `EvidenceError`.
    """
    _check_hashes((leaf, *proof), where)
    if _inclusion_root(leaf, index, size, proof, where) != root:
        raise EvidenceError("inclusion proof leads to another root", where=where)


def verify_consistency(
    size1: int, size2: int, proof: Sequence[bytes], root1: bytes, root2: bytes, *, where: str = ""
) -> None:
    """Check that the tree (size1, root1) is a prefix of (size2, root2), with 0 < size1 <= size2.

    C2SP merkle-tree, "Consistency proofs"; RFC 9162, Section 2.1.4.2. Raises `EvidenceError`.
    """
    if size1 == 0:
        raise EvidenceError("every tree is consistent with the empty one; that proves nothing", where=where)
    verify_subtree_consistency((0, size1), size2, proof, root1, root2, where=where)


def verify_subtree_inclusion(
    leaf: bytes, index: int, subtree: tuple[int, int], proof: Sequence[bytes], root: bytes, *, where: str = ""
) -> None:
    """Check that the entry stands at `index` in the subtree of entries [start, end), whose root is `root`.

    draft-ietf-plants-merkle-tree-certs, "Subtree Inclusion Proofs". Raises `EvidenceError`.
    """
    start, end = _check_subtree(subtree, where)
    verify_inclusion(leaf, index - start, end - start, proof, root, where=where)


def verify_subtree_consistency(
    subtree: tuple[int, int], size: int, proof: Sequence[bytes], root1: bytes, root2: bytes, *, where: str = ""
) -> None:
    """Check that the subtree [start, end) with `root1` is part of the tree of `size` entries with `root2`.

    draft-ietf-plants-merkle-tree-certs, "Subtree Consistency Proofs"; with start 0 it is RFC 9162, Section 2.1.4.2.
    Raises `EvidenceError`.

    0. A subtree without entries is part of any tree that reaches as far.
    1. Where the subtree ends with the tree, only left siblings are missing.
    2. Else start from the last perfect subtree of [start, end), which the proof names first unless it is all of it,
    3. climb to the subtree's height, once as it stood and once as it grew by entries of the larger tree,
    4. compare the first with `root1`, and prove the inclusion of the second in the larger tree.
    """
    start, end = _check_subtree(subtree, where)
    if end > size:
        raise EvidenceError(f"a tree of size {size} does not hold {end} entries", where=where)
    if start == end or (start, end) == (0, size):  # 0., and nothing to climb where the two trees are one.
        _check_count(proof, 0, where)
        if root1 != (EMPTY_ROOT if start == end else root2):
            raise EvidenceError("roots differ where the trees are the same", where=where)
        return
    _check_hashes((root1, *proof), where)
    last = end - 1
    height = (last ^ start).bit_length()
    if end == size:  # 1.
        _check_count(proof, (start >> height).bit_count(), where)
        if _climb_left(root1, proof) != root2:
            raise EvidenceError("consistency proof leads to another root", where=where)
        return
    bottom = _trailing_zeros(end - start)  # 2.
    perfect = end - start == 1 << bottom
    fork = (last ^ (size - 1)).bit_length()
    _check_count(proof, (0 if perfect else 1) + fork - bottom + (last >> fork).bit_count(), where)
    seed, rest = (root1, list(proof)) if perfect else (proof[0], list(proof[1:]))
    stood = grown = seed
    for h in range(bottom, height):  # 3.
        if last >> h & 1:
            sibling = rest.pop(0)
            stood, grown = node_hash(sibling, stood), node_hash(sibling, grown)
        elif h < fork:
            grown = node_hash(grown, rest.pop(0))
    if stood != root1:  # 4.
        raise EvidenceError("consistency proof does not contain the older root", where=where)
    if _inclusion_root(grown, start >> height, ((size - 1) >> height) + 1, rest, where) != root2:
        raise EvidenceError("consistency proof leads to another root", where=where)


def _inclusion_root(leaf: bytes, index: int, size: int, proof: Sequence[bytes], where: str) -> bytes:
    if not 0 <= index < size:
        raise EvidenceError(f"entry {index} is not in a tree of size {size}", where=where)
    fork = (index ^ (size - 1)).bit_length()
    _check_count(proof, fork + (index >> fork).bit_count(), where)
    root = leaf
    for height, sibling in enumerate(proof[:fork]):
        root = node_hash(sibling, root) if index >> height & 1 else node_hash(root, sibling)
    return _climb_left(root, proof[fork:])


def _climb_left(root: bytes, siblings: Sequence[bytes]) -> bytes:
    for sibling in siblings:
        root = node_hash(sibling, root)
    return root


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def _check_subtree(subtree: tuple[int, int], where: str) -> tuple[int, int]:
    start, end = subtree
    if not 0 <= start <= end or (start < end and start % (1 << (end - start - 1).bit_length())):
        raise EvidenceError(f"[{start}, {end}) is not a subtree", where=where)
    return start, end


def _check_hashes(hashes: Sequence[bytes], where: str) -> None:
    if any(len(value) != HASH_BYTES for value in hashes):
        raise EvidenceError(f"a hash does not have {HASH_BYTES} bytes", where=where)


def _check_count(proof: Sequence[bytes], count: int, where: str) -> None:
    if len(proof) != count:
        raise EvidenceError(f"proof has {len(proof)} hashes where {count} are needed", where=where)


class MemoryTree:
    """A tree whose nodes are all in memory (about 170 bytes an entry). Takes any number of entries, gives any proof."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, entries: Sequence[bytes]) -> range:
        """Append entries; returns their indices."""
        return self.append_hashes(leaf_hashes(entries))

    def append_hashes(self, leaves: Sequence[bytes]) -> range:
        """Append leaf hashes; returns their indices."""
        start = self.size
        self._levels[0].extend(leaves)
        return range(start, self.size)

    def node(self, height: int, index: int) -> bytes:
        """The hash of the perfect subtree (height, index). Raises `IndexError` where entries are missing."""
        return self._grown()[height][index]

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`. Raises `IndexError`."""
        return self._levels[0][index]

    def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` entries; of all by default. Raises `ValueError` beyond the tree."""
        return range_root(0, self._size_within(size), self._reader())

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """`inclusion_proof` in the tree of the first `size` entries. Raises `ValueError`."""
        return inclusion_proof(index, self._size_within(size), self._reader())

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]:
        """`consistency_proof` between two sizes of this tree. Raises `ValueError`."""
        return consistency_proof(size1, self._size_within(size2), self._reader())

    def _reader(self) -> NodeReader:
        levels = self._grown()
        return lambda height, index: levels[height][index]

    def _size_within(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} entries, not {size}")
        return size

    def _grown(self) -> list[list[bytes]]:
        """The levels, with every node that the leaves allow. Nodes are computed once, when first asked for."""
        height = 0
        while len(self._levels[height]) > 1:
            if height + 1 == len(self._levels):
                self._levels.append([])
            below, level = self._levels[height], self._levels[height + 1]
            if len(level) < len(below) // 2:
                level.extend(hash_pairs(below[2 * len(level) :]))
            height += 1
        return self._levels
