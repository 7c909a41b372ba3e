"""A log in memory: the same proofs and checkpoints as `Log`, no disk. For simulated worlds and tests.

Nothing here is durable, so nothing signed here may be relied upon beyond the life of the process.
"""

from __future__ import annotations

from collections.abc import Sequence

from inspectorate.errors import InputError
from inspectorate.keys import SigningKey
from inspectorate.ledger.checkpoint import Checkpoint, check_origin
from inspectorate.ledger.merkle import MemoryTree
from inspectorate.ledger.tiles import ENTRY_BYTES_MAX


class MemoryLog:
    """A log whose entries are in memory."""

    def __init__(self, origin: str, key: SigningKey) -> None:
        """An empty log. Raises `InputError` on an origin that cannot name a key."""
        self.origin = check_origin(origin)
        self._key = key
        self._entries: list[bytes] = []
        self._tree = MemoryTree()

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._tree.size

    def append(self, entries: Sequence[bytes]) -> range:
        """Append a batch; returns its indices. Raises `InputError` on an empty batch or an entry beyond 64 KiB."""
        if not entries:
            raise InputError("a batch needs at least one entry")
        if max(map(len, entries)) > ENTRY_BYTES_MAX:
            raise InputError(f"an entry exceeds {ENTRY_BYTES_MAX} bytes")
        self._entries.extend(entries)
        return self._tree.append(entries)

    def checkpoint(self, size: int | None = None) -> bytes:
        """The signed note of the first `size` entries; of all by default. Raises `InputError`."""
        size = self._check_size(size)
        return Checkpoint(origin=self.origin, size=size, root=self._tree.root(size)).signed(self._key)

    def entry(self, index: int) -> bytes:
        """The entry at `index`. Raises `InputError`."""
        self._check_index(index, self.size)
        return self._entries[index]

    def find(self, entry: bytes) -> int | None:
        """The first index of an entry, or None."""
        return self._entries.index(entry) if entry in self._entries else None

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """Inclusion proof of an entry in the tree of `size` entries; of all by default. Raises `InputError`."""
        size = self._check_size(size)
        self._check_index(index, size)
        return self._tree.inclusion(index, size)

    def consistency(self, size1: int, size2: int | None = None) -> tuple[bytes, ...]:
        """Consistency proof between two sizes of this log. Raises `InputError`."""
        size2 = self._check_size(size2)
        if not 0 <= size1 <= size2:
            raise InputError(f"no consistency proof leads from size {size1} to size {size2}")
        return self._tree.consistency(size1, size2)

    def _check_size(self, size: int | None) -> int:
        if size is not None and not 0 <= size <= self.size:
            raise InputError(f"the log has {self.size} entries, not {size}", where=self.origin)
        return self.size if size is None else size

    def _check_index(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise InputError(f"there is no entry {index} among {size}", where=self.origin)
