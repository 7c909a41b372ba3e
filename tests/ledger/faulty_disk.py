"""A disk in memory that keeps exactly the promises of `inspectorate.ledger.disk`, and can die at any operation.

Two views: what a running system sees, and what the medium surely holds. A crash happens inside operation `crash_at`,
with `cut` saying how much of that operation took effect. Afterwards `survivor` gives the disk that the next process
finds: after a kill, all that the system saw; after a loss of power, only what was durable for sure, and any part or
mangling of the rest, drawn from a seed.
"""

from __future__ import annotations

import random

CHECKPOINT = "checkpoint"


class Crash(BaseException):
    """The process is dead. Not an `Exception`, so that nothing can catch it by accident."""


class FaultyDisk:
    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.seen: dict[str, bytes] = dict(files or {})
        self.durable: dict[str, bytes] = dict(files or {})
        self.operations = 0
        self.crash_at = -1
        self.cut = 0.0
        self.signed: list[bytes] = []
        """Every checkpoint that was handed to the disk, and so may have been seen by a reader."""

    def read(self, path: str, bytes_max: int) -> bytes | None:
        data = self.seen.get(path)
        assert data is None or len(data) <= bytes_max
        return data

    def create(self, path: str, data: bytes) -> None:
        self.seen[path] = data[: self._step(len(data))]
        self._die_if_due()

    def write(self, path: str, data: bytes) -> None:
        if self._step(1):
            self.seen[path] = data
            if path == CHECKPOINT:
                self.signed.append(data)
        self._die_if_due()

    def append(self, path: str, data: bytes) -> None:
        self.seen[path] += data[: self._step(len(data))]
        self._die_if_due()
        self.durable[path] = self.seen[path]

    def replace(self, path: str, data: bytes) -> None:
        if self._step(1):
            self.seen[path] = self.durable[path] = data
        self._die_if_due()

    def settle(self) -> None:
        self._step(1)
        self._die_if_due()
        self.durable = dict(self.seen)

    def discard(self, folder: str) -> None:
        names = sorted(name for name in self.seen if name.startswith(folder + "/"))
        for name in names[: self._step(len(names))]:
            del self.seen[name]
        self._die_if_due()

    def close(self) -> None:
        pass

    def survivor(self, *, power: bool, seed: int) -> FaultyDisk:
        """What the next process finds."""
        if not power:
            found = FaultyDisk(self.seen)
            found.durable = dict(self.durable)
            return found
        chance = random.Random(seed)
        files = {}
        for path in sorted(self.seen.keys() | self.durable.keys()):
            kept, wanted = self.durable.get(path), self.seen.get(path)
            survived = kept if kept == wanted else self._mangled(chance, path, kept, wanted)
            if survived is not None:
                files[path] = survived
        return FaultyDisk(files)

    @staticmethod
    def _mangled(chance: random.Random, path: str, kept: bytes | None, wanted: bytes | None) -> bytes | None:
        """A file whose last change was not durable: old, new, cut, or with zeros where data had not arrived."""
        if path == "journal" and kept is not None and wanted is not None:
            # Only its end was in flight: what earlier appends made durable stays.
            tail = wanted[len(kept) :]
            length = chance.randint(0, len(tail))
            return kept + chance.choice([tail[:length], tail[:length] + bytes(len(tail) - length), tail])
        kind = chance.choice(["old", "new", "cut", "zeros"])
        if kind == "old" or wanted is None:
            return kept
        length = chance.randint(0, len(wanted))
        return {"new": wanted, "cut": wanted[:length], "zeros": wanted[:length] + bytes(len(wanted) - length)}[kind]

    def _step(self, whole: int) -> int:
        """Count an operation; returns how much of it takes effect."""
        self.operations += 1
        return int(whole * self.cut) if self.operations == self.crash_at else whole

    def _die_if_due(self) -> None:
        if self.operations == self.crash_at:
            raise Crash
