"""The processor's state on disk, tied to a counter that only rises: a restored disk is found out.

Rules:

- One file, `state`: counter, number of starts, device, state, and an HMAC-SHA256 over all of it. The key is the caller's; a key in
  a file (the only kind that software has) stops accidents and whoever can write the folder but not read the key, and nobody else.
- A save writes the file with the counter's next value, makes it durable, and only then raises the device's counter. What a save is
  for is released after it has returned, never before.
- The file one ahead of the device is the one torn state that an honest crash leaves: the counter is raised, and it is current. A
  file behind the device was restored. A file further ahead, or whose HMAC differs, was made by something else.
- Every start saves once before it does anything. Otherwise two attempts at the same counter value, one cut off before the counter
  rose and one after an old file was put back, would both be valid, and the first could later replace the second.
- After a failed save nothing more is saved: the kernel may report success at the next fsync although it dropped data at this one.
- No file at all is a fresh processor only if the device's counter is at `born`, the value it had when the processor was set up. It
  belongs into the measured configuration, so that setting it anew is a change that a quote shows. Without `born`, deleting
  everything looks like a fresh processor here, the store says so (`anchored`), and only a reviewer who holds an earlier checkpoint
  finds it: `sequence` and `starts` begin again, and `previous` names nothing.

Not stopped: two processors on two copies of the folder and one counter at the same time, one of them cut off between its file and
the counter (the lock is on the folder; silicon has one processor per counter, and a TPM should have one user); a disk that reports
data as durable and loses it, which looks like a restored one; whoever holds the key, where the counter is not protected either.
The attack by repeated attempts, and saving at every start, follow Strackx, Piessens 2016 (Ariadne, USENIX Security).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from inspectorate.errors import EnvironmentError_, InputError
from inspectorate.mechanisms.guarantee.attestation.device import Device

STATE_BYTES_MAX = 16 * 1024 * 1024
KEY_BYTES_MIN = 32
_NAME, _TEMPORARY = "state", "state.temporary"
_MAGIC = b"guard-state/1\0\0\0"
_HEADER = struct.Struct(">16sQQ32sBI")
"""Magic, counter, starts, SHA-256 of the device's id, whether there is a state, its length."""
_MAC_BYTES = 32
_COUNTER_MAX = 2**63


class Outcome(StrEnum):
    """What a start found on the disk."""

    FRESH = "fresh"
    """Nothing was ever saved."""
    CURRENT = "current"
    TORN = "torn"
    """The last save was cut off after its file was durable: it counts, and nothing that it was for had been released."""
    ROLLED_BACK = "rolled-back"
    """The file is older than the counter: a copy was restored."""
    MISSING = "missing"
    """There is no file, but there was one: the counter is not where this processor began."""
    ALTERED = "altered"
    """Not a file of this store: its HMAC differs, it is of another device, cut short, or ahead of the counter."""


USABLE = frozenset({Outcome.FRESH, Outcome.CURRENT, Outcome.TORN})


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a start found. `state` is trusted; `stale` is authentic but old, and may only ever make the processor stricter."""

    outcome: Outcome
    state: bytes | None
    starts: int
    """How often this store was loaded, this time included; after a loss of state it counts from what is left."""
    protected: bool
    """Whether the device's counter survives a restored disk. If not, nothing here does."""
    anchored: bool
    """Whether a deletion of everything would be found out here (`born` is known)."""
    why: str = ""
    stale: bytes | None = None

    @property
    def usable(self) -> bool:
        return self.outcome in USABLE


class Files(Protocol):
    """The few steps of a durable save, one by one, so that a test can cut them off one by one."""

    def read(self, bytes_max: int) -> bytes | None: ...

    def create(self, data: bytes) -> None: ...

    def sync(self) -> None: ...

    def rename(self) -> None: ...

    def sync_folder(self) -> None: ...

    def close(self) -> None: ...


class StateFiles:
    """A real folder, held by this process until `close`. Raises `InputError`, or `OSError` from the steps."""

    def __init__(self, folder: Path) -> None:
        self._temporary: int | None = None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as fault:
            raise InputError(f"cannot be opened: {fault.strerror}", where=str(folder)) from None
        try:
            fcntl.flock(self._folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._folder)
            raise InputError(
                "is in use by another guarantee processor", where=str(folder), remedy="let the other process end"
            ) from None

    def read(self, bytes_max: int) -> bytes | None:
        """The file's bytes, at most one more than `bytes_max`; None where there is no file."""
        try:
            descriptor = os.open(_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            return file.read(bytes_max + 1)

    def create(self, data: bytes) -> None:
        self._drop_temporary()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        self._temporary = os.open(_TEMPORARY, flags, 0o600, dir_fd=self._folder)
        view = memoryview(data)
        while view:
            view = view[os.write(self._temporary, view) :]

    def sync(self) -> None:
        assert self._temporary is not None
        os.fsync(self._temporary)

    def rename(self) -> None:
        self._drop_temporary()
        os.rename(_TEMPORARY, _NAME, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def sync_folder(self) -> None:
        os.fsync(self._folder)

    def close(self) -> None:
        self._drop_temporary()
        os.close(self._folder)

    def _drop_temporary(self) -> None:
        if self._temporary is not None:
            os.close(self._temporary)
            self._temporary = None


class Store:
    """The state of one processor on one device. One thread; `load` first, then `save` as often as needed, then `close`."""

    def __init__(
        self, folder: Path, device: Device, *, key: bytes, born: int | None, files: Files | None = None
    ) -> None:
        """Hold the folder. `born` is the device's counter when this processor was set up; None if nobody wrote it down."""
        if len(key) < KEY_BYTES_MIN:
            raise InputError(f"the key of the state needs {KEY_BYTES_MIN} bytes", where=str(folder))
        self._where = str(folder / _NAME)
        self._device = device
        self._device_digest = hashlib.sha256(device.device_id.encode()).digest()
        self._key = key
        self._born = born
        self._files: Files = files if files is not None else StateFiles(folder)
        self._starts = 0
        self._counter: int | None = None
        self._owns = False
        self._broken = False

    def load(self) -> Loaded:
        """Say what is there, and make this start count. Once. Raises `EnvironmentError_`.

        If the outcome is not usable nothing is written, so that what was found stays; the first `save` begins anew.
        """
        assert self._counter is None, "a store is loaded once"
        with self._guarded("read"):
            data = self._files.read(_HEADER.size + STATE_BYTES_MAX + _MAC_BYTES)
            self._counter = self._device.counter()
        found = self._judge(data, self._counter)
        self._starts = found.starts
        if found.usable:
            with self._guarded("written"):
                if found.outcome is Outcome.TORN:
                    self._advance()
                self._put(found.state)
            self._owns = True
        return found

    def save(self, state: bytes) -> None:
        """Make `state` the one that the next start finds. Durable, and protected from restoring, when it returns.

        Raises `EnvironmentError_`; then it is unknown which of the two states the next start finds, and nothing may be released.
        """
        assert self._counter is not None, "a store is loaded before anything is saved"
        if len(state) > STATE_BYTES_MAX:
            raise EnvironmentError_(
                f"a state of {len(state)} bytes exceeds {STATE_BYTES_MAX}", where=self._where, remedy="bound the state"
            )
        with self._guarded("written"):
            if not self._owns:
                self._put(state)
                self._owns = True
            self._put(state)

    @property
    def counter(self) -> int:
        """The device's counter, as this store last saw it."""
        assert self._counter is not None, "a store is loaded before its counter is known"
        return self._counter

    def close(self) -> None:
        """Let the folder go."""
        self._files.close()

    def _judge(self, data: bytes | None, counter: int) -> Loaded:
        if data is None:
            if self._born is None or counter == self._born:
                return self._found(Outcome.FRESH, starts=1)
            why = f"there is no state, but the counter is at {counter} and this processor began at {self._born}"
            return self._found(Outcome.MISSING, starts=1, why=why)
        try:
            at, starts, state = self._open(data)
        except ValueError as fault:
            return self._found(Outcome.ALTERED, starts=1, why=str(fault))
        if at < counter:
            why = f"the state is of counter {at}, and the device is at {counter}: a copy was restored"
            return self._found(Outcome.ROLLED_BACK, starts=starts + 1, why=why, stale=state)
        if at > counter + 1:
            why = (
                f"the state is of counter {at}, and the device is only at {counter}: it is not of this device's counter"
            )
            return self._found(Outcome.ALTERED, starts=starts + 1, why=why)
        if at == counter + 1:
            why = "the last save was cut off before the counter rose"
            return self._found(Outcome.TORN, starts=starts + 1, state=state, why=why)
        outcome = Outcome.FRESH if state is None else Outcome.CURRENT
        return self._found(outcome, starts=starts + 1, state=state)

    def _found(
        self, outcome: Outcome, *, starts: int, state: bytes | None = None, why: str = "", stale: bytes | None = None
    ) -> Loaded:
        return Loaded(
            outcome=outcome,
            state=state,
            starts=starts,
            protected=self._device.protects_counter,
            anchored=self._born is not None,
            why=why,
            stale=stale,
        )

    def _open(self, data: bytes) -> tuple[int, int, bytes | None]:
        """(counter, starts, state) of a file of this store. Raises `ValueError`."""
        if len(data) < _HEADER.size + _MAC_BYTES:
            raise ValueError(f"the state has {len(data)} bytes, too few")
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, hmac.digest(self._key, body, "sha256")):
            raise ValueError("the state's HMAC differs: it was altered, or made with another key")
        magic, counter, starts, device, present, length = _HEADER.unpack_from(body)
        state = body[_HEADER.size :]
        if magic != _MAGIC or present not in (0, 1) or length != len(state) or counter > _COUNTER_MAX:
            raise ValueError("the state is of another form")
        if device != self._device_digest:
            raise ValueError("the state is of another device")
        return counter, starts, state if present else None

    def _put(self, state: bytes | None) -> None:
        """Write, make durable, raise the counter: in that order."""
        assert self._counter is not None
        if self._device.counter() != self._counter:
            raise self._moved()
        body = _HEADER.pack(
            _MAGIC, self._counter + 1, self._starts, self._device_digest, state is not None, len(state or b"")
        ) + (state or b"")
        self._files.create(body + hmac.digest(self._key, body, "sha256"))
        self._files.sync()
        self._files.rename()
        self._files.sync_folder()
        self._advance()

    def _advance(self) -> None:
        assert self._counter is not None
        if self._device.advance() != self._counter + 1:
            raise self._moved()
        self._counter += 1

    def _moved(self) -> EnvironmentError_:
        return EnvironmentError_(
            "something else raised the device's counter",
            where=self._where,
            remedy="find the second user of the counter; nothing is released until this processor starts again",
        )

    @contextlib.contextmanager
    def _guarded(self, verb: str) -> Iterator[None]:
        """Whatever ends a step ends the store: it is broken until all of the steps were done."""
        if self._broken:
            raise EnvironmentError_(
                "an earlier save failed", where=self._where, remedy="mend the disk or device, and start again"
            )
        self._broken = True
        try:
            yield
        except OSError as fault:
            raise EnvironmentError_(
                f"cannot be {verb}: {fault.strerror}", where=self._where, remedy="mend the disk, and start again"
            ) from None
        self._broken = False
